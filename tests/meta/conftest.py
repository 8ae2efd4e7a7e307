"""One small file of closed plans, shared; a test that writes takes a copy."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.engine.context import Context
from core.store.db import Database
from tests.meta import market_file


@pytest.fixture(scope="session")
def plans_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database with fifty days of a generated market's plans; only to be copied."""
    folder = tmp_path_factory.mktemp("plans")
    market_file.made(folder, days=50).db.close()
    return folder


@pytest.fixture
def plans(plans_file: Path, tmp_path: Path) -> Iterator[Context]:
    """A copy of it, open for writing."""
    for file in plans_file.glob("own.db*"):
        shutil.copy(file, tmp_path / file.name)
    db = Database(tmp_path / "own.db")
    yield Context(market_file.config(tmp_path), db, VirtualClock(market_file.end_of(50)), tell_all=True)
    db.close()
