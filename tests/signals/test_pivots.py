"""Pivots, groups and impulses: tables one can check in the head, then against the slow reference."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.candles import Bars
from core.signals.kernels import PLAIN
from core.signals.pivots import impulses
from tests.signals import reference_indicators as slow
from tests.signals.compiled_kernels import compiled
from tests.signals.markets import hilo, walk


def found(bars: Bars, w: int = 1, lookback: int = 50, anchors: int = 3) -> list[tuple[int, int, int, int]]:
    return [(*move,) for move in impulses(bars, 0, len(bars), w, lookback, anchors, PLAIN)]


def pivots(highs: list[float], lows: list[float], w: int) -> list[int]:
    return [PLAIN.pivot(highs, lows, i, w) for i in range(len(highs) - w)]


@pytest.mark.covers("rule 7")
def test_pivot_high_is_above_those_before_and_not_below_those_after() -> None:
    lows = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]  # rising: no pivot low but where bar 0 would need bars before it
    assert pivots([2, 3, 5, 4, 3, 2], lows, 2) == [0, 0, 1, 0]
    assert pivots([2, 3, 5, 5, 3, 2], lows, 2) == [0, 0, 1, 0]  # first of equals: at bar 3 the 5 before is not lower
    assert pivots([2, 5, 5, 4, 3, 2], lows, 2) == [0, 0, 0, 0]  # bar 1 lacks two bars before it
    assert pivots([2, 3, 5, 4, 6, 2], lows, 2) == [0, 0, 0, 0]  # 6 within two bars after


@pytest.mark.covers("rule 7")
def test_pivot_low_mirrors_pivot_high() -> None:
    highs = [9.9, 9.8, 9.7, 9.6, 9.5, 9.4]
    assert pivots(highs, [5, 4, 2, 3, 4, 5], 2) == [0, 0, -1, 0]
    assert pivots(highs, [5, 4, 2, 2, 4, 5], 2) == [0, 0, -1, 0]


@pytest.mark.covers("rule 7")
def test_a_bar_that_is_both_is_neither() -> None:
    assert pivots([5, 9, 5], [3, 1, 3], 1) == [0, 0]
    assert pivots([5, 9, 5], [3, 3.5, 3], 1) == [0, 1]


#         bar:   0   1   2   3   4   5   6   7
UP_HIGH = [12, 11, 12, 14, 16, 18, 16, 15]
UP_LOW = [11, 10, 11, 12, 14, 15, 14, 13]


@pytest.mark.covers("rule 7", "rule 9", "I2")
def test_up_impulse_is_decided_once_at_the_close_that_confirms_its_end() -> None:
    bars = hilo(UP_HIGH, UP_LOW)
    assert found(bars) == [(6, 1, 5, 1)]  # low at bar 1, high at bar 5, known at bar 6
    assert found(bars.cut(0, 6)) == []


@pytest.mark.covers("rule 9")
def test_down_impulse_is_short() -> None:
    bars = hilo([30 - x for x in UP_LOW], [30 - x for x in UP_HIGH])
    assert found(bars) == [(6, 1, 5, -1)]


@pytest.mark.covers("rule 9", "D6")
def test_a_more_extreme_end_later_is_another_impulse_and_an_equal_one_is_not() -> None:
    # highs at bars 3 and 6 with no pivot low between them (bar 4 and 5 hold their lows up)
    lows = [11, 10, 11, 12, 13, 14, 15, 15.5, 16]
    higher = hilo([12, 11.5, 13, 18, 16, 17, 19, 18, 17], lows)
    assert found(higher) == [(4, 1, 3, 1), (7, 1, 6, 1)]
    equal = hilo([12, 11.5, 13, 18, 16, 17, 18, 17.5, 17], lows)
    assert found(equal) == [(4, 1, 3, 1)]
    lower = hilo([12, 11.5, 13, 18, 16, 17, 17.5, 17.2, 17], lows)
    assert found(lower) == [(4, 1, 3, 1)]


# Two opposite groups before the end at bar 9: lows at 1 (10) and at 5 (12), a high between them at 3 (16).
TWO_HIGH = [13, 12, 14, 16, 15, 14, 15, 17, 18, 20, 19]
TWO_LOW = [12, 10, 12, 14, 13, 12, 13, 14, 15, 17, 16]


@pytest.mark.covers("rule 9")
def test_starts_are_the_last_opposite_groups_nearest_first() -> None:
    bars = hilo(TWO_HIGH, TWO_LOW)
    assert [m for m in found(bars) if m[2] == 9] == [(10, 5, 9, 1), (10, 1, 9, 1)]
    assert [m for m in found(bars, anchors=1) if m[2] == 9] == [(10, 5, 9, 1)]


@pytest.mark.covers("rule 9")
def test_a_start_is_spoiled_by_a_lower_low_or_a_higher_high_strictly_between() -> None:
    deeper = hilo(TWO_HIGH, [*TWO_LOW[:5], 9, *TWO_LOW[6:]])  # low of bar 5 is 9, below the 10 of bar 1
    assert [m for m in found(deeper) if m[2] == 9] == [(10, 5, 9, 1)]
    equal = hilo(TWO_HIGH, [*TWO_LOW[:5], 10, *TWO_LOW[6:]])  # strictly: an equal low spoils nothing
    assert [m for m in found(equal) if m[2] == 9] == [(10, 5, 9, 1), (10, 1, 9, 1)]
    above = hilo([*TWO_HIGH[:3], 21, *TWO_HIGH[4:]], TWO_LOW)  # high of bar 3 is 21, above the end's 20
    assert [m for m in found(above) if m[2] == 9] == [(10, 5, 9, 1)]
    level = hilo([*TWO_HIGH[:3], 20, *TWO_HIGH[4:]], TWO_LOW)
    assert [m for m in found(level) if m[2] == 9] == [(10, 5, 9, 1), (10, 1, 9, 1)]


@pytest.mark.covers("rule 8")
def test_the_most_extreme_member_stands_for_its_group_and_the_first_of_equals() -> None:
    # pivot lows at bars 1, 3, 5 (no pivot high between: the highs rise), then a high at bar 8
    highs = [10, 11, 12, 13, 14, 15, 16, 17, 19, 18]
    def starts(lows: list[float]) -> list[int]:
        return [m[1] for m in found(hilo(highs, lows)) if m[2] == 8]
    assert starts([9, 7, 8, 6, 8, 7, 9, 10, 12, 11]) == [3]
    assert starts([9, 6, 8, 6, 8, 6, 9, 10, 12, 11]) == [1]


@pytest.mark.covers("rule 8")
def test_pivots_count_among_the_last_bars_only_and_their_own_window_may_reach_further_back() -> None:
    bars = hilo(UP_HIGH, UP_LOW)  # decided at bar 6, start at bar 1
    assert found(bars, lookback=6) == [(6, 1, 5, 1)]  # bars 1 to 6; the pivot at 1 looks at bar 0
    assert found(bars, lookback=5) == []


@pytest.mark.covers("rule 8")
def test_a_leading_group_is_cut_by_the_window() -> None:
    highs = [10, 11, 12, 13, 14, 15, 16, 17, 19, 18]
    bars = hilo(highs, [9, 5, 8, 6, 8, 7, 9, 10, 12, 11])  # lows at 1 (5), 3 (6), 5 (7)
    assert [m[1] for m in found(bars, lookback=9) if m[2] == 8] == [1]
    assert [m[1] for m in found(bars, lookback=8) if m[2] == 8] == [3]  # bar 1 is out of the last 8


@pytest.mark.covers("rule 7", "rule 8", "rule 9")
@settings(max_examples=30)
@given(seed=st.integers(0, 100_000), w=st.integers(1, 4), lookback=st.integers(6, 60), anchors=st.integers(1, 4),
       tick=st.sampled_from([0.01, 0.5]))
def test_impulses_equal_the_slow_reference(seed: int, w: int, lookback: int, anchors: int, tick: float) -> None:
    bars = walk(seed, 90, tick=tick)
    expected = [move for d in range(len(bars)) for move in slow.impulses_at(bars, d, w, lookback, anchors)]
    assert found(bars, w, lookback, anchors) == expected


@pytest.mark.covers("D6", "rule 9")
@pytest.mark.parametrize("tick", [0.01, 0.5])
def test_each_impulse_is_found_once_bar_by_bar_as_in_one_range_plain_or_compiled(tick: float) -> None:
    bars = walk(7, 1500, tick=tick)
    whole = [tuple(m) for m in impulses(bars, 200, 1500, 3, 100, 3, PLAIN)]
    singly = [tuple(m) for i in range(200, 1500) for m in impulses(bars.cut(0, i + 1), i, i + 1, 3, 100, 3, PLAIN)]
    assert whole == singly == [tuple(m) for m in impulses(bars, 200, 1500, 3, 100, 3, compiled())]
    assert len({m[1:] for m in whole}) == len(whole) > 100
