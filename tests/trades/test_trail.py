"""The way of a plan's stop is what `step`, minute by minute, says of it."""

import math

import pytest

from core.trades.lifecycle import MINUTE, Order, State, finished, last_closed, new_state, step
from core.trades.trail import trail_path
from tests.trades.randoms import Case, case
from tests.trades.scenarios import T0


def by_minute(found: Case) -> list[State]:
    """The state after each minute of a case."""
    state, states = new_state(found.order), []
    for ts, o, h, low, c in found.bars:
        j = last_closed(found.closes, ts)
        state = step(state, found.order, ts, o, h, low, c, found.atr[j] if j >= 0 else math.nan)
        states.append(state)
    return states


def path(found: Case) -> list[tuple[int, float]]:
    ts, o, h, low, c = found.columns()
    return list(zip(*trail_path(found.order, (ts, o, h, low, c), (found.closes, found.atr)), strict=True))


def at(points: list[tuple[int, float]], moment: int) -> float:
    return [stop for ts, stop in points if ts <= moment][-1]


@pytest.mark.covers("rule 24")
def test_after_each_bar_it_is_the_stop_that_the_lifecycle_holds() -> None:
    filled = moved = 0
    for seed in range(400):
        found = case(seed)
        states, points = by_minute(found), path(found)
        last = states[-1]
        if not last.opened_ts:
            assert points == [], seed
            continue
        filled, moved = filled + 1, moved + (len({stop for _, stop in points}) > 1)
        assert points[0] == (last.opened_ts, found.order.sl), seed
        end = last.closed_ts if finished(last) else found.bars[-1][0] + MINUTE
        assert points[-1] == (end, last.stop), seed
        for close in (c for c in found.closes if last.opened_ts < c < end):
            done = [s for bar, s in zip(found.bars, states, strict=True) if bar[0] < close and s.opened_ts]
            if done:
                assert at(points, close) == done[-1].stop, (seed, close)
        side = [found.order.direction * stop for _, stop in points]
        assert side == sorted(side) and [ts for ts, _ in points] == sorted(ts for ts, _ in points), seed
    assert filled > 150 and moved > 30, "the cases hold what is tested"


def test_a_trail_without_targets_climbs_bar_by_bar() -> None:
    order = Order(direction=1, market=True, entry=100.0, sl=95.0, tp1=math.nan, tp2=math.nan, liq=math.nan,
                  decided_ts=T0, deadline=T0 + 5 * MINUTE, tp1_fraction=0.5, move_be=True, be_cost=0.0,
                  trail_mult=2.0, max_hold_ms=0)
    bars = [(T0 + i * MINUTE, 100.0 + i, 101.0 + i, 99.5 + i, 100.5 + i) for i in range(15)]
    found = Case(order, bars, [T0, T0 + 5 * MINUTE, T0 + 10 * MINUTE], [1.0, 1.0, 1.0])
    assert path(found) == [(T0, 95.0), (T0 + 5 * MINUTE, 102.0), (T0 + 10 * MINUTE, 107.0), (T0 + 15 * MINUTE, 112.0)]


def test_a_plan_that_was_never_filled_and_one_without_minutes_have_no_way() -> None:
    order = case(1).order._replace(market=False, entry=1.0, sl=0.5, direction=1, tp1=math.nan, tp2=math.nan)
    assert path(Case(order, case(1).bars, [], [])) == []
    assert trail_path(order, ([], [], [], [], []), ([], [])) == ([], [])
