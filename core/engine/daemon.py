"""The live process: start-up is recovery, then jobs until it is asked to stop."""

import logging
import threading
from collections.abc import Callable

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from core import timeframe
from core.engine import health, jobs, promotion
from core.engine.backfill import FIRST_DAYS, Progress, backfill
from core.engine.context import Context
from core.engine.jobs import Job
from core.engine.resample import resample
from core.engine.sync import markets
from core.engine.tick import record
from core.errors import TraderError
from core.store import candles
from core.store.runs import JobRun
from core.timeframe import DAY, MINUTE

log = logging.getLogger(__name__)

MISSED_AFTER = 50_000  # ms; a run that begins later than this after a due time did not serve it
STEP_SECONDS = 5.0  # wall and monotonic clock may part by this much before the jobs are set anew


def start_up(
    ctx: Context,
    *,
    history_from: int | None = None,
    progress: Progress | None = None,
    keep_going: Callable[[], bool] = lambda: True,
) -> dict[str, TraderError]:
    """Bring the file to where the jobs can begin: rows, markets and the newest history.

    history_from: fetch all from then on at once (a replay); None: only the newest days, the rest comes
    behind. Returns the symbols that failed, with why; they are tried again each minute.
    """
    ctx.ensure_rows()
    promotion.adopt(ctx, ctx.clock.now())
    now = timeframe.floor(ctx.clock.now(), MINUTE)
    try:
        markets(ctx, now)
    except TraderError as error:
        log.warning("no market list yet: %s", error)
    with ctx.db.lock:
        known = candles.stretches(ctx.db.con, ctx.exchange_id)
    newest = timeframe.floor(now - FIRST_DAYS * DAY, DAY)
    failed: dict[str, TraderError] = {}
    for start, symbols in _starts(ctx, known, newest if history_from is None else history_from).items():
        failed |= backfill(ctx, symbols, start, now, progress=progress, keep_going=keep_going)
    health.remember_ban(ctx)
    resample(ctx)
    return failed


def _starts(ctx: Context, known: dict[str, list[candles.Stretch]], start: int) -> dict[int, list[str]]:
    # A symbol with candles goes on at its frontier in the tick, however long it was away.
    found: dict[int, list[str]] = {}
    for symbol in ctx.cfg.symbols:
        # The newest stretch: an older one may lie before a hole, where a first start was killed.
        newest = known[symbol][-1] if symbol in known else None
        if newest is None or newest.start > start or newest.frontier == newest.start:
            found.setdefault(start, []).append(symbol)
    return found


class Scheduler:
    """APScheduler with our jobs: one thread per lane, nothing dropped for being late, every miss recorded."""

    def __init__(self, ctx: Context, table: list[Job]) -> None:
        self._ctx, self._table = ctx, table
        self._seen: dict[str, int] = {}
        lanes = {job.lane: ThreadPoolExecutor(1) for job in table}
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            executors=lanes,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._scheduler.add_listener(self._note, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def start(self) -> None:
        """Begin; each job at its next time."""
        self._set_jobs()
        self._scheduler.start()

    def run_until(self, stop: threading.Event) -> None:
        """Wait for `stop`, mending the schedule when the machine's clock steps; then let running jobs finish."""
        clock = self._ctx.clock
        apart = clock.now() / 1000 - clock.monotonic()
        while not stop.wait(1.0):
            moved = clock.now() / 1000 - clock.monotonic() - apart
            if abs(moved) > STEP_SECONDS:
                log.warning("the clock moved by %+.0f s: the jobs are set anew", moved)
                apart += moved
                self._set_jobs()
        self._scheduler.shutdown(wait=True)

    def _set_jobs(self) -> None:
        for job in self._table:
            self._scheduler.add_job(
                self._run, job.trigger, args=[job], id=job.name, executor=job.lane, replace_existing=True
            )

    def _run(self, job: Job) -> None:
        now = self._ctx.clock.now()
        self._note_missed(job, now)
        self._seen[job.name] = now
        jobs.run(self._ctx, job, now)

    def _note_missed(self, job: Job, now: int) -> None:
        # APScheduler joins runs that a sleeping machine missed into one, and says nothing.
        seen = self._seen.get(job.name)
        due = jobs.due_between(job, seen + 1, now - MISSED_AFTER) if seen is not None else []
        if due:
            text = f"{len(due)} runs missed up to {timeframe.show_time(due[-1])}" if len(due) > 1 else None
            record(self._ctx, [JobRun(job.name, due[0], None, None, "missed", None, text)])

    def _note(self, event: JobEvent) -> None:
        state = "missed" if event.code == EVENT_JOB_MISSED else "overlapped"
        now = self._ctx.clock.now()
        self._seen[event.job_id] = now
        record(self._ctx, [JobRun(event.job_id, now, None, None, state, None, None)])
