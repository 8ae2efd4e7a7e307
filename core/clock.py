"""The only place that reads the wall clock. Everything else is handed a `Clock`."""

import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """What a clock can do; times are int milliseconds UTC, durations are seconds."""

    def now(self) -> int: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class VirtualClock:
    """A clock that moves only when told to, so that years run in minutes; safe across threads.

    `sleep` moves time forward by itself. `on_sleep` (optional) is called with the seconds slept,
    which lets a paced demo wait for real.
    """

    def __init__(self, start: int, on_sleep: Callable[[float], None] | None = None) -> None:
        self._now = float(start)
        self._start = float(start)
        self._lock = threading.Lock()
        self._on_sleep = on_sleep

    def now(self) -> int:
        return int(self._now)

    def monotonic(self) -> float:
        return (self._now - self._start) / 1000.0

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += max(0.0, seconds) * 1000.0
        if self._on_sleep is not None:
            self._on_sleep(seconds)

    def set(self, now: int) -> None:
        """Move to `now` (ms UTC); may step back, as a machine's clock may."""
        with self._lock:
            self._now = float(now)
