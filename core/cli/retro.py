"""`retro_scan.py`: signals and trades over stored history."""

from argparse import Namespace
from typing import Any

from core.cli import lived, opening
from core.cli.options import UsageError, check_span
from core.cli.progress import Bar
from core.cli.screen import Out, counted
from core.clock import SystemClock
from core.engine import retro
from core.engine.retro import RetroOptions

_OWN = ("bars", "candidates", "written", "existing", "passed", "refused", "symbols_without_candles")


def run(args: Namespace, out: Out) -> int:
    """Scan, store what is missing, and print what was found; or let the system live through it."""
    if args.walk_forward:
        return lived.run(args, out)
    if args.into is not None:
        raise UsageError("--into belongs to --walk-forward")
    clock = SystemClock()
    check_span(args.start, args.end, clock.now())
    cfg = opening.config(args)
    began, bar = clock.monotonic(), Bar(out.err, clock, "retro", "series")
    with opening.writer(args, cfg, "retro_scan.py") as ctx:
        options = RetroOptions(
            args.start,
            args.end,
            args.stride,
            args.limit_per_pair,
            opening.symbols(cfg, args.symbols),
            opening.timeframes(ctx, args.timeframes),
        )
        found = retro.run(ctx, options, bar)
    bar.close()
    found = {**found, "seconds": round(clock.monotonic() - began, 2)}
    out.result(found)
    for line in _lines(found):
        out.say(line)
    return 0


def _lines(found: dict[str, Any]) -> list[str]:
    def n(name: str) -> int:
        return int(found.get(name, 0))

    dropped = {name: value for name, value in found.items() if name not in (*_OWN, "seconds")}
    why = f"; dropped: {', '.join(f'{v:,} {k}' for k, v in sorted(dropped.items()))}" if dropped else ""
    lines = [
        f"{counted(n('bars'), 'bar')} decided, {counted(n('candidates'), 'candidate')}{why}",
        f"{n('written'):,} written ({n('passed'):,} passed, {n('refused'):,} refused), {n('existing'):,} were "
        "there already",
    ]
    if n("symbols_without_candles"):
        lines.append(
            f"{counted(n('symbols_without_candles'), 'symbol')} without candles: `python download_data.py` fetches them"
        )
    return [*lines, f"{found['seconds']:.1f} s; `python -m core analyze` shows the results"]
