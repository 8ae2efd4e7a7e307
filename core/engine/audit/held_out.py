"""The data of a file as a training would have met them: every row judged by a model that never saw it.

Walk-forward over all but the last quarter of the rows. That quarter is sealed: the audit does not look at it, so
that it costs no look; what the trainings saw of it stands in the trial log.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.engine import figures
from core.engine.audit import pipeline
from core.engine.figures import Rule, Scored
from core.engine.training import Recipe
from core.errors import DataError
from core.meta import ev, leakage, splits
from core.meta.samples import Flags, Samples
from core.meta.splits import Fold
from core.timeframe import DAY

OnFold = Callable[[Samples, Flags, Fold, int], pipeline.Judged]
LEAST = 100  # rows judged out of sample, below which no figure is given


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One family of a file. rows: those before the sealed ones. folds: each with what its model said of its rows."""

    family: str
    rows: Samples
    sealed: int
    gap: int
    parts: tuple[pipeline.Judged, ...]

    @property
    def scored(self) -> Scored:
        """All out-of-sample rows in time order."""
        return figures.joined([part.scored for part in self.parts])


def judge(name: str, rows: Samples, admitted: Flags, how: Recipe, on_fold: OnFold = pipeline.on_fold) -> HeldOut:
    """Judge one family's rows fold by fold. Raises DataError where there are too few."""
    if len(rows) < how.floor:
        raise DataError(f"{name}: {len(rows):,} closed plans, at least {how.floor:,} are needed")
    gap = splits.embargo(rows.t0, rows.t1)
    final = splits.final_split(rows.t0, rows.t1, fit=how.fit, calibrate=how.calibrate, embargo_ms=gap, settle_ms=gap)
    known = np.flatnonzero((rows.t1 + gap <= final.test_start) & (rows.t0 + gap <= final.test_start))
    before, let_in = rows.take(known), admitted[known]
    train, step = _windows(how, int(before.t0[-1] - before.t0[0]))
    folds = splits.walk_forward(before.t0, before.t1, train_ms=train, test_ms=step, step_ms=step, embargo_ms=gap,
                                settle_ms=gap)
    parts = tuple(on_fold(before, let_in, fold, how.seed) for fold in folds if _enough(before, fold))
    t0 = [part.scored.samples.t0 for part in parts]
    if not parts or len(np.concatenate(t0)) < LEAST or figures.weeks(np.concatenate(t0)) < figures.FEWEST_WEEKS:
        raise DataError(f"{name}: too few rows or weeks are left to judge out of sample")
    return HeldOut(name, before, len(final.test), gap, parts)


def _windows(how: Recipe, span: int) -> tuple[int, int]:
    if span >= how.train_ms + 2 * how.test_ms:
        return how.train_ms, how.step_ms
    return max(DAY, span // 2), max(DAY, span // 12)


def _enough(rows: Samples, fold: Fold) -> bool:
    return all(min(int(rows.win[index].sum()), int((~rows.win[index]).sum())) >= least
               for index, least in ((fold.fit, 2 * ev.MIN_EACH), (fold.calibrate, ev.MIN_EACH)))


def known_before(tested: HeldOut) -> str | None:
    """Why a row was not out of sample for the model that judged it, or None: each fold is checked again."""
    for part in tested.parts:
        fold, own = part.fold, part.scored.samples
        try:
            leakage.check_fold(fold, tested.rows.t0, tested.rows.t1, tested.gap)
        except DataError as error:
            return str(error)
        learned = {tested.rows.ids[i] for i in (*fold.fit, *fold.calibrate)}
        latest = int(tested.rows.t1[np.concatenate((fold.fit, fold.calibrate))].max())
        if learned.intersection(own.ids) or int(own.t0.min()) < latest:
            return f"{len(learned.intersection(own.ids))} of {len(own)} rows were judged by a model that learned them"
    return None


def newest(rows: Samples, admitted: Flags, most: int) -> tuple[Samples, Flags]:
    """At most so many rows, the newest; what a quick look takes."""
    kept: Any = np.arange(max(0, len(rows) - most), len(rows))
    return rows.take(kept), admitted[kept]


def gates(s: Scored, rule: Rule, threshold: float) -> dict[str, Flags]:
    """The rows that each gate takes: the configured one, the other kind, and the best tenth and fifth by value."""
    value = s.ev if rule.use_ev else s.p
    found = {_named(rule): s.gated(rule)}
    other = Rule(False, threshold) if rule.use_ev else Rule(True, 0.0)
    found[_named(other)] = s.gated(other)
    for share in (0.1, 0.2):
        known = value[s.admitted]
        if len(known):
            found[f"best {share:.0%}"] = s.admitted & (value >= np.quantile(known, 1.0 - share))
    return found


def _named(rule: Rule) -> str:
    return f"EV >= {rule.limit:g} % + {ev.MARGIN_R:g} R" if rule.use_ev else f"p >= {rule.limit:g}"
