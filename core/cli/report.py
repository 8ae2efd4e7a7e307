"""`report`: the weekly report on the terminal, as JSON, or as the HTML page that the daemon writes each Monday."""

from argparse import Namespace
from pathlib import Path

from core.cli import opening
from core.cli.screen import Out
from core.engine import weekly_report
from core.engine.context import Context
from core.notify import report_html, report_words
from core.store import reads


def run(args: Namespace, out: Out) -> int:
    """Print the figures of the last whole weeks, and write the page to --html; reads only."""
    cfg = opening.config(args)
    with reads.looking(opening.existing(opening.db_path(args, cfg))) as db:
        ctx = Context(cfg, db, opening.clock_for(db, cfg))
        figures = weekly_report.last(ctx, db.con, args.weeks, args.until)
    out.result(figures)
    for line in report_words.lines(figures):
        out.say(line)
    if args.html:
        path = Path(args.html).expanduser()
        weekly_report.write(path, report_html.page(figures))
        out.note(f"written to {path}")
    return 0
