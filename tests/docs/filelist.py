"""Writes the list of files in docs/ARCHITECTURE.md: `python -m tests.docs.filelist`."""

import ast
from pathlib import Path

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "ARCHITECTURE.md"
BEGIN, END = "<!-- files -->\n", "<!-- /files -->"
ROOMS = ("cli", "engine", "store", "meta", "notify", "trades", "signals", "market", "config")


def purpose(path: Path) -> str:
    """First sentence of a module's docstring, or its first line where that is shorter."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].strip()


def listed(root: Path = ROOT) -> str:
    """The list as Markdown, in the order of the layers."""
    lines = []
    for title, files in groups(root):
        lines.append(f"**{title}**\n")
        lines += [f"- `{file.relative_to(root).as_posix()}` {purpose(file)}" for file in files]
        lines.append("")
    return "\n".join(lines)


def groups(root: Path) -> list[tuple[str, list[Path]]]:
    """Files by room; the doors first, the ground last."""
    core = root / "core"
    known = {core / name for name in ROOMS}
    others = sorted(p for p in core.iterdir() if p.is_dir() and p not in known and any(p.rglob("*.py")))
    found = [("doors", [*sorted(root.glob("*.py")), core / "__main__.py"])]
    found += [(room.name, _modules(room)) for room in [*others, *(core / name for name in ROOMS)] if room.is_dir()]
    return [*found, ("ground", sorted(p for p in core.glob("*.py") if p.name != "__main__.py"))]


def _modules(room: Path) -> list[Path]:
    # The room's own line first, then its files by name, folders after them.
    files = [p for p in room.rglob("*.py") if "__pycache__" not in p.parts]
    return sorted(files, key=lambda p: (p != room / "__init__.py", len(p.parts), p.parent.as_posix(),
                                        p.name != "__init__.py", p.name))


def renewed(text: str) -> str:
    """The page with its list written anew."""
    head, _, rest = text.partition(BEGIN)
    return head + BEGIN + listed() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
