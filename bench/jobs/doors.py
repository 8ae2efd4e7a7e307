"""`--help` of every door, against merely importing numpy, sqlite3 and yaml."""

import os
import subprocess
import sys
from pathlib import Path

from bench.measure import Row, Scale, median

ROOT = Path(__file__).parents[2]
BARE = ["-c", "import numpy, sqlite3, yaml"]


def run(scale: Scale) -> list[Row]:
    """Each door in a process of its own, in turns with the bare imports."""
    doors = [[path.name] for path in sorted(ROOT.glob("*.py"))] + [["-m", "core"]]
    for command in (BARE, *doors):
        spent([*command, "--help"] if command is not BARE else command)  # bytecode and file cache
    rows = []
    for door in doors:
        pairs = [(spent([*door, "--help"]), spent(BARE)) for _ in range(scale.pick(7, 2))]
        mine, bare = (median([pair[k][0] for pair in pairs]) for k in (0, 1))
        memory = median([pair[0][1] for pair in pairs])
        name = " ".join(door)
        rows.append(Row(f"{name} --help", mine, "s", "import numpy, sqlite3, yaml", bare, 2.0))
        rows.append(Row(f"{name} --help, memory", memory, "MB", limit=60))
    return rows


def spent(command: list[str]) -> tuple[float, float]:
    """CPU seconds and peak memory (MB) of a Python process; raises where it fails."""
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
