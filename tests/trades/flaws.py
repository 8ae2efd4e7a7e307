"""Flawed copies of a module: one sentence of its source replaced, everything else as it stands."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def flawed(module: ModuleType, folder: Path, name: str, *changes: tuple[str, str]) -> ModuleType:
    """A copy of `module` in which each (old, new) text is replaced; the old text must occur exactly once."""
    source = Path(str(module.__file__)).read_text()
    for old, new in changes:
        assert source.count(old) == 1, f"the planted flaw no longer fits: {old!r} occurs {source.count(old)} times"
        source = source.replace(old, new)
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    sys.modules[name] = copy
    try:
        spec.loader.exec_module(copy)
    finally:
        del sys.modules[name]
    return copy
