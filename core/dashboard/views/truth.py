"""What the page Truth shows: the audit's scorecard, and what recomputing the last day gave."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.dashboard import theme, words
from core.engine.daily_reconcile import Kept
from core.signals.text import counted
from core.timeframe import DAY, HOUR

STALE = DAY + 2 * HOUR  # of a look that is made once a day
_SHORT = 90  # characters of the first figure in a row's title
MARKS = {True: ("holds", theme.GOOD), False: ("FAILS", theme.BAD), None: ("not measured", theme.WARN)}


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the scorecard. passed: None where it could not be measured. told: the figures, one to a line."""

    number: int
    name: str
    told: tuple[str, ...]
    bar: str
    passed: bool | None

    @property
    def title(self) -> str:
        """Its answer, number, name and first figure, as Markdown."""
        word, colour = MARKS[self.passed]
        first = self.told[0] if self.told else ""
        short = first if len(first) <= _SHORT else first[:_SHORT].rstrip() + " …"
        return f":{colour}-badge[{word}] {self.number} · **{plain(self.name)}** :gray[{plain(short)}]"


@dataclass(frozen=True, slots=True)
class Card:
    """The scorecard as found on disk. made: seed, size, code and data in a sentence; made_ts: ms UTC or None."""

    verdict: str
    passed: bool
    lines: tuple[Line, ...]
    made: str
    made_ts: int | None


def card(text: str) -> Card | None:
    """The scorecard out of `audit.json`; None where the text is none."""
    try:
        found = json.loads(text)
        lines = tuple(_line(row) for row in found["rows"])
        made = found.get("made_ts")
        return Card(str(found["verdict"]), bool(found["passed"]), lines, _made(found),
                    int(made) if isinstance(made, (int, float)) else None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _line(row: Mapping[str, Any]) -> Line:
    told = [piece for piece in str(row["value"]).split("; ") if piece]
    if row.get("reason"):
        told.append(str(row["reason"]))
    passed = row["passed"]
    return Line(int(row["number"]), str(row["name"]), tuple(told), str(row["bar"]),
                passed if passed is None else bool(passed))


def _made(found: Mapping[str, Any]) -> str:
    told = {"form": found.get("size"), "seed": found.get("seed"), "code": found.get("code"),
            "data": found.get("data"), "took": f"{found['seconds']:.0f} s" if found.get("seconds") else None}
    return ", ".join(f"{name} {plain(str(value))}" for name, value in told.items() if value is not None)


def age(made_ts: int | None, now: int) -> str:
    """How old a scorecard is, and whether it should be made again."""
    if made_ts is None:
        return "its age is not known"
    old = " (older than a month: worth making again)" if now - made_ts > 31 * 86_400_000 else ""
    return f"made {words.ago(now, made_ts)}{old}"


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    for sign in "\\`*_[]<>$#~":
        text = text.replace(sign, "\\" + sign)
    return text.replace(":", "\\:")


def verdict(found: Kept) -> tuple[str, str]:
    """What recomputing gave, in a sentence, and its colour."""
    if not found.checked:
        return "Nothing to recompute: no live signal was decided in the 24 hours before.", theme.CALM
    told = f"live = replay: {found.checked - found.differ:,} of {found.checked:,} rows are what the candles give"
    return told, theme.BAD if found.differ else theme.GOOD


def looked(found: Kept, now: int) -> str:
    """When that was, and what to do where it is old."""
    when = f"Recomputed {words.ago(now, found.ts)}, at {words.when(found.ts, now)}: the 24 hours before."
    if now - found.ts <= STALE:
        return f"{when} The daemon does it once a day; further back: `python -m core reconcile --start 2024-05-01`."
    return (f"{when} That is old: the daemon does it once a day while it runs; without it, `python -m core reconcile` "
            "does it at once.")


def notes(found: Kept) -> list[str]:
    """What else there is to say of it."""
    lines = []
    if found.skipped:
        lines.append(f"{counted(found.skipped, 'row')} {'differs and' if found.skipped == 1 else 'differ and'} saw a "
                     "candle that the exchange rewrote later (`revised`): a known reason, no fault.")
    if found.differ:
        lines.append("A difference means that the program, its configuration at that time or the file was changed by "
                     "hand, or that something is wrong. `python -m core reconcile` names all of them.")
    return lines
