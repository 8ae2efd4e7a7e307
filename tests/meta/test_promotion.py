"""What governs, and every change of it: never in the past, once, told, and done while the daemon runs."""

import json
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.cli import parsers
from core.config import loads
from core.config.schema import Threshold
from core.engine import handin, promotion, scoring
from core.engine.promotion import Order
from core.errors import ArtifactError, DataError
from core.meta import registry
from core.meta.registry import Folder
from core.signals.setups import REGISTRY
from core.store import models, runs
from core.store.db import Database
from core.store.models import Trial
from core.timeframe import MINUTE
from tests.cli import doors
from tests.engine import harness
from tests.engine.rig import BTC, SOL, Rig, warmed
from tests.meta import filter_rig as filters
from tests.meta import toy_models as toys

TABLE = {SOL: {"5m": {"min_ev_pct": 0.25, "threshold": 0.6}}}


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return warmed(tmp_path_factory.mktemp("promotion") / "warm.db", [BTC, SOL])


def by_user(r: Rig, why: str = "a test") -> Order:
    return Order("user", why, r.clock.now())


def scanned(r: Rig) -> int:
    return int(r.one("SELECT max(scanned_ts) FROM symbols"))


def history(r: Rig) -> list[tuple[Any, ...]]:
    return r.rows("SELECT kind, model, promoted_ts, who FROM promotions ORDER BY n")


def states(r: Rig) -> dict[str, str]:
    found = r.rows("SELECT id, promoted_ts, retired_ts FROM models WHERE kind = 'meta'")
    return {id: "challenger" if a is None else "governs" if b is None else "retired" for id, a, b in found}


# Promotion and rollback


@pytest.mark.covers("rule 32")
def test_a_challenger_judges_nothing_and_a_promotion_never_reaches_back(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        folder = filters.model(tmp_path, r.ctx.cfg)
        assert promotion.register(r.ctx, folder.path, by_user(r)).since is None
        r.go(20)
        assert states(r) == {folder.id: "challenger"} and history(r) == []
        assert r.one("SELECT count(*) FROM signals WHERE model IS NOT NULL") == 0
        done = promotion.promote(r.ctx, folder.id[:13], by_user(r))
        assert done.since == scanned(r) + MINUTE and done.model == folder.id
        r.go(40)
        assert r.one("SELECT min(decided_ts) FROM signals WHERE model IS NOT NULL") >= done.since
        again = promotion.promote(r.ctx, folder.id, by_user(r))
        assert again.since is None and len(history(r)) == 1, "twice is once"
        titles = [m.split("<b>")[1].split("</b>")[0] for m in r.messages("health")]
        assert titles == ["New model, not in use", "Model in use"]
        logged = r.rows("SELECT who, what FROM audit_log ORDER BY id")
        assert logged == [("user", "model registered"), ("user", "model in use")]


@pytest.mark.covers("rule 32")
def test_planted_flaw_a_promotion_that_reaches_back_is_caught(
    warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filters.rig(warm, tmp_path) as r:
        monkeypatch.setattr(models, "next_promoted_ts", lambda _con: r.clock.now() - 30 * MINUTE)
        r.go(10)
        assert filters.promote(r, filters.model(tmp_path, r.ctx.cfg)).since != scanned(r) + MINUTE


def test_in_a_file_that_never_scanned_a_model_governs_from_the_first_decision_on(tmp_path: Path) -> None:
    cfg = filters.config(tmp_path)
    with Rig(tmp_path / "new.db", cfg=cfg) as r:
        assert filters.promote(r, filters.model(tmp_path, cfg)).since == 0


@pytest.mark.covers("rule 32")
def test_rolling_back_goes_down_step_by_step_and_never_to_what_was_left(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        a, b, c = (filters.model(tmp_path, r.ctx.cfg, seed=s) for s in (1, 2, 3))
        with pytest.raises(DataError, match="nothing to go back from"):
            promotion.rollback(r.ctx, by_user(r))
        for folder in (a, b):
            filters.promote(r, folder)
            r.go(1)
        assert promotion.rollback(r.ctx, by_user(r)).model == a.id
        assert states(r) == {a.id: "governs", b.id: "retired"}
        filters.promote(r, c)
        assert promotion.rollback(r.ctx, by_user(r)).model == a.id, "not to b, which was left"
        assert promotion.rollback(r.ctx, by_user(r)).model is None
        with r.db.lock:
            assert promotion.current(r.db.con) is None
        with pytest.raises(DataError):
            promotion.rollback(r.ctx, by_user(r))
        r.go(40)
        query = "SELECT DISTINCT model, reason FROM signals WHERE verdict = 'pass' AND decided_ts > ?"
        assert r.rows(query, scanned(r) - 39 * MINUTE) == [(None, "ungated")]
        filters.promote(r, b)
        assert [m.model for m in models.standing(models.history(r.db.con, "meta"))] == [b.id]
        whens = [entry[2] for entry in history(r)]
        assert whens == sorted(whens)


def test_a_model_that_cannot_be_used_is_not_promoted_nor_rolled_back_to(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        a, b = (filters.model(tmp_path, r.ctx.cfg, seed=s) for s in (1, 2))
        filters.promote(r, a)
        promotion.register(r.ctx, b.path, by_user(r))
        (b.path / "payoffs.json").write_text("{}")
        before = history(r)
        with pytest.raises(ArtifactError, match=r"payoffs\.json"):
            promotion.promote(r.ctx, b.id, by_user(r))
        with pytest.raises(ArtifactError):
            promotion.register(r.ctx, b.path, by_user(r))
        with pytest.raises(DataError, match="no model nothing is registered"):
            promotion.promote(r.ctx, "nothing", by_user(r))
        with pytest.raises(DataError, match="may mean"):
            promotion.promote(r.ctx, a.id[:8], by_user(r))
        shutil.rmtree(b.path)
        b = filters.model(tmp_path, r.ctx.cfg, seed=2)
        filters.promote(r, b)
        (a.path / registry.SUMS).unlink()
        with pytest.raises(ArtifactError):
            promotion.rollback(r.ctx, by_user(r))
        assert [entry[1] for entry in history(r)] == [before[0][1], b.id], "what governs stays"


def test_a_folder_that_moved_with_the_others_is_found(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        folder = filters.model(tmp_path / "elsewhere", r.ctx.cfg)
        promotion.register(r.ctx, folder.path, by_user(r))
        (tmp_path / "meta").mkdir()
        shutil.move(folder.path, tmp_path / "meta" / folder.id)
        assert promotion.promote(r.ctx, folder.id, by_user(r)).model == folder.id


# Thresholds


@pytest.mark.covers("rule 32", "D16")
def test_thresholds_govern_from_the_next_decision_on_and_are_mirrored(warm: Path, tmp_path: Path) -> None:
    text = harness.CONFIG + "# a comment of the user\nmodels:\n  meta:\n    min_ev_pct: 0.1  # and another\n"
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with filters.rig(warm, tmp_path) as r:
        r.ctx.config_path = path
        r.go(5)
        done = promotion.promote_thresholds(r.ctx, TABLE, by_user(r), [Trial("tune", {"q": 1}, float("nan"))])
        assert done.since == scanned(r) + MINUTE
        assert promotion.promote_thresholds(r.ctx, TABLE, by_user(r)).since is None
        assert r.rows("SELECT kind, params, score FROM trials") == [("tune", '{"q": 1}', None)]
        assert models.history(r.db.con, "thresholds")[-1].table == TABLE
        new = path.read_text()
        assert "# a comment of the user" in new and "# and another" in new
        mirrored = loads(new, REGISTRY, {}).models.meta.per_pair_tf
        assert mirrored == {SOL: {"5m": Threshold(0.6, 0.25)}}
        r.ctx.cfg = filters.config(tmp_path, per_pair_tf=mirrored)
        assert promotion.adopt(r.ctx, r.clock.now()) is None, "what was mirrored is no edit by hand"
        path.write_text("- not a configuration")
        assert promotion.promote_thresholds(r.ctx, {}, by_user(r)).since is not None
        assert path.read_text() == "- not a configuration"
        assert any("Thresholds not in the configuration" in m for m in r.messages("health"))


@pytest.mark.covers("rule 32")
def test_a_value_edited_by_hand_enters_the_history_once_as_the_users(warm: Path, tmp_path: Path) -> None:
    edited = filters.config(tmp_path, per_pair_tf={SOL: {"5m": Threshold(min_ev_pct=0.3)}})
    plain = filters.config(tmp_path)
    with filters.rig(warm, tmp_path, cfg=plain) as r:
        assert promotion.adopt(r.ctx, r.clock.now()) is None and history(r) == []
        r.go(3)
    for life in range(3):
        with Rig(tmp_path / "a.db", cfg=edited, now=filters.BEGIN + (life + 4) * MINUTE) as r:
            done = promotion.adopt(r.ctx, r.clock.now())
            assert (done is not None) == (life == 0)
            assert [(e[0], e[3]) for e in history(r)] == [("thresholds", "user")]
            assert history(r)[0][2] == scanned(r) + MINUTE
    with Rig(tmp_path / "a.db", cfg=plain, now=filters.BEGIN + 9 * MINUTE) as r:
        assert promotion.adopt(r.ctx, r.clock.now()) is not None
        assert models.history(r.db.con, "thresholds")[-1].table == {}, "taken out by hand"


def test_a_configuration_that_could_not_be_written_takes_no_tuned_table_back(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        r.ctx.config_path = tmp_path / "nowhere" / "config.yaml"
        promotion.promote_thresholds(r.ctx, TABLE, by_user(r))
        assert promotion.adopt(r.ctx, r.clock.now()) is None
        assert models.history(r.db.con, "thresholds")[-1].table == TABLE


def test_bad_thresholds_and_levels_are_refused_and_change_nothing(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        for bad in ({SOL: {"5m": {"min_ev_pct": "much"}}}, {SOL: 3}):
            with pytest.raises(DataError):
                promotion.promote_thresholds(r.ctx, bad, by_user(r))  # type: ignore[arg-type]
        with pytest.raises(DataError):
            promotion.drift(r.ctx, "panic", 0.0, by_user(r))
        assert promotion.drift(r.ctx, scoring.OBSERVE, 0.0, by_user(r)).since is None, "there is no model to drift"
        assert history(r) == []


def test_drift_is_written_down_when_it_changes_and_only_then(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        filters.promote(r, filters.model(tmp_path, r.ctx.cfg))
        said = [promotion.drift(r.ctx, level, 0.05, by_user(r)).since is not None
                for level in ("ok", "warn", "warn", "raise", "raise", "ok")]
        assert said == [False, True, False, True, False, True]
        assert [e.detail for e in models.history(r.db.con, "drift")] == [
            {"level": "warn", "by": 0.0}, {"level": "raise", "by": 0.05}, {"level": "ok", "by": 0.0}]


def test_the_trial_log_only_grows(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        with r.db.write() as con:
            models.add_trials(con, 5, [Trial("train", {"depth": 2}, 0.1, {"n": float("inf")}), Trial("tune", {}, None)])
        for statement in ("DELETE FROM trials", "UPDATE trials SET score = 9"):
            with pytest.raises(Exception, match="only grows"), r.db.write() as con:
                con.execute(statement)
        assert models.count_trials(r.db.con) == 2 and models.count_trials(r.db.con, "tune") == 1
        assert models.trials(r.db.con, "train") == [Trial("train", {"depth": 2}, 0.1, {"n": None})]


# What other processes hand in


def handed_back(r: Rig, root: Path, better: bool, seed: int = 1, **more: Any) -> Folder:
    """A folder as a training leaves it."""
    own = {"database": str(r.ctx.db.path.resolve()), "job": "train",
           "verdict": {"better": better, "why": ["it says so"]},
           "trials": [{"kind": "train", "params": {"seed": seed}, "score": 0.2, "detail": None}], **more}
    made = filters.model(root / "scratch", r.ctx.cfg, seed=seed, **own)
    (root / handin.INCOMING).mkdir(exist_ok=True)
    shutil.move(made.path, root / handin.INCOMING / made.id)
    return registry.read(root / handin.INCOMING / made.id)


@pytest.mark.covers("rule 34", "rule 32")
@pytest.mark.parametrize("better", [True, False])
def test_what_a_training_leaves_is_taken_in_within_one_tick(better: bool, warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        folder = handed_back(r, tmp_path, better)
        r.go(1)
        assert states(r) == {folder.id: "governs" if better else "challenger"}
        assert (tmp_path / "meta" / folder.id).is_dir() and not folder.path.exists()
        assert models.count_trials(r.db.con) == 1
        said = [m for m in r.messages("health") if "it says so" in m]
        assert len(said) == 1 and ("New model in use" in said[0]) == better
        r.go(54)
        assert bool(r.one("SELECT count(*) FROM signals WHERE model IS NOT NULL")) == better


@pytest.mark.covers("rule 32")
@pytest.mark.parametrize("against", ["gone-by-now", None, "first"],
                         ids=["compared with another", "compared with none", "compared with the one in force"])
def test_a_model_that_did_not_beat_the_one_in_force_is_kept_as_a_challenger(
    against: str | None, warm: Path, tmp_path: Path
) -> None:
    with filters.rig(warm, tmp_path) as r:
        first, stale = handed_back(r, tmp_path, True), against != "first"
        r.go(1)
        second = handed_back(r, tmp_path, True, seed=2, champion=against if stale else first.id)
        r.go(1)
        assert states(r)[second.id] == ("challenger" if stale else "governs")
        told = [m for m in r.messages("health") if f"compared with {against or 'none'}, and {first.id} governs" in m]
        assert len(told) == int(stale)


@pytest.mark.covers("rule 34")
def test_thresholds_and_reports_are_taken_in_and_another_files_are_left(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        root, trials = tmp_path / handin.INCOMING, [{"kind": "tune", "params": {}, "score": None, "detail": None}]
        base = {"created_ts": toys.CREATED, "database": str(r.ctx.db.path.resolve()), "job": "tune", "trials": trials}
        report = {**base, "kind": "report", "verdict": {"better": False, "why": ["too few plans"]}}
        good = {"kind": "thresholds", "table": TABLE, "verdict": {"better": True, "why": ["t"]}}
        registry.save(root, {**base, **good}, {})
        registry.save(root, report, {})
        other = registry.save(root, {**report, "database": "/another.db"}, {})
        r.go(2)
        assert models.history(r.db.con, "thresholds")[-1].table == TABLE
        assert models.count_trials(r.db.con) == 2
        assert [p.name for p in root.iterdir()] == [other.id], "it is another daemon's"
        assert len(list((tmp_path / handin.TAKEN).iterdir())) == 2
        assert any("too few plans" in m for m in r.messages("health"))


class Killed(BaseException):
    """Stands for a kill -9."""


@contextmanager
def killed_after_commit(monkeypatch: pytest.MonkeyPatch) -> Any:
    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", die)
        patch.setattr(Path, "unlink", die)
        with pytest.raises(Killed):
            yield


@pytest.mark.covers("I6", "rule 34")
def test_a_kill_between_commit_and_removal_does_nothing_twice(
    warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filters.rig(warm, tmp_path) as r:
        a, b = handed_back(r, tmp_path, True, 1), None
        now = r.clock.now()
        with killed_after_commit(monkeypatch):
            handin.work_off(r.ctx, now)
        assert handin.work_off(r.ctx, now) == [f"{a.id} was taken in before"]
        assert (tmp_path / "meta" / a.id).is_dir()
        b = handed_back(r, tmp_path, True, 2, champion=a.id)
        handin.work_off(r.ctx, now)
        handin.ask(tmp_path / "meta", r.ctx.db.path, "rollback", by_user(r))
        with killed_after_commit(monkeypatch):
            handin.work_off(r.ctx, now)
        handin.work_off(r.ctx, now)
        assert [e[1] for e in history(r)] == [a.id, b.id, a.id], "one rollback, not two"
        assert models.count_trials(r.db.con) == 2 and not list((tmp_path / handin.INBOX).iterdir())
        told = r.rows("SELECT count(*), count(DISTINCT key) FROM alerts WHERE kind = 'health'")
        assert told[0][0] == told[0][1] == 3


def bad_requests(r: Rig) -> dict[str, Callable[[Path], object]]:
    base = {"db": str(r.ctx.db.path.resolve()), "who": "x", "why": "y", "what": {}}

    def with_text(text: str) -> Callable[[Path], object]:
        return lambda p: p.write_text(text)

    return {
        "1.json": with_text("{"),
        "2.json": with_text("[]"),
        "3.json": with_text(json.dumps({**base, "do": "promote", "what": {"model": "unknown"}})),
        "4.json": with_text(json.dumps({**base, "do": "sell everything"})),
        "5.json": with_text(json.dumps({**base, "do": "add", "what": {"folder": "/nowhere"}})),
        "6.json": with_text(json.dumps({**base, "do": "promote"})),
        "7.json": lambda p: p.write_bytes(b"\xff\xfe"),
        "8.json": lambda p: p.write_bytes(b" " * (handin.LARGEST + 1)),
        "9": lambda p: p.mkdir(),
    }


def test_whatever_lies_in_the_inbox_the_tick_goes_on_and_each_is_told_once(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        folder = handed_back(r, tmp_path, True)
        broken = handed_back(r, tmp_path, True, 2)
        (broken.path / "payoffs.json").write_bytes(b"{}")
        (tmp_path / handin.INCOMING / "stray.txt").write_text("hello")
        (tmp_path / handin.INBOX).mkdir()
        bad = bad_requests(r)
        for name, write in bad.items():
            write(tmp_path / handin.INBOX / name)
        runs_: list[Any] = []
        r.go(30, runs_.extend)
        assert all(run.state == "ok" for run in runs_)
        assert states(r) == {folder.id: "governs"}, "the good one among them is taken"
        assert len(list((tmp_path / handin.REFUSED).iterdir())) == len(bad) + 2
        refused = [m for m in r.messages("health") if "could not be taken" in m]
        assert len(refused) == len(bad) + 2 and any("unknown" in m for m in refused)


# While the daemon runs: another process asks


@pytest.fixture
def lived(warm: Path, tmp_path: Path) -> Any:
    """A running daemon, and how another process of the same machine reaches its files."""
    config = tmp_path / "config.yaml"
    plain = yaml.safe_load(filters.BUSY)
    plain["models"] = {"meta": {"model_path": str(tmp_path / "meta"), "min_ev_pct": -5.0}}
    config.write_text(yaml.safe_dump(plain))
    with filters.rig(warm, tmp_path, cfg=filters.config(tmp_path, min_ev_pct=-5.0)) as r:
        yield r, lambda *args: doors.call("core", "models", *args, "--config", config, "--db", r.path)


@pytest.mark.covers("D10", "rule 34")
def test_a_model_promoted_in_another_process_is_used_within_one_tick_and_a_rollback_likewise(
    lived: Any, tmp_path: Path
) -> None:
    r, call = lived
    a, b = (filters.model(tmp_path, r.ctx.cfg, seed=s) for s in (1, 2))
    for folder in (a, b):
        assert call("add", folder.path).code == 0
    r.go(1)
    assert states(r) == {a.id: "challenger", b.id: "challenger"}

    def governs() -> str | None:
        r.go(1)
        with r.db.lock:
            return promotion.current(r.db.con)

    assert call("promote", a.id).code == 0 and governs() == a.id
    r.go(15)
    assert call("promote", b.id).code == 0 and governs() == b.id
    since = history(r)[-1][2]
    r.go(30)
    assert call("rollback").code == 0 and governs() == a.id
    back = history(r)[-1][2]
    r.go(15)
    used = r.rows("SELECT DISTINCT model FROM signals WHERE decided_ts >= ? AND decided_ts < ?", since, back)
    assert used == [(b.id,)], "no cache outlives a promotion"
    assert {m for (m,) in r.rows("SELECT DISTINCT model FROM signals WHERE decided_ts >= ?", back)} == {a.id}


def test_the_command_lists_shows_and_changes_beside_the_daemon_and_without_it(lived: Any, tmp_path: Path) -> None:
    r, call = lived
    assert "no model yet" in call().out and call("--json").json["models"] == []
    folder = filters.model(tmp_path, r.ctx.cfg)
    listed = call("list")
    assert "not registered" in listed.out and str(folder.path) in listed.out
    assert "asked" in call("add", folder.path).out
    assert call("promote", "x").code == 1, "what cannot work is said at once"
    assert call("promote").code == 2 and call("sell").code == 2
    r.close()
    said = call("add", folder.path)
    assert said.code == 0 and "challenger" in said.out
    done = call("promote", folder.id, "--json").json
    assert done["model"] == folder.id and done["since"] == scanned_of(r.path) + MINUTE
    assert "governs" in call().out and "weak" in call().out and "by hand" in call().out
    shown = call("show", folder.id)
    assert shown.code == 0 and "as they were registered" in shown.out and "5,000 plans" in shown.out
    assert call("show", folder.id, "--json").json["model"]["card"]["families"]["targets"]["self_check"]
    (folder.path / "payoffs.json").write_text("{}")
    assert call("show", folder.id).code == 1 and "payoffs.json" in call("show", folder.id).out
    assert "only observes" in call("rollback").out
    assert call("rollback").code == 1, "there is nothing to go back from"
    assert "models" in parsers.COMMANDS


def scanned_of(path: Path) -> int:
    db = Database(path, readonly=True)
    try:
        return int(db.con.execute("SELECT max(scanned_ts) FROM symbols").fetchone()[0])
    finally:
        db.close()


def test_a_file_of_an_older_program_has_no_history_and_is_read_all_the_same(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        r.db.con.execute("DROP TABLE promotions")
        assert models.history(r.db.con) == [] and not models.has_history(r.db.con)
        assert runs.get(r.db.con, "handled_requests") is None
