"""Setup `compression`: a channel breakout out of narrow Bollinger bands."""

from collections import Counter
from dataclasses import dataclass, field

from core.candles import Bars
from core.signals.indicators import Indicators
from core.signals.kernels import Kernels
from core.signals.params import Common
from core.signals.setups import Found, donchian, setup


@dataclass(frozen=True, slots=True)
class CompressionParams(donchian.DonchianParams):
    """As for donchian, and: narrow = bandwidth ranked below `bandwidth_rank_pct` % of its last values."""

    sl_atr: float = field(default=1.5, metadata={"min": 0.1, "max": 20.0})
    bandwidth_period: int = field(default=20, metadata={"min": 2, "max": 500})
    bandwidth_std: float = field(default=2.0, metadata={"min": 0.1, "max": 10.0})
    bandwidth_lookback: int = field(default=120, metadata={"min": 2, "max": 1000})
    bandwidth_rank_pct: float = field(default=20.0, metadata={"min": 0.0, "max": 100.0})
    within_bars: int = field(default=5, metadata={"min": 1, "max": 100})


def needs(common: Common, params: CompressionParams) -> int:
    """What donchian needs, and the bandwidths seen from the bar before."""
    bands = params.within_bars + params.bandwidth_lookback + params.bandwidth_period
    return max(donchian.needs(common, params), bands)


@setup("compression", params=CompressionParams, timeframes=("4h",), needs=needs)
def find(bars: Bars, lo: int, hi: int, ind: Indicators, common: Common, params: CompressionParams, kernels: Kernels,
         counts: Counter[str]) -> list[Found]:
    """Find the breakouts of donchian that come out of narrow bands (rule 19b).

    The narrow bands come in addition: "the bar before was not already so" speaks of channel and side of
    EMA(200), as it does for donchian, so every candidate here is one there with the same parameters.
    """
    squeeze = donchian.Squeeze(params.bandwidth_period, params.bandwidth_std, params.bandwidth_lookback,
                               params.bandwidth_rank_pct, params.within_bars)
    return donchian.breakouts("compression", bars, lo, hi, ind, params, needs(common, params), squeeze, kernels,
                              counts)
