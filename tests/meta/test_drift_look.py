"""The weekly look: a drifted stream climbs the ladder, a stable one never, and history judges by it as live did."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.engine import drift, handback, jobs, on_time, promotion, scoring, training, weekly
from core.engine.context import Context
from core.engine.handback import Window
from core.engine.promotion import Order
from core.engine.weekly import Ended
from core.errors import Transient
from core.market.generated import START
from core.meta import drift as maths
from core.meta.drift import WEEK
from core.meta.ladder import Action, Rung
from core.meta.model import ModelParams
from core.meta.samples import TARGETS, TRAILED
from core.store import models
from core.timeframe import DAY, HOUR
from tests.cli import doors
from tests.meta import market_file

SHORT = {TARGETS: ModelParams(rounds=20, eta=0.1, seeds=1),
         TRAILED: ModelParams(target="r", rounds=20, eta=0.1, seeds=1)}
TRAINED = START + 32 * DAY  # of fifty days
MOVED = START + 38 * DAY    # where the drifted twin begins to lose
LOOKS = [START + day * DAY for day in range(37, 51, 2)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of days instead of weeks, since the file holds fifty days."""
    monkeypatch.setattr(drift, "SPAN", 6 * DAY)
    monkeypatch.setattr(drift, "YOUNG", 3 * DAY)
    monkeypatch.setattr(maths, "WEEKS", (1, 2))


@pytest.fixture(scope="module")
def governed_file(plans_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database with a model of its first half in force; only to be copied."""
    folder = tmp_path_factory.mktemp("governed")
    ctx = market_file.copied(plans_file, folder)
    how = replace(training.recipe(ctx.cfg, handback.tried(ctx)), params=SHORT, floor=100, fit=0.40, calibrate=0.50)
    done = training.run(ctx, Window(end=TRAINED, days=1000), how=how)
    promotion.register(ctx, done.folder.path, Order("user", "test", TRAINED))
    promotion.promote(ctx, done.folder.id, Order("user", "test", TRAINED))
    ctx.db.close()
    return folder


@pytest.fixture
def governed(governed_file: Path, tmp_path: Path) -> Iterator[Context]:
    ctx = market_file.copied(governed_file, tmp_path)
    yield ctx
    ctx.db.close()


def lose(ctx: Context, since: int, share: int) -> None:
    """Plant the flaw: of the plans decided since then, one in `share` of the winners loses."""
    with ctx.db.write() as con:
        con.execute(
            "UPDATE positions SET r_multiple = -1.0, pnl_pct = -1.0 WHERE pnl_pct > 0 AND signal % ? = 0 AND signal IN "
            "(SELECT n FROM signals WHERE decided_ts >= ?)", (share, since))


def live_through(ctx: Context, looks: list[int]) -> list[str]:
    """Do the looks on time; the level after each."""
    found = []
    for due in looks:
        on_time.look(ctx, due)
        found.append(drift.LEVELS[drift.rung(ctx.db.con).action])
    return found


def told(ctx: Context) -> list[str]:
    return [r[0] for r in ctx.db.con.execute("SELECT body FROM alerts ORDER BY id") if "Drift" in r[0]]


def history(ctx: Context) -> list[dict[str, Any]]:
    return [e.detail for e in models.history(ctx.db.con, models.DRIFT)]


# Up, and never


@pytest.mark.covers("I5")
def test_a_stable_stream_never_climbs(governed: Context) -> None:
    assert set(live_through(governed, LOOKS)) == {"ok"}
    assert history(governed) == [] and told(governed) == []
    kept = drift.state(governed.db.con)
    assert kept["level"] == "ok" and kept["ts"] == LOOKS[-1] and kept["families"][TARGETS]["unseen"] > 300
    assert kept["families"][TARGETS]["features"] > 30 and kept["families"][TARGETS]["gaps"]


@pytest.mark.covers("I5")
def test_planted_flaw_a_drifted_stream_climbs_and_each_step_is_told_and_logged(
        governed: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    monkeypatch.setattr(on_time, "run", lambda ctx, name, due, progress=None: trained.append(due))
    lose(governed, MOVED, 1)
    levels = live_through(governed, LOOKS)
    order = ["ok", "warn", "raise", "observe"]
    assert levels == sorted(levels, key=order.index) and levels[0] == "ok" and levels[-1] == "observe", levels
    steps = [e["level"] for e in history(governed)]
    assert steps[-1] == "observe" and len(told(governed)) == len(steps) and len(trained) >= 1
    assert "won, claimed were" in told(governed)[-1] and "a challenger is trained now" in told(governed)[-1]
    logged = governed.db.con.execute("SELECT count(*) FROM audit_log WHERE who = 'drift'").fetchone()[0]
    assert logged == len(steps)


def test_what_has_calmed_comes_down_after_three_looks(governed: Context) -> None:
    found = drift.look(governed, LOOKS[-1])
    assert found is not None and found.finding.action == Action.OK
    calm, loud = found.plain(), {**found.plain(), "asked": {"level": "observe", "reasons": ["x"], "raise_by": 0.1,
                                                            "retrain": False}}
    levels = []
    for k, asked in enumerate([loud, calm, calm, loud, calm, calm, calm, calm]):
        drift.act(governed, asked, Order("drift", "", LOOKS[-1] + k * DAY))
        levels.append(drift.LEVELS[drift.rung(governed.db.con).action])
    assert levels == ["observe"] * 6 + ["ok"] * 2
    assert [e["level"] for e in history(governed)] == ["observe", "ok"]
    assert "Drift has calmed" in told(governed)[-1] and "3 looks in a row" in told(governed)[-1]


# As of


@pytest.mark.covers("I1", "rule 32")
def test_a_look_knows_nothing_of_what_came_later(governed: Context) -> None:
    before = [found.plain() for due in LOOKS if (found := drift.look(governed, due)) is not None]
    with governed.db.write() as con:
        con.execute("UPDATE positions SET r_multiple = 9.0, pnl_pct = 9.0 WHERE closed_ts >= ?", (LOOKS[2],))
    after = [found.plain() for due in LOOKS if (found := drift.look(governed, due)) is not None]
    same = [json.dumps(a) == json.dumps(b) for a, b in zip(before, after, strict=True)]
    assert same[:3] == [True] * 3 and not any(same[3:])


@pytest.mark.covers("I1", "rule 32")
def test_a_look_done_late_or_twice_governs_as_one_done_on_time(governed_file: Path, tmp_path: Path) -> None:
    entries = []
    for name, again in (("a", 1), ("b", 3)):
        (tmp_path / name).mkdir()
        ctx = market_file.copied(governed_file, tmp_path / name)
        ctx.cfg = replace(ctx.cfg, auto=replace(ctx.cfg.auto, weekly_train=replace(ctx.cfg.auto.weekly_train,
                                                                                   enable=False)))
        lose(ctx, MOVED, 1)
        for _ in range(again):
            live_through(ctx, LOOKS)
        entries.append([(e.promoted_ts, e.ts, e.detail, e.why) for e in models.history(ctx.db.con, models.DRIFT)])
        assert not [t for t in told(ctx) if "trained now" in t] and "train_meta.py" in told(ctx)[-1]
        ctx.db.close()
    assert entries[0] == entries[1] and len(entries[0]) >= 1


@pytest.mark.covers("rule 32")
def test_a_training_that_a_kill_has_left_undone_is_done_by_the_same_look(
        governed: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    lose(governed, START, 1)

    def killed(*_: object) -> int:
        raise Transient("killed")

    monkeypatch.setattr(on_time, "run", killed)
    with pytest.raises(Transient):
        on_time.look(governed, LOOKS[-1])
    assert not drift.is_done(governed, LOOKS[-1]) and len(told(governed)) == 1
    trained: list[int] = []
    monkeypatch.setattr(on_time, "run", lambda ctx, name, due, progress=None: trained.append(due))
    on_time.look(governed, LOOKS[-1])
    assert trained == [LOOKS[-1]] and drift.is_done(governed, LOOKS[-1]) and len(told(governed)) == 1


def test_where_no_model_governs_nothing_is_looked_at(plans: Context) -> None:
    assert drift.look(plans) is None and drift.rung(plans.db.con) == Rung()
    assert on_time.look(plans, LOOKS[0]) == 0 and drift.is_done(plans, LOOKS[0]) and drift.state(plans.db.con) == {}
    assert drift.child(plans, lambda: False, lambda *_: pytest.fail("a process was started")) == 0


def test_a_new_model_begins_at_the_bottom(governed: Context) -> None:
    found = drift.look(governed, LOOKS[-1])
    assert found is not None
    loud = {**found.plain(), "asked": {"level": "raise", "reasons": ["x"], "raise_by": 0.06, "retrain": False}}
    drift.act(governed, loud, Order("drift", "", LOOKS[-1]))
    assert drift.rung(governed.db.con) == Rung(Action.RAISE_THRESHOLD, 0.06)
    promotion.rollback(governed, Order("user", "test", LOOKS[-1]))
    assert drift.rung(governed.db.con) == Rung() and drift.state(governed.db.con) == {}
    assert "no longer governs" in drift.act(governed, loud, Order("drift", "", LOOKS[-1])).said


# The daemon


def test_the_look_is_due_between_two_trainings_in_their_lane(governed: Context) -> None:
    (job,) = drift.table(governed, lambda: False)
    due = jobs.due_between(job, START, START + 21 * DAY)
    assert len(due) == 3 and {ts % WEEK for ts in due} == {(6 * DAY + 3 * HOUR) % WEEK}  # 1970-01-07: a Wednesday
    assert job.lane == weekly.LANE and job.name in [j.name for j in on_time.table(governed)]
    governed.cfg = market_file.with_meta(governed.cfg, enabled=False)
    assert drift.table(governed, lambda: False) == [] and job.name not in [j.name for j in on_time.table(governed)]


def test_the_daemon_acts_on_what_a_process_of_its_own_has_found(governed: Context) -> None:
    found = drift.look(governed)
    assert found is not None
    lines: list[list[str]] = []
    loud = {**found.plain(), "asked": {"level": "warn", "reasons": ["claims"], "raise_by": 0.0, "retrain": True}}

    def spawn(line: Any, stopping: Any) -> Ended:
        lines.append(list(line))
        return Ended(0, loud if "-c" in line else {"samples": 5}, "")

    assert drift.child(governed, lambda: False, spawn) > 300
    assert len(lines) == 2 and "train_meta.py" in lines[1][1], "it asked for a training, and there was one"
    assert [e["level"] for e in history(governed)] == ["warn"]
    drift.child(governed, lambda: False, spawn)
    assert len(lines) == 3, "the same step trains once"
    with pytest.raises(Transient, match="disk"):
        drift.child(governed, lambda: False, lambda *_: Ended(1, {}, "the disk is full"))


def test_the_command_looks_and_only_reads(governed: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = market_file.config_file(tmp_path)
    governed.config_path = config
    governed.db.checkpoint()
    code = drift.command(governed)[2]
    words = json.loads(code[code.index("["):code.rindex("]") + 1].rpartition("'core', ")[2])
    assert words[0] == "drift" and "--low-priority" in words and str(config) in words
    before = governed.db.con.execute("PRAGMA data_version").fetchone()
    answer = doors.call("core", *[w for w in words if w != "--low-priority"])
    found = drift.look(governed)
    assert found is not None and answer.code == 0, answer.err
    assert {k: v for k, v in answer.json.items() if k != "stands"} == json.loads(json.dumps(found.plain()))
    text = doors.call("core", "drift", "--config", config, "--end", "2024-02-12").out
    assert "moved far" in text and "asks for: ok" in text and "in force: ok" in text
    assert governed.db.con.execute("PRAGMA data_version").fetchone() == before


# What it does to verdicts


@pytest.mark.covers("rule 32")
def test_the_levels_are_those_that_the_gate_reads() -> None:
    assert tuple(drift.LEVELS.values()) == (scoring.OK, scoring.WARN, scoring.RAISE, scoring.OBSERVE)


def test_models_and_status_show_where_the_ladder_stands(governed: Context, tmp_path: Path) -> None:
    config = market_file.config_file(tmp_path)
    assert "drift: not looked at yet" in doors.call("core", "models", "--config", config).out
    found = drift.look(governed, LOOKS[-1])
    assert found is not None
    drift.act(governed, found.plain(), Order("drift", "", LOOKS[-1]))
    text = doors.call("core", "models", "--config", config).out
    assert "drift: none, looked at" in text and "plans it never saw" in text and "standard errors" in text
    assert "drift" not in doors.call("core", "status", "--config", config).out
    loud = {**found.plain(), "asked": {"level": "raise", "reasons": ["x"], "raise_by": 0.06, "retrain": False}}
    drift.act(governed, loud, Order("drift", "", LOOKS[-1]))
    told_twice = "thresholds raised by 6 points of p"
    assert told_twice in doors.call("core", "models", "--config", config).out
    assert told_twice in doors.call("core", "status", "--config", config).out
    assert doors.call("core", "models", "--config", config, "--json").json["drift"]["level"] == "raise"
