"""Ways to call the doors: inside this process, and as a process of their own."""

import contextlib
import io
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from core.cli.app import main

ROOT = Path(__file__).parents[2]
SCRIPTS = {
    "scheduler_run": ["scheduler_run.py"],
    "download_data": ["download_data.py"],
    "retro_scan": ["retro_scan.py"],
    "core": ["-m", "core"],
}

# One coin on one timeframe, with admission loose enough that six hours hold plans of all kinds.
CONFIG = """
symbols: [BTC/USDT:USDT]
timeframes: [5m]
app: {db_path: DB}
signals:
  max_cost_r: 0.9
  min_tp_net_pct: 0.1
  validity_candles: 8
  lookback_candles: 120
  fibo: {piv_window: 3}
  setups:
    fibo_avwap: {timeframes: [5m]}
    donchian: {timeframes: [5m], max_hold_candles: 40}
    compression: {enabled: false}
execution: {max_hold_candles: 60}
"""


class Answer(NamedTuple):
    """What a door said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output; fails where anything else stands there."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def call(door: str, *args: object) -> Answer:
    """A door inside this process, with logging as it was before."""
    out, err, root = io.StringIO(), io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(door, [str(arg) for arg in args])
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        root.handlers[:], root.level = handlers, level
    return Answer(code, out.getvalue(), err.getvalue())


def run(door: str, *args: object, cwd: Path = ROOT) -> Answer:
    """A door as its users start it."""
    script = [str(ROOT / part) if part.endswith(".py") else part for part in SCRIPTS[door]]
    done = subprocess.run(
        [sys.executable, *script, *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def write_config(folder: Path, text: str = CONFIG, **values: str) -> Path:
    """A configuration file whose capital words are replaced."""
    path = folder / "config.yaml"
    for name, value in {"DB": str(folder / "real.db"), **values}.items():
        text = text.replace(name, value)
    path.write_text(text, encoding="utf-8")
    return path
