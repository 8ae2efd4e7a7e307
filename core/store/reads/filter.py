"""What the page Filter reads: what models said of plans and what came of them, counts, and the bars a rule needs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from core.store.candles import Con

MOST_PLANS = 40_000  # all symbols together
BIN_PCT = 2  # width of the bars of the histogram of p, in percent

FIELDS = ("id", "symbol", "timeframe", "setup", "direction", "trend", "vol", "verdict", "reason", "model", "ts",
          "decided_ts", "closed_ts", "entry", "sl", "tp1", "cost_r", "ml_p", "ev_pct", "pnl_pct", "r_multiple")
_COLUMNS = ", ".join(f"{'p' if name in ('closed_ts', 'pnl_pct', 'r_multiple') else 'g'}.{name}" for name in FIELDS)


class Bin(NamedTuple):
    """Decisions with a p of bin x BIN_PCT percent or more: passed or refused, and the first word of the reason."""

    bin: int
    verdict: str
    word: str
    n: int


class Closed(NamedTuple):
    """Filled and ended plans with targets or without: all of them, those that admission passed, since when."""

    targets: bool
    n: int
    first_ts: int


def stamp(con: Con) -> tuple[int, ...]:
    """Changes when a plan ends, or with the history of models; cheap."""
    ended = con.execute("SELECT count(*), coalesce(max(closed_ts), 0) FROM positions WHERE closed_ts IS NOT NULL")
    told = con.execute("SELECT (SELECT coalesce(max(n), 0) FROM promotions), (SELECT count(*) FROM models), "
                       "(SELECT coalesce(max(id), 0) FROM audit_log)")
    return (*map(int, ended.fetchone()), *map(int, told.fetchone()))


def scored(con: Con, exchange: str, origin: str, since: int) -> list[Sequence[Any]]:
    """Plans decided since `since` that a model scored out of sample and that have filled and ended: rows of FIELDS.

    The newest MOST_PLANS at most, in the order of (decided_ts, id).
    """
    return _newest(con, exchange, since, "AND g.origin = :origin AND g.ml_p IS NOT NULL", {"origin": origin})


def closed(con: Con, exchange: str, since: int) -> list[Sequence[Any]]:
    """Plans decided since `since` that have filled and ended, whoever judged them; otherwise as `scored`."""
    return _newest(con, exchange, since, "", {})


def _newest(con: Con, exchange: str, since: int, more: str, values: dict[str, Any]) -> list[Sequence[Any]]:
    # By symbol, along the index; so that a hundred symbols cost no more than three.
    symbols = [row[0] for row in con.execute("SELECT symbol FROM symbols WHERE exchange = ?", (exchange,))]
    asked = {"exchange": exchange, "since": since, "most": MOST_PLANS // max(1, len(symbols)), **values}
    found: list[Sequence[Any]] = []
    for symbol in symbols:
        found += con.execute(
            f"SELECT {_COLUMNS} FROM signals g JOIN positions p ON p.signal = g.n WHERE g.exchange = :exchange "
            f"AND g.symbol = :symbol AND g.decided_ts >= :since AND g.in_sample = 0 {more} "
            "AND p.closed_ts IS NOT NULL AND p.pnl_pct IS NOT NULL ORDER BY g.decided_ts DESC LIMIT :most",
            {**asked, "symbol": symbol})
    return sorted(found, key=lambda row: (row[FIELDS.index("decided_ts")], row[0]))


def histogram(con: Con, exchange: str, origin: str, since: int) -> list[Bin]:
    """How often p fell where, of all plans scored out of sample since `since`, filled or not."""
    rows = con.execute(
        "SELECT CAST(100.0 * ml_p / ? AS INTEGER) AS bin, verdict, substr(reason, 1, instr(reason || ' ', ' ') - 1), "
        "count(*) FROM signals WHERE exchange = ? AND symbol IN (SELECT symbol FROM symbols WHERE exchange = ?) "
        "AND decided_ts >= ? AND ml_p IS NOT NULL AND in_sample = 0 AND origin = ? GROUP BY 1, 2, 3",
        (BIN_PCT, exchange, exchange, since, origin))
    return [Bin._make(row) for row in rows]


def samples(con: Con, exchange: str, since: int) -> list[Closed]:
    """How many plans a training could learn from: filled, ended, decided since `since`."""
    rows = con.execute(
        "SELECT g.tp1 IS NOT NULL, count(*), min(g.decided_ts) FROM signals g JOIN positions p ON p.signal = g.n "
        "WHERE g.exchange = ? AND g.symbol IN (SELECT symbol FROM symbols WHERE exchange = ?) AND g.decided_ts >= ? "
        "AND p.pnl_pct IS NOT NULL AND p.closed_ts IS NOT NULL GROUP BY 1 ORDER BY 1 DESC",
        (exchange, exchange, since))
    return [Closed(bool(targets), n, first) for targets, n, first in rows]


def closes(con: Con, exchange: str, symbol: str, timeframe: str, start: int, end: int, before: int
           ) -> tuple[list[int], list[float]]:
    """Opens and closes of the bars of [start, end], with `before` bars more in front."""
    series = con.execute("SELECT id FROM series WHERE exchange = ? AND symbol = ? AND timeframe = ?",
                         (exchange, symbol, timeframe)).fetchone()
    if series is None:
        return [], []
    earlier = con.execute("SELECT ts, close FROM ohlcv WHERE series = ? AND ts < ? ORDER BY ts DESC LIMIT ?",
                          (series[0], start, before)).fetchall()
    rows = earlier[::-1] + con.execute("SELECT ts, close FROM ohlcv WHERE series = ? AND ts >= ? AND ts <= ? "
                                       "ORDER BY ts", (series[0], start, end)).fetchall()
    return [row[0] for row in rows], [row[1] for row in rows]


def registrations(con: Con, most: int = 200) -> dict[str, str]:
    """What was said of each model when it was registered: why it was better, or was not."""
    rows = con.execute("SELECT detail FROM audit_log WHERE what = 'model registered' ORDER BY id DESC LIMIT ?", (most,))
    found: dict[str, str] = {}
    for (detail,) in rows:
        id, _, why = str(detail).partition(": ")
        found.setdefault(id, why)
    return found
