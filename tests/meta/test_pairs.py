"""Interactions that no single feature shows: found when planted, not found in noise."""

import json
from dataclasses import replace

import numpy as np
import pytest

from core.errors import ArtifactError
from core.meta import pairs
from core.trades.performance import WEEK
from tests.meta.makers import JAN, candidates


def test_the_planted_pair_is_found_first_and_its_column_is_the_clipped_product() -> None:
    s, _ = candidates(3000, 1, "interaction")
    found = pairs.find(s.x, s.win * 1.0, None, 4)
    assert [(p.i, p.j) for p in found] == [(0, 1)] == [
        (p.i, p.j) for p in pairs.find(s.x, s.win * 1.0, None, 4, s.t0)]
    z = [np.clip((s.x[:, c] - np.median(s.x[:, c])) / s.x[:, c].std(), -3, 3) for c in (0, 1)]
    np.testing.assert_allclose(found[0].column(s.x), z[0] * z[1], rtol=1e-12)
    np.testing.assert_array_equal(pairs.extend(s.x, found)[:, -1], found[0].column(s.x))
    assert pairs.names(found, s.names) == ["f0*f1"]


def slow_score(u: np.ndarray, e: np.ndarray, i: int, j: int) -> float:
    """One pair, written out."""
    terms = e * u[:, i] * u[:, j]
    return float(terms.sum() / np.sqrt((terms**2).sum()))


def test_all_pairs_at_once_equal_one_by_one() -> None:
    rng = np.random.default_rng(2)
    u, e = rng.normal(size=(200, 6)), rng.normal(size=200)
    z = pairs._scores(u, e)
    assert [z[i, j] for i in range(6) for j in range(i)] == pytest.approx(
        [slow_score(u, e, i, j) for i in range(6) for j in range(i)])


def test_week_by_week_equals_the_sum_written_out() -> None:
    rng = np.random.default_rng(2)
    u, e, week = rng.normal(size=(300, 4)), rng.normal(size=300), rng.integers(0, 25, 300)
    z, alone = pairs._by_week(u, e, week), pairs._scores(u, e)
    for i, j in ((0, 1), (2, 3), (1, 3)):
        parts = np.array([(e * u[:, i] * u[:, j])[week == k].sum() for k in range(25)])
        grouped = parts.sum() / np.sqrt((parts**2).sum() * 25 / 24)
        assert z[i, j] == pytest.approx(min(grouped, alone[i, j], key=abs))
    np.testing.assert_array_equal(pairs._by_week(u, e, week % 5), alone)  # too few weeks to tell


@pytest.mark.covers("I5")
def test_noise_gives_no_pair_even_when_weeks_hang_together() -> None:
    found = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        week = rng.integers(0, 60, 4000)
        x = 0.7 * rng.normal(size=(60, 40))[week] + 0.7 * rng.normal(size=(4000, 40))
        r = np.where(rng.random(4000) < 0.45 + 0.1 * rng.normal(size=60)[week], 1.0, -1.0)
        found += len(pairs.find(x, r, None, 4))
        assert pairs.find(x, r, None, 4, JAN + week * WEEK) == ()
    assert found > 0  # rows taken one by one find the weeks' fortune


def test_unknown_flat_and_lost_columns_do_no_harm() -> None:
    s, _ = candidates(2000, 3, "interaction", 0.6)
    x = s.x.copy()
    x[:, 2], x[:, 3] = 7.0, np.nan
    x[::4, 0] = np.nan
    found = pairs.find(x, s.win * 1.0, np.full(2000, 0.5), 4)
    assert [(p.i, p.j) for p in found] == [(0, 1)]
    assert np.isnan(found[0].column(x)[::4]).all()
    assert pairs.find(x, s.win * 1.0, None, 0) == pairs.find(x[:1], s.win[:1] * 1.0, None, 4) == ()
    assert pairs.extend(x, ()) is x


def test_what_a_pair_moved_is_told_of_both_features() -> None:
    found = (pairs.Pair(0, 2, (0.0, 0.0), (1.0, 1.0)),)
    table = np.array([[1.0, 2.0, 3.0, 10.0, 0.5]])  # three features, one pair, the bias
    assert pairs.fold_back(table, found, 3).tolist() == [[6.0, 2.0, 8.0, 0.5]]


def test_the_card_gives_the_same_pairs_back_and_impossible_ones_are_refused() -> None:
    found = (pairs.Pair(0, 2, (0.1, 1 / 3), (1.0, 2.5)),)
    assert pairs.from_list(json.loads(json.dumps(pairs.to_list(found))), 3) == found
    for broken in (replace(found[0], j=3), replace(found[0], i=2), replace(found[0], scales=(0.0, 1.0)),
                   replace(found[0], centres=(float("nan"), 1.0))):
        with pytest.raises(ArtifactError):
            pairs.from_list(pairs.to_list((broken,)), 3)
