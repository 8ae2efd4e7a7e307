"""Databases and their faults for the tests of the store."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.store import candles
from core.store.db import Database

T0 = 1_704_067_200_000
M = 60_000
EX, SYM = "bitget", "BTC/USDT:USDT"


def filled(path: Path, minutes: int = 3000) -> Path:
    """A closed database with a symbol and so many minutes."""
    db = Database(path)
    with db.write() as con:
        candles.ensure(con, EX, [SYM], ["1m", "5m"])
        add(con, 0, minutes)
    db.checkpoint()
    db.close()
    return path


def add(con: sqlite3.Connection, a: int, b: int) -> None:
    """Store minutes a <= n < b and move the frontier, as sync does: one transaction."""
    series = candles.series(con, EX)[SYM, "1m"].id
    candles.put_rows(
        con, series, [(T0 + n * M, 1.0 + n, 2.0 + n, 0.5 + n, 1.5 + n, 0.25) for n in range(a, b)], T0 + a * M
    )
    candles.set_stretch(con, EX, SYM, T0, T0 + b * M)


@contextmanager
def full_disk(db: Database) -> Iterator[None]:
    """Let the file not grow by a single page: SQLite answers "database or disk is full"."""
    pages = db.con.execute("PRAGMA page_count").fetchone()[0]
    db.con.execute(f"PRAGMA max_page_count={pages}")
    try:
        yield
    finally:
        db.con.execute("PRAGMA max_page_count=4294967294")
