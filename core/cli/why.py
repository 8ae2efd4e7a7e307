"""`why ID`: one decision explained, gate by gate, with what happened since."""

from argparse import Namespace

from core.cli import opening
from core.cli.screen import Out
from core.engine import why


def run(args: Namespace, out: Out) -> int:
    """Find the signal and explain it; reads only."""
    cfg = opening.config(args)
    with opening.reader(args, cfg) as ctx:
        facts = why.gather(ctx, why.find(ctx, args.id))
    out.result(facts)
    for line in why.lines(facts, out.out.paint):
        out.say(line)
    return 0
