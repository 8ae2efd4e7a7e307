"""`make bench`, `python -m bench`: run every job in a process of its own and print the table."""

import argparse
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

JOBS = (
    "ingest", "resample", "minute", "retro", "lifecycle", "tick", "daemon", "filter", "walkforward", "doors", "pages"
)
LIBRARIES = ("numpy", "numba", "ccxt", "aiohttp", "apscheduler", "pyyaml")
ROOT = Path(__file__).parents[1]

Rows = list[dict[str, Any]]


def main() -> int:
    """Measure and print; 0 if all was measured, 1 if a job failed, 3 with --strict where a limit is missed."""
    args = _arguments()
    machine = _machine()
    if not args.json:
        print("\n".join(f"{name:<10}{value}" for name, value in machine.items()), flush=True)
    results: dict[str, Rows] = {}
    failed = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in args.only or JOBS:
            try:
                results[name] = _run(name, args, Path(folder))
            except RuntimeError as error:
                failed.append(name)
                print(f"{name}: {error}", file=sys.stderr)
    if args.json:
        print(json.dumps({"machine": machine, "quick": args.quick, "jobs": results, "failed": failed}, indent=1))
    else:
        print("\n".join(_table(results)))
        if args.quick:
            print("--quick: small versions; what they reach or miss means little")
    missed = [row["what"] for rows in results.values() for row in rows if row["ok"] is False]
    return 1 if failed else 3 if args.strict and missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="How fast the program is, against peers and limits measured in one run."
    )
    add = parser.add_argument
    add("--only", metavar="NAME", action="append", choices=JOBS, help=f"one of {', '.join(JOBS)}; may be repeated")
    add("--quick", action="store_true", help="small versions, to see that all runs; the figures mean little")
    add("--json", action="store_true", help="print one JSON object and nothing else on standard output")
    add("--no-peers", action="store_true", help="neither install nor run the peers; use published figures")
    add("--strict", action="store_true", help="exit with 3 where a limit is missed")
    return parser.parse_args()


def _machine() -> dict[str, str]:
    libraries = ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)
    return {
        "Machine": f"{os.cpu_count()} x {_processor()}, {platform.system()} {platform.release()}, load {_load()}",
        "Python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "Libraries": libraries,
        "When": time.strftime("%Y-%m-%d %H:%MZ", time.gmtime()),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _run(name: str, args: argparse.Namespace, folder: Path) -> Rows:
    if not args.json:
        print(f"{name} ...", file=sys.stderr, flush=True)
    options = [flag for flag, given in (("--quick", args.quick), ("--no-peers", args.no_peers)) if given]
    place = folder / name
    place.mkdir()
    command = [sys.executable, "-m", "bench.worker", name, str(place), *options]
    done = subprocess.run(command, cwd=ROOT, env=_environment(folder), stdout=subprocess.PIPE, text=True)
    shutil.rmtree(place, ignore_errors=True)
    if done.returncode:
        raise RuntimeError(f"the job failed with exit code {done.returncode}")
    rows: Rows = json.loads(done.stdout.splitlines()[-1])
    return rows


def _environment(folder: Path) -> dict[str, str]:
    # Bytecode and machine code are kept, as they are for any user; imports would else be measured as compilers.
    found = {"NUMBA_CACHE_DIR": str(Path(sys.prefix) / "numba-cache"), **os.environ}
    if found.pop("PYTHONDONTWRITEBYTECODE", None):
        found["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    return found


def _table(results: dict[str, Rows]) -> list[str]:
    head = ("job", "what", "ours", "peer or limit", "ratio", "must reach", "ok?", "")
    lines = [head, *((name, *_cells(row)) for name, rows in results.items() for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(head) - 1)]
    padded = ([cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True)] for line in lines)
    return ["  ".join(cells).rstrip() for cells in padded]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    peer = f"{row['against']} {_number(row['base'], row['unit'])}" if row["base"] is not None else row["against"]
    ratio = f"{row['ratio']:.2f}x" if row["ratio"] is not None else ""
    ok = {True: "yes", False: "NO", None: ""}[row["ok"]]
    return row["what"], _number(row["ours"], row["unit"]), peer, ratio, _limit(row), ok, row["note"]


def _limit(row: dict[str, Any]) -> str:
    if row["limit"] is None:
        return ""
    sign = ">=" if row["at_least"] else "<="
    ratio = row["base"] is not None and not row["absolute"]
    return f"{sign} {row['limit']:g}x" if ratio else f"{sign} {_number(row['limit'], row['unit'])}"


def _number(value: float, unit: str) -> str:
    text = f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    return f"{text} {unit}".strip()


if __name__ == "__main__":
    sys.exit(main())
