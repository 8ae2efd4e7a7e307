"""A replayed market's history put into the file at once, as `import-candles` would: minutes and funding rates.

Asked for over HTTP, half a year of three symbols takes a minute; whoever tries the demo shall not wait for that.
"""

from collections.abc import Callable

from core.engine.context import Context
from core.market.source import MarketSource
from core.store import candles, funding, runs
from core.timeframe import DAY, HOUR, MINUTE, floor

Progress = Callable[[int, int], None]

_CHUNK = 10 * DAY  # of one transaction
_FUNDING_FROM = "funding_from"  # what sync remembers: from where on rates were asked for


def prefill(ctx: Context, source: MarketSource, start: int, end: int, progress: Progress | None = None) -> None:
    """Store every symbol's minutes and rates of [start, end) ms; a run that was killed goes on where it was."""
    with ctx.db.lock:
        known = candles.stretches(ctx.db.con, ctx.exchange_id)
    begun = {s: known[s][-1].frontier if s in known else max(start, source.first(s)) for s in ctx.cfg.symbols}
    total, done = sum(max(0, end - at) for at in begun.values()) // MINUTE, 0
    for symbol, at in begun.items():
        for a in range(at, end, _CHUNK):
            b = min(end, a + _CHUNK)
            _store(ctx, source, symbol, a, b, start if symbol not in known else known[symbol][-1].start)
            done += (b - a) // MINUTE
            if progress:
                progress(done, total)


def _store(ctx: Context, source: MarketSource, symbol: str, start: int, end: int, first: int) -> None:
    bars = source.candles(symbol, start, end)
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    with ctx.db.write(durable=False) as con:
        one = candles.series(con, ctx.exchange_id)[symbol, "1m"]
        candles.put_rows(con, one.id, list(zip(*(c.tolist() for c in columns), strict=True)), end)
        candles.set_stretch(con, ctx.exchange_id, symbol, max(first, source.first(symbol)), end)
        candles.add_dirty(con, ctx.exchange_id, symbol, start, end)
        if ctx.cfg.execution.funding:
            funding.add_rates(con, ctx.exchange_id, symbol, source.funding(symbol, start, end + 1))
            candles.set_watermarks(con, "funding_ts",
                                   [(floor(end, HOUR), candles.symbols(con, ctx.exchange_id)[symbol].id)])
            runs.put(con, _FUNDING_FROM, {**runs.get(con, _FUNDING_FROM, {}), symbol: first})
