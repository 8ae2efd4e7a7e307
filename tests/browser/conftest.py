"""The browser part runs where it is asked for: `make test-browser`, or pytest with `-m browser`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import site

HERE = Path(__file__).parent
LIMIT = 2.0  # s: what a first paint may take
paints: dict[str, float] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what lies here, and leave it out where it was not asked for."""
    asked = "browser" in (config.getoption("-m") or "")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not asked:
                item.add_marker(pytest.mark.skip(reason="a real browser: make test-browser"))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> site.Data:
    """A database made by the demo, from recorded candles where they are there."""
    return site.make(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="session")
def url(data: site.Data) -> Iterator[str]:
    """The dashboard over it."""
    with site.serving(data.config, data.db) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One headless Chromium for all tests."""
    with site.browsing() as found:
        yield found


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How long each page took to stand in a fresh browser; for information, since the machine may be busy."""
    for name, seconds in paints.items():
        late = "" if seconds <= LIMIT else f", which is over {LIMIT:.0f} s (is the machine busy?)"
        terminalreporter.write_line(f"first paint of {name}: {seconds:.1f} s{late}")
