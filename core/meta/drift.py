"""Has the world moved since the model was trained, and what is done about it.

Features: PSI with a bound that knows how noisy it is, and Kolmogorov-Smirnov with the false discovery
rate held over all features; both must agree. Outcomes: the rolling gap between claimed and observed, the
alarm that matters. The answer is one rung of a ladder, with its reasons.
"""

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from core.candles import Floats
from core.errors import DataError

BINS = 10
WARN_PSI, ACT_PSI = 0.10, 0.25  # Siddiqi 2006: conventions, not tests
NOISE_Z = 3.0        # deviations of pure chance that a PSI must exceed its convention by
FDR = 0.01
WINDOW = 200         # trades of the rolling calibration gap
DESIGN = 1.8         # variance of gated trades over that of independent ones: they come in clumps
MIN_GAP_ROWS = 50


class Action(IntEnum):
    """Rungs of the ladder, the later the graver."""

    OK = 0
    WARN = 1
    RAISE_THRESHOLD = 2
    OBSERVE_ONLY = 3


class FeatureDrift(NamedTuple):
    """One feature: its PSI, the bounds PSI is held against, the KS distance and p-value, whether KS counts."""

    name: str
    psi: float
    warn_limit: float
    act_limit: float
    ks: float
    p: float
    shifted: bool

    @property
    def warns(self) -> bool:
        """PSI and KS both say that it moved."""
        return self.shifted and self.psi > self.warn_limit

    @property
    def acts(self) -> bool:
        """Both say that it moved far."""
        return self.shifted and self.psi > self.act_limit


class Gap(NamedTuple):
    """Calibration of the last n trades: shares claimed and observed, their difference, and how many
    standard errors (of clumped trades) it is from zero; negative = the model claims too much."""

    n: int
    claimed: float
    observed: float
    gap: float
    z: float


class Finding(NamedTuple):
    """What to do, why in words, by how much to raise a threshold on p, and whether to train anew."""

    action: Action
    reasons: tuple[str, ...]
    raise_by: float
    retrain: bool


def psi(reference: Floats, current: Floats, bins: int = BINS) -> tuple[float, int]:
    """Population stability index of two samples of a feature, and the bins it has.

    Bins hold equal counts of the reference; NaN is a bin of its own where either sample has it. Half a
    row is added to each bin, so the value is finite. Source: Siddiqi, Credit Risk Scorecards (2006).
    Raises DataError when a sample is empty.
    """
    if not len(reference) or not len(current):
        raise DataError("PSI needs rows on both sides")
    known = reference[~np.isnan(reference)]
    edges = np.unique(np.quantile(known, np.arange(1, bins) / bins)) if len(known) else np.empty(0)
    counts = np.stack([_counts(reference, edges), _counts(current, edges)])
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return 0.0, 1
    shares = (counts + 0.5) / (counts.sum(axis=1, keepdims=True) + 0.5 * counts.shape[1])
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum()), counts.shape[1]


def psi_limit(base: float, bins: int, n: float, m: float, z: float = NOISE_Z) -> float:
    """What a PSI over `bins` bins of n and m rows must exceed before it means more than `base`.

    Without any drift PSI is about (1/n + 1/m) times a chi-squared of bins - 1 degrees: mean
    (bins - 1)(1/n + 1/m), to which z of its deviations and, for a true PSI of `base`, the deviation
    2 sqrt(base (1/n + 1/m)) are added. Rows that hang together in time: hand in how many independent
    ones they amount to.
    """
    noise = 1.0 / n + 1.0 / m
    return base + (bins - 1) * noise + z * math.sqrt(2.0 * (bins - 1) * noise * noise + 4.0 * base * noise)


def ks(reference: Floats, current: Floats) -> tuple[float, float]:
    """Two-sample Kolmogorov-Smirnov distance and its asymptotic p-value; NaN rows are left out.

    (0, 1) when a side has no known row. Source: Smirnov 1948; the series in Press et al., Numerical
    Recipes (2007), 14.3.3, without its small-sample factor.
    """
    a, b = np.sort(reference[~np.isnan(reference)]), np.sort(current[~np.isnan(current)])
    if not len(a) or not len(b):
        return 0.0, 1.0
    both = np.concatenate((a, b))
    rise = np.searchsorted(a, both, side="right") / len(a) - np.searchsorted(b, both, side="right") / len(b)
    distance = float(np.abs(rise).max())
    return distance, _kolmogorov(math.sqrt(len(a) * len(b) / (len(a) + len(b))) * distance)


def benjamini_hochberg(p: Sequence[float], level: float = FDR) -> list[bool]:
    """Which hypotheses fall when the share of false alarms is held at `level` (Benjamini, Hochberg 1995)."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    last = max((rank for rank, i in enumerate(order, 1) if p[i] <= level * rank / len(p)), default=0)
    fallen = set(order[:last])
    return [i in fallen for i in range(len(p))]


def features(reference: Floats, current: Floats, names: Sequence[str], *, bins: int = BINS,
             independent: float = 1.0) -> list[FeatureDrift]:
    """Drift of each column of two feature tables (n, k) and (m, k), in the order of `names`.

    independent: share of the rows that are independent (mean uniqueness of the labels); it widens the
    bounds and shrinks KS accordingly. Raises DataError for empty or different tables.
    """
    if reference.shape[1:] != (len(names),) or current.shape[1:] != (len(names),):
        raise DataError(f"feature tables of {reference.shape} and {current.shape} do not fit {len(names)} names")
    n, m = len(reference) * independent, len(current) * independent
    rows = []
    for j in range(len(names)):
        value, used = psi(reference[:, j], current[:, j], bins)
        distance, _ = ks(reference[:, j], current[:, j])
        rows.append((value, used, distance, _kolmogorov(math.sqrt(n * m / (n + m)) * distance)))
    fallen = benjamini_hochberg([row[3] for row in rows])
    return [FeatureDrift(name, value, psi_limit(WARN_PSI, used, n, m), psi_limit(ACT_PSI, used, n, m), distance, p, f)
            for name, (value, used, distance, p), f in zip(names, rows, fallen, strict=True)]


def calibration_gap(p: Floats, win: Floats, window: int = WINDOW, design: float = DESIGN) -> Gap | None:
    """Observed minus claimed share of wins over the last `window` trades in time order; None of nothing.

    p, win: (n,). z is the gap over sqrt(design x sum p (1 - p)) / n.
    """
    last, won = p[-window:], win[-window:]
    n = len(last)
    if not n:
        return None
    claimed, observed = float(last.mean()), float(won.mean())
    error = math.sqrt(design * float((last * (1.0 - last)).sum())) / n
    return Gap(n, claimed, observed, observed - claimed, (observed - claimed) / error if error > 0.0 else 0.0)


def judge(drifts: Sequence[FeatureDrift], gap: Gap | None) -> Finding:
    """The rung of the ladder that features and calibration ask for together.

    WARN: a feature moved, or the gap is two errors from zero. RAISE_THRESHOLD, by the overclaim (at most
    0.10): claims are two errors and 3 points too high, or a fifth of the features moved far. OBSERVE_ONLY:
    three errors and 5 points too high, or half of the features moved far. Anything above WARN, or a
    feature that moved far, asks for training anew.
    """
    found = [_judge_features(drifts), _judge_gap(gap)]
    action = max(f.action for f in found)
    reasons = tuple(text for f in found for text in f.reasons)
    raise_by = max(f.raise_by for f in found) if action == Action.RAISE_THRESHOLD else 0.0
    return Finding(action, reasons, raise_by, action >= Action.RAISE_THRESHOLD or any(d.acts for d in drifts))


def _judge_features(drifts: Sequence[FeatureDrift]) -> Finding:
    moved, far = [d for d in drifts if d.warns], [d for d in drifts if d.acts]
    if not moved:
        return Finding(Action.OK, (), 0.0, False)
    share = len(far) / len(drifts)
    action = Action.OBSERVE_ONLY if share >= 0.5 else Action.RAISE_THRESHOLD if share >= 0.2 else Action.WARN
    worst = sorted(moved, key=lambda d: d.warn_limit - d.psi)[:3]
    text = ", ".join(f"{d.name} PSI {d.psi:.2f} over {d.warn_limit:.2f}" for d in worst)
    reason = f"{len(moved)} of {len(drifts)} features moved, {len(far)} of them far: {text}"
    return Finding(action, (reason,), 0.02, bool(far))


def _judge_gap(gap: Gap | None) -> Finding:
    if gap is None or gap.n < MIN_GAP_ROWS or abs(gap.z) < 2.0:
        return Finding(Action.OK, (), 0.0, False)
    text = (f"of the last {gap.n} trades {gap.observed:.1%} won, claimed were {gap.claimed:.1%} "
            f"({gap.z:+.1f} standard errors)")
    if gap.z <= -3.0 and gap.gap <= -0.05:
        return Finding(Action.OBSERVE_ONLY, (text,), 0.0, True)
    if gap.z <= -2.0 and gap.gap <= -0.03:
        return Finding(Action.RAISE_THRESHOLD, (text,), min(0.10, -gap.gap), True)
    return Finding(Action.WARN, (text,), 0.0, False)


def _counts(values: Floats, edges: Floats) -> Floats:
    known = ~np.isnan(values)
    inside = np.bincount(np.searchsorted(edges, values[known], side="left"), minlength=len(edges) + 1)
    return np.append(inside, len(values) - known.sum()).astype(np.float64)


def _kolmogorov(x: float) -> float:
    # P(K > x); the series converges at once above 0.2 and is 1 to 13 digits below.
    if x < 0.2:
        return 1.0
    return min(1.0, max(0.0, 2.0 * math.fsum((-1) ** (k - 1) * math.exp(-2.0 * (k * x) ** 2) for k in range(1, 101))))
