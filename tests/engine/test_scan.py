"""Decisions: one row each with one trade, whoever fails beside it, whenever it is run."""

from pathlib import Path
from typing import Any

import pytest

from core.engine import execute, scan
from core.timeframe import HOUR, MINUTE
from tests.engine import harness
from tests.engine.rig import BTC, ONE, SETTLE, SOL, START, TWO, Rig, copy, differences, outcome, warmed

BEGIN = START + MINUTE + SETTLE
# Refusals of every kind: nobody is that cheap.
STRICT = TWO.replace("min_tp_net_pct: 0.1", "min_tp_net_pct: 2.0").replace("max_cost_r: 0.6", "max_cost_r: 0.15")


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return warmed(tmp_path_factory.mktemp("scan") / "warm.db", [BTC, SOL])


@pytest.mark.covers("rule 17", "I3", "D9", "D6")
@pytest.mark.parametrize("text", [TWO, STRICT], ids=["usual", "strict"])
def test_every_signal_has_exactly_one_trade_the_refused_ones_too(text: str, warm: Path, tmp_path: Path) -> None:
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(text), now=BEGIN) as rig:
        rig.go(150)
        signals = [r[0] for r in rig.rows("SELECT id FROM signals ORDER BY id")]
        trades = [r[0] for r in rig.rows("SELECT signal_id FROM trades ORDER BY signal_id")]
        assert len(signals) > 5 and signals == trades and len(set(signals)) == len(signals)
        refused = rig.rows("SELECT id, reason, entry, sl, qty, leverage FROM signals WHERE verdict = 'refused'")
        followed = rig.one(
            "SELECT count(*) FROM trades t JOIN signals g ON g.id = t.signal_id "
            "WHERE g.verdict = 'refused' AND t.status NOT IN ('PENDING', 'OPEN')"
        )
        if text is STRICT:
            assert refused and followed, "refused plans are followed to their end"
            assert all(None not in row and any(ch.isdigit() for ch in row[1]) for row in refused), (
                "all columns, both numbers"
            )
            told = rig.rows("SELECT count(*) FROM alerts WHERE kind = 'signal'")
            passed = rig.one("SELECT count(*) FROM signals WHERE verdict = 'pass'")
            assert told[0][0] <= passed


@pytest.mark.covers("I1", "D6")
def test_running_every_stage_twice_a_minute_changes_nothing(warm: Path, tmp_path: Path) -> None:
    for name, again in (("a.db", False), ("b.db", True)):
        with Rig(copy(warm, tmp_path / name), cfg=harness.config(TWO), now=BEGIN) as rig:
            for _ in range(60):
                rig.go(1)
                if again:
                    rig.tick()
            told = rig.rows("SELECT key FROM alerts ORDER BY id")
            counts = rig.rows("SELECT * FROM counts ORDER BY 1, 2, 3, 4, 5")
        if name == "a.db":
            expected = told, counts
    assert (told, counts) == expected
    assert differences(outcome(tmp_path / "a.db"), outcome(tmp_path / "b.db")) == {}


@pytest.mark.covers("D6")
def test_planted_flaw_deciding_again_is_caught_by_the_unique_id(
    warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = scan._scan_series

    def twice(*args: Any) -> Any:
        return [*honest(*args), *honest(*args)]

    monkeypatch.setattr(scan, "_scan_series", twice)
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        rig.go(60)
        assert rig.one("SELECT count(*) FROM signals") == rig.one("SELECT count(DISTINCT id) FROM signals") > 0
        assert rig.one("SELECT count(*) FROM alerts WHERE kind = 'signal'") == rig.one(
            "SELECT count(DISTINCT key) FROM alerts WHERE kind = 'signal'"
        )


@pytest.mark.covers("I1", "I6")
@pytest.mark.parametrize("stage", ["scan", "follow"])
def test_a_symbol_whose_decisions_fail_for_a_while_catches_up_and_the_others_go_on(
    stage: str, warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        rig.go(120)
    module, name = (scan, "_scan_symbol") if stage == "scan" else (execute, "_follow")
    honest = getattr(module, name)

    def failing(*args: Any) -> Any:
        if BTC in args:
            raise ZeroDivisionError("a bug")
        return honest(*args)

    with Rig(copy(warm, tmp_path / "b.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        rig.go(20)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, failing)
            rig.go(40)
        failed = rig.rows("SELECT job, error FROM job_runs WHERE state = 'failed'")
        assert len(failed) >= 30 and all("BTC/USDT:USDT: ZeroDivisionError: a bug" in e for _, e in failed)
        rig.go(60)
    assert differences(outcome(tmp_path / "a.db"), outcome(tmp_path / "b.db")) == {}


@pytest.mark.covers("I2", "D2")
def test_no_decision_knows_more_than_the_minutes_before_it(warm: Path, tmp_path: Path) -> None:
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        for _ in range(90):
            rig.go(1)
            ahead = rig.rows(
                "SELECT g.id FROM signals g JOIN sync_checkpoint c ON c.symbol = g.symbol "
                "WHERE g.decided_ts > c.frontier"
            )
            assert ahead == []
        assert rig.one("SELECT count(*) FROM signals WHERE decided_ts <> ts + 300000") == 0
        assert rig.one("SELECT count(*) FROM signals WHERE end_ts > ts OR start_ts > end_ts") == 0


@pytest.mark.covers("rule 30")
def test_what_lies_before_live_from_is_left_to_retro(tmp_path: Path) -> None:
    with Rig(tmp_path / "a.db", cfg=harness.config(ONE)) as rig:
        rig.warm(50 * HOUR)
        rig.rest(3 * 60)
        rig.go(60)
        live = rig.one("SELECT live_from FROM series WHERE timeframe = '5m'")
        assert live > START + 3 * HOUR, "the tick that was warm came three hours later"
        assert rig.one("SELECT count(*) FROM signals WHERE decided_ts < ?", live) == 0
        assert rig.one("SELECT count(*) FROM signals") > 0
        assert rig.one("SELECT symbol FROM signals LIMIT 1") == SOL
