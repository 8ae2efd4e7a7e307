"""What runs when: one table of jobs for the live scheduler and the virtual run. All times UTC."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from apscheduler.triggers.cron import CronTrigger

from core import timeframe
from core.engine import announce, daily_reconcile, health, weekly_report
from core.engine.backfill import backfill, behind
from core.engine.context import Context
from core.engine.resample import resample
from core.engine.tick import attempt, record, tick
from core.notify.delivery import Deliverer
from core.store import runs
from core.store.runs import JobRun
from core.timeframe import DAY, HOUR, MINUTE

log = logging.getLogger(__name__)

TICK = "tick"
PATIENCE = 15 * MINUTE  # a job that has not begun so long after its time was missed


@dataclass(frozen=True, slots=True)
class Job:
    """A job: its name, when it is due, and what it does with the time it was due (ms UTC).

    lane: jobs of one lane never run at the same time. quiet: recorded only when it did something.
    """

    name: str
    trigger: CronTrigger
    work: Callable[[int], int | None]
    lane: str
    quiet: bool = False


def table(
    ctx: Context,
    deliverer: Deliverer | None,
    stopping: Callable[[], bool],
    *,
    deliver_at: str = "*/5",
    fill_behind: bool = True,
    before_scan: Callable[[int], None] = lambda now: None,
) -> list[Job]:
    """The jobs of a daemon.

    fill_behind: whether older history is fetched in the spare time of each minute. before_scan: as for `tick`.
    """
    found = [
        Job(
            TICK,
            _cron(second=ctx.cfg.incremental.settle_seconds),
            lambda due: _tick(ctx, due, stopping, before_scan),
            "tick",
        ),
        Job("notify_closed", _cron(hour=0, minute=5, second=20), lambda due: _digest(ctx), "tick"),
        Job("db_checkpoint", _cron(minute="*/30", second=40), lambda due: _checkpoint(ctx, due), "tick"),
        # Asked every hour: Monday 00:07 is when a week is first reported, a later hour after an outage.
        Job("weekly_report", _cron(minute=7, second=35), lambda due: weekly_report.run(ctx, due), "report", quiet=True),
        # Asked every hour too: 00:12, or the first hour after a start.
        Job(
            daily_reconcile.NAME,
            _cron(minute=12, second=25),
            lambda due: daily_reconcile.run(ctx, due),
            "report",
            quiet=True,
        ),
    ]
    if fill_behind:
        found.append(
            Job("backfill", _cron(second=20), lambda due: _fill_behind(ctx, due, stopping), "tick", quiet=True)
        )
    if deliverer is not None:
        found.append(
            Job(
                "outbox", _cron(second=deliver_at), lambda due: sum(deliverer.run_once().values()), "outbox", quiet=True
            )
        )
    return found


def run(ctx: Context, job: Job, due: int) -> list[JobRun]:
    """Run a job and record it; the tick records its own stages."""
    if job.name == TICK:
        return tick_runs(job, due)
    done = attempt(ctx, job.name, due, lambda: job.work(due))
    if not job.quiet or done.rows or done.state != "ok":
        record(ctx, [done])
        return [done]
    return []


def tick_runs(job: Job, due: int) -> list[JobRun]:
    """Run the tick; its stages are its records."""
    job.work(due)
    return []


def due_between(job: Job, start: int, end: int, most: int = 10_000) -> list[int]:
    """Due times of a job from `start` to `end` (ms), both included; at most `most` of them."""
    found: list[int] = []
    while len(found) < most:
        after = job.trigger.get_next_fire_time(None, at(found[-1] + 1 if found else start))
        ts = int(after.timestamp() * 1000)
        if ts > end:
            break
        found.append(ts)
    return found


def at(ts: int) -> datetime:
    """ms UTC as an aware datetime."""
    return datetime.fromtimestamp(ts / 1000, UTC)


def _cron(**fields: int | str) -> CronTrigger:
    return CronTrigger(timezone=UTC, **fields)


def _tick(ctx: Context, due: int, stopping: Callable[[], bool], before_scan: Callable[[int], None]) -> int:
    done = tick(ctx, due, stopping, before_scan)
    if due % HOUR < MINUTE:
        log.info("alive: %s", ", ".join(f"{r.job} {r.state} {r.rows or 0}" for r in done))
    return sum(r.rows or 0 for r in done)


def _digest(ctx: Context) -> int:
    with ctx.db.write() as con:
        return announce.digest(ctx, con, ctx.clock.now())


def _checkpoint(ctx: Context, due: int) -> int:
    health.watch_disk(ctx, due, ctx.db.free_bytes())
    busy, _frames, moved = ctx.db.checkpoint()
    if busy:
        log.warning("the WAL could not be cut: a reader holds an old snapshot open")
    if due % DAY < 30 * MINUTE:
        ctx.db.give_back_space()
        with ctx.db.write(durable=False) as con:
            runs.prune_runs(con, due)
    return moved


def _fill_behind(ctx: Context, due: int, stopping: Callable[[], bool]) -> int:
    start = ctx.cfg.backfill.start_date
    if not behind(ctx, start):
        return 0
    fetched = 0

    def progress(done: int, _total: int) -> None:
        nonlocal fetched
        fetched = done

    until = timeframe.floor(due, MINUTE) + 50_000
    failed = backfill(
        ctx,
        ctx.cfg.symbols,
        start,
        timeframe.floor(due, MINUTE),
        progress=progress,
        keep_going=lambda: ctx.clock.now() < until and not stopping(),
    )
    for symbol, why in failed.items():
        log.warning("%s: history: %s", symbol, why)
    resample(ctx)
    return fetched
