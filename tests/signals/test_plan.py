"""The arithmetic of a plan, with the numbers worked out in the comments."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.candles import MarketInfo
from core.signals import costs as cost
from core.signals import plan as plans
from core.signals.fibo import levels
from core.signals.params import Common
from core.signals.plan import Plan, build, liquidation, sized
from core.signals.setups import Found
from tests.signals.markets import COMMON, COSTS, RISK, hilo

NAN = math.nan
# The impulse rose from 100 (bar 1) to 110 (bar 5); bar 8 decides.
LOWS = [101.0, 100.0, 101.0, 103.0, 105.0, 108.0, 106.0, 105.0, 104.5]
HIGHS = [103.0, 102.0, 104.0, 106.0, 109.0, 110.0, 108.0, 107.0, 106.0]
UP = Found("fibo_avwap", 1, 8, 1, 5, 103.82, 99.004, 112.72, 116.18, 104.4, False, NAN, 0, "why")
MARKET_ORDER = Found("donchian", 1, 8, 8, 8, 105.25, 101.25, NAN, NAN, NAN, True, 3.0, 200, "why")


class FixedAtr:
    def atr(self, i: int) -> float:
        return 2.0


def built(found: Found = UP, *, tick: float = 0.01, lot: float = 0.01, min_notional: float = 5.0, at: Any = None,
          lows: list[float] | None = None, risk: Any = RISK, costs: Any = COSTS, **common: Any) -> Plan | str:
    bars = hilo(HIGHS, lows or LOWS, at=at)
    market = MarketInfo(tick, lot, min_notional)
    return build(found, bars, FixedAtr(), market, costs, risk, replace(COMMON, **common))  # type: ignore[arg-type]


def plan_of(*args: Any, **kwargs: Any) -> Plan:
    plan = built(*args, **kwargs)
    assert isinstance(plan, Plan)
    return plan


@pytest.mark.covers("rule 11")
def test_levels_of_an_up_impulse_and_of_a_down_impulse() -> None:
    # 110 - 0.618 x 10 = 103.82; 100 + 12.72; 100 + 16.18; stop 0.5 below the start
    assert levels(100.0, 110.0, 0.618, 0.5) == pytest.approx((103.82, 99.5, 112.72, 116.18))
    assert levels(110.0, 100.0, 0.618, 0.5) == pytest.approx((106.18, 110.5, 97.28, 93.82))


@pytest.mark.covers("rule 11", "rule 13", "rule 15", "rule 16", "I4", "D15")
def test_a_long_plan_by_hand() -> None:
    plan = plan_of()
    assert (plan.entry, plan.sl, plan.tp1, plan.tp2) == (103.82, 99.0, 112.72, 116.18)
    # gross 100 x 8.9 / 103.82 = 8.572530; maker 0.02 in, 0.02 x 112.72 / 103.82 = 0.0217145 out
    assert plan.tp1_net_pct == pytest.approx(8.5725294 - 0.02 - 0.0217145, abs=1e-6)
    # stop 100 x 4.82 / 103.82 = 4.642651 %; 0.02 in, (0.06 + 0.02) x 99 / 103.82 = 0.0762859 out
    assert plan.cost_r == pytest.approx(0.0962859 / 4.6426508, abs=1e-7)
    # loss per coin 4.82 + 0.0002 x 103.82 + 0.0008 x 99 = 4.919964; 100 / 4.919964 = 20.3253 -> 20.32
    assert plan.qty == 20.32
    assert plan.notional == pytest.approx(20.32 * 103.82)  # 2109.62
    # margin 20 % of 10,000 = 2,000: leverage 2; liq = 103.82 x (1 - 1/2 + 0.005) = 52.4291
    assert plan.leverage == 2 and plan.liq == pytest.approx(52.4291)
    assert plan.risk_pct == pytest.approx(20.32 * 4.919964 / 100)  # 0.99974
    assert plan.refusal is None


@pytest.mark.covers("rule 13", "rule 16")
def test_a_short_plan_rounds_its_stop_up_and_liquidates_above() -> None:
    down = Found("fibo_avwap", -1, 8, 1, 5, 106.18, 111.001, 97.28, 93.82, 106.0, False, NAN, 0, "why")
    plan = plan_of(down)
    assert (plan.entry, plan.sl, plan.tp1, plan.tp2) == (106.18, 111.01, 97.28, 93.82)
    assert plan.liq == pytest.approx(106.18 * (1 + 1 / plan.leverage - 0.005))
    assert plan.tp1_net_pct == pytest.approx(100 * 8.9 / 106.18 - 0.02 - 0.02 * 97.28 / 106.18)


@pytest.mark.covers("rule 14", "rule 15")
def test_without_maker_every_leg_is_a_taker_with_slippage() -> None:
    taker = replace(COSTS, assume_maker=False)
    assert (cost.maker_leg_pct(COSTS), cost.taker_leg_pct(COSTS)) == (0.02, 0.08)
    assert (cost.maker_leg_pct(taker), cost.entry_leg_pct(taker, False)) == (0.08, 0.08)
    assert cost.tp1_net_pct(100.0, 101.0, taker) == pytest.approx(1.0 - 0.08 - 0.08 * 1.01)
    assert cost.cost_r(100.0, 98.0, taker, False) == pytest.approx((0.08 + 0.08 * 0.98) / 2.0)


@pytest.mark.covers("rule 19c", "rule 14")
def test_a_market_plan_pays_taker_in_and_has_neither_targets_nor_net_tp() -> None:
    plan = plan_of(MARKET_ORDER, tick=0.5)
    assert (plan.entry, plan.sl) == (105.5, 101.0)  # 105.25 is a tie: up; 101.25 goes down, away from the entry
    assert math.isnan(plan.tp1) and math.isnan(plan.tp2) and math.isnan(plan.tp1_net_pct)
    assert plan.cost_r == pytest.approx((0.08 + 0.08 * 101 / 105.5) / (100 * 4.5 / 105.5))
    assert plan.refusal is None  # min_tp_net_pct does not apply


@pytest.mark.covers("rule 10")
def test_a_stop_touched_after_the_end_leaves_no_candidate_by_the_rounded_stop() -> None:
    assert built(lows=[*LOWS[:7], 99.0, 104.0]) == plans.SL_TOUCHED  # touched exactly at the rounded 99.00
    assert isinstance(built(lows=[*LOWS[:7], 99.003, 104.0]), Plan)  # below the raw 99.004, above the rounded stop
    assert isinstance(built(lows=[*LOWS[:5], 99.0, *LOWS[6:]]), Plan)  # the end's own bar does not count
    assert built(lows=[*LOWS[:8], 98.0]) == plans.SL_TOUCHED  # the deciding bar does
    assert isinstance(built(lows=[*LOWS[:7], 103.0, 104.0]), Plan)  # through the entry: still a candidate
    assert isinstance(built(MARKET_ORDER, lows=[*LOWS[:8], 90.0]), Plan)  # rule 10 is not for market plans


@pytest.mark.covers("rule 18", "rule 17")
def test_a_hole_counts_missing_bars_from_start_to_deciding_bar() -> None:
    three = [0, 1, 2, 4, 5, 6, 8, 9, 11]  # 1 + 1 + 1 missing after bar 1
    assert plan_of(at=three).refusal is None
    four = [0, 1, 2, 4, 5, 6, 8, 9, 12]
    assert plan_of(at=four).refusal == "hole 4 > max_hole_candles 3"
    before_start = [0, 9, 10, 11, 12, 13, 14, 15, 16]
    assert plan_of(at=before_start).refusal is None


@pytest.mark.covers("rule 17", "rule 15", "I3")
def test_refusals_come_in_order_and_tell_both_numbers() -> None:
    assert plan_of(max_cost_r=0.015).refusal == "cost_r 0.0207 > max_cost_r 0.015"
    assert plan_of(min_tp_net_pct=9.0).refusal == "tp1_net 8.53 < min_tp_net_pct 9"
    assert plan_of(max_cost_r=0.015, min_tp_net_pct=9.0).refusal == "cost_r 0.0207 > max_cost_r 0.015"
    assert plan_of(min_notional=5000.0).refusal == "notional 2110 < min_notional 5000"
    assert plan_of(min_notional=2109.63).refusal == "notional 2109.6 < min_notional 2109.63"
    everything = {"max_cost_r": 0.015, "min_tp_net_pct": 9.0, "min_notional": 5000.0, "avwap_max_distance_atr": 0.1}
    hole = [0, 1, 12, 13, 14, 15, 16, 17, 18]
    assert plan_of(at=hole, **everything).refusal == "hole 10 > max_hole_candles 3"


@pytest.mark.covers("rule 12")
def test_avwap_distance_is_a_rule_only_when_switched_on() -> None:
    # |103.82 - 104.4| = 0.58 = 0.29 ATR of 2
    assert plan_of(avwap_max_distance_atr=0.3).refusal is None
    assert plan_of(avwap_max_distance_atr=0.28).refusal == "avwap_distance 0.29 > max_distance_atr 0.28"
    none = UP._replace(avwap=NAN)
    assert plan_of(none).refusal is None
    assert plan_of(none, avwap_max_distance_atr=5.0).refusal == "no avwap: no volume since the impulse's start"
    assert plan_of(none, avwap_max_distance_atr=5.0, avwap_use=False).refusal is None
    assert plan_of(MARKET_ORDER, avwap_max_distance_atr=5.0).refusal is None


@pytest.mark.covers("rule 17")
def test_plans_that_cannot_exist_are_named_and_not_planned() -> None:
    assert built(tick=50.0) == plans.LEVELS_OUT_OF_ORDER  # entry 100, sl 50, both targets 100
    assert built(UP._replace(tp1=103.0)) == plans.LEVELS_OUT_OF_ORDER
    assert built(UP._replace(sl=-1.0)) == plans.LEVELS_OUT_OF_ORDER
    assert built(MARKET_ORDER._replace(sl=105.26), tick=0.25) == plans.LEVELS_OUT_OF_ORDER
    assert built(lot=100.0) == plans.QTY_ZERO
    assert built(max_cost_r=0.0069) == plans.COST_HOPELESS  # 0.02074 > 3 x 0.0069
    assert plan_of(max_cost_r=0.00692).refusal is not None  # 3 x 0.00692 = 0.02076


@pytest.mark.covers("rule 16")
def test_a_stop_too_wide_even_at_leverage_one_cannot_exist() -> None:
    # stop 70 % away, buffer 0.5: liquidation would have to be 105 % away; at leverage 1 it is 99.5 %
    assert built(UP._replace(sl=31.0)) == plans.STOP_TOO_WIDE
    assert isinstance(built(UP._replace(sl=35.0)), Plan)  # 66.3 % x 1.5 = 99.4 % < 99.5 %


@pytest.mark.covers("rule 16", "D15")
def test_leverage_is_lowered_for_the_liquidation_buffer_and_the_size_is_cut_to_the_margin() -> None:
    # entry 100, stop 10 away; risk 60 %: 6,000 / 10 = 600 coins (no costs) = 60,000; margin 2,000 asks leverage 30,
    # capped at 20; liq must lie 15 away: 1/L - 0.005 >= 0.15 -> L <= 6.45 -> 6; 2,000 x 6 / 100 = 120 coins remain
    size = sized(1, 100.0, 90.0, 10.0, 1.0, replace(RISK, risk_pct=60.0))
    assert not isinstance(size, str)
    assert (size.leverage, size.qty, size.notional) == (6, 120.0, 12_000.0)
    assert size.risk_pct == pytest.approx(12.0)  # 120 x 10 / 10,000
    assert size.liq == pytest.approx(100 * (1 - 1 / 6 + 0.005))
    bare = sized(1, 100.0, 90.0, 10.0, 1.0, replace(RISK, risk_pct=60.0, liquidation_buffer=0.0))
    assert not isinstance(bare, str) and bare.leverage == 9  # 1/9 - 0.005 = 0.1061 >= 0.10


@pytest.mark.covers("rule 16")
def test_a_size_the_largest_leverage_cannot_fund_is_cut() -> None:
    # stop 0.5 away: 100 / 0.5 = 200 coins = 20,000; at most leverage 5: 2,000 x 5 = 10,000 -> 100 coins
    size = sized(1, 100.0, 99.5, 0.5, 1.0, replace(RISK, max_leverage=5))
    assert not isinstance(size, str)
    assert (size.qty, size.leverage) == (100.0, 5) and size.risk_pct == pytest.approx(0.5)


@pytest.mark.covers("rule 16", "D15")
@given(entry=st.floats(1e-4, 1e5), share=st.floats(0.0005, 0.6), risk_pct=st.floats(0.1, 5.0), top=st.integers(1, 125),
       buffer=st.floats(0.0, 2.0), margin=st.floats(1.0, 100.0), side=st.sampled_from([1, -1]))
def test_size_never_breaks_its_limits(entry: float, share: float, risk_pct: float, top: int, buffer: float,
                                      margin: float, side: int) -> None:
    sl = entry * (1 - side * share)
    risk = replace(RISK, risk_pct=risk_pct, max_leverage=top, liquidation_buffer=buffer, margin_pct_per_trade=margin)
    loss = cost.loss_per_unit(entry, sl, COSTS, False)
    lot = 1e-6
    size = sized(side, entry, sl, loss, lot, risk)
    room = (1 + buffer) * abs(entry - sl)
    if isinstance(size, str):
        assert side * (entry - liquidation(side, entry, 1, risk)) < room
        return
    funds, noise = 10_000 * margin / 100, lot * entry + 1e-6
    assert size.risk_pct <= risk_pct + 100 * lot * loss / 10_000 and size.qty * loss <= 100 * risk_pct + lot * loss
    assert 1 <= size.leverage <= top
    assert size.notional <= funds * size.leverage + noise
    assert side * (entry - size.liq) >= room
    if size.leverage > 1 and size.risk_pct > risk_pct * 0.999:  # not cut: then the leverage is the least
        assert size.notional > funds * (size.leverage - 1) - noise


def test_common_is_what_the_tests_think() -> None:
    assert isinstance(COMMON, Common) and COMMON.max_hole_candles == 3
