"""The filter's own account, on a table that one can add up in the head."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.engine import account, announce
from core.engine.account import Account, Side
from core.engine.context import Context
from core.meta.gate import Policy, Score, judge
from core.store import models
from core.store.db import Database
from core.timeframe import DAY, HOUR
from core.trades.performance import wilson
from tests.cli import doors
from tests.engine import harness

BTC, SOL = "BTC/USDT:USDT", "SOL/USDT:USDT"
JAN = 1_704_067_200_000  # 2024-01-01, a Monday
NO, YES = "ev -0.10 < min_ev_pct 0.00 (global)", "ev 0.20 >= min_ev_pct 0.00 (global)"


@dataclass(frozen=True)
class Plan:
    """One line of the table: r None = never filled; week of its end, None = not ended."""

    verdict: str
    r: float | None
    week: int | None
    symbol: str = BTC
    tf: str = "15m"
    regime: tuple[str, str] = ("trend", "high")
    setup: str = "fibo_avwap"
    origin: str = "live"
    reason: str = ""
    model: str | None = "m"
    in_sample: int = 0


# Refused by the filter: -1, -1, +2, one never filled. Passed by it: +1, -1.
TABLE = [
    Plan("refused", -1.0, 0), Plan("refused", -1.0, 1, tf="1h"), Plan("refused", 2.0, 5, symbol=SOL),
    Plan("refused", None, 1), Plan("pass", 1.0, 0), Plan("pass", -1.0, 5, symbol=SOL, regime=("range", "low")),
    # None of its business, or not to be counted:
    Plan("refused", -1.0, 0, reason="cost_r 0.40 > max_cost_r 0.15"),
    Plan("pass", -1.0, 0, reason="ungated"), Plan("pass", -1.0, 0, reason="ungated: drift"),
    Plan("pass", 3.0, 0, reason="filter off", model=None),
    Plan("refused", -7.0, 0, in_sample=1), Plan("refused", None, None), Plan("pass", None, None),
    Plan("pass", None, None, in_sample=1),
]
HISTORY = [Plan("refused", float(k % 2), k, origin="retro", setup="donchian") for k in range(8)]


def put(db: Database, ctx: Context, plans: list[Plan]) -> None:
    with db.write() as con:
        ids = dict(con.execute("SELECT symbol, id FROM symbols"))
        first = con.execute("SELECT count(*) FROM signals").fetchone()[0]
        for n, p in enumerate(plans, start=first + 1):
            closed = None if p.week is None else JAN + 7 * p.week * DAY + DAY
            reason = p.reason or (NO if p.verdict == "refused" else YES)
            row: dict[str, Any] = {
                "n": n, "id": f"id{n}", "short_id": f"S{n}", "exchange": ctx.exchange_id, "symbol": p.symbol,
                "timeframe": p.tf, "ts": JAN, "decided_ts": JAN, "start_ts": JAN, "end_ts": JAN, "setup": p.setup,
                "direction": "long", "entry": 100.0, "sl": 99.0, "leverage": 1, "risk_pct": 1.0, "qty": 1.0,
                "notional": 100.0, "tick": 0.1, "lot": 0.1, "min_notional": 5.0, "cost_r": 0.1, "trend": p.regime[0],
                "vol": p.regime[1], "model": p.model, "verdict": p.verdict, "reason": reason, "origin": p.origin,
                "in_sample": p.in_sample, "rationale": "", "config_hash": ctx.config_hash, "liq": 1.0, "market": 0,
                "max_hold": 0, "expires_ts": JAN}
            insert(con, "signals", row)
            filled = p.r is not None
            insert(con, "positions", {
                "signal": n, "symbol_id": ids[p.symbol], "status": "PENDING" if closed is None else "TP" if filled
                else "EXPIRED", "opened_ts": JAN if filled else None, "closed_ts": closed, "exit_reason": "tp2",
                "r_multiple": p.r, "pnl_pct": p.r, "pnl_usd": p.r})


def insert(con: Any, table: str, row: dict[str, Any]) -> None:
    con.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    db = Database(tmp_path / "a.db")
    made = Context(harness.config(), db, VirtualClock(JAN + 400 * DAY))
    made.ensure_rows()
    put(db, made, TABLE + HISTORY)
    yield made
    db.close()


def of(ctx: Context, start: int | None = None, end: int | None = None) -> Account:
    return account.of(ctx, ctx.db.con, start, end)


@pytest.mark.covers("I5", "D9")
def test_what_the_refusals_saved_and_what_they_cost(ctx: Context) -> None:
    whole = of(ctx).live.whole
    assert whole.refused == Side(4, 3, 1, 0.0, 2.0, 2.0, 0.0, None, None)
    assert whole.passed == Side(2, 2, 1, 0.0, 1.0, 1.0, 0.0, None, None)
    assert (whole.saved_r, whole.cost_r, whole.net_saved_r) == (2.0, 2.0, 0.0)


@pytest.mark.covers("I5")
def test_every_cut_adds_up_to_the_whole(ctx: Context) -> None:
    live = of(ctx).live
    assert live.by["pair"][BTC].net_saved_r == 2.0 and live.by["pair"][SOL].net_saved_r == -2.0
    assert live.by["timeframe"]["1h"].refused.plans == 1 and live.by["timeframe"]["1h"].passed.plans == 0
    assert live.by["regime"]["range/low"].passed.net_r == -1.0 and list(live.by["setup"]) == ["fibo_avwap"]
    assert {name: line.refused.plans for name, line in live.by["month"].items()} == {"2024-01": 3, "2024-02": 1}
    for lines in live.by.values():
        for side in ("refused", "passed"):
            assert sum(getattr(x, side).plans for x in lines.values()) == getattr(live.whole, side).plans
            assert sum(getattr(x, side).net_r for x in lines.values()) == getattr(live.whole, side).net_r


@pytest.mark.covers("I5")
def test_rows_the_model_may_have_learned_from_are_left_out_and_counted(ctx: Context) -> None:
    live = of(ctx).live
    assert (live.in_sample, live.refused_open, live.passed_open) == (1, 1, 1)
    assert live.whole.refused.lost_r == 2.0, "the loss of 7 is in-sample"


def test_history_stands_apart_and_has_an_interval_from_five_weeks_on(ctx: Context) -> None:
    found = of(ctx)
    retro = found.retro.whole.refused
    assert (retro.plans, retro.net_r, retro.mean_r) == (8, 4.0, 0.5)
    assert retro.low is not None and retro.high is not None and retro.low < 0.5 < retro.high
    assert retro.low == pytest.approx(1.0 - retro.high)
    assert found.live.whole.refused.low is None, "three weeks say nothing of how much weeks differ"


def test_the_window_is_that_of_the_end_of_a_plan(ctx: Context) -> None:
    early = of(ctx, end=JAN + 7 * DAY).live.whole
    assert (early.refused.plans, early.passed.plans) == (1, 1)
    late = of(ctx, start=JAN + 35 * DAY).live.whole
    assert (late.refused.net_r, late.passed.net_r) == (2.0, -1.0)
    assert not of(ctx, start=JAN + 399 * DAY).live.empty, "open ones stand in every window"


def test_an_empty_file_has_an_empty_account(tmp_path: Path) -> None:
    db = Database(tmp_path / "b.db")
    ctx = Context(harness.config(), db, VirtualClock(0))
    ctx.ensure_rows()
    found = of(ctx)
    assert found.live.empty and found.retro.empty and found.live.whole.refused.mean_r is None
    db.close()


@pytest.mark.covers("rule 17")
@pytest.mark.parametrize("use_ev", [True, False])
@pytest.mark.parametrize(("value", "low"), [(1.0, 0.9), (1.0, 0.1), (0.1, 0.0), (float("nan"), 0.0)])
def test_every_verdict_of_the_gate_itself_is_in_the_account_and_no_other(use_ev: bool, value: float,
                                                                         low: float) -> None:
    score = Score(value, value, low, value, low, "m")
    found = judge(None, True, score, Policy(use_ev, 0.5, "global"))
    assert account.judged_by("pass" if found.passed else "refused", found.reason) == "filter"
    for verdict in (judge(None, True), judge(None, False), judge(None, True, score, Policy(use_ev, 0.5, "", "drift"))):
        assert verdict.passed and account.judged_by("pass", verdict.reason) == ""
    refusal = judge("cost_r 0.40 > max_cost_r 0.15", True, score, Policy(use_ev, 0.5, "global"))
    assert account.judged_by("refused", refusal.reason) == "admission"


def test_analyze_shows_it_as_text_json_and_csv(ctx: Context, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(harness.CONFIG)
    ctx.db.checkpoint()
    where = ("--db", ctx.db.path, "--config", config)
    text = doors.call("core", "analyze", *where).out
    assert "THE FILTER'S OWN ACCOUNT, LIVE" in text and "THE FILTER'S OWN ACCOUNT, RETRO" in text
    assert "lost 2.00 R (saved) and won 2.00 R (cost): the refusals were worth +0.00 R" in text
    for title in ("by pair", "by timeframe", "by regime", "by setup", "by month"):
        assert title in text.partition("ACCOUNT, LIVE")[2]
    answer = doors.call("core", "analyze", *where, "--json").json["filter"]
    assert answer == json.loads(json.dumps(of(ctx).plain()))
    assert answer["live"]["by"]["pair"][BTC]["net_saved_r"] == 2.0
    target = tmp_path / "t.csv"
    doors.call("core", "analyze", *where, "--csv", target)
    judged = {row["id"]: row["judged_by"] for row in csv.DictReader(target.open())}
    assert list(judged.values()).count("filter") == 7 + len(HISTORY) and judged["id7"] == "admission"
    assert judged["id8"] == ""


# The digest


def a_day(ctx: Context) -> str:
    """The digest of the UTC day on which the plans of week 0 ended."""
    with ctx.db.write() as con:
        con.execute("DELETE FROM alerts")
        announce.digest(ctx, con, JAN + 2 * DAY + HOUR)
    return str(ctx.db.con.execute("SELECT body FROM alerts").fetchone()[0])


def in_force(ctx: Context, id: str | None, **labels: str) -> None:
    families = {name: {"evidence": {"label": label, "why": ""}} for name, label in labels.items()}
    with ctx.db.write() as con:
        if id is not None:
            models.add(con, id, models.META, "", "", JAN, {"families": families})
        models.promote(con, models.META, id, JAN, JAN, "test", "a test")


@pytest.mark.covers("I5")
def test_the_digest_tells_the_evidence_of_the_model_in_force_by_family(ctx: Context) -> None:
    ctx.tell_all = True
    assert "Evidence: insufficient, no model in force" in a_day(ctx)
    in_force(ctx, "one", targets="weak", trailed="none")
    assert "Evidence: targets weak, trailed none" in a_day(ctx)
    in_force(ctx, "two", trailed="moderate")
    assert "Evidence: trailed moderate" in a_day(ctx) and "targets" not in a_day(ctx)
    in_force(ctx, None)
    assert "Evidence: insufficient, no model in force" in a_day(ctx)


@pytest.mark.covers("I5")
def test_the_digest_shows_the_interval_beside_the_win_rate(ctx: Context) -> None:
    ctx.tell_all = True
    body = a_day(ctx)
    passed = [p.r for p in TABLE if p.verdict == "pass" and p.week == 0 and p.r is not None]
    low, high = wilson(sum(x > 0 for x in passed), len(passed)) or (0.0, 0.0)
    assert f"Won 2 of {len(passed)}" in body and f"95% interval {100 * low:.0f}% to {100 * high:.0f}%" in body
