"""A database whose plans are written row by row, so that every figure of a page can be added up beforehand."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from core.config import decision_body, load
from core.signals.setups import REGISTRY
from core.store import candles, models, runs, signals
from core.store.db import Database
from core.store.models import META, THRESHOLDS
from tests.cli import doors

JAN = 1_704_067_200_000  # Monday, 2024-01-01 00:00
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
EXCHANGE = "bitget"

CONFIG = """
symbols: [BTC/USDT:USDT, ETH/USDT:USDT]
timeframes: [5m, 1h, 4h]
app: {db_path: DB}
risk: {equity_usd: 1000}
models: {meta: {model_path: ROOT, calibration: {path: ROOT}, min_closed_samples: 20, window_days: 3650}}
"""

Plan = dict[str, Any]


def plan(i: int = 0, r: float | None = None, **more: Any) -> Plan:
    """A plan of number `i`: decided i hours after New Year, filled at 100 ten minutes later, ended after an hour.

    r: its result; None = it never filled. Its stop lies 1 % away and it buys 1,000 USD, so that 1 R is 10 USD.
    """
    decided = JAN + i * HOUR
    filled = r is not None
    known = {
        "id": f"p{i}", "symbol": BTC, "timeframe": "1h", "setup": "fibo_avwap", "direction": "long", "verdict": "pass",
        "reason": "ungated", "origin": "live", "in_sample": 0, "decided_ts": decided, "entry": 100.0, "sl": 99.0,
        "tp1": 102.0, "tp2": 103.0, "qty": 10.0, "leverage": 2, "cost_r": 0.1, "trend": "range", "vol": "normal",
        "ml_p": None, "ev_pct": None, "model": None,
        "status": ("TP" if (r or 0) > 0 else "SL") if filled else "EXPIRED",
        "exit_reason": ("tp2" if (r or 0) > 0 else "sl") if filled else "never_filled",
        "opened_ts": decided + 10 * MINUTE if filled else None, "closed_ts": decided + HOUR,
        "fill": 100.0 if filled else None, "pnl_pct": r, "gross_pct": None if r is None else r + 0.1, "r_multiple": r,
        "mae_pct": -0.5 if filled else None, "mfe_pct": 1.5 if filled else None,
    }
    return known | more


_SIGNAL = ("id", "symbol", "timeframe", "setup", "direction", "verdict", "reason", "origin", "in_sample", "decided_ts",
           "entry", "sl", "tp1", "tp2", "qty", "leverage", "cost_r", "trend", "vol", "ml_p", "ev_pct", "model")
_POSITION = ("status", "exit_reason", "opened_ts", "closed_ts", "fill", "pnl_pct", "gross_pct", "r_multiple", "mae_pct",
             "mfe_pct")


def write(folder: Path, plans: Iterable[Plan] = (), *, name: str = "plans.db", live_from: int | None = JAN) -> Path:
    """A file with these plans, candles of 100 rising to 110 (BTC) and falling to 90 (ETH), and its configuration."""
    db = folder / name
    config = folder / "config.yaml"
    if not config.exists():
        doors.write_config(folder, CONFIG, DB=str(db), ROOT=str(folder / "models" / "meta"))
    cfg = load(config, REGISTRY)
    file = Database(db)
    with file.write() as con:
        candles.ensure(con, EXCHANGE, cfg.symbols, ["1m", "5m", "15m", "1h", "4h", "1d"])
        signals.add_config(con, "c0ffee", decision_body(cfg), JAN)
        con.execute("UPDATE series SET live_from = ?", (live_from,))
        for symbol, slope in ((BTC, 1), (ETH, -1)):
            _candles(con, symbol, slope)
        add(con, plans)
    file.close()
    return db


def add(con: Any, plans: Iterable[Plan]) -> None:
    """More plans, in a transaction of the caller."""
    ids = {row[1]: row[0] for row in con.execute("SELECT id, symbol FROM symbols")}
    for p in plans:
        extra = {"exchange": EXCHANGE, "short_id": str(p["id"])[:7], "ts": p["decided_ts"] - HOUR, "start_ts": 0,
                 "end_ts": 0, "risk_pct": 1.0, "notional": p["entry"] * p["qty"], "tick": 0.1, "lot": 0.1,
                 "min_notional": 5.0, "rationale": "why", "config_hash": "c0ffee", "liq": 1.0, "market": 0,
                 "max_hold": 0, "expires_ts": p["decided_ts"] + DAY}
        values = {name: p[name] for name in _SIGNAL} | extra
        n = con.execute(f"INSERT INTO signals ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
                        tuple(values.values())).lastrowid
        held = {"signal": n, "symbol_id": ids[p["symbol"]]} | {name: p[name] for name in _POSITION}
        con.execute(f"INSERT INTO positions ({', '.join(held)}) VALUES ({', '.join('?' * len(held))})",
                    tuple(held.values()))


def _candles(con: Any, symbol: str, slope: int) -> None:
    # Thirty days from New Year; the minutes are known up to their end.
    series = {row[0]: row[1] for row in con.execute(
        "SELECT timeframe, id FROM series WHERE symbol = ?", (symbol,))}
    for tf, length in (("1h", HOUR), ("1d", DAY)):
        bars = 30 * DAY // length
        for i in range(bars):
            close = 100.0 + slope * 10.0 * (i + 1) / bars
            con.execute("INSERT INTO ohlcv VALUES (?, ?, ?, ?, ?, ?, 1.0, 60)",
                        (series[tf], JAN + i * length, close, close + 1, close - 1, close))
    con.execute("INSERT INTO sync_checkpoint (exchange, symbol, start_ts, frontier) VALUES (?, ?, ?, ?)",
                (EXCHANGE, symbol, JAN, JAN + 30 * DAY))


def govern(db: Path, folder: Path, sha256: str, card: dict[str, Any], since: int, *,
           table: dict[str, Any] | None = None) -> None:
    """Register a model's folder and let it govern from `since` on; table: thresholds that govern as well."""
    file = Database(db)
    with file.write() as con:
        models.add(con, folder.name, META, str(folder), sha256, int(card["created_ts"]), card)
        runs.log(con, JAN, "train", "model registered", f"{folder.name}: beats all baselines; by a test")
        models.promote(con, META, folder.name, since, JAN, "user", "a test")
        if table is not None:
            models.add(con, "t1", THRESHOLDS, "", "x", JAN, {"kind": THRESHOLDS, "table": table})
            models.promote(con, THRESHOLDS, "t1", since, JAN, "tune", "reaches the target")
    file.close()


def results(rs: Sequence[float], **more: Any) -> list[Plan]:
    """Plans with these results, one an hour."""
    return [plan(i, r, **more) for i, r in enumerate(rs)]
