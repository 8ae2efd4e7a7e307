"""`reconcile`: are the stored live signals what the stored candles give? Names the first differing field."""

from argparse import Namespace

from core.cli import opening
from core.cli.options import check_span
from core.cli.screen import Out, counted
from core.config import Config
from core.engine import daily_reconcile
from core.engine.reconcile import ReconcileResult, reconcile
from core.errors import LockHeld

_SHOWN = 20


def run(args: Namespace, out: Out) -> int:
    """Recompute and compare; exit code 1 where a row differs."""
    check_span(args.start, args.end)
    cfg = opening.config(args)
    found, note = _reconciled(args, cfg)
    same = found.checked - len(found.differing)
    out.result(
        {
            "checked": found.checked,
            "same": same,
            "skipped": found.skipped,
            "marked": found.marked,
            "differing": found.differing,
            "first": found.first,
        }
    )
    out.say(
        f"live = replay: {same:,}/{found.checked:,}"
        + ("" if args.start else " (of the last 24 hours; --start looks further back)")
    )
    if found.skipped:
        out.say(f"{counted(found.skipped, 'row')} differ and saw a candle that was rewritten later (`revised`){note}")
    if found.first:
        out.say(f"first difference: {found.first}")
    for line in found.differing[1:_SHOWN]:
        out.say(f"  {line}")
    if len(found.differing) > _SHOWN:
        out.say(f"  and {len(found.differing) - _SHOWN:,} more (--json names all)")
    return 1 if found.differing else 0


def _reconciled(args: Namespace, cfg: Config) -> tuple[ReconcileResult, str]:
    # It writes the marks `revised`, and what the last day gave for the page Truth; beside a running daemon it reads.
    try:
        with opening.writer(args, cfg, "reconcile") as ctx:
            found = reconcile(ctx, args.start, args.end, mark=True)
            if args.start is None and args.end is None:
                daily_reconcile.keep(ctx, found)
            return found, ""
    except LockHeld:
        with opening.reader(args, cfg) as ctx:
            return reconcile(ctx, args.start, args.end), "; not marked now, since the daemon is writing"
