"""Where there is something to find, is it found? Edges planted into plans of random walks, by a stated strength.

The plans and their features are real, the market is noise, and whether a plan wins is drawn anew from a chance
that depends on a few features. So the best that anybody could do is known, and recovery is the share of it that
the model reaches: (R of its best fifth - R of all) / (R of the truly best fifth - R of all), in expected R, so
that the luck of the draw plays no part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from core.candles import Floats
from core.engine import training
from core.engine.audit import markets, pipeline
from core.engine.audit.markets import Rules
from core.engine.audit.pipeline import Judge, Slices
from core.engine.audit.record import Row, Size
from core.engine.training import MONTH, Outcome, Recipe
from core.meta import metrics
from core.meta.baselines import expit
from core.meta.samples import Flags, Samples

BASE, COST_R = 0.47, 0.12  # wins without any edge, and what a trade costs
SHARE = 0.2
BARS: Mapping[tuple[str, int], float] = {("linear", 2000): 0.75, ("linear", 5000): 0.85, ("interaction", 5000): 0.55}
BAR = "linear .75 @2k, .85 @5k; interaction .55 @5k; a strong edge is promoted"
# What the oracle's area under the curve is made to be.
STRENGTH = {"linear": 0.61, "interaction": 0.61, "rare": 0.565}
VARIANTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "linear": (("rsi", "ema50_slope", "atr_rank", "adx"), ("return_12", "higher_adx", "ema200", "band_rank"),
               ("ema20", "atr_rank", "cost_r", "higher_ema50"), ("adx", "higher_return_12", "return_48", "stop_pct")),
    "interaction": (("ema200_slope", "atr_rank"), ("return_12", "adx"), ("higher_ema50", "band_rank"),
                    ("ema200", "higher_adx")),
    "rare": (("band_rank", "adx"), ("atr_rank", "higher_adx"), ("rsi", "atr_rank"), ("ema200", "band_rank")),
}
STRONG = 0.66
TEST = 3000
SPARE = 9 / 8  # rows to purge from
ENOUGH = 7000  # rows of the promotion
TRADES_A_DAY = 16.0

Train = Callable[[Samples, Flags, Recipe], list[Outcome]]


def edge(form: str, x: Floats, names: Sequence[str], variant: int = 0) -> Floats:
    """How strongly each row is favoured, any unit, (n,). form: linear, interaction (sign x size) or rare.

    variant: which features carry it, so that no form hangs on a lucky choice.
    """
    def z(name: str) -> Floats:
        return _standard(x[:, names.index(name)])

    of = VARIANTS[form][variant % len(VARIANTS[form])]
    if form == "linear":
        return z(of[0]) + 0.7 * z(of[1]) - 0.7 * z(of[2]) + 0.5 * z(of[3])
    if form == "interaction":
        return np.sign(z(of[0])) * z(of[1])
    both = (z(of[0]) > 0.25) & (z(of[1]) > 0.25)
    return both.astype(np.float64)


def _standard(column: Floats) -> Floats:
    # By rank, so that no tail decides; what is not known stands in the middle.
    known = ~np.isnan(column)
    out = np.zeros(len(column))
    order = np.argsort(np.argsort(column[known], kind="stable"), kind="stable")
    out[known] = (order + 0.5) / max(1, int(known.sum())) * 2.0 - 1.0
    return out * np.sqrt(3.0)


def chances(favour: Floats, area: float) -> Floats:
    """The true chance of each row: mean BASE, and so strong that a perfect ranking has this area under the curve."""
    weak, strong = 0.0, 20.0
    for _ in range(30):
        middle = (weak + strong) / 2.0
        weak, strong = (middle, strong) if true_area(_chance(favour, middle)) < area else (weak, middle)
    return _chance(favour, weak)


def _chance(favour: Floats, strength: float) -> Floats:
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (middle, high) if float(expit(strength * favour + middle).mean()) < BASE else (low, middle)
    return expit(strength * favour + low)


def true_area(p: Floats) -> float:
    """Expected area under the curve of ranking by the true chance, ties counting half."""
    _, index = np.unique(p, return_inverse=True)
    won = np.bincount(index, weights=p)
    lost = np.bincount(index, weights=1.0 - p)
    below = np.cumsum(lost) - lost
    return float((won * (below + 0.5 * lost)).sum() / (won.sum() * lost.sum()))


def drawn(rows: Samples, p: Floats, seed: int) -> Samples:
    """The rows with results drawn from the chances: a win brings 1 R, a loss costs 1 R, both less the costs."""
    win = np.random.default_rng(seed).random(len(rows)) < p
    r = np.where(win, 1.0, -1.0) - COST_R
    cost, rr1 = np.full(len(rows), COST_R), np.ones(len(rows))
    return replace(rows, win=win, r=r, pnl_pct=r * rows.risk_pct, cost_r=cost, rr1=rr1)


def recovery(score: Floats, p: Floats) -> float:
    """Share of the oracle's gain over taking everything that the best fifth by `score` reaches, in expected R."""
    count = round(SHARE * len(p))
    ours = float(p[np.argsort(-score, kind="stable")[:count]].mean())
    best = float(np.sort(p)[::-1][:count].mean())
    return (ours - float(p.mean())) / (best - float(p.mean()))


@dataclass(frozen=True, slots=True)
class Found:
    """Recovery of one form at n rows: its mean over the repeats and the worst; calibration error, its null's p95
    for claims that are right, and that for claims of a calibrator fitted on as few rows."""

    form: str
    n: int
    mean: float
    worst: float
    ece: float
    ece_null95: float
    ece_fair95: float


def pool(seed: int, count: int, used: Rules) -> Samples:
    """At least `count` ended plans of one long random walk, with their features."""
    days = int(count / TRADES_A_DAY) + 30
    rows, _ = markets.samples(markets.walk(seed, days, used), used)
    return rows


def measure(rows: Samples, form: str, n: int, repeats: int, seed: int, judge: Judge) -> Found:
    """Plant one form, train on n rows, and see how much of it comes back."""
    slices = _slices(n)
    part = rows.take(np.arange(max(0, len(rows) - int(SPARE * sum(slices))), len(rows)))
    shares, gaps = [], []
    for k in range(repeats):
        p = chances(edge(form, part.x, part.names, k), STRENGTH[form])
        made = judge(drawn(part, p, 31 * seed + k), np.ones(len(part), np.bool_), seed + k, slices)
        scored = made.scored
        shares.append(recovery(scored.p, p[made.fold.test]))
        gaps.append((metrics.ece(scored.p, scored.samples.win.astype(np.float64)), metrics.null_ece(scored.p),
                     metrics.null_ece(scored.p, truths=scored.truths)))
    error, null, fair = np.mean(gaps, axis=0)
    return Found(form, n, float(np.mean(shares)), float(np.min(shares)), float(error), float(null), float(fair))


def _slices(n: int) -> Slices:
    return Slices(n, max(400, n // 4), TEST)


def promotion(rows: Samples, seed: int, area: float = STRONG, train: Train = training.train) -> Outcome:
    """The whole training and its promotion rule on a strong linear edge."""
    part = rows.take(np.arange(max(0, len(rows) - ENOUGH), len(rows)))
    made = drawn(part, chances(edge("linear", part.x, part.names), area), seed)
    how = Recipe(test_ms=3 * MONTH, step_ms=3 * MONTH, seed=seed)
    return train(made, np.ones(len(made), np.bool_), how)[0]


def row(found: Sequence[Found], promoted: Outcome) -> Row:
    """Row 7."""
    told, held = [], True
    for f in found:
        bar = BARS.get((f.form, f.n))
        held &= bar is None or f.mean >= bar
        told.append(f"{f.form} @{f.n // 1000}k {f.mean:.2f}{f' (bar {bar})' if bar else f' (worst {f.worst:.2f})'}")
    said = "promoted" if promoted.better else f"NOT promoted ({', '.join(promoted.why[:2])})"
    missing = sorted(f"{form} @{n // 1000}k" for form, n in BARS.keys() - {(f.form, f.n) for f in found})
    value = f"{', '.join(told)}; strong linear edge: {said}, evidence {promoted.evidence.label}"
    return Row(7, "planted edge: recovery and promotion", value, BAR, held and promoted.better and not missing,
               reason=f"not measured: {', '.join(missing)}" if missing else "",
               detail={"recovery": [_plain(f) for f in found], "promoted": promoted.better, "why": promoted.why})


def _plain(f: Found) -> dict[str, Any]:
    return asdict(f)


def rows(seed: int, size: Size, used: Rules, progress: Callable[[], None] = lambda: None,
         judge: Judge = pipeline.judge) -> tuple[list[Row], Outcome]:
    """Row 7, and the training behind it."""
    largest = max(n for sizes in size.planted.values() for n in sizes)
    made = pool(3000 * seed, int(SPARE * sum(_slices(largest))), used)
    found = []
    for form, sizes in size.planted.items():
        for n in sizes:
            found.append(measure(made, form, n, size.repeats, seed, judge))
            progress()
    outcome = promotion(made, seed)
    return [row(found, outcome)], outcome
