"""Rules 26 to 28: what a finished plan brought, in percent of its entry notional."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tests.reference.resample import MINUTE

if TYPE_CHECKING:
    from tests.reference.lifecycle import Plan, Trade

Params = dict[str, Any]
FINISHED = ("TP", "TP1_TRAIL", "TRAIL", "SL", "TIME", "LIQUIDATED")
MONEY = ("exit_price", "gross_pct", "fees_pct", "slippage_pct", "funding_pct", "funding_known", "pnl_pct", "pnl_usd",
         "r_multiple")


def leg_costs(params: Params, limit: bool) -> tuple[float, float]:
    """Fee and slippage of a leg in % of its own notional: a limit order may be a maker (rule 14)."""
    rules = params["signals"]
    if limit and rules["fees"]["assume_maker"]:
        return rules["fees"]["maker_pct"], 0.0
    return rules["fees"]["taker_pct"], rules["slippage_pct"]


def price_at(minutes: Sequence[Sequence[float]], settlement: int) -> float:
    """Open of the minute of a settlement, or the last close before it (rule 27)."""
    # CHOICE: a settlement stamped some ms after a full minute is priced at the open of the minute that holds it.
    ts = settlement - settlement % MINUTE
    k = bisect_left(minutes, ts, key=itemgetter(0))
    if k < len(minutes) and minutes[k][0] == ts:
        return minutes[k][1]
    return minutes[k - 1][4]


def funding_pct(trade: "Trade", plan: "Plan", long: bool, minutes: Sequence[Sequence[float]],
                funding: Sequence[tuple[int, float]]) -> float:
    """Funding paid (positive) or received, in % of the entry notional."""
    # CHOICE: at a settlement the position is what it was before that minute's own events (a TP1 in the
    # same minute comes after it); this goes with opened_ts < s <= closed_ts.
    assert trade.opened_ts is not None and trade.closed_ts is not None
    total = 0.0
    for ts, rate in funding:
        if trade.opened_ts < ts <= trade.closed_ts:
            whole = trade.tp1_ts is None or ts <= trade.tp1_ts
            left = 1.0 if whole else 1.0 - plan.tp1_fraction
            paid = 100 * rate * left * price_at(minutes, ts) / trade.fill
            total = total + (paid if long else -paid)
    return total


def rates_around(trade: "Trade", funding: Sequence[tuple[int, float]]) -> int:
    """1 if a rate is stored at or before the opening and one after the close (rule 27)."""
    opened, closed = trade.opened_ts or 0, trade.closed_ts or 0
    return int(any(ts <= opened for ts, _ in funding) and any(ts > closed for ts, _ in funding))


def excursions(trade: "Trade", long: bool) -> tuple[float | None, float | None]:
    """mae_pct <= 0 <= mfe_pct in % of the fill; None for a plan that never became a position."""
    if trade.opened_ts is None or trade.worst_seen is None or trade.best_seen is None:
        return None, None
    worst = 100 * (trade.worst_seen - trade.fill) / trade.fill
    best = 100 * (trade.best_seen - trade.fill) / trade.fill
    if not long:
        worst, best = -worst, -best
    return min(0.0, worst), max(0.0, best)


def events(plan: "Plan", trade: "Trade", params: Params) -> list[dict[str, Any]]:
    """One row per money leg, and one for an expiry (rule 25)."""
    # CHOICE: fee_pct of an event is the leg's fee in % of the entry notional, so that they add up to fees_pct.
    if trade.status == "EXPIRED":
        return [{"ts": trade.closed_ts, "event": "EXPIRED", "price": None, "fraction": None, "fee_pct": None}]
    if trade.opened_ts is None:
        return []
    fee = leg_costs(params, limit=not plan.market)[0]
    rows = [{"ts": trade.opened_ts, "event": "FILL", "price": trade.fill, "fraction": 1.0, "fee_pct": fee}]
    for leg in trade.legs:
        fee = leg_costs(params, leg.target)[0] * leg.fraction * leg.price / trade.fill
        rows.append({"ts": leg.ts, "event": leg.event, "price": leg.price, "fraction": leg.fraction, "fee_pct": fee})
    return rows


def account(signal: Mapping[str, Any], plan: "Plan", trade: "Trade", params: Params,
            minutes: Sequence[Sequence[float]], funding: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """The money columns of a finished trade (rule 26)."""
    long = signal["direction"] == "long"
    fees, slippage = leg_costs(params, limit=not plan.market)
    gross = 0.0
    for leg in trade.legs:
        won = leg.price - trade.fill if long else trade.fill - leg.price
        fee, slip = leg_costs(params, leg.target)
        gross = gross + 100 * leg.fraction * won / trade.fill
        fees = fees + fee * leg.fraction * leg.price / trade.fill
        slippage = slippage + slip * leg.fraction * leg.price / trade.fill
    # CHOICE: `execution.funding: false` means that no funding is counted.
    paid = funding_pct(trade, plan, long, minutes, funding) if params["execution"]["funding"] else 0.0
    pnl = gross - fees - slippage - paid
    return {"exit_price": trade.legs[-1].price, "gross_pct": gross, "fees_pct": fees, "slippage_pct": slippage,
            "funding_pct": paid, "funding_known": rates_around(trade, funding), "pnl_pct": pnl,
            "pnl_usd": pnl / 100 * params["signals"]["evaluation"]["usd_per_trade"],
            "r_multiple": pnl / (100 * abs(signal["entry"] - signal["sl"]) / signal["entry"])}


def results(signal: Mapping[str, Any], plan: "Plan", trade: "Trade", params: Params,
            minutes: Sequence[Sequence[float]], funding: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """All columns of the trade and its events."""
    # CHOICE: the money columns of a trade that has not ended are NULL; its excursions so far are shown.
    mae, mfe = excursions(trade, signal["direction"] == "long")
    finished = trade.status in FINISHED
    money = account(signal, plan, trade, params, minutes, funding) if finished else dict.fromkeys(MONEY)
    return {"status": trade.status, "opened_ts": trade.opened_ts, "tp1_ts": trade.tp1_ts, "closed_ts": trade.closed_ts,
            "exit_reason": trade.reason, "mae_pct": mae, "mfe_pct": mfe, **money,
            "events": events(plan, trade, params)}
