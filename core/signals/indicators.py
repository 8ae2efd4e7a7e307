"""Indicators whose values are the same to the bit from a short window and from full history.

Recursions start at fixed anchors (rule 5): each block of 128 bars counted from the epoch is warmed
up from the first bar stored in the block before it. Blocks are computed when first asked for.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from core.candles import Bars, Floats
from core.signals import regime
from core.signals.kernels import Kernels, Values

BLOCK = 128


def block(ts: int, tf: int) -> int:
    """Number of the block of 128 bars that holds the bar opened at `ts` (ms), counted from the epoch."""
    return ts // tf // BLOCK


def run_start(ts: int, tf: int) -> int:
    """Earliest open (ms) that can enter a recursive value of the bar opened at `ts`."""
    return (block(ts, tf) - 1) * BLOCK * tf


class Indicators:
    """ATR, ADX and regime of one symbol and timeframe, computed lazily and remembered.

    bars: final bars, all that the values asked for need (`decide.window`). atr_period: bars.
    A value that does not exist is NaN.
    """

    def __init__(self, bars: Bars, atr_period: int, kernels: Kernels) -> None:
        self.bars, self.atr_period, self.kernels = bars, atr_period, kernels
        self._atr, self._adx = np.full(len(bars), np.nan), np.full(len(bars), np.nan)
        self._atr_known, self._adx_known = (0, 0), (0, 0)  # the rows [lo, hi) already computed

    def atr(self, i: int) -> float:
        """Wilder's ATR at bar i, price units."""
        lo, hi = self._atr_known
        if not lo <= i < hi:
            self._atr_known = self._extend(self.kernels.atr, self.atr_period, self._atr, self._atr_known, i, i + 1)
        return self._atr.item(i)

    def atr_array(self, lo: int, hi: int) -> Floats:
        """ATR of bars [lo, hi), shape (hi - lo,)."""
        first, last = self._atr_known
        if not (first <= lo and hi <= last):
            self._atr_known = self._extend(self.kernels.atr, self.atr_period, self._atr, self._atr_known, lo, hi)
        return self._atr[lo:hi]

    def adx(self, i: int) -> float:
        """Wilder's ADX(14) at bar i, 0 to 100."""
        lo, hi = self._adx_known
        if not lo <= i < hi:
            self._adx_known = self._extend(self.kernels.adx, regime.ADX_PERIOD, self._adx, self._adx_known, i, i + 1)
        return self._adx.item(i)

    def trend(self, i: int) -> str:
        """`trend` or `range` at bar i."""
        return regime.trend_of(self.adx(i))

    def vol(self, i: int) -> str:
        """`low`, `normal` or `high`: rank of bar i's ATR % among the last 300, itself included."""
        lo = max(0, i + 1 - regime.VOL_WINDOW)
        atrs, seq = self.atr_array(lo, i + 1), self.kernels.seq
        return regime.vol_of(*self.kernels.rank_atr_pct(seq(atrs), seq(self.bars.close[lo : i + 1]), 0, i - lo))

    def _extend(self, kernel: Callable[..., None], period: int, out: Floats, known: tuple[int, int], lo: int,
                hi: int) -> tuple[int, int]:
        # Computes the blocks of [lo, hi) that are not known; a block known twice has the same values.
        first, stop = lo, lo
        while stop < hi:
            if known[0] <= stop < known[1]:
                stop = known[1]
                continue
            own, stop = self._block_run(kernel, period, out, stop)
            first = min(first, own)
        touching = known[0] < known[1] and first <= known[1] and known[0] <= stop
        return (min(first, known[0]), max(stop, known[1])) if touching else (first, stop)

    def _block_run(self, kernel: Callable[..., None], period: int, out: Floats, i: int) -> tuple[int, int]:
        bars, seq = self.bars, self.kernels.seq
        length = BLOCK * bars.tf
        open_ = int(bars.ts[i]) // length * length
        start, own, stop = bars.ts.searchsorted((open_ - length, open_, open_ + length)).tolist()
        run = np.empty(stop - start)
        kernel(seq(bars.high[start:stop]), seq(bars.low[start:stop]), seq(bars.close[start:stop]), stop - start,
               period, run)
        out[own:stop] = run[own - start :]
        return own, stop


@lru_cache(maxsize=64)
def ema_weights(n: int, kernels: Kernels) -> Values:
    """The 2n weights of EMA(n), oldest first, in the kernels' own form."""
    weights = np.empty(2 * n)
    kernels.ema_weights(n, weights)
    return kernels.seq(weights)


def ema(closes: Floats, i: int, n: int, kernels: Kernels) -> float:
    """EMA(n) of the last 2n closes at i, weights normalised (rule 19a); NaN with fewer closes."""
    if i < 2 * n - 1:
        return float("nan")
    last = kernels.seq(closes[i + 1 - 2 * n : i + 1])
    return kernels.ema(last, ema_weights(n, kernels), 2 * n, 2 * n - 1)


def bandwidth(closes: Floats, i: int, period: int, width: float, kernels: Kernels) -> float:
    """Bollinger bandwidth (upper - lower) / middle at i; NaN with fewer than `period` closes."""
    if i < period - 1:
        return float("nan")
    return kernels.bandwidth(kernels.seq(closes[i + 1 - period : i + 1]), period - 1, period, width)
