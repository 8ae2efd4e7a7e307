"""The whole system replayed as it would have lived: decisions, trades, and the filter learning week by week.

It gives the rows that the daemon gives under a virtual clock over the same candles, only faster: candidates, their
outcomes and their features are computed once, and the weekly runs are done between them at the very time they are
due. Nothing is announced. A run that was killed goes on where it was.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

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
from core.signals import features
from core.signals.decide import Candidate, first_complete, needs
from core.signals.features.view import ANCHORED, RANKED
from core.store import candles, lived, runs, signals
from core.store.candles import Con, Series
from core.store.db import Database
from core.timeframe import DAY, MINUTE, show_time
from core.trades.lifecycle import Order, State

Progress = Callable[[int, int], None]

KEY = opening.RELIVED
_LEAST = 300  # bars since the stretch began, before a timeframe goes live
_BATCH = 2000


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
    ctx = quiet(ctx)
    ctx.ensure_rows()
    resample(ctx)
    span = _span(ctx, start, end)
    begun, counts = _begin(ctx, span), Counter[str]()
    if begun >= span.end:  # asked again for what is done
        return span, counts
    ctx.kernels = compiled.kernels(retro.cache(ctx))
    table = on_time.table(ctx)
    lines = _lines(ctx, span, counts, learning=bool(table))
    if not lines:
        raise DataError("there are no candles to live on: `python download_data.py` or `python -m core import-candles` "
                        "first")
    _live(ctx, span, lines, table, begun, counts, progress)
    return span, counts


def untouched(db: Database) -> bool:
    """Whether a file holds nothing yet."""
    return lived.is_empty(db.con)


def quiet(ctx: Context) -> Context:
    """The same file with nothing announced, its models beside it, and a clock of its own."""
    telegram = replace(ctx.cfg.notify.telegram, send_on=())
    cfg = replace(opening.with_models_of(ctx.cfg, ctx.db.path), notify=replace(ctx.cfg.notify, telegram=telegram))
    return replace(ctx, cfg=cfg, clock=VirtualClock(0), tell_all=False, config_path=None, name=on_time.NAME)


# Where it begins


def _span(ctx: Context, start: int | None, end: int | None) -> Span:
    with ctx.db.lock:
        known = candles.stretches(ctx.db.con, ctx.exchange_id)
    newest = [known[s][-1] for s in ctx.cfg.symbols if s in known]
    if not newest:
        raise DataError("there are no candles to live on: `python download_data.py` or `python -m core import-candles` "
                        "first")
    first, last = min(x.start for x in newest), max(x.frontier for x in newest)
    span = Span(max(first, start if start is not None else first), min(last, end if end is not None else last))
    if span.start >= span.end:
        raise ConfigError(f"the candles lie from {show_time(first)} to {show_time(last)}: there is nothing to live "
                          f"between {show_time(start)} and {show_time(end)}")
    return Span(timeframe.floor(span.start, MINUTE), timeframe.floor(span.end, MINUTE))


def _begin(ctx: Context, span: Span) -> int:
    # Up to when this run has lived already (ms); the file is made ready where it is new.
    asked = {**asdict(span), "symbols": list(ctx.cfg.symbols), "config": ctx.config_hash}
    with ctx.db.lock:
        con = ctx.db.con
        known = runs.get(con, KEY)
        marks = {s: x.scanned_ts for s, x in candles.symbols(con, ctx.exchange_id).items() if s in ctx.cfg.symbols}
        why = lived.has_lived(con, ctx.exchange_id) if known is None else None
        alien = lived.rows_of_others(con, ctx.exchange_id, ctx.cfg.symbols, ctx.config_hash)
    if known is not None and known != asked:
        raise ConfigError(f"{ctx.db.path} was relived otherwise ({_told(known)}): ask for the same, or live in a file "
                          "of its own with --into FILE")
    if why is not None:
        raise ConfigError(f"{ctx.db.path} has lived: {why}. That is not replaced: live in a file of its own with "
                          "--into FILE, made from the candles of this one")
    if alien:
        raise ConfigError(f"{ctx.db.path} holds {alien:,} rows of another configuration or of other symbols: live in a "
                          "file of its own with --into FILE, made from the candles of this one")
    if known is not None:
        return max(x for x in marks.values() if x is not None)
    with ctx.db.write() as con:
        runs.put(con, KEY, asked)
        _mark(ctx, con, span.start)
        _go_live(ctx, con, span.start)
    promotion.adopt(ctx, span.start)
    return span.start


def _told(known: dict[str, Any]) -> str:
    return f"{show_time(known['start'])} to {show_time(known['end'])}, {', '.join(known['symbols'])}"


def _mark(ctx: Context, con: Con, until: int) -> None:
    known, infos = candles.stretches(con, ctx.exchange_id), candles.symbols(con, ctx.exchange_id)
    marks = [(min(until, known[s][-1].frontier), infos[s].id) for s in ctx.cfg.symbols if s in known]
    candles.set_watermarks(con, "scanned_ts", marks)
    candles.set_watermarks(con, "followed_ts", marks)


def _go_live(ctx: Context, con: Con, start: int) -> None:
    # What the daemon notes as it goes: from when on each timeframe decides, and each frame of its features is whole.
    known, series = candles.stretches(con, ctx.exchange_id), candles.series(con, ctx.exchange_id)
    scanned, whole = ctx.scanned_timeframes(), dict[str, int]()
    for (symbol, tf), row in series.items():
        if tf == "1m" or symbol not in known:
            continue
        stretch, size = known[symbol][-1], timeframe.ms(tf)
        opens = lived.opens(con, row.id, stretch.start)
        need = RANKED if frames.btc_of(symbol) is None and tf in scanned else ANCHORED
        if len(opens) >= need:
            since = max(opens[need - 1] + size, timeframe.floor(stretch.start, size) + need * size)
            whole[f"{symbol} {tf}"] = since if since > start else 0
        if symbol in ctx.cfg.symbols and tf in scanned:
            warm = _warm(ctx, con, row, tf, stretch.start)
            if warm is not None:
                # The first tick with something new comes a minute after the history's end.
                candles.set_live_from(con, row.id, max(warm, timeframe.floor(start + MINUTE, size)) + size)
    runs.put(con, frames.WHOLE, whole)


def _warm(ctx: Context, con: Con, row: Series, tf: str, start: int) -> int | None:
    # When the first bar closes at which the timeframe is warm.
    size = timeframe.ms(tf)
    bars = candles.load(con, row.id, size, start, 2**62)
    first = first_complete(bars, start, needs(ctx.setups_on(tf), params.common(ctx.body)), 0)
    later = np.flatnonzero(bars.ts[first:] + size >= start + _LEAST * size)
    return int(bars.ts[first + later[0]]) + size if len(later) else None


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
    live = 2**62 if row.live_from is None else row.live_from
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
    weeks = max(1, -(-(span.end - span.start) // (7 * DAY)))
    for line in lines:  # what a run that was killed has written
        line.at = bisect_right(line.times, begun) if begun > span.start else 0
    for ts, _, job in due:
        if (ts <= begun and begun > span.start) or on_time.is_done(ctx, job.name, ts):
            continue
        clock.set(ts)
        if ts > span.start:
            _advance(ctx, lines, ts - MINUTE, span, counts)
        else:
            _advance(ctx, lines, ts, span, counts)
        counts["weekly_failed"] += sum(done.state == "failed" for done in jobs.run(ctx, job, ts))
        if progress:
            progress((ts - span.start) // (7 * DAY), weeks)
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


def _judged(ctx: Context, line: _Line, at: int, to: int) -> list[Any]:
    with ctx.db.lock:
        asked = Asked(line.part.symbol, timeframe.NAMES[line.bars.tf], line.bars, ctx.body, line.found[at:to])
        return verdicts(ctx, ctx.db.con, asked)


def _store(ctx: Context, con: Con, line: _Line, at: int, to: int, judged: list[Any], span: Span,
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


def _verdict(part: Part, c: Candidate, v: Any) -> Iterable[Any]:
    return (v.p_raw, v.p, v.ev_pct, v.model, "pass" if v.passed else "refused", v.reason, int(v.in_sample),
            retro.id_of(part, c))
