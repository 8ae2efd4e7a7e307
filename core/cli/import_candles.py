"""`import-candles`: candles and funding rates that a user already owns (rule 33)."""

from argparse import Namespace
from pathlib import Path

from core import timeframe
from core.cli import opening
from core.cli.options import UsageError, nearest
from core.cli.progress import Bar
from core.cli.screen import Out
from core.clock import SystemClock
from core.engine.importing import import_candles


def run(args: Namespace, out: Out) -> int:
    """Store the files; what is refused is named, and the exit code is 1 where anything was."""
    if args.timeframe is not None and args.timeframe not in timeframe.TIMEFRAMES:
        known = list(timeframe.TIMEFRAMES)
        raise UsageError(f"{args.timeframe} is not a timeframe ({', '.join(known)}){nearest(args.timeframe, known)}")
    paths = [Path(path).expanduser() for path in args.paths]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise UsageError(f"no such file or folder: {', '.join(missing)}")
    cfg = opening.exchange_named(opening.config(args), args.exchange)
    bar = Bar(out.err, SystemClock(), "import", "rows")
    with opening.writer(args, cfg, "import-candles", make=True) as ctx:
        ctx.ensure_rows()
        found = import_candles(ctx, paths, args.symbol, args.timeframe, bar)
    bar.close()
    out.result({"rows": found.rows, "gaps": found.gaps, "refused": found.refused, "lines": found.lines})
    for line in found.lines:
        out.say(line)
    for line in found.refused:
        out.note(f"refused: {line}")
    return 1 if found.refused else 0
