"""History: the newest stretch first, then older pieces behind it, each resumable at its frontier."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core import timeframe
from core.engine.context import Context
from core.engine.frontier import CONFIRM_MS
from core.engine.pages import Window, ask, store_page
from core.errors import TraderError, Transient
from core.market.exchange import Exchange
from core.store import candles, runs
from core.store.candles import Con, Stretch
from core.timeframe import DAY, MINUTE

FIRST_DAYS = 3  # warms the 5m timeframe up: live within minutes
OLD_PAGE, NEW_PAGE = 200, 1000
BYTES_PER_MINUTE = 83  # a 1m row and its share of the derived bars, measured on real candles

Progress = Callable[[int, int], None]  # minutes done, minutes in all


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a backfill will take."""

    minutes: int
    requests: int
    seconds: float
    megabytes: float


def estimate(ctx: Context, symbols: Sequence[str], start: int, end: int) -> Estimate:
    """Requests, time and disk that [start, end) takes for what is not stored yet."""
    missing = sum(b - a for symbol in symbols for a, b in _missing(ctx, symbol, start, end)) // MINUTE
    recent = min(missing, 28 * 1440 * len(symbols))
    requests = -(-(missing - recent) // OLD_PAGE) + -(-recent // NEW_PAGE)
    per_request = max(ctx.cfg.exchange.rate_limit_ms / 1000, 0.02)
    return Estimate(missing, requests, requests * per_request, missing * BYTES_PER_MINUTE / 2**20)


def pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    """[start, end) cut into pieces that double in length going back: the newest first, each on whole days."""
    length = FIRST_DAYS * DAY
    while end > start:
        cut = max(start, timeframe.floor(end - length, DAY))
        yield cut, end
        end, length = cut, length * 2


def backfill(
    ctx: Context,
    symbols: Sequence[str],
    start: int,
    end: int,
    *,
    progress: Progress | None = None,
    keep_going: Callable[[], bool] = lambda: True,
) -> dict[str, TraderError]:
    """Store [start, end) for all symbols, newest piece first; returns the symbols that failed, with why.

    Resumes where an earlier run stopped. `keep_going` is asked between pages.
    """
    total = sum(b - a for s in symbols for a, b in _missing(ctx, s, start, end)) // MINUTE
    failed: dict[str, TraderError] = {}
    done = 0
    for piece in itertools.chain(pieces(start, end), _again(ctx, symbols, start, end, keep_going)):
        for fetched in _fill(ctx, [s for s in symbols if s not in failed], *piece, failed, keep_going):
            done += fetched
            if progress:
                progress(min(done, total), total)
        if not keep_going():
            break
    return failed


def _again(
    ctx: Context, symbols: Sequence[str], start: int, end: int, keep_going: Callable[[], bool]
) -> Iterator[tuple[int, int]]:
    # Absences, and what looks like a listing, want a second look at least 30 s after the first.
    for _ in range(3):
        with ctx.db.lock:
            waiting = {*candles.pending(ctx.db.con, ctx.exchange_id)}
            waiting |= {s for s in symbols if runs.get(ctx.db.con, _maybe_begins(ctx, s))}
        if not keep_going() or not any(s in waiting for s in symbols):
            return
        ctx.clock.sleep(CONFIRM_MS / 1000 + 1)
        yield start, end


def behind(ctx: Context, start: int) -> bool:
    """Whether any configured symbol still lacks history from `start` on."""
    with ctx.db.lock:
        doubtful = any(runs.get(ctx.db.con, _maybe_begins(ctx, s)) for s in ctx.cfg.symbols)
    return doubtful or any(_missing(ctx, s, start, start + MINUTE) for s in ctx.cfg.symbols)


def _missing(ctx: Context, symbol: str, start: int, end: int) -> list[tuple[int, int]]:
    # What no stretch covers of [start, end); before a listing there is nothing to fetch twice.
    with ctx.db.lock:
        known = candles.stretches(ctx.db.con, ctx.exchange_id).get(symbol, [])
        maybe = runs.get(ctx.db.con, _maybe_begins(ctx, symbol))
        listed = maybe[2] if maybe else runs.get(ctx.db.con, _begins(ctx, symbol), 0)
    found, cursor = [], max(start, listed)
    for stretch in known:
        if stretch.start > cursor:
            found.append((cursor, min(stretch.start, end)))
        cursor = max(cursor, stretch.frontier)
    if cursor < end:
        found.append((cursor, end))
    return [(a, b) for a, b in found if a < b]


def _fill(
    ctx: Context,
    symbols: Sequence[str],
    start: int,
    end: int,
    failed: dict[str, TraderError],
    keep_going: Callable[[], bool],
) -> Iterator[int]:
    todo = {s: spans[0] for s in symbols if (spans := _missing(ctx, s, start, end))}
    cursor = {s: (span[0], span[0]) for s, span in todo.items()}
    _begin(ctx, todo)
    while cursor and keep_going():
        yield _page_each(ctx, cursor, todo, failed)
    with ctx.db.write(durable=False) as con:
        for symbol, (a, b) in todo.items():
            candles.join_stretches(con, ctx.exchange_id, symbol)
            if symbol not in failed and symbol not in cursor:
                _note_listing(ctx, con, symbol, a, b)


def _begin(ctx: Context, todo: dict[str, tuple[int, int]]) -> None:
    with ctx.db.write(durable=False) as con:
        known = candles.stretches(con, ctx.exchange_id)
        for symbol, (start, _end) in todo.items():
            if not any(s.start <= start <= s.frontier for s in known.get(symbol, ())):
                candles.set_stretch(con, ctx.exchange_id, symbol, start, start)


def _page_each(
    ctx: Context, cursor: dict[str, Window], todo: dict[str, tuple[int, int]], failed: dict[str, TraderError]
) -> int:
    exchange = _exchange(ctx)
    asked = list(cursor.items())
    # One minute more than the piece, so that its last minute is seen beside the next one.
    pages = exchange.run(
        exchange.gather(
            [ask(exchange, s, since, todo[s][1] + MINUTE, ctx.cfg.backfill.batch_limit) for s, (since, _) in asked]
        )
    )
    now, fetched = ctx.clock.now(), 0
    with ctx.db.write(durable=False) as con:
        series = candles.series(con, ctx.exchange_id)
        known = candles.stretches(con, ctx.exchange_id)
        pending = candles.pending(con, ctx.exchange_id)
        for (symbol, (since, answered)), page in zip(asked, pages, strict=True):
            if isinstance(page, TraderError):
                failed[symbol] = page
                del cursor[symbol]
                continue
            home = _home(known[symbol], since)
            store_page(
                con,
                ctx.exchange_id,
                symbol,
                series[symbol, "1m"].id,
                home,
                page.rows,
                None if page.faults else answered,
                pending.get(symbol, ()),
                now,
            )
            following = page.rows[-1][0] + MINUTE if page.rows else page.end_asked
            fetched += max(0, min(page.end_asked, todo[symbol][1]) - since) // MINUTE
            following = max(following, min(page.end_asked, todo[symbol][1]))
            cursor[symbol] = (following, following if page.faults else answered)
            if following >= todo[symbol][1] or page.end_asked <= since:
                del cursor[symbol]
    return fetched


def _home(known: Sequence[Stretch], since: int) -> Stretch:
    # A stretch that has no row yet may still begin later than what was asked for.
    fitting = [s for s in known if s.start <= since]
    return fitting[-1] if fitting else known[0]


def _begins(ctx: Context, symbol: str) -> str:
    return f"begins:{ctx.exchange_id}:{symbol}"


def _maybe_begins(ctx: Context, symbol: str) -> str:
    return f"maybe_begins:{ctx.exchange_id}:{symbol}"


def _note_listing(ctx: Context, con: Con, symbol: str, start: int, end: int) -> None:
    # The piece was answered and holds nothing before its first row. That the exchange has no more is
    # believed the second time, at least 30 s later: one empty answer proves nothing.
    known = candles.stretches(con, ctx.exchange_id).get(symbol, [])
    held = [s for s in known if s.frontier > s.start]
    for empty in (s for s in known if held and s.frontier == s.start):
        candles.drop_stretch(con, ctx.exchange_id, symbol, empty.start)
    key, now = _maybe_begins(ctx, symbol), ctx.clock.now()
    seen = runs.get(con, key)
    if any(s.start <= start < s.frontier for s in held):
        if seen and seen[2] == start:
            runs.put(con, key, None)
        return
    first = min((s.start for s in held if start < s.start < end), default=end)
    if not seen or seen[0] != first:
        runs.put(con, key, [first, now, start])
    elif held and now - seen[1] >= CONFIRM_MS:
        runs.put(con, _begins(ctx, symbol), first)
        runs.put(con, key, None)


def _exchange(ctx: Context) -> Exchange:
    if ctx.exchange is None:
        raise Transient("no exchange is connected")
    return ctx.exchange
