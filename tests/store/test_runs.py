"""Job runs, remembered values, the audit log."""

import sqlite3
from pathlib import Path

import pytest

from core.store import runs
from core.store.db import Database
from core.store.runs import KEEP_RUNS, JobRun
from core.timeframe import DAY, HOUR


@pytest.mark.covers("D19")
def test_runs_are_kept_for_a_month_and_their_states_are_known(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with db.write() as con:
        runs.add_runs(
            con, [JobRun("tick", 0, 1, 2, "ok", 3, None), JobRun("tick", 10, None, None, "missed", None, None)]
        )
        assert runs.prune_runs(con, KEEP_RUNS + 5) == 1
    assert db.con.execute("SELECT job, due_ts, state FROM job_runs").fetchall() == [("tick", 10, "missed")]
    with pytest.raises(sqlite3.IntegrityError), db.write() as con:
        runs.add_runs(con, [JobRun("tick", 0, 1, 2, "perhaps", 3, None)])
    db.close()


def test_requests_add_up_by_utc_day_and_outcome_and_are_kept_for_a_month(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    day = 20_000 * DAY
    with db.write() as con:
        runs.add_requests(con, day + HOUR, {"ok": 5, "failed": 1})
        runs.add_requests(con, day + 2 * HOUR, {"ok": 2, "limited": 1})
        runs.add_requests(con, day + DAY, {"ok": 10})
    assert runs.requests(db.con) == {day: {"ok": 7, "failed": 1, "limited": 1}, day + DAY: {"ok": 10}}
    assert runs.sent_since(db.con, day) == {"ok": 17, "failed": 1, "limited": 1}
    assert runs.sent_since(db.con, day + DAY) == {"ok": 10}
    with db.write() as con:
        runs.add_requests(con, day + KEEP_RUNS, {"ok": 1})
    assert list(runs.requests(db.con)) == [day + DAY, day + KEEP_RUNS]
    db.close()


def test_values_are_remembered_over_a_restart(tmp_path: Path) -> None:
    for value in (5, None, {"a": [1, 2]}, "x"):
        db = Database(tmp_path / "a.db")
        with db.write() as con:
            runs.put(con, "key", value)
            runs.log(con, 1, "test", "put", str(value))
        db.close()
        db = Database(tmp_path / "a.db")
        assert runs.get(db.con, "key", "default") == value
        db.close()
    db = Database(tmp_path / "a.db", readonly=True)
    assert runs.get(db.con, "other", "default") == "default"
    assert db.con.execute("SELECT count(*) FROM audit_log").fetchone() == (4,)
    db.close()
