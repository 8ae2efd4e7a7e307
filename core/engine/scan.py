"""Decide every bar that has become final: candidates, verdicts, rows and their alerts in one transaction."""

from collections import Counter
from dataclasses import replace
from typing import Any, NamedTuple

from core import timeframe
from core.engine import announce, frames, params, rows
from core.engine.context import Context
from core.engine.isolate import each_symbol
from core.engine.scoring import Asked, verdicts
from core.errors import DataError
from core.signals.decide import decide, first_complete, needs, window
from core.signals.regime import VOL_WINDOW
from core.store import candles, signals
from core.store.candles import Con, Series, Stretch, Symbol
from core.timeframe import DAY
from core.trades.lifecycle import new_state


class Decided(NamedTuple):
    """One stored candidate: its row as a dict and its row number."""

    n: int
    row: dict[str, Any]


def scan(
    ctx: Context, now: int, failed: dict[str, str], *, go_live: bool = True, until: int | None = None
) -> int:
    """Decide what is final and not yet decided, for every configured symbol; returns rows written.

    A symbol whose scan fails keeps its watermark and is named in `failed`; the others go on. go_live:
    whether a timeframe that is warm now begins to decide. until: nothing is decided behind it (ms).
    """
    with ctx.db.lock:
        symbols = candles.symbols(ctx.db.con, ctx.exchange_id)
        series = candles.series(ctx.db.con, ctx.exchange_id)
        stretches = candles.stretches(ctx.db.con, ctx.exchange_id)
    if until is not None:
        stretches = {s: [replace(x, frontier=min(x.frontier, until)) for x in of] for s, of in stretches.items()}
    work = [s for s in symbols if s in stretches and symbols[s].scanned_ts != stretches[s][-1].frontier]
    if not work:
        return 0
    decided: dict[str, list[Decided]] = {}
    due = any(_closes(ctx, symbols[s], stretches[s][-1]) for s in work)
    with ctx.db.write(durable=due) as con:  # a mere watermark may be lost in a power cut: it is worked off again
        if go_live:
            frames.mark_whole(con, series, stretches, ctx.scanned_timeframes())

        def decide_symbol(symbol: str) -> None:
            if symbol in ctx.cfg.symbols:
                decided[symbol] = _scan_symbol(
                    ctx, con, symbol, symbols[symbol], stretches[symbol][-1], series, now, go_live
                )

        done = each_symbol(ctx.db, work, decide_symbol, failed)
        announce.signals(ctx, con, [d.row for s in done for d in decided.get(s, ())], now)
        candles.set_watermarks(con, "scanned_ts", [(stretches[s][-1].frontier, symbols[s].id) for s in done])
    return sum(len(decided.get(s, ())) for s in done)


def _closes(ctx: Context, info: Symbol, stretch: Stretch) -> bool:
    since = info.scanned_ts if info.scanned_ts is not None else stretch.start
    return any(
        timeframe.floor(since, timeframe.ms(tf)) < timeframe.floor(stretch.frontier, timeframe.ms(tf))
        for tf in ctx.scanned_timeframes()
    )


def _scan_symbol(
    ctx: Context,
    con: Con,
    symbol: str,
    info: Symbol,
    stretch: Stretch,
    series: dict[tuple[str, str], Series],
    now: int,
    go_live: bool,
) -> list[Decided]:
    found: list[Decided] = []
    since = info.scanned_ts if info.scanned_ts is not None else stretch.start
    for tf in ctx.scanned_timeframes():
        row, size = series[symbol, tf], timeframe.ms(tf)
        end = timeframe.floor(stretch.frontier, size)
        if end <= timeframe.floor(since, size) and row.live_from is not None:
            continue
        if row.live_from is None:
            if go_live and info.market is not None:
                _go_live(ctx, con, tf, row, stretch, end, now)
        elif end > row.live_from - size:
            if row.built_ts is None or row.built_ts < end:
                raise DataError(f"{symbol} {tf}: bars are built up to {timeframe.show_time(row.built_ts)} only")
            start = max(timeframe.floor(since, size), row.live_from - size)
            found += _scan_series(ctx, con, symbol, tf, info, row, stretch, (start, end), now)
    return found


def _go_live(ctx: Context, con: Con, tf: str, row: Series, stretch: Stretch, end: int, now: int) -> None:
    # From the first decision after this tick on, live decides; what lies before is retro's (rule 30).
    size, setups, common = timeframe.ms(tf), ctx.setups_on(tf), params.common(ctx.body)
    if (end - stretch.start) // size < VOL_WINDOW:
        return  # none can be warm: asked each minute while it warms up, so nothing is read for it
    bars = candles.tail(con, row.id, size, end, window(setups, common))
    if first_complete(bars, stretch.start, needs(setups, common), len(bars) - 1) < len(bars):
        candles.set_live_from(con, row.id, timeframe.floor(now, size) + size)


def _scan_series(
    ctx: Context,
    con: Con,
    symbol: str,
    tf: str,
    info: Symbol,
    row: Series,
    stretch: Stretch,
    span: tuple[int, int],
    now: int,
) -> list[Decided]:
    # `span` holds the opens of the deciding bars.
    size, common = timeframe.ms(tf), params.common(ctx.body)
    setups = ctx.setups_on(tf)
    fresh = (span[1] - span[0]) // size
    bars = candles.tail(con, row.id, size, span[1], window(setups, common) + fresh - 1)
    lo = int(bars.ts.searchsorted(span[0]))
    counts: Counter[str] = Counter()
    found = decide(
        bars,
        lo,
        len(bars),
        stretch.start,
        tf,
        setups,
        _market(info),
        params.costs(ctx.body),
        params.risk(ctx.body),
        common,
        ctx.kernels,
        counts,
    )
    add_counts(con, ctx, symbol, tf, counts + Counter(bars=len(bars) - lo), span[1])
    return store(ctx, con, info.id, Asked(symbol, tf, bars, ctx.body, found, now), now)


def _market(info: Symbol) -> candles.MarketInfo:
    assert info.market is not None  # a symbol without its market is not scanned
    return info.market


def store(ctx: Context, con: Con, symbol_id: int, asked: Asked, now: int) -> list[Decided]:
    """Write live candidates as signals with their verdicts and pending positions."""
    stored, terms, symbol = [], params.terms(ctx.body), asked.symbol
    for c, verdict in zip(asked.found, verdicts(ctx, con, asked), strict=True):
        late = rows.is_late(c.decided_ts, timeframe.ms(c.timeframe), now)
        order = rows.candidate_order(c, terms)
        values = rows.signal_values(
            c,
            verdict,
            order,
            exchange=ctx.exchange_id,
            symbol=symbol,
            origin="live",
            late=late,
            config_hash=ctx.config_hash,
        )
        n = signals.add_signal(con, values)
        if n is not None:
            begun = rows.outcome(order, new_state(order), terms)
            signals.save_position(con, n, symbol_id, begun.state, begun.money)
            stored.append(Decided(n, rows.as_dict(values)))
    return stored


def add_counts(con: Con, ctx: Context, symbol: str, tf: str, counts: Counter[str], ts: int) -> None:
    """Add to the daily counts of bars decided and candidates dropped."""
    day = timeframe.floor(ts - 1, DAY)
    signals.add_counts(con, [(ctx.exchange_id, symbol, tf, day, name, n) for name, n in sorted(counts.items())])
