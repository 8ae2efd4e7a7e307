"""The engine's rig with a filter: a configuration whose models lie in a folder of the test, and models for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.config.schema import Config
from core.config.views import decision_body
from core.engine import promotion
from core.engine.promotion import Done, Order
from core.meta.registry import Folder
from core.timeframe import MINUTE
from tests.engine import harness
from tests.engine.rig import SETTLE, START, TWO, Rig, copy
from tests.meta import toy_models as toys

# Breakouts of a few bars, so that a quarter of an hour holds plans of both families.
BUSY = TWO.replace("ema_side: true,", "ema_side: false, channel: 3,")
BEGIN = START + MINUTE + SETTLE


def config(root: Path, text: str = BUSY, **meta: Any) -> Config:
    """The rigs' configuration with its models below `root`; meta: keys of models.meta."""
    cfg = harness.config(text)
    own = replace(cfg.models.meta, model_path=str(root / "meta"), **meta)
    return replace(cfg, models=replace(cfg.models, meta=own))


def rig(warm: Path, root: Path, name: str = "a.db", *, cfg: Config | None = None, **more: Any) -> Rig:
    """A daemon's life over a copy of a warmed file, just before its first live minute."""
    root.mkdir(parents=True, exist_ok=True)
    return Rig(copy(warm, root / name), cfg=cfg or config(root), now=BEGIN, **more)


def model(root: Path, cfg: Config, seed: int = 1, **more: Any) -> Folder:
    """A model trained under `cfg`, below `root`, whose data ended before any rig begins."""
    return toys.save(root / "meta", seed, **{"config": decision_body(cfg), **more})


def promote(r: Rig, folder: Folder, why: str = "a test") -> Done:
    """Register a model and let it govern from the next decision on."""
    order = Order("test", why, r.clock.now())
    promotion.register(r.ctx, folder.path, order)
    return promotion.promote(r.ctx, folder.id, order)
