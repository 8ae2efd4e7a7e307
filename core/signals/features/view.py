"""One frame as the candidates see it: each through the last bar that had closed at its decision."""

from functools import cached_property
from typing import Any, cast

import numpy as np

from core.candles import Bars, Floats, Ints
from core.signals import regime
from core.signals.features.facts import Span
from core.signals.indicators import BLOCK, Indicators, ema_weights
from core.signals.kernels import Kernels, Values

RSI_PERIOD = 14
BAND_PERIOD, BAND_WIDTH, BAND_WINDOW = 20, 2.0, 120
STALE = 3  # bars that may be missing between the last closed one and the decision

# Bars up to and including the one seen with which its values equal those from full history (rule 5).
ANCHORED = 2 * BLOCK
RANKED = regime.VOL_WINDOW - 1 + ANCHORED


def as_of(bars: Bars, decided_ts: Ints) -> Ints:
    """Index of the last bar that had closed at each time, -1 where there is none or it is stale.

    A bar that closes exactly at that time has closed.
    """
    at = bars.ts.searchsorted(decided_ts - bars.tf, side="right") - 1
    if len(bars):
        at[decided_ts - bars.ts[at] >= (2 + STALE) * bars.tf] = -1
    return at


def unseen(at: Ints, decided_ts: Ints, span: Span) -> Ints:
    """The same with -1 for the decisions of a span."""
    return np.where((decided_ts >= span[0]) & (decided_ts < span[1]), -1, at)


class View:
    """Values at bar at[k] of the frame for each candidate k, shape (n,); NaN where at[k] is -1 or history is short.

    bars: none before `start`, from where on they are complete (ms). Each value is computed once per bar seen.
    """

    def __init__(self, bars: Bars, at: Ints, start: int, atr_period: int, kernels: Kernels) -> None:
        self.bars, self.start, self.kernels = bars, start, kernels
        seen = at >= 0
        self._need, back = np.unique(at[seen], return_inverse=True)
        self._back = np.full(len(at), -1)
        self._back[seen] = back
        self._ind = _Anchored(bars, atr_period, kernels)

    def price(self, values: Floats, lag: int = 0) -> Floats:
        """values[bar] of the bar `lag` before the one seen."""
        at = self._need - lag
        return self._spread(np.where(at >= 0, values[at], np.nan))

    def close(self, lag: int = 0) -> Floats:
        """Close of the bar `lag` before the one seen."""
        return self.price(self.bars.close, lag)

    def change(self, lag: int) -> Floats:
        """Close against the close `lag` bars before, in ATRs."""
        return (self.close() - self.close(lag)) / self.atr

    @cached_property
    def at(self) -> Ints:
        """Index of the bar seen, -1 = none."""
        return np.append(self._need, -1)[self._back]

    @cached_property
    def atr(self) -> Floats:
        """Wilder's ATR, price units; NaN also where nothing moved, since it is a unit."""
        found = self._anchored(self._ind.atr_array)
        return np.where(found > 0.0, found, np.nan)

    @cached_property
    def adx(self) -> Floats:
        """Wilder's ADX(14), 0 to 100."""
        return self._anchored(self._ind.adx_array)

    @cached_property
    def rsi(self) -> Floats:
        """Wilder's RSI(14), 0 to 100."""
        return self._anchored(self._ind.rsi_array)

    @cached_property
    def atr_rank(self) -> Floats:
        """Share of the last 300 ATR % values below the current one, 0 to 100 (rule 6)."""
        lo, hi = self._range(regime.VOL_WINDOW - 1)
        atr_pct = 100.0 * self._ind.atr_array(lo, hi) / self.bars.close[lo:hi]
        return self._rank(atr_pct, lo, regime.VOL_WINDOW, self._covered(regime.VOL_WINDOW - 1))

    @cached_property
    def band_rank(self) -> Floats:
        """Share of the last 120 Bollinger bandwidths (20, 2) below the current one, 0 to 100."""
        lo, hi = self._range(BAND_WINDOW - 1)
        widths = np.empty(hi - lo)
        self.kernels.bandwidths(self._close, lo, hi, BAND_PERIOD, BAND_WIDTH, widths)
        return self._rank(widths, lo, BAND_WINDOW, self._need >= BAND_WINDOW + BAND_PERIOD - 2)

    def ema(self, n: int, lag: int = 0) -> Floats:
        """EMA(n) over the last 2n closes at the bar `lag` before the one seen (rule 19a)."""
        at, out = self._need - lag, np.empty(len(self._need))
        self.kernels.emas(self._close, ema_weights(n, self.kernels), 2 * n, self._marks(at), len(at), out)
        return self._spread(out)

    def mean_volume(self, window: int) -> Floats:
        """Mean volume of the last `window` bars, the one seen included."""
        out = np.empty(len(self._need))
        self.kernels.means(self.kernels.seq(self.bars.volume), self._marks(self._need), len(out), window, out)
        return self._spread(out)

    @cached_property
    def _close(self) -> Values:
        return self.kernels.seq(self.bars.close)

    def _marks(self, at: Ints) -> Any:
        return cast(Any, self.kernels.seq)(at)

    def _spread(self, values: Floats) -> Floats:
        # From the bars seen to the candidates; those that see none take the last, a NaN.
        return np.append(values, np.nan)[self._back]

    def _range(self, before: int) -> tuple[int, int]:
        if not len(self._need):
            return 0, 0
        return max(0, int(self._need[0]) - before), int(self._need[-1]) + 1

    def _covered(self, before: int) -> Any:
        # Whether the stretch holds all that the recursion of the bar `before` bars back reads.
        first = self._need - before
        length = BLOCK * self.bars.tf
        oldest = (self.bars.ts[first] // length - 1) * length
        return (first >= 0) & (oldest >= self.start)

    def _anchored(self, compute: Any) -> Floats:
        lo, hi = self._range(0)
        return self._spread(np.where(self._covered(0), compute(lo, hi)[self._need - lo], np.nan))

    def _rank(self, values: Floats, lo: int, window: int, known: Any) -> Floats:
        out = np.empty(len(self._need))
        self.kernels.ranks(self.kernels.seq(values), self._marks(self._need - lo), len(out), window, out)
        return self._spread(np.where(known, out, np.nan))


class _Anchored(Indicators):
    # The other recursions of rule 5, in ranges.
    def __init__(self, bars: Bars, atr_period: int, kernels: Kernels) -> None:
        super().__init__(bars, atr_period, kernels)
        self._rsi = np.full(len(bars), np.nan)

    def adx_array(self, lo: int, hi: int) -> Floats:
        self._adx_known = self._extend(self.kernels.adx, regime.ADX_PERIOD, self._adx, self._adx_known, lo, hi)
        return self._adx[lo:hi]

    def rsi_array(self, lo: int, hi: int) -> Floats:
        self._extend(self.kernels.rsi, RSI_PERIOD, self._rsi, (0, 0), lo, hi)
        return self._rsi[lo:hi]
