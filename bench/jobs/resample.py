"""A year of minutes into five timeframes, from database to database, against merely reading the minutes."""

from pathlib import Path

from bench import data
from bench.measure import Row, Scale, apart, cpu, peak_mb, rss_mb, side_by_side
from core.engine.context import Context
from core.engine.resample import resample


def run(scale: Scale) -> list[Row]:
    """The whole catch-up in one call, as after a backfill."""
    path = scale.folder / "resample.db"
    apart(fill, path, scale.pick(data.YEAR, 15))
    ctx = data.context(path, data.shipped())
    before = rss_mb()

    def ours() -> float:
        _forget(ctx)
        return cpu(lambda: resample(ctx))

    def reading() -> float:
        return cpu(lambda: data.read_minutes(path))

    first = ours()
    added = peak_mb() - before
    mine, theirs = side_by_side(scale.pick(5, 3), ours, reading)
    return [
        Row("five timeframes, database to database", mine, "s", "reading the 1m rows", theirs, 2.2,
            note=f"first run {first:.2f} s"),
        Row("memory added", added, "MB", limit=60),
    ]


def fill(path: Path, days: int) -> None:
    """Make the file with its minutes."""
    ctx = data.context(path, data.shipped())
    data.fill(ctx, data.SYMBOL, data.minutes(data.SYMBOL, days))
    ctx.db.close()


def _forget(ctx: Context) -> None:
    with ctx.db.write() as con:
        con.execute("DELETE FROM ohlcv WHERE series IN (SELECT id FROM series WHERE timeframe <> '1m')")
        con.execute("UPDATE series SET built_ts = NULL")
    ctx.db.checkpoint()
