"""Candles and files to measure on: the generated market, and databases filled with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from core.candles import Bars, MarketInfo, from_rows
from core.clock import VirtualClock
from core.config import loader
from core.config.schema import Config
from core.engine.context import Context
from core.market.generated import GeneratedMarket
from core.signals.setups import REGISTRY
from core.store import candles
from core.store.db import Database
from core.store.resample import buckets
from core.timeframe import DAY, DERIVED, MINUTE, SOURCE, ms

EXCHANGE, SYMBOL = "bitget", "BTC/USDT:USDT"
YEAR = 365
SHIPPED = Path(__file__).parents[1] / "config.yaml"


def shipped(*changes: tuple[str, str]) -> Config:
    """The shipped configuration, with pieces of its text replaced."""
    return loader.loads(text(*changes), REGISTRY, {})


def text(*changes: tuple[str, str]) -> str:
    """The text of the shipped configuration, with pieces of it replaced."""
    found = SHIPPED.read_text()
    for old, new in changes:
        if old not in found:
            raise ValueError(f"config.yaml no longer holds {old!r}")
        found = found.replace(old, new, 1)
    return found


def minutes(symbol: str, days: int, seed: int = 7, first: int = 0) -> Bars:
    """Generated 1m bars of `days` days, from day `first` of the market on."""
    market = GeneratedMarket((symbol,), seed=seed, days=first + days)
    return market.candles(symbol, market.start + first * DAY, market.start + (first + days) * DAY)


def raw(bars: Bars) -> list[list[Any]]:
    """Bars as ccxt hands them over: a list of lists."""
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def pages(rows: list[Any], size: int = 1000) -> Iterator[list[Any]]:
    """Rows in pages of one request each."""
    return (rows[a : a + size] for a in range(0, len(rows), size))


def context(path: Path, cfg: Config, now: int = 0) -> Context:
    """A context on a new or existing file, without an exchange."""
    ctx = Context(cfg, Database(path), VirtualClock(now))
    ctx.ensure_rows()
    return ctx


def fill(ctx: Context, symbol: str, bars: Bars, *, derived: bool = False, info: MarketInfo | None = None) -> None:
    """Store a symbol's minutes as one known stretch, and with `derived` all its timeframes."""
    start, end = int(bars.ts[0]), int(bars.ts[-1]) + MINUTE
    with ctx.db.write(durable=False) as con:
        series = candles.series(con, EXCHANGE)
        put(con, series[symbol, "1m"].id, bars)
        candles.set_stretch(con, EXCHANGE, symbol, start, end)
        candles.set_market(con, EXCHANGE, symbol, info or MarketInfo(0.1, 0.001, 5.0), end)
        for tf in DERIVED if derived else ():
            bars = join(bars, tf)
            put(con, series[symbol, tf].id, bars)
            con.execute("UPDATE series SET built_ts = ? WHERE id = ?", (end - end % ms(tf), series[symbol, tf].id))


def join(bars: Bars, tf: str) -> Bars:
    """Bars of the next longer timeframe, whole ones only."""
    assert bars.tf == ms(SOURCE[tf])
    end = (int(bars.ts[-1]) + bars.tf) // ms(tf) * ms(tf)
    rows = list(buckets(table(bars.before(end)), ms(tf)))
    return from_rows(ms(tf), rows)


def table(bars: Bars) -> list[Any]:
    """Bars as rows (ts, o, h, l, c, v, minutes)."""
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume, bars.minutes)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def read_minutes(path: Path, symbol: str = SYMBOL) -> None:
    """Merely read a symbol's minutes into an array: the cheapest way there is with this driver."""
    db = Database(path, readonly=True)
    series = candles.series(db.con, EXCHANGE)[symbol, "1m"].id
    query = "SELECT ts, open, high, low, close, volume FROM ohlcv WHERE series = ? ORDER BY ts"
    np.fromiter(db.con.execute(query, (series,)), np.dtype([(name, "f8") for name in "tohlcv"]))
    db.close()


def put(con: candles.Con, series_id: int, bars: Bars) -> None:
    """Insert bars as they are."""
    con.executemany(f"INSERT INTO ohlcv VALUES ({series_id}, ?, ?, ?, ?, ?, ?, ?)", table(bars))
