"""What the weekly report reads. Everything is bounded by time or number; times are ms UTC, spans half-open."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from core.store.candles import Con
from core.store.reads.results import COLUMNS
from core.store.signals import row_dicts

# Positions that ended in a span, by their index, with their signals.
_ENDED = ("FROM symbols s JOIN positions p ON p.symbol_id = s.id AND p.closed_ts >= ? AND p.closed_ts < ? "
          "JOIN signals g ON g.n = p.signal WHERE s.exchange = ? ")
# CROSS keeps the order of the tables.
_DECIDED = ("FROM symbols s CROSS JOIN signals g ON g.exchange = s.exchange AND g.symbol = s.symbol "
            "AND g.decided_ts >= ? AND g.decided_ts < ? JOIN positions p ON p.signal = g.n WHERE s.exchange = ? ")


class Ended(NamedTuple):
    """Plans that ended in a span, by origin and verdict: all of them, those never filled, those in-sample."""

    origin: str
    verdict: str
    ended: int
    never_filled: int
    in_sample: int


def trades(con: Con, exchange: str, origin: str, verdict: str, start: int, end: int) -> Iterator[Sequence[Any]]:
    """Filled plans that ended in [start, end), in-sample ones left out; rows of `columns.FIELDS`. Read it at once."""
    return con.execute(
        f"SELECT {COLUMNS} {_ENDED} AND g.origin = ? AND g.verdict = ? AND g.in_sample = 0 "
        "AND p.pnl_pct IS NOT NULL", (start, end, exchange, origin, verdict))


def ended(con: Con, exchange: str, start: int, end: int) -> list[Ended]:
    """How many plans ended in [start, end)."""
    rows = con.execute(
        f"SELECT g.origin, g.verdict, count(*), sum(p.opened_ts IS NULL), sum(g.in_sample) {_ENDED} "
        "GROUP BY g.origin, g.verdict ORDER BY g.origin, g.verdict", (start, end, exchange))
    return [Ended._make(row) for row in rows]


def listed(con: Con, exchange: str, start: int, end: int, most: int) -> list[dict[str, Any]]:
    """Live, passed and filled plans that ended in [start, end), the newest `most` of them, oldest first."""
    found = row_dicts(con.execute(
        "SELECT g.short_id, g.symbol, g.timeframe, g.setup, g.direction, g.reason, g.late, g.ml_p, g.ev_pct, "
        "p.opened_ts, p.closed_ts, p.status, p.exit_reason, p.pnl_pct, p.r_multiple, "
        f"p.pnl_pct / 100.0 * p.fill * g.qty AS usd {_ENDED} AND g.origin = 'live' AND g.verdict = 'pass' "
        "AND p.pnl_pct IS NOT NULL ORDER BY p.closed_ts DESC, g.id LIMIT ?", (start, end, exchange, most)))
    return found[::-1]


def scored(con: Con, exchange: str, origin: str, start: int, end: int) -> list[tuple[float, int]]:
    """What was claimed and what came: (p(win), 1 = net above zero) of plans that ended in [start, end).

    Passed and refused ones; those that a model may have learned from are left out.
    """
    return con.execute(
        f"SELECT g.ml_p, p.pnl_pct > 0 {_ENDED} AND g.origin = ? AND g.in_sample = 0 AND g.ml_p IS NOT NULL "
        "AND p.pnl_pct IS NOT NULL", (start, end, exchange, origin)).fetchall()


def counts(con: Con, exchange: str, start: int, end: int) -> dict[str, int]:
    """Live bars decided, and candidates dropped by reason, on the UTC days of [start, end)."""
    return dict(con.execute(
        "SELECT c.name, sum(c.n) FROM series s JOIN counts c ON c.exchange = s.exchange AND c.symbol = s.symbol "
        "AND c.timeframe = s.timeframe AND c.day >= ? AND c.day < ? WHERE s.exchange = ? GROUP BY c.name "
        "ORDER BY c.name", (start, end, exchange)))


def decided(con: Con, exchange: str, start: int, end: int) -> list[dict[str, Any]]:
    """Live decisions of [start, end) by verdict and the first word of the reason: plans, filled and late ones."""
    return row_dicts(con.execute(
        "SELECT g.verdict, CASE instr(g.reason, ' ') WHEN 0 THEN g.reason ELSE substr(g.reason, 1, "
        "instr(g.reason, ' ') - 1) END AS rule, count(*) AS plans, count(p.opened_ts) AS filled, sum(g.late) AS late "
        f"{_DECIDED} AND g.origin = 'live' GROUP BY 1, 2 ORDER BY plans DESC, rule", (start, end, exchange)))


def unfinished(con: Con, exchange: str) -> dict[str, int]:
    """Passed live plans that wait or are held now, by status."""
    return dict(con.execute(
        "SELECT p.status, count(*) FROM symbols s JOIN positions p ON p.symbol_id = s.id AND p.closed_ts IS NULL "
        "JOIN signals g ON g.n = p.signal WHERE s.exchange = ? AND g.origin = 'live' AND g.verdict = 'pass' "
        "GROUP BY p.status ORDER BY p.status", (exchange,)))


def followed_until(con: Con, exchange: str, symbols: Sequence[str]) -> int | None:
    """Every minute before this has been followed for all of `symbols`; None where one has not begun."""
    marks = dict(con.execute("SELECT symbol, followed_ts FROM symbols WHERE exchange = ?", (exchange,)))
    known = [marks.get(symbol) for symbol in symbols]
    return min((ts for ts in known if ts is not None), default=None) if None not in known else None


def live_since(con: Con, exchange: str) -> int | None:
    """From when on decisions are live, on the first timeframe that was; None before that."""
    return con.execute("SELECT min(live_from) FROM series WHERE exchange = ?", (exchange,)).fetchone()[0]


def model_news(con: Con, start: int, end: int) -> dict[str, Any]:
    """What happened to models in [start, end): promotions, models made, and sets of parameters tried."""
    promoted = row_dicts(con.execute(
        "SELECT kind, model, promoted_ts, ts, who, why FROM promotions WHERE ts >= ? AND ts < ? ORDER BY n",
        (start, end)))
    made = [{"id": row[0], "kind": row[1], "created_ts": row[2], "promoted": row[3] is not None,
             "families": _labels(row[4])} for row in con.execute(
        "SELECT id, kind, created_ts, promoted_ts, card FROM models WHERE created_ts >= ? AND created_ts < ? "
        "ORDER BY created_ts, id", (start, end))]
    tried, ever = con.execute(
        "SELECT coalesce(sum(ts >= ? AND ts < ?), 0), count(*) FROM trials", (start, end)).fetchone()
    return {"promoted": promoted, "made": made, "tried": tried, "tried_ever": ever}


def governing(con: Con, before: int) -> dict[str, Any] | None:
    """The model in force just before `before`: id, since when, and its families' evidence; None = none."""
    row = con.execute(
        "SELECT p.model, p.promoted_ts, m.card FROM promotions p LEFT JOIN models m ON m.id = p.model "
        "WHERE p.kind = 'meta' AND p.promoted_ts < ? ORDER BY p.promoted_ts DESC, p.n DESC LIMIT 1",
        (before,)).fetchone()
    if row is None or row[0] is None:
        return None
    return {"id": row[0], "promoted_ts": row[1], "families": _labels(row[2])}


def runs(con: Con, start: int, end: int) -> dict[str, dict[str, int]]:
    """Job runs due in [start, end): job -> state -> how many."""
    found: dict[str, dict[str, int]] = {}
    for job, state, n in con.execute(
            "SELECT job, state, count(*) FROM job_runs WHERE due_ts >= ? AND due_ts < ? GROUP BY job, state "
            "ORDER BY job, state", (start, end)):
        found.setdefault(job, {})[state] = n
    return found


def gap_minutes(con: Con, exchange: str, symbols: Sequence[str], start: int, end: int) -> dict[str, int]:
    """Minutes of [start, end) that the exchange never had, by symbol."""
    marks = ", ".join("?" * len(symbols))
    return dict(con.execute(
        "SELECT symbol, sum((min(end_ts + 60000, ?) - max(start_ts, ?)) / 60000) FROM gaps WHERE exchange = ? "
        f"AND symbol IN ({marks}) AND start_ts < ? AND end_ts >= ? GROUP BY symbol ORDER BY symbol",
        (end, start, exchange, *symbols, end, start)))


def alerts(con: Con, start: int, end: int) -> dict[str, int]:
    """Alerts queued in [start, end) by what became of them, among the newest 20,000."""
    return dict(con.execute(
        "SELECT state, count(*) FROM alerts WHERE id > (SELECT max(id) FROM alerts) - 20000 AND created_ts >= ? "
        "AND created_ts < ? GROUP BY state ORDER BY state", (start, end)))


def _labels(card: str | None) -> dict[str, dict[str, str]]:
    families = json.loads(card or "{}").get("families", {})
    return {name: {key: str(part.get("evidence", {}).get(key, "")) for key in ("label", "why")}
            for name, part in families.items()}
