"""What the daemon holds in memory after a day on the generated market, and what it has loaded."""

import json
import subprocess
import sys
from typing import Any

from bench.measure import Row, Scale


def run(scale: Scale) -> list[Row]:
    """The demo's daemon, with the exchange's server in its process and in another."""
    symbols, history = scale.pick(20, 3), scale.pick(120, 3)
    rows = []
    for apart in (True, False):
        found = one_day(scale, symbols, history, apart=apart)
        where = "server elsewhere" if apart else "server in the same process"
        note = f"peak {found['peak_mb']:.0f} MB, {found['summary'].get('signals', '?')} signals in the day"
        rows.append(Row(f"{symbols} symbols, {where}", found["rss_mb"], "MB", limit=250, note=note))
        if apart:
            loaded = ", ".join(found["heavy"]) or f"none; ccxt: {', '.join(found['ccxt'])}; {found['modules']} modules"
            rows.append(Row("  heavy packages loaded", len(found["heavy"]), "", limit=0, absolute=True, note=loaded))
    return rows


def one_day(scale: Scale, symbols: int, history: int, *, apart: bool) -> dict[str, Any]:
    """Live a day in a process of its own."""
    folder = scale.folder / ("apart" if apart else "together")
    folder.mkdir()
    command = [sys.executable, "-m", "bench.one_day", str(folder), str(symbols), str(history)]
    done = subprocess.run([*command, "--apart"] if apart else command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
