"""The whole system replayed as it would have lived: decisions, trades, and the filter learning week by week.

It gives the rows that the daemon gives under a virtual clock over the same candles, only faster: candidates, their
outcomes and their features are computed once, and the weekly runs are done between them at the very time they are
due. Nothing is announced. A run that was killed goes on where it was.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from core import timeframe
from core.candles import Bars
from core.clock import VirtualClock
from core.engine import compiled, frames, jobs, on_time, opening, params, promotion, retro, rows
from core.engine.context import Context
from core.engine.funding import Book
from core.engine.jobs import Job
from core.engine.resample import resample
from core.engine.retro import Part
from core.engine.scoring import Asked, verdicts
from core.engine.table import Table
from core.errors import ConfigError, DataError
from core.meta.gate import Verdict
from core.signals import features
from core.signals.decide import Candidate, first_complete, needs
from core.store import candles, lived, runs, signals
from core.store.candles import Con
from core.store.db import Database
from core.timeframe import MINUTE, show_time
from core.trades.lifecycle import Order, State
from core.trades.performance import WEEK

Progress = Callable[[int, int], None]

KEY = opening.RELIVED
_BATCH = 2000
_EVER = 2**62
_NO_CANDLES = "there are no candles to live on: `python download_data.py` or `python -m core import-candles` first"


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when the system lives, ms UTC: decisions after `start` and up to `end`."""

    start: int
    end: int


@dataclass(slots=True)
class _Line:
    # One symbol and timeframe: all its candidates in time order with what becomes of them; `at` are written.
    part: Part
    bars: Bars
    times: list[int]
    found: list[Candidate]
    orders: list[Order]
    states: list[State]
    at: int = 0


def run(
    ctx: Context, start: int | None, end: int | None, progress: Progress | None = None
) -> tuple[Span, Counter[str]]:
    """Live from `start` to `end` (ms; None = the first, the last minute) and write every row; the span, and counts.

    What lies before `start` is history to learn from. Rows that a retro scan left are kept, and those of the span
    get the verdict of their time. Raises ConfigError where the file has lived already, or otherwise than now asked.
    """
    span = _span(ctx, start, end)
    ctx, counts = quiet(ctx, span.start), Counter[str]()
    begun = _lived_until(ctx, span)
    if begun is not None and begun >= span.end:  # asked again for what is done
        return span, counts
    ctx.ensure_rows()
    resample(ctx)
    if begun is None:
        begun = _begin(ctx, span)
    promotion.adopt(ctx, span.start)  # once, also where it was killed before
    ctx.kernels = compiled.kernels(retro.cache(ctx))
    table = on_time.table(ctx)
    lines = _lines(ctx, span, counts, learning=bool(table))
    if not lines:
        raise DataError(_NO_CANDLES)
    _live(ctx, span, lines, table, begun, counts, progress)
    return span, counts


def untouched(db: Database) -> bool:
    """Whether a file holds nothing yet."""
    return lived.is_empty(db.con)


def quiet(ctx: Context, now: int) -> Context:
    """The same file with nothing announced, its models beside it, and a clock of its own that stands at `now` (ms)."""
    telegram = replace(ctx.cfg.notify.telegram, send_on=())
    cfg = replace(opening.with_models_of(ctx.cfg, ctx.db.path), notify=replace(ctx.cfg.notify, telegram=telegram))
    return replace(ctx, cfg=cfg, clock=VirtualClock(now), tell_all=False, config_path=None, name=on_time.NAME)


# Where it begins


def _span(ctx: Context, start: int | None, end: int | None) -> Span:
    with ctx.db.lock:
        known = candles.stretches(ctx.db.con, ctx.exchange_id)
    newest = [known[s][-1] for s in ctx.cfg.symbols if s in known]
    if not newest:
        raise DataError(_NO_CANDLES)
    first, last = min(x.start for x in newest), max(x.frontier for x in newest)
    span = Span(max(first, timeframe.floor(first if start is None else start, MINUTE)),
                min(last, timeframe.floor(last if end is None else end, MINUTE)))
    if span.start >= span.end:
        raise ConfigError(f"the candles lie from {show_time(first)} to {show_time(last)}: there is nothing to live "
                          f"between {show_time(start)} and {show_time(end)}")
    return span


def _asked(ctx: Context, span: Span) -> dict[str, Any]:
    return {**asdict(span), "symbols": list(ctx.cfg.symbols), "config": ctx.config_hash}


def _lived_until(ctx: Context, span: Span) -> int | None:
    # Up to when this run has lived already (ms), None where it has not begun; a file that it may not touch is refused.
    with ctx.db.lock:
        con = ctx.db.con
        known = runs.get(con, KEY)
        marks = [info.scanned_ts for info in candles.symbols(con, ctx.exchange_id).values()]
        why = lived.has_lived(con, ctx.exchange_id) if known is None else None
        alien = lived.rows_of_others(con, ctx.exchange_id, ctx.cfg.symbols, ctx.config_hash)
    if known is not None and known != _asked(ctx, span):
        raise ConfigError(f"{ctx.db.path} was relived otherwise ({_told(known)}): ask for the same, or live in a file "
                          "of its own with --into FILE")
    if why is not None:
        raise ConfigError(f"{ctx.db.path} has lived: {why}. That is not replaced: live in a file of its own with "
                          "--into FILE, made from the candles of this one")
    if alien:
        raise ConfigError(f"{ctx.db.path} holds {alien:,} rows of another configuration or of other symbols: live in a "
                          "file of its own with --into FILE, made from the candles of this one")
    return None if known is None else max(ts for ts in marks if ts is not None)


def _begin(ctx: Context, span: Span) -> int:
    # The file is made ready; from where on it lives.
    with ctx.db.write() as con:
        runs.put(con, KEY, _asked(ctx, span))
        _mark(ctx, con, span.start)
        _go_live(ctx, con, span.start)
    return span.start


def _told(known: dict[str, Any]) -> str:
    return f"{show_time(known['start'])} to {show_time(known['end'])}, {', '.join(known['symbols'])}"


def _mark(ctx: Context, con: Con, until: int) -> None:
    # Of every symbol, as in a tick: what governs is in force a minute after the newest of these marks.
    known = candles.stretches(con, ctx.exchange_id)
    marks = [(min(until, known[s][-1].frontier), info.id)
             for s, info in candles.symbols(con, ctx.exchange_id).items() if s in known]
    candles.set_watermarks(con, "scanned_ts", marks)
    candles.set_watermarks(con, "followed_ts", marks)


def _go_live(ctx: Context, con: Con, start: int) -> None:
    # What the daemon notes as it goes: from when on each timeframe decides, and each frame of its features is whole.
    known, series = candles.stretches(con, ctx.exchange_id), candles.series(con, ctx.exchange_id)
    scanned, common = ctx.scanned_timeframes(), params.common(ctx.body)
    runs.put(con, frames.WHOLE, None)  # what a daemon noted that decided nothing
    frames.mark_whole(con, series, known, scanned)
    infos = candles.symbols(con, ctx.exchange_id)
    begun = [s for s in ctx.cfg.symbols if s in known and infos[s].market is not None]
    for symbol, tf in product(begun, scanned):
        size, first_ts = timeframe.ms(tf), known[symbol][-1].start
        bars = candles.load(con, series[symbol, tf].id, size, first_ts, _EVER)
        first = first_complete(bars, first_ts, needs(ctx.setups_on(tf), common), 0)
        if first < len(bars):
            # The first tick with something new comes a minute after the history's end.
            warm = max(int(bars.ts[first]) + size, timeframe.floor(start + MINUTE, size))
            candles.set_live_from(con, series[symbol, tf].id, warm + size)


# What it finds


def _lines(ctx: Context, span: Span, counts: Counter[str], *, learning: bool) -> list[_Line]:
    ctx.table = Table()
    found = []
    for symbol in ctx.cfg.symbols:
        part = retro.load(ctx, symbol, 0, span.end)
        if part is None:
            counts["symbols_without_candles"] += 1
            continue
        found += [_line(ctx, part, tf, span, counts, learning) for tf in ctx.scanned_timeframes()]
    return found


def _line(ctx: Context, part: Part, tf: str, span: Span, counts: Counter[str], learning: bool) -> _Line:
    row, bars = retro.frame(ctx, part, tf)
    live = _EVER if row.live_from is None else row.live_from
    found = [c for c in retro.candidates(ctx, part, bars, None, span.end + 1, counts)
             if c.decided_ts <= span.start or c.decided_ts >= live]
    terms = params.terms(ctx.body)
    orders = [rows.candidate_order(c, terms) for c in found]
    states = retro.outcomes(ctx, part, bars, orders, terms)
    if found and learning:
        with ctx.db.lock:
            seen = frames.load(ctx.db.con, ctx.exchange_id, part.symbol, bars, found[0].decided_ts,
                               found[-1].decided_ts, params.common(ctx.body).atr_period)
        assert ctx.table is not None
        ctx.table.add([retro.id_of(part, c) for c in found],
                      features.table(frames.facts(found), seen, ctx.kernels))
    return _Line(part, bars, [c.decided_ts for c in found], found, orders, states)


# How it lives


def _live(ctx: Context, span: Span, lines: list[_Line], table: list[Job], begun: int, counts: Counter[str],
          progress: Progress | None) -> None:
    clock = ctx.clock
    assert isinstance(clock, VirtualClock)
    due = sorted(((ts, n, job) for n, job in enumerate(table) for ts in jobs.due_between(job, span.start, span.end)),
                 key=lambda entry: entry[:2])
    weeks = max(1, -(-(span.end - span.start) // WEEK))
    for line in lines:  # what a run that was killed has written
        line.at = bisect_right(line.times, begun) if begun > span.start else 0
    for ts, _, job in due:
        if (ts <= begun and begun > span.start) or on_time.is_done(ctx, job.name, ts):
            continue
        clock.set(ts)
        _advance(ctx, lines, max(ts - MINUTE, span.start), span, counts)
        counts["weekly_failed"] += sum(done.state == "failed" for done in jobs.run(ctx, job, ts))
        if progress:
            progress((ts - span.start) // WEEK, weeks)
    clock.set(span.end)
    _advance(ctx, lines, span.end, span, counts)
    if progress:
        progress(weeks, weeks)


def _advance(ctx: Context, lines: list[_Line], until: int, span: Span, counts: Counter[str]) -> None:
    # Everything decided up to `until`, in one transaction with the watermarks.
    parts = [(line, bisect_right(line.times, until)) for line in lines]
    ready = [(line, line.at, to, _judged(ctx, line, line.at, to)) for line, to in parts if to > line.at]
    with ctx.db.write() as con:
        for line, at, to, judged in ready:
            _store(ctx, con, line, at, to, judged, span, counts)
        _mark(ctx, con, until)
    for line, to in parts:
        line.at = max(line.at, to)


def _judged(ctx: Context, line: _Line, at: int, to: int) -> list[Verdict]:
    with ctx.db.lock:
        asked = Asked(line.part.symbol, timeframe.NAMES[line.bars.tf], line.bars, ctx.body, line.found[at:to])
        return verdicts(ctx, ctx.db.con, asked)


def _store(ctx: Context, con: Con, line: _Line, at: int, to: int, judged: list[Verdict], span: Span,
           counts: Counter[str]) -> None:
    terms, part = params.terms(ctx.body), line.part
    first, last = line.times[at], line.times[to - 1]
    there = signals.existing_ids(con, ctx.exchange_id, part.symbol, first, last + 1)
    book = Book(con, ctx.exchange_id, part.symbol, part.one_minute.id, part.info.funding_ts, first)
    whole = list(zip(line.found[at:to], line.orders[at:to], line.states[at:to], judged, strict=True))
    known = [entry for entry in whole if retro.id_of(part, entry[0]) in there]
    fresh = [entry for entry in whole if retro.id_of(part, entry[0]) not in there]
    counts["existing"] += len(known)
    counts["written"] += len(fresh)
    lived.set_verdicts(con, [_verdict(part, c, verdict) for c, _, _, verdict in known if c.decided_ts > span.start])
    for a in range(0, len(fresh), _BATCH):
        retro.write(ctx, con, part, fresh[a:a + _BATCH], terms, book, counts)


def _verdict(part: Part, c: Candidate, v: Verdict) -> Iterable[Any]:
    return (v.p_raw, v.p, v.ev_pct, v.model, "pass" if v.passed else "refused", v.reason, int(v.in_sample),
            retro.id_of(part, c))
