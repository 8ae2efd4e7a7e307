"""The virtual run of rule 35: the real daemon on the replay exchange, on recorded or generated candles."""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from core import timeframe
from core.clock import SystemClock, VirtualClock
from core.config import Config
from core.engine import jobs, on_time, opening, retro, story, virtual
from core.engine.backfill import Progress
from core.engine.context import Context
from core.engine.daemon import start_up
from core.engine.jobs import Job
from core.engine.prefill import prefill
from core.engine.retro import RetroOptions
from core.errors import ConfigError
from core.market.exchange import Exchange
from core.market.generated import GeneratedMarket
from core.market.recorded import RecordedMarket, common_end
from core.market.replay import ReplayExchange
from core.market.source import MarketSource
from core.notify.console import ConsoleSender
from core.notify.delivery import Deliverer
from core.store import candles, reports, runs
from core.store.db import Database
from core.store.outbox import Outbox
from core.timeframe import DAY, HOUR, MINUTE

log = logging.getLogger(__name__)

HISTORY = 120 * DAY
SPAN = 30 * DAY  # of the generated market, where nothing else is said
VOL = 0.022
LEAD = HOUR  # from the start of a run that learns to its first training
LABEL_GENERATED = opening.GENERATED
LABEL_RECORDED = opening.RECORDED
_SCANNED = "history_scanned"

Bars = Callable[[str, str], Progress | None]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says of a virtual run; times in ms, None = not given."""

    candles: Path | None = None
    speed: float | None = None  # None = as fast as possible
    start: int | None = None
    until: int | None = None
    span: int | None = None
    skip: tuple[int, int] | None = None
    history: int = HISTORY
    seed: int = 7
    edge: float = 0.0  # of the generated market
    vol: float = VOL
    learn: bool = False  # put the history in at once and find its candidates: something to learn from at once


@dataclass(frozen=True, slots=True)
class Stage:
    """A market ready to be replayed, with the window that the run covers."""

    source: MarketSource
    label: str
    choices: list[str]
    start: int
    until: int | None


def prepare(cfg: Config, options: DemoOptions) -> Stage:
    """Choose the market and the window. Raises ConfigError where they do not fit together."""
    if options.span is not None and options.until is not None:
        raise ConfigError("--span and --until say the same thing: give one of them")
    stage = _recorded(cfg, options) if options.candles else _generated(cfg, options)
    if stage.until is not None and stage.until <= stage.start:
        raise ConfigError(
            f"the run would end ({timeframe.show_time(stage.until)}) before it starts "
            f"({timeframe.show_time(stage.start)})"
        )
    return stage


def run(
    cfg: Config,
    db: Database,
    options: DemoOptions,
    stage: Stage,
    *,
    console: TextIO | None = None,
    bars: Bars = lambda label, unit: None,
    stopping: Callable[[], bool] = lambda: False,
    wait: Callable[[float], object] | None = None,
) -> dict[str, object]:
    """Run the daemon over the window and return the summary. Resumes a run that was stopped or killed.

    bars: gives the progress callback for a piece of work, by its name and unit.
    """
    real = SystemClock()
    began = real.monotonic()
    symbols = tuple(s for s in cfg.symbols if s in stage.source.symbols())
    clock = VirtualClock(stage.start)
    server = ReplayExchange(stage.source, clock)
    url = server.start()
    cfg = on_the_replay(replace(cfg, symbols=symbols), url, db.path)
    exchange = Exchange(cfg.exchange.id, clock, api_url=url, rate_limit_ms=0, pause=_at_once).open()
    ctx = Context(cfg, db, clock, exchange, label=stage.label, send_ungated=True, tell_all=True, name=on_time.NAME)
    try:
        _begin(ctx, options, stage, bars, stopping)
        screen = console or sys.stderr
        deliverer = Deliverer(Outbox(db), [ConsoleSender(screen, colour=screen.isatty())], clock)
        plan = virtual.Plan(stage.until, options.skip, options.speed)
        virtual.run(ctx, clock, _jobs(ctx, deliverer, bars, stopping), plan, wait or real.sleep, stopping)
    finally:
        exchange.close()
        server.stop()
    return {
        **reports.summary(db.con, ctx.exchange_id),
        **story.filtered(ctx),
        "seconds": round(real.monotonic() - began, 2),
        "market": stage.label,
        "until": timeframe.show_time(clock.now()),
    }


def _begin(ctx: Context, options: DemoOptions, stage: Stage, bars: Bars, stopping: Callable[[], bool]) -> None:
    # As any first start, or as after a kill: history, then what it teaches.
    clock, first = ctx.clock, stage.start - options.history
    assert isinstance(clock, VirtualClock)
    ctx.ensure_rows()
    clock.set(_resume(ctx, stage.start))
    if options.learn and options.candles is None:
        prefill(ctx, stage.source, first, stage.start, bars("history", "minutes"))
    failed = start_up(
        ctx, history_from=first, progress=bars("history", "minutes"), keep_going=lambda: not stopping()
    )
    for symbol, why in failed.items():
        log.warning("%s: %s", symbol, why)
    if options.learn and not stopping():
        scan_history(ctx, stage.start, bars("candidates of the history", "series"))


def _jobs(ctx: Context, deliverer: Deliverer, bars: Bars, stopping: Callable[[], bool]) -> list[Job]:
    weekly = on_time.table(ctx, bars)
    every = jobs.table(
        ctx,
        deliverer,
        stopping,
        deliver_at="10",
        fill_behind=False,
        before_scan=on_time.CatchUp(ctx, weekly),
    )
    return [*weekly, *every, *story.jobs_of(ctx)]


def on_the_replay(cfg: Config, url: str, path: Path) -> Config:
    """The configuration for a replayed exchange at `url` and the database at `path`, whose models lie beside it."""
    exchange = replace(cfg.exchange, api_url=url, rate_limit_ms=0)
    return replace(opening.with_models_of(cfg, path), exchange=exchange)


def scan_history(ctx: Context, start: int, progress: Progress | None = None) -> None:
    """Find the candidates of the history once, as `retro_scan.py` would: what was decided up to `start` (ms)."""
    with ctx.db.lock:
        done = runs.get(ctx.db.con, _SCANNED)
    if done is not None:
        return
    kernels = ctx.kernels
    found = retro.run(ctx, RetroOptions(end=start + 1), progress)
    ctx.kernels = kernels
    with ctx.db.write() as con:
        runs.put(con, _SCANNED, start)
        story.collected(ctx, con, found, start)


async def _at_once(_seconds: float) -> None:
    """A pause of virtual time takes none of ours."""


def _resume(ctx: Context, start: int) -> int:
    with ctx.db.lock:
        known = candles.stretches(ctx.db.con, ctx.exchange_id)
        first = runs.get(ctx.db.con, opening.VIRTUAL)
    if first is None:
        with ctx.db.write() as con:
            runs.put(con, opening.VIRTUAL, start)
            runs.put(con, opening.LABEL, ctx.label)
    newest = [stretches[-1].frontier for symbol, stretches in known.items() if symbol in ctx.cfg.symbols]
    return max([start, *newest])


def _generated(cfg: Config, options: DemoOptions) -> Stage:
    days = (options.history + (options.span or SPAN)) // DAY + 400
    source = GeneratedMarket(tuple(cfg.symbols), seed=options.seed, days=days, edge=options.edge, vol=options.vol)
    start = options.start if options.start is not None else source.start + -(-options.history // DAY) * DAY
    due = on_time.first_training(cfg, start + LEAD) if options.learn and options.start is None else None
    start = start if due is None else due - LEAD
    until = options.until if options.until is not None else start + options.span if options.span else None
    label = f"{LABEL_GENERATED.partition(',')[0]}, planted edge {options.edge:g}, not real prices"
    label = label if options.edge else LABEL_GENERATED
    return Stage(source, label, [source.label], timeframe.floor(start, MINUTE), until)


def _recorded(cfg: Config, options: DemoOptions) -> Stage:
    folder = options.candles
    assert folder is not None
    source = RecordedMarket(folder, tuple(cfg.symbols))
    end = common_end(source.choices)
    span = options.span if options.span is not None else SPAN
    start = options.start if options.start is not None else (options.until or end) - span
    until = options.until if options.until is not None else start + options.span if options.span else end
    source.narrow(start - options.history - DAY, until + MINUTE)
    choices = [choice.describe() for choice in source.choices.values()]
    return Stage(source, LABEL_RECORDED, choices, timeframe.floor(start, MINUTE), until)
