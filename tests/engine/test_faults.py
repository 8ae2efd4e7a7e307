"""Bad input from the exchange: whatever goes wrong and ends, the rows are those of a run where nothing did."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.engine import health, pages, retro
from core.engine.context import Context
from core.market.exchange import Exchange
from core.market.faults import PASSING, Fault, storm
from core.store.db import Database
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine import harness
from tests.engine.rig import (
    BTC,
    HISTORY,
    ONE,
    SETTLE,
    SOL,
    START,
    TWO,
    Rig,
    Skewed,
    copy,
    differences,
    market,
    outcome,
    warmed,
)

SPAN = 110  # minutes of a run; all faults end by two thirds of it
BEGIN = START + MINUTE + SETTLE
KINDS = [kind for kind in PASSING if kind != "revision"]  # one that is seen too early rightly changes a decision


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return warmed(tmp_path_factory.mktemp("faults") / "warm.db", [BTC, SOL])


def live(warm: Path, path: Path, faults: Sequence[Fault] = (), minutes: int = SPAN) -> dict[str, Any]:
    """Copy the warm file, live `minutes` with the faults, and return what must not depend on them."""
    with Rig(copy(warm, path), cfg=harness.config(TWO), faults=faults, now=BEGIN) as rig:
        rig.go(minutes)
    return outcome(path)


@pytest.fixture(scope="module")
def calm(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run without faults leaves."""
    found = live(warm, tmp_path_factory.mktemp("calm") / "calm.db")
    assert len(found["signals"]) > 8 and found["trade_events"] and not found["gaps"]
    return found


@pytest.mark.covers("I1", "I2", "I6", "rule 1")
@pytest.mark.parametrize("seed", range(6))
def test_any_mix_of_faults_that_ends_leaves_the_rows_of_a_calm_run(
    seed: int, warm: Path, calm: dict[str, Any], tmp_path: Path
) -> None:
    faults = storm(seed, START, START + 75 * MINUTE, [BTC, SOL], n=10, kinds=KINDS)
    assert differences(live(warm, tmp_path / "a.db", faults), calm) == {}


GARBAGE = {
    "truncated": Fault(kind="truncated", path="candles", share=0.7),
    "html with 200": Fault(kind="html"),
    "null": Fault(kind="null"),
    "null data": Fault(kind="data_null"),
    "empty body": Fault(kind="empty_body"),
    "empty data": Fault(kind="empty_data", path="candles"),
    "newest first": Fault(kind="reversed"),
    "every row twice": Fault(kind="duplicates"),
    "NaN": Fault(kind="nan", every=3),
    "zero prices": Fault(kind="zero"),
    "high below low": Fault(kind="crossed", every=2),
    "seconds": Fault(kind="seconds"),
    "off the grid": Fault(kind="offgrid"),
    "future rows": Fault(kind="future"),
    "5xx": Fault(kind="status", status=502),
    "reset": Fault(kind="reset"),
    "unknown code": Fault(kind="code", code="99999"),
    "one row a page less": Fault(kind="cap", amount=6),
}


@pytest.mark.covers("I1", "I2", "rule 1", "D18")
@pytest.mark.parametrize("name", GARBAGE)
def test_rubbish_for_half_an_hour_changes_no_row(name: str, warm: Path, calm: dict[str, Any], tmp_path: Path) -> None:
    fault = GARBAGE[name]
    values = {f: getattr(fault, f) for f in fault.__slots__} | {
        "since": START + 20 * MINUTE,
        "until": START + 50 * MINUTE,
    }
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), faults=[Fault(**values)], now=BEGIN) as rig:
        rig.go(SPAN)
        assert rig.server.faults.hits[fault.kind] > 5, "the fault was met"
        future = rig.one("SELECT count(*) FROM ohlcv WHERE ts + 60000 > ?", rig.true.now())
    assert future == 0
    assert differences(outcome(tmp_path / "a.db"), calm) == {}


@pytest.mark.covers("I2", "D2")
def test_planted_flaw_storing_the_candle_in_progress_is_caught(
    warm: Path, calm: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Exchange.now
    monkeypatch.setattr(Exchange, "now", lambda self: honest(self) + MINUTE)
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        rig.ctx.cfg = harness.config(TWO.replace("signals:", "incremental: {overlap_candles: 0}\nsignals:", 1))
        rig.true.set(rig.true.now() + MINUTE)
        rig.clock = rig.ctx.clock = Skewed(rig.true, MINUTE)
        rig.go(10)
    assert "candles" in differences(outcome(tmp_path / "a.db"), calm)
    wrong = {
        (r["symbol"], r["ts"]): r["close"] for r in outcome(tmp_path / "a.db")["candles"] if r["timeframe"] == "1m"
    }
    right = {(r["symbol"], r["ts"]): r["close"] for r in calm["candles"] if r["timeframe"] == "1m"}
    assert any(wrong[key] != right[key] for key in wrong.keys() & right.keys())


@pytest.mark.covers("I1", "D18")
@pytest.mark.parametrize("status", [429, 418])
def test_nothing_is_sent_during_a_ban_not_even_after_a_restart(
    status: int, warm: Path, calm: dict[str, Any], tmp_path: Path
) -> None:
    ban = Fault(kind="status", status=status, retry_after=900.0, since=START + 30 * MINUTE, count=1)
    path, cfg = copy(warm, tmp_path / "a.db"), harness.config(TWO)
    with Rig(path, cfg=cfg, faults=[ban], now=BEGIN) as rig:
        rig.go(29)
        asked = rig.server.requests.total()
        rig.go(4)
        assert rig.server.requests.total() - asked <= 2, "the ban was met, and at most one more was under way"
        until, now = rig.exchange.banned_until, rig.true.now()
        assert until == START + 30 * MINUTE + SETTLE + 900_000
    with Rig(path, cfg=cfg, now=now) as rig:
        rig.warm()
        while rig.true.now() < until - MINUTE:
            rig.go(1)
        assert rig.server.requests.total() == 0, "a restart does not forget the ban"
        assert rig.one("SELECT count(*) FROM job_runs WHERE state = 'failed'") >= 10
        rig.go(SPAN - (rig.true.now() - BEGIN) // MINUTE)
    assert differences(outcome(path), calm) == {}


@pytest.mark.covers("I1")
def test_planted_flaw_a_restart_that_forgets_the_ban_is_caught(
    warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ban = Fault(kind="status", status=429, retry_after=900.0, count=1)
    path, cfg = copy(warm, tmp_path / "a.db"), harness.config(TWO)
    with Rig(path, cfg=cfg, faults=[ban], now=BEGIN) as rig:
        rig.go(3)
        now = rig.true.now()
    monkeypatch.setattr(health, "banned_until", lambda ctx: 0)
    with Rig(path, cfg=cfg, now=now) as rig:
        rig.go(2)
        assert rig.server.requests.total() > 0


@pytest.mark.covers("I1")
def test_a_ban_met_while_starting_up_outlives_a_restart(tmp_path: Path) -> None:
    ban = Fault(kind="status", status=429, retry_after=600.0, path="candles", count=1)
    with Rig(tmp_path / "a.db", faults=[ban]) as rig:
        failed = rig.warm(3 * HOUR)
        assert list(failed) == [SOL]
    with Rig(tmp_path / "a.db", now=START + MINUTE) as rig:
        rig.warm(3 * HOUR)
        assert rig.server.requests.total() == 0


@pytest.mark.covers("I1", "I6")
def test_one_symbol_that_fails_for_an_hour_costs_the_others_no_minute(
    warm: Path, calm: dict[str, Any], tmp_path: Path
) -> None:
    fault = Fault(kind="status", status=500, symbol=BTC, since=START + 20 * MINUTE, until=START + 80 * MINUTE)
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), faults=[fault], now=BEGIN) as rig:
        for _ in range(SPAN):
            rig.go(1)
            ((_, frontier),) = rig.stretches(SOL)
            assert frontier == rig.true.now() - SETTLE, "no minute late"
        assert "BTC" in rig.rows("SELECT error FROM job_runs WHERE state = 'failed' LIMIT 1")[0][0]
    assert differences(outcome(tmp_path / "a.db"), calm) == {}
    assert not [r for r in harness.rows(tmp_path / "a.db", "alerts") if r["kind"] == "health"], "nobody else is away"


@pytest.mark.covers("I1")
def test_a_stalled_connection_ends_with_its_deadline(warm: Path, calm: dict[str, Any], tmp_path: Path) -> None:
    fault = Fault(kind="stall", symbol=BTC, path="candles", since=START + 20 * MINUTE, count=2)
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), faults=[fault], now=BEGIN, timeout_s=0.2) as rig:
        rig.go(SPAN)
        assert rig.server.faults.hits["stall"] == 2
    assert differences(outcome(tmp_path / "a.db"), calm) == {}


@pytest.mark.covers("I1", "I6", "rule 31")
def test_a_day_without_the_exchange_gives_two_messages_and_one_late_summary(tmp_path: Path) -> None:
    away = Fault(kind="down", since=START + 10 * MINUTE, until=START + DAY)
    warm = warmed(tmp_path / "warm.db", [SOL])
    whole, broken = tmp_path / "whole.db", tmp_path / "broken.db"
    end = START + DAY + 20 * MINUTE
    with Rig(copy(warm, whole), now=BEGIN) as rig:
        while rig.true.now() < end - 10 * MINUTE:
            rig.rest(4)
            rig.go(1)
        while rig.true.now() < end:
            rig.go(1)
    seen: list[int] = []
    with Rig(copy(warm, broken), faults=[away], now=BEGIN) as rig:
        rig.go(20)
        while rig.true.now() < START + DAY - HOUR:
            rig.rest(19)
            rig.go(1)
        while rig.true.now() < end:
            rig.go(1, lambda runs: seen.append(rig.stretches()[0][1]))
        told, late = rig.messages("health"), rig.messages("late")
        single = rig.rows("SELECT key FROM alerts WHERE kind = 'signal'")
        fresh = {ts for (ts,) in rig.rows("SELECT decided_ts FROM signals WHERE late = 0")}
    assert len(told) == 2, told
    assert len(late) == 1
    assert seen == sorted(seen), "caught up in order"
    assert {int(key.rpartition(":")[2]) for (key,) in single} <= fresh, "no stale alert"
    ends = max(r["frontier"] for r in harness.rows(whole, "sync_checkpoint"))
    assert ends == max(r["frontier"] for r in harness.rows(broken, "sync_checkpoint"))
    assert differences(outcome(broken), outcome(whole)) == {}


@pytest.mark.covers("I1", "rule 1")
def test_an_exchange_that_serves_fewer_rows_than_asked_leaves_no_false_gap(tmp_path: Path) -> None:
    for name, faults in (("a.db", []), ("b.db", [Fault(kind="cap", amount=30)])):
        with Rig(tmp_path / name, faults=faults) as rig:
            rig.warm(10 * HOUR)
            rig.rest(300)
            rig.go(3)
            assert rig.rows("SELECT * FROM gaps") == []
    assert differences(outcome(tmp_path / "a.db"), outcome(tmp_path / "b.db")) == {}


@pytest.mark.covers("rule 1")
def test_planted_flaw_believing_the_front_of_a_short_page_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def believing(exchange: Any, symbol: str, start: int, end: int, limit: int) -> Any:
        return await exchange.candles(symbol, start, end, limit)

    monkeypatch.setattr("core.engine.sync.ask", believing)
    assert pages.ask is not believing
    with Rig(tmp_path / "b.db", faults=[Fault(kind="cap", amount=30, since=START)]) as rig:
        rig.warm(10 * HOUR)
        rig.rest(300)
        rig.go(3)
        assert rig.rows("SELECT * FROM gaps") != []


# -- listings ----------------------------------------------------------------------------------------


@pytest.mark.covers("rule 25", "I6")
def test_a_symbol_dropped_while_live_ends_its_plans_and_leaves_the_others_alone(
    warm: Path, calm: dict[str, Any], tmp_path: Path
) -> None:
    gone = START + 90 * MINUTE
    fault = Fault(kind="delisted", symbol=SOL, since=gone)
    path = copy(warm, tmp_path / "a.db")
    with Rig(path, cfg=harness.config(TWO), faults=[fault], now=BEGIN) as rig:
        rig.go(88)
        before = {
            r[0] for r in rig.rows("SELECT signal_id FROM trades WHERE closed_ts IS NULL AND signal_id LIKE '%SOL%'")
        }
        rig.go(SPAN - 88)
        ended = rig.one("SELECT DISTINCT ended_ts FROM series WHERE symbol = ?", SOL)
        last = rig.one("SELECT max(ts) FROM candles WHERE symbol = ? AND timeframe = '1m'", SOL)
        assert ended == last == gone - 2 * MINUTE, "the minute before was never served"
        rows = rig.rows("SELECT signal_id, status, exit_reason, closed_ts FROM trades WHERE signal_id LIKE '%SOL%'")
        assert before and all(status not in ("PENDING", "OPEN", "TP1") for _, status, _, _ in rows)
        forced = [r for r in rows if r[2] == "delisted"]
        assert forced and all(r[1] in ("TIME", "EXPIRED") and r[3] == ended for r in forced)
        assert rig.one("SELECT count(*) FROM alerts WHERE kind = 'health'") == 1
        lists = rig.server.count("contracts")
        rig.db.con.execute("UPDATE symbols SET info_ts = 0")
        rig.go(5)
        assert rig.server.count("contracts") - lists == lists // 3, (
            "three lists so far; whether it is back is asked once a day"
        )
        asked = rig.server.count("candles")
        rig.go(5)
        assert rig.server.count("candles") - asked == 5, "only the other symbol is asked for"
    with Rig(copy(warm, tmp_path / "b.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        rig.go(SPAN + 10)
    of_btc = [{t: [r for r in x[t] if "BTC" in str(r)] for t in x} for x in (outcome(path), outcome(tmp_path / "b.db"))]
    assert differences(*of_btc) == {}


@pytest.mark.covers("rule 25", "I1", "rule 31")
def test_retro_ends_the_plans_of_a_dropped_symbol_as_the_daemon_did(warm: Path, tmp_path: Path) -> None:
    path, fresh = copy(warm, tmp_path / "a.db"), tmp_path / "retro.db"
    fault = Fault(kind="delisted", symbol=SOL, since=START + 90 * MINUTE)
    with Rig(path, cfg=harness.config(TWO), faults=[fault], now=BEGIN) as rig:
        rig.go(SPAN)
        rig.db.con.execute("VACUUM INTO ?", (str(fresh),))
    db = Database(fresh)
    with db.write() as con:
        for table in ("told", "copies", "alerts", "events", "positions", "signals"):
            con.execute(f"DELETE FROM {table}")
        con.execute("UPDATE symbols SET scanned_ts = NULL, followed_ts = NULL")
    retro.run(Context(harness.config(TWO), db, VirtualClock(0)), retro.RetroOptions())
    db.close()
    live = {r["signal_id"]: r for r in harness.rows(path, "trades") if "SOL" in r["signal_id"]}
    found = {r["signal_id"]: r for r in harness.rows(fresh, "trades")}
    assert any(r["exit_reason"] == "delisted" for r in live.values())
    assert live == {key: found[key] for key in live}


@pytest.mark.covers("rule 25")
def test_a_refusal_alone_does_not_end_a_symbol_that_is_still_listed(
    warm: Path, calm: dict[str, Any], tmp_path: Path
) -> None:
    fault = Fault(kind="code", code="40309", symbol=SOL, path="candles", since=START + HOUR, until=START + 70 * MINUTE)
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), faults=[fault], now=BEGIN) as rig:
        rig.go(SPAN)
        assert rig.server.faults.hits["code"] > 5
        assert rig.messages("health") == []
    assert differences(outcome(tmp_path / "a.db"), calm) == {}


@pytest.mark.covers("rule 25")
def test_a_symbol_taken_out_of_the_config_is_followed_to_the_end_of_its_last_plan(
    warm: Path, calm: dict[str, Any], tmp_path: Path
) -> None:
    path = copy(warm, tmp_path / "a.db")
    with Rig(path, cfg=harness.config(TWO), now=BEGIN) as rig:
        rig.go(100)
        now = rig.true.now()
        left = {
            r[0] for r in rig.rows("SELECT signal_id FROM trades WHERE closed_ts IS NULL AND signal_id LIKE '%BTC%'")
        }
    assert left
    shrunk = harness.config(TWO.replace("[BTC/USDT:USDT, SOL/USDT:USDT]", "[SOL/USDT:USDT]"))
    with Rig(path, cfg=shrunk, source=market([BTC, SOL]), now=now) as rig:
        for _ in range(66):
            rig.rest(4)
            rig.go(1)
        trades = {
            r[0]: r for r in rig.rows("SELECT signal_id, status, closed_ts FROM trades WHERE signal_id LIKE '%BTC%'")
        }
        assert all(trades[key][2] is not None for key in left), "every plan met its end"
        ((_, frontier),) = rig.stretches(BTC)
        assert frontier < rig.true.now() - 10 * MINUTE, "then it was let go"
        decided = rig.one("SELECT max(decided_ts) FROM signals WHERE symbol = ?", BTC)
        assert decided <= now, "and nothing new was decided"
    with Rig(copy(warm, tmp_path / "b.db"), cfg=harness.config(TWO), now=BEGIN) as rig:
        for _ in range(86):
            rig.rest(4)
            rig.go(1)
        kept = {
            r[0]: r for r in rig.rows("SELECT signal_id, status, closed_ts FROM trades WHERE signal_id LIKE '%BTC%'")
        }
    assert all(trades[key] == kept[key] for key in left)


# -- the clock ---------------------------------------------------------------------------------------


@pytest.mark.covers("I2", "rule 1")
@pytest.mark.parametrize("skew", [-HOUR, -90_000, 90_000, HOUR])
def test_a_clock_that_is_off_is_named_and_stores_nothing_unfinished(
    skew: int, warm: Path, calm: dict[str, Any], tmp_path: Path
) -> None:
    true = VirtualClock(BEGIN)
    clock = Skewed(true)
    path = copy(warm, tmp_path / "a.db")
    with Rig(path, cfg=harness.config(TWO), true=true, clock=clock) as rig:
        for minute in range(SPAN):
            clock.skew = skew if 30 <= minute < 90 else 0
            rig.go(1)
            assert rig.one("SELECT max(ts) FROM ohlcv WHERE minutes = 1") + MINUTE <= true.now()
        side = "ahead of" if skew > 0 else "behind"
        told = {m for m in rig.messages("health") if "Clock" in m}
        assert len(told) == 1 and f"{abs(skew) / 1000:.1f} s {side} the exchange" in told.pop()
    assert differences(outcome(path), calm) == {}


@pytest.mark.covers("I1")
def test_a_market_list_that_is_refused_does_not_stop_the_candles(
    warm: Path, calm: dict[str, Any], tmp_path: Path
) -> None:
    fault = Fault(kind="code", code="99999", path="contracts", since=START + 20 * MINUTE, until=START + 80 * MINUTE)
    with Rig(copy(warm, tmp_path / "a.db"), cfg=harness.config(TWO), faults=[fault], now=BEGIN) as rig:
        rig.go(25)
        rig.db.con.execute("UPDATE symbols SET info_ts = 0")
        rig.go(SPAN - 25)
        assert rig.server.faults.hits["code"] > 10
        assert rig.one("SELECT min(info_ts) FROM symbols") > START + HOUR, "and it is had as soon as it is there"
    assert differences(outcome(tmp_path / "a.db"), calm) == {}


def test_the_first_start_without_an_exchange_waits_for_it(tmp_path: Path) -> None:
    with Rig(tmp_path / "a.db", cfg=harness.config(ONE), faults=[Fault(kind="down", until=START + 5 * MINUTE)]) as rig:
        assert list(rig.warm(HISTORY)) == [SOL]
        rig.go(10)
        assert rig.stretches()[-1][1] == rig.true.now() - SETTLE
