"""Why a decision went the way it went, as text and as a small figure. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.dashboard import theme
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


def contributions(moved: Sequence[Row], dark: bool) -> dict[str, Any]:
    """Bars of what each feature added, the strongest on top; green raised the model's opinion, red lowered it."""
    shown = list(reversed(moved))
    names = [f"{m['name']} = {'?' if m['value'] is None else format(m['value'], '.4g')}" for m in shown]
    bars = {"type": "bar", "orientation": "h", "x": [m["by"] for m in shown], "y": names,
            "text": [f"{m['by']:+.3f}" for m in shown], "textposition": "outside", "cliponaxis": False,
            "marker": {"color": [theme.signed(m["by"]) for m in shown]},
            "hovertext": [m["meaning"] for m in shown], "hovertemplate": "%{y}<br>%{hovertext}<extra></extra>"}
    most = max((abs(m["by"]) for m in shown), default=1.0) or 1.0
    layout = theme.layout(dark, height=40 + 26 * len(shown), revision="moved", hovermode="closest", dragmode=False,
                          xaxis={"range": [-1.6 * most, 1.6 * most], "showticklabels": False, "fixedrange": True},
                          yaxis={"fixedrange": True, "showgrid": False},
                          margin={"l": 8, "r": 8, "t": 4, "b": 4})
    return {"data": [bars], "layout": layout}


def moved_table(moved: Sequence[Row]) -> str:
    """The same as a Markdown table, with what each feature means."""
    lines = ["| Feature | Value | Moved by | Meaning |", "|:--|--:|--:|:--|"]
    for m in moved:
        value = "not known" if m["value"] is None else format(m["value"], ".4g")
        lines.append(f"| {safe(m['name'])} | {value} | {m['by']:+.3f} | {safe(m['meaning'])} |")
    return "\n".join(lines)


def safe(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join("\\" + c if c in "\\`*_[]$~<>|" else c for c in text)
