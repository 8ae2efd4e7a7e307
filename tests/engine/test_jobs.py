"""Runs are recorded whatever becomes of them; a stage that fails stops what would decide on less; stops are clean."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from core.clock import VirtualClock
from core.engine import jobs
from core.engine import tick as tick_module
from core.engine.context import Context
from core.engine.daemon import Scheduler
from core.engine.jobs import Job
from core.engine.tick import STAGES, tick
from core.errors import Transient
from core.store.db import Database
from core.timeframe import HOUR, MINUTE
from tests.engine import harness
from tests.engine.rig import BTC, ONE, SETTLE, SOL, START, TWO, Rig, copy, differences, outcome, warmed
from tests.store.files import full_disk

BEGIN = START + MINUTE + SETTLE


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return warmed(tmp_path_factory.mktemp("jobs") / "warm.db", [BTC, SOL])


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    found = Context(harness.config(ONE), Database(tmp_path / "jobs.db"), VirtualClock(START))
    found.ensure_rows()
    yield found
    found.db.close()


def recorded(ctx: Context) -> list[tuple[Any, ...]]:
    return ctx.db.con.execute("SELECT job, state, rows, error FROM job_runs ORDER BY id").fetchall()


@pytest.mark.covers("D19", "I6")
@pytest.mark.parametrize("n", range(4))
def test_a_stage_that_fails_is_recorded_and_stops_those_after_it(
    n: int, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("_sync", "resample", "scan", "execute")
    ran: list[str] = []

    def stage(name: str, fails: bool) -> Callable[..., int]:
        def work(*args: Any) -> int:
            ran.append(name)
            if fails:
                raise KeyError("a bug") if n else Transient("no answer")
            return 7

        return work

    for i, name in enumerate(names):
        monkeypatch.setattr(tick_module, name, stage(name, i == n))
    done = tick(ctx, START)
    assert [r.job for r in done] == list(STAGES[: len(done)])
    assert done[n].state == "failed" and done[n].rows is None and done[n].error
    assert len(ran) == (4 if n == 0 else n + 1), "without new candles the rest still works off what is there"
    assert [(job, state) for job, state, _, _ in recorded(ctx)] == [(r.job, r.state) for r in done]
    assert all(r.rows == 7 for r in done if r.state == "ok")


@pytest.mark.parametrize("n", range(5))
def test_a_stop_request_lets_the_running_stage_finish_and_begins_no_other(n: int, warm: Path, tmp_path: Path) -> None:
    path = copy(warm, tmp_path / "a.db")
    asked = [0]

    def stopping() -> bool:
        asked[0] += 1
        return asked[0] > n

    with Rig(path, cfg=harness.config(TWO), now=BEGIN) as rig:
        rig.true.set(BEGIN + 14 * MINUTE)
        done = tick(rig.ctx, rig.clock.now(), stopping)
        assert [r.job for r in done] == list(STAGES[:n]) and all(r.state == "ok" for r in done)
        assert rig.rows("PRAGMA integrity_check") == [("ok",)]
        now = rig.true.now()
    with Rig(path, cfg=harness.config(TWO), now=now) as rig:
        rig.go(46)
    with Rig(copy(warm, tmp_path / "b.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        rig.go(60)
    assert differences(outcome(path), outcome(tmp_path / "b.db")) == {}


@pytest.mark.covers("I6", "I1")
def test_a_full_disk_for_half_an_hour_loses_nothing_and_is_on_record(warm: Path, tmp_path: Path) -> None:
    for name in ("a.db", "b.db"):
        with Rig(copy(warm, tmp_path / name), cfg=harness.config(TWO), now=BEGIN) as rig:
            rig.go(60)
            if name == "a.db":
                with full_disk(rig.db):
                    rig.go(30)
                    assert not rig.db.con.in_transaction
                kept = len(rig.ctx.unwritten)
            else:
                rig.go(30)
            rig.go(60)
            if name == "a.db":
                failed = rig.rows("SELECT error FROM job_runs WHERE state = 'failed' AND job = 'incremental_sync'")
                assert len(failed) >= 10 and all("full" in error for (error,) in failed), (
                    "the ticks are recorded as failed"
                )
                assert kept > 10 and rig.ctx.unwritten == [], "once there is room again"
                due = [r[0] for r in rig.rows("SELECT DISTINCT due_ts FROM job_runs ORDER BY due_ts")]
                assert due == sorted(due) and len(due) >= 150
    assert differences(outcome(tmp_path / "a.db"), outcome(tmp_path / "b.db")) == {}


def test_a_quiet_job_is_recorded_only_when_it_did_something_or_failed(ctx: Context) -> None:
    results: list[Any] = [0, 3, Transient("away"), sqlite3.OperationalError("database or disk is full")]

    def work(due: int) -> int:
        found = results.pop(0)
        if isinstance(found, Exception):
            raise found
        return int(found)

    job = Job("outbox", CronTrigger(second="*/5", timezone="UTC"), work, "outbox", quiet=True)
    for _ in range(4):
        jobs.run(ctx, job, START)
    assert [(state, rows) for _, state, rows, _ in recorded(ctx)] == [("ok", 3), ("failed", None), ("failed", None)]
    assert recorded(ctx)[-1][3] == "OperationalError: database or disk is full"


def test_the_table_has_every_job_once_in_utc_and_the_writers_share_a_lane(ctx: Context) -> None:
    table = jobs.table(ctx, None, lambda: False)
    assert len({job.name for job in table}) == len(table)
    # These only look, through a connection of their own, and take seconds: they must not hold up a tick.
    lookers = ("weekly_report", "daily_reconcile")
    assert {job.lane for job in table if job.name not in ("outbox", *lookers)} == {"tick"}
    assert {str(job.trigger.timezone) for job in table} == {"UTC"}
    minute = next(job for job in table if job.name == "tick")
    assert jobs.due_between(minute, START, START + 2 * MINUTE) == [START + SETTLE, START + MINUTE + SETTLE]


def test_the_checkpoint_job_says_when_a_reader_is_in_the_way(ctx: Context, caplog: pytest.LogCaptureFixture) -> None:
    (job,) = (j for j in jobs.table(ctx, None, lambda: False) if j.name == "db_checkpoint")
    ctx.db.con.execute("PRAGMA busy_timeout=0")
    reader = Database(ctx.db.path, readonly=True)
    reader.con.execute("BEGIN")
    reader.con.execute("SELECT count(*) FROM state").fetchone()
    with ctx.db.write() as con:
        con.execute("INSERT INTO state VALUES ('a', '1')")
    jobs.run(ctx, job, START + HOUR)
    assert "a reader holds an old snapshot" in caplog.text
    reader.close()
    jobs.run(ctx, job, START + 2 * HOUR)
    assert [state for _, state, _, _ in recorded(ctx)] == ["ok", "ok"]
    assert ctx.db.path.with_name("jobs.db-wal").stat().st_size == 0 or ctx.db.checkpoint()[0] == 0


# -- the real scheduler --------------------------------------------------------------------------------


class Wall:
    """A wall clock that can be set, on a monotonic side that runs; the scheduler itself uses the machine's."""

    def __init__(self) -> None:
        self.step = 0

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + self.step

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")


def often(work: Callable[[int], int], name: str = "often", every: float = 0.05) -> Job:
    return Job(name, IntervalTrigger(seconds=every, timezone="UTC"), work, "tick", quiet=True)  # type: ignore[arg-type]


def wait_for(what: Callable[[], bool], seconds: float = 10.0) -> None:
    event, left = threading.Event(), int(seconds / 0.02)
    while not what() and left:
        event.wait(0.02)
        left -= 1
    assert what()


@pytest.mark.covers("D19")
def test_a_step_of_the_clock_sets_the_jobs_anew(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = Wall()
    ctx.clock = wall
    runs: list[int] = []

    def note(due: int) -> int:
        runs.append(due)
        return 0

    scheduler = Scheduler(ctx, [often(note)])
    honest, sets = scheduler._set_jobs, []

    def counted() -> None:
        sets.append(1)
        honest()

    monkeypatch.setattr(scheduler, "_set_jobs", counted)
    scheduler.start()
    stop = threading.Event()
    thread = threading.Thread(target=scheduler.run_until, args=(stop,))
    thread.start()
    wait_for(lambda: len(runs) > 2)
    assert len(sets) == 1
    wall.step -= HOUR
    wait_for(lambda: len(sets) == 2)
    before = len(runs)
    wait_for(lambda: len(runs) > before)
    wall.step += 2 * HOUR
    wait_for(lambda: len(sets) == 3)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.covers("D19")
def test_runs_that_overlap_are_recorded_and_a_stop_waits_for_the_running_one(ctx: Context) -> None:
    ctx.clock = Wall()
    go, ended = threading.Event(), []

    def slow(due: int) -> int:
        go.wait(5)
        ended.append(due)
        return 1

    scheduler = Scheduler(ctx, [often(slow, "slow")])
    scheduler.start()
    stop = threading.Event()
    thread = threading.Thread(target=scheduler.run_until, args=(stop,))
    thread.start()
    wait_for(lambda: any(state == "overlapped" for _, state, _, _ in recorded(ctx)))
    assert ended == []
    stop.set()
    threading.Timer(0.1, go.set).start()
    thread.join(10)
    assert not thread.is_alive() and len(ended) == 1, "the running stage finished, no other began"
    assert ("slow", "ok", 1, None) in recorded(ctx)


@pytest.mark.covers("D19")
def test_runs_that_a_sleeping_machine_missed_are_recorded(ctx: Context) -> None:
    clock = VirtualClock(START + SETTLE)
    ctx.clock = clock
    job = Job("db_checkpoint", CronTrigger(minute="*", second=3, timezone="UTC"), lambda due: 1, "tick")
    scheduler = Scheduler(ctx, [job])
    scheduler._run(job)
    clock.set(START + MINUTE + SETTLE + 200)
    scheduler._run(job)
    assert [state for _, state, _, _ in recorded(ctx)] == ["ok", "ok"], "a little late is not missed"
    clock.set(START + 31 * MINUTE + SETTLE + 500)
    scheduler._run(job)
    last = recorded(ctx)[-2:]
    assert [(job_name, state) for job_name, state, _, _ in last] == [
        ("db_checkpoint", "missed"),
        ("db_checkpoint", "ok"),
    ]
    assert last[0][3].startswith("29 runs missed")
