"""Why a decision went the way it went, as text and as small bars. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.dashboard import bars
from core.engine import why

Row = Mapping[str, Any]

_ANSWERS = {True: ":green[:material/check:]", False: ":red[:material/close:]", None: ":gray[:material/remove:]"}


def gates(facts: Row) -> str:
    """The verdict, what was found and each gate's answer, as Markdown. facts: of `core.engine.why.gather`."""
    row = facts["signal"]
    colour = "green" if row["verdict"] == "pass" else "orange"
    told = [f":{colour}[**{'TAKEN' if row['verdict'] == 'pass' else 'REFUSED'}**]: {safe(why.verdict(row))}",
            safe(str(row["rationale"]))]
    asked = [f"{_ANSWERS[gate['passed']]} **{gate['name']}**: {safe(gate['sentence'])}" for gate in facts["gates"]]
    asked += [f":orange[:material/edit:] {safe(change)}" for change in facts["config_changes"]]
    return "\n\n".join([*told, "  \n".join(asked)])


def contributions(moved: Sequence[Row]) -> str:
    """What each feature added as bars in HTML, the strongest on top; green raised the model's opinion, red took."""
    return bars.signed([bars.Line(m["name"], _value(m, "?"), m["by"], m["meaning"]) for m in moved])


def _value(m: Row, unknown: str) -> str:
    return unknown if m["value"] is None else format(m["value"], ".4g")


def moved_table(moved: Sequence[Row]) -> str:
    """The same as a Markdown table, with what each feature means."""
    lines = ["| Feature | Value | Moved by | Meaning |", "|:--|--:|--:|:--|"]
    for m in moved:
        lines.append(f"| {safe(m['name'])} | {_value(m, 'not known')} | {m['by']:+.3f} | {safe(m['meaning'])} |")
    return "\n".join(lines)


def safe(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join("\\" + c if c in "\\`*_[]$~<>|" else c for c in text)
