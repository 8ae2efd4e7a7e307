"""What a virtual run tells whoever watches it for the first time: collected, learnt, first passed, first refused."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from apscheduler.triggers.cron import CronTrigger

from core.engine import announce, on_time, promotion
from core.engine.context import Context
from core.engine.jobs import Job
from core.meta.gate import WORDS
from core.notify import messages
from core.store import lived, models, runs
from core.store.candles import Con
from core.timeframe import DAY, show_time

_TOLD = "story"
_VERDICTS = {"pass": "passed", "refused": "refused"}


def jobs_of(ctx: Context) -> list[Job]:
    """The job that looks each minute for what is told once."""
    left = dict(_VERDICTS)
    return [Job("story", CronTrigger(second=50, timezone=UTC), lambda due: _look(ctx, left, due), "tick", quiet=True)]


def collected(ctx: Context, con: Con, found: Mapping[str, Any], start: int) -> None:
    """Tell what the history held; found: counts of the retro scan. start: ms, where the run begins."""
    due = on_time.first_training(ctx.cfg, start)
    n = lived.learnable(con, ctx.exchange_id)
    text = (f"{found.get('candidates', 0):,} candidates in the history before {show_time(start)}; {n:,} of them were "
            "filled and have ended: what the filter learns from. No model has judged any of them.")
    text += f"\nThe first training is due at {show_time(due)}." if due is not None else ""
    _tell(ctx, con, "collected", "Candidates collected", text, start)


def filtered(ctx: Context) -> dict[str, Any]:
    """For the summary of a run: the model that governs, how often one was promoted, and what the filter said."""
    with ctx.db.lock:
        con = ctx.db.con
        promoted = [e for e in models.history(con, models.META) if e.model is not None]
        return {"model": promotion.current(con), "promotions": len(promoted),
                "filter": lived.by_filter(con, ctx.exchange_id, WORDS)}


def _look(ctx: Context, left: dict[str, str], now: int) -> int:
    if not left:
        return 0
    with ctx.db.lock:
        con = ctx.db.con
        if not models.has_history(con):
            return 0
        told = runs.get(con, _TOLD, [])
        found = {verdict: lived.first_judged(con, ctx.exchange_id, WORDS, verdict) for verdict in left
                 if verdict not in told}
    for verdict in told:
        left.pop(verdict, None)
    news = {verdict: row for verdict, row in found.items() if row is not None}
    for verdict, row in news.items():
        del left[verdict]
        with ctx.db.write() as con:
            runs.put(con, _TOLD, [*runs.get(con, _TOLD, []), verdict])
            _tell(ctx, con, verdict, f"First plan {_VERDICTS[verdict]} by the filter", _plan(row), now)
    return len(news)


def _plan(row: Mapping[str, Any]) -> str:
    ends = ("It is announced as a plan to act on." if row["verdict"] == "pass" else
            "It is not announced, and followed on paper all the same: so the filter is held to account.")
    return (f"#{row['short_id']} {row['direction']} {row['symbol']} {row['timeframe']} {row['setup']}: "
            f"p(win) {100 * row['ml_p']:.0f}%, expected {row['ev_pct']:+.2f}% of its size.\n"
            f"Why: {row['reason']}; model {row['model']}. {ends}")


def _tell(ctx: Context, con: Con, key: str, title: str, text: str, now: int) -> None:
    announce.tell(ctx, con, "health", f"story:{key}", messages.note(title, text, label=ctx.label), now, now + 7 * DAY)
