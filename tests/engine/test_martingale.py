"""On a driftless random walk without costs no setup earns or loses: the engine itself adds nothing."""

from collections import Counter
from math import nan
from typing import Any

import numpy as np
import pytest

from core.candles import Bars, MarketInfo, from_rows
from core.engine import compiled
from core.market.generated import random_walk
from core.signals.decide import Candidate, decide
from core.signals.indicators import Indicators
from core.signals.params import Common, Costs, Risk
from core.signals.setups import REGISTRY
from core.store.resample import buckets
from core.trades.arrays import empty_states, pack_orders, unpack_states
from core.trades.lifecycle import Order, State
from core.trades.orders import Execution, make_order
from core.trades.results import result

WALKS, DAYS, TF = 64, 14, 300_000
FREE = Costs(0.0, 0.0, 0.0, False)
MARKET = MarketInfo(tick=1e-6, lot=1e-9, min_notional=0.0)
RISK = Risk(10_000.0, 1.0, 100.0, 5, 0.5, 0.5)
COMMON = Common(120, 14, 1.5, 3, 3, 0.618, 0.5, True, 0.0, 10_000, 0.0, 10.0, 24)
EXECUTION = Execution(24, 0.5, True, False, 288, 2.0)


def _bars(minutes: Bars) -> Bars:
    columns = (minutes.ts, minutes.open, minutes.high, minutes.low, minutes.close, minutes.volume, minutes.minutes)
    return from_rows(TF, list(buckets(zip(*(c.tolist() for c in columns), strict=True), TF)))


def _setups() -> list[tuple[Any, Any]]:
    return [(REGISTRY["fibo_avwap"], REGISTRY["fibo_avwap"].params()),
            (REGISTRY["donchian"], REGISTRY["donchian"].params(ema_side=False))]


def _order(c: Candidate) -> Order:
    return make_order(c.direction, c.market, c.entry, c.sl, c.tp1, c.tp2, c.liq, c.decided_ts, TF, EXECUTION, FREE,
                      c.trail_mult, c.max_hold)


def results_of(seed: int, flaw: float = 0.0) -> list[tuple[str, float]]:
    """(setup, R) of every trade of one walk that was opened and closed. flaw: a planted kindness, in R."""
    minutes = random_walk(seed, DAYS * 1440, steps=60, tick=1e-6)
    bars, kernels = _bars(minutes), compiled.kernels()
    start, dropped = int(minutes.ts[0]), Counter[str]()
    found = decide(bars, 0, len(bars), start, "5m", _setups(), MARKET, FREE, RISK, COMMON, kernels, dropped)
    orders = [_order(c) for c in found]
    atr = Indicators(bars, 14, kernels).atr_array(0, len(bars))
    packed, out = pack_orders(orders), empty_states(len(orders))
    starts = np.searchsorted(minutes.ts, packed["decided_ts"])
    compiled.lifecycle().walk_many(packed, starts, minutes.ts, minutes.open, minutes.high, minutes.low, minutes.close,
                                   bars.ts + TF, atr, int(minutes.ts[-1]) + 60_000, out)
    return [(c.setup, r + flaw) for c, order, state in zip(found, orders, unpack_states(out), strict=True)
            if (r := _r(order, state)) == r]


def _r(order: Order, state: State) -> float:
    row = result(order, state, FREE, 1000.0)
    return nan if row.r_multiple is None else row.r_multiple


@pytest.fixture(scope="module")
def walks() -> list[list[tuple[str, float]]]:
    return [results_of(seed) for seed in range(WALKS)]


def interval(means: list[float], weights: list[int]) -> tuple[float, float]:
    """Mean over all trades, and the half-width of its 99 % interval with whole walks as the unit."""
    m, w = np.array(means), np.array(weights, dtype=float)
    mean = float((m * w).sum() / w.sum())
    spread = float(np.sqrt((w**2 * (m - mean) ** 2).sum()) / w.sum())
    return mean, 2.66 * spread


@pytest.mark.slow
@pytest.mark.covers("I4", "I2", "D5")
def test_the_mean_result_on_random_walks_is_zero_within_its_interval(walks: list[list[tuple[str, float]]]) -> None:
    trades = [r for walk in walks for _, r in walk]
    mean, half = interval([float(np.mean([r for _, r in w])) for w in walks], [len(w) for w in walks])
    print(f"{len(trades)} trades, mean {mean:+.4f} R +- {half:.4f} R")
    assert len(trades) >= 8000
    assert half < 0.05
    assert abs(mean) <= half


@pytest.mark.slow
def test_planted_flaw_a_kindness_of_a_tenth_of_r_is_caught(walks: list[list[tuple[str, float]]]) -> None:
    kind = [[(s, r + 0.1) for s, r in w] for w in walks]
    mean, half = interval([float(np.mean([r for _, r in w])) for w in kind], [len(w) for w in kind])
    assert abs(mean) > half
