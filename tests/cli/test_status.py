"""`status`: what it shows, and that it says in words why nothing was sent."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.candles import Bars
from core.config import defaults
from core.engine import funnel, warmup
from core.engine.funnel import Funnel
from core.engine.warmup import Warmth
from core.signals.decide import first_complete
from core.signals.setups import REGISTRY
from core.store import runs
from core.store.candles import Stretch
from core.store.db import Database
from core.timeframe import MINUTE, TIMEFRAMES
from tests.cli import doors
from tests.cli.conftest import Demo

CFG = defaults(REGISTRY)
DAY_1 = 1_704_412_800_000


def test_status_says_in_about_ten_lines_what_goes_on(demo: Demo) -> None:
    answer = doors.call("core", "status", *demo.where)
    lines = answer.out.splitlines()
    assert answer.code == 0 and answer.err == "" and len(lines) == 11
    for name in (
        "Daemon",
        "Candles",
        "Exchange",
        "Timeframes",
        "Plans",
        "Today",
        "Alerts",
        "Outbox",
        "File",
        "Last error",
    ):
        assert any(line.startswith(name) for line in lines), name
    assert "not running" in answer.out and "2024-01-05 05:59Z" in answer.out and "replayed market" in answer.out


def test_status_as_json_holds_the_same_facts(demo: Demo) -> None:
    found = doors.call("core", "status", *demo.where, "--json").json
    assert found["daemon"] is None and found["replayed"] is True
    assert found["today"]["bars"] == 72  # 5m bars decided since midnight
    today = found["today"]
    assert today["bars"] >= today["candidates"] >= today["admitted"] >= today["passed"] >= today["filled"]
    assert found["timeframes"] == [
        {"timeframe": "5m", "live": 1, "symbols": 1, "bars": None, "needed": None, "live_at": None, "text": "5m live"}
    ]


def test_status_says_how_many_requests_the_exchange_was_sent(demo: Demo) -> None:
    found = doors.call("core", "status", *demo.where, "--json").json["requests"]
    assert found["today"]["ok"] >= 300 and found["week"] == found["today"], "a minute is a request, and it began today"
    line = next(x for x in doors.call("core", "status", *demo.where).out.splitlines() if x.startswith("Exchange"))
    assert f"; requests today {found['today']['ok']:,}, in 7 days {found['today']['ok']:,}" in line


def test_status_names_the_daemon_that_holds_the_lock(own: Demo) -> None:
    own.db.with_name(own.db.name + ".lock").write_text(json.dumps({"who": "nobody", "pid": 1}))
    assert doors.call("core", "status", *own.where, "--json").json["daemon"] is None  # a stale text is not a lock


@pytest.mark.covers("rule 5")
def test_a_timeframe_not_warm_yet_is_shown_as_warming_up(tmp_path: Path) -> None:
    config, db = doors.write_config(tmp_path), tmp_path / "w.db"
    run = doors.call(
        "scheduler_run", "--demo", "--span", "5m", "--history", "1d", "--config", config, "--db", db, "--json"
    )
    assert run.code == 0, run.err
    answer = doors.call("core", "status", "--config", config, "--db", db)
    # Blocks of 128 bars of 5m begin at 02:40 here. One whole block, then 300 bars: the last opens at 14:15.
    assert "5m warming up, 289 of 460 bars, live at about 2024-01-02 14:25Z" in answer.out
    assert "nothing sent today: no timeframe is live yet; 5m warming up" in answer.out


@pytest.mark.covers("rule 5")
@given(st.sampled_from(["5m", "15m", "1h", "4h"]), st.integers(0, 40_000), st.integers(1, 700), st.integers(0, 900))
def test_the_promised_bar_is_the_first_that_decide_takes(tf: str, late: int, need: int, stored: int) -> None:
    size = TIMEFRAMES[tf]
    start = DAY_1 + late * MINUTE
    bars, needed, live_at = warmup.progress(Stretch(start, start + stored * size), size, need)
    first = -(-start // size) * size
    ts = np.arange(first, first + 1500 * size, size, dtype=np.int64)
    flat = np.ones(len(ts))
    found = first_complete(
        Bars(size, ts, flat, flat, flat, flat, flat, np.ones(len(ts), dtype=np.int64)), start, need, 0
    )
    assert needed == found + 1
    assert live_at == int(ts[found]) + 2 * size  # rule 30: the first decision after the tick that found it warm
    assert bars in (stored, stored - 1)  # a cut first bucket does not count


def state(**changes: Any) -> dict[str, Any]:
    """Facts about a running daemon with an empty outbox, changed."""
    alerts = {"sent": {}, "waiting": 0, "trouble": None, **changes.pop("alerts", {})}
    return {"running": True, "down_since": None, "send_ungated": False, "alerts": alerts, **changes}


def day(**changes: Any) -> Funnel:
    """A day without anything, changed."""
    values = {
        "day": DAY_1,
        "bars": 288,
        "candidates": 0,
        "admitted": 0,
        "passed": 0,
        "filled": 0,
        "ungated": 0,
        "late": 0,
    }
    return Funnel(**{**values, **changes})


LIVE = [Warmth("5m", 3, 3)]
COLD = [Warmth("5m", 0, 3, 210, 475, DAY_1)]


@pytest.mark.parametrize(
    ("today", "warmth", "facts", "says"),
    [
        (day(), LIVE, state(alerts={"sent": {"signal": 2, "closed": 1}}), "sent today: 1 closed, 2 signal"),
        (
            day(passed=1),
            LIVE,
            state(alerts={"waiting": 1, "trouble": "Telegram cannot be reached"}),
            "1 alert waits to go out (Telegram",
        ),
        (day(), LIVE, state(down_since=DAY_1), "the exchange has not answered since 2024-01-05 00:00Z"),
        (
            day(bars=0),
            COLD,
            state(),
            "no timeframe is live yet; 5m warming up, 210 of 475 bars, live at about 2024-01-05",
        ),
        (day(bars=0), LIVE, state(running=False), "the daemon is not running"),
        (day(bars=0), LIVE, state(), "no live bar has closed yet today"),
        (day(), LIVE, state(), "no setup appeared in 288 bars, which is usual"),
        (
            day(candidates=9, fell_out=Counter(cost_r=6, sl_touched=3)),
            LIVE,
            state(),
            "of 9 candidates none passed: 6 cost too much of their stop distance, 3 had touched their stop",
        ),
        (day(candidates=2, passed=2, ungated=2), LIVE, state(), "notify.telegram.send_ungated: true sends each"),
        (day(candidates=2, passed=2, late=2), LIVE, state(), "so late that a summary tells them"),
    ],
)
def test_the_reason_for_silence_is_given_in_words(
    today: Funnel, warmth: list[Warmth], facts: dict[str, Any], says: str
) -> None:
    assert says in funnel.silence(CFG, today, warmth, facts)


def test_trouble_of_the_exchange_is_shown(own: Demo) -> None:
    db = Database(own.db)
    with db.write() as con:
        runs.put(con, "exchange_down_since", DAY_1 + 7_200_000)
        runs.put(con, "virtual_start", None)  # as if it were the real exchange
        runs.add_runs(con, [runs.JobRun("incremental_sync", DAY_1, DAY_1, DAY_1, "failed", 0, "bitget: 503\nmore")])
    db.close()
    answer = doors.call("core", "status", *own.where)
    assert "Exchange   no answer since 2024-01-05 02:00Z" in answer.out
    assert "incremental_sync failed: bitget: 503" in answer.out and "(outdated history)" in answer.out
    assert "sync FAILED" in answer.out
