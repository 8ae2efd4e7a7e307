"""State is a function of the candles: live, interrupted live, killed live and retro give the same rows."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.config import decision_body
from core.engine import retro, scan
from core.engine.context import Context
from core.store.db import Database
from tests.engine import harness
from tests.reference import check_db


class Killed(BaseException):
    """Stands for a kill -9: no handler may catch it."""


def _short_config() -> Any:
    text = harness.CONFIG.replace("[BTC/USDT:USDT, SOL/USDT:USDT]", "[SOL/USDT:USDT]").replace("[5m, 15m]", "[5m]")
    return harness.config(text)


@pytest.mark.covers("I1", "rule 31", "rule 35", "I6")
def test_an_outage_of_five_hours_changes_no_row(unbroken: Path, tmp_path: Path) -> None:
    harness.run(tmp_path / "b.db", skip_h=(3, 8))
    expected = harness.decisions(unbroken)
    assert harness.decisions(tmp_path / "b.db") == expected
    assert len(expected["signals"]) > 100
    late = [r for r in harness.rows(tmp_path / "b.db", "signals") if r["late"]]
    told = [r for r in harness.rows(tmp_path / "b.db", "alerts") if r["kind"] == "late"]
    assert late and len(told) == 1, "late decisions are on record and told once, together"


@pytest.mark.covers("I1", "D6")
def test_planted_flaw_deciding_only_the_newest_bar_is_caught(
    tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = scan._scan_series

    def newest_only(
        ctx: Any, con: Any, symbol: Any, tf: Any, info: Any, row: Any, stretch: Any, span: Any, now: Any
    ) -> Any:
        size = 300_000 if tf == "5m" else 900_000
        return honest(ctx, con, symbol, tf, info, row, stretch, (span[1] - size, span[1]), now)

    monkeypatch.setattr(scan, "_scan_series", newest_only)
    harness.run(tmp_path / "b.db", skip_h=(3, 8))
    assert harness.decisions(tmp_path / "b.db") != harness.decisions(unbroken)


@pytest.mark.covers("I1", "I6", "rule 35")
def test_killed_at_random_moments_and_started_again_it_ends_with_the_same_rows(unbroken: Path, tmp_path: Path) -> None:
    rng = random.Random(20240109)
    target, kills = tmp_path / "c.db", 0
    command = [sys.executable, "-m", "tests.engine.harness", str(target), "{}"]
    while True:
        process = subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, errors = process.communicate(timeout=rng.uniform(1.0, 4.0) if kills < 6 else None)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
    assert process.returncode == 0, errors.decode()[-2000:]
    assert kills >= 1
    assert harness.decisions(target) == harness.decisions(unbroken)
    told = [r["key"] for r in harness.rows(target, "alerts") if r["kind"] == "signal"]
    assert sorted(told) == sorted(r["key"] for r in harness.rows(unbroken, "alerts") if r["kind"] == "signal")


@contextmanager
def crash_at(n: int, after_commit: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Die in the n-th transaction, just before its commit or just after it."""
    honest, seen = Database.write, 0

    @contextmanager
    def write(self: Database, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        nonlocal seen
        seen += 1
        mine = seen
        with honest(self, durable=durable) as con:
            yield con
            if mine == n and not after_commit:
                raise Killed
        if mine == n:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", write)
        yield


@pytest.mark.covers("I1", "I6", "I7")
@pytest.mark.parametrize("after_commit", [False, True], ids=["before commit", "after commit"])
def test_dying_in_any_kind_of_transaction_loses_and_repeats_nothing(
    after_commit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = _short_config()
    whole = tmp_path / "whole.db"
    harness.run(whole, span_h=3, history_h=96, cfg=cfg)
    expected = harness.decisions(whole)
    assert expected["signals"]
    broken = tmp_path / "broken.db"
    rng, n, died = random.Random(5), 2, 0
    while died < 14:
        with crash_at(n, after_commit, monkeypatch):
            try:
                harness.run(broken, span_h=3, history_h=96, cfg=cfg)
                break
            except Killed:
                died += 1
        n = rng.randint(2, 90)
    harness.run(broken, span_h=3, history_h=96, cfg=cfg)
    assert died >= 5
    assert harness.decisions(broken) == expected


@pytest.mark.covers("I1", "I2", "rule 30")
def test_a_truncated_history_gives_the_same_rows_up_to_its_end(unbroken: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.db"
    harness.run(cut, until_h=7)
    end = max(r["frontier"] for r in harness.rows(cut, "sync_checkpoint"))
    known = [r for r in harness.decisions(unbroken)["signals"] if r["decided_ts"] <= end]
    assert harness.decisions(cut)["signals"] == known
    ended = [r for r in harness.decisions(unbroken)["trades"] if r["closed_ts"] is not None and r["closed_ts"] < end]
    short = [r for r in harness.decisions(cut)["trades"] if r["closed_ts"] is not None]
    by_id = {r["signal_id"]: r for r in ended}
    assert len(short) > 20
    for row in short:
        whole = by_id[row["signal_id"]]
        # A settlement after the cut tells that the rates of a life were complete; nothing else may differ.
        assert {k: v for k, v in whole.items() if k != "funding_known"} == {
            k: v for k, v in row.items() if k != "funding_known"
        }


def _only_candles(source: Path, target: Path) -> None:
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as con:
        con.execute("VACUUM INTO ?", (str(target),))
    with sqlite3.connect(target) as con:
        for table in ("events", "positions", "signals", "alerts", "counts", "job_runs"):
            con.execute(f"DELETE FROM {table}")
        con.execute("UPDATE symbols SET scanned_ts = NULL, followed_ts = NULL")


@pytest.mark.covers("I1", "rule 30", "rule 31", "D12")
def test_retro_over_the_same_candles_gives_the_same_rows_as_the_daemon(unbroken: Path, tmp_path: Path) -> None:
    target = tmp_path / "retro.db"
    _only_candles(unbroken, target)
    db, cfg = Database(target), harness.config()
    done = retro.run(Context(cfg, db, VirtualClock(0)), retro.RetroOptions())
    again = retro.run(Context(cfg, db, VirtualClock(0)), retro.RetroOptions())
    live_from = {(r["symbol"], r["timeframe"]): r["live_from"] for r in harness.rows(target, "series")}
    db.close()
    live = harness.decisions(unbroken)
    found = harness.decisions(target)
    signals = [r for r in found["signals"] if r["decided_ts"] >= live_from[r["symbol"], r["timeframe"]]]
    ids = {r["id"] for r in signals}
    assert signals == live["signals"]
    assert [r for r in found["trades"] if r["signal_id"] in ids] == live["trades"]
    assert [r for r in found["trade_events"] if r["signal_id"] in ids] == live["trade_events"]
    assert done["written"] > len(ids), "history before live_from is retro's"
    assert again.get("written", 0) == 0, "a second run writes nothing"


@pytest.mark.covers(
    "rule 2",
    "rule 5",
    "rule 6",
    "rule 9",
    "rule 10",
    "rule 13",
    "rule 16",
    "rule 19a",
    "rule 19b",
    "rule 20",
    "rule 22",
    "rule 23",
    "rule 26",
    "rule 27",
    "I2",
    "I4",
    "D1",
    "D2",
    "D5",
)
@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "SOL/USDT:USDT"])
@pytest.mark.parametrize("tf", ["5m", "15m"])
def test_an_outsider_finds_the_same_bars_signals_and_trades(unbroken: Path, symbol: str, tf: str) -> None:
    found = check_db.compare(unbroken, "bitget", symbol, tf, _params())
    assert found.differences == []
    assert found.signals > 5 and found.trades == found.signals


@pytest.mark.covers("I1")
def test_planted_flaw_one_tick_in_a_stop_is_seen_by_the_outsider(unbroken: Path, tmp_path: Path) -> None:
    copy = tmp_path / "flawed.db"
    with sqlite3.connect(f"file:{unbroken}?mode=ro", uri=True) as con:
        con.execute("VACUUM INTO ?", (str(copy),))
    with sqlite3.connect(copy) as con:
        con.execute(
            "UPDATE signals SET sl = sl + tick WHERE n = (SELECT min(n) FROM signals WHERE timeframe = '5m' "
            "AND symbol = 'BTC/USDT:USDT')"
        )
    assert check_db.compare(copy, "bitget", "BTC/USDT:USDT", "5m", _params()).differences


def _params() -> dict[str, Any]:
    body = decision_body(harness.config())
    setups = {name: {"timeframes": s["timeframes"], **s["params"]} for name, s in body["signals"]["setups"].items()}
    return {**body, "signals": {**body["signals"], "setups": setups}}
