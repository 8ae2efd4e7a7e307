"""The pages of the documentation, and what can be read out of them: links, names of files, commands, code blocks."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")),
         ROOT / "data" / "README.md", ROOT / "models" / "README.md"]

_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"[\w./-]*\w\.(?:py|md|yaml|toml|txt|lock|sh)|"
                   r"(?:core|tests|docs|bench|data|models)(?:/[\w.-]+)+|\.ci/run")


def text_of(page: Path) -> str:
    """A page."""
    return page.read_text(encoding="utf-8")


def links(text: str) -> list[str]:
    """Targets of the links of a page."""
    return _LINK.findall(prose(text))


def prose(text: str) -> str:
    """A page without its code blocks."""
    return _FENCE.sub("", text)


def blocks(text: str, language: str = "") -> list[str]:
    """Code blocks of a language."""
    return [body for found, body in _FENCE.findall(text) if found == language]


def code(text: str) -> Iterator[str]:
    """What stands as code: spans, and lines of blocks."""
    yield from _SPAN.findall(prose(text))
    for _, body in _FENCE.findall(text):
        yield from body.splitlines()


def anchors(text: str) -> set[str]:
    """Anchors of the headings of a page, as a Markdown viewer makes them."""
    titles = re.findall(r"^#+ +(.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def files(text: str) -> set[str]:
    """Names in code that look like files or folders of the repository."""
    return {name.rstrip("/.") for piece in code(text) for name in _FILE.findall(piece)}
