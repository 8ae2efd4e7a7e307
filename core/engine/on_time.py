"""The weekly jobs under a virtual clock: done in this process at the very time they are due.

What a run sees is the file as of its due time, and what it makes governs from then on, so that promotions are a
function of the candles and of the configuration alone. A run whose time fell into an outage is done before anything
later is decided, on what was known when it was due: outages and kills change no row.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from core.clock import VirtualClock
from core.config import Config
from core.engine import calibrate, drift, handin, jobs, promotion, training, tuning, weekly
from core.engine.context import Context
from core.engine.execute import execute
from core.engine.handback import Handed, Progress, Window
from core.engine.jobs import Job
from core.engine.promotion import Order
from core.engine.scan import scan
from core.errors import DataError, TraderError, Transient
from core.store import candles, lived
from core.timeframe import MINUTE, show_time

log = logging.getLogger(__name__)

NAME = "virtual"  # what the folders of a virtual run call their file: not its path, so that the same run gives the same
SETTLED = 5 * MINUTE  # a minute this old is there, or known to be absent
PATIENCE = 3  # ticks that an overdue run waits for a hole to be looked at twice

Bars = Callable[[str, str], Progress | None]
Run = Callable[[Context, Window, Progress | None], Handed]

_WHO = {"weekly_train": "train", "weekly_calibrate": "calibrate", "weekly_tune": "tune"}
_RUNS: dict[str, Run] = {
    "weekly_train": lambda ctx, window, progress: training.run(ctx, window, progress=progress),
    "weekly_calibrate": lambda ctx, window, progress: calibrate.run(ctx, window, progress=progress),
    "weekly_tune": lambda ctx, window, progress: tuning.run(ctx, window, progress=progress),
}


def table(ctx: Context, bars: Bars = lambda label, unit: None) -> list[Job]:
    """The weekly jobs that `auto` enables, and the look at drift; put before the tick, which may be due with them.

    bars: gives the progress callback for a piece of work, by its name and unit.
    """
    looks = [Job(drift.NAME, drift.when(), lambda due: look(ctx, due), weekly.LANE)]
    return [*(Job(name, weekly.when(plan), _work(ctx, name, bars), weekly.LANE)
              for name, plan in weekly.enabled(ctx).items()), *(looks if ctx.cfg.models.meta.enabled else [])]


def _work(ctx: Context, name: str, bars: Bars) -> Callable[[int], int]:
    return lambda due: run(ctx, name, due, bars(_WHO[name], "steps"))


def run(ctx: Context, name: str, due: int, progress: Progress | None = None) -> int:
    """Do a weekly run as of its time `due` (ms) and take in what came of it; how many plans it used.

    Once: a run that is done already changes nothing. What it cannot do without (enough plans, a model) is said
    where it is news, and the run counts as done.
    """
    who = _WHO[name]
    if is_done(ctx, name, due):
        return 0
    own = replace(ctx, clock=VirtualClock(due))
    try:
        made = _RUNS[name](own, Window(end=known_by(own, due)), progress)
        done = handin.take_at_once(own, made.folder.path, due)
    except DataError as error:
        _nothing(own, name, Order(who, str(error), due, due=due))
        return 0
    except TraderError as error:
        promotion.pass_over(own, Order(who, str(error), due, due=due))
        raise
    log.info("%s, due %s: %s", name, show_time(due), done.said)
    return int(made.report["data"]["samples"])


def _nothing(ctx: Context, name: str, order: Order) -> None:
    # That there is no model yet is no news each week; that a training or a model got nowhere is.
    log.info("%s, due %s: %s", name, show_time(order.due), order.why)
    with ctx.db.lock:
        model = promotion.current(ctx.db.con)
    if model is None and name != "weekly_train":
        promotion.pass_over(ctx, order)
    else:
        promotion.say(ctx, f"{order.who}: nothing changed", order)


def look(ctx: Context, due: int) -> int:
    """Do the look at drift as of its time `due` (ms), and the training that it may ask for; once, as `run`."""
    own = replace(ctx, clock=VirtualClock(due))
    try:
        return drift.run(own, due, known_by(own, due), lambda: run(ctx, "weekly_train", due))
    except TraderError as error:
        promotion.pass_over(own, Order(drift.WHO, str(error), due, due=due))
        raise


def is_done(ctx: Context, name: str, due: int) -> bool:
    """Whether the weekly run that was due then is done."""
    if name == drift.NAME:
        return drift.is_done(ctx, due)
    with ctx.db.lock:
        return promotion.done_until(ctx.db.con, _WHO[name]) >= due


def known_by(ctx: Context, due: int) -> int:
    """Up to when every symbol's minutes count as known to a run due at `due` (ms).

    It follows from the stored minutes alone: five minutes before the run, or where a hole begins that was open then.
    """
    with ctx.db.lock:
        con = ctx.db.con
        series, begun = candles.series(con, ctx.exchange_id), candles.stretches(con, ctx.exchange_id)
        rows = [series[s, "1m"] for s in ctx.cfg.symbols if s in begun]
        last = [lived.last_minute(con, row.id, due - SETTLED) for row in rows if row.ended_ts is None]
    return min([due - SETTLED, *(ts + MINUTE for ts in last if ts is not None)])


def overdue(ctx: Context, table: list[Job], now: int) -> list[tuple[int, Job]]:
    """Weekly runs due up to `now` after all that is decided, and not done: by time, then in the order of the table."""
    with ctx.db.lock:
        known = candles.symbols(ctx.db.con, ctx.exchange_id).values()
    marks = [x.scanned_ts for x in known if x.scanned_ts is not None]
    if not marks:
        return []
    found = [(due, job) for job in table for due in jobs.due_between(job, max(marks) + 1, now)
             if not is_done(ctx, job.name, due)]
    return sorted(found, key=lambda entry: entry[0])


class CatchUp:
    """Asked before each scan: does the weekly runs that an outage or a kill has left undone, each in its place."""

    def __init__(self, ctx: Context, table: list[Job]) -> None:
        self._ctx, self._table = ctx, table
        self._waited = 0

    def __call__(self, now: int) -> None:
        """Bring what is decided up to each overdue run and do it. Raises Transient to wait for another tick."""
        left = overdue(self._ctx, self._table, now)
        if left and self._waited < PATIENCE and not self._complete(left[-1][0] - MINUTE):
            self._waited += 1
            raise Transient("a weekly run is overdue and waits for a hole to be looked at twice")
        self._waited = 0
        failed: dict[str, str] = {}
        for due, job in left:
            scan(self._ctx, now, failed, until=due - MINUTE)
            execute(self._ctx, now, failed)
            jobs.run(self._ctx, job, due)
        for symbol, why in failed.items():
            log.warning("%s: %s", symbol, why)

    def _complete(self, until: int) -> bool:
        with self._ctx.db.lock:
            known = candles.stretches(self._ctx.db.con, self._ctx.exchange_id)
            series = candles.series(self._ctx.db.con, self._ctx.exchange_id)
        live = [s for s in self._ctx.cfg.symbols if s in known and series[s, "1m"].ended_ts is None]
        return all(known[s][-1].frontier >= until for s in live)


def first_training(cfg: Config, start: int) -> int | None:
    """When the first weekly training from `start` on is due (ms); None where `auto` has none."""
    plan = cfg.auto.weekly_train
    found = weekly.when(plan).get_next_fire_time(None, jobs.at(start)) if plan.enable else None
    return None if found is None else int(found.timestamp() * 1000)
