"""Nothing impossible, unfinished or ambiguous passes the candle gate; everything else does."""

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.market.candle_gate import HARMLESS, TIMELESS, check
from tests.market.reference_gate import reference_rows

M = 60_000
START = 1_700_000_040_000 // M * M
NAN, INF = float("nan"), float("inf")


def row(minute: int, *values: Any) -> list[Any]:
    return [START + minute * M, *(values or (10.0, 12.0, 9.0, 11.0, 5.0))]


def gate(rows: list[Any], minutes: int = 100, closed: int = 100 * M) -> Any:
    return check(rows, M, START, START + minutes * M, START + closed)


def test_clean_rows_pass_unchanged_as_tuples() -> None:
    rows = [row(0), row(1), row(5)]
    gated = gate(rows)
    assert gated.rows == [tuple(r) for r in rows] and not gated.rejected and gated.faults == 0
    assert [type(x) for x in gated.rows[0]] == [int, float, float, float, float, float]


def test_no_rows_give_no_rows() -> None:
    assert gate([]).rows == [] and not gate([]).rejected


BAD: list[tuple[str, Any]] = [
    ("shape", None), ("shape", "abcdef"), ("shape", {0: 1}), ("shape", row(3)[:5]), ("shape", []), ("shape", 7),
    ("time", [None, *row(3)[1:]]), ("time", [float(START + 3 * M), *row(3)[1:]]), ("time", [True, *row(3)[1:]]),
    ("time", [str(START + 3 * M), *row(3)[1:]]), ("time", [NAN, *row(3)[1:]]),
    ("seconds", [(START + 3 * M) // 1000, *row(3)[1:]]),
    ("grid", [START + 3 * M + 1, *row(3)[1:]]), ("grid", [START + 3 * M + 28_000, *row(3)[1:]]),
    ("future", row(101)), ("future", [4_102_444_800_000, *row(3)[1:]]), ("future", [10**400 // M * M, *row(3)[1:]]),
    ("type", row(3, None, 12.0, 9.0, 11.0, 5.0)), ("type", row(3, 10.0, "12", 9.0, 11.0, 5.0)),
    ("type", row(3, 10.0, 12.0, 9.0, 11.0, True)), ("type", row(3, 10.0, 12.0, [9.0], 11.0, 5.0)),
    *[("finite", row(3, *[bad if i == at else v for i, v in enumerate((10.0, 12.0, 9.0, 11.0, 5.0))]))
      for at in range(5) for bad in (NAN, INF, -INF)],
    ("finite", row(3, 10.0, 10**400, 9.0, 11.0, 5.0)),
    ("price", row(3, 0.0, 12.0, 0.0, 11.0, 5.0)), ("price", row(3, 10.0, 12.0, -9.0, 11.0, 5.0)),
    ("price", row(3, 0.0, 0.0, 0.0, 0.0, 0.0)), ("range", row(3, 10.0, 9.5, 9.0, 9.2, 5.0)),
    ("range", row(3, 10.0, 12.0, 10.5, 11.0, 5.0)), ("range", row(3, 10.0, 10.5, 9.0, 11.0, 5.0)),
    ("range", row(3, 10.0, 12.0, 9.0, 8.5, 5.0)), ("volume", row(3, 10.0, 12.0, 9.0, 11.0, -1.0)),
]


@pytest.mark.covers("I2")
@pytest.mark.parametrize(("reason", "bad"), BAD, ids=[f"{i}-{r}" for i, (r, _) in enumerate(BAD)])
def test_bad_row_is_refused_with_its_reason_and_its_neighbours_are_kept(reason: str, bad: Any) -> None:
    gated = gate([row(2), bad, row(4)])
    assert gated.rows == [tuple(row(2)), tuple(row(4))]
    assert gated.rejected == Counter({reason: 1}) and gated.faults == 1
    assert gate([bad]).rows == []


def test_row_at_every_edge_of_what_is_possible_passes() -> None:
    edges = [row(0, 5.0, 5.0, 5.0, 5.0, 0.0), row(1, 1e-12, 1e-12, 1e-12, 1e-12, -0.0), row(2, 9, 12, 9, 12, 1),
             row(3, 1e300, 1.7e308, 1e-300, 1.0, 1e300), row(99)]
    assert len(gate(edges).rows) == 5 and not gate(edges).rejected


def test_extra_columns_are_dropped() -> None:
    assert gate([[*row(1), "1", 2]]).rows == [tuple(row(1))]


@pytest.mark.covers("I2")
@pytest.mark.parametrize(("closed", "kept"), [(3 * M - 1, 2), (3 * M, 3), (3 * M + 1, 3), (4 * M - 1, 3)])
def test_candle_in_progress_is_never_final(closed: int, kept: int) -> None:
    rows = [row(0), row(1), row(2)] + ([row(3)] if closed >= 3 * M else [])
    gated = gate(rows, closed=closed)
    assert len(gated.rows) == kept and gated.rejected == Counter({"open": 1} if len(rows) > kept else {})
    assert gated.faults == 0


def test_rows_outside_the_window_are_left_out_without_blame() -> None:
    gated = gate([row(-1), row(0), row(1), row(2)], minutes=2)
    assert gated.rows == [tuple(row(0)), tuple(row(1))]
    assert gated.rejected == Counter(outside=2) and gated.faults == 0
    assert gate([row(0), row(1), row(2)], minutes=2).rejected == Counter(outside=1)


def test_identical_duplicates_collapse_and_contradicting_ones_are_all_refused() -> None:
    other = row(2, 10.0, 13.0, 9.0, 11.0, 5.0)
    gated = gate([row(1), row(1), row(1), row(2), row(2), other, row(3)])
    assert [r[0] for r in gated.rows] == [START + M, START + 3 * M]
    assert gated.rejected == Counter(duplicate=2, conflict=3) and gated.faults == 3


def test_duplicate_of_a_refused_row_does_not_harm_the_good_one() -> None:
    gated = gate([row(1, NAN, 12.0, 9.0, 11.0, 5.0), row(1)])
    assert gated.rows == [tuple(row(1))] and gated.rejected == Counter(finite=1)


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [0, 2, 1, 3], [1, 0, 3, 2]])
def test_rows_out_of_order_are_sorted_and_counted(order: list[int]) -> None:
    gated = gate([row(i) for i in order])
    assert gated.rows == [tuple(row(i)) for i in range(4)]
    assert gated.rejected["order"] == sum(a > b for a, b in pairwise(order)) and not gated.faults


def test_whole_reply_in_seconds_is_named_so() -> None:
    rows = [[(START + i * M) // 1000, *row(i)[1:]] for i in range(5)]
    assert gate(rows).rejected == Counter(seconds=5)


def test_letters_of_a_cut_text_are_refused() -> None:
    assert gate([[9, None, None, None, None, None]] * 3).rows == []


def test_reasons_are_sorted_into_harmless_and_timeless_without_overlap() -> None:
    assert not HARMLESS & TIMELESS


NUMBERS = st.one_of(st.sampled_from([9.0, 10.0, 11.0, 12.0, 0.0, -1.0, NAN, INF, 10, True, None, "1", 1e308]))
STAMPS = st.one_of(st.integers(-2, 8).map(lambda i: START + i * M),
                   st.sampled_from([None, True, START + 1, START // 1000, float(START), 10**30, -M]))
GOOD = st.integers(-1, 8).map(row)
ANY = st.one_of(GOOD, st.builds(lambda ts, v: [ts, *v], STAMPS, st.lists(NUMBERS, min_size=4, max_size=6)),
                st.sampled_from([None, "abcdef", 5, []]))


@pytest.mark.covers("I2")
@given(st.one_of(st.lists(GOOD, max_size=9), st.lists(ANY, max_size=9)), st.integers(0, 7), st.integers(0, 8 * M))
@settings(max_examples=400)
def test_gate_keeps_exactly_what_the_slow_reference_keeps(rows: list[Any], minutes: int, closed: int) -> None:
    end, closed_before = START + minutes * M, START + closed
    gated = check(rows, M, START, end, closed_before)
    assert gated.rows == reference_rows(rows, M, START, end, closed_before)
    assert sum(gated.rejected.values()) - gated.rejected["order"] == len(rows) - len(gated.rows)


@given(st.integers(0, 30), st.integers(-3, 33), st.integers(-M, 33 * M))
@settings(max_examples=200)
def test_quick_path_and_row_by_row_path_give_the_same_rows_and_reasons(count: int, minutes: int, closed: int) -> None:
    rows = [row(i) for i in range(count)]
    quick = check(rows, M, START, START + minutes * M, START + closed)
    slow = check([*rows, None], M, START, START + minutes * M, START + closed)  # one bad row: no quick path
    assert quick.rows == slow.rows and quick.rejected == slow.rejected - Counter(shape=1)


@given(st.lists(st.lists(st.floats(), min_size=5, max_size=5), min_size=1, max_size=5))
@settings(max_examples=300)
def test_whatever_floats_come_only_possible_candles_pass(values: list[list[float]]) -> None:
    rows = [row(i, *v) for i, v in enumerate(values)]
    for _, o, h, low, c, v in gate(rows).rows:
        assert all(map(math.isfinite, (o, h, low, c, v))) and 0 < low <= min(o, c) <= max(o, c) <= h and v >= 0
    assert gate(rows).rows == reference_rows(rows, M, START, START + 100 * M, START + 100 * M)


@pytest.mark.covers("I2")
def test_planted_flaw_taking_the_last_row_as_final_would_be_seen() -> None:
    rows, now = [row(0), row(1), row(2)], START + 2 * M + 30_000
    naive = [tuple(r) for r in rows]
    assert naive != check(rows, M, START, START + 9 * M, now).rows == [tuple(row(0)), tuple(row(1))]
    final = check(rows, M, START, START + 9 * M, START + 3 * M).rows  # clean twin: the minute has ended
    assert final == naive
