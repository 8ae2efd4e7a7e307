"""What the page Signals and trades reads, and the list of the page Chart: plans that fit a filter, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from core.store.candles import Con
from core.store.signals import row_dicts

SIGNALS, OPEN, CLOSED = "signals", "open", "closed"  # all decisions; under way; filled and ended

_COLUMNS = (
    "g.n, g.id, g.short_id, g.symbol, g.timeframe, g.setup, g.direction, g.decided_ts, g.start_ts, g.expires_ts, "
    "g.entry, g.sl, g.tp1, g.tp2, g.tick, g.lot, g.qty, g.leverage, g.notional, g.risk_pct, g.cost_r, g.tp1_net_pct, "
    "g.trend, g.vol, g.ml_p, g.ev_pct, g.model, g.verdict, g.reason, g.origin, g.late, g.revised, g.in_sample, "
    "p.status, p.exit_reason, p.opened_ts, p.tp1_ts, p.closed_ts, p.fill, p.stop, p.exit_price, p.gross_pct, "
    "p.fees_pct, p.slippage_pct, p.funding_pct, p.funding_known, p.pnl_pct, p.pnl_usd, p.r_multiple, p.mae_pct, "
    "p.mfe_pct, p.closed_ts - p.opened_ts + 60000 AS held"
)
# By index over (exchange, symbol, decided_ts); the others over (symbol, closed_ts) and the unfinished few.
_FROM = {
    SIGNALS: "signals g JOIN positions p ON p.signal = g.n WHERE g.exchange = :exchange AND g.symbol IN ({symbols}) "
             "AND g.decided_ts >= :start AND g.decided_ts < :end",
    OPEN: "symbols s CROSS JOIN positions p ON p.symbol_id = s.id AND p.closed_ts IS NULL CROSS JOIN signals g "
          "ON g.n = p.signal WHERE s.exchange = :exchange AND s.symbol IN ({symbols})",
    CLOSED: "symbols s CROSS JOIN positions p ON p.symbol_id = s.id AND p.closed_ts >= :start AND p.closed_ts < :end "
            "CROSS JOIN signals g ON g.n = p.signal WHERE s.exchange = :exchange AND s.symbol IN ({symbols}) "
            "AND p.opened_ts IS NOT NULL",
}
_TIME = {SIGNALS: "g.decided_ts", OPEN: "g.decided_ts", CLOSED: "p.closed_ts"}
# What a list may be ordered by: a name to an SQL term; rows without a value come last either way.
ORDERS = {
    "time": "", "profit_r": "p.r_multiple", "profit_pct": "p.pnl_pct", "ev": "g.ev_pct", "p": "g.ml_p",
    "held": "p.closed_ts - p.opened_ts", "cost": "g.cost_r", "mfe": "p.mfe_pct", "mae": "p.mae_pct",
}
# Filters by equality: a field of `Wanted` to its column.
_FIELDS = {"timeframes": "g.timeframe", "setups": "g.setup", "directions": "g.direction", "verdicts": "g.verdict",
           "statuses": "p.status", "exits": "p.exit_reason", "origins": "g.origin"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which plans: an empty tuple filters nothing.

    kind: SIGNALS, OPEN or CLOSED. start, end: of decided_ts, for CLOSED of closed_ts; OPEN has no period.
    judges: (model or None, with targets) pairs of which one must have judged the plan; None filters nothing.
    in_sample: True only those, False without them, None both.
    """

    kind: str = SIGNALS
    symbols: tuple[str, ...] = ()
    timeframes: tuple[str, ...] = ()
    setups: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    exits: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    judges: tuple[tuple[str | None, bool], ...] | None = None
    in_sample: bool | None = None
    start: int = 0
    end: int = 2**62


class Group(NamedTuple):
    """How many plans fit, of one verdict, origin and in-sample mark. net_r, net_usd: of those with a result."""

    verdict: str
    origin: str
    in_sample: int
    plans: int
    filled: int
    ended: int
    net_r: float
    net_usd: float


class Stamp(NamedTuple):
    """The newest row number, decided up to, followed up to, and funding known up to (all symbols together)."""

    n: int
    scanned_ts: int
    followed_ts: int
    funding_ts: int


def page(con: Con, exchange: str, wanted: Wanted, *, order: str = "time", down: bool = True, limit: int = 500,
         skip: int = 0) -> list[dict[str, Any]]:
    """At most `limit` of the plans that fit, after the first `skip`. order: a key of ORDERS; down: largest first."""
    where, values = _where(con, exchange, wanted)
    way, time = "DESC" if down else "ASC", _TIME[wanted.kind]
    first = f"{ORDERS[order]} {way} NULLS LAST, " if ORDERS[order] else ""
    last = way if not first else "DESC"
    ordered = f"ORDER BY {first}{time} {last}, g.n {last}"
    # Row numbers are sorted first, and only the rows of the page are read whole.
    return row_dicts(con.execute(
        f"SELECT {_COLUMNS} FROM (SELECT g.n AS n FROM {where} {ordered} LIMIT :limit OFFSET :skip) f "
        f"CROSS JOIN signals g ON g.n = f.n JOIN positions p ON p.signal = g.n {ordered}",
        {**values, "limit": limit, "skip": skip}))


def groups(con: Con, exchange: str, wanted: Wanted) -> list[Group]:
    """All plans that fit, counted by verdict, origin and whether they are in-sample."""
    where, values = _where(con, exchange, wanted)
    return [Group._make(row) for row in con.execute(
        "SELECT g.verdict, g.origin, g.in_sample, count(*), count(p.opened_ts), count(p.pnl_pct), "
        f"coalesce(sum(p.r_multiple), 0.0), coalesce(sum(p.pnl_usd), 0.0) FROM {where} GROUP BY 1, 2, 3", values)]


def newest(con: Con, exchange: str, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
    """The newest decisions that fit, newest first: `page` symbol by symbol, so that no more is read than is shown."""
    rows: list[dict[str, Any]] = []
    for symbol in wanted.symbols or symbols(con, exchange):
        rows += page(con, exchange, _of(wanted, symbol), limit=limit)
    return sorted(rows, key=lambda row: (-row["decided_ts"], -row["n"]))[:limit]


def one(con: Con, signal_id: str) -> dict[str, Any] | None:
    """The plan of a full id, as a row of `page`; None where there is none."""
    found = row_dicts(con.execute(
        f"SELECT {_COLUMNS} FROM signals g JOIN positions p ON p.signal = g.n WHERE g.id = ?", (signal_id,)))
    return found[0] if found else None


def symbols(con: Con, exchange: str) -> list[str]:
    """All symbols that the file knows of an exchange."""
    return [row[0] for row in con.execute("SELECT symbol FROM symbols WHERE exchange = ? ORDER BY symbol", (exchange,))]


def setups(con: Con) -> list[str]:
    """Setups that stand in any configuration a signal was made under."""
    found = con.execute("SELECT DISTINCT j.key FROM configs c, json_each(c.body, '$.signals.setups') j ORDER BY j.key")
    return [row[0] for row in found]


def stamp(con: Con, exchange: str) -> Stamp:
    """How far the file is; cheap. A list made at an equal stamp is the same list."""
    newest = con.execute("SELECT coalesce(max(n), 0) FROM signals").fetchone()[0]
    return Stamp(newest, *con.execute(
        "SELECT coalesce(max(scanned_ts), 0), coalesce(min(followed_ts), 0), coalesce(sum(funding_ts), 0) FROM symbols "
        "WHERE exchange = ?", (exchange,)).fetchone())


def news(con: Con, exchange: str, before: Stamp) -> tuple[int, int]:
    """Plans decided, and positions ended, since an earlier stamp."""
    decided = con.execute("SELECT count(*) FROM signals WHERE n > ? AND exchange = ?", (before.n, exchange)).fetchone()
    ended = con.execute(
        "SELECT count(p.opened_ts) FROM symbols s CROSS JOIN positions p ON p.symbol_id = s.id AND p.closed_ts >= ? "
        "WHERE s.exchange = ?", (before.followed_ts, exchange)).fetchone()
    return int(decided[0]), int(ended[0])


def _of(wanted: Wanted, symbol: str) -> Wanted:
    return replace(wanted, symbols=(symbol,))


def _where(con: Con, exchange: str, wanted: Wanted) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = {"exchange": exchange, "start": wanted.start, "end": wanted.end}
    terms = [_FROM[wanted.kind].format(symbols=_listed("s", wanted.symbols or symbols(con, exchange), values))]
    for name, column in _FIELDS.items():
        chosen: Sequence[str] = getattr(wanted, name)
        if chosen:
            terms.append(f"{column} IN ({_listed(name, chosen, values)})")
    if wanted.in_sample is not None:
        terms.append(f"g.in_sample = {int(wanted.in_sample)}")
    if wanted.judges is not None:
        terms.append(_judged(wanted.judges, values))
    return " AND ".join(terms), values


def _judged(judges: Sequence[tuple[str | None, bool]], values: dict[str, Any]) -> str:
    found = ["0"]
    for i, (model, targets) in enumerate(judges):
        values[f"j{i}"] = model
        found.append(f"(g.model IS :j{i} AND g.tp1 IS {'NOT ' if targets else ''}NULL)")
    return f"({' OR '.join(found)})"


def _listed(name: str, chosen: Sequence[str], values: dict[str, Any]) -> str:
    named = {f"{name}{i}": value for i, value in enumerate(chosen)}
    values.update(named)
    return ", ".join(f":{key}" for key in named)
