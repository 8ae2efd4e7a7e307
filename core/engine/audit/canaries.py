"""Would a leak be noticed? Each one planted here must be, by the very checks that the shipped code has to pass."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.candles import Bars, Floats, Ints
from core.engine.audit import markets
from core.engine.audit.leaks import TF, Stage, Table, scramble, scramble_signals, truncation
from core.engine.audit.markets import Rules
from core.engine.audit.record import Row
from core.errors import DataError
from core.meta import leakage, metrics, splits
from core.meta.splits import Fold
from core.signals.decide import Candidate
from core.signals.features import Frames, PlanFacts, table
from core.signals.features.trend import HIGHER
from core.signals.indicators import Indicators
from core.signals.kernels import Kernels
from core.signals.setups import NONE, Found, Setup


def unfinished(rows: Sequence[PlanFacts], around: Frames, kernels: Kernels) -> Floats:
    """Features with a planted leak: the bar in progress of the higher timeframe counts as closed."""
    early = {tf: replace(bars, ts=bars.ts - tf) for tf, bars in around.higher.items()}
    return table(rows, replace(around, higher=early), kernels)


def repaints(used: Rules) -> Rules:
    """Rules with one planted setup: a pivot low is used at its own bar, before the bars that confirm it."""
    def find(bars: Bars, lo: int, hi: int, ind: Indicators, common: Any, params: Any, kernels: Kernels,
             counts: Counter[str]) -> list[Found]:
        lows = [i for i in range(max(lo, 3), hi) if bars.low[i] <= bars.low[i - 3 : i + 4].min()]
        return [Found("repaints", 1, i, i, i, float(bars.close[i]), float(bars.close[i]) * 0.98, NONE, NONE, NONE,
                      True, NONE, 0, "a planted flaw") for i in lows]

    return replace(used, setups=((Setup("repaints", find, dict, ("5m",), lambda common, params: 10), {}),))


def shuffled(n: int, t0: Ints, seed: int) -> Fold:
    """A planted flaw: slices drawn at random, as k-fold does when it shuffles."""
    order = np.random.default_rng(seed).permutation(n)
    fit, calibrate, test = (np.sort(part) for part in np.split(order, [int(0.6 * n), int(0.75 * n)]))
    return Fold(fit, calibrate, test, 0, 0, int(t0[0]), int(t0[-1]) + 1)


@dataclass(frozen=True, slots=True)
class Canary:
    """One planted leak: whether the check that should notice it did, on how much, and whether its twin passes."""

    name: str
    noticed: bool
    twin_passes: bool
    said: str


def planted(stage: Stage, instants: int, seed: int, leak: Table = unfinished) -> list[Canary]:
    """Plant leaks and run the very checks of rows 1 and 2, the folds' and the features' own, on each."""
    early, mixed = truncation(stage, 3 * instants, leak), scramble(stage, instants, leak)
    plain, drawn = scramble(stage, instants), scramble_signals(stage, instants, repaints(stage.used))
    twin = plain.mismatches == 0
    return [
        Canary("unfinished higher bar, truncation", early.mismatches > 0, twin, f"{early.rows} of {instants} rows"),
        Canary("unfinished higher bar, scramble", mixed.mismatches > 0, twin, f"{mixed.rows} of {instants} rows"),
        Canary("repainted pivot, scramble", drawn.mismatches > 0, twin, f"{drawn.rows} of {instants} decisions"),
        _folds(stage, seed),
        _accused(stage),
    ]


def _folds(stage: Stage, seed: int) -> Canary:
    rows, _ = markets.samples(stage.plans, stage.used, stage.frames)
    gap = splits.embargo(rows.t0, rows.t1)
    honest = _refused(splits.final_split(rows.t0, rows.t1, embargo_ms=gap), rows.t0, rows.t1, gap)
    mixed = _refused(shuffled(len(rows), rows.t0, seed), rows.t0, rows.t1, gap)
    return Canary("shuffled folds", mixed is not None, honest is None, "refused" if mixed else "let through")


def _refused(fold: Fold, t0: Ints, t1: Ints, gap: int) -> str | None:
    try:
        leakage.check_fold(fold, t0, t1, gap)
    except DataError as error:
        return str(error)
    return None


def _accused(stage: Stage) -> Canary:
    # The last net, before a promotion: a column that alone tells too much. Here: the move to where the higher
    # bar in progress will close.
    rows, _ = markets.samples(stage.plans, stage.used, stage.frames)
    ended: list[Candidate] = [row[0] for row in markets.results(stage.plans, stage.used)]
    found = [ended[int(name)] for name in rows.ids]
    bars = stage.frames.higher[HIGHER[TF]]
    close = bars.close[bars.ts.searchsorted(rows.t0, side="right") - 1]
    entry, side = np.array([c.entry for c in found]), np.array([c.direction for c in found])
    column = (side * (close - entry) / np.array([abs(c.entry - c.sl) for c in found]))[:, None]
    named = leakage.suspects(column, rows.win, ("planted",))
    clean = leakage.suspects(rows.x, rows.win, rows.names)
    area = metrics.auc(column[:, 0], rows.win)
    return Canary("move to the unfinished close, among the features", bool(named), not clean, f"AUC {area:.2f} alone")


def row(found: Sequence[Canary]) -> Row:
    """Row 4."""
    told = [f"{c.name}: {'detected' if c.noticed else 'MISSED'} ({c.said})" for c in found]
    told += [f"{c.name}: its clean twin is refused" for c in found if not c.twin_passes]
    return Row(4, "planted leaks are detected", "; ".join(told), "each detected, each clean twin passes",
               all(c.noticed and c.twin_passes for c in found),
               detail={c.name: {"detected": c.noticed, "twin_passes": c.twin_passes, "said": c.said} for c in found})
