"""The filter as of each decision: live, late, retro and after faults, and never in the way of the tick."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.clock import VirtualClock
from core.config.schema import Config, Threshold
from core.engine import frames, promotion, retro, scoring
from core.engine.context import Context
from core.engine.explain import explain
from core.engine.promotion import Order
from core.engine.reconcile import reconcile
from core.market.faults import Fault
from core.meta import trained
from core.meta.registry import SUMS
from core.meta.samples import TARGETS, TRAILED
from core.signals import features
from core.store.db import Database
from core.timeframe import HOUR, MINUTE
from tests.cli import doors
from tests.engine import harness
from tests.engine.rig import BTC, SOL, Rig, warmed
from tests.meta import filter_rig as filters
from tests.meta import toy_models as toys

# The toy model finds nothing good enough, or everything: limits on both sides of what it says.
LOOSE, MIDDLE = {"min_ev_pct": -5.0}, {"min_ev_pct": -0.15}
ROW = (
    "SELECT id, decided_ts, verdict, reason, ml_p, ml_p_raw, ev_pct, model, in_sample, setup FROM signals "
    "ORDER BY decided_ts, id"
)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return warmed(tmp_path_factory.mktemp("scoring") / "warm.db", [BTC, SOL])


def rows(r: Rig) -> list[dict[str, Any]]:
    names = ("id", "decided_ts", "verdict", "reason", "p", "p_raw", "ev", "model", "in_sample", "setup")
    return [dict(zip(names, row, strict=True)) for row in r.rows(ROW)]


def reasons(found: Sequence[dict[str, Any]]) -> set[str]:
    return {r["reason"] for r in found if r["verdict"] == "pass"}


# While there is no model


def test_without_a_model_no_feature_is_computed_and_no_library_imported(
    warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "table", lambda *_: pytest.fail("a feature was computed"))
    with filters.rig(warm, tmp_path) as r:
        r.go(55)
        assert len(rows(r)) > 3 and reasons(rows(r)) == {"ungated"}
    code = "import core.engine.tick, core.engine.retro, core.cli.models, sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], cwd=harness.ROOT, capture_output=True, text=True, check=True)
    assert not {"xgboost", "sklearn", "pandas", "scipy"} & set(out.stdout.split())


# What it decides


def run_with_model(r: Rig, cfg: Config, root: Path, minutes: int = 150, rest: int = 0) -> int:
    """An hour without a model, then one; returns from when it governs."""
    r.go(60)
    done = filters.promote(r, filters.model(root, cfg))
    assert done.since is not None
    if rest:
        r.rest(rest)
    r.go(minutes - rest)
    return done.since


@pytest.fixture(scope="module")
def judged(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config, int]:
    """A file in which a model took over after an hour."""
    root = tmp_path_factory.mktemp("judged")
    cfg = filters.config(root, **MIDDLE)
    with filters.rig(warm, root, cfg=cfg) as r:
        since = run_with_model(r, cfg, root)
    return root / "a.db", cfg, since


@pytest.mark.covers("rule 32", "rule 17", "D9", "I3")
def test_a_promoted_model_judges_what_is_decided_from_then_on(judged: tuple[Path, Config, int]) -> None:
    path, _cfg, since = judged
    found = harness.rows(path, "signals")
    before, after = ([r for r in found if (r["decided_ts"] >= since) == late] for late in (False, True))
    assert len(before) > 2 and len(after) > 5
    assert all(r["model"] is None and r["ml_p"] is None for r in before)
    assert {r["reason"] for r in before if r["verdict"] == "pass"} == {"ungated"}
    assert all(r["model"] and 0 < r["ml_p"] < 1 and r["ev_pct"] is not None for r in after), "refused ones too"
    by_gate = [r for r in after if r["reason"].startswith("ev")]
    assert {r["verdict"] for r in by_gate} == {"pass", "refused"}
    assert all("min_ev_pct -0.15 " in r["reason"] and "(global)" in r["reason"] for r in by_gate)
    trades = {r["signal_id"]: r for r in harness.rows(path, "trades")}
    assert trades.keys() == {r["id"] for r in found}, "what the gate refused is followed like the rest"
    assert any(trades[r["id"]]["closed_ts"] for r in by_gate if r["verdict"] == "refused")
    told = {r["key"] for r in harness.rows(path, "alerts") if r["kind"] == "signal"}
    keys = {f"signal:{r['symbol']}:{r['direction']}:{r['decided_ts']}": r for r in found if r["verdict"] == "pass"}
    assert told <= keys.keys()


def only_candles(source: Path, target: Path) -> Path:
    shutil.copyfile(source, target)
    con = sqlite3.connect(target)
    with con:
        for table in ("events", "positions", "signals", "alerts", "counts", "job_runs"):
            con.execute(f"DELETE FROM {table}")
        con.execute("UPDATE symbols SET scanned_ts = NULL, followed_ts = NULL")
    con.close()
    return target


def retro_rows(source: Path, target: Path, cfg: Config) -> list[dict[str, Any]]:
    db = Database(only_candles(source, target))
    retro.run(Context(cfg, db, VirtualClock(0)), retro.RetroOptions())
    live_from = {(r["symbol"], r["timeframe"]): r["live_from"] for r in harness.rows(target, "series")}
    db.close()
    found = harness.decisions(target)["signals"]
    return [r for r in found if r["decided_ts"] >= live_from[r["symbol"], r["timeframe"]]]


@pytest.mark.covers("I1", "rule 32", "rule 31")
def test_an_outage_and_retro_give_the_same_rows_as_live(
    judged: tuple[Path, Config, int], warm: Path, tmp_path: Path
) -> None:
    path, _, since = judged
    cfg = filters.config(tmp_path, **MIDDLE)
    with filters.rig(warm, tmp_path, "b.db", cfg=cfg) as r:
        assert run_with_model(r, cfg, tmp_path, rest=70) == since
    live = harness.decisions(path)
    assert harness.decisions(tmp_path / "b.db") == live
    assert any(r["late"] and r["model"] for r in harness.rows(tmp_path / "b.db", "signals"))
    assert retro_rows(path, tmp_path / "c.db", cfg) == live["signals"]


@pytest.mark.covers("I1", "rule 32")
def test_planted_flaw_the_newest_model_for_every_bar_is_caught(
    judged: tuple[Path, Config, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cfg, _ = judged
    monkeypatch.setattr(scoring, "_in_force", lambda entries, _ts: len(entries))
    assert retro_rows(path, tmp_path / "c.db", cfg) != harness.decisions(path)["signals"]


@pytest.mark.covers("rule 31")
def test_reconcile_asks_the_same_gate(judged: tuple[Path, Config, int], monkeypatch: pytest.MonkeyPatch) -> None:
    path, cfg, _ = judged
    db = Database(path, readonly=True)
    try:
        found = reconcile(Context(cfg, db, VirtualClock(0)), 0)
        assert found.differing == [] and found.checked > 10
        monkeypatch.setattr(scoring.models, "has_history", lambda _con: False)
        assert reconcile(Context(cfg, db, VirtualClock(0)), 0).differing != []
    finally:
        db.close()


@pytest.mark.covers("I5", "rule 32")
def test_rows_that_a_model_may_have_learned_from_are_marked(
    judged: tuple[Path, Config, int], warm: Path, tmp_path: Path
) -> None:
    path, cfg, since = judged
    assert not any(r["in_sample"] for r in harness.rows(path, "signals"))
    target = only_candles(path, tmp_path / "c.db")
    con = sqlite3.connect(target)
    with con:
        con.execute("UPDATE series SET live_from = NULL")
    con.close()
    db = Database(target)
    retro.run(Context(cfg, db, VirtualClock(0)), retro.RetroOptions())
    db.close()
    found = harness.rows(target, "signals")
    assert {(r["decided_ts"] < since, r["in_sample"]) for r in found} == {(True, 1), (False, 0)}
    assert all(r["model"] for r in found), "only a later model exists: it scores, and the row says so"
    other = filters.config(tmp_path / "m")
    with filters.rig(warm, tmp_path / "m", cfg=other) as r:  # trained on what lies ahead, as a borrowed model may be
        far = {"data": {"start": 0, "end": filters.BEGIN + 40 * MINUTE, "hash": "", "n": 1}}
        filters.promote(r, filters.model(tmp_path / "m", other, **far))
        r.go(80)
        edge = filters.BEGIN + 40 * MINUTE
        assert {(row["decided_ts"] < edge, row["in_sample"]) for row in rows(r)} == {(True, 1), (False, 0)}


# What is shown and not acted on


@pytest.mark.covers("rule 17")
@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"n": 999}, {"ungated: 999 of 1,000 closed plans (models.meta.min_closed_samples)"}),
        ({"n": 1000, "n_calibrate": 99}, {"ungated: calibrated on 99 of 100 plans"}),
        ({"n": 1000, "n_calibrate": 100}, set()),
    ],
)
def test_below_the_floors_a_model_is_shown_and_not_acted_on(
    own: dict[str, int], said: set[str], warm: Path, tmp_path: Path
) -> None:
    cfg = filters.config(tmp_path, min_ev_pct=50.0)
    whole = filters.model(tmp_path, cfg)
    families = {name: {**whole.card["families"][name], **own} for name in (TARGETS, TRAILED)}
    with filters.rig(warm, tmp_path, cfg=cfg) as r:
        filters.promote(r, toys.tampered(whole, {"families": families}, tmp_path / "meta"))
        r.go(55)
        assert reasons(rows(r)) == said and all(row["p"] is not None for row in rows(r))


@pytest.mark.covers("rule 17")
def test_a_family_that_was_not_trained_is_not_judged(warm: Path, tmp_path: Path) -> None:
    cfg = filters.config(tmp_path, **LOOSE)
    with filters.rig(warm, tmp_path, cfg=cfg) as r:
        folder = toys.save(tmp_path / "meta", families=(TARGETS,), config=filters.decision_body(cfg))
        filters.promote(r, folder)
        r.go(55)
        by = {(row["setup"] == "fibo_avwap", row["p"] is not None) for row in rows(r)}
        assert by == {(True, True), (False, False)}
        trailed = reasons([row for row in rows(r) if row["setup"] != "fibo_avwap"])
        assert trailed == {f"ungated: model {folder.id} knows no plans of family trailed"}


def test_a_changed_configuration_makes_it_observe_only_where_it_matters(warm: Path, tmp_path: Path) -> None:
    then = filters.config(tmp_path, **LOOSE)
    dear = replace(then.signals, fees=replace(then.signals.fees, taker_pct=0.09))
    for name, signals, said in (
        ("a.db", dear, {"ungated: signals.fees.taker_pct changed since its training"}),
        ("b.db", replace(then.signals, max_cost_r=0.55), set()),  # admission: refused plans were learned from too
    ):
        now = replace(then, signals=signals)
        with filters.rig(warm, tmp_path, name, cfg=now) as r:
            filters.promote(r, filters.model(tmp_path, then))
            r.go(55)
            assert {x for x in reasons(rows(r)) if x.startswith("ungated")} == said
            assert len(rows(r)) > 3 and all(row["p"] is not None for row in rows(r))


def test_what_changed_is_told_by_key_and_other_setups_do_not_matter() -> None:
    cfg = harness.config()
    body = filters.decision_body(cfg)

    def changed(setup: str, **sections: Any) -> list[str]:
        return trained.changed(body, filters.decision_body(replace(cfg, **sections)), setup)

    setups = {**cfg.signals.setups, "donchian": replace(cfg.signals.setups["donchian"], params=replace(
        cfg.signals.setups["donchian"].params, channel=33))}
    other = replace(cfg.signals, setups=setups)
    assert changed("donchian", signals=other) == ["signals.setups.donchian.params.channel"]
    assert changed("fibo_avwap", signals=other) == []
    assert changed("fibo_avwap", execution=replace(cfg.execution, tp1_fraction=0.9)) == ["execution.tp1_fraction"]
    assert changed("fibo_avwap", risk=replace(cfg.risk, equity_usd=1.0)) == []
    assert changed("new_setup", signals=cfg.signals) == []
    gone = {n: s for n, s in cfg.signals.setups.items() if n != "compression"}
    assert changed("compression", signals=replace(cfg.signals, setups=gone)) != []


@pytest.mark.covers("rule 32")
def test_drift_and_thresholds_are_history_too(warm: Path, tmp_path: Path) -> None:
    cfg = filters.config(tmp_path, **LOOSE, per_regime={"range": {"low": Threshold(min_ev_pct=-4.0)}})
    with filters.rig(warm, tmp_path, cfg=cfg) as r:
        filters.promote(r, filters.model(tmp_path, cfg))
        r.go(60)
        promotion.promote_thresholds(r.ctx, {SOL: {"5m": {"min_ev_pct": 9.0}}}, Order("tune", "t", r.clock.now()))
        r.go(60)
        promotion.drift(r.ctx, scoring.RAISE, 0.04, Order("drift", "psi", r.clock.now()))
        r.go(60)
        promotion.drift(r.ctx, scoring.OBSERVE, 0.0, Order("drift", "gap", r.clock.now()))
        r.go(60)
        parts: list[set[str]] = [set() for _ in range(4)]
        for symbol, ts, reason in r.rows("SELECT symbol, decided_ts, reason FROM signals WHERE ml_p IS NOT NULL"):
            parts[min(3, (ts - filters.BEGIN) // HOUR)].add(f"{symbol}|{reason}")
        filters.promote(r, filters.model(tmp_path, cfg, seed=2))
        r.go(60)
        fresh = [row for row in rows(r) if row["decided_ts"] > r.clock.now() - HOUR]
    text = ["\n".join(p) for p in parts]
    assert "9.00" not in text[0] and "(global)" in text[0] + text[1]
    assert f"(pair {SOL} 5m)" in text[1] and "refused" not in text[1]
    assert "raised for drift" in text[2] and "raised" not in text[1]
    assert "ungated: drift" in text[3] and "drift" not in text[1]
    assert not any("drift" in row["reason"] for row in fresh), "it ends with the rule of the model it concerned"


# Faults


def spoil(path: Path) -> None:
    (path / "calibrator.json").write_bytes(b"{}")


@pytest.mark.covers("rule 17", "D10")
def test_a_broken_model_stops_nothing_is_told_once_and_is_used_again_once_repaired(warm: Path, tmp_path: Path) -> None:
    cfg = filters.config(tmp_path, **LOOSE)
    with filters.rig(warm, tmp_path, cfg=cfg) as r:
        folder = filters.model(tmp_path, cfg)
        filters.promote(r, folder)
        whole = (folder.path / "calibrator.json").read_bytes()
        spoil(folder.path)
        runs: list[Any] = []
        r.go(45, runs.extend)
        assert all(run.state == "ok" for run in runs)
        assert reasons(rows(r)) == {f"ungated: model {folder.id} cannot be used"}
        told = [m for m in r.messages("health") if "cannot be used" in m]
        assert len(told) == 1 and "calibrator.json" in told[0] and "rollback" in told[0]
        (folder.path / "calibrator.json").write_bytes(whole)
        before = len(rows(r))
        r.go(55)
        assert len(rows(r)) > before and all(row["model"] == folder.id for row in rows(r)[before:])


def test_what_was_loaded_goes_on_when_its_folder_is_gone(warm: Path, tmp_path: Path) -> None:
    cfg = filters.config(tmp_path, **LOOSE)
    with filters.rig(warm, tmp_path, cfg=cfg) as r:
        folder = filters.model(tmp_path, cfg)
        filters.promote(r, folder)
        r.go(40)
        loaded = len(rows(r))
        shutil.rmtree(folder.path)
        r.go(40)
        assert 0 < loaded < len(rows(r)) and all(row["model"] == folder.id for row in rows(r))


@pytest.mark.covers("D10")
def test_the_last_good_model_takes_the_place_of_a_broken_one(warm: Path, tmp_path: Path) -> None:
    cfg = filters.config(tmp_path, **LOOSE)
    with filters.rig(warm, tmp_path, cfg=cfg) as r:
        good, bad = filters.model(tmp_path, cfg), filters.model(tmp_path, cfg, seed=2)
        filters.promote(r, good)
        r.go(20)
        filters.promote(r, bad)
        (bad.path / SUMS).write_bytes(b"")
        r.go(55)
        later = [row for row in rows(r) if row["decided_ts"] > filters.BEGIN + 25 * MINUTE]
        assert later and {row["model"] for row in later} == {good.id}
        assert len([m for m in r.messages("health") if "cannot be used" in m]) == 1


@pytest.mark.parametrize("change", [{"VERSION": features.VERSION + 1}, {"NAMES": features.NAMES[::-1]},
                                    {"NAMES": features.NAMES[1:]}])
def test_a_program_that_makes_other_features_refuses_the_model(
    change: dict[str, Any], warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = filters.config(tmp_path, **LOOSE)
    with filters.rig(warm, tmp_path, cfg=cfg) as r:
        folder = filters.model(tmp_path, cfg)
        filters.promote(r, folder)
        for name, value in change.items():
            monkeypatch.setattr(features, name, value)
        r.go(55)
        assert reasons(rows(r)) == {f"ungated: model {folder.id} cannot be used"}
        assert len([m for m in r.messages("health") if "train a new one" in m]) == 1


def test_no_wild_score_comes_out_of_wild_features(warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = filters.config(tmp_path, **LOOSE)
    real = features.table
    with filters.rig(warm, tmp_path, cfg=cfg) as r:
        filters.promote(r, filters.model(tmp_path, cfg))
        monkeypatch.setattr(features, "table", lambda *a: np.where(real(*a) > 0, np.inf, np.nan))
        r.go(55)
        assert reasons(rows(r)) == {"ungated: the model gave no score"} and all(row["p"] is None for row in rows(r))
        assert len([m for m in r.messages("health") if "infinite" in m]) == 1
        monkeypatch.setattr(features, "table", lambda *a: np.full_like(real(*a), np.nan))
        before = len(rows(r))
        r.go(55)
        assert all(0 < row["p"] < 1 for row in rows(r)[before:]), "not known is no fault"


# What the features wait for


def behind(minutes: int) -> tuple[Fault, ...]:
    return (Fault(kind="status", status=500, path="candles", symbol=BTC, since=filters.BEGIN + 50 * MINUTE,
                  until=filters.BEGIN + (50 + minutes) * MINUTE),)


@pytest.mark.covers("I1", "I2")
def test_plans_wait_a_little_for_candles_of_another_market_and_come_out_the_same(warm: Path, tmp_path: Path) -> None:
    found = []
    for name, faults in (("a", ()), ("b", behind(9))):
        cfg, runs = filters.config(tmp_path / name, **MIDDLE), list[Any]()
        with filters.rig(warm, tmp_path / name, cfg=cfg, faults=faults) as r:
            filters.promote(r, filters.model(tmp_path / name, cfg))
            r.go(80, runs.extend)
            waited = [run.error for run in runs if run.job == "scan_signals" and run.error]
        found.append(harness.decisions(tmp_path / name / "a.db")["signals"])
        assert any("wait for their features: the 5m bars of BTC" in w for w in waited) == bool(faults), waited
    assert found[0] == found[1]


def test_after_a_quarter_of_an_hour_they_are_decided_without_a_score(warm: Path, tmp_path: Path) -> None:
    cfg = filters.config(tmp_path, **LOOSE)
    with filters.rig(warm, tmp_path, cfg=cfg, faults=behind(60)) as r:
        filters.promote(r, filters.model(tmp_path, cfg))
        r.go(108)
        found = [row for row in rows(r) if row["id"].split(":")[1].startswith("SOL")]
        without = [row for row in found if row["p"] is None]
        assert without and all("5m bars of BTC" in row["reason"] for row in without if row["verdict"] == "pass")
        assert r.ctx.models.waiting
        r.go(60)
        assert not r.ctx.models.waiting
        last = [row for row in rows(r) if row["decided_ts"] > filters.BEGIN + 115 * MINUTE]
        assert last and all(row["p"] is not None for row in last)


def test_funding_and_higher_bars_are_awaited_too(warm: Path, tmp_path: Path) -> None:
    with filters.rig(warm, tmp_path) as r:
        r.go(5)
        con, now = r.db.con, r.clock.now() - r.clock.now() % (5 * MINUTE)
        assert frames.behind(con, "bitget", [BTC, SOL], SOL, 5 * MINUTE, now) is None
        assert "1h bars of SOL" in str(frames.behind(con, "bitget", [BTC, SOL], SOL, 5 * MINUTE, now + HOUR))
        con.execute("UPDATE symbols SET funding_ts = funding_ts - 7200000 WHERE symbol = ?", (SOL,))
        assert "funding rates of SOL" in str(frames.behind(con, "bitget", [BTC, SOL], SOL, 5 * MINUTE, now))
        con.execute("UPDATE series SET ended_ts = 1 WHERE symbol = ?", (SOL,))
        assert frames.behind(con, "bitget", [BTC, SOL], SOL, 5 * MINUTE, now) is None
        con.execute("UPDATE series SET built_ts = 0 WHERE symbol = ?", (BTC,))
        assert "5m bars of BTC" in str(frames.behind(con, "bitget", [BTC, SOL], SOL, 5 * MINUTE, now))
        assert frames.behind(con, "bitget", [SOL], SOL, 5 * MINUTE, now) is None, "BTC is not followed"


@pytest.mark.parametrize("mode", ["auto", "maker", "taker"])
def test_the_costs_mode_moves_the_expected_value_the_right_way(mode: str, warm: Path, tmp_path: Path) -> None:
    found = {}
    for name in ("auto", mode):
        cfg = filters.config(tmp_path / name, **LOOSE, costs_mode=name)
        with filters.rig(warm, tmp_path / name, cfg=cfg) as r:
            filters.promote(r, filters.model(tmp_path / name, cfg))
            r.go(55)
            found[name] = {row["id"]: row["ev"] for row in rows(r) if row["setup"] == "fibo_avwap"}
    better = [found[mode][id] - found["auto"][id] for id in found["auto"]]
    assert better and (all(b > 0 for b in better) if mode == "maker" else all(abs(b) < 1e-12 for b in better))


def test_an_uncalibrated_score_is_shown_as_it_is(warm: Path, tmp_path: Path) -> None:
    cfg = filters.config(tmp_path, **LOOSE)
    cfg = replace(cfg, models=replace(cfg.models, meta=replace(
        cfg.models.meta, calibration=replace(cfg.models.meta.calibration, enabled=False))))
    with filters.rig(warm, tmp_path, cfg=cfg) as r:
        filters.promote(r, filters.model(tmp_path, cfg))
        r.go(55)
        targets = [row for row in rows(r) if row["setup"] == "fibo_avwap"]
        assert targets and all(row["p"] == row["p_raw"] for row in targets)


def test_a_filter_that_is_off_asks_no_model(warm: Path, tmp_path: Path) -> None:
    cfg = filters.config(tmp_path, enabled=False)
    with filters.rig(warm, tmp_path, cfg=cfg) as r:
        filters.promote(r, filters.model(tmp_path, cfg))
        r.go(55)
        assert reasons(rows(r)) == {"filter off"} and all(row["p"] is None for row in rows(r))


# Explained


def test_why_tells_the_limit_its_source_and_what_moved_p_most(judged: tuple[Path, Config, int]) -> None:
    path, cfg, _ = judged
    db = Database(path, readonly=True)
    ctx = Context(cfg, db, VirtualClock(0))
    try:
        for row in harness.rows(path, "signals"):
            found = explain(ctx, db.con, row, ctx.body)
            assert (found.policy is None) == (row["model"] is None) == (found.moved == [])
            if found.policy:
                assert (found.policy.limit, found.policy.source, found.trouble) == (-0.15, "global", None)
                assert [abs(m.by) for m in found.moved] == sorted((abs(m.by) for m in found.moved), reverse=True)
                assert all(m.name in features.NAMES and m.meaning for m in found.moved)
    finally:
        db.close()


def test_the_command_why_explains_judged_and_unjudged_rows(judged: tuple[Path, Config, int], tmp_path: Path) -> None:
    path, cfg, _ = judged
    text = filters.BUSY + f"models: {{meta: {{model_path: {cfg.models.meta.model_path}, min_ev_pct: -0.15}}}}\n"
    config = tmp_path / "config.yaml"
    config.write_text(text)
    for row in harness.rows(path, "signals"):
        said = doors.call("core", "why", row["id"], "--config", config, "--db", path)
        assert said.code == 0, said.err
        assert ("Moved p" in said.out and "(global)" in said.out) == (row["model"] is not None), said.out
        told = "claim an EV of" in said.out and "such claims brought on 5,000 plans" in said.out
        assert told == (row["model"] is not None), said.out
        if row["reason"].startswith("ev"):
            mark = "ok  model" if row["verdict"] == "pass" else "NO  model"
            assert mark in said.out and f"model {row['model']} gives p(win)" in said.out
    shutil.move(cfg.models.meta.model_path, tmp_path / "away")
    try:
        said = doors.call("core", "why", row["id"], "--config", config, "--db", path)
        assert said.code == 0 and "what moved p cannot be told" in said.out
    finally:
        shutil.move(tmp_path / "away", cfg.models.meta.model_path)
