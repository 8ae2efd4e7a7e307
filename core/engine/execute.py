"""Follow every unfinished plan over the minutes that have become known."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from core import timeframe
from core.engine import announce, params, rows
from core.engine.context import Context
from core.engine.funding import Book
from core.engine.isolate import each_symbol
from core.engine.params import Terms
from core.signals.indicators import BLOCK, Indicators
from core.store import candles, signals
from core.store.candles import Con, Series, Symbol
from core.store.signals import Trade
from core.timeframe import MINUTE
from core.trades.lifecycle import OPEN, TP, Order, State, delist, expire, walk

_CHUNK = 10_000  # minutes walked in one read: bounds memory after a long outage

Minutes = tuple[list[int], list[float], list[float], list[float], list[float]]


class Change(NamedTuple):
    """A trade whose state moved, with what is needed to write it."""

    trade: Trade
    order: Order
    state: State
    terms: Terms


def execute(ctx: Context, now: int, failed: dict[str, str]) -> int:
    """Walk the open trades of every symbol up to what is scanned; returns trades that changed.

    A symbol's minutes are followed only as far as its bars are decided, so that a signal decided late
    still meets every minute of its life.
    """
    with ctx.db.lock:
        symbols = candles.symbols(ctx.db.con, ctx.exchange_id)
        series = candles.series(ctx.db.con, ctx.exchange_id)
        ended = {symbol for (symbol, tf), row in series.items() if tf == "1m" and row.ended_ts is not None}
        work = {
            s: info
            for s, info in symbols.items()
            if info.scanned_ts is not None and (info.scanned_ts != info.followed_ts or s in ended)
        }
        if not work:
            return 0
        trades = signals.open_trades(ctx.db.con, ctx.exchange_id)
        changes: dict[str, list[Change]] = {}

        def follow(symbol: str) -> None:
            changes[symbol] = _follow(ctx, symbol, work[symbol], series, trades.get(work[symbol].id, ()))

        done = each_symbol(None, work, follow, failed)
    return _write(ctx, {s: (work[s], series[s, "1m"], changes[s]) for s in done}, failed, now)


def _write(
    ctx: Context, work: Mapping[str, tuple[Symbol, Series, list[Change]]], failed: dict[str, str], now: int
) -> int:
    # What nobody is told of (a new best price) may be lost in a power cut: it would be found again.
    told = any(c.state.status != rows.state_of(c.trade.state).status for _, _, found in work.values() for c in found)
    with ctx.db.write(durable=told) as con:

        def save(symbol: str) -> None:
            info, one_minute, found = work[symbol]
            write(ctx, con, symbol, info, one_minute, found)
            for c in found:
                if c.trade.verdict == "pass":
                    announce.moved(ctx, con, c.trade.n, rows.state_of(c.trade.state), c.state, now)

        done = each_symbol(ctx.db, work, save, failed)
        candles.set_watermarks(con, "followed_ts", [(work[s][0].scanned_ts or 0, work[s][0].id) for s in done])
    return sum(len(work[s][2]) for s in done)


def _follow(
    ctx: Context, symbol: str, info: Symbol, series: dict[tuple[str, str], Series], trades: Sequence[Trade]
) -> list[Change]:
    if not trades:
        return []
    con, one_minute = ctx.db.con, series[symbol, "1m"]
    end = info.scanned_ts or 0
    start = info.followed_ts if info.followed_ts is not None else min(t.decided_ts for t in trades)
    known = _terms(ctx, con, trades)
    orders = {t.n: rows.trade_order(t, known[t.config_hash]) for t in trades}
    states = {t.n: rows.state_of(t.state) for t in trades}
    for a in range(start, end, _CHUNK * MINUTE):
        b = min(end, a + _CHUNK * MINUTE)
        minutes = _columns(candles.minutes(con, one_minute.id, a, b))
        for t in trades:
            states[t.n] = _walk(ctx, con, series, t, orders[t.n], states[t.n], minutes, b, known[t.config_hash])
    if one_minute.ended_ts is not None:
        close = candles.price_at(con, one_minute.id, one_minute.ended_ts + 1) or 0.0
        states = {n: delist(state, orders[n], one_minute.ended_ts, close) for n, state in states.items()}
    return [
        Change(t, orders[t.n], states[t.n], known[t.config_hash])
        for t in trades
        if states[t.n] != rows.state_of(t.state)
    ]


def _terms(ctx: Context, con: Con, trades: Sequence[Trade]) -> dict[str, Terms]:
    # A trade is followed under the configuration it was made with, even when that has changed since.
    if any(t.config_hash not in ctx.terms for t in trades):
        ctx.terms = {name: params.terms(body) for name, body in signals.configs(con).items()}
    return ctx.terms


def _columns(found: Sequence[tuple[int, float, float, float, float]]) -> Minutes:
    ts, o, h, lo, c = zip(*found, strict=True) if found else ((), (), (), (), ())
    return list(ts), list(o), list(h), list(lo), list(c)


def _walk(
    ctx: Context,
    con: Con,
    series: dict[tuple[str, str], Series],
    t: Trade,
    order: Order,
    state: State,
    minutes: Minutes,
    end: int,
    terms: Terms,
) -> State:
    if state.status >= TP:
        return state
    ts = minutes[0]
    if ts:
        closes, atr = _trail(ctx, con, series, t, order, state, ts, terms)
        state, _ = walk(state, order, *minutes, 0, len(ts), closes, atr)
    return expire(state, order, end)


def _trail(
    ctx: Context,
    con: Con,
    series: dict[tuple[str, str], Series],
    t: Trade,
    order: Order,
    state: State,
    ts: Sequence[int],
    terms: Terms,
) -> tuple[list[int], list[float]]:
    # Only a trade that can trail within these minutes needs an ATR: one past its first target, or without
    # targets, at the start of them; or any, when there is more than one minute.
    trailing = state.status > OPEN or (state.status == OPEN and order.tp1 != order.tp1)
    if order.trail_mult != order.trail_mult or (len(ts) == 1 and not trailing):
        return [], []
    size, period = timeframe.ms(t.timeframe), terms.trail_period
    row = series[t.symbol, t.timeframe]
    first, last = timeframe.floor(ts[0], size) - size, timeframe.floor(ts[-1], size)
    key = (row.id, period, first)
    if len(ts) == 1 and key in ctx.atr_cache:
        return [first + size], [ctx.atr_cache[key]]
    bars = candles.tail(con, row.id, size, last, (last - first) // size + 2 * BLOCK + 1)
    lo = max(0, int(bars.ts.searchsorted(first, "right")) - 1)
    atr = Indicators(bars, period, ctx.kernels).atr_array(lo, len(bars)).tolist()
    if len(ts) == 1 and atr:
        ctx.atr_cache = {k: v for k, v in ctx.atr_cache.items() if k[:2] != key[:2]} | {key: atr[-1]}
    return [int(x) + size for x in bars.ts[lo:]], atr


def settle(ctx: Context, con: Con, symbol: str, info: Symbol, since: int, through: int) -> int:
    """Recompute the trades that newly known rates with since <= ts <= through concern (rule 27); returns how many."""
    one_minute = candles.one_series(con, ctx.exchange_id, symbol, "1m")
    trades = signals.closed_trades(con, info.id, through, since)
    known = _terms(ctx, con, trades)
    changes = [
        Change(t, rows.trade_order(t, known[t.config_hash]), rows.state_of(t.state), known[t.config_hash])
        for t in trades
    ]
    write(ctx, con, symbol, info, one_minute, changes)
    return len(trades)


def write(ctx: Context, con: Con, symbol: str, info: Symbol, one_minute: Series, changes: Sequence[Change]) -> None:
    """Write the rows and events of trades; the money follows from state, candles and rates alone."""
    if not changes:
        return
    since = min((c.state.opened_ts for c in changes if c.state.opened_ts), default=0)
    book = Book(con, ctx.exchange_id, symbol, one_minute.id, info.funding_ts, since)
    for c in changes:
        row = rows.outcome(c.order, c.state, c.terms, *book.paid(c.order, c.state, c.terms))
        signals.save_position(con, c.trade.n, info.id, row.state, row.money)
        signals.add_events(con, c.trade.n, row.events)
