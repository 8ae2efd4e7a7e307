"""Reads for people: the digest, `status` and the other small commands."""

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
    ungated = row_dicts(con.execute(
        "SELECT * FROM signals WHERE exchange = ? AND decided_ts >= ? AND decided_ts < ? AND origin = 'live' "
        "AND verdict = 'pass' AND reason = 'ungated' ORDER BY decided_ts, id", (exchange, start, end)))
    refused = refusals(con, exchange, start, end)
    closed = row_dicts(con.execute(
        "SELECT t.*, g.verdict, g.symbol FROM signals g JOIN positions p ON p.signal = g.n JOIN trades t ON t.signal_id = g.id "
        "WHERE g.exchange = ? AND p.closed_ts >= ? AND p.closed_ts < ? AND g.origin = 'live' AND g.verdict = 'pass' "
        "ORDER BY p.closed_ts, g.id", (exchange, start, end)))
    return Day(ungated, refused, closed)


def refusals(con: Con, exchange: str, start: int, end: int) -> dict[str, int]:
    """Refused live signals decided in [start, end) by the rule that refused (the first word of its reason)."""
    return dict(con.execute(
        "SELECT CASE instr(reason, ' ') WHEN 0 THEN reason ELSE substr(reason, 1, instr(reason, ' ') - 1) END AS rule, count(*) "
        "FROM signals WHERE exchange = ? AND decided_ts >= ? AND decided_ts < ? AND origin = 'live' AND verdict = 'refused' "
        "GROUP BY rule ORDER BY 2 DESC, 1", (exchange, start, end)))


def summary(con: Con, exchange: str) -> dict[str, Any]:
    """Totals of a file: candles, candidates, signals, trades by status, alerts, job runs."""
    one = con.execute("SELECT count(*) FROM ohlcv o JOIN series s ON s.id = o.series WHERE s.exchange = ? AND s.timeframe = '1m'",
                      (exchange,)).fetchone()[0]
    bars = con.execute("SELECT count(*) FROM ohlcv").fetchone()[0] - one
    dropped = dict(con.execute("SELECT name, sum(n) FROM counts WHERE exchange = ? AND name <> 'bars' GROUP BY name", (exchange,)))
    verdicts = dict(con.execute("SELECT verdict, count(*) FROM signals WHERE exchange = ? GROUP BY verdict", (exchange,)))
    by_status = dict(con.execute("SELECT p.status, count(*) FROM positions p JOIN signals g ON g.n = p.signal "
                                 "WHERE g.exchange = ? GROUP BY p.status ORDER BY p.status", (exchange,)))
    opened = con.execute("SELECT count(*) FROM positions p JOIN signals g ON g.n = p.signal WHERE g.exchange = ? "
                         "AND p.opened_ts IS NOT NULL", (exchange,)).fetchone()[0]
    closed = {k: v for k, v in by_status.items() if k not in ("PENDING", "OPEN", "TP1")}
    alerts = dict(con.execute("SELECT state, count(*) FROM alerts GROUP BY state"))
    jobs = dict(con.execute("SELECT state, count(*) FROM job_runs GROUP BY state"))
    stored = sum(verdicts.values())
    return {"candles": one, "bars": bars, "candidates": stored + sum(dropped.values()), "dropped": dropped, "signals": stored,
            "passed": verdicts.get("pass", 0), "refused": verdicts.get("refused", 0), "trades_opened": opened,
            "trades_closed": closed, "trades_unfinished": {k: v for k, v in by_status.items() if k not in closed},
            "alerts_sent": alerts.get("sent", 0), "alerts": alerts, "job_runs": jobs}
