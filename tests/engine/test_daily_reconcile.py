"""Once a day the last 24 hours are recomputed, and what that gave is kept."""

from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.engine import daily_reconcile
from core.engine.context import Context
from core.engine.reconcile import reconcile
from core.store.db import Database
from core.timeframe import DAY, HOUR, MINUTE, floor
from tests.engine import copies, harness

TAMPERED = "UPDATE signals SET sl = sl + tick WHERE n = (SELECT min(n) FROM signals)"


def opened(path: Path, now: int | None = None) -> Context:
    """The context of a daemon over a file, at the end of what is decided unless `now` says otherwise."""
    until = copies.ask(path, "SELECT max(scanned_ts) FROM symbols")[0][0]
    return Context(harness.config(), Database(path), VirtualClock(until if now is None else now), tell_all=True)


def fresh(source: Path, target: Path, *statements: str) -> Path:
    """A copy on which no look was made yet."""
    return copies.copy(source, target, "DELETE FROM state WHERE key = 'reconcile'", *statements)


def told(ctx: Context) -> list[str]:
    found = ctx.db.con.execute("SELECT body FROM alerts WHERE key LIKE 'reconcile:%'")
    return [row[0] for row in found]


@pytest.mark.covers("rule 31", "I1")
def test_a_day_without_a_difference_is_kept_and_told_to_nobody(unbroken: Path, tmp_path: Path) -> None:
    ctx = opened(fresh(unbroken, tmp_path / "b.db"))
    assert daily_reconcile.last(ctx.db.con) is None
    now = ctx.clock.now()
    checked = daily_reconcile.run(ctx, now)
    kept = daily_reconcile.last(ctx.db.con)
    assert kept == daily_reconcile.Kept(now, checked, 0, 0, ()) and checked == reconcile(ctx).checked > 100
    assert told(ctx) == []
    ctx.db.close()


@pytest.mark.covers("rule 31")
def test_planted_flaw_a_changed_row_is_kept_by_name_and_told_once(unbroken: Path, tmp_path: Path) -> None:
    ctx = opened(fresh(unbroken, tmp_path / "b.db", TAMPERED))
    daily_reconcile.run(ctx, ctx.clock.now())
    kept = daily_reconcile.last(ctx.db.con)
    assert kept is not None and kept.differ == 1 and "sl: stored" in kept.lines[0]
    assert len(told(ctx)) == 1 and "1 of the" in told(ctx)[0] and "python -m core reconcile" in told(ctx)[0]
    assert ctx.db.con.execute("SELECT count(*) FROM signals WHERE revised").fetchone() == (0,), "it only looks"
    ctx.db.close()


def test_it_is_done_once_a_day_at_the_first_hour_that_asks(unbroken: Path, tmp_path: Path) -> None:
    ctx = opened(fresh(unbroken, tmp_path / "b.db"))
    clock, day = ctx.clock, floor(ctx.clock.now(), DAY)
    assert isinstance(clock, VirtualClock)
    done = []
    for hour in range(10, 50):
        clock.set(day + hour * HOUR + 12 * MINUTE)
        done += [hour] if daily_reconcile.run(ctx, clock.now()) else []
    assert done == [10, 24, 48]
    ctx.db.close()


def test_where_nothing_is_live_nothing_is_kept_and_a_day_without_decisions_is(unbroken: Path, tmp_path: Path) -> None:
    ctx = opened(fresh(unbroken, tmp_path / "b.db", "UPDATE series SET live_from = NULL"))
    assert daily_reconcile.run(ctx, ctx.clock.now()) == 0 and daily_reconcile.last(ctx.db.con) is None
    ctx.db.close()
    ctx = opened(fresh(unbroken, tmp_path / "c.db"))
    daily_reconcile.run(ctx, ctx.clock.now())
    with ctx.db.write() as con:
        con.execute("UPDATE series SET live_from = NULL")
    assert isinstance(ctx.clock, VirtualClock)
    ctx.clock.set(ctx.clock.now() + DAY)
    daily_reconcile.run(ctx, ctx.clock.now())
    kept = daily_reconcile.last(ctx.db.con)
    assert kept is not None and kept.checked == 0 and kept.ts == ctx.clock.now(), "old praise does not stay"
    ctx.db.close()


def test_many_differing_rows_are_counted_and_the_first_named(unbroken: Path, tmp_path: Path) -> None:
    ctx = opened(fresh(unbroken, tmp_path / "b.db", "UPDATE signals SET sl = sl + tick"))
    daily_reconcile.run(ctx, ctx.clock.now())
    kept = daily_reconcile.last(ctx.db.con)
    assert kept is not None and kept.differ == kept.checked > 100 and len(kept.lines) == daily_reconcile.SHOWN
    ctx.db.close()


def test_it_looks_through_a_connection_of_its_own(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(daily_reconcile, "reconcile", lambda ctx: seen.append(ctx.db) or reconcile(ctx))
    ctx = opened(fresh(unbroken, tmp_path / "b.db"))
    daily_reconcile.run(ctx, ctx.clock.now())
    assert seen[0].readonly and seen[0] is not ctx.db, "no tick waits for it"
    ctx.db.close()


def test_the_demo_does_it_too(unbroken: Path) -> None:
    ((state, rows),) = copies.ask(unbroken, "SELECT state, rows FROM job_runs WHERE job = 'daily_reconcile'")
    assert state == "ok" and rows > 0
