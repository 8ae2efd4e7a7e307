"""`diff A B`: compare the signals and trades of two databases."""

from argparse import Namespace
from pathlib import Path

from core.cli import opening
from core.cli.options import check_span
from core.cli.screen import Out
from core.engine.diff import compare


def run(args: Namespace, out: Out) -> int:
    """Print what was compared and the first difference; exit code 1 where they differ."""
    check_span(args.start, args.end)
    a, b = opening.existing(Path(args.a)), opening.existing(Path(args.b))
    found = compare(a, b, args.start, args.end)
    out.result({"same": found.same, "counts": dict(found.counts), "lines": list(found.lines)})
    for line in found.lines:
        out.say(line)
    return 0 if found.same else 1
