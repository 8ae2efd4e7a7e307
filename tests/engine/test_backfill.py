"""History: newest piece first, resumable at every page, honest about where it begins."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from core.engine import backfill
from core.engine.daemon import start_up
from core.engine.resample import resample
from core.market.faults import Fault
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine import harness
from tests.engine.rig import HISTORY, ONE, SETTLE, SOL, START, Pruned, Rig, copy, differences, market, outcome, warmed


class Killed(BaseException):
    """kill -9."""


def young(listed: int) -> Pruned:
    """A market whose symbol was listed at `listed`."""
    return Pruned(market(), [(SOL, 0, listed)])


def test_pieces_go_back_in_time_double_and_cover_all_once() -> None:
    found = list(backfill.pieces(START - 40 * DAY + 7 * MINUTE, START + 5 * MINUTE))
    assert found[0] == (START - 3 * DAY, START + 5 * MINUTE)
    assert found[-1][0] == START - 40 * DAY + 7 * MINUTE
    assert [a for a, _ in found[:-1]] == [b for _, b in found[1:]]
    lengths = [b - a for a, b in found[:-1]]
    assert all(long >= 1.9 * short for short, long in itertools.pairwise(lengths))


@pytest.mark.covers("rule 1", "I1")
def test_the_newest_piece_comes_first_and_history_joins_it_from_behind(tmp_path: Path) -> None:
    seen: list[list[tuple[int, int]]] = []
    with Rig(tmp_path / "a.db", now=START + 5 * DAY) as rig:
        assert rig.ctx.clock.now() == START + 5 * DAY
        backfill.backfill(
            rig.ctx, [SOL], START, START + 5 * DAY, progress=lambda done, total: seen.append(rig.stretches())
        )
        assert seen[0][-1][0] == START + 2 * DAY, "three days first"
        assert any(len(s) == 2 for s in seen), "older ones behind, with a frontier of their own"
        assert rig.stretches() == [(START, START + 5 * DAY)]
        assert rig.one("SELECT count(*) FROM ohlcv") == 5 * 1440


@pytest.mark.covers("I1", "I6")
def test_killed_at_every_page_it_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, calls = backfill.store_page, [0]

    def mortal(*args: Any) -> Any:
        calls[0] += 1
        found = honest(*args)
        if calls[0] % 2 == 0:
            raise Killed
        return found

    monkeypatch.setattr(backfill, "store_page", mortal)
    asked = 0
    for _ in range(30):
        with Rig(tmp_path / "a.db") as rig:
            try:
                backfill.backfill(rig.ctx, [SOL], START - 4 * DAY, START)
                asked += rig.server.count("candles")
                break
            except Killed:
                asked += rig.server.count("candles")
    monkeypatch.undo()
    with Rig(tmp_path / "b.db") as rig:
        backfill.backfill(rig.ctx, [SOL], START - 4 * DAY, START)
        direct = rig.server.count("candles")
    assert asked <= 3 * direct + 2, "what was stored is not fetched again"
    assert differences(outcome(tmp_path / "a.db"), outcome(tmp_path / "b.db")) == {}
    with Rig(tmp_path / "a.db") as rig:
        assert rig.stretches() == [(START - 4 * DAY, START)]
        backfill.backfill(rig.ctx, [SOL], START - 4 * DAY, START)
        assert rig.server.count("candles") == 0


@pytest.mark.covers("rule 1", "D18")
def test_a_listing_inside_the_range_is_noted_and_nothing_before_it_is_asked_for_again(tmp_path: Path) -> None:
    listed = START - 30 * HOUR + 7 * MINUTE
    with Rig(tmp_path / "a.db", source=young(listed)) as rig:
        backfill.backfill(rig.ctx, [SOL], START - 4 * DAY, START)
        assert rig.stretches() == [(listed, START)]
        assert rig.rows("SELECT * FROM gaps") == []
        asked = rig.server.count("candles")
        backfill.backfill(rig.ctx, [SOL], START - 4 * DAY, START)
        assert rig.server.count("candles") == asked
        assert not backfill.behind(rig.ctx, START - 4 * DAY)


@pytest.mark.covers("D18", "rule 1")
@pytest.mark.parametrize("pages", [1, 2, 5])
def test_empty_answers_are_not_taken_for_a_listing(pages: int, tmp_path: Path) -> None:
    fault = Fault(kind="empty_data", path="candles", count=pages)
    with Rig(tmp_path / "a.db", faults=[fault]) as rig:
        backfill.backfill(rig.ctx, [SOL], START - 4 * DAY, START)
        backfill.backfill(rig.ctx, [SOL], START - 4 * DAY, START)
        assert rig.stretches() == [(START - 4 * DAY, START)]
        assert rig.one("SELECT count(*) FROM ohlcv") == 4 * 1440


@pytest.mark.covers("D18")
def test_planted_flaw_believing_the_first_empty_answer_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hasty(ctx: Any, con: Any, symbol: str, start: int, end: int) -> None:
        known = backfill.candles.stretches(con, ctx.exchange_id).get(symbol, [])
        first = min((s.start for s in known if start < s.start < end and s.frontier > s.start), default=end)
        backfill.runs.put(con, backfill._begins(ctx, symbol), first)

    monkeypatch.setattr(backfill, "_note_listing", hasty)
    with Rig(tmp_path / "a.db", faults=[Fault(kind="empty_data", path="candles", count=1)]) as rig:
        for _ in range(3):
            backfill.backfill(rig.ctx, [SOL], START - 2 * DAY, START)
        assert rig.stretches() != [(START - 2 * DAY, START)]


@pytest.mark.covers("rule 1")
@pytest.mark.parametrize("length", [7, 400, 2300], ids=["minutes", "hours, over the border of a page", "pages"])
def test_holes_in_history_are_confirmed_within_one_backfill(length: int, tmp_path: Path) -> None:
    hole = (START - 3 * DAY + 820 * MINUTE, START - 3 * DAY + (820 + length) * MINUTE)
    with Rig(tmp_path / "a.db", source=Pruned(market(), [(SOL, *hole)])) as rig:
        backfill.backfill(rig.ctx, [SOL], START - 3 * DAY, START)
        assert rig.rows("SELECT start_ts, end_ts FROM gaps") == [(hole[0], hole[1] - MINUTE)]
        assert rig.stretches() == [(START - 3 * DAY, START)]
        assert rig.rows("SELECT * FROM absent") == []


@pytest.mark.covers("rule 5", "I1", "D1")
def test_history_that_comes_behind_changes_no_decision(tmp_path: Path) -> None:
    warm = warmed(tmp_path / "warm.db", [SOL])
    begin = START + MINUTE + SETTLE
    for name, filled_at in (("a.db", None), ("b.db", 33)):
        with Rig(copy(warm, tmp_path / name), now=begin) as rig:
            for minute in range(120):
                rig.go(1)
                if minute == filled_at:
                    now = rig.true.now()
                    backfill.backfill(rig.ctx, [SOL], market().start, now - now % MINUTE)
                    resample(rig.ctx)
                    assert rig.stretches()[0][0] == market().start
                    rig.true.set(now)
            frontier = rig.stretches()[-1][1]
            bars = rig.rows(
                "SELECT ts, close, volume, minutes FROM candles WHERE timeframe = '4h' AND ts < ?", frontier
            )
    a, b = outcome(tmp_path / "a.db"), outcome(tmp_path / "b.db")
    late = {t: b[t] for t in ("signals", "trades", "trade_events")}
    assert len(a["signals"]) > 5
    assert differences({t: a[t] for t in late}, late) == {}
    ends = [r for r in bars if r[0] >= market().start]
    assert len(ends) == (frontier - market().start) // (4 * HOUR) and {m for *_, m in ends} == {240}


@pytest.mark.covers("rule 30")
def test_live_from_is_the_first_decision_after_the_tick_that_was_warm_and_never_moves(tmp_path: Path) -> None:
    with Rig(tmp_path / "a.db") as rig:
        start_up(rig.ctx, history_from=START - 30 * HOUR)
        rig.go(60)
        query = "SELECT live_from FROM series WHERE timeframe = '5m'"
        assert rig.one(query) is None, "300 bars and the block before are not there yet"
        backfill.backfill(rig.ctx, [SOL], START - HISTORY, START)
        resample(rig.ctx)
        before = rig.true.now()
        rig.go(1)
        live = rig.one(query)
        assert live == (rig.true.now() // (5 * MINUTE) + 1) * 5 * MINUTE and live > before
        rig.go(90)
        assert rig.one(query) == live
        first = rig.one("SELECT min(decided_ts) FROM signals")
        assert first >= live
        now = rig.true.now()
    with Rig(tmp_path / "a.db", now=now + 3 * HOUR) as rig:
        start_up(rig.ctx)
        rig.go(2)
        assert rig.one("SELECT live_from FROM series WHERE timeframe = '5m'") == live, "nor over a restart"


@pytest.mark.covers("rule 30")
def test_a_timeframe_that_cannot_be_warm_is_not_live_and_short_ones_go_first(tmp_path: Path) -> None:
    text = ONE.replace("timeframes: [5m]\n", "timeframes: [5m, 1h]\n", 1).replace(
        "donchian: {timeframes: [5m]", "donchian: {timeframes: [5m, 1h]"
    )
    with Rig(tmp_path / "a.db", cfg=harness.config(text)) as rig:
        rig.warm()
        rig.go(3)
        live = dict(rig.rows("SELECT timeframe, live_from FROM series WHERE timeframe IN ('5m', '1h')"))
        assert live["5m"] is not None and live["1h"] is None


@pytest.mark.covers("rule 1", "I1")
@pytest.mark.parametrize("pages", [2, 4, 6, 7])
def test_a_first_start_killed_between_its_pieces_leaves_no_hole_for_the_next(pages: int, tmp_path: Path) -> None:
    with Rig(tmp_path / "a.db") as rig:
        left = iter(range(pages))
        start_up(rig.ctx, history_from=START - 4 * DAY, keep_going=lambda: next(left, None) is not None)
        begun = rig.stretches()
    with Rig(tmp_path / "a.db") as rig:
        start_up(rig.ctx, history_from=START - 4 * DAY)
        assert rig.stretches() != begun
        assert len(rig.stretches()) == 1 and rig.stretches()[0][0] == START - 4 * DAY
