"""Thresholds per pair and timeframe for the model that governs, on plans it never saw (`core.meta.thresholds`)."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from core.config import Config
from core.engine import figures, handback
from core.engine.context import Context
from core.engine.dataset import Dataset
from core.engine.handback import Handed, Progress, Window
from core.errors import DataError
from core.meta import splits, thresholds
from core.meta.artifact import Artifact
from core.meta.thresholds import Choice, Goal, Graded, Tried, Tuned
from core.store.models import THRESHOLDS, Trial

EV, P = "ev", "p"
_NONE = "none does so on later plans, the thresholds in force stay"


def run(ctx: Context, window: Window, *, mode: str | None = None, progress: Progress | None = None) -> Handed:
    """Tune the thresholds and hand the table back (reads only).

    mode: `ev` or `p`, default as `gating.use_ev` says. Raises DataError where no model governs or too few plans
    ended since it was trained.
    """
    champion = handback.champion(ctx)
    if champion is None:
        raise DataError(
            "no model governs, so there is no score to set thresholds on: `python train_meta.py` trains one, which "
            "governs once it beats its baselines (`python -m core models` lists those that did not)"
        )
    chosen = mode or (EV if ctx.cfg.models.meta.gating.use_ev else P)
    data = handback.read(ctx, window, progress)
    goal = goal_of(ctx.cfg, chosen, splits.embargo(data.samples.t0, data.samples.t1))
    tuned = thresholds.tune(graded(data, champion, chosen), goal)
    return _hand_back(ctx, data, champion, goal, tuned)


def goal_of(cfg: Config, mode: str, embargo_ms: int) -> Goal:
    """What the configuration aims for: a win rate (0 to 1) in mode p, a mean net result (percent) in mode ev."""
    meta = cfg.models.meta
    target = meta.min_ev_pct if mode == EV else meta.target_winrate_pct / 100.0
    return Goal(mode, target, embargo_ms=embargo_ms)


def graded(data: Dataset, champion: Artifact, mode: str) -> Graded:
    """The admitted plans that the model never saw, with what it says of them. Raises DataError for none.

    The margin that the gate asks of EV beyond a threshold is taken off first, so that both mean the same.
    """
    gap = splits.embargo(data.samples.t0, data.samples.t1)
    known = np.isin(data.samples.family, list(champion.families))
    mask = data.admitted & known & (data.samples.t0 >= champion.data_end + gap)
    if not mask.any():
        raise DataError(f"no admitted plan has ended since model {champion.id} was trained: nothing to tune on yet")
    rows = data.samples.take(mask)
    value = np.full(len(rows), np.nan)
    for name, used in champion.families.items():
        own = rows.family == name
        if own.any():
            part = figures.with_columns(rows.take(own), champion.columns)
            said = figures.score(used, None, part, np.ones(len(part), np.bool_))
            value[own] = said.ev - said.margin if mode == EV else said.p
    return Graded(value, rows.win, rows.pnl_pct, rows.t0, rows.t1, rows.symbol, rows.timeframe)


def _hand_back(ctx: Context, data: Dataset, champion: Artifact, goal: Goal, tuned: Tuned) -> Handed:
    least = ctx.cfg.models.meta.min_ev_pct if goal.mode == EV else 0.0
    choices = [_at_least(choice, least) for choice in tuned.choices]
    kept = [choice for choice in choices if choice.kept]
    table: dict[str, dict[str, dict[str, float]]] = {}
    for c in kept:
        table.setdefault(c.symbol, {})[c.timeframe] = thresholds.to_plain(tuned.table)[c.symbol][c.timeframe]
    trials = [_trial(goal, tried) for tried in tuned.tried]
    report = {"job": "tune", "data": data.describe(), "champion": champion.id, "goal": asdict(goal), "table": table,
              "choices": [asdict(c) for c in choices], "sets": len(trials)}
    named = ", ".join(f"{c.symbol} {c.timeframe} {c.value:.3g}" for c in kept) or _NONE
    own = handback.card(ctx, data, data.known_by, "tune", champion, trials, [named], better=bool(kept))
    # Nothing found is no reason to give up what is in force.
    folder = handback.save_plain(ctx, own, THRESHOLDS if kept else handback.REPORT,
                                 {"table": table, "mode": goal.mode}, report)
    aim = f"mean net result of {goal.target:g} %" if goal.mode == EV else f"win rate of {100 * goal.target:g} %"
    said = f"{len(kept)} of {len(choices)} thresholds reach the target, a {aim}: {named}"
    return Handed(folder, bool(kept), said, report)


def _at_least(choice: Choice, least: float) -> Choice:
    # A luckier past is no reason to take plans that the model itself expects to lose on.
    if not choice.kept or choice.value is None or choice.value >= least:
        return choice
    return replace(choice, kept=False, why=f"{choice.why}; it is below min_ev_pct {least:g}, which applies")


def _trial(goal: Goal, tried: Tried) -> Trial:
    what: Mapping[str, Any] = {"mode": goal.mode, "target": goal.target, "level": tried.level, "name": tried.name,
                               "part": tried.part, "threshold": tried.threshold}
    score = tried.mean_pct if goal.mode == EV else tried.win_rate
    return Trial("threshold", what, None if np.isnan(score) else score, {"n": tried.n, "coverage": tried.coverage})
