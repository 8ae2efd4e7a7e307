"""What the file says of itself: looks at sealed rows, hashes, the code; and live decisions held against a recount."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import core
from core.engine import figures
from core.engine.audit.record import Row, signed, unmeasured
from core.engine.context import Context
from core.engine.reconcile import ReconcileResult, reconcile
from core.meta import drift
from core.store import models, reports
from core.store.models import META, Registered, Trial

Reconcile = Callable[..., ReconcileResult]

LEAST = 100  # closed live trades
MADE = "sealed looks, data, code, seed"
LIVE = "live against recount: rows, fills, calibration"
MADE_BAR = "all shown; no model without a logged look at its sealed rows"
LIVE_BAR = f"shown from {LEAST} closed live trades on; no row differs"


class Code(NamedTuple):
    """What was run. commit: of the checkout, `unknown` outside one. sha256: of all sources of the package."""

    commit: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.commit[:12]}, sources {self.sha256[:12]}"


def code(root: Path | None = None) -> Code:
    """The program as it lies on disk."""
    root = root or Path(core.__file__).resolve().parent.parent
    mark = hashlib.sha256()
    for path in sorted((root / "core").rglob("*.py")):
        mark.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return Code(_commit(root / ".git"), mark.hexdigest())


def _commit(git: Path) -> str:
    try:
        if git.is_file():  # a worktree
            git = (git.parent / git.read_text().partition("gitdir:")[2].strip()).resolve()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        common = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
        if (common / name).exists():
            return (common / name).read_text().strip()
        packed = (common / "packed-refs").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "unknown")


def made_row(looks: int, known: Sequence[Registered], data: Mapping[str, Any] | None, made: Code, seed: int) -> Row:
    """Row 13. looks: at sealed rows, from the trial log. known: registered models. data: `Dataset.describe`."""
    if data is None:
        return unmeasured(13, MADE, MADE_BAR, f"no data, code {made}, seed {seed}")
    unlogged = bool(known) and looks == 0
    hashes = [str(m.card.get("data", {}).get("hash", ""))[:12] for m in known]
    value = (f"{looks:,} looks at sealed rows by {len(known)} registered models (data {', '.join(hashes) or 'none'}); "
             f"data now {data['samples']:,} samples, SHA-256 {str(data['sha256'])[:12]}; code {made}; seed {seed}")
    shown = all(hashes) and bool(data["sha256"]) and bool(made.sha256)
    why = "; MODELS WITHOUT A LOGGED LOOK" if unlogged else ""
    return Row(13, MADE, value + why, MADE_BAR, shown and not unlogged,
               detail={"looks": looks, "models": [m.id for m in known], "data": dict(data), "commit": made.commit,
                       "sources": made.sha256, "seed": seed})


def looks(log: Sequence[Trial]) -> int:
    """How often sealed rows were looked at."""
    return sum(trial.kind == "sealed" for trial in log)


def of_file(ctx: Context) -> tuple[int, list[Registered], dict[str, str]]:
    """Looks, registered models, and the evidence that the governing one claims by family; nothing in an old file."""
    with ctx.db.lock:
        history = models.history(ctx.db.con, META)
        known = models.registered(ctx.db.con, META)
        log = models.trials(ctx.db.con)
    governing = history[-1].model if history else None
    cards = [m.card for m in known if m.id == governing]
    told = cards[-1].get("families", {}) if cards else {}
    return looks(log), known, {name: str(f.get("evidence", {}).get("label", "")) for name, f in told.items()}


def live_row(ctx: Context, again: Reconcile = reconcile) -> Row:
    """Row 14."""
    with ctx.db.lock:
        rows = [r for r in reports.finished(ctx.db.con, ctx.exchange_id, None, None)
                if r["origin"] == "live" and r["pnl_pct"] is not None and not r["revised"]]
    if len(rows) < LEAST:
        return unmeasured(14, LIVE, LIVE_BAR, f"{len(rows)} closed live trades, {LEAST} are needed")
    found = again(ctx, min(r["decided_ts"] for r in rows), None)
    gap = np.array([_fill_gap(r) for r in rows])
    mean = figures.interval(gap, np.array([r["decided_ts"] for r in rows]))
    paid = float(np.mean([r["slippage_pct"] for r in rows]))
    scored = [r for r in rows if r["ml_p"] is not None]
    claims = drift.calibration_gap(np.array([r["ml_p"] for r in scored]),
                                   np.array([float(r["pnl_pct"] > 0) for r in scored]), window=len(scored) or 1)
    said = "no scored trades" if claims is None else \
        f"claimed {claims.claimed:.1%}, observed {claims.observed:.1%} (n {claims.n}, z {claims.z:+.1f})"
    value = (f"{len(found.differing)} of {found.checked:,} rows differ from a recount; fill against plan "
             f"{signed(mean.mean, mean.low, mean.high)} R on {len(rows):,} trades, slippage counted {paid:.3f} %; "
             f"{said}{f'; first: {found.first}' if found.first else ''}")
    return Row(14, LIVE, value, LIVE_BAR, not found.differing and found.checked > 0,
               detail={"trades": len(rows), "checked": found.checked, "differing": found.differing[:10],
                       "skipped": found.skipped, "fill_gap_r": list(mean), "slippage_pct": paid,
                       "calibration": None if claims is None else claims._asdict()})


def _fill_gap(row: Mapping[str, Any]) -> float:
    # Positive: filled worse than planned, in R of the plan.
    side = 1.0 if row["direction"] == "long" else -1.0
    return side * (float(row["fill"]) - float(row["entry"])) / abs(float(row["entry"]) - float(row["sl"]))
