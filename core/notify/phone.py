"""Tables for a phone: monospaced, at most 38 columns wide, so that no line breaks. Pure."""

from collections.abc import Sequence

from core.notify.text import esc, plain

WIDTH = 38


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of plain texts as a monospaced block; the first `left` columns to the left, the others to the right."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    wide = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [" ".join(cell.ljust(w) if i < left else cell.rjust(w)
                      for i, (cell, w) in enumerate(zip(row, wide, strict=True))).rstrip() for row in cells]
    return block(lines)


def pairs(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values as a monospaced block of two columns."""
    wide = max((len(name) for name, _ in rows), default=0)
    return block([f"{name.ljust(wide)} {value}".rstrip() for name, value in rows])


def block(lines: Sequence[str]) -> str:
    """Plain lines as a monospaced block; what is too wide is cut."""
    cut = [line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in lines]
    return "<pre>" + "\n".join(_keep(line) for line in cut) + "</pre>"


def _keep(line: str) -> str:
    # `esc` joins blanks, which is what a table is made of.
    return " ".join(esc(word) for word in line.split(" "))


def coin(symbol: str) -> str:
    """`BTC` for `BTC/USDT:USDT`: what a phone has room for."""
    return symbol.partition("/")[0][:10]


def pair(symbol: str) -> str:
    """`BTC/USDT` for `BTC/USDT:USDT`."""
    return symbol.partition(":")[0]


def widest(text: str) -> int:
    """Characters of the longest line of a text (HTML), as a reader sees it."""
    return max(len(line) for line in plain(text).split("\n"))
