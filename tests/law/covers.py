"""Which rules, defects and invariants the tests name: the markers `covers`, read from the source."""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator

from tests.conftest import ROOT
from tests.law.tree import Module, dotted, where

INVARIANTS = tuple(f"I{n}" for n in range(1, 8))
# Defects of the earlier program that this program has a part for; D7, D8, D10, D11 and D17 are the model's.
DEFECTS = ("D1", "D2", "D3", "D4", "D5", "D6", "D9", "D12", "D13", "D14", "D15", "D16", "D18", "D19")
LATER_DEFECTS = ("D7", "D8", "D10", "D11", "D17")

_RULE = re.compile(r"^(\d+[a-z]?)\. ", re.MULTILINE)


def rules() -> list[str]:
    """Every rule of docs/RULES.md, such as `rule 7` and `rule 19a`."""
    text = (ROOT / "docs" / "RULES.md").read_text(encoding="utf-8").partition("\n## Readings")[0]
    return [f"rule {number}" for number in _RULE.findall(text)]


def marks(m: Module) -> Iterator[tuple[str, str]]:
    """(name, place) for everything that a module's markers `covers` name, `?` where it is computed."""
    for node in ast.walk(m.tree):
        if isinstance(node, ast.Call) and dotted(node.func).endswith("mark.covers"):
            for arg in node.args:
                text = arg.value if isinstance(arg, ast.Constant) and isinstance(arg.value, str) else "?"
                yield text, where(m, node)


def computed(m: Module) -> Iterator[str]:
    """Names in the markers of a module's tables of parameters, where they are computed from the table's rows."""
    for table in vars(importlib.import_module(m.name)).values():
        for row in table if isinstance(table, list) else ():
            for mark in getattr(row, "marks", ()):
                if getattr(mark, "name", "") == "covers":
                    yield from mark.args


def covered(found: Iterable[Module]) -> dict[str, list[str]]:
    """Names with the places that hold them."""
    names: dict[str, list[str]] = {}
    for m in found:
        for name, place in marks(m):
            for each in computed(m) if name == "?" else (name,):
                names.setdefault(each, []).append(place)
    return names
