"""From a candidate to an order one can type in: levels, size, leverage, admission (rules 10 to 18)."""

import math
from typing import NamedTuple

from core.candles import Bars, MarketInfo
from core.signals import costs as cost
from core.signals.grid import Grid, grid
from core.signals.indicators import Indicators
from core.signals.params import Common, Costs, Risk
from core.signals.setups import Found
from core.signals.text import number, told

# Why a plan cannot exist: counted, not stored (rules 10, 16, 17).
SL_TOUCHED = "sl_touched"
LEVELS_OUT_OF_ORDER = "levels_out_of_order"
COST_HOPELESS = "cost_hopeless"
STOP_TOO_WIDE = "stop_too_wide"
QTY_ZERO = "qty_zero"

HOPELESS = 3.0  # times max_cost_r: no gate could ever pass it


class Plan(NamedTuple):
    """Levels on the tick (NaN = none), size on the lot, admission's first refusal or None.

    risk_pct: % of the equity lost at the stop, costs included. liq: liquidation price, not rounded.
    tp1_net_pct: % of the entry notional (NaN without targets). cost_r: stop distances.
    """

    entry: float
    sl: float
    tp1: float
    tp2: float
    qty: float
    notional: float
    leverage: int
    risk_pct: float
    liq: float
    tp1_net_pct: float
    cost_r: float
    refusal: str | None


class Size(NamedTuple):
    """How much, and how far it may be levered."""

    qty: float
    notional: float
    leverage: int
    risk_pct: float
    liq: float


def build(found: Found, bars: Bars, ind: Indicators, market: MarketInfo, costs: Costs, risk: Risk,
          common: Common) -> Plan | str:
    """Turn a candidate into a plan, or say why there can be none (one of the constants above)."""
    entry, sl, tp1, tp2 = on_tick(found, grid(market.tick))
    if not _ordered(found, entry, sl, tp1, tp2):
        return LEVELS_OUT_OF_ORDER
    if not found.market and _touched(found, bars, sl):
        return SL_TOUCHED
    cost_r = cost.cost_r(entry, sl, costs, found.market)
    if cost_r > HOPELESS * common.max_cost_r:
        return COST_HOPELESS
    size = sized(found.direction, entry, sl, cost.loss_per_unit(entry, sl, costs, found.market), market.lot, risk)
    if isinstance(size, str):
        return size
    net = math.nan if found.market else cost.tp1_net_pct(entry, tp1, costs)
    refusal = _refusal(found, bars, ind, market, common, entry, cost_r, net, size.notional)
    return Plan(entry, sl, tp1, tp2, size.qty, size.notional, size.leverage, size.risk_pct, size.liq, net, cost_r,
                refusal)


def on_tick(found: Found, ticks: Grid) -> tuple[float, float, float, float]:
    """Round entry, sl, tp1, tp2: the stop away from the entry, all else to the nearest tick.

    A market plan has no targets (NaN).
    """
    away = ticks.down if found.direction > 0 else ticks.up
    if found.market:
        return ticks.nearest(found.entry), away(found.sl), math.nan, math.nan
    return ticks.nearest(found.entry), away(found.sl), ticks.nearest(found.tp1), ticks.nearest(found.tp2)


def sized(direction: int, entry: float, sl: float, loss: float, lot: float, risk: Risk) -> Size | str:
    """Size and leverage of rule 16, or why there is none. loss: quote units per base unit at the stop."""
    lots = grid(lot)
    qty = lots.down(risk.equity_usd * risk.risk_pct / 100.0 / loss)
    margin = risk.equity_usd * risk.margin_pct_per_trade / 100.0
    leverage = lowered(direction, entry, sl, min(least_leverage(qty * entry, margin), risk.max_leverage), risk)
    if leverage == 0:
        return STOP_TOO_WIDE
    if qty * entry / leverage > margin:
        qty = lots.down(margin * leverage / entry)
    if qty <= 0.0:
        return QTY_ZERO
    return Size(qty, qty * entry, leverage, 100.0 * qty * loss / risk.equity_usd,
                liquidation(direction, entry, leverage, risk))


def least_leverage(notional: float, margin: float) -> int:
    """The least whole number, 1 or more, with notional / leverage <= margin (both quote units)."""
    leverage = max(1, math.ceil(notional / margin))
    return leverage + 1 if notional / leverage > margin else leverage


def lowered(direction: int, entry: float, sl: float, leverage: int, risk: Risk) -> int:
    """The highest leverage, at most the given one, that keeps liquidation behind the stop; 0 if none does."""
    room = (1.0 + risk.liquidation_buffer) * abs(entry - sl)
    while leverage > 0 and direction * (entry - liquidation(direction, entry, leverage, risk)) < room:
        leverage -= 1
    return leverage


def liquidation(direction: int, entry: float, leverage: int, risk: Risk) -> float:
    """Price at which the margin is used up but for the maintenance margin."""
    return entry * (1.0 - direction / leverage + direction * risk.maintenance_margin_pct / 100.0)


def _ordered(found: Found, entry: float, sl: float, tp1: float, tp2: float) -> bool:
    side = found.direction
    if entry <= 0.0 or sl <= 0.0 or side * (entry - sl) <= 0.0:
        return False
    return found.market or (tp1 > 0.0 and tp2 > 0.0 and side * (tp1 - entry) > 0.0 and side * (tp2 - tp1) > 0.0)


def _touched(found: Found, bars: Bars, sl: float) -> bool:
    # Rule 10, with the rounded stop.
    after = slice(found.end + 1, found.i + 1)
    if found.direction > 0:
        return min(bars.low[after].tolist(), default=math.inf) <= sl
    return max(bars.high[after].tolist(), default=-math.inf) >= sl


def _hole(found: Found, bars: Bars) -> int:
    # Missing bars of the timeframe between start bar and deciding bar, all together (rule 18).
    return (int(bars.ts[found.i]) - int(bars.ts[found.start])) // bars.tf - (found.i - found.start)


def _refusal(found: Found, bars: Bars, ind: Indicators, market: MarketInfo, common: Common, entry: float,
             cost_r: float, net: float, notional: float) -> str | None:
    hole = _hole(found, bars)
    if hole > common.max_hole_candles:
        return f"hole {hole} > max_hole_candles {common.max_hole_candles}"
    if cost_r > common.max_cost_r:
        return _told("cost_r", cost_r, ">", "max_cost_r", common.max_cost_r)
    if net < common.min_tp_net_pct:
        return _told("tp1_net", net, "<", "min_tp_net_pct", common.min_tp_net_pct)
    far = _too_far(found, ind, common, entry)
    if far is not None:
        return far
    if notional < market.min_notional:
        return _told("notional", notional, "<", "min_notional", market.min_notional)
    return None


def _too_far(found: Found, ind: Indicators, common: Common, entry: float) -> str | None:
    limit = common.avwap_max_distance_atr
    if found.market or not common.avwap_use or limit <= 0.0:
        return None
    if math.isnan(found.avwap):
        return "no avwap: no volume since the impulse's start"
    distance, atr = abs(entry - found.avwap), ind.atr(found.i)
    if distance <= limit * atr:
        return None
    return _told("avwap_distance", distance / atr if atr > 0.0 else math.inf, ">", "max_distance_atr", limit)


def _told(name: str, value: float, sign: str, limit_name: str, limit: float) -> str:
    return f"{name} {told(value, limit)} {sign} {limit_name} {number(limit)}"
