"""Failures: exit code 1, one clear line that says who must act, and a traceback only where --debug asks for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import TraderError
from core.store.lock import WriterLock
from tests.cli import doors
from tests.cli.conftest import Demo

BAD_CONFIG = "symbols: [BTC/USDT:USDT]\ntimeframs: [5m]\nrisk: {mode: wild}\n"
WRITERS = [
    ("scheduler_run", ["--once"]),
    ("scheduler_run", ["--demo", "--span", "1h"]),
    ("download_data", []),
    ("retro_scan", []),
    ("core", ["init-db"]),
    ("core", ["scan"]),
    ("core", ["import-candles", "."]),
]
READERS = [["status"], ["inspect"], ["analyze"], ["reconcile"]]


@pytest.mark.parametrize(
    "command", [["status"], ["inspect"], ["why", "X"], ["analyze"], ["scan"], ["reconcile"], ["backup", "b.db"]]
)
def test_a_missing_database_is_named_and_not_made(command: list[str], demo: Demo, tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    answer = doors.call("core", *command, "--config", demo.config, "--db", missing)
    assert answer.code == 1 and f"no database at {missing}" in answer.err and answer.out == ""
    assert len(answer.err.strip().splitlines()) == 1
    assert not missing.exists()


@pytest.mark.covers("D19")
@pytest.mark.parametrize("door", ["scheduler_run", "download_data", "retro_scan"])
def test_a_wrong_configuration_names_every_mistake_with_its_line(door: str, tmp_path: Path) -> None:
    config = doors.write_config(tmp_path, BAD_CONFIG)
    answer = doors.call(door, "--config", config)
    assert answer.code == 1 and answer.out == "" and "Traceback" not in answer.err
    assert (
        "line 2" in answer.err and "timeframes" in answer.err and "line 3" in answer.err and "aggressive" in answer.err
    )


def test_check_config_prints_all_mistakes_and_the_clean_twin_passes(demo: Demo, tmp_path: Path) -> None:
    bad = doors.call("core", "check-config", "--config", doors.write_config(tmp_path, BAD_CONFIG), "--json")
    assert bad.code == 1 and bad.json["ok"] is False and len(bad.json["mistakes"]) == 3  # a head and two mistakes
    good = doors.call("core", "check-config", "--config", demo.config, "--json")
    assert good.code == 0 and good.json["ok"] is True and good.json["config"]["symbols"] == ["BTC/USDT:USDT"]


def test_check_config_shows_what_the_file_leaves_out_and_hides_secrets(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "123456789:AAcanary-Canary_canaryCANARYcanary1")
    answer = doors.call("core", "check-config", "--config", demo.config)
    assert answer.code == 0
    assert "settle_seconds: 3" in answer.out and "start_date: 2024-01-01" in answer.out
    assert "canary" not in (answer.out + answer.err).lower() and "(set, hidden)" in answer.out


def test_an_error_shows_its_traceback_only_with_debug(demo: Demo, tmp_path: Path) -> None:
    args = ["status", "--config", str(demo.config), "--db", str(tmp_path / "none.db")]
    assert "Traceback" not in doors.call("core", *args).err
    shown = doors.run("core", *args, "--debug")
    assert shown.code == 1 and "Traceback" in shown.err and "ArtifactError" in shown.err
    with pytest.raises(TraderError):
        doors.call("core", *args, "--debug")


def test_json_says_failures_too_as_one_object(demo: Demo, tmp_path: Path) -> None:
    answer = doors.call("core", "status", "--config", demo.config, "--db", tmp_path / "none.db", "--json")
    assert answer.code == 1 and answer.json["kind"] == "ArtifactError" and "no database" in answer.json["error"]


def test_a_file_that_is_no_database_is_left_as_it_is(demo: Demo, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.db"
    wrong.write_bytes(b"this is a letter, not a database" * 40)
    answer = doors.call("core", "status", "--config", demo.config, "--db", wrong)
    assert answer.code == 1 and "damaged or not a database" in answer.err
    assert wrong.read_bytes().startswith(b"this is a letter")


@pytest.mark.covers("rule 34", "D19", "I7")
@pytest.mark.parametrize(("door", "args"), WRITERS)
def test_while_another_process_writes_a_writing_door_refuses_and_names_the_ways_on(
    door: str, args: list[str], own: Demo
) -> None:
    with WriterLock(own.db, "scheduler_run.py"):
        answer = doors.call(door, *args, *own.where)
    assert answer.code == 1
    assert (
        "is being written by scheduler_run.py (process" in answer.err
        and "core backup" in answer.err
        and "--db" in answer.err
    )


@pytest.mark.covers("rule 34", "I7")
@pytest.mark.parametrize("command", READERS)
def test_readers_work_while_another_process_writes(command: list[str], own: Demo) -> None:
    with WriterLock(own.db, "scheduler_run.py"):
        answer = doors.call("core", *command, *own.where)
    assert answer.code == 0, answer.err


@pytest.mark.covers("rule 34")
def test_the_lock_is_free_again_after_a_door_has_ended(own: Demo) -> None:
    assert doors.call("core", "scan", *own.where).code == 0
    with WriterLock(own.db, "test"):
        pass


def test_a_reader_that_goes_away_ends_the_door_quietly(demo: Demo) -> None:
    script = f"{sys.executable} -m core inspect --config {demo.config} --db {demo.db} | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], cwd=doors.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr and "Broken" not in done.stderr
