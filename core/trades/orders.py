"""From a plan and the execution settings to the order the lifecycle follows."""

from dataclasses import dataclass
from math import nan

from core.signals.params import Costs
from core.trades.lifecycle import Order
from core.trades.results import break_even_cost


@dataclass(frozen=True, slots=True)
class Execution:
    """How plans are carried out (config sections `execution` and `signals.validity_candles`).

    trail_mult: ATR multiple of the trail after TP1, NaN = no trail; max_hold_candles: bars of the
    plan's timeframe, 0 = no limit.
    """

    validity_candles: int
    tp1_fraction: float
    move_sl_to_be_on_tp1: bool
    be_net_of_costs: bool
    max_hold_candles: int
    trail_mult: float


def make_order(direction: int, market: bool, entry: float, sl: float, tp1: float | None, tp2: float | None,
               liq: float | None, decided_ts: int, timeframe: int, execution: Execution, costs: Costs,
               trail_mult: float | None = None, max_hold: int = 0) -> Order:
    """The order of one plan.

    direction: +1 or -1; prices rounded and positive, None or NaN where the plan has none; timeframe in
    ms; trail_mult and max_hold: the plan's own, None or NaN and 0 = those of `execution`. A limit waits
    `validity_candles` bars of its timeframe, a market order one (rules 19c, 22).
    """
    own_trail = trail_mult is not None and trail_mult == trail_mult
    wait = 1 if market else execution.validity_candles
    return Order(
        direction=int(direction), market=bool(market), entry=float(entry), sl=float(sl),
        tp1=_price(tp1), tp2=_price(tp2), liq=_price(liq), decided_ts=int(decided_ts),
        deadline=int(decided_ts + wait * timeframe), tp1_fraction=float(execution.tp1_fraction),
        move_be=bool(execution.move_sl_to_be_on_tp1),
        be_cost=break_even_cost(costs, market) if execution.be_net_of_costs else 0.0,
        trail_mult=float(trail_mult) if own_trail and trail_mult is not None else float(execution.trail_mult),
        max_hold_ms=int((max_hold or execution.max_hold_candles) * timeframe))


def _price(value: float | None) -> float:
    return nan if value is None else float(value)
