"""Reads of the page Now: what is open and waiting, the newest signals, and what has ended lately."""

from typing import Any

from core.store.candles import Con
from core.store.signals import row_dicts

# A join that begins at `symbols` walks one index per symbol; a look at the exchange's name alone walks all rows.
_PLAN = ("g.id, g.short_id, g.symbol, g.timeframe, g.setup, g.direction, g.entry, g.sl, g.tp1, g.tp2, g.tick, "
         "g.leverage, g.decided_ts, g.expires_ts, g.market, g.verdict, g.reason, g.origin, g.late, g.ml_p, g.ev_pct, "
         "g.model, p.status, p.opened_ts, p.fill, p.stop, p.tp1_ts, p.closed_ts, p.r_multiple")


def unfinished(con: Con, exchange: str, limit: int = 500) -> list[dict[str, Any]]:
    """Plans that have not ended, refused ones too, oldest first; at most `limit`."""
    return row_dicts(
        con.execute(
            f"SELECT {_PLAN} FROM symbols s JOIN positions p ON p.symbol_id = s.id AND p.closed_ts IS NULL "
            "JOIN signals g ON g.n = p.signal WHERE s.exchange = ? ORDER BY g.decided_ts, g.id LIMIT ?",
            (exchange, limit),
        )
    )


def prices(con: Con, exchange: str) -> dict[str, float]:
    """The close of the newest stored minute by symbol."""
    return dict(
        con.execute(
            "SELECT s.symbol, o.close FROM series s JOIN ohlcv o ON o.series = s.id AND o.ts = "
            "(SELECT max(ts) FROM ohlcv WHERE series = s.id) WHERE s.exchange = ? AND s.timeframe = '1m'",
            (exchange,),
        )
    )


def latest(con: Con, exchange: str, since: int, *, refused: bool, limit: int = 20) -> list[dict[str, Any]]:
    """The newest live signals decided since `since`; refused ones among them where `refused`."""
    return row_dicts(
        con.execute(
            f"SELECT {_PLAN} FROM symbols s CROSS JOIN signals g ON g.exchange = s.exchange AND g.symbol = s.symbol "
            "JOIN positions p ON p.signal = g.n WHERE s.exchange = ?1 AND g.decided_ts >= ?2 AND g.origin = 'live' "
            "AND (?3 OR g.verdict = 'pass') ORDER BY g.decided_ts DESC, g.id LIMIT ?4",
            (exchange, since, refused, limit),
        )
    )


def ended(con: Con, exchange: str, since: int) -> list[dict[str, Any]]:
    """Live, passed plans that ended since `since`, with the columns that figures are made from."""
    return row_dicts(
        con.execute(
            "SELECT g.symbol, g.timeframe, g.setup, g.direction, g.in_sample, p.exit_reason, p.opened_ts, p.closed_ts, "
            "p.pnl_pct, p.pnl_usd, p.r_multiple FROM symbols s JOIN positions p ON p.symbol_id = s.id "
            "AND p.closed_ts >= ? JOIN signals g ON g.n = p.signal WHERE s.exchange = ? AND g.origin = 'live' "
            "AND g.verdict = 'pass' ORDER BY p.closed_ts",
            (since, exchange),
        )
    )
