"""A file of a hundred symbols on five timeframes in the middle of its life, and an exchange that has answered.

The minutes end shortly before a midnight, at which all five timeframes close. Plans are open as they
would be: those of the last 300 bars of each timeframe that have not ended yet.
"""

from pathlib import Path
from typing import Any

from bench import data
from core.candles import Bars, MarketInfo
from core.clock import Clock
from core.config.schema import Config
from core.engine import retro
from core.engine.context import Context
from core.engine.retro import RetroOptions
from core.market.exchange import Exchange
from core.market.generated import GeneratedMarket, random_walk
from core.store import candles
from core.timeframe import DAY, DERIVED, MINUTE, ms

KNOWN = 30  # days of minutes that short timeframes are made of
STORED = 13 * DAY  # minutes kept in the file: more than any plan followed here has lived
BARS = 1100  # of each derived timeframe: what a decision reads, 300 times
MARKET_DAYS = KNOWN + 2
BEFORE = 8 * MINUTE  # where the file ends, before midnight


def config(symbols: int) -> Config:
    """The shipped configuration on all five timeframes."""
    return data.shipped(*changes(symbols))


def changes(symbols: int) -> list[tuple[str, str]]:
    """What of the shipped configuration is replaced."""
    names = ", ".join(name(n) for n in range(symbols))
    return [
        ("[BTC/USDT:USDT, ETH/USDT:USDT, SOL/USDT:USDT]", f"[{names}]"),
        ("timeframes: [5m, 15m, 1h, 4h]", "timeframes: [5m, 15m, 1h, 4h, 1d]"),
        ("timeframes: [4h]  ", "timeframes: [4h, 1d]  "),
        ("timeframes: [4h]  ", "timeframes: [4h, 1d]  "),
    ]


def name(n: int) -> str:
    """Symbol number `n`."""
    return f"C{n:02d}/USDT:USDT"


def market(symbols: int) -> GeneratedMarket:
    """The market that all of it comes from."""
    return GeneratedMarket(tuple(name(n) for n in range(symbols)), days=MARKET_DAYS)


def midnight(source: GeneratedMarket) -> int:
    """The midnight shortly before which the file ends."""
    return source.start + KNOWN * DAY


def make(path: Path, symbols: int) -> None:
    """Make the file. It takes a while: a hundred symbols are two million rows."""
    source = market(symbols)
    end = midnight(source) - BEFORE
    ctx = data.context(path, config(symbols), end)
    for n in range(symbols):
        info = source.info(name(n))
        _fill(ctx, name(n), source.candles(name(n), source.start, end), n, MarketInfo(info.tick, info.lot, 5.0))
    for tf in DERIVED:
        retro.run(ctx, RetroOptions(start=max(end - 300 * ms(tf), end - STORED + DAY), timeframes=(tf,)))
    with ctx.db.write() as con:
        for tf in DERIVED:
            con.execute("UPDATE series SET live_from = ? WHERE timeframe = ?", (end - end % ms(tf), tf))
        con.execute("UPDATE symbols SET funding_ts = ?", (end - end % (60 * MINUTE),))
    ctx.db.checkpoint()
    ctx.db.close()


def _fill(ctx: Context, symbol: str, minutes: Bars, n: int, info: MarketInfo) -> None:
    end = int(minutes.ts[-1]) + MINUTE
    with ctx.db.write(durable=False) as con:
        series = candles.series(con, data.EXCHANGE)
        data.put(con, series[symbol, "1m"].id, minutes.cut(len(minutes) - STORED // MINUTE, len(minutes)))
        candles.set_stretch(con, data.EXCHANGE, symbol, end - 2000 * DAY, end)
        candles.set_market(con, data.EXCHANGE, symbol, info, end)
        bars = minutes
        for i, tf in enumerate(DERIVED):
            bars = data.join(bars, tf)
            older = _older(bars, n * 10 + i)
            row = series[symbol, tf].id
            if older is not None:
                data.put(con, row, older)
            data.put(con, row, bars.cut(max(0, len(bars) - BARS), len(bars)))
            con.execute("UPDATE series SET built_ts = ? WHERE id = ?", (end - end % ms(tf), row))


def _older(bars: Bars, seed: int) -> Bars | None:
    # What lies before the known minutes is a random walk that ends where they begin.
    missing = BARS - len(bars)
    if missing <= 0:
        return None
    walk = random_walk(seed, missing, vol=0.0005 * (bars.tf / MINUTE) ** 0.5)
    scale = float(bars.open[0]) / float(walk.close[-1])
    ts = int(bars.ts[0]) + (walk.ts - walk.ts[-1] - MINUTE) // MINUTE * bars.tf
    o, h, low, c = (x * scale for x in (walk.open, walk.high, walk.low, walk.close))
    return Bars(bars.tf, ts, o, h, low, c, walk.volume, walk.minutes * (bars.tf // MINUTE))


class _Canned:
    """Stands for the ccxt client: what the wire would bring is already here."""

    def __init__(self, client: Any, clock: Clock, answers: dict[str, Any]) -> None:
        self._client, self._clock, self._answers = client, clock, answers
        self.markets = {symbol: {"swap": True} for symbol in answers}

    async def fetch_time(self) -> int:
        return self._clock.now()

    async def fetch_ohlcv(self, symbol: str, *_: Any) -> list[Any]:
        found: list[Any] = self._answers[symbol][0]
        return found

    async def fetch_funding_rate_history(self, symbol: str, *_: Any) -> list[Any]:
        found: list[Any] = self._answers[symbol][1]
        return found

    async def close(self) -> None:
        await self._client.close()


class Answered(Exchange):
    """The real exchange room, but its client's answers have already arrived."""

    def answer(self, answers: dict[str, Any]) -> None:
        """What the client hands over from now on, by symbol: candles, funding rates."""
        client = self._client._client if isinstance(self._client, _Canned) else self._client
        self._client = _Canned(client, self._clock, answers)


def answers(source: GeneratedMarket, now: int) -> dict[str, Any]:
    """What a tick at `now` gets: six closed minutes and the open one of each symbol, and two days of rates."""
    found: dict[str, Any] = {}
    for symbol in source.symbols():
        end = now - now % MINUTE
        rates = [{"timestamp": ts, "fundingRate": rate} for ts, rate in source.funding(symbol, now - 2 * DAY, now + 1)]
        found[symbol] = (data.raw(source.candles(symbol, end - 6 * MINUTE, end + MINUTE)), rates)
    return found
