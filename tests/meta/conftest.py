"""One small file of closed plans, shared; a test that writes takes a copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.engine.context import Context
from tests.meta import market_file


@pytest.fixture(scope="session")
def plans_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database with fifty days of a generated market's plans; only to be copied."""
    folder = tmp_path_factory.mktemp("plans")
    market_file.made(folder, days=market_file.DAYS).db.close()
    return folder


@pytest.fixture
def plans(plans_file: Path, tmp_path: Path) -> Iterator[Context]:
    """A copy of it, open for writing."""
    ctx = market_file.copied(plans_file, tmp_path)
    yield ctx
    ctx.db.close()
