"""The same decisions and lifecycles over history: candidates, outcomes, rows; nothing announced (rule 30)."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core import timeframe
from core.candles import Bars
from core.engine import compiled, params, promotion, rows
from core.engine.context import Context
from core.engine.execute import execute
from core.engine.funding import Book
from core.engine.resample import resample
from core.engine.scan import scan
from core.engine.scoring import Asked, verdicts
from core.errors import ConfigError, DataError
from core.meta.gate import Verdict
from core.signals.decide import Candidate, decide
from core.signals.indicators import Indicators
from core.store import candles, signals
from core.store.candles import Prices, Series, Stretch, Symbol
from core.trades.arrays import empty_states, pack_orders, unpack_states
from core.trades.lifecycle import Order, State, delist

Progress = Callable[[int, int], None]

_BATCH = 2000  # candidates of one transaction
_ALWAYS = 2**62  # later than any decision


@dataclass(frozen=True, slots=True)
class RetroOptions:
    """What to scan: start <= decided_ts < end (ms; None = all there is), thinned by stride and limit_per_pair."""

    start: int | None = None
    end: int | None = None
    stride: int = 1
    limit_per_pair: int | None = None
    symbols: tuple[str, ...] = ()
    timeframes: tuple[str, ...] = ()


@dataclass(slots=True)
class Part:
    """One symbol's history in memory, shared by its timeframes; its trades are followed up to `followed` (ms)."""

    symbol: str
    info: Symbol
    one_minute: Series
    stretch: Stretch
    followed: int
    minutes: Prices


def run(ctx: Context, options: RetroOptions, progress: Progress | None = None) -> dict[str, Any]:
    """Scan stored history and write what is not there yet; returns counts. Idempotent; resumable by running it again.

    Rows of the daemon that exist keep their origin and values. Raises ConfigError for names that are not
    configured, DataError where there are no candles.
    """
    symbols = list(options.symbols or ctx.cfg.symbols)
    names = [tf for tf in ctx.scanned_timeframes() if not options.timeframes or tf in options.timeframes]
    _check(ctx, options, symbols)
    ctx.ensure_rows()
    promotion.adopt(ctx, ctx.clock.now())
    _catch_up(ctx)
    ctx.kernels = compiled.kernels(cache(ctx))
    total, counts = len(symbols) * len(names), Counter[str]()
    for i, symbol in enumerate(symbols):
        part = load(ctx, symbol, options.start or 0)
        if part is None:
            counts["symbols_without_candles"] += 1
            continue
        for j, tf in enumerate(names):
            counts += _scan(ctx, part, tf, options)
            if progress:
                progress(i * len(names) + j + 1, total)
    if counts["symbols_without_candles"] == len(symbols):
        raise DataError(
            "there are no candles to scan: `python download_data.py` or `python -m core import-candles` first"
        )
    return dict(sorted(counts.items()))


def _check(ctx: Context, options: RetroOptions, symbols: Sequence[str]) -> None:
    if options.start is not None and options.end is not None and options.end <= options.start:
        raise ConfigError(
            f"--end {timeframe.show_time(options.end)} is not after --start {timeframe.show_time(options.start)}"
        )
    unknown = [s for s in symbols if s not in ctx.cfg.symbols]
    if unknown:
        raise ConfigError(f"not configured: {', '.join(unknown)} (symbols: {', '.join(ctx.cfg.symbols)})")


def _catch_up(ctx: Context) -> None:
    # What a daemon left half done is finished first, so that its plans and ours share one watermark.
    resample(ctx)
    with ctx.db.lock:
        known = candles.symbols(ctx.db.con, ctx.exchange_id)
        stretches = candles.stretches(ctx.db.con, ctx.exchange_id)
    fresh = [
        (stretches[s][-1].frontier, info.id) for s, info in known.items() if info.scanned_ts is None and s in stretches
    ]
    if fresh:
        with ctx.db.write() as con:
            candles.set_watermarks(con, "scanned_ts", fresh)
            candles.set_watermarks(con, "followed_ts", fresh)
    failed: dict[str, str] = {}
    scan(ctx, ctx.clock.now(), failed, go_live=False)
    execute(ctx, ctx.clock.now(), failed)
    if failed:
        raise DataError("; ".join(f"{symbol}: {why}" for symbol, why in failed.items()))


def load(ctx: Context, symbol: str, start: int, end: int | None = None) -> Part | None:
    """A symbol's minutes from `start` on; None where there are none. end: default how far its trades are followed."""
    with ctx.db.lock:
        info = candles.symbols(ctx.db.con, ctx.exchange_id)[symbol]
        one = candles.series(ctx.db.con, ctx.exchange_id)[symbol, "1m"]
        known = candles.stretches(ctx.db.con, ctx.exchange_id).get(symbol)
        if not known or info.market is None:
            return None
        followed = info.followed_ts or known[-1].frontier if end is None else min(end, known[-1].frontier)
        minutes = candles.prices(ctx.db.con, one.id, max(known[-1].start, start), followed)
    return Part(symbol, info, one, known[-1], followed, minutes)


def _scan(ctx: Context, part: Part, tf: str, options: RetroOptions) -> Counter[str]:
    counts: Counter[str] = Counter()
    row, bars = frame(ctx, part, tf)
    found = _thin(candidates(ctx, part, bars, options.start, options.end, counts), bars.tf, options)
    return counts + _store(ctx, part, row, Asked(part.symbol, tf, bars, ctx.body, found))


def frame(ctx: Context, part: Part, tf: str) -> tuple[Series, Bars]:
    """The symbol's bars of a timeframe, as far as its trades are followed."""
    size = timeframe.ms(tf)
    with ctx.db.lock:
        row = candles.series(ctx.db.con, ctx.exchange_id)[part.symbol, tf]
        return row, candles.load(ctx.db.con, row.id, size, part.stretch.start, part.followed)


def candidates(
    ctx: Context, part: Part, bars: Bars, start: int | None, end: int | None, counts: Counter[str]
) -> list[Candidate]:
    """What is found with start <= decided_ts < end (ms; None = all there is); adds to counts what is not."""
    tf, last = timeframe.NAMES[bars.tf], part.followed + 1
    end = last if end is None else min(end, last)
    lo, hi = (int(np.searchsorted(bars.ts, ts - bars.tf)) for ts in (start or 0, end))
    assert part.info.market is not None
    found = decide(
        bars,
        lo,
        hi,
        part.stretch.start,
        tf,
        ctx.setups_on(tf),
        part.info.market,
        params.costs(ctx.body),
        params.risk(ctx.body),
        params.common(ctx.body),
        ctx.kernels,
        counts,
    )
    counts["bars"] += max(0, hi - lo)
    counts["candidates"] += len(found)
    return found


def _thin(found: Sequence[Candidate], size: int, options: RetroOptions) -> list[Candidate]:
    kept = [c for c in found if c.ts // size % options.stride == 0] if options.stride > 1 else list(found)
    return kept[: options.limit_per_pair] if options.limit_per_pair is not None else kept


def _store(ctx: Context, part: Part, row: Series, asked: Asked) -> Counter[str]:
    if not asked.found:
        return Counter()
    first, last = asked.found[0].decided_ts, asked.found[-1].decided_ts
    with ctx.db.lock:
        con = ctx.db.con
        there = signals.existing_ids(con, ctx.exchange_id, part.symbol, first, last + 1)
        book = Book(con, ctx.exchange_id, part.symbol, part.one_minute.id, part.info.funding_ts, first)
        found = [c for c in asked.found if id_of(part, c) not in there]
        # What live decided, or would have, takes no model of later; what lies before may, and is marked.
        hindsight = _ALWAYS if row.live_from is None else row.live_from
        judged = verdicts(ctx, con, asked._replace(found=found, hindsight=hindsight))
    counts, terms = Counter(written=len(found), existing=len(asked.found) - len(found)), params.terms(ctx.body)
    orders = [rows.candidate_order(c, terms) for c in found]
    fresh = list(zip(found, orders, outcomes(ctx, part, asked.bars, orders, terms), judged, strict=True))
    for a in range(0, len(fresh), _BATCH):
        with ctx.db.write() as con:
            write(ctx, con, part, fresh[a : a + _BATCH], terms, book, counts)
    return counts


def id_of(part: Part, c: Candidate) -> str:
    """The signal id of a candidate."""
    return rows.signal_id(c.setup, part.symbol, c.timeframe, c.start_ts, c.end_ts)


def outcomes(ctx: Context, part: Part, bars: Bars, orders: list[Order], terms: params.Terms) -> list[State]:
    """What becomes of each order over the symbol's minutes."""
    m, packed = part.minutes, pack_orders(orders)
    starts = np.searchsorted(m.ts, packed["decided_ts"])
    atr = Indicators(bars, terms.trail_period, ctx.kernels).atr_array(0, len(bars))
    out = empty_states(len(orders))
    walk_many = compiled.lifecycle(cache(ctx)).walk_many
    walk_many(packed, starts, m.ts, m.open, m.high, m.low, m.close, bars.ts + bars.tf, atr, part.followed, out)
    ended = part.one_minute.ended_ts
    if ended is None:
        return unpack_states(out)
    with ctx.db.lock:  # the exchange no longer lists it: what is open ends there, as it does live (rule 25)
        close = candles.price_at(ctx.db.con, part.one_minute.id, ended + 1) or 0.0
    return [delist(state, order, ended, close) for state, order in zip(unpack_states(out), orders, strict=True)]


def cache(ctx: Context) -> Path:
    """Where compiled code is kept."""
    return Path(ctx.cfg.app.data_dir)


def write(
    ctx: Context,
    con: candles.Con,
    part: Part,
    batch: Sequence[tuple[Candidate, Order, State, Verdict]],
    terms: params.Terms,
    book: Book,
    counts: Counter[str],
) -> None:
    """Write fresh rows with what became of them, and count them by verdict."""
    found, held, legs = [], [], []
    for n, (c, order, state, verdict) in enumerate(batch, signals.next_number(con)):
        counts["passed" if verdict.passed else "refused"] += 1
        values = rows.signal_values(
            c,
            verdict,
            order,
            exchange=ctx.exchange_id,
            symbol=part.symbol,
            origin="retro",
            late=False,
            config_hash=ctx.config_hash,
        )
        row = rows.outcome(order, state, terms, *book.paid(order, state, terms))
        found.append((n, *values))
        held.append((n, part.info.id, *row.state, *row.money))
        legs += [(n, leg, *event) for leg, event in enumerate(row.events)]
    signals.add_many(con, found, held, legs)
