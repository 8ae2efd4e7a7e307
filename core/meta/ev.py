"""What a trade is worth: the calibrated probability times payoffs measured over the real exit mix.

A win is no full first target (defect D17): part of it is taken there, the rest trails, stops at break-even
or runs out of time. So W and L are means of net results that happened, never planned distances.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from core.candles import Floats
from core.errors import ArtifactError, DataError
from core.meta.samples import Flags, Samples
from core.trades.performance import break_even_rate

MARGIN_R = 0.05  # what EV must exceed zero by, in R: optimism of stops that fill exactly at their level
PRIOR = 100.0    # trades of the family mixed into a timeframe's means
MIN_EACH = 20    # wins and losses a family needs before its payoffs mean anything


@dataclass(frozen=True, slots=True)
class Payoff:
    """Net payoffs in R (both positive in the usual case), measured on n_win wins and n_loss losses.

    win_slope: how many R the mean win grows per unit of rr1 (0 for trailed plans). rr1, win_cost, loss_cost:
    mean rr1 and cost_r of those wins and losses, from which a plan's own are told apart.
    """

    win_r: float
    loss_r: float
    n_win: int
    n_loss: int
    win_slope: float = 0.0
    rr1: float = 0.0
    win_cost: float = 0.0
    loss_cost: float = 0.0

    @property
    def break_even(self) -> float | None:
        """Probability at which the expected value is zero; None where it is not defined."""
        return break_even_rate(self.win_r, self.loss_r)


@dataclass(frozen=True, slots=True)
class Payoffs:
    """Payoff by (family, timeframe), shrunk to the family's, and by (family, "") for the family itself."""

    table: Mapping[tuple[str, str], Payoff]

    def lookup(self, family: str, timeframe: str) -> Payoff | None:
        """The payoff of the timeframe, else of its family, else None: no EV can be told."""
        return self.table.get((family, timeframe)) or self.table.get((family, ""))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: {family: {timeframe or "": {...}}}."""
        found: dict[str, Any] = {}
        for (family, timeframe), payoff in self.table.items():
            found.setdefault(family, {})[timeframe] = asdict(payoff)
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Payoffs":
        """Read back. Raises ArtifactError for what does not fit."""
        try:
            table = {(str(f), str(tf)): Payoff(**values) for f, parts in data.items() for tf, values in parts.items()}
            if not all(math.isfinite(v) for p in table.values() for v in asdict(p).values()):
                raise ValueError("a payoff is not finite")
        except (AttributeError, TypeError, ValueError) as error:
            raise ArtifactError(f"the payoffs' file cannot be read ({error}); calibrate again") from error
        return cls(table)


def measure(samples: Samples, weight: Floats | None = None, prior: float = PRIOR) -> Payoffs:
    """Payoffs over every ended trade, per family and timeframe.

    A timeframe's mean counts n wins against `prior` wins of its family's mean (losses likewise). A family
    with fewer than MIN_EACH wins or losses has none. weight: (n,) or None.
    """
    w, table = np.ones(len(samples)) if weight is None else weight, dict[tuple[str, str], Payoff]()
    for family in sorted(set(samples.family)):
        rows = samples.family == family
        if min((rows & samples.win).sum(), (rows & ~samples.win).sum()) < MIN_EACH:
            continue
        whole = table[family, ""] = _payoff(samples, rows, w, None, 0.0)
        for timeframe in sorted(set(samples.timeframe[rows])):
            table[family, timeframe] = _payoff(samples, rows & (samples.timeframe == timeframe), w, whole, prior)
    return Payoffs(table)


def payoff_of(payoff: Payoff, rr1: Floats | float | None = None,
              cost_r: Floats | float | None = None) -> tuple[Floats, Floats]:
    """W and L in R for plans of a given geometry and cost, two (n,) or scalar arrays.

    Without rr1 and cost_r (or where rr1 is NaN) the measured means. A near target wins often and little:
    with one W for all plans the highest p would be read as the highest EV.
    """
    win, loss = np.asarray(payoff.win_r), np.asarray(payoff.loss_r)
    if rr1 is not None:
        far = np.asarray(rr1, dtype=np.float64)
        win = win + payoff.win_slope * np.where(np.isnan(far), 0.0, far - payoff.rr1)
    if cost_r is not None:
        win, loss = win - (cost_r - payoff.win_cost), loss + (cost_r - payoff.loss_cost)
    return np.maximum(win, 0.0), loss


def ev_r(p: Floats | float, payoff: Payoff, rr1: Floats | float | None = None,
         cost_r: Floats | float | None = None) -> Floats:
    """Expected net result in R: p x W - (1 - p) x L; same shape as p."""
    win, loss = payoff_of(payoff, rr1, cost_r)
    chance = np.asarray(p, dtype=np.float64)
    return chance * win - (1.0 - chance) * loss


def ev_pct(p: Floats | float, payoff: Payoff, risk_pct: Floats | float, rr1: Floats | float | None = None,
           cost_r: Floats | float | None = None) -> Floats:
    """Expected net result in percent of the notional: `ev_r` x risk_pct; same shape as p.

    risk_pct: |entry - sl| / entry x 100. With a lower bound of p it is a lower bound of EV.
    """
    return ev_r(p, payoff, rr1, cost_r) * risk_pct


def expected(payoffs: Payoffs, samples: Samples, p: Floats) -> Floats:
    """EV in percent of each row with its own payoff, geometry and cost; (n,), NaN where no payoff exists."""
    out = np.full(len(samples), np.nan)
    for family, timeframe in sorted(set(zip(samples.family, samples.timeframe, strict=True))):
        rows, payoff = (samples.family == family) & (samples.timeframe == timeframe), payoffs.lookup(family, timeframe)
        if payoff is not None:
            out[rows] = ev_pct(p[rows], payoff, samples.risk_pct[rows], samples.rr1[rows], samples.cost_r[rows])
    return out


class Decile(NamedTuple):
    """One group by rising prediction: n, mean predicted, mean realised, standard error of the latter."""

    n: int
    predicted: float
    realised: float
    error: float


def by_decile(predicted: Floats, realised: Floats, bins: int = 10) -> list[Decile]:
    """Predicted against realised means (percent or R) in `bins` groups of equal count, by rising prediction.

    Both (n,) without NaN; fewer groups when n < bins. Raises DataError for NaN.
    """
    if np.any(np.isnan(predicted)) or np.any(np.isnan(realised)):
        raise DataError("predicted and realised values must be known")
    parts: Iterable[Any] = np.array_split(np.argsort(predicted, kind="stable"), min(bins, max(1, len(predicted))))
    return [Decile(len(rows), float(predicted[rows].mean()), float(realised[rows].mean()),
                   float(realised[rows].std(ddof=1) / math.sqrt(len(rows))) if len(rows) > 1 else math.nan)
            for rows in parts if len(rows)]


def _payoff(samples: Samples, rows: Flags, w: Floats, whole: Payoff | None, prior: float) -> Payoff:
    # Means of wins and of losses with `prior` trades of the family mixed in.
    wins, losses = rows & samples.win, rows & ~samples.win
    rr1 = np.where(np.isnan(samples.rr1), 0.0, samples.rr1)
    none = whole or Payoff(0.0, 0.0, 0, 0)

    def mean(values: Floats, part: Flags, base: float) -> float:
        return float((w[part] @ values[part] + prior * base) / (w[part].sum() + prior))

    return Payoff(
        win_r=mean(samples.r, wins, none.win_r), loss_r=mean(-samples.r, losses, none.loss_r),
        n_win=int(wins.sum()), n_loss=int(losses.sum()),
        win_slope=_slope(rr1[wins], (samples.r + samples.cost_r)[wins], w[wins]) if whole is None else whole.win_slope,
        rr1=mean(rr1, wins, none.rr1), win_cost=mean(samples.cost_r, wins, none.win_cost),
        loss_cost=mean(samples.cost_r, losses, none.loss_cost))


def _slope(x: Floats, y: Floats, w: Floats) -> float:
    # Least squares of the gross win on rr1, kept in 0..1: the first target cannot pay more than itself.
    dx = x - np.average(x, weights=w)
    square = float(w @ (dx * dx))
    return min(1.0, max(0.0, float(w @ (dx * (y - np.average(y, weights=w)))) / square)) if square > 1e-9 else 0.0
