"""`drift`: does the model in force still fit the market? Looks and shows; the daemon does this once a week and acts."""

import os
from argparse import Namespace

from core.cli import opening
from core.cli.learning import LOW
from core.cli.progress import Bar
from core.cli.screen import Out, table
from core.clock import SystemClock
from core.engine import drift
from core.engine.drift import Found, Looked
from core.timeframe import show_time


def run(args: Namespace, out: Out) -> int:
    """Print what a look finds and what it would ask for; reads only."""
    if args.low_priority:
        os.nice(LOW)
    cfg = opening.config(args)
    bar = Bar(out.err, SystemClock(), "drift", "plans")
    with opening.reader(args, cfg) as ctx:
        found = drift.look(ctx, args.end, bar)
        with ctx.db.lock:
            stands = drift.rung(ctx.db.con)
    bar.close()
    out.result({} if found is None else {**found.plain(), "stands": drift.LEVELS[stands.action]})
    if found is None:
        out.say("no model governs, so there is nothing that could drift")
        return 0
    for line in _lines(found, drift.LEVELS[stands.action]):
        out.say(line)
    return 0


def _lines(found: Found, stands: str) -> list[str]:
    asked = drift.LEVELS[found.finding.action]
    lines = [f"model {found.model}, results known by {show_time(found.known_by)}"]
    for name, looked in found.families.items():
        lines += ["", f"{name}: {looked.reference:,} plans of its training time, {looked.unseen:,} it never saw",
                  *_features(looked), *_gaps(looked)]
    why = "; ".join(found.finding.reasons) or "features and claims hold"
    return [*lines, "", f"asks for: {asked} ({why})", f"in force: {stands} (the weekly look changes it: `models`)"]


def _features(looked: Looked) -> list[str]:
    if looked.why_not:
        return [f"features not compared: {looked.why_not}"]
    far = [d for d in looked.features if d.acts]
    worst = sorted(looked.features, key=lambda d: d.act_limit - d.psi)[:8]
    rows = [(d.name, f"{d.psi:.3f}", f"{d.act_limit:.3f}", f"{d.ks:.3f}", "moved far" if d.acts else "") for d in worst]
    return [f"{len(far)} of {len(looked.features)} features moved far",
            *table(("feature", "PSI", "far from", "KS", ""), rows)]


def _gaps(looked: Looked) -> list[str]:
    if not looked.gaps:
        return ["too few plans that it never saw to compare claims with outcomes"]
    rows = [(f"the last {g.n:,} {g.what}", f"{g.claimed:.1%}", f"{g.observed:.1%}", f"{100 * g.gap:+.1f}",
             f"{g.z:+.1f}") for g in looked.gaps]
    return table(("", "claimed", "won", "points", "errors"), rows)
