"""The dashboard on years of data: first paint, refreshes, memory, and whether eight open pages delay the tick."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench import data, hundred
from bench.measure import Row, Scale, apart
from core.candles import MarketInfo
from core.clock import VirtualClock
from core.engine import retro
from core.engine.context import Context
from core.engine.retro import RetroOptions
from core.engine.tick import tick
from core.market.generated import GeneratedMarket
from core.store import runs
from core.store.db import Database
from core.timeframe import DAY, DERIVED, MINUTE

SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
PAGES = ("now", "chart", "trades", "results", "filter", "truth", "system")
LIVE = 20_000  # of the newest trades count as the daemon's own
SETTLE = 3_000
PAINT_S, REFRESH_S, SERVER_MB, DELAY_S = 2.0, 0.3, 300, 0.1
STAY_S = 17.0  # parts of pages refresh themselves every 2 to 15 s


def run(scale: Scale) -> list[Row]:
    """Twenty months of three symbols; ticks once a second, alone and with eight pages open."""
    days, seconds = scale.pick(600, 15), scale.pick(60, 8)
    path = scale.folder / "pages.db"
    apart(make, path, days)
    with _dashboard(scale.folder, path) as (url, process):
        _views(url, 0.0, *PAGES)  # loads what the pages need
        single = {page: _alone(url, process.pid, page, scale.pick(3, 1)) for page in PAGES}
        with _ticking(path, days) as ticks:
            ticks(2)  # the first one warms up
            alone = ticks(seconds)
            viewers = _viewers(url, seconds + 6.0, (*PAGES, "now"))
            time.sleep(5.0)  # all of them stand by then
            watched = ticks(seconds)
            seen = _answer(viewers)
        memory = _rss_mb(process.pid)
    together = sorted(second for v in seen for second in v["refreshes"])
    return [*(row for page, found in single.items() for row in _page(page, found)), *_delays(alone, watched),
            Row("refresh, eight pages open", median(together), "s", limit=REFRESH_S,
                note=f"{len(together)} of them, slowest {together[-1]:.2f} s"),
            Row("memory of the server", memory, "MB", limit=SERVER_MB, note="after eight pages were open")]


class Alone(NamedTuple):
    """One page, looked at by one: the server's CPU seconds and the wall time of a paint and of each refresh."""

    paint_cpu: float
    paint: float
    refresh_cpu: float
    refreshes: list[float]


def _alone(url: str, pid: int, page: str, times: int) -> Alone:
    paints = [_costed(url, pid, page, 0.0) for _ in range(times)]
    cpu, wall = min(cost for cost, _ in paints), min(seen["paint"] for _, seen in paints)
    stayed, seen = _costed(url, pid, page, STAY_S)
    refreshes = seen["refreshes"]
    return Alone(cpu, wall, max(0.0, stayed - cpu) / max(1, len(refreshes)), refreshes)


def _costed(url: str, pid: int, page: str, seconds: float) -> tuple[float, dict[str, Any]]:
    before = _cpu(pid)
    (seen,) = _views(url, seconds, page)
    return _cpu(pid) - before, seen


def _page(page: str, found: Alone) -> list[Row]:
    # Wall time is what a viewer waits; the CPU beside it tells a busy machine from a slow page.
    rows = [Row(f"first paint of {page}", found.paint, "s", limit=PAINT_S,
                note=f"the server's part, wall; CPU {found.paint_cpu:.2f} s; what a browser adds: make test-browser")]
    if found.refreshes:
        rows.append(Row("  a refresh of it", median(found.refreshes), "s", limit=REFRESH_S,
                        note=f"median of {len(found.refreshes)}, wall; CPU {found.refresh_cpu:.2f} s"))
    return rows


def _delays(alone: list[float], watched: list[float]) -> list[Row]:
    later = median(watched) - median(alone)
    return [Row("tick, eight pages open", median(watched), "s", "alone", median(alone),
                note=f"wall time; slowest {max(watched):.2f} s, alone {max(alone):.2f} s"),
            Row("  how much later it ends", max(0.0, later), "s", limit=DELAY_S, note="medians")]


# The file and its daemon


def _market(days: int) -> GeneratedMarket:
    return GeneratedMarket(SYMBOLS, days=days + 1)


def make(path: Path, days: int) -> None:
    """Make the file: all candidates of the time, the newest trades as if the daemon had decided them."""
    source = _market(days)
    end = source.start + days * DAY
    ctx = data.context(path, data.shipped(), end)
    for symbol in SYMBOLS:
        info = source.info(symbol)
        data.fill(ctx, symbol, source.candles(symbol, source.start, end), derived=True,
                  info=MarketInfo(info.tick, info.lot, 5.0))
    retro.run(ctx, RetroOptions())
    with ctx.db.write() as con:
        (since,) = con.execute(
            "SELECT min(decided_ts) FROM (SELECT g.decided_ts FROM signals g JOIN positions p ON p.signal = g.n "
            "WHERE p.opened_ts IS NOT NULL ORDER BY g.decided_ts DESC LIMIT ?)", (LIVE,)).fetchone()
        con.execute("UPDATE signals SET origin = 'live' WHERE decided_ts >= ?", (since,))
        con.execute(f"UPDATE series SET live_from = ? WHERE timeframe IN ({', '.join('?' * len(DERIVED))})",
                    (since, *DERIVED))
        con.execute("UPDATE symbols SET funding_ts = ?", (end,))
        runs.put(con, "virtual_start", end)
        runs.put(con, "market", "GENERATED MARKET, not real prices")
    ctx.db.checkpoint()
    ctx.db.close()


@contextmanager
def _ticking(path: Path, days: int) -> Iterator[Any]:
    # One minute of the market each second, for so many seconds; gives the wall time of each tick.
    source, clock = _market(days), VirtualClock(0)
    exchange = hundred.Answered(data.EXCHANGE, clock).open()
    ctx = Context(data.shipped(), Database(path), clock, exchange, send_ungated=True)
    now = source.start + days * DAY

    def ticks(seconds: int) -> list[float]:
        nonlocal now
        taken = []
        for _ in range(seconds):
            now += MINUTE
            clock.set(now + SETTLE)
            exchange.answer(hundred.answers(source, clock.now()))
            began = time.perf_counter()
            _tick(ctx, clock.now())
            taken.append(time.perf_counter() - began)
            time.sleep(max(0.0, 1.0 - taken[-1]))
        return taken

    try:
        yield ticks
    finally:
        exchange.close()
        ctx.db.close()


def _tick(ctx: Context, now: int) -> None:
    done = tick(ctx, now)
    if any(run.state != "ok" for run in done):
        raise RuntimeError(f"the tick failed: {done}")


# The dashboard and those who look at it


@contextmanager
def _dashboard(folder: Path, path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    config = folder / "config.yaml"
    shutil.copyfile(data.SHIPPED, config)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", str(port), "--", "--config",
         str(config), "--db", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(20)


def _wait(url: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the dashboard did not begin to answer")


def _viewers(url: str, seconds: float, pages: tuple[str, ...]) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "bench.viewer", url, str(seconds), *pages]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


def _views(url: str, seconds: float, *pages: str) -> list[dict[str, Any]]:
    return _answer(_viewers(url, seconds, pages))


def _answer(viewers: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    out, _ = viewers.communicate()
    if viewers.returncode:
        raise RuntimeError("the viewers failed")
    found: list[dict[str, Any]] = json.loads(out.splitlines()[-1])
    failed = [f"{v['page']}: {why}" for v in found for why in v["failed"]]
    if failed:
        raise RuntimeError("; ".join(failed))
    return found


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20
