"""Small markets for the tests of this room: tables, random walks, later bars replaced by noise."""

from collections.abc import Sequence

import numpy as np

from core.candles import Bars, MarketInfo, from_rows
from core.signals.params import Common, Costs, Risk

TF = 300_000
BLOCK_MS = 128 * TF
EPOCH = BLOCK_MS * 44_000  # a block boundary in 2023

COMMON = Common(lookback_candles=120, atr_period=14, atr_mult_sl=1.5, piv_window=3, anchors_to_consider=3,
                entry_level=0.618, sl_share=0.5, avwap_use=True, avwap_max_distance_atr=0.0, max_hole_candles=3,
                min_tp_net_pct=0.5, max_cost_r=0.25, validity_candles=24)
COSTS = Costs(taker_pct=0.06, maker_pct=0.02, slippage_pct=0.02, assume_maker=True)
RISK = Risk(equity_usd=10_000.0, risk_pct=1.0, margin_pct_per_trade=20.0, max_leverage=20, liquidation_buffer=0.5,
            maintenance_margin_pct=0.5)
MARKET = MarketInfo(tick=0.01, lot=0.001, min_notional=5.0)


def hilo(highs: Sequence[float], lows: Sequence[float], closes: Sequence[float] | None = None,
         at: Sequence[int] | None = None) -> Bars:
    """Bars from highs and lows; closes halfway if not given; `at`: bar numbers after EPOCH (gaps possible)."""
    closes = closes or [(h + low) / 2 for h, low in zip(highs, lows, strict=True)]
    at = at or range(len(highs))
    return from_rows(TF, [(EPOCH + k * TF, c, h, low, c, 1.0)
                          for k, h, low, c in zip(at, highs, lows, closes, strict=True)])


def walk(seed: int, n: int, *, tick: float = 0.01, holes: float = 0.0, step: float = 0.004, start: int = EPOCH) -> Bars:
    """A random walk on the tick grid, `holes` = share of bars that are missing (some in long runs)."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, step, n)))
    open_ = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(open_, close) * (1.0 + np.abs(rng.normal(0.0, step / 2, n)))
    low = np.minimum(open_, close) * (1.0 - np.abs(rng.normal(0.0, step / 2, n)))
    o, h, low, c = (np.maximum(np.round(x / tick), 1.0) * tick for x in (open_, high, low, close))
    volume = np.where(rng.random(n) < 0.02, 0.0, rng.lognormal(3.0, 1.0, n))
    bars = Bars(TF, start + TF * np.arange(n), o, h, low, c, volume, np.full(n, 5))
    return keep(bars, rng.random(n) >= holes) if holes else bars


def keep(bars: Bars, mask: np.ndarray) -> Bars:
    """The bars where `mask` is true."""
    return Bars(bars.tf, bars.ts[mask], bars.open[mask], bars.high[mask], bars.low[mask], bars.close[mask],
                bars.volume[mask], bars.minutes[mask])


def noise_after(bars: Bars, i: int, seed: int) -> Bars:
    """The same bars up to i, then wild noise at the same times."""
    rng, rest = np.random.default_rng(seed), len(bars) - i - 1
    close = bars.close[i] * np.exp(rng.normal(0.0, 0.2, rest))
    high, low = close * (1.0 + rng.random(rest)), close * (1.0 - 0.5 * rng.random(rest))
    o, h, low, c, v = (np.concatenate((old[: i + 1], new)) for old, new in (
        (bars.open, close), (bars.high, high), (bars.low, low), (bars.close, close),
        (bars.volume, rng.lognormal(3.0, 1.0, rest))))
    return Bars(bars.tf, bars.ts, o, h, low, c, v, bars.minutes)


def mirrored(bars: Bars, about: float) -> Bars:
    """Prices p become about - p, exact on a binary grid: highs and lows change places."""
    return Bars(bars.tf, bars.ts, about - bars.open, about - bars.low, about - bars.high, about - bars.close,
                bars.volume, bars.minutes)
