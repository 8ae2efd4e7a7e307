"""Where the price stands to its averages, on the own timeframe and on a higher one."""

import numpy as np

from core.candles import Bars, Floats, empty
from core.signals.features.facts import Frames, Rows
from core.signals.features.view import View, as_of, unseen
from core.signals.kernels import Kernels
from core.timeframe import TIMEFRAMES

SLOPE = 12  # bars
HIGHER: dict[int, int] = {TIMEFRAMES[low]: TIMEFRAMES[high]
                          for low, high in (("5m", "1h"), ("15m", "4h"), ("1h", "4h"), ("4h", "1d"))}

FEATURES: dict[str, str] = {
    "rsi": "RSI(14) in the trade's direction: above 50 = with the last moves",
    "adx": "ADX(14)",
    "ema20": "close against EMA(20) in the trade's direction, ATRs",
    "ema20_slope": f"EMA(20) against itself {SLOPE} bars ago in the trade's direction, ATRs",
    "ema50": "close against EMA(50) in the trade's direction, ATRs",
    "ema50_slope": f"EMA(50) against itself {SLOPE} bars ago in the trade's direction, ATRs",
    "ema200": "close against EMA(200) in the trade's direction, ATRs",
    "ema200_slope": f"EMA(200) against itself {SLOPE} bars ago in the trade's direction, ATRs",
    "ema200_side": "1 = the trade goes with the side of EMA(200) the close is on, -1 = against it",
    "higher_ema50": "higher timeframe: close against EMA(50) in the trade's direction, its ATRs",
    "higher_adx": "higher timeframe: ADX(14)",
    "higher_return_12": "higher timeframe: move of the last 12 bars in the trade's direction, its ATRs",
}


def columns(rows: Rows, own: View, frames: Frames, kernels: Kernels) -> dict[str, Floats]:
    """Each feature of FEATURES, shape (n,)."""
    side, close = rows.side, own.close()
    found = {"rsi": np.where(side > 0, own.rsi, 100.0 - own.rsi), "adx": own.adx}
    for n in (20, 50, 200):
        level = own.ema(n)
        found[f"ema{n}"] = side * (close - level) / own.atr
        found[f"ema{n}_slope"] = side * (level - own.ema(n, SLOPE)) / own.atr
    found["ema200_side"] = side * np.sign(close - level)
    return found | _higher(rows, frames, kernels)


def _higher(rows: Rows, frames: Frames, kernels: Kernels) -> dict[str, Floats]:
    # The last CLOSED bar: one still in progress knows the future of the minutes it will hold.
    bars = _frame(frames)
    at = unseen(as_of(bars, rows.decided_ts), rows.decided_ts, frames.higher_unseen)
    view = View(bars, at, frames.start, frames.atr_period, kernels)
    return {
        "higher_ema50": rows.side * (view.close() - view.ema(50)) / view.atr,
        "higher_adx": view.adx,
        "higher_return_12": rows.side * view.change(12),
    }


def _frame(frames: Frames) -> Bars:
    tf = HIGHER.get(frames.bars.tf)
    bars = None if tf is None else frames.higher.get(tf)
    if bars is None:
        return empty(tf or frames.bars.tf)
    return bars.cut(int(bars.ts.searchsorted(frames.start)), len(bars))
