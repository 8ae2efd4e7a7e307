"""Charts of stored signals: any signal can be drawn, fresh or finished, and nothing later than asked is shown."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.candles import Bars
from core.clock import VirtualClock
from core.engine import pictures
from core.engine.context import Context
from core.errors import DataError
from core.notify import picture
from core.store.db import Database
from tests.engine import harness


@pytest.fixture
def ctx(unbroken: Path) -> Iterator[Context]:
    db = Database(unbroken, readonly=True)
    yield Context(harness.config(), db, VirtualClock(0))
    db.close()


def ids(con: sqlite3.Connection) -> list[tuple[str, int]]:
    """One signal of every setup, timeframe, direction and status."""
    return con.execute(
        "SELECT g.id, g.decided_ts FROM signals g JOIN positions p ON p.signal = g.n "
        "GROUP BY g.setup, g.timeframe, g.direction, p.status ORDER BY 1").fetchall()


def test_every_kind_of_signal_is_drawn_fresh_and_as_it_stands(ctx: Context) -> None:
    found = ids(ctx.db.con)
    assert len(found) > 15
    for signal_id, decided in found:
        now, fresh = (pictures.of_signal(ctx, ctx.db.con, signal_id, until) for until in (None, decided))
        assert now[:4] == fresh[:4] == b"\x89PNG" and max(len(now), len(fresh)) < 60_000


@pytest.mark.covers("I2")
def test_a_picture_of_a_fresh_plan_shows_nothing_later_than_its_decision(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Bars, picture.Plan, int]] = []
    monkeypatch.setattr(pictures, "chart_png", lambda bars, plan, marks, label: seen.append(
        (bars, plan, len(marks))) or b"")
    found = ids(ctx.db.con)
    for signal_id, decided in found:
        pictures.of_signal(ctx, ctx.db.con, signal_id, decided)
    for (bars, plan, marks), (_, decided) in zip(seen, found, strict=True):
        assert int(bars.ts[-1]) + bars.tf <= decided
        assert marks == 0 and plan.stop is None and plan.to_ts is None
        assert all(ts + bars.tf <= decided for ts, _ in (*plan.pivots, *plan.avwap))


def test_the_stored_avwap_is_where_the_drawn_line_stood_at_the_decision(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ctx.db.con.execute("SELECT id, ts, decided_ts, avwap, start_ts, end_ts FROM signals WHERE avwap IS NOT NULL "
                              "LIMIT 20").fetchall()
    drawn: list[picture.Plan] = []
    monkeypatch.setattr(pictures, "chart_png", lambda bars, plan, marks, label: drawn.append(plan) or b"")
    for signal_id, _, decided, *_ in rows:
        pictures.of_signal(ctx, ctx.db.con, signal_id, decided)
    assert len(drawn) == 20
    for plan, (_, ts, _, avwap, start, end) in zip(drawn, rows, strict=True):
        assert plan.avwap[-1] == (ts, pytest.approx(avwap, rel=1e-9))
        assert [t for t, _ in plan.pivots] == [start, end]


def test_the_market_is_named_by_the_run_or_by_the_file(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[str] = []
    monkeypatch.setattr(pictures, "chart_png", lambda bars, plan, marks, label: labels.append(label) or b"")
    signal_id = ids(ctx.db.con)[0][0]
    ctx.label = "GENERATED MARKET, not real prices"
    pictures.of_signal(ctx, ctx.db.con, signal_id)
    assert labels == ["GENERATED MARKET"]


def test_an_unknown_signal_is_said_to_be_unknown(ctx: Context) -> None:
    with pytest.raises(DataError, match="no signal nothing in this file"):
        pictures.of_signal(ctx, ctx.db.con, "nothing")
