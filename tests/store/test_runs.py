"""Job runs, remembered values, the audit log."""

import sqlite3
from pathlib import Path

import pytest

from core.store import runs
from core.store.db import Database
from core.store.runs import KEEP_RUNS, JobRun


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
