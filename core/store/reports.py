"""Reads for people: the digest, `status` and the other small commands."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from core.store.candles import Con
from core.store.signals import row_dicts


class Day(NamedTuple):
    """What a day brought: ungated rows, refusals by rule, closed trades."""

    ungated: list[dict[str, Any]]
    refused: dict[str, int]
    closed: list[dict[str, Any]]


def day(con: Con, exchange: str, start: int, end: int) -> Day:
    """Live signals decided and trades closed in [start, end)."""
    ungated = row_dicts(
        con.execute(
            "SELECT * FROM signals WHERE exchange = ? AND decided_ts >= ? AND decided_ts < ? AND origin = 'live' "
            "AND verdict = 'pass' AND (reason = 'ungated' OR reason LIKE 'ungated:%') ORDER BY decided_ts, id",
            (exchange, start, end),
        )
    )
    refused = refusals(con, exchange, start, end)
    closed = row_dicts(
        con.execute(
            "SELECT t.*, g.verdict, g.symbol FROM signals g JOIN positions p ON p.signal = g.n JOIN trades t ON "
            "t.signal_id = g.id "
            "WHERE g.exchange = ? AND p.closed_ts >= ? AND p.closed_ts < ? AND g.origin = 'live' AND g.verdict = "
            "'pass' "
            "ORDER BY p.closed_ts, g.id",
            (exchange, start, end),
        )
    )
    return Day(ungated, refused, closed)


def refusals(con: Con, exchange: str, start: int, end: int) -> dict[str, int]:
    """Refused live signals decided in [start, end) by the rule that refused (the first word of its reason)."""
    return dict(
        con.execute(
            "SELECT CASE instr(reason, ' ') WHEN 0 THEN reason ELSE substr(reason, 1, instr(reason, ' ') - 1) END "
            "AS rule, count(*) "
            "FROM signals WHERE exchange = ? AND decided_ts >= ? AND decided_ts < ? AND origin = 'live' AND "
            "verdict = 'refused' "
            "GROUP BY rule ORDER BY 2 DESC, 1",
            (exchange, start, end),
        )
    )


def summary(con: Con, exchange: str) -> dict[str, Any]:
    """Totals of a file: candles, candidates, signals, trades by status, alerts, job runs."""
    one = con.execute(
        "SELECT count(*) FROM ohlcv o JOIN series s ON s.id = o.series WHERE s.exchange = ? AND s.timeframe = '1m'",
        (exchange,),
    ).fetchone()[0]
    bars = con.execute("SELECT count(*) FROM ohlcv").fetchone()[0] - one
    dropped = dict(
        con.execute("SELECT name, sum(n) FROM counts WHERE exchange = ? AND name <> 'bars' GROUP BY name", (exchange,))
    )
    verdicts = dict(
        con.execute("SELECT verdict, count(*) FROM signals WHERE exchange = ? GROUP BY verdict", (exchange,))
    )
    by_status = dict(
        con.execute(
            "SELECT p.status, count(*) FROM positions p JOIN signals g ON g.n = p.signal "
            "WHERE g.exchange = ? GROUP BY p.status ORDER BY p.status",
            (exchange,),
        )
    )
    opened = con.execute(
        "SELECT count(*) FROM positions p JOIN signals g ON g.n = p.signal WHERE g.exchange = ? "
        "AND p.opened_ts IS NOT NULL",
        (exchange,),
    ).fetchone()[0]
    closed = {k: v for k, v in by_status.items() if k not in ("PENDING", "OPEN", "TP1")}
    alerts = dict(con.execute("SELECT state, count(*) FROM alerts GROUP BY state"))
    jobs = dict(con.execute("SELECT state, count(*) FROM job_runs GROUP BY state"))
    stored = sum(verdicts.values())
    return {
        "candles": one,
        "bars": bars,
        "candidates": stored + sum(dropped.values()),
        "dropped": dropped,
        "signals": stored,
        "passed": verdicts.get("pass", 0),
        "refused": verdicts.get("refused", 0),
        "trades_opened": opened,
        "trades_closed": closed,
        "trades_unfinished": {k: v for k, v in by_status.items() if k not in closed},
        "alerts_sent": alerts.get("sent", 0),
        "alerts": alerts,
        "job_runs": jobs,
    }


def last_activity(con: Con) -> int | None:
    """When the newest recorded job ended, ms UTC."""
    return con.execute(
        "SELECT max(coalesce(ended_ts, due_ts)) FROM job_runs WHERE id > (SELECT max(id) - 50 FROM job_runs)"
    ).fetchone()[0]


def last_runs(con: Con) -> list[dict[str, Any]]:
    """The newest run of each job, newest first."""
    return row_dicts(
        con.execute(
            "SELECT job, due_ts, started_ts, ended_ts, state, rows, error FROM job_runs "
            "WHERE id IN (SELECT max(id) FROM job_runs GROUP BY job) ORDER BY id DESC"
        )
    )


def last_error(con: Con) -> dict[str, Any] | None:
    """The newest run that did not end well."""
    found = row_dicts(
        con.execute(
            "SELECT job, due_ts, started_ts, ended_ts, state, error FROM job_runs "
            "WHERE state <> 'ok' ORDER BY id DESC LIMIT 1"
        )
    )
    return found[0] if found else None


def bad_runs(con: Con, start: int, end: int) -> dict[str, int]:
    """Runs due in [start, end) that did not end well, by state."""
    return dict(
        con.execute(
            "SELECT state, count(*) FROM job_runs WHERE due_ts >= ? AND due_ts < ? AND state <> 'ok' GROUP BY state",
            (start, end),
        )
    )


def unfinished(con: Con, exchange: str) -> dict[str, int]:
    """Unfinished plans by status; those that were refused are followed on paper and count as `shadow`."""
    return dict(
        con.execute(
            "SELECT CASE g.verdict WHEN 'pass' THEN p.status ELSE 'shadow' END AS what, count(*) FROM positions p "
            "JOIN signals g ON g.n = p.signal WHERE p.symbol_id IN (SELECT id FROM symbols WHERE exchange = ?) "
            "AND p.closed_ts IS NULL GROUP BY what ORDER BY what",
            (exchange,),
        )
    )


def counts(con: Con, exchange: str, day: int) -> dict[str, int]:
    """What was seen on the UTC day that begins at `day`: bars decided, and candidates dropped by reason."""
    return dict(
        con.execute(
            "SELECT name, sum(n) FROM counts WHERE exchange = ? AND day = ? GROUP BY name ORDER BY name",
            (exchange, day),
        )
    )


def decided(con: Con, exchange: str, start: int, end: int) -> list[dict[str, Any]]:
    """Live signals decided in [start, end), with what the funnel counts."""
    return row_dicts(
        con.execute(
            "SELECT g.verdict, g.reason, g.late, p.opened_ts FROM signals g JOIN positions p ON p.signal = g.n "
            "WHERE g.exchange = ?1 AND g.symbol IN (SELECT symbol FROM symbols WHERE exchange = ?1) "
            "AND g.decided_ts >= ?2 AND g.decided_ts < ?3 AND g.origin = 'live' ORDER BY g.decided_ts, g.id",
            (exchange, start, end),
        )
    )


def closed_between(con: Con, exchange: str, start: int, end: int) -> dict[str, Any]:
    """Live, passed plans that ended in [start, end): how many, how many filled, and their net result in R."""
    row = con.execute(
        "SELECT count(*), count(p.opened_ts), sum(p.r_multiple) FROM positions p JOIN signals g ON g.n = p.signal "
        "WHERE p.symbol_id IN (SELECT id FROM symbols WHERE exchange = ?) "
        "AND p.closed_ts >= ? AND p.closed_ts < ? AND g.origin = 'live' AND g.verdict = 'pass'",
        (exchange, start, end),
    ).fetchone()
    return {"closed": row[0], "filled": row[1], "net_r": row[2]}


def alerts(con: Con, since: int) -> dict[str, Any]:
    """The outbox: alerts by state, those sent since `since` by kind, the oldest one waiting, the newest trouble."""
    states = dict(con.execute("SELECT state, count(*) FROM alerts GROUP BY state"))
    sent = dict(
        con.execute("SELECT kind, count(*) FROM alerts WHERE state = 'sent' AND sent_ts >= ? GROUP BY kind", (since,))
    )
    waiting = con.execute(
        "SELECT count(*), min(created_ts) FROM alerts WHERE state IN ('queued', 'sending') "
        "OR (state = 'unknown' AND lost <= 1)"
    ).fetchone()
    trouble = con.execute(
        "SELECT error FROM alerts WHERE error IS NOT NULL AND state IN ('queued', 'unknown', 'failed') "
        "ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return {
        "states": states,
        "sent": sent,
        "waiting": waiting[0],
        "waiting_since": waiting[1],
        "trouble": trouble[0] if trouble else None,
    }


def alert_about(con: Con, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The alert that announced a signal, or that named it beside others of the same minute."""
    columns = "id, state, created_ts, sent_ts, attempts, error, body"
    found = row_dicts(
        con.execute(
            f"SELECT {columns} FROM alerts WHERE key = ?",
            (f"signal:{row['symbol']}:{row['direction']}:{row['decided_ts']}",),
        )
    )
    if not found and con.execute("SELECT 1 FROM sqlite_schema WHERE name = 'told'").fetchone():
        told = "SELECT alert FROM told WHERE signal = (SELECT n FROM signals WHERE id = ?)"
        found = row_dicts(con.execute(f"SELECT {columns} FROM alerts WHERE id = ({told})", (row["id"],)))
    return found[0] if found else None


def gap_summary(con: Con, exchange: str) -> list[dict[str, Any]]:
    """Recorded absences by symbol: how many, how many minutes, the newest."""
    return row_dicts(
        con.execute(
            "SELECT symbol, count(*) AS gaps, sum((end_ts - start_ts) / 60000 + 1) AS minutes, max(end_ts) AS last_ts "
            "FROM gaps WHERE exchange = ? GROUP BY symbol ORDER BY symbol",
            (exchange,),
        )
    )


def matching(con: Con, text: str, limit: int = 6) -> list[dict[str, Any]]:
    """Signals whose id or short id is `text`, or, where none is, begins with it; at most `limit`."""
    exact = row_dicts(
        con.execute(
            "SELECT * FROM signals WHERE id = ?1 OR short_id = ?2 ORDER BY decided_ts DESC LIMIT ?3",
            (text, text.upper(), limit),
        )
    )
    return exact or row_dicts(
        con.execute(
            "SELECT * FROM signals WHERE substr(id, 1, length(?1)) = ?1 OR substr(short_id, 1, length(?2)) = ?2 "
            "ORDER BY decided_ts DESC LIMIT ?3",
            (text, text.upper(), limit),
        )
    )


def events(con: Con, signal_id: str) -> list[dict[str, Any]]:
    """The money events of a signal, in order."""
    return row_dicts(
        con.execute(
            "SELECT ts, event, price, fraction, fee_pct FROM trade_events WHERE signal_id = ? ORDER BY ts", (signal_id,)
        )
    )


def bars_between(con: Con, exchange: str, symbol: str, timeframe: str, start: int, end: int) -> int:
    """Stored bars with start <= ts <= end."""
    return int(
        con.execute(
            "SELECT count(*) FROM ohlcv o JOIN series s ON s.id = o.series WHERE s.exchange = ? AND s.symbol = ? "
            "AND s.timeframe = ? "
            "AND o.ts >= ? AND o.ts <= ?",
            (exchange, symbol, timeframe, start, end),
        ).fetchone()[0]
    )


def tables(con: Con, counted: Mapping[str, int] | None = None) -> dict[str, int]:
    """Rows by table. counted: rows of large tables that are known already."""
    known = counted or {}
    found = con.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    )
    names = [row[0] for row in found.fetchall()]
    return {n: known.get(n) or con.execute(f'SELECT count(*) FROM "{n}"').fetchone()[0] for n in names}


def series(con: Con) -> list[dict[str, Any]]:
    """Every series with its rows, first and last bar, and watermarks."""
    return row_dicts(
        con.execute(
            "SELECT s.exchange, s.symbol, s.timeframe, count(o.ts) AS rows, min(o.ts) AS first_ts, max(o.ts) AS "
            "last_ts, "
            "s.built_ts, s.live_from, s.ended_ts FROM series s LEFT JOIN ohlcv o ON o.series = s.id GROUP BY s.id "
            "ORDER BY s.exchange, s.symbol, s.id"
        )
    )


def gaps(con: Con) -> list[dict[str, Any]]:
    """Every recorded absence."""
    return row_dicts(
        con.execute("SELECT exchange, symbol, start_ts, end_ts, reason FROM gaps ORDER BY exchange, symbol, start_ts")
    )


def stretches(con: Con) -> list[dict[str, Any]]:
    """Every stretch with its frontier."""
    return row_dicts(
        con.execute(
            "SELECT exchange, symbol, start_ts, frontier FROM sync_checkpoint ORDER BY exchange, symbol, start_ts"
        )
    )


def finished(con: Con, exchange: str, start: int | None, end: int | None) -> list[dict[str, Any]]:
    """Finished trades with their signals, closed in [start, end), oldest first."""
    return row_dicts(
        con.execute(
            "SELECT g.id, g.short_id, g.exchange, g.symbol, g.timeframe, g.setup, g.direction, g.origin, "
            "g.verdict, g.reason, g.late, "
            "g.revised, g.in_sample, g.decided_ts, g.expires_ts, g.entry, g.sl, g.tp1, g.tp2, g.leverage, "
            "g.risk_pct, g.qty, g.notional, "
            "g.tp1_net_pct, g.cost_r, g.trend, g.vol, g.ml_p, g.ev_pct, g.model, g.config_hash, t.status, "
            "t.exit_reason, t.opened_ts, "
            "t.tp1_ts, t.closed_ts, t.fill, t.exit_price, t.gross_pct, t.fees_pct, t.slippage_pct, t.funding_pct, "
            "t.funding_known, "
            "t.pnl_pct, t.pnl_usd, t.r_multiple, t.mae_pct, t.mfe_pct FROM signals g JOIN positions p ON p.signal "
            "= g.n "
            "JOIN trades t ON t.signal_id = g.id WHERE g.exchange = ?1 AND p.closed_ts IS NOT NULL AND p.closed_ts "
            ">= coalesce(?2, 0) "
            "AND p.closed_ts < coalesce(?3, 9e18) ORDER BY p.closed_ts, g.id",
            (exchange, start, end),
        )
    )
