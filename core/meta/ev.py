"""What a trade is worth: the calibrated probability times payoffs measured over the real exit mix.

A win is no full first target (defect D17): part of it is taken there, the rest trails, stops at break-even
or runs out of time. So W and L are means of net results that happened, never planned distances.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from core.candles import Floats
from core.errors import DataError
from core.meta.samples import Flags, Samples
from core.trades.performance import break_even_rate

Number = Floats | float

ALL = ""         # whatever the timeframe
MARGIN_R = 0.05  # what EV must exceed its limit by, in R: optimism of stops that fill exactly at their level
PRIOR = 100.0    # trades of the family mixed into a timeframe's means
MIN_EACH = 20    # wins and losses a family needs before its payoffs mean anything


@dataclass(frozen=True, slots=True)
class Payoffs:
    """Net payoffs in R of one family (and timeframe), both positive in the usual case.

    win_r, loss_r: means over n_win wins and n_loss losses. win_slope: how many R the mean win grows per
    unit of rr1 (0 for trailed plans). rr1, win_cost, loss_cost: mean rr1 and cost_r of those wins and
    losses, from which a plan's own are told apart. Raises DataError for a number that is not finite.
    """

    win_r: float
    loss_r: float
    n_win: int
    n_loss: int
    win_slope: float = 0.0
    rr1: float = 0.0
    win_cost: float = 0.0
    loss_cost: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(getattr(self, name)) for name in Payoffs.__slots__):
            raise DataError(f"a payoff is not finite: {self}")

    @property
    def break_even(self) -> float | None:
        """Probability at which the expected value is zero; None where it is not defined."""
        return break_even_rate(self.win_r, self.loss_r)

    def of(self, rr1: Number | None = None, cost_r: Number | None = None) -> tuple[Floats, Floats]:
        """W and L in R for plans of a given geometry and cost, two (n,) or scalar arrays.

        Without rr1 and cost_r (or where they are NaN) the measured means. A near target wins often and
        little: with one W for all plans the highest p would be read as the highest EV.
        """
        win, loss = np.asarray(self.win_r), np.asarray(self.loss_r)
        if rr1 is not None:
            win = win + self.win_slope * _off(rr1, self.rr1)
        if cost_r is not None:
            win, loss = win - _off(cost_r, self.win_cost), loss + _off(cost_r, self.loss_cost)
        return np.maximum(win, 0.0), loss

    def ev_r(self, p: Number, rr1: Number | None = None, cost_r: Number | None = None) -> Floats:
        """Expected net result in R, p x W - (1 - p) x L; same shape as p. rr1, cost_r as in `of`."""
        win, loss = self.of(rr1, cost_r)
        chance = np.asarray(p, dtype=np.float64)
        return np.asarray(chance * win - (1.0 - chance) * loss)

    def ev_pct(self, p: Number, risk_pct: Number, rr1: Number | None = None, cost_r: Number | None = None) -> Floats:
        """Expected net result in percent of the notional, `ev_r` x risk_pct; same shape as p.

        risk_pct: |entry - sl| / entry x 100. With a lower bound of p it is a lower bound of EV.
        """
        return self.ev_r(p, rr1, cost_r) * np.asarray(risk_pct)


Table = Mapping[str, Mapping[str, Payoffs]]  # by family, then timeframe; ALL for the whole family


def measure(samples: Samples, weight: Floats | None = None, prior: float = PRIOR) -> dict[str, dict[str, Payoffs]]:
    """Payoffs over every ended trade by family and timeframe, and under ALL for the family as a whole.

    A timeframe's mean counts n wins against `prior` wins of its family's mean (losses likewise). A family
    with fewer than MIN_EACH wins or losses is left out: no EV can be told. weight: (n,) or None.
    """
    w, table = np.ones(len(samples)) if weight is None else weight, dict[str, dict[str, Payoffs]]()
    for family in sorted(set(samples.family.tolist())):
        rows = samples.family == family
        if min((rows & samples.win).sum(), (rows & ~samples.win).sum()) < MIN_EACH:
            continue
        whole = _payoffs(samples, rows, w, None, 0.0)
        table[family] = {ALL: whole} | {
            timeframe: _payoffs(samples, rows & (samples.timeframe == timeframe), w, whole, prior)
            for timeframe in sorted(set(samples.timeframe[rows].tolist()))}
    return table


def expected_pct(table: Table, samples: Samples, p: Floats) -> Floats:
    """EV in percent of each row by its own payoffs, geometry and cost; (n,), NaN where its family has none."""
    return expected_r(table, samples, p) * samples.risk_pct


def expected_r(table: Table, samples: Samples, p: Floats) -> Floats:
    """As `expected_pct`, in R."""
    out = np.full(len(samples), np.nan)
    for family, parts in table.items():
        for timeframe in set(samples.timeframe.tolist()):
            rows = (samples.family == family) & (samples.timeframe == timeframe)
            out[rows] = parts.get(timeframe, parts[ALL]).ev_r(p[rows], samples.rr1[rows], samples.cost_r[rows])
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


def _payoffs(samples: Samples, rows: Flags, w: Floats, whole: Payoffs | None, prior: float) -> Payoffs:
    # Means of wins and of losses with `prior` trades of the family mixed in.
    wins, losses = rows & samples.win, rows & ~samples.win
    rr1 = np.where(np.isnan(samples.rr1), 0.0, samples.rr1)
    base = whole or Payoffs(0.0, 0.0, 0, 0)

    def mean(values: Floats, part: Flags, family: float) -> float:
        return float((w[part] @ values[part] + prior * family) / (w[part].sum() + prior))

    return Payoffs(
        win_r=mean(samples.r, wins, base.win_r), loss_r=mean(-samples.r, losses, base.loss_r),
        n_win=int(wins.sum()), n_loss=int(losses.sum()),
        win_slope=_slope(rr1[wins], (samples.r + samples.cost_r)[wins], w[wins]) if whole is None else whole.win_slope,
        rr1=mean(rr1, wins, base.rr1), win_cost=mean(samples.cost_r, wins, base.win_cost),
        loss_cost=mean(samples.cost_r, losses, base.loss_cost))


def _slope(x: Floats, y: Floats, w: Floats) -> float:
    # Least squares of the gross win on rr1, kept in 0..1: the first target cannot pay more than itself.
    dx = x - np.average(x, weights=w)
    square = float(w @ (dx * dx))
    return min(1.0, max(0.0, float(w @ (dx * (y - np.average(y, weights=w)))) / square)) if square > 1e-9 else 0.0


def _off(value: Number, mean: float) -> Floats:
    # How far a plan's own figure lies from the mean; nothing where it is not known.
    own = np.asarray(value, dtype=np.float64)
    return np.where(np.isnan(own), 0.0, own - mean)
