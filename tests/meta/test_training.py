"""Training: an edge that is there is found and promoted, noise is not, and what cannot be learned from is refused."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.candles import Floats
from core.engine import figures, training, verdict
from core.engine.dataset import fingerprint
from core.engine.figures import Rule, Scored
from core.engine.training import MONTH, Outcome, Recipe
from core.engine.verdict import Tried
from core.errors import DataError
from core.meta import ev, leakage, splits
from core.meta.baselines import expit
from core.meta.calibration import Calibrator
from core.meta.model import ModelParams
from core.meta.samples import TARGETS, TRAILED, Samples, build, uniqueness
from tests.meta import makers
from tests.meta.makers import BASE, COST, candidates

DAYS = 365.0
# Fewer and larger steps than a real training takes: the same ways in a third of the time.
SHORT = {TARGETS: ModelParams(rounds=60, eta=0.07, seeds=1),
         TRAILED: ModelParams(target="r", rounds=60, eta=0.07, seeds=1)}
QUICK = Recipe(params=SHORT, test_ms=2 * MONTH, step_ms=2 * MONTH)


def relabelled(s: Samples, p: Floats, seed: int = 1) -> Samples:
    """The same plans with outcomes drawn anew from the chances p."""
    r = np.where(np.random.default_rng(seed).random(len(s)) < p, 1.0, -1.0) - COST
    return replace(s, r=r, pnl_pct=r * s.risk_pct, win=r > 0)


def planted(n: int = 3000, seed: int = 3, strength: float = 1.0) -> Samples:
    """An edge that four features carry together, none of them alone."""
    s, _ = candidates(n, seed, days=DAYS)
    return relabelled(s, expit(np.log(BASE / (1 - BASE)) + strength * s.x[:, :4].sum(axis=1) / 2))


def noise(n: int = 3000, seed: int = 4) -> Samples:
    return candidates(n, seed, days=DAYS)[0]


def trained(s: Samples, how: Recipe | None = None, **more: Any) -> Outcome:
    found = training.train(s, np.ones(len(s), np.bool_), how or QUICK, **more)
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def good() -> Outcome:
    return trained(planted())


@pytest.fixture(scope="module")
def bad() -> Outcome:
    return trained(noise())


@pytest.mark.covers("I5")
def test_a_planted_edge_is_found_and_may_be_promoted(good: Outcome) -> None:
    assert good.better, good.why
    sealed = good.report["sealed"]
    assert sealed["probability"]["auc"] > 0.62 and sealed["gate"]["mean_r"] > sealed["ungated"]["mean_r"] + 0.2
    assert good.evidence.label in ("weak", "moderate", "strong")
    assert "beats all baselines" in good.why[0]


@pytest.mark.covers("I5")
def test_noise_is_not_promoted_and_says_why(bad: Outcome) -> None:
    assert not bad.better and bad.fitted is not None
    assert any("no better than the base rate" in why for why in bad.why)
    assert bad.evidence.label in ("insufficient", "none")


def test_shuffled_labels_of_a_planted_edge_are_noise() -> None:
    s = planted()
    mixed = np.random.default_rng(5).permutation(len(s))
    shuffled = replace(s, r=s.r[mixed], pnl_pct=(s.r[mixed] * s.risk_pct), win=s.r[mixed] > 0)
    assert not trained(shuffled).better


def test_the_same_rows_give_the_same_model_and_figures(good: Outcome) -> None:
    again = trained(planted())
    assert again.fitted is not None and good.fitted is not None
    assert again.fitted.model.blobs() == good.fitted.model.blobs() and again.report == good.report


@pytest.mark.covers("I5", "D7")
def test_the_calibrator_sees_no_row_of_the_boosters_and_the_sealed_rows_are_seen_by_none() -> None:
    s, how = planted(), QUICK
    gap = splits.embargo(s.t0, s.t1)
    final = splits.final_split(s.t0, s.t1, fit=how.fit, calibrate=how.calibrate, embargo_ms=gap, settle_ms=gap)
    poisoned = s.win.copy()
    poisoned[final.test] = ~poisoned[final.test]
    r = np.where(poisoned, 1.0, -1.0) - COST
    other = trained(replace(s, r=r, pnl_pct=r * s.risk_pct, win=poisoned))
    own = trained(s)
    assert other.fitted is not None and own.fitted is not None
    assert other.fitted.model.blobs() == own.fitted.model.blobs()
    assert other.fitted.calibrator == own.fitted.calibrator and other.fitted.payoffs == own.fitted.payoffs
    poisoned = s.win.copy()
    poisoned[final.calibrate] = ~poisoned[final.calibrate]
    r = np.where(poisoned, 1.0, -1.0) - COST
    third = trained(replace(s, r=r, pnl_pct=r * s.risk_pct, win=poisoned))
    assert third.fitted is not None
    assert third.fitted.model.blobs() == own.fitted.model.blobs() and third.fitted.calibrator != own.fitted.calibrator


@pytest.mark.covers("I2")
def test_every_fold_is_checked_and_a_leaky_one_stops_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = leakage.check_fold

    def counted(*args: Any) -> None:
        seen.append(1)
        real(*args)

    monkeypatch.setattr(splits, "check_fold", counted)
    outcome = trained(planted())
    assert len(seen) == 2 * len(outcome.report["folds"]) >= 6, "when they are counted and when they are trained"

    def leaky(bound: int, t0: Any, t1: Any, embargo_ms: int, settle_ms: int) -> Any:
        return np.flatnonzero(t0 < bound)

    monkeypatch.setattr(splits, "_ended_before", leaky)
    refused = trained(planted())
    assert refused.refusal is not None and "reach into" in refused.refusal and not refused.better


@pytest.mark.covers("D17")
def test_what_a_win_is_worth_is_measured_over_what_happened_not_planned() -> None:
    s = planted(1500)
    real = np.where(s.win, np.random.default_rng(1).uniform(0.1, 0.6, len(s)), -1.1)  # far from the planned 1 R
    s = replace(s, r=real, pnl_pct=real * s.risk_pct)
    early, late = np.arange(900), np.arange(950, 1300)
    pays = training.fit(s, early, late, SHORT[TARGETS], 1).payoffs[ev.ALL]
    seen = real[np.concatenate((early, late))]
    assert pays.win_r == pytest.approx(seen[seen > 0].mean(), rel=1e-6) and pays.win_r < 0.5
    assert pays.loss_r == pytest.approx(1.1, rel=1e-6)


def test_all_out_of_sample_rows_lie_behind_the_rows_that_fitted_them(good: Outcome) -> None:
    folds = good.report["folds"]
    assert [f["from"] for f in folds] == sorted(f["from"] for f in folds)
    assert good.report["out_of_sample"]["n"] == sum(f["n"] for f in folds)
    assert good.report["slices"]["fit"]["to"] < good.report["slices"]["calibrate"]["from"]
    assert good.report["slices"]["calibrate"]["to"] < good.report["slices"]["sealed"]["from"]


@pytest.mark.covers("I5")
def test_no_win_rate_stands_alone(good: Outcome) -> None:
    beside = {"n", "coverage", "win_low", "win_high", "break_even", "fair", "mean_r", "mean_r_low", "mean_r_high",
              "mean_pct", "claimed", "total_r"}

    def walk(part: Any) -> int:
        if isinstance(part, dict):
            if "win_rate" in part:
                assert beside <= set(part)
            return ("win_rate" in part) + sum(map(walk, part.values()))
        return sum(map(walk, part)) if isinstance(part, list) else 0

    assert walk(good.report) > 50


def test_the_report_names_the_parts_the_spec_asks_for(good: Outcome) -> None:
    for rows in ("sealed", "out_of_sample"):
        part = good.report[rows]
        assert set(part["by"]) == {"timeframe", "regime", "symbol", "direction", "setup"}
        assert len(part["probability"]["reliability"]) == 10 and len(part["deciles"]) == 10
        assert {"base_rate", "geometry", "ridge"} <= set(part["baselines"])
        assert {"auc", "brier", "skill", "skill_low", "log_loss", "ece", "ece_null95"} <= set(part["probability"])
        assert sum(m["n"] for m in part["by"]["symbol"].values()) == part["n"]


# Refusals


def tiny(n: int) -> Samples:
    return planted(n)


def losers() -> Samples:
    s = planted()
    return relabelled(s, np.zeros(len(s)))


def blank(value: float) -> Samples:
    s = planted()
    return replace(s, x=np.full_like(s.x, value))


@pytest.mark.parametrize(("rows", "said"), [
    (lambda: tiny(900), "900 closed plans, at least 1,000 are needed"),
    (losers, "nothing can be learnt from one class"),
    (lambda: blank(np.nan), "every feature is constant or never known"),
    (lambda: blank(2.0), "every feature is constant or never known"),
], ids=["too few", "one class", "unknown features", "constant features"])
def test_what_cannot_be_learned_from_is_refused_in_words(rows: Any, said: str) -> None:
    found = trained(rows())
    assert said in str(found.refusal) and found.fitted is None and not found.better
    assert found.evidence.label == "insufficient"
    assert found.report["refusal"] == found.refusal and found.trials == ()


def test_some_unusable_features_are_named_and_do_no_harm(good: Outcome) -> None:
    s = planted()
    x = s.x.copy()
    x[:, 20], x[:, 21] = np.nan, 3.0
    found = trained(replace(s, x=x))
    assert found.better and found.report["unusable_features"] == {"f20": "never known", "f21": "constant"}


def test_an_infinite_feature_never_reaches_the_training() -> None:
    s = planted()
    x = s.x.copy()
    x[7, 3] = np.inf
    with pytest.raises(DataError, match="infinite"):
        replace(s, x=x)


def test_planted_flaw_a_feature_that_knows_the_outcome_is_accused() -> None:
    s = noise()
    x = s.x.copy()
    x[:, 5] = s.win + 0.8 * np.random.default_rng(2).normal(size=len(s))
    found = trained(replace(s, x=x))
    assert not found.better and any(why.startswith("f5 alone tells wins from losses") for why in found.why)


def test_rows_that_are_too_short_in_time_are_refused() -> None:
    found = trained(candidates(1500, 3, days=6.0)[0])
    assert found.refusal is not None and "too few to split" in found.refusal


# Families, admission, the trial log


def trailed(s: Samples) -> Samples:
    return replace(s, rr1=np.full(len(s), np.nan), ids=tuple(f"t{i}" for i in s.ids),
                   setup=np.array(["donchian"] * len(s), dtype=object))


def both(a: Samples, b: Samples) -> Samples:
    columns = {name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in (
        "t0", "t1", "r", "pnl_pct", "risk_pct", "cost_r", "rr1", "symbol", "timeframe", "setup", "direction", "trend",
        "vol", "in_sample")}
    return build(a.names, [*a.ids, *b.ids], np.concatenate([a.x, b.x]), **columns)


def test_each_family_is_trained_and_judged_by_itself() -> None:
    rows = both(planted(), trailed(noise()))
    found = training.train(rows, np.ones(len(rows), np.bool_), QUICK)
    assert [o.family for o in found] == [TARGETS, TRAILED]
    assert [o.better for o in found] == [True, False]
    fitted = [o.fitted.model.params.target for o in found if o.fitted is not None]
    assert fitted == ["win", "r"], "plans that only trail learn their clipped result"
    alone = trained(planted())
    assert found[0].report == alone.report


def test_money_is_counted_on_admitted_plans_alone() -> None:
    s = planted()
    let_in = np.arange(len(s)) % 2 == 0
    found = training.train(s, let_in, QUICK)[0]
    sealed = found.report["sealed"]
    assert sealed["ungated"]["n"] < 0.6 * sealed["n"] and sealed["gate"]["n"] < sealed["ungated"]["n"]
    assert found.report["admitted"] == int(let_in.sum())


@pytest.mark.covers("I5")
def test_every_set_of_parameters_and_every_look_is_a_trial(good: Outcome) -> None:
    kinds = [t.kind for t in good.trials]
    assert kinds == ["train", "sealed"]
    assert good.trials[0].params["max_depth"] == 2 and good.trials[0].params["rule"] == {"use_ev": True, "limit": 0.0}
    assert good.report["trials"]["sets"] == 1 and good.report["trials"]["looks"] == 1
    s, gap = planted(), good.report["slices"]["embargo_ms"]
    final = splits.final_split(s.t0, s.t1, fit=QUICK.fit, calibrate=QUICK.calibrate, embargo_ms=gap, settle_ms=gap)
    sealed = s.take(final.test)
    assert good.trials[1].params["rows"] == fingerprint(sealed), "the look names the rows it was at"
    assert fingerprint(replace(sealed, r=sealed.r + np.eye(1, len(sealed))[0])) != fingerprint(sealed)
    later = trained(planted(), replace(QUICK, tried=Tried(500, 9, (0.1, -0.2, 0.3))))
    assert later.report["trials"]["sets"] == 501 and later.report["trials"]["looks"] == 10
    assert later.report["trials"]["dsr"] < good.report["trials"]["dsr"], "the more was tried the less it proves"


def test_progress_runs_to_its_end_without_a_step_back() -> None:
    seen: list[tuple[int, int]] = []
    trained(planted(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] and [a for a, _ in seen] == sorted(a for a, _ in seen)


def test_windows_shrink_where_there_is_less_than_half_a_year() -> None:
    s, _ = candidates(2000, 8, days=60.0)
    found = trained(s)
    assert len(found.report["folds"]) >= 3
    assert training._windows(Recipe(), 200 * training.DAY)[0] == 100 * training.DAY
    assert training._windows(Recipe(), 400 * training.DAY) == (180 * training.DAY, 30 * training.DAY, 30 * training.DAY)


# The verdict


def gain(low: float, mean: float | None = None, high: float | None = None) -> dict[str, float]:
    middle = low + 0.01 if mean is None else mean
    return {"mean": middle, "low": low, "high": middle + 0.01 if high is None else high}


def compared(**worse: dict[str, Any]) -> dict[str, dict[str, Any]]:
    fine = {"brier": gain(0.001), "r": gain(0.01)}
    found = {name: dict(fine) for name in ("base_rate", "geometry", "ema200", "champion", "ridge")}
    found["ungated"] = {"r": gain(0.01)}
    return {name: {**by, **worse.get(name, {})} for name, by in found.items()}


GOOD = {"ece": 0.02, "ece_bar": 0.03}


def objected(of: dict[str, dict[str, Any]], probability: dict[str, float] = GOOD, weeks: int = 10,
             suspects: Sequence[tuple[str, float]] = ()) -> str:
    return "; ".join(verdict.objections(of, probability, weeks, suspects))


@pytest.mark.covers("I5")
def test_a_challenger_that_beats_all_has_no_objection() -> None:
    assert objected(compared()) == ""


@pytest.mark.covers("I5")
@pytest.mark.parametrize(("name", "measure"), [
    ("base_rate", "brier"), ("geometry", "brier"), ("ema200", "brier"), ("champion", "brier"), ("base_rate", "r"),
    ("champion", "r")])
def test_one_rule_that_is_not_beaten_by_more_than_chance_is_enough(name: str, measure: str) -> None:
    assert "no better than" in objected(compared(**{name: {measure: gain(0.0)}}))
    assert "no better than" in objected(compared(**{name: {measure: gain(float("nan"), 0.5)}}))


@pytest.mark.covers("I5")
@pytest.mark.parametrize("name", ["geometry", "ema200"])
def test_a_simple_rule_that_earned_as_much_is_enough(name: str) -> None:
    assert objected(compared(**{name: {"r": gain(-0.1, 0.01)}})) == ""
    assert "no better than" in objected(compared(**{name: {"r": gain(-0.1, 0.0)}}))


def test_taking_every_plan_must_be_beaten_in_money() -> None:
    assert "taking every admitted plan" in objected(compared(ungated={"r": gain(-0.01, 0.2)}))


def test_the_ridge_logistic_must_not_be_clearly_better() -> None:
    within = gain(-0.004, -0.002, 0.001)
    clearly, near = gain(-0.04, -0.03, -0.02), gain(-0.003, -0.002, -0.001)
    assert objected(compared(ridge={"brier": within})) == ""
    assert "ridge logistic" in objected(compared(ridge={"brier": clearly}))
    assert objected(compared(ridge={"brier": near})) == "", "it keeps more than three quarters of what there is"


def test_too_few_weeks_a_leak_or_wrong_probabilities_are_objections() -> None:
    assert "4 weeks" in objected(compared(), weeks=4)
    assert "looks like a leak" in objected(compared(), suspects=[("f1", 0.8)])
    assert "off by 0.050" in objected(compared(), {"ece": 0.05, "ece_bar": 0.03})


# The champion


def test_an_equal_champion_stays(good: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    s, before = planted(), planted(seed=3)
    early = before.take(before.t0 < before.t0[0] + int(0.7 * DAYS) * makers.DAY)
    old = trained(early, replace(QUICK, floor=500))
    assert old.fitted is not None
    champion = Champion(old.fitted, old.last)
    found = trained(s, champion=champion)
    assert "champion" in found.report["comparison"]
    assert not found.better and any("the champion" in why for why in found.why)


def test_a_worthless_champion_is_beaten(bad: Outcome) -> None:
    assert bad.fitted is not None
    found = trained(planted(), champion=Champion(bad.fitted, 0))
    assert found.better, found.why
    assert "champion and baselines" in found.why[0]


def test_a_champion_that_saw_the_sealed_rows_cannot_be_compared_and_stays(good: Outcome) -> None:
    assert good.fitted is not None
    s = planted()
    found = trained(s, champion=Champion(good.fitted, int(s.t1.max())))
    assert not found.better and any("the champion" in why for why in found.why)


class Champion:
    """As much of an `Artifact` as the comparison asks for."""

    def __init__(self, family: Any, data_end: int) -> None:
        self.families, self.data_end = {TARGETS: family}, data_end
        self.columns = np.arange(len(family.model.names))


# Figures, against slow arithmetic


def said(p: Floats, s: Samples) -> Scored:
    pays = ev.measure(s)
    worth = ev.expected_pct(pays, s, p)
    base = {"base_rate": np.full(len(s), s.win.mean())}
    return Scored(s, np.arange(len(s)) % 3 > 0, p, p, p - 0.02, worth, worth - 0.05, base,
                  {"base_rate": ev.expected_pct(pays, s, base["base_rate"])})


def test_the_gate_of_the_figures_is_the_gate_of_the_daemon() -> None:
    from core.meta.gate import Policy, Score, judge

    s = noise(400)
    scored = said(np.random.default_rng(3).uniform(0.2, 0.8, len(s)), s)
    for rule in (Rule(True, 0.02), Rule(False, 0.5)):
        for k, passes in enumerate(scored.gated(rule).tolist()):
            score = Score(scored.raw[k], scored.p[k], scored.low[k], scored.ev[k], scored.ev_low[k], "m",
                          margin_pct=scored.margin[k])
            refusal = None if scored.admitted[k] else "cost_r 1 > max_cost_r 0.15"
            assert judge(refusal, True, score, Policy(rule.use_ev, rule.limit, "global")).passed == passes


@pytest.mark.covers("I5", "D17")
def test_ev_counts_for_no_more_than_it_brought_and_a_baseline_is_asked_the_same_margin(good: Outcome) -> None:
    assert good.fitted is not None
    s = planted()
    own, every = good.fitted, np.ones(len(s), np.bool_)
    claimed = ev.expected_pct({TARGETS: own.payoffs}, s, own.calibrator.apply(own.model.score(s.x)))
    for slope, level in ((1.0, own.realised.middle), (0.0, -0.2)):
        held = replace(own, realised=replace(own.realised, slope=slope, level=level, cov=(0.0, 0.0, 0.0)))
        found = figures.score(held, None, s, every)
        brought = (level + slope * (claimed / s.risk_pct + s.cost_r - own.realised.middle) - s.cost_r) * s.risk_pct
        assert found.ev == pytest.approx(np.minimum(claimed, brought)) and np.all(found.ev_low <= found.ev + 1e-9)
    assert not found.gated(Rule(True, 0.0)).any(), "claims that bring nothing pass nothing"
    base = replace(found, base={"geometry": found.p}, base_ev={"geometry": found.margin - 1e-9})
    assert not base.taken_by("geometry", Rule(True, 0.0)).any()
    assert replace(base, base_ev={"geometry": found.margin}).taken_by("geometry", Rule(True, 0.0)).all()


@pytest.mark.covers("I5")
def test_the_null_of_joined_parts_doubts_each_calibrator_by_itself() -> None:
    sure = Calibrator("sigmoid", "identity", 500, 1.0, 0.0)
    unsure = replace(sure, cov=(0.0, 0.0, 0.25))
    raw, s = np.linspace(-1.0, 1.0, 400), noise(800)
    parts = [replace(said(c.apply(raw), s.take(np.arange(k, k + 400))), raw=raw, calibrators=(c,),
                     by=np.zeros(400, np.int64)) for k, c in ((0, sure), (400, unsure))]
    both = figures.joined(parts)
    drawn = both.truths(np.random.default_rng(1))
    assert np.array_equal(drawn[:400], both.p[:400]) and np.abs(drawn[400:] - both.p[400:]).min() > 0.01
    some = both.take(np.arange(800) % 2 == 0)
    assert np.array_equal(some.truths(np.random.default_rng(1)), drawn[::2])
    strict, fair = (figures.probability(part.p, part) for part in parts)
    assert strict["ece_fair95"] == pytest.approx(strict["ece_null95"], rel=0.2)
    assert fair["ece_fair95"] > 1.5 * fair["ece_null95"], "a calibrator in doubt forgives more"
    plain = said(np.full(400, 0.5), noise(400))
    assert np.array_equal(plain.truths(np.random.default_rng(1)), plain.p), "without one: claims that are right"


def test_trades_figures_equal_plain_arithmetic() -> None:
    s = noise(400)
    scored, mask = said(np.full(400, 0.5), s), np.arange(400) % 5 == 0
    found = figures.trades(scored, mask, 200)
    r = [s.r[k] for k in range(400) if mask[k]]
    won, lost = [x for x in r if x > 0], [-x for x in r if x <= 0]
    assert found["n"] == 80 and found["coverage"] == 0.4 and found["win_rate"] == pytest.approx(len(won) / 80)
    assert found["mean_r"] == pytest.approx(sum(r) / 80) and found["total_r"] == pytest.approx(sum(r))
    w, lo = sum(won) / len(won), sum(lost) / len(lost)
    assert found["break_even"] == pytest.approx(lo / (w + lo))
    assert found["fair"] == 0.5 and found["break_even_planned"] == pytest.approx((1 + COST) / 2)


def test_weekly_results_count_weeks_without_a_trade_as_zero() -> None:
    s = noise(400)
    scored = said(np.full(400, 0.5), s)
    mask = np.zeros(400, np.bool_)
    mask[[0, 399]] = True
    sums = figures.weekly_results(scored, mask)
    assert len(sums) == s.t0[-1] // (7 * makers.DAY) - s.t0[0] // (7 * makers.DAY) + 1
    assert sums.sum() == pytest.approx(s.r[0] + s.r[399]) and np.count_nonzero(sums) == 2


def test_no_interval_is_given_on_fewer_than_five_weeks() -> None:
    s = noise(400)
    assert np.isnan(figures.interval(s.r[:8], np.arange(8) * makers.DAY).low)
    assert not np.isnan(figures.interval(s.r[:40], np.arange(40) // 5 * 7 * makers.DAY).low)


def test_plain_holds_no_number_that_json_cannot(good: Outcome) -> None:
    import json

    json.dumps(good.report, allow_nan=False)
    assert figures.plain({"a": np.float64("nan"), "b": (np.int64(3), np.bool_(True)), 4: "x"}) == {
        "a": None, "b": [3, True], "4": "x"}


def test_weights_favour_labels_that_stand_alone() -> None:
    s = planted(500)
    assert uniqueness(s.t0, s.t1).mean() == pytest.approx(1.0)
