"""CPU seconds, memory, and the rows of the table."""

import gc
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to measure. quick: a small version of each job, to see that it runs; its figures mean little."""

    quick: bool
    folder: Path  # for files, thrown away afterwards
    peers: bool = True

    def pick(self, full: int, quick: int) -> int:
        """The full number, or the small one."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    ours: measured, in `unit`. base: what it is compared with (`against` says what that is), same unit.
    limit: what must be reached: by ours / base where there is a base and `absolute` is not set, else by
    ours; None = shown for information. at_least: the limit is a least, not a most (base / ours is asked).
    """

    what: str
    ours: float
    unit: str
    against: str = ""
    base: float | None = None
    limit: float | None = None
    at_least: bool = False
    absolute: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """ours / base, or base / ours where the limit is a least."""
        if not self.base or not self.ours:
            return None
        return self.base / self.ours if self.at_least else self.ours / self.base

    @property
    def ok(self) -> bool | None:
        """Whether the limit is kept; None where there is none."""
        value = self.ours if self.absolute or self.base is None else self.ratio
        if self.limit is None or value is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {**asdict(self), "ratio": self.ratio, "ok": self.ok}


def cpu(work: Callable[[], Any]) -> float:
    """CPU seconds (user and system, all threads) of one call."""
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


def side_by_side(repeats: int, *works: Callable[[], float]) -> list[float]:
    """Medians of several measurements taken in turns, so that a busy moment meets all of them.

    Each of `works` returns what it measured.
    """
    taken = [[work() for work in works] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def apart(work: Callable[..., Any], *args: Any) -> None:
    """Do something in a process of its own, so that its memory and imports do not count as ours."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=args)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{work.__name__} failed")


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def rss_mb() -> float:
    """Memory of this process now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def peak_mb() -> float:
    """Most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
