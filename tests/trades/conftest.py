"""One compilation of the lifecycle per session, kept in the test run's own numba cache."""

import pytest

from core.engine import compiled


@pytest.fixture(scope="session")
def compiled_lifecycle() -> compiled.Lifecycle:
    """The compiled lifecycle; skips where numba is not installed (it is optional)."""
    pytest.importorskip("numba", reason="numba is not installed")
    return compiled.lifecycle()
