"""One new minute of a hundred symbols into five timeframes."""

import shutil
from pathlib import Path

from bench import data, hundred
from bench.measure import Row, Scale, apart, cpu, median
from core.engine.context import Context
from core.engine.resample import resample
from core.market.generated import GeneratedMarket
from core.store import candles
from core.timeframe import MINUTE

LIMIT_MS = 15.0


def run(scale: Scale) -> list[Row]:
    """The resample stage alone, minute by minute up to a midnight, several midnights."""
    symbols = scale.pick(100, 10)
    made = scale.folder / "hundred.db"
    apart(hundred.make, made, symbols)
    found: dict[str, list[float]] = {}
    for _ in range(scale.pick(12, 1)):
        for kind, seconds in _midnight(scale.folder, made, symbols):
            found.setdefault(kind, []).append(1000 * seconds)
    return [
        Row(f"{symbols} symbols, {kind}", min(taken), "ms", limit=LIMIT_MS, note=best_of(taken, "minutes"))
        for kind, taken in found.items()
    ]


def _midnight(folder: Path, made: Path, symbols: int) -> list[tuple[str, float]]:
    path = folder / "minute.db"
    shutil.copyfile(made, path)
    source = hundred.market(symbols)
    ctx = data.context(path, hundred.config(symbols))
    found = []
    for ts in range(hundred.midnight(source) - hundred.BEFORE, hundred.midnight(source), MINUTE):
        _store(ctx, source, ts)
        found.append((closing(ts + MINUTE), cpu(lambda: resample(ctx))))
    ctx.db.close()
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        path.with_name(name).unlink(missing_ok=True)
    return found


def best_of(taken: list[float], what: str) -> str:
    """How the best of several figures stands among them; an absolute limit is judged by the best (README)."""
    return f"best of {len(taken)} {what}, median {median(taken):.3g}"


def closing(ts: int) -> str:
    """What closes at time `ts`."""
    if ts % (1440 * MINUTE) == 0:
        return "all five timeframes close"
    return "5m closes" if ts % (5 * MINUTE) == 0 else "no derived bar closes"


def _store(ctx: Context, source: GeneratedMarket, ts: int) -> None:
    with ctx.db.write(durable=False) as con:
        series, known = candles.series(con, data.EXCHANGE), candles.stretches(con, data.EXCHANGE)
        for symbol in ctx.cfg.symbols:
            data.put(con, series[symbol, "1m"].id, source.candles(symbol, ts, ts + MINUTE))
            candles.set_stretch(con, data.EXCHANGE, symbol, known[symbol][-1].start, ts + MINUTE)
