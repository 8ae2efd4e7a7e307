"""Runs of the real daemon on the replay exchange, small enough for tests; also a process of its own to be killed.

python -m tests.engine.harness DB '{"span_h": 6, ...}'
"""

import io
import json
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.config import loader
from core.config.schema import Config
from core.engine import demo
from core.signals.setups import REGISTRY
from core.store.db import Database
from core.store.lock import WriterLock

ROOT = Path(__file__).parents[2]
HOUR = 3_600_000

# Every setup on short timeframes, so that a few days of minutes hold hundreds of plans of all kinds.
CONFIG = """
symbols: [BTC/USDT:USDT, SOL/USDT:USDT]
timeframes: [5m, 15m]
signals:
  max_cost_r: 0.6
  min_tp_net_pct: 0.1
  validity_candles: 8
  lookback_candles: 120
  fibo: {piv_window: 3}
  setups:
    fibo_avwap: {timeframes: [5m, 15m]}
    donchian: {timeframes: [5m, 15m], ema_side: true, max_hold_candles: 40}
    compression: {timeframes: [5m], max_hold_candles: 40}
execution: {max_hold_candles: 60}
"""


# Low costs and short lives, so that weeks hold hundreds of plans to learn from; `setups` follows.
CHEAP = """
signals:
  max_cost_r: 0.6
  min_tp_net_pct: 0.01
  validity_candles: 8
  lookback_candles: 120
  slippage_pct: 0.005
  fees: {taker_pct: 0.01, maker_pct: 0.01}
  fibo: {piv_window: 3}
"""


def config(text: str = CONFIG) -> Config:
    """The tests' configuration."""
    return loader.loads(text, REGISTRY, {})


def run(
    db_path: Path,
    *,
    span_h: float = 12,
    history_h: float = 8 * 24,
    skip_h: tuple[float, float] | None = None,
    seed: int = 7,
    until_h: float | None = None,
    cfg: Config | None = None,
) -> dict[str, Any]:
    """Run (or resume) the daemon on the generated market; hours count from the run's start."""
    cfg = cfg or config()
    options = demo.DemoOptions(span=int(span_h * HOUR), history=int(history_h * HOUR), seed=seed)
    stage = demo.prepare(cfg, options)
    if skip_h is not None:
        options = replace(options, skip=(stage.start + int(skip_h[0] * HOUR), stage.start + int(skip_h[1] * HOUR)))
    if until_h is not None:
        stage = replace(stage, until=stage.start + int(until_h * HOUR))
    with WriterLock(db_path, "test"):
        db = Database(db_path)
        try:
            return demo.run(cfg, db, options, stage, console=io.StringIO())
        finally:
            db.close()


def rows(db_path: Path, table: str, leave_out: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """All rows of a table or view as dicts, sorted, without internal numbers."""
    con = sqlite3.connect(f"file:{db_path}?mode=ro", uri=True)
    con.row_factory = sqlite3.Row
    found = [{k: r[k] for k in r.keys() if k not in ("n", *leave_out)} for r in con.execute(f"SELECT * FROM {table}")]  # noqa: SIM118
    con.close()
    return sorted(found, key=lambda r: json.dumps(r, sort_keys=True))


def decisions(db_path: Path) -> dict[str, list[dict[str, Any]]]:
    """Signals, trades and events, without what may differ between ways of running (rule 31)."""
    return {
        "signals": rows(db_path, "signals", ("origin", "late")),
        "trades": rows(db_path, "trades"),
        "trade_events": rows(db_path, "trade_events"),
    }


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), **json.loads(sys.argv[2]))))
