"""One fetched page of minutes into the file: rows, revisions, gaps and the frontier, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.candles import Row
from core.engine.frontier import judge, outside, walk
from core.errors import DataError
from core.market.exchange import Exchange, Page
from core.store import candles
from core.store.candles import Con, Stretch
from core.timeframe import MINUTE

GAP_REASON = "absent in two fetches"

Window = tuple[int, int]  # where the next page begins; from where on all was answered without a fault


@dataclass(slots=True)
class Stored:
    """What storing pages did."""

    rows: int = 0
    revised: int = 0
    gaps: int = 0

    def add(self, other: "Stored") -> None:
        """Add another count to this one."""
        self.rows += other.rows
        self.revised += other.revised
        self.gaps += other.gaps


async def ask(exchange: Exchange, symbol: str, start: int, end: int, limit: int) -> Page:
    """Ask for one page of minutes, and again for its front where that is missing.

    An exchange that allows fewer rows than asked for serves the newest ones: what it left out in front would
    look like a hole. Raises DataError where two answers contradict each other.
    """
    page = await exchange.candles(symbol, start, end, limit)
    while len(page.rows) > 1 and page.rows[0][0] > page.start:
        front = await exchange.candles(symbol, page.start, page.rows[0][0] + MINUTE, limit)
        if not front.rows:
            raise DataError(f"candles {symbol}: the exchange served a minute and then said that there is none")
        rejected = page.rejected + front.rejected
        if front.rows[0][0] >= page.rows[0][0]:
            return Page(page.rows, page.start, page.end_asked, rejected)
        older = [row for row in front.rows if row[0] < page.rows[0][0]]
        page = Page(older + page.rows, page.start, page.end_asked, rejected)
    return page


def store_page(
    con: Con,
    exchange: str,
    symbol: str,
    series_id: int,
    stretch: Stretch,
    rows: Sequence[Row],
    asked_from: int | None,
    pending: Sequence[tuple[int, int, int]],
    now: int,
) -> tuple[Stretch, Stored]:
    """Store gated rows of one symbol and move its frontier.

    asked_from: from where on all was answered without a fault, in this page or those right before it;
    None where the answer cannot prove an absence. A minute
    that comes after its gap was recorded, or with other values than before, is a revision.
    """
    rows = _inside(stretch, rows)
    if not rows:
        return stretch, Stored()
    stretch = _begin(con, exchange, symbol, stretch, rows[0][0])
    fresh, rewritten = candles.put_rows(con, series_id, rows, stretch.frontier)
    done = Stored(fresh, len(rewritten))
    late = [r[0] for r in rows if r[0] < stretch.frontier] if rows[0][0] < stretch.frontier else []
    for row in rewritten:
        candles.add_dirty(con, exchange, symbol, row[0], row[0] + MINUTE)
    if late and fresh and candles.gaps(con, exchange, symbol, late[0], late[-1] + MINUTE):
        done.revised += _heal(con, exchange, symbol, series_id, late, stretch.frontier)
    frontier = _contiguous(stretch.frontier, rows, len(rows) - len(late))
    if pending or frontier is None:
        frontier = _judge(
            con, exchange, symbol, series_id, stretch, _asked(asked_from, rows[-1][0]), pending, now, done
        )
    if frontier != stretch.frontier:
        stretch = Stretch(stretch.start, frontier)
        candles.set_stretch(con, exchange, symbol, stretch.start, frontier)
    return stretch, done


def _asked(start: int | None, last: int) -> tuple[int, int]:
    return (last, last) if start is None else (start, last)


def _inside(stretch: Stretch, rows: Sequence[Row]) -> Sequence[Row]:
    if rows and rows[0][0] < stretch.start:
        return [r for r in rows if r[0] >= stretch.start]
    return rows


def _begin(con: Con, exchange: str, symbol: str, stretch: Stretch, first: int) -> Stretch:
    # A stretch begins with its first row: nothing is known of the time before a listing.
    if stretch.frontier > stretch.start or first == stretch.start:
        return stretch
    candles.drop_stretch(con, exchange, symbol, stretch.start)
    for other in candles.stretches(con, exchange).get(symbol, []):
        if other.start <= first < other.frontier:  # the newer history begins right here
            return other
    candles.set_stretch(con, exchange, symbol, first, first)
    return Stretch(first, first)


def _contiguous(frontier: int, rows: Sequence[Row], ahead: int) -> int | None:
    # The common case: every minute from the frontier to the last row is in this page.
    last = rows[-1][0]
    if last < frontier:
        return frontier
    return last + MINUTE if (last + MINUTE - frontier) // MINUTE == ahead else None


def _heal(con: Con, exchange: str, symbol: str, series_id: int, late: Sequence[int], frontier: int) -> int:
    healed = [ts for ts in late if candles.heal_gap(con, exchange, symbol, ts)]
    for ts in healed:
        candles.record_revision(con, series_id, (ts, None, None, None, None, None, None), frontier)
        candles.add_dirty(con, exchange, symbol, ts, ts + MINUTE)
    return len(healed)


def _judge(
    con: Con,
    exchange: str,
    symbol: str,
    series_id: int,
    stretch: Stretch,
    asked: tuple[int, int],
    pending: Sequence[tuple[int, int, int]],
    now: int,
    done: Stored,
) -> int:
    window = (max(stretch.frontier, asked[0]), asked[1])
    waiting = list(pending)
    if window[0] < window[1]:
        stored = candles.stored_times(con, series_id, *window)
        found = judge(window, stored, candles.gaps(con, exchange, symbol, *window), pending, now)
        candles.add_gaps(con, exchange, symbol, found.confirmed, GAP_REASON)
        waiting = found.pending
        done.gaps += len(found.confirmed)
    recorded = candles.gaps(con, exchange, symbol, stretch.frontier, now)
    frontier = walk(stretch.frontier, candles.iter_times(con, series_id, stretch.frontier), recorded)
    waiting = outside(waiting, (stretch.start, frontier))
    if waiting != list(pending):
        candles.set_pending(con, exchange, symbol, waiting)
    return frontier
