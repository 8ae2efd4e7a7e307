"""Job runs, small remembered values, and who did what."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from core.store.candles import Con
from core.timeframe import DAY, floor

KEEP_RUNS = 30 * DAY
_REQUESTS = "requests"


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


def add_requests(con: Con, now: int, sent: Mapping[str, int]) -> None:
    """Add requests sent to the exchange, by outcome, to those of the UTC day of `now`; kept as long as job runs."""
    day, known = floor(now, DAY), requests(con)
    of_day = known.setdefault(day, {})
    for outcome, n in sent.items():
        of_day[outcome] = of_day.get(outcome, 0) + n
    put(con, _REQUESTS, {str(ts): counts for ts, counts in sorted(known.items()) if ts > day - KEEP_RUNS})


def requests(con: Con) -> dict[int, dict[str, int]]:
    """Requests sent to the exchange by UTC day (ms) and outcome (ok, failed, limited), oldest day first."""
    return {int(ts): counts for ts, counts in get(con, _REQUESTS, {}).items()}


def sent_since(con: Con, since: int) -> Counter[str]:
    """Requests sent to the exchange by outcome, of the UTC days from `since` (the open of a day, ms) on."""
    found: Counter[str] = Counter()
    for day, counts in requests(con).items():
        found.update(counts if day >= since else {})
    return found


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
