"""From a raw score to a probability that means what it says, and a lower bound of it.

Fitted on a slice that is later than the model's own training rows (defect D7). A sigmoid (Platt 1999) is
the default at every size: isotonic is taken only on 2,000 rows or more and only if it wins on the later
part of them. A model whose score points the wrong way there is told so: everybody gets the base rate.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.candles import Floats, Ints
from core.errors import ArtifactError, DataError
from core.meta.baselines import expit, newton
from core.trades.performance import WEEK

SIGMOID, ISOTONIC = "sigmoid", "isotonic"
LOGIT, IDENTITY = "logit", "identity"
ISOTONIC_FROM = 2000
LEVEL_Z = 1.6448536269514722  # one-sided 95 %
MIN_ROWS = 30
BOOTSTRAPS = 200
MIN_BLOCKS = 5


@dataclass(frozen=True, slots=True)
class Calibrator:
    """Plain numbers. kind: SIGMOID or ISOTONIC; link: what is done to the raw score first.

    Sigmoid: p = sigmoid(a z + b), z the (linked) score; cov: the variances and covariance of a and b as
    (aa, ab, bb). Isotonic: p by straight lines through the knots (knots, values), the bound through
    (knots, lows), flat beyond the ends. n: rows fitted on.
    """

    kind: str
    link: str
    n: int
    a: float = 0.0
    b: float = 0.0
    cov: tuple[float, float, float] = (0.0, 0.0, 0.0)
    knots: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    lows: tuple[float, ...] = ()

    def apply(self, raw: Floats) -> Floats:
        """Calibrated probability, (n,) in (0, 1); raw: (n,) finite scores."""
        z = linked(raw, self.link)
        return np.interp(z, self.knots, self.values) if self.kind == ISOTONIC else expit(self.a * z + self.b)

    def lower(self, raw: Floats, level_z: float = LEVEL_Z) -> Floats:
        """Lower bound of the calibrated probability, (n,), one-sided 95 % unless told (sigmoid only).

        It holds the calibrator's own uncertainty: what a small or clumped calibration slice leaves open.
        """
        z = linked(raw, self.link)
        if self.kind == ISOTONIC:
            return np.minimum(np.interp(z, self.knots, self.lows), self.apply(raw))
        aa, ab, bb = self.cov
        error = np.sqrt(np.maximum(aa * z * z + 2.0 * ab * z + bb, 0.0))
        return expit(self.a * z + self.b - level_z * error)

    def plausible(self, raw: Floats, rng: np.random.Generator) -> Floats:
        """The probabilities as they might truly be, (n,): one draw of the calibrator's own uncertainty.

        For `metrics.null_ece`: a calibrator of 500 rows misses by more than 2,500 later rows forgive.
        """
        z, u = linked(raw, self.link), rng.standard_normal(2)
        if self.kind == ISOTONIC:
            p = self.apply(raw)
            return np.clip(p + u[0] * (p - self.lower(raw)) / LEVEL_Z, 0.0, 1.0)
        aa, ab, bb = self.cov
        slope = math.sqrt(aa) if aa > 0.0 else 0.0
        across = ab / slope if slope > 0.0 else 0.0
        rest = math.sqrt(max(bb - across * across, 0.0))
        return expit((self.a + slope * u[0]) * z + self.b + across * u[0] + rest * u[1])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; reading them back gives the same probabilities to the bit."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Calibrator":
        """Read back. Raises ArtifactError for an unknown kind, wrong lengths, or values that are no p."""
        try:
            lists = {name: tuple(float(v) for v in data[name]) for name in ("cov", "knots", "values", "lows")}
            made = cls(str(data["kind"]), str(data["link"]), int(data["n"]), float(data["a"]), float(data["b"]),
                       **lists)  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"the calibrator's file cannot be read ({error}); calibrate again") from error
        _check_read(made)
        return made


def fit_calibrator(raw: Floats, y: Floats, weight: Floats | None = None, *, link: str = LOGIT,
                   t0: Ints | None = None, isotonic_from: int = ISOTONIC_FROM, seed: int = 0) -> Calibrator:
    """Fit on rows in time order that the model did not train on.

    raw: (n,) finite scores (a probability for LOGIT, any number for IDENTITY: `Model.link`). y: (n,) 0/1.
    weight: (n,) or None. t0: decision times; with them the bound takes weeks as blocks, which makes it
    honest for trades that hang together. Raises DataError for fewer than 30 rows, one class, or NaN.
    """
    wins, w = np.asarray(y, dtype=np.float64), np.ones(len(raw)) if weight is None else weight
    _check_fit(raw, wins, w)
    z, blocks = linked(raw, link), np.arange(len(raw)) if t0 is None else t0 // WEEK
    if len(z) >= isotonic_from and _isotonic_wins(z, wins, w):
        return _fit_isotonic(z, wins, w, blocks, link, seed)
    return _fit_sigmoid(z, wins, w, blocks, link)


def linked(raw: Floats, link: str) -> Floats:
    """The raw scores on the scale the calibrator works on: log odds of a p for LOGIT, else as they are."""
    values = np.asarray(raw, dtype=np.float64)
    if link == IDENTITY:
        return values
    p = np.clip(values, 1e-9, 1.0 - 1e-9)
    return np.asarray(np.log(p) - np.log1p(-p))


def isotonic(z: Floats, y: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Knots of the best non-decreasing fit by weighted squares, pool adjacent violators; two (m,) arrays.

    Each pool gives the knots of its first and last score, so that `np.interp` is flat inside pools; the
    same as scikit-learn's IsotonicRegression. Source: Zadrozny and Elkan, KDD 2002.
    """
    scores, index = np.unique(z, return_inverse=True)
    mass = np.bincount(index, weights=weight)
    mean = np.bincount(index, weights=weight * y) / mass
    pools: list[tuple[float, float, int]] = []  # mean, mass, number of scores
    for value, amount in zip(mean.tolist(), mass.tolist(), strict=True):
        count = 1
        while pools and pools[-1][0] >= value:
            other, other_amount, other_count = pools.pop()
            value = (value * amount + other * other_amount) / (amount + other_amount)
            amount, count = amount + other_amount, count + other_count
        pools.append((value, amount, count))
    ends = np.cumsum([count for _, _, count in pools])
    starts = np.concatenate(([0], ends[:-1]))
    knots = np.stack([scores[starts], scores[ends - 1]], axis=1).ravel()
    values = np.repeat([value for value, _, _ in pools], 2)
    keep = np.concatenate(([True], np.diff(knots) > 0))
    return knots[keep], values[keep]


def _fit_sigmoid(z: Floats, y: Floats, weight: Floats, blocks: Ints, link: str) -> Calibrator:
    # Platt's targets keep p off 0 and 1; scores are standardised so that Newton is well conditioned.
    won, lost = float(weight @ y), float(weight @ (1.0 - y))
    target = np.where(y > 0, (won + 1.0) / (won + 2.0), 1.0 / (lost + 2.0))
    middle, spread = float(z.mean()), float(z.std())
    table = np.column_stack([(z - middle) / spread if spread > 1e-9 else np.zeros(len(z)), np.ones(len(z))])
    beta = newton(table, target, weight, np.full(2, 1e-6))
    if beta[0] <= 0.0:
        table[:, 0] = 0.0
        beta = newton(table, target, weight, np.full(2, 1e-6))
    scale = spread if beta[0] > 0.0 else math.inf
    turn = np.array([[1.0 / scale, 0.0], [-middle / scale if beta[0] > 0.0 else 0.0, 1.0]])
    a, b = turn @ beta
    cov = turn @ _covariance(table, target, weight, beta, blocks) @ turn.T
    return Calibrator(SIGMOID, link, len(z), float(a), float(b),
                      (float(cov[0, 0]), float(cov[0, 1]), float(cov[1, 1])))


def _covariance(table: Floats, y: Floats, weight: Floats, beta: Floats, blocks: Ints) -> Floats:
    # Sandwich with scores summed by block (Liang and Zeger 1986), times G / (G - 1). Where it comes out
    # below the plain inverse information, few blocks agree by luck, and the plain one is taken.
    p = expit(table @ beta)
    information = (table * (weight * p * (1.0 - p))[:, None]).T @ table + 1e-6 * np.eye(2)
    plain = np.linalg.inv(information)
    _, index = np.unique(blocks, return_inverse=True)
    scores = table * (weight * (y - p))[:, None]
    sums = np.stack([np.bincount(index, weights=scores[:, j]) for j in range(2)], axis=1)
    groups = len(sums)
    robust = plain @ (sums.T @ sums) @ plain * groups / max(groups - 1, 1)
    enough = groups >= MIN_BLOCKS and float(np.trace(information @ robust)) >= 2.0
    return np.asarray(robust if enough else plain)


def _isotonic_wins(z: Floats, y: Floats, weight: Floats) -> bool:
    # Fitted on the first 70 %, judged on the rest: the squared error must fall by more than its own noise.
    cut = int(0.7 * len(z))
    early, late = slice(0, cut), slice(cut, None)
    if not 0.0 < y[early].mean() < 1.0:
        return False
    smooth = _fit_sigmoid(z[early], y[early], weight[early], np.arange(cut), IDENTITY)
    steps = np.interp(z[late], *isotonic(z[early], y[early], weight[early]))
    gain = (smooth.apply(z[late]) - y[late]) ** 2 - (steps - y[late]) ** 2
    return bool(gain.mean() > gain.std(ddof=1) / math.sqrt(len(gain)))


def _fit_isotonic(z: Floats, y: Floats, weight: Floats, blocks: Ints, link: str, seed: int) -> Calibrator:
    knots, values = isotonic(z, y, weight)
    edge = 1.0 / (len(z) + 2.0)
    rng, (names, index) = np.random.default_rng(seed), np.unique(blocks, return_inverse=True)
    curves = []
    for _ in range(BOOTSTRAPS):
        times = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))[index]
        some = times > 0
        curves.append(np.interp(knots, *isotonic(z[some], y[some], weight[some] * times[some])))
    lows = np.maximum.accumulate(np.quantile(curves, 0.05, axis=0))
    return Calibrator(ISOTONIC, link, len(z), knots=tuple(map(float, knots)),
                      values=tuple(map(float, np.clip(values, edge, 1.0 - edge))),
                      lows=tuple(map(float, np.clip(lows, edge, 1.0 - edge))))


def _check_fit(raw: Floats, y: Floats, weight: Floats) -> None:
    if raw.ndim != 1 or raw.shape != y.shape or raw.shape != weight.shape:
        raise DataError(f"scores, labels and weights must be flat and of one length: {raw.shape}, {y.shape}, "
                        f"{weight.shape}")
    if len(raw) < MIN_ROWS:
        raise DataError(f"{len(raw)} rows are too few to calibrate on; {MIN_ROWS} are the least")
    if not (np.all(np.isfinite(raw)) and np.all((y == 0) | (y == 1)) and np.all(weight > 0)):
        raise DataError("scores must be finite, labels 0 or 1, weights positive")
    if y.min() == y.max():
        raise DataError("the calibration slice holds one class only")


def _check_read(c: Calibrator) -> None:
    numbers = (c.a, c.b, *c.cov, *c.knots, *c.values, *c.lows)
    shape = len(c.cov) == 3 and len(c.knots) == len(c.values) == len(c.lows) and c.n >= 0
    known = c.kind in (SIGMOID, ISOTONIC) and c.link in (LOGIT, IDENTITY) and (c.kind == SIGMOID or c.knots != ())
    rising = all(list(v) == sorted(v) for v in (c.knots, c.values, c.lows))
    if not (shape and known and rising and all(map(math.isfinite, numbers))
            and all(0.0 <= v <= 1.0 for v in (*c.values, *c.lows)) and c.a >= 0.0):
        raise ArtifactError("the calibrator's file holds impossible values; calibrate again")
