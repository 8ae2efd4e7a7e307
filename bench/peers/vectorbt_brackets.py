"""vectorbt's from_signals over the prices and entries of a .npz file. Runs where vectorbt is installed.

Each line of standard input is answered by one simulation and a line of JSON.
"""

import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import vectorbt


def main() -> None:
    """Simulate once for each line of standard input, and once before, which compiles."""
    given = np.load(sys.argv[1])
    index = pd.to_datetime(given["ts"], unit="ms")
    series = {name: pd.Series(given[name], index=index) for name in ("open", "high", "low", "close", "long", "short")}
    seconds, trades = simulate(given, series)
    say({"version": vectorbt.__version__, "seconds": seconds, "trades": trades})
    for _ in sys.stdin:
        say({"seconds": simulate(given, series)[0]})


def simulate(given: Any, series: dict[str, Any]) -> tuple[float, int]:
    """CPU seconds and how many trades were taken."""
    began = time.process_time()
    found = vectorbt.Portfolio.from_signals(
        series["close"],
        entries=series["long"],
        exits=False,
        short_entries=series["short"],
        short_exits=False,
        open=series["open"],
        high=series["high"],
        low=series["low"],
        sl_stop=float(given["sl"]),
        tp_stop=float(given["tp"]),
        upon_opposite_entry="ignore",
        freq="1min",
    )
    taken = time.process_time() - began
    return taken, int(found.trades.count())


def say(answer: dict[str, Any]) -> None:
    """One line of JSON."""
    print(json.dumps(answer), flush=True)


main()
