"""The walk-forward lives as the daemon does: the same rows over the same weeks, with every model in its time."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.engine import demo, diff, jobs, lived, lived_figures, on_time, opening, retro
from core.engine.context import Context
from core.engine.lived import Span
from core.errors import ArtifactError, ConfigError, DataError
from core.store import candles
from core.store.db import Database
from core.store.lived import copy_market
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine import harness
from tests.engine import lived_rig as rig

START = rig.SUNDAY - 20 * MINUTE
END = rig.SUNDAY + 7 * DAY + 10 * HOUR
WEEK = 7 * DAY


promoted = rig.promoted


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A daemon's file after a good week: two trainings, a look at drift between them; it woke up twice a day."""
    path = tmp_path_factory.mktemp("daemon") / "a.db"
    rig.live(path, rig.options(START, until=END), coarse=12 * HOUR)
    return path


@pytest.fixture(scope="module")
def walked(daemon: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weeks walked through on its candles."""
    path = tmp_path_factory.mktemp("walked") / "b.db"
    rig.relive(daemon, path, START, END)
    return path


def live_rows(path: Path) -> list[dict[str, Any]]:
    return [r for r in harness.rows(path, "signals") if r["decided_ts"] > START]


def count(path: Path, table: str) -> int:
    con = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    n = int(con.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    con.close()
    return n


# The same rows


@pytest.mark.covers("I1", "rule 32", "rule 35")
def test_the_daemon_and_the_walk_forward_give_the_same_rows(daemon: Path, walked: Path) -> None:
    found = diff.compare(daemon, walked)
    assert found.same and found.lines[-1] == "no difference", found.lines
    assert found.counts["signals"] > 500 and found.counts["unfinished"] == 0
    assert rig.history(daemon) == rig.history(walked) and rig.trials(daemon) == rig.trials(walked)
    governed = [entry[1] for entry in rig.history(walked) if entry[0] == "meta"]
    used = {r["model"] for r in live_rows(walked)} - {None}
    assert len(governed) >= 2 and used == set(governed), "every model judged for a while"
    assert {r["verdict"] for r in live_rows(walked) if r["model"]} == {"pass", "refused"}
    whole = [[r for r in harness.rows(path, "state") if r["key"] == "whole_from"] for path in (daemon, walked)]
    assert whole[0] and whole[0] == whole[1]


@pytest.mark.covers("I2", "rule 32")
def test_no_plan_is_judged_by_what_was_learnt_after_it(walked: Path) -> None:
    since = {model: (at, ts) for kind, model, at, ts, *_ in rig.history(walked) if kind == "meta"}
    con = sqlite3.connect(f"file:{walked}?mode=ro", uri=True)
    ends = dict(con.execute("SELECT id, json_extract(card, '$.data.end') FROM models WHERE kind = 'meta'"))
    con.close()
    for row in live_rows(walked):
        if row["model"]:
            promoted, due = since[row["model"]]
            assert promoted == due <= row["decided_ts"] and ends[row["model"]] <= due - on_time.SETTLED
            assert not row["in_sample"]


@pytest.mark.covers("I2", "rule 32")
def test_planted_flaw_a_model_that_governs_a_week_early_is_caught(
    daemon: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = jobs.due_between
    monkeypatch.setattr(lived.jobs, "due_between", lambda job, a, b: [ts - WEEK for ts in honest(job, a + WEEK, b)])
    rig.relive(daemon, tmp_path / "b.db", START, END)
    found = diff.compare(daemon, tmp_path / "b.db")
    assert not found.same and any("model" in line or "reason" in line for line in found.lines)


@pytest.mark.covers("I2")
def test_planted_flaw_a_training_that_knows_next_week_is_caught(
    daemon: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = on_time.known_by
    monkeypatch.setattr(on_time, "known_by", lambda ctx, due: honest(ctx, due) + WEEK)
    monkeypatch.setattr(on_time.training.handback.dataset, "followed", lambda ctx: END)
    rig.relive(daemon, tmp_path / "b.db", START, END)
    assert not diff.compare(daemon, tmp_path / "b.db").same


@pytest.mark.covers("I1", "I6")
def test_killed_and_asked_again_it_goes_on_where_it_was(
    daemon: Path, walked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, honest, seen = tmp_path / "b.db", lived._advance, 0

    class Killed(BaseException):
        pass

    def dying(*args: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise Killed
        honest(*args)

    with monkeypatch.context() as patch:
        patch.setattr(lived, "_advance", dying)
        with pytest.raises(Killed):
            rig.relive(daemon, path, START, END)
    assert len(live_rows(path)) < len(live_rows(walked))
    counts = rig.relive(daemon, path, START, END, copy=False)
    assert 0 < counts["written"] < len(live_rows(walked))
    assert diff.compare(path, walked).same and rig.history(path) == rig.history(walked)
    assert count(path, "signals") == count(walked, "signals") and count(path, "events") == count(walked, "events")


# Files that hold rows already


@pytest.fixture(scope="module")
def scanned_file(daemon: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scanned") / "s.db"
    db = Database(path)
    copy_market(daemon, db.con)
    retro.run(Context(rig.config(), db, VirtualClock(0)), retro.RetroOptions())
    db.close()
    return path


@pytest.fixture
def scanned(scanned_file: Path, tmp_path: Path) -> Path:
    """A copy of the candles, scanned by retro."""
    return rig.copied(scanned_file, tmp_path / "s.db")


@pytest.mark.covers("rule 30")
def test_in_a_scanned_file_rows_stay_and_get_the_verdict_of_their_time(
    daemon: Path, walked: Path, scanned: Path
) -> None:
    before = {r["id"]: r for r in harness.rows(scanned, "signals")}
    counts = rig.relive(daemon, scanned, START, END, copy=False)
    assert counts.get("written", 0) == 0 and counts["existing"] == count(walked, "signals")
    assert diff.compare(walked, scanned).same
    free = ("ml_p_raw", "ml_p", "ev_pct", "model", "verdict", "reason", "in_sample")
    for row in harness.rows(scanned, "signals"):
        old = before[row["id"]]
        assert {k: v for k, v in row.items() if k not in free} == {k: v for k, v in old.items() if k not in free}
        if row["decided_ts"] <= START:
            assert row == old, "history is as the scan left it"


@pytest.mark.covers("rule 32")
def test_a_symbol_that_is_no_longer_configured_holds_no_model_back(daemon: Path, walked: Path, tmp_path: Path) -> None:
    db = Database(tmp_path / "b.db")
    copy_market(daemon, db.con)
    exchange = rig.config().exchange.id
    with db.write() as con:
        candles.ensure(con, exchange, ["XRP/USDT:USDT"], ["1m"])
        candles.set_stretch(con, exchange, "XRP/USDT:USDT", START, END + DAY)
        candles.set_watermarks(con, "scanned_ts", [(END + DAY, candles.symbols(con, exchange)["XRP/USDT:USDT"].id)])
    db.close()
    rig.relive(daemon, tmp_path / "b.db", START, END, copy=False)
    assert rig.history(tmp_path / "b.db") == rig.history(walked)


@pytest.mark.parametrize(("change", "says"), [
    ("UPDATE signals SET origin = 'live' WHERE n = 1", "it holds decisions of the daemon"),
    ("UPDATE series SET live_from = 0 WHERE timeframe = '5m'", "the daemon has decided in it"),
    ("INSERT INTO trials (ts, kind, params) VALUES (0, 'train', '{}')", "it holds models"),
    ("UPDATE signals SET config_hash = (SELECT config_hash FROM configs LIMIT 1), symbol = 'X/USDT:USDT' WHERE n = 1",
     "1 rows of another configuration or of other symbols"),
])
def test_a_file_that_has_lived_or_lived_otherwise_is_left_alone(
    change: str, says: str, daemon: Path, scanned: Path
) -> None:
    con = sqlite3.connect(scanned)
    con.execute(change)
    con.commit()
    con.close()
    before = scanned.read_bytes()
    with pytest.raises(ConfigError, match=says) as told:
        rig.relive(daemon, scanned, START, END, copy=False)
    assert "--into FILE" in str(told.value) and scanned.read_bytes() == before


def test_another_time_in_a_relived_file_and_a_time_without_candles_are_refused(daemon: Path, walked: Path,
                                                                               tmp_path: Path) -> None:
    path = rig.copied(walked, tmp_path / "b.db")
    with pytest.raises(ConfigError, match="was relived otherwise"):
        rig.relive(daemon, path, START, END - DAY, copy=False)
    with pytest.raises(ConfigError, match="there is nothing to live"):
        rig.relive(daemon, tmp_path / "c.db", END + DAY, END + 2 * DAY)
    with pytest.raises(DataError, match="there are no candles"):
        rig.relive(daemon, tmp_path / "d.db", START, END, copy=False)


def test_the_market_is_copied_and_nothing_that_was_decided(daemon: Path, tmp_path: Path) -> None:
    before = daemon.read_bytes()
    db = Database(tmp_path / "b.db")
    copied = copy_market(daemon, db.con)
    assert copied == count(daemon, "ohlcv") > 50_000 and daemon.read_bytes() == before
    db.checkpoint()
    for table in ("candles", "gaps", "funding", "sync_checkpoint"):
        assert count(tmp_path / "b.db", table) == count(daemon, table)
    for table in ("signals", "models", "promotions", "trials", "alerts", "state", "job_runs"):
        assert count(tmp_path / "b.db", table) == 0, table
    assert {r["live_from"] for r in harness.rows(tmp_path / "b.db", "series")} == {None}
    other = tmp_path / "no.db"
    other.write_text("no database")
    with pytest.raises(ArtifactError, match="cannot be"):
        copy_market(other, db.con)
    db.close()


def test_nothing_is_announced(walked: Path) -> None:
    assert harness.rows(walked, "alerts") == []


# What it earned


@pytest.fixture(scope="module")
def told(walked: Path) -> dict[str, Any]:
    db = Database(walked, readonly=True)
    found = lived_figures.figures(Context(rig.config(), db, VirtualClock(0)), Span(START, END))
    db.close()
    return found


@pytest.mark.covers("I5")
def test_the_system_is_what_passed_and_every_plan_stands_in_one_group(walked: Path, told: dict[str, Any]) -> None:
    rows, groups = live_rows(walked), told["groups"]
    passed = [r for r in rows if r["verdict"] == "pass"]
    assert groups["system"]["plans"] == len(passed) == groups["filter"]["plans"] + groups["ungated"]["plans"]
    assert groups["refused"]["plans"] + groups["admission"]["plans"] == len(rows) - len(passed)
    assert groups["filter"]["coverage_pct"] == pytest.approx(
        100 * groups["filter"]["plans"] / (groups["system"]["plans"] + groups["refused"]["plans"]))
    by_id = {t["signal_id"]: t for t in harness.rows(walked, "trades")}
    r = [by_id[row["id"]]["r_multiple"] for row in passed if by_id[row["id"]]["r_multiple"] is not None]
    assert groups["system"]["trades"] == len(r) and groups["system"]["total_r"] == pytest.approx(sum(r))
    for part in groups.values():
        if part["trades"]:
            assert part["win_low_pct"] <= part["win_pct"] <= part["win_high_pct"]


@pytest.mark.covers("I5")
def test_the_curve_adds_up_week_by_week(told: dict[str, Any]) -> None:
    weeks, system = told["by_week"], told["groups"]["system"]
    assert len(weeks) in (told["weeks"], told["weeks"] + 1) and any(w["system_n"] for w in weeks)
    assert weeks[0]["week"] <= START < weeks[0]["week"] + WEEK
    assert weeks[-1]["equity_usd"] == pytest.approx(told["equity_usd"] + system["profit_usd"])
    assert weeks[-1]["equity_r"] == pytest.approx(system["total_r"])
    assert sum(w["system_n"] for w in weeks) == system["trades"]
    assert sum(w["refused_r"] for w in weeks) == pytest.approx(told["groups"]["refused"]["total_r"])
    assert weeks[-1]["hold_usd"] == pytest.approx(told["equity_usd"] + told["hold"]["profit_usd"], rel=1e-6)
    changes = told["learned"]["changes"]
    assert told["learned"]["promoted"] >= 2 and told["learned"]["trainings"] >= 2
    assert all(c["ts"] <= c["governs_from"] and c["why"] for c in changes)


def test_demo_and_walk_forward_put_their_models_beside_the_file(daemon: Path, walked: Path) -> None:
    for path in (daemon, walked):
        folder = opening.models_of(path)
        assert sorted(p.name for p in (folder / "meta").iterdir()) and not list((folder / "incoming").iterdir())
    assert opening.models_of(Path("data/demo.db")).name == "demo-models" and demo.LEAD == HOUR
