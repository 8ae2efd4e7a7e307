"""From a configuration body (as stored with each signal) to the plain parameters of the pure rooms."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

from core.signals.params import Common, Costs, Risk
from core.trades.orders import Execution

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan is followed and settled by: the part of a configuration that its trade depends on.

    trail_period: bars of the trail's ATR. funding: whether funding is counted.
    """

    costs: Costs
    execution: Execution
    usd_per_trade: float
    trail_period: int
    funding: bool


def terms(body: Body | Terms) -> Terms:
    """The terms of a configuration body; made once, for many trades."""
    if isinstance(body, Terms):
        return body
    e = body["execution"]
    return Terms(costs(body), execution(body), usd_per_trade(body), e["trail"]["atr_period"], e["funding"])


def costs(body: Body) -> Costs:
    """Fees and slippage."""
    fees = body["signals"]["fees"]
    return Costs(fees["taker_pct"], fees["maker_pct"], body["signals"]["slippage_pct"], fees["assume_maker"])


def risk(body: Body) -> Risk:
    """Sizing, with the risk share of the configured mode."""
    r = body["risk"]
    return Risk(
        r["equity_usd"],
        r["risk_pct_by_mode"][r["mode"]],
        r["margin_pct_per_trade"],
        r["max_leverage"],
        r["liquidation_buffer"],
        r["maintenance_margin_pct"],
    )


def common(body: Body) -> Common:
    """What all setups share."""
    s = body["signals"]
    fibo, avwap = s["fibo"], s["avwap"]
    return Common(
        s["lookback_candles"],
        s["atr_period"],
        s["atr_mult_sl"],
        fibo["piv_window"],
        fibo["anchors_to_consider"],
        fibo["entry_level"],
        fibo["sl_share"],
        avwap["use"],
        avwap["max_distance_atr"],
        s["max_hole_candles"],
        s["min_tp_net_pct"],
        s["max_cost_r"],
        s["validity_candles"],
    )


def execution(body: Body) -> Execution:
    """How plans are carried out."""
    e = body["execution"]
    return Execution(
        body["signals"]["validity_candles"],
        e["tp1_fraction"],
        e["move_sl_to_be_on_tp1"],
        e["be_net_of_costs"],
        e["max_hold_candles"],
        e["trail"]["atr_mult"] if e["trail"]["use"] else nan,
    )


def usd_per_trade(body: Body) -> float:
    """The notional that pnl_usd is quoted for."""
    return float(body["signals"]["evaluation"]["usd_per_trade"])
