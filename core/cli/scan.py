"""`scan`: one tick's resample, scan and execute over what is stored, without the exchange."""

from argparse import Namespace

from core.cli import opening
from core.cli.screen import Out, counted
from core.engine.execute import execute
from core.engine.resample import resample
from core.engine.scan import scan
from core.errors import DataError


def run(args: Namespace, out: Out) -> int:
    """Bring bars, decisions and plans up to the stored minutes; running it twice changes nothing."""
    cfg = opening.config(args)
    with opening.writer(args, cfg, "scan") as ctx:
        ctx.ensure_rows()
        failed: dict[str, str] = {}
        now = ctx.clock.now()
        found = {"bars": resample(ctx), "signals": scan(ctx, now, failed), "trades": execute(ctx, now, failed)}
    if failed:
        raise DataError("; ".join(f"{symbol}: {why}" for symbol, why in failed.items()))
    out.result(found)
    out.say(
        f"{counted(found['bars'], 'bar')} built, {counted(found['signals'], 'signal')} written, "
        f"{counted(found['trades'], 'trade')} moved on; `python retro_scan.py` decides older history"
    )
    return 0
