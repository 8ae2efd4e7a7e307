"""Figures against hand counts and slow twins, intervals against simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.meta import metrics
from core.trades.performance import WEEK
from tests.meta.makers import JAN

rows = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(rows)
def test_auc_is_the_share_of_pairs_ranked_rightly(pairs: list[tuple[int, bool]]) -> None:
    score, y = (np.array(c) for c in zip(*pairs, strict=True))
    won, lost = score[y], score[~y]
    if not len(won) or not len(lost):
        assert math.isnan(metrics.auc(score, y))
        return
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a in won for b in lost]
    assert metrics.auc(score, y) == pytest.approx(np.mean(wins))


def test_proper_scores_by_hand() -> None:
    p, y = np.array([0.8, 0.4, 0.5]), np.array([1.0, 0.0, 1.0])
    assert metrics.brier(p, y) == pytest.approx((0.04 + 0.16 + 0.25) / 3)
    assert metrics.log_loss(p, y) == pytest.approx(-(math.log(0.8) + math.log(0.6) + math.log(0.5)) / 3)
    assert metrics.brier_skill(p, y, 0.5) == pytest.approx(1 - 0.15 / 0.25)
    assert metrics.brier_gains(p, y, 0.5).mean() == pytest.approx(0.25 - 0.15)
    assert metrics.log_loss(np.array([0.0]), np.array([1.0])) == pytest.approx(-math.log(1e-12))


def test_nothing_gives_nan_and_nan_never_beats_a_bar() -> None:
    none = np.empty(0)
    for value in (metrics.brier(none, none), metrics.log_loss(none, none), metrics.ece(none, none),
                  metrics.null_ece(none), metrics.brier_skill(np.ones(2), np.ones(2), 1.0)):
        assert math.isnan(value) and not value > 0 and not value <= 1
    assert metrics.reliability(none, none) == [] and metrics.coverage_curve(none, none, none) == []


def test_bins_hold_equal_counts_and_equal_claims_share_one() -> None:
    assert np.bincount(metrics.equal_bins(np.linspace(0, 1, 100))).tolist() == [10] * 10
    assert metrics.equal_bins(np.full(50, 0.3)).tolist() == [0] * 50
    tied = metrics.equal_bins(np.array([0.1] * 30 + [0.2] * 30 + [0.9] * 40))
    assert len(set(tied[:30])) == len(set(tied[30:60])) == len(set(tied[60:])) == 1


@pytest.mark.covers("I5")
def test_ece_is_above_its_null_only_when_the_claims_are_wrong() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.3, 0.7, 4000)
    true, off = rng.random(4000) < p, rng.random(4000) < p - 0.05
    null = metrics.null_ece(p)
    assert metrics.ece(p, true) <= null < metrics.ece(p, off)
    assert 0.01 < null < 0.03  # never zero: at this n even perfect claims miss by a point or two
    assert metrics.null_ece(p) == null  # seeded


def test_the_null_falls_with_the_root_of_n() -> None:
    p = np.random.default_rng(1).uniform(0.3, 0.7, 8000)
    assert metrics.null_ece(p[:500]) / metrics.null_ece(p) == pytest.approx(4.0, rel=0.2)


@pytest.mark.covers("I5")
def test_the_reliability_curve_carries_counts_and_intervals() -> None:
    rng = np.random.default_rng(2)
    p = rng.uniform(0.2, 0.8, 3000)
    y = (rng.random(3000) < p) * 1.0
    curve = metrics.reliability(p, y)
    assert sum(b.n for b in curve) == 3000 and len(curve) == 10
    assert all(b.low < b.observed < b.high for b in curve)
    assert sum(b.low <= b.claimed <= b.high for b in curve) >= 8
    assert metrics.ece(p, y) == pytest.approx(sum(b.n * abs(b.observed - b.claimed) for b in curve) / 3000)


def test_the_coverage_curve_takes_the_best_and_ties_with_the_last() -> None:
    score = np.array([0.9, 0.8, 0.8, 0.1])
    win, r = np.array([1.0, 0.0, 1.0, 0.0]), np.array([2.0, -1.0, 1.0, -1.0])
    half, whole = metrics.coverage_curve(score, win, r, shares=(0.5, 1.0))
    assert (half.n, half.coverage, half.threshold, half.win_rate) == (3, 0.75, 0.8, pytest.approx(2 / 3))
    assert (whole.n, whole.mean) == (4, 0.25)


@pytest.mark.covers("I5")
def test_a_win_rate_is_set_by_geometry() -> None:
    rates = metrics.fair_rate(np.array([0.75, 1.0, np.nan]))
    assert rates[:2] == pytest.approx([0.5714, 0.5], abs=1e-4) and math.isnan(rates[2])
    assert metrics.fair_rate(np.array([1.0]), 0.10) == pytest.approx([0.55])


def weekly(rng: np.random.Generator, weeks: int, trailed: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Results of trades that share their week's fortune, with their decisions and the true mean."""
    week = rng.integers(0, weeks, weeks * 4)
    luck = rng.normal(0, 0.35, weeks)[week]
    if trailed:
        r = np.where(rng.random(len(week)) < 0.39, rng.exponential(1.9, len(week)), -1.0) + luck
        return r, JAN + week * WEEK, 0.39 * 1.9 - 0.61
    return np.where(rng.random(len(week)) < 0.5 + 0.35 * luck, 1.0, -1.0), JAN + week * WEEK, 0.0


@pytest.mark.covers("I5")
@pytest.mark.parametrize("trailed", [False, True])
def test_the_block_bootstrap_holds_its_level_where_weeks_hang_together(trailed: bool) -> None:
    rng, low, high, plain = np.random.default_rng(3), 0, 0, 0
    for _ in range(300):
        values, t0, true = weekly(rng, 26, trailed)
        found = metrics.block_bootstrap_mean(values, t0, reps=400)
        low, high = low + (found.low > true), high + (found.high < true)
        plain += abs(values.mean() - true) > 1.96 * values.std() / math.sqrt(len(values))
    assert low / 300 <= 0.05 and high / 300 <= 0.06  # nominal 2.5 % each, noise 0.9 points
    assert plain > low + high


def test_the_interval_is_seeded_narrows_with_the_level_and_is_silent_below_five_blocks() -> None:
    values, t0, _ = weekly(np.random.default_rng(4), 40, True)
    wide, again = (metrics.block_bootstrap_mean(values, t0, seed=1) for _ in range(2))
    narrow = metrics.block_bootstrap_mean(values, t0, seed=1, level=0.8)
    assert wide == again and wide.low < narrow.low < narrow.mean < narrow.high < wide.high
    few = metrics.block_bootstrap_mean(np.ones(8), JAN + np.arange(8) // 2 * WEEK)
    assert few.mean == 1.0 and math.isnan(few.low) and not few.low > 0
    assert math.isnan(metrics.block_bootstrap_mean(np.empty(0), np.empty(0, np.int64)).mean)
    assert metrics.block_bootstrap_mean(np.full(60, 0.5), JAN + np.arange(60) * WEEK) == (0.5, 0.5, 0.5)
    with pytest.raises(DataError):
        metrics.block_bootstrap_mean(np.array([np.nan]), np.array([JAN]))


def test_draws_without_any_spread_give_no_interval_rather_than_one_of_millions() -> None:
    weeks, calm = JAN + np.arange(60) * WEEK, np.zeros(60)
    one = np.where(np.arange(60) == 30, -1.0, calm)  # a third of the draws miss the one week with a trade
    found = metrics.block_bootstrap_mean(one, weeks)
    assert found.mean == pytest.approx(-1 / 60) and math.isnan(found.low) and math.isnan(found.high)
    assert not found.low > 0.0 and not found.high < 0.0, "nothing is claimed of it"
    some = np.where(np.arange(60) % 6 == 0, np.linspace(-1.0, 0.5, 60), calm)
    found = metrics.block_bootstrap_mean(some, weeks)
    assert -0.3 < found.low < found.mean < found.high < 0.1, "ten such weeks are enough"


def test_block_sums_add_up_week_by_week() -> None:
    sums, counts = metrics.block_sums(np.array([1.0, 2.0, 4.0]), np.array([0, WEEK - 1, 3 * WEEK]))
    assert sums.tolist() == [3.0, 4.0] and counts.tolist() == [2.0, 1.0]
