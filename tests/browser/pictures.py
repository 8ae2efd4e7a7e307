"""The pictures of docs/images: `python -m tests.browser.pictures [--db FILE --config FILE]`.

Made by hand when pages have changed, never by the tests. Without --db the demo is run first, over ten days of the
recorded candles with a year of history to learn from, and a quick audit: that takes a while. It then goes on in its own
time while the pictures are taken, so that what they say of the daemon is true. With --db they show what there is: start
a daemon beside it where they shall say that it runs.
"""

import argparse
import io
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from core.clock import VirtualClock
from core.config import load
from core.engine.context import Context
from core.engine.pictures import of_signal
from core.signals.setups import REGISTRY
from core.store.db import Database
from core.store.lock import holder
from tests.browser import site
from tests.conftest import REAL_DATA, ROOT

FOLDER = ROOT / "docs" / "images"
MOST_BYTES = 300_000
WIDE = {"width": 1280, "height": 1100}
MARKET = ("--candles", str(REAL_DATA / "candles"), "--start", "2023-08-18T12:00", "--history", "300d", "--learn")
SHOWN, LATER = ("--until", "2023-08-28T12:00"), ("--until", "2023-08-29T12:00")


def main() -> int:
    """Make the data if none are named, and one wide and one narrow picture of each page."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.pictures", description=__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "config.yaml", help="configuration of --db")
    parser.add_argument("--db", type=Path, help="a database to show instead of making one")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the pictures (default: docs/images)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        config, db = (args.config, args.db) if args.db else _made(Path(folder))
        daemon = nullcontext() if args.db else running(config, db, (*MARKET, *LATER))
        with daemon, site.serving(config, db) as url, site.browsing() as browser:
            for path in site.PAGES:
                query = _plan(db) if path == "chart" else ""
                _picture(browser, url, path, query, site.PHONE, args.out / f"{path}-phone.png")
                _picture(browser, url, path, query, WIDE, args.out / f"{path}.png")
            _report(browser, config, db, args.out / "report.png")
        _alert(config, db, args.out / "alert.png")
    return 0


def _report(browser: Any, config: Path, db: Path, target: Path) -> None:
    with TemporaryDirectory() as folder:
        page = Path(folder) / "week.html"
        site.door("-m", "core", "report", "--html", str(page), config=config, db=db)
        with site.visiting(browser, WIDE) as visit:
            visit.page.goto(page.as_uri())
            _save(target, visit.page.screenshot())


def _alert(config: Path, db: Path, target: Path) -> None:
    found = _newest(db)
    if found:
        file = Database(db, readonly=True)
        ctx = Context(load(config, REGISTRY), file, VirtualClock(0))
        _save(target, of_signal(ctx, file.con, found[0], found[2]))
        file.close()


def _plan(db: Path) -> str:
    found = _newest(db)
    return f"?id={found[1]}" if found else ""


def _newest(db: Path) -> tuple[str, str, int] | None:
    # The newest plan that passed and reached its first target: it shows fills and exits.
    con = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    found: tuple[str, str, int] | None = con.execute(
        "SELECT g.id, g.short_id, g.decided_ts FROM signals g JOIN positions p ON p.signal = g.n "
        "WHERE g.verdict = 'pass' AND g.origin = 'live' AND p.tp1_ts IS NOT NULL AND p.closed_ts > p.tp1_ts "
        "ORDER BY p.closed_ts DESC LIMIT 1").fetchone()
    con.close()
    return found


def _made(folder: Path) -> tuple[Path, Path]:
    config, db = site.configured(folder)
    site.door("scheduler_run.py", "--demo", "--speed", "max", *MARKET, *SHOWN, config=config, db=db, seconds=3 * 3600)
    site.door("-m", "core", "audit", "--quick", config=config, db=db, seconds=3600,
              fine=(0, 1))  # a row that fails is shown as it is
    return config, db


@contextmanager
def running(config: Path, db: Path, options: Sequence[str], seconds: float = 120.0) -> Iterator[None]:
    """The demo of a file going on, a second a second, until the block ends. Raises RuntimeError where it does not."""
    line = [sys.executable, "scheduler_run.py", "--demo", "--speed", "1", *options, "--config", str(config), "--db",
            str(db)]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + seconds
        while holder(db) is None:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the demo does not go on")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(seconds)


def _picture(browser: Any, url: str, path: str, query: str, size: dict[str, int], target: Path) -> None:
    with site.visiting(browser, size) as visit:
        visit.open(url, path, query)
        visit.page.wait_for_timeout(3_000)  # tables draw themselves after everything else
        broken = visit.broken()
        if broken:
            raise RuntimeError(f"{path}: {broken}")
        _save(target, visit.page.screenshot())


def _save(target: Path, png: bytes) -> None:
    data = small(png)
    target.write_bytes(data)
    print(f"{target.name}: {len(data) / 1000:.0f} kB")


def small(png: bytes) -> bytes:
    """The same picture with few colours; at most MOST_BYTES."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64, 32):
        out = io.BytesIO()
        image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= MOST_BYTES:
            break
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
