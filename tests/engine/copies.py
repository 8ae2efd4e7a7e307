"""Copies of a database to be tampered with, and candle files to be imported."""

import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from core.candles import Bars
from core.engine.backup import backup
from core.market.generated import GeneratedMarket
from core.timeframe import DAY

SOL = "SOL/USDT:USDT"
MARKET = GeneratedMarket((SOL,), seed=3, days=60)
START = MARKET.start
MONTHS_LATER = START + 55 * DAY  # when the tests import: all files are closed by then


def copy(source: Path, target: Path, *statements: str) -> Path:
    """A copy of a database in which some statements were run."""
    backup(source, target)
    edit(target, *statements)
    return target


def edit(path: Path, *statements: str) -> None:
    """Run statements in a database file, in one transaction."""
    con = sqlite3.connect(path)
    with con:
        for statement in statements:
            con.execute(statement)
    con.close()


def ask(path: Path, question: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    con = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return con.execute(question, values).fetchall()
    finally:
        con.close()


def bars(start: int, end: int) -> Bars:
    """Generated minutes of [start, end), in ms after START."""
    return MARKET.candles(SOL, START + start, START + end)


def rows(found: Bars, drop: Collection[int] = ()) -> list[list[Any]]:
    """Rows of a candle file; drop: opens left out."""
    columns = (found.ts, found.open, found.high, found.low, found.close, found.volume)
    return [list(row) for row in zip(*(c.tolist() for c in columns), strict=True) if row[0] not in drop]


def write_csv(path: Path, lines: Iterable[Iterable[Any]], head: str = "ts,open,high,low,close,volume") -> Path:
    """Write a CSV file; floats so that they are read back to the bit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *(",".join(map(repr, line)) for line in lines)]) + "\n")
    return path


def write_rates(path: Path, start: int, end: int) -> Path:
    """A funding file of the generated market."""
    return write_csv(path, MARKET.funding(SOL, START + start, START + end), "ts,rate")
