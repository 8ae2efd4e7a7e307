"""Setup `donchian`: a close beyond the channel of the bars before it, entered at market and trailed."""

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from core.candles import Bars
from core.signals.indicators import Indicators, ema_weights
from core.signals.kernels import Kernels
from core.signals.params import Common
from core.signals.setups import NONE, Found, setup
from core.signals.text import number

EMA = 200


@dataclass(frozen=True, slots=True)
class DonchianParams:
    """channel: bars. ema_side: only on EMA(200)'s side. sl_atr, trail_atr: ATRs. max_hold_candles: bars."""

    channel: int = field(default=20, metadata={"min": 2, "max": 500})
    ema_side: bool = True
    sl_atr: float = field(default=2.0, metadata={"min": 0.1, "max": 20.0})
    trail_atr: float = field(default=3.0, metadata={"min": 0.1, "max": 50.0})
    max_hold_candles: int = field(default=200, metadata={"min": 1, "max": 100_000})


@dataclass(frozen=True, slots=True)
class Squeeze:
    """Narrow bandwidth asked for on one of the `within` bars before (0 = not asked), see `squeezed`."""

    period: int = 0
    width: float = 0.0
    lookback: int = 0
    rank_pct: float = 0.0
    within: int = 0


def needs(common: Common, params: DonchianParams) -> int:
    """The channel, and EMA(200)'s closes where asked, both of the bar before as well."""
    return max(params.channel + 2, 2 * EMA + 1 if params.ema_side else 0)


@setup("donchian", params=DonchianParams, timeframes=("4h",), needs=needs)
def find(bars: Bars, lo: int, hi: int, ind: Indicators, common: Common, params: DonchianParams, kernels: Kernels,
         counts: Counter[str]) -> list[Found]:
    """Find each bar of [lo, hi) that closes beyond the channel, on EMA(200)'s side if asked (rule 19a).

    A bar counts only if the same condition, channel and side of the EMA, did not hold for the same
    direction at the bar before.
    """
    return breakouts("donchian", bars, lo, hi, ind, params, needs(common, params), Squeeze(), kernels, counts)


def breakouts(name: str, bars: Bars, lo: int, hi: int, ind: Indicators, params: DonchianParams, reach: int,
              squeeze: Squeeze, kernels: Kernels, counts: Counter[str]) -> list[Found]:
    """Find the breakouts of [lo, hi) and plan each at the deciding close (rule 19c).

    reach: bars at or before the deciding one that the condition reads.
    """
    base, room = max(0, lo + 1 - reach), max(0, hi - lo)
    part, seq, closes = slice(base, hi), kernels.seq, 2 * EMA if params.ema_side else 0
    at, side = np.empty(room, np.int64), np.empty(room, np.int64)
    n = kernels.breakouts(seq(bars.high[part]), seq(bars.low[part]), seq(bars.close[part]), ema_weights(EMA, kernels),
                          closes, lo - base, hi - base, params.channel, squeeze.period, squeeze.width,
                          squeeze.lookback, squeeze.rank_pct, squeeze.within,
                          np.full(hi - base if squeeze.within else 0, np.nan), at, side)
    found = []
    for i, direction in zip(at[:n].tolist(), side[:n].tolist(), strict=True):
        atr = ind.atr(i + base)
        if math.isnan(atr):
            counts["no_atr"] += 1
        else:
            found.append(_candidate(name, bars, i + base, direction, atr, params, squeeze.within))
    return found


def _candidate(name: str, bars: Bars, i: int, side: int, atr: float, params: DonchianParams, within: int) -> Found:
    close = float(bars.close[i])
    before = slice(i - params.channel, i)
    edge = max(bars.high[before].tolist()) if side > 0 else min(bars.low[before].tolist())
    where, kind = ("above", "high") if side > 0 else ("below", "low")
    why = f"Close {number(close)} {where} the {params.channel}-bar {kind} {number(edge)}"
    if params.ema_side:
        why += f" and EMA({EMA})"
    if within:
        why += f", after narrow bands within {within} bars"
    why += f"; stop at {number(params.sl_atr)} ATR, trailed"
    return Found(name, side, i, i, i, close, close - side * params.sl_atr * atr, NONE, NONE, NONE, True,
                 params.trail_atr, params.max_hold_candles, why)
