"""Source files as syntax trees, and small questions about them, for the tests that hold the code to its rules."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

Function = ast.FunctionDef | ast.AsyncFunctionDef

TEXTS = (".py", ".md", ".txt", ".toml", ".yaml", ".yml", ".json", ".lock", ".cfg", ".sh", ".csv", "")
SKIPPED = {"__pycache__", "numba-cache", "out", "node_modules"}


@dataclass(frozen=True)
class Module:
    """One file of the package: its path from the repository's root, its dotted name, its text and its tree."""

    path: str
    name: str
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The room it belongs to: `signals` for core/signals/plan.py, `clock` for core/clock.py."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "core"

    @property
    def package(self) -> str:
        """The dotted name that its relative imports start from."""
        return self.name if self.path.endswith("__init__.py") else self.name.rpartition(".")[0]


def module(path: str, text: str) -> Module:
    """A module from its text, as if it stood at `path` (such as `core/signals/toy.py`)."""
    parts = path.removesuffix(".py").split("/")
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(path, name, text, ast.parse(text))


@cache
def modules(folder: str = "core", root: Path = ROOT) -> list[Module]:
    """All modules of a folder of the repository."""
    found = sorted((root / folder).rglob("*.py"))
    return [module(p.relative_to(root).as_posix(), p.read_text(encoding="utf-8")) for p in found
            if not SKIPPED.intersection(p.parts)]


@cache
def committed(root: Path = ROOT) -> list[Path]:
    """Every text file that is, or would be, committed; from git where it is there, else from the folder."""
    asked = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
                           capture_output=True, text=True, check=False)
    names = asked.stdout.split("\0") if asked.returncode == 0 else [
        p.relative_to(root).as_posix() for p in root.rglob("*")
        if not any(part in SKIPPED or (part.startswith(".") and part not in (".ci", ".streamlit", ".gitignore"))
                   for part in p.relative_to(root).parts)]
    return sorted(path for path in {root / name for name in names if name}
                  if path.is_file() and path.suffix in TEXTS)


def where(m: Module, node: ast.AST) -> str:
    """`core/x.py:12`."""
    return f"{m.path}:{getattr(node, 'lineno', 0)}"


def imports(m: Module) -> Iterator[tuple[ast.stmt, str]]:
    """Each imported module with its full dotted name; `from core import x` gives `core.x`."""
    for node in ast.walk(m.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = m.package.split(".")
                base = ".".join([*up[: len(up) - node.level + 1], *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "core" else [base]
            yield from ((node, name) for name in names)


def dotted(node: ast.AST) -> str:
    """`datetime.now` for the expression of that name; empty for what is no plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else f".{node.attr}"
    return ""


def calls(m: Module) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the dotted name of what is called (`.execute` where the object has no plain name)."""
    for node in ast.walk(m.tree):
        if isinstance(node, ast.Call):
            yield node, dotted(node.func)


def functions(m: Module) -> Iterator[Function]:
    """Every function and method, inner ones too."""
    for node in ast.walk(m.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def docstrings(m: Module) -> set[int]:
    """ids of the constants that are docstrings."""
    found = set()
    for node in ast.walk(m.tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            found.add(id(first.value))
    return found


def length(function: Function) -> int:
    """Lines of a function without its decorators and its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines
