"""docs/OPERATIONS.md: its figures and times are those of the code."""

import re

import pytest

from core.engine import health, jobs
from core.engine.daemon import STEP_SECONDS
from core.market.exchange import PARALLEL
from core.market.server_time import FRESH_S
from core.store import db, runs
from core.timeframe import DAY, MINUTE
from tests.conftest import ROOT
from tests.docs import pages

pytestmark = pytest.mark.law

TEXT = pages.text_of(ROOT / "docs" / "OPERATIONS.md")


def test_the_page_that_an_error_refers_to_has_its_section() -> None:
    source = (ROOT / "core" / "store" / "db.py").read_text(encoding="utf-8")
    title = re.search(r"docs/OPERATIONS\.md, '([^']+)'", source.replace('"\n        f"', ""))
    assert title and f"\n## {title[1]}\n" in TEXT


def test_figures_are_those_of_the_code() -> None:
    said = re.sub(r"\s+", " ", TEXT)
    for words in (
        f"up to {db.QUICK_CHECK_BYTES // 2**20} MB", f"steps by more than {STEP_SECONDS:g} s",
        f"Up to {PARALLEL} requests", f"off by more than {health.CLOCK_OFF_MS // 1000} s",
        f"kept for {runs.KEEP_RUNS // DAY} days",
    ):
        assert words in said, words
    assert FRESH_S == 600 and "asked every ten minutes" in said
    assert health.TELL_AFTER == 5 * MINUTE and "told once after five minutes" in said


def test_every_job_stands_in_the_table() -> None:
    rows = TEXT.partition("## What runs when")[2].partition("\n## ")[0]
    context = type("Cfg", (), {"cfg": type("C", (), {"incremental": type("I", (), {"settle_seconds": 3})})})
    table = jobs.table(context, object(), lambda: False)  # type: ignore[arg-type]
    for name in (job.name for job in table if job.name != jobs.TICK):
        assert re.search(rf"^\| {name} \|", rows, re.MULTILINE), name
    for stage in ("incremental_sync", "resample", "scan_signals", "execute_signals"):
        assert stage in rows


def test_the_unit_runs_the_daemon_as_a_user_of_its_own() -> None:
    unit = pages.blocks(TEXT, "ini")[0]
    for line in ("User=", "Restart=", "ExecStart=", "WorkingDirectory=", "[Install]"):
        assert line in unit
    assert "scheduler_run.py" in unit and "User=root" not in unit
