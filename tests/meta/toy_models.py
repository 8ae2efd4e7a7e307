"""Small real models, quickly trained on made-up rows of this program's feature table."""

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from core.candles import Floats
from core.meta import artifact, registry
from core.meta.artifact import Family
from core.meta.calibration import fit_calibrator
from core.meta.ev import ALL, Payoffs
from core.meta.model import ModelParams, fit
from core.meta.realised import Realised
from core.meta.registry import Folder
from core.meta.samples import TARGETS, TRAILED
from core.signals.features import NAMES

CREATED = 1_700_000_000_000
PARAMS = {
    TARGETS: ModelParams(rounds=12, seeds=2, min_child_weight=1.0),
    TRAILED: ModelParams(target="r", rounds=12, seeds=2, min_child_weight=1.0),
}


def rows(n: int, seed: int) -> Floats:
    """A made-up feature table; some values are not known."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(NAMES)))
    x[rng.random(x.shape) < 0.05] = math.nan
    return x


AS_CLAIMED = Realised(5000, 50, 0.0, 0.0, 1.0, (0.0, 0.0, 0.0))  # every claim arrived


@cache
def family(name: str, seed: int = 1, names: tuple[str, ...] = NAMES, win_r: float = 1.2) -> Family:
    """One family whose first feature tells a little."""
    x = rows(400, seed)
    wins = (np.nan_to_num(x[:, 0]) + np.random.default_rng(seed + 1).normal(size=len(x)) > 0).astype(float)
    columns = [NAMES.index(n) for n in names]
    y = wins if PARAMS[name].target == "win" else wins * 2.0 - 1.0
    made = fit(x[:250, columns], y[:250], None, names, PARAMS[name], seed)
    calibrator = fit_calibrator(made.score(x[250:, columns]), wins[250:], link=made.link)
    return Family(made, calibrator, {ALL: Payoffs(win_r, 1.0, 200, 200)}, AS_CLAIMED)


def card(families: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A card as a training writes it, enough of everything."""
    told = {
        name: {"n": 5000, "n_calibrate": 800, "evidence": {"label": "weak", "why": "made up"}} for name in families
    }
    base = {
        "created_ts": CREATED,
        "data": {"start": CREATED - 10**9, "end": CREATED, "hash": "0" * 12, "n": 5000},
        "config_hash": "abc",
        "versions": {"xgboost": "3"},
        "metrics": {},
        "families": told,
    }
    return {**base, **more}


def save(root: Path, seed: int = 1, names: tuple[str, ...] = NAMES, families: tuple[str, ...] = (TARGETS, TRAILED),
         win_r: float = 1.2, **more: Any) -> Folder:
    """A model folder below `root`."""
    made = {name: family(name, seed, names, win_r) for name in families}
    packed, files = artifact.pack(made, card(made, **more), {name: rows(5, 99) for name in made})
    return registry.save(root, packed, files)


def tampered(folder: Folder, change: Mapping[str, Any], root: Path) -> Folder:
    """The same model with another card, properly signed: what a foreign program might write."""
    files = {name: data for name, data in folder.files.items() if name != registry.CARD}
    return registry.save(root, {**folder.card, **change}, files)
