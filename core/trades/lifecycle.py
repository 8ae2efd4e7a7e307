"""The life of one plan on the 1-minute path: the one source for live, retro and labels.

Everything here is a plain function of scalars and tuples of scalars. The daemon runs it as it
stands; `core.engine.compiled` compiles the same functions, and both give the same bits.

Shorts need no second set of rules: `mirror_*` multiply every price by the direction (exact in
floating point, and its own inverse) and a bar swaps its high and low. In that signed space a long
and a short are both "stop below, targets above". Percentages are taken of positive prices only.

The stop and the liquidation price in one bar: a plan's liquidation price lies beyond its stop, so
a price that moves inside a bar meets the stop first. Only an open beyond it can liquidate.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

MINUTE = 60_000
NEVER = 1 << 62

STATUS_NAMES = ("PENDING", "OPEN", "TP1", "TP", "TP1_TRAIL", "TRAIL", "SL", "TIME", "EXPIRED", "LIQUIDATED")
PENDING, OPEN, TP1, TP, TP1_TRAIL, TRAIL, SL, TIME, EXPIRED, LIQUIDATED = range(10)

REASON_NAMES = ("", "sl", "sl_gap", "be", "trail", "tp1", "tp2", "time", "never_filled", "gapped",
                "tp1_before_entry", "liquidation", "delisted")
(R_NONE, R_SL, R_SL_GAP, R_BE, R_TRAIL, R_TP1, R_TP2, R_TIME, R_NEVER_FILLED, R_GAPPED,
 R_TP1_BEFORE_ENTRY, R_LIQUIDATION, R_DELISTED) = range(13)


class Order(NamedTuple):
    """A plan as the lifecycle sees it; prices are real (positive), NaN where the plan has none."""

    direction: int  # +1 long, -1 short
    market: bool  # True: taker at the first open; False: resting limit at `entry`
    entry: float
    sl: float
    tp1: float
    tp2: float
    liq: float
    decided_ts: int
    deadline: int  # first minute on which the entry may no longer fill
    tp1_fraction: float
    move_be: bool
    be_cost: float  # break-even lies at fill x (1 + be_cost) for a long; a fraction, 0 = the fill
    trail_mult: float  # NaN: no trail
    max_hold_ms: int  # 0: no limit


class State(NamedTuple):
    """Where a plan stands. Never holds NaN, so two states compare with `==`; 0 means "none"."""

    status: int
    reason: int  # why it ended
    opened_ts: int
    fill: float
    stop: float  # the stop in force
    stop_reason: int  # R_SL, R_BE or R_TRAIL: what set that stop
    best: float  # most favourable price seen in the position (mfe, and the trail's anchor)
    worst: float  # most adverse price seen in the position (mae)
    tp1_ts: int
    tp1_price: float
    closed_ts: int
    exit_price: float


def new_state(order: Order) -> State:
    """A plan just decided: PENDING with its first stop."""
    return State(PENDING, R_NONE, 0, 0.0, order.sl, R_SL, 0.0, 0.0, 0, 0.0, 0, 0.0)


def finished(state: State) -> bool:
    """True once nothing can change any more."""
    return state.status >= TP


def mirror_order(order: Order) -> Order:
    """The order in signed space (prices times direction); applied twice it is the order again."""
    d = order.direction
    return Order(d, order.market, order.entry * d, order.sl * d, order.tp1 * d, order.tp2 * d,
                 order.liq * d, order.decided_ts, order.deadline, order.tp1_fraction, order.move_be,
                 order.be_cost, order.trail_mult, order.max_hold_ms)


def mirror_state(state: State, d: int) -> State:
    """The state in signed space (prices times direction `d`); applied twice it is the state again."""
    # Adding 0.0 keeps "none" a plain zero: -1 x 0.0 would be -0.0.
    return State(state.status, state.reason, state.opened_ts, state.fill * d + 0.0, state.stop * d,
                 state.stop_reason, state.best * d + 0.0, state.worst * d + 0.0, state.tp1_ts,
                 state.tp1_price * d + 0.0, state.closed_ts, state.exit_price * d + 0.0)


# Below, until `step`, prices are signed: s a state, k an order, o h l c a bar.


def _ended(s: State, status: int, reason: int, ts: int) -> State:
    return State(status, reason, s.opened_ts, s.fill, s.stop, s.stop_reason, s.best, s.worst,
                 s.tp1_ts, s.tp1_price, ts, s.exit_price)


def _closed(s: State, status: int, reason: int, ts: int, price: float, best: float, worst: float) -> State:
    if price > best:
        best = price
    if price < worst:
        worst = price
    return State(status, reason, s.opened_ts, s.fill, s.stop, s.stop_reason, best, worst,
                 s.tp1_ts, s.tp1_price, ts, price)


def _stopped(s: State, ts: int, price: float, at_open: bool) -> State:
    # A stop's bar adds only its exit price to the extremes (rule 28).
    status, reason = SL, s.stop_reason
    if s.status == TP1:
        status = TP1_TRAIL
    elif reason == R_TRAIL:
        status = TRAIL
    elif at_open:
        reason = R_SL_GAP
    return _closed(s, status, reason, ts, price, s.best, s.worst)


def _after_tp1(s: State, k: Order, ts: int, price: float) -> State:
    stop, why = s.stop, s.stop_reason
    if k.move_be:
        stop, why = s.fill * (1.0 + k.direction * k.be_cost), R_BE
    return State(TP1, R_NONE, s.opened_ts, s.fill, stop, why, s.best, s.worst, ts, price, 0, 0.0)


def _targets(s: State, k: Order, ts: int, o: float, h: float, low: float) -> State:
    # Limits need a trade strictly through them and fill at an open already beyond them (rule 21).
    worst = low if low < s.worst else s.worst
    if s.status == OPEN and h > k.tp1:
        s = _after_tp1(s, k, ts, o if o > k.tp1 else k.tp1)
        if k.tp1_fraction >= 1.0:
            return _closed(s, TP, R_TP1, ts, s.tp1_price, s.best, worst)
    if s.status == TP1 and h > k.tp2:
        return _closed(s, TP, R_TP2, ts, o if o > k.tp2 else k.tp2, s.best, worst)
    return s


def _with(s: State, stop: float, stop_reason: int, best: float, worst: float) -> State:
    return State(s.status, s.reason, s.opened_ts, s.fill, stop, stop_reason, best, worst,
                 s.tp1_ts, s.tp1_price, s.closed_ts, s.exit_price)


def _time_due(s: State, k: Order) -> int:
    # Open of the first minute whose end reaches the longest hold.
    return s.opened_ts + k.max_hold_ms - MINUTE if k.max_hold_ms > 0 else NEVER


def _bar_end(s: State, k: Order, ts: int, h: float, low: float, c: float) -> State:
    best = h if h > s.best else s.best
    worst = low if low < s.worst else s.worst
    if ts >= _time_due(s, k):
        return _closed(s, TIME, R_TIME, ts, c, best, worst)
    return _with(s, s.stop, s.stop_reason, best, worst)


def _calm(stop: float, liq: float, target: float, h: float, low: float) -> bool:
    # Nothing of a position's is touched by the bar (a NaN level never is).
    return low > stop and not low < liq and not h > target


def _next_target(s: State, k: Order) -> float:
    return k.tp1 if s.status == OPEN else k.tp2


def _inside(s: State, k: Order, ts: int, o: float, h: float, low: float, c: float) -> State:
    # A bar on which the position stands from its open on: stop at the open, stop, targets, time. An
    # open beyond a target takes it before anything inside the bar can happen (rule 23 a).
    target = _next_target(s, k)
    if not _calm(s.stop, k.liq, target, h, low):
        if o <= s.stop:
            return _stopped(s, ts, o, True)
        if low <= s.stop and not o > target:
            return _stopped(s, ts, s.stop, False)
        s = _targets(s, k, ts, o, h, low)
        if s.status >= TP:
            return s
    return _bar_end(s, k, ts, h, low, c)


def _filled(k: Order, ts: int, fill: float) -> State:
    return State(OPEN, R_NONE, ts, fill, k.sl, R_SL, fill, fill, 0, 0.0, 0, 0.0)


def _limit_inside(k: Order, ts: int, low: float, c: float) -> State:
    # Filled somewhere inside the bar: the adverse side counts, the favourable one may lie before it.
    s = _filled(k, ts, k.entry)
    if low <= k.sl:
        return _stopped(s, ts, k.sl, False)
    return _bar_end(s, k, ts, k.entry, low, c)


def _rests(entry: float, tp1: float, h: float, low: float) -> bool:
    # A limit order the bar leaves alone.
    return low >= entry and not h >= tp1


def _pending(s: State, k: Order, ts: int, o: float, h: float, low: float, c: float) -> State:
    if ts < k.decided_ts:
        return s
    if ts >= k.deadline:
        return _ended(s, EXPIRED, R_NEVER_FILLED, k.deadline - MINUTE)
    if not k.market and _rests(k.entry, k.tp1, h, low):
        return s
    if o >= k.tp1:
        return _ended(s, EXPIRED, R_TP1_BEFORE_ENTRY, ts)
    if k.market and o <= k.sl:
        return _ended(s, EXPIRED, R_GAPPED, ts)
    if k.market or o < k.entry:
        return _inside(_filled(k, ts, o), k, ts, o, h, low, c)
    if low < k.entry:
        return _limit_inside(k, ts, low, c)
    return _ended(s, EXPIRED, R_TP1_BEFORE_ENTRY, ts)


def _trails(s: State, k: Order) -> bool:
    # The trail acts from TP1 on, without targets from the fill on; trail_mult NaN = no trail.
    return k.trail_mult == k.trail_mult and (s.status == TP1 or (s.status == OPEN and k.tp1 != k.tp1))


def _trailed(stop: float, best: float, mult: float, atr: float) -> float:
    # The anchor is `best`: no bar before the TP1 bar traded above TP1 while held, so the best since
    # the fill is the best since the TP1 bar (rule 24). On a bar that filled a limit inside it only the
    # fill counts, as its high may lie before the fill (rule 28). A NaN atr moves nothing.
    level = best - mult * atr
    return level if level > stop else stop


def _held(s: State, k: Order, ts: int, o: float, h: float, low: float, c: float, atr: float) -> State:
    if _trails(s, k):
        stop = _trailed(s.stop, s.best, k.trail_mult, atr)  # `best` covers closed minutes only
        if stop > s.stop:
            s = _with(s, stop, R_TRAIL, s.best, s.worst)
    if o < k.liq:
        return _closed(s, LIQUIDATED, R_LIQUIDATION, ts, k.liq, s.best, s.worst)
    return _inside(s, k, ts, o, h, low, c)


def advance(s: State, k: Order, ts: int, o: float, h: float, low: float, c: float, atr: float) -> State:
    """One minute in signed space: state and order mirrored, bar times direction with high and low swapped."""
    if s.status == PENDING:
        return _pending(s, k, ts, o, h, low, c)
    if s.status <= TP1:
        return _held(s, k, ts, o, h, low, c, atr)
    return s


def step(state: State, order: Order, ts: int, o: float, h: float, low: float, c: float, atr: float) -> State:
    """One closed minute of a plan's life (rules 20 to 29).

    ts: open of the minute, ms UTC; o, h, low, c its prices; atr: Wilder's ATR of the last bar of the
    plan's timeframe whose close is at or before `ts`, NaN if there is none (the trail then rests).
    Minutes must come in time order, each once. A finished plan, and a minute before `decided_ts`,
    return the state as it is.
    """
    d = order.direction
    if d < 0:
        h, low = low, h
    signed = advance(mirror_state(state, d), mirror_order(order), ts, o * d, h * d, low * d, c * d, atr)
    return mirror_state(signed, d)


def expire(state: State, order: Order, frontier: int) -> State:
    """A pending plan whose deadline the known minutes have reached: EXPIRED, never filled.

    frontier: every minute before it (ms UTC) is known and has been fed, or is known to be absent.
    """
    if state.status == PENDING and frontier >= order.deadline:
        return _ended(state, EXPIRED, R_NEVER_FILLED, order.deadline - MINUTE)
    return state


def delist(state: State, order: Order, last_ts: int, last_close: float) -> State:
    """The market is gone: an open trade ends at the last close (TIME), a pending one is EXPIRED.

    last_ts: open of the last stored minute, which has been fed; last_close: its close.
    """
    if state.status == PENDING:
        return _ended(state, EXPIRED, R_DELISTED, last_ts)
    if state.status >= TP:
        return state
    d = order.direction
    s = mirror_state(state, d)
    return mirror_state(_closed(s, TIME, R_DELISTED, last_ts, last_close * d, s.best, s.worst), d)


def last_closed(bar_close_ts: Sequence[int], ts: int) -> int:
    """Index of the last bar whose close is at or before `ts`; -1 if none. `bar_close_ts` ascends."""
    lo, hi = 0, len(bar_close_ts)
    while lo < hi:
        mid = (lo + hi) // 2
        if bar_close_ts[mid] <= ts:
            lo = mid + 1
        else:
            hi = mid
    return lo - 1


def _bar_at(bar_close_ts: Sequence[int], j: int, ts: int) -> int:
    # As last_closed, from an index known to be at or before it (-2: unknown).
    if j < -1:
        return last_closed(bar_close_ts, ts)
    while j + 1 < len(bar_close_ts) and bar_close_ts[j + 1] <= ts:
        j += 1
    return j


def _wait(k: Order, ts: Sequence[int], up: Sequence[float], down: Sequence[float], i: int, hi: int) -> int:
    # First minute on which something may happen to a resting limit.
    d = k.direction
    while i < hi and ts[i] < k.deadline and _rests(k.entry, k.tp1, float(up[i]) * d, float(down[i]) * d):
        i += 1
    return i


def _glide(s: State, k: Order, ts: Sequence[int], up: Sequence[float], down: Sequence[float], i: int, hi: int,
           bar_close_ts: Sequence[int], bar_atr: Sequence[float], j: int) -> tuple[State, int, int]:
    # Up to the first minute on which something may happen to a position; only its stop and extremes move.
    d, trails, target, due = k.direction, _trails(s, k), _next_target(s, k), _time_due(s, k)
    stop, best, worst = s.stop, s.best, s.worst
    while i < hi and ts[i] < due:
        high, low = float(up[i]) * d, float(down[i]) * d
        if trails:
            j = _bar_at(bar_close_ts, j, ts[i])
            stop = _trailed(stop, best, k.trail_mult, float(bar_atr[j]) if j >= 0 else math.nan)
        if not _calm(stop, k.liq, target, high, low):
            break
        best = high if high > best else best
        worst = low if low < worst else worst
        i += 1
    return _with(s, stop, R_TRAIL if stop > s.stop else s.stop_reason, best, worst), i, j


def walk(state: State, order: Order, ts: Sequence[int], o: Sequence[float], h: Sequence[float],
         low: Sequence[float], c: Sequence[float], lo: int, hi: int,
         bar_close_ts: Sequence[int], bar_atr: Sequence[float]) -> tuple[State, int]:
    """Feed minutes lo .. hi-1 until the plan ends; returns the state and the first minute not used.

    ts, o, h, low, c: minutes in time order (lists are fastest uncompiled, arrays compiled).
    bar_close_ts, bar_atr: closes (open + timeframe) and Wilder's ATR of the bars of the plan's
    timeframe, ascending; NaN where a bar has none. Any split of the minutes gives the same state,
    and so does `step` minute by minute: what is skipped here is what `step` would leave alone.
    """
    d = order.direction
    s, k, i, j = mirror_state(state, d), mirror_order(order), lo, -2
    up, down = (h, low) if d > 0 else (low, h)
    while i < hi and s.status < TP:
        if s.status > PENDING:
            s, i, j = _glide(s, k, ts, up, down, i, hi, bar_close_ts, bar_atr, j)
        elif not k.market and ts[i] >= k.decided_ts:
            i = _wait(k, ts, up, down, i, hi)
        if i < hi:
            t, atr = int(ts[i]), math.nan
            if _trails(s, k):
                j = _bar_at(bar_close_ts, j, t)
                atr = float(bar_atr[j]) if j >= 0 else math.nan
            s = advance(s, k, t, float(o[i]) * d, float(up[i]) * d, float(down[i]) * d, float(c[i]) * d, atr)
            i += 1
    return mirror_state(s, d), i


def walk_many(orders: Any, start: Sequence[int], ts: Sequence[int], o: Sequence[float], h: Sequence[float],
              low: Sequence[float], c: Sequence[float], bar_close_ts: Sequence[int],
              bar_atr: Sequence[float], frontier: int, out: Any) -> None:
    """Walk many fresh plans of one symbol and timeframe over the same minutes; fills `out`.

    orders: array of `arrays.ORDER`, shape (n,); start: per order the index of its first minute with
    ts >= decided_ts; out: array of `arrays.STATE`, shape (n,); the rest as in `walk`. Plans still
    pending at `frontier` (see `expire`) end there.
    """
    for n in range(len(orders)):
        r = orders[n]
        k = Order(int(r["direction"]), bool(r["market"]), float(r["entry"]), float(r["sl"]), float(r["tp1"]),
                  float(r["tp2"]), float(r["liq"]), int(r["decided_ts"]), int(r["deadline"]),
                  float(r["tp1_fraction"]), bool(r["move_be"]), float(r["be_cost"]), float(r["trail_mult"]),
                  int(r["max_hold_ms"]))
        s, _ = walk(new_state(k), k, ts, o, h, low, c, start[n], len(ts), bar_close_ts, bar_atr)
        s = expire(s, k, frontier)
        w = out[n]
        w["status"] = s.status
        w["reason"] = s.reason
        w["opened_ts"] = s.opened_ts
        w["fill"] = s.fill
        w["stop"] = s.stop
        w["stop_reason"] = s.stop_reason
        w["best"] = s.best
        w["worst"] = s.worst
        w["tp1_ts"] = s.tp1_ts
        w["tp1_price"] = s.tp1_price
        w["closed_ts"] = s.closed_ts
        w["exit_price"] = s.exit_price
