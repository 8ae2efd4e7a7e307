"""Once a day: the live rows of the last 24 hours recomputed, and what that gave kept for those who look.

It looks through a connection of its own, so that no tick waits, and writes one remembered value.
"""

import logging
from dataclasses import asdict, dataclass, replace

from core.engine import announce
from core.engine.artifacts import Models
from core.engine.context import Context
from core.engine.reconcile import ReconcileResult, reconcile
from core.notify import messages
from core.store import reads, runs
from core.store.candles import Con
from core.timeframe import DAY, floor

log = logging.getLogger(__name__)

NAME = "daily_reconcile"
SHOWN = 20  # differing rows that are kept in words
_KEY = "reconcile"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the last look gave. ts: when, ms UTC. differ: rows that differ, the first SHOWN of them in `lines`.

    checked and skipped: as in ReconcileResult.
    """

    ts: int
    checked: int
    differ: int
    skipped: int
    lines: tuple[str, ...]


def run(ctx: Context, due: int) -> int:
    """Recompute the last 24 hours unless that is done since the UTC day of `due` (ms) began; rows recomputed.

    Asked every hour, so that a day begun while the daemon was away has its look too. Rows that differ are told.
    """
    with ctx.db.lock:
        before = last(ctx.db.con)
    if before is not None and before.ts >= floor(due, DAY):
        return 0
    with reads.looking(ctx.db.path) as db:
        found = reconcile(replace(ctx, db=db, exchange=None, models=Models(), atr_cache={}, terms={}))
    if not found.checked and before is None:
        return 0  # nothing live yet: asked again in an hour
    keep(ctx, found)
    if found.differing:
        _tell(ctx, found)
    return found.checked


def keep(ctx: Context, found: ReconcileResult) -> None:
    """Write down what a look at the last 24 hours gave. For the holder of the lock."""
    lines = tuple(found.differing[:SHOWN])
    kept = Kept(ctx.clock.now(), found.checked, len(found.differing), found.skipped, lines)
    with ctx.db.write() as con:
        runs.put(con, _KEY, asdict(kept))


def _tell(ctx: Context, found: ReconcileResult) -> None:
    now, many = ctx.clock.now(), len(found.differing)
    log.error("%d of %d live rows are not what the candles give: %s", many, found.checked, found.first)
    with ctx.db.write() as con:
        body = messages.not_the_same(many, found.checked)
        announce.tell(ctx, con, "health", f"reconcile:{floor(now, DAY)}", body, now, now + DAY)


def last(con: Con) -> Kept | None:
    """What the last look gave; None before the first."""
    found = runs.get(con, _KEY)
    return None if found is None else Kept(**{**found, "lines": tuple(found["lines"])})
