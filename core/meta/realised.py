"""What the expected value claims against what was realised: a claim counts for no more than such claims brought.

A calibrated p is not enough. A limit order that the price has overrun by the decision is filled better but wins
less often, and features see that: p is right, the payoffs of a win are not those of the average plan, and the EV
claims differences that never arrive. So on the slice that calibrates p the results are regressed on the claims.
Costs are known beforehand and proven by nothing: both sides are taken before them.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.candles import Floats, Ints
from core.errors import ArtifactError, DataError
from core.meta.calibration import LEVEL_Z, MIN_BLOCKS
from core.trades.performance import WEEK

MIN_ROWS = 30


@dataclass(frozen=True, slots=True)
class Realised:
    """Plain numbers, all in R before costs: realised = level + slope x (claimed - middle).

    n, weeks: plans and weeks they are from. middle: mean claim. slope: how much of a difference between two
    claims arrived, 0 to 1. cov: variance of the level, covariance, variance of the slope. reach: standard errors
    that the lower bound lies below.
    """

    n: int
    weeks: int
    middle: float
    level: float
    slope: float
    cov: tuple[float, float, float]
    reach: float = LEVEL_Z

    def mean(self, claimed_r: Floats, cost_r: Floats) -> Floats:
        """What plans of such claims brought, net R, (n,). claimed_r: net EV in R; cost_r: their costs in R."""
        return self.level + self.slope * (claimed_r + cost_r - self.middle) - cost_r

    def lower(self, claimed_r: Floats, cost_r: Floats) -> Floats:
        """Lower bound of `mean`, one-sided 95 %, (n,); weeks count as blocks."""
        off = claimed_r + cost_r - self.middle
        level, both, slope = self.cov
        error = np.sqrt(np.maximum(level + 2.0 * both * off + slope * off * off, 0.0))
        return self.mean(claimed_r, cost_r) - self.reach * error

    def counted(self, claimed_r: Floats, low_r: Floats, cost_r: Floats) -> tuple[Floats, Floats]:
        """EV and its lower bound as they count, net R, two (n,) arrays: the lower of the claim and what it brought.

        claimed_r, low_r: EV at p and at its lower bound. A claim is never raised: where a slice brought more than
        was claimed, that is its luck.
        """
        return (np.minimum(claimed_r, self.mean(claimed_r, cost_r)),
                np.minimum(low_r, self.lower(claimed_r, cost_r)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Realised":
        """Read back. Raises ArtifactError for what cannot have been measured."""
        try:
            level, both, slope = (float(v) for v in data["cov"])
            made = cls(int(data["n"]), int(data["weeks"]), float(data["middle"]), float(data["level"]),
                       float(data["slope"]), (level, both, slope), float(data["reach"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"what its EV was held against cannot be read ({error}); train a new one") from error
        numbers = (made.middle, made.level, made.slope, *made.cov, made.reach)
        if not (all(map(math.isfinite, numbers)) and 0.0 <= made.slope <= 1.0 and min(level, slope) >= 0.0
                and made.reach >= 0.0 and made.n >= 0):
            raise ArtifactError("what its EV was held against holds impossible values; train a new one")
        return made


def hold(claimed_r: Floats, r: Floats, cost_r: Floats, t0: Ints) -> Realised:
    """Hold claims against results of plans that the boosters did not learn from.

    claimed_r: net EV in R at the calibrated p; r: net results; cost_r: costs in R; t0: decision times (ms), all
    (n,). The spread is that of whole weeks (Liang and Zeger 1986, times G / (G - 1)), never below that of single
    plans; the bound takes Student's quantile of the weeks. A negative slope is read as none, one above 1 as 1.
    Raises DataError for fewer than 30 rows or values that are not finite.
    """
    _check(claimed_r, r, cost_r, t0)
    x, y = claimed_r + cost_r, r + cost_r
    middle, spread = float(x.mean()), float(np.sum((x - x.mean()) ** 2))
    table = np.column_stack([np.ones(len(x)), x - middle if spread > 1e-12 else np.zeros(len(x))])
    slope = float(table[:, 1] @ y) / spread if spread > 1e-12 else 0.0
    if slope <= 0.0:
        table, slope = table * [1.0, 0.0], 0.0
    level = float(y.mean())
    cov, weeks = _covariance(table, y - level - slope * table[:, 1], t0 // WEEK)
    blocks = weeks if weeks >= MIN_BLOCKS else len(x)
    return Realised(len(x), weeks, middle, level, min(1.0, slope),
                    (float(cov[0, 0]), float(cov[0, 1]), float(cov[1, 1])), student(blocks - 1))


def student(degrees: int, z: float = LEVEL_Z) -> float:
    """Student's quantile where the normal one is z (Cornish-Fisher; to 0.02 from four degrees on)."""
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def _covariance(table: Floats, left: Floats, blocks: Ints) -> tuple[Floats, int]:
    # Sandwich with the scores summed by block; the plain one where few blocks agree by luck.
    inverse = np.linalg.pinv(table.T @ table)
    plain = inverse * float(left @ left) / max(1, len(left) - 2)
    _, index = np.unique(blocks, return_inverse=True)
    sums = np.stack([np.bincount(index, weights=table[:, j] * left) for j in range(2)], axis=1)
    groups = len(sums)
    robust = inverse @ (sums.T @ sums) @ inverse * groups / max(groups - 1, 1)
    rank = float(np.linalg.matrix_rank(table))
    wider = float(np.trace(np.linalg.pinv(plain) @ robust)) >= rank
    return np.asarray(robust if groups >= MIN_BLOCKS and wider else plain), groups


def _check(claimed_r: Floats, r: Floats, cost_r: Floats, t0: Ints) -> None:
    if not claimed_r.shape == r.shape == cost_r.shape == t0.shape or claimed_r.ndim != 1:
        raise DataError("claims, results, costs and times must be flat and of one length")
    if len(r) < MIN_ROWS:
        raise DataError(f"{len(r)} plans are too few to hold the EV against; {MIN_ROWS} are the least")
    if not all(np.all(np.isfinite(v)) for v in (claimed_r, r, cost_r)):
        raise DataError("claims, results and costs must be finite")
