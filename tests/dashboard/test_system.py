"""The page System: jobs, lags, gaps, the outbox, the file, versions; and no secret ever."""

import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from core.config.views import HIDDEN
from core.dashboard.pages import system as page
from core.dashboard.views import system as view
from core.store import migrations
from core.store.reads import system as reads
from core.timeframe import DAY, MINUTE
from tests.cli import doors
from tests.dashboard import rig
from tests.dashboard.test_frame import source

NOW = 1_704_434_400_000
TOKEN = "123456789:AAHk3JxPqzVnQ2m7LrT4sYwB8uCdEfGh1jK"


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rig.demo_db(tmp_path_factory.mktemp("system"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return rig.demo_db(tmp_path)


def last(job: str, **more: Any) -> dict[str, Any]:
    return {"job": job, "due_ts": NOW, "started_ts": NOW, "ended_ts": NOW + 700, "state": "ok", "rows": 3,
            "error": None, **more}


def test_a_job_shows_its_last_run_and_how_its_day_went() -> None:
    runs = [("scan", NOW - MINUTE, NOW - MINUTE, NOW - MINUTE + 500, "ok"), ("scan", NOW, NOW, NOW + 2500, "failed"),
            ("scan", NOW - 2 * MINUTE, None, None, "missed"), ("other", NOW, NOW, NOW + 9000, "ok")]
    row = view.jobs([last("scan", state="failed", error="no disk")], runs, NOW + 10_700)[0]
    assert (row["runs"], row["bad"], row["usual_s"], row["worst_s"]) == (3, 2, 1.5, 2.5)
    assert row["ago"] == "10s ago" and row["error"] == "no disk" and row["state"] == "failed"
    assert view.jobs([last("new")], [], NOW)[0]["usual_s"] is None


def test_ticks_are_drawn_by_stage() -> None:
    runs = [("scan_signals", NOW, NOW, NOW + 1500, "ok"), ("scan_signals", NOW - DAY, NOW - DAY, NOW, "ok"),
            ("outbox", NOW, NOW, NOW + 900, "ok"), ("resample", NOW, None, None, "missed")]
    stages = view.ticks(runs, NOW - MINUTE)
    assert stages["scan_signals"] == ([NOW], [1.5]) and stages["resample"] == ([], []) and "outbox" not in stages
    series = view.tick_figure(stages, True)["series"]
    assert [s["name"] for s in series] == list(view.TICK)
    assert [s["data"] for s in series] == [[[NOW, 0.0]], [[NOW, 0.0]], [[NOW, 1.5]], [[NOW, 0.0]]], "stacked by place"


def mark(symbol: str, **more: Any) -> dict[str, Any]:
    return {"symbol": symbol, "first_ts": 0, "frontier": NOW, "stretches": 1, "scanned_ts": NOW, "followed_ts": NOW,
            "funding_ts": None, "ended_ts": None, **more}


def test_the_symbol_furthest_behind_stands_on_top() -> None:
    rows = view.lags([mark("A"), mark("B", frontier=NOW - DAY), mark("C", frontier=None)], NOW, ["A", "B"])
    assert [(r["symbol"], r["behind"]) for r in rows] == [("C", "–"), ("B", "1d"), ("A", "0s")]
    assert rows[0]["note"] == "no longer configured" and rows[2]["note"] == ""


def test_a_symbol_tells_that_it_ended_and_that_history_is_missing() -> None:
    row = view.lags([mark("A", ended_ts=NOW, stretches=2)], NOW, ["A"])[0]
    assert "ended 5 Jan 06:00Z" in row["note"] and "older history is still being fetched" in row["note"]


def test_gaps_are_one_sentence() -> None:
    assert view.gaps([], NOW) == "No gaps are recorded: every minute is there."
    told = view.gaps([{"symbol": "BTC/USDT:USDT", "gaps": 2, "minutes": 1500, "last_ts": NOW - MINUTE}], NOW)
    assert "BTC 2 (1,500 minutes, the newest until 5 Jan 06:00Z)" in told


def test_the_outbox_says_what_waits_and_why() -> None:
    alerts = {"states": {"sent": 1200, "queued": 2}, "sent": {"signal": 3}, "waiting": 2, "waiting_since": NOW,
              "trouble": "Telegram: 429"}
    lines = view.outbox(alerts, True, NOW)
    assert lines == ["**2 waiting since 5 Jan 06:00Z.**", "The last trouble: Telegram: 429", "Sent today: 3 signal.",
                     "All: 2 queued, 1,200 sent."]
    empty = view.outbox({"states": {}, "sent": {}, "waiting": 0, "waiting_since": None, "trouble": None}, False, NOW)
    assert empty[:3] == ["Nothing is waiting.", "Sent today: nothing.", "All: none yet."] and "off" in empty[3]


def test_requests_stand_by_day_today_on_top_and_a_day_without_any_is_a_row_of_zeros() -> None:
    today = NOW // DAY * DAY
    rows = view.asked({today: {"ok": 7, "limited": 1}, today - DAY: {"ok": 3, "failed": 2}, today - 9 * DAY: {"ok": 1}},
                      NOW)
    assert rows[:3] == [{"day": "2024-01-05", "ok": 7, "failed": 0, "limited": 1},
                        {"day": "2024-01-04", "ok": 3, "failed": 2, "limited": 0},
                        {"day": "2024-01-03", "ok": 0, "failed": 0, "limited": 0}]
    assert len(rows) == 7


def test_the_page_shows_how_many_requests_the_exchange_was_sent(own: Path) -> None:
    text = rig.words_of(rig.open_page("system", own))
    assert "Requests to the exchange" in text and "Seven days: " in text
    rig.sql(own, "DELETE FROM state WHERE key = 'requests'")
    assert "None in seven days." in rig.words_of(rig.open_page("system", own))


def test_the_page_shows_jobs_versions_and_the_file(db: Path) -> None:
    at = rig.open_page("system", db)
    assert not at.exception
    text = rig.words_of(at)
    for word in ("incremental_sync", "scan_signals", "db_checkpoint", "Database ", "WAL ", "Free on the disk",
                 "Nothing is waiting.", "Nobody writes to the file now.", "No gaps are recorded", "BTC/USDT:USDT",
                 f"SQLite **{sqlite3.sqlite_version}**", f"schema **{len(migrations.MIGRATIONS)} of", "streamlit **"):
        assert word in text, word


def test_failures_are_listed_with_their_reason(own: Path) -> None:
    rig.sql(own, f"INSERT INTO job_runs (job, due_ts, state, error) VALUES ('resample', {NOW}, 'failed', 'no room')")
    text = rig.words_of(rig.open_page("system", own))
    assert "no room" in text and "failed" in text


def test_a_file_without_job_runs_says_so(own: Path) -> None:
    rig.sql(own, "DELETE FROM job_runs")
    at = rig.open_page("system", own)
    assert not at.exception and "No job has run on this file yet." in rig.words_of(at)


def test_looking_back_over_job_runs_is_bounded(db: Path) -> None:
    with source(db).read() as ctx:
        con = ctx.db.con
        whole = reads.last_runs(con)
        assert {row["job"] for row in whole} >= {"incremental_sync", "db_checkpoint"}
        steps = rig.scans(con, lambda c: (reads.runs_since(c, 0), reads.watermarks(c, "bitget"), reads.file_facts(c),
                                          reads.actions(c), reads.newest_gaps(c, "bitget")))
    assert [s for s in steps if "audit_log" not in s] == [], "the audit log is read from its end, by row number"


# Secrets


def with_token(db: Path) -> Path:
    folder = db.parent / "secret"
    folder.mkdir()
    lines = f"notify:\n  telegram: {{enabled: true, bot_token: \"{TOKEN}\", chat_id: \"-100200300\"}}\n"
    return doors.write_config(folder, doors.CONFIG + lines, DB=str(db))


def leaks(text: str) -> list[str]:
    """Parts of the token that stand in a text."""
    return [part for part in (TOKEN, TOKEN.partition(":")[2], TOKEN[15:40]) if part in text]


def everything(at: Any) -> str:
    return rig.words_of(at) + str(at.main) + str(at.sidebar)


def test_no_page_shows_a_secret(own: Path) -> None:
    config = with_token(own)
    text = everything(rig.open_page("system", own, config))
    assert leaks(text) == [] and HIDDEN in text and "bot_token" in text


def test_planted_flaw_a_configuration_shown_raw_is_caught(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_token(own)
    raw = source(own).__class__(config, own).settings().notify.telegram.bot_token
    monkeypatch.setattr(page, "describe", lambda cfg: {"bot_token": raw})
    monkeypatch.setattr(page, "shown", lambda value: value)
    assert leaks(everything(rig.open_page("system", own, config)))


def test_anything_shaped_like_a_token_is_hidden_once_more() -> None:
    shown = page.shown({"a": [f"https://x/bot{TOKEN}/send", 5, None], "b": {"c": TOKEN}})
    assert leaks(str(shown)) == [] and shown["a"][1:] == [5, None]


def test_a_token_in_an_error_of_a_job_is_hidden(own: Path) -> None:
    rig.sql(own, f"INSERT INTO job_runs (job, due_ts, state, error) VALUES ('outbox', {NOW}, 'failed', "
                 f"'POST https://api.telegram.org/bot{TOKEN}/sendMessage')")
    assert leaks(everything(rig.open_page("system", own))) == []


def test_every_key_of_the_configuration_is_there(db: Path) -> None:
    here = source(db)
    assert set(page.shown(page.describe(here.settings()))) == set(asdict(here.settings()))
