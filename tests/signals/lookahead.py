"""Checks that a decision knows nothing of what comes later; used on the real setups and on planted flaws."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.candles import Bars
from core.signals.decide import Candidate, decide
from core.signals.indicators import Indicators
from core.signals.kernels import PLAIN
from core.signals.params import Common
from core.signals.setups import NONE, Found, Setup
from tests.signals.markets import COMMON, COSTS, MARKET, RISK, noise_after

Setups = Sequence[tuple[Setup, Any]]


def decided(bars: Bars, lo: int, hi: int, setups: Setups, *, kernels: Any = PLAIN, stretch_start: int = 0,
            common: Common = COMMON, counts: Counter[str] | None = None) -> list[Candidate]:
    """`decide` with this room's usual parameters."""
    return decide(bars, lo, hi, stretch_start, "5m", setups, MARKET, COSTS, RISK, common, kernels,
                  Counter() if counts is None else counts)


def leaks(bars: Bars, instants: Sequence[int], setups: Setups) -> list[int]:
    """Instants whose decision differs between the prefix that ends there and the same bars with noise behind.

    The noise is decided in one range from the start, as retro does it. Zero tolerance.
    """
    wrong = []
    for i in instants:
        prefix = decided(bars.cut(0, i + 1), i, i + 1, setups)
        noisy = noise_after(bars, i, i)
        full = [c for c in decided(noisy, max(0, i - 5), min(i + 30, len(bars)), setups) if c.ts == int(bars.ts[i])]
        if prefix != full:
            wrong.append(i)
    return wrong


def toy(name: str, sees: Callable[[Bars, int], int], reads: int = 10) -> Setup:
    """A setup that goes where `sees(bars, i)` points (+1, -1, 0), 2 % stop, no targets."""
    def find(bars: Bars, lo: int, hi: int, ind: Indicators, common: Any, params: Any, kernels: Any,
             counts: Counter[str]) -> list[Found]:
        found = []
        for i in range(lo, hi):
            side, close = sees(bars, i), float(bars.close[i])
            if side:
                found.append(Found(name, side, i, i, i, close, close * (1 - 0.02 * side), NONE, NONE, NONE, True, NONE,
                                   0, "toy"))
        return found
    return Setup(name, find, dict, ("5m",), lambda common, params: reads)


def pivot_at_its_own_bar(bars: Bars, i: int) -> int:
    """Flaw: a pivot low is used at its own bar, before the bars that confirm it have closed."""
    around = bars.low[i - 3 : i + 4]
    return int(float(bars.low[i]) <= around.min())


def pivot_when_confirmed(bars: Bars, i: int) -> int:
    """Clean twin: the pivot three bars back."""
    around = bars.low[i - 6 : i + 1]
    return int(float(bars.low[i - 3]) <= around.min())


def centred_mean(bars: Bars, i: int) -> int:
    """Flaw: above a mean whose window is centred on the bar."""
    return int(bars.close[i] > np.mean(bars.close[i - 4 : i + 5]))


def trailing_mean(bars: Bars, i: int) -> int:
    """Clean twin: the window ends at the bar."""
    return int(bars.close[i] > np.mean(bars.close[i - 8 : i + 1]))


def scaled_by_all(bars: Bars, i: int) -> int:
    """Flaw: normalised by statistics of the whole history."""
    return int(bars.close[i] > np.median(bars.close))
