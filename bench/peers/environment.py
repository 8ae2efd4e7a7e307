"""The environment of the peers: made on first use, and done without where it cannot be."""

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-bench"
REQUIREMENTS = ROOT / "bench" / "requirements.txt"


def python() -> Path:
    """The interpreter of the peers."""
    return FOLDER / "bin" / "python"


def ready() -> str | None:
    """Make the environment unless it is there; why it could not be made, or None."""
    wanted = REQUIREMENTS.read_text()
    stamp = FOLDER / ".installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    print("installing the peers of bench/requirements.txt into .venv-bench (once) ...", file=sys.stderr, flush=True)
    venv.create(FOLDER, with_pip=True, clear=True)
    (FOLDER / ".gitignore").write_text("*\n")
    command = [str(python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    stamp.write_text(wanted)
    return None


class Peer:
    """A peer's script, which answers each question with one measurement."""

    def __init__(self, script: str, *args: str) -> None:
        """Start it and wait for its first answer. Raises RuntimeError where it fails."""
        command = [str(python()), str(ROOT / "bench" / "peers" / script), *args]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self._answer()

    def ask(self) -> dict[str, Any]:
        """Let it measure once more. Raises RuntimeError where it fails."""
        assert self._process.stdin is not None
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"it ended with exit code {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found
