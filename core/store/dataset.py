"""What the training reads: every plan that was filled and has ended, with its result."""

from typing import NamedTuple

from core.store.candles import Con


class Ended(NamedTuple):
    """One filled and ended plan: as decided, and what came of it. Times ms UTC; NULL is None."""

    id: str
    symbol: str
    timeframe: str
    setup: str
    direction: str
    ts: int
    decided_ts: int
    start_ts: int
    end_ts: int
    entry: float
    sl: float
    tp1: float | None
    tp2: float | None
    avwap: float | None
    cost_r: float
    tp1_net_pct: float | None
    trend: str
    vol: str
    max_hold: int
    verdict: str
    reason: str
    in_sample: int
    config_hash: str
    closed_ts: int
    pnl_pct: float
    r_multiple: float


_PLAN = Ended._fields[:-3]
_RESULT = Ended._fields[-3:]
_LATE = 2**62


def ended(con: Con, exchange: str, start: int = 0, end: int = _LATE, known_by: int = _LATE) -> list[Ended]:
    """All filled and ended plans with start <= decided_ts < end, passed and refused, live and retro.

    known_by: only those whose result was known then (closed_ts < known_by). Revised rows are left out.
    By symbol, timeframe and decided_ts.
    """
    columns = ", ".join([*(f"g.{name}" for name in _PLAN), *(f"p.{name}" for name in _RESULT)])
    rows = con.execute(
        f"SELECT {columns} FROM signals g JOIN positions p ON p.signal = g.n WHERE g.exchange = ? "
        "AND g.decided_ts >= ? AND g.decided_ts < ? AND g.revised = 0 AND p.closed_ts < ? "
        "AND p.opened_ts IS NOT NULL AND p.r_multiple IS NOT NULL ORDER BY g.symbol, g.timeframe, g.decided_ts, g.id",
        (exchange, start, end, known_by),
    )
    return [Ended._make(row) for row in rows]


def counted(con: Con, exchange: str, start: int = 0, end: int = _LATE, known_by: int = _LATE) -> dict[str, int]:
    """Plans with start <= decided_ts < end: `all`, `unfilled`, `unfinished` and `revised` ones, as known then."""
    row = con.execute(
        "SELECT count(*), coalesce(sum(p.closed_ts < ?4 AND p.opened_ts IS NULL), 0), "
        "coalesce(sum(p.closed_ts IS NULL OR p.closed_ts >= ?4), 0), coalesce(sum(g.revised), 0) "
        "FROM signals g JOIN positions p ON p.signal = g.n "
        "WHERE g.exchange = ?1 AND g.decided_ts >= ?2 AND g.decided_ts < ?3",
        (exchange, start, end, known_by),
    ).fetchone()
    return dict(zip(("all", "unfilled", "unfinished", "revised"), map(int, row), strict=True))
