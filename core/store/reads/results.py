"""What the page Results reads: every filled and ended trade once, counts beside them, and closes to compare with."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from core.store.candles import Con
from core.timeframe import TIMEFRAMES
from core.trades.columns import FIELDS

MOST_CLOSES = 1500  # of one symbol

_OF_SIGNALS = ("symbol", "timeframe", "setup", "direction", "verdict", "reason", "trend", "vol", "entry", "sl", "qty",
               "leverage")
COLUMNS = ", ".join(f"{'g' if name in _OF_SIGNALS else 'p'}.{name}" for name in FIELDS)  # of signals g, positions p
_FROM = ("FROM signals g JOIN positions p ON p.signal = g.n WHERE g.exchange = :exchange AND g.origin = :origin "
         "AND g.verdict = :verdict")


class Count(NamedTuple):
    """Plans that a set of trades came from: ended, those of them never filled, in-sample ones, and under way."""

    ended: int
    never_filled: int
    in_sample: int
    under_way: int


def stamp(con: Con) -> tuple[int, ...]:
    """Changes when a trade ends, or a funding rate that came late changed the result of one; cheap."""
    ended, last = con.execute(
        "SELECT count(*), coalesce(max(closed_ts), 0) FROM positions WHERE closed_ts IS NOT NULL").fetchone()
    rates = con.execute("SELECT coalesce(sum(funding_ts), 0) FROM symbols").fetchone()[0]
    return int(ended), int(last), int(rates)


def live_since(con: Con, exchange: str) -> int | None:
    """The first decision that was live, of any symbol and timeframe; None where none was."""
    found = con.execute("SELECT min(live_from) FROM series WHERE exchange = ?", (exchange,)).fetchone()[0]
    return None if found is None else int(found)


def trades(con: Con, exchange: str, origin: str, verdict: str) -> Iterator[Sequence[Any]]:
    """Filled and ended trades, rows of `columns.FIELDS`; in-sample ones never. Read it at once."""
    where, values = _which(con, exchange, origin, verdict)
    return con.execute(f"SELECT {COLUMNS} {where} AND g.in_sample = 0 AND p.closed_ts IS NOT NULL "
                       "AND p.pnl_pct IS NOT NULL", values)


def counts(con: Con, exchange: str, origin: str, verdict: str) -> Count:
    """How many plans there are beside the trades that count."""
    where, values = _which(con, exchange, origin, verdict)
    found = con.execute(
        "SELECT count(p.closed_ts), coalesce(sum(p.closed_ts IS NOT NULL AND p.opened_ts IS NULL), 0), "
        "coalesce(sum(p.closed_ts IS NOT NULL AND g.in_sample), 0), coalesce(sum(p.closed_ts IS NULL), 0) " + where,
        values).fetchone()
    return Count._make(found)


def _which(con: Con, exchange: str, origin: str, verdict: str) -> tuple[str, dict[str, Any]]:
    # Live rows are few at first, and the newest: found by the index over times, not by looking at all.
    values: dict[str, Any] = {"exchange": exchange, "origin": origin, "verdict": verdict}
    if origin != "live":
        return _FROM, values
    symbols = [row[0] for row in con.execute("SELECT symbol FROM symbols WHERE exchange = ?", (exchange,))]
    named = {f"s{i}": symbol for i, symbol in enumerate(symbols)}
    values |= named | {"since": live_since(con, exchange)}
    return f"{_FROM} AND g.symbol IN ({', '.join(f':{name}' for name in named)}) AND g.decided_ts >= :since", values


def closes(con: Con, exchange: str, symbol: str, start: int, end: int) -> tuple[list[int], list[float]]:
    """Closes known in [start, end] and when each was, from the shortest bars of which at most 1,500 fit in."""
    for name, length in TIMEFRAMES.items():
        if (end - start) // length > MOST_CLOSES:
            continue
        rows = con.execute(
            "SELECT o.ts + ?, o.close FROM ohlcv o JOIN series s ON s.id = o.series WHERE s.exchange = ? AND "
            "s.symbol = ? AND s.timeframe = ? AND o.ts >= ? AND o.ts <= ? ORDER BY o.ts LIMIT ?",
            (length, exchange, symbol, name, start - length, end - length, MOST_CLOSES + 1)).fetchall()
        if len(rows) > 1:
            return [row[0] for row in rows], [row[1] for row in rows]
    return [], []
