"""A newer calibrator for the model that governs: fitted on plans its boosters never saw, judged on later ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core import timeframe
from core.engine import figures, handback
from core.engine.context import Context
from core.engine.dataset import Dataset
from core.engine.figures import FEWEST_WEEKS
from core.engine.handback import Handed, Progress, Window
from core.engine.training import held, recipe
from core.engine.verdict import Tried
from core.errors import DataError
from core.meta import ev, metrics, samples, splits
from core.meta.artifact import Artifact, Family
from core.meta.calibration import fit_calibrator
from core.meta.leakage import check_fold
from core.meta.samples import Flags, Samples
from core.meta.splits import Fold
from core.store.models import Trial

SHARE = 0.75  # of the unseen rows calibrate, the later ones judge


@dataclass(frozen=True, eq=False)
class Recalibrated:
    """What came of one family. fitted: with the newer calibrator and payoffs; None where none could be fitted."""

    family: str
    why: str
    fitted: Family | None = None
    n: int = 0
    last: int = 0
    better: bool = False
    report: Mapping[str, Any] | None = None
    trial: Trial | None = None


def run(ctx: Context, window: Window, *, progress: Progress | None = None) -> Handed:
    """Calibrate the governing model anew and hand it back (reads only).

    A family's newer calibrator is used where its squared error on the later plans is lower than the older
    one's by more than chance. Raises DataError where no model governs, ArtifactError where it is damaged.
    """
    champion = handback.champion(ctx)
    if champion is None:
        raise DataError(
            "no model governs, so there is nothing to calibrate: `python train_meta.py` trains one, which governs "
            "once it beats its baselines (`python -m core models` lists those that did not)"
        )
    data = handback.read(ctx, window, progress)
    rule = recipe(ctx.cfg, Tried()).rule
    found = []
    for name in sorted(champion.families):
        mask = data.samples.family == name
        try:
            found.append(_family(name, champion, data.samples.take(mask), data.admitted[mask], rule))
        except DataError as error:
            found.append(Recalibrated(name, str(error)))
    return _hand_back(ctx, data, champion, found)


def _family(name: str, champion: Artifact, rows: Samples, admitted: Flags, rule: figures.Rule) -> Recalibrated:
    used = champion.families[name]
    fold = unseen(rows, int(champion.card["families"][name]["fit_end"]), champion.data_end)
    wide = figures.with_columns(rows, champion.columns)
    fitted = refit(used, wide, fold)
    late, let_in = wide.take(fold.test), admitted[fold.test]
    new, old = figures.score(fitted, None, late, let_in), figures.score(used, None, late, let_in)
    saved = figures.against(new, old, rule)
    better = saved["brier"]["low"] > 0.0
    shown = f"squared error {saved['brier']['mean']:+.5f} [{saved['brier']['low']:+.5f}, {saved['brier']['high']:+.5f}]"
    held = "better" if better else "no better"
    why = f"{held} than the calibrator in use on {len(late):,} later plans ({shown} saved)"
    if figures.weeks(late.t0) < FEWEST_WEEKS:
        why = f"the {len(late):,} later plans span fewer than {FEWEST_WEEKS} weeks: too few for an interval"
    report = {"slices": {"calibrate": len(fold.calibrate), "judge": len(fold.test)}, "kind": fitted.calibrator.kind,
              "realised": fitted.realised.to_dict(),
              "new": figures.probability(new.p, new), "old": figures.probability(old.p, old), "gain": saved,
              "better": better, "why": why,
              "from": timeframe.show_time(fold.test_start), "to": timeframe.show_time(fold.test_end)}
    own = {"family": name, "model": champion.id, "kind": fitted.calibrator.kind, "n": fitted.calibrator.n}
    trial = Trial("calibrate", own, metrics.brier_skill(new.p, late.win.astype(np.float64), old.p), {"n": len(late)})
    return Recalibrated(name, why, fitted, len(fold.calibrate), fold.cal_end, better, figures.plain(report), trial)


def unseen(rows: Samples, fit_end: int, data_end: int) -> Fold:
    """Rows that the boosters never saw, the earlier ones to calibrate on, the later ones to judge on.

    fit_end, data_end: when the last result of the boosters', and of the calibrator's rows was known (ms); rows
    that judge are unseen by both calibrators. Raises DataError where too few are left.
    """
    gap = splits.embargo(rows.t0, rows.t1)
    fresh = np.flatnonzero(rows.t0 >= fit_end + gap)
    if not len(fresh):
        raise DataError("no plan has ended since the boosters were trained")
    cut = max(int(rows.t0[fresh[min(len(fresh) - 1, int(SHARE * len(fresh)))]]), data_end + gap)
    calibrate = fresh[(rows.t1[fresh] + gap <= cut) & (rows.t0[fresh] + gap <= cut)]
    judge = fresh[rows.t0[fresh] >= cut]
    if not len(calibrate) or not len(judge):
        raise DataError(f"{len(fresh):,} plans since the boosters were trained are too few to calibrate and judge on")
    fold = Fold(np.flatnonzero(rows.t1 <= fit_end), calibrate, judge, fit_end, int(rows.t1[calibrate].max()), cut,
                int(rows.t0[-1]) + 1)
    check_fold(fold, rows.t0, rows.t1, gap)
    return fold


def refit(used: Family, rows: Samples, fold: Fold) -> Family:
    """The same boosters with a calibrator, payoffs and what EV brings measured on the fold's calibrating rows."""
    late = rows.take(fold.calibrate)
    weight = samples.uniqueness(late.t0, late.t1)
    calibrator = fit_calibrator(used.model.score(late.x), late.win.astype(np.float64), weight, link=used.model.link,
                                t0=late.t0)
    pays = ev.measure(rows.take(fold.calibrate)).get(str(rows.family[0]))
    return held(used.model, calibrator, used.payoffs if pays is None else pays, late)


def _hand_back(ctx: Context, data: Dataset, champion: Artifact, found: list[Recalibrated]) -> Handed:
    better = [o for o in found if o.better]
    why = [f"{o.family}: {o.why}" for o in (better or found)]
    trials = [o.trial for o in found if o.trial is not None]
    report = {"job": "calibrate", "data": data.describe(), "champion": champion.id,
              "families": {o.family: o.report or {"refusal": o.why} for o in found}}
    last = max([champion.data_end, *(o.last for o in better)])
    own = handback.card(ctx, data, last, "calibrate", champion, trials, why, better=bool(better))
    if not better:
        folder = handback.save_plain(ctx, own, handback.REPORT, {}, report)
        return Handed(folder, False, f"The calibrator stays as it is. {'; '.join(why)}", report)
    own["data"]["start"] = min(own["data"]["start"], int(champion.card["data"]["start"]))
    newer = {o.family: o for o in better}
    families = {name: newer[name].fitted or used if name in newer else used for name, used in champion.families.items()}
    told = {name: handback.told_of(name, champion) for name in families}
    for name, o in newer.items():
        told[name] |= {"n_calibrate": o.n, "calibrated_after": champion.id}
    own["metrics"] = dict(champion.card["metrics"])
    probe = {name: handback.probe_of(name, champion) for name in families}
    folder = handback.save_model(ctx, own, families, told, probe, report)
    return Handed(folder, True, f"Model {folder.id}: the boosters of {champion.id}, calibrated anew. {'; '.join(why)}",
                  report)
