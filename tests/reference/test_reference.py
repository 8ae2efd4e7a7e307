"""Scenarios one can check by hand, for the reference itself."""

import copy
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.reference import indicators, plan
from tests.reference.lifecycle import follow
from tests.reference.resample import MINUTE, Bar, frontier, resample, stretches
from tests.reference.signals import Idea, avwap, impulses, pivot, planned, refusals, stop_touched

M5 = 5 * MINUTE
CONFIG: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text(encoding="utf-8"))


def config(**changes: Any) -> dict[str, Any]:
    """The shipped config with tick 0.1, lot 0.001, and changes written `signals__fees__taker_pct=0`."""
    params = copy.deepcopy(CONFIG)
    params["market"] = {"tick": 0.1, "lot": 0.001, "min_notional": 5.0}
    for path, value in changes.items():
        *parts, last = path.split("__")
        place = params
        for part in parts:
            place = place[part]
        place[last] = value
    return params


FREE: dict[str, Any] = {"signals__fees__taker_pct": 0.0, "signals__fees__maker_pct": 0.0, "signals__slippage_pct": 0.0}


def bars_of(highs: Sequence[float], lows: Sequence[float], tf: int = M5) -> list[Bar]:
    pairs = zip(highs, lows, strict=True)
    return [Bar(i * tf, (h + lo) / 2, h, lo, (h + lo) / 2, 1.0) for i, (h, lo) in enumerate(pairs)]


# --- candles -------------------------------------------------------------------------------------------

def test_an_unknown_minute_ends_the_stretch_and_a_recorded_one_does_not() -> None:
    stored = [0, MINUTE, 3 * MINUTE, 4 * MINUTE]
    assert stretches(stored, []) == [(0, 2 * MINUTE), (3 * MINUTE, 5 * MINUTE)]
    assert frontier(stored, [(2 * MINUTE, 2 * MINUTE)], 0) == 5 * MINUTE


def test_only_ended_buckets_with_minutes_become_bars() -> None:
    rows = {k * MINUTE: (10.0 + k, 11.0 + k, 9.0 + k, 10.5 + k, 1.0) for k in (0, 1, 3, 10, 11)}
    known = resample(rows, 14 * MINUTE)["5m"]
    assert known == [Bar(0, 10.0, 14.0, 9.0, 13.5, 3.0, 3)]
    assert [bar.ts for bar in resample(rows, 15 * MINUTE)["5m"]] == [0, 10 * MINUTE]


def test_volume_is_added_over_the_next_smaller_timeframe() -> None:
    volumes = [0.1, 0.2, 0.3, 0.4, 0.5] * 3
    rows = {k * MINUTE: (1.0, 1.0, 1.0, 1.0, v) for k, v in enumerate(volumes)}
    five = 0.0 + 0.1 + 0.2 + 0.3 + 0.4 + 0.5
    assert resample(rows, 15 * MINUTE)["15m"][0].volume == 0.0 + five + five + five


# --- indicators ----------------------------------------------------------------------------------------

def test_atr_is_the_mean_of_the_first_n_and_then_wilder_smoothed() -> None:
    bars = bars_of([11, 12, 13, 18], [10, 10, 12, 12])  # true ranges 1, 2, 1.. (13 - 11 = 2), 6
    assert indicators.atr(bars, 1, 3, M5) is None
    assert indicators.atr(bars, 2, 3, M5) == (1 + 2 + 2) / 3
    assert indicators.atr(bars, 3, 3, M5) == ((1 + 2 + 2) / 3 * 2 + 6) / 3


def test_a_value_sees_the_previous_block_and_nothing_older() -> None:
    bars = bars_of([10.0 + k % 7 for k in range(300)], [9.0 - k % 3 for k in range(300)])
    changed = [bar._replace(high=99.0) if bar.ts < 128 * M5 else bar for bar in bars]
    assert indicators.atr(bars, 256, 14, M5) == indicators.atr(changed, 256, 14, M5)
    assert indicators.atr(bars, 255, 14, M5) != indicators.atr(changed, 255, 14, M5)


def test_adx_of_a_straight_rise_is_100_from_its_27th_bar_on() -> None:
    bars = bars_of([10.0 + k for k in range(40)], [9.0 + k for k in range(40)])
    assert indicators.adx(bars, 25, 14, M5) is None
    assert indicators.adx(bars, 26, 14, M5) == pytest.approx(100)
    assert indicators.trend(bars, 30, M5) == "trend"
    flat = bars_of([10.0] * 40, [9.0] * 40)
    assert indicators.adx(flat, 30, 14, M5) == 0


@pytest.mark.parametrize(("lower", "name"), [(98, "low"), (99, "normal"), (200, "normal"), (201, "high")])
def test_vol_ranks_the_current_value_among_300(lower: int, name: str) -> None:
    bars = bars_of([101.0] * 300, [99.0] * 300)
    values = [1.0] * lower + [3.0] * (299 - lower) + [2.0]
    assert indicators.vol(bars, 299, M5, lambda i: values[i]) == name


def test_ema_of_a_constant_is_the_constant_and_newer_closes_weigh_more() -> None:
    bars = bars_of([10.0] * 20, [10.0] * 20)
    assert indicators.ema(bars, 19, 10) == pytest.approx(10)
    assert indicators.ema(bars, 18, 10) is None
    step = bars_of([0.0] * 3 + [1.0], [0.0] * 3 + [1.0])  # n = 2: alpha 2/3, weights 1, 1/3, 1/9, 1/27
    assert indicators.ema(step, 3, 2) == pytest.approx(1 / (1 + 1 / 3 + 1 / 9 + 1 / 27))


# --- pivots and impulses -------------------------------------------------------------------------------

SMALL = {"signals__fibo__piv_window": 2, "signals__lookback_candles": 40}
# lows bottom at bar 3 (low 8), highs peak at bar 8 (high 20)
HIGHS = [12.0, 12.5, 11.0, 10.0, 11.5, 13.0, 15.0, 18.0, 20.0, 19.0, 18.5]
LOWS = [10.0, 10.5, 9.0, 8.0, 9.5, 11.0, 13.0, 16.0, 18.0, 17.0, 16.5]


def test_pivots_take_the_first_of_equals_and_wait_for_their_window() -> None:
    bars = bars_of(HIGHS, LOWS)
    assert [pivot(bars, i, 2, 10) for i in (3, 8)] == ["low", "high"]
    assert pivot(bars, 8, 2, 9) is None
    twins = bars_of([1.0, 1.1, 5.0, 5.0, 1.0, 0.9], [0.5, 0.6, 0.7, 0.7, 0.6, 0.5])
    assert [pivot(twins, i, 2, 5) for i in (2, 3)] == ["high", None]


def test_an_impulse_is_decided_once_when_its_end_is_confirmed() -> None:
    bars = bars_of(HIGHS, LOWS)
    assert [list(impulses(bars, i, config(**SMALL))) for i in (9, 10)] == [[], [("long", 3, 8)]]
    later = [*bars, Bar(11 * M5, 17, 17.5, 15.5, 16, 1.0)]
    assert list(impulses(later, 11, config(**SMALL))) == []


def test_a_low_below_the_start_in_between_disqualifies() -> None:
    lows = LOWS.copy()
    lows[5] = 7.9  # lower than the start; bar 5 becomes the group's extreme and the start instead
    assert [i[1] for i in impulses(bars_of(HIGHS, lows), 10, config(**SMALL))] == [5]


def test_mirrored_bars_give_the_short() -> None:
    bars = bars_of([30 - x for x in LOWS], [30 - x for x in HIGHS])
    assert list(impulses(bars, 10, config(**SMALL))) == [("short", 3, 8)]


# --- the plan ------------------------------------------------------------------------------------------

def test_ties_go_up_and_stops_go_away_by_the_decimals() -> None:
    tick = Fraction("0.1")
    assert plan.nearest(plan.exact(1.25), tick) == Fraction("1.3")
    assert plan.nearest(plan.exact(0.35), tick) == Fraction("0.4")  # 0.35 / 0.1 is 3.4999999999999996 in floats
    assert plan.down(plan.exact(1.3), tick) == Fraction("1.3")
    assert plan.down(Fraction(1.3), tick) == Fraction("1.3")  # the float is a hair below
    assert plan.up(plan.exact(1.21), tick) == Fraction("1.3")


LEVELS = plan.Levels("long", Fraction(100), Fraction(98), Fraction(104), Fraction(106))


def test_costs_count_each_leg_on_its_own_notional() -> None:
    cost = plan.costs(config(), market=False)  # 0.06 + 0.025 per leg
    assert plan.cost_r(LEVELS, cost) == (Fraction("0.085") + Fraction("0.085") * Fraction(98, 100)) / 2
    assert plan.tp1_net_pct(LEVELS, cost) == 4 - Fraction("0.085") - Fraction("0.085") * Fraction(104, 100)
    maker = plan.costs(config(signals__fees__assume_maker=True), market=False)
    assert plan.tp1_net_pct(LEVELS, maker) == 4 - Fraction("0.02") - Fraction("0.02") * Fraction(104, 100)
    assert plan.cost_r(LEVELS, maker) == (Fraction("0.02") + Fraction("0.085") * Fraction(98, 100)) / 2
    assert plan.costs(config(signals__fees__assume_maker=True), market=True).entry_fee == Fraction("0.06")


def test_size_is_what_the_stop_may_lose_and_leverage_the_least_that_funds_it() -> None:
    params = config(**FREE)  # 1 % of 10,000 = 100 over 2 per coin: 50 coins, notional 5000, margin at most 2000
    sized = plan.size(LEVELS, plan.costs(params, False), params["risk"], Fraction("0.001"))
    assert sized == plan.Size(3, Fraction(50), Fraction(1))


def test_leverage_is_lowered_before_the_stop_and_qty_cut_to_the_margin() -> None:
    wide = plan.Levels("long", Fraction(100), Fraction(60), Fraction(140), Fraction(160))
    params = config(**FREE, risk__margin_pct_per_trade=1)  # wants 2.5 coins, 250 at a margin of 100: leverage 3
    sized = plan.size(wide, plan.costs(params, False), params["risk"], Fraction("0.001"))
    # 100/L - 0.5 >= 1.5 x 40 only at L = 1: 1 coin, loss 40 = 0.4 %
    assert sized == plan.Size(1, Fraction(1), Fraction("0.4"))
    hopeless = plan.Levels("long", Fraction(100), Fraction(30), Fraction(140), Fraction(160))
    assert plan.size(hopeless, plan.costs(params, False), params["risk"], Fraction("0.001")) is None


def test_fibo_levels_and_rule_10() -> None:
    bars = bars_of(HIGHS, LOWS)
    raw = (plan.exact(12.584), plan.exact(7.25), plan.exact(23.264), plan.exact(27.416))
    row = planned(Idea("long", 10, 3, 8, raw), bars, "fibo_avwap", config(signals__max_cost_r=9))
    assert row is not None and [row[k] for k in ("entry", "sl", "tp1", "tp2")] == [12.6, 7.2, 23.3, 27.4]
    assert not stop_touched(bars, Idea("long", 10, 3, 8, raw), Fraction("16.4"))
    assert stop_touched(bars, Idea("long", 10, 3, 8, raw), Fraction("16.5"))


def test_refusals_are_named() -> None:
    bars = bars_of(HIGHS, LOWS)
    bars = [*bars[:5], *[b._replace(ts=b.ts + 4 * M5) for b in bars[5:]]]
    row = {"setup": "fibo_avwap", "cost_r": 0.2, "tp1_net_pct": 0.4, "entry": 12.0, "avwap": None, "notional": 4.0,
           "min_notional": 5.0}
    idea = Idea("long", 10, 3, 8, (Fraction(1), Fraction(1), None, None))
    params = config(signals__avwap__max_distance_atr=1)
    assert refusals(row, bars, idea, M5, 1.0, params) == ["hole", "cost_r", "tp1_net", "avwap_distance", "min_notional"]


def test_avwap_weighs_typical_prices_by_volume() -> None:
    bars = [Bar(0, 1, 3, 1, 2, 1.0), Bar(M5, 1, 6, 4, 5, 3.0)]
    assert avwap(bars, 0, 1) == (2 * 1 + 5 * 3) / 4
    assert avwap([bar._replace(volume=0.0) for bar in bars], 0, 1) is None


# --- the lifecycle -------------------------------------------------------------------------------------

LONG = {"setup": "fibo_avwap", "timeframe": "5m", "direction": "long", "decided_ts": 0, "entry": 100.0, "sl": 98.0,
        "tp1": 104.0, "tp2": 106.0, "leverage": 5}
SHORT = LONG | {"direction": "short", "sl": 102.0, "tp1": 96.0, "tp2": 94.0}
MARKET = LONG | {"setup": "donchian", "tp1": None, "tp2": None}


def life(signal: dict[str, Any], *path: tuple[float, float, float, float], ended: bool = False,
         funding: Sequence[tuple[int, float]] = (), bars: Sequence[Bar] = (), known: int | None = None,
         **changes: Any) -> dict[str, Any]:
    """Follow a plan over minutes given as (open, high, low, close), without costs unless changed."""
    minutes = [(k * MINUTE, *ohlc, 1.0) for k, ohlc in enumerate(path)]
    end = len(path) * MINUTE if known is None else known
    return follow(signal, minutes, bars, config(**{**FREE, **changes}), funding, end, ended)


def short_of(*path: tuple[float, float, float, float]) -> list[tuple[float, float, float, float]]:
    """The path mirrored at 100."""
    return [(200 - o, 200 - low, 200 - h, 200 - c) for o, h, low, c in path]


WAIT = (101.0, 102.0, 100.0, 101.0)  # touches the entry only
FILL = (101.0, 105.0, 99.0, 101.0)  # trades through; TP1 in the same bar does not count
CALM = (101.0, 102.0, 99.0, 101.0)
CASES = [
    ([WAIT], "PENDING", None, None),
    ([(104.0, 104.0, 99.0, 100.0)], "EXPIRED", "tp1_before_entry", None),
    ([(101.0, 104.0, 100.0, 101.0)], "EXPIRED", "tp1_before_entry", None),
    ([FILL], "OPEN", None, None),
    ([(101.0, 105.0, 98.0, 99.0)], "SL", "sl", 98.0),
    ([(97.0, 105.0, 96.0, 99.0)], "SL", "sl_gap", 97.0),
    ([(70.0, 105.0, 60.0, 99.0)], "SL", "sl_gap", 70.0),
    ([(99.0, 107.0, 99.0, 101.0)], "TP", "tp2", 106.0),
    ([FILL, (101.0, 107.0, 98.0, 101.0)], "SL", "sl", 98.0),
    ([FILL, (98.0, 107.0, 98.0, 101.0)], "SL", "sl_gap", 98.0),
    ([FILL, (80.0, 107.0, 79.0, 101.0)], "LIQUIDATED", "liquidation", 80.5),
    ([FILL, (101.0, 104.0, 99.0, 101.0)], "OPEN", None, None),
    ([FILL, (101.0, 104.1, 99.0, 101.0)], "TP1", None, None),
    ([FILL, (105.0, 105.5, 90.0, 101.0)], "TP1", None, None),
    ([FILL, (105.0, 106.5, 90.0, 101.0)], "TP", "tp2", 106.0),
    ([FILL, (107.0, 108.0, 90.0, 101.0)], "TP", "tp2", 107.0),
    ([FILL, (101.0, 104.1, 99.0, 101.0), (101.0, 103.0, 100.0, 101.0)], "TP1_TRAIL", "be", 100.0),
    ([FILL, (101.0, 104.1, 99.0, 101.0), (99.5, 103.0, 99.0, 101.0)], "TP1_TRAIL", "be", 99.5),
    ([FILL, (101.0, 104.1, 99.0, 101.0), (103.0, 106.1, 101.0, 101.0)], "TP", "tp2", 106.0),
    ([FILL, (101.0, 104.1, 99.0, 101.0), (106.5, 106.6, 99.0, 101.0)], "TP", "tp2", 106.5),
]


@pytest.mark.parametrize(("path", "status", "reason", "price"), CASES)
@pytest.mark.parametrize("side", ["long", "short"])
def test_six_bar_tables(path: list[Any], status: str, reason: str | None, price: float | None, side: str) -> None:
    trade = life(LONG, *path) if side == "long" else life(SHORT, *short_of(*path))
    assert (trade["status"], trade["exit_reason"]) == (status, reason)
    mirrored = price if price is None or side == "long" else 200 - price
    assert trade["exit_price"] == pytest.approx(mirrored)


def test_an_unfilled_order_expires_at_its_deadline_once_that_is_known() -> None:
    late = 24 * M5
    assert life(LONG, WAIT, known=late - MINUTE)["status"] == "PENDING"
    trade = life(LONG, WAIT, known=late)
    assert (trade["status"], trade["exit_reason"], trade["closed_ts"]) == ("EXPIRED", "never_filled", late - MINUTE)
    assert trade["pnl_pct"] is None and trade["mae_pct"] is None
    assert [event["event"] for event in trade["events"]] == ["EXPIRED"]


def test_tp1_fraction_one_ends_at_tp1_and_zero_only_moves_the_stop() -> None:
    whole = life(LONG, FILL, (101.0, 107.0, 99.0, 101.0), execution__tp1_fraction=1)
    assert (whole["status"], whole["exit_reason"], whole["exit_price"]) == ("TP", "tp1", 104.0)
    none = life(LONG, FILL, (101.0, 105.0, 99.0, 101.0), (101.0, 101.0, 99.0, 99.0), execution__tp1_fraction=0)
    assert (none["status"], none["exit_reason"], none["gross_pct"]) == ("TP1_TRAIL", "be", 0.0)
    assert [event["event"] for event in none["events"]] == ["FILL", "TP1_TRAIL"]


def test_a_stop_that_never_moved_is_called_sl_after_tp1() -> None:
    path = [FILL, (101.0, 105.0, 99.0, 101.0), (101.0, 101.0, 97.0, 99.0)]
    trade = life(LONG, *path, execution__move_sl_to_be_on_tp1=False)
    assert (trade["status"], trade["exit_reason"], trade["exit_price"]) == ("TP1_TRAIL", "sl", 98.0)
    assert trade["gross_pct"] == pytest.approx(0.5 * 4 - 0.5 * 2)


def history(end: int) -> list[Bar]:
    """Twenty 5m bars of range 1 that close by `end`: ATR 1."""
    return [Bar(end - (20 - k) * M5, 101.0, 101.5, 100.5, 101.0, 1.0) for k in range(20)]


def test_the_trail_follows_the_best_closed_minute_from_the_next_one_on() -> None:
    path = [FILL, (101.0, 105.0, 101.0, 104.9), (104.0, 105.5, 103.1, 105.0), (105.0, 105.2, 103.4, 104.0)]
    trade = life(LONG, *path, bars=history(0))  # stops: 105 - 2 = 103, then 105.5 - 2 = 103.5
    assert (trade["status"], trade["exit_reason"], trade["exit_price"]) == ("TP1_TRAIL", "trail", 103.5)
    assert trade["tp1_ts"] == MINUTE and trade["closed_ts"] == 3 * MINUTE


def test_a_market_plan_fills_at_the_open_trails_and_ends_as_trail() -> None:
    opened = (100.5, 101.0, 100.0, 101.0)
    assert life(MARKET, opened)["events"][0]["price"] == 100.5
    assert life(MARKET, (98.0, 99.0, 97.0, 98.0))["exit_reason"] == "gapped"
    assert life(MARKET, known=M5)["closed_ts"] == M5 - MINUTE
    first = life(MARKET, opened, (99.0, 99.0, 98.0, 98.5))
    assert (first["status"], first["exit_reason"], first["exit_price"]) == ("SL", "sl", 98.0)
    trailed = life(MARKET, opened, (101.0, 103.0, 101.0, 103.0), (103.0, 103.0, 99.9, 100.0), bars=history(0))
    assert (trailed["status"], trailed["exit_reason"], trailed["exit_price"]) == ("TRAIL", "trail", 100.0)


def test_the_maximum_hold_ends_at_the_close_of_the_minute_that_reaches_it() -> None:
    trade = life(LONG, FILL, *[CALM] * 9, execution__max_hold_candles=1)
    assert (trade["status"], trade["closed_ts"], trade["exit_price"]) == ("TIME", 4 * MINUTE, 101.0)
    assert (trade["mae_pct"], trade["mfe_pct"]) == (-1.0, 2.0)


def test_a_delisted_symbol_ends_its_plans_at_the_last_minute() -> None:
    assert life(LONG, WAIT, ended=True)["exit_reason"] == "delisted"
    trade = life(LONG, FILL, CALM, ended=True)
    assert (trade["status"], trade["exit_reason"], trade["closed_ts"]) == ("TIME", "delisted", MINUTE)


def test_money_is_counted_leg_by_leg() -> None:
    costs: dict[str, Any] = {"signals__fees__taker_pct": 0.1, "signals__fees__maker_pct": 0.02,
                             "signals__slippage_pct": 0.05}
    path = [FILL, (101.0, 105.0, 99.0, 101.0), (101.0, 103.0, 100.0, 101.0)]
    taker = life(LONG, *path, **costs)  # TP1 half at 104, the rest at 100
    assert taker["gross_pct"] == pytest.approx(2)
    assert taker["fees_pct"] == pytest.approx(0.1 * (1 + 0.5 * 1.04 + 0.5))
    assert taker["slippage_pct"] == pytest.approx(0.05 * (1 + 0.5 * 1.04 + 0.5))
    maker = life(LONG, *path, **costs, signals__fees__assume_maker=True)
    assert maker["fees_pct"] == pytest.approx(0.02 * (1 + 0.5 * 1.04) + 0.1 * 0.5)
    assert maker["slippage_pct"] == pytest.approx(0.05 * 0.5)
    assert maker["r_multiple"] == pytest.approx(maker["pnl_pct"] / 2)
    assert maker["pnl_usd"] == pytest.approx(10 * maker["pnl_pct"])


def test_break_even_net_of_costs_pays_for_the_rest() -> None:
    path = [FILL, (101.0, 105.0, 101.0, 104.0), (104.0, 104.0, 100.0, 100.0)]
    trade = life(LONG, *path, execution__be_net_of_costs=True, signals__fees__taker_pct=0.1)
    assert trade["exit_price"] == pytest.approx(100.2)
    short = life(SHORT, *short_of(*path), execution__be_net_of_costs=True, signals__fees__taker_pct=0.1)
    assert short["exit_price"] == pytest.approx(99.8)


def test_funding_is_paid_on_what_is_left_between_fill_and_close() -> None:
    path = [FILL, (101.0, 105.0, 101.0, 104.0), (102.0, 103.0, 101.0, 102.0), (102.0, 102.0, 100.0, 100.0)]
    rates = [(0, 0.5), (MINUTE, 0.001), (2 * MINUTE, 0.002), (3 * MINUTE, -0.001), (4 * MINUTE, 0.5)]
    trade = life(LONG, *path, funding=rates)
    expected = 100 * (0.001 * 101 + 0.5 * 0.002 * 102 - 0.5 * 0.001 * 102) / 100
    assert trade["funding_pct"] == pytest.approx(expected)
    assert life(SHORT, *short_of(*path), funding=[(MINUTE, 0.001)])["funding_pct"] == pytest.approx(-0.099)
    assert life(LONG, *path, funding=rates, execution__funding=False)["funding_pct"] == 0


def test_excursions_count_what_the_position_saw() -> None:
    filled = life(LONG, FILL)
    assert (filled["mae_pct"], filled["mfe_pct"]) == (-1.0, 0.0)
    stopped = life(LONG, FILL, (101.0, 103.0, 90.0, 95.0))
    assert (stopped["mae_pct"], stopped["mfe_pct"]) == (-2.0, 0.0)
    won = life(LONG, FILL, (101.0, 109.0, 98.5, 108.0))
    assert (won["mae_pct"], won["mfe_pct"]) == (-1.5, 6.0)
    short = life(SHORT, *short_of(FILL, (101.0, 109.0, 98.5, 108.0)))
    assert (short["mae_pct"], short["mfe_pct"]) == (-1.5, 6.0)
