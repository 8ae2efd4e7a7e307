"""What a chart picture of one signal shows."""

from typing import Any

from core.store.candles import Con
from core.store.signals import row_dicts


def drawn(con: Con, signal_id: str) -> dict[str, Any] | None:
    """One signal beside the state of its position, by its full id; None where there is none."""
    found = row_dicts(con.execute(
        "SELECT g.id, g.short_id, g.exchange, g.symbol, g.timeframe, g.setup, g.direction, g.decided_ts, g.start_ts, "
        "g.end_ts, g.entry, g.sl, g.tp1, g.tp2, g.avwap, g.tick, g.verdict, g.expires_ts, p.status, p.opened_ts, "
        "p.stop, p.closed_ts, p.pnl_pct, coalesce(p.closed_ts, s.followed_ts - 60000) AS seen_ts "
        "FROM signals g JOIN positions p ON p.signal = g.n JOIN symbols s ON s.id = p.symbol_id WHERE g.id = ?",
        (signal_id,)))
    return found[0] if found else None


def events(con: Con, signal_id: str) -> list[tuple[int, str, float]]:
    """The money events of a signal that have a price, as (ts, event, price), in order."""
    return con.execute(
        "SELECT e.ts, e.event, e.price FROM events e JOIN signals g ON g.n = e.signal WHERE g.id = ? "
        "AND e.price IS NOT NULL ORDER BY e.leg", (signal_id,)).fetchall()
