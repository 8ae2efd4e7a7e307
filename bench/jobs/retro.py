"""The retro-scan of one symbol over a year with the shipped configuration."""

import itertools
import os
import resource
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import data
from bench.measure import Row, Scale, apart, cpu, peak_mb
from core.engine import retro
from core.engine.retro import RetroOptions
from core.store import candles
from core.timeframe import DAY

OTHER = "ETH/USDT:USDT"
LINEAR = 1.2  # noise aside
PEERS_US = 31.0  # per bar and timeframe: freqtrade and nautilus_trader, one symbol-year


class Watch:
    """CPU seconds spent in some functions of a module while one call runs."""

    def __init__(self, module: Any, *names: str) -> None:
        self._module, self._names = module, names
        self.spent: Counter[str] = Counter()

    def run(self, work: Callable[[], Any]) -> Any:
        """Do the work with the functions watched."""
        plain = {name: getattr(self._module, name) for name in self._names}
        for name, function in plain.items():
            setattr(self._module, name, self._timed(name, function))
        try:
            return work()
        finally:
            for name, function in plain.items():
                setattr(self._module, name, function)

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **settings: Any) -> Any:
            began = time.process_time()
            try:
                return function(*args, **settings)
            finally:
                self.spent[name] += time.process_time() - began  # type: ignore[assignment]

        return timed


def run(scale: Scale) -> list[Row]:
    """The whole run, its parts, and how it grows with bars and symbols."""
    days = scale.pick(data.YEAR, 60)
    made, number = scale.folder / "retro.db", itertools.count()
    apart(make, made, days)
    starts = _start(scale, made, str(scale.folder / "empty")), _start(scale, made)
    _start_here(_copy(made, scale.folder / "warm.db"))
    scans: dict[str, list[Counter[str]]] = {"whole": [], "half": [], "two": []}
    end = _end(made)

    def scan(name: str, options: RetroOptions) -> None:
        path = _copy(made, scale.folder / f"retro{next(number)}.db")
        found = _scan(path, options)
        path.unlink()
        scans[name].append(found)

    half = RetroOptions(start=end - days // 2 * DAY, symbols=(data.SYMBOL,))
    reading = []
    for _ in range(scale.pick(5, 1)):  # in turns, so that a busy moment meets all of them
        scan("whole", RetroOptions(symbols=(data.SYMBOL,)))
        scan("half", half)
        scan("two", RetroOptions(symbols=(data.SYMBOL, OTHER)))
        reading.append(cpu(lambda: data.read_minutes(made)))
    best = {name: min(found, key=lambda one: one["seconds"]) for name, found in scans.items()}
    return [*_against_reading(best["whole"], min(reading)), *_alone(best), *_starts(starts)]


def _against_reading(found: Counter[str], reading: float) -> list[Row]:
    n, decided, walked, stored = found["written"], found["decide"], found["outcomes"], found["_store"]
    return [
        Row("one symbol, year, 4 timeframes: arrays to rows", decided + stored, "s", "1.5 x reading + 60 us x written",
            1.5 * reading + 60e-6 * n, 1.0, note=f"{n:,} candidates; reading the 1m rows {reading:.2f} s"),
        Row("  of it arrays to outcomes", decided + walked, "s", "reading the 1m rows", reading,
            note=f"1.5 in the sum above; decide {decided:.2f} s, lifecycle {walked:.3f} s"),
        Row("  of it writing, per candidate", 1e6 * (stored - walked) / n, "us",
            note="60 in the sum above; signal, trade and events"),
    ]


def _alone(best: dict[str, Counter[str]]) -> list[Row]:
    whole, half, two = (best[name]["seconds"] for name in ("whole", "half", "two"))
    return [
        Row("  whole run, per minute bar", 1e6 * whole / best["whole"]["minutes"], "us",
            "freqtrade, nautilus_trader, PUBLISHED", PEERS_US, 5, at_least=True,
            note=f"best run {whole:.2f} s, all four timeframes, reading and writing included"),
        Row("  memory of the whole run", peak_mb(), "MB", limit=1024),
        Row("  whole year against half, per bar", whole / 2 / half, "x", limit=LINEAR, note="1 = linear in bars"),
        Row("  two symbols against one", two / 2 / whole, "x", limit=LINEAR, note="1 = linear in symbols"),
    ]


def _starts(starts: tuple[float, float]) -> list[Row]:
    return [
        Row("  start-up, machine code on disk", starts[1], "s", note="a whole process that scans one day"),
        Row("  start-up with compilation, once", starts[0], "s", note="the same with an empty cache"),
    ]


def make(path: Path, days: int) -> None:
    """Make the file with two symbols and all their timeframes."""
    ctx = data.context(path, data.shipped())
    for symbol in (data.SYMBOL, OTHER):
        data.fill(ctx, symbol, data.minutes(symbol, days), derived=True)
    ctx.db.checkpoint()
    ctx.db.close()


def _start(scale: Scale, made: Path, cache: str | None = None) -> float:
    # CPU seconds of a process that does next to nothing but get ready.
    before = os.environ.get("NUMBA_CACHE_DIR")
    path = _copy(made, scale.folder / "start.db")
    os.environ.update({"NUMBA_CACHE_DIR": cache} if cache else {})
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    apart(_start_here, path)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    if before is not None:
        os.environ["NUMBA_CACHE_DIR"] = before
    return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime


def _start_here(path: Path) -> None:
    _scan(path, RetroOptions(start=_end(path) - DAY, symbols=(data.SYMBOL,)))


def _copy(made: Path, path: Path) -> Path:
    shutil.copyfile(made, path)
    return path


def _scan(path: Path, options: RetroOptions) -> Counter[str]:
    ctx = data.context(path, data.shipped())
    watch = Watch(retro, "decide", "outcomes", "_store")
    found: Counter[str] = Counter()
    found["seconds"] = cpu(lambda: found.update(watch.run(lambda: retro.run(ctx, options))))  # type: ignore[assignment]
    found["minutes"] = ctx.db.con.execute(
        "SELECT count(*) FROM candles WHERE symbol = ? AND timeframe = '1m'", (data.SYMBOL,)).fetchone()[0]
    ctx.db.close()
    return found + watch.spent


def _end(path: Path) -> int:
    ctx = data.context(path, data.shipped())
    frontier = candles.stretches(ctx.db.con, data.EXCHANGE)[data.SYMBOL][-1].frontier
    ctx.db.close()
    return frontier
