"""The audit tells the truth: for every row a planted flaw fails its bar and the clean twin passes."""

import json
import math
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.cli import app
from core.config import load
from core.engine import figures, training
from core.engine.audit import (
    canaries,
    gates,
    held_out,
    leaks,
    live,
    markets,
    nulls,
    pipeline,
    planted,
    record,
    scorecard,
)
from core.engine.audit.held_out import HeldOut
from core.engine.audit.leaks import Stage
from core.engine.audit.markets import Rules
from core.engine.audit.nulls import Run
from core.engine.audit.pipeline import GATE, Judged, Slices
from core.engine.audit.record import Row, Scorecard
from core.engine.reconcile import ReconcileResult
from core.engine.training import Outcome, Recipe
from core.engine.verdict import Tried
from core.errors import ArtifactError, DataError
from core.market.generated import random_walk
from core.meta import leakage, splits
from core.meta.realised import Realised
from core.meta.samples import TARGETS, Flags, Samples
from core.signals.features import table
from core.signals.setups import REGISTRY
from core.store.models import Trial
from core.store.resample import buckets
from core.timeframe import DAY, MINUTE
from tests.conftest import ROOT
from tests.meta.makers import JAN, candidates

SEED = 7


@pytest.fixture(scope="module")
def used() -> Rules:
    return markets.rules(load(ROOT / "config.yaml", REGISTRY))


@pytest.fixture(scope="module")
def stage(used: Rules) -> Stage:
    return Stage(SEED, used, days=24)


@pytest.fixture(scope="module")
def card() -> Scorecard:
    return scorecard.run(load(ROOT / "config.yaml", REGISTRY), None, record.QUICK, SEED)


# The quick form, as `make test` runs it


@pytest.mark.slow
@pytest.mark.covers("I3", "I5")
def test_all_fourteen_rows_are_there_and_those_on_generated_markets_hold(card: Scorecard) -> None:
    assert [row.number for row in card.rows] == list(range(1, 15))
    print("\n".join(f"{row.number:2d} {row.passed} {row.value}" for row in card.rows))
    assert {row.number for row in card.rows if row.passed is None} == set(range(8, 15))
    assert [row.value for row in card.rows if row.number < 8 and not row.passed] == []


@pytest.mark.slow
@pytest.mark.covers("I5")
def test_noise_is_not_traded_on(card: Scorecard) -> None:
    row = card.rows[5]
    assert row.detail["promoted"] == 0
    assert row.passed, row.value


@pytest.mark.slow
@pytest.mark.covers("I5", "D17")
def test_without_holding_ev_against_results_the_same_noise_is_traded_on(
        used: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, admitted = markets.samples(markets.walk(2000 * SEED, 400, used), used)
    mask = rows.family == TARGETS
    made = [pipeline.judge(rows.take(mask), admitted[mask], SEED).coverage]
    as_claimed = Realised(1, 1, 0.0, 0.0, 1.0, (0.0, 0.0, 0.0), 0.0)
    monkeypatch.setattr(training.realised, "hold", lambda *args: as_claimed)
    made.append(pipeline.judge(rows.take(mask), admitted[mask], SEED).coverage)
    (held, of), (believed, _) = made
    assert held <= 0.02 * of < believed


@pytest.mark.slow
def test_the_scorecard_is_plain_json_with_what_it_was_made_with(card: Scorecard) -> None:
    plain = json.loads(json.dumps(figures.plain(card.plain()), allow_nan=False))
    assert all({"name", "value", "bar", "passed"} <= row.keys() for row in plain["rows"])
    assert plain["seed"] == SEED and plain["size"] == "quick" and len(plain["sources"]) == 64
    assert {"python", "numpy"} <= plain["versions"].keys()


# Rows 1, 2 and 4


def test_bars_are_joined_as_the_store_joins_them() -> None:
    minutes = random_walk(3, 3 * 1440)
    minutes = minutes.cut(0, len(minutes) - 7)
    names = ("ts", "open", "high", "low", "close", "volume", "minutes")
    rows = zip(*(getattr(minutes, name).tolist() for name in names), strict=True)
    stored, ours = list(buckets(rows, 5 * MINUTE)), markets.joined(minutes, 5 * MINUTE)
    for name, column in zip(names, zip(*stored, strict=True), strict=True):
        np.testing.assert_allclose(np.array(column), getattr(ours, name), rtol=1e-15)


@pytest.mark.covers("I2", "I3")
def test_truncation_notices_an_unfinished_higher_bar_and_passes_the_shipped_features(stage: Stage) -> None:
    clean, leaky = (leaks.truncation(stage, 90, make) for make in (table, canaries.unfinished))
    assert leaks.truncation_row(clean, 90).passed is True
    assert leaks.truncation_row(leaky, 90).passed is False
    assert set(leaky.wrong) == {"higher_ema50", "higher_adx", "higher_return_12"}
    assert leaks.truncation_row(clean, 1000).passed is False, "too few checks are no proof"


def test_truncation_notices_an_outcome_that_reaches_beyond_its_label(stage: Stage) -> None:
    plans = stage.plans
    late = Stage(SEED, stage.used, days=24)
    late.__dict__["plans"] = replace(plans, states=[s._replace(best=s.best + 1.0) for s in plans.states])
    assert leaks.truncation(stage, 30).wrong["outcome"] == 0
    assert leaks.truncation(late, 30).wrong["outcome"] == leaks.truncation(late, 30).made["outcomes"] > 0


@pytest.mark.covers("I2")
def test_scrambling_notices_the_leak_at_every_decision_and_a_setup_that_repaints(stage: Stage, used: Rules) -> None:
    clean, leaky = (leaks.scramble(stage, 20, make) for make in (table, canaries.unfinished))
    assert leaks.scramble_row(clean, 20).passed is True
    assert leaks.scramble_row(leaky, 20).passed is False and leaky.rows == 20
    assert leaks.scramble_signals(stage, 20, used).mismatches == 0
    assert leaks.scramble_signals(stage, 20, canaries.repaints(used)).rows > 10


def test_the_canaries_are_detected_and_a_check_that_sees_nothing_is_found_out(
        stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert canaries.row(canaries.planted(stage, 10, SEED)).passed is True
    blind = canaries.planted(stage, 10, SEED, leak=table)
    assert [c.noticed for c in blind] == [False, False, True, True, True]
    assert canaries.row(blind).passed is False
    monkeypatch.setattr(leakage, "check_fold", lambda *args: None)
    assert canaries._folds(stage, SEED).noticed is False


def test_a_check_that_refuses_the_clean_twin_fails_the_canary_row() -> None:
    assert canaries.row([canaries.Canary("x", True, False, "")]).passed is False
    assert canaries.row([canaries.Canary("x", True, True, "")]).passed is True


# Rows 3, 5 and 6


@pytest.mark.covers("I4", "D5")
def test_a_simulator_that_is_kind_by_a_tenth_of_r_fails_the_martingale(used: Rules) -> None:
    free = {k: nulls.zero_cost_results(k, used) for k in range(1000 * SEED, 1000 * SEED + 5)}
    honest = nulls.martingale(SEED, 5, used, lambda seed, _: free[seed])
    kind = nulls.martingale(SEED, 5, used, lambda seed, _: free[seed] + 0.15)
    assert nulls.martingale_row(honest, 0.2).passed is True
    assert nulls.martingale_row(kind, 0.2).passed is False
    assert nulls.martingale_row(honest, 0.01).passed is False, "an interval too wide says nothing"


def test_the_martingales_interval_keeps_its_level() -> None:
    def draw(seed: int, _: Any) -> Any:
        rng = np.random.default_rng(seed)
        return rng.normal(rng.normal(0.0, 0.2), 1.0, 100)  # trades of one walk hang together

    missed = sum(not nulls.martingale_row(nulls.martingale(k, 20, None, draw), 1.0).passed  # type: ignore[arg-type]
                 for k in range(400))
    assert missed <= 12  # 1 % of 400, and three errors


def scored_on_its_own(rows: Samples, admitted: Flags, seed: int, slices: Slices = pipeline.BY_SHARE) -> Judged:
    """Flaw: the model is judged on the rows that it learned."""
    gap = splits.embargo(rows.t0, rows.t1)
    fold = splits.final_split(rows.t0, rows.t1, embargo_ms=gap)
    return pipeline.on_fold(rows, admitted, replace(fold, test=fold.fit), seed)


def test_models_scored_on_their_own_rows_claim_profits_on_noise() -> None:
    def runs(judge: Any) -> list[Run]:
        found = []
        for k in range(8):
            rows, _ = candidates(1500, k, k=20)
            free = replace(rows, r=rows.r + 0.18, pnl_pct=(rows.r + 0.18) * rows.risk_pct)
            made = judge(free, np.ones(len(rows), bool), k)
            mean, (gated, of) = made.gated(), made.coverage
            best = made.best(nulls.FIFTH).low
            found.append(Run("targets", False, False, 2500, gated, of, mean.mean, mean.low, False, best))
        return found

    assert nulls.false_profit_row(runs(scored_on_its_own), 8).passed is False
    assert nulls.false_profit_row(runs(pipeline.judge), 8).passed is True


def run(gated: int = 0, *, promoted: bool = False, low: float = math.nan, fitted: int = 2500) -> Run:
    return Run("targets", True, False, fitted, gated, 500, 0.0, low, promoted)


def test_false_profits_beyond_chance_and_too_few_runs_fail() -> None:
    quiet = [run(low=-0.1)] * 100
    assert nulls.false_profit_row([*quiet, *[run(low=0.1)] * 5], 100).passed is True
    assert nulls.false_profit_row([*quiet, *[run(low=0.1)] * 6], 100).passed is False
    assert nulls.false_profit_row(quiet, 101).passed is False
    assert nulls.false_profit_row([run()] * 100, 100).passed is True, "gates that let nothing through claim nothing"


def test_a_ranking_that_claims_profits_on_noise_fails_though_its_gate_lets_nothing_through() -> None:
    quiet = [replace(run(), best=-0.1)] * 100
    assert nulls.false_profit_row([*quiet, *[replace(run(), best=0.1)] * 5], 100).passed is True
    assert nulls.false_profit_row([*quiet, *[replace(run(), best=0.1)] * 6], 100).passed is False


def test_signals_out_of_noise_and_promoted_noise_fail() -> None:
    assert nulls.coverage_row([run(10)] * 4).passed is True
    assert nulls.coverage_row([run(11)] * 4).passed is False
    assert nulls.coverage_row([run(0), run(0, promoted=True)]).passed is False
    assert nulls.coverage_row([run(0, fitted=1999)]).passed is False, "nothing was measured"


def test_shuffled_results_stay_whole_and_their_times_stay_where_they_were() -> None:
    rows, _ = candidates(300, 1)
    mixed = nulls.shuffled(rows, 3)
    assert np.array_equal(mixed.t1, rows.t1) and np.array_equal(mixed.x, rows.x, equal_nan=True)
    assert Counter(zip(mixed.r.tolist(), mixed.pnl_pct.tolist(), strict=True)) == \
        Counter(zip(rows.r.tolist(), rows.pnl_pct.tolist(), strict=True))
    assert not np.array_equal(mixed.r, rows.r)


# Row 7


def blind(rows: Samples, admitted: Flags, seed: int, slices: Slices) -> Judged:
    """Flaw: the labels are dealt out anew before the training, so that nothing can be learned."""
    return pipeline.judge(nulls.shuffled(rows, seed), admitted, seed, slices)


def with_features(n: int) -> Samples:
    rows, _ = candidates(n, 5, k=35)
    names = ("rsi", "ema50_slope", "atr_rank", "adx", "ema200_slope", "band_rank", *rows.names[6:])
    return replace(rows, names=names)


def test_a_blind_training_recovers_nothing_and_an_honest_one_most() -> None:
    rows = with_features(7000)
    seen, unseen = (planted.measure(rows, "linear", 2000, 1, SEED, judge) for judge in (pipeline.judge, blind))
    assert seen.mean > 0.75 and abs(unseen.mean) < 0.4
    every = {key: replace(seen, form=key[0], n=key[1], mean=0.99) for key in planted.BARS}
    outcome = Outcome("targets", 1, better=True)
    assert planted.row([*every.values()], outcome).passed is True
    for key in planted.BARS:
        assert planted.row([*{**every, key: replace(unseen, form=key[0], n=key[1])}.values()], outcome).passed is False
    assert planted.row([*every.values()], replace(outcome, better=False, why=("no",))).passed is False
    assert planted.row([*every.values()][1:], outcome).passed is False, "a bar that was not measured is not met"


def test_the_real_promotion_rule_takes_a_planted_edge_and_refuses_a_training_that_learned_nothing() -> None:
    def shuffles(rows: Samples, admitted: Flags, how: Recipe) -> list[Outcome]:
        return training.train(nulls.shuffled(rows, 3), admitted, how)

    rows = with_features(5000)
    assert planted.promotion(rows, SEED).better is True
    assert planted.promotion(rows, SEED, train=shuffles).better is False


def test_planted_chances_have_the_strength_that_is_stated() -> None:
    rows = with_features(4000)
    for form, area in planted.STRENGTH.items():
        p = planted.chances(planted.edge(form, rows.x, ("rsi", "ema50_slope", "atr_rank", "adx", "ema200_slope",
                                                        "band_rank", *rows.names[6:])), area)
        assert p.mean() == pytest.approx(planted.BASE, abs=1e-6)
        assert planted.true_area(p) == pytest.approx(area, abs=1e-3)
        rng = np.random.default_rng(1)
        drawn = [training.metrics.auc(p, rng.random(len(p)) < p) for _ in range(30)]
        assert np.mean(drawn) == pytest.approx(area, abs=0.01)
    assert planted.recovery(p, p) == pytest.approx(1.0)
    assert abs(planted.recovery(np.random.default_rng(0).random(len(p)), p)) < 0.2


# Rows 8 to 12


@pytest.fixture(scope="module")
def tested() -> HeldOut:
    rows, _ = candidates(3000, 11, "linear", k=8)
    return held_out.judge("targets", rows, np.ones(len(rows), bool), Recipe(seed=SEED))


def with_p(t: HeldOut, change: Any) -> HeldOut:
    parts = tuple(replace(part, scored=replace(part.scored, p=change(part.scored))) for part in t.parts)
    return replace(t, parts=parts)


def test_rows_judged_by_a_model_that_learned_them_fail_the_brier_row(tested: HeldOut) -> None:
    assert gates.brier_row([tested]).passed is True
    first = tested.parts[0]
    fold = replace(first.fold, test=first.fold.fit, test_start=0)
    own = pipeline.on_fold(tested.rows, np.ones(len(tested.rows), bool), fold, SEED)
    flawed = replace(tested, parts=(own,))
    assert gates.brier_row([flawed]).passed is False
    assert "NOT OUT OF SAMPLE" in gates.brier_row([flawed]).value


def test_a_file_that_spans_too_few_weeks_is_not_judged() -> None:
    rows, _ = candidates(1200, 11, "linear", k=8, days=20.0, mean_hours=1.0)
    with pytest.raises(DataError, match="too few rows or weeks"):
        held_out.judge("targets", rows, np.ones(len(rows), bool), Recipe(seed=SEED))
    with pytest.raises(DataError, match="at least 5,000 are needed"):
        held_out.judge("targets", rows, np.ones(len(rows), bool), Recipe(seed=SEED, floor=5000))


def test_the_sealed_rows_are_left_alone(tested: HeldOut) -> None:
    rows, _ = candidates(3000, 11, "linear", k=8)
    final = splits.final_split(rows.t0, rows.t1, embargo_ms=tested.gap, settle_ms=tested.gap)
    assert int(tested.rows.t1.max()) + tested.gap <= final.test_start
    assert tested.sealed == len(final.test) > 600


def test_claims_that_are_too_bold_fail_the_calibration_row(tested: HeldOut) -> None:
    assert gates.calibration_row([tested]).passed is True
    bold = with_p(tested, lambda s: np.clip(0.5 + 3.0 * (s.p - 0.5), 0.01, 0.99))
    assert gates.calibration_row([bold]).passed is False


def losers_dropped(s: Any, mask: Flags, of: int | None = None, claimed: bool = True) -> dict[str, Any]:
    """Flaw: half of the losing rows do not count."""
    return figures.trades(s, mask & (s.samples.win | (np.arange(len(s)) % 2 == 0)), of, claimed)


def test_figures_that_differ_from_a_recount_fail_the_gate_row(tested: HeldOut) -> None:
    row = gates.gate_row([tested], GATE, 0.55)
    assert row.passed is True
    shown = [d for d in row.detail.values() if "withheld" not in d]
    assert shown and all(set(d) == {*gates.COLUMNS, *gates.OF_TARGETS} for d in shown), "all columns or none"
    assert gates.gate_row([tested], GATE, 0.55, losers_dropped).passed is False


def test_a_group_that_is_left_out_fails_the_ungated_row(tested: HeldOut) -> None:
    def without_longs(s: Any, mask: Flags, of: int | None = None, claimed: bool = True) -> dict[str, Any]:
        whole = len(set(s.samples.direction[mask].tolist())) > 1
        return figures.trades(s, mask if whole else mask & (s.samples.direction == "short"), of, claimed)

    row = gates.ungated_row([tested], GATE)
    assert row.passed is True
    assert set(row.detail["targets"]) == {"whole", "symbol", "timeframe", "direction", "quarter"}
    assert gates.ungated_row([tested], GATE, without_longs).passed is False


def test_a_card_that_claims_more_than_the_deflated_sharpe_allows_fails(tested: HeldOut) -> None:
    honest = gates.trials_row([tested], GATE, Tried(5, 1, (0.1, 0.0)), 1000, {"targets": "weak"})
    assert honest.passed is True
    own = honest.detail["targets"]
    assert {"pbo", "p_oos_loss", "share_positive", "n_eff", "dsr"} <= own.keys(), "never one without the others"
    many = Tried(10**9, 1, (3.0, -3.0, 1.0))
    assert gates.trials_row([tested], GATE, many, 1000, {"targets": "moderate"}).passed is False


# Rows 13 and 14


def look(k: int = 0, rows: str = "a" * 64) -> Trial:
    """A logged look at sealed rows."""
    return Trial("sealed", {"family": "targets", "from": f"day {k}", "to": f"day {k + 1}", "rows": rows}, 0.1, {"n": 9})


def model(*looks: Trial, hash: str = "abc") -> Any:
    trained = [Trial("train", {"seed": 7}, 0.1)]
    return SimpleNamespace(id="m1", card={"data": {"hash": hash}, "trials": [t._asdict() for t in (*trained, *looks)]})


def row13(log: list[Trial], *known: Any, own: Any = None) -> bool | None:
    data, made = {"samples": 10, "sha256": "f" * 64}, live.Code("c" * 40, "d" * 64)
    found = live.looks(log, [m.card for m in known])
    return live.made_row(found, known, data, made, SEED, own or live.looks([look()], [model(look()).card])).passed


def test_each_look_at_sealed_rows_is_logged_once_with_the_hash_of_the_rows() -> None:
    a, b, other = look(0), look(1), look(0, "b" * 64)
    assert row13([]) is True and row13([a, b], model(a), model(b)) is True
    assert row13([Trial("train", {}, None), a, a], model(a), model(a)) is True, "twice looked, twice logged"
    assert row13([a], model(a), model(b)) is False, "one is missing"
    assert row13([a], model(a), model(a)) is False, "the second look is not counted"
    assert row13([a, b], model(a)) is False, "the counter grew by one too many"
    assert row13([other], model(a)) is False, "other rows"
    assert row13([look(0, "")], model(look(0, ""))) is False, "without the hash"
    assert row13([a], model(a, hash="")) is False


def test_the_training_of_the_audit_itself_is_counted_too() -> None:
    rows = with_features(3000)
    outcome = planted.promotion(rows, SEED)
    own = live.rehearsed(outcome.trials)
    assert (own.logged, own.made, own.faults) == (1, 1, "")
    assert row13([], own=own) is True
    assert row13([], own=live.rehearsed(())) is False, "a training that logs no look"
    (sealed,) = [t for t in outcome.trials if t.kind == "sealed"]
    bare = live.rehearsed([sealed._replace(params={**sealed.params, "rows": ""})])
    assert row13([], own=bare) is False and "WITHOUT THE HASH" in bare.faults
    made = live.Code("c" * 40, "d" * 64)
    assert live.made_row(live.looks((), ()), (), None, made, SEED, own).passed is None


def test_the_code_is_named_and_a_changed_source_shows(tmp_path: Any) -> None:
    (tmp_path / "core").mkdir()
    source = tmp_path / "core" / "a.py"
    source.write_text("x = 1\n")
    before = live.code(tmp_path)
    source.write_text("x = 2\n")
    assert before.commit == "unknown" and live.code(tmp_path).sha256 != before.sha256
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git" / "refs" / "heads" / "main").write_text("1" * 40 + "\n")
    assert live.code(tmp_path).commit == "1" * 40


def trade(k: int) -> dict[str, Any]:
    return {"origin": "live", "pnl_pct": 0.5 if k % 2 else -0.5, "revised": 0, "decided_ts": JAN + k * DAY, "direction":
            "long", "fill": 100.1, "entry": 100.0, "sl": 99.0, "slippage_pct": 0.05, "ml_p": 0.5}


def test_live_rows_that_differ_from_a_recount_fail_and_few_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ctx: Any = SimpleNamespace(db=SimpleNamespace(lock=nullcontext(), con=None), exchange_id="x")

    def again(differing: list[str]) -> Any:
        return lambda ctx, start, end: ReconcileResult(120, differing, 0, differing[0] if differing else None)

    rows = [trade(k) for k in range(120)]
    monkeypatch.setattr(live.reports, "finished", lambda *args: rows)
    assert live.live_row(ctx, again([])).passed is True
    assert live.live_row(ctx, again([])).detail["fill_gap_r"][0] == pytest.approx(0.1)
    assert live.live_row(ctx, again(["one: fill"])).passed is False
    monkeypatch.setattr(live.reports, "finished", lambda *args: rows[:99])
    assert live.live_row(ctx, again([])).passed is None


# The card


def test_the_verdict_names_what_fails_and_does_not_count_what_was_not_measured() -> None:
    rows = tuple(Row(k, f"r{k}", "v", "b", passed) for k, passed in enumerate((True, None, True), 1))
    card = Scorecard(rows, {"size": "quick", "seed": 1, "code": "c", "data": "none"})
    assert card.passed and card.verdict.startswith("PASSED: all 2 measured rows hold; 1 could not")
    bad = replace(card, rows=(*rows, Row(4, "r4", "v", "b", False)))
    assert not bad.passed and "1 of 3" in bad.verdict and "4 (r4)" in bad.verdict
    assert "| 4 | r4 | v | b | NO |" in record.page(bad)
    assert record.signed(0.01, -0.02, 0.03, 2) == "+0.01 [-0.02, +0.03]"
    assert "too few weeks" in record.signed(0.01, math.nan, math.nan)


def test_the_command_prints_rows_writes_the_page_and_fails_with_a_failing_row(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    rows = (Row(1, "a", "v; w", "b", True), Row(2, "c", "insufficient", "b", None, "no database"))
    card = Scorecard(rows, {"size": "quick", "seed": 3, "code": "c", "data": "none"})
    asked: list[Any] = []
    monkeypatch.setattr(scorecard, "run", lambda *args: asked.append(args) or card)
    config, page = ["--config", str(ROOT / "config.yaml")], tmp_path / "page.md"
    monkeypatch.chdir(tmp_path)
    assert app.main("core", ["audit", "--quick", "--seed", "3", "--json", "--page", str(page), *config]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [(r["name"], r["passed"]) for r in printed["rows"]] == [("a", True), ("c", None)]
    assert asked[0][1] is None and asked[0][2] is record.QUICK and asked[0][3] == 3
    assert page.read_text().startswith("# Truth scorecard")
    kept = json.loads((tmp_path / "data" / "audit.json").read_text())
    assert kept == printed and kept["made_ts"] > 1_600_000_000_000, "for the dashboard"
    card = replace(card, rows=(replace(rows[0], passed=False),))
    assert app.main("core", ["audit", *config]) == 1
    assert capsys.readouterr().out.startswith("FAILED: 1 of 1")


def test_a_database_that_is_named_must_be_there(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["audit", "--quick", "--db", str(tmp_path / "no.db"), "--config", str(ROOT / "config.yaml")]
    assert app.main("core", asked) == 1
    assert "no database" in capsys.readouterr().err


def test_the_kept_scorecard_is_whole_or_the_one_before(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new" / "data"
    path = record.keep(folder, {"rows": [], "made_ts": 1})
    monkeypatch.setattr(record.os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(ArtifactError, match="No space left"):
        record.keep(folder, {"rows": [1], "made_ts": 2})
    assert json.loads(path.read_text())["made_ts"] == 1 and [p.name for p in folder.iterdir()] == ["audit.json"]
