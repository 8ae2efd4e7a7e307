"""Job runs, small remembered values, and who did what."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from core.store.candles import Con
from core.timeframe import DAY

KEEP_RUNS = 30 * DAY


class JobRun(NamedTuple):
    """One run of a job: state ok, failed, missed or overlapped."""

    job: str
    due_ts: int
    started_ts: int | None
    ended_ts: int | None
    state: str
    rows: int | None
    error: str | None


def add_runs(con: Con, runs: Iterable[JobRun]) -> None:
    """Record job runs."""
    con.executemany(
        "INSERT INTO job_runs (job, due_ts, started_ts, ended_ts, state, rows, error) VALUES (?, ?, ?, ?, ?, ?, ?)",
        list(runs),
    )


def prune_runs(con: Con, now: int) -> int:
    """Forget job runs older than 30 days."""
    return con.execute("DELETE FROM job_runs WHERE due_ts < ?", (now - KEEP_RUNS,)).rowcount


def last_done(con: Con, job: str) -> int | None:
    """When the newest run of a job that began was due, ms; None where none is remembered."""
    query = "SELECT max(due_ts) FROM job_runs WHERE job = ? AND state IN ('ok', 'failed')"
    found = con.execute(query, (job,)).fetchone()[0]
    return None if found is None else int(found)


def made_ts(con: Con) -> int | None:
    """When the file was first run with a configuration, ms."""
    found = con.execute("SELECT min(first_ts) FROM configs").fetchone()[0]
    return None if found is None else int(found)


def get(con: Con, key: str, default: Any = None) -> Any:
    """A remembered value (JSON), or `default`."""
    row = con.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    return default if row is None else json.loads(row[0])


def put(con: Con, key: str, value: Any) -> None:
    """Remember a value (JSON) under `key`."""
    con.execute(
        "INSERT INTO state VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, json.dumps(value))
    )


def log(con: Con, ts: int, who: str, what: str, detail: str | None = None) -> None:
    """Append to the audit log."""
    con.execute("INSERT INTO audit_log (ts, who, what, detail) VALUES (?, ?, ?, ?)", (ts, who, what, detail))
