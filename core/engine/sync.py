"""Fetch the minutes (and funding rates) that are missing up to now, for all symbols at once."""

import logging
from dataclasses import dataclass, field, replace

from core import timeframe
from core.engine.context import Context
from core.engine.execute import settle
from core.engine.frontier import CONFIRM_MS
from core.engine.pages import Stored, Window, ask, store_page
from core.errors import DataError, Rejected, TraderError
from core.market.exchange import Exchange, Page
from core.store import candles, funding, runs, signals
from core.timeframe import DAY, HOUR, MINUTE

log = logging.getLogger(__name__)

MARKET_REFRESH = DAY
_UNLISTED = "unlisted"
_FUNDING_FROM = "funding_from"
FUNDING_OVERLAP = DAY  # a settlement may be published late


@dataclass(slots=True)
class Synced:
    """What one sync did: rows, and per symbol what went wrong."""

    stored: Stored = field(default_factory=Stored)
    errors: dict[str, TraderError] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)


def sync(ctx: Context, now: int, deadline: float) -> Synced:
    """Bring every symbol's minutes up to now; a symbol that fails waits for the next tick.

    deadline: monotonic seconds after which no further page is asked for.
    """
    exchange = _exchange(ctx)
    done = Synced()
    until = timeframe.floor(_time(exchange) - ctx.cfg.incremental.settle_seconds * 1000, MINUTE)
    todo = _first_windows(ctx, until)
    while todo and ctx.clock.monotonic() <= deadline:
        todo = _round(ctx, exchange, todo, until, now, done)
    _delisted(ctx, exchange, done, now)
    _funding(ctx, exchange, exchange.now(), done)
    return done


def wanted(ctx: Context) -> list[str]:
    """Configured symbols, and those taken out of the configuration while they have unfinished plans (rule 25)."""
    with ctx.db.lock:
        known = candles.symbols(ctx.db.con, ctx.exchange_id)
        others = {s: known[s].id for s in known.keys() - set(ctx.cfg.symbols)}
        followed = signals.open_trades(ctx.db.con, ctx.exchange_id) if others else {}
    return [*ctx.cfg.symbols, *sorted(s for s, n in others.items() if n in followed)]


def markets(ctx: Context, now: int, *, force: bool = False) -> None:
    """Ask for tick, lot and least notional of every symbol, at most once a day. Raises Transient."""
    with ctx.db.lock:
        known = candles.symbols(ctx.db.con, ctx.exchange_id)
    stale = [
        s
        for s in ctx.cfg.symbols
        if force or known[s].info_ts is None or now - (known[s].info_ts or 0) >= MARKET_REFRESH
    ]
    if not stale:
        return
    exchange = _exchange(ctx)
    found = exchange.run(exchange.markets(list(stale)))
    with ctx.db.write(durable=False) as con:
        for symbol, info in found.items():
            candles.set_market(con, ctx.exchange_id, symbol, info, now)
            candles.set_ended(con, ctx.exchange_id, symbol, None)  # it may have come back
        for symbol in (s for s in stale if s not in found):
            market = known[symbol].market
            if market is not None:  # gone: asked about once a day like the others, not every minute
                candles.set_market(con, ctx.exchange_id, symbol, market, now)


def _exchange(ctx: Context) -> Exchange:
    if ctx.exchange is None:
        raise DataError("this command has no exchange to ask")
    return ctx.exchange


def _time(exchange: Exchange) -> int:
    # The exchange's, which a machine's clock that is off does not move; ours while it does not answer.
    if exchange.clock_offset_ms is None:
        try:
            exchange.run(exchange.server_time())
        except TraderError as error:
            log.warning("the exchange does not tell its time: %s", error)
    return exchange.now()


def _first_windows(ctx: Context, until: int) -> dict[str, Window]:
    overlap = ctx.cfg.incremental.overlap_candles * MINUTE
    with ctx.db.lock:
        stretches = candles.stretches(ctx.db.con, ctx.exchange_id)
        series = candles.series(ctx.db.con, ctx.exchange_id)
    found: dict[str, Window] = {}
    for symbol in wanted(ctx):
        ended = series[symbol, "1m"].ended_ts
        if symbol in stretches and ended is None and stretches[symbol][-1].frontier < until:
            newest = stretches[symbol][-1]
            since = max(newest.start, newest.frontier - overlap)
            found[symbol] = (since, since)
    return found


def _round(
    ctx: Context, exchange: Exchange, todo: dict[str, Window], until: int, now: int, done: Synced
) -> dict[str, Window]:
    # One page for each symbol, asked together and stored in one transaction.
    asked = list(todo.items())
    limit = ctx.cfg.backfill.batch_limit
    pages = exchange.run(exchange.gather([ask(exchange, symbol, since, until, limit) for symbol, (since, _) in asked]))
    rest: dict[str, Window] = {}
    with ctx.db.write(durable=False) as con:
        series = candles.series(con, ctx.exchange_id)
        stretches = candles.stretches(con, ctx.exchange_id)
        pending = candles.pending(con, ctx.exchange_id)
        for (symbol, (since, answered)), page in zip(asked, pages, strict=True):
            if isinstance(page, TraderError):
                done.errors[symbol] = page
                continue
            _stretch, stored = store_page(
                con,
                ctx.exchange_id,
                symbol,
                series[symbol, "1m"].id,
                stretches[symbol][-1],
                page.rows,
                None if page.faults else answered,
                pending.get(symbol, ()),
                now,
            )
            done.stored.add(stored)
            following = _next(page, since, until)
            if following is None:
                done.reached.add(symbol)
            else:
                rest[symbol] = (following, following if page.faults else answered)
    return rest


def _next(page: Page, since: int, until: int) -> int | None:
    # An empty page proves nothing: step over its window once, and let the next tick ask again.
    cursor = page.rows[-1][0] + MINUTE if page.rows else page.end_asked
    return cursor if since < cursor < until and page.end_asked < until else None


def _delisted(ctx: Context, exchange: Exchange, done: Synced, now: int) -> None:
    # Gone is what two market lists at least 30 s apart leave out: one list may be cut short.
    suspects = {s for s, error in done.errors.items() if isinstance(error, Rejected)} | set(
        exchange.delisted(ctx.cfg.symbols)
    )
    with ctx.db.lock:
        series = candles.series(ctx.db.con, ctx.exchange_id)
        seen: dict[str, int] = runs.get(ctx.db.con, _UNLISTED, {})
    suspects = {s for s in suspects if (s, "1m") in series and series[s, "1m"].ended_ts is None}
    if not suspects and not seen:
        return
    try:
        if suspects:
            exchange.run(exchange.markets(sorted(suspects)))
    except TraderError as error:
        log.warning("could not check whether %s are still listed: %s", ", ".join(sorted(suspects)), error)
        return
    gone = {s: seen.get(s, now) for s in exchange.delisted(sorted(suspects))}
    with ctx.db.write() as con:
        stretches = candles.stretches(con, ctx.exchange_id)
        runs.put(con, _UNLISTED, {s: first for s, first in gone.items() if now - first < CONFIRM_MS})
        for symbol in (s for s, first in gone.items() if now - first >= CONFIRM_MS and s in stretches):
            candles.set_ended(con, ctx.exchange_id, symbol, stretches[symbol][-1].frontier - MINUTE)
            runs.log(con, now, "daemon", "symbol ended", symbol)
            done.ended.add(symbol)


def _funding(ctx: Context, exchange: Exchange, now: int, done: Synced) -> None:
    # Once an hour, at its first tick: rates settle on whole hours, whatever their interval.
    if not ctx.cfg.execution.funding:
        return
    through = timeframe.floor(now, HOUR)
    with ctx.db.lock:
        known = candles.symbols(ctx.db.con, ctx.exchange_id)
        stretches = candles.stretches(ctx.db.con, ctx.exchange_id)
        series = candles.series(ctx.db.con, ctx.exchange_id)
        reach: dict[str, int] = runs.get(ctx.db.con, _FUNDING_FROM, {})
    asked = [s for s in wanted(ctx) if s in stretches and s not in done.errors and series[s, "1m"].ended_ts is None]
    oldest = {s: stretches[s][0].start for s in asked}
    due = [s for s in asked if (known[s].funding_ts or 0) < through or reach.get(s, through) > oldest[s]]
    since = {s: _funding_since(known[s].funding_ts, oldest[s], reach.get(s, through)) for s in due}
    if not due:
        return
    replies = exchange.run(exchange.gather([exchange.funding(s, since[s]) for s in due]))
    with ctx.db.write() as con:
        for symbol, reply in zip(due, replies, strict=True):
            if isinstance(reply, TraderError):
                log.warning("%s: no funding rates: %s", symbol, reply)
                continue
            funding.add_rates(con, ctx.exchange_id, symbol, [(ts, rate) for ts, rate in reply if ts <= now])
            candles.set_watermarks(con, "funding_ts", [(through, known[symbol].id)])
            settle(ctx, con, symbol, replace(known[symbol], funding_ts=through), since[symbol], now)
            reach[symbol] = min(oldest[symbol], reach.get(symbol, through))
        runs.put(con, _FUNDING_FROM, reach)


def _funding_since(last: int | None, oldest: int, reached: int) -> int:
    # History filled in behind wants its rates too.
    return last - FUNDING_OVERLAP if last is not None and reached <= oldest else oldest
