"""`download_data.py`: history from the exchange, resumable."""

import shutil
import threading
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from core import timeframe
from core.cli import opening, stopping
from core.cli.options import check_span
from core.cli.progress import Bar
from core.cli.screen import Out, counted
from core.clock import SystemClock
from core.config import Config
from core.engine import health
from core.engine.backfill import Estimate, backfill, estimate
from core.engine.context import Context
from core.engine.resample import resample
from core.engine.sync import markets, sync
from core.engine.tick import record
from core.errors import Transient
from core.market.exchange import Exchange
from core.store import candles, reports
from core.timeframe import HOUR, MINUTE, show_span, show_time


def run(args: Namespace, out: Out) -> int:
    """Fetch what is missing of the window; 1 where a symbol failed or the work was stopped."""
    clock = SystemClock()
    now = timeframe.floor(clock.now(), MINUTE)
    check_span(args.start, args.end, now)
    cfg = opening.config(args)
    cfg = opening.narrowed(cfg, opening.symbols(cfg, args.symbols))
    start = cfg.backfill.start_date if args.start is None else timeframe.floor(args.start, MINUTE)
    end = min(now, timeframe.floor(args.end, MINUTE)) if args.end is not None else now
    check_span(start, end)
    with opening.writer(args, cfg, "download_data.py", make=True) as ctx:
        opening.refuse_replayed(ctx.db)
        ctx.ensure_rows()
        _say_estimate(ctx, cfg, estimate(ctx, cfg.symbols, start, end), start, end, out)
        ctx.exchange = _exchange(ctx)
        try:
            with stopping.on_signals("the running batch is stored first") as stop:
                failed = _fetch(ctx, start, end, stop, out)
                stopped = stop.is_set()
        finally:
            record(ctx, [])  # how many requests it took
            ctx.exchange.close()
        return _summary(ctx, failed, stopped, out)


def _exchange(ctx: Context) -> Exchange:
    settings = ctx.cfg.exchange
    return Exchange(
        settings.id,
        ctx.clock,
        api_url=settings.api_url,
        rate_limit_ms=settings.rate_limit_ms,
        banned_until=health.banned_until(ctx),
    ).open()


def _say_estimate(ctx: Context, cfg: Config, found: Estimate, start: int, end: int, out: Out) -> None:
    screen = out.err if out.as_json else out.out
    screen.line(
        f"{', '.join(cfg.symbols)} from {show_time(start)} to {show_time(end)}: {counted(found.minutes, 'minute')} "
        "missing"
    )
    if not found.minutes:
        return
    screen.line(
        f"about {counted(found.requests, 'request')}, {show_span(int(max(1.0, found.seconds) * 1000))}, "
        f"{found.megabytes:.0f} MB on disk"
    )
    free = shutil.disk_usage(Path(ctx.db.path).parent).free / 2**20
    if free < 1.2 * found.megabytes:
        screen.line(f"only {free:.0f} MB are free there: choose a later --start, or fewer --symbols")


def _fetch(ctx: Context, start: int, end: int, stop: threading.Event, out: Out) -> dict[str, str]:
    try:
        markets(ctx, ctx.clock.now())
    except Transient as error:
        raise Transient(
            f"{ctx.exchange_id} does not answer ({error}); nothing was changed. Check the network and "
            "exchange.api_url, then run the same command again"
        ) from error
    bar = Bar(out.err, SystemClock(), "history", "minutes")
    errors = backfill(ctx, ctx.cfg.symbols, start, end, progress=bar, keep_going=lambda: not stop.is_set())
    bar.close()
    if not stop.is_set():
        resample(ctx)
        if ctx.clock.now() - end < HOUR:  # up to now: the last minutes, and the funding rates
            errors |= sync(ctx, ctx.clock.now(), ctx.clock.monotonic() + ctx.cfg.incremental.run_seconds).errors
            resample(ctx)
    return {symbol: str(error) for symbol, error in errors.items()}


def _summary(ctx: Context, failed: dict[str, str], stopped: bool, out: Out) -> int:
    with ctx.db.lock:
        known = {
            symbol: [s for s in stretches if s.frontier > s.start]
            for symbol, stretches in candles.stretches(ctx.db.con, ctx.exchange_id).items()
        }
        gaps = {row["symbol"]: row["gaps"] for row in reports.gap_summary(ctx.db.con, ctx.exchange_id)}
    found = {
        symbol: {
            "stretches": [asdict(s) for s in known.get(symbol, ())],
            "gaps": gaps.get(symbol, 0),
            "error": failed.get(symbol),
        }
        for symbol in ctx.cfg.symbols
    }
    if failed and not any(known.values()):
        raise Transient("; ".join(f"{symbol}: {why}" for symbol, why in failed.items()))
    out.result({"symbols": found, "stopped": stopped})
    for symbol in ctx.cfg.symbols:
        spans = (
            "; ".join(f"{show_time(s.start)} to {show_time(s.frontier)}" for s in known.get(symbol, []))
            or "nothing yet"
        )
        out.say(f"{symbol}: {spans}, {counted(gaps.get(symbol, 0), 'gap')}")
    for symbol, why in failed.items():
        out.note(f"{symbol}: {why}")
    if stopped or failed:
        out.note("not complete: the same command goes on where it stopped")
    return 1 if stopped or failed else 0
