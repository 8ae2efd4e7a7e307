"""Figures that tell whether a probability means what it says, and intervals around them.

p: claimed probability in 0..1; y or win: what happened, 0/1 or bool; both (n,) without NaN. A figure
that is not defined is NaN, so that every comparison with it is false. Wilson's interval, the break-even
rate and the tail's share live in `core.trades.performance`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.candles import Floats, Ints
from core.errors import DataError
from core.trades.performance import WEEK, wilson

BINS = 10
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
TINY = 1e-12
FLAT = 1e-9  # of the whole's standard error: a draw below it holds equal blocks, the rest is rounding
Truths = Callable[[np.random.Generator], Floats]
MIN_BLOCKS = 5  # below this a draw that holds one block alone is too likely


class Interval(NamedTuple):
    """A mean and its interval; low and high are NaN where there is none (`block_bootstrap_mean`)."""

    mean: float
    low: float
    high: float


class Bin(NamedTuple):
    """One bar of the reliability curve: n rows, mean claim, share of wins, Wilson's 95 % interval of it."""

    n: int
    claimed: float
    observed: float
    low: float
    high: float


class Cover(NamedTuple):
    """The best `coverage` of the rows by score: n, lowest score among them, share of wins, mean value."""

    coverage: float
    n: int
    threshold: float
    win_rate: float
    mean: float


def auc(score: Floats, y: NDArray[Any]) -> float:
    """Area under the ROC curve, ties counting half (Mann-Whitney U); NaN when only one class is there."""
    won = np.asarray(y, dtype=bool)
    n1 = int(won.sum())
    n0 = len(won) - n1
    if n1 == 0 or n0 == 0:
        return math.nan
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    return float((ranks[won].sum() - n1 * (n1 + 1) / 2.0) / (n1 * n0))


def brier(p: Floats, y: Floats) -> float:
    """Mean squared error of the claim (Brier 1950); NaN of nothing."""
    return float(np.mean((p - y) ** 2)) if len(p) else math.nan


def brier_skill(p: Floats, y: Floats, reference: Floats | float) -> float:
    """1 - Brier / Brier of a reference forecast (a base rate or a baseline's p); NaN if that is perfect."""
    against = brier(np.broadcast_to(np.asarray(reference, dtype=np.float64), p.shape), y)
    return 1.0 - brier(p, y) / against if against > 0.0 else math.nan


def brier_gains(p: Floats, y: Floats, reference: Floats | float) -> Floats:
    """Per row: how much smaller the squared error is than the reference's; (n,), positive = better.

    Its mean with `block_bootstrap_mean` is the paired comparison that promotion asks for.
    """
    return (np.asarray(reference, dtype=np.float64) - y) ** 2 - (p - y) ** 2


def log_loss(p: Floats, y: Floats) -> float:
    """Mean negative log likelihood, claims clipped to 1e-12 from 0 and 1; NaN of nothing."""
    if not len(p):
        return math.nan
    q = np.clip(p, TINY, 1.0 - TINY)
    return float(-np.mean(y * np.log(q) + (1.0 - y) * np.log1p(-q)))


def equal_bins(p: Floats, bins: int = BINS) -> Ints:
    """Bin of each row when sorted claims are cut into bins of equal count; int64 (n,).

    Equal claims share a bin, so there may be fewer; one single claim makes one bin.
    """
    edges = np.unique(np.quantile(p, np.arange(1, bins) / bins)) if len(p) else np.empty(0)
    return np.unique(np.searchsorted(edges, p, side="left"), return_inverse=True)[1].astype(np.int64)


def ece(p: Floats, y: Floats, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal count: mean |observed - claimed| by rows; NaN of nothing.

    It is never zero for a finite n: compare it with `null_ece`. Source: Naeini et al., AAAI 2015.
    """
    if not len(p):
        return math.nan
    return float(np.abs(np.bincount(equal_bins(p, bins), weights=p - y)).sum() / len(p))


def null_ece(p: Floats, reps: int = 200, seed: int = 0, bins: int = BINS, level: float = 0.95,
             truths: Truths | None = None) -> float:
    """The `level` quantile of the ECE that claims p would show by chance if they were right.

    truths: gives the true chances for each of the `reps` draws; None = p itself, perfect claims. With
    `Calibrator.plausible` it allows for the rows the calibrator was fitted on being few: without it a
    calibrator of the right form on 500 rows fails on 1,000 later ones in 26 of 100 cases, with it in 6
    (measured). Outcomes are drawn apart from each other: trades of one week that hang together make the
    honest bar a little higher still. NaN of nothing.
    """
    if not len(p):
        return math.nan
    rng, index, drawn = np.random.default_rng(seed), equal_bins(p, bins), []
    for _ in range(reps):
        true = p if truths is None else truths(rng)
        drawn.append(np.abs(np.bincount(index, weights=p - (rng.random(len(p)) < true))).sum())
    return float(np.quantile(drawn, level) / len(p))


def reliability(p: Floats, y: Floats, bins: int = BINS) -> list[Bin]:
    """The reliability curve with counts, by rising claim; bins as in `equal_bins`."""
    index, curve = equal_bins(p, bins), []
    for b in range(int(index.max()) + 1 if len(p) else 0):
        rows = index == b
        n, won = int(rows.sum()), int(y[rows].sum())
        low, high = wilson(won, n) or (math.nan, math.nan)
        curve.append(Bin(n, float(p[rows].mean()), won / n, low, high))
    return curve


def coverage_curve(score: Floats, win: Floats, value: Floats, shares: Sequence[float] = SHARES) -> list[Cover]:
    """Win rate and mean value (R or percent) of the best rows by score, for each share of all rows.

    Rows that tie with the last one taken are taken too, so the coverage met may exceed the share.
    """
    order = np.sort(score)[::-1]
    curve = []
    for share in shares if len(score) else ():
        threshold = float(order[max(1, round(share * len(order))) - 1])
        rows = score >= threshold
        curve.append(Cover(float(rows.mean()), int(rows.sum()), threshold, float(win[rows].mean()),
                           float(value[rows].mean())))
    return curve


def fair_rate(rr1: Floats, cost_r: Floats | float = 0.0) -> Floats:
    """Win rate that a plan's geometry breaks even at: (1 + cost) / (1 + rr1); with cost 0 the fair coin's rate.

    rr1: reward to risk of the first target, NaN in gives NaN out. cost_r in R.
    """
    return (1.0 + cost_r) / (1.0 + rr1)


def block_sums(values: Floats, t0: Ints, block: int = WEEK) -> tuple[Floats, Floats]:
    """Sum and count of the values of each block of time that has any; two (G,) arrays in time order."""
    _, index = np.unique(t0 // block, return_inverse=True)
    return np.bincount(index, weights=values).astype(np.float64), np.bincount(index).astype(np.float64)


def block_bootstrap_mean(values: Floats, t0: Ints, block: int = WEEK, reps: int = 2000, seed: int = 0,
                         level: float = 0.95) -> Interval:
    """Mean of the values and its two-sided interval when values of one block (a week) hang together.

    Blocks are drawn with replacement and the mean is studentised (bootstrap-t, Efron and Tibshirani 1993,
    ch. 12), which keeps its level where plain percentiles are too narrow: few blocks, fat right tails.
    values: (n,) finite; t0: (n,) ms. Paired comparison: hand in differences. Raises DataError for NaN.

    There is no interval, low and high are NaN: below MIN_BLOCKS blocks, and where so few blocks differ from the
    others (one week's trades among many without) that of the draws as many have no spread as lie beyond one end.
    Where all blocks are alike it is the mean itself.
    """
    if not np.all(np.isfinite(values)):
        raise DataError("values of a mean must be finite")
    sums, counts = block_sums(values, t0, block)
    if len(sums) < MIN_BLOCKS:
        return Interval(float(values.mean()) if len(values) else math.nan, math.nan, math.nan)
    mean, error = (float(v) for v in _ratio(sums, counts))
    if error <= TINY * max(1.0, abs(mean)):
        return Interval(mean, mean, mean)
    draws, tail = _draws(sums, counts, mean, error, reps, seed), (1.0 - level) / 2.0
    if np.isinf(draws).mean() >= tail:
        return Interval(mean, math.nan, math.nan)
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    return Interval(mean, float(mean - high * error), float(mean - low * error))


def _ratio(sums: Floats, counts: Floats) -> tuple[Floats, Floats]:
    # Ratio of block sums and its standard error, the blocks along the last axis.
    groups, total = sums.shape[-1], counts.sum(-1)
    mean = sums.sum(-1) / total
    spread = ((sums - mean[..., None] * counts) ** 2).sum(-1)
    return mean, np.sqrt(groups / (groups - 1) * spread) / total


def _draws(sums: Floats, counts: Floats, mean: float, error: float, reps: int, seed: int) -> Floats:
    # Studentised deviations, infinite in a draw without spread; some hundred at a time so that memory stays small.
    rng, groups = np.random.default_rng(seed), len(sums)
    parts = []
    for start in range(0, reps, 250):
        index = rng.integers(0, groups, (min(250, reps - start), groups))
        means, errors = _ratio(sums[index], counts[index])
        flat = errors <= FLAT * error
        parts.append(np.where(flat, np.copysign(math.inf, means - mean), (means - mean) / np.where(flat, 1.0, errors)))
    return np.concatenate(parts)
