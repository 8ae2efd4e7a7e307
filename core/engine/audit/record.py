"""What the audit found: rows with a value, a bar and an answer, and what they were made with."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import ArtifactError

INSUFFICIENT = "insufficient"
KEPT = "audit.json"  # in app.data_dir: the newest scorecard, for the dashboard


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the scorecard.

    value, bar: in words. passed: None where it could not be measured, and `reason` says why. detail: the
    figures behind it, plain values.
    """

    number: int
    name: str
    value: str
    bar: str
    passed: bool | None
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured, and the bars that depend on it.

    checks: decisions, features and outcomes held against their truncated twins. instants: decisions whose
    future is scrambled. walks, half: walks of the martingale, and the widest half-width of its interval. costly,
    free: random walks with the costs of the configuration and without, each trained on in two ways for each
    family. days: length of a walk. planted: by form of the edge, the rows trained on. repeats: labels drawn anew.
    """

    name: str
    checks: int
    instants: int
    walks: int
    half: float
    costly: int
    free: int
    days: int
    planted: Mapping[str, tuple[int, ...]]
    repeats: int


FULL = Size("full", 3000, 250, 90, 0.03, 24, 8, 400, dict.fromkeys(("linear", "interaction", "rare"),
                                                                   (1000, 2000, 5000, 12000)), 4)
QUICK = Size("quick", 1000, 200, 6, 0.10, 2, 1, 400, {"linear": (2000, 5000), "interaction": (5000,)}, 2)


@dataclass(frozen=True, slots=True)
class Scorecard:
    """All rows in their order. made_with: seed, size, code, what the figures on data were made from."""

    rows: tuple[Row, ...]
    made_with: Mapping[str, Any]

    @property
    def passed(self) -> bool:
        """Whether no row fails; rows that could not be measured do not count."""
        return all(row.passed is not False for row in self.rows)

    @property
    def verdict(self) -> str:
        """One sentence: what holds, what does not, what could not be measured."""
        held = sum(row.passed is True for row in self.rows)
        failed = [row for row in self.rows if row.passed is False]
        unknown = sum(row.passed is None for row in self.rows)
        left = f"; {unknown} could not be measured" if unknown else ""
        if failed:
            named = ", ".join(f"{row.number} ({row.name})" for row in failed)
            return f"FAILED: {len(failed)} of {held + len(failed)} measured rows do not hold: {named}{left}"
        return f"PASSED: all {held} measured rows hold{left}"

    def plain(self) -> dict[str, Any]:
        """What `--json` prints."""
        rows = [{"number": r.number, "name": r.name, "value": r.value, "bar": r.bar, "passed": r.passed,
                 "reason": r.reason, "detail": dict(r.detail)} for r in self.rows]
        return {"verdict": self.verdict, "passed": self.passed, "rows": rows, **self.made_with}


def keep(folder: Path, plain: Mapping[str, Any]) -> Path:
    """Leave a scorecard (JSON values) where the dashboard finds it, whole or not at all. Raises ArtifactError."""
    path, part = folder / KEPT, folder / f".{KEPT}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            json.dump(plain, file, indent=1, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be written: {error.strerror or error}. See to the disk") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def unmeasured(number: int, name: str, bar: str, reason: str) -> Row:
    """A row that says honestly that it could not be measured."""
    return Row(number, name, INSUFFICIENT, bar, None, reason)


def signed(mean: float, low: float, high: float, digits: int = 3) -> str:
    """`+0.012 [-0.004, +0.030]`, or that there is no interval."""
    if math.isnan(low) or math.isnan(high):
        return f"{mean:+.{digits}f} [too few weeks for an interval]"
    return f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def page(card: Scorecard) -> str:
    """The scorecard as a page of the documentation."""
    made = card.made_with
    head = ["# Truth scorecard", "", f"**{card.verdict}.**", "",
            f"Written by `python -m core audit --page docs/AUDIT.md` ({made['size']} form, seed {made['seed']}, code "
            f"{made['code']}). Rows 1 to 7 are measured on generated markets that have no edge but the planted ones; "
            f"rows 8 to 14 on data: {made['data']}. {_NOTE}", ""]
    rows = ["| # | Figure | Measured | Bar | Holds |", "|---|---|---|---|---|"]
    rows += [f"| {r.number} | {_cell(r.name)} | {_cell(r.value + (f' ({r.reason})' if r.reason else ''))} | "
             f"{_cell(r.bar)} | {ANSWERS[r.passed]} |" for r in card.rows]
    return "\n".join([*head, *rows]) + "\n"


ANSWERS = {True: "yes", False: "NO", None: "not measured"}
_NOTE = "Nothing here promises a profit: it says whether the figures of this program can be believed."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")
