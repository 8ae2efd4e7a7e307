"""The page Now: plans at work, results so far, and a funnel that explains silence."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from core.dashboard.views import now as view
from core.engine.funnel import Funnel
from core.store.reads import now as reads
from core.timeframe import DAY, HOUR
from core.trades.performance import closed_trades, summarize
from tests.dashboard import rig
from tests.dashboard.test_frame import source

NOW = 1_704_434_400_000


def plan(**more: Any) -> dict[str, Any]:
    """A waiting, passed, live long of BTC with its stop 10 below the entry."""
    return {"id": "x", "short_id": "ABCDEFG", "symbol": "BTC/USDT:USDT", "timeframe": "1h", "setup": "fibo_avwap",
            "direction": "long", "entry": 100.0, "sl": 90.0, "tp1": 115.0, "tp2": 120.0, "tick": 0.1, "leverage": 3,
            "decided_ts": NOW - HOUR, "expires_ts": NOW + 2 * HOUR, "market": 0, "verdict": "pass",
            "reason": "ungated", "origin": "live", "late": 0, "ml_p": None, "ev_pct": None, "model": None,
            "status": "PENDING", "opened_ts": None, "fill": None, "stop": 90.0, "tp1_ts": None, "closed_ts": None,
            "r_multiple": None, **more}


def opened(**more: Any) -> dict[str, Any]:
    return plan(**{"status": "OPEN", "opened_ts": NOW - HOUR, "fill": 100.0, **more})


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rig.demo_db(tmp_path_factory.mktemp("now"))


def test_plans_are_told_apart_by_what_they_are() -> None:
    rows = [opened(), plan(), plan(verdict="refused"), opened(verdict="refused"), opened(origin="retro")]
    found, waiting, refused, retro = view.split(rows)
    assert (len(found), len(waiting), refused, retro) == (1, 1, 2, 1)


@pytest.mark.parametrize(("direction", "sl", "price", "r"), [
    ("long", 90.0, 115.0, 1.5), ("long", 90.0, 95.0, -0.5), ("short", 110.0, 95.0, 0.5), ("short", 110.0, 112.0, -1.2)])
def test_an_open_position_is_measured_in_planned_stop_distances(direction: str, sl: float, price: float,
                                                                r: float) -> None:
    row = view.open_rows([opened(direction=direction, sl=sl)], {"BTC/USDT:USDT": price})[0]
    assert row["now_r"] == pytest.approx(r) and row["price"] == price


def test_a_symbol_without_a_price_shows_none_instead_of_a_wrong_figure() -> None:
    assert view.open_rows([opened()], {})[0]["now_r"] is None
    assert view.pending_rows([plan()], {}, NOW)[0]["away_pct"] is None


def test_after_tp1_the_next_target_is_tp2() -> None:
    first, second = view.open_rows([opened(), opened(tp1_ts=NOW)], {})
    assert (first["next"], first["status"]) == (115.0, "open")
    assert (second["next"], second["status"]) == (120.0, "TP1 reached")


def test_a_waiting_entry_says_how_far_and_how_long() -> None:
    rows = view.pending_rows([plan(expires_ts=NOW + 3 * HOUR), plan(short_id="SOON", expires_ts=NOW + HOUR)],
                             {"BTC/USDT:USDT": 125.0}, NOW)
    assert [r["plan"] for r in rows] == ["SOON", "ABCDEFG"], "what expires first stands on top"
    assert rows[0]["away_pct"] == pytest.approx(-20.0) and rows[0]["left"] == "1h"


@pytest.mark.parametrize(("more", "said"), [
    ({}, "passed, ungated"),
    ({"late": 1}, "passed, ungated, late"),
    ({"verdict": "refused", "reason": "cost_r 0.2 > max_cost_r 0.15"}, "refused: cost_r 0.2 > max_cost_r 0.15"),
    ({"ml_p": 0.463, "ev_pct": 0.214, "reason": "ev 0.21 >= 0"}, "passed, p 46%, EV +0.21%"),
])
def test_what_the_filter_said_fits_in_a_few_words(more: dict[str, Any], said: str) -> None:
    assert view.said(plan(**more)) == said


@pytest.mark.parametrize(("row", "said"), [
    (plan(), "waits for its entry"), (opened(), "open"), (opened(status="TP1"), "open, TP1 reached"),
    (plan(status="EXPIRED", closed_ts=NOW), "never filled"),
    (plan(status="TP1_TRAIL", closed_ts=NOW, r_multiple=1.52), "TP1_TRAIL +1.52R")])
def test_what_became_of_a_signal(row: dict[str, Any], said: str) -> None:
    assert view.outcome(row) == said


def test_every_signal_carries_its_evidence_label_insufficient_where_none_is_known() -> None:
    rows = view.latest_rows([plan(id="a"), plan(id="b")], {"a": "weak"})
    assert [r["evidence"] for r in rows] == ["weak", "insufficient"]


def closed(r: float, ts: int = NOW) -> dict[str, Any]:
    return {"symbol": "BTC/USDT:USDT", "timeframe": "1h", "setup": "s", "direction": "long", "exit_reason": "sl",
            "opened_ts": ts - HOUR, "closed_ts": ts, "pnl_pct": r, "pnl_usd": 10 * r, "r_multiple": r, "in_sample": 0}


@pytest.mark.covers("I5")
def test_a_win_rate_stands_beside_its_number_interval_and_break_even() -> None:
    name, value, told = view.result("Today", summarize(closed_trades([closed(2.0), closed(-1.0), closed(-1.0)])))
    assert (name, value) == ("Today", "0.00R · 3 closed")
    for word in ("1 of 3 won", "95% interval", "break-even at 33%", "net of all costs"):
        assert word in told
    assert view.result("Today", summarize([]))[1] == "no trade closed"


FUNNEL = Funnel(0, 864, 12, 5, 0, 0, 0, 0, Counter({"cost_r": 7, "ev": 5}))


def test_a_quiet_day_is_explained_in_words() -> None:
    told = view.quiet(FUNNEL, "Today")
    assert told == ("Today: of 12 setups 0 passed; of the others 7 cost too much of their stop distance, 5 were "
                    "refused by ev. A quiet day is the filter working.")
    assert view.quiet(Funnel(0, 10, 0, 0, 0, 0, 0, 0), "Today") == ""
    assert "quiet" not in view.quiet(Funnel(0, 10, 1, 1, 1, 0, 1, 0), "Today")


def test_passing_without_a_model_is_never_sold_as_a_verdict() -> None:
    assert "ungated" in view.ungated(Funnel(0, 10, 2, 2, 2, 0, 2, 0)) and view.ungated(FUNNEL) == ""


def test_the_funnel_shows_every_step_with_its_number() -> None:
    page = view.funnel_bars(FUNNEL, Funnel(0, 1440, 30, 9, 3, 1, 0, 0))
    told = re.findall(r"title='([^']*)'", page)
    assert told[:4] == ["Bars decided, today: 864", "Bars decided, yesterday: 1,440", "Setups found, today: 12",
                        "Setups found, yesterday: 30"]
    assert told[-2:] == ["Filled, today: 0", "Filled, yesterday: 1"] and len(told) == 10
    wide = [float(w) for w in re.findall(r"width:([0-9.]+)%", page)]
    assert wide[::2] == sorted(wide[::2], reverse=True) and wide[-2] == 0.0 and max(wide) == wide[1] == 100.0
    assert "width:0.00%" in view.funnel_bars(Funnel(0, 0, 0, 0, 0, 0, 0, 0), Funnel(0, 0, 0, 0, 0, 0, 0, 0))


def test_the_page_shows_what_the_file_holds(db: Path) -> None:
    with source(db).read() as ctx:
        rows = reads.unfinished(ctx.db.con, ctx.exchange_id)
        since = ctx.clock.now() - 7 * DAY
        passed = reads.latest(ctx.db.con, ctx.exchange_id, since, refused=False)
        every = reads.latest(ctx.db.con, ctx.exchange_id, since, refused=True)
    opened_, waiting, _, _ = view.split(rows)
    at = rig.open_page("now", db)
    text = rig.words_of(at)
    assert f"Open {len(opened_)}\n" in text and f"Waiting for entry {len(waiting)}\n" in text
    assert passed and all(row["short_id"] in text for row in passed)
    assert len(every) > len(passed) or len(every) == 20
    for word in ("Last finished minute", "This week", "The day as a funnel", "insufficient", "Alerts: "):
        assert word in text, word


def test_refused_signals_come_on_request(db: Path) -> None:
    at = rig.open_page("now", db)
    assert "refused: " not in rig.words_of(at)
    at.toggle(key="latest-refused").set_value(True).run()
    assert not at.exception and "refused: " in rig.words_of(at)


def test_reads_take_no_more_than_they_are_asked_for(db: Path) -> None:
    with source(db).read() as ctx:
        con, exchange = ctx.db.con, ctx.exchange_id
        assert len(reads.latest(con, exchange, 0, refused=True, limit=3)) == 3
        newest = [row["decided_ts"] for row in reads.latest(con, exchange, 0, refused=True)]
        assert newest == sorted(newest, reverse=True)
        assert reads.ended(con, exchange, ctx.clock.now() + 1) == []
        prices = reads.prices(con, exchange)
        last = con.execute("SELECT close FROM candles WHERE timeframe = '1m' ORDER BY ts DESC LIMIT 1").fetchone()[0]
    assert prices == {"BTC/USDT:USDT": last}


# Asked by the page every few seconds: none may walk a whole table.
@pytest.mark.parametrize("ask", [
    lambda con: reads.unfinished(con, "bitget"), lambda con: reads.prices(con, "bitget"),
    lambda con: reads.latest(con, "bitget", 0, refused=False), lambda con: reads.ended(con, "bitget", 0)])
def test_the_pages_queries_go_by_an_index(ask: Any, db: Path) -> None:
    with source(db).read() as ctx:
        assert rig.scans(ctx.db.con, ask) == []
