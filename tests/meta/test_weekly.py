"""The weekly work: due in UTC, in a process of its own that only reads, taken in within a minute, told either way."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from core.engine import calibrate, figures, handback, handin, jobs, promotion, training, tuning, weekly
from core.engine.context import Context
from core.engine.handback import Window
from core.engine.promotion import Order
from core.engine.training import Recipe
from core.engine.verdict import Tried
from core.engine.weekly import Ended
from core.errors import DataError, Transient
from core.meta import registry
from core.meta.model import ModelParams
from core.meta.samples import TARGETS, TRAILED
from core.meta.thresholds import Choice, Limit, Tuned
from core.store import models
from core.store.db import Database
from core.store.lock import WriterLock
from core.timeframe import DAY, HOUR
from tests.meta import market_file

SUNDAY = 1_704_585_600_000  # 2024-01-07 00:00Z
ALL = Window(days=1000)
SHORT = {TARGETS: ModelParams(rounds=40, eta=0.1, seeds=1),
         TRAILED: ModelParams(target="r", rounds=40, eta=0.1, seeds=1)}


def quick(ctx: Context) -> Recipe:
    return replace(training.recipe(ctx.cfg, handback.tried(ctx)), params=SHORT)


def messages(ctx: Context) -> str:
    return "\n".join(r[0] for r in ctx.db.con.execute("SELECT body FROM alerts ORDER BY id"))


def trials(ctx: Context, kind: str) -> int:
    return models.count_trials(ctx.db.con, kind)


@pytest.fixture(scope="module")
def judged_file(plans_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database in which a model governs (put there by hand); only to be copied."""
    folder = tmp_path_factory.mktemp("judged")
    ctx = market_file.copied(plans_file, folder)
    done = training.run(ctx, ALL, how=quick(ctx))
    handin.work_off(ctx, ctx.clock.now())
    promotion.promote(ctx, done.folder.id, Order("user", "for the test", ctx.clock.now()))
    ctx.db.close()
    return folder


@pytest.fixture
def judged(judged_file: Path, tmp_path: Path) -> Iterator[Context]:
    ctx = market_file.copied(judged_file, tmp_path)
    yield ctx
    ctx.db.close()


# When


def due(ctx: Context, name: str, days: int = 21) -> list[str]:
    (job,) = [job for job in weekly.table(ctx, lambda: False) if job.name == name]
    found = jobs.due_between(job, SUNDAY - DAY, SUNDAY + days * DAY)
    return [datetime.fromtimestamp(ts / 1000, UTC).strftime("%a %H:%M") for ts in found]


@pytest.mark.covers("D11")
def test_training_calibration_and_tuning_are_due_each_week_in_utc_as_configured(plans: Context) -> None:
    assert due(plans, "weekly_train") == ["Sun 03:00"] * 3
    assert set(due(plans, "weekly_calibrate")) == {"Sun 04:00"} and set(due(plans, "weekly_tune")) == {"Sun 05:00"}
    auto = plans.cfg.auto
    moved = replace(auto, weekly_tune=replace(auto.weekly_tune, day_of_week="wed", hour_utc=22, minute=45),
                    weekly_calibrate=replace(auto.weekly_calibrate, enable=False))
    plans.cfg = replace(plans.cfg, auto=moved)
    assert set(due(plans, "weekly_tune")) == {"Wed 22:45"}
    assert [job.name for job in weekly.table(plans, lambda: False)] == ["weekly_train", "weekly_tune", "weekly_missed"]


@pytest.mark.covers("D11", "rule 34")
def test_the_weekly_work_has_a_lane_of_its_own_beside_the_tick(plans: Context) -> None:
    own = {job.lane for job in weekly.table(plans, lambda: False)}
    assert own == {weekly.LANE} and not own & {job.lane for job in jobs.table(plans, None, lambda: False)}


@pytest.mark.covers("rule 34")
def test_the_command_is_the_users_door_on_this_file_at_low_priority(plans: Context, tmp_path: Path) -> None:
    plans.config_path = tmp_path / "c.yaml"
    for name, door in (("weekly_train", "train_meta.py"), ("weekly_calibrate", "calibrate_meta.py"),
                       ("weekly_tune", "tune_thresholds.py")):
        line = weekly.command(plans, name)
        assert line[0] == sys.executable and Path(line[1]).name == door and Path(line[1]).is_file()
        own = ["--config", str(tmp_path / "c.yaml"), "--db", str(plans.db.path)]
        assert line[2:] == [*own, "--json", "--low-priority"]


# What the machine slept through


def slept(ctx: Context, now: int, ended: Ended | None = None) -> list[str]:
    """The hourly question at `now`, of a file made a month ago: which runs it made up for."""
    done: list[str] = []

    def spawn(line: Sequence[str], stopping: weekly.Stopping) -> Ended:
        done.append(Path(line[1]).name)
        return ended or Ended(0, {"samples": 1}, "")

    ctx.clock.set(now)  # type: ignore[attr-defined]
    with ctx.db.write() as con:
        con.execute("UPDATE configs SET first_ts = ?", (SUNDAY - 30 * DAY,))
    table = weekly.table(ctx, lambda: False, spawn=spawn)
    (late,) = [job for job in table if job.name == weekly.MISSED]
    jobs.run(ctx, late, now)
    return done


@pytest.mark.covers("D11")
def test_a_run_that_the_machine_slept_through_is_made_up_for_once_and_in_order(judged: Context) -> None:
    plans = judged
    doors = ["train_meta.py", "calibrate_meta.py", "tune_thresholds.py"]
    assert slept(plans, SUNDAY + 2 * DAY) == doors
    assert slept(plans, SUNDAY + 2 * DAY + HOUR) == [], "once"
    assert slept(plans, SUNDAY + 7 * DAY + 2 * HOUR) == [], "the next ones are not due yet"
    assert slept(plans, SUNDAY + 7 * DAY + 4 * HOUR + 20 * 60_000) == doors[:2], "only what is overdue"
    states = plans.db.con.execute("SELECT job, state FROM job_runs WHERE job LIKE 'weekly_%' ORDER BY id").fetchall()
    assert ("weekly_train", "ok") in states and ("weekly_missed", "ok") in states


def test_a_failed_run_waits_for_its_next_time_and_a_new_file_has_missed_nothing(judged: Context) -> None:
    plans = judged
    with plans.db.write() as con:
        con.execute("UPDATE configs SET first_ts = ?", (SUNDAY + DAY,))
    table = weekly.table(plans, lambda: False, spawn=spawned(Ended(0, {}, "")))
    assert weekly.make_up(plans, table[:3], SUNDAY + 2 * DAY) == 0
    assert len(slept(plans, SUNDAY + 2 * DAY, Ended(1, {"error": "no"}, ""))) == 3
    assert slept(plans, SUNDAY + 3 * DAY) == []


# How a child ends


def spawned(ended: Ended) -> weekly.Spawn:
    return lambda line, stopping: ended


def test_a_child_that_did_its_work_says_how_much_it_used(plans: Context) -> None:
    assert weekly.child(plans, "weekly_train", lambda: False, spawned(Ended(0, {"samples": 12, "said": "x"}, ""))) == 12
    assert messages(plans) == ""


@pytest.mark.parametrize(("ended", "said"), [
    (Ended(1, {"error": "there is no closed plan"}, ""), "there is no closed plan"),
    (Ended(1, {}, "error: the disk is full"), "the disk is full"),
    (Ended(-9, {}, ""), "killed by signal 9"),
    (Ended(3, {}, ""), "ended with code 3"),
], ids=["refused", "failed", "killed", "silent"])
@pytest.mark.covers("D11")
def test_a_child_that_failed_is_told_and_what_governs_stays(judged: Context, ended: Ended, said: str) -> None:
    before, governs = messages(judged), promotion.current(judged.db.con)
    with pytest.raises(Transient, match=said):
        weekly.child(judged, "weekly_train", lambda: False, spawned(ended))
    new = messages(judged).removeprefix(before)
    assert said in new and "What governs stays" in new and "Weekly training" in new
    assert promotion.current(judged.db.con) == governs


def test_a_child_stopped_with_the_daemon_is_no_news(plans: Context) -> None:
    with pytest.raises(Transient, match="stopped with the daemon"):
        weekly.child(plans, "weekly_train", lambda: True, spawned(Ended(-15, {}, "")))
    assert messages(plans) == ""


@pytest.mark.parametrize("name", ["weekly_calibrate", "weekly_tune"])
def test_without_a_model_there_is_nothing_to_calibrate_or_tune_and_nothing_to_tell(plans: Context, name: str) -> None:
    def never(line: Sequence[str], stopping: weekly.Stopping) -> Ended:
        raise AssertionError(line)

    assert weekly.child(plans, name, lambda: False, never) == 0 and messages(plans) == ""


def python(code: str) -> Sequence[str]:
    return [sys.executable, "-c", code]


def test_a_process_of_its_own_gives_its_answer_and_its_last_words() -> None:
    ended = weekly.in_process_of_its_own(python("print('{\"samples\": 3}')"), lambda: False)
    assert ended == Ended(0, {"samples": 3}, "")
    failed = weekly.in_process_of_its_own(python("import sys; print('no json'); sys.exit('last words')"), lambda: False)
    assert failed == Ended(1, {}, "last words")


def test_a_process_that_prints_much_does_not_wait_for_us() -> None:
    much = "import sys; sys.stderr.write('x' * 500_000 + '\\nend'); print('{\"samples\": 1}')"
    assert weekly.in_process_of_its_own(python(much), lambda: False) == Ended(0, {"samples": 1}, "end")


def test_a_process_runs_on_one_thread_and_the_daemon_stopping_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = weekly.in_process_of_its_own(python("import os; print('{\"n\": ' + os.environ['OMP_NUM_THREADS'] + '}')"),
                                         lambda: False)
    assert shown.answer == {"n": 1}
    stop = threading.Event()
    stop.set()
    ended = weekly.in_process_of_its_own(python("import time; time.sleep(60)"), stop.is_set)
    assert ended.code == -signal.SIGTERM


def test_a_process_that_hangs_is_ended_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weekly, "LIMIT_S", 1)
    monkeypatch.setattr(weekly, "_GRACE_S", 0.2)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    assert weekly.in_process_of_its_own(python(deaf), lambda: False).code == -signal.SIGKILL


# The whole way: a real child beside a daemon


@pytest.mark.covers("D10", "D11", "rule 34")
def test_beside_a_daemon_the_child_only_reads_and_the_next_tick_takes_its_folder_in(
        plans: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans.config_path = market_file.config_file(tmp_path)
    whole = weekly.command(plans, "weekly_train")
    monkeypatch.setattr(weekly, "command", lambda ctx, name: whole[:-1])  # at its full priority: a test should end
    with WriterLock(plans.db.path, "the daemon"):
        seen = plans.db.con.execute("PRAGMA data_version").fetchone()
        n = weekly.child(plans, "weekly_train", lambda: False, weekly.in_process_of_its_own)
        assert n > 1000
        assert plans.db.con.execute("PRAGMA data_version").fetchone() == seen, "the child wrote to the database"
        (folder,) = registry.listed(tmp_path / "models/incoming")
        assert folder.folder is not None and models.registered(plans.db.con) == []
        said = handin.work_off(plans, plans.clock.now())
    assert len(said) == 1 and [m.id for m in models.registered(plans.db.con)] == [folder.id]
    assert (tmp_path / "models/meta" / folder.id / "card.json").is_file()
    assert not list((tmp_path / "models/incoming").iterdir())
    assert folder.id in messages(plans) and "Why" in messages(plans)
    assert trials(plans, "train") == 2 and trials(plans, "sealed") == 2
    assert promotion.current(plans.db.con) is None, "noise is not promoted"


@pytest.mark.covers("rule 34")
def test_a_child_killed_at_its_work_leaves_nothing_behind(plans: Context, tmp_path: Path) -> None:
    plans.config_path = market_file.config_file(tmp_path)
    ended = weekly.in_process_of_its_own(weekly.command(plans, "weekly_train"), lambda: True)
    assert ended.code != 0 and not registry.listed(tmp_path / "models/incoming")
    part = tmp_path / "models/incoming" / ".part-999999"
    part.mkdir(parents=True)
    (part / "card.json").write_text("{", encoding="utf-8")
    assert handin.work_off(plans, plans.clock.now()) == []
    training.run(plans, ALL, how=quick(plans))
    assert len(handin.work_off(plans, plans.clock.now())) == 1


# What is handed back


@pytest.mark.covers("I5")
def test_a_model_that_is_not_better_is_a_challenger_and_does_not_judge(plans: Context) -> None:
    done = training.run(plans, ALL, how=quick(plans))
    assert not done.better and "is not better" in done.said
    handin.work_off(plans, plans.clock.now())
    (known,) = models.registered(plans.db.con)
    assert known.promoted_ts is None and promotion.current(plans.db.con) is None
    assert set(known.card["families"]) == {TARGETS, TRAILED}


@pytest.mark.covers("I5", "D10", "rule 32")
def test_a_better_model_governs_from_the_next_decision_on(plans: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.verdict, "objections", lambda *a: [])
    monkeypatch.setattr(training.verdict, "_praise", lambda *a: "made better by the test")
    done = training.run(plans, ALL, how=quick(plans))
    assert done.better
    handin.work_off(plans, plans.clock.now())
    (entry,) = models.history(plans.db.con)
    scanned = plans.db.con.execute("SELECT max(scanned_ts) FROM symbols").fetchone()[0]
    assert entry.model == done.folder.id and entry.promoted_ts > scanned
    assert handback.champion(plans).id == done.folder.id  # type: ignore[union-attr]
    assert "made better by the test" in messages(plans)


def test_what_the_challenger_does_not_beat_goes_on_judging_as_it_is(judged: Context,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    before = handback.champion(judged)
    assert before is not None
    real = training.train

    def one_is_better(*args: object, **more: object) -> list[training.Outcome]:
        found = real(*args, **more)  # type: ignore[arg-type]
        return [replace(o, better=o.family == TRAILED) for o in found]

    monkeypatch.setattr(training, "train", one_is_better)
    done = training.run(judged, ALL, how=replace(quick(judged), seed=99))
    handin.work_off(judged, judged.clock.now())
    after = handback.champion(judged)
    assert after is not None and after.id == done.folder.id != before.id
    assert after.families[TARGETS].model.blobs() == before.families[TARGETS].model.blobs()
    assert after.families[TRAILED].model.blobs() != before.families[TRAILED].model.blobs()
    assert after.data_end >= before.data_end


def test_the_card_says_what_it_was_made_from(judged: Context) -> None:
    card = handback.champion(judged).card  # type: ignore[union-attr]
    assert card["config_hash"] == judged.config_hash and card["data"]["n"] > 1000 and len(card["data"]["hash"]) == 64
    assert card["data"]["start"] < card["data"]["end"] < judged.clock.now()
    assert "numpy" in card["versions"] and "python" in card["versions"]
    assert set(card["metrics"]) == {TARGETS, TRAILED} and {"auc", "skill", "gate"} <= set(card["metrics"][TARGETS])
    for told in card["families"].values():
        assert told["fit_end"] < card["data"]["end"] and told["n_calibrate"] >= 30 and told["evidence"]["label"]


def test_nothing_to_train_on_is_said_and_nothing_is_handed_back(plans: Context, tmp_path: Path) -> None:
    with plans.db.write() as con:
        con.execute("UPDATE signals SET revised = 1")
    with pytest.raises(DataError, match=r"no closed plan to train on.*revised"):
        training.run(plans, ALL)
    assert not registry.listed(handback.incoming(plans))


def test_too_few_plans_give_a_report_that_is_told_and_no_model(plans: Context) -> None:
    how = replace(quick(plans), floor=10**6)
    done = training.run(plans, ALL, how=how)
    assert not done.better and "No model could be trained" in done.said
    handin.work_off(plans, plans.clock.now())
    assert models.registered(plans.db.con) == [] and "1,000,000 are needed" in messages(plans)


# Calibration


@pytest.mark.covers("D7")
def test_a_newer_calibrator_is_fitted_and_judged_on_rows_the_boosters_never_saw(judged: Context) -> None:
    champion = handback.champion(judged)
    assert champion is not None
    data = handback.read(judged, ALL)
    rows = data.samples.take(data.samples.family == TARGETS)
    told = champion.card["families"][TARGETS]
    fold = calibrate.unseen(rows, told["fit_end"], champion.data_end)
    assert rows.t1[fold.fit].max() <= told["fit_end"] < rows.t0[fold.calibrate].min()
    assert rows.t1[fold.calibrate].max() < rows.t0[fold.test].min() and champion.data_end < rows.t0[fold.test].min()


def test_a_calibrator_that_is_no_better_stays_and_the_reason_is_told(judged: Context) -> None:
    governs = promotion.current(judged.db.con)
    done = calibrate.run(judged, ALL)
    assert not done.better and "stays as it is" in done.said
    handin.work_off(judged, judged.clock.now())
    assert promotion.current(judged.db.con) == governs and trials(judged, "calibrate") == 2
    assert "calibrator" in messages(judged) or "later plans" in messages(judged)


def test_a_better_calibrator_governs_with_the_same_boosters(judged: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    before = handback.champion(judged)
    assert before is not None
    monkeypatch.setattr(calibrate.figures, "interval",
                        lambda values, t0, *a, **k: calibrate.figures.Interval(0.01, 0.005, 0.02))
    done = calibrate.run(judged, ALL)
    assert done.better
    handin.work_off(judged, judged.clock.now())
    after = handback.champion(judged)
    assert after is not None and after.id == done.folder.id and after.data_end > before.data_end
    for name in (TARGETS, TRAILED):
        assert after.families[name].model.blobs() == before.families[name].model.blobs()
        assert after.families[name].calibrator != before.families[name].calibrator
        assert after.families[name].realised != before.families[name].realised
        assert after.card["families"][name]["calibrated_after"] == before.id


def test_without_a_model_there_is_nothing_to_calibrate_or_tune(plans: Context) -> None:
    for work in (calibrate.run, tuning.run):
        with pytest.raises(DataError, match="no model governs"):
            work(plans, ALL)


# Thresholds


@pytest.mark.covers("D8")
@pytest.mark.parametrize("mode", ["ev", "p"])
def test_thresholds_are_tuned_on_plans_the_model_never_saw_and_every_try_is_logged(judged: Context, mode: str) -> None:
    champion, data = handback.champion(judged), handback.read(judged, ALL)
    assert champion is not None
    rows = tuning.graded(data, champion, mode)
    assert rows.t0.min() > champion.data_end and len(rows.t0) > 100
    done = tuning.run(judged, ALL, mode=mode)
    sets = done.report["sets"]
    assert sets > 50 and done.report["goal"]["mode"] == mode
    handin.work_off(judged, judged.clock.now())
    assert trials(judged, "threshold") == sets
    assert handback.tried(judged).sets >= sets
    kept = {(c["symbol"], c["timeframe"]) for c in done.report["choices"] if c["kept"]}
    assert {(s, tf) for s, of in done.report["table"].items() for tf in of} == kept


def test_the_mode_of_the_tuning_follows_the_gate(judged: Context) -> None:
    assert tuning.run(judged, ALL).report["goal"]["mode"] == "ev"
    meta = judged.cfg.models.meta
    judged.cfg = market_file.with_meta(judged.cfg, gating=replace(meta.gating, use_ev=False), target_winrate_pct=60)
    goal = tuning.run(judged, ALL).report["goal"]
    assert goal["mode"] == "p" and goal["target"] == 0.6


def tuned(value: float) -> Tuned:
    """One pair whose threshold reached the target."""
    choice = Choice("BTC/USDT:USDT", "15m", value, value, None, None, True, "90 later plans reach the target")
    return Tuned({"BTC/USDT:USDT": {"15m": Limit(min_ev_pct=value)}}, (choice,), ())


def test_a_tuned_threshold_never_lets_in_what_the_model_expects_to_lose_on(
        judged: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning.thresholds, "tune", lambda rows, goal: tuned(-0.4))
    done = tuning.run(judged, ALL, mode="ev")
    assert done.report["table"] == {} and "below min_ev_pct 0" in done.report["choices"][0]["why"]


def test_tuned_thresholds_enter_the_history(judged: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"BTC/USDT:USDT": {"15m": {"min_ev_pct": 0.05}}}
    monkeypatch.setattr(tuning.thresholds, "tune", lambda rows, goal: tuned(0.05))
    tuning.run(judged, ALL, mode="ev")
    handin.work_off(judged, judged.clock.now())
    (entry,) = models.history(judged.db.con, models.THRESHOLDS)
    assert entry.table == table and entry.who == "tune"


def test_a_tuning_that_keeps_nothing_leaves_what_governs(judged: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, kept in ((0.05, True), (-0.4, False)):
        monkeypatch.setattr(tuning.thresholds, "tune", lambda rows, goal, value=value: tuned(value))
        done = tuning.run(judged, ALL, mode="ev")
        assert done.better is kept
        judged.clock.set(judged.clock.now() + HOUR)  # type: ignore[attr-defined]
        handin.work_off(judged, judged.clock.now())
    (entry,) = models.history(judged.db.con, models.THRESHOLDS)
    assert entry.table == {"BTC/USDT:USDT": {"15m": {"min_ev_pct": 0.05}}}
    assert "the thresholds in force stay" in messages(judged)


@pytest.mark.covers("D17")
def test_thresholds_are_tuned_on_ev_less_the_margin_that_the_gate_asks_beyond_them(judged: Context) -> None:
    champion, data = handback.champion(judged), handback.read(judged, ALL)
    assert champion is not None
    rows = tuning.graded(data, champion, "ev")
    seen = data.admitted & np.isin(data.samples.t0, rows.t0) & (data.samples.family == TARGETS)
    part = data.samples.take(seen)
    said = figures.score(champion.families[TARGETS], None, figures.with_columns(part, champion.columns),
                         np.ones(len(part), np.bool_))
    own = np.isin(rows.t0, part.t0)
    assert set(np.round(said.ev - said.margin, 9)) <= set(np.round(rows.value[own], 9))
    assert not set(np.round(said.ev, 9)) <= set(np.round(rows.value[own], 9))


# The trial log over several weeks


def test_every_look_and_every_set_is_counted_from_week_to_week(plans: Context) -> None:
    assert handback.tried(plans) == Tried()
    for week in (1, 2):
        done = training.run(plans, ALL, how=quick(plans))
        assert done.report["families"][TARGETS]["trials"]["looks"] == 2 * week - 1
        handin.work_off(plans, plans.clock.now())
        plans.clock.set(plans.clock.now() + 7 * 24 * HOUR)  # type: ignore[attr-defined]
    assert handback.tried(plans).sets == 4 and handback.tried(plans).looks == 4


def test_a_folder_for_another_database_is_left_alone(plans: Context, tmp_path: Path) -> None:
    training.run(plans, ALL, how=quick(plans))
    other = Database(tmp_path / "other.db")
    ctx = Context(plans.cfg, other, plans.clock, tell_all=True)
    assert handin.work_off(ctx, plans.clock.now()) == []
    other.close()
    assert len(handin.work_off(plans, plans.clock.now())) == 1


def test_report_files_hold_json_without_a_nan(judged: Context) -> None:
    (folder,) = [x.folder for x in registry.listed(Path(judged.cfg.models.meta.model_path))]
    assert folder is not None
    report = json.loads(folder.files["report.json"], parse_constant=lambda text: pytest.fail(text))
    assert report["job"] == "train" and set(report["families"]) == {TARGETS, TRAILED}
    assert os.path.getsize(folder.path / "report.json") < 2**20
