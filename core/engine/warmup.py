"""How far each timeframe is from deciding live: warming up, N of M bars, live at about (rule 5)."""

from dataclasses import dataclass

from core import timeframe
from core.engine import params
from core.engine.context import Context
from core.signals.decide import needs
from core.signals.indicators import BLOCK
from core.signals.regime import VOL_WINDOW
from core.store import candles
from core.store.candles import Series, Stretch


@dataclass(frozen=True, slots=True)
class Warmth:
    """One timeframe over all symbols: how many decide live, and how far the last of the others is.

    bars, needed: stored bars and those it takes; live_at: about when, ms UTC. None where all are live, and
    where no candle is stored yet.
    """

    timeframe: str
    live: int
    symbols: int
    bars: int | None = None
    needed: int | None = None
    live_at: int | None = None

    def describe(self) -> str:
        """In words, such as `1h warming up, 210 of 475 bars, live at about 2024-05-12 03:00Z`."""
        if self.live == self.symbols:
            return f"{self.timeframe} live"
        some = f" ({self.live} of {self.symbols} symbols live)" if self.live else ""
        if self.needed is None:
            return f"{self.timeframe} waits for its first candles{some}"
        if (self.bars or 0) >= self.needed:
            return f"{self.timeframe} warm, live from the next bar on{some}"
        when = timeframe.show_time(self.live_at)
        return f"{self.timeframe} warming up, {self.bars} of {self.needed} bars, live at about {when}{some}"


def of(ctx: Context) -> list[Warmth]:
    """Every scanned timeframe, shortest first."""
    with ctx.db.lock:
        series = candles.series(ctx.db.con, ctx.exchange_id)
        stretches = candles.stretches(ctx.db.con, ctx.exchange_id)
    return [_one(ctx, tf, series, stretches) for tf in ctx.scanned_timeframes()]


def _one(ctx: Context, tf: str, series: dict[tuple[str, str], Series], stretches: dict[str, list[Stretch]]) -> Warmth:
    rows = {s: series.get((s, tf)) for s in ctx.cfg.symbols}
    waiting = [s for s, row in rows.items() if row is None or row.live_from is None]
    live, known = len(rows) - len(waiting), [stretches[s][-1] for s in waiting if s in stretches]
    if not known:
        return Warmth(tf, live, len(rows))
    need = needs(ctx.setups_on(tf), params.common(ctx.body))
    last = max(known, key=lambda stretch: stretch.start)
    bars, needed, live_at = progress(last, timeframe.ms(tf), need)
    return Warmth(tf, live, len(rows), bars, needed, live_at)


def progress(stretch: Stretch, size: int, need: int) -> tuple[int, int, int]:
    """(bars stored, bars needed, first live decision in ms) for a stretch without holes.

    The first warm bar is the one whose 300th-last bar has the whole block before it inside the stretch,
    and at least `need` bars up to itself (rule 5).
    """
    first = timeframe.ceil(stretch.start, size)
    by_block = timeframe.ceil(stretch.start, BLOCK * size) + (BLOCK + VOL_WINDOW - 1) * size
    warm = max(by_block, first + (need - 1) * size)
    bars = max(0, (timeframe.floor(stretch.frontier, size) - first) // size)
    return bars, (warm - first) // size + 1, warm + 2 * size
