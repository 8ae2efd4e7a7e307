"""The page Filter: whether the model in force still fits, as the newest weekly look found it. Pure."""

from collections.abc import Mapping
from typing import Any

from core.dashboard.views.filter import FAMILIES, Row
from core.dashboard.words import Column
from core.timeframe import show_time

State = Mapping[str, Any]  # as `core.engine.drift` keeps it

GAP_COLUMNS = (
    Column("family", "Family"), Column("what", "Of"), Column("n", "n", "count"),
    Column("claimed", "Claimed %", "number"), Column("observed", "Observed %", "number"),
    Column("gap", "Gap, points", "number", "Below zero it claims too much."),
    Column("z", "Standard errors", "number", "Plans of one week hang together: the errors are made wider by that."),
)
FEATURE_COLUMNS = (
    Column("family", "Family"), Column("name", "Feature"), Column("psi", "PSI", "number"),
    Column("warn_limit", "Warns above", "number", "The convention, and what noise and its own wandering explain."),
    Column("act_limit", "Far above", "number"), Column("ks", "KS distance", "number"), Column("moved", "Moved"),
)


def sentence(kept: State) -> str:
    """What the newest look found; Markdown."""
    if not kept:
        return "The model in force has not been looked at yet: the daemon does so every week."
    asked = kept.get("asked", {})
    reasons = "; ".join(map(str, asked.get("reasons", ()))) or "nothing moved"
    seen = ", ".join(f"{told.get('unseen', 0):,} unseen {FAMILIES.get(name, name)}"
                     for name, told in kept.get("families", {}).items())
    when = show_time(kept.get("ts") or kept.get("known_by"))
    return f"Newest look, {when}: **{asked.get('level', 'ok')}** ({reasons}). {seen}."


def gaps(kept: State) -> list[Row]:
    """Claimed against observed shares of wins over each window."""
    return [{"family": name, "what": g.get("what"), "n": g["n"], "claimed": 100 * g["claimed"],
             "observed": 100 * g["observed"], "gap": 100 * g["gap"], "z": g["z"]}
            for name, told in kept.get("families", {}).items() for g in told.get("gaps", ())]


def features(kept: State) -> list[Row]:
    """The features that moved furthest, against the bounds that noise explains."""
    rows = []
    for name, told in kept.get("families", {}).items():
        for d in told.get("worst", ()):
            far = d["name"] in told.get("far", ())
            warns = bool(d.get("shifted")) and d["psi"] > d["warn_limit"]
            rows.append({"family": name, "name": d["name"], "psi": d["psi"], "warn_limit": d["warn_limit"],
                         "act_limit": d["act_limit"], "ks": d.get("ks"),
                         "moved": "far" if far else "yes" if warns else "no"})
    return rows


def notes(kept: State) -> list[str]:
    """Why a family's features were not compared."""
    return [f"{FAMILIES.get(name, name).capitalize()}: {told['why_not']}"
            for name, told in kept.get("families", {}).items() if told.get("why_not")]
