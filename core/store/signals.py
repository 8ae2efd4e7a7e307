"""Signals, their paper positions and money events on disk."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from core.store.candles import Con

SIGNAL_COLUMNS = (
    "id",
    "short_id",
    "exchange",
    "symbol",
    "timeframe",
    "ts",
    "decided_ts",
    "start_ts",
    "end_ts",
    "setup",
    "direction",
    "entry",
    "sl",
    "tp1",
    "tp2",
    "avwap",
    "leverage",
    "risk_pct",
    "qty",
    "notional",
    "tick",
    "lot",
    "min_notional",
    "tp1_net_pct",
    "cost_r",
    "trend",
    "vol",
    "ml_p_raw",
    "ml_p",
    "ev_pct",
    "model",
    "verdict",
    "reason",
    "origin",
    "late",
    "revised",
    "in_sample",
    "rationale",
    "config_hash",
    "liq",
    "market",
    "trail_mult",
    "max_hold",
    "expires_ts",
)
STATE_COLUMNS = (
    "status",
    "exit_reason",
    "opened_ts",
    "fill",
    "stop",
    "stop_reason",
    "best",
    "worst",
    "tp1_ts",
    "tp1_price",
    "closed_ts",
    "exit_price",
    "mae_pct",
    "mfe_pct",
)
MONEY_COLUMNS = (
    "gross_pct",
    "fees_pct",
    "slippage_pct",
    "funding_pct",
    "funding_known",
    "pnl_pct",
    "pnl_usd",
    "r_multiple",
)

_INSERT = f"INSERT OR IGNORE INTO signals ({', '.join(SIGNAL_COLUMNS)}) VALUES ({', '.join('?' * len(SIGNAL_COLUMNS))})"
_SAVE = (
    f"INSERT INTO positions (signal, symbol_id, {', '.join(STATE_COLUMNS + MONEY_COLUMNS)}) "
    f"VALUES ({', '.join('?' * (2 + len(STATE_COLUMNS) + len(MONEY_COLUMNS)))}) ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{c} = excluded.{c}" for c in STATE_COLUMNS + MONEY_COLUMNS)
)
_INSERT_NUMBERED = (
    f"INSERT INTO signals (n, {', '.join(SIGNAL_COLUMNS)}) VALUES ({', '.join('?' * (1 + len(SIGNAL_COLUMNS)))})"
)
_EVENT = "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"
_PLAN = (
    "n",
    "id",
    "symbol",
    "timeframe",
    "direction",
    "entry",
    "sl",
    "tp1",
    "tp2",
    "liq",
    "market",
    "trail_mult",
    "max_hold",
    "decided_ts",
    "expires_ts",
    "qty",
    "config_hash",
    "verdict",
    "reason",
    "late",
)


class Trade(NamedTuple):
    """A signal's plan beside the state of its position, as the lifecycle needs them."""

    n: int
    id: str
    symbol: str
    timeframe: str
    direction: str
    entry: float
    sl: float
    tp1: float | None
    tp2: float | None
    liq: float
    market: int
    trail_mult: float | None
    max_hold: int
    decided_ts: int
    expires_ts: int
    qty: float
    config_hash: str
    verdict: str
    reason: str
    late: int
    symbol_id: int
    state: tuple[Any, ...]


def add_config(con: Con, config_hash: str, body: Mapping[str, Any], now: int) -> None:
    """Keep the body of a configuration, so that each trade is followed under its own rules."""
    con.execute("INSERT OR IGNORE INTO configs VALUES (?, ?, ?)", (config_hash, json.dumps(body, sort_keys=True), now))


def configs(con: Con) -> dict[str, dict[str, Any]]:
    """All configurations that any signal was made under, by hash."""
    return {r[0]: json.loads(r[1]) for r in con.execute("SELECT config_hash, body FROM configs")}


def add_signal(con: Con, values: Sequence[Any]) -> int | None:
    """Insert one signal (values in the order of SIGNAL_COLUMNS); its row number, or None where it exists."""
    cursor = con.execute(_INSERT, values)
    return cursor.lastrowid if cursor.rowcount else None


def save_position(con: Con, signal: int, symbol_id: int, state: Sequence[Any], money: Sequence[Any]) -> None:
    """Write a position's state (STATE_COLUMNS) and results (MONEY_COLUMNS)."""
    con.execute(_SAVE, (signal, symbol_id, *state, *money))


def add_events(con: Con, signal: int, events: Iterable[Sequence[Any]], first_leg: int = 0) -> None:
    """Append money events (ts, event, price, fraction, fee_pct); one already there stays."""
    con.executemany(
        _EVENT,
        [(signal, leg, *event) for leg, event in enumerate(events, first_leg)],
    )


def next_number(con: Con) -> int:
    """The row number that the next signal may take (one writer alone asks)."""
    return int(con.execute("SELECT coalesce(max(n), 0) + 1 FROM signals").fetchone()[0])


def add_many(
    con: Con,
    signals: Iterable[Sequence[Any]],
    positions: Iterable[Sequence[Any]],
    events: Iterable[Sequence[Any]],
) -> None:
    """Insert fresh rows that carry their row numbers.

    signals: (n, *SIGNAL_COLUMNS). positions: (n, symbol id, *STATE, *MONEY). events: (n, leg, *event).
    """
    con.executemany(_INSERT_NUMBERED, signals)
    con.executemany(_SAVE, positions)
    con.executemany(_EVENT, events)


def open_trades(con: Con, exchange: str) -> dict[int, list[Trade]]:
    """Unfinished trades by symbol id, in the order they were decided."""
    return _trades(con, "g.exchange = ? AND p.closed_ts IS NULL", (exchange,))


def closed_trades(con: Con, symbol_id: int, opened_before: int, closed_from: int) -> list[Trade]:
    """Finished, once opened trades of a symbol with opened_ts < opened_before and closed_ts >= closed_from."""
    found = _trades(
        con, "p.symbol_id = ? AND p.closed_ts >= ? AND p.opened_ts < ?", (symbol_id, closed_from, opened_before)
    )
    return found.get(symbol_id, [])


def money(con: Con, signal: int) -> tuple[Any, ...]:
    """The stored results of a position, in the order of MONEY_COLUMNS."""
    row = con.execute(f"SELECT {', '.join(MONEY_COLUMNS)} FROM positions WHERE signal = ?", (signal,)).fetchone()
    return tuple(row)


def signal_row(con: Con, signal: int) -> dict[str, Any]:
    """One signal with all its columns, by row number."""
    return row_dicts(con.execute("SELECT * FROM signals WHERE n = ?", (signal,)))[0]


def trade_row(con: Con, signal_id: str) -> dict[str, Any]:
    """One trade of the view `trades`, by signal id."""
    return row_dicts(con.execute("SELECT * FROM trades WHERE signal_id = ?", (signal_id,)))[0]


def tp1_fraction(con: Con, signal: int) -> float:
    """The share of a position that its first target closed; 0.0 where only the stop moved."""
    row = con.execute("SELECT fraction FROM events WHERE signal = ? AND event = 'TP1'", (signal,)).fetchone()
    return float(row[0]) if row else 0.0


def existing_ids(con: Con, exchange: str, symbol: str, start: int, end: int) -> set[str]:
    """Ids of the signals of a symbol with start <= decided_ts < end."""
    return {
        r[0]
        for r in con.execute(
            "SELECT id FROM signals WHERE exchange = ? AND symbol = ? AND decided_ts >= ? AND decided_ts < ?",
            (exchange, symbol, start, end),
        )
    }


def open_plan(con: Con, row: Mapping[str, Any]) -> str | None:
    """Short id of an older unfinished plan of the same setup, symbol, timeframe and direction, if any."""
    found = con.execute(
        "SELECT g.short_id FROM signals g JOIN positions p ON p.signal = g.n WHERE g.exchange = ? AND g.symbol = ? "
        "AND g.setup = ? AND g.timeframe = ? AND g.direction = ? AND g.decided_ts < ? AND p.closed_ts IS NULL "
        "ORDER BY g.decided_ts DESC LIMIT 1",
        (row["exchange"], row["symbol"], row["setup"], row["timeframe"], row["direction"], row["decided_ts"]),
    ).fetchone()
    return found[0] if found else None


def row_dicts(cursor: Any) -> list[dict[str, Any]]:
    """All rows of a cursor as dicts."""
    names = [d[0] for d in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def add_counts(con: Con, rows: Iterable[tuple[str, str, str, int, str, int]]) -> None:
    """Add to the daily counts (exchange, symbol, timeframe, day, name, n) of what was seen but not stored."""
    con.executemany("INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n", rows)


def _trades(con: Con, where: str, params: Sequence[Any]) -> dict[int, list[Trade]]:
    columns = ", ".join([f"g.{c}" for c in _PLAN] + ["p.symbol_id"] + [f"p.{c}" for c in STATE_COLUMNS])
    rows = con.execute(
        f"SELECT {columns} FROM positions p JOIN signals g ON g.n = p.signal WHERE {where} ORDER BY g.decided_ts, g.id",
        params,
    )
    cut = len(_PLAN) + 1
    found: dict[int, list[Trade]] = {}
    for row in rows:
        found.setdefault(row[cut - 1], []).append(Trade._make((*row[:cut], row[cut:])))
    return found
