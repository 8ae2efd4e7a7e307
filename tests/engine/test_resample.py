"""Derived bars equal the reference for any minutes, any holes and any chunking; and what must never happen to one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clock import VirtualClock
from core.engine.context import Context
from core.engine.resample import resample
from core.store import candles
from core.store import resample as build_store
from core.store.db import Database
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine import harness
from tests.engine.rig import ONE, SOL
from tests.reference import resample as reference

T0 = 1_704_067_200_000 + 22 * HOUR  # two hours before midnight: borders of every timeframe come soon


def context(path: Path) -> Context:
    ctx = Context(harness.config(ONE), Database(path), VirtualClock(T0))
    ctx.ensure_rows()
    return ctx


def row(ts: int) -> tuple[int, float, float, float, float, float]:
    """Made-up prices with volumes whose sum depends on the order of adding."""
    k = (ts // MINUTE * 2654435761) % 1000
    o, c = 100 + k / 7, 100 + (k * 31 % 1000) / 7
    return ts, o, max(o, c) + k / 900, min(o, c) - k / 800, c, 0.1 * k + 1e-7 * (k % 13)


def put(ctx: Context, minutes: list[int], frontier: int) -> None:
    """Store minutes and move the frontier, as sync does."""
    with ctx.db.write() as con:
        series = candles.series(con, ctx.exchange_id)[SOL, "1m"].id
        candles.put_rows(con, series, [row(ts) for ts in sorted(minutes)], frontier)
        candles.set_stretch(con, ctx.exchange_id, SOL, T0, frontier)


def stored(ctx: Context) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    query = "SELECT timeframe, ts, open, high, low, close, volume, minutes FROM candles ORDER BY timeframe, ts"
    for tf, *bar in ctx.db.con.execute(query):
        found.setdefault(tf, []).append(tuple(bar))
    return found


def expected(minutes: list[int], end: int) -> dict[str, list[tuple[Any, ...]]]:
    bars = reference.resample({ts: row(ts)[1:] for ts in minutes}, end)
    return {tf: [tuple(b) for b in rows] for tf, rows in bars.items() if rows}


@pytest.mark.covers("rule 2", "rule 4", "D1", "D2", "I1")
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_chunking_of_any_minutes_gives_the_bars_of_the_reference(data: st.DataObject) -> None:
    total = 330
    holes = data.draw(st.lists(st.tuples(st.integers(0, total - 1), st.integers(1, 90)), max_size=4))
    gone = {m for a, n in holes for m in range(a, a + n)} - {0}
    cuts = sorted(data.draw(st.sets(st.integers(1, total), max_size=6)) | {total})
    ctx = context(Path(":memory:"))
    known: list[int] = []
    for a, b in zip([0, *cuts], cuts, strict=False):
        fresh = [T0 + m * MINUTE for m in range(a, b) if m not in gone]
        known += fresh
        put(ctx, fresh, T0 + b * MINUTE)
        resample(ctx)
        assert stored(ctx) == expected(known, T0 + b * MINUTE), "at every moment, not only at the end"
        assert resample(ctx) == 0, "running it twice changes nothing"
    ctx.db.close()


def a_day_by_sevens(ctx: Context, work: Callable[[Context], object]) -> list[int]:
    """Live 25 hours in steps of seven minutes; the minutes in each finished hour."""
    for b in range(7, 1500, 7):
        put(ctx, [T0 + m * MINUTE for m in range(b - 7, b)], T0 + b * MINUTE)
        work(ctx)
    hours = ctx.db.con.execute("SELECT minutes FROM candles WHERE timeframe = '1h' ORDER BY ts").fetchall()
    ctx.db.close()
    return [n for (n,) in hours]


@pytest.mark.covers("D1", "D2")
def test_a_finished_bucket_keeps_all_its_minutes_for_ever(tmp_path: Path) -> None:
    assert a_day_by_sevens(context(tmp_path / "a.db"), resample) == [60] * 24


@pytest.mark.covers("D2", "rule 2")
def test_a_bucket_that_has_not_ended_is_not_stored(tmp_path: Path) -> None:
    ctx = context(tmp_path / "a.db")
    put(ctx, [T0 + m * MINUTE for m in range(59)], T0 + 59 * MINUTE)
    resample(ctx)
    newest = dict(ctx.db.con.execute("SELECT timeframe, max(ts) FROM candles GROUP BY timeframe"))
    assert newest == {"1m": T0 + 58 * MINUTE, "5m": T0 + 50 * MINUTE, "15m": T0 + 30 * MINUTE}
    put(ctx, [T0 + 59 * MINUTE], T0 + HOUR)
    resample(ctx)
    assert ctx.db.con.execute("SELECT max(ts) FROM candles WHERE timeframe = '1h'").fetchone() == (T0,)
    ctx.db.close()


@pytest.mark.covers("D1", "D2")
def test_planted_flaw_the_earlier_programs_window_is_caught(tmp_path: Path) -> None:
    def last_720_minutes(ctx: Context) -> None:
        # A window that is not aligned to the bucket, and the forming bucket with it.
        con, series = ctx.db.con, candles.series(ctx.db.con, ctx.exchange_id)
        end = con.execute("SELECT max(ts) FROM candles WHERE timeframe = '1m'").fetchone()[0] + MINUTE
        rows = con.execute(build_store._SELECT, (series[SOL, "1m"].id, end - 720 * MINUTE, end)).fetchall()
        target = f"INSERT OR REPLACE INTO ohlcv VALUES ({series[SOL, '1h'].id}, ?, ?, ?, ?, ?, ?, ?)"
        con.executemany(target, build_store.buckets(rows, HOUR))

    hours = a_day_by_sevens(context(tmp_path / "a.db"), last_720_minutes)
    assert hours != [60] * 24
    assert max(hours[:11]) < 60, "each hour that the window slid past lost most of its minutes"
    assert hours[-1] < 60, "and the forming one is there"


@pytest.mark.covers("rule 4")
def test_volume_is_added_left_to_right_over_the_next_smaller_bars(tmp_path: Path) -> None:
    ctx = context(tmp_path / "a.db")
    put(ctx, [T0 + m * MINUTE for m in range(120)], T0 + 2 * HOUR)
    resample(ctx)
    by = {(tf, bar[0]): bar[5] for tf, bars in stored(ctx).items() for bar in bars}
    for tf, size, part in (("5m", 5, "1m"), ("15m", 15, "5m"), ("1h", 60, "15m")):
        step = {"1m": 1, "5m": 5, "15m": 15}[part]
        for ts in range(T0, T0 + 2 * HOUR, size * MINUTE):
            total = 0.0
            for t in range(ts, ts + size * MINUTE, step * MINUTE):
                total += by[part, t]
            assert by[tf, ts] == total
    whole = 0.0
    for m in range(60):
        whole += by["1m", T0 + m * MINUTE]
    assert whole != by["1h", T0], "adding minutes straight up gives other bits: the order is part of the rule"
    ctx.db.close()


@pytest.mark.covers("rule 3", "rule 2")
@settings(max_examples=10)
@given(st.lists(st.integers(0, 299), min_size=1, max_size=5, unique=True))
def test_rewritten_minutes_rebuild_every_bucket_above_them_however_old(changed: list[int]) -> None:
    ctx = context(Path(":memory:"))
    put(ctx, [T0 + m * MINUTE for m in range(300)], T0 + 300 * MINUTE)
    resample(ctx)
    values = {T0 + m * MINUTE: row(T0 + m * MINUTE)[1:] for m in range(300)}
    with ctx.db.write() as con:
        series = candles.series(con, ctx.exchange_id)[SOL, "1m"].id
        for m in sorted(changed):
            ts = T0 + m * MINUTE
            values[ts] = (50.0, 200.0 + m, 40.0, 60.0, 7.5)
            assert len(candles.put_rows(con, series, [(ts, *values[ts])], T0 + 300 * MINUTE)[1]) == 1
            candles.add_dirty(con, ctx.exchange_id, SOL, ts, ts + MINUTE)
    resample(ctx)
    found = reference.resample(values, T0 + 300 * MINUTE)
    assert stored(ctx) == {tf: [tuple(b) for b in rows] for tf, rows in found.items() if rows}
    old = ctx.db.con.execute("SELECT count(*) FROM revisions").fetchone()[0]
    assert old >= len(changed), "what was replaced is kept"
    ctx.db.close()


@pytest.mark.covers("rule 1", "rule 2")
def test_days_of_catch_up_and_one_minute_are_the_same_code(tmp_path: Path) -> None:
    ctx = context(tmp_path / "a.db")
    minutes = [T0 + m * MINUTE for m in range(2 * DAY // MINUTE)]
    put(ctx, minutes, T0 + 2 * DAY)
    assert resample(ctx) > 0
    assert stored(ctx) == expected(minutes, T0 + 2 * DAY)
    ctx.db.close()
