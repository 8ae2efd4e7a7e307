"""A progress bar: on a terminal redrawn a few times a second, in a pipe one line every ten percent."""

from core.cli.screen import Screen
from core.clock import Clock
from core.timeframe import show_span

REDRAW_SECONDS = 0.2
_WIDTH = 24


class Bar:
    """Shows how far a piece of work is: share, rate and time left. Call it with (done, total).

    unit: what is counted. Work that resumes starts where it is: the rate counts only what this run did.
    """

    def __init__(self, screen: Screen, clock: Clock, label: str, unit: str) -> None:
        self._screen, self._clock, self._label, self._unit = screen, clock, label, unit
        self._began = clock.monotonic()
        self._drawn = -REDRAW_SECONDS
        self._tenth = 0
        self._closed = self._begun = False

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        if total <= 0 or self._closed:
            return
        self._begun = True
        if self._screen.tty:
            self._redraw(done, total)
        elif done * 10 // total > self._tenth:
            self._tenth = done * 10 // total
            self._screen.line(self._text(done, total))
        self._closed = done >= total

    @property
    def running(self) -> bool:
        """Whether the work has begun and is not done."""
        return self._begun and not self._closed

    def close(self) -> None:
        """Take the bar away."""
        self._closed = True
        self._screen.clear()

    def _redraw(self, done: int, total: int) -> None:
        now = self._clock.monotonic()
        if done < total and now - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = now
        full, empty = ("█", "░") if _can(self._screen, "█░") else ("#", ".")
        filled = _WIDTH * done // total
        text = f"{full * filled}{empty * (_WIDTH - filled)} {self._text(done, total)}"
        if done < total:
            self._screen.draw(text)
        else:
            self._screen.line(text)

    def _text(self, done: int, total: int) -> str:
        seconds = max(1e-3, self._clock.monotonic() - self._began)
        rate = done / seconds
        left = show_span(int((total - done) / rate * 1000)) if rate > 0 else "?"
        told = f"{left} left" if done < total else f"took {show_span(int(seconds * 1000))}"
        return f"{self._label} {100 * done // total:3d} %  {done:,} of {total:,} {self._unit}, {_rate(rate)}/s, {told}"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _can(screen: Screen, text: str) -> bool:
    try:
        return bool(text.encode(screen.encoding))
    except UnicodeEncodeError:
        return False
