"""Random plans and bars on a coarse grid, so that touches, ties, gaps and holes are common."""

from dataclasses import dataclass
from math import nan

import numpy as np

from core.trades.lifecycle import Order
from tests.trades.scenarios import MINUTE, T0, Bar


@dataclass(frozen=True)
class Case:
    """An order, its minutes (some absent), and bars of its timeframe as (closes, ATR)."""

    order: Order
    bars: list[Bar]
    closes: list[int]
    atr: list[float]

    def columns(self) -> list[list]:
        """The minutes as columns."""
        return [list(x) for x in zip(*self.bars, strict=True)]


def case(seed: int, count: int = 60) -> Case:
    """A random case; seed decides everything."""
    r = np.random.default_rng(seed)
    step, bars, price = float(r.choice([0.125, 0.25, 0.5])), [], 100.0
    for i in range(-2, count):
        o = price + (float(r.integers(-12, 13)) * step if r.random() < 0.05 else 0.0)
        path = o + np.cumsum(r.integers(-2, 3, 6)) * step
        if r.random() < 0.93:
            high, low = max(o, float(path.max())), min(o, float(path.min()))
            bars.append((T0 + i * MINUTE, o, high, low, float(path[-1])))
        price = float(path[-1])
    closes = [T0 + m * MINUTE for m in range(-5, count, 5)]
    atr = [nan if r.random() < 0.15 else float(r.integers(1, 9)) * 0.25 for _ in closes]
    return Case(_order(r), bars, closes, atr)


def _order(r: np.random.Generator) -> Order:
    d, unit = int(r.choice([1, -1])), float(r.choice([0.5, 1.0]))
    market, targets = bool(r.random() < 0.25), bool(r.random() < 0.8)
    entry = 100.0 - d * unit * float(r.integers(-1, 3))
    tp1 = entry + d * unit * float(r.integers(2, 5))
    return Order(
        direction=d, market=market, entry=entry, sl=entry - d * unit * float(r.integers(2, 6)),
        tp1=tp1 if targets else nan, tp2=tp1 + d * unit * float(r.integers(1, 5)) if targets else nan,
        liq=nan if r.random() < 0.3 else entry - d * unit * float(r.integers(6, 9)), decided_ts=T0,
        deadline=T0 + (5 if market else int(r.integers(3, 40))) * MINUTE,
        tp1_fraction=float(r.choice([0.0, 0.3, 0.5, 1.0])), move_be=bool(r.random() < 0.8),
        be_cost=float(r.choice([0.0, 0.0017])),
        trail_mult=nan if r.random() < 0.4 else float(r.choice([0.7, 1.0, 2.0])),
        max_hold_ms=int(r.choice([0, 0, 5, 15])) * MINUTE)
