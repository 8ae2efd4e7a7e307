"""On a driftless random walk without costs a plan earns nothing: the simplest proof that no rule cheats.

The walk moves on a lattice of one tick, in bars of many steps, with jumps between bars so that gaps are
exercised too. All levels lie half a tick off the lattice, so that "touched" and "traded through" are the
same thing and the bias of a tick is at most half a tick of a stop of 60. What is open at the end is closed
at the last price. Many independent walks; the interval is taken over walks, as trades of one overlap.
"""

from dataclasses import dataclass
from itertools import product
from math import nan
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from core.signals.params import Costs
from core.trades import lifecycle
from core.trades.lifecycle import Order
from core.trades.performance import block_interval, mean
from core.trades.results import result
from tests.trades.flaws import flawed
from tests.trades.scenarios import MINUTE, T0

WALKS, BARS, STEPS, EVERY = 100, 15_000, 24, 250
FIRST_SEED = 1000  # 300 walks from here on: simple -.003 +- .008, full .000 +- .009, market -.004 +- .007
BASE = 100_000.0
FREE = Costs(0.0, 0.0, 0.0, True)
Z99 = 2.5758293035489004


@dataclass(frozen=True)
class Walk:
    """One random walk as columns of minutes and its ATR by quarter hour."""

    columns: list[np.ndarray]
    closes: np.ndarray
    atr: np.ndarray


def walk_of(seed: int) -> Walk:
    """A driftless lattice walk: STEPS steps of one tick per bar, now and then a jump between bars."""
    r = np.random.default_rng(seed)
    steps = r.integers(0, 2, (BARS, STEPS), dtype=np.int8) * 2 - 1
    path = np.cumsum(steps, axis=1, dtype=np.int32)
    jump = np.where(r.random(BARS) < 0.02, r.integers(0, 2, BARS) * 2 - 1, 0) * r.integers(10, 60, BARS)
    opens = BASE + np.concatenate([[0], np.cumsum(path[:-1, -1])]) + np.cumsum(jump)
    high, low = opens + np.maximum(path.max(1), 0), opens + np.minimum(path.min(1), 0)
    ts = T0 + MINUTE * np.arange(BARS)
    span = high.reshape(-1, 15).max(1) - low.reshape(-1, 15).min(1)
    closes = ts.reshape(-1, 15)[:, -1] + MINUTE
    return Walk([ts, opens, high, low, opens + path[:, -1]], closes, span)


def simple(entry: float, d: int, ts: int) -> Order:
    """One stop, one target, limit entry."""
    return Order(d, False, entry, entry - d * 60, entry + d * 90, nan, nan, ts, ts + 120 * MINUTE, 1.0, True, 0.0,
                 nan, 0)


def full(entry: float, d: int, ts: int) -> Order:
    """Two targets, break-even, trail, longest hold."""
    return Order(d, False, entry, entry - d * 60, entry + d * 50, entry + d * 110, nan, ts, ts + 120 * MINUTE, 0.5,
                 True, 0.0, 1.5, 900 * MINUTE)


def market(entry: float, d: int, ts: int) -> Order:
    """No targets: a trail alone."""
    return Order(d, True, entry, entry - d * 60, nan, nan, nan, ts, ts + 15 * MINUTE, 0.5, True, 0.0, 2.0, 0)


def earned(kernel: ModuleType, plan, walks: list[Walk]) -> tuple[list[float], list[int]]:  # type: ignore[no-untyped-def]
    """R of every filled trade and the walk it belongs to; each start is taken long and short."""
    r, blocks = [], []
    for n, w in enumerate(walks):
        ts, opens, *_, closing = columns = [x.tolist() for x in w.columns]
        closes, atr = w.closes.tolist(), w.atr.tolist()
        for i, d in product(range(30, BARS, EVERY), (1, -1)):
            k = plan(opens[i] - d * 10 - 0.5, d, ts[i]) if plan is not market else market(opens[i] + 0.5, d, ts[i])
            s, _ = kernel.walk(kernel.new_state(k), k, *columns, i, BARS, closes, atr)
            s = kernel.delist(s, k, ts[-1], closing[-1])
            row = result(k, s, FREE, 1.0)
            if row.r_multiple is not None:
                r.append(row.r_multiple)
                blocks.append(n)
    return r, blocks


@pytest.fixture(scope="module")
def walks() -> list[Walk]:
    """The walks, made once."""
    return [walk_of(FIRST_SEED + n) for n in range(WALKS)]


@pytest.mark.covers("I4", "D5", "rule 22", "rule 23", "rule 24")
@pytest.mark.parametrize("plan", [simple, full, market], ids=lambda f: f.__name__)
def test_mean_r_on_a_driftless_walk_is_zero(plan, walks: list[Walk]) -> None:  # type: ignore[no-untyped-def]
    r, blocks = earned(lifecycle, plan, walks)
    low, high = block_interval(r, blocks, Z99) or (nan, nan)
    assert len(r) >= 8_000
    assert low < 0.0 < high
    assert abs(mean(r) or 1.0) < 0.035


@pytest.mark.covers("I4")
def test_a_stop_that_ignores_gaps_earns_money_from_nothing(walks: list[Walk], tmp_path: Path) -> None:
    cheat = flawed(lifecycle, tmp_path, "gapless", ("            return _stopped(s, ts, o, True)",
                                                    "            return _stopped(s, ts, s.stop, True)"))
    r, blocks = earned(cheat, simple, walks)
    low, _ = block_interval(r, blocks, Z99) or (nan, nan)
    assert low > 0.0


@pytest.mark.covers("I2", "I4")
def test_a_stop_that_knows_the_close_earns_money_from_nothing(walks: list[Walk], tmp_path: Path) -> None:
    cheat = flawed(lifecycle, tmp_path, "peeking", ("        if low <= s.stop and not o > target:",
                                                    "        if low <= s.stop and c <= s.stop and not o > target:"))
    r, blocks = earned(cheat, market, walks)
    low, _ = block_interval(r, blocks, Z99) or (nan, nan)
    assert low > 0.0
