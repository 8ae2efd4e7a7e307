"""The plan itself: the impulse it stands on, its distances, its costs."""

import numpy as np

from core.candles import Bars, Floats, Ints
from core.signals.features.facts import Rows
from core.signals.features.view import View
from core.timeframe import TIMEFRAMES

# Codes of the setups the table knows; one added later is NaN until VERSION grows.
SETUPS: tuple[str, ...] = ("fibo_avwap", "donchian", "compression")

FEATURES: dict[str, str] = {
    "fib_depth": "how much of the impulse the close has given back (0 = its end, 1 = its start)",
    "impulse_atr": "size of the impulse, ATRs",
    "impulse_bars": "length of the impulse, bars",
    "impulse_age": "bars from the end of the impulse to the deciding one",
    "entry_atr": "distance from the close back to the entry, ATRs",
    "stop_atr": "distance from the entry to the stop, ATRs",
    "stop_pct": "distance from the entry to the stop, percent of the entry",
    "rr1": "reward to risk at TP1",
    "rr2": "reward to risk at TP2",
    "cost_r": "costs of a stop-out, stop distances",
    "tp1_net_pct": "net result of a full exit at TP1, percent",
    "avwap_atr": "entry against the AVWAP in the trade's direction, ATRs",
    "setup": "code of the setup: " + ", ".join(f"{k} {name}" for k, name in enumerate(SETUPS)),
    "timeframe": "code of the timeframe: " + ", ".join(f"{k} {name}" for k, name in enumerate(TIMEFRAMES)),
}


def columns(rows: Rows, own: View) -> dict[str, Floats]:
    """Each feature of FEATURES, shape (n,)."""
    side, entry, atr, close = rows.side, rows.entry, own.atr, own.close()
    risk = np.abs(entry - rows.sl)
    return {
        **_impulse(rows, own, close),
        "entry_atr": side * (close - entry) / atr,
        "stop_atr": risk / atr,
        "stop_pct": 100.0 * risk / entry,
        "rr1": np.abs(rows.tp1 - entry) / risk,
        "rr2": np.abs(rows.tp2 - entry) / risk,
        "cost_r": rows.cost_r,
        "tp1_net_pct": rows.tp1_net_pct,
        "avwap_atr": side * (entry - rows.avwap) / atr,
        "setup": _codes(rows.setup, SETUPS),
        "timeframe": _codes(rows.timeframe, tuple(TIMEFRAMES)),
    }


def _impulse(rows: Rows, own: View, close: Floats) -> dict[str, Floats]:
    # A plan without an impulse starts and ends at its deciding bar.
    bars, up = own.bars, rows.side > 0
    start, end = _index(bars, rows.start_ts), _index(bars, rows.end_ts)
    there = (start >= 0) & (end >= 0) & (rows.start_ts < rows.end_ts)
    size = np.where(up, bars.high[end] - bars.low[start], bars.high[start] - bars.low[end])
    given_back = np.where(up, bars.high[end] - close, close - bars.low[end])
    found = {
        "fib_depth": given_back / size,
        "impulse_atr": size / own.atr,
        "impulse_bars": (end - start).astype(np.float64),
        "impulse_age": (own.at - end).astype(np.float64),
    }
    return {name: np.where(there, values, np.nan) for name, values in found.items()}


def _index(bars: Bars, ts: Ints) -> Ints:
    at = bars.ts.searchsorted(ts, side="right") - 1
    at[bars.ts[at] != ts] = -1
    return at


def _codes(names: tuple[str, ...], known: tuple[str, ...]) -> Floats:
    codes = {name: float(k) for k, name in enumerate(known)}
    return np.array([codes.get(name, np.nan) for name in names], np.float64)
