"""The setups, registered by name. A new one is a new module in this package and nothing else.

A module registers one function `find` with `@setup(...)`; every module here is imported below.
"""

import importlib
import pkgutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from core.candles import Bars
from core.signals.indicators import Indicators
from core.signals.kernels import Kernels
from core.signals.params import Common

NONE = float("nan")


class Found(NamedTuple):
    """A candidate as a setup sees it: raw prices (NaN = none), bar indices, direction +1 or -1.

    i: the deciding bar. start, end: the impulse's bars. market: entry at the open after the close.
    trail_mult: NaN = that of the configuration. max_hold: bars, 0 = that of the configuration.
    why: one plain clause or more, without a full stop, for the rationale.
    """

    setup: str
    direction: int
    i: int
    start: int
    end: int
    entry: float
    sl: float
    tp1: float
    tp2: float
    avwap: float
    market: bool
    trail_mult: float
    max_hold: int
    why: str


class Find(Protocol):
    """Bars to candidates: all deciding bars lo <= i < hi, in time order; `counts` tells what fell out."""

    def __call__(self, bars: Bars, lo: int, hi: int, ind: Indicators, common: Common, params: Any, kernels: Kernels,
                 counts: Counter[str]) -> list[Found]: ...


@dataclass(frozen=True, slots=True)
class Setup:
    """A registered setup: its function, its own parameters' type and where it runs by default.

    needs(common, params): bars at or before the deciding one that its decision reads.
    """

    name: str
    find: Find
    params: type
    timeframes: tuple[str, ...]
    needs: Callable[[Common, Any], int]


REGISTRY: dict[str, Setup] = {}


def setup(name: str, *, params: type, timeframes: tuple[str, ...],
          needs: Callable[[Common, Any], int]) -> Callable[[Find], Find]:
    """Register the decorated function as setup `name`. Raises ValueError for a name that is taken."""
    def register(find: Find) -> Find:
        if name in REGISTRY:
            raise ValueError(f"setup {name!r} is registered twice")
        REGISTRY[name] = Setup(name, find, params, timeframes, needs)
        return find
    return register


for _module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
    importlib.import_module(f"{__name__}.{_module.name}")
