"""What a training, a calibration or a tuning hands to the process that may write: a folder of plain files.

Whoever trains opens the database read-only (rule 34). What comes of it lies below `models/incoming` until the
daemon, or the door itself where no daemon runs, has taken it in.
"""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.candles import Floats
from core.engine import dataset, scoring
from core.engine.context import Context
from core.engine.dataset import Dataset
from core.engine.figures import plain
from core.engine.verdict import Tried
from core.meta import artifact, registry
from core.meta.artifact import Artifact, Family
from core.meta.registry import Folder
from core.store import models
from core.store.models import META, Trial
from core.timeframe import DAY

Progress = Callable[[int, int], None]

REPORT = "report"  # a folder that holds no model: nothing could be made, and why
REPORT_FILE = "report.json"
SEALED = "sealed"  # kind of trial: a look at sealed rows
_LIBRARIES = ("numpy", "xgboost-cpu", "xgboost")


class Handed(NamedTuple):
    """What was handed back: its folder, whether it is to be used, the outcome in a line, every figure."""

    folder: Folder
    better: bool
    said: str
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """Decisions to learn from, ms: the last `days` before `end`, or from `start` on. None: all, or as configured."""

    start: int | None = None
    end: int | None = None
    days: int | None = None


def read(ctx: Context, window: Window, progress: Progress | None = None) -> Dataset:
    """The samples of a window; by default those of `models.meta.window_days` before the newest result."""
    known = dataset.followed(ctx)
    end = known if window.end is None else min(window.end, known)
    days = window.days or ctx.cfg.models.meta.window_days
    start = max(0, end - days * DAY) if window.start is None else window.start
    return dataset.load(ctx, start=start, end=end, known_by=end, progress=progress)


def incoming(ctx: Context) -> Path:
    """Where handed-back folders lie: `incoming` beside the folder of the models."""
    return scoring.model_root(ctx).parent / "incoming"


def tried(ctx: Context) -> Tried:
    """The trial log as the next training must count it."""
    with ctx.db.lock:
        log = models.trials(ctx.db.con)
    sealed = [t for t in log if t.kind == SEALED]
    sharpes = tuple(t.score for t in log if t.kind == "train" and t.score is not None)
    return Tried(len(log) - len(sealed), len(sealed), sharpes)


def champion(ctx: Context) -> Artifact | None:
    """The model that governs, verified; None where none does. Raises ArtifactError where it cannot be used."""
    with ctx.db.lock:
        history = models.history(ctx.db.con, META)
    if not history or history[-1].model is None:
        return None
    return ctx.models.get(history[-1], scoring.model_root(ctx))


def card(ctx: Context, data: Dataset, last: int, job: str, champion: Artifact | None, trials: Sequence[Trial],
         why: Sequence[str], *, better: bool) -> dict[str, Any]:
    """What every card begins with. last: when the last result that it learned from was known (ms)."""
    return {
        "created_ts": ctx.clock.now(), "job": job, "database": database(ctx),
        "data": {"start": data.start, "end": last, "hash": data.sha256, "n": len(data.samples)},
        "config_hash": ctx.config_hash, "config": ctx.body, "versions": versions(),
        "champion": None if champion is None else champion.id, "verdict": {"better": better, "why": list(why)},
        "metrics": {}, "trials": [plain(t._asdict()) for t in trials],
    }


def database(ctx: Context) -> str:
    """What a folder calls the file it was made from, and for."""
    return ctx.name or str(ctx.db.path.resolve())


def save_model(ctx: Context, own: Mapping[str, Any], families: Mapping[str, Family],
               told: Mapping[str, Mapping[str, Any]], probe: Mapping[str, Floats], report: Mapping[str, Any]) -> Folder:
    """Hand a model back. own: from `card`. told: by family what its card says. Raises ArtifactError."""
    made, files = artifact.pack(families, {**own, "families": {k: dict(v) for k, v in told.items()}}, probe)
    return registry.save(incoming(ctx), made, {**files, REPORT_FILE: _json(report)})


def save_plain(ctx: Context, own: Mapping[str, Any], kind: str, more: Mapping[str, Any],
               report: Mapping[str, Any]) -> Folder:
    """Hand back what is no model: a table of thresholds, or why nothing could be made."""
    return registry.save(incoming(ctx), {**own, "kind": kind, **more}, {REPORT_FILE: _json(report)})


def told_of(family: str, champion: Artifact) -> dict[str, Any]:
    """What a champion's card says of a family, to be carried on with it."""
    own = champion.card["families"][family]
    return {key: value for key, value in own.items() if key not in ("model", "self_check")}


def probe_of(family: str, champion: Artifact) -> Floats:
    """The rows that a champion's family is asked about whenever it is loaded, in this program's feature table."""
    rows = [[np.nan if v is None else v for v in row] for row in champion.card["families"][family]["self_check"]["x"]]
    wide = np.full((len(rows), int(champion.columns.max()) + 1), np.nan)
    wide[:, champion.columns] = np.array(rows, dtype=np.float64)
    return wide


def versions() -> dict[str, str]:
    """Versions of what a model depends on."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(plain(value), indent=1, allow_nan=False).encode()
