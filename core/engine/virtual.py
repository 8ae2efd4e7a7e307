"""The same jobs under the virtual clock: minutes pass as fast as they are worked off, or at a set speed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.clock import VirtualClock
from core.engine import jobs
from core.engine.context import Context
from core.engine.jobs import Job

Wait = Callable[[float], object]

_LAST_MINUTE = 30_000  # the minute that ends at `until` is still worked off


@dataclass(frozen=True, slots=True)
class Plan:
    """How a virtual run goes: until when (ms; None = for ever), an outage [from, to), seconds per real second."""

    until: int | None
    skip: tuple[int, int] | None = None
    speed: float | None = None  # None = as fast as possible


def run(
    ctx: Context, clock: VirtualClock, table: list[Job], plan: Plan, wait: Wait, stopping: Callable[[], bool]
) -> int:
    """Run jobs in the order they are due; returns how many ran. `wait` sleeps for real seconds."""
    ran = 0
    for due, job in due_jobs(table, clock.now(), plan):
        if stopping():
            break
        if plan.speed is not None:
            wait((due - clock.now()) / 1000.0 / plan.speed)
        clock.set(max(due, clock.now()))
        jobs.run(ctx, job, due)
        ran += 1
    return ran


def due_jobs(table: list[Job], start: int, plan: Plan) -> Iterator[tuple[int, Job]]:
    """Jobs in time order from `start` on, none inside the outage, none after the end."""
    following = {job.name: _next(job, start) for job in table}
    order = {job.name: n for n, job in enumerate(table)}
    by_name = {job.name: job for job in table}
    while True:
        name = min(following, key=lambda n: (following[n], order[n]))
        due = following[name]
        if plan.until is not None and due >= plan.until + _LAST_MINUTE:
            return
        if plan.skip is not None and plan.skip[0] <= due < plan.skip[1]:
            following = {n: max(t, _next(by_name[n], plan.skip[1])) for n, t in following.items()}
            continue
        yield due, by_name[name]
        following[name] = _next(by_name[name], due + 1)


def _next(job: Job, after: int) -> int:
    found = job.trigger.get_next_fire_time(None, jobs.at(after))
    return int(found.timestamp() * 1000)
