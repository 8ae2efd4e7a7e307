"""A file made by the rules passes; each planted flaw is listed."""

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.reference import check_db
from tests.reference.lifecycle import follow
from tests.reference.resample import MINUTE, resample
from tests.reference.signals import signals
from tests.reference.test_reference import config

EASY = {"signals__lookback_candles": 120}
KEY = ("demo", "BTC/USDT:USDT")


def walk(days: int, seed: int) -> dict[int, tuple[float, ...]]:
    """A lively random walk on a grid of 0.1, with a few absent minutes."""
    rng, close = random.Random(seed), 1000.0
    rows: dict[int, tuple[float, ...]] = {}
    for k in range(days * 1440):
        opened, close = close, max(100.0, round(close + rng.gauss(0, 2.0), 1))
        high, low = max(opened, close) + rng.randrange(9) / 10, min(opened, close) - rng.randrange(9) / 10
        if k % 997 != 500:
            rows[k * MINUTE] = (opened, round(high, 1), round(low, 1), close, rng.randrange(1, 90) / 10)
    return rows


SCHEMA = """
CREATE TABLE candles (exchange, symbol, timeframe, ts, open, high, low, close, volume, minutes);
CREATE TABLE series (id, exchange, symbol, timeframe, live_from, ended_ts);
CREATE TABLE gaps (exchange, symbol, start_ts, end_ts, reason);
CREATE TABLE funding (exchange, symbol, ts, rate);
CREATE TABLE revisions (series, ts);
CREATE TABLE signals (id, exchange, symbol, timeframe, ts, decided_ts, start_ts, end_ts, setup, direction, entry, sl,
    tp1, tp2, avwap, leverage, risk_pct, qty, notional, tick, lot, min_notional, tp1_net_pct, cost_r, trend, vol, model,
    verdict, reason, revised);
CREATE TABLE trades (signal_id, status, opened_ts, tp1_ts, closed_ts, exit_price, exit_reason, gross_pct, fees_pct,
    slippage_pct, funding_pct, funding_known, pnl_pct, pnl_usd, r_multiple, mae_pct, mfe_pct, seen_ts);
CREATE TABLE trade_events (signal_id, ts, event, price, fraction, fee_pct);
"""


def insert(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    names = [column[1] for column in db.execute(f"PRAGMA table_info({table})")]
    values = [row.get(name) for name in names]
    db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that holds exactly what the reference computes."""
    path, rows, params = tmp_path_factory.mktemp("reference") / "clean.db", walk(3, 7), config(**EASY)
    end, start = 3 * 1440 * MINUTE, 0
    bars, minutes = resample(rows, end), [(ts, *row) for ts, row in rows.items()]
    db = sqlite3.connect(path)
    db.executescript(SCHEMA)
    base = {"exchange": KEY[0], "symbol": KEY[1]}
    for n, tf in enumerate(("1m", "5m")):
        insert(db, "series", {**base, "id": n, "timeframe": tf, "live_from": start if tf == "5m" else None})
        for bar in bars[tf]:
            insert(db, "candles", {**base, "timeframe": tf, **bar._asdict()})
    for ts in set(range(0, end, MINUTE)) - rows.keys():
        insert(db, "gaps", {**base, "start_ts": ts, "end_ts": ts, "reason": "absent"})
    for n, row in enumerate(signals(bars, "5m", "fibo_avwap", params, start, end + 1, 0)):
        verdict = "refused" if row["refused"] else "pass"
        insert(db, "signals", {**base, **row, "id": f"s{n}", "verdict": verdict, "revised": 0})
        trade = follow(row, minutes, bars["5m"], params, [], end)
        insert(db, "trades", {**trade, "signal_id": f"s{n}", "seen_ts": trade["closed_ts"] or end - MINUTE})
        for event in trade["events"]:
            insert(db, "trade_events", {**event, "signal_id": f"s{n}"})
    db.commit()
    db.close()
    return path


def test_a_file_by_the_rules_has_no_differences(clean: Path) -> None:
    found = check_db.compare(clean, *KEY, "5m", config(**EASY))
    assert found.differences == []
    assert found.signals >= 10 and found.trades == found.signals and found.bars > 800 and found.skipped == 0


PLANTED = [
    ("UPDATE signals SET sl = sl - 0.1 WHERE id = 's3'", "signal s3: sl"),
    ("UPDATE signals SET qty = qty * 1.00001 WHERE id = 's2'", "signal s2: qty"),
    ("UPDATE signals SET verdict = 'pass'", "verdict: rules refuse"),
    ("DELETE FROM signals WHERE id = 's4'", "not stored, the rules give it"),
    ("UPDATE signals SET start_ts = start_ts - 300000 WHERE id = 's5'", "signal s5: the rules give no such row"),
    ("UPDATE trades SET closed_ts = closed_ts + 60000 WHERE signal_id = 's1'", "trade s1: closed_ts"),
    ("UPDATE trades SET pnl_pct = pnl_pct + 1e-6 WHERE pnl_pct IS NOT NULL", "pnl_pct"),
    ("DELETE FROM trades WHERE signal_id = 's0'", "trade s0: 0 trades rows, 1 expected"),
    ("DELETE FROM trade_events WHERE event = 'SL'", "events"),
    ("UPDATE candles SET volume = volume + 1e-9 WHERE timeframe = '5m' AND ts = 3000000", "bar 3000000"),
    ("DELETE FROM candles WHERE timeframe = '5m' AND ts = 3000000", "bar 3000000"),
]


@pytest.mark.parametrize(("flaw", "line"), PLANTED)
def test_a_planted_flaw_is_listed(clean: Path, tmp_path: Path, flaw: str, line: str) -> None:
    path = tmp_path / "flawed.db"
    path.write_bytes(clean.read_bytes())
    db = sqlite3.connect(path)
    assert db.execute(flaw).rowcount > 0
    db.commit()
    db.close()
    found = check_db.check(path, *KEY, "5m", config(**EASY))
    assert any(line in difference for difference in found), found
