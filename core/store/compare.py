"""Reads that hold two files, or a file and its candles, against each other; and the copy of a whole file."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import ArtifactError
from core.store.candles import Con, Span
from core.store.signals import row_dicts
from core.timeframe import TIMEFRAMES

Row = Mapping[str, Any]
Event = tuple[int, str, float | None, float, float]

_OF_PAIR = "g.exchange = ? AND g.symbol = ? AND g.timeframe = ? AND g.decided_ts >= ? AND g.decided_ts <= ?"
_NO_SPACE = ("disk is full", "disk I/O error")


@dataclass(frozen=True, slots=True)
class Pair:
    """One (symbol, timeframe) of a file with its watermarks; rows: whether any signal of it is stored."""

    series: int
    one_minute: int
    live_from: int | None
    ended_ts: int | None
    scanned_ts: int | None
    followed_ts: int | None
    funding_ts: int | None
    rows: bool


@contextmanager
def snapshot(con: Con) -> Iterator[None]:
    """All reads inside see one state of the file; keep it short, since the WAL grows meanwhile."""
    begun = not con.in_transaction
    if begun:
        con.execute("BEGIN")
    try:
        yield
    finally:
        if begun:
            con.execute("COMMIT")


def pairs(con: Con) -> dict[tuple[str, str, str], Pair]:
    """Every (exchange, symbol, timeframe) but 1m."""
    found = con.execute(
        "SELECT s.exchange, s.symbol, s.timeframe, s.id, m.id, s.live_from, m.ended_ts, y.scanned_ts, y.followed_ts, "
        "y.funding_ts, EXISTS (SELECT 1 FROM signals g WHERE g.exchange = s.exchange AND g.symbol = s.symbol "
        "AND g.timeframe = s.timeframe) "
        "FROM series s JOIN series m ON m.exchange = s.exchange AND m.symbol = s.symbol AND m.timeframe = '1m' "
        "JOIN symbols y ON y.exchange = s.exchange AND y.symbol = s.symbol WHERE s.timeframe <> '1m'"
    )
    return {(r[0], r[1], r[2]): Pair(*r[3:]) for r in found}


def symbols(con: Con) -> set[tuple[str, str]]:
    """(exchange, symbol) of the file."""
    return {(r[0], r[1]) for r in con.execute("SELECT exchange, symbol FROM symbols")}


def signal_rows(con: Con, key: tuple[str, str, str], start: int, last: int) -> list[dict[str, Any]]:
    """Signals of (exchange, symbol, timeframe) with start <= decided_ts <= last, in the order they were decided."""
    return row_dicts(
        con.execute(f"SELECT g.* FROM signals g WHERE {_OF_PAIR} ORDER BY g.decided_ts, g.id", (*key, start, last))
    )


def trade_rows(con: Con, key: tuple[str, str, str], start: int, last: int) -> dict[str, dict[str, Any]]:
    """Rows of the view `trades` by signal id, for the signals of `signal_rows`."""
    found = row_dicts(
        con.execute(
            f"SELECT t.* FROM signals g JOIN trades t ON t.signal_id = g.id WHERE {_OF_PAIR}", (*key, start, last)
        )
    )
    return {row["signal_id"]: row for row in found}


def event_rows(con: Con, key: tuple[str, str, str], start: int, last: int) -> dict[str, list[Event]]:
    """Money events (ts, event, price, fraction, fee_pct) in order, by signal id, for the signals of `signal_rows`."""
    found: dict[str, list[Event]] = {}
    for id, *event in con.execute(
        "SELECT g.id, e.ts, e.event, e.price, e.fraction, e.fee_pct FROM events e "
        f"JOIN signals g ON g.n = e.signal WHERE {_OF_PAIR} ORDER BY e.signal, e.leg",
        (*key, start, last),
    ):
        found.setdefault(id, []).append((event[0], event[1], event[2], event[3], event[4]))
    return found


def positions(
    con: Con, key: tuple[str, str, str], start: int, last: int, columns: Sequence[str]
) -> dict[int, tuple[Any, ...]]:
    """The named columns of positions by row number of their signal, for the signals of `signal_rows`."""
    names = ", ".join(f"p.{name}" for name in columns)
    return {
        r[0]: tuple(r[1:])
        for r in con.execute(
            f"SELECT g.n, {names} FROM signals g JOIN positions p ON p.signal = g.n WHERE {_OF_PAIR}",
            (*key, start, last),
        )
    }


def revised_spans(con: Con, exchange: str, symbol: str, timeframe: str) -> list[Span]:
    """Spans [ts, ts + timeframe) of the minutes, and of the bars of `timeframe`, that were ever rewritten."""
    found = con.execute(
        "SELECT DISTINCT r.ts, s.timeframe FROM revisions r JOIN series s ON s.id = r.series "
        "WHERE s.exchange = ? AND s.symbol = ? AND s.timeframe IN ('1m', ?) ORDER BY r.ts",
        (exchange, symbol, timeframe),
    )
    return [(ts, ts + TIMEFRAMES[name]) for ts, name in found]


def has_live(con: Con, exchange: str) -> bool:
    """Whether the daemon ever decided anything in this file."""
    return bool(
        con.execute(
            "SELECT EXISTS (SELECT 1 FROM series WHERE exchange = ? AND live_from IS NOT NULL)", (exchange,)
        ).fetchone()[0]
    )


def neighbour_configs(con: Con, exchange: str, start: int, last: int) -> set[str]:
    """config_hash of the live signals with start <= decided_ts <= last and of the nearest ones around them."""
    found = {
        r[0]
        for r in con.execute(
            "SELECT DISTINCT config_hash FROM signals WHERE exchange = ? "
            "AND decided_ts BETWEEN ? AND ? AND origin = 'live'",
            (exchange, start, last),
        )
    }
    for sign, order, decided_ts in (("<=", "DESC", start), (">=", "ASC", last)):
        row = con.execute(
            f"SELECT config_hash FROM signals WHERE exchange = ? AND decided_ts {sign} ? "
            f"AND origin = 'live' ORDER BY decided_ts {order}, n {order} LIMIT 1",
            (exchange, decided_ts),
        ).fetchone()
        found |= {row[0]} if row else set()
    return found


def set_revised(con: Con, values: Sequence[tuple[int, int]]) -> None:
    """Write the flag `revised` of signals: (0 or 1, row number)."""
    con.executemany("UPDATE signals SET revised = ? WHERE n = ?", values)


def table_counts(con: Con) -> dict[str, int]:
    """Rows of every table."""
    names = [
        r[0]
        for r in con.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
    ]
    return {name: con.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


def copy_file(con: Con, target: Path) -> dict[str, int]:
    """Copy the whole database to a new file in one step, as of one moment; returns the rows of each table then.

    Writers go on meanwhile. The copy is one self-contained file without a WAL. Raises ArtifactError.
    """
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        with snapshot(con):
            counts = table_counts(con)
            con.backup(copy)  # one step: in several, every commit of the writer would start it again
        copy.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.DatabaseError as error:
        hint = ": free some space or choose another disk" if any(text in str(error) for text in _NO_SPACE) else ""
        raise ArtifactError(f"the copy failed ({error}){hint}") from error
    finally:
        copy.close()
    return counts


def verify_copy(path: Path, counts: Mapping[str, int]) -> None:
    """Check a finished copy: SQLite's own integrity check, and the rows of every table. Raises ArtifactError."""
    con = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    try:
        found = con.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise ArtifactError(f"the copy is damaged: {found}")
        rows = table_counts(con)
    except sqlite3.DatabaseError as error:
        raise ArtifactError(f"the copy cannot be read: {error}") from error
    finally:
        con.close()
    wrong = sorted(name for name in counts if rows.get(name) != counts[name])
    if wrong:
        raise ArtifactError(f"the copy lacks rows of {', '.join(wrong)}")
