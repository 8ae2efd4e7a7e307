"""Funding rates on disk."""

from collections.abc import Iterable

from core.store.candles import Con


def add_rates(con: Con, exchange: str, symbol: str, rates: Iterable[tuple[int, float]]) -> list[int]:
    """Store rates (ts, rate); returns the settlement times that are new or changed, ascending."""
    changed = []
    for ts, rate in rates:
        cursor = con.execute(
            "INSERT INTO funding VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET rate = excluded.rate "
            "WHERE rate <> excluded.rate",
            (exchange, symbol, ts, rate),
        )
        if cursor.rowcount:
            changed.append(ts)
    return sorted(changed)


def rates(con: Con, exchange: str, symbol: str, after: int, through: int = 2**62) -> list[tuple[int, float]]:
    """Settlements (ts, rate) with after < ts <= through, ascending."""
    return con.execute(
        "SELECT ts, rate FROM funding WHERE exchange = ? AND symbol = ? AND ts > ? AND ts <= ? ORDER BY ts",
        (exchange, symbol, after, through),
    ).fetchall()


def bounds(con: Con, exchange: str, symbol: str) -> tuple[int | None, int | None]:
    """Times of the oldest and the newest stored rate, None where there is none."""
    row = con.execute(
        "SELECT min(ts), max(ts) FROM funding WHERE exchange = ? AND symbol = ?", (exchange, symbol)
    ).fetchone()
    return row[0], row[1]
