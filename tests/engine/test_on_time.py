"""Weekly runs under the virtual clock: on time to the minute, once, whatever falls into their time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.engine import diff, handin, jobs, on_time, opening, promotion, training
from core.engine.context import Context
from core.engine.promotion import Order
from core.errors import ArtifactError, Transient
from core.store import candles, models, runs
from core.store.db import Database
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine import harness
from tests.engine import lived_rig as rig

START = rig.SUNDAY - 20 * MINUTE
END = rig.SUNDAY + 75 * MINUTE
AWAY = (rig.SUNDAY - 10 * MINUTE, rig.SUNDAY + 42 * MINUTE)


class Killed(BaseException):
    """Stands for a kill -9: no handler may catch it."""


promoted = rig.promoted


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with scanned history, one minute into its life; only to be copied."""
    path = tmp_path_factory.mktemp("on_time") / "base.db"
    rig.live(path, rig.options(START, until=START + MINUTE))
    return path


@pytest.fixture(scope="module")
def unbroken(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, having lived minute by minute through the weekly runs."""
    path = rig.copied(base, tmp_path_factory.mktemp("unbroken") / "a.db")
    rig.live(path, rig.options(START, until=END))
    return path


def same(a: Path, b: Path) -> bool:
    return diff.compare(a, b).same and rig.history(a) == rig.history(b) and rig.trials(a) == rig.trials(b)


def opened(base: Path, folder: Path) -> Context:
    return Context(rig.config(), Database(rig.copied(base, folder / "x.db")), VirtualClock(START), tell_all=True,
                   name=on_time.NAME)


# On time, and what falls into it


@pytest.mark.covers("rule 32", "rule 35")
def test_a_training_governs_from_the_very_minute_it_is_due(unbroken: Path) -> None:
    (model, *_), done = rig.history(unbroken), harness.rows(unbroken, "job_runs")
    assert model[0] == "meta" and model[2] == model[3] == rig.SUNDAY
    due = {r["job"]: r["due_ts"] for r in done if r["job"].startswith("weekly_") and r["state"] == "ok"}
    assert {name: due[name] - rig.SUNDAY for name in ("weekly_train", "weekly_calibrate", "weekly_tune")} == {
        "weekly_train": 0, "weekly_calibrate": 10 * MINUTE, "weekly_tune": 20 * MINUTE}
    rows = [r for r in harness.rows(unbroken, "signals") if r["origin"] == "live"]
    for row in rows:
        assert (row["model"] is None) == (row["decided_ts"] < rig.SUNDAY)
    assert any(r["reason"].startswith("ev") for r in rows if r["model"]), "what it says is acted on"


@pytest.mark.covers("I1", "rule 35")
def test_an_outage_over_the_weekly_runs_changes_no_row(base: Path, unbroken: Path, tmp_path: Path) -> None:
    path = rig.copied(base, tmp_path / "b.db")
    rig.live(path, rig.options(START, until=END, skip=AWAY))
    assert same(path, unbroken)
    late = [r for r in harness.rows(path, "signals") if r["late"]]
    assert any(r["model"] is None for r in late) and any(r["model"] for r in late)


@pytest.mark.covers("I1", "I2")
def test_planted_flaw_a_run_that_comes_after_what_the_outage_held_is_caught(
    base: Path, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_time, "overdue", lambda ctx, table, now: [])
    path = rig.copied(base, tmp_path / "b.db")
    rig.live(path, rig.options(START, until=END, skip=AWAY))
    assert not same(path, unbroken)


@contextmanager
def dying(module: Any, name: str, *, after: bool) -> Iterator[None]:
    """Die where `module.name` is called the first time: before it does anything, or after it has done its work."""
    honest = getattr(module, name)

    def die(*args: Any, **more: Any) -> Any:
        if after:
            honest(*args, **more)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, die)
        yield


@pytest.mark.covers("I1", "I6", "rule 35")
@pytest.mark.parametrize(("where", "name", "after"), [
    (on_time, "known_by", False), (training, "_hand_back", True), (handin, "_take", False), (handin, "_take", True),
], ids=["before the training", "with its folder handed back", "with the folder in its place", "after its promotion"])
def test_killed_in_a_weekly_run_it_ends_with_the_same_rows(
    where: Any, name: str, after: bool, base: Path, unbroken: Path, tmp_path: Path
) -> None:
    path = rig.copied(base, tmp_path / "b.db")
    with dying(where, name, after=after), pytest.raises(Killed):
        rig.live(path, rig.options(START, until=END))
    rig.live(path, rig.options(START, until=END))
    assert same(path, unbroken)
    told = [r["key"] for r in harness.rows(path, "alerts") if r["kind"] == "health"]
    assert sorted(told) == sorted(r["key"] for r in harness.rows(unbroken, "alerts") if r["kind"] == "health")


# What a run sees, and what it says


def test_what_a_run_knows_follows_from_the_stored_minutes_alone(base: Path, tmp_path: Path) -> None:
    ctx = opened(base, tmp_path)
    due = START - DAY
    assert on_time.known_by(ctx, due) == due - 5 * MINUTE
    one = candles.series(ctx.db.con, ctx.exchange_id)["SOL/USDT:USDT", "1m"].id
    hole = due - 40 * MINUTE
    with ctx.db.write() as con:
        con.execute("DELETE FROM ohlcv WHERE series = ? AND ts >= ? AND ts < ?", (one, hole, due - 5 * MINUTE))
    assert on_time.known_by(ctx, due) == hole, "one symbol's open hole holds all of them up"
    with ctx.db.write() as con:
        candles.set_ended(con, ctx.exchange_id, "SOL/USDT:USDT", hole)
    assert on_time.known_by(ctx, due) == due - 5 * MINUTE, "but not one that ended"
    ctx.db.close()


def test_without_a_model_calibration_and_tuning_are_no_news_and_done(base: Path, tmp_path: Path) -> None:
    ctx = opened(base, tmp_path)
    before = ctx.db.con.execute("SELECT count(*) FROM alerts").fetchone()
    for name in ("weekly_calibrate", "weekly_tune"):
        assert on_time.run(ctx, name, START) == 0 and on_time.is_done(ctx, name, START)
    assert ctx.db.con.execute("SELECT count(*) FROM alerts").fetchone() == before
    assert [r[0] for r in ctx.db.con.execute("SELECT who FROM audit_log ORDER BY id")][-2:] == ["calibrate", "tune"]
    ctx.db.close()


def test_a_training_without_plans_says_so_and_is_done(base: Path, tmp_path: Path) -> None:
    ctx = opened(base, tmp_path)
    with ctx.db.write() as con:
        con.execute("UPDATE signals SET revised = 1")
    assert on_time.run(ctx, "weekly_train", START) == 0 and on_time.is_done(ctx, "weekly_train", START)
    (body,) = ctx.db.con.execute("SELECT body FROM alerts ORDER BY id DESC LIMIT 1").fetchone()
    assert "train: nothing changed" in body and "no closed plan to train on" in body
    ctx.db.close()


def test_a_run_is_done_once(base: Path, tmp_path: Path) -> None:
    ctx = opened(base, tmp_path)
    assert on_time.run(ctx, "weekly_train", START) > 200
    known = models.registered(ctx.db.con)
    assert on_time.run(ctx, "weekly_train", START) == 0 and models.registered(ctx.db.con) == known
    assert known[0].path.startswith(str(opening.models_of(ctx.db.path).parent)) or Path(known[0].path).is_dir()
    ctx.db.close()


def test_a_run_that_cannot_be_done_counts_as_done_and_is_told_to_the_job(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ArtifactError("the model is damaged")

    ctx = opened(base, tmp_path)
    monkeypatch.setattr(training, "run", broken)
    (train, *_) = on_time.table(ctx)
    (record,) = jobs.run(ctx, train, START)
    assert record.state == "failed" and "damaged" in str(record.error) and on_time.is_done(ctx, train.name, START)
    ctx.db.close()


def test_overdue_runs_come_in_the_order_they_were_due_and_only_after_what_is_decided(
    base: Path, tmp_path: Path
) -> None:
    ctx = opened(base, tmp_path)
    table = on_time.table(ctx)
    assert [job.name for job in table] == ["weekly_train", "weekly_calibrate", "weekly_tune", "weekly_drift"]
    found = [(due - rig.SUNDAY, job.name) for due, job in on_time.overdue(ctx, table, rig.SUNDAY + 4 * DAY)]
    assert found == [(0, "weekly_train"), (10 * MINUTE, "weekly_calibrate"), (20 * MINUTE, "weekly_tune"),
                     (3 * DAY, "weekly_drift")]
    with ctx.db.write() as con:
        promotion.mark(con, Order("train", "", 0, due=rig.SUNDAY))
        runs.put(con, "x", 0)
    assert [job.name for _, job in on_time.overdue(ctx, table, rig.SUNDAY + HOUR)] == ["weekly_calibrate",
                                                                                      "weekly_tune"]
    assert on_time.overdue(ctx, table, rig.SUNDAY - MINUTE) == []
    ctx.db.close()


def test_an_overdue_run_waits_for_a_hole_to_be_looked_at_twice_but_not_for_ever(base: Path, tmp_path: Path) -> None:
    ctx = opened(base, tmp_path)
    asked = on_time.CatchUp(ctx, on_time.table(ctx))
    now = rig.SUNDAY + 5 * MINUTE  # the file ends before the run was due
    for _ in range(on_time.PATIENCE):
        with pytest.raises(Transient, match="waits for a hole"):
            asked(now)
    asked(now)
    assert on_time.is_done(ctx, "weekly_train", rig.SUNDAY)
    ctx.db.close()
