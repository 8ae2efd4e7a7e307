"""One tiny demo, shared; a test that writes takes a copy."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli import doors
from tests.cli.doors import Answer


class Demo(NamedTuple):
    """A finished demo: its configuration, its file, and what it said."""

    config: Path
    db: Path
    answer: Answer

    @property
    def where(self) -> tuple[str, ...]:
        """The options that point a door at it."""
        return "--config", str(self.config), "--db", str(self.db)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Six hours on the generated market after four days of history; only to be read."""
    folder = tmp_path_factory.mktemp("cli")
    config, db = doors.write_config(folder), folder / "demo.db"
    answer = doors.call("scheduler_run", "--demo", "--span", "6h", "--history", "4d", "--config", config, "--db", db)
    assert answer.code == 0, answer.err
    return Demo(config, db, answer)


@pytest.fixture
def own(demo: Demo, tmp_path: Path) -> Demo:
    """A copy to write to."""
    db = tmp_path / "own.db"
    shutil.copy(demo.db, db)
    return demo._replace(db=db)
