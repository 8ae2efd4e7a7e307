"""Rules 20 to 29: the life of one plan on the 1-minute path, bar by bar, long and short written out.

No sign tricks: each price test stands once for a long and once for a short, so that it can be read
against the rules.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from tests.reference.money import results
from tests.reference.resample import MINUTE, TIMEFRAMES, Bar, minute
from tests.reference.signals import MARKET_SETUPS, AtrAt, remembered, setup_params

Params = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What of a signal and the config decides its life."""

    market: bool
    entry: float
    sl: float
    tp1: float | None
    tp2: float | None
    liq: float
    decided_ts: int
    deadline: int
    tp1_fraction: float
    be_move: bool
    be_share: float  # what break-even adds to the fill, as a share of it
    trail_mult: float | None
    hold_ms: int  # 0 = off


@dataclass
class Leg:
    """Part of the position that was closed."""

    ts: int
    event: str
    price: float
    fraction: float
    target: bool


@dataclass
class Trade:
    """State of a plan between two minutes."""

    status: str = "PENDING"
    reason: str | None = None
    opened_ts: int | None = None
    fill: float = 0.0
    at_open: bool = False  # filled at the open of its minute
    stop: float = 0.0
    stop_kind: str = "sl"  # sl, be, trail
    best: float | None = None  # best price of the minutes closed since the trail began
    tp1_ts: int | None = None
    closed_ts: int | None = None
    left: float = 1.0
    legs: list[Leg] = field(default_factory=list)
    worst_seen: float | None = None  # most adverse price
    best_seen: float | None = None  # most favourable price


LIVING = ("PENDING", "OPEN", "TP1")


def is_over(trade: Trade) -> bool:
    """True once the plan has ended."""
    return trade.status not in LIVING


def plan_of(signal: Mapping[str, Any], params: Params) -> Plan:
    """Collect what decides a signal's life out of its row and the config."""
    tf, market = TIMEFRAMES[signal["timeframe"]], signal["setup"] in MARKET_SETUPS
    rules, execution, risk = params["signals"], params["execution"], params["risk"]
    own = setup_params(params, signal["setup"])
    taker, slip = rules["fees"]["taker_pct"], rules["slippage_pct"]
    entry_cost = rules["fees"]["maker_pct"] if rules["fees"]["assume_maker"] and not market else taker + slip
    # CHOICE: liq is rule 16's, from the planned entry, not rounded and not moved by the fill.
    side, margin = 1 / signal["leverage"], risk["maintenance_margin_pct"] / 100
    liq = signal["entry"] * (1 - side + margin if signal["direction"] == "long" else 1 + side - margin)
    # CHOICE: a market order waits one bar of its timeframe, so its deadline is decided_ts + timeframe.
    wait = tf if market else rules["validity_candles"] * tf
    # CHOICE: `execution.trail.use` rules the trail after TP1; the trailed setups always trail.
    after_tp1 = execution["trail"]["atr_mult"] if execution["trail"]["use"] else None
    return Plan(market=market, entry=signal["entry"], sl=signal["sl"], tp1=signal["tp1"], tp2=signal["tp2"], liq=liq,
                decided_ts=signal["decided_ts"], deadline=signal["decided_ts"] + wait,
                tp1_fraction=execution["tp1_fraction"], be_move=execution["move_sl_to_be_on_tp1"],
                be_share=(entry_cost + taker + slip) / 100 if execution["be_net_of_costs"] else 0.0,
                trail_mult=own["trail_atr"] if market else after_tp1,
                hold_ms=(own["max_hold_candles"] if market else execution["max_hold_candles"]) * tf)


# --- what long and short share -------------------------------------------------------------------------

def expire(trade: Trade, ts: int, reason: str) -> None:
    """End a plan that never became a position."""
    trade.status, trade.reason, trade.closed_ts = "EXPIRED", reason, ts


def open_at(trade: Trade, plan: Plan, bar: Bar, price: float, at_open: bool) -> None:
    """Fill the entry."""
    trade.status, trade.opened_ts, trade.fill, trade.at_open = "OPEN", bar.ts, price, at_open
    trade.stop = plan.sl


def end(trade: Trade, bar: Bar, status: str, reason: str, price: float, target: bool = False) -> None:
    """Close all that is left."""
    trade.legs.append(Leg(bar.ts, status, price, trade.left, target))
    trade.status, trade.reason, trade.closed_ts, trade.left = status, reason, bar.ts, 0.0


def stop_out(trade: Trade, plan: Plan, bar: Bar, price: float, gap: bool) -> None:
    """Close at a stop, named after what had moved it (rules 19c and 25)."""
    # CHOICE: sl_gap is the first stop hit at the open, before TP1; after TP1 the names are be, trail, sl only.
    if trade.tp1_ts is not None:
        end(trade, bar, "TP1_TRAIL", trade.stop_kind, price)
    elif trade.stop_kind == "trail":
        end(trade, bar, "TRAIL", "trail", price)
    else:
        end(trade, bar, "SL", "sl_gap" if gap else "sl", price)


def take_tp1(trade: Trade, plan: Plan, bar: Bar, price: float) -> None:
    """TP1: close its fraction (1: everything), or nothing but move the stop (0)."""
    if plan.tp1_fraction == 1:
        trade.tp1_ts = bar.ts
        end(trade, bar, "TP", "tp1", price, target=True)
        return
    # CHOICE: with tp1_fraction 0 there is no money leg, so no event TP1.
    if plan.tp1_fraction > 0:
        trade.legs.append(Leg(bar.ts, "TP1", price, plan.tp1_fraction, True))
    trade.status, trade.tp1_ts, trade.left = "TP1", bar.ts, 1 - plan.tp1_fraction


def take_tp2(trade: Trade, bar: Bar, price: float) -> None:
    """TP2: close the rest."""
    end(trade, bar, "TP", "tp2", price, target=True)


def time_is_up(trade: Trade, plan: Plan, bar: Bar) -> bool:
    """True at the first minute whose end reaches the maximum hold."""
    assert trade.opened_ts is not None
    return plan.hold_ms > 0 and bar.ts + MINUTE >= trade.opened_ts + plan.hold_ms


# --- long ----------------------------------------------------------------------------------------------

def saw_long(trade: Trade, *prices: float) -> None:
    """Count prices for the excursions (rule 28)."""
    trade.worst_seen = min(p for p in (trade.worst_seen, *prices) if p is not None)
    trade.best_seen = max(p for p in (trade.best_seen, *prices) if p is not None)


def pending_long(trade: Trade, plan: Plan, bar: Bar) -> None:
    """A minute of a resting long order (rules 19c and 22)."""
    if plan.market:
        if bar.open <= plan.sl:
            return expire(trade, bar.ts, "gapped")
        open_at(trade, plan, bar, bar.open, at_open=True)
        return rest_of_bar_long(trade, plan, bar)
    assert plan.tp1 is not None
    if bar.open >= plan.tp1:
        return expire(trade, bar.ts, "tp1_before_entry")
    if bar.open < plan.entry:
        open_at(trade, plan, bar, bar.open, at_open=True)
        if bar.open <= plan.sl:
            stop_out(trade, plan, bar, bar.open, gap=True)
            return saw_long(trade, bar.open)
        return rest_of_bar_long(trade, plan, bar)
    if bar.low < plan.entry:
        open_at(trade, plan, bar, plan.entry, at_open=False)
        if bar.low <= plan.sl:
            stop_out(trade, plan, bar, plan.sl, gap=False)
            return saw_long(trade, plan.sl)
        return saw_long(trade, bar.low)
    if bar.high >= plan.tp1:
        expire(trade, bar.ts, "tp1_before_entry")
    return None


def rest_of_bar_long(trade: Trade, plan: Plan, bar: Bar) -> None:
    """What follows the open: the stop, then TP1, then TP2 (rule 23 b and c), then the excursions."""
    if bar.low <= trade.stop:
        level = trade.stop
        stop_out(trade, plan, bar, level, gap=False)
        return saw_long(trade, level)
    if plan.tp1 is not None and trade.tp1_ts is None and bar.high > plan.tp1:
        take_tp1(trade, plan, bar, plan.tp1)
    if plan.tp2 is not None and trade.status == "TP1" and bar.high > plan.tp2:
        take_tp2(trade, bar, plan.tp2)
    return after_targets_long(trade, plan, bar)


def after_targets_long(trade: Trade, plan: Plan, bar: Bar) -> None:
    """Excursions, the break-even stop and the best price at the end of a minute that no stop ended."""
    if is_over(trade):  # a target ended it: the adverse extreme and the exit price
        # CHOICE: also where the target was filled at the open.
        return saw_long(trade, bar.low, trade.legs[-1].price)
    # CHOICE: the minute of a TP1 that leaves a rest is a held minute: all of it counts for the excursions.
    saw_long(trade, bar.low, bar.high)
    if trade.tp1_ts == bar.ts and plan.be_move:
        trade.stop, trade.stop_kind = trade.fill * (1 + plan.be_share), "be"
    if plan.market or trade.tp1_ts is not None:
        trade.best = bar.high if trade.best is None else max(trade.best, bar.high)
    return None


def held_long(trade: Trade, plan: Plan, bar: Bar, atr: float | None) -> None:
    """A minute of an open long (rule 23)."""
    if plan.trail_mult is not None and trade.best is not None and atr is not None:
        # CHOICE: the exit is called `trail` once the trail lies strictly beyond the stop it found, else `be` or `sl`.
        level = trade.best - plan.trail_mult * atr
        if level > trade.stop:
            trade.stop, trade.stop_kind = level, "trail"
    # CHOICE: liquidation at an open strictly beyond liq goes before any stop, also after TP1 (status LIQUIDATED).
    if bar.open < plan.liq:
        end(trade, bar, "LIQUIDATED", "liquidation", plan.liq)
        return saw_long(trade, plan.liq)
    if bar.open <= trade.stop:
        stop_out(trade, plan, bar, bar.open, gap=True)
        return saw_long(trade, bar.open)
    if plan.tp1 is None or plan.tp2 is None:
        return rest_of_bar_long(trade, plan, bar)
    if trade.tp1_ts is None and bar.open > plan.tp1:
        take_tp1(trade, plan, bar, bar.open)
        if trade.status == "TP1" and bar.open > plan.tp2:
            take_tp2(trade, bar, bar.open)
        elif trade.status == "TP1" and bar.high > plan.tp2:
            take_tp2(trade, bar, plan.tp2)
        return after_targets_long(trade, plan, bar)
    if trade.tp1_ts is not None and bar.open > plan.tp2:
        take_tp2(trade, bar, bar.open)
        return after_targets_long(trade, plan, bar)
    return rest_of_bar_long(trade, plan, bar)


# --- short ---------------------------------------------------------------------------------------------

def saw_short(trade: Trade, *prices: float) -> None:
    """Count prices for the excursions (rule 28)."""
    trade.worst_seen = max(p for p in (trade.worst_seen, *prices) if p is not None)
    trade.best_seen = min(p for p in (trade.best_seen, *prices) if p is not None)


def pending_short(trade: Trade, plan: Plan, bar: Bar) -> None:
    """A minute of a resting short order (rules 19c and 22)."""
    if plan.market:
        if bar.open >= plan.sl:
            return expire(trade, bar.ts, "gapped")
        open_at(trade, plan, bar, bar.open, at_open=True)
        return rest_of_bar_short(trade, plan, bar)
    assert plan.tp1 is not None
    if bar.open <= plan.tp1:
        return expire(trade, bar.ts, "tp1_before_entry")
    if bar.open > plan.entry:
        open_at(trade, plan, bar, bar.open, at_open=True)
        if bar.open >= plan.sl:
            stop_out(trade, plan, bar, bar.open, gap=True)
            return saw_short(trade, bar.open)
        return rest_of_bar_short(trade, plan, bar)
    if bar.high > plan.entry:
        open_at(trade, plan, bar, plan.entry, at_open=False)
        if bar.high >= plan.sl:
            stop_out(trade, plan, bar, plan.sl, gap=False)
            return saw_short(trade, plan.sl)
        return saw_short(trade, bar.high)
    if bar.low <= plan.tp1:
        expire(trade, bar.ts, "tp1_before_entry")
    return None


def rest_of_bar_short(trade: Trade, plan: Plan, bar: Bar) -> None:
    """What follows the open: the stop, then TP1, then TP2 (rule 23 b and c), then the excursions."""
    if bar.high >= trade.stop:
        level = trade.stop
        stop_out(trade, plan, bar, level, gap=False)
        return saw_short(trade, level)
    if plan.tp1 is not None and trade.tp1_ts is None and bar.low < plan.tp1:
        take_tp1(trade, plan, bar, plan.tp1)
    if plan.tp2 is not None and trade.status == "TP1" and bar.low < plan.tp2:
        take_tp2(trade, bar, plan.tp2)
    return after_targets_short(trade, plan, bar)


def after_targets_short(trade: Trade, plan: Plan, bar: Bar) -> None:
    """Excursions, the break-even stop and the best price at the end of a minute that no stop ended."""
    if is_over(trade):
        return saw_short(trade, bar.high, trade.legs[-1].price)
    saw_short(trade, bar.low, bar.high)
    if trade.tp1_ts == bar.ts and plan.be_move:
        trade.stop, trade.stop_kind = trade.fill * (1 - plan.be_share), "be"
    if plan.market or trade.tp1_ts is not None:
        trade.best = bar.low if trade.best is None else min(trade.best, bar.low)
    return None


def held_short(trade: Trade, plan: Plan, bar: Bar, atr: float | None) -> None:
    """A minute of an open short (rule 23)."""
    if plan.trail_mult is not None and trade.best is not None and atr is not None:
        level = trade.best + plan.trail_mult * atr
        if level < trade.stop:
            trade.stop, trade.stop_kind = level, "trail"
    if bar.open > plan.liq:
        end(trade, bar, "LIQUIDATED", "liquidation", plan.liq)
        return saw_short(trade, plan.liq)
    if bar.open >= trade.stop:
        stop_out(trade, plan, bar, bar.open, gap=True)
        return saw_short(trade, bar.open)
    if plan.tp1 is None or plan.tp2 is None:
        return rest_of_bar_short(trade, plan, bar)
    if trade.tp1_ts is None and bar.open < plan.tp1:
        take_tp1(trade, plan, bar, bar.open)
        if trade.status == "TP1" and bar.open < plan.tp2:
            take_tp2(trade, bar, bar.open)
        elif trade.status == "TP1" and bar.low < plan.tp2:
            take_tp2(trade, bar, plan.tp2)
        return after_targets_short(trade, plan, bar)
    if trade.tp1_ts is not None and bar.open < plan.tp2:
        take_tp2(trade, bar, bar.open)
        return after_targets_short(trade, plan, bar)
    return rest_of_bar_short(trade, plan, bar)


# --- the walk ------------------------------------------------------------------------------------------

def last_closed(bars: Sequence[Bar], tf: int, now: int) -> int | None:
    """Index of the last bar whose close is at or before `now`, the open of a minute (rule 24)."""
    i = bisect_right(bars, now - tf, key=lambda bar: bar.ts) - 1
    return i if i >= 0 else None


def one_minute(trade: Trade, plan: Plan, long: bool, bar: Bar, atr: float | None) -> None:
    """Feed one minute to a living plan."""
    if trade.status == "PENDING":
        if bar.ts >= plan.deadline:
            expire(trade, plan.deadline - MINUTE, "never_filled")
        else:
            (pending_long if long else pending_short)(trade, plan, bar)
    else:
        (held_long if long else held_short)(trade, plan, bar, atr)
    # CHOICE: the maximum hold may also end the rest at the close of the minute of a TP1.
    if trade.status in ("OPEN", "TP1") and time_is_up(trade, plan, bar):
        end(trade, bar, "TIME", "time", bar.close)


def walk(trade: Trade, plan: Plan, long: bool, minutes: Sequence[Sequence[float]], bars: Sequence[Bar], tf: int,
         atr_at: AtrAt, frontier: int) -> None:
    """Feed the minutes from decided_ts on that are known by `frontier`, until the plan has ended."""
    # CHOICE: the trail is looked at on stored minutes only; a bar that closes in a hole acts at the minute after it.
    for k in range(bisect_left(minutes, plan.decided_ts, key=itemgetter(0)), len(minutes)):
        bar = minute(minutes[k])
        if bar.ts + MINUTE > frontier or is_over(trade):
            break
        held = trade.best is not None and plan.trail_mult is not None
        i = last_closed(bars, tf, bar.ts) if held else None
        one_minute(trade, plan, long, bar, None if i is None else atr_at(i))
    if trade.status == "PENDING" and frontier >= plan.deadline:
        expire(trade, plan.deadline - MINUTE, "never_filled")


def delist(trade: Trade, minutes: Sequence[Sequence[float]]) -> None:
    """The exchange lists the symbol no more: all ends at the last stored minute (rule 25)."""
    bar = minute(minutes[-1])
    if trade.status == "PENDING":
        expire(trade, bar.ts, "delisted")
    elif not is_over(trade):
        end(trade, bar, "TIME", "delisted", bar.close)


def follow(signal: Mapping[str, Any], minutes: Sequence[Sequence[float]], bars: Sequence[Bar], params: Params,
           funding: Sequence[tuple[int, float]], frontier: int, ended: bool = False,
           atr_at: AtrAt | None = None) -> dict[str, Any]:
    """The `trades` row of a signal, and `events`: its `trade_events` rows.

    minutes: stored 1m rows (ts, o, h, l, c, v), ascending. bars: those of the signal's timeframe.
    funding: (ts, rate), ascending. frontier: end of the last known minute. ended: the symbol was
    delisted. atr_at: ATR(`trail.atr_period`) by index of `bars`, to share it among plans.
    """
    plan, trade, tf = plan_of(signal, params), Trade(), TIMEFRAMES[signal["timeframe"]]
    long = signal["direction"] == "long"
    atr_at = atr_at or remembered(bars, params["execution"]["trail"]["atr_period"], tf)
    walk(trade, plan, long, minutes, bars, tf, atr_at, frontier)
    if ended:
        delist(trade, minutes)
    return results(signal, plan, trade, params, minutes, funding)
