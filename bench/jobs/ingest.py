"""A year of raw minutes through the candle gate and the checkpoint, against a bare insert of prebuilt tuples."""

import gc
from itertools import count
from typing import Any

from bench import data
from bench.measure import Row, Scale, cpu, side_by_side
from core.engine.context import Context
from core.engine.pages import store_page
from core.market import candle_gate
from core.store import candles
from core.store.candles import Stretch
from core.timeframe import MINUTE

BATCH = 1000


def run(scale: Scale) -> list[Row]:
    """Both into a fresh file of the same schema, in transactions of 1000 rows."""
    rows = data.raw(data.minutes(data.SYMBOL, scale.pick(data.YEAR, 15)))
    raw = list(data.pages(rows, BATCH))
    gc.freeze()  # a year of rows in memory is the bench's doing: the collector shall not walk through it
    cfg, number = data.shipped(), count()

    def ours() -> float:
        ctx = data.context(scale.folder / f"ingest{next(number)}.db", cfg)
        return _closed(ctx, cpu(lambda: ingest(ctx, raw)))

    def bare() -> float:
        ctx = data.context(scale.folder / f"ingest{next(number)}.db", cfg)
        ready = [[(_minute_id(ctx), *row) for row in page] for page in raw]
        return _closed(ctx, cpu(lambda: insert(ctx, ready)))

    mine, theirs = side_by_side(scale.pick(5, 3), ours, bare)
    note = f"{len(rows):,} rows, {len(rows) / mine:,.0f} rows per CPU second"
    return [Row("gate and checkpoint, batches of 1000", mine, "s", "bare executemany", theirs, 1.5, note=note)]


def ingest(ctx: Context, pages: list[list[Any]]) -> None:
    """What backfill does with each page once it has arrived."""
    start, end = pages[0][0][0], pages[-1][-1][0] + MINUTE
    series, stretch = _minute_id(ctx), Stretch(start, start)
    for page in pages:
        gated = candle_gate.check(page, MINUTE, page[0][0], page[-1][0] + MINUTE, end)
        with ctx.db.write(durable=False) as con:
            stretch, _ = store_page(con, data.EXCHANGE, data.SYMBOL, series, stretch, gated.rows, start, (), end)


def insert(ctx: Context, pages: list[list[Any]]) -> None:
    """The bare minimum: prebuilt tuples into the same table."""
    for page in pages:
        with ctx.db.write(durable=False) as con:
            con.executemany(
                "INSERT INTO ohlcv (series, ts, open, high, low, close, volume) VALUES (?, ?, ?, ?, ?, ?, ?)", page
            )


def _minute_id(ctx: Context) -> int:
    return candles.series(ctx.db.con, data.EXCHANGE)[data.SYMBOL, "1m"].id


def _closed(ctx: Context, seconds: float) -> float:
    ctx.db.close()
    ctx.db.path.unlink()
    return seconds
