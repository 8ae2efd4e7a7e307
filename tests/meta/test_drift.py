"""Drift is seen when it is there, and not when only the sample is small."""

import numpy as np
import pytest

from core.candles import Floats, Ints
from core.errors import DataError
from core.meta import drift, ladder
from core.meta.drift import WEEK, FeatureDrift, Gap
from core.meta.ladder import Action, Finding, Rung
from core.timeframe import DAY

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


def test_a_quiet_market_is_ok_and_a_broken_feature_is_named() -> None:
    rng = np.random.default_rng(4)
    reference, quiet = rng.normal(size=(3000, 35)), rng.normal(size=(400, 35))
    assert ladder.judge(drift.features(reference, quiet, NAMES), []) == ladder.NOTHING
    moved = quiet.copy()
    moved[:, 7] += 1.0
    assert [d.name for d in drift.features(reference, moved, NAMES) if d.acts] == ["f7"]
    assert ladder.judge(drift.features(reference, moved, NAMES), []).action == Action.OK, "markets wander"
    moved[:, 7] *= 100.0  # its source has changed its unit
    found = ladder.judge(drift.features(reference, moved, NAMES), [])
    assert found.action == Action.WARN and "f7 PSI" in found.reasons[0] and found.retrain


def test_the_ladder_rises_with_the_share_of_features_that_moved_far() -> None:
    rng = np.random.default_rng(6)
    reference = rng.normal(size=(3000, 35))
    found = []
    for count in (0, 3, 5, 10, 20):
        current = rng.normal(size=(500, 35))
        current[:, :count] += 1.5
        found.append(ladder.judge(drift.features(reference, current, NAMES), []).action)
    assert found == [Action.OK, Action.WARN, Action.WARN, Action.RAISE_THRESHOLD, Action.OBSERVE_ONLY]


def slow(rng: np.random.Generator, days: int, memory: float) -> Floats:
    """A stationary daily value of unit variance that forgets within `memory` days."""
    keep = np.exp(-1.0 / memory)
    out = rng.normal(size=days)
    for i in range(1, days):
        out[i] = keep * out[i - 1] + np.sqrt(1.0 - keep * keep) * out[i]
    return out


def market(seed: int, shift: float = 0.0) -> tuple[Floats, Floats, Ints]:
    """A year and four weeks of plans, twenty a day: twelve features, half of them slow; the stretch of each row."""
    rng, days = np.random.default_rng(seed), 365 + 28
    day = np.repeat(np.arange(days), 20)
    x = rng.normal(size=(len(day), 12))
    for j, memory in enumerate((2, 5, 10, 20, 40, 60)):
        x[:, j] = 0.8 * slow(rng, days, memory)[day] + 0.6 * x[:, j]
    x[day >= 365, 6:10] += shift
    return x[day < 365], x[day >= 365], (364 - day[day < 365]) // 28


@pytest.mark.covers("I5")
def test_slow_features_of_a_hundred_stable_markets_ring_never_and_a_shift_always_does() -> None:
    names = NAMES[:12]
    plain = aware = 0
    for seed in range(100):
        before, now, stretch = market(seed)
        if seed < 20:
            plain += ladder.judge(drift.features(before, now, names), []).action > Action.OK
        aware += ladder.judge(drift.features(before, now, names, independent=0.1, stretch=stretch), []).action > 0
    assert plain > 8 and aware <= 1, "a bound that takes rows for independent rings on every wandering market"
    for seed in range(10):
        before, now, stretch = market(seed, shift=1.5)
        found = ladder.judge(drift.features(before, now, names, independent=0.1, stretch=stretch), [])
        assert found.action >= Action.RAISE_THRESHOLD


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
    assert ladder.judge([], [drift.calibration_gap(p, fine, 3000)]).action == Action.OK  # type: ignore[list-item]
    found = ladder.judge([], [drift.calibration_gap(p, over, 3000)])  # type: ignore[list-item]
    assert found.action == Action.OBSERVE_ONLY and "won, claimed were" in found.reasons[0] and found.retrain


def outcomes(seed: int, off: float = 0.0, top_off: float = 0.0, days: int = 182, a_day: int = 40
             ) -> tuple[Floats, Floats, Ints]:
    """Claims and outcomes of a stream, which hang together within a day; off: how much claims are too high from
    half of it on, top_off: those of the upper half."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), a_day)
    p = np.clip(rng.normal(0.45, 0.08, len(day)), 0.1, 0.9)
    true = p + rng.normal(0.0, 0.06, days)[day] - (day >= days // 2) * (off + top_off * (p > 0.45))
    return p, (rng.random(len(day)) < np.clip(true, 0.0, 1.0)).astype(np.float64), day * DAY


def looks(p: Floats, win: Floats, t0: Ints, own: Floats | None = None) -> list[Action]:
    """The rung after each weekly look, from the third on."""
    early = t0 < t0[-1] // 2  # the training time
    design, at, found = drift.design_effect(win[early], t0[early]), Rung(), []
    for now in range(3 * WEEK, int(t0[-1]) + DAY, WEEK):
        known = t0 < now
        gaps = drift.rolling_gaps(p[known], win[known], t0[known], now, design, None if own is None else own[known])
        at = ladder.climb(at, ladder.judge([], gaps))
        found.append(at.action)
    return found


@pytest.mark.covers("I5")
def test_of_a_hundred_and_fifty_stable_streams_hardly_one_rings_in_half_a_year_of_weekly_looks() -> None:
    worst = [max(looks(*outcomes(seed))) for seed in range(150)]
    assert sum(a >= Action.RAISE_THRESHOLD for a in worst) == 0
    assert sum(a > Action.OK for a in worst) <= 3


@pytest.mark.covers("I5")
@pytest.mark.parametrize(("off", "top_off"), [(0.12, 0.0), (0.0, 0.25)])
def test_planted_flaw_a_stream_that_claims_too_much_climbs_to_the_top(off: float, top_off: float) -> None:
    for seed in range(10):
        found = looks(*outcomes(seed, off, top_off))
        assert max(found[:10]) == Action.OK and found[-1] == Action.OBSERVE_ONLY and found == sorted(found)


def test_what_the_calibrator_itself_may_be_off_by_is_no_drift() -> None:
    p, win, t0 = outcomes(3, off=0.08)
    assert max(looks(p, win, t0, np.full(len(p), 0.05))) == Action.OK


def test_highest_claims_are_looked_at_by_themselves_where_there_are_any() -> None:
    p, win, t0 = outcomes(4)
    now = int(t0[-1]) + DAY
    assert {g.what for g in drift.rolling_gaps(p, win, t0, now)} == {drift.ALL_PLANS, drift.TOP_PLANS}
    assert {g.what for g in drift.rolling_gaps(np.full(len(p), 0.4), win, t0, now)} == {drift.ALL_PLANS}
    assert len(drift.rolling_gaps(p[-300:], win[-300:], t0[-300:], now)) == 1, "every window holds the same 300"
    assert drift.rolling_gaps(p[:199], win[:199], t0[:199], now) == []


def test_clumps_widen_the_errors_by_what_they_are_in_this_market() -> None:
    rng = np.random.default_rng(9)
    t0 = np.arange(3000) * (DAY // 10)
    assert drift.design_effect((rng.random(3000) < 0.4).astype(float), t0) == drift.DESIGN
    weekly = np.repeat(rng.random(60) < 0.4, 70)[:3000].astype(float)  # all of a week win or lose together
    assert drift.design_effect(weekly, t0) > 20.0
    assert drift.design_effect(np.ones(50), t0[:50]) == drift.design_effect(np.empty(0), t0[:0]) == drift.DESIGN


def test_the_gap_looks_at_the_last_trades_only() -> None:
    p, won = np.full(500, 0.5), np.append(np.zeros(300), np.tile([0.0, 1.0], 100))
    gap = drift.calibration_gap(p, won, 200)
    assert gap is not None and (gap.n, gap.observed, gap.gap, gap.z) == (200, 0.5, 0.0, 0.0)
    assert drift.calibration_gap(p[:0], won[:0]) is None


@pytest.mark.parametrize(("gap", "action", "raised"), [
    (Gap(200, 0.55, 0.51, -0.04, -4.2), Action.RAISE_THRESHOLD, 0.04),
    (Gap(200, 0.55, 0.30, -0.25, -4.5), Action.RAISE_THRESHOLD, 0.10),
    (Gap(200, 0.55, 0.45, -0.10, -5.1), Action.OBSERVE_ONLY, 0.10),
    (Gap(200, 0.55, 0.65, 0.10, 5.1), Action.WARN, 0.0),       # too modest costs chances, no money
    (Gap(5000, 0.55, 0.54, -0.01, -5.1), Action.WARN, 0.0),    # sure but small
    (Gap(5000, 0.55, 0.52, -0.03, -3.4), Action.OK, 0.0),      # looked at often enough, chance gives this
    (Gap(30, 0.55, 0.10, -0.45, -5.9), Action.OK, 0.0),        # too few to say
    (None, Action.OK, 0.0),
])
def test_the_rung_follows_from_size_and_certainty(gap: Gap | None, action: Action, raised: float) -> None:
    found = ladder.judge([], [] if gap is None else [gap])
    assert (found.action, found.raise_by) == (action, pytest.approx(raised))
    assert found.retrain == (action >= Action.RAISE_THRESHOLD)


def test_a_finding_names_every_reason_and_of_many_windows_the_gravest() -> None:
    far = [FeatureDrift("rsi", 0.9, 0.12, 0.28, 0.5, 0.0, True), FeatureDrift("adx", 0.01, 0.12, 0.28, 0.0, 1.0, False)]
    gaps = [Gap(200, 0.55, 0.51, -0.04, -4.2), Gap(900, 0.55, 0.53, -0.02, -4.9), Gap(300, 0.55, 0.56, 0.01, 0.4)]
    found = ladder.judge(far, gaps)
    assert found.action == Action.OBSERVE_ONLY and len(found.reasons) == 2
    assert "2 features moved far" in found.reasons[0] and "the last 200" in found.reasons[1]


def asked(action: Action, by: float = 0.0) -> Finding:
    return Finding(action, (), by, False)


def test_the_ladder_goes_up_at_once_and_down_after_three_calm_looks_to_what_they_asked_for() -> None:
    ok, warn, high, observe = (asked(a) for a in Action)
    at, levels = Rung(), []
    for found in (warn, observe, high, warn, ok, ok, ok, high, ok, ok, warn, ok, ok, ok, ok):
        at = ladder.climb(at, found)
        levels.append(int(at.action))
    #          up    up  calm: 1, 2, 3 -> the gravest asked for, then to nothing ...
    assert levels == [1, 3, 3, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 0, 0]


def test_a_threshold_is_raised_by_whole_points_and_small_steps_are_not_told() -> None:
    at = ladder.climb(Rung(), asked(Action.RAISE_THRESHOLD, 0.0412))
    assert at == Rung(Action.RAISE_THRESHOLD, 0.04)
    assert ladder.climb(at, asked(Action.RAISE_THRESHOLD, 0.052)).by == 0.04
    assert ladder.climb(at, asked(Action.RAISE_THRESHOLD, 0.071)).by == 0.07
    assert ladder.climb(at, asked(Action.OBSERVE_ONLY, 0.09)).by == 0.0
    assert ladder.climb(Rung(), asked(Action.RAISE_THRESHOLD)).by == ladder.LEAST
