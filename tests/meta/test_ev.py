"""Expected value describes the trades that happen, not the plan on paper."""

import dataclasses

import numpy as np
import pytest

from core.errors import DataError
from core.meta import ev
from core.meta.ev import ALL, Payoffs
from core.meta.samples import Samples
from tests.meta.makers import candidates


def with_results(s: Samples, gross: np.ndarray, **more: np.ndarray) -> Samples:
    """The same candidates with other gross results in R, and other columns."""
    s = dataclasses.replace(s, **more)
    r = gross - s.cost_r
    return dataclasses.replace(s, r=r, pnl_pct=r * s.risk_pct, win=r > 0)


def fair_plans(n: int, seed: int) -> tuple[Samples, np.ndarray]:
    """Targets at any distance on a fair coin, with their true chances: every plan is worth minus its cost."""
    s, _ = candidates(n, seed, k=3)
    rng = np.random.default_rng(seed)
    rr1 = rng.uniform(0.4, 3.0, n)
    p = 1.0 / (1.0 + rr1)
    return with_results(s, np.where(rng.random(n) < p, rr1, -1.0), rr1=rr1, cost_r=rng.uniform(0.05, 0.2, n)), p


@pytest.mark.covers("D17")
def test_payoffs_are_those_of_the_real_exit_mix_not_of_the_full_target() -> None:
    # Target at 2 R: half is taken there, the other half comes back to break-even in 7 of 10 cases.
    s, _ = candidates(6000, 1, k=3)
    rng = np.random.default_rng(1)
    reached = rng.random(6000) < 0.40
    gross = np.where(reached, np.where(rng.random(6000) < 0.7, 1.0, 2.0), -1.0)
    s = with_results(s, gross, rr1=np.full(6000, 2.0))
    payoffs = ev.measure(s)["targets"][ALL]
    assert payoffs.win_r == pytest.approx(1.3 - 0.12, abs=0.02) and payoffs.loss_r == pytest.approx(1.12)
    planned = 0.4 * (2.0 - 0.12) - 0.6 * 1.12
    assert planned > 0.05  # the plan on paper earns ...
    assert payoffs.ev_r(0.4) == pytest.approx(s.r.mean(), abs=0.03)
    assert payoffs.ev_r(0.4) < -0.15  # ... the trades lose


@pytest.mark.covers("D17", "I5")
def test_near_targets_are_not_taken_for_profit_because_they_win_often() -> None:
    s, p = fair_plans(6000, 2)
    payoffs = ev.measure(s)["targets"]["1h"]
    one_size = payoffs.ev_r(p)
    own = payoffs.ev_r(p, s.rr1, s.cost_r)
    assert (one_size > ev.MARGIN_R).mean() > 0.2  # profit where there is none
    assert s.r[one_size > ev.MARGIN_R].mean() < -0.05
    assert (own > ev.MARGIN_R).mean() == 0.0
    assert own == pytest.approx(-s.cost_r, abs=0.10)


@pytest.mark.covers("D17")
def test_predicted_equals_realised_decile_by_decile() -> None:
    s, p = candidates(12000, 3, "linear", 0.8, k=3)
    table = ev.measure(s.take(np.arange(6000)))
    late = s.take(np.arange(6000, 12000))
    deciles = ev.by_decile(ev.expected_pct(table, late, p[6000:]), late.pnl_pct)
    assert sum(d.n for d in deciles) == 6000 and len(deciles) == 10
    assert all(abs(d.predicted - d.realised) < 3.5 * d.error for d in deciles)
    assert [d.predicted for d in deciles] == sorted(d.predicted for d in deciles)
    assert deciles[0].realised < -0.3 < 0.1 < deciles[-1].realised


def test_a_thin_timeframe_leans_on_its_family() -> None:
    s, _ = candidates(4000, 4, k=3)
    timeframe = np.where(np.arange(4000) < 40, "4h", "1h")
    gross = np.where(s.win, np.where(timeframe == "4h", 5.0, 1.0), -1.0)
    table = ev.measure(with_results(s, gross, timeframe=timeframe))["targets"]
    assert table["1h"].win_r == pytest.approx(0.88, abs=0.01)
    assert 0.88 < table["4h"].win_r < 2.0  # 20 wins of 4.88 among 100 of the family's
    assert table["4h"].n_win + table["4h"].n_loss == 40


def test_trailed_plans_have_payoffs_of_their_own_without_a_target() -> None:
    s, _ = candidates(3000, 5, k=3)
    rng = np.random.default_rng(5)
    rr1 = np.where(np.arange(3000) % 2 == 0, np.nan, 1.0)
    gross = np.where(np.isnan(rr1), np.where(rng.random(3000) < 0.39, 2.5, -1.0), np.where(s.win, 1.0, -1.0))
    table = ev.measure(with_results(s, gross, rr1=rr1))
    assert set(table) == {"targets", "trailed"}
    assert table["trailed"][ALL].win_r == pytest.approx(2.38) and table["trailed"][ALL].win_slope == 0.0
    assert table["trailed"][ALL].break_even == pytest.approx(1.12 / (1.12 + 2.38))
    assert table["trailed"][ALL].ev_r(0.4, np.nan, 0.12) == pytest.approx(0.4 * 2.38 - 0.6 * 1.12)


def test_a_family_without_wins_has_no_payoffs_and_its_ev_is_not_known() -> None:
    s, p = candidates(500, 6, k=3)
    lost = with_results(s, np.full(500, -1.0))
    assert ev.measure(lost) == {}
    assert np.isnan(ev.expected_pct(ev.measure(lost), lost, p)).all()
    assert ev.measure(s.take(np.array([], np.int64))) == {}


def test_percent_is_r_times_the_stop_distance_and_a_lower_p_a_lower_ev() -> None:
    payoffs = Payoffs(1.5, 1.1, 100, 100)
    assert payoffs.ev_pct(0.5, 2.0) == pytest.approx((0.75 - 0.55) * 2.0)
    assert np.all(np.diff(payoffs.ev_pct(np.linspace(0, 1, 5), 1.0)) > 0)
    assert payoffs.ev_r(payoffs.break_even) == pytest.approx(0.0)  # type: ignore[arg-type]


def test_a_dearer_plan_wins_less_and_loses_more() -> None:
    payoffs = Payoffs(1.5, 1.1, 100, 100, win_cost=0.1, loss_cost=0.1)
    assert payoffs.ev_r(0.5, None, 0.3) == pytest.approx(payoffs.ev_r(0.5) - 0.2)
    assert payoffs.ev_r(0.5, None, np.nan) == payoffs.ev_r(0.5)
    assert payoffs.of(cost_r=9.0)[0] == 0.0  # a win is no loss


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        Payoffs(float("nan"), 1.0, 1, 1)
    with pytest.raises(DataError):
        ev.by_decile(np.array([np.nan]), np.array([1.0]))
    assert ev.by_decile(np.empty(0), np.empty(0)) == []
    assert len(ev.by_decile(np.arange(3.0), np.arange(3.0))) == 3
