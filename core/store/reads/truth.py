"""Reads of the page Truth: how much there is to recompute."""

from core.store.candles import Con


def decided(con: Con, exchange: str, span: int) -> int:
    """Live signals decided in the last `span` ms before each symbol's frontier."""
    return int(
        con.execute(
            "SELECT count(*) FROM symbols s JOIN (SELECT symbol, max(frontier) AS until FROM sync_checkpoint "
            "WHERE exchange = ?1 GROUP BY symbol) c ON c.symbol = s.symbol JOIN signals g ON g.exchange = s.exchange "
            "AND g.symbol = s.symbol AND g.decided_ts >= c.until - ?2 WHERE s.exchange = ?1 AND g.origin = 'live'",
            (exchange, span),
        ).fetchone()[0]
    )
