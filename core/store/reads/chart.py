"""What the page Chart reads beside candles and plans."""

import json
from typing import Any

from core.store.candles import Con


def body(con: Con, config_hash: str) -> dict[str, Any]:
    """The configuration a plan was made under."""
    found = con.execute("SELECT body FROM configs WHERE config_hash = ?", (config_hash,)).fetchone()
    return dict(json.loads(found[0]))


def last_bar(con: Con, series: int) -> int | None:
    """The open of a series' newest bar, or None where it has none."""
    found = con.execute("SELECT max(ts) FROM ohlcv WHERE series = ?", (series,)).fetchone()[0]
    return None if found is None else int(found)


def timeframes(con: Con, exchange: str) -> dict[str, dict[str, int]]:
    """Series that hold bars: symbol to timeframe to the series' number."""
    found: dict[str, dict[str, int]] = {}
    for symbol, name, series in con.execute(
        "SELECT symbol, timeframe, id FROM series s WHERE exchange = ? "
        "AND EXISTS (SELECT 1 FROM ohlcv o WHERE o.series = s.id) ORDER BY symbol, id", (exchange,)):
        found.setdefault(symbol, {})[name] = series
    return found


def tick(con: Con, exchange: str, symbol: str) -> float | None:
    """The market's price step, where it is known."""
    found = con.execute("SELECT tick FROM symbols WHERE exchange = ? AND symbol = ?", (exchange, symbol)).fetchone()
    return None if found is None or found[0] is None else float(found[0])
