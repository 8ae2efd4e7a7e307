"""Alerts in the terminal, for the demo and for those who run without Telegram."""

import re
import threading
from textwrap import wrap
from typing import TextIO

from core.errors import Transient
from core.notify.manner import PLAIN, Manner
from core.notify.text import plain

_WIDTH = 72
_PAINT = {"<b>": "\x1b[1m", "</b>": "\x1b[22m", "<i>": "\x1b[3m", "</i>": "\x1b[23m",
          "<code>": "\x1b[36m", "</code>": "\x1b[39m"}


class ConsoleSender:
    """Prints each alert in a frame; colours only where asked for and the stream is a terminal."""

    name = "console"

    def __init__(self, stream: TextIO, colour: bool = True) -> None:
        self._stream = stream
        self._colour = colour and stream.isatty()
        self._encoding = stream.encoding or "utf-8"
        self._lock = threading.Lock()
        self._count = 0

    def send(self, text: str, manner: Manner = PLAIN) -> str:
        """Print `text` (HTML) and return a running number. Raises Transient where the stream is closed."""
        left, top, bottom = ("│ ", "┌", "└") if self._can("┌│└─") else ("| ", "+", "+")
        rule = ("─" if self._can("─") else "-") * 39
        body = [left + row for line in text.split("\n") for row in self._rows(line)]
        shown = "\n".join([top + rule, *body, bottom + rule, ""])
        with self._lock:
            self._write(shown.encode(self._encoding, "replace").decode(self._encoding))
            self._count += 1
            return f"console-{self._count}"

    def reachable(self) -> None:
        """The console always is."""

    def _can(self, text: str) -> bool:
        try:
            return bool(text.encode(self._encoding))
        except UnicodeEncodeError:
            return False

    def _rows(self, line: str) -> list[str]:
        line = "".join(c for c in line if c.isprintable())  # no escape sequence from outside
        bare = plain(line)
        if not self._colour or len(bare) > _WIDTH:
            return wrap(bare, _WIDTH) or [""]
        return ["".join(_PAINT.get(part) or plain(part) for part in re.split(r"(</?(?:b|i|code)>)", line))]

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError) as exc:  # ValueError: the stream was closed
            raise Transient(f"cannot print: {exc}") from exc
