"""One training and what it says of rows it never saw: the very functions of the weekly training, one split."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from core.engine import figures, training, verdict
from core.engine.figures import Rule, Scored
from core.meta import leakage, splits
from core.meta.baselines import fit_baselines
from core.meta.metrics import Interval
from core.meta.samples import TARGETS, TRAILED, Flags, Samples, uniqueness
from core.meta.splits import Fold
from core.timeframe import HOUR

GATE = Rule(True, 0.0)  # an expected value above zero, its lower bound too


@dataclass(frozen=True, eq=False)
class Judged:
    """What a model said of the test rows, and the fold it was trained by."""

    scored: Scored
    fold: Fold
    suspects: list[tuple[str, float]]

    @property
    def coverage(self) -> tuple[int, int]:
        """How many admitted rows the gate let through, and how many there were."""
        return int(self.scored.gated(GATE).sum()), int(self.scored.admitted.sum())

    def gated(self) -> Interval:
        """Mean net R of what the gate let through, with its 95 % interval by week."""
        return self._interval(self.scored.gated(GATE))

    def best(self, share: float) -> Interval:
        """The same of the admitted rows with the highest p: what the ranking alone would claim."""
        s = self.scored
        if not s.admitted.any():
            return Interval(np.nan, np.nan, np.nan)
        return self._interval(s.admitted & (s.p >= np.quantile(s.p[s.admitted], 1.0 - share)))

    def _interval(self, mask: Flags) -> Interval:
        return figures.interval(self.scored.samples.r[mask], self.scored.samples.t0[mask])

    def objections(self) -> list[str]:
        """Why the promotion rule would not take this model; empty where it would."""
        s = self.scored
        return verdict.objections(figures.compare(s, GATE), figures.probability(s.p, s),
                                  figures.weeks(s.samples.t0), self.suspects)


class Slices(NamedTuple):
    """How many rows fit, calibrate and test, at most and from the end of the rows backwards; 0 = by share."""

    fit: int = 0
    calibrate: int = 0
    test: int = 0


BY_SHARE = Slices()
Judge = Callable[..., Judged]  # (rows, admitted, seed, slices)


def judge(rows: Samples, admitted: Flags, seed: int, slices: Slices = BY_SHARE) -> Judged:
    """Train one family on the earlier rows and ask the model about the later ones. Raises DataError."""
    gap = splits.embargo(rows.t0, rows.t1)
    fold = cut(rows, slices, gap) if slices.fit else splits.final_split(rows.t0, rows.t1, embargo_ms=gap,
                                                                       settle_ms=gap)
    return on_fold(rows, admitted, fold, seed)


def on_fold(rows: Samples, admitted: Flags, fold: Fold, seed: int) -> Judged:
    """The same by a fold that is given."""
    made = training.fit(rows, fold.fit, fold.calibrate, training.PARAMS[str(rows.family[0])], seed)
    early = rows.take(fold.fit)
    plain = fit_baselines(early, uniqueness(early.t0, early.t1))
    scored = figures.score(made, plain, rows.take(fold.test), admitted[fold.test])
    return Judged(scored, fold, leakage.suspects(early.x, early.win, rows.names))


def cut(rows: Samples, slices: Slices, gap: int) -> Fold:
    """The last rows test, those before them calibrate, those before them fit; purged, embargoed and checked."""
    start = int(rows.t0[len(rows) - slices.test])
    test = np.flatnonzero(rows.t0 >= start)
    calibrate = np.flatnonzero(rows.t1 + gap <= start)[-slices.calibrate :]
    fit = np.flatnonzero(rows.t1 + gap <= int(rows.t0[calibrate[0]]))[-slices.fit :]
    fold = Fold(fit, calibrate, test, int(rows.t1[fit].max()), int(rows.t1[calibrate].max()), start,
                int(rows.t0[-1]) + HOUR)
    leakage.check_fold(fold, rows.t0, rows.t1, gap)
    return fold


def families(rows: Samples) -> list[tuple[str, Any]]:
    """The families among the rows and their masks."""
    return [(name, rows.family == name) for name in (TARGETS, TRAILED) if np.any(rows.family == name)]
