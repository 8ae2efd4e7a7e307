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


def run(script: str, *args: str) -> dict[str, Any]:
    """Run a peer's script and return the JSON of its last line. Raises RuntimeError where it fails."""
    command = [str(python()), str(ROOT / "bench" / "peers" / script), *args]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"{script} failed"])[-1])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
