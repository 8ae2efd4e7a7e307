"""A probability means what it says, on rows the calibrator never saw."""

import json
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ArtifactError, DataError
from core.meta import calibration, metrics, model
from core.meta.baselines import expit
from core.meta.calibration import IDENTITY, ISOTONIC, SIGMOID, Calibrator, fit_calibrator
from core.meta.splits import HOUR, final_split
from tests.meta.makers import DAY, JAN, candidates


def claims(n: int, seed: int, slope: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raw claims that are too bold by 1 / slope in log odds, outcomes, and the true chances."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0.2, 1.0, n)
    p = expit(slope * z - 0.3)
    return expit(z), (rng.random(n) < p) * 1.0, p


@pytest.mark.covers("I5")
def test_bold_claims_become_true_ones() -> None:
    raw, y, _ = claims(4000, 1)
    c = fit_calibrator(raw, y)
    assert c.kind == SIGMOID and c.a == pytest.approx(0.5, abs=0.1) and c.b == pytest.approx(-0.3, abs=0.1)
    raw, y, p = claims(4000, 2)
    assert np.abs(c.apply(raw) - p).mean() < 0.02
    null = metrics.null_ece(c.apply(raw), truths=partial(c.plausible, raw))
    assert metrics.ece(c.apply(raw), y) <= null < metrics.ece(raw, y) / 2


@pytest.mark.covers("I5")
@pytest.mark.parametrize(("kind", "runs"), [(SIGMOID, 60), (ISOTONIC, 16)])
def test_the_null_that_knows_how_few_rows_calibrated_holds_its_level(kind: str, runs: int) -> None:
    strict = fair = 0
    for seed in range(runs):
        raw, y, _ = claims(600, seed)
        if kind == SIGMOID:
            c = fit_calibrator(raw, y)
        else:
            c = calibration._fit_isotonic(calibration.linked(raw, "logit"), y, np.ones(600), np.arange(600), "logit", 0)
        later, wins, _ = claims(2000, 1000 + seed)
        error = metrics.ece(c.apply(later), wins)
        strict += error > metrics.null_ece(c.apply(later), reps=60)
        fair += error > metrics.null_ece(c.apply(later), reps=60, truths=partial(c.plausible, later))
    assert fair <= 0.13 * runs and strict >= 0.25 * runs


@pytest.mark.covers("D7", "I5")
def test_calibration_on_training_rows_shows_as_an_error_far_above_its_null_and_on_later_rows_not() -> None:
    s, _ = candidates(4000, 7)  # no edge at all
    fold = final_split(s.t0, s.t1, embargo_ms=24 * HOUR)
    y = s.win.astype(np.float64)
    deep = model.ModelParams(max_depth=6, eta=0.1, rounds=100, min_child_weight=1.0, seeds=1, pairs=0)
    m = model.fit(s.x[fold.fit], y[fold.fit], None, s.names, deep, 0)
    flawed = fit_calibrator(m.score(s.x[fold.fit]), y[fold.fit])
    honest = fit_calibrator(m.score(s.x[fold.calibrate]), y[fold.calibrate])
    for c, fine in ((flawed, False), (honest, True)):
        p = c.apply(m.score(s.x[fold.test]))
        error, null = metrics.ece(p, y[fold.test]), metrics.null_ece(p)
        assert error <= null if fine else error > 4 * null


@pytest.mark.covers("I5")
def test_a_score_that_points_the_wrong_way_gives_everybody_the_base_rate() -> None:
    raw, y, _ = claims(500, 3, slope=-1.0)
    c = fit_calibrator(raw, y)
    assert c.a == 0.0
    assert c.apply(raw) == pytest.approx(y.mean(), abs=0.01)
    assert np.all(c.lower(raw) < c.apply(raw)) and c.lower(raw).min() > y.mean() - 0.06


def test_scores_without_any_spread_are_calibrated_to_the_base_rate() -> None:
    y = np.tile([0.0, 1.0, 1.0], 100)
    c = fit_calibrator(np.full(300, 0.5), y)
    assert c.apply(np.array([0.1, 0.9])) == pytest.approx([2 / 3, 2 / 3], abs=0.01)


def test_expected_r_scores_become_probabilities_through_the_identity() -> None:
    rng = np.random.default_rng(4)
    score = rng.normal(-0.1, 0.2, 3000)
    y = (rng.random(3000) < expit(3.0 * score)) * 1.0
    c = fit_calibrator(score, y, link=IDENTITY)
    assert (c.kind, c.link) == (SIGMOID, IDENTITY)
    assert c.a == pytest.approx(3.0, abs=0.7)


def test_isotonic_is_taken_only_when_large_and_only_when_it_wins_later() -> None:
    rng = np.random.default_rng(5)
    z = rng.normal(0, 1, 6000)
    steps = (rng.random(6000) < np.where(np.abs(z) > 1, np.where(z > 0, 0.8, 0.2), 0.5)) * 1.0
    smooth = (rng.random(6000) < expit(0.4 * z)) * 1.0
    assert fit_calibrator(expit(z), steps).kind == ISOTONIC
    assert fit_calibrator(expit(z[:1900]), steps[:1900]).kind == SIGMOID
    assert fit_calibrator(expit(z), smooth).kind == SIGMOID


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1), st.integers(1, 3)), min_size=1, max_size=20))
def test_isotonic_equals_the_min_max_formula(rows: list[tuple[int, int, int]]) -> None:
    z, y, w = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    knots, values = calibration.isotonic(z, y, w)
    for score in np.unique(z):
        best = -math.inf
        for low in np.unique(z[z <= score]):
            means = [np.average(y[(z >= low) & (z <= high)], weights=w[(z >= low) & (z <= high)])
                     for high in np.unique(z[z >= score])]
            best = max(best, min(means))
        assert np.interp(score, knots, values) == pytest.approx(best, abs=1e-12)


@pytest.mark.covers("I5")
def test_the_lower_bound_holds_its_level_for_lone_trades() -> None:
    misses = []
    for seed in range(300):
        raw, y, _ = claims(250, seed)
        low = fit_calibrator(raw, y).lower(expit(np.array([-1.0, 0.2, 1.5])))
        misses.append(low > expit(0.5 * np.array([-1.0, 0.2, 1.5]) - 0.3))
    assert np.all(np.mean(misses, axis=0) < 0.085)  # nominal 5 %, its error 1.3 points
    assert np.all(np.mean(misses, axis=0) > 0.01)   # and it is no mere caution


@pytest.mark.covers("I5")
def test_weeks_that_hang_together_make_the_bound_lower_when_it_is_told_of_them() -> None:
    def weekly(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        week = rng.integers(0, 40, 600)
        z = rng.normal(0, 1, 600)
        return expit(z), (rng.random(600) < expit(0.3 * z + rng.normal(0, 1.0, 40)[week])) * 1.0, week
    misses = {True: 0, False: 0}
    for seed in range(200):
        raw, y, week = weekly(seed)
        for told in misses:
            t0 = JAN + week * 7 * DAY if told else None
            misses[told] += bool(fit_calibrator(raw, y, t0=t0).lower(np.array([0.5]))[0] > 0.5)
    assert misses[True] / 200 < 0.10 < 0.15 < misses[False] / 200


def test_the_isotonic_bound_lies_below_the_curve() -> None:
    rng = np.random.default_rng(8)
    z = rng.normal(0, 1, 2500)
    y = (rng.random(2500) < np.where(np.abs(z) > 1, np.where(z > 0, 0.8, 0.2), 0.5)) * 1.0
    c = fit_calibrator(expit(z), y, isotonic_from=1000)
    raw = expit(np.linspace(-3, 3, 50))
    assert c.kind == ISOTONIC
    assert np.all(c.lower(raw) <= c.apply(raw)) and np.all(np.diff(c.apply(raw)) >= 0)
    assert 0.02 < (c.apply(raw) - c.lower(raw)).mean() < 0.15


@pytest.mark.parametrize("kind", [SIGMOID, ISOTONIC])
def test_the_file_gives_the_same_bits_back(kind: str) -> None:
    rng = np.random.default_rng(9)
    z = rng.normal(0, 1, 2500)
    y = (rng.random(2500) < np.where(np.abs(z) > 1, np.where(z > 0, 0.8, 0.2), 0.5)) * 1.0
    c = fit_calibrator(expit(z), y, isotonic_from=1000 if kind == ISOTONIC else 10**6)
    again = Calibrator.from_dict(json.loads(json.dumps(c.to_dict(), allow_nan=False)))
    assert c.kind == kind and again == c
    np.testing.assert_array_equal(again.apply(expit(z)), c.apply(expit(z)))
    np.testing.assert_array_equal(again.lower(expit(z)), c.lower(expit(z)))


@pytest.mark.parametrize("change", [
    {"kind": "magic"}, {"link": "probit"}, {"a": float("nan")}, {"a": -1.0}, {"cov": [1.0, 2.0]}, {"n": "many"},
    {"kind": ISOTONIC}, {"kind": ISOTONIC, "knots": [0.0, 1.0], "values": [0.4], "lows": [0.1, 0.2]},
    {"kind": ISOTONIC, "knots": [0.0, 1.0], "values": [0.6, 0.4], "lows": [0.1, 0.2]},
    {"kind": ISOTONIC, "knots": [0.0, 1.0], "values": [0.4, 1.4], "lows": [0.1, 0.2]}, {"values": None},
])
def test_a_file_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    raw, y, _ = claims(200, 10)
    with pytest.raises(ArtifactError, match="calibrate again"):
        Calibrator.from_dict(fit_calibrator(raw, y).to_dict() | change)
    with pytest.raises(ArtifactError):
        Calibrator.from_dict({})


@pytest.mark.parametrize(("n", "y", "says"), [(20, None, "too few"), (200, 0.0, "one class"), (200, 0.5, "0 or 1")])
def test_what_cannot_be_calibrated_is_refused(n: int, y: float | None, says: str) -> None:
    raw, wins, _ = claims(n, 11)
    with pytest.raises(DataError, match=says):
        fit_calibrator(raw, wins if y is None else np.full(n, y))
    with pytest.raises(DataError, match="finite"):
        fit_calibrator(np.where(np.arange(200) == 5, np.nan, claims(200, 1)[0]), claims(200, 1)[1])
