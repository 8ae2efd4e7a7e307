"""`retro_scan.py --walk-forward`: the system lives through 20 months of three symbols, learning each week."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import data
from bench.jobs.retro import Watch
from bench.measure import Row, Scale, apart, cpu, peak_mb
from core.config.schema import Config
from core.engine import jobs, lived, lived_figures

SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
TIMEFRAMES = ("15m", "1h", "4h")
DAYS = 608
LIMIT = 600  # seconds on two cores


def run(scale: Scale) -> list[Row]:
    """The whole run, and the parts it spends its time in."""
    path = scale.folder / "lived.db"
    apart(make, path, scale.pick(DAYS, 70))
    ctx = data.context(path, config())
    began, watch = time.monotonic(), Watch(lived, "_lines", "_advance")
    weekly, found = Watch(jobs, "run"), dict[str, Any]()
    spent = cpu(lambda: found.update(done=watch.run(lambda: weekly.run(lambda: lived.run(ctx, None, None)))))
    seconds = time.monotonic() - began
    span, counts = found["done"]
    told = lived_figures.figures(ctx, span)
    ctx.db.close()
    return _rows(seconds, spent, watch.spent + weekly.spent, counts, told)


def _rows(seconds: float, spent: float, parts: Counter[str], counts: Counter[str], told: dict[str, Any]) -> list[Row]:
    learned = told["learned"]
    note = (f"{told['weeks']} weeks, {counts['written']:,} rows, {learned['trainings']} trainings, {learned['models']} "
            f"models; {spent:.0f} CPU s")
    return [
        Row("walk-forward, 3 symbols, 3 timeframes, wall time", seconds, "s", limit=LIMIT, note=note),
        Row("  of it candidates, outcomes and features", parts["_lines"], "s", note="CPU, once"),
        Row("  of it verdicts and rows", parts["_advance"], "s", note="CPU"),
        Row("  of it training, calibration, tuning, drift", parts["run"], "s", note="CPU"),
        Row("  memory", peak_mb(), "MB"),
    ]


def config() -> Config:
    """The shipped configuration on three timeframes."""
    return replace(data.shipped(), symbols=SYMBOLS, timeframes=TIMEFRAMES)


def make(path: Path, days: int) -> None:
    """A file with the three symbols and all their timeframes."""
    ctx = data.context(path, config())
    for symbol in SYMBOLS:
        data.fill(ctx, symbol, data.minutes(symbol, days), derived=True)
    ctx.db.checkpoint()
    ctx.db.close()
