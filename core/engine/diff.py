"""Two databases held against each other: do they tell the same signals and trades? (rule 31)"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from core import timeframe
from core.candles import Bars
from core.engine.inputs import bars_needed, setups_of, touched, warm_start
from core.signals.decide import first_complete
from core.store import candles, funding, signals
from core.store import compare as stored
from core.store.candles import Con, Span, Stretch
from core.store.compare import Event, Pair
from core.store.db import Database
from core.timeframe import MINUTE, show_time

Key = tuple[str, str, str]  # exchange, symbol, timeframe
Row = dict[str, Any]
Bodies = Mapping[str, Mapping[str, Any]]
Cut = tuple[int | None, int | None]
Differs = tuple[str, str, str]  # field, value of A, value of B

FREE_COLUMNS = ("n", "origin", "late", "config_hash")  # what equal rows may differ in; the hash is told apart
FUNDED_COLUMNS = ("funding_pct", "funding_known", "pnl_pct", "pnl_usd", "r_multiple")
SHOWN = 10

_SKIPS = {
    "revised": "with a rewritten candle in their span",
    "funding": "compared without funding and net result: funding inputs differ",
    "unfinished": "with a trade unfinished at the common end: compared up to there",
    "delisted": "whose trade was not compared: one file alone knows that the market ended",
}


@dataclass(frozen=True, slots=True)
class DiffResult:
    """same: nothing differs, and something was compared. lines: for people, the first difference among the
    first of them. counts: signals, trades, differences, and rows left out by reason."""

    same: bool
    lines: list[str]
    counts: dict[str, int]


class Difference(NamedTuple):
    """One row that differs: when it was decided, its id, the field, and both values as text."""

    decided_ts: int
    id: str
    field: str
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.id} (decided {show_time(self.decided_ts)}): {self.field}: A {self.a}, B {self.b}"


@dataclass(frozen=True, slots=True)
class _Side:
    """What one file holds of a pair, and whether that file ever ran live."""

    con: Con
    pair: Pair
    live: bool
    bodies: Bodies
    stretch: Stretch


@dataclass(frozen=True, slots=True)
class _Found:
    """What the comparison has found so far. hashes: rows by the config_hash of A and B where they differ."""

    differences: list[Difference] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=lambda: Counter(signals=0, trades=0))
    notes: list[str] = field(default_factory=list)
    ranges: list[Span] = field(default_factory=list)
    hashes: Counter[tuple[str, str]] = field(default_factory=Counter)
    bodies: dict[str, Any] = field(default_factory=dict)


class _Both(NamedTuple):
    """The same thing of both files; None where a file lacks it."""

    a: Any
    b: Any


def compare(path_a: Path | str, path_b: Path | str, start: int | None = None, end: int | None = None) -> DiffResult:
    """Compare signals, trades and their events of two databases over what both have decided; reads only.

    The common range of a (exchange, symbol, timeframe) is max(begin A, begin B) <= decided_ts <= the lesser
    scanned frontier, cut to start <= decided_ts < end. A file begins at `live_from`; without one, but with
    retro's rows (or in a file that never ran live), at the first decision its candles are warm for: that is
    where retro begins, if it was not told otherwise. A timeframe that a live file has not begun yet is
    named, not compared.

    Every column counts but `origin`, `late` and row numbers, and so does the absence of a row. Left out and
    counted apart: rows with a rewritten candle between the start of their warm-up and their end, in either
    file. A trade that neither file has finished before the lesser frontier is compared by what both must
    have seen: its fill, its first target and the events before that frontier (all of it where the frontiers
    are equal). Where the files know different funding rates of a trade's life, its funding and net columns
    are left out. A differing `config_hash` is told once and first.
    """
    found = _Found()
    with ExitStack() as stack:
        cons = []
        for path in (path_a, path_b):
            db = Database(Path(path), readonly=True)
            stack.callback(db.close)
            cons.append(db.con)
        for key in _common(cons[0], cons[1], found.notes):
            _compare_pair(key, cons[0], cons[1], (start, end), found)
    return _result(str(path_a), str(path_b), found)


def _common(a: Con, b: Con, notes: list[str]) -> list[Key]:
    known = stored.symbols(a), stored.symbols(b)
    for name, only in (("A", known[0] - known[1]), ("B", known[1] - known[0])):
        if only:
            notes.append(f"only in {name}: {', '.join(f'{symbol} ({exchange})' for exchange, symbol in sorted(only))}")
    order = list(timeframe.TIMEFRAMES)
    both = stored.pairs(a).keys() & stored.pairs(b).keys()
    return sorted(both, key=lambda key: (key[0], key[1], order.index(key[2])))


def _compare_pair(key: Key, con_a: Con, con_b: Con, cut: Cut, found: _Found) -> None:
    # Each file is read in one short snapshot, so that a daemon may go on writing.
    with stored.snapshot(con_a), stored.snapshot(con_b):
        a, b = _side(con_a, key), _side(con_b, key)
        if not any(x.pair.rows or x.pair.live_from is not None for x in (a, b)):
            return
        span = _range(key, a, b, cut, found.notes)
        if span is not None:
            found.ranges.append(span)
            found.bodies.update({**a.bodies, **b.bodies})
            _compare_rows(key, a, b, span, found)


def _side(con: Con, key: Key) -> _Side:
    stretches = candles.stretches(con, key[0]).get(key[1], [Stretch(0, 0)])
    return _Side(con, stored.pairs(con)[key], stored.has_live(con, key[0]), signals.configs(con), stretches[-1])


# The common range


def _range(key: Key, a: _Side, b: _Side, cut: Cut, notes: list[str]) -> Span | None:
    # (first, last) decided_ts, both inclusive.
    begins = [_begin(key, side) for side in (a, b)]
    for name, begin in zip("AB", begins, strict=True):
        if begin is None:
            notes.append(f"{key[1]} {key[2]}: {name} has not begun to decide it: not compared")
    scanned = [side.pair.scanned_ts for side in (a, b)]
    known = [x for x in (*begins, *scanned) if x is not None]
    if len(known) < 4:
        return None
    first, last = max(known[:2]), min(known[2:])
    first = first if cut[0] is None else max(first, cut[0])
    last = last if cut[1] is None else min(last, cut[1] - 1)
    if first > last:
        notes.append(f"{key[1]} {key[2]}: no common range")
        return None
    return first, last


def _begin(key: Key, side: _Side) -> int | None:
    if side.pair.live_from is not None:
        return side.pair.live_from
    if side.pair.scanned_ts is None or (side.live and not side.pair.rows):
        return None
    size, bars = timeframe.ms(key[2]), _bars(key, side)
    needed = max((bars_needed(body, key[2]) for body in side.bodies.values() if setups_of(body, key[2])), default=None)
    if needed is None:
        return None
    i = first_complete(bars, side.stretch.start, needed, 0)
    return int(bars.ts[i]) + size if i < len(bars) else None


def _bars(key: Key, side: _Side) -> Bars:
    return candles.load(side.con, side.pair.series, timeframe.ms(key[2]), side.stretch.start, side.stretch.frontier)


# Rows


def _compare_rows(key: Key, a: _Side, b: _Side, span: Span, found: _Found) -> None:
    revised = _Revised(key, a, b)
    rows = [{r["id"]: r for r in stored.signal_rows(x.con, key, *span)} for x in (a, b)]
    trades = [stored.trade_rows(x.con, key, *span) for x in (a, b)]
    events = [stored.event_rows(x.con, key, *span) for x in (a, b)]
    for id in rows[0].keys() | rows[1].keys():
        ours, lives = _Both(*(r.get(id) for r in rows)), _Both(*(t.get(id) for t in trades))
        if revised.touch(ours, lives):
            found.counts["revised"] += 1
            continue
        found.counts["signals"] += 1
        first = next(_row(key, a, b, ours, lives, _Both(*(e.get(id, []) for e in events)), found), None)
        if first is not None:
            found.differences.append(Difference((ours.a or ours.b)["decided_ts"], id, *first))


def _row(key: Key, a: _Side, b: _Side, rows: _Both, trades: _Both, events: _Both, found: _Found) -> Iterator[Differs]:
    yield from _absent("the row itself", rows)
    if rows.a["config_hash"] != rows.b["config_hash"]:
        found.hashes[rows.a["config_hash"], rows.b["config_hash"]] += 1
    yield from _columns(rows, FREE_COLUMNS)
    yield from _absent("its trade", trades)
    yield from _trade(key, a, b, trades, events, found.counts)


def _absent(what: str, both: _Both) -> Iterator[Differs]:
    if both.a is None or both.b is None:
        yield what, "absent" if both.a is None else "present", "absent" if both.b is None else "present"


def _columns(rows: _Both, left_out: Collection[str] = ()) -> Iterator[Differs]:
    # Only columns that both files have: one may be of an older schema.
    for name in rows.a:
        if name not in left_out and name in rows.b and rows.a[name] != rows.b[name]:
            yield name, _shown(rows.a[name]), _shown(rows.b[name])


class _Revised:
    """Tells which rows saw a candle that was rewritten, in either file."""

    def __init__(self, key: Key, a: _Side, b: _Side) -> None:
        self._tf, self._bodies = key[2], {**a.bodies, **b.bodies}
        self._end = max(x.pair.followed_ts or 0 for x in (a, b))
        self._spans = sorted({span for x in (a, b) for span in stored.revised_spans(x.con, *key)})
        # The common case needs no bars.
        self._opens = [_bars(key, x).ts.tolist() for x in (a, b)] if self._spans else []

    def touch(self, rows: _Both, trades: _Both) -> bool:
        if not self._spans:
            return False
        known = [row for row in rows if row is not None]
        closed = [trade["closed_ts"] for trade in trades if trade is not None]
        ends = [self._end if ts is None else ts + MINUTE for ts in closed]
        return touched(self._spans, min(map(self._warm, known)), max([known[0]["decided_ts"], *ends]))

    def _warm(self, row: Row) -> int:
        # Of the file with the sparser bars, whose window reaches further back.
        needed = bars_needed(self._bodies[row["config_hash"]], self._tf)
        return min(warm_start(opens, timeframe.ms(self._tf), row["ts"], needed) for opens in self._opens)


# Trades


def _trade(key: Key, a: _Side, b: _Side, trades: _Both, events: _Both, counts: Counter[str]) -> Iterator[Differs]:
    if a.pair.ended_ts != b.pair.ended_ts and "delisted" in (trades.a["exit_reason"], trades.b["exit_reason"]):
        counts["delisted"] += 1
        return
    followed = (a.pair.followed_ts or 0, b.pair.followed_ts or 0)
    common = min(followed)
    if followed[0] != followed[1] and not any(_ended(trade, common) for trade in trades):
        counts["unfinished"] += 1
        yield from _columns(_Both(*(_facts(trade, common) for trade in trades)))
        yield from _events(_Both(*([e for e in side if e[0] < common] for side in events)))
        return
    counts["trades"] += 1
    funded = _funding_differs(key, a, b, trades)
    counts["funding"] += funded
    yield from _columns(trades, FUNDED_COLUMNS if funded else ())
    yield from _events(events)


def _ended(trade: Row, common: int) -> bool:
    return trade["closed_ts"] is not None and trade["closed_ts"] < common


def _facts(trade: Row, common: int) -> Row:
    # What a file that has followed the trade up to `common` must know of it.
    facts: Row = {}
    for time, price in (("opened_ts", "fill"), ("tp1_ts", "tp1_price")):
        known = trade[time] is not None and trade[time] < common
        facts |= {time: trade[time] if known else None, price: trade[price] if known else None}
    return facts


def _events(events: _Both) -> Iterator[Differs]:
    for n, (ours, theirs) in enumerate(zip_longest(*events), start=1):
        if ours != theirs:
            yield f"event {n}", _event(ours), _event(theirs)


def _event(event: Event | None) -> str:
    if event is None:
        return "absent"
    ts, name, price, share, fee = event
    return f"{name} {show_time(ts)} at {price}, share {share}, fee {fee}"


def _funding_differs(key: Key, a: _Side, b: _Side, trades: _Both) -> bool:
    trade = trades.a if trades.a["opened_ts"] is not None else trades.b
    if trade["opened_ts"] is None or trade["closed_ts"] is None:
        return False
    life = trade["opened_ts"], trade["closed_ts"]
    inputs = [(funding.rates(x.con, key[0], key[1], *life), _all_known(key, x, *life)) for x in (a, b)]
    return inputs[0] != inputs[1]


def _all_known(key: Key, side: _Side, opened_ts: int, closed_ts: int) -> bool:
    first, last = funding.bounds(side.con, key[0], key[1])
    around = first is not None and last is not None and first <= opened_ts and last > closed_ts
    return around or (side.pair.funding_ts or -1) >= closed_ts


# The report


def _result(path_a: str, path_b: str, found: _Found) -> DiffResult:
    differences = sorted(found.differences)
    lines = [f"A = {path_a}, B = {path_b}", *_config_lines(found)]
    if differences:
        by_field = ", ".join(f"{name} {n}" for name, n in Counter(d.field for d in differences).most_common())
        lines.append(f"first difference: {differences[0]}")
        lines += [f"also: {d}" for d in differences[1:SHOWN]]
        lines.append(f"{len(differences)} rows differ, by first field: {by_field}")
    counts = dict(found.counts) | {"differences": len(differences)} | {name: found.counts[name] for name in _SKIPS}
    lines += [*found.notes, _compared(found)]
    lines += [f"{counts[name]} rows {why}" for name, why in _SKIPS.items() if counts[name]]
    same = bool(found.ranges) and not differences and not found.hashes
    lines.append("no difference" if same else "the files differ" if found.ranges else "nothing could be compared")
    return DiffResult(same, lines, counts)


def _compared(found: _Found) -> str:
    counts = f"{found.counts['signals']} signals and {found.counts['trades']} whole trades compared"
    if not found.ranges:
        return counts
    first, last = min(r[0] for r in found.ranges), max(r[1] for r in found.ranges)
    return f"{counts} in {len(found.ranges)} series, decided from {show_time(first)} to {show_time(last)}"


def _config_lines(found: _Found) -> list[str]:
    lines = []
    for (ours, theirs), n in found.hashes.most_common():
        a, b = _flat(found.bodies[ours]), _flat(found.bodies[theirs])
        changed = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
        lines.append(
            f"the configurations of {n} rows differ: config_hash A {ours}, B {theirs}"
            + "".join(f"; {name}: A {a.get(name)}, B {b.get(name)}" for name in changed[:3])
        )
    return lines


def _flat(body: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(body, Mapping):
        return {prefix: body}
    parts = [_flat(item, f"{prefix}.{name}" if prefix else name) for name, item in body.items()]
    return {name: value for part in parts for name, value in part.items()}


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
