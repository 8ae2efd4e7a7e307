"""Impulses between pivots, each known at the close of the bar that decides it (rules 7 to 9)."""

from typing import NamedTuple

import numpy as np

from core.candles import Bars
from core.signals.kernels import Kernels


class Impulse(NamedTuple):
    """A move from pivot `start` to pivot `end`, known at the close of bar `i`; side +1 up, -1 down."""

    i: int
    start: int
    end: int
    side: int


def impulses(bars: Bars, lo: int, hi: int, window: int, lookback: int, anchors: int,
             kernels: Kernels) -> list[Impulse]:
    """Impulses decided at bars [lo, hi), in time order, the nearest start of each end first.

    window: bars on each side of a pivot. lookback: bars in which pivots count, the deciding one
    included. anchors: how many opposite groups are considered as starts.
    """
    base = max(0, lo + 1 - lookback - window)
    high, low = kernels.seq(bars.high[base:hi]), kernels.seq(bars.low[base:hi])
    room = max(0, hi - lo) * anchors
    at, start, side = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    n = kernels.impulses(high, low, lo - base, hi - base, window, lookback, anchors, at, start, side)
    return [Impulse(i + base, s + base, i - window + base, d)
            for i, s, d in zip(at[:n].tolist(), start[:n].tolist(), side[:n].tolist(), strict=True)]
