"""The minute: sync, resample, scan, execute, in that order; running it twice or late changes nothing."""

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence

from core.engine import handin, health
from core.engine.context import Context
from core.engine.execute import execute
from core.engine.resample import resample
from core.engine.scan import scan
from core.engine.sync import markets, sync
from core.errors import TraderError, Transient
from core.store import runs
from core.store.runs import JobRun

log = logging.getLogger(__name__)

KEPT = 1000  # job runs held in memory while the file cannot take them

STAGES = ("incremental_sync", "resample", "scan_signals", "execute_signals")


def attempt(ctx: Context, name: str, due: int, work: Callable[[], int | None]) -> JobRun:
    """Run one job to its record: the job boundary, where every error ends and is named."""
    started = ctx.clock.now()
    try:
        rows = work()
    except Transient as error:
        log.warning("%s: %s", name, error)
        return JobRun(name, due, started, ctx.clock.now(), "failed", None, str(error))
    except Exception as error:
        log.exception("%s failed", name)
        return JobRun(name, due, started, ctx.clock.now(), "failed", None, f"{type(error).__name__}: {error}")
    return JobRun(name, due, started, ctx.clock.now(), "ok", rows, None)


def tick(
    ctx: Context,
    due: int,
    stopping: Callable[[], bool] = lambda: False,
    before_scan: Callable[[int], None] = lambda now: None,
) -> list[JobRun]:
    """One minute's work; returns and records a run per stage.

    A stage that fails ends the tick: what comes after would decide on less than there is. `stopping` is
    asked between stages, so that a stop request lets the running stage finish. before_scan: what must be
    done before anything is decided, asked with the time (ms).
    """
    now = ctx.clock.now()
    failed: dict[str, str] = {}
    work: dict[str, Callable[[], int]] = {
        "incremental_sync": lambda: _sync(ctx, now, failed),
        "resample": lambda: resample(ctx),
        "scan_signals": lambda: _scan(ctx, now, failed, before_scan),
        "execute_signals": lambda: execute(ctx, now, failed),
    }
    done: list[JobRun] = []
    for name in STAGES:
        if stopping():
            break
        before = len(failed)
        run = attempt(ctx, name, due, work[name])
        if len(failed) > before:
            named = "; ".join(f"{symbol}: {why}" for symbol, why in list(failed.items())[before:])
            run = run._replace(state="failed", error=named[:2000])
        done.append(run)
        if run.state == "failed" and run.rows is None and name != STAGES[0]:
            break
    record(ctx, done)
    return done


def record(ctx: Context, done: Sequence[JobRun]) -> None:
    """Write job runs down, and with them how many requests were sent since the last ones.

    What a full disk does not take is kept and written with the next ones.
    """
    with ctx.db.lock:
        ctx.unwritten += done
        sent = Counter(ctx.exchange.requests) - ctx.counted if ctx.exchange else Counter()
        try:
            with ctx.db.write(durable=False) as con:
                runs.add_runs(con, ctx.unwritten)
                if sent:
                    runs.add_requests(con, ctx.clock.now(), sent)
        except sqlite3.OperationalError as error:
            ctx.unwritten = ctx.unwritten[-KEPT:]
            log.error("%d job runs could not be recorded yet: %s", len(ctx.unwritten), error)
        else:
            ctx.unwritten = []
            ctx.counted += sent


def _scan(ctx: Context, now: int, failed: dict[str, str], before: Callable[[int], None]) -> int:
    handin.work_off(ctx, now)  # a model handed in governs what is decided from here on
    before(now)
    return scan(ctx, now, failed)


def _sync(ctx: Context, now: int, failed: dict[str, str]) -> int:
    deadline = ctx.clock.monotonic() + ctx.cfg.incremental.run_seconds
    try:
        markets(ctx, now)
    except TraderError as error:
        log.warning("no market list: %s", error)
    done = sync(ctx, now, deadline)
    health.watch(ctx, now, done)
    failed.update({symbol: str(error) for symbol, error in done.errors.items()})
    return done.stored.rows + done.stored.revised
