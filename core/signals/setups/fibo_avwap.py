"""Setup `fibo_avwap`: a limit order in the retracement of an impulse, targets at its extensions."""

import math
from collections import Counter
from dataclasses import dataclass

from core.candles import Bars
from core.signals.avwap import anchored_vwap
from core.signals.fibo import Levels, levels
from core.signals.indicators import Indicators
from core.signals.kernels import Kernels
from core.signals.params import Common
from core.signals.pivots import Impulse, impulses
from core.signals.setups import NONE, Found, setup
from core.signals.text import number


@dataclass(frozen=True, slots=True)
class FiboAvwapParams:
    """No parameters of its own: it reads the section `signals`."""


def needs(common: Common, params: FiboAvwapParams) -> int:
    """The bars in which pivots count and, before them, the window of the oldest one."""
    return common.lookback_candles + common.piv_window


@setup("fibo_avwap", params=FiboAvwapParams, timeframes=("5m", "15m", "1h"), needs=needs)
def find(bars: Bars, lo: int, hi: int, ind: Indicators, common: Common, params: FiboAvwapParams, kernels: Kernels,
         counts: Counter[str]) -> list[Found]:
    """Find a candidate for each impulse decided at bars [lo, hi) (rules 9, 11, 12)."""
    found = []
    for move in impulses(bars, lo, hi, common.piv_window, common.lookback_candles, common.anchors_to_consider, kernels):
        atr = ind.atr(move.i)
        if math.isnan(atr):
            counts["no_atr"] += 1
        else:
            found.append(_candidate(bars, move, atr, common, kernels))
    return found


def _candidate(bars: Bars, move: Impulse, atr: float, common: Common, kernels: Kernels) -> Found:
    first, last = (bars.low, bars.high) if move.side > 0 else (bars.high, bars.low)
    a, b = float(first[move.start]), float(last[move.end])
    plan = levels(a, b, common.entry_level, common.sl_share * common.atr_mult_sl * atr)
    avwap = anchored_vwap(bars, move.start, move.i, kernels) if common.avwap_use else NONE
    why = _why(move, a, b, plan, avwap, atr, common)
    return Found("fibo_avwap", move.side, move.i, move.start, move.end, *plan, avwap, False, NONE, 0, why)


def _why(move: Impulse, a: float, b: float, plan: Levels, avwap: float, atr: float, common: Common) -> str:
    name = "Up" if move.side > 0 else "Down"
    text = (f"{name} impulse {number(a)} to {number(b)} over {move.end - move.start} bars; "
            f"entry at the {number(common.entry_level)} retracement")
    if math.isnan(avwap):
        return f"{text}; no AVWAP"
    distance = avwap - plan.entry
    apart = f"{abs(distance) / atr:.1f} ATR {'above' if distance >= 0 else 'below'}" if atr > 0 else "apart"
    return f"{text}; AVWAP {number(avwap, 6)} lies {apart}"
