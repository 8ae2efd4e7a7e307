"""One tick of a hundred symbols on five timeframes, from the moment the replies are there."""

import shutil
from pathlib import Path

from bench import data, hundred
from bench.jobs.minute import best_of, closing
from bench.measure import Row, Scale, apart, cpu
from core.clock import VirtualClock
from core.engine.context import Context
from core.engine.tick import tick
from core.store.db import Database
from core.timeframe import MINUTE

LIMITS = {"no derived bar closes": 0.2, "5m closes": None, "all five timeframes close": 2.0}
SETTLE = 3_000


def run(scale: Scale) -> list[Row]:
    """Gate, upsert, resample, scan, execute and the record of it, minute by minute over several midnights."""
    symbols = scale.pick(100, 10)
    made = scale.folder / "hundred.db"
    apart(hundred.make, made, symbols)
    found: dict[str, list[float]] = {}
    for _ in range(scale.pick(5, 1)):
        for kind, seconds in _midnight(scale.folder, made, symbols):
            found.setdefault(kind, []).append(seconds)
    plans = _open_plans(made)
    return [
        Row(f"{symbols} symbols, {kind}", min(taken), "s", limit=LIMITS[kind],
            note=f"{best_of(taken, 'ticks')}; {plans:,} open plans")
        for kind, taken in found.items()
    ]


def _midnight(folder: Path, made: Path, symbols: int) -> list[tuple[str, float]]:
    path = folder / "tick.db"
    shutil.copyfile(made, path)
    source, clock = hundred.market(symbols), VirtualClock(0)
    exchange = hundred.Answered(data.EXCHANGE, clock).open()
    ctx = Context(hundred.config(symbols), Database(path), clock, exchange, send_ungated=True)
    found = []
    for now in range(hundred.midnight(source) - hundred.BEFORE + MINUTE, hundred.midnight(source) + 1, MINUTE):
        clock.set(now + SETTLE)
        exchange.answer(hundred.answers(source, now + SETTLE))
        found.append((closing(now), cpu(lambda: _tick(ctx, clock.now()))))
    exchange.close()
    ctx.db.close()
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        path.with_name(name).unlink(missing_ok=True)
    return found


def _tick(ctx: Context, now: int) -> None:
    done = tick(ctx, now)
    if len(done) != 4 or any(run.state != "ok" for run in done):
        raise RuntimeError(f"the tick failed: {done}")


def _open_plans(path: Path) -> int:
    db = Database(path, readonly=True)
    try:
        return int(db.con.execute("SELECT count(*) FROM positions WHERE closed_ts IS NULL").fetchone()[0])
    finally:
        db.close()
