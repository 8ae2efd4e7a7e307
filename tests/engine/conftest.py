"""One uninterrupted run, shared by the tests that compare others with it."""

from pathlib import Path

import pytest

from tests.engine import harness


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a run of twelve hours without a break."""
    path = tmp_path_factory.mktemp("unbroken") / "a.db"
    harness.run(path)
    return path
