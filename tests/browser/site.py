"""The dashboard as its users run it: a database made by the demo, Streamlit's server, and a page in a real browser."""

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import REAL_DATA, ROOT, is_loopback

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
RECORDED = ("--start", "2023-08-17T06:00", "--until", "2023-08-18T12:00")  # a fall of ten percent among them
GENERATED = ("--span", "30h")

# By path: words that each page shows, and how many figures it draws at least.
PAGES: dict[str, tuple[tuple[str, ...], int]] = {
    "now": (("Now", "Waiting for entry", "The day as a funnel", "Latest signals"), 0),
    "chart": (("Plan", "Entry", "SL", "TP1", "Leverage"), 1),
    "trades": (("Signals and trades", "Closed trades", "CSV"), 0),
    "results": (("Results", "break-even", "Profit factor", "Market change"), 1),
    "filter": (("Filter", "Thresholds in force"), 0),
    "truth": (("Truth", "Scorecard", "python -m core audit"), 0),
    "system": (("System", "Jobs", "Outbox", "Versions"), 0)}

IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
SPINNERS = '[data-testid="stSkeleton"], [data-testid="stSpinner"]'
FIGURE = '[data-testid="stEChartsChart"] canvas, .echarts-container canvas'


def chromium() -> str | None:
    """The browser in PATH."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Data:
    """What a dashboard is opened on."""

    config: Path
    db: Path
    label: str


def make(folder: Path, days: int = 20) -> Data:
    """Run the demo over the last hours of the recorded candles (the generated market where there are none).

    Then find the candidates of the `days` before, so that the pages on history have something to show.
    """
    (config, db), candles = configured(folder), REAL_DATA / "candles"
    recorded = ("--candles", str(candles), *RECORDED) if candles.is_dir() else GENERATED
    door("scheduler_run.py", "--demo", "--speed", "max", "--history", f"{days}d", *recorded, config=config, db=db)
    door("retro_scan.py", config=config, db=db)
    return Data(config, db, "REPLAY" if candles.is_dir() else "GENERATED")


def configured(folder: Path) -> tuple[Path, Path]:
    """The shipped configuration with its data in `folder`, and the database there."""
    config, db = folder / "config.yaml", folder / "demo.db"
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    text = re.sub(r"^(  data_dir:) data\b", rf"\1 {folder}", text, count=1, flags=re.MULTILINE)
    config.write_text(re.sub(r"^(  db_path:) data/ohlcv.db", rf"\1 {db}", text, count=1, flags=re.MULTILINE),
                      encoding="utf-8")
    return config, db


def door(*line: str, config: Path, db: Path, seconds: float = 600.0, fine: tuple[int, ...] = (0,)) -> None:
    """Run one door to its end. Raises RuntimeError with what it said where its exit code is none of `fine`."""
    done = subprocess.run([sys.executable, *line, "--config", str(config), "--db", str(db)], cwd=ROOT,
                          capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode not in fine:
        raise RuntimeError(f"{' '.join(line)} failed: {done.stderr[-2000:]}")


@contextmanager
def serving(config: Path, db: Path) -> Iterator[str]:
    """The dashboard's server on a free port of this machine; gives its address, ends it with the block."""
    port = _free_port()
    line = [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", str(port), "--",
            "--config", str(config), "--db", str(db)]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(process, f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", url: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError("streamlit ended at once")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("streamlit did not begin to answer")


@dataclass
class Visit:
    """One page in the browser, with what it asked for and what went wrong on it."""

    page: Any
    strangers: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))
        self.page.on("pageerror", lambda error: self.errors.append(f"exception: {error}"))
        self.page.on("console", lambda message: self._said(message.type, message.text, message.location["url"]))

    def _asked(self, url: str) -> None:
        host = re.match(r"(?:https?|wss?)://(\[[^\]]+\]|[^/:]+)", url)
        if host and not is_loopback(host[1].strip("[]")):
            self.strangers.append(url)

    def _said(self, kind: str, text: str, source: str) -> None:
        # Streamlit itself looks for its server below the page's own address first.
        if kind == "error" and not re.search(r"/\w+/_stcore/(health|host-config)$", source):
            self.errors.append(f"console: {text} ({source})")

    def open(self, url: str, path: str, query: str = "") -> float:
        """Open one page of the dashboard and wait until it stands; seconds until its content was there."""
        began = time.monotonic()
        self.page.goto(f"{url}/{'' if path == 'now' else path}{query}")  # the first page has the bare address
        self.settle(path)
        return time.monotonic() - began

    def settle(self, path: str) -> None:
        """Wait until the script has run, nothing loads, and the page's figures are drawn."""
        self.page.wait_for_selector(IDLE, timeout=30_000)
        self.page.wait_for_function("s => !document.querySelector(s)", arg=SPINNERS, timeout=30_000)
        if PAGES[path][1]:
            self.page.wait_for_selector(FIGURE, timeout=30_000)

    def words(self) -> str:
        """All text that can be read on the page."""
        return str(self.page.inner_text('[data-testid="stMain"]'))

    def count(self, selector: str) -> int:
        """How many elements fit."""
        return int(self.page.locator(selector).count())

    def broken(self) -> list[str]:
        """What shows that something failed: exceptions on the page, errors of the browser, hosts asked."""
        shown = self.page.locator('[data-testid="stException"]').all_inner_texts()
        return [*(f"on the page: {text[:300]}" for text in shown), *self.errors,
                *(f"asked {url}" for url in self.strangers)]

    def overflow(self) -> int:
        """By how many px the page is wider than the screen."""
        return int(self.page.evaluate(
            "() => { const m = document.querySelector('[data-testid=\"stMain\"]');"
            " return Math.max(document.scrollingElement.scrollWidth - innerWidth, m.scrollWidth - m.clientWidth); }"))


@contextmanager
def browsing() -> Iterator[Any]:
    """A headless browser. Raises RuntimeError where there is none."""
    from playwright.sync_api import sync_playwright

    executable = chromium()
    if executable is None:
        raise RuntimeError("no chromium: `make test-browser` installs it where it may")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visiting(browser: Any, size: dict[str, int] = WIDE, scheme: str = "dark") -> Iterator[Visit]:
    """A fresh page of a size, in the dark or light scheme."""
    context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    try:
        yield Visit(context.new_page())
    finally:
        context.close()
