"""The way of a stored plan's stop is recomputed from its candles, and ends where the row says."""

from pathlib import Path

import pytest

from core.engine import params, rows, stops
from core.store import signals
from core.store.db import Database
from core.store.reads import chart as reads
from tests.dashboard import rig


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished demo, only to be read."""
    return rig.demo_db(tmp_path_factory.mktemp("stops"))


def test_it_begins_with_the_fill_and_ends_with_the_stop_of_the_row(db: Path) -> None:
    file = Database(db, readonly=True)
    moved = 0
    for row in signals.row_dicts(file.con.execute("SELECT * FROM signals")):
        trade, body = signals.trade_row(file.con, row["id"]), reads.body(file.con, row["config_hash"])
        times, found = stops.path(file.con, row, trade, body)
        if trade["opened_ts"] is None or trade["stop"] == row["sl"]:
            assert times == found == [], row["id"]
            continue
        moved += 1
        assert (times[0], found[0]) == (trade["opened_ts"], row["sl"]), row["id"]
        assert found[-1] == trade["stop"] and times == sorted(times) and len(times) >= 2, row["id"]
        if trade["closed_ts"] is not None:
            assert times[-1] == trade["closed_ts"], row["id"]
    file.close()
    assert moved > 0, "the demo holds a plan whose stop moved"


def test_the_order_of_a_row_is_that_of_its_trade(db: Path) -> None:
    file = Database(db, readonly=True)
    row = signals.row_dicts(file.con.execute("SELECT * FROM signals LIMIT 1"))[0]
    body = reads.body(file.con, row["config_hash"])
    order = rows.row_order(row, body)
    assert (order.entry, order.sl, order.decided_ts) == (row["entry"], row["sl"], row["decided_ts"])
    assert order == rows.row_order(row, params.terms(body))
    file.close()
