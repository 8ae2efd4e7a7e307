"""What a good result is still worth after many were tried: PSR, deflated Sharpe, PBO.

Sharpe ratios here are per trade (or per period), never annualised; kurt is the plain kurtosis, 3 for a
normal. PBO alone misleads: it measures whether ranks persist, and a cost drag persists perfectly, so it
is never given without the chance of a loss out of sample and the share of positive configurations.
"""

import math
from itertools import combinations
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from core.candles import Floats
from core.errors import DataError

EULER = 0.5772156649015329
NORMAL = NormalDist()


class Moments(NamedTuple):
    """Sharpe ratio, number, skewness and plain kurtosis of a series of results."""

    sharpe: float
    n: int
    skew: float
    kurt: float


class Overfit(NamedTuple):
    """Always shown together. pbo: share of splits whose in-sample best ranks in the lower half out of sample;
    p_oos_loss: share of splits in which that best loses out of sample; share_positive: share of all
    configurations with a positive mean; splits: how many."""

    pbo: float
    p_oos_loss: float
    share_positive: float
    splits: int


def moments(values: Floats) -> Moments:
    """Moments of results (n,), deviation with n - 1. Raises DataError below 3 values or without spread."""
    if len(values) < 3 or float(values.std()) <= 1e-15:
        raise DataError(f"{len(values)} values without spread have no Sharpe ratio")
    d = values - values.mean()
    m2 = float((d**2).mean())
    return Moments(float(values.mean() / values.std(ddof=1)), len(values), float((d**3).mean() / m2**1.5),
                   float((d**4).mean() / m2**2))


def psr(sharpe: float, n: int, skew: float, kurt: float, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds `benchmark`.

    Source: Bailey and Lopez de Prado, Journal of Risk 15(2), 2012, eq. 11. Raises DataError for n < 2 or
    moments that cannot be.
    """
    spread = 1.0 - skew * sharpe + (kurt - 1.0) / 4.0 * sharpe * sharpe
    if n < 2 or spread <= 0.0:
        raise DataError(f"no Sharpe statistics for n {n}, skewness {skew}, kurtosis {kurt}")
    return NORMAL.cdf((sharpe - benchmark) * math.sqrt(n - 1) / math.sqrt(spread))


def expected_best(n_trials: float, var_trials: float) -> float:
    """Sharpe ratio that the best of n_trials worthless trials is expected to show; 0 for one trial.

    var_trials: variance of the Sharpe ratios over the trials. Source: Bailey and Lopez de Prado, Journal
    of Portfolio Management 40(5), 2014, eq. 1.
    """
    if n_trials < 1.0 or var_trials < 0.0:
        raise DataError(f"trials must be at least one and their variance not negative: {n_trials}, {var_trials}")
    if n_trials == 1.0:
        return 0.0
    one = NORMAL.inv_cdf(1.0 - 1.0 / n_trials)
    other = NORMAL.inv_cdf(1.0 - 1.0 / (n_trials * math.e))
    return math.sqrt(var_trials) * ((1.0 - EULER) * one + EULER * other)


def dsr(sharpe: float, n: int, skew: float, kurt: float, n_trials: float, var_trials: float) -> float:
    """Deflated Sharpe ratio: `psr` against the `expected_best` of all trials ever made; in 0..1.

    Shown with the number of trials and with `n_eff`; "proven" asks for 0.95 with the former. Source as
    `expected_best`. Raises DataError as psr and expected_best do.
    """
    return psr(sharpe, n, skew, kurt, expected_best(n_trials, var_trials))


def n_eff(matrix: Floats) -> float:
    """How many independent trials N correlated ones amount to: c + (1 - c) N with their mean correlation c.

    matrix: (T, N) results by period and trial, no NaN; trials without spread are left out. Between 1 and
    N. Source: Bailey and Lopez de Prado 2014, appendix A.3. Raises DataError below 2 periods.
    """
    if len(matrix) < 2:
        raise DataError("trials need two periods or more")
    alive = matrix[:, matrix.std(axis=0) > 1e-15]
    n = alive.shape[1]
    if n < 2:
        return 1.0
    c = (float(np.corrcoef(alive, rowvar=False).sum()) - n) / (n * (n - 1))
    return min(float(n), max(1.0, c + (1.0 - c) * n))


def pbo(matrix: Floats, parts: int = 16) -> Overfit:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    matrix: (T, N) results by period (week) and configuration, no NaN; cut into `parts` (even) runs of
    rows, each half of them once in sample. Performance is the Sharpe ratio; a relative rank of
    (rank - 1/2) / N at or below one half counts as overfit, ties get the middle rank. Source: Bailey,
    Borwein, Lopez de Prado, Zhu, Journal of Computational Finance 2017. Raises DataError for fewer than
    2 configurations, an odd number of parts or fewer than 2 rows a part.
    """
    if parts < 2 or parts % 2 or matrix.ndim != 2 or matrix.shape[1] < 2 or len(matrix) < 2 * parts:
        raise DataError(f"a matrix of {matrix.shape} cannot be cut into {parts} parts of two rows or more")
    if not np.all(np.isfinite(matrix)):
        raise DataError("results must be finite")
    blocks = np.array_split(matrix, parts)
    sums = np.array([[b.sum(axis=0), (b * b).sum(axis=0), np.full(matrix.shape[1], len(b))] for b in blocks])
    whole, overfit, lost, count = sums.sum(axis=0), 0, 0, 0
    for chosen in combinations(range(parts), parts // 2):
        inside = sums[list(chosen)].sum(axis=0)
        out = _sharpe(whole - inside)
        best = int(np.argmax(_sharpe(inside)))
        rank = (out < out[best]).sum() + 0.5 * (out == out[best]).sum()
        overfit += bool(rank / matrix.shape[1] <= 0.5)
        lost += bool(out[best] < 0.0)
        count += 1
    return Overfit(overfit / count, lost / count, float((matrix.mean(axis=0) > 0).mean()), count)


def _sharpe(sums: Floats) -> Floats:
    # From sum, sum of squares and count, per configuration; 0 without spread and mean.
    mean = sums[0] / sums[2]
    return mean / np.sqrt(np.maximum(sums[1] / sums[2] - mean * mean, 1e-18))
