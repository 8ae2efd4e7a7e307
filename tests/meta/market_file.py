"""A database full of closed plans on a generated market, made in seconds: candles into the file, then retro."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.clock import VirtualClock
from core.config.schema import Config
from core.engine import retro
from core.engine.context import Context
from core.engine.resample import resample
from core.engine.retro import RetroOptions
from core.market.generated import START, GeneratedMarket
from core.market.source import MarketSource
from core.store import candles
from core.store.candles import MarketInfo
from core.store.db import Database
from core.timeframe import DAY, MINUTE
from tests.engine import harness

DAYS = 50  # of the shared file

# Breakouts and pullbacks on short timeframes at low cost, so that half a year holds thousands of plans.
CONFIG = """
symbols: [BTC/USDT:USDT, ETH/USDT:USDT]
timeframes: [15m]
app: {db_path: DB}
""" + harness.CHEAP + """
  setups:
    fibo_avwap: {timeframes: [15m]}
    donchian: {timeframes: [15m], ema_side: false, max_hold_candles: 60}
    compression: {enabled: false}
execution: {max_hold_candles: 60, funding: false}
models: {meta: {model_path: MODELS, min_closed_samples: 300}}
"""


def config(folder: Path, text: str = CONFIG) -> Config:
    """The configuration with its paths below `folder`."""
    return harness.config(_placed(folder, text))


def config_file(folder: Path) -> Path:
    """The same as a file in the folder of a made or copied database."""
    path = folder / "config.yaml"
    path.write_text(_placed(folder, CONFIG), encoding="utf-8")
    return path


def _placed(folder: Path, text: str) -> str:
    return text.replace("DB", str(folder / "own.db")).replace("MODELS", str(folder / "models/meta"))


def fill(ctx: Context, source: MarketSource, days: int) -> dict[str, Any]:
    """Store `days` of the market's first minutes, build the bars, and scan them with retro."""
    ctx.ensure_rows()
    end = 0
    for symbol in ctx.cfg.symbols:
        start = source.first(symbol)
        end = start + days * DAY
        info = source.info(symbol)
        with ctx.db.write(durable=False) as con:
            candles.set_market(con, ctx.exchange_id, symbol, MarketInfo(info.tick, info.lot, info.min_notional), end)
            one = candles.series(con, ctx.exchange_id)[symbol, "1m"]
            bars = source.candles(symbol, start, end)
            columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
            candles.put_rows(con, one.id, list(zip(*(c.tolist() for c in columns), strict=True)), end)
            candles.set_stretch(con, ctx.exchange_id, symbol, start, end)
            candles.add_dirty(con, ctx.exchange_id, symbol, start, end)
    resample(ctx)
    assert isinstance(ctx.clock, VirtualClock)
    ctx.clock.set(end + MINUTE)
    return retro.run(ctx, RetroOptions())


def made(folder: Path, *, edge: float = 0.0, seed: int = 7, days: int = 150, cfg: Config | None = None) -> Context:
    """A file with a generated market's plans, open for writing."""
    cfg = cfg or config(folder)
    source = GeneratedMarket(tuple(cfg.symbols), seed=seed, days=days, edge=edge)
    ctx = Context(cfg, Database(folder / "own.db"), VirtualClock(source.start), tell_all=True)
    fill(ctx, source, days)
    return ctx


def copied(source: Path, folder: Path) -> Context:
    """A copy of a made file and its models in another folder, open for writing."""
    for file in source.glob("own.db*"):
        shutil.copy(file, folder / file.name)
    if (source / "models").is_dir():
        shutil.copytree(source / "models", folder / "models")
    db = Database(folder / "own.db")
    return Context(config(folder), db, VirtualClock(end_of(DAYS)), tell_all=True)


def opened(ctx: Context, *, readonly: bool = False) -> Context:
    """The same file in another hand."""
    db = Database(ctx.db.path, readonly=readonly)
    return Context(ctx.cfg, db, VirtualClock(ctx.clock.now()), tell_all=ctx.tell_all)


def end_of(days: int) -> int:
    """Where the clock stands after `made`."""
    return START + days * DAY + MINUTE


def with_meta(cfg: Config, **values: Any) -> Config:
    """The configuration with other keys of `models.meta`."""
    return replace(cfg, models=replace(cfg.models, meta=replace(cfg.models.meta, **values)))
