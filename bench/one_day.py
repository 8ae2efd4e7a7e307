"""A daemon on the generated market in this process: `python -m bench.one_day FOLDER SYMBOLS HISTORY_DAYS [--apart]`.

--apart: the exchange's server runs in a process of its own, as a real exchange does, and follows the
daemon's virtual clock through a few bytes of shared memory. Prints JSON on the last line.
"""

import argparse
import io
import json
import mmap
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import data
from bench.measure import peak_mb, rss_mb
from core.clock import VirtualClock
from core.config.schema import Config
from core.engine import demo
from core.market.generated import SYMBOLS
from core.market.replay import ReplayExchange
from core.market.source import MarketSource
from core.store.db import Database
from core.timeframe import DAY

# What a daemon has no business to load until it needs it.
HEAVY = ("pandas", "pyarrow", "numba", "llvmlite", "xgboost", "sklearn", "scipy", "streamlit", "telegram")


class SharedClock(VirtualClock):
    """A virtual clock that another process can read from a file."""

    def __init__(self, start: int, path: Path) -> None:
        super().__init__(start)
        path.write_bytes(struct.pack("<q", start))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8)

    def set(self, now: int) -> None:
        """Move, and tell the other process."""
        super().set(now)
        self._tell()

    def sleep(self, seconds: float) -> None:
        """Move on, and tell the other process."""
        super().sleep(seconds)
        self._tell()

    def _tell(self) -> None:
        self._shared[:8] = struct.pack("<q", self.now())


class ReadClock:
    """The time that a SharedClock of another process shows."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8)

    def now(self) -> int:
        """Time, ms UTC."""
        return int(struct.unpack("<q", self._shared[:8])[0])

    def monotonic(self) -> float:
        """Seconds of the same clock."""
        return self.now() / 1000

    def sleep(self, seconds: float) -> None:
        """Nobody sleeps in the server."""


class RemoteExchange:
    """Stands for ReplayExchange in the daemon's process: the same server, in another process."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self._command = [sys.executable, "-m", "bench.one_day", str(folder), *arguments, "--serve"]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Start it and return its base URL."""
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate()


def main() -> int:
    """Serve, or run the daemon and say what it holds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("symbols", type=int)
    parser.add_argument("history_days", type=int)
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--serve", action="store_true")
    args = parser.parse_args()
    cfg, options = _config(args.symbols), demo.DemoOptions(span=DAY, history=args.history_days * DAY)
    stage = demo.prepare(cfg, options)
    if args.serve:
        return _serve(stage.source, args.folder / "clock")
    if args.apart:
        arguments = [str(args.symbols), str(args.history_days)]
        demo.VirtualClock = lambda start: SharedClock(start, args.folder / "clock")  # type: ignore
        demo.ReplayExchange = lambda *_: RemoteExchange(args.folder, arguments)  # type: ignore
    print(json.dumps(_live(cfg, options, stage, args.folder / "day.db")))
    return 0


def _config(symbols: int) -> Config:
    return data.shipped(("[BTC/USDT:USDT, ETH/USDT:USDT, SOL/USDT:USDT]", f"[{', '.join(SYMBOLS[:symbols])}]"))


def _serve(source: MarketSource, clock: Path) -> int:
    server = ReplayExchange(source, ReadClock(clock))
    print(server.start(), flush=True)
    sys.stdin.read()  # until the daemon ends
    server.stop()
    return 0


def _live(cfg: Config, options: demo.DemoOptions, stage: demo.Stage, path: Path) -> dict[str, Any]:
    db = Database(path)
    found = demo.run(cfg, db, options, stage, console=io.StringIO())
    after = rss_mb()
    db.close()
    exchanges = {name.split(".")[2] for name in sys.modules if name.startswith("ccxt.async_support.")}
    return {
        "rss_mb": after,
        "peak_mb": peak_mb(),
        "heavy": [name for name in HEAVY if name in sys.modules],
        "ccxt": sorted(exchanges - {"base"}),
        "modules": len(sys.modules),
        "summary": found,
    }


if __name__ == "__main__":
    sys.exit(main())
