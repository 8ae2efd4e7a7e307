"""`init-db`: make the database, or bring an existing one to this program's schema."""

from argparse import Namespace

from core.cli import opening
from core.cli.screen import Out
from core.store import reports
from core.store.db import check_file


def run(args: Namespace, out: Out) -> int:
    """Make or migrate the file and the rows of the configured symbols; harmless when all is there."""
    cfg = opening.config(args)
    path = opening.db_path(args, cfg)
    there = path.exists()
    with opening.writer(args, cfg, "init-db", make=True) as ctx:
        check_file(ctx.db)
        ctx.ensure_rows()
        tables = reports.tables(ctx.db.con)
    out.result({"db": str(path), "made": not there, "tables": tables})
    out.say(
        f"{path}: {'was there, nothing was lost' if there else 'made'}; {len(tables)} tables, "
        f"{len(cfg.symbols)} symbols of {cfg.exchange.id}"
    )
    out.say("next: `python scheduler_run.py`, or `python download_data.py` for history first")
    return 0
