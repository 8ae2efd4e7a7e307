"""The lifecycle on thousands of random lives: against the slow telling, in any chunks, mirrored, compiled."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trades import lifecycle
from core.trades.arrays import empty_states, pack_orders, unpack_states
from core.trades.lifecycle import REASON_NAMES, STATUS_NAMES, State, expire, new_state, step, walk, walk_many
from tests.trades.randoms import Case, case
from tests.trades.reference_trade import excursions, simulate
from tests.trades.scenarios import MINUTE, T0

CASES = [case(seed) for seed in range(3000)]


def whole(c: Case, frontier: int | None = None) -> State:
    """The case walked at once."""
    state, _ = walk(new_state(c.order), c.order, *c.columns(), 0, len(c.bars), c.closes, c.atr)
    return state if frontier is None else expire(state, c.order, frontier)


@pytest.mark.covers("rule 19c", "rule 20", "rule 21", "rule 22", "rule 23", "rule 24", "rule 25", "rule 28", "D5", "I4")
def test_the_kernel_agrees_with_the_slow_reference_on_random_lives() -> None:
    seen: Counter[str] = Counter()
    for c in CASES:
        frontier = c.bars[-1][0] + MINUTE
        state, life = whole(c, frontier), simulate(c.order, c.bars, c.closes, c.atr, frontier)
        got = (STATUS_NAMES[state.status], REASON_NAMES[state.reason], (state.opened_ts, state.fill),
               (state.tp1_ts, state.tp1_price), state.closed_ts, state.exit_price)
        assert got == (life.status, life.reason, life.fill or (0, 0.0), life.tp1 or (0, 0.0), life.closed_ts or 0,
                       life.exit or 0.0), c
        if life.fill:
            assert (state.worst, state.best) == excursions(c.order, life), c
        seen[f"{life.status} {life.reason}"] += 1
    assert len(seen) == 15, seen  # every end with every reason that goes with it


@pytest.mark.covers("I1", "rule 20")
def test_any_chunking_and_minute_by_minute_give_the_same_state() -> None:
    for seed, c in enumerate(CASES[:1500]):
        r, state, i = np.random.default_rng(seed), new_state(c.order), 0
        while i < len(c.bars):
            hi = min(len(c.bars), i + int(r.integers(1, 9)))
            state, used = walk(state, c.order, *c.columns(), i, hi, c.closes, c.atr)
            assert used == hi or lifecycle.finished(state)
            i = hi
        single = new_state(c.order)
        for ts, o, h, low, close in c.bars:
            j = lifecycle.last_closed(c.closes, ts)
            single = step(single, c.order, ts, o, h, low, close, c.atr[j] if j >= 0 else math.nan)
        assert bits(state) == bits(single) == bits(whole(c)), c


@pytest.mark.covers("I1")
@given(st.integers(0, 2999), st.integers(0, 62), st.integers(1, 20))
def test_a_restart_at_any_minute_with_only_the_bars_a_reader_would_load_changes_nothing(seed: int, cut: int, size: int
                                                                                       ) -> None:
    c = CASES[seed]
    cut = min(cut, len(c.bars))
    state, _ = walk(new_state(c.order), c.order, *c.columns(), 0, cut, c.closes, c.atr)
    rest = c.bars[cut:]
    if rest:
        first = max(0, lifecycle.last_closed(c.closes, rest[0][0]))
        state, _ = walk(State(*state), c.order, *[list(x) for x in zip(*rest, strict=True)], 0, len(rest),
                        c.closes[first:], c.atr[first:])
    assert state == whole(c)


def bits(state: State) -> tuple[str, ...]:
    """A state so that 0.0 and -0.0, 1 and 1.0 differ."""
    return tuple(x.hex() if isinstance(x, float) else repr(x) for x in state)


def mirrored(c: Case, about: float = 256.0) -> Case:
    """The case reflected at a price; exact, as all its prices are multiples of a quarter."""
    k = c.order
    order = k._replace(direction=-k.direction, entry=about - k.entry, sl=about - k.sl, tp1=about - k.tp1,
                       tp2=about - k.tp2, liq=about - k.liq)
    bars = [(ts, about - o, about - low, about - h, about - close) for ts, o, h, low, close in c.bars]
    return Case(order, bars, c.closes, c.atr)


def test_a_mirrored_life_is_the_mirror_of_the_life() -> None:
    for c in CASES[:1500]:
        if c.order.be_cost or c.order.trail_mult == 0.7:
            continue  # not exact in binary when reflected
        a, b = whole(c), whole(mirrored(c))
        assert (a.status, a.reason, a.opened_ts, a.tp1_ts, a.closed_ts, a.stop_reason) == \
               (b.status, b.reason, b.opened_ts, b.tp1_ts, b.closed_ts, b.stop_reason)
        for x, y in ((a.fill, b.fill), (a.stop, b.stop), (a.best, b.best), (a.worst, b.worst),
                     (a.tp1_price, b.tp1_price), (a.exit_price, b.exit_price)):
            assert x == (256.0 - y if y else 0.0)


def test_states_hold_plain_numbers_and_no_nan_whatever_form_the_minutes_have() -> None:
    for c in CASES[:200]:
        columns = [np.array(x) for x in c.columns()]
        state, _ = walk(new_state(c.order), c.order, *columns, 0, len(c.bars), np.array(c.closes), np.array(c.atr))
        assert bits(state) == bits(whole(c))
        assert all(type(x) in (int, float) and x == x for x in state)


def test_the_stop_only_ever_moves_towards_profit_except_to_break_even() -> None:
    for c in CASES[:500]:
        state = new_state(c.order)
        for ts, o, h, low, close in c.bars:
            j = lifecycle.last_closed(c.closes, ts)
            after = step(state, c.order, ts, o, h, low, close, c.atr[j] if j >= 0 else math.nan)
            assert (after.stop - state.stop) * c.order.direction >= 0
            state = after


def joined(cases: list[Case]) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Cases laid one after another on one time axis: orders, minutes, starts, closes, ATR."""
    span, orders, bars, closes, atr = 100 * MINUTE, [], [], [], []
    for n, c in enumerate(cases):
        shift = n * span
        orders.append(c.order._replace(decided_ts=c.order.decided_ts + shift, deadline=c.order.deadline + shift))
        bars += [(ts + shift, *rest) for ts, *rest in c.bars]
        closes += [x + shift for x in c.closes]
        atr += c.atr
    columns = [np.array(x) for x in zip(*bars, strict=True)]
    starts = np.searchsorted(columns[0], [k.decided_ts for k in orders])
    return pack_orders(orders), columns, starts, np.array(closes), np.array(atr)


@pytest.mark.covers("I1")
def test_compiled_and_plain_give_the_same_bits(compiled_lifecycle) -> None:  # type: ignore[no-untyped-def]
    orders, m, starts, closes, atr = joined(CASES)
    frontier = int(m[0][-1]) + MINUTE
    fast, slow = empty_states(len(orders)), empty_states(len(orders))
    compiled_lifecycle.walk_many(orders, starts, *m, closes, atr, frontier, fast)
    walk_many(orders, starts.tolist(), *[x.tolist() for x in m], closes.tolist(), atr.tolist(), frontier, slow)
    assert fast.tobytes() == slow.tobytes()
    assert [bits(s) for s in unpack_states(fast)] == [bits(s) for s in unpack_states(slow)]
    assert len({s.status for s in unpack_states(fast)}) >= 7


@pytest.mark.covers("I1")
def test_compiled_single_walk_gives_the_same_bits(compiled_lifecycle) -> None:  # type: ignore[no-untyped-def]
    for c in CASES[:300]:
        columns = [np.array(x) for x in c.columns()]
        state, used = compiled_lifecycle.walk(new_state(c.order), c.order, *columns, 0, len(c.bars), np.array(c.closes),
                                              np.array(c.atr))
        plain, n = walk(new_state(c.order), c.order, *c.columns(), 0, len(c.bars), c.closes, c.atr)
        assert bits(State(*state)) == bits(plain)
        assert used == n


def test_orders_and_states_survive_the_table_form() -> None:
    orders = [c.order for c in CASES[:50]]
    assert [repr(row) for row in pack_orders(orders).tolist()] == [repr(tuple(k)) for k in orders]
    table = empty_states(2)
    assert len(pack_orders([])) == 0
    assert unpack_states(table)[0] == State(*[0] * len(State._fields))
    assert T0 % MINUTE == 0
