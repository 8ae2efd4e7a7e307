"""`python -m core demo`: the demo and the dashboard begin and end together."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli import beside
from core.cli.options import UsageError
from core.cli.screen import Out
from tests.cli import doors

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program holds."""
    with socket.socket() as other:
        other.bind((beside.HOST, 0))
        other.listen()
        yield other.getsockname()[1]


class Said(Out):
    """An output whose notes are kept."""

    def __init__(self) -> None:
        super().__init__(sys.stdout, sys.stderr, False)
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_taken_port_is_passed_over_and_one_asked_for_is_refused(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "PORT", taken)
    assert taken < beside.free_port(None) < taken + 20
    with pytest.raises(UsageError, match=rf"port {taken} is taken by another program.*--port"):
        beside.free_port(taken)
    with pytest.raises(UsageError, match="65535"):
        beside.free_port(70_000)


def test_a_taken_port_is_one_clear_line_and_wrong_usage(taken: int, tmp_path: Path) -> None:
    config = doors.write_config(tmp_path, doors.CONFIG.replace("app: {", f"app: {{data_dir: {tmp_path}, "))
    answer = doors.call("core", "demo", "--config", config, "--port", taken)
    assert answer.code == 2 and f"port {taken} is taken" in answer.err and not (tmp_path / "demo.db").exists()


def test_the_dashboard_is_started_over_the_demos_file_on_this_machine_only(tmp_path: Path) -> None:
    command = beside.command(Path("config.yaml"), tmp_path / "demo.db", 8600)
    assert command[:4] == [sys.executable, "-m", "streamlit", "run"] and Path(command[4]).is_file()
    assert command[5:9] == ["--server.address", "127.0.0.1", "--server.port", "8600"]
    assert command[command.index("--db") + 1] == str(tmp_path / "demo.db")
    assert Path(command[command.index("--config") + 1]).is_absolute()


def test_the_dashboard_ends_with_the_block_however_it_ends(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), beside.dashboard(SLEEPER, tmp_path / "log", Said()) as process:
        assert process.poll() is None
        raise KeyboardInterrupt
    assert process.poll() is not None


def test_one_that_does_not_listen_is_ended_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_PATIENCE", 0.2)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with beside.dashboard([sys.executable, "-c", deaf], tmp_path / "log", Said()) as process:
        while not (tmp_path / "log").read_bytes():
            time.sleep(0.01)
    assert process.poll() == -9


def test_one_that_ends_by_itself_is_told_and_the_demo_goes_on(tmp_path: Path) -> None:
    said = Said()
    with beside.dashboard([sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log", said) as process:
        process.wait()
        while not said.notes:
            time.sleep(0.01)
    assert "exit code 3" in said.notes[0] and "log says why" in said.notes[0]


def test_ending_it_on_purpose_is_not_told_as_a_failure(tmp_path: Path) -> None:
    said = Said()
    with beside.dashboard(SLEEPER, tmp_path / "log", said):
        pass
    assert said.notes == []


PARENT = """
import sys
from pathlib import Path
from core.cli import beside
from core.cli.screen import Out
with beside.dashboard(sys.argv[2:], Path(sys.argv[1]), Out(sys.stdout, sys.stderr, False)) as process:
    print(process.pid, flush=True)
    process.wait()
"""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a process with its parent")
def test_a_demo_that_is_killed_takes_the_dashboard_with_it(tmp_path: Path) -> None:
    told = "import time; print('here', flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "log"), sys.executable, "-c", told],
                              stdout=subprocess.PIPE, cwd=beside.ROOT)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    while not (tmp_path / "log").read_bytes():
        time.sleep(0.01)
    assert _alive(child), "it is the command itself that runs under this number"
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 10
    while _alive(child) and time.monotonic() < end:
        time.sleep(0.01)
    assert not _alive(child)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a process with its parent")
def test_one_whose_parent_was_gone_before_it_could_ask_does_not_start(tmp_path: Path) -> None:
    line = beside._tied([sys.executable, "-c", "print('started')"])
    line[line.index(str(os.getpid()))] = "1" if os.getpid() != 1 else "2"
    assert subprocess.run(line, capture_output=True, check=True).stdout == b""


def test_both_run_and_both_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = doors.write_config(tmp_path, doors.CONFIG.replace("app: {", f"app: {{data_dir: {tmp_path}, "))
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def start(command: list[str], **more: object) -> "subprocess.Popen[bytes]":
        started.append(real(SLEEPER, **more))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(beside.subprocess, "Popen", start)
    answer = doors.call("core", "demo", "--span", "2m", "--history", "2h", "--config", config)
    assert answer.code == 0, answer.err
    assert answer.out.index("Dashboard  http://127.0.0.1:") < answer.out.index("Trader_AI demo")
    assert f"streamlit run dashboard.py -- --db {tmp_path / 'demo.db'} --config" in answer.out
    assert (tmp_path / "demo.db").is_file() and len(started) == 1 and started[0].poll() is not None
