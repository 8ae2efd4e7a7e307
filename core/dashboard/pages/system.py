"""The page System: does the machinery work, is anything behind, and what is it running with."""

import platform
import sqlite3
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import streamlit as st

import core
from core.config.views import describe
from core.dashboard import cards, parts
from core.dashboard.reading import Source
from core.dashboard.views import system as view
from core.engine import health
from core.notify import redact
from core.store import migrations, reports, runs
from core.store.db import version_warning
from core.store.lock import holder
from core.store.reads import system as reads
from core.timeframe import DAY, HOUR, floor

_LIBRARIES = ("ccxt", "numpy", "pandas", "numba", "xgboost-cpu", "xgboost", "scikit-learn", "APScheduler",
              "python-telegram-bot", "streamlit", "streamlit-echarts", "pyarrow")


def page(source: Source) -> None:
    """Draw the page."""
    st.header("System")
    _file(source)
    _jobs(source)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _lags(source)
    with right:
        _outbox(source)
        _asked(source)
    st.subheader("Versions")
    st.markdown(" · ".join(f"{name} **{version}**" for name, version in versions(source).items()))
    warning = version_warning()
    if warning:
        st.caption(warning)
    st.subheader("Configuration", help="as the program understands it, defaults included; secrets only say whether "
                                       "they are set")
    st.json(shown(describe(source.settings())), expanded=1)


@parts.live("15s")
def _file(source: Source) -> None:
    with source.read() as ctx:
        daemon = holder(ctx.db.path)
        facts, free = reads.file_facts(ctx.db.con), ctx.db.free_bytes()
        wal = ctx.db.path.with_name(ctx.db.path.name + "-wal")
        wal_bytes = wal.stat().st_size if wal.exists() else 0
    parts.metrics(view.sizes(facts, wal_bytes, free))
    st.caption(f"Written by {daemon}." if daemon else "Nobody writes to the file now.")


@parts.live("15s")
def _jobs(source: Source) -> None:
    with source.read() as ctx:
        now = ctx.clock.now()
        last, runs = reads.last_runs(ctx.db.con), reads.runs_since(ctx.db.con, now - DAY)
        failures = reads.failures(ctx.db.con)
    st.subheader("Jobs")
    if not last:
        parts.none("No job has run on this file yet.", "The daemon (`python scheduler_run.py`) records each run here.")
        return
    cards.table(view.jobs(_hidden(last), runs, now), view.JOBS)
    stages = view.ticks(runs, now - 3 * HOUR)
    if any(second > 0 for _, took in stages.values() for second in took):
        st.caption("How long the ticks of the last three hours took, in seconds")
        parts.figure(view.tick_figure(stages, parts.dark()), "ticks", height=240,
                     alt="Seconds that each tick of the last three hours took, by stage")
    with st.expander(f"Runs that did not end well: {len(failures) if len(failures) < 30 else 'the last 30'}",
                     expanded=False):
        if failures:
            cards.table(_hidden(failures), view.FAILURES)
        else:
            st.caption("None in the last ten days.")


@parts.live("15s")
def _lags(source: Source) -> None:
    with source.read() as ctx:
        now = ctx.clock.now()
        rows = view.lags(reads.watermarks(ctx.db.con, ctx.exchange_id), now, ctx.cfg.symbols)
        summary, newest = reports.gap_summary(ctx.db.con, ctx.exchange_id), reads.newest_gaps(ctx.db.con,
                                                                                             ctx.exchange_id)
    st.subheader("Lags and gaps")
    cards.table(rows, view.LAGS)
    st.caption(view.gaps(summary, now))
    if newest:
        with st.expander("The newest gaps"):
            cards.table(newest, view.GAPS)


@parts.live("15s")
def _outbox(source: Source) -> None:
    with source.read() as ctx:
        now = ctx.clock.now()
        alerts, done = reports.alerts(ctx.db.con, floor(now, DAY)), reads.actions(ctx.db.con)
        telegram = ctx.cfg.notify.telegram.enabled
    st.subheader("Outbox")
    for line in view.outbox(alerts, telegram, now):
        st.markdown(redact.hide(line))
    if done:
        with st.expander("Who did what"):
            cards.table(_hidden(done), view.ACTIONS)


@parts.live("60s")
def _asked(source: Source) -> None:
    with source.read() as ctx:
        now, known = ctx.clock.now(), runs.requests(ctx.db.con)
        week = runs.sent_since(ctx.db.con, floor(now, DAY) - 6 * DAY)
    st.subheader("Requests to the exchange")
    if not week:
        parts.none("None in seven days.", "The daemon counts them; a file of imported candles has none.")
        return
    st.markdown(f"Seven days: {health.asked(week)}.")
    cards.table(view.asked(known, now), view.ASKED)


def versions(source: Source) -> dict[str, str]:
    """What runs here, by name."""
    with source.read() as ctx:
        schema = reads.file_facts(ctx.db.con)["user_version"]
    found = {"Trader_AI": core.__version__, "schema": f"{schema} of {len(migrations.MIGRATIONS)}",
             "Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def shown(value: Any) -> Any:
    """A configuration as it may stand on a page: anything shaped like a secret is taken out once more."""
    if isinstance(value, Mapping):
        return {str(name): shown(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return redact.hide(value) if isinstance(value, str) else value


def _hidden(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [shown(row) for row in rows]
