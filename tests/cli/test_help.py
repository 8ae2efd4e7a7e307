"""Every door's --help: it reads well, and costs next to nothing."""

import subprocess
import sys

import pytest

from core.cli import parsers
from tests.cli import doors

COMMANDS = [*parsers.COMMANDS]
PROBE = r"""
import re, sys
from pathlib import Path
from core.cli.app import main
try:
    main(sys.argv[1], [*sys.argv[2:], "--help"])
except SystemExit as stop:
    heavy = {"numpy", "yaml", "ccxt", "pandas", "pyarrow", "numba", "telegram", "apscheduler", "aiohttp", "xgboost"}
    print("CODE", stop.code, "HEAVY", sorted(heavy & set(sys.modules)))
    # VmHWM: the peak of this program alone; ru_maxrss begins with that of the process which started it.
    print("KB", re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.parametrize("door", ["scheduler_run", "download_data", "retro_scan", "core"])
def test_help_of_a_door_shows_what_it_does_its_options_and_examples(door: str) -> None:
    answer = doors.run(door, "--help")
    assert answer.code == 0 and answer.err == ""
    for text in ("usage:", "--config FILE", "--db FILE", "--json", "examples:"):
        assert text in answer.out
    assert answer.out.count("python ") >= 4  # usage and at least three examples or so


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_small_command_has_examples_of_its_own(command: str) -> None:
    answer = doors.call("core", command, "--help")
    assert answer.code == 0
    assert answer.out.partition("examples:")[2].count(f"python -m core {command}") >= 2


def test_the_list_of_small_commands_names_each_with_a_line() -> None:
    answer = doors.call("core", "--help")
    for name, (_, text) in parsers.COMMANDS.items():
        assert f"  {name}" in answer.out and text in answer.out


def test_every_command_leads_to_a_function() -> None:
    for run, _ in parsers.COMMANDS.values():
        module, _, function = run.partition(":")
        assert module.startswith("core.cli.") and function == "run"
        assert (doors.ROOT / (module.replace(".", "/") + ".py")).is_file()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
@pytest.mark.parametrize("door", [["scheduler_run"], ["download_data"], ["retro_scan"], ["core"], ["core", "why"]])
def test_help_loads_nothing_heavy_and_stays_small(door: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *door], cwd=doors.ROOT, capture_output=True, text=True, check=True
    )
    assert "CODE 0 HEAVY []" in done.stdout
    assert int(done.stdout.rpartition("KB ")[2]) < 60_000
