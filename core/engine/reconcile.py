"""Stored live rows held against the candles: does recomputing them give the same? (rules 3 and 31)"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import Any

from core import timeframe
from core.candles import MarketInfo, empty
from core.engine import params, rows
from core.engine.context import Context
from core.engine.funding import Book
from core.engine.inputs import bars_needed, setups_of, touched, warm_start
from core.engine.scoring import Asked, verdicts
from core.engine.stops import closes_and_atr
from core.meta.gate import Verdict
from core.signals.decide import Candidate, decide, window
from core.store import candles, signals
from core.store import compare as stored
from core.store.candles import Con, Series, Stretch, Symbol
from core.store.signals import MONEY_COLUMNS, STATE_COLUMNS
from core.timeframe import DAY, MINUTE, show_time
from core.trades.lifecycle import TP, Order, State, delist, expire, new_state, walk

Row = dict[str, Any]
Body = Mapping[str, Any]
Market = tuple[float, float, float]
Differs = tuple[str, Any, Any]  # field, stored value, recomputed value

NOT_RECOMPUTED = ("n", "revised", "in_sample")
_CHUNK = 10_000  # minutes walked in one read


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """What a reconciliation found.

    checked: rows recomputed, and rows that the candles give and the file lacks. differing: one line for each
    that differs without a rewritten candle to explain it, in the order they were decided; first: the first
    of them. skipped: those that differ and saw a candle that was rewritten since. marked: flags `revised`
    written.
    """

    checked: int
    differing: list[str]
    skipped: int
    first: str | None
    marked: int = 0


@dataclass(slots=True)
class _Tally:
    """The results so far. marks: (revised, row number); differing: (decided_ts, line)."""

    checked: int = 0
    skipped: int = 0
    differing: list[tuple[int, str]] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)

    def note(self, decided_ts: int, id: str, differs: Differs, explained: bool) -> None:
        """Count one row that differs."""
        if explained:
            self.skipped += 1
            return
        name, old, new = differs
        line = f"{id} (decided {show_time(decided_ts)}): {name}: stored {old}, recomputed {new}"
        self.differing.append((decided_ts, line))


def reconcile(ctx: Context, start: int | None = None, end: int | None = None, *, mark: bool = False) -> ReconcileResult:
    """Recompute stored live signals and their trades with start <= decided_ts < end; compare every column.

    start and end in ms, None = the last 24 hours before each symbol's frontier, and the frontier. Each row is
    recomputed under the configuration and the market terms it was made with, from the bars as they are now,
    by the functions that live uses. Rows that exist and should not, and (for configured symbols) rows that
    should exist and do not, differ too. mark=True, for the holder of the lock: writes `revised` where a
    candle that the row saw was rewritten: 1 if that changes a column, else 0. A difference without such a
    candle is never marked away.
    """
    tally = _Tally()
    with ctx.db.lock, stored.snapshot(ctx.db.con):
        for pair in _pairs(ctx, ctx.db.con, start, end):
            _reconcile(pair, tally)
    if mark and tally.marks:
        with ctx.db.write() as con:
            stored.set_revised(con, tally.marks)
    lines, marked = [line for _, line in sorted(tally.differing)], len(tally.marks) if mark else 0
    return ReconcileResult(tally.checked, lines, tally.skipped, lines[0] if lines else None, marked)


def _pairs(ctx: Context, con: Con, start: int | None, end: int | None) -> Iterator["_Pair"]:
    series, stretches = candles.series(con, ctx.exchange_id), candles.stretches(con, ctx.exchange_id)
    symbols, bodies = candles.symbols(con, ctx.exchange_id), signals.configs(con)
    order = list(timeframe.TIMEFRAMES)
    for (symbol, tf), row in sorted(series.items(), key=lambda item: (item[0][0], order.index(item[0][1]))):
        info = symbols[symbol]
        if row.live_from is None or info.scanned_ts is None or symbol not in stretches:
            continue
        first = max(row.live_from, info.scanned_ts - DAY if start is None else start)
        last = info.scanned_ts if end is None else min(info.scanned_ts, end - 1)
        if first <= last:
            one_minute, stretch = series[symbol, "1m"], stretches[symbol][-1]
            yield _Pair(ctx, con, symbol, tf, info, row, one_minute, stretch, bodies, first, last)


def _reconcile(pair: "_Pair", tally: _Tally) -> None:
    first, last = pair.first, pair.last
    key = (pair.ctx.exchange_id, pair.symbol, pair.tf)
    found = stored.signal_rows(pair.con, key, first, last)
    live = [row for row in found if row["origin"] == "live"]
    positions = stored.positions(pair.con, key, first, last, STATE_COLUMNS + MONEY_COLUMNS)
    legs = stored.event_rows(pair.con, key, first, last)
    for row in live:
        position = positions.get(row["n"], ())
        differs = next(_differences(pair, row, position, legs.get(row["id"], [])), None)
        explained = pair.revised(row["ts"], row["config_hash"], _end(pair, position))
        tally.checked += 1
        if differs is not None:
            tally.note(row["decided_ts"], row["id"], differs, explained)
        if explained and row["revised"] != int(differs is not None):
            tally.marks.append((int(differs is not None), row["n"]))
    for id, c, config_hash in _missing(pair, {row["id"] for row in found}):
        explained = pair.revised(c.ts, config_hash, c.decided_ts)
        tally.checked += 1
        tally.note(c.decided_ts, id, ("the row itself", "absent", "present"), explained)


def _end(pair: "_Pair", position: tuple[Any, ...]) -> int:
    closed: int | None = position[STATE_COLUMNS.index("closed_ts")] if position else None
    return closed + MINUTE if closed is not None else pair.info.followed_ts or 0


@dataclass
class _Pair:
    """One symbol and timeframe; what it recomputes is kept by configuration and market terms.

    first, last: the range of decided_ts, both inclusive.
    """

    ctx: Context
    con: Con
    symbol: str
    tf: str
    info: Symbol
    row: Series
    one_minute: Series
    stretch: Stretch
    bodies: Mapping[str, Body]
    first: int
    last: int
    known: dict[tuple[str, Market], dict[str, Candidate]] = field(default_factory=dict)
    judged: dict[tuple[str, Market], dict[str, Verdict]] = field(default_factory=dict)
    trails: dict[int, tuple[list[int], list[float]]] = field(default_factory=dict)

    def expected(self, config_hash: str, market: Market) -> dict[str, Candidate]:
        """Candidates by id that a configuration gives for `first` to `last`."""
        if (config_hash, market) not in self.known:
            asked = self._decide(self.bodies[config_hash], MarketInfo(*market))
            ids = [rows.signal_id(c.setup, self.symbol, self.tf, c.start_ts, c.end_ts) for c in asked.found]
            self.known[config_hash, market] = dict(zip(ids, asked.found, strict=True))
            self.judged[config_hash, market] = dict(zip(ids, verdicts(self.ctx, self.con, asked), strict=True))
        return self.known[config_hash, market]

    def _decide(self, body: Body, market: MarketInfo) -> Asked:
        size, common, setups = timeframe.ms(self.tf), params.common(body), setups_of(body, self.tf)
        if self.tf not in body["timeframes"] or not setups:
            return Asked(self.symbol, self.tf, empty(size), body, [])
        lo, end = timeframe.ceil(self.first, size) - size, timeframe.floor(self.last, size)
        count = window(setups, common) + (end - lo) // size
        bars = candles.tail(self.con, self.row.id, size, end, count)
        found = decide(
            bars,
            bisect_left(bars.ts, lo),
            len(bars),
            self.stretch.start,
            self.tf,
            setups,
            market,
            params.costs(body),
            params.risk(body),
            common,
            self.ctx.kernels,
            Counter(),
        )
        return Asked(self.symbol, self.tf, bars, body, found)

    def trail(self, period: int) -> tuple[list[int], list[float]]:
        """Closes of all bars that a trade of the range may trail on, and their ATR."""
        if period not in self.trails:
            self.trails[period] = closes_and_atr(self.con, self.row.id, timeframe.ms(self.tf), self.first,
                                                 self.info.followed_ts or 0, period, self.ctx.kernels)
        return self.trails[period]

    @cached_property
    def _spans(self) -> list[candles.Span]:
        return stored.revised_spans(self.con, self.ctx.exchange_id, self.symbol, self.tf)

    @cached_property
    def _opens(self) -> list[int]:
        return list(candles.iter_times(self.con, self.row.id, self.stretch.start))

    def revised(self, ts: int, config_hash: str, end: int) -> bool:
        """Whether a candle between the warm-up of the decision at bar `ts` and `end` was rewritten."""
        if not self._spans:
            return False
        needed = bars_needed(self.bodies[config_hash], self.tf)
        size = timeframe.ms(self.tf)
        return touched(self._spans, warm_start(self._opens, size, ts, needed), max(end, ts + size))


def _missing(pair: _Pair, there: set[str]) -> Iterator[tuple[str, Candidate, str]]:
    # Only what every configuration that may have been in force then gives: that of the live rows around it.
    market = pair.info.market
    if pair.symbol not in pair.ctx.cfg.symbols or market is None:
        return
    terms = (market.tick, market.lot, market.min_notional)
    in_force = stored.neighbour_configs(pair.con, pair.ctx.exchange_id, pair.first, pair.last)
    for now in sorted(in_force or pair.bodies.keys() & {pair.ctx.config_hash}):
        for id, c in pair.expected(now, terms).items():
            if id not in there:
                around = stored.neighbour_configs(pair.con, pair.ctx.exchange_id, c.decided_ts, c.decided_ts) or {now}
                if all(id in pair.expected(other, terms) for other in around):
                    there.add(id)
                    yield id, c, now


# One row


def _differences(pair: _Pair, row: Row, position: tuple[Any, ...], legs: list[stored.Event]) -> Iterator[Differs]:
    key = row["config_hash"], (row["tick"], row["lot"], row["min_notional"])
    c = pair.expected(*key).get(row["id"])
    if c is None:
        yield "the row itself", "present", "absent"
        return
    body = pair.bodies[row["config_hash"]]
    order, verdict = rows.candidate_order(c, body), pair.judged[key][row["id"]]
    values = rows.as_dict(
        rows.signal_values(
            c,
            verdict,
            order,
            exchange=pair.ctx.exchange_id,
            symbol=pair.symbol,
            origin="live",
            late=bool(row["late"]),
            config_hash=row["config_hash"],
        )
    )
    compared = [name for name in values if name not in NOT_RECOMPUTED]
    yield from ((name, row[name], values[name]) for name in compared if row[name] != values[name])
    if not position:
        yield "its trade", "absent", "present"
        return
    yield from _trade_differences(pair, order, body, position, legs)


def _trade_differences(
    pair: _Pair, order: Order, body: Body, position: tuple[Any, ...], legs: list[stored.Event]
) -> Iterator[Differs]:
    had = dict(zip(STATE_COLUMNS + MONEY_COLUMNS, position, strict=True))
    state = _life(pair, order, body, had["closed_ts"] if had["exit_reason"] == "delisted" else pair.one_minute.ended_ts)
    terms, con, exchange = params.terms(body), pair.con, pair.ctx.exchange_id
    book = Book(con, exchange, pair.symbol, pair.one_minute.id, pair.info.funding_ts, order.decided_ts)
    again = rows.outcome(order, state, terms, *book.paid(order, state, terms))
    have = dict(zip(had, again.state + again.money, strict=True))
    yield from ((name, had[name], have[name]) for name in had if had[name] != have[name])
    told = [tuple(event) for event in again.events]
    for n, (old, new) in enumerate(zip_longest(legs, told, fillvalue="absent"), start=1):
        if old != new:
            yield f"event {n}", old, new


def _life(pair: _Pair, order: Order, body: Body, ended_ts: int | None) -> State:
    # The same walk as live's, up to the same watermark.
    frontier = pair.info.followed_ts or order.decided_ts
    closes, atr = pair.trail(body["execution"]["trail"]["atr_period"])
    state = new_state(order)
    for a in range(order.decided_ts, frontier, _CHUNK * MINUTE):
        minutes = candles.minutes(pair.con, pair.one_minute.id, a, min(frontier, a + _CHUNK * MINUTE))
        if minutes and state.status < TP:
            ts, o, h, lo, c = (list(column) for column in zip(*minutes, strict=True))
            state, _ = walk(state, order, ts, o, h, lo, c, 0, len(minutes), closes, atr)
        state = expire(state, order, min(frontier, a + _CHUNK * MINUTE))
        if state.status >= TP:
            return state
    if ended_ts is not None:
        state = delist(state, order, ended_ts, candles.price_at(pair.con, pair.one_minute.id, ended_ts + 1) or 0.0)
    return state
