"""The weekly report: a page on disk and a message, once for each week that has ended.

It only looks: through a connection of its own, so that no tick waits, and it writes no row but its own alert.
"""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.engine import announce, week_figures
from core.engine.context import Context
from core.engine.week_figures import WEEK, monday
from core.notify import report_html, report_words
from core.store import reads, runs
from core.store.candles import Con
from core.store.reads import report as queries
from core.timeframe import DAY

log = logging.getLogger(__name__)

DONE = "weekly_report"  # state: the end of the last week that was reported
WAIT = DAY  # so long the report of a week waits for minutes that are not followed yet
TOLD_FOR = 4 * DAY


def run(ctx: Context, due: int) -> int:
    """Report the week that ended last before `due` (ms UTC), unless that is done; 1 where it was made.

    Asked every hour, so that a restart or an outage on Monday loses no report. Waits up to a day while minutes of
    that week are still to be followed. A week before the first live decision has no report.
    """
    end = monday(due)
    with ctx.db.lock:
        done = runs.get(ctx.db.con, DONE, 0)
    if done >= end:
        return 0
    with reads.looking(ctx.db.path) as db:
        if not _ready(ctx, db.con, end, due):
            return 0
        figures = week_figures.of(replace(ctx, db=db), db.con, end - WEEK, end)
    path = folder(ctx) / f"week-{figures['name']}.html"
    write(path, report_html.page(figures))
    body, now = report_words.message(figures, str(path)), ctx.clock.now()
    with ctx.db.write() as con:
        runs.put(con, DONE, end)
        announce.tell(ctx, con, "weekly", f"weekly:{end}", body, now, now + TOLD_FOR)
    log.info("weekly report %s: %s", figures["name"], path)
    return 1


def last(ctx: Context, con: Con, weeks: int = 1, until: int | None = None) -> dict[str, Any]:
    """The figures of the last `weeks` whole weeks before `until` (default: now), from a connection that only reads.

    Where nothing was live before the running week began, that week so far. `until` itself is an end where given.
    """
    now = ctx.clock.now()
    live = queries.live_since(con, ctx.exchange_id)
    if until is None and live is not None and monday(now) <= live < now:
        return week_figures.of(ctx, con, monday(now), now)
    end = monday(now) if until is None else until
    return week_figures.of(ctx, con, monday(end - 1) - (weeks - 1) * WEEK, end)


def folder(ctx: Context) -> Path:
    """Where reports lie: `reports` in app.data_dir; those of another file than the configured one beside that."""
    if ctx.db.path == Path(ctx.cfg.app.db_path):
        return Path(ctx.cfg.app.data_dir) / "reports"
    return ctx.db.path.parent / "reports" / ctx.db.path.stem


def write(path: Path, text: str) -> None:
    """Write a text file so that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _ready(ctx: Context, con: Con, end: int, due: int) -> bool:
    live = queries.live_since(con, ctx.exchange_id)
    if live is None or live >= end:
        return False
    followed = queries.followed_until(con, ctx.exchange_id, ctx.cfg.symbols)
    return due >= end + WAIT or (followed is not None and followed >= end)
