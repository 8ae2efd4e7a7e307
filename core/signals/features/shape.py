"""Price, volume and volatility at the deciding bar."""

import numpy as np

from core.candles import Floats
from core.signals.features.facts import Rows
from core.signals.features.view import View

FEATURES: dict[str, str] = {
    "return_1": "move of the last bar in the trade's direction, ATRs",
    "return_3": "move of the last 3 bars in the trade's direction, ATRs",
    "return_12": "move of the last 12 bars in the trade's direction, ATRs",
    "return_48": "move of the last 48 bars in the trade's direction, ATRs",
    "body": "body of the deciding bar in the trade's direction, share of its range (-1 to 1)",
    "wick_ahead": "wick of the deciding bar on the side the trade goes to, share of its range",
    "wick_behind": "wick of the deciding bar on the side of the stop, share of its range",
    "range_atr": "range of the deciding bar, ATRs",
    "volume_20": "volume of the deciding bar over the mean of the last 20",
    "volume_96": "volume of the deciding bar over the mean of the last 96",
    "atr_pct": "ATR, percent of the close",
    "atr_rank": "share of the last 300 ATR % values below the current one, percent",
    "band_rank": "share of the last 120 Bollinger bandwidths (20, 2) below the current one, percent",
}


def columns(rows: Rows, own: View) -> dict[str, Floats]:
    """Each feature of FEATURES, shape (n,)."""
    bars, side = own.bars, rows.side
    open_, high, low, close, volume = (own.price(x) for x in (bars.open, bars.high, bars.low, bars.close, bars.volume))
    length, up = high - low, side > 0
    top, bottom = high - np.maximum(open_, close), np.minimum(open_, close) - low
    return {
        **{f"return_{lag}": side * own.change(lag) for lag in (1, 3, 12, 48)},
        "body": side * (close - open_) / length,
        "wick_ahead": np.where(up, top, bottom) / length,
        "wick_behind": np.where(up, bottom, top) / length,
        "range_atr": length / own.atr,
        **{f"volume_{n}": volume / own.mean_volume(n) for n in (20, 96)},
        "atr_pct": 100.0 * own.atr / close,
        "atr_rank": own.atr_rank,
        "band_rank": own.band_rank,
    }
