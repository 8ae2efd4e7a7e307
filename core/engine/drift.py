"""Does the model in force still fit the market? A look each week, and the rung of the ladder that follows.

A look is a function of the candles, the plans and the model as of its time: features and outcomes of the plans
that the model never saw, held against the time it was trained on. What it asks for enters the promotion history
(kind `drift`), so that history and `reconcile` judge by it as live did. Each step is told and logged; a step up
also trains a challenger at once.
"""

import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import numpy as np
from apscheduler.triggers.cron import CronTrigger

from core.engine import dataset, handback, promotion, weekly
from core.engine.context import Context
from core.engine.figures import plain
from core.engine.jobs import Job
from core.engine.promotion import DRIFT_STATE, Done, Order
from core.engine.scoring import OBSERVE, OK, RAISE, WARN
from core.engine.weekly import Spawn, Stopping
from core.errors import Transient
from core.meta import drift, ladder, samples, splits
from core.meta.artifact import Artifact, Family
from core.meta.calibration import LEVEL_Z
from core.meta.drift import FeatureDrift, Gap
from core.meta.ladder import Action, Finding, Rung
from core.meta.samples import Samples
from core.store import models, runs
from core.store.candles import Con
from core.timeframe import DAY, show_time

log = logging.getLogger(__name__)

NAME, WHO = "weekly_drift", "drift"
SPAN = 28 * DAY  # what counts as now, and how long the stretches of the training time are
YOUNG = 14 * DAY  # so much of it at least
FEWEST = 100  # plans on either side
ROWS = 20_000  # of the training time are enough for a distribution
LEVELS: Mapping[Action, str] = dict(zip(Action, (OK, WARN, RAISE, OBSERVE), strict=True))

_STANDS = {OK: "none", WARN: "a warning", RAISE: "thresholds raised by {points:.0f} points of p",
           OBSERVE: "the filter only observes"}

Progress = Callable[[int, int], None]
Retrain = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Looked:
    """One family: plans of the training time and unseen ones since, and what was found. design: how much more
    the wins of a week scatter than those of independent plans. why_not: why its features were not compared."""

    reference: int
    unseen: int
    features: tuple[FeatureDrift, ...]
    gaps: tuple[Gap, ...]
    design: float
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A look at the model in force: results known by `known_by` (ms), by family, and what they ask for together."""

    model: str
    known_by: int
    families: Mapping[str, Looked]
    finding: Finding

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it; `asked` gives the finding back."""
        action, reasons, by, retrain = self.finding
        families = {name: _plain(looked) for name, looked in self.families.items()}
        asked = {"level": LEVELS[action], "reasons": list(reasons), "raise_by": by, "retrain": retrain}
        return {"model": self.model, "known_by": self.known_by, "asked": asked, "families": plain(families)}


def look(ctx: Context, known_by: int | None = None, progress: Progress | None = None) -> Found | None:
    """Look at the model in force by what was known at `known_by` (ms, default all); None where none governs.

    Reads only. Raises ArtifactError where the model cannot be used.
    """
    champion = handback.champion(ctx)
    if champion is None:
        return None
    data = dataset.load(ctx, start=int(champion.card["data"]["start"]), known_by=known_by, progress=progress)
    rows = data.samples
    gap = splits.embargo(rows.t0, rows.t1) if len(rows) else DAY
    families = {name: _family(ctx, rows.take(rows.family == name), used, champion, data.known_by, gap)
                for name, used in champion.families.items()}
    found = [(name, ladder.judge(looked.features, looked.gaps)) for name, looked in families.items()]
    named = [f._replace(reasons=tuple(f"{name}: {text}" for text in f.reasons)) for name, f in found]
    return Found(champion.id, data.known_by, families, ladder.graver(named))


def act(ctx: Context, found: Mapping[str, Any], order: Order) -> Done:
    """Let the ladder follow a look (`Found.plain`), in one transaction with its record and its message."""
    asked = found["asked"]
    reasons, by = tuple(asked["reasons"]), float(asked["raise_by"])
    finding = Finding(_action(asked["level"]), reasons, by, bool(asked["retrain"]))
    with ctx.db.lock:
        before = rung(ctx.db.con)
        governs = promotion.current(ctx.db.con)
    if governs != found["model"]:
        return Done(governs, None, f"Model {found['model']} no longer governs: its drift says nothing.")
    now = ladder.climb(before, finding)
    up = now.action > before.action
    train = bool(up and finding.retrain and ctx.cfg.auto.weekly_train.enable)
    why = "; ".join(finding.reasons) or f"{ladder.CALM} looks in a row have asked for less"
    if up and finding.retrain:
        why += "; a challenger is trained now" if train else "; train a challenger: `python train_meta.py`"
    state = {**found, "ts": order.now, "level": LEVELS[now.action], "by": now.by, "calm": now.calm,
             "calm_asked": LEVELS[now.asked], "train": train}
    return promotion.drift(ctx, LEVELS[now.action], now.by, order._replace(why=why), state)


def run(ctx: Context, due: int, known_by: int, retrain: Retrain, progress: Progress | None = None) -> int:
    """Do the look that was due at `due` (ms) in this process, once; how many unseen plans it had.

    For a virtual clock. retrain: trains a challenger as of `due`.
    """
    if is_done(ctx, due):
        return 0
    n = 0
    if promotion.done_until(ctx.db.con, WHO) < due:
        found = look(ctx, known_by, progress)
        order = Order(WHO, "no model governs", due, due=due)
        if found is None:
            promotion.pass_over(ctx, order)
            return 0
        n = sum(looked.unseen for looked in found.families.values())
        log.info("%s", act(ctx, found.plain(), order).said)
    _train(ctx, retrain)
    return n


def is_done(ctx: Context, due: int) -> bool:
    """Whether the look that was due then is done, and the training that it asked for."""
    with ctx.db.lock:
        return promotion.done_until(ctx.db.con, WHO) >= due and not state(ctx.db.con).get("train", False)


def state(con: Con) -> dict[str, Any]:
    """The newest look and where the ladder stands: as `Found.plain`, with ts, level, by, calm; empty before the
    first, and where another model governs by now."""
    kept: dict[str, Any] = runs.get(con, DRIFT_STATE, {})
    return kept if kept and kept["model"] == promotion.current(con) else {}


def describe(kept: Mapping[str, Any]) -> str:
    """A `state` in a line: where the ladder stands, and what the newest look found by family."""
    if not kept:
        return "not looked at yet (each Wednesday at 03:00Z)"
    stands = _STANDS[kept["level"]].format(points=100 * kept["by"])
    return f"{stands}, looked at {show_time(kept['ts'])}: " + "; ".join(
        _described(name, family) for name, family in kept["families"].items())


def rung(con: Con) -> Rung:
    """Where the ladder stands for the model in force: what the history says, and how calm it has been since."""
    model = promotion.current(con)
    entries = [e for e in models.history(con, models.DRIFT) if e.model == model]
    if not entries:
        return Rung()
    kept, last = state(con), entries[-1].detail
    calm = (int(kept["calm"]), _action(kept["calm_asked"])) if kept.get("level") == last["level"] else (0, Action.OK)
    return Rung(_action(last["level"]), float(last["by"]), *calm)


def table(ctx: Context, stopping: Stopping, *, spawn: Spawn | None = None) -> list[Job]:
    """The weekly look of the daemon, while the filter is on: a process of its own looks, this one acts."""
    use = spawn or weekly.in_process_of_its_own
    if not ctx.cfg.models.meta.enabled:
        return []
    return [Job(NAME, when(), lambda due: child(ctx, stopping, use), weekly.LANE)]


def when() -> CronTrigger:
    """Wednesdays at 03:00 UTC: half way between two weekly trainings, so that what it asks for need not wait."""
    return CronTrigger(day_of_week="wed", hour=3, minute=0, timezone=UTC)


def child(ctx: Context, stopping: Stopping, use: Spawn) -> int:
    """Have a process look, act on what it found, and train where that asks for it. Raises Transient."""
    with ctx.db.lock:
        governs = models.has_history(ctx.db.con) and promotion.current(ctx.db.con)
    if not governs:
        return 0
    ended = use(command(ctx), stopping)
    if ended.code != 0 or "asked" not in ended.answer:
        raise Transient(f"{NAME}: {ended.answer.get('error') or ended.words or f'it ended with code {ended.code}'}")
    log.info("%s", act(ctx, ended.answer, Order(WHO, "", ctx.clock.now())).said)
    _train(ctx, lambda: weekly.child(ctx, "weekly_train", stopping, use))
    return sum(int(family["unseen"]) for family in ended.answer["families"].values())


def command(ctx: Context) -> list[str]:
    """The command line of the look: `python -m core drift`, from wherever the daemon was started."""
    config = [] if ctx.config_path is None else ["--config", str(ctx.config_path)]
    words = json.dumps(["drift", *config, "--db", str(ctx.db.path), "--json", "--low-priority"])
    code = f"import sys; sys.path.insert(0, {str(weekly.ROOT)!r}); from core.cli.app import main; "
    return [sys.executable, "-c", f"{code}sys.exit(main('core', {words}))"]


def _train(ctx: Context, retrain: Retrain) -> None:
    # What a look asked for is done once, also where the process was killed before it could.
    with ctx.db.lock:
        kept = state(ctx.db.con)
    if kept.get("train"):
        retrain()
        with ctx.db.write() as con:
            runs.put(con, DRIFT_STATE, {**kept, "train": False})


def _family(ctx: Context, rows: Samples, used: Family, champion: Artifact, known_by: int, gap: int) -> Looked:
    seen = rows.t1 <= champion.data_end
    unseen = np.flatnonzero(rows.t0 >= champion.data_end + gap)
    recent = unseen[rows.t0[unseen] >= known_by - SPAN]
    before = np.flatnonzero(seen)
    design = drift.design_effect(rows.win[before].astype(np.float64), rows.t0[before])
    why_not = _why_not(rows, before, unseen, recent, known_by)
    found: list[FeatureDrift] = []
    if not why_not:
        kept = before[:: max(1, -(-len(before) // ROWS))]
        x, names = rows.x[:, champion.columns], [rows.names[j] for j in champion.columns]
        found = drift.features(x[kept], x[recent], names, stretch=(champion.data_end - rows.t0[kept]) // SPAN,
                               independent=float(samples.average_uniqueness(rows.t0, rows.t1).mean()))
    return Looked(len(before), len(unseen), tuple(found), tuple(_gaps(ctx, rows, used, champion, unseen, known_by,
                                                                       design)), design, why_not)


def _gaps(ctx: Context, rows: Samples, used: Family, champion: Artifact, unseen: Any, known_by: int,
          design: float) -> list[Gap]:
    first = int(np.searchsorted(rows.t0[unseen], known_by - max(drift.WEEKS) * drift.WEEK))
    late = unseen[first:]
    if not len(late):
        return []
    raw = used.model.score(rows.x[late][:, champion.columns])
    won, t0 = rows.win[late].astype(np.float64), rows.t0[late]
    if not ctx.cfg.models.meta.calibration.enabled:
        return drift.rolling_gaps(raw, won, t0, known_by, design)
    p = used.calibrator.apply(raw)
    return drift.rolling_gaps(p, won, t0, known_by, design, (p - used.calibrator.lower(raw)) / LEVEL_Z)


def _why_not(rows: Samples, before: Any, unseen: Any, recent: Any, known_by: int) -> str:
    if len(before) < FEWEST:
        return f"{len(before)} plans of its training time are in this file, {FEWEST} are needed"
    if len(recent) < FEWEST or known_by - int(rows.t0[unseen[0]]) < YOUNG:
        return f"{len(recent)} plans of the last four weeks that it never saw: too few, or of too short a time"
    return ""


def _described(name: str, family: Mapping[str, Any]) -> str:
    features = f"{len(family['far'])} of {family['features']} features moved far"
    worst = max(family["gaps"], key=lambda gap: abs(gap["z"]), default=None)
    gap = ("too few to hold claims against outcomes" if worst is None else
           f"won less claimed {100 * worst['gap']:+.1f} points over {worst['n']:,} {worst['what']} ({worst['z']:+.1f} "
           "standard errors)")
    return f"{name}: {family['unseen']:,} plans it never saw, {family['why_not'] or features}, {gap}"


def _action(level: str) -> Action:
    return next(action for action, name in LEVELS.items() if name == level)


def _plain(looked: Looked) -> dict[str, Any]:
    far = [d.name for d in looked.features if d.acts]
    worst = sorted(looked.features, key=lambda d: d.act_limit - d.psi)[:5]
    return {"reference": looked.reference, "unseen": looked.unseen, "features": len(looked.features), "far": far,
            "worst": [d._asdict() for d in worst], "gaps": [g._asdict() for g in looked.gaps],
            "design": looked.design, "why_not": looked.why_not}
