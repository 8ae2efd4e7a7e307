"""The precision filter: features, scoring, training, the whole weekly cycle, and the tick beside it."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench import data, hundred
from bench.jobs import retro as retro_job
from bench.jobs.minute import best_of, closing
from bench.measure import Row, Scale, apart, cpu, median
from core import timeframe
from core.candles import Floats
from core.clock import VirtualClock
from core.config.schema import Config
from core.engine import (
    calibrate,
    compiled,
    explain,
    frames,
    params,
    promotion,
    retro,
    scoring,
    training,
    tuning,
    weekly,
)
from core.engine.context import Context
from core.engine.handback import Handed, Window
from core.engine.promotion import Order
from core.engine.retro import RetroOptions
from core.engine.scoring import Asked
from core.engine.tick import tick
from core.meta import model
from core.meta.model import ModelParams
from core.signals import features
from core.signals.decide import window
from core.store import candles, signals
from core.store.db import Database
from core.timeframe import DAY, MINUTE

CANDIDATES = 20_000
COLUMNS = 40
SETTLE = 3_000
LINEAR = 1.2  # noise aside
TICK = 2.0  # times as long beside a training
WARM_S = 4.0  # a child imports and reads for so long before it works


def run(scale: Scale) -> list[Row]:
    """Everything of the filter that has a limit."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    made = scale.folder / "filter.db"
    apart(make, made, scale.pick(data.YEAR, 60))
    ctx = Context(_config(scale.folder), Database(made), VirtualClock(0))
    rows = [*_features(scale, ctx), *_training(scale)]
    rows += [*_cycle(ctx, scale.pick(56, 12)), *_scoring(scale, ctx)]
    ctx.db.close()
    return [*rows, *_beside(scale)]


def make(path: Path, days: int) -> None:
    """Two symbols with all their timeframes and plans."""
    retro_job.make(path, days)
    ctx = Context(_config(path.parent), Database(path), VirtualClock(0))
    retro.run(ctx, RetroOptions(symbols=(data.SYMBOL, retro_job.OTHER)))
    ctx.db.checkpoint()
    ctx.db.close()


def _config(folder: Path, *more: tuple[str, str]) -> Config:
    return data.shipped(*_places(folder), *more)


def _places(folder: Path) -> list[tuple[str, str]]:
    # Nothing is written outside the bench's own folder.
    models = f"path: {folder}/m/meta "
    return [("data_dir: data ", f"data_dir: {folder} "), ("path: models/meta ", models), ("path: models/meta ", models)]


# Features


def _features(scale: Scale, ctx: Context) -> list[Row]:
    kernels = compiled.kernels(scale.folder)
    plans = _stored(ctx, scale.pick(CANDIDATES, 2_000))
    _table(ctx, plans, kernels)  # machine code into memory
    whole, half, reading = [], [], []
    for _ in range(scale.pick(5, 1)):
        whole.append(cpu(lambda: _table(ctx, plans, kernels)))
        half.append(cpu(lambda: _table(ctx, plans, kernels, 2)))
        reading.append(cpu(lambda: _read(ctx, plans)))
    n = sum(map(len, plans.values()))
    return [
        Row(f"features of {n:,} candidates", min(whole), "s", limit=5.0,
            note=f"{best_of(whole, 'runs')}; {len(features.NAMES)} columns, {len(plans)} symbols and timeframes"),
        Row("  against reading their bars into numpy", min(whole), "s", "reading", min(reading),
            note="the same bars of all frames, one query each"),
        Row("  whole against half, per candidate", min(whole) / 2 / min(half), "x", limit=LINEAR, note="1 = linear"),
    ]


def _stored(ctx: Context, most: int) -> dict[tuple[str, str], list[Any]]:
    """The newest plans in the file by symbol and timeframe, as the features see them."""
    rows = signals.row_dicts(ctx.db.con.execute(
        "SELECT * FROM signals ORDER BY decided_ts DESC LIMIT ?", (most,)))
    found: dict[tuple[str, str], list[Any]] = {}
    for row in reversed(rows):
        found.setdefault((row["symbol"], row["timeframe"]), []).append(explain.candidate(row))
    return found


def _table(ctx: Context, plans: dict[tuple[str, str], list[Any]], kernels: Any, part: int = 1) -> None:
    # As the training does it: one read and one call per symbol and timeframe. part: only the newest 1/part.
    for (symbol, tf), found in plans.items():
        chosen = found[-(len(found) // part):]
        around = _around(ctx, symbol, tf, chosen)
        features.table(frames.facts(chosen), around, kernels)


def _around(ctx: Context, symbol: str, tf: str, found: Sequence[Any]) -> features.Frames:
    size, first, last = timeframe.ms(tf), found[0].decided_ts, found[-1].decided_ts
    row = candles.series(ctx.db.con, data.EXCHANGE)[symbol, tf]
    reach = window(ctx.setups_on(tf), params.common(ctx.body))
    bars = candles.load(ctx.db.con, row.id, size, first - (reach + 1) * size, last)
    return frames.load(ctx.db.con, data.EXCHANGE, symbol, bars, first, last, 14)


def _read(ctx: Context, plans: dict[tuple[str, str], list[Any]]) -> None:
    for (symbol, tf), found in plans.items():
        size, series = timeframe.ms(tf), candles.series(ctx.db.con, data.EXCHANGE)
        higher = features.needs(size).higher
        wanted = [(symbol, tf, 555), *((symbol, timeframe.NAMES[ms], n) for ms, n in higher.items())]
        if symbol != data.SYMBOL:
            wanted.append((data.SYMBOL, tf, 555))
        for name, frame, count in wanted:
            query = "SELECT ts, open, high, low, close, volume FROM ohlcv WHERE series = ? AND ts >= ? AND ts < ?"
            span = found[0].decided_ts - count * timeframe.ms(frame), found[-1].decided_ts
            np.fromiter(ctx.db.con.execute(query, (series[name, frame].id, *span)),
                        np.dtype([(column, "f8") for column in "tohlcv"]))


# Training


def _training(scale: Scale) -> list[Row]:
    n = scale.pick(CANDIDATES, 2_000)
    rng = np.random.default_rng(7)
    x = rng.normal(size=(n, COLUMNS))
    y = (rng.random(n) < 1.0 / (1.0 + np.exp(-0.4 * x[:, 0] - 0.3 * x[:, 1] * (x[:, 2] > 0)))).astype(np.float64)
    names, how = [f"f{j}" for j in range(COLUMNS)], ModelParams()
    ours, theirs = list[float](), list[float]()
    for _ in range(scale.pick(3, 1)):
        ours.append(cpu(lambda: model.fit(x, y, None, names, how, 7)))
        theirs.append(cpu(lambda: _peer(x, y, how)))
    what = f"training on {n:,} x {COLUMNS}, one thread"
    return [
        Row(what, min(ours), "s", limit=10.0, note=f"{best_of(ours, 'runs')}; {how.seeds} boosters, {how.rounds} "
            f"rounds, depth {how.max_depth}, pairs screened"),
        Row("  against scikit-learn's HistGradientBoosting", min(ours), "s", "the same rounds and depth, as many fits",
            min(theirs), note="it has no screened pairs and averages nothing"),
    ]


def _peer(x: Floats, y: Floats, how: ModelParams) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    for seed in range(how.seeds):
        HistGradientBoostingClassifier(
            learning_rate=how.eta, max_iter=how.rounds, max_depth=how.max_depth, max_leaf_nodes=2**how.max_depth,
            min_samples_leaf=30, l2_regularization=5.0, early_stopping=False, random_state=seed).fit(x, y)


# The weekly cycle


def _cycle(ctx: Context, back: int) -> list[Row]:
    """Train, calibrate and tune as on a Sunday, while a model of `back` days before governs."""
    end = int(ctx.db.con.execute("SELECT max(followed_ts) FROM symbols").fetchone()[0])
    first = training.run(ctx, Window(end=end - back * DAY))
    _govern(ctx, first, end)
    spent: dict[str, float] = {}
    found: dict[str, Handed] = {}
    works: dict[str, Callable[[], Handed]] = {
        "train": lambda: training.run(ctx, Window()), "calibrate": lambda: calibrate.run(ctx, Window()),
        "tune": lambda: tuning.run(ctx, Window())}
    for name, work in works.items():
        spent[name] = cpu(partial(_into, found, name, work))
    candidates = ctx.db.con.execute("SELECT count(*) FROM signals").fetchone()[0]
    n = found["train"].report["data"]["samples"]
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent.items())
    return [
        Row(f"weekly cycle, {n:,} of {candidates:,} candidates filled and ended", sum(spent.values()), "s", limit=120.0,
            note=parts),
        Row("  per 20,000 such plans", sum(spent.values()) * CANDIDATES / n, "s", limit=120.0),
    ]


def _into(found: dict[str, Handed], name: str, work: Callable[[], Handed]) -> None:
    found[name] = work()


def _govern(ctx: Context, done: Handed, now: int) -> None:
    order = Order("bench", "to be timed", now)
    promotion.register(ctx, done.folder.path, order)
    promotion.promote(ctx, done.folder.id, order)
    with ctx.db.write() as con:
        con.execute("UPDATE promotions SET promoted_ts = 0")


# Scoring


def _scoring(scale: Scale, ctx: Context) -> list[Row]:
    """Whole minutes of the file, as the daemon judges them: plain kernels, one call per symbol and timeframe.

    A usual minute has as many plans as the median of those that have any, a busy one as the 90th percentile.
    """
    fresh = Context(ctx.cfg, ctx.db, ctx.clock, models=ctx.models)  # the kernels of the daemon
    minutes = ctx.db.con.execute(
        "SELECT decided_ts, count(*), count(DISTINCT symbol || timeframe) FROM signals GROUP BY decided_ts "
        "ORDER BY 3, 2, 1").fetchall()
    chosen = {"a usual minute": 0.5, "a busy minute": 0.9, "the busiest minute": 1.0}
    picked = {name: minutes[round(share * (len(minutes) - 1))] for name, share in chosen.items()}
    asked = {name: _asked(ctx, signals.row_dicts(ctx.db.con.execute(
        "SELECT * FROM signals WHERE decided_ts = ?", (row[0],)))) for name, row in picked.items()}
    taken: dict[str, list[float]] = {name: [] for name in picked}
    for _ in range(scale.pick(50, 3)):
        for name, found in asked.items():
            taken[name].append(1000 * cpu(partial(_judge, fresh, found)))
    return [
        Row(f"features, score and verdict of {name}", min(taken[name]), "ms",
            limit=10.0 if chosen[name] < 1.0 else None,
            note=f"{best_of(taken[name], 'calls')}; {n} plans on {series} symbols and timeframes")
        for name, (_ts, n, series) in picked.items()
    ]


def _judge(ctx: Context, asked: Sequence[Asked]) -> None:
    for one in asked:
        scoring.verdicts(ctx, ctx.db.con, one)


def _asked(ctx: Context, rows: Sequence[dict[str, Any]]) -> list[Asked]:
    found: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        found.setdefault((row["symbol"], row["timeframe"]), []).append(explain.candidate(row)._replace(refusal=None))
    asked = []
    for (symbol, tf), plans in found.items():
        series = candles.series(ctx.db.con, data.EXCHANGE)[symbol, tf]
        reach = window(ctx.setups_on(tf), params.common(ctx.body))
        bars = candles.tail(ctx.db.con, series.id, timeframe.ms(tf), plans[0].decided_ts, reach)
        asked.append(Asked(symbol, tf, bars, ctx.body, plans))
    return asked


# The tick beside a training


def _beside(scale: Scale) -> list[Row]:
    """Wall time of each tick of a hundred symbols alone, and while `train_meta.py` works on the same file."""
    symbols = scale.pick(100, 10)
    made = scale.folder / "hundred.db"
    apart(hundred.make, made, symbols)
    alone: dict[str, list[float]] = {}
    beside: dict[str, list[float]] = {}
    for _ in range(scale.pick(4, 1)):
        for into, child in ((alone, False), (beside, True)):
            for kind, seconds in _midnight(scale.folder, made, symbols, child=child):
                into.setdefault(kind, []).append(seconds)
    return [
        Row(f"tick of {symbols} symbols beside a training, {kind}", median(beside[kind]), "s", "alone", median(taken),
            TICK, note=f"wall time, medians of {len(taken)} ticks in turns; {os.cpu_count()} cores")
        for kind, taken in alone.items()
    ]


def _midnight(folder: Path, made: Path, symbols: int, *, child: bool) -> list[tuple[str, float]]:
    path, config = folder / "beside.db", folder / "beside.yaml"
    shutil.copyfile(made, path)
    config.write_text(data.text(*hundred.changes(symbols), *_places(folder), ("min_closed_samples: 1000",
                                                                              "min_closed_samples: 500")))
    source, clock = hundred.market(symbols), VirtualClock(0)
    exchange = hundred.Answered(data.EXCHANGE, clock).open()
    ctx = Context(hundred.config(symbols), Database(path), clock, exchange, send_ungated=True)
    ctx.config_path = config
    stop, thread = threading.Event(), None
    if child:
        line = weekly.command(ctx, "weekly_train")
        thread = threading.Thread(target=weekly.in_process_of_its_own, args=(line, stop.is_set))
        thread.start()
        time.sleep(WARM_S)
    found = []
    for now in range(hundred.midnight(source) - hundred.BEFORE + MINUTE, hundred.midnight(source) + 1, MINUTE):
        clock.set(now + SETTLE)
        exchange.answer(hundred.answers(source, now + SETTLE))
        began = time.perf_counter()
        tick(ctx, clock.now())
        found.append((closing(now), time.perf_counter() - began))
    stop.set()
    if thread is not None:
        thread.join()
    exchange.close()
    ctx.db.close()
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        path.with_name(name).unlink(missing_ok=True)
    return found
