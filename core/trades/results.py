"""The money of a plan, as a pure function of its final state: legs, events, result columns.

All figures are percent of the entry notional (fill x qty), so the quantity cancels. Prices stay raw;
what trading costs stands in columns of its own, positive (rules 14, 26, 27).
"""

from collections.abc import Iterable
from typing import NamedTuple

from core.signals.params import Costs
from core.trades.lifecycle import EXPIRED, OPEN, PENDING, REASON_NAMES, STATUS_NAMES, TP, TP1, Order, State

Settlement = tuple[int, float, float]  # ts, rate, 1m open at ts (the last close before it if absent)


class Leg(NamedTuple):
    """One fill. fraction: share of the quantity; costs in percent of the entry notional."""

    ts: int
    event: str
    price: float
    fraction: float
    fee_pct: float
    slippage_pct: float


class Event(NamedTuple):
    """A row of `trade_events`; price is None for EXPIRED. The fees of a trade's events add up to fees_pct."""

    ts: int
    event: str
    price: float | None
    fraction: float
    fee_pct: float


class TradeRow(NamedTuple):
    """The columns of `trades` that follow from the state; None = NULL."""

    status: str
    opened_ts: int | None = None
    tp1_ts: int | None = None
    closed_ts: int | None = None
    exit_price: float | None = None
    exit_reason: str | None = None
    gross_pct: float | None = None
    fees_pct: float | None = None
    slippage_pct: float | None = None
    funding_pct: float | None = None
    pnl_pct: float | None = None
    pnl_usd: float | None = None
    r_multiple: float | None = None
    mae_pct: float | None = None
    mfe_pct: float | None = None


def leg_costs(costs: Costs, maker: bool) -> tuple[float, float]:
    """Fee and slippage of one leg in percent of that leg's own notional (rule 14).

    maker: whether the leg rests in the book (limit entry, target); it only counts as maker when
    `assume_maker` is set, else every leg pays as a taker.
    """
    if maker and costs.assume_maker:
        return costs.maker_pct, 0.0
    return costs.taker_pct, costs.slippage_pct


def break_even_cost(costs: Costs, market: bool) -> float:
    """How far beyond the fill a stop must lie to lose nothing, as a fraction (rule 23, be_net_of_costs)."""
    return (sum(leg_costs(costs, not market)) + costs.taker_pct + costs.slippage_pct) / 100.0


def legs(order: Order, state: State, costs: Costs) -> list[Leg]:
    """The fills so far, in time order; empty while pending or when expired."""
    if state.fill == 0.0:
        return []
    found = [_leg(order, state, costs, state.opened_ts, "FILL", state.fill, 1.0, not order.market)]
    left = 1.0
    if state.tp1_price > 0.0 and 0.0 < order.tp1_fraction < 1.0:
        left = 1.0 - order.tp1_fraction
        found.append(_leg(order, state, costs, state.tp1_ts, "TP1", state.tp1_price, order.tp1_fraction, True))
    if state.status >= TP:
        name = STATUS_NAMES[state.status]
        found.append(_leg(order, state, costs, state.closed_ts, name, state.exit_price, left, state.status == TP))
    return found


def _leg(order: Order, state: State, costs: Costs, ts: int, event: str, price: float,
         fraction: float, maker: bool) -> Leg:
    fee, slippage = leg_costs(costs, maker)
    share = fraction * price / state.fill
    return Leg(ts, event, price, fraction, fee * share, slippage * share)


def events(order: Order, state: State, costs: Costs) -> list[Event]:
    """Rows of `trade_events`: one per money leg so far, or the one EXPIRED row (rule 25)."""
    if state.status == EXPIRED:
        return [Event(state.closed_ts, "EXPIRED", None, 0.0, 0.0)]
    return [Event(*leg[:5]) for leg in legs(order, state, costs)]


def gross_pct(order: Order, state: State, found: list[Leg]) -> float:
    """Price result of the exit legs in percent of the entry notional."""
    return 100.0 * order.direction * sum(x.fraction * (x.price - state.fill) for x in found[1:]) / state.fill


def funding_pct(order: Order, state: State, settlements: Iterable[Settlement]) -> float:
    """Funding paid in percent of the entry notional; positive = cost (rule 27).

    settlements: (ts, rate, price) in any order; those with opened_ts < ts <= closed_ts count, on the
    quantity left when they fall due. A TP1 in the minute that opens at the settlement comes after it.
    """
    if state.fill == 0.0:
        return 0.0
    total = 0.0
    for ts, rate, price in sorted(settlements):
        if state.opened_ts < ts and (state.status < TP or ts <= state.closed_ts):
            left = 1.0 - order.tp1_fraction if state.tp1_price > 0.0 and state.tp1_ts < ts else 1.0
            total += rate * left * price / state.fill
    return 100.0 * order.direction * total


def funding_known(state: State, first_rate_ts: int | None, last_rate_ts: int | None, fetched_through: int) -> bool:
    """Whether all rates that concern a closed trade are here (rule 27).

    first_rate_ts, last_rate_ts: oldest and newest stored rate of the symbol, ms UTC, None if none;
    fetched_through: the time up to which sync has asked for rates.
    """
    if first_rate_ts is not None and last_rate_ts is not None \
            and first_rate_ts <= state.opened_ts and last_rate_ts > state.closed_ts:
        return True
    return fetched_through >= state.closed_ts


def result(order: Order, state: State, costs: Costs, usd_per_trade: float, funding: float = 0.0) -> TradeRow:
    """All result columns of a plan from its state; money columns are None until it has closed.

    usd_per_trade: notional the percentages are turned into USD with; funding: `funding_pct(...)`.
    An expired plan has no result: only status, closed_ts and exit_reason are set.
    """
    status = STATUS_NAMES[state.status]
    reason, closed = REASON_NAMES[state.reason] or None, state.closed_ts if state.status >= TP else None
    if state.status in (PENDING, EXPIRED):
        return TradeRow(status, closed_ts=closed, exit_reason=reason)
    mae, mfe = _excursions(order, state)
    life = TradeRow(status, state.opened_ts, state.tp1_ts if state.tp1_price > 0.0 else None, closed,
                    mae_pct=mae, mfe_pct=mfe)
    if state.status in (OPEN, TP1):
        return life
    found = legs(order, state, costs)
    gross = gross_pct(order, state, found)
    fees, slippage = sum(x.fee_pct for x in found), sum(x.slippage_pct for x in found)
    pnl = gross - fees - slippage - funding
    return life._replace(exit_price=state.exit_price, exit_reason=reason, gross_pct=gross, fees_pct=fees,
                         slippage_pct=slippage, funding_pct=funding, pnl_pct=pnl,
                         pnl_usd=pnl / 100.0 * usd_per_trade, r_multiple=pnl / planned_risk_pct(order))


def _excursions(order: Order, state: State) -> tuple[float, float]:
    scale = 100.0 * order.direction / state.fill
    return scale * (state.worst - state.fill), scale * (state.best - state.fill)


def planned_risk_pct(order: Order) -> float:
    """Distance from entry to stop as planned, in percent of the entry: one R."""
    return 100.0 * abs(order.entry - order.sl) / order.entry
