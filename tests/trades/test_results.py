"""The money of closed plans, on figures one can add up in the head, and what must hold for any life."""

from math import isclose, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.signals.params import Costs
from core.trades.lifecycle import EXPIRED, LIQUIDATED, STATUS_NAMES, TP, Order, State, expire, new_state, walk
from core.trades.orders import Execution, make_order
from core.trades.results import break_even_cost, events, funding_known, funding_pct, legs, planned_risk_pct, result
from tests.trades.randoms import case
from tests.trades.scenarios import FILLED, MARKET, MINUTE, PLAN, T0, TO_TP1, Scenario, both, run

MAKER = Costs(taker_pct=0.05, maker_pct=0.02, slippage_pct=0.01, assume_maker=True)
TAKER = Costs(taker_pct=0.05, maker_pct=0.02, slippage_pct=0.01, assume_maker=False)
FREE = Costs(0.0, 0.0, 0.0, True)

STOPPED = Scenario("stopped", "26", (FILLED, "100 100 97 98"), "SL sl")
TARGETS = Scenario("both targets", "26", (FILLED, TO_TP1, "104 107 103 106"), "TP tp2")


def closed_at_tp2() -> State:
    """A long that took both targets: 100 -> half at 104, half at 106."""
    return run(TARGETS)


@pytest.mark.covers("rule 14", "rule 26", "D4")
@pytest.mark.parametrize("s", both([STOPPED]), ids=["long", "short"])
def test_a_stop_pays_maker_entry_and_taker_exit_on_its_own_notional(s: Scenario) -> None:
    row = result(s.plan(), run(s), MAKER, 1000.0)
    out = 1.02 if s.short else 0.98  # exit notional over entry notional
    assert row.gross_pct == -2.0
    assert isclose(row.fees_pct or 0, 0.02 + 0.05 * out)
    assert isclose(row.slippage_pct or 0, 0.01 * out)
    assert isclose(row.pnl_pct or 0, -2.0 - 0.02 - 0.06 * out)
    assert isclose(row.pnl_usd or 0, 10 * (row.pnl_pct or 0))


@pytest.mark.covers("rule 15", "rule 26")
@pytest.mark.parametrize("costs", [MAKER, TAKER], ids=["maker", "taker"])
def test_a_plain_stop_is_about_minus_one_minus_cost_r(costs: Costs) -> None:
    row = result(PLAN, run(STOPPED), costs, 1000.0)
    entry = costs.maker_pct if costs.assume_maker else costs.taker_pct + costs.slippage_pct
    cost_r = (entry + costs.taker_pct + costs.slippage_pct) / 2.0  # the stop is 2 % away
    assert row.r_multiple == pytest.approx(-(1 + cost_r), abs=0.001)
    assert planned_risk_pct(PLAN) == 2.0


@pytest.mark.covers("rule 14", "rule 26")
def test_two_targets_as_maker_cost_no_slippage_and_as_taker_all_legs_do() -> None:
    state = run(TARGETS)
    maker, taker = result(PLAN, state, MAKER, 1000.0), result(PLAN, state, TAKER, 1000.0)
    assert maker.gross_pct == taker.gross_pct == 5.0  # half of 4 and half of 6
    assert maker.fees_pct == pytest.approx(0.02 * (1 + 0.5 * 1.04 + 0.5 * 1.06))
    assert maker.slippage_pct == 0.0
    assert taker.fees_pct == pytest.approx(0.05 * 2.05)
    assert taker.slippage_pct == pytest.approx(0.01 * 2.05)
    assert maker.exit_price == 106.0  # the last leg


@pytest.mark.covers("rule 14", "rule 19c")
def test_a_market_entry_is_a_taker_even_where_limits_are_makers() -> None:
    state = run(Scenario("market", "19c", ("100 100 97 98",), "SL sl", order=MARKET))
    row = result(MARKET, state, MAKER, 1000.0)
    assert row.fees_pct == pytest.approx(0.05 * 1.98)
    assert row.slippage_pct == pytest.approx(0.01 * 1.98)


@pytest.mark.covers("rule 14")
def test_time_trail_and_liquidation_leave_as_takers() -> None:
    for bars in ((FILLED, "89 90 88 89"), (FILLED, TO_TP1, "100 101 99 100")):
        state = run(Scenario("", "", bars, ""))
        last = legs(PLAN, state, MAKER)[-1]
        share = last.fraction * last.price / 100.0
        assert (last.fee_pct, last.slippage_pct) == (0.05 * share, 0.01 * share)


@pytest.mark.covers("rule 25")
def test_events_of_a_life_with_two_targets() -> None:
    got = [(e.event, (e.ts - T0) // MINUTE, e.price, e.fraction) for e in events(PLAN, run(TARGETS), MAKER)]
    assert got == [("FILL", 0, 100.0, 1.0), ("TP1", 1, 104.0, 0.5), ("TP", 2, 106.0, 0.5)]


@pytest.mark.covers("rule 23", "rule 25")
def test_events_when_all_or_nothing_is_closed_at_tp1() -> None:
    whole, none = PLAN._replace(tp1_fraction=1.0), PLAN._replace(tp1_fraction=0.0)
    after = (FILLED, TO_TP1, "104 104 99 100")
    assert [(e.event, e.fraction) for e in events(whole, run(Scenario("", "", after, "", order=whole)), MAKER)] == \
        [("FILL", 1.0), ("TP", 1.0)]
    assert [(e.event, e.fraction) for e in events(none, run(Scenario("", "", after, "", order=none)), MAKER)] == \
        [("FILL", 1.0), ("TP1_TRAIL", 1.0)]  # one row per money leg; tp1_ts tells when the stop moved


@pytest.mark.covers("rule 25")
def test_an_expired_plan_has_one_event_and_no_result() -> None:
    state = expire(new_state(PLAN), PLAN, PLAN.deadline)
    assert [(e.event, e.ts, e.price, e.fee_pct) for e in events(PLAN, state, MAKER)] == \
        [("EXPIRED", PLAN.deadline - MINUTE, None, 0.0)]
    row = result(PLAN, state, MAKER, 1000.0, 0.0)._asdict()
    assert {k: v for k, v in row.items() if v is not None} == \
        {"status": "EXPIRED", "closed_ts": PLAN.deadline - MINUTE, "exit_reason": "never_filled"}


@pytest.mark.covers("rule 28")
def test_a_running_trade_shows_its_excursions_and_no_money_yet() -> None:
    state = run(Scenario("", "", (FILLED, "101 103 99 102"), ""))
    row = result(PLAN, state, MAKER, 1000.0)
    assert (row.status, row.mae_pct, row.mfe_pct, row.pnl_pct, row.exit_reason) == ("OPEN", -1.0, 3.0, None, None)
    assert result(PLAN, new_state(PLAN), MAKER, 1000.0)._asdict() == \
        {"status": "PENDING"} | dict.fromkeys(row._fields[1:])


@pytest.mark.covers("rule 23")
@pytest.mark.parametrize(("costs", "market"), [(MAKER, False), (MAKER, True), (TAKER, False)])
def test_a_stop_at_net_break_even_loses_nearly_nothing(costs: Costs, market: bool) -> None:
    plan = (MARKET if market else PLAN)._replace(be_cost=break_even_cost(costs, market), tp1=104.0, tp2=106.0,
                                                 trail_mult=nan, tp1_fraction=0.0)
    first = "100 100.5 99.5 100" if market else FILLED
    for s in both([Scenario("", "", (first, TO_TP1, "104 104 99 99"), "", order=plan)]):
        state = run(s)
        row = result(s.plan(), state, costs, 1000.0)
        assert STATUS_NAMES[state.status] == "TP1_TRAIL"
        assert row.pnl_pct == pytest.approx(0.0, abs=0.0003)


SETTLED = [(T0, 0.0001, 50.0), (T0 + MINUTE, 0.0001, 100.0), (T0 + 2 * MINUTE, 0.0002, 110.0),
           (T0 + 3 * MINUTE, 0.5, 100.0)]


@pytest.mark.covers("rule 27")
def test_funding_counts_after_the_open_up_to_the_close_on_what_is_left() -> None:
    state = run(TARGETS)  # filled at minute 0, TP1 in minute 1, closed in minute 2
    due = 0.0001 * 1.0 * 100 / 100 + 0.0002 * 0.5 * 110 / 100  # TP1's minute opens with the whole position
    assert funding_pct(PLAN, state, SETTLED) == pytest.approx(100 * due)
    assert funding_pct(PLAN, state, reversed(SETTLED)) == funding_pct(PLAN, state, SETTLED)
    assert result(PLAN, state, FREE, 1000.0, 0.25).pnl_pct == 4.75


@pytest.mark.covers("rule 27")
def test_a_short_receives_what_a_long_pays() -> None:
    long, short = both([TARGETS])
    rates = [(T0 + MINUTE, 0.0001, 100.0)]
    assert funding_pct(short.plan(), run(short), rates) == -funding_pct(PLAN, run(long), rates) == -0.01


@pytest.mark.covers("rule 27")
def test_no_funding_without_a_position() -> None:
    assert funding_pct(PLAN, expire(new_state(PLAN), PLAN, PLAN.deadline), SETTLED) == 0.0
    assert funding_pct(PLAN, new_state(PLAN), SETTLED) == 0.0


@pytest.mark.covers("rule 27")
def test_funding_is_known_between_two_rates_or_once_fetched_through_the_close() -> None:
    state = run(TARGETS)
    opened, closed = state.opened_ts, state.closed_ts
    assert funding_known(state, opened, closed + 1, 0)
    assert not funding_known(state, opened + 1, closed + 1, 0)
    assert not funding_known(state, opened, closed, closed - 1)
    assert funding_known(state, None, None, closed)


def life(seed: int) -> tuple[Order, State]:
    """A random plan and what came of it."""
    c = case(seed)
    state, _ = walk(new_state(c.order), c.order, *c.columns(), 0, len(c.bars), c.closes, c.atr)
    return c.order, state


COST = st.floats(0.0, 0.2)


@pytest.mark.covers("rule 26", "I4", "D4")
@given(st.integers(0, 5000), COST, COST, COST, st.booleans(), st.floats(-0.5, 0.5))
def test_money_reconciles_with_the_events(seed: int, taker: float, maker: float, slip: float, assume: bool,
                                          funding: float) -> None:
    order, state = life(seed)
    costs = Costs(taker, maker, slip, assume)
    row, rows = result(order, state, costs, 1000.0, funding), events(order, state, costs)
    if row.pnl_pct is None:
        return
    notional = order.direction * rows[0].price * rows[0].fraction  # type: ignore[operator]
    received = sum(order.direction * e.price * e.fraction for e in rows[1:])  # type: ignore[operator]
    gross = 100 * (received - notional) / abs(notional)
    assert row.gross_pct == pytest.approx(gross, abs=1e-9)
    assert row.fees_pct == pytest.approx(sum(e.fee_pct for e in rows))
    assert row.slippage_pct == pytest.approx(sum(x.slippage_pct for x in legs(order, state, costs)))
    assert row.pnl_pct == pytest.approx(gross - row.fees_pct - row.slippage_pct - funding, abs=1e-9)
    assert sum(e.fraction for e in rows[1:]) == pytest.approx(1.0)
    assert min(row.fees_pct, row.slippage_pct) >= 0.0


@pytest.mark.covers("I4")
@given(st.integers(0, 5000), COST, COST, COST, st.floats(0.0, 0.1))
def test_more_cost_never_pays_more(seed: int, taker: float, maker: float, slip: float, more: float) -> None:
    order, state = life(seed)
    if result(order, state, FREE, 1.0).pnl_pct is None:
        return
    for assume in (True, False):
        low = result(order, state, Costs(taker, maker, slip, assume), 1000.0).pnl_pct
        for costs in (Costs(taker + more, maker, slip, assume), Costs(taker, maker + more, slip, assume),
                      Costs(taker, maker, slip + more, assume)):
            assert (result(order, state, costs, 1000.0).pnl_pct or 0.0) <= (low or 0.0)


@pytest.mark.covers("rule 28")
def test_excursions_enclose_the_exit_and_never_change_sign() -> None:
    for seed in range(400):
        order, state = life(seed)
        row = result(order, state, FREE, 1000.0)
        if state.status == EXPIRED or row.mae_pct is None or row.mfe_pct is None:
            assert row.mae_pct is None
            continue
        assert row.mae_pct <= 0.0 <= row.mfe_pct
        if state.status >= TP:
            last = 100 * order.direction * (state.exit_price - state.fill) / state.fill
            assert row.mae_pct - 1e-9 <= last <= row.mfe_pct + 1e-9
        if state.status == LIQUIDATED:
            assert row.exit_price == order.liq


EXECUTION = Execution(validity_candles=8, tp1_fraction=0.5, move_sl_to_be_on_tp1=True, be_net_of_costs=False,
                      max_hold_candles=100, trail_mult=1.5)


@pytest.mark.covers("rule 19c", "rule 22", "rule 25")
def test_an_order_takes_the_plans_own_settings_where_it_has_them() -> None:
    limit = make_order(1, False, 100.0, 98.0, 104.0, 106.0, 90.0, T0, 5 * MINUTE, EXECUTION, MAKER)
    assert limit.deadline == T0 + 40 * MINUTE
    assert (limit.trail_mult, limit.max_hold_ms, limit.be_cost) == (1.5, 500 * MINUTE, 0.0)
    market = make_order(-1, True, 100.0, 102.0, None, None, None, T0, 5 * MINUTE, EXECUTION, MAKER, 3.0, 7)
    assert market.deadline == T0 + 5 * MINUTE
    assert (market.trail_mult, market.max_hold_ms) == (3.0, 35 * MINUTE)
    assert market.tp1 != market.tp1
    assert make_order(1, False, 100.0, 98.0, nan, nan, nan, T0, MINUTE, EXECUTION, MAKER, nan).trail_mult == 1.5


@pytest.mark.covers("rule 23")
def test_break_even_net_of_costs_is_entry_leg_plus_taker_leg() -> None:
    assert break_even_cost(MAKER, False) == pytest.approx(0.0008)
    assert break_even_cost(MAKER, True) == break_even_cost(TAKER, False) == pytest.approx(0.0012)
