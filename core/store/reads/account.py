"""What the filter's own account reads: the plans that the filter itself passed or refused, as they ended."""

from collections.abc import Sequence
from typing import NamedTuple

from core.store.candles import Con

ALL = 2**62


class Judged(NamedTuple):
    """One plan that the filter judged and that has ended. closed_ts: ms UTC; r: net R, None = never filled."""

    origin: str
    verdict: str
    symbol: str
    timeframe: str
    trend: str
    vol: str
    setup: str
    in_sample: int
    closed_ts: int
    r: float | None


def ended(con: Con, exchange: str, words: Sequence[str], start: int | None, end: int | None) -> list[Judged]:
    """Plans that ended in [start, end) and whose reason begins with one of `words`, oldest first."""
    rows = con.execute(
        "SELECT g.origin, g.verdict, g.symbol, g.timeframe, g.trend, g.vol, g.setup, g.in_sample, p.closed_ts, "
        "p.r_multiple FROM symbols s JOIN positions p ON p.symbol_id = s.id AND p.closed_ts IS NOT NULL "
        f"AND p.closed_ts >= ? AND p.closed_ts < ? JOIN signals g ON g.n = p.signal AND {judged(words)} "
        "WHERE s.exchange = ? ORDER BY p.closed_ts, g.n",
        (start or 0, ALL if end is None else end, *words, exchange),
    )
    return [Judged._make(row) for row in rows]


def unfinished(con: Con, exchange: str, words: Sequence[str]) -> dict[tuple[str, str], int]:
    """How many such plans have not ended yet, by (origin, verdict)."""
    rows = con.execute(
        "SELECT g.origin, g.verdict, count(*) FROM symbols s JOIN positions p ON p.symbol_id = s.id "
        f"AND p.closed_ts IS NULL JOIN signals g ON g.n = p.signal AND {judged(words)} "
        "WHERE s.exchange = ? AND g.in_sample = 0 GROUP BY g.origin, g.verdict",
        (*words, exchange),
    )
    return {(origin, verdict): n for origin, verdict, n in rows}


def judged(words: Sequence[str]) -> str:
    """The SQL that says: a model scored `g`, and the first word of its reason is one of `words`, each a parameter."""
    marks = ", ".join("?" for _ in words)
    return f"g.model IS NOT NULL AND substr(g.reason, 1, instr(g.reason, ' ') - 1) IN ({marks})"
