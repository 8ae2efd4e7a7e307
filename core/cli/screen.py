"""What a person sees: lines, tables, colours on a terminal, and the one line at the bottom that is drawn again."""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TextIO, cast

from core.signals.text import counted as counted  # the doors take both from here
from core.signals.text import size as size

_PAINT = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


class Screen:
    """A text stream with a last line that is drawn again and again on a terminal (a bar, a ticker).

    Whatever else is written clears that line first. In a pipe there is no such line.
    """

    drawn_by: ClassVar["Screen | None"] = None  # output and errors may share one terminal

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._stream = stream
        self.tty = stream.isatty()
        self.colour = self.tty and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"

    @property
    def encoding(self) -> str:
        """The stream's encoding."""
        return self._stream.encoding or "utf-8"

    def isatty(self) -> bool:
        """What a channel asks before it paints: a terminal, and colours are wanted."""
        return self.colour

    def as_text(self) -> TextIO:
        """This screen for code that asks for a text stream and only writes to it."""
        return cast(TextIO, self)

    def write(self, text: str) -> int:
        """Write text as it is, after clearing the drawn line, whichever screen of the terminal drew it."""
        if Screen.drawn_by is not None:
            Screen.drawn_by.clear()
        return self._stream.write(_writable(text, self.encoding))

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def line(self, text: str = "") -> None:
        """Write one line."""
        self.write(text + "\n")
        self.flush()

    def draw(self, text: str) -> None:
        """Draw the last line anew; does nothing in a pipe."""
        if self.tty:
            width = _width(self._stream)
            self._stream.write("\r\x1b[K" + _writable(text[: width - 1], self.encoding))
            self._stream.flush()
            Screen.drawn_by = self

    def clear(self) -> None:
        """Take the drawn line away."""
        if Screen.drawn_by is self:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            Screen.drawn_by = None

    def paint(self, text: str, *styles: str) -> str:
        """`text` in colour where colours are wanted."""
        if not self.colour or not text:
            return text
        return f"\x1b[{';'.join(_PAINT[style] for style in styles)}m{text}\x1b[0m"


class Out:
    """Where a command's answer goes: text for people, or one JSON object on standard output.

    out: standard output. err: standard error, which also carries logs and progress.
    """

    def __init__(self, stdout: TextIO, stderr: TextIO, as_json: bool) -> None:
        self.out, self.err, self.as_json = Screen(stdout), Screen(stderr), as_json

    @property
    def people(self) -> Screen:
        """The stream for what only people read: standard output, or standard error beside JSON."""
        return self.err if self.as_json else self.out

    def say(self, text: str = "") -> None:
        """A line for people; nothing beside JSON."""
        if not self.as_json:
            self.err.clear()
            self.out.line(text)

    def note(self, text: str) -> None:
        """A remark on standard error."""
        self.err.line(text)

    def result(self, value: Mapping[str, Any]) -> None:
        """The one JSON object; nothing for people."""
        if self.as_json:
            self.out.line(json.dumps(plain(value), allow_nan=False))


def plain(value: Any) -> Any:
    """A value JSON can hold: tuples as lists, keys as text, not-a-number and infinity as null."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1) -> list[str]:
    """Rows as aligned lines under a head; the first `left` columns to the left, the others to the right."""
    cells = [[str(name) for name in head], *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "  ".join(
            text.ljust(w) if i < left else text.rjust(w) for i, (text, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    rule = "  ".join("-" * w for w in widths)
    return [line.rstrip() for line in (lines[0], rule, *lines[1:])]


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _writable(text: str, encoding: str) -> str:
    return text.encode(encoding, "replace").decode(encoding)


def _width(stream: TextIO) -> int:
    try:
        return max(20, os.get_terminal_size(stream.fileno()).columns)
    except (OSError, ValueError):
        return 80
