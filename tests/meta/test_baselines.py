"""The plain rules a model must beat."""

import dataclasses
import json

import numpy as np
import pytest

from core.errors import ArtifactError, DataError
from core.meta import baselines, metrics
from core.meta.baselines import Baselines, expit, fit_baselines, fit_logistic, geometry_table, newton
from tests.meta.makers import candidates


def plans(n: int, seed: int) -> tuple[np.ndarray, ...]:
    """Plans of any reach on a fair coin: rr1, cost, stop, timeframe, outcome. No feature can know more."""
    rng = np.random.default_rng(seed)
    rr1 = rng.uniform(0.3, 3.0, n)
    return (rr1, rng.uniform(0.05, 0.2, n), rng.uniform(0.5, 2.0, n), rng.choice(["15m", "1h"], n),
            (rng.random(n) < 1.0 / (1.0 + rr1)) * 1.0)


def test_newton_stops_where_the_slope_is_zero() -> None:
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.normal(size=(500, 4)), np.ones(500)])
    y, w = (rng.random(500) < expit(table @ [1.0, -0.5, 0.0, 0.2, -0.3])) * 1.0, rng.uniform(0.5, 2.0, 500)
    beta = newton(table, y, w, np.full(5, 2.0))
    slope = table.T @ (w * (expit(table @ beta) - y)) + 2.0 * beta
    assert np.abs(slope).max() < 1e-4
    assert beta == pytest.approx([1.0, -0.5, 0.0, 0.2, -0.3], abs=0.4)


def test_separable_labels_converge_without_overflow() -> None:
    x = np.linspace(-1, 1, 100)[:, None]
    fitted = fit_logistic(x, (x[:, 0] > 0) * 1.0, np.ones(100), ["x"], ridge=1.0)
    p = fitted.predict(np.array([[-1e9], [0.0], [1e9]]))
    assert p[0] == pytest.approx(0.0) and p[1] == pytest.approx(0.5, abs=0.05) and p[2] == pytest.approx(1.0)


def test_unknown_values_count_as_the_median_and_flat_columns_as_nothing() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.normal(size=400), np.full(400, 7.0), np.full(400, np.nan)])
    x[::5, 0] = np.nan
    y = (rng.random(400) < expit(np.nan_to_num(x[:, 0]))) * 1.0
    fitted = fit_logistic(x, y, np.ones(400), ["a", "flat", "lost"])
    assert fitted.coef[1:] == (0.0, 0.0)
    row = np.array([[np.nan, 7.0, 1.0], [fitted.median[0], 9.0, np.nan]])
    assert fitted.predict(row)[0] == fitted.predict(row)[1]
    with pytest.raises(DataError, match="3 columns"):
        fitted.predict(row[:, :2])


@pytest.mark.covers("I5")
def test_geometry_alone_separates_on_a_fair_coin_and_breaks_even_at_its_own_rate() -> None:
    # What looks like skill (area .6) is arithmetic; a model is held against this, never against one half.
    rr1, cost, risk, tf, y = plans(6000, 2)
    table = geometry_table(rr1, cost, risk, tf, ("15m", "1h"))
    fitted = fit_logistic(table[:4000], y[:4000], np.ones(4000), [*baselines.GEOMETRY, "15m", "1h"])
    p = fitted.predict(table[4000:])
    assert metrics.auc(p, y[4000:]) > 0.58
    assert metrics.ece(p, y[4000:]) <= metrics.null_ece(p)
    assert np.abs(p - 1.0 / (1.0 + rr1[4000:])).mean() < 0.03


def test_geometry_takes_plans_without_targets_and_unknown_timeframes() -> None:
    table = geometry_table(np.array([np.nan, 1.0]), np.array([0.1, 0.1]), np.ones(2), np.array(["4h", "8h"]), ("4h",))
    assert table[:, 4].tolist() == [1.0, 0.0] and table[:, 5].tolist() == [1.0, 0.0]


def test_the_side_rule_learns_both_rates_and_leaves_the_unknown_at_the_base() -> None:
    rng = np.random.default_rng(3)
    side = rng.choice([-1.0, 1.0, np.nan], 9000)
    y = (rng.random(9000) < np.where(side > 0, 0.45, np.where(side < 0, 0.30, 0.38))) * 1.0
    rule = baselines.fit_side(side[:, None], y, np.ones(9000), 0)
    assert (rule.aligned, rule.against, rule.unknown) == pytest.approx((0.45, 0.30, 0.377), abs=0.02)
    seen = np.array([[1.0], [-1.0], [np.nan], [0.0]])
    assert rule.predict(seen).tolist() == [rule.aligned, rule.against, rule.unknown, rule.unknown]
    assert rule.passes(seen).tolist() == [True, False, False, False]


@pytest.mark.covers("I5")
def test_all_baselines_are_fitted_and_come_back_from_their_file_to_the_bit() -> None:
    s, _ = candidates(2000, 4, "linear")
    s = dataclasses.replace(s, names=(*s.names[:-1], "ema200_side"))
    found = fit_baselines(s)
    plan = geometry_table(s.rr1, s.cost_r, s.risk_pct, s.timeframe, found.timeframes())
    p = found.predict(s.x, plan)
    assert list(p) == ["base_rate", "geometry", "ridge", "ema200"]
    assert metrics.auc(p["ridge"], s.win) > 0.6 > metrics.auc(p["geometry"], s.win)
    assert np.all(p["base_rate"] == p["base_rate"][0])
    again = Baselines.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again == found
    for name, values in again.predict(s.x, plan).items():
        np.testing.assert_array_equal(values, p[name])


def test_a_table_without_the_side_has_no_side_rule_and_no_rows_are_refused() -> None:
    s, _ = candidates(300, 5, k=6)
    assert fit_baselines(s).side is None
    with pytest.raises(DataError, match="no rows"):
        fit_baselines(s.take(np.array([], np.int64)))
    for broken in ({}, fit_baselines(s).to_dict() | {"ridge": {"names": ["a"]}}):
        with pytest.raises(ArtifactError):
            Baselines.from_dict(broken)


def test_one_class_gives_rates_off_zero_and_one() -> None:
    assert 0.9 < baselines.base_rate(np.ones(50), np.ones(50)).p < 1.0
    assert baselines.base_rate(np.zeros(0), np.zeros(0)).p == 0.5
