"""Reads of the page System: job runs, watermarks, gaps, and the file itself."""

from typing import Any

from core.store.candles import Con
from core.store.signals import row_dicts

RECENT = 60_000  # job runs looked back over for the last of each job: about ten days


def last_runs(con: Con) -> list[dict[str, Any]]:
    """The newest run of each job among the newest RECENT runs, by name."""
    return row_dicts(
        con.execute(
            "SELECT job, due_ts, started_ts, ended_ts, state, rows, error FROM job_runs WHERE id IN (SELECT max(id) "
            "FROM job_runs WHERE id > (SELECT max(id) FROM job_runs) - ? GROUP BY job) ORDER BY job",
            (RECENT,),
        )
    )


def runs_since(con: Con, since: int) -> list[tuple[str, int, int | None, int | None, str]]:
    """(job, due_ts, started_ts, ended_ts, state) of all runs due since `since`, in order."""
    return con.execute(
        "SELECT job, due_ts, started_ts, ended_ts, state FROM job_runs WHERE due_ts >= ? ORDER BY due_ts, id", (since,)
    ).fetchall()


def failures(con: Con, limit: int = 30) -> list[dict[str, Any]]:
    """The newest runs that did not end well, among the newest RECENT runs."""
    return row_dicts(
        con.execute(
            "SELECT due_ts, job, state, error FROM job_runs WHERE id > (SELECT max(id) FROM job_runs) - ? "
            "AND state <> 'ok' ORDER BY id DESC LIMIT ?",
            (RECENT, limit),
        )
    )


def watermarks(con: Con, exchange: str) -> list[dict[str, Any]]:
    """How far each symbol is fetched, decided, followed and its funding known; from when history is there."""
    return row_dicts(
        con.execute(
            "SELECT s.symbol, min(c.start_ts) AS first_ts, max(c.frontier) AS frontier, count(c.start_ts) AS stretches,"
            " s.scanned_ts, s.followed_ts, s.funding_ts, (SELECT ended_ts FROM series m WHERE m.exchange = s.exchange "
            "AND m.symbol = s.symbol AND m.timeframe = '1m') AS ended_ts FROM symbols s LEFT JOIN sync_checkpoint c "
            "ON c.exchange = s.exchange AND c.symbol = s.symbol WHERE s.exchange = ? GROUP BY s.symbol "
            "ORDER BY s.symbol",
            (exchange,),
        )
    )


def newest_gaps(con: Con, exchange: str, limit: int = 20) -> list[dict[str, Any]]:
    """The newest recorded absences."""
    return row_dicts(
        con.execute(
            "SELECT symbol, start_ts, end_ts, (end_ts - start_ts) / 60000 + 1 AS minutes, reason FROM gaps "
            "WHERE exchange = ? ORDER BY end_ts DESC, symbol LIMIT ?",
            (exchange, limit),
        )
    )


def file_facts(con: Con) -> dict[str, int]:
    """The file's schema, pages, free pages and page size; rewritten candles and newest rows of the logs."""
    found = {name: int(con.execute(f"PRAGMA {name}").fetchone()[0])
             for name in ("user_version", "page_count", "freelist_count", "page_size")}
    for name, table in (("revisions", "revisions"), ("signals", "signals"), ("job_runs", "job_runs")):
        key = "n" if table == "signals" else "id"
        found[name] = int(con.execute(f"SELECT coalesce(max({key}), 0) FROM {table}").fetchone()[0])
    return found


def actions(con: Con, limit: int = 20) -> list[dict[str, Any]]:
    """Who did what lately."""
    return row_dicts(con.execute("SELECT ts, who, what, detail FROM audit_log ORDER BY id DESC LIMIT ?", (limit,)))
