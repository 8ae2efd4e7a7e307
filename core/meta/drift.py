"""Has the world moved since the model was trained: features and calibration, held against their own noise.

Features: PSI with a bound that knows how noisy it is and how far the training time itself wandered, and
Kolmogorov-Smirnov with the false discovery rate held over all features; both must agree. Outcomes: the rolling
gap between claimed and observed, the alarm that matters. What is done about it stands in `core.meta.ladder`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from core.candles import Floats, Ints
from core.errors import DataError
from core.timeframe import DAY

BINS = 10
WARN_PSI, ACT_PSI = 0.10, 0.25  # Siddiqi 2006: conventions, not tests
NOISE_Z = 3.0        # deviations of pure chance that a PSI must exceed its convention by
FDR = 0.01
WANDER = 1.5         # times the furthest that any stretch of the training time lay from the rest of it
WEEK = 7 * DAY
WEEKS = (2, 4, 8, 16)  # windows of the rolling calibration gap ...
WINDOW = 200         # ... each with at least so many trades
TOP = 0.2            # share of the claims, the highest, that is looked at by itself: there the gate acts
DESIGN = 1.8         # least variance of trades over that of independent ones: they come in clumps
ALL_PLANS, TOP_PLANS = "plans", "plans with the highest claims"


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
    standard errors (of clumped trades) it is from zero; negative = the model claims too much. what: which trades."""

    n: int
    claimed: float
    observed: float
    gap: float
    z: float
    what: str = ALL_PLANS


def psi(reference: Floats, current: Floats, bins: int = BINS) -> tuple[float, int]:
    """Population stability index of two samples of a feature, and the bins it has.

    Bins hold equal counts of the reference; NaN is a bin of its own where either sample has it. Half a
    row is added to each bin, so the value is finite. Source: Siddiqi, Credit Risk Scorecards (2006).
    Raises DataError when a sample is empty.
    """
    if not len(reference) or not len(current):
        raise DataError("PSI needs rows on both sides")
    edges = _edges(reference, bins)
    return _psi(_counts(reference, edges), _counts(current, edges))


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
             independent: float = 1.0, stretch: Ints | None = None) -> list[FeatureDrift]:
    """Drift of each column of two feature tables (n, k) and (m, k), in the order of `names`.

    independent: share of the rows that are independent (mean uniqueness of the labels); it widens the
    bounds and shrinks KS accordingly. stretch: (n,) which stretch of time each reference row lies in, about as
    long as the current rows: a feature that moves slowly lies anywhere within a stretch, so what counts must lie
    WANDER times further than any of them does. Raises DataError for empty or different tables.
    """
    if reference.shape[1:] != (len(names),) or current.shape[1:] != (len(names),):
        raise DataError(f"feature tables of {reference.shape} and {current.shape} do not fit {len(names)} names")
    if not len(reference) or not len(current):
        raise DataError("drift needs rows on both sides")
    n, m = len(reference) * independent, len(current) * independent
    rows = []
    for j in range(len(names)):
        value, used, own = _column(reference[:, j], current[:, j], bins, stretch)
        distance, _ = ks(reference[:, j], current[:, j])
        rows.append((value, used, own, distance, _kolmogorov(math.sqrt(n * m / (n + m)) * distance)))
    fallen = benjamini_hochberg([row[-1] for row in rows])
    return [FeatureDrift(name, value, max(own, psi_limit(WARN_PSI, used, n, m)),
                         max(own, psi_limit(ACT_PSI, used, n, m)), distance, p, f)
            for name, (value, used, own, distance, p), f in zip(names, rows, fallen, strict=True)]


def _column(reference: Floats, current: Floats, bins: int, stretch: Ints | None) -> tuple[float, int, float]:
    # PSI, its bins, and WANDER times the greatest PSI of a stretch of the reference against all of the rest.
    edges = _edges(reference, bins)
    before, now = _counts(reference, edges), _counts(current, edges)
    value, used = _psi(before, now)
    if stretch is None:
        return value, used, 0.0
    places = _places(reference, edges)
    numbers, at = np.unique(stretch, return_inverse=True)
    parts = np.bincount(at * len(before) + places, minlength=len(numbers) * len(before)).reshape(len(numbers), -1)
    large = [part for part in parts.astype(np.float64) if part.sum() >= len(current) / 4]
    return value, used, WANDER * max((_psi(before - part, part)[0] for part in large), default=0.0)


def calibration_gap(p: Floats, win: Floats, window: int = WINDOW, design: float = DESIGN, what: str = ALL_PLANS,
                    own: Floats | None = None) -> Gap | None:
    """Observed minus claimed share of wins over the last `window` trades in time order; None of nothing.

    p, win: (n,). own: the calibrator's own standard error of each p, which a finite slice left it with: a claim
    that is off by no more has not drifted. The gap's standard error is sqrt(design x sum p (1 - p)) / n, and
    the mean of `own` beside it.
    """
    last, won = p[-window:], win[-window:]
    n = len(last)
    if not n:
        return None
    claimed, observed = float(last.mean()), float(won.mean())
    aside = 0.0 if own is None else float(own[-window:].mean())
    error = math.hypot(math.sqrt(design * float((last * (1.0 - last)).sum())) / n, aside)
    return Gap(n, claimed, observed, observed - claimed, (observed - claimed) / error if error > 0.0 else 0.0, what)


def rolling_gaps(p: Floats, win: Floats, t0: Ints, now: int, design: float = DESIGN,
                 own: Floats | None = None) -> list[Gap]:
    """The gaps of the last WEEKS before `now` (ms), of all trades and of the TOP claims among them.

    p, win, t0, own: (n,) in time order, as `calibration_gap`. Windows of fewer than WINDOW trades say
    too little and are left out.
    """
    found: list[Gap | None] = []
    errors = np.zeros(len(p)) if own is None else own
    for first in sorted({int(np.searchsorted(t0, now - weeks * WEEK)) for weeks in WEEKS}, reverse=True):
        last, won, aside = p[first:], win[first:], errors[first:]
        if len(last) >= WINDOW:
            found.append(calibration_gap(last, won, len(last), design, own=aside))
            best = last >= np.quantile(last, 1.0 - TOP)
            if WINDOW <= best.sum() <= 2.0 * TOP * len(last):  # a model that says the same of all has no highest
                found.append(calibration_gap(last[best], won[best], len(last), design, TOP_PLANS, aside[best]))
    return [gap for gap in found if gap is not None]


def design_effect(win: Floats, t0: Ints) -> float:
    """How much more the wins of a week scatter than those of as many independent trades; DESIGN at least.

    One standard error of the estimate is added, since it is made from few weeks.
    """
    if not len(win):
        return DESIGN
    week = t0 // WEEK - int(t0.min()) // WEEK
    sums, counts = np.bincount(week, win - win.mean()), np.bincount(week)
    spread, weeks = float(win.var()) * len(win), int((counts > 0).sum())
    if spread <= 0.0:
        return DESIGN
    return max(DESIGN, float((sums * sums).sum()) / spread * (1.0 + math.sqrt(2.0 / weeks)))


def _edges(reference: Floats, bins: int) -> Floats:
    known = reference[~np.isnan(reference)]
    return np.unique(np.quantile(known, np.arange(1, bins) / bins)) if len(known) else np.empty(0)


def _places(values: Floats, edges: Floats) -> Ints:
    # The bin of each value; the last is that of NaN.
    at = np.searchsorted(edges, values, side="left")
    at[np.isnan(values)] = len(edges) + 1
    return at


def _counts(values: Floats, edges: Floats) -> Floats:
    return np.bincount(_places(values, edges), minlength=len(edges) + 2).astype(np.float64)


def _psi(before: Floats, now: Floats) -> tuple[float, int]:
    counts = np.stack([before, now])
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return 0.0, 1
    shares = (counts + 0.5) / (counts.sum(axis=1, keepdims=True) + 0.5 * counts.shape[1])
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum()), counts.shape[1]


def _kolmogorov(x: float) -> float:
    # P(K > x); the series converges at once above 0.2 and is 1 to 13 digits below.
    if x < 0.2:
        return 1.0
    return min(1.0, max(0.0, 2.0 * math.fsum((-1) ** (k - 1) * math.exp(-2.0 * (k * x) ** 2) for k in range(1, 101))))
