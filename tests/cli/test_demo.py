"""The demo's door: what it says first, how it ends, resumes, and what it refuses to mix."""

import re
from pathlib import Path

import pytest

from core.store.db import Database
from core.store.runs import JobRun, add_runs
from tests.cli import doors
from tests.cli.conftest import Demo

AGAIN = ("--demo", "--span", "6h", "--history", "4d")


@pytest.mark.covers("rule 35")
def test_the_first_lines_say_what_runs_and_that_nothing_is_traded(demo: Demo) -> None:
    head = demo.answer.out.splitlines()[:8]
    said = "\n".join(head)
    assert "Nothing is traded" in said and "GENERATED MARKET, not real prices" in said and "seed 7" in said
    assert str(demo.db) in said and "(new)" in said
    assert "2024-01-05 00:00Z until 2024-01-05 06:00Z" in said and "as fast as possible" in said


def test_alerts_appear_and_a_summary_ends_the_run(demo: Demo) -> None:
    assert demo.answer.out.count("GENERATED MARKET, not real prices") > 1  # in every alert too
    for name in ("Candles", "Candidates", "Signals", "Trades", "Alerts", "Job runs", "Time"):
        assert re.search(rf"^{name} ", demo.answer.out, re.M), name
    assert "The end of the run." in demo.answer.out
    assert "python scheduler_run.py" in demo.answer.out and "exchange.id" in demo.answer.out
    assert "history 100 %" in demo.answer.err


@pytest.mark.covers("rule 35")
def test_a_finished_run_goes_on_at_its_end_and_has_nothing_left_to_do(own: Demo) -> None:
    answer = doors.call("scheduler_run", *AGAIN, *own.where, "--json")
    assert answer.code == 0, answer.err
    assert {
        "candles",
        "candidates",
        "signals",
        "trades_opened",
        "trades_closed",
        "alerts_sent",
        "job_runs",
        "seconds",
    } <= set(answer.json)
    assert doors.call("core", "diff", own.db, own.db.parent / "own.db").code == 0
    assert "goes on where it stopped" in doors.call("scheduler_run", *AGAIN, *own.where).out


def test_another_market_never_goes_into_the_same_file(own: Demo) -> None:
    answer = doors.call("scheduler_run", *AGAIN, "--seed", 8, *own.where)
    assert answer.code == 1 and "holds another replayed market" in answer.err and "--db" in answer.err


def test_the_demos_own_file_is_made_anew_for_another_market(tmp_path: Path) -> None:
    config = doors.write_config(tmp_path, doors.CONFIG.replace("app: {", f"app: {{data_dir: {tmp_path}, "))
    short = ("scheduler_run", "--demo", "--span", "2m", "--history", "2h", "--config", config)
    assert "(new)" in doors.call(*short).out
    assert "(goes on where it stopped)" in doors.call(*short).out
    other = doors.call(*short, "--seed", 8)
    assert other.code == 0 and "(new)" in other.out and "seed 8" in other.out
    assert (tmp_path / "demo.db").is_file() and not (tmp_path / "real.db").exists()


def test_the_demo_keeps_away_from_a_file_with_real_candles(demo: Demo, tmp_path: Path) -> None:
    real = tmp_path / "real.db"
    db = Database(real)
    with db.write() as con:
        con.execute("INSERT INTO sync_checkpoint VALUES ('bitget', 'BTC/USDT:USDT', 0, 60000)")
        add_runs(con, [JobRun("incremental_sync", 0, 0, 0, "ok", 1, None)])
    db.close()
    answer = doors.call("scheduler_run", *AGAIN, "--config", demo.config, "--db", real)
    assert answer.code == 1 and "holds real candles" in answer.err


@pytest.mark.parametrize(("door", "args"), [("scheduler_run", ["--once"]), ("download_data", [])])
def test_real_candles_never_go_into_a_demos_file(door: str, args: list[str], own: Demo) -> None:
    answer = doors.call(door, *args, *own.where)
    assert answer.code == 1 and "holds a replayed market" in answer.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--start", "2031-01-01", "--span", "1d"], "the run would start at 2031-01-01 00:00Z, but the candles"),
        (["--until", "2031-01-01"], "after the candles do"),
        (["--span", "1d", "--skip", "2031-01-01", "2031-01-02"], "--skip lies outside the run"),
        (["--candles", "/no/such/folder", "--span", "1d"], "no such folder"),
    ],
)
def test_a_window_outside_the_market_is_refused(args: list[str], says: str, demo: Demo, tmp_path: Path) -> None:
    answer = doors.call("scheduler_run", "--demo", *args, "--config", demo.config, "--db", tmp_path / "x.db")
    assert answer.code == 1 and says in answer.err and "Traceback" not in answer.err
