"""What training, calibration and tuning share: read-only work, a folder handed back, and who takes it in."""

import os
from argparse import Namespace
from collections.abc import Callable

from core.cli import opening
from core.cli.options import UsageError, check_span
from core.cli.progress import Bar
from core.cli.screen import Out
from core.clock import SystemClock
from core.engine import handin, report
from core.engine.context import Context
from core.engine.handback import Handed, Progress, Window
from core.errors import LockHeld

Work = Callable[[Context, Window, Progress], Handed]

LOW = 15  # steps of niceness beside a tick


def run(args: Namespace, out: Out, door: str, label: str, unit: str, work: Work) -> int:
    """Do the work read-only, print its report, and take the result in or leave it to the daemon (rule 34)."""
    if args.low_priority:
        os.nice(LOW)
    check_span(args.start, args.end)
    if args.days is not None and args.start is not None:
        raise UsageError("--days and --start say the same thing: give one of them")
    cfg = opening.config(args)
    clock = SystemClock()
    began, bar = clock.monotonic(), Bar(out.err, clock, label, unit)
    with opening.reader(args, cfg) as ctx:
        done = work(ctx, Window(args.start, args.end, args.days), bar)
    bar.close()
    taken = _taken(args, out, door, done)
    seconds = round(clock.monotonic() - began, 1)
    out.result({"said": done.said, "better": done.better, "handed_back": done.folder.id, "taken_in": taken,
                "samples": done.report["data"]["samples"], "seconds": seconds, "report": done.report})
    for line in report.lines(done.report, full=args.full):
        out.say(line)
    out.say("")
    out.say(done.said.partition(". ")[0].rstrip(".") + ".")  # the report has said why
    out.say(taken or f"handed back as {done.folder.path}: the daemon takes it in before its next scan and tells")
    out.say(f"Time       {seconds:.1f} s")
    return 0


def _taken(args: Namespace, out: Out, door: str, done: Handed) -> str | None:
    # Without a daemon this door writes itself; with one it never waits for the lock.
    try:
        with opening.writer(args, opening.config(args), door) as ctx:
            found = handin.take_in(ctx, done.folder.path, ctx.clock.now())
    except LockHeld:
        return None
    return None if found is None else found.said
