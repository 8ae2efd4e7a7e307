"""The numeric loops, compiled: the same plain functions the daemon runs, for retro and training.

Nothing is written twice. The functions of a file are copied with their globals replaced by the
compiled functions of that file, so that both forms run the same source and give the same bits.
numba is imported only when something is asked for here: it costs a second, and the daemon never does.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from core.signals import kernels as signal_kernels
from core.signals.kernels import Kernels
from core.trades import lifecycle as plain_lifecycle

Compiled = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """`core.trades.lifecycle` compiled: the same arguments (arrays, not lists) and the same results."""

    step: Compiled
    walk: Compiled
    walk_many: Compiled


@cache
def kernels(cache_dir: Path | None = None) -> Kernels:
    """The loops of `core.signals.kernels` compiled; `seq` makes arrays contiguous.

    cache_dir: where machine code is kept between processes unless NUMBA_CACHE_DIR names a place; without
    either, or where it cannot be written, each process compiles for itself (seconds).
    """
    names = [f.__name__ for f in signal_kernels.FUNCTIONS]
    done = compile_functions(signal_kernels, names, cache_dir)
    return Kernels(np.ascontiguousarray, *(done[name] for name in names))


@cache
def lifecycle(cache_dir: Path | None = None) -> Lifecycle:
    """The lifecycle compiled; `cache_dir` as for `kernels`."""
    done = compile_functions(plain_lifecycle, ("step", "walk", "walk_many"), cache_dir)
    many = done["walk_many"]

    def walk_many(orders: Any, start: Any, ts: Any, o: Any, h: Any, low: Any, c: Any, bar_close_ts: Any,
                  bar_atr: Any, frontier: int, out: Any) -> None:
        # One set of types, whatever flags the caller's arrays carry, so that it compiles once.
        ints = [_fixed(x, np.int64) for x in (start, ts, bar_close_ts)]
        prices = [_fixed(x, np.float64) for x in (o, h, low, c, bar_atr)]
        many(orders, ints[0], ints[1], *prices[:4], ints[2], prices[4], int(frontier), out)

    return Lifecycle(done["step"], done["walk"], walk_many)


def _fixed(values: Any, kind: type) -> Any:
    array: Any = np.ascontiguousarray(values, dtype=kind).view()
    array.flags.writeable = False
    return array


def compile_functions(module: ModuleType, names: Iterable[str], cache_dir: Path | None = None) -> dict[str, Compiled]:
    """The named functions of a file compiled, each on its first call.

    They may use each other, constants and NamedTuples of their file, and `math`. Machine code is kept in
    a folder named after the file's source, so that a changed callee can never meet an old caller.
    """
    import numba

    sources = {f.__name__: f for f in vars(module).values()
               if isinstance(f, FunctionType) and f.__module__ == module.__name__}
    folder = _cache_folder(module, cache_dir, numba.__version__)
    scope, done = dict(vars(module)), dict[str, Compiled]()
    wanted = list(names)
    for name in _callees_first(sources, wanted):
        plain = sources[name]
        scope[name] = done[name] = numba.njit(FunctionType(plain.__code__, scope, name, plain.__defaults__))
        if folder is not None and name in wanted:
            _keep(done[name], folder)
    return {name: done[name] for name in wanted}


def _callees_first(sources: dict[str, FunctionType], wanted: Iterable[str]) -> Sequence[str]:
    order: list[str] = []

    def visit(name: str) -> None:
        for other in sources[name].__code__.co_names:
            if other in sources and other != name and other not in order:
                visit(other)
        if name not in order:
            order.append(name)

    for name in wanted:
        visit(name)
    return order


def _cache_folder(module: ModuleType, cache_dir: Path | None, version: str) -> Path | None:
    base = os.environ.get("NUMBA_CACHE_DIR") or cache_dir
    if not base:
        return None
    source = Path(str(module.__file__)).read_bytes()
    mark = hashlib.sha256(version.encode() + source).hexdigest()[:12]
    folder = Path(base) / f".numba-{module.__name__.rpartition('.')[2]}-{mark}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    return folder


def _keep(function: Any, folder: Path) -> None:
    # numba chooses the place of a function's cache when the cache object is made.
    import numba

    settings: Any = numba.config
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(folder)
    try:
        function._cache = _cache_type()(function.py_func)
    finally:
        settings.CACHE_DIR = before


@cache
def _cache_type() -> type:
    from numba.core import caching

    # What a truncated or foreign cache file makes of its reader.
    damaged = (OSError, EOFError, ValueError, LookupError, AttributeError, ImportError, TypeError, RuntimeError,
               caching.pickle.UnpicklingError)

    class SharedCache(caching.FunctionCache):  # type: ignore[misc]
        """numba's own cache, safe between processes and against damaged files.

        Two processes that compile one function for different types at the same moment would otherwise
        give their files one name. A cache is a convenience: it never stops the work.
        """

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            try:
                with _locked(self.cache_path):
                    return super().load_overload(sig, target_context)
            except damaged:
                self._start_afresh()
                return None

        def save_overload(self, sig: Any, data: Any) -> None:
            try:
                with _locked(self.cache_path):
                    super().save_overload(sig, data)
            except OSError:
                self.disable()

        def _start_afresh(self) -> None:
            try:
                self.flush()
            except OSError:
                self.disable()

    return SharedCache


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    Path(folder).mkdir(parents=True, exist_ok=True)
    fd = os.open(Path(folder) / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
