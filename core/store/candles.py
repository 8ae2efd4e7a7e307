"""Candles on disk: series, stretches with their frontiers, gaps, revisions, and the rows themselves.

All functions take the connection; those that write must run inside `Database.write`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.candles import Bars, Floats, Ints, MarketInfo, Row
from core.timeframe import MINUTE

Con = sqlite3.Connection
Span = tuple[int, int]  # half-open [start, end) in ms

_ROW = np.dtype([("ts", "i8"), ("o", "f8"), ("h", "f8"), ("l", "f8"), ("c", "f8"), ("v", "f8"), ("m", "i8")])
_PRICES = np.dtype([("ts", "i8"), ("open", "f8"), ("high", "f8"), ("low", "f8"), ("close", "f8")])
_MINUTES = "SELECT ts, open, high, low, close FROM ohlcv WHERE series = ? AND ts >= ? AND ts < ? ORDER BY ts"
_SELECT = "SELECT ts, open, high, low, close, volume, minutes FROM ohlcv WHERE series = ?"


class Prices(NamedTuple):
    """Minutes as arrays of shape (n,): opens in ms UTC, and prices."""

    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats


class Series(NamedTuple):
    """One (symbol, timeframe): built_ts = buckets before it are built; live_from as in rule 30."""

    id: int
    built_ts: int | None
    live_from: int | None
    ended_ts: int | None


@dataclass(frozen=True, slots=True)
class Symbol:
    """One symbol's market and watermarks: bars decided up to scanned_ts, minutes followed before followed_ts."""

    id: int
    market: MarketInfo | None
    info_ts: int | None
    scanned_ts: int | None
    followed_ts: int | None
    funding_ts: int | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Minutes from `start` that are all stored or known to be absent up to `frontier` (exclusive)."""

    start: int
    frontier: int


def ensure(con: Con, exchange: str, symbols: Iterable[str], timeframes: Iterable[str]) -> None:
    """Make the rows of `symbols` and `series` that do not exist yet."""
    timeframes = list(timeframes)
    for symbol in symbols:
        con.execute("INSERT OR IGNORE INTO symbols (exchange, symbol) VALUES (?, ?)", (exchange, symbol))
        con.executemany(
            "INSERT OR IGNORE INTO series (exchange, symbol, timeframe) VALUES (?, ?, ?)",
            [(exchange, symbol, tf) for tf in timeframes],
        )


def symbols(con: Con, exchange: str) -> dict[str, Symbol]:
    """All symbols the file knows of this exchange."""
    rows = con.execute(
        "SELECT symbol, id, tick, lot, min_notional, info_ts, scanned_ts, followed_ts, funding_ts "
        "FROM symbols WHERE exchange = ? ORDER BY symbol",
        (exchange,),
    )
    return {r[0]: Symbol(r[1], MarketInfo(r[2], r[3], r[4]) if r[2] else None, *r[5:]) for r in rows}


def series(con: Con, exchange: str) -> dict[tuple[str, str], Series]:
    """All series of this exchange by (symbol, timeframe)."""
    rows = con.execute(
        "SELECT symbol, timeframe, id, built_ts, live_from, ended_ts FROM series WHERE exchange = ?", (exchange,)
    )
    return {(r[0], r[1]): Series._make(r[2:]) for r in rows}


def one_series(con: Con, exchange: str, symbol: str, timeframe: str) -> Series:
    """One series that is known to exist."""
    row = con.execute(
        "SELECT id, built_ts, live_from, ended_ts FROM series WHERE exchange = ? AND symbol = ? AND timeframe = ?",
        (exchange, symbol, timeframe),
    ).fetchone()
    return Series._make(row)


def set_market(con: Con, exchange: str, symbol: str, info: MarketInfo, now: int) -> None:
    """Remember what the exchange says of a market."""
    con.execute(
        "UPDATE symbols SET tick = ?, lot = ?, min_notional = ?, info_ts = ? WHERE exchange = ? AND symbol = ?",
        (info.tick, info.lot, info.min_notional, now, exchange, symbol),
    )


def set_watermarks(con: Con, column: str, values: Iterable[tuple[int, int]]) -> None:
    """Move scanned_ts, followed_ts or funding_ts: (value, symbol id) pairs."""
    if column not in ("scanned_ts", "followed_ts", "funding_ts"):
        raise ValueError(column)
    con.executemany(f"UPDATE symbols SET {column} = ? WHERE id = ?", values)


def set_live_from(con: Con, series_id: int, ts: int) -> None:
    """Store live_from once; it never moves."""
    con.execute("UPDATE series SET live_from = ? WHERE id = ? AND live_from IS NULL", (ts, series_id))


def set_ended(con: Con, exchange: str, symbol: str, ts: int | None) -> None:
    """Note the last stored minute of a symbol that the exchange no longer lists (None: it is back)."""
    con.execute("UPDATE series SET ended_ts = ? WHERE exchange = ? AND symbol = ?", (ts, exchange, symbol))


def stretches(con: Con, exchange: str) -> dict[str, list[Stretch]]:
    """Stretches by symbol, oldest first; the last one is the live one."""
    found: dict[str, list[Stretch]] = {}
    for symbol, start, frontier in con.execute(
        "SELECT symbol, start_ts, frontier FROM sync_checkpoint WHERE exchange = ? ORDER BY symbol, start_ts",
        (exchange,),
    ):
        found.setdefault(symbol, []).append(Stretch(start, frontier))
    return found


def set_stretch(con: Con, exchange: str, symbol: str, start: int, frontier: int) -> None:
    """Make a stretch or move its frontier."""
    con.execute(
        "INSERT INTO sync_checkpoint VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET frontier = excluded.frontier",
        (exchange, symbol, start, frontier),
    )


def drop_stretch(con: Con, exchange: str, symbol: str, start: int) -> None:
    """Forget a stretch (its rows stay)."""
    con.execute(
        "DELETE FROM sync_checkpoint WHERE exchange = ? AND symbol = ? AND start_ts = ?", (exchange, symbol, start)
    )


def join_stretches(con: Con, exchange: str, symbol: str) -> bool:
    """Join stretches that meet or overlap; the joined minutes are marked for resampling. True if any did."""
    rows = stretches(con, exchange).get(symbol, [])
    joined = False
    for older, newer in zip(rows[-2::-1], rows[:0:-1], strict=False):
        if older.frontier < newer.start:
            continue
        current = {s.start: s.frontier for s in stretches(con, exchange)[symbol]}
        drop_stretch(con, exchange, symbol, newer.start)
        set_stretch(con, exchange, symbol, older.start, max(older.frontier, current[newer.start]))
        add_dirty(con, exchange, symbol, older.start, newer.start + MINUTE)
        joined = True
    return joined


def put_rows(con: Con, series_id: int, rows: Sequence[Row], frontier: int) -> tuple[int, list[Row]]:
    """Upsert final 1m rows (ascending, unique). Returns (rows new to the file, old rows that were rewritten).

    The old values of a rewritten row go to `revisions` with the frontier of this moment.
    """
    if not rows:
        return 0, []
    old = {
        r[0]: r
        for r in con.execute(
            "SELECT ts, open, high, low, close, volume FROM ohlcv WHERE series = ? AND ts BETWEEN ? AND ?",
            (series_id, rows[0][0], rows[-1][0]),
        )
    }
    if not old:
        _insert(con, series_id, rows)
        return len(rows), []
    fresh = [r for r in rows if r[0] not in old]
    changed = [r for r in rows if r[0] in old and old[r[0]] != tuple(r)]
    _insert(con, series_id, fresh)
    for r in changed:
        record_revision(con, series_id, (*old[r[0]], 1), frontier)
        con.execute(
            "UPDATE ohlcv SET open = ?, high = ?, low = ?, close = ?, volume = ? WHERE series = ? AND ts = ?",
            (*r[1:6], series_id, r[0]),
        )
    return len(fresh), [old[r[0]] for r in changed]


def record_revision(con: Con, series_id: int, old: Sequence[float | None], frontier: int) -> None:
    """Keep the values (ts, o, h, l, c, v, minutes) that a rewrite replaces."""
    con.execute(
        "INSERT INTO revisions (series, ts, open, high, low, close, volume, minutes, frontier) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (series_id, *old, frontier),
    )


def load(con: Con, series_id: int, tf: int, start: int, end: int) -> Bars:
    """Bars with start <= ts < end."""
    return _bars(tf, con.execute(_SELECT + " AND ts >= ? AND ts < ? ORDER BY ts", (series_id, start, end)))


def tail(con: Con, series_id: int, tf: int, before: int, count: int) -> Bars:
    """The last `count` bars with ts < before, ascending."""
    rows = con.execute(_SELECT + " AND ts < ? ORDER BY ts DESC LIMIT ?", (series_id, before, count)).fetchall()
    rows.reverse()
    return _bars(tf, rows)


def minutes(con: Con, series_id: int, start: int, end: int) -> list[tuple[int, float, float, float, float]]:
    """1m rows (ts, open, high, low, close) with start <= ts < end."""
    return con.execute(_MINUTES, (series_id, start, end)).fetchall()


def prices(con: Con, series_id: int, start: int, end: int) -> Prices:
    """What `minutes` gives, as arrays: years of them, without the volume that no lifecycle needs."""
    table = np.fromiter(con.execute(_MINUTES, (series_id, start, end)), dtype=_PRICES)
    return Prices(*(np.ascontiguousarray(table[name]) for name in Prices._fields))


def stored_times(con: Con, series_id: int, start: int, end: int) -> list[int]:
    """Opens of the rows with start <= ts < end."""
    return [
        r[0]
        for r in con.execute("SELECT ts FROM ohlcv WHERE series = ? AND ts >= ? AND ts < ?", (series_id, start, end))
    ]


def iter_times(con: Con, series_id: int, start: int) -> Iterator[int]:
    """Opens of all rows from `start` on, ascending, read one by one."""
    for (ts,) in con.execute("SELECT ts FROM ohlcv WHERE series = ? AND ts >= ? ORDER BY ts", (series_id, start)):
        yield ts


def price_at(con: Con, series_id: int, ts: int) -> float | None:
    """The open of minute `ts`, or where it is absent the last close before it."""
    row = con.execute(
        "SELECT ts, open, close FROM ohlcv WHERE series = ? AND ts <= ? ORDER BY ts DESC LIMIT 1", (series_id, ts)
    ).fetchone()
    return None if row is None else row[1] if row[0] == ts else row[2]


def bounds(con: Con, series_id: int) -> Span | None:
    """(first ts, last ts) of a series, or None when it is empty."""
    row = con.execute("SELECT min(ts), max(ts) FROM ohlcv WHERE series = ?", (series_id,)).fetchone()
    return None if row[0] is None else (row[0], row[1])


def gaps(con: Con, exchange: str, symbol: str, start: int, end: int) -> list[Span]:
    """Recorded absences touching [start, end) as half-open spans."""
    rows = con.execute(
        "SELECT start_ts, end_ts FROM gaps WHERE exchange = ? AND symbol = ? AND end_ts >= ? AND start_ts < ? "
        "ORDER BY start_ts",
        (exchange, symbol, start, end),
    )
    return [(a, b + MINUTE) for a, b in rows]


def add_gaps(con: Con, exchange: str, symbol: str, spans: Iterable[Span], reason: str) -> None:
    """Record absences (half-open spans), joined with a neighbour that they touch."""
    for start, end in spans:
        # Gaps do not overlap, so only the last one before can touch (found by the key, not by a scan).
        before = con.execute(
            "SELECT start_ts, end_ts, reason FROM gaps WHERE exchange = ? AND symbol = ? AND start_ts < ? "
            "ORDER BY start_ts DESC LIMIT 1",
            (exchange, symbol, start),
        ).fetchone()
        touches = before is not None and before[1:] == (start - MINUTE, reason)
        con.execute(
            "INSERT INTO gaps VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET end_ts = excluded.end_ts",
            (exchange, symbol, before[0] if touches else start, end - MINUTE, reason),
        )


def heal_gap(con: Con, exchange: str, symbol: str, ts: int) -> bool:
    """Take minute `ts` out of the gap that holds it, because the exchange served it after all."""
    row = con.execute(
        "SELECT start_ts, end_ts, reason FROM gaps WHERE exchange = ? AND symbol = ? AND start_ts <= ? AND end_ts >= ?",
        (exchange, symbol, ts, ts),
    ).fetchone()
    if row is None:
        return False
    con.execute("DELETE FROM gaps WHERE exchange = ? AND symbol = ? AND start_ts = ?", (exchange, symbol, row[0]))
    for start, end in ((row[0], ts - MINUTE), (ts + MINUTE, row[1])):
        if start <= end:
            con.execute("INSERT INTO gaps VALUES (?, ?, ?, ?, ?)", (exchange, symbol, start, end, row[2]))
    return True


def pending(con: Con, exchange: str) -> dict[str, list[tuple[int, int, int]]]:
    """Absences seen once: symbol to (start, end exclusive, first seen)."""
    found: dict[str, list[tuple[int, int, int]]] = {}
    for symbol, *span in con.execute(
        "SELECT symbol, start_ts, end_ts, first_seen FROM absent WHERE exchange = ?", (exchange,)
    ):
        found.setdefault(symbol, []).append((span[0], span[1], span[2]))
    return found


def set_pending(con: Con, exchange: str, symbol: str, spans: Iterable[tuple[int, int, int]]) -> None:
    """Replace a symbol's list of absences seen once."""
    con.execute("DELETE FROM absent WHERE exchange = ? AND symbol = ?", (exchange, symbol))
    con.executemany("INSERT INTO absent VALUES (?, ?, ?, ?, ?)", [(exchange, symbol, *s) for s in spans])


def add_dirty(con: Con, exchange: str, symbol: str, start: int, end: int) -> None:
    """Mark the minutes [start, end) whose buckets must be rebuilt."""
    con.execute("INSERT OR IGNORE INTO dirty VALUES (?, ?, ?, ?)", (exchange, symbol, start, end))


def dirty(con: Con, exchange: str) -> dict[str, list[Span]]:
    """Marked spans by symbol."""
    found: dict[str, list[Span]] = {}
    for symbol, start, end in con.execute("SELECT symbol, start_ts, end_ts FROM dirty WHERE exchange = ?", (exchange,)):
        found.setdefault(symbol, []).append((start, end))
    return found


def clean(con: Con, exchange: str, symbol: str, span: Span) -> None:
    """Take a mark back once its buckets are rebuilt."""
    con.execute(
        "DELETE FROM dirty WHERE exchange = ? AND symbol = ? AND start_ts = ? AND end_ts = ?", (exchange, symbol, *span)
    )


def _insert(con: Con, series_id: int, rows: Sequence[Row]) -> None:
    con.executemany(
        f"INSERT INTO ohlcv (series, ts, open, high, low, close, volume) VALUES ({int(series_id)}, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def _bars(tf: int, rows: Iterable[tuple[float, ...]]) -> Bars:
    table = np.fromiter(rows, dtype=_ROW)
    return Bars(tf, *(np.ascontiguousarray(table[name]) for name in ("ts", "o", "h", "l", "c", "v", "m")))
