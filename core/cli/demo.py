"""`scheduler_run.py --demo`: the real daemon on a replayed exchange, under a virtual clock (rule 35)."""

import math
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from core.cli import opening, stopping, summary
from core.cli.options import COMMON, UsageError
from core.cli.progress import Bar
from core.cli.screen import Out
from core.clock import Clock, SystemClock
from core.config import Config
from core.engine import demo, on_time
from core.engine.demo import DemoOptions, Stage
from core.engine.opening import models_of
from core.errors import ArtifactError, ConfigError
from core.market.recorded import RecordedMarket
from core.store import candles, reports, runs
from core.store.db import Database, check_file
from core.store.lock import WriterLock
from core.timeframe import DAY, MINUTE, show_span, show_time

DB = "demo.db"  # in app.data_dir; the real database is only touched where --db names it
SPEED = 900.0  # virtual seconds per second: an alert every few seconds on three symbols
TICKER_SECONDS = 0.5
# A generated market from which something can be learnt at the first weekly training: so much history of it, moving so
# much a day (fees are small beside the stops then, so that many plans are admitted), with an edge of this strength.
ENOUGH, LESSON, LIVELY, EDGE = 60 * DAY, 200 * DAY, 0.05, 1.5
_MARKET = "virtual_market"  # which market a file replays, so that another one never mixes with it


def run(args: Namespace, out: Out) -> int:
    """Run the demo to its end or to Ctrl-C and print what it left."""
    _check(args)
    cfg = opening.config(args)
    options = _options(args)
    stage = demo.prepare(cfg, options)
    _fits(stage, options)
    path = Path(args.db or Path(cfg.app.data_dir) / DB)
    with WriterLock(path, "scheduler_run.py --demo"):
        db, news = _open(path, cfg, market_of(stage, options), fresh=args.db is None)
        try:
            _greet(out, cfg, options, stage, path, news)
            return _play(args, cfg, db, options, stage, out)
        finally:
            db.close()


def _check(args: Namespace) -> None:
    if args.span is not None and args.until is not None:
        raise UsageError("--span and --until say the same thing: give one of them")
    if args.start is not None and args.until is not None and args.until <= args.start:
        raise UsageError(f"--until {show_time(args.until)} is not after --start {show_time(args.start)}")
    if args.skip is not None and args.skip[1] <= args.skip[0]:
        raise UsageError(f"--skip ends ({show_time(args.skip[1])}) before it begins ({show_time(args.skip[0])})")


def _options(args: Namespace) -> DemoOptions:
    ends = args.span is not None or args.until is not None
    speed = args.speed if args.speed is not None else math.inf if ends else SPEED
    generated, long = args.candles is None, args.history is None or args.history >= ENOUGH
    learn = args.learn if args.learn is not None else generated and long
    lesson = generated and learn
    return DemoOptions(
        candles=Path(args.candles) if args.candles else None,
        speed=None if math.isinf(speed) else speed,
        start=args.start,
        until=args.until,
        span=args.span,
        skip=tuple(args.skip) if args.skip else None,
        history=args.history if args.history is not None else LESSON if lesson else demo.HISTORY,
        seed=args.seed,
        edge=args.edge if args.edge is not None else EDGE if lesson else 0.0,
        vol=LIVELY if lesson else demo.VOL,
        learn=learn,
    )


def _fits(stage: Stage, options: DemoOptions) -> None:
    # The window must lie inside the market; what the engine cannot know of the command line is said here.
    source = stage.source
    if isinstance(source, RecordedMarket):
        first, end = max(choice.first for choice in source.choices.values()), source.common_end()
    else:
        first, end = (
            max(source.first(s) for s in source.symbols()),
            min(source.last(s) for s in source.symbols()) + MINUTE,
        )
    if not first <= stage.start < end:
        raise ConfigError(
            f"the run would start at {show_time(stage.start)}, but the candles of all symbols lie from "
            f"{show_time(first)} to {show_time(end)}: choose another --start or --span"
        )
    if stage.until is not None and stage.until > end:
        raise ConfigError(f"the run would end at {show_time(stage.until)}, after the candles do ({show_time(end)})")
    if options.skip and (
        options.skip[1] <= stage.start or (stage.until is not None and options.skip[0] >= stage.until)
    ):
        raise ConfigError(f"--skip lies outside the run ({show_time(stage.start)} to {show_time(stage.until)})")


def market_of(stage: Stage, options: DemoOptions) -> str:
    """What tells one replayed market from another: a file goes on only with its own."""
    if options.candles is None:
        lively = "" if options.vol == demo.VOL else f", {100 * options.vol:g} % a day"
        return f"{stage.choices[0]}{lively}, history from {show_time(stage.start - options.history)}"
    return "recorded: " + "; ".join(sorted(choice.split(",")[0] for choice in stage.choices))


def _open(path: Path, cfg: Config, market: str, *, fresh: bool) -> tuple[Database, str]:
    """The demo's file, and in words whether it is new. fresh: whether another market's file may be replaced."""
    db = Database(path)
    check_file(db)
    known, used = runs.get(db.con, _MARKET), candles.stretches(db.con, cfg.exchange.id)
    virtual = runs.get(db.con, opening.VIRTUAL) is not None
    if used and not virtual and reports.last_activity(db.con) is not None:
        db.close()
        raise ArtifactError(f"{path} holds real candles: a demo never mixes with them; use another --db")
    if virtual and known != market and known is not None:
        db.close()
        if not fresh:
            raise ArtifactError(f"{path} holds another replayed market ({known}): use another --db, or delete it")
        for name in (path.name, path.name + "-wal", path.name + "-shm"):
            path.with_name(name).unlink(missing_ok=True)
        shutil.rmtree(models_of(path), ignore_errors=True)
        db, virtual = Database(path), False
    if known != market or not virtual:
        with db.write() as con:
            runs.put(con, _MARKET, market)
    return db, "goes on where it stopped" if virtual and used else "new"


def _greet(out: Out, cfg: Config, options: DemoOptions, stage: Stage, path: Path, news: str) -> None:
    out.say(out.out.paint("Trader_AI demo: the real daemon on a replayed exchange, under a virtual clock.", "bold"))
    out.say("Nothing is traded, no keys, no network: the exchange runs inside this process.")
    out.say(f"Market   {out.out.paint(stage.label, 'yellow')}")
    for choice in stage.choices:
        out.say(f"         {choice}")
    pace = "as fast as possible" if options.speed is None else f"{options.speed:g} virtual seconds per second"
    until = show_time(stage.until) if stage.until is not None else "Ctrl-C"
    out.say(f"Time     {show_time(stage.start)} until {until}, {pace}, after {show_span(options.history)} of history")
    if options.skip:
        out.say(f"Outage   {show_time(options.skip[0])} to {show_time(options.skip[1])}")
    out.say(f"Symbols  {', '.join(cfg.symbols)}")
    out.say(f"File     {path} ({news})")
    out.say("Alerts   appear here, those that no model has judged too")
    for line in _lesson(cfg, options, stage):
        out.say(line)


def _lesson(cfg: Config, options: DemoOptions, stage: Stage) -> list[str]:
    # What the filter can learn here, and when.
    found = []
    if options.edge:
        found.append(
            f"Edge     planted, of strength {options.edge:g}: on a day whose funding is one standard deviation high, "
            f"prices fall by {options.edge:g}"
        )
        found.append(
            "         standard deviations of a day on average, and rise when it is low. No real market is that kind."
        )
    due = on_time.first_training(cfg, stage.start)
    if options.learn and due is not None:
        found.append(f"Filter   trained each week on the candidates so far, first at {show_time(due)}; it judges only")
        found.append("         if it beats every plain rule on plans it has not seen")
    return found


def _play(args: Namespace, cfg: Config, db: Database, options: DemoOptions, stage: Stage, out: Out) -> int:
    clock = SystemClock()
    bars = Bars(out, clock)
    with stopping.on_signals("the running stage is finished first") as stop:
        ticker = Ticker(cfg, db, stage, out, bars, stop.is_set)
        found = demo.run(
            cfg, db, options, stage, console=out.people.as_text(), bars=bars, stopping=ticker, wait=stop.wait
        )
        stopped = stop.is_set()
    out.err.clear()
    out.result(found)
    for line in ["", "Stopped cleanly." if stopped else "The end of the run.", *summary.lines(found)]:
        out.say(line)
    _farewell(args, out, db.path, stopped)
    return 0


class Bars:
    """A progress bar for each piece of work; the newest is the one that runs."""

    def __init__(self, out: Out, clock: Clock) -> None:
        self._out, self._clock = out, clock
        self._newest: Bar | None = None

    def __call__(self, label: str, unit: str) -> Bar:
        """A bar for this piece of work."""
        self._newest = Bar(self._out.err, self._clock, label, unit)
        return self._newest

    @property
    def running(self) -> bool:
        """Whether a bar is being drawn."""
        return self._newest is not None and self._newest.running


class Ticker:
    """Asked "stop?" before every job, it also draws where the run stands, on a terminal, a few times a second."""

    def __init__(
        self, cfg: Config, db: Database, stage: Stage, out: Out, bars: Bars, stopping: Callable[[], bool]
    ) -> None:
        self._cfg, self._db, self._stage, self._out, self._bars, self._stopping = cfg, db, stage, out, bars, stopping
        self._clock = SystemClock()
        self._drawn = 0.0

    def __call__(self) -> bool:
        """Whether the run shall stop."""
        now = self._clock.monotonic()
        if self._out.err.tty and not self._bars.running and now - self._drawn >= TICKER_SECONDS:
            self._drawn = now
            self._draw()
        return self._stopping()

    def _draw(self) -> None:
        with self._db.lock:
            known = candles.stretches(self._db.con, self._cfg.exchange.id)
            left = reports.unfinished(self._db.con, self._cfg.exchange.id)
        at = max((stretches[-1].frontier for stretches in known.values()), default=0)
        if at >= self._stage.start and at > 0:
            shadow, pending = left.pop("shadow", 0), left.pop("PENDING", 0)
            self._out.err.draw(
                f"{show_time(at)}  {self._share(at)}{sum(left.values())} open, {pending} pending, "
                f"{shadow} refused but followed"
            )

    def _share(self, at: int) -> str:
        until, start = self._stage.until, self._stage.start
        return f"{100 * (at - start) // (until - start)} %  " if until is not None else ""


def _farewell(args: Namespace, out: Out, path: Path, stopped: bool) -> None:
    config = "" if args.config == COMMON["config"] else f" --config {args.config}"
    db = f" --db {path}{config}"
    out.say()
    if stopped:
        out.say("The same command goes on from here.")
    out.say(f"Look closer:           python -m core status{db}")
    out.say(f"                       python -m core why ID{db}        (an alert's #ID)")
    out.say(f"                       python -m core analyze{db}")
    out.say(
        f"With a real exchange:  python scheduler_run.py{config}            (public market data, no keys, nothing "
        "is traded)"
    )
    out.say("                       config.yaml: exchange.id, symbols, signals.fees, risk.equity_usd;")
    out.say(
        "                       alerts: notify.telegram.enabled, TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID in the "
        "environment,"
    )
    out.say("                       then python -m core test-alert")
