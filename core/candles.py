"""Bars as arrays: what every pure room works on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Row = tuple[int, float, float, float, float, float]  # ts, open, high, low, close, volume


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Final bars of one symbol and timeframe, ascending and unique in `ts`.

    tf: length of a bar in ms. ts: opens, int64 ms UTC, shape (n,). open, high, low, close, volume:
    float64, shape (n,), finite. minutes: how many 1m bars each was built from, int64. Bars that
    never traded have no row, so neighbours may lie further apart than `tf`.
    """

    tf: int
    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    minutes: Ints

    def __len__(self) -> int:
        return len(self.ts)

    def cut(self, start: int, stop: int) -> "Bars":
        """Rows [start, stop) as views."""
        part = slice(start, stop)
        return Bars(self.tf, self.ts[part], self.open[part], self.high[part], self.low[part],
                    self.close[part], self.volume[part], self.minutes[part])

    def before(self, ts: int) -> "Bars":
        """Rows whose open lies before `ts`."""
        return self.cut(0, int(np.searchsorted(self.ts, ts)))


def from_rows(tf: int, rows: Sequence[Sequence[float]] | Iterable[Sequence[float]]) -> Bars:
    """Bars from rows (ts, open, high, low, close, volume[, minutes])."""
    rows = list(rows)
    if not rows:
        return empty(tf)
    o, h, low, c, v = np.array([tuple(r[1:6]) for r in rows], dtype=np.float64).T.copy()
    ts = np.array([r[0] for r in rows], dtype=np.int64)
    minutes = np.array([r[6] if len(r) > 6 else tf // 60_000 for r in rows], dtype=np.int64)
    return Bars(tf, ts, o, h, low, c, v, minutes)


def empty(tf: int) -> Bars:
    """No bars."""
    none, ints = np.empty(0), np.empty(0, np.int64)
    return Bars(tf, ints, none, none, none, none, none, ints)


@dataclass(frozen=True, slots=True)
class MarketInfo:
    """What an exchange says of a market: price tick, lot size (base coins) and least notional (quote)."""

    tick: float
    lot: float
    min_notional: float
