"""Rows, revisions, gaps and stretches on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.store import candles
from core.store.candles import Stretch
from core.store.db import Database
from tests.store.files import EX, SYM, T0, M

ROW = (1.0, 2.0, 0.5, 1.5, 3.0)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    found = make(tmp_path / "a.db")
    yield found
    found.close()


def make(path: Path) -> Database:
    found = Database(path)
    with found.write() as con:
        candles.ensure(con, EX, [SYM], ["1m"])
    return found


def test_rows_are_new_the_same_or_rewritten(db: Database) -> None:
    with db.write() as con:
        assert candles.put_rows(con, 1, [(T0 + n * M, *ROW) for n in (0, 1, 3)], T0) == (3, [])
        assert candles.put_rows(con, 1, [(T0 + n * M, *ROW) for n in (0, 1, 3)], T0) == (0, [])
        other = (1.0, 2.0, 0.5, 1.0, 3.0)
        fresh, old = candles.put_rows(con, 1, [(T0, *ROW), (T0 + M, *other), (T0 + 2 * M, *ROW)], T0 + 4 * M)
    assert fresh == 1 and old == [(T0 + M, *ROW)]
    kept = db.con.execute("SELECT ts, open, high, low, close, volume, minutes, frontier FROM revisions").fetchall()
    assert kept == [(T0 + M, *ROW, 1, T0 + 4 * M)]
    assert candles.minutes(db.con, 1, T0, T0 + 9 * M)[1] == (T0 + M, *other[:4])
    assert candles.bounds(db.con, 1) == (T0, T0 + 3 * M)
    assert candles.stored_times(db.con, 1, T0 + M, T0 + 3 * M) == [T0 + M, T0 + 2 * M]


def test_tail_and_load_agree_and_are_ascending(db: Database) -> None:
    with db.write() as con:
        candles.put_rows(con, 1, [(T0 + n * M, *ROW) for n in range(50)], T0)
    tail = candles.tail(db.con, 1, M, T0 + 40 * M, 10)
    load = candles.load(db.con, 1, M, T0 + 30 * M, T0 + 40 * M)
    assert tail.ts.tolist() == load.ts.tolist() == [T0 + n * M for n in range(30, 40)]
    assert tail.close.tolist() == load.close.tolist()
    assert len(candles.tail(db.con, 1, M, T0, 10)) == 0


def test_the_price_at_a_minute_is_its_open_or_the_last_close_before(db: Database) -> None:
    with db.write() as con:
        candles.put_rows(con, 1, [(T0, *ROW)], T0)
    assert [candles.price_at(db.con, 1, T0 + d) for d in (-M, 0, M)] == [None, 1.0, 1.5]


@pytest.mark.covers("rule 1", "rule 33a")
def test_gaps_name_their_last_minute_join_and_heal(db: Database) -> None:
    with db.write() as con:
        candles.add_gaps(con, EX, SYM, [(T0, T0 + 3 * M)], "r")
        candles.add_gaps(con, EX, SYM, [(T0 + 3 * M, T0 + 5 * M)], "r")
    query = "SELECT start_ts, end_ts FROM gaps ORDER BY start_ts"
    assert db.con.execute(query).fetchall() == [(T0, T0 + 4 * M)]
    assert candles.gaps(db.con, EX, SYM, T0 + 4 * M, T0 + 9 * M) == [(T0, T0 + 5 * M)]
    assert candles.gaps(db.con, EX, SYM, T0 + 6 * M, T0 + 9 * M) == []
    with db.write() as con:
        assert candles.heal_gap(con, EX, SYM, T0 + 2 * M)
        assert not candles.heal_gap(con, EX, SYM, T0 + 2 * M)
    assert db.con.execute(query).fetchall() == [(T0, T0 + M), (T0 + 3 * M, T0 + 4 * M)]
    with db.write() as con:
        for n in (0, 1, 3, 4):
            assert candles.heal_gap(con, EX, SYM, T0 + n * M)
    assert db.con.execute(query).fetchall() == []


@pytest.mark.covers("rule 1")
@given(st.sets(st.integers(0, 30)), st.lists(st.integers(0, 30), unique=True))
def test_any_gaps_healed_in_any_order_leave_exactly_the_rest(absent: set[int], healed: list[int]) -> None:
    db = make(Path(":memory:"))
    with db.write() as con:
        for n in sorted(absent):
            candles.add_gaps(con, EX, SYM, [(T0 + n * M, T0 + n * M + M)], "r")
        for n in healed:
            assert candles.heal_gap(con, EX, SYM, T0 + n * M) == (n in absent)
    left = {(t - T0) // M for a, b in candles.gaps(db.con, EX, SYM, T0, T0 + 40 * M) for t in range(a, b, M)}
    assert left == absent - set(healed)
    db.close()


@pytest.mark.covers("rule 1")
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 15)), max_size=5, unique_by=lambda s: s[0]))
def test_stretches_that_meet_or_overlap_are_joined_and_no_others(found: list[tuple[int, int]]) -> None:
    db = make(Path(":memory:"))
    with db.write() as con:
        for start, length in found:
            candles.set_stretch(con, EX, SYM, T0 + start * M, T0 + (start + length) * M)
        for _ in found:
            candles.join_stretches(con, EX, SYM)
    expected: list[list[int]] = []
    for start, length in sorted(found):
        if expected and start <= expected[-1][1]:
            expected[-1][1] = max(expected[-1][1], start + length)
        else:
            expected.append([start, start + length])
    left = candles.stretches(db.con, EX).get(SYM, [])
    assert left == [Stretch(T0 + a * M, T0 + b * M) for a, b in expected]
    db.close()


def test_what_is_waited_for_is_replaced_as_a_whole(db: Database) -> None:
    with db.write() as con:
        candles.set_pending(con, EX, SYM, [(T0, T0 + M, 5), (T0 + 3 * M, T0 + 4 * M, 6)])
        candles.set_pending(con, EX, SYM, [(T0, T0 + 2 * M, 7)])
    assert candles.pending(db.con, EX) == {SYM: [(T0, T0 + 2 * M, 7)]}


@pytest.mark.covers("rule 30")
def test_live_from_is_set_once(db: Database) -> None:
    with db.write() as con:
        candles.set_live_from(con, 1, T0)
        candles.set_live_from(con, 1, T0 + M)
    assert candles.series(db.con, EX)[SYM, "1m"].live_from == T0


def test_a_watermark_that_does_not_exist_is_refused(db: Database) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        candles.set_watermarks(db.con, "nonsense", [])
