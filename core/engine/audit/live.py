"""What the file says of itself: looks at sealed rows, hashes, the code; and live decisions held against a recount."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

import core
from core.engine import figures
from core.engine.audit.record import Row, signed, unmeasured
from core.engine.context import Context
from core.engine.handback import SEALED
from core.engine.reconcile import ReconcileResult, reconcile
from core.meta import drift
from core.store import models, reports
from core.store.db import Database
from core.store.models import META, Registered, Trial

Reconcile = Callable[..., ReconcileResult]

LEAST = 100  # closed live trades
MADE = "sealed looks, data, code, seed"
LIVE = "live against recount: rows, fills, calibration"
MADE_BAR = "all shown; each look at sealed rows is logged once, with the hash of the rows"
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


class Looks(NamedTuple):
    """Looks at sealed rows.

    logged: in the trial log. made: those that the trainings of the registered models tell of. unlogged, extra:
    made but not logged, and the other way round. unnamed: logged without the hash of the rows.
    """

    logged: int
    made: int
    unlogged: int
    extra: int
    unnamed: int

    @property
    def faults(self) -> str:
        """What is wrong, in words; empty where each look is logged once, with its hash."""
        named = {"WITHOUT A LINE IN THE LOG": self.unlogged, "LOGGED BUT NOT MADE": self.extra,
                 "WITHOUT THE HASH OF THE ROWS": self.unnamed}
        return "".join(f"; {n} {what}" for what, n in named.items() if n)


def looks(log: Sequence[Trial], cards: Sequence[Mapping[str, Any]]) -> Looks:
    """Hold the trial log against what the trainings say they did. cards: each may hold `trials`."""
    logged = Counter(_look(trial.params) for trial in log if trial.kind == SEALED)
    made = Counter(_look(row["params"]) for card in cards for row in card.get("trials", ()) if row["kind"] == SEALED)
    unnamed = sum(n for look, n in logged.items() if len(look[-1]) != 64)
    return Looks(logged.total(), made.total(), (made - logged).total(), (logged - made).total(), unnamed)


def _look(params: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(params.get(name, "")) for name in ("family", "from", "to", "rows"))


def rehearsed(trials: Sequence[Trial]) -> Looks:
    """Log the trials of a training in a file of its own, as the daemon would, and hold them against that log."""
    with TemporaryDirectory() as folder:
        db = Database(Path(folder) / "looks.db")
        try:
            with db.write() as con:
                models.add_trials(con, 0, trials)
            return looks(models.trials(db.con), [{"trials": [trial._asdict() for trial in trials]}])
        finally:
            db.close()


def made_row(found: Looks, known: Sequence[Registered], data: Mapping[str, Any] | None, made: Code, seed: int,
             own: Looks) -> Row:
    """Row 13. found: looks in the file; own: of the training of row 7. known: registered models. data:
    `Dataset.describe`."""
    if data is None:
        return unmeasured(13, MADE, MADE_BAR, f"no data, code {made}, seed {seed}")
    hashes = [str(m.card.get("data", {}).get("hash", ""))[:12] for m in known]
    value = (f"{found.logged:,} looks at sealed rows logged, {found.made:,} made by {len(known)} registered models "
             f"(data {', '.join(hashes) or 'none'}){found.faults}; the training of row 7: {own.logged} logged, "
             f"{own.made} made{own.faults}; data now {data['samples']:,} samples, SHA-256 {str(data['sha256'])[:12]}; "
             f"code {made}; seed {seed}")
    shown = all(hashes) and bool(data["sha256"]) and bool(made.sha256)
    return Row(13, MADE, value, MADE_BAR, shown and not found.faults and not own.faults and own.made > 0,
               detail={"looks": found._asdict(), "rehearsed": own._asdict(), "models": [m.id for m in known],
                       "data": dict(data), "commit": made.commit, "sources": made.sha256, "seed": seed})


def of_file(ctx: Context) -> tuple[Looks, list[Registered], dict[str, str]]:
    """Looks, registered models, and the evidence that the governing one claims by family; nothing in an old file."""
    with ctx.db.lock:
        history = models.history(ctx.db.con, META)
        known = models.registered(ctx.db.con, META)
        log = models.trials(ctx.db.con)
    governing = history[-1].model if history else None
    cards = [m.card for m in known if m.id == governing]
    told = cards[-1].get("families", {}) if cards else {}
    return (looks(log, [m.card for m in known]), known,
            {name: str(f.get("evidence", {}).get("label", "")) for name, f in told.items()})


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
