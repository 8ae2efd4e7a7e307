"""Drift is seen when it is there, and not when only the sample is small."""

import numpy as np
import pytest

from core.errors import DataError
from core.meta import drift
from core.meta.drift import Action, FeatureDrift, Gap

NAMES = tuple(f"f{j}" for j in range(35))


@pytest.mark.covers("I5")
def test_without_drift_the_bound_that_knows_n_is_not_passed_where_the_plain_convention_is() -> None:
    rng = np.random.default_rng(0)
    plain = aware = 0
    for _ in range(400):
        value, bins = drift.psi(rng.normal(size=1500), rng.normal(size=80))
        plain, aware = plain + (value > drift.WARN_PSI), aware + (value > drift.psi_limit(0.0, bins, 1500, 80))
    assert plain / 400 > 0.4   # "drift" in half of all quiet weeks
    assert aware / 400 < 0.02


def test_psi_of_no_drift_is_about_its_own_noise() -> None:
    rng = np.random.default_rng(1)
    values = [drift.psi(rng.normal(size=2000), rng.normal(size=500))[0] for _ in range(200)]
    assert np.mean(values) == pytest.approx(9 * (1 / 2000 + 1 / 500), rel=0.1)


def test_psi_by_hand_with_unknown_values_as_a_bin() -> None:
    reference = np.array([1.0, 1.0, 2.0, 2.0])
    assert drift.psi(reference, reference) == (0.0, 2)
    value, bins = drift.psi(reference, np.array([1.0, 1.0, 1.0, np.nan]))
    a, b = (np.array([2, 2, 0]) + 0.5) / 5.5, (np.array([3, 0, 1]) + 0.5) / 5.5
    assert (value, bins) == (pytest.approx(((b - a) * np.log(b / a)).sum()), 3)
    assert drift.psi(np.full(5, np.nan), np.full(5, np.nan)) == (0.0, 1)
    with pytest.raises(DataError):
        drift.psi(reference, np.empty(0))


def test_ks_agrees_with_the_library() -> None:
    special = pytest.importorskip("scipy.special")
    rng = np.random.default_rng(2)
    for shift in (0.0, 0.1, 0.5):
        a, b = np.round(rng.normal(size=900), 1), np.round(rng.normal(shift, 1.0, 400), 1)
        distance, p = drift.ks(np.append(a, np.nan), b)
        assert distance == pytest.approx(max(abs((a <= t).mean() - (b <= t).mean()) for t in np.append(a, b)))
        assert p == pytest.approx(special.kolmogorov(distance * np.sqrt(900 * 400 / 1300)), abs=1e-12)
    assert drift.ks(np.array([np.nan]), a) == (0.0, 1.0)


def test_the_false_discovery_rate_is_that_of_the_textbook() -> None:
    # The worked example of Benjamini and Hochberg 1995, section 3.2: four of fifteen fall at 5 %.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
         0.7590, 1.0]
    order = np.random.default_rng(3).permutation(15)
    fallen = drift.benjamini_hochberg([p[i] for i in order], 0.05)
    assert sorted(p[i] for i, f in zip(order, fallen, strict=True) if f) == p[:4]
    assert drift.benjamini_hochberg([]) == []


def test_a_quiet_market_is_ok_and_a_moved_feature_is_named() -> None:
    rng = np.random.default_rng(4)
    reference, quiet = rng.normal(size=(3000, 35)), rng.normal(size=(400, 35))
    assert drift.judge(drift.features(reference, quiet, NAMES), None) == (Action.OK, (), 0.0, False)
    moved = quiet.copy()
    moved[:, 7] += 1.0
    found = drift.judge(drift.features(reference, moved, NAMES), None)
    assert found.action == Action.WARN and "f7 PSI" in found.reasons[0] and found.retrain


def test_false_alarms_over_many_quiet_weeks_are_rare() -> None:
    rng = np.random.default_rng(5)
    reference = rng.normal(size=(3000, 35))
    alarms = [drift.judge(drift.features(reference, rng.normal(size=(150, 35)), NAMES), None) for _ in range(20)]
    assert sum(a.action > Action.OK for a in alarms) <= 1


def test_the_ladder_rises_with_the_share_of_features_that_moved_far() -> None:
    rng = np.random.default_rng(6)
    reference = rng.normal(size=(3000, 35))
    found = []
    for count in (0, 3, 10, 20):
        current = rng.normal(size=(500, 35))
        current[:, :count] += 1.5
        found.append(drift.judge(drift.features(reference, current, NAMES), None).action)
    assert found == [Action.OK, Action.WARN, Action.RAISE_THRESHOLD, Action.OBSERVE_ONLY]


def test_dependent_rows_widen_the_bounds() -> None:
    rng = np.random.default_rng(7)
    tables = rng.normal(size=(1000, 1)), rng.normal(size=(300, 1))
    alone, clumped = (drift.features(*tables, ["f"], independent=share)[0] for share in (1.0, 0.25))
    assert clumped.warn_limit > alone.warn_limit and clumped.p >= alone.p and clumped.psi == alone.psi
    with pytest.raises(DataError, match="do not fit"):
        drift.features(*tables, ["f", "g"])


@pytest.mark.covers("I5")
def test_five_points_of_overclaim_are_found_while_the_ranking_stays_fine() -> None:
    rng = np.random.default_rng(8)
    p = rng.uniform(0.4, 0.7, 3000)
    fine, over = rng.random(3000) < p, rng.random(3000) < p - 0.09
    assert drift.judge([], drift.calibration_gap(p, fine, 3000)).action == Action.OK
    found = drift.judge([], drift.calibration_gap(p, over, 3000))
    assert found.action == Action.OBSERVE_ONLY and "won, claimed were" in found.reasons[0] and found.retrain


def test_the_gap_looks_at_the_last_trades_only() -> None:
    p, won = np.full(500, 0.5), np.append(np.zeros(300), np.tile([0.0, 1.0], 100))
    gap = drift.calibration_gap(p, won, 200)
    assert gap is not None and (gap.n, gap.observed, gap.gap, gap.z) == (200, 0.5, 0.0, 0.0)
    assert drift.calibration_gap(p[:0], won[:0]) is None


@pytest.mark.parametrize(("gap", "action", "raised"), [
    (Gap(200, 0.55, 0.51, -0.04, -2.2), Action.RAISE_THRESHOLD, 0.04),
    (Gap(200, 0.55, 0.30, -0.25, -2.5), Action.RAISE_THRESHOLD, 0.10),
    (Gap(200, 0.55, 0.45, -0.10, -3.1), Action.OBSERVE_ONLY, 0.0),
    (Gap(200, 0.55, 0.65, 0.10, 3.1), Action.WARN, 0.0),       # too modest costs chances, no money
    (Gap(5000, 0.55, 0.54, -0.01, -3.1), Action.WARN, 0.0),    # sure but small
    (Gap(30, 0.55, 0.10, -0.45, -3.9), Action.OK, 0.0),        # too few to say
    (None, Action.OK, 0.0),
])
def test_the_rung_follows_from_size_and_certainty(gap: Gap | None, action: Action, raised: float) -> None:
    found = drift.judge([], gap)
    assert (found.action, found.raise_by) == (action, pytest.approx(raised))
    assert found.retrain == (action >= Action.RAISE_THRESHOLD)


def test_a_raise_names_every_reason() -> None:
    far = [FeatureDrift("rsi", 0.9, 0.12, 0.28, 0.5, 0.0, True), FeatureDrift("adx", 0.01, 0.12, 0.28, 0.0, 1.0, False)]
    found = drift.judge(far, Gap(200, 0.55, 0.51, -0.04, -2.2))
    assert found.action == Action.OBSERVE_ONLY and len(found.reasons) == 2
