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
from core.engine import jobs, virtual
from core.engine.backfill import Progress
from core.engine.context import Context
from core.engine.daemon import start_up
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
from core.timeframe import DAY, MINUTE

log = logging.getLogger(__name__)

HISTORY = 120 * DAY
SPAN = 30 * DAY  # of the generated market, where nothing else is said
LABEL_GENERATED = "GENERATED MARKET, not real prices"
LABEL_RECORDED = "REPLAY of recorded candles"


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
    progress: Progress | None = None,
    stopping: Callable[[], bool] = lambda: False,
    wait: Callable[[float], object] | None = None,
) -> dict[str, object]:
    """Run the daemon over the window and return the summary. Resumes a run that was stopped or killed."""
    real = SystemClock()
    began = real.monotonic()
    symbols = tuple(s for s in cfg.symbols if s in stage.source.symbols())
    clock = VirtualClock(stage.start)
    server = ReplayExchange(stage.source, clock)
    url = server.start()
    cfg = replace(cfg, symbols=symbols, exchange=replace(cfg.exchange, api_url=url, rate_limit_ms=0))
    exchange = Exchange(cfg.exchange.id, clock, api_url=url, rate_limit_ms=0, pause=_at_once).open()
    ctx = Context(cfg, db, clock, exchange, label=stage.label, send_ungated=True, tell_all=True)
    try:
        ctx.ensure_rows()
        clock.set(_resume(ctx, stage.start))
        failed = start_up(
            ctx, history_from=stage.start - options.history, progress=progress, keep_going=lambda: not stopping()
        )
        for symbol, why in failed.items():
            log.warning("%s: %s", symbol, why)
        senders = [ConsoleSender(console or sys.stderr, colour=(console or sys.stderr).isatty())]
        table = jobs.table(ctx, Deliverer(Outbox(db), senders, clock), stopping, deliver_at="10", fill_behind=False)
        plan = virtual.Plan(stage.until, options.skip, options.speed)
        virtual.run(ctx, clock, table, plan, wait or real.sleep, stopping)
    finally:
        exchange.close()
        server.stop()
    return {
        **reports.summary(db.con, ctx.exchange_id),
        "seconds": round(real.monotonic() - began, 2),
        "market": stage.label,
        "until": timeframe.show_time(clock.now()),
    }


async def _at_once(_seconds: float) -> None:
    """A pause of virtual time takes none of ours."""


def _resume(ctx: Context, start: int) -> int:
    with ctx.db.lock:
        known = candles.stretches(ctx.db.con, ctx.exchange_id)
        first = runs.get(ctx.db.con, "virtual_start")
    if first is None:
        with ctx.db.write() as con:
            runs.put(con, "virtual_start", start)
    newest = [stretches[-1].frontier for symbol, stretches in known.items() if symbol in ctx.cfg.symbols]
    return max([start, *newest])


def _generated(cfg: Config, options: DemoOptions) -> Stage:
    days = (options.history + (options.span or SPAN)) // DAY + 400
    source = GeneratedMarket(tuple(cfg.symbols), seed=options.seed, days=days)
    start = options.start if options.start is not None else source.start + -(-options.history // DAY) * DAY
    until = options.until if options.until is not None else start + options.span if options.span else None
    return Stage(source, LABEL_GENERATED, [source.label], timeframe.floor(start, MINUTE), until)


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
