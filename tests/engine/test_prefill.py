"""History put in at once is the history that would have been fetched."""

import io
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.engine import demo
from core.engine.context import Context
from core.engine.prefill import prefill
from core.market.generated import GeneratedMarket
from core.store.db import Database
from core.timeframe import DAY, MINUTE
from tests.engine import harness

TABLES = ("candles", "funding", "sync_checkpoint", "gaps")


def run(path: Path, learn: bool) -> None:
    cfg = harness.config(harness.CONFIG.replace(", SOL/USDT:USDT]", "]"))
    options = demo.DemoOptions(start=START, until=START + 3 * MINUTE, history=3 * DAY, edge=1.0, learn=learn)
    db = Database(path)
    demo.run(cfg, db, options, demo.prepare(cfg, options), console=io.StringIO())
    db.close()


START = GeneratedMarket(days=1).start + 4 * DAY + 7 * MINUTE


@pytest.mark.covers("rule 35")
def test_it_gives_the_rows_that_the_exchange_gives(tmp_path: Path) -> None:
    run(tmp_path / "a.db", learn=False)
    run(tmp_path / "b.db", learn=True)
    for table in TABLES:
        assert harness.rows(tmp_path / "a.db", table) == harness.rows(tmp_path / "b.db", table), table
    known = [[r["funding_ts"] for r in harness.rows(tmp_path / name, "symbols")] for name in ("a.db", "b.db")]
    assert known[0] == known[1] and harness.rows(tmp_path / "b.db", "funding")


def test_a_kill_in_between_leaves_no_hole(tmp_path: Path) -> None:
    source = GeneratedMarket(("BTC/USDT:USDT", "SOL/USDT:USDT"), days=40)
    end = source.start + 35 * DAY + 11 * MINUTE

    def filled(path: Path, dies_after: int | None) -> None:
        ctx = Context(harness.config(), Database(path), VirtualClock(end))
        ctx.ensure_rows()
        steps = 0

        def progress(_done: int, _total: int) -> None:
            nonlocal steps
            steps += 1
            if steps == dies_after:
                raise KeyboardInterrupt

        try:
            prefill(ctx, source, source.start, end, progress)
        except KeyboardInterrupt:
            prefill(ctx, source, source.start, end)
        for table in ("sync_checkpoint", "funding"):
            assert ctx.db.con.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0
        ctx.db.close()

    def shape(path: Path) -> list[object]:
        db = Database(path, readonly=True)
        found = [db.con.execute(f"SELECT * FROM {table}").fetchall() for table in ("sync_checkpoint", "funding")]
        found.append(db.con.execute("SELECT series, count(*), min(ts), max(ts), total(close) FROM ohlcv GROUP BY 1"
                                    ).fetchall())
        db.close()
        return found

    filled(tmp_path / "a.db", None)
    for n in (2, 6):
        filled(tmp_path / f"{n}.db", n)
        assert shape(tmp_path / f"{n}.db") == shape(tmp_path / "a.db")
