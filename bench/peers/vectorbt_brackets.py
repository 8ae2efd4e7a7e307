"""vectorbt's from_signals over the prices and entries of a .npz file; prints JSON. Runs where vectorbt is installed."""

import json
import statistics
import sys
import time

import numpy as np
import pandas as pd
import vectorbt


def main() -> None:
    """Simulate several times; the first time compiles and does not count."""
    given = np.load(sys.argv[1])
    index = pd.to_datetime(given["ts"], unit="ms")
    series = {name: pd.Series(given[name], index=index) for name in ("open", "high", "low", "close", "long", "short")}
    trades, taken = 0, []
    for _ in range(int(sys.argv[2]) + 1):
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
        taken.append(time.process_time() - began)
        trades = int(found.trades.count())
    print(json.dumps({"version": vectorbt.__version__, "seconds": statistics.median(taken[1:]),
                      "first": taken[0], "trades": trades}))


main()
