"""Rules 13 to 17: from raw levels to a plan, in exact fractions of the decimals a user would type."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

Params = dict[str, Any]


def exact(number: float | int) -> Fraction:
    """The decimal that `number` is written as (0.1 is one tenth)."""
    return Fraction(Decimal(repr(number)))


def nearest(price: Fraction, step: Fraction) -> Fraction:
    """Nearest multiple of `step`; a tie goes up in price."""
    return floor(price / step + Fraction(1, 2)) * step


def snapped(price: Fraction, step: Fraction) -> Fraction:
    """The grid line that `price` lies on, else `price` itself."""
    # CHOICE: levels made with an ATR carry float noise, so one within 1e-9 of a step is on the grid.
    line = nearest(price, step)
    return line if abs(price - line) <= step / 10**9 else price


def down(price: Fraction, step: Fraction) -> Fraction:
    """Next multiple of `step` at or below."""
    return floor(snapped(price, step) / step) * step


def up(price: Fraction, step: Fraction) -> Fraction:
    """Next multiple of `step` at or above."""
    return -(floor(-snapped(price, step) / step) * step)


@dataclass(frozen=True)
class Levels:
    """Rounded prices of a plan; no targets for the trailed setups."""

    direction: str
    entry: Fraction
    sl: Fraction
    tp1: Fraction | None
    tp2: Fraction | None

    def in_order(self) -> bool:
        """True if the levels lie strictly one behind the other, all above 0."""
        # CHOICE: equal levels, or one at or below 0, mean that the plan cannot exist.
        prices = [price for price in (self.sl, self.entry, self.tp1, self.tp2) if price is not None]
        if self.direction == "short":
            prices.reverse()
        return prices[0] > 0 and all(a < b for a, b in pairwise(prices))


def round_levels(direction: str, raw: tuple[Fraction, Fraction, Fraction | None, Fraction | None],
                 tick: Fraction) -> Levels:
    """Entry and targets to the nearest tick, the stop to the next tick away from the entry (rule 13)."""
    entry, sl, tp1, tp2 = raw
    stop = down(sl, tick) if direction == "long" else up(sl, tick)
    return Levels(direction, nearest(entry, tick), stop, None if tp1 is None else nearest(tp1, tick),
                  None if tp2 is None else nearest(tp2, tick))


@dataclass(frozen=True)
class Costs:
    """What a leg costs, in percent of the leg's own notional (rule 14)."""

    entry_fee: Fraction
    entry_slip: Fraction
    target_fee: Fraction
    target_slip: Fraction
    taker_fee: Fraction
    taker_slip: Fraction


def costs(params: Params, market: bool) -> Costs:
    """Costs of the legs; a market entry is a taker whatever `assume_maker` says (rule 19c)."""
    fees = params["signals"]["fees"]
    taker, maker = exact(fees["taker_pct"]), exact(fees["maker_pct"])
    slip = exact(params["signals"]["slippage_pct"])
    limit = (maker, Fraction(0)) if fees["assume_maker"] else (taker, slip)
    entry = (taker, slip) if market else limit
    return Costs(*entry, *limit, taker, slip)


def tp1_net_pct(levels: Levels, cost: Costs) -> Fraction | None:
    """A full exit at TP1 after fees and slippage, in % of the entry notional (rule 15)."""
    if levels.tp1 is None:
        return None
    gross = 100 * abs(levels.tp1 - levels.entry) / levels.entry
    exit_share = levels.tp1 / levels.entry
    return gross - (cost.entry_fee + cost.entry_slip) - (cost.target_fee + cost.target_slip) * exit_share


def stop_out_pct(levels: Levels, cost: Costs) -> Fraction:
    """Costs of entry and stop in % of the entry notional, each leg on its own notional."""
    return cost.entry_fee + cost.entry_slip + (cost.taker_fee + cost.taker_slip) * levels.sl / levels.entry


def cost_r(levels: Levels, cost: Costs) -> Fraction:
    """Costs of a stop-out in units of the stop distance (rule 15)."""
    return stop_out_pct(levels, cost) / (100 * abs(levels.entry - levels.sl) / levels.entry)


def liquidation(direction: str, entry: Fraction, leverage: int, margin_pct: Fraction) -> Fraction:
    """Price at which the position is liquidated (rule 16)."""
    if direction == "long":
        return entry * (1 - Fraction(1, leverage) + margin_pct / 100)
    return entry * (1 + Fraction(1, leverage) - margin_pct / 100)


def far_enough(levels: Levels, leverage: int, risk: Params) -> bool:
    """True if liquidation lies beyond the stop by the buffer."""
    liq = liquidation(levels.direction, levels.entry, leverage, exact(risk["maintenance_margin_pct"]))
    away = levels.entry - liq if levels.direction == "long" else liq - levels.entry
    return away >= (1 + exact(risk["liquidation_buffer"])) * abs(levels.entry - levels.sl)


@dataclass(frozen=True)
class Size:
    """Leverage, base coins, and the loss at the stop in % of the equity."""

    leverage: int
    qty: Fraction
    risk_pct: Fraction


def size(levels: Levels, cost: Costs, risk: Params, lot: Fraction) -> Size | None:
    """Size and leverage of rule 16; None if the plan cannot exist."""
    equity = exact(risk["equity_usd"])
    loss = abs(levels.entry - levels.sl) + stop_out_pct(levels, cost) / 100 * levels.entry
    budget = equity * exact(risk["margin_pct_per_trade"]) / 100
    # CHOICE: qty goes down to the lot first, leverage is found for that size, and a cut goes down to the lot again.
    qty = down(equity * exact(risk["risk_pct_by_mode"][risk["mode"]]) / 100 / loss, lot)
    leverage = 1
    while leverage < risk["max_leverage"] and qty * levels.entry / leverage > budget:
        leverage += 1
    while leverage >= 1 and not far_enough(levels, leverage, risk):
        leverage -= 1
    if leverage < 1:
        return None
    if qty * levels.entry / leverage > budget:
        qty = down(budget * leverage / levels.entry, lot)
    if qty <= 0:
        return None
    # CHOICE: the stored risk_pct is always qty x loss per unit / equity, also where only the lot made it smaller.
    return Size(leverage, qty, 100 * qty * loss / equity)
