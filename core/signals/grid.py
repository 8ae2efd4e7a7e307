"""Rounding to a market's tick or lot, as decimals (rule 13)."""

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from core.errors import DataError

# In steps: float noise around an exact tie or an exact multiple is far below it.
TOLERANCE = 1e-6
UP = 0.5 + TOLERANCE


@dataclass(frozen=True, slots=True)
class Grid:
    """Multiples of a decimal step = whole / scale; what it returns is the float of the decimal's text."""

    step: float
    whole: int
    scale: int

    # Each result is a whole number by a whole number, which is rounded correctly, as float("0.07") is.

    def nearest(self, value: float) -> float:
        """The nearest multiple; a tie goes up."""
        return math.floor(value / self.step + UP) * self.whole / self.scale

    def down(self, value: float) -> float:
        """The multiple at or below; one already on the grid stays."""
        return math.floor(value / self.step + TOLERANCE) * self.whole / self.scale

    def up(self, value: float) -> float:
        """The multiple at or above; one already on the grid stays."""
        return math.ceil(value / self.step - TOLERANCE) * self.whole / self.scale


@lru_cache(maxsize=4096)
def grid(step: float) -> Grid:
    """The grid of a tick or lot size. Raises DataError unless it is finite and positive."""
    if not (0.0 < step < math.inf):
        raise DataError(f"tick or lot size must be positive, got {step!r}")
    _, digits, exponent = Decimal(repr(float(step))).normalize().as_tuple()
    whole = int("".join(map(str, digits)))
    if not isinstance(exponent, int):  # NaN or infinity, excluded above
        raise DataError(f"tick or lot size must be positive, got {step!r}")
    return Grid(float(step), whole * 10 ** max(exponent, 0), 10 ** max(-exponent, 0))
