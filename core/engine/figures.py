"""What a model said of rows it never saw, and every figure that follows from it.

All figures are out of sample: whoever makes a `Scored` vouches for it, and `training` is the only one.
Figures go to JSON: dicts of plain values, NaN where a figure is not defined.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from core.candles import Floats, Ints
from core.meta import ev, metrics
from core.meta.artifact import Family
from core.meta.baselines import SIDE, Baselines, geometry_table
from core.meta.calibration import LEVEL_Z, Calibrator
from core.meta.metrics import Interval
from core.meta.samples import Flags, Samples
from core.trades.performance import WEEK, break_even_rate, wilson

FEWEST_WEEKS = 5  # below, no interval by week is believed
TAKE_ALL = "ungated"
GROUPS = ("timeframe", "regime", "symbol", "direction", "setup")


@dataclass(frozen=True, slots=True)
class Rule:
    """What the gate asks: EV in percent of at least `limit`, or p (0 to 1); its lower bound above it."""

    use_ev: bool
    limit: float


@dataclass(frozen=True, eq=False)
class Scored:
    """Samples with what a model that never saw them says. admitted: as `Dataset`. All of shape (n,).

    raw: score before calibration. p, low: calibrated chance and its lower bound. ev, ev_low: percent, held
    against what such claims brought. base, base_ev: p and EV by baseline, as they claim it. calibrators: those
    that gave p, and by: which of them gave it to each row.
    """

    samples: Samples
    admitted: Flags
    raw: Floats
    p: Floats
    low: Floats
    ev: Floats
    ev_low: Floats
    base: Mapping[str, Floats]
    base_ev: Mapping[str, Floats]
    calibrators: tuple[Calibrator, ...] = ()
    by: Ints | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, mask: Flags) -> "Scored":
        """The rows of a boolean mask."""
        columns = {f.name: getattr(self, f.name)[mask] for f in fields(self) if f.name not in _NESTED}
        return Scored(self.samples.take(mask), base=_cut(self.base, mask), base_ev=_cut(self.base_ev, mask),
                      calibrators=self.calibrators, by=None if self.by is None else self.by[mask], **columns)

    @property
    def margin(self) -> Floats:
        """What EV must exceed a limit by, percent (n,)."""
        return ev.MARGIN_R * self.samples.risk_pct

    def gated(self, rule: Rule) -> Flags:
        """The admitted rows that pass the gate; bool (n,)."""
        value, low = (self.ev, self.ev_low) if rule.use_ev else (self.p, self.low)
        return self.admitted & (value >= self._least(rule)) & (low > rule.limit)

    def _least(self, rule: Rule) -> Floats | float:
        return rule.limit + self.margin if rule.use_ev else rule.limit

    def taken_by(self, name: str, rule: Rule) -> Flags:
        """The admitted rows a baseline would take; `ungated` takes all, the EMA200 rule all on its side."""
        if name == TAKE_ALL:
            return self.admitted
        if name == "ema200":
            return self.admitted & (self.samples.x[:, self.samples.names.index(SIDE)] > 0)
        return self.admitted & ((self.base_ev if rule.use_ev else self.base)[name] >= self._least(rule))

    def truths(self, rng: np.random.Generator) -> Floats:
        """One draw of the chances as they might truly be, (n,): each calibrator's own uncertainty."""
        found = self.p.copy()
        for k, calibrator in enumerate(self.calibrators if self.by is not None else ()):
            rows = self.by == k
            found[rows] = calibrator.plausible(self.raw[rows], rng)
        return found


_NESTED = ("samples", "base", "base_ev", "calibrators", "by")


def score(family: Family, baselines: Baselines | None, samples: Samples, admitted: Flags) -> Scored:
    """Ask a family's model and the baselines about rows they never saw. baselines: None asks none."""
    name = str(samples.family[0]) if len(samples) else ""
    raw = family.model.score(samples.x)
    p, low = family.calibrator.apply(raw), family.calibrator.lower(raw)
    said: dict[str, Floats] = {}
    if baselines is not None:
        plan = geometry_table(samples.rr1, samples.cost_r, samples.risk_pct, samples.timeframe, baselines.timeframes())
        said = baselines.predict(samples.x, plan)

    def worth(chance: Floats) -> Floats:
        return ev.expected_r({name: family.payoffs}, samples, chance)

    mean, least = family.realised.counted(worth(p), worth(low), samples.cost_r)
    risk = samples.risk_pct
    return Scored(samples, admitted, raw, p, low, mean * risk, least * risk, said,
                  {rule: worth(chance) * risk for rule, chance in said.items()},
                  (family.calibrator,), np.zeros(len(samples), np.int64))


def with_columns(samples: Samples, columns: Ints) -> Samples:
    """The same rows with some columns of their features, in the order of `columns`."""
    return replace(samples, x=samples.x[:, columns], names=tuple(samples.names[i] for i in columns))


def joined(parts: Sequence[Scored]) -> Scored:
    """Several in time order as one; no decision of one part stands in another."""
    samples = [part.samples for part in parts]
    columns = {f.name: np.concatenate([getattr(s, f.name) for s in samples])
               for f in fields(Samples) if f.name not in ("ids", "names")}
    whole = Samples(ids=tuple(i for s in samples for i in s.ids), names=samples[0].names, **columns)
    own: dict[str, Any] = {f.name: np.concatenate([getattr(part, f.name) for part in parts])
                           for f in fields(Scored) if f.name not in _NESTED}
    base, base_ev = ({rule: np.concatenate([getattr(part, name)[rule] for part in parts]) for rule in parts[0].base}
                     for name in ("base", "base_ev"))
    return Scored(whole, base=base, base_ev=base_ev, **_asked(parts), **own)


def _asked(parts: Sequence[Scored]) -> dict[str, Any]:
    # Whose claims each row holds, the calibrators of all parts numbered through.
    if any(part.by is None for part in parts):
        return {}
    first = np.cumsum([0, *(len(part.calibrators) for part in parts)])
    return {"calibrators": tuple(c for part in parts for c in part.calibrators),
            "by": np.concatenate([part.by + k for part, k in zip(parts, first, strict=False)])}  # type: ignore[operator]


# Figures


def interval(values: Floats, t0: Ints, seed: int = 0, level: float = 0.95) -> Interval:
    """Mean and its interval with weeks as blocks; NaN bounds below FEWEST_WEEKS."""
    if weeks(t0) < FEWEST_WEEKS:
        return Interval(float(values.mean()) if len(values) else np.nan, np.nan, np.nan)
    found = metrics.block_bootstrap_mean(values, t0, seed=seed, level=level)
    # No mean lies outside the values themselves.
    return Interval(found.mean, max(found.low, float(values.min())), min(found.high, float(values.max())))


def weeks(t0: Ints) -> int:
    """In how many weeks the decisions fall."""
    return len(np.unique(t0 // WEEK))


def trades(s: Scored, mask: Flags, of: int | None = None, claimed: bool = True) -> dict[str, Any]:
    """Everything that stands beside a win rate: n, coverage, intervals, break-even, fair rate, net R and percent.

    mask: the rows taken. of: of how many. claimed: whether to name the mean p they were taken with.
    """
    n, win, r = int(mask.sum()), s.samples.win[mask], s.samples.r[mask]
    low, high = wilson(int(win.sum()), n) or (np.nan, np.nan)
    mean = interval(r, s.samples.t0[mask])
    rr1, cost = s.samples.rr1[mask], s.samples.cost_r[mask]
    return {
        "n": n, "coverage": n / of if of else np.nan, "weeks": weeks(s.samples.t0[mask]),
        "win_rate": float(win.mean()) if n else np.nan, "win_low": low, "win_high": high,
        "break_even": _break_even(r), "fair": _mean(metrics.fair_rate(rr1)),
        "break_even_planned": _mean(metrics.fair_rate(rr1, cost)), "claimed": _mean(s.p[mask]) if claimed else np.nan,
        "mean_r": mean.mean, "mean_r_low": mean.low, "mean_r_high": mean.high,
        "mean_pct": _mean(s.samples.pnl_pct[mask]), "cost_r": _mean(cost), "total_r": float(r.sum()),
    }


def figures(s: Scored, rule: Rule) -> dict[str, Any]:
    """All figures of one set of rows: how good p is, what the gate makes of it, and the parts."""
    taken, of = s.gated(rule), int(s.admitted.sum())
    return {
        "n": len(s), "weeks": weeks(s.samples.t0), "from": int(s.samples.t0[0]) if len(s) else None,
        "to": int(s.samples.t0[-1]) if len(s) else None, "probability": probability(s.p, s),
        "baselines": {name: probability(s.base[name], s, parts=False) for name in sorted(s.base)},
        "gate": trades(s, taken, of), "ungated": trades(s, s.admitted, of, claimed=False),
        "all": trades(s, np.ones(len(s), np.bool_), claimed=False),
        "rules": {name: trades(s, s.taken_by(name, rule), of, claimed=False) for name in sorted(s.base)},
        "coverage": coverage(s, rule), "deciles": deciles(s), "by": parts(s, taken),
    }


def probability(p: Floats, s: Scored, *, parts: bool = True) -> dict[str, Any]:
    """How good a probability is on the rows. parts: with the reliability curve and its null."""
    y = s.samples.win.astype(np.float64)
    if not len(y):
        return {"n": 0}
    base = s.base.get("base_rate", np.full(len(y), y.mean()))
    gain = interval(metrics.brier_gains(p, y, base), s.samples.t0)
    against = metrics.brier(base, y)
    least = against or np.nan  # zero where all of few plans won, or all lost: there is nothing to be better than
    found: dict[str, Any] = {
        "n": len(y), "base_rate": float(y.mean()), "claimed": float(p.mean()), "auc": metrics.auc(p, y),
        "brier": metrics.brier(p, y), "brier_base": against, "skill": metrics.brier_skill(p, y, base),
        "skill_low": gain.low / least, "skill_high": gain.high / least, "log_loss": metrics.log_loss(p, y),
    }
    if parts:
        null = metrics.null_ece(p)  # what chance gives claims that are right, ...
        fair = metrics.null_ece(p, truths=s.truths)  # ... and those of a calibrator fitted on as few rows
        # The bar of a promotion adds the calibrator's mean standard error: `fair` refuses a planted edge in 3 of 8
        # cases, for its calibrator's form is not exactly the true one (measured).
        own = float(np.mean(s.p - s.low)) / LEVEL_Z
        found |= {"ece": metrics.ece(p, y), "ece_null95": null, "ece_fair95": fair, "ece_bar": null + own,
                  "reliability": [b._asdict() for b in metrics.reliability(p, y)]}
    return found


def coverage(s: Scored, rule: Rule) -> list[dict[str, Any]]:
    """The best admitted rows by what the gate goes by, for several shares: win rate beside break-even, net R."""
    value = (s.ev if rule.use_ev else s.p)[s.admitted]
    some = s.take(s.admitted)
    curve = metrics.coverage_curve(value, some.samples.win.astype(np.float64), some.samples.r)
    return [{"threshold": c.threshold, **trades(some, value >= c.threshold, len(some))} for c in curve]


def deciles(s: Scored) -> list[dict[str, Any]]:
    """EV predicted against realised, percent, in ten groups of the admitted rows."""
    known = s.admitted & np.isfinite(s.ev)
    return [d._asdict() for d in ev.by_decile(s.ev[known], s.samples.pnl_pct[known])]


def parts(s: Scored, taken: Flags) -> dict[str, dict[str, Any]]:
    """The rows by timeframe, regime, symbol, direction and setup."""
    found: dict[str, dict[str, Any]] = {}
    for group in GROUPS:
        names = group_of(s.samples, group)
        found[group] = {str(name): _part(s, names == name, taken) for name in sorted(set(names.tolist()))}
    return found


def group_of(samples: Samples, group: str) -> Any:
    """The group that each row belongs to, text (n,); `regime` is trend/volatility."""
    if group != "regime":
        return getattr(samples, group)
    return np.array([f"{a}/{b}" for a, b in zip(samples.trend, samples.vol, strict=True)], dtype=object)


def _part(s: Scored, rows: Flags, taken: Flags) -> dict[str, Any]:
    y, p = s.samples.win[rows].astype(np.float64), s.p[rows]
    return {"n": int(rows.sum()), "auc": metrics.auc(p, y), "claimed": _mean(p), "base_rate": _mean(y),
            "ungated": trades(s, rows & s.admitted, int(rows.sum()), claimed=False),
            "gate": trades(s, rows & taken, int((rows & s.admitted).sum()))}


# Comparison


def compare(s: Scored, rule: Rule) -> dict[str, dict[str, Any]]:
    """The model against each baseline on the same rows.

    By name: `brier`, squared error saved, and `r`, net R more per admitted plan, each as mean, low, high of a
    paired week-block bootstrap.
    """
    found = {name: _paired(s, p, s.taken_by(name, rule), rule) for name, p in s.base.items()}
    return found | {TAKE_ALL: {"r": _gain(s, s.gated(rule), s.admitted)}}


def against(s: Scored, other: Scored, rule: Rule) -> dict[str, Any]:
    """The model against another one's answers to the same rows; as `compare`."""
    return _paired(s, other.p, other.gated(rule), rule)


def _paired(s: Scored, p: Floats, taken: Flags, rule: Rule) -> dict[str, Any]:
    saved = interval(metrics.brier_gains(s.p, s.samples.win.astype(np.float64), p), s.samples.t0)
    return {"brier": saved._asdict(), "r": _gain(s, s.gated(rule), taken)}


def _gain(s: Scored, own: Flags, other: Flags) -> dict[str, Any]:
    more = (own.astype(np.float64) - other.astype(np.float64)) * s.samples.r
    return interval(more[s.admitted], s.samples.t0[s.admitted])._asdict()


def weekly_results(s: Scored, mask: Flags) -> Floats:
    """Net R of the rows taken, summed by week of the decision, weeks without any as 0; (weeks,)."""
    if not len(s):
        return np.empty(0)
    week = s.samples.t0 // WEEK
    first, last = int(week[0]), int(week[-1])
    return np.asarray(np.bincount(week[mask] - first, s.samples.r[mask], last - first + 1), np.float64)


def _break_even(r: Floats) -> float:
    won, lost = r[r > 0], -r[r <= 0]
    found = break_even_rate(float(won.mean()), float(lost.mean())) if len(won) and len(lost) else None
    return np.nan if found is None else found


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _cut(columns: Mapping[str, Floats], mask: Flags) -> dict[str, Floats]:
    return {name: values[mask] for name, values in columns.items()}


def plain(value: Any) -> Any:
    """The same as JSON can hold it: NaN and infinity as None, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else bool(value) if isinstance(value, np.bool_) else value
