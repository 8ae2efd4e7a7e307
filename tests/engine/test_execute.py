"""Outcomes: pending until the validity has passed, told once, the same however the minutes come."""

import random
from pathlib import Path

import pytest

from core.engine import execute
from core.notify.delivery import Deliverer
from core.store.outbox import Outbox
from core.timeframe import MINUTE
from tests.engine import harness
from tests.engine.rig import BTC, SETTLE, SOL, START, TWO, Rig, copy, differences, outcome, warmed
from tests.notify.channel import Channel

BEGIN = START + MINUTE + SETTLE
SPAN = 180


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return warmed(tmp_path_factory.mktemp("execute") / "warm.db", [BTC, SOL])


@pytest.fixture(scope="module")
def whole(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = copy(warm, tmp_path_factory.mktemp("whole") / "a.db")
    with Rig(path, cfg=harness.config(TWO), now=BEGIN) as rig:
        rig.go(SPAN)
    return path


@pytest.mark.covers("D3", "rule 22")
def test_a_plan_that_is_not_filled_waits_for_all_of_its_validity(warm: Path, tmp_path: Path) -> None:
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        pending = 0
        for _ in range(SPAN):
            rig.go(1)
            frontier = rig.stretches()[-1][1]
            wrong = rig.rows(
                "SELECT t.signal_id FROM trades t JOIN signals g ON g.id = t.signal_id "
                "WHERE t.exit_reason = 'never_filled' AND g.expires_ts > ?",
                frontier,
            )
            assert wrong == [], "expired before its time"
            pending += rig.one("SELECT count(*) FROM trades WHERE status = 'PENDING'")
        assert pending > 20
        ends = rig.rows(
            "SELECT t.closed_ts, g.expires_ts FROM trades t JOIN signals g ON g.id = t.signal_id "
            "WHERE t.exit_reason = 'never_filled'"
        )
        assert ends and all(closed == expires - MINUTE for closed, expires in ends)


@pytest.mark.covers("D3")
def test_planted_flaw_expiring_what_has_no_fill_yet_is_caught(
    warm: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = execute.expire
    monkeypatch.setattr(execute, "expire", lambda state, order, end: honest(state, order, order.deadline))
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        rig.go(SPAN)
    assert "trades" in differences(outcome(tmp_path / "a.db"), outcome(whole))


@pytest.mark.covers("I1", "rule 20")
@pytest.mark.parametrize("seed", range(3))
def test_minutes_in_any_chunks_give_the_same_trades(seed: int, warm: Path, whole: Path, tmp_path: Path) -> None:
    rng = random.Random(seed)
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        left = SPAN
        while left:
            n = min(left, rng.choice((1, 2, 7, 30)))
            rig.rest(n - 1)
            rig.go(1)
            left -= n
    assert differences(outcome(tmp_path / "a.db"), outcome(whole)) == {}


@pytest.mark.covers("D13", "I6", "D14")
def test_each_closed_trade_is_told_once_and_in_order_after_telegram_was_unreachable(
    warm: Path, whole: Path, tmp_path: Path
) -> None:
    channel = Channel()
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        deliverer = Deliverer(Outbox(rig.db), [channel], rig.clock)
        channel.always = "down"
        for minute in range(SPAN):
            if minute == 120:
                channel.always = "ok"
            rig.go(1)
            deliverer.run_once()
        for _ in range(20):
            rig.rest(10)
            deliverer.run_once()
        states = dict(rig.rows("SELECT state, count(*) FROM alerts GROUP BY state"))
        assert set(states) <= {"sent", "expired"} and states["sent"] > 5
        expired = rig.rows("SELECT expires_ts, created_ts FROM alerts WHERE state = 'expired'")
        assert all(ts < rig.true.now() for ts, _ in expired), "only what was too old was dropped"
        sent = [r[0] for r in rig.rows("SELECT id FROM alerts WHERE state = 'sent' ORDER BY sent_ts, id")]
        assert sent == sorted(sent), "in order"
        closes = rig.rows("SELECT key, count(*) FROM alerts WHERE kind = 'closed' GROUP BY key")
        done = rig.one(
            "SELECT count(*) FROM trades t JOIN signals g ON g.id = t.signal_id "
            "WHERE t.closed_ts IS NOT NULL AND g.verdict = 'pass'"
        )
        assert all(n == 1 for _, n in closes) and len(closes) == done > 0
        assert len(channel.delivered) == states["sent"]
        assert rig.one("SELECT count(*) FROM job_runs WHERE state <> 'ok'") == 0, "the minutes never noticed"
    assert differences(outcome(tmp_path / "a.db"), outcome(whole)) == {}


@pytest.mark.covers("rule 20")
def test_a_trade_shows_the_last_minute_it_was_followed_to(whole: Path) -> None:
    for row in harness.rows(whole, "trades"):
        if row["closed_ts"] is None:
            assert row["seen_ts"] == BEGIN + SPAN * MINUTE - SETTLE - MINUTE
        else:
            assert row["seen_ts"] == row["closed_ts"]
