"""Two databases held against each other: do they tell the same signals and trades? (rule 31)"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from core import timeframe
from core.candles import Bars
from core.engine import params
from core.engine.inputs import bars_needed, setups_of, touched, warm_start
from core.signals.decide import first_complete
from core.store import candles, compare, funding, signals
from core.store.candles import Con, Span
from core.store.compare import Event, Pair
from core.store.db import Database
from core.timeframe import MINUTE, show_time

Key = tuple[str, str, str]  # exchange, symbol, timeframe
Row = dict[str, Any]

FREE_COLUMNS = ("n", "origin", "late")  # what two equal files may differ in
FUNDED_COLUMNS = ("funding_pct", "funding_known", "pnl_pct", "pnl_usd", "r_multiple")
SHOWN = 10

_SKIPS = {"revised": "with a rewritten candle in their span",
          "funding": "compared without funding and net result: funding inputs differ",
          "unfinished": "with a trade unfinished at the common end: compared up to there",
          "delisted": "whose trade was not compared: one file alone knows that the market ended"}


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


@dataclass(slots=True)
class _Side:
    """What one file holds of a pair, and whether that file ever ran live."""

    con: Con
    pair: Pair
    live: bool
    bodies: Mapping[str, Mapping[str, Any]]
    stretch: candles.Stretch


@dataclass(slots=True)
class _Found:
    """What the comparison has found so far."""

    differences: list[Difference]
    counts: Counter[str]
    notes: list[str]
    hashes: tuple[set[str], set[str]]
    ranges: list[Span]


def compare_files(path_a: Path | str, path_b: Path | str, start: int | None = None, end: int | None = None) -> DiffResult:
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
    with ExitStack() as stack:
        files = [Database(Path(path), readonly=True) for path in (path_a, path_b)]
        for db in files:
            stack.callback(db.close)
        a, b = (db.con for db in files)
        found = _Found([], Counter(signals=0, trades=0), [], (set(), set()), [])
        bodies = signals.configs(a), signals.configs(b)
        for key in _common(a, b, found.notes):
            _compare_pair(key, (a, b), bodies, (start, end), found)
    return _result(str(path_a), str(path_b), found, bodies)


compare_ = compare_files


def _common(a: Con, b: Con, notes: list[str]) -> list[Key]:
    known = compare.symbols(a), compare.symbols(b)
    for name, only in (("A", known[0] - known[1]), ("B", known[1] - known[0])):
        if only:
            notes.append(f"only in {name}: {', '.join(f'{symbol} ({exchange})' for exchange, symbol in sorted(only))}")
    order = list(timeframe.TIMEFRAMES)
    both = compare.pairs(a).keys() & compare.pairs(b).keys()
    return sorted(both, key=lambda key: (key[0], key[1], order.index(key[2])))


def _compare_pair(key: Key, cons: tuple[Con, Con], bodies: tuple[Any, Any], cut: tuple[int | None, int | None],
                  found: _Found) -> None:
    # Each file is read in one short snapshot, so that a daemon may go on writing.
    with compare.snapshot(cons[0]), compare.snapshot(cons[1]):
        sides = [_side(con, key, body) for con, body in zip(cons, bodies, strict=True)]
        if any(side is None for side in sides):
            return
        a, b = (side for side in sides if side is not None)
        if not (a.pair.rows or b.pair.rows or a.pair.live_from or b.pair.live_from):
            return
        span = _range(key, a, b, cut, found.notes)
        if span is None:
            return
        found.ranges.append(span)
        _compare_rows(key, a, b, span, found)


def _side(con: Con, key: Key, bodies: Any) -> _Side | None:
    pair = compare.pairs(con).get(key)
    stretches = candles.stretches(con, key[0]).get(key[1])
    if pair is None or not stretches:
        return None
    return _Side(con, pair, compare.has_live(con, key[0]), bodies, stretches[-1])


# The common range


def _range(key: Key, a: _Side, b: _Side, cut: tuple[int | None, int | None], notes: list[str]) -> Span | None:
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
    sides, revised = (a, b), _Revised(key, a, b)
    rows = [{r["id"]: r for r in compare.signal_rows(s.con, key, *span)} for s in sides]
    trades = [compare.trade_rows(s.con, key, *span) for s in sides]
    events = [compare.event_rows(s.con, key, *span) for s in sides]
    for side_rows, hashes in zip(rows, found.hashes, strict=True):
        hashes.update(r["config_hash"] for r in side_rows.values())
    for id in sorted(rows[0].keys() | rows[1].keys(), key=lambda id: ((rows[0].get(id) or rows[1][id])["decided_ts"], id)):
        ours = _Both(*(r.get(id) for r in rows)), _Both(*(t.get(id) for t in trades)), _Both(*(e.get(id, []) for e in events))
        if revised.touch(ours[0], ours[1]):
            found.counts["revised"] += 1
            continue
        difference = _first(_row_differences(key, a, b, *ours, found.counts))
        if difference is not None:
            row = ours[0].a or ours[0].b
            found.differences.append(Difference(row["decided_ts"], id, difference[0], *(_shown(x) for x in difference[1:])))


class _Both(NamedTuple):
    """The same thing of both files; None where a file lacks it."""

    a: Any
    b: Any


class _Revised:
    """Tells which rows saw a candle that was rewritten, in either file."""

    def __init__(self, key: Key, a: _Side, b: _Side) -> None:
        self._size = timeframe.ms(key[2])
        self._sides = []
        self._end = max(x.pair.followed_ts or 0 for x in (a, b))
        spans = [compare.revised_spans(x.con, *key) for x in (a, b)]
        self._spans = sorted({*spans[0], *spans[1]})
        if self._spans:  # the common case needs no bars
            self._sides = [(_bars(key, x).ts.tolist(), x.bodies) for x in (a, b)]
        self._tf = key[2]

    def touch(self, rows: _Both, trades: _Both) -> bool:
        if not self._spans:
            return False
        ends = [trade["closed_ts"] for trade in trades if trade is not None]
        end = max((self._end if ts is None else ts + MINUTE for ts in ends), default=self._end)
        return touched(self._spans, min(self._warm(row) for row in rows if row is not None), max(end, self._decided(rows)))

    def _warm(self, row: Row) -> int:
        # Of the file with the sparser bars, whose window reaches further back.
        bodies = [bodies[row["config_hash"]] for _, bodies in self._sides if row["config_hash"] in bodies]
        needed = max(bars_needed(body, self._tf) for body in bodies)
        return min(warm_start(opens, self._size, row["ts"], needed) for opens, _ in self._sides)

    def _decided(self, rows: _Both) -> int:
        return max(row["decided_ts"] for row in rows if row is not None)


def _first(found: Iterator[tuple[str, Any, Any]]) -> tuple[str, Any, Any] | None:
    return next(found, None)


def _row_differences(key: Key, a: _Side, b: _Side, rows: _Both, trades: _Both, events: _Both,
                     counts: Counter[str]) -> Iterator[tuple[str, Any, Any]]:
    counts["signals"] += 1
    if rows.a is None or rows.b is None:
        yield "the row itself", "absent" if rows.a is None else "present", "absent" if rows.b is None else "present"
        return
    yield from _columns(rows, {*FREE_COLUMNS, "config_hash"})
    if trades.a is None or trades.b is None:
        yield "its trade", "absent" if trades.a is None else "present", "absent" if trades.b is None else "present"
        return
    yield from _trade_differences(key, a, b, trades, events, counts)


def _columns(rows: _Both, left_out: set[str]) -> Iterator[tuple[str, Any, Any]]:
    # Only columns that both files have: one may be of an older schema.
    for name in rows.a:
        if name not in left_out and name in rows.b and rows.a[name] != rows.b[name]:
            yield name, rows.a[name], rows.b[name]


# Trades


def _trade_differences(key: Key, a: _Side, b: _Side, trades: _Both, events: _Both,
                       counts: Counter[str]) -> Iterator[tuple[str, Any, Any]]:
    if a.pair.ended_ts != b.pair.ended_ts and "delisted" in (trades.a["exit_reason"], trades.b["exit_reason"]):
        counts["delisted"] += 1
        return
    followed = (a.pair.followed_ts or 0, b.pair.followed_ts or 0)
    common = min(followed)
    if followed[0] != followed[1] and not any(_ended(trade, common) for trade in trades):
        counts["unfinished"] += 1
        yield from _columns(_Both(*(_facts(trade, common) for trade in trades)), set())
        yield from _events(_Both(*([e for e in side if e[0] < common] for side in events)))
        return
    counts["trades"] += 1
    left_out: set[str] = set()
    if _funding_differs(key, a, b, trades):
        counts["funding"] += 1
        left_out.update(FUNDED_COLUMNS)
    yield from _columns(trades, left_out)
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


def _events(events: _Both) -> Iterator[tuple[str, Any, Any]]:
    for n, (ours, theirs) in enumerate(zip_longest(*events), start=1):
        if ours != theirs:
            yield f"event {n}", _event(ours), _event(theirs)


def _event(event: Event | None) -> str:
    return "absent" if event is None else f"{event[1]} {show_time(event[0])} at {event[2]}, share {event[3]}, fee {event[4]}"


def _funding_differs(key: Key, a: _Side, b: _Side, trades: _Both) -> bool:
    trade = trades.a if trades.a["opened_ts"] is not None else trades.b
    if trade["opened_ts"] is None or trade["closed_ts"] is None:
        return False
    life = trade["opened_ts"], trade["closed_ts"]
    inputs = [(funding.rates(s.con, key[0], key[1], *life), funding.known(s.con, key[0], key[1], *life, s.pair.funding_ts))
              for s in (a, b)]
    return inputs[0] != inputs[1]


# The report


def _result(path_a: str, path_b: str, found: _Found, bodies: tuple[Any, Any]) -> DiffResult:
    differences = sorted(found.differences)
    config = _config_line(found.hashes, bodies)
    lines = [f"A = {path_a}, B = {path_b}", *([config] if config else [])]
    if differences:
        fields = Counter(d.field for d in differences)
        lines.append(f"first difference: {differences[0]}")
        lines += [f"also: {d}" for d in differences[1:SHOWN]]
        lines.append(f"{len(differences)} rows differ, by first field: {', '.join(f'{name} {n}' for name, n in fields.most_common())}")
    lines += found.notes
    counts = dict(found.counts) | {"differences": len(differences)} | {name: found.counts[name] for name in _SKIPS}
    lines.append(_compared_line(found))
    lines += [f"{counts[name]} rows {why}" for name, why in _SKIPS.items() if counts[name]]
    same = not differences and not config and bool(found.ranges)
    lines.append("no difference" if same else "nothing could be compared" if not found.ranges else "the files differ")
    return DiffResult(same, lines, counts)


def _compared_line(found: _Found) -> str:
    counts = f"{found.counts['signals']} signals and {found.counts['trades']} whole trades compared"
    if not found.ranges:
        return counts
    first, last = min(r[0] for r in found.ranges), max(r[1] for r in found.ranges)
    return f"{counts} in {len(found.ranges)} series, decided from {show_time(first)} to {show_time(last)}"


def _config_line(hashes: tuple[set[str], set[str]], bodies: tuple[Any, Any]) -> str | None:
    if hashes[0] == hashes[1] or not (hashes[0] and hashes[1]):
        return None
    only = [sorted(hashes[0] - hashes[1]), sorted(hashes[1] - hashes[0])]
    names = [", ".join(sorted(h)) for h in hashes]
    line = f"the configurations differ: config_hash A {names[0]}, B {names[1]}"
    if not (only[0] and only[1]):
        return line
    ours, theirs = (_flat(body[hash[0]]) for body, hash in zip(bodies, only, strict=True))
    changed = [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
    return line + "".join(f"; {name}: A {ours.get(name)}, B {theirs.get(name)}" for name in changed[:3])


def _flat(body: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(body, Mapping):
        return {prefix: body}
    return {name: value for key, item in body.items() for name, value in _flat(item, f"{prefix}.{key}" if prefix else key).items()}


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
