"""The filter's own account: what its refusals saved and what they cost, and how those it let pass did.

Every refused plan is followed on paper to its end, so both sides are known. Only what the filter itself decided
counts: plans that admission refused, and plans passed while it only observed, stand in no line here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import fsum
from typing import Any

from core.engine.context import Context
from core.meta.gate import WORDS, is_judged
from core.store.candles import Con
from core.store.reads import account as reads
from core.store.reads.account import Judged
from core.trades.performance import WEEK, block_interval

LIVE, RETRO = "live", "retro"


@dataclass(frozen=True, slots=True)
class Side:
    """Plans on one side of the gate that have ended.

    plans: ended; filled: of them; won: net R above zero. net_r = gained_r - lost_r, the sums of the winners and
    of the losers, both positive. mean_r: net R per filled plan, with low and high of its 95 % interval by week;
    None where it is not defined (no plan, fewer than five weeks).
    """

    plans: int
    filled: int
    won: int
    net_r: float
    gained_r: float
    lost_r: float
    mean_r: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """Both sides of the gate."""

    refused: Side
    passed: Side

    @property
    def saved_r(self) -> float:
        """Losses that the refusals avoided, R."""
        return self.refused.lost_r

    @property
    def cost_r(self) -> float:
        """Gains that the refusals missed, R."""
        return self.refused.gained_r

    @property
    def net_saved_r(self) -> float:
        """What the refusals were worth: saved less cost, R; below zero they cost more than they saved."""
        return self.saved_r - self.cost_r


@dataclass(frozen=True, slots=True)
class Book:
    """The account of one origin. by: of each group of GROUPS its lines by name.

    in_sample: ended plans that the model may have learned from, left out. refused_open, passed_open: not ended.
    """

    origin: str
    whole: Line
    by: Mapping[str, Mapping[str, Line]]
    in_sample: int
    refused_open: int
    passed_open: int

    @property
    def empty(self) -> bool:
        """Whether the filter has decided nothing that ended, and nothing that is open."""
        sides = (self.whole.refused.plans, self.whole.passed.plans, self.refused_open, self.passed_open)
        return not any((*sides, self.in_sample))


@dataclass(frozen=True, slots=True)
class Account:
    """What ended in [start, end) (ms UTC, None = no bound), live and history apart."""

    start: int | None
    end: int | None
    live: Book
    retro: Book

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it, with saved_r, cost_r and net_saved_r of every line."""
        return {"start": self.start, "end": self.end, LIVE: _plain(self.live), RETRO: _plain(self.retro)}


def _month(row: Judged) -> str:
    return datetime.fromtimestamp(row.closed_ts / 1000, UTC).strftime("%Y-%m")


# The ways to cut the account; month: of the end, UTC.
GROUPS: dict[str, Callable[[Judged], str]] = {
    "pair": lambda row: row.symbol, "timeframe": lambda row: row.timeframe,
    "regime": lambda row: f"{row.trend}/{row.vol}", "setup": lambda row: row.setup, "month": _month,
}


def of(ctx: Context, con: Con, start: int | None = None, end: int | None = None,
       groups: Sequence[str] = tuple(GROUPS)) -> Account:
    """The account of plans that ended in [start, end) (ms UTC, None = no bound). Reads only. groups: it is cut by."""
    rows = reads.ended(con, ctx.exchange_id, WORDS, start, end)
    left = reads.unfinished(con, ctx.exchange_id, WORDS)
    return Account(start, end, _book(LIVE, rows, left, groups), _book(RETRO, rows, left, groups))


def judged_by(verdict: str, reason: str) -> str:
    """Who decided: `filter`, `admission` (a refusal of the rules), or nobody yet (``)."""
    if is_judged(reason):
        return "filter"
    return "admission" if verdict == "refused" else ""


def _book(origin: str, rows: Sequence[Judged], left: Mapping[tuple[str, str], int], groups: Sequence[str]) -> Book:
    own = [row for row in rows if row.origin == origin]
    kept = [row for row in own if not row.in_sample]
    by = {group: _cut(kept, GROUPS[group]) for group in groups}
    return Book(origin, _line(kept), by, len(own) - len(kept), left.get((origin, "refused"), 0),
                left.get((origin, "pass"), 0))


def _cut(rows: Sequence[Judged], key: Callable[[Judged], str]) -> dict[str, Line]:
    parts: dict[str, list[Judged]] = {}
    for row in rows:
        parts.setdefault(key(row), []).append(row)
    return {name: _line(parts[name]) for name in sorted(parts)}


def _line(rows: Sequence[Judged]) -> Line:
    refused, passed = ([row for row in rows if row.verdict == verdict] for verdict in ("refused", "pass"))
    return Line(_side(refused), _side(passed))


def _side(rows: Sequence[Judged]) -> Side:
    ended = [(row.r, row.closed_ts // WEEK) for row in rows if row.r is not None]
    r = [value for value, _ in ended]
    gained, lost = fsum(x for x in r if x > 0.0), fsum(-x for x in r if x < 0.0)
    low, high = block_interval(r, [week for _, week in ended]) or (None, None)
    return Side(len(rows), len(r), sum(x > 0.0 for x in r), gained - lost, gained, lost,
                fsum(r) / len(r) if r else None, low, high)


def _plain(book: Book) -> dict[str, Any]:
    found = {group: {name: _plain_line(line) for name, line in lines.items()} for group, lines in book.by.items()}
    return {"whole": _plain_line(book.whole), "by": found, "in_sample": book.in_sample,
            "refused_open": book.refused_open, "passed_open": book.passed_open}


def _plain_line(line: Line) -> dict[str, Any]:
    return {**asdict(line), "saved_r": line.saved_r, "cost_r": line.cost_r, "net_saved_r": line.net_saved_r}
