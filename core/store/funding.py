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


def rates(con: Con, exchange: str, symbol: str, after: int, through: int) -> list[tuple[int, float]]:
    """Settlements with after < ts <= through."""
    return con.execute(
        "SELECT ts, rate FROM funding WHERE exchange = ? AND symbol = ? AND ts > ? AND ts <= ? ORDER BY ts",
        (exchange, symbol, after, through),
    ).fetchall()


def known(con: Con, exchange: str, symbol: str, opened_ts: int, closed_ts: int, fetched_through: int | None) -> bool:
    """Whether every settlement of a trade's life is known (rule 27)."""
    if fetched_through is not None and fetched_through >= closed_ts:
        return True
    row = con.execute(
        "SELECT EXISTS (SELECT 1 FROM funding WHERE exchange = ?1 AND symbol = ?2 AND ts <= ?3) "
        "AND EXISTS (SELECT 1 FROM funding WHERE exchange = ?1 AND symbol = ?2 AND ts > ?4)",
        (exchange, symbol, opened_ts, closed_ts),
    ).fetchone()
    return bool(row[0])
