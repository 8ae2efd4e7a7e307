"""Command lines that make no sense: exit code 2, one line that says what is allowed, nothing done."""

from pathlib import Path

import pytest

from tests.cli import doors
from tests.cli.conftest import Demo


@pytest.mark.parametrize(
    ("door", "args", "says"),
    [
        ("download_data", ["--start", "1st of May"], "not a UTC date or time: '1st of May' (write 2024-01-31"),
        (
            "download_data",
            ["--start", "2024-05-02", "--end", "2024-05-01"],
            "--end 2024-05-01 00:00Z is not after --start",
        ),
        ("download_data", ["--start", "2999-01-01"], "--start 2999-01-01 00:00Z lies in the future"),
        ("retro_scan", ["--start", "2999-01-01"], "lies in the future"),
        ("retro_scan", ["--start", "2024-02-01", "--end", "2024-02-01"], "is not after --start"),
        ("retro_scan", ["--stride", "0"], "not a whole number from 1 on: '0'"),
        ("scheduler_run", ["--demo", "--span", "2 days"], "not a duration: '2 days' (write 90m, 36h, 3d or 2w)"),
        ("scheduler_run", ["--demo", "--span", "2d", "--until", "2024-06-01"], "give one of them"),
        (
            "scheduler_run",
            ["--demo", "--start", "2024-06-02", "--until", "2024-06-01"],
            "--until 2024-06-01 00:00Z is not after",
        ),
        ("scheduler_run", ["--demo", "--skip", "2024-06-02", "2024-06-01"], "--skip ends"),
        ("scheduler_run", ["--demo", "--speed", "fast"], "not a speed: 'fast' (write max"),
        ("scheduler_run", ["--demo", "--once"], "--once is one tick of the real exchange"),
        ("scheduler_run", ["--span", "3d"], "--span belongs to --demo"),
        ("scheduler_run", ["--spann", "3d"], "did you mean --span?"),
        ("core", ["statsu"], "did you mean status?"),
        ("core", ["reconcile", "--start", "2024-05-02", "--end", "2024-05-01"], "is not after --start"),
        ("core", [], "COMMAND"),
    ],
)
def test_wrong_usage_is_told_in_one_line_with_exit_code_2(
    door: str, args: list[str], says: str, tmp_path: Path
) -> None:
    answer = doors.call(door, *args, *(["--db", str(tmp_path / "x.db")] if args else []))
    assert answer.code == 2
    assert says in answer.err.splitlines()[-1] and answer.err.splitlines()[-1].startswith("error: ")
    assert answer.out == "" and "Traceback" not in answer.err
    assert not (tmp_path / "x.db").exists()


@pytest.mark.parametrize(
    ("door", "args", "says"),
    [
        ("retro_scan", ["--symbols", "BTX"], "did you mean BTC/USDT:USDT?"),
        ("retro_scan", ["--timeframes", "5n"], "5n is not among the scanned timeframes (5m); did you mean 5m?"),
        ("download_data", ["--symbols", "BTC,ETHE"], "ETHE is not among the configured symbols"),
        ("core", ["import-candles", ".", "--timeframe", "5min"], "5min is not a timeframe (1m, 5m"),
        ("core", ["import-candles", "/no/such/file.csv"], "no such file or folder: /no/such/file.csv"),
    ],
)
def test_unknown_names_get_the_nearest_one(door: str, args: list[str], says: str, own: Demo) -> None:
    answer = doors.call(door, *args, *own.where)
    assert answer.code == 2 and says in answer.err


@pytest.mark.parametrize("given", ["BTC", "btc", "BTCUSDT", "BTC/USDT", "BTC/USDT:USDT"])
def test_a_symbol_may_be_written_short(given: str, own: Demo) -> None:
    answer = doors.call("retro_scan", "--symbols", given, "--limit-per-pair", 1, "--json", *own.where)
    assert answer.code == 0, answer.err
    assert answer.json["bars"] > 0


def test_common_options_may_stand_before_or_after_the_command(demo: Demo) -> None:
    before = doors.call("core", "--json", *demo.where, "status")
    after = doors.call("core", "status", *demo.where, "--json")
    assert before.json["db"] == after.json["db"] == str(demo.db)
