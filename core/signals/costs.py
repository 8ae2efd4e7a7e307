"""What a plan costs, each leg on its own notional (rules 14 to 16). Percent unless said otherwise."""

from core.signals.params import Costs


def maker_leg_pct(costs: Costs) -> float:
    """Fee and slippage of an entry or target leg, % of that leg's notional."""
    return costs.maker_pct if costs.assume_maker else costs.taker_pct + costs.slippage_pct


def taker_leg_pct(costs: Costs) -> float:
    """Fee and slippage of any other leg (stop, trail, time, market entry), % of that leg's notional."""
    return costs.taker_pct + costs.slippage_pct


def entry_leg_pct(costs: Costs, market: bool) -> float:
    """Fee and slippage of the entry, % of the entry notional; a market order is always a taker."""
    return taker_leg_pct(costs) if market else maker_leg_pct(costs)


def tp1_net_pct(entry: float, tp1: float, costs: Costs) -> float:
    """What a full exit at TP1 leaves, % of the entry notional, without funding."""
    gross = 100.0 * abs(tp1 - entry) / entry
    return gross - (maker_leg_pct(costs) + maker_leg_pct(costs) * tp1 / entry)


def stop_costs_pct(entry: float, sl: float, costs: Costs, market: bool) -> float:
    """Costs of a trade that is stopped out at `sl`, % of the entry notional."""
    return entry_leg_pct(costs, market) + taker_leg_pct(costs) * sl / entry


def cost_r(entry: float, sl: float, costs: Costs, market: bool) -> float:
    """Costs of a stop-out in units of the stop distance."""
    return stop_costs_pct(entry, sl, costs, market) / (100.0 * abs(entry - sl) / entry)


def loss_per_unit(entry: float, sl: float, costs: Costs, market: bool) -> float:
    """Quote units lost per base unit when the stop is hit, costs included."""
    return abs(entry - sl) + stop_costs_pct(entry, sl, costs, market) / 100.0 * entry
