"""Pages opened by Streamlit's own AppTest, without a browser; and small databases to open them on."""

import contextlib
import io
import json
import logging
import re
import shutil
import sqlite3
from collections.abc import Callable
from functools import cache
from html import unescape
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.cli import doors

_SCRIPT = """
from pathlib import Path
from core.dashboard import app
from core.dashboard.reading import Source
app.run(Source(Path({config!r}), Path({db!r})), first={page!r})
"""


def open_page(name: str, db: Path, config: Path | None = None, **query: str) -> AppTest:
    """A page, drawn once. query: what stands behind the `?` of its address. Asserts nothing."""
    script = _SCRIPT.format(config=str(config or config_for(db)), db=str(db), page=name)
    at = AppTest.from_string(script, default_timeout=60)
    for key, value in query.items():
        at.query_params[key] = value
    with contextlib.redirect_stderr(io.StringIO()):
        return at.run()


def config_for(db: Path) -> Path:
    """The small configuration of the door tests, beside a database."""
    path = db.parent / "config.yaml"
    return path if path.exists() else doors.write_config(db.parent, DB=str(db))


def sql(db: Path, *statements: str) -> None:
    """Change a copy by hand, as nobody should."""
    con = sqlite3.connect(db)
    for statement in statements:
        con.execute(statement)
    con.commit()
    con.close()


def made_real(db: Path) -> Path:
    """The same file without what says that its market was replayed: as if its candles were real, and old."""
    sql(db, "DELETE FROM state WHERE key LIKE 'virtual%' OR key = 'market'")
    return db


SMALL = ("symbols", "s", "series", "y", "sync_checkpoint", "models", "state", "promotions")


def scans(con: sqlite3.Connection, ask: Callable[[Any], object]) -> list[str]:
    """Steps of the queries that `ask` makes which walk a whole table that grows with the years."""
    seen: list[str] = []
    con.set_trace_callback(seen.append)
    try:
        ask(con)
    finally:
        con.set_trace_callback(None)
    plans = [step for text in seen if text.lstrip().upper().startswith(("SELECT", "WITH"))
             for *_, step in con.execute(f"EXPLAIN QUERY PLAN {text}")]
    return [step for step in plans if step.startswith("SCAN") and step.split()[1] not in SMALL]


_TAGS = re.compile(r"(?s)<(style|script)>.*?</\1>|<[^>]*>")


def words_of(at: AppTest) -> str:
    """All text on a page, for `in`: headings, paragraphs, captions, metrics, messages, badges and tables."""
    found: list[str] = []
    for block in (at.main, at.sidebar):
        for kind in ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success",
                     "code", "json", "text"):
            found += [str(element.value) for element in block.get(kind)]
        found += [f"{metric.label} {metric.value}" for metric in block.get("metric")]
        found += [frame.value.to_string() for frame in block.dataframe]
        found += [unescape(_TAGS.sub(" ", page.proto.body)) for page in block.get("html")]
    return "\n".join(found)


def figures_of(at: AppTest) -> list[dict[str, Any]]:
    """The figures of a page (parts.figure) as plain dicts."""
    return [json.loads(chart.proto.spec) for chart in at.get("echarts_chart")]


@cache
def _demo() -> Path:
    folder = Path(mkdtemp(prefix="dashboard-"))
    config, db = doors.write_config(folder), folder / "demo.db"
    root = logging.getLogger()
    level = root.level
    answer = doors.call("scheduler_run", "--demo", "--span", "6h", "--history", "4d", "--config", config, "--db", db)
    root.setLevel(level)
    assert answer.code == 0, answer.err
    return db


def demo_db(folder: Path) -> Path:
    """A copy of a small finished demo (six hours of a generated market, one coin on 5m), with its configuration."""
    source = _demo()
    shutil.copy(source.with_name("config.yaml"), folder / "config.yaml")
    return Path(shutil.copy(source, folder / "demo.db"))
