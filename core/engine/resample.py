"""Bring every derived bar up to what the minutes allow: the tail, and what was marked as changed."""

from core import timeframe
from core.engine.context import Context
from core.store import candles
from core.store import resample as build_store
from core.store.candles import Con, Series, Stretch


def resample(ctx: Context, symbols: set[str] | None = None) -> int:
    """Build all ended buckets that are missing or marked; returns bars written. Idempotent."""
    with ctx.db.lock:
        stretches = candles.stretches(ctx.db.con, ctx.exchange_id)
        series = candles.series(ctx.db.con, ctx.exchange_id)
        dirty = candles.dirty(ctx.db.con, ctx.exchange_id)
    work = [s for s in stretches if symbols is None or s in symbols]
    if not any(s in dirty or _behind(ctx, s, stretches[s][-1], series) for s in work):
        return 0
    written = 0
    with ctx.db.write(durable=False) as con:
        for symbol in work:
            written += _tail(ctx, con, symbol, stretches[symbol][-1], series)
        series = candles.series(con, ctx.exchange_id) if dirty else series
        for symbol in work:
            for span in dirty.get(symbol, ()):
                written += _marked(ctx, con, symbol, span, stretches[symbol], series)
    return written


def _behind(ctx: Context, symbol: str, stretch: Stretch, series: dict[tuple[str, str], Series]) -> bool:
    return any(_due(series.get((symbol, tf)), tf, stretch) for tf in ctx.timeframes[1:])


def _due(row: Series | None, tf: str, stretch: Stretch) -> tuple[int, int] | None:
    if row is None:
        return None
    size = timeframe.ms(tf)
    start = row.built_ts if row.built_ts is not None else timeframe.floor(stretch.start, size)
    end = timeframe.floor(stretch.frontier, size)
    return (max(start, timeframe.floor(stretch.start, size)), end) if end > start else None


def _tail(ctx: Context, con: Con, symbol: str, stretch: Stretch, series: dict[tuple[str, str], Series]) -> int:
    written, moved = 0, []
    for tf in ctx.timeframes[1:]:
        span = _due(series.get((symbol, tf)), tf, stretch)
        if span is None:
            continue
        source, target = series[symbol, timeframe.SOURCE[tf]], series[symbol, tf]
        written += build_store.build(con, source.id, target.id, timeframe.ms(tf), *span, stretch.frontier)
        moved.append((span[1], target.id))
    build_store.set_built(con, moved)
    return written


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
            written += build_store.build(
                con, source.id, target.id, size, timeframe.floor(span[0], size), end, home.frontier
            )
    candles.clean(con, ctx.exchange_id, symbol, span)
    return written
