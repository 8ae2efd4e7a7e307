"""Holes, halts, late and rewritten minutes: the symbol waits, learns, and tells what it learned."""

from pathlib import Path
from typing import Any

import pytest

from core.engine import pages, sync
from core.market.faults import Fault
from core.timeframe import HOUR, MINUTE
from tests.engine import harness
from tests.engine.rig import BTC, SETTLE, SOL, START, TWO, Pruned, Rig, copy, differences, market, outcome, warmed

BEGIN = START + MINUTE + SETTLE
HOLE = (START + 32 * MINUTE, START + 35 * MINUTE)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return warmed(tmp_path_factory.mktemp("sync") / "warm.db", [SOL])


@pytest.fixture(scope="module")
def calm(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = copy(warm, tmp_path_factory.mktemp("calm") / "calm.db")
    with Rig(path, now=BEGIN) as rig:
        rig.go(120)
    return outcome(path)


@pytest.mark.covers("rule 1", "rule 2", "rule 29", "I2")
def test_a_hole_is_believed_the_second_time_and_the_symbol_waits_until_then(warm: Path, tmp_path: Path) -> None:
    with Rig(copy(warm, tmp_path / "a.db"), source=Pruned(market(), [(SOL, *HOLE)]), now=BEGIN) as rig:
        rig.go(34)
        assert rig.stretches()[-1][1] == HOLE[0], "nothing served yet after the hole"
        rig.go(1)
        assert rig.rows("SELECT start_ts, end_ts FROM absent") == [HOLE] and rig.rows("SELECT * FROM gaps") == []
        assert rig.stretches()[-1][1] == HOLE[0], "one sight is not proof: it waits a tick"
        assert rig.one("SELECT max(ts) FROM candles WHERE timeframe = '5m'") == START + 25 * MINUTE
        rig.go(1)
        assert rig.rows("SELECT start_ts, end_ts, reason FROM gaps") == [(HOLE[0], HOLE[1] - MINUTE, pages.GAP_REASON)]
        assert rig.rows("SELECT * FROM absent") == []
        assert rig.stretches()[-1][1] == rig.true.now() - SETTLE
        bars = rig.rows(
            "SELECT ts, minutes FROM candles WHERE timeframe = '5m' AND ts >= ? ORDER BY ts", START + 25 * MINUTE
        )
        assert bars == [(START + 25 * MINUTE, 5), (START + 30 * MINUTE, 2)]
        rig.go(10)
        first = rig.rows("SELECT open, minutes FROM candles WHERE timeframe = '5m' AND ts = ?", START + 35 * MINUTE)
        true = market().candles(SOL, HOLE[1], HOLE[1] + MINUTE)
        assert first == [(true.open[0], 5)], "the next bar opens by itself"
        assert rig.one("SELECT count(*) FROM candles WHERE ts >= ? AND ts < ? AND timeframe = '1m'", *HOLE) == 0
        asked = rig.server.count("candles")
        rig.go(5)
        assert rig.server.count("candles") - asked == 5, "a recorded gap is not fetched for ever"


@pytest.mark.covers("rule 1", "I1")
def test_a_minute_missing_in_one_fetch_only_is_no_gap(warm: Path, calm: dict[str, Any], tmp_path: Path) -> None:
    fault = Fault(kind="hole", start=HOLE[0], stop=HOLE[1], until=START + 35 * MINUTE + 50_000 + MINUTE)
    with Rig(copy(warm, tmp_path / "a.db"), faults=[fault], now=BEGIN) as rig:
        rig.go(35)
        assert rig.rows("SELECT start_ts, end_ts FROM absent") == [HOLE]
        rig.go(85)
        assert rig.rows("SELECT * FROM absent") == [] and rig.rows("SELECT * FROM revisions") == []
    assert differences(outcome(tmp_path / "a.db"), calm) == {}


@pytest.mark.covers("rule 1", "rule 2", "rule 18")
@pytest.mark.parametrize("minutes", [80, 1500, 2600], ids=["80 minutes", "longer than a page", "longer than two"])
def test_a_halt_of_any_length_becomes_one_gap_and_the_symbol_goes_on(minutes: int, warm: Path, tmp_path: Path) -> None:
    halt = (START + 30 * MINUTE, START + (30 + minutes) * MINUTE)
    with Rig(copy(warm, tmp_path / "a.db"), source=Pruned(market(), [(SOL, *halt)]), now=BEGIN) as rig:
        rig.go(33)
        rig.rest(minutes - 10)
        rig.go(20)
        assert rig.rows("SELECT start_ts, end_ts FROM gaps") == [(halt[0], halt[1] - MINUTE)]
        assert rig.stretches()[-1][1] == rig.true.now() - SETTLE
        flat = rig.one(
            "SELECT count(*) FROM candles WHERE ts >= ? AND ts < ?", halt[0], halt[1] // (4 * HOUR) * 4 * HOUR
        )
        assert flat == 0, "no bar is made up"


@pytest.mark.covers("rule 1", "D18")
def test_planted_flaw_forgetting_that_empty_pages_were_answered_is_caught(
    warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = sync._round

    def forgetful(*args: Any) -> dict[str, tuple[int, int]]:
        return {symbol: (since, since) for symbol, (since, _) in honest(*args).items()}

    monkeypatch.setattr(sync, "_round", forgetful)
    halt = (START + 30 * MINUTE, START + 1530 * MINUTE)
    with Rig(copy(warm, tmp_path / "a.db"), source=Pruned(market(), [(SOL, *halt)]), now=BEGIN) as rig:
        rig.go(33)
        rig.rest(1490)
        rig.go(20)
        assert rig.stretches()[-1][1] == halt[0], "the symbol is stuck for good"


@pytest.mark.covers("rule 1", "D18")
def test_empty_answers_prove_nothing_however_often_they_come(warm: Path, calm: dict[str, Any], tmp_path: Path) -> None:
    fault = Fault(kind="empty_data", path="candles", since=START + 20 * MINUTE, until=START + 50 * MINUTE)
    with Rig(copy(warm, tmp_path / "a.db"), faults=[fault], now=BEGIN) as rig:
        rig.go(45)
        assert rig.rows("SELECT * FROM gaps") == rig.rows("SELECT * FROM absent") == []
        rig.go(75)
    assert differences(outcome(tmp_path / "a.db"), calm) == {}


@pytest.mark.covers("D18", "rule 1")
def test_planted_flaw_an_empty_page_as_proof_of_no_data_is_caught(
    warm: Path, calm: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = sync.store_page

    def believing(con: Any, exchange: str, symbol: str, series: int, stretch: Any, rows: Any, *rest: Any) -> Any:
        if not rows:
            end = rest[-1] - rest[-1] % MINUTE
            pages.candles.add_gaps(con, exchange, symbol, [(stretch.frontier, end)], "empty")
            pages.candles.set_stretch(con, exchange, symbol, stretch.start, end)
        return honest(con, exchange, symbol, series, stretch, rows, *rest)

    monkeypatch.setattr(sync, "store_page", believing)
    fault = Fault(kind="empty_data", path="candles", since=START + 20 * MINUTE, until=START + 50 * MINUTE)
    with Rig(copy(warm, tmp_path / "a.db"), faults=[fault], now=BEGIN) as rig:
        rig.go(120)
    assert differences(outcome(tmp_path / "a.db"), calm) != {}


@pytest.mark.covers("rule 3", "I2")
def test_a_minute_that_comes_after_its_gap_was_recorded_heals_it_and_is_a_revision(warm: Path, tmp_path: Path) -> None:
    late = Fault(kind="hole", start=HOLE[0], stop=HOLE[0] + MINUTE, until=START + 36 * MINUTE)
    with Rig(copy(warm, tmp_path / "a.db"), faults=[late], now=BEGIN) as rig:
        rig.go(34)
        assert rig.rows("SELECT start_ts FROM gaps") == [(HOLE[0],)]
        short = rig.one("SELECT minutes FROM candles WHERE timeframe = '5m' AND ts = ?", START + 30 * MINUTE)
        assert short == 4
        rig.go(2)
        assert rig.rows("SELECT * FROM gaps") == []
        whole = rig.one("SELECT minutes FROM candles WHERE timeframe = '5m' AND ts = ?", START + 30 * MINUTE)
        assert whole == 5, "its bars are rebuilt"
        marks = rig.rows("SELECT r.ts, r.open FROM revisions r JOIN series s ON s.id = r.series WHERE timeframe = '1m'")
        assert marks == [(HOLE[0], None)], "and it is on record that it was absent"


@pytest.mark.covers("rule 3")
def test_a_healed_minute_beside_a_waiting_hole_is_not_overlooked(warm: Path, tmp_path: Path) -> None:
    # The page that heals the one gap also closes a fresh hole, whose later rows are stored already.
    first, second = START + 30 * MINUTE, START + 32 * MINUTE
    faults = [
        Fault(kind="hole", start=first, stop=first + MINUTE, until=START + 34 * MINUTE),
        Fault(kind="hole", start=second, stop=second + MINUTE, until=START + 34 * MINUTE),
    ]
    with Rig(copy(warm, tmp_path / "a.db"), faults=faults, now=BEGIN) as rig:
        rig.go(32)
        assert rig.rows("SELECT start_ts FROM gaps") == [(first,)]
        rig.go(10)
        assert rig.rows("SELECT * FROM gaps") == []
        assert rig.one("SELECT minutes FROM candles WHERE timeframe = '5m' AND ts = ?", first) == 5


@pytest.mark.covers("rule 3", "I2")
def test_a_rewritten_minute_keeps_the_old_values_and_rebuilds_its_bars_but_no_decision(
    warm: Path, tmp_path: Path
) -> None:
    # For a minute and a half each minute's close and volume are not the final ones.
    early = Fault(kind="revision", seconds=100, since=START + 20 * MINUTE, until=START + HOUR)
    with Rig(copy(warm, tmp_path / "a.db"), faults=[early], now=BEGIN) as rig:
        rig.go(58)
        before = rig.rows("SELECT * FROM signals ORDER BY n")
        trades = {
            r[0]: r for r in rig.rows("SELECT signal_id, opened_ts, fill FROM trades WHERE opened_ts IS NOT NULL")
        }
        rig.go(60)
        after = rig.rows("SELECT * FROM signals ORDER BY n")[: len(before)]
        assert before and after == before, "a decision keeps what it saw"
        still = {r[0]: r for r in rig.rows("SELECT signal_id, opened_ts, fill FROM trades WHERE opened_ts IS NOT NULL")}
        assert trades.items() <= still.items(), "the lifecycle does not walk again"
        true = market().candles(SOL, START, START + 100 * MINUTE)
        stored = rig.rows(
            "SELECT close FROM candles WHERE timeframe = '1m' AND ts >= ? AND ts < ? ORDER BY ts",
            START,
            START + 100 * MINUTE,
        )
        assert [c for (c,) in stored] == true.close.tolist(), "the late truth is taken"
        seen = rig.rows(
            "SELECT r.ts, r.close, r.volume, r.minutes FROM revisions r JOIN series s ON s.id = r.series "
            "WHERE timeframe = '1m' AND r.ts >= ? ORDER BY r.ts",
            START + 19 * MINUTE,
        )
        assert len(seen) >= 30
        for ts, close, volume, minutes in seen:
            i = (ts - START) // MINUTE
            assert minutes == 1 and volume == true.volume[i] * 0.75 and close in (true.low[i], true.high[i])
        bars = rig.rows(
            "SELECT ts, close, volume FROM candles WHERE timeframe = '5m' AND ts >= ? AND ts < ?",
            START,
            START + 90 * MINUTE,
        )
        for ts, close, volume in bars:
            i = (ts - START) // MINUTE
            total = 0.0
            for v in true.volume[i : i + 5].tolist():
                total += v
            assert (close, volume) == (true.close[i + 4], total)
        assert rig.rows("SELECT * FROM dirty") == []


@pytest.mark.covers("rule 3")
def test_planted_flaw_leaving_the_bars_of_a_rewritten_minute_alone_is_caught(
    warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages.candles, "add_dirty", lambda *args: None)
    early = Fault(kind="revision", seconds=100, since=START + 20 * MINUTE, until=START + HOUR)
    with Rig(copy(warm, tmp_path / "a.db"), faults=[early], now=BEGIN) as rig:
        rig.go(70)
        true = market().candles(SOL, START, START + HOUR)
        closes = rig.rows(
            "SELECT close FROM candles WHERE timeframe = '5m' AND ts >= ? AND ts < ? ORDER BY ts", START, START + HOUR
        )
        assert [c for (c,) in closes] != true.close[4::5].tolist()


@pytest.mark.covers("I1", "I6")
def test_planted_flaw_a_watermark_that_moves_without_its_data_is_caught(
    warm: Path, calm: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    honest, calls = pages.candles.put_rows, [0]

    def split(con: Any, series: int, rows: Any, frontier: int) -> Any:
        calls[0] += 1
        if calls[0] == 30:  # the frontier's own transaction is through, the rows' is not
            con.execute("UPDATE sync_checkpoint SET frontier = ?", (rows[-1][0] + MINUTE,))
            con.execute("COMMIT")
            raise Killed
        return honest(con, series, rows, frontier)

    path = copy(warm, tmp_path / "a.db")
    with monkeypatch.context() as patch:
        patch.setattr(pages.candles, "put_rows", split)
        with Rig(path, now=BEGIN) as rig, pytest.raises(Killed):
            rig.go(120)
        now = rig.true.now()
    no_overlap = harness.config(
        TWO.replace("[BTC/USDT:USDT, SOL/USDT:USDT]", "[SOL/USDT:USDT]").replace(
            "signals:", "incremental: {overlap_candles: 0}\nsignals:", 1
        )
    )
    with Rig(path, cfg=no_overlap, now=now) as rig:
        rig.go((BEGIN + 120 * MINUTE - now) // MINUTE)
    assert "candles" in differences(outcome(path), calm)


def test_what_is_waited_for_is_forgotten_once_it_came_in_a_faulty_page(warm: Path, tmp_path: Path) -> None:
    hole = Fault(kind="hole", start=HOLE[0], stop=HOLE[0] + MINUTE, until=START + 34 * MINUTE)
    noise = Fault(kind="future", since=START + 34 * MINUTE, until=START + 36 * MINUTE)
    with Rig(copy(warm, tmp_path / "a.db"), faults=[hole, noise], now=BEGIN) as rig:
        rig.go(33)
        rig.db.con.execute("UPDATE absent SET first_seen = ?", (rig.true.now(),))
        rig.go(7)
        assert rig.rows("SELECT * FROM absent") == [], "else every later tick and start would wait for it"


@pytest.mark.covers("I1")
def test_a_second_symbol_is_not_touched_by_the_hole_of_the_first(tmp_path: Path) -> None:
    warm = warmed(tmp_path / "warm.db", [BTC, SOL])
    source = Pruned(market([BTC, SOL]), [(SOL, *HOLE)])
    with Rig(warm, cfg=harness.config(TWO), source=source, now=BEGIN) as rig:
        for _ in range(40):
            rig.go(1)
            assert rig.stretches(BTC)[-1][1] == rig.true.now() - SETTLE
