"""The volume-weighted average price anchored at a bar (rule 12)."""

from core.candles import Bars
from core.signals.kernels import Kernels


def anchored_vwap(bars: Bars, start: int, i: int, kernels: Kernels) -> float:
    """AVWAP of bars [start, i], typical price (h + l + c) / 3; NaN where nothing was traded."""
    part, seq = slice(start, i + 1), kernels.seq
    return kernels.avwap(seq(bars.high[part]), seq(bars.low[part]), seq(bars.close[part]), seq(bars.volume[part]),
                         i + 1 - start)
