"""Compiling plain functions: same results, a cache that is never stale, and no harm when there is no cache."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from core.engine import compiled
from core.signals.kernels import PLAIN
from tests.conftest import ROOT

pytest.importorskip("numba", reason="numba is not installed")

SOURCE = """
STEP = {step}

def caller(x):
    return callee(x) + 1

def callee(x):
    return x * STEP
"""


def toy(folder: Path, step: int) -> ModuleType:
    """A file of two functions, the caller before its callee."""
    path = folder / "toy_kernel.py"
    path.write_text(SOURCE.format(step=step))
    spec = importlib.util.spec_from_file_location("toy_kernel", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy_kernel"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own; NUMBA_CACHE_DIR would go before it."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    return tmp_path / "cache"


def test_callee_is_compiled_too_and_the_module_is_left_alone(tmp_path: Path, cache: Path) -> None:
    module = toy(tmp_path, 10)
    fast = compiled.compile_functions(module, ["caller"], cache)
    assert list(fast) == ["caller"]
    assert fast["caller"](4) == module.caller(4) == 41
    assert fast["caller"].signatures and type(module.callee).__name__ == "function"
    assert len(list(cache.rglob("*.nbc"))) == 1


def test_a_changed_callee_never_meets_the_old_machine_code(tmp_path: Path, cache: Path) -> None:
    assert compiled.compile_functions(toy(tmp_path, 10), ["caller"], cache)["caller"](4) == 41
    assert compiled.compile_functions(toy(tmp_path, 20), ["caller"], cache)["caller"](4) == 81
    assert len(list(cache.iterdir())) == 2


def test_a_second_compilation_comes_from_the_cache(tmp_path: Path, cache: Path) -> None:
    module = toy(tmp_path, 10)
    compiled.compile_functions(module, ["caller"], cache)["caller"](4)
    again = compiled.compile_functions(module, ["caller"], cache)["caller"]
    assert again(4) == 41
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_folder_that_cannot_be_written_only_costs_the_cache(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    fast = compiled.compile_functions(toy(tmp_path, 10), ["caller"], tmp_path / "file" / "cache")
    assert fast["caller"](4) == 41


def test_no_folder_at_all_compiles_in_memory(tmp_path: Path, cache: Path) -> None:
    assert compiled.compile_functions(toy(tmp_path, 10), ["caller"], None)["caller"](4) == 41


def test_a_folder_that_becomes_unwritable_later_only_costs_the_cache(tmp_path: Path, cache: Path) -> None:
    fast = compiled.compile_functions(toy(tmp_path, 10), ["caller"], cache)
    for folder in cache.iterdir():
        for inner in folder.iterdir():
            inner.rmdir()
        folder.rmdir()
        folder.write_text("in the way")
    assert fast["caller"](4) == 41


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"\x80\x05junk", b"not a cache"])
def test_a_damaged_cache_file_is_replaced(ending: str, content: bytes, tmp_path: Path, cache: Path) -> None:
    module = toy(tmp_path, 10)
    compiled.compile_functions(module, ["caller"], cache)["caller"](4)
    for path in cache.rglob(f"*.{ending}"):
        path.write_bytes(content)
    assert compiled.compile_functions(module, ["caller"], cache)["caller"](4) == 41
    healed = compiled.compile_functions(module, ["caller"], cache)["caller"]
    assert healed(4) == 41
    assert sum(healed.stats.cache_hits.values()) == 1


RACE = """
import sys
from pathlib import Path
from core.engine import compiled
sys.path.insert(0, sys.argv[1])
import toy_kernel
kind = {"int": int, "float": float}[sys.argv[2]]
print(compiled.compile_functions(toy_kernel, ["caller"], Path(sys.argv[1]) / "cache")["caller"](kind(4)))
"""


@pytest.mark.slow
def test_processes_that_compile_at_once_for_different_types_do_not_mix_them_up(tmp_path: Path, cache: Path) -> None:
    toy(tmp_path, 10)
    want = {"int": "41", "float": "41.0"}
    runs = {kind: subprocess.Popen([sys.executable, "-c", RACE, str(tmp_path), kind], cwd=ROOT, text=True,
                                   stdout=subprocess.PIPE) for kind in want}
    assert {kind: run.communicate()[0].strip() for kind, run in runs.items()} == want
    assert len(list(cache.rglob("*.nbc"))) == 2
    warm = compiled.compile_functions(sys.modules["toy_kernel"], ["caller"], cache)["caller"]
    assert (repr(warm(4)), repr(warm(4.0))) == ("41", "41.0")
    assert sum(warm.stats.cache_hits.values()) == 2


def test_asking_for_nothing_imports_no_numba() -> None:
    code = "import sys, core.engine.compiled; print('numba' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True)
    assert out.stdout.strip() == "False"


def test_compiled_signal_kernels_have_every_loop_and_agree(tmp_path: Path) -> None:
    fast, x = compiled.kernels(), np.random.default_rng(1).normal(100.0, 5.0, 60)
    assert [fast.pivot(fast.seq(x + 1), fast.seq(x - 1), i, 3) for i in range(3, 57)] == \
        [PLAIN.pivot(PLAIN.seq(x + 1), PLAIN.seq(x - 1), i, 3) for i in range(3, 57)]
    assert fast.seq(x[::2]).flags.c_contiguous
