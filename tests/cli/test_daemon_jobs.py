"""What the live daemon schedules."""

from pathlib import Path

import pytest

from core.cli.daemon import Channel, all_jobs
from core.clock import VirtualClock
from core.engine.context import Context
from core.notify.delivery import Deliverer
from core.store.db import Database
from core.store.outbox import Outbox
from tests.engine import harness
from tests.notify import channel


def _names(tmp_path: Path, text: str) -> list[str]:
    db = Database(tmp_path / "a.db")
    ctx = Context(harness.config(text), db, VirtualClock(0))
    found = all_jobs(ctx, Channel(Deliverer(Outbox(db), [channel.Channel()], VirtualClock(0))), lambda: False)
    db.close()
    return [job.name for job in found]


@pytest.mark.covers("D11")
def test_training_calibration_and_tuning_are_scheduled_unless_switched_off(tmp_path: Path) -> None:
    weekly = {"weekly_train", "weekly_calibrate", "weekly_tune"}
    assert weekly < set(_names(tmp_path, harness.CONFIG))
    off = "\nauto: {weekly_train: {enable: false}, weekly_calibrate: {enable: false}, weekly_tune: {enable: false}}\n"
    left = set(_names(tmp_path, harness.CONFIG + off))
    assert left.isdisjoint(weekly) and {"tick", "outbox", "db_checkpoint", "notify_closed"} <= left
