"""Where there is nothing to find, is nothing found? The martingale, false profits, and signals out of noise."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from core.candles import Floats
from core.engine.audit import markets, pipeline
from core.engine.audit.markets import Rules
from core.engine.audit.pipeline import Judge
from core.engine.audit.record import Row, Size, signed
from core.meta.samples import Flags, Samples

NOMINAL = 0.025  # of a 95 % interval: above zero by chance
MOST_COVERED = 0.02
LEAST_TRAINED = 2000
FIFTH = 0.2
Z99 = 2.5758293035489004
WALK_DAYS, STEPS, CALM = 60, 60, 0.0005  # of the martingale: many sub-steps, so that levels are met where they lie

Simulate = Callable[[int, Rules], Floats]


# Row 3


class Walks(NamedTuple):
    """Mean R over all trades of many walks, its 99 % half-width with whole walks as the unit, trades, walks."""

    mean: float
    half: float
    trades: int
    walks: int


def zero_cost_results(seed: int, used: Rules) -> Floats:
    """R of every trade that ended on one random walk without costs."""
    plans = markets.walk(seed, WALK_DAYS, used.free(), steps=STEPS, vol=CALM)
    return np.array([row[1] for row in markets.results(plans, used.free())])


def martingale(seed: int, walks: int, used: Rules, simulate: Simulate = zero_cost_results) -> Walks:
    """The mean over walks of what cannot have a mean other than zero."""
    found = [simulate(1000 * seed + k, used) for k in range(walks)]
    sums, counts = np.array([r.sum() for r in found]), np.array([len(r) for r in found], dtype=np.float64)
    mean = float(sums.sum() / counts.sum())
    spread = math.sqrt(float(((sums - mean * counts) ** 2).sum()) * walks / (walks - 1)) / float(counts.sum())
    return Walks(mean, _student99(walks - 1) * spread, int(counts.sum()), walks)


def _student99(degrees: int) -> float:
    # Cornish-Fisher: right to the third digit from ten degrees on.
    z = Z99
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def martingale_row(found: Walks, widest: float) -> Row:
    """Row 3."""
    value = (f"{signed(found.mean, found.mean - found.half, found.mean + found.half)} R, half-width "
             f"{found.half:.3f} (99 %), {found.trades:,} trades on {found.walks} walks")
    return Row(3, "zero-cost random walk: mean R", value, f"contains 0, half-width at most {widest}",
               abs(found.mean) <= found.half <= widest, detail=found._asdict())


# Rows 5 and 6


@dataclass(frozen=True, slots=True)
class Run:
    """One training on noise. costs: with those of the configuration. shuffled: labels drawn anew among the rows.

    fitted: rows it learned from. gated, of: admitted test rows that the gate let through, and all of them. low:
    end of the 95 % interval of their mean R, NaN where there are too few weeks. promoted: by the promotion rule.
    best: as low, of the fifth with the highest p, for the gate itself lets hardly anything through here.
    """

    family: str
    costs: bool
    shuffled: bool
    fitted: int
    gated: int
    of: int
    mean: float
    low: float
    promoted: bool
    best: float = math.nan


def runs(seed: int, size: Size, used: Rules, judge: Judge = pipeline.judge,
         progress: Callable[[], None] = lambda: None) -> list[Run]:
    """Train on random walks with and without costs, on their labels and on shuffled ones, each family by itself."""
    found: list[Run] = []
    for k in range(size.costly + size.free):
        costs = k < size.costly
        now = used if costs else used.free()
        rows, admitted = markets.samples(markets.walk(2000 * seed + k, size.days, now), now)
        for name, mask in pipeline.families(rows):
            part, let_in = rows.take(mask), admitted[mask]
            found += _both(name, part, let_in, costs, 2000 * seed + k, judge)
        progress()
    return found


def _both(name: str, rows: Samples, admitted: Flags, costs: bool, seed: int, judge: Judge) -> Iterator[Run]:
    for mixed in (False, True):
        made = judge(shuffled(rows, seed) if mixed else rows, admitted, seed)
        mean, (gated, of) = made.gated(), made.coverage
        yield Run(name, costs, mixed, len(made.fold.fit) + len(made.fold.calibrate), gated, of, mean.mean, mean.low,
                  not made.objections(), made.best(FIFTH).low)


def shuffled(rows: Samples, seed: int) -> Samples:
    """The same rows with the results dealt out anew; when they became known stays where it was."""
    order = np.random.default_rng(seed).permutation(len(rows))
    return replace(rows, r=rows.r[order], pnl_pct=rows.pnl_pct[order], win=rows.win[order])


def false_profit_row(found: Sequence[Run], least: int) -> Row:
    """Row 5. least: runs that the full form asks for."""
    lows = [(low, run) for run in found for low in (run.low, run.best) if not math.isnan(low)]
    wrong, n, own = sum(low > 0.0 for low, _ in lows), len(lows), sum(not math.isnan(run.low) for run in found)
    limit = NOMINAL + 2.0 * math.sqrt(NOMINAL * (1.0 - NOMINAL) / max(n, 1))
    free = sum(not run.costs for _, run in lows)
    value = (f"{wrong} of {n} gates with an interval claim a profit ({wrong / max(n, 1):.1%}): {own} by EV, {n - own} "
             f"the fifth with the highest p; {len(found)} runs, {sum(run.shuffled for run in found)} with shuffled "
             f"labels, {free} of the {n} without costs")
    return Row(5, "false profits on noise", value, f"share at most {limit:.1%} (nominal {NOMINAL:.1%} + 2 Monte Carlo "
               f"errors), at least {least} runs", wrong <= limit * n and len(found) >= least,
               detail={"false": wrong, "with_interval": n, "by_ev": own, "runs": len(found), "limit": limit})


def coverage_row(found: Sequence[Run]) -> Row:
    """Row 6: only walks with costs and their own labels, on which every signal is one too many."""
    costly = [run for run in found if run.costs and not run.shuffled and run.fitted >= LEAST_TRAINED]
    gated, of = sum(run.gated for run in costly), sum(run.of for run in costly)
    promoted = sum(run.promoted for run in found)
    bar = f"at most {MOST_COVERED:.0%} of candidates at n of {LEAST_TRAINED:,} or more; nothing promoted"
    name = "signals and promotions on a random walk with costs"
    if not of:
        return Row(6, name, f"no run had {LEAST_TRAINED:,} rows", bar, False)
    worst = max(run.gated / max(run.of, 1) for run in costly)
    by = {family: (sum(r.gated for r in costly if r.family == family), sum(r.of for r in costly if r.family == family))
          for family in sorted({run.family for run in costly})}
    told = ", ".join(f"{family} {a:,} of {b:,}" for family, (a, b) in by.items())
    value = (f"{gated / of:.2%} of {of:,} candidates pass ({told}, worst of {len(costly)} runs {worst:.1%}); "
             f"{promoted} of {len(found)} models promoted")
    return Row(6, name, value, bar, gated <= MOST_COVERED * of and not promoted,
               detail={"gated": gated, "candidates": of, "worst": worst, "promoted": promoted})


def rows(seed: int, size: Size, used: Rules, progress: Callable[[], None] = lambda: None) -> list[Row]:
    """Rows 3, 5 and 6. Raises DataError where a walk gives too little to train on."""
    found = runs(seed, size, used, progress=progress)
    return [martingale_row(martingale(seed, size.walks, used), size.half),
            false_profit_row(found, 4 * (size.costly + size.free)), coverage_row(found)]
