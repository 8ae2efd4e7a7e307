"""What the bot reads to answer; every query is bounded, and so is the time that all of an answer's may take."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import Transient
from core.store.candles import Con
from core.store.db import Database
from core.store.reads import UNREADABLE, NotReadable, looking
from core.store.signals import STATE_COLUMNS, Trade, row_dicts

_STEPS = 20_000  # SQLite's steps between two looks at the time

_PLAN = [name for name in Trade._fields if name not in ("symbol_id", "state")]
_TRADE = ", ".join([f"g.{c}" for c in _PLAN] + ["p.symbol_id"] + [f"p.{c}" for c in STATE_COLUMNS])
# CROSS keeps the order: one walk of an index per symbol.
_ENDED = (
    "FROM symbols s CROSS JOIN positions p ON p.symbol_id = s.id AND p.closed_ts >= ? AND p.closed_ts < ? "
    "CROSS JOIN signals g ON g.n = p.signal LEFT JOIN taken k ON k.signal = g.n WHERE s.exchange = ? "
    "AND g.origin = 'live' AND g.verdict = 'pass' AND p.pnl_pct IS NOT NULL"
)


class Open(NamedTuple):
    """An announced or observed plan under way: as the lifecycle needs it, and as people name it."""

    trade: Trade
    short_id: str
    setup: str
    tick: float
    lot: float
    leverage: int


@contextmanager
def glimpse(path: Path, late: Callable[[], bool]) -> Iterator[Database]:
    """The file as a reader sees it, until `late` says that it took too long: then Transient. Raises NotReadable too."""
    try:
        with looking(path) as db:
            db.con.set_progress_handler(lambda: int(late()), _STEPS)
            yield db
    except NotReadable as error:
        if error.kind == UNREADABLE:  # interrupted, or busy: it passes
            raise Transient(f"the database did not answer in time: {error}") from error
        raise
    except sqlite3.OperationalError as error:
        raise Transient(f"the database did not answer in time: {error}") from error


def under_way(con: Con, exchange: str, limit: int = 200) -> list[Open]:
    """Live plans that passed and have not ended, oldest first."""
    rows = con.execute(
        f"SELECT {_TRADE}, g.short_id, g.setup, g.tick, g.lot, g.leverage FROM symbols s "
        "CROSS JOIN positions p ON p.symbol_id = s.id AND p.closed_ts IS NULL CROSS JOIN signals g ON g.n = p.signal "
        "WHERE s.exchange = ? AND g.origin = 'live' AND g.verdict = 'pass' ORDER BY g.decided_ts, g.id LIMIT ?",
        (exchange, limit),
    )
    cut = len(_PLAN) + 1
    end = cut + len(STATE_COLUMNS)
    return [Open(Trade._make((*row[:cut], row[cut:end])), *row[end:]) for row in rows]


def price(con: Con, exchange: str, symbol: str) -> tuple[int, float] | None:
    """(when it was known, the close) of the newest stored minute of a symbol."""
    found: tuple[int, float] | None = con.execute(
        "SELECT o.ts + 60000, o.close FROM series s JOIN ohlcv o ON o.series = s.id WHERE s.exchange = ? "
        "AND s.symbol = ? AND s.timeframe = '1m' ORDER BY o.ts DESC LIMIT 1",
        (exchange, symbol),
    ).fetchone()
    return found


def closed(con: Con, exchange: str, start: int, end: int, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` live trades that ended in [start, end), newest first, beside what the owner did."""
    return row_dicts(
        con.execute(
            "SELECT g.short_id, g.symbol, g.timeframe, g.direction, g.tick, p.status, p.closed_ts, p.pnl_pct, "
            "p.r_multiple, p.fill, p.exit_price, k.price AS own_price, k.exit_price AS own_exit "
            f"{_ENDED} ORDER BY p.closed_ts DESC, g.id LIMIT ?",
            (start, end, exchange, limit),
        )
    )


def recent(con: Con, exchange: str, since: int, limit: int) -> list[dict[str, Any]]:
    """The newest live signals that passed, decided since `since`, newest first."""
    return row_dicts(
        con.execute(
            "SELECT g.short_id, g.symbol, g.timeframe, g.setup, g.direction, g.decided_ts, g.expires_ts, g.tp1, "
            "g.ml_p, g.ev_pct, g.model, g.reason, p.status, p.r_multiple FROM symbols s "
            "CROSS JOIN signals g ON g.exchange = s.exchange AND g.symbol = s.symbol AND g.decided_ts >= ? "
            "JOIN positions p ON p.signal = g.n WHERE s.exchange = ? AND g.origin = 'live' AND g.verdict = 'pass' "
            "ORDER BY g.decided_ts DESC, g.id LIMIT ?",
            (since, exchange, limit),
        )
    )


def passed_since(con: Con, exchange: str, since: int) -> int:
    """How many live plans passed the gate (ungated ones left out) since `since`."""
    row = con.execute(
        "SELECT count(*) FROM symbols s CROSS JOIN signals g ON g.exchange = s.exchange AND g.symbol = s.symbol "
        "AND g.decided_ts >= ? WHERE s.exchange = ? AND g.origin = 'live' AND g.verdict = 'pass' "
        "AND g.reason NOT LIKE 'ungated%'",
        (since, exchange),
    ).fetchone()
    return int(row[0])


def newest_gaps(con: Con, exchange: str, limit: int) -> list[tuple[str, int, int]]:
    """(symbol, first, last minute) of the newest recorded absences."""
    return con.execute(
        "SELECT symbol, start_ts, end_ts FROM gaps WHERE exchange = ? ORDER BY end_ts DESC LIMIT ?", (exchange, limit)
    ).fetchall()


def chat_states(con: Con) -> list[tuple[str, int]]:
    """(role, alerts that wait) of each active chat but the owner's."""
    return con.execute(
        "SELECT c.role, (SELECT count(*) FROM copies k WHERE k.chat = c.chat AND (k.state IN ('queued', 'sending') "
        "OR (k.state = 'unknown' AND k.lost <= 1))) FROM chats c WHERE c.active AND c.role <> 'owner' ORDER BY c.chat"
    ).fetchall()
