"""The plain rules a model must beat before anything it says is acted on.

base_rate: the wins' share. geometry: a logistic on what the plan alone says (reward to risk, cost, stop
distance, timeframe); what it finds is arithmetic, not skill. ridge: a logistic on all features. ema200: the
one rule "on the side of the long average". Each is a few numbers and goes to JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.candles import Floats
from core.errors import ArtifactError, DataError
from core.meta.samples import Samples, Texts

RIDGE = 10.0       # penalty on standardised coefficients, in rows
SIDE_PRIOR = 50.0  # rows of base rate mixed into the rates of the two sides
SIDE = "ema200_side"
GEOMETRY = ("rr1", "cost_r", "risk_pct", "win_share", "trailed")


@dataclass(frozen=True, slots=True)
class Constant:
    """The same probability for everybody."""

    p: float

    def predict(self, x: Floats) -> Floats:
        """p for each row of x (n, k); (n,)."""
        return np.full(len(x), self.p)


@dataclass(frozen=True, slots=True)
class Logistic:
    """A ridge logistic over standardised columns; NaN counts as the column's median."""

    names: tuple[str, ...]
    median: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coef: tuple[float, ...]
    intercept: float

    def predict(self, x: Floats) -> Floats:
        """Probability of a win, (n,). x: (n, k) in the order of `names`. Raises DataError for another width."""
        if x.ndim != 2 or x.shape[1] != len(self.names):
            raise DataError(f"the logistic takes {len(self.names)} columns, got {x.shape}")
        return expit(_standard(x, self.median, self.mean, self.scale) @ np.asarray(self.coef) + self.intercept)


@dataclass(frozen=True, slots=True)
class SideRule:
    """One rate on the side of the column's sign that agrees with the trade, one on the other, one unknown.

    column: number of a feature that is positive where the trade goes with the long average.
    """

    column: int
    aligned: float
    against: float
    unknown: float

    def passes(self, x: Floats) -> Any:
        """Whether the bare rule takes each row; bool (n,), False where the side is not known."""
        return x[:, self.column] > 0

    def predict(self, x: Floats) -> Floats:
        """Rate of the side of each row; (n,). A side of exactly zero counts as unknown."""
        side = x[:, self.column]
        return np.where(side > 0, self.aligned, np.where(side < 0, self.against, self.unknown))


@dataclass(frozen=True, slots=True)
class Baselines:
    """All of them, fitted on one slice. side is None where the table has no such column."""

    base_rate: Constant
    geometry: Logistic
    ridge: Logistic
    side: SideRule | None

    def predict(self, x: Floats, plan: Floats) -> dict[str, Floats]:
        """p by name ("base_rate", "geometry", "ridge", "ema200"); x as trained, plan from `geometry_table`."""
        found = {"base_rate": self.base_rate.predict(x), "geometry": self.geometry.predict(plan),
                 "ridge": self.ridge.predict(x)}
        return found if self.side is None else found | {"ema200": self.side.predict(x)}

    def timeframes(self) -> tuple[str, ...]:
        """The timeframes that `geometry` has a column for, as `geometry_table` wants them."""
        return self.geometry.names[len(GEOMETRY):]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Baselines":
        """Read back. Raises ArtifactError for what does not fit."""
        try:
            side = data["side"]
            return cls(Constant(**data["base_rate"]), _logistic(data["geometry"]), _logistic(data["ridge"]),
                       None if side is None else SideRule(**side))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"the baselines' file cannot be read ({error}); train a new model") from error


def fit_baselines(samples: Samples, weight: Floats | None = None, side: str = SIDE) -> Baselines:
    """Fit them all to the wins of the samples. weight: (n,) or None. Raises DataError for no rows."""
    if not len(samples):
        raise DataError("no rows to fit baselines on")
    y, w = samples.win.astype(np.float64), np.ones(len(samples)) if weight is None else weight
    timeframes = tuple(sorted(set(samples.timeframe)))
    plan = geometry_table(samples.rr1, samples.cost_r, samples.risk_pct, samples.timeframe, timeframes)
    rule = fit_side(samples.x, y, w, samples.names.index(side)) if side in samples.names else None
    return Baselines(base_rate(y, w), fit_logistic(plan, y, w, (*GEOMETRY, *timeframes)),
                     fit_logistic(samples.x, y, w, samples.names), rule)


def base_rate(y: Floats, weight: Floats) -> Constant:
    """Weighted share of wins, one win and one loss added (Laplace), so that it is never 0 or 1."""
    return Constant(float((weight @ y + 1.0) / (weight.sum() + 2.0)))


def geometry_table(rr1: Floats, cost_r: Floats, risk_pct: Floats, timeframe: Texts,
                   timeframes: Sequence[str]) -> Floats:
    """What a plan says without any market: (n, 5 + len(timeframes)) in the order GEOMETRY, timeframes.

    rr1: NaN without targets. win_share is (1 + cost) / (1 + rr1), the rate the geometry breaks even at;
    the dummies are 1 for the row's own timeframe, and all 0 for one unknown at fitting.
    """
    dummies = [(timeframe == tf).astype(np.float64) for tf in timeframes]
    return np.column_stack([rr1, cost_r, risk_pct, (1.0 + cost_r) / (1.0 + rr1), np.isnan(rr1), *dummies])


def fit_logistic(x: Floats, y: Floats, weight: Floats, names: Sequence[str], ridge: float = RIDGE) -> Logistic:
    """Logistic regression with an L2 penalty of `ridge` rows, by Newton's method; the intercept is free.

    x: (n, k), NaN allowed; y: (n,) in 0..1; weight: (n,). Constant columns get no coefficient.
    Source: Hastie, Tibshirani, Friedman, Elements of Statistical Learning (2009), 4.4.1 and 4.4.4.
    """
    seen = ~np.isnan(x)
    median = tuple(float(np.median(x[seen[:, j], j])) if seen[:, j].any() else 0.0 for j in range(x.shape[1]))
    filled = np.where(seen, x, np.asarray(median))
    mean, spread = filled.mean(axis=0), filled.std(axis=0)
    scale = np.where(spread > 1e-12 * (1.0 + np.abs(mean)), spread, np.inf)
    table = np.column_stack([(filled - mean) / scale, np.ones(len(x))])
    beta = newton(table, y, weight, np.append(np.full(x.shape[1], ridge), 1e-6))
    usable = np.where(np.isinf(scale), 0.0, beta[:-1])
    return Logistic(tuple(names), median, tuple(map(float, mean)),
                    tuple(1.0 if np.isinf(s) else float(s) for s in scale), tuple(map(float, usable)), float(beta[-1]))


def fit_side(x: Floats, y: Floats, weight: Floats, column: int) -> SideRule:
    """Rates of wins with and against the side of a column, shrunk to the base rate by SIDE_PRIOR rows."""
    rate = base_rate(y, weight).p

    def shrunk(rows: Any) -> float:
        return float((weight[rows] @ y[rows] + SIDE_PRIOR * rate) / (weight[rows].sum() + SIDE_PRIOR))

    return SideRule(column, shrunk(x[:, column] > 0), shrunk(x[:, column] < 0), rate)


def newton(table: Floats, y: Floats, weight: Floats, penalty: Floats, steps: int = 50) -> Floats:
    """Minimise the weighted log loss + penalty x beta^2 / 2 over beta; (k,). table: (n, k), no NaN.

    Steps are halved until the loss falls, so it converges from zero for any data; raises DataError if not.
    """
    beta = np.zeros(table.shape[1])
    loss = _loss(beta, table, y, weight, penalty)
    for _ in range(steps):
        p = expit(table @ beta)
        slope = table.T @ (weight * (p - y)) + penalty * beta
        curve = gram(table * (weight * p * (1.0 - p))[:, None], table) + np.diag(penalty)
        move, size = np.linalg.solve(curve, slope), 1.0
        while (new := _loss(beta - size * move, table, y, weight, penalty)) > loss and size > 1e-8:
            size /= 2.0
        beta, gained, loss = beta - size * move, loss - new, new
        if gained <= 1e-10 * (1.0 + abs(loss)):
            return beta
    raise DataError("the logistic regression did not converge")


def gram(left: Floats, right: Floats, rows: int = 128) -> Floats:
    """left.T @ right, (k, m), added up in runs of rows.

    The runs are too small for BLAS to use threads: those spin for seconds on a busy machine, and their
    number would change the last bits.
    """
    out = np.zeros((left.shape[1], right.shape[1]))
    for start in range(0, len(left), rows):
        out += left[start:start + rows].T @ right[start:start + rows]
    return out


def expit(z: Floats) -> Floats:
    """1 / (1 + exp(-z)) without overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


def _loss(beta: Floats, table: Floats, y: Floats, weight: Floats, penalty: Floats) -> float:
    z = table @ beta
    return float(weight @ (np.logaddexp(0.0, z) - y * z) + 0.5 * penalty @ (beta * beta))


def _standard(x: Floats, median: Sequence[float], mean: Sequence[float], scale: Sequence[float]) -> Floats:
    return (np.where(np.isnan(x), np.asarray(median), x) - np.asarray(mean)) / np.asarray(scale)


def _logistic(data: Mapping[str, Any]) -> Logistic:
    numbers = {name: tuple(map(float, data[name])) for name in ("median", "mean", "scale", "coef")}
    names = tuple(map(str, data["names"]))
    if any(len(values) != len(names) for values in numbers.values()):
        raise ValueError("columns of different length")
    return Logistic(names=names, intercept=float(data["intercept"]), **numbers)
