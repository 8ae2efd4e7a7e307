"""What surrounds the symbol: BTC for the others, funding."""

import math

import numpy as np

from core.candles import Floats, Ints
from core.signals.features.facts import Frames, Rows, Series
from core.signals.features.view import View, as_of, unseen
from core.signals.kernels import Kernels
from core.timeframe import DAY, HOUR

PUBLISHED = HOUR  # a rate of time s counts as known from s + PUBLISHED on
FUNDING_REACH = PUBLISHED + 2 * DAY

FEATURES: dict[str, str] = {
    "btc_return_12": "BTC's move of the last 12 bars in the trade's direction, its ATRs",
    "btc_ema50": "BTC's close against its EMA(50) in the trade's direction, its ATRs",
    "btc_atr_rank": "share of BTC's last 300 ATR % values below the current one, percent",
    "funding_pct": "last known funding rate, percent; positive = the trade pays",
    "funding_day_pct": "sum of the funding rates of the last 24 hours known, percent; positive = the trade pays",
}


def columns(rows: Rows, frames: Frames, kernels: Kernels) -> dict[str, Floats]:
    """Each feature of FEATURES, shape (n,)."""
    rate, day = _funding(frames.funding, rows.decided_ts)
    return {
        **_btc(rows, frames, kernels),
        "funding_pct": rows.side * (100.0 * rate),
        "funding_day_pct": rows.side * (100.0 * day),
    }


def _btc(rows: Rows, frames: Frames, kernels: Kernels) -> dict[str, Floats]:
    if frames.btc is None:
        return {name: np.full(len(rows.ts), np.nan) for name in ("btc_return_12", "btc_ema50", "btc_atr_rank")}
    bars = frames.btc.cut(int(frames.btc.ts.searchsorted(frames.btc_start)), len(frames.btc))
    at = unseen(as_of(bars, rows.decided_ts), rows.decided_ts, frames.btc_unseen)
    view = View(bars, at, frames.btc_start, frames.atr_period, kernels)
    return {
        "btc_return_12": rows.side * view.change(12),
        "btc_ema50": rows.side * (view.close() - view.ema(50)) / view.atr,
        "btc_atr_rank": view.atr_rank,
    }


def _funding(series: Series | None, decided_ts: Ints) -> tuple[Floats, Floats]:
    # Rates as fractions: the last one, and the sum of those of the day that ends with what is known.
    rate, day = np.full(len(decided_ts), np.nan), np.full(len(decided_ts), np.nan)
    if series is None or not len(series[0]):
        return rate, day
    ts, values = series
    stop = ts.searchsorted(decided_ts - PUBLISHED, side="right")
    first = ts.searchsorted(decided_ts - PUBLISHED - DAY, side="right")
    known = stop > first
    rate[known] = values[stop[known] - 1]
    # The day is known as a whole if the settlement before it is there too.
    known &= first > ts.searchsorted(decided_ts - PUBLISHED - 2 * DAY, side="right")
    sums = {(a, b): math.fsum(values[a:b].tolist())
            for a, b in set(zip(first[known].tolist(), stop[known].tolist(), strict=True))}
    day[known] = [sums[span] for span in zip(first[known].tolist(), stop[known].tolist(), strict=True)]
    return rate, day
