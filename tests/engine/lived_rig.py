"""A daemon that learns on a small generated market, in seconds: history put in and scanned, then weeks to live.

Each training here is made to be promoted, so that the rows depend on every one of them; how a training judges
itself is tested elsewhere.
"""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.config.schema import Config
from core.engine import demo, lived, training, virtual
from core.engine.context import Context
from core.engine.demo import DemoOptions, Stage
from core.engine.jobs import TICK, Job
from core.meta.model import ModelParams
from core.meta.samples import TARGETS, TRAILED
from core.store import models
from core.store.db import Database
from core.store.lived import copy_market
from core.store.lock import WriterLock
from core.timeframe import DAY, MINUTE
from tests.engine import harness

SUNDAY = 1_706_410_800_000  # 2024-01-28 03:00Z: when the first weekly training is due
HISTORY = 22 * DAY
SETTLE = 3_000

# Many plans a day at low cost, and the three weekly runs ten minutes apart.
CONFIG = """
symbols: [BTC/USDT:USDT, SOL/USDT:USDT]
timeframes: [5m, 15m]
""" + harness.CHEAP + """
  setups:
    fibo_avwap: {timeframes: [5m, 15m]}
    donchian: {timeframes: [15m], max_hold_candles: 20}
    compression: {enabled: false}
execution: {max_hold_candles: 20}
models: {meta: {min_closed_samples: 200}}
auto: {weekly_calibrate: {hour_utc: 3, minute: 10}, weekly_tune: {hour_utc: 3, minute: 20}}
"""
SHORT = {TARGETS: ModelParams(rounds=30, eta=0.1, seeds=1),
         TRAILED: ModelParams(target="r", rounds=30, eta=0.1, seeds=1)}


def config(text: str = CONFIG) -> Config:
    """The configuration of these runs."""
    return harness.config(text)


def promote_all(patch: pytest.MonkeyPatch) -> None:
    """Small models, quickly trained, each of which takes over."""
    patch.setattr(training, "PARAMS", SHORT)
    patch.setattr(training.verdict, "objections", lambda *a: [])
    patch.setattr(training.verdict, "_praise", lambda *a: "made better by the test")


@pytest.fixture(scope="module", autouse=True)
def promoted() -> Iterator[None]:
    """For a module that names it: `promote_all` throughout."""
    with pytest.MonkeyPatch.context() as patch:
        promote_all(patch)
        yield


def options(start: int, **more: Any) -> DemoOptions:
    """A run that begins at `start` (ms) on the market of these tests, after history that is scanned first."""
    return DemoOptions(start=start, history=HISTORY, seed=5, edge=2.0, learn=True, **more)


def live(path: Path, asked: DemoOptions, *, coarse: int | None = None, cfg: Config | None = None) -> dict[str, Any]:
    """The daemon under the virtual clock until `asked.until`; coarse: it wakes up only so often (ms)."""
    cfg = cfg or config()
    stage = demo.prepare(cfg, asked)
    with pytest.MonkeyPatch.context() as patch, WriterLock(path, "test"):
        if coarse is not None:
            patch.setattr(virtual, "due_jobs", lambda table, start, plan: _seldom(table, start, stage, coarse))
        db = Database(path)
        try:
            return demo.run(cfg, db, asked, stage, console=io.StringIO())
        finally:
            db.close()


def _seldom(table: list[Job], start: int, stage: Stage, step: int) -> Iterator[tuple[int, Job]]:
    # A machine that sleeps most of the time: every weekly run falls into an outage.
    (tick,) = [job for job in table if job.name == TICK]
    assert stage.until is not None
    for ts in [*range(start + MINUTE, stage.until, step), stage.until]:
        yield ts + SETTLE, tick


def relive(source: Path, path: Path, start: int, end: int, cfg: Config | None = None, *, copy: bool = True
           ) -> dict[str, int]:
    """The same time walked through in a new file with the candles of another; its counts."""
    db = Database(path)
    try:
        if copy:
            copy_market(source, db.con)
        return dict(lived.run(Context(cfg or config(), db, VirtualClock(0)), start, end)[1])
    finally:
        db.close()


def copied(source: Path, target: Path) -> Path:
    """A copy of a closed file and of the models beside it."""
    shutil.copyfile(source, target)
    folder = source.with_name(f"{source.stem}-models")
    if folder.is_dir():
        shutil.copytree(folder, target.with_name(f"{target.stem}-models"))
    return target


def history(path: Path) -> list[tuple[Any, ...]]:
    """What governed from when on, and why; paths and times of writing left out."""
    db = Database(path, readonly=True)
    try:
        return [(e.kind, e.model, e.promoted_ts, e.ts, e.who, e.why, e.detail) for e in models.history(db.con)]
    finally:
        db.close()


def trials(path: Path) -> list[Any]:
    """The trial log."""
    db = Database(path, readonly=True)
    try:
        return models.trials(db.con)
    finally:
        db.close()
