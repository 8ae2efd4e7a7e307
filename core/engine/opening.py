"""A clock that fits a file, and what kind of market the file holds."""

from dataclasses import replace
from pathlib import Path

from core.clock import Clock, SystemClock, VirtualClock
from core.config import Config
from core.store import candles, reports, runs
from core.store.db import Database
from core.timeframe import SECOND

VIRTUAL = "virtual_start"  # the engine remembers here that a file holds a replayed market
LABEL = "market"  # and here what the messages of the replay say of it
RELIVED = "walk_forward"  # here what a walk-forward was asked to live through
_WHICH = "virtual_market"

GENERATED = "GENERATED MARKET, not real prices"
RECORDED = "REPLAY of recorded candles"


def replayed(db: Database) -> bool:
    """Whether the file holds a replayed market."""
    return runs.get(db.con, VIRTUAL) is not None


def market_label(db: Database) -> str:
    """What every page and message says of a market that is not live; empty for a real one."""
    if not replayed(db):
        return ""
    told = runs.get(db.con, LABEL)
    if told:
        return str(told)
    return RECORDED if str(runs.get(db.con, _WHICH, "")).startswith("recorded") else GENERATED


def models_of(path: Path) -> Path:
    """Where the models of a replayed or relived database lie: beside it, so that no other file's run takes them."""
    return path.resolve().with_name(f"{path.stem}-models")


def for_file(cfg: Config, db: Database) -> Config:
    """The configuration with the models' folder that belongs to the file."""
    if not replayed(db) and runs.get(db.con, RELIVED) is None:
        return cfg
    return with_models_of(cfg, db.path)


def with_models_of(cfg: Config, path: Path) -> Config:
    """The configuration of a replayed or relived database at `path`."""
    meta = replace(cfg.models.meta, model_path=str(models_of(path) / "meta"))
    return replace(cfg, models=replace(cfg.models, meta=meta))


def clock_for(db: Database, cfg: Config) -> Clock:
    """The machine's clock; for a replayed market one that stands where its candles end."""
    if not replayed(db):
        return SystemClock()
    known = candles.stretches(db.con, cfg.exchange.id)
    frontier = max((stretches[-1].frontier for stretches in known.values()), default=0)
    latest = reports.last_activity(db.con) or 0
    return VirtualClock(max(frontier + cfg.incremental.settle_seconds * SECOND, latest))
