"""Training a challenger: walk-forward, calibration on a later slice, one look at the sealed rest, the verdict.

Rows are cut in time only, all symbols together; the shipped leakage checks run on every fold. Each family is
trained by itself. The last quarter of its rows is sealed: what is fitted ends before it, it is looked at once,
and that look is a line of the trial log. What comes out is never better than what the sealed rows say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from core import timeframe
from core.candles import Floats
from core.config import Config
from core.engine import figures, handback, verdict
from core.engine.context import Context
from core.engine.dataset import Dataset, fingerprint
from core.engine.figures import Rule, Scored
from core.engine.handback import SEALED, Handed, Window
from core.engine.verdict import Tried, Verdict
from core.errors import DataError
from core.meta import ev, leakage, metrics, model, realised, samples, splits
from core.meta.artifact import Artifact, Family
from core.meta.baselines import fit_baselines
from core.meta.calibration import Calibrator, fit_calibrator
from core.meta.ev import Payoffs
from core.meta.evidence import Evidence
from core.meta.model import WIN, ModelParams, R
from core.meta.samples import TARGETS, TRAILED, Flags, Samples
from core.meta.splits import Fold
from core.store.models import Trial
from core.timeframe import DAY

Progress = Callable[[int, int], None]

MONTH = 30 * DAY
LEAK = 0.70  # area under the curve of one feature by itself; an unfinished higher bar gave .79 on a random walk
PROBE = 5  # rows that a model answers again whenever it is loaded
# A far tail decides about trailed plans, so they learn their clipped result instead of win or loss.
PARAMS: Mapping[str, ModelParams] = {TARGETS: ModelParams(target=WIN), TRAILED: ModelParams(target=R)}

@dataclass(frozen=True, slots=True)
class Recipe:
    """How a training cuts time and judges; windows in ms. floor: `models.meta.min_closed_samples`.

    Where the rows span less than two of the windows, they shrink to half and a twelfth of what there is.
    """

    rule: Rule = field(default_factory=lambda: Rule(True, 0.0))
    floor: int = 1000
    train_ms: int = 6 * MONTH
    test_ms: int = MONTH
    step_ms: int = MONTH
    fit: float = 0.60
    calibrate: float = 0.15
    params: Mapping[str, ModelParams] = field(default_factory=lambda: PARAMS)
    seed: int = 7
    tried: Tried = field(default_factory=Tried)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one family. refusal: why nothing was trained, else None, and then all the rest is there.

    better: whether it may take the champion's place, `why` in words. fit_end, last: when the last result that
    the boosters, and that all of it, learned from was known, ms. report: every figure, plain.
    """

    family: str
    n: int
    refusal: str | None = None
    fitted: Family | None = None
    calibrated_on: int = 0
    fit_end: int = 0
    last: int = 0
    better: bool = False
    why: tuple[str, ...] = ()
    evidence: Evidence = field(default_factory=lambda: Evidence("insufficient", "nothing was trained"))
    probe: Floats = field(default_factory=lambda: np.empty((0, 0)))
    report: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()


def run(ctx: Context, window: Window, *, how: Recipe | None = None, progress: Progress | None = None) -> Handed:
    """Train a challenger from the file and hand it back as a folder (reads only).

    how: default what the configuration asks for. The folder holds a model, or where nothing could be trained a
    report that says why. Raises DataError where there is nothing to train on.
    """
    data, champion = handback.read(ctx, window), handback.champion(ctx)
    if not len(data.samples):
        raise DataError("there is no closed plan to train on: let the daemon run, or `python retro_scan.py` first; "
                        f"left out: {_left_out(data)}")
    how = how or recipe(ctx.cfg, handback.tried(ctx))
    found = train(data.samples, data.admitted, how, champion, progress)
    report = {"job": "train", "data": data.describe(), "champion": None if champion is None else champion.id,
              "families": {o.family: o.report for o in found}}
    return _hand_back(ctx, data, found, champion, report)


def recipe(cfg: Config, tried: Tried) -> Recipe:
    """The recipe that a configuration asks for."""
    meta = cfg.models.meta
    rule = Rule(meta.gating.use_ev, meta.min_ev_pct if meta.gating.use_ev else meta.threshold)
    return Recipe(rule, meta.min_closed_samples, tried=tried)


def _left_out(data: Dataset) -> str:
    return ", ".join(f"{n:,} {why}" for why, n in data.left_out.items()) or "none"


def _hand_back(ctx: Context, data: Dataset, found: Sequence[Outcome], champion: Artifact | None,
               report: Mapping[str, Any]) -> Handed:
    better = [o for o in found if o.better]
    why = [f"{o.family}: {text}" for o in (better or found) for text in o.why]
    trials = [trial for o in found for trial in o.trials]
    used = better or [o for o in found if o.fitted is not None]
    last = max((o.last for o in used), default=data.known_by)
    if champion is not None and better:  # what it does not beat goes on judging as it is
        last = max(last, champion.data_end)
    own = handback.card(ctx, data, last, "train", champion, trials, why, better=bool(better))
    if not used:
        folder = handback.save_plain(ctx, own, handback.REPORT, {}, report)
        return Handed(folder, False, f"No model could be trained. {'; '.join(why)}", report)
    families = {o.family: o.fitted for o in used if o.fitted is not None}
    told = {o.family: _told(o) for o in used}
    probe = {o.family: o.probe for o in used}
    for name in set(champion.families) - set(families) if champion is not None and better else ():
        assert champion is not None
        families[name], told[name] = champion.families[name], handback.told_of(name, champion)
        probe[name] = handback.probe_of(name, champion)
    own["metrics"] = {o.family: _metrics(o.report) for o in used}
    folder = handback.save_model(ctx, own, families, told, probe, report)
    said = f"Model {folder.id} {'is better' if better else 'is not better'}. {'; '.join(why)}"
    return Handed(folder, bool(better), said, report)


def _told(o: Outcome) -> dict[str, Any]:
    return {"n": o.n, "n_calibrate": o.calibrated_on, "evidence": asdict(o.evidence), "fit_end": o.fit_end,
            "better": o.better, "why": list(o.why)}


def _metrics(report: Mapping[str, Any]) -> dict[str, Any]:
    sealed = report["sealed"]
    good = {name: sealed["probability"][name]
            for name in ("auc", "brier", "skill", "log_loss", "ece", "ece_null95", "ece_fair95")}
    return {**good, "gate": sealed["gate"], "ungated": sealed["ungated"]}


def train(rows: Samples, admitted: Flags, how: Recipe, champion: Artifact | None = None,
          progress: Progress | None = None) -> list[Outcome]:
    """Train and judge a challenger for each family of the rows.

    admitted: as `Dataset.admitted`. champion: what governs today; it is asked about the same sealed rows.
    """
    parts = {name: rows.family == name for name in (TARGETS, TRAILED) if np.any(rows.family == name)}
    counter = _Counter(progress, sum(_steps(rows.take(mask), how) for mask in parts.values()))
    return [_family(name, rows.take(mask), admitted[mask], how, champion, counter) for name, mask in parts.items()]


def fit(rows: Samples, chosen: Any, calibrating: Any, params: ModelParams, seed: int) -> Family:
    """Fit a family on one slice, its calibrator and what EV brings on a later one.

    chosen, calibrating: row numbers. Payoffs are measured over both. Raises DataError where it cannot.
    """
    name, late = str(rows.family[0]), rows.take(calibrating)
    early = rows.take(chosen)
    y = early.win.astype(np.float64) if params.target == WIN else early.r
    # Without times: pairs judged week by week lose half of a planted interaction at 5,000 rows (.81 to .38
    # recovered, measured), and on noise nothing passes or is promoted without them either.
    made = model.fit(early.x, y, samples.uniqueness(early.t0, early.t1), rows.names, params, seed)
    calibrator = fit_calibrator(made.score(late.x), late.win.astype(np.float64),
                                samples.uniqueness(late.t0, late.t1), link=made.link, t0=late.t0)
    pays = ev.measure(rows.take(np.concatenate((chosen, calibrating)))).get(name)
    if pays is None:
        raise DataError(f"fewer than {ev.MIN_EACH} wins or losses: what a win and a loss are worth is not known")
    return held(made, calibrator, pays, late)


def held(made: model.Model, calibrator: Calibrator, pays: Mapping[str, Payoffs], late: Samples) -> Family:
    """A family whose EV is held against the results of rows that its boosters never saw. Raises DataError."""
    claimed = ev.expected_r({str(late.family[0]): pays}, late, calibrator.apply(made.score(late.x)))
    return Family(made, calibrator, pays, realised.hold(claimed, late.r, late.cost_r, late.t0))


class _Counter:
    # Progress over the folds of all families.
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def step(self) -> None:
        self._done = min(self._done + 1, self._total)
        if self._progress:
            self._progress(self._done, self._total)


def _steps(rows: Samples, how: Recipe) -> int:
    # Each fold, the sealed one, and the figures; one where the family is refused.
    try:
        _check(rows, how)
        final, gap = _final(rows, how)
        return len(_folds(rows, final, how, gap)) + 2
    except DataError:
        return 1


def _final(rows: Samples, how: Recipe) -> tuple[Fold, int]:
    gap = splits.embargo(rows.t0, rows.t1)
    return splits.final_split(rows.t0, rows.t1, fit=how.fit, calibrate=how.calibrate, embargo_ms=gap,
                              settle_ms=gap), gap


def _family(name: str, rows: Samples, admitted: Flags, how: Recipe, champion: Artifact | None,
            counter: _Counter) -> Outcome:
    told = {"family": name, "n": len(rows), "admitted": int(admitted.sum()), "base_rate": float(rows.win.mean()),
            "mean_r": float(rows.r.mean()), "unusable_features": samples.useless(rows.x, rows.names)}
    try:
        _check(rows, how)
        return _trained(name, rows, admitted, how, champion, counter, told)
    except DataError as error:
        counter.step()
        why = str(error)
        return Outcome(name, len(rows), why, why=(why,), evidence=Evidence("insufficient", why),
                       report=figures.plain({**told, "refusal": why}))


def _check(rows: Samples, how: Recipe) -> None:
    if len(rows) < how.floor:
        raise DataError(f"{len(rows):,} closed plans, at least {how.floor:,} are needed "
                        "(models.meta.min_closed_samples)")
    if rows.win.all() or not rows.win.any():
        raise DataError(f"all {len(rows):,} plans {'won' if rows.win.all() else 'lost'}: nothing can be learnt from "
                        "one class")
    if len(samples.useless(rows.x, rows.names)) == len(rows.names):
        raise DataError("every feature is constant or never known: nothing can be learnt from them")


def _trained(name: str, rows: Samples, admitted: Flags, how: Recipe, champion: Artifact | None, counter: _Counter,
             told: dict[str, Any]) -> Outcome:
    final, gap = _final(rows, how)
    folds = _folds(rows, final, how, gap)
    parts, fitted = list[Scored](), list[Family]()
    for fold in [*folds, final]:
        made, scored = _judged(rows, admitted, fold, how.params[name], how.seed)
        parts.append(scored)
        fitted.append(made)
        counter.step()
    sealed = parts[-1]
    found = verdict.judge(sealed, figures.joined(parts), how.rule, how.tried, len(rows), how.floor,
                          champion=_champion(name, champion, sealed, gap),
                          suspects=leakage.suspects(rows.x[final.fit], rows.win[final.fit], rows.names, LEAK))
    report = {**told, "params": asdict(how.params[name]), "slices": _slices(rows, final, gap),
              "folds": [_line(fold, part, how.rule) for fold, part in zip([*folds, final], parts, strict=True)],
              **found.report, "importance": fitted[-1].model.importance(), "realised": fitted[-1].realised.to_dict()}
    counter.step()
    return Outcome(name, len(rows), fitted=fitted[-1], calibrated_on=len(final.calibrate), fit_end=final.fit_end,
                   last=final.cal_end, better=found.better, why=found.why, evidence=found.evidence,
                   probe=rows.x[final.test[:PROBE]], report=figures.plain(report),
                   trials=_trials(name, how, final, rows, found))


def _folds(rows: Samples, final: Fold, how: Recipe, gap: int) -> list[Fold]:
    # Walk-forward over what lies before the sealed rows and was known by then; each fold checked as it is made.
    known = (rows.t1 + gap <= final.test_start) & (rows.t0 + gap <= final.test_start)
    index = np.flatnonzero(known)
    if not len(index):
        return []
    t0, t1 = rows.t0[index], rows.t1[index]
    train, test, step = _windows(how, int(t0[-1] - t0[0]))
    found = splits.walk_forward(t0, t1, train_ms=train, test_ms=test, step_ms=step, embargo_ms=gap, settle_ms=gap)
    return [fold for fold in found if _enough(rows, fold)]


def _windows(how: Recipe, span: int) -> tuple[int, int, int]:
    if span >= how.train_ms + 2 * how.test_ms:
        return how.train_ms, how.test_ms, how.step_ms
    part = max(DAY, span // 12)
    return max(DAY, span // 2), part, part


def _enough(rows: Samples, fold: Fold) -> bool:
    # A young fold may hold too little to fit or to calibrate on: it is passed over, not filled up.
    def both(index: Any, least: int) -> bool:
        won = int(rows.win[index].sum())
        return min(won, len(index) - won) >= least

    return both(fold.fit, 2 * ev.MIN_EACH) and both(fold.calibrate, ev.MIN_EACH)


def _judged(rows: Samples, admitted: Flags, fold: Fold, params: ModelParams, seed: int) -> tuple[Family, Scored]:
    made = fit(rows, fold.fit, fold.calibrate, params, seed)
    early = rows.take(fold.fit)
    plain = fit_baselines(early, samples.uniqueness(early.t0, early.t1))
    return made, figures.score(made, plain, rows.take(fold.test), admitted[fold.test])


def _champion(name: str, champion: Artifact | None, sealed: Scored, gap: int) -> tuple[Scored, Scored] | None:
    # Both on the sealed rows that the champion had not seen either.
    if champion is None or name not in champion.families:
        return None
    unseen = sealed.samples.t0 >= champion.data_end + gap
    own = sealed.take(unseen)
    used = champion.families[name]
    wide = figures.with_columns(own.samples, champion.columns)
    return own, figures.score(used, None, wide, own.admitted)


def _slices(rows: Samples, fold: Fold, gap: int) -> dict[str, Any]:
    def told(index: Any) -> dict[str, Any]:
        t0 = rows.t0[index]
        return {"n": len(t0), "from": timeframe.show_time(int(t0[0])), "to": timeframe.show_time(int(t0[-1]))}

    purged = len(rows) - len(fold.fit) - len(fold.calibrate) - len(fold.test)
    return {"fit": told(fold.fit), "calibrate": told(fold.calibrate), "sealed": told(fold.test), "purged": purged,
            "embargo_ms": gap}


def _line(fold: Fold, part: Scored, rule: Rule) -> dict[str, Any]:
    y = part.samples.win.astype(np.float64)
    return {"from": timeframe.show_time(fold.test_start), "to": timeframe.show_time(fold.test_end),
            "fit": len(fold.fit), "calibrate": len(fold.calibrate), "n": len(y), "auc": metrics.auc(part.p, y),
            "auc_ridge": metrics.auc(part.base["ridge"], y),
            "skill": metrics.brier_skill(part.p, y, part.base["base_rate"]),
            "gate": figures.trades(part, part.gated(rule), int(part.admitted.sum()))}


def _trials(name: str, how: Recipe, final: Fold, rows: Samples, found: Verdict) -> tuple[Trial, ...]:
    own = {"family": name, **asdict(how.params[name]), "windows": [how.train_ms, how.test_ms, how.step_ms],
           "shares": [how.fit, how.calibrate], "rule": asdict(how.rule), "seed": how.seed}
    looked = {"family": name, "from": timeframe.show_time(final.test_start), "to": timeframe.show_time(final.test_end),
              "rows": fingerprint(rows.take(final.test))}
    return (Trial("train", own, found.sharpe, {"n": len(rows)}),
            Trial(SEALED, looked, found.skill, {"n": len(final.test)}))
