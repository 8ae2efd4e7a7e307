"""`backup TARGET`: a checked copy of the database, taken while the daemon runs."""

from argparse import Namespace
from pathlib import Path

from core.cli import opening
from core.cli.screen import Out
from core.engine.backup import backup


def run(args: Namespace, out: Out) -> int:
    """Copy the database as of one moment."""
    cfg = opening.config(args)
    found = backup(opening.existing(opening.db_path(args, cfg)), Path(args.target).expanduser())
    out.result(
        {"path": str(found.path), "bytes": found.bytes, "seconds": round(found.seconds, 2), "tables": found.tables}
    )
    for line in found.lines:
        out.say(line)
    return 0
