"""What a replay exchange plays: the market behind it, recorded or generated."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from core.candles import Bars, Row
from core.timeframe import MINUTE

# What Bitget's USDT-M futures ask of a new account; recorded files do not tell.
TAKER, MAKER, MAX_LEVERAGE = 0.0006, 0.0002, 125


@dataclass(frozen=True, slots=True)
class Contract:
    """The terms of one market.

    tick: price step. lot: size step in base coins. min_notional: least order in quote coins.
    taker, maker: fees as fractions (0.0006 = 0.06 %). max_leverage: whole number.
    """

    tick: float
    lot: float
    min_notional: float = 5.0
    taker: float = TAKER
    maker: float = MAKER
    max_leverage: int = MAX_LEVERAGE


class MarketSource(Protocol):
    """A market to be replayed; its answers depend on the arguments alone.

    Times are int ms UTC, a minute is named by its open, ranges are [start, end). An unknown symbol
    raises DataError.
    """

    label: str

    def symbols(self) -> tuple[str, ...]: ...
    def info(self, symbol: str) -> Contract: ...
    def first(self, symbol: str) -> int: ...
    def last(self, symbol: str) -> int: ...
    def candles(self, symbol: str, start: int, end: int) -> Bars: ...
    def partial(self, symbol: str, now: int) -> Row | None: ...
    def funding(self, symbol: str, start: int, end: int) -> list[tuple[int, float]]: ...


def exchange_id(symbol: str) -> str:
    """`BTC/USDT:USDT` as the exchange writes it: `BTCUSDT`; an id is returned as it stands."""
    return symbol.partition(":")[0].replace("/", "")


def parts(symbol: str) -> tuple[str, str, str]:
    """Base, quote and settlement coin of a unified symbol; a spot symbol settles in its quote."""
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    return base, quote, settle or quote


def decimals(step: float) -> int:
    """Digits after the point that a price or size step needs: 0.05 needs 2, 10.0 none."""
    exponent = Decimal(repr(step)).normalize().as_tuple().exponent
    return max(0, -int(exponent))


def row_at(bars: Bars, i: int) -> Row:
    """Bar `i` as a row of plain numbers."""
    return (int(bars.ts[i]), float(bars.open[i]), float(bars.high[i]), float(bars.low[i]), float(bars.close[i]),
            float(bars.volume[i]))


def in_progress(final: Row, now: int, contract: Contract) -> Row | None:
    """The minute `final` as it looked at `now` while it was still being traded; None before its open.

    The price walks from the open to the adverse extreme, to the other one and to the close, in equal
    shares of the minute; the volume grows with time and is below the final one until the end, so
    that a client which stores this row as final is caught.
    """
    ts, start, high, low, close, volume = final
    share = (now - ts) / MINUTE
    if share < 0:
        return None
    path = (start, low, high, close) if close >= start else (start, high, low, close)
    leg = min(2, int(share * 3))
    raw = path[leg] + (path[leg + 1] - path[leg]) * min(1.0, share * 3 - leg)
    price = min(high, max(low, round(round(raw / contract.tick) * contract.tick, decimals(contract.tick))))
    seen = (*path[: leg + 1], price)
    lots = int(volume * min(1.0, share) / contract.lot)
    return ts, start, max(seen), min(seen), price, round(lots * contract.lot, decimals(contract.lot))
