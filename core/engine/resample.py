"""Bring every derived bar up to what the minutes allow: the tail, and what was marked as changed."""

from core import timeframe
from core.engine.context import Context
from core.store import candles
from core.store import resample as build_store
from core.store.candles import Con, Series, Span, Stretch
from core.store.resample import Part


def resample(ctx: Context, symbols: set[str] | None = None) -> int:
    """Build all ended buckets that are missing or marked; returns bars written. Idempotent."""
    with ctx.db.lock:
        stretches = candles.stretches(ctx.db.con, ctx.exchange_id)
        series = candles.series(ctx.db.con, ctx.exchange_id)
        dirty = candles.dirty(ctx.db.con, ctx.exchange_id)
    work = [s for s in stretches if symbols is None or s in symbols]
    due = {tf: _tails(tf, work, stretches, series) for tf in ctx.timeframes[1:]}
    if not any(due.values()) and not any(s in dirty for s in work):
        return 0
    written = 0
    with ctx.db.write(durable=False) as con:
        for tf, tails in due.items():
            for span, parts in tails.items():
                written += build_store.build(con, parts, timeframe.ms(tf), *span)
                build_store.set_built(con, (part.target for part in parts), span[1])
        series = candles.series(con, ctx.exchange_id) if dirty else series
        for symbol in work:
            for span in dirty.get(symbol, ()):
                written += _marked(ctx, con, symbol, span, stretches[symbol], series)
    return written


def _tails(
    tf: str, work: list[str], stretches: dict[str, list[Stretch]], series: dict[tuple[str, str], Series]
) -> dict[Span, list[Part]]:
    # What each symbol lacks of a timeframe; symbols that lack the same span, as they do live, go together.
    size, found = timeframe.ms(tf), dict[Span, list[Part]]()
    for symbol in work:
        stretch, target = stretches[symbol][-1], series.get((symbol, tf))
        begin, end = stretch.start - stretch.start % size, stretch.frontier - stretch.frontier % size
        if target is None or (begin if target.built_ts is None else target.built_ts) >= end:
            continue
        part = Part(series[symbol, timeframe.SOURCE[tf]].id, target.id, stretch.frontier)
        found.setdefault((max(begin, target.built_ts or 0), end), []).append(part)
    return found


def _marked(
    ctx: Context,
    con: Con,
    symbol: str,
    span: tuple[int, int],
    stretches: list[Stretch],
    series: dict[tuple[str, str], Series],
) -> int:
    # Buckets not ended in their own stretch are left: the tail, or the joining of stretches, brings them.
    home = max((s for s in stretches if s.start <= span[0]), key=lambda s: s.start, default=None)
    written = 0
    for tf in ctx.timeframes[1:]:
        if home is None:
            break
        size = timeframe.ms(tf)
        end = min(timeframe.ceil(span[1], size), timeframe.floor(home.frontier, size))
        source, target = series.get((symbol, timeframe.SOURCE[tf])), series.get((symbol, tf))
        if source and target and end > timeframe.floor(span[0], size):
            part = Part(source.id, target.id, home.frontier)
            written += build_store.build(con, [part], size, timeframe.floor(span[0], size), end)
    candles.clean(con, ctx.exchange_id, symbol, span)
    return written
