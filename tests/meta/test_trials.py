"""What luck among many trials looks like."""

import math
from itertools import combinations

import numpy as np
import pytest

from core.errors import DataError
from core.meta import trials


@pytest.mark.covers("I5")
def test_the_deflated_sharpe_ratio_gives_the_published_example() -> None:
    # Bailey and Lopez de Prado 2014, "A numerical example": annual 2.5 over 1,250 days of 250 a year, 100
    # trials with annual variance 1/2, skewness -3, kurtosis 10: 90.04 %; with 46 trials 95.05 %.
    found = trials.dsr(2.5 / math.sqrt(250), 1250, -3.0, 10.0, 100, 0.5 / 250)
    assert trials.expected_best(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)
    assert found == pytest.approx(0.9004, abs=5e-5)
    assert trials.dsr(2.5 / math.sqrt(250), 1250, -3.0, 10.0, 46, 0.5 / 250) == pytest.approx(0.9505, abs=5e-5)
    # and without skewness and fat tails 88 trials are allowed for the same confidence
    assert trials.dsr(2.5 / math.sqrt(250), 1250, 0.0, 3.0, 88, 0.5 / 250) == pytest.approx(0.9505, abs=5e-5)


def test_the_expected_best_is_what_the_best_of_many_coins_shows() -> None:
    rng = np.random.default_rng(0)
    for n in (10, 100, 1000):
        seen = rng.normal(0, 0.3, (2000, n)).max(axis=1).mean()
        assert trials.expected_best(n, 0.09) == pytest.approx(seen, rel=0.03)
    assert trials.expected_best(1, 0.5) == 0.0


def test_one_trial_is_deflated_by_nothing_and_the_benchmark_counts() -> None:
    assert trials.dsr(0.1, 500, 0.5, 4.0, 1, 0.2) == trials.psr(0.1, 500, 0.5, 4.0)
    assert trials.psr(0.0, 500, 0.0, 3.0) == 0.5
    assert trials.psr(0.1, 500, 0.0, 3.0, benchmark=0.1) == pytest.approx(0.5)


@pytest.mark.covers("D8", "I5")
def test_shopping_for_a_threshold_on_noise_looks_fine_until_the_trials_are_counted() -> None:
    # 12 thresholds on 30 worthless scores, chosen and scored on one window: the neighbours' way of tuning.
    lucky = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        r, grid = rng.choice([1.0, -1.0], 1500), []
        for _ in range(30):
            score = rng.random(1500)
            grid += [r[score > t] for t in np.linspace(0.05, 0.95, 12)]
        sharpes = np.array([trials.moments(g).sharpe for g in grid])
        best = trials.moments(grid[int(np.argmax(sharpes))])
        lucky += trials.psr(*best) > 0.95
        assert trials.dsr(*best, n_trials=len(grid), var_trials=float(sharpes.var(ddof=1))) < 0.95
    assert lucky >= 5


def test_copies_of_one_trial_count_as_one_and_strangers_as_many() -> None:
    rng = np.random.default_rng(1)
    one = rng.normal(size=(400, 1))
    assert trials.n_eff(np.repeat(one, 20, axis=1)) == pytest.approx(1.0, abs=1e-6)
    assert trials.n_eff(rng.normal(size=(400, 20))) > 18
    assert 6 < trials.n_eff(np.sqrt(0.6) * one + np.sqrt(0.4) * rng.normal(size=(400, 20))) < 11
    assert trials.n_eff(np.column_stack([one, np.zeros(400)])) == 1.0


def slow_pbo(matrix: np.ndarray, parts: int) -> tuple[float, float]:
    """The paper's steps in words: cut, choose the best on one half, look where it ranks on the other."""
    blocks = np.array_split(np.arange(len(matrix)), parts)
    low = lost = count = 0
    for chosen in combinations(range(parts), parts // 2):
        inside = np.concatenate([blocks[c] for c in chosen])
        out = np.setdiff1d(np.arange(len(matrix)), inside)
        sharpe_in, sharpe_out = (matrix[rows].mean(axis=0) / matrix[rows].std(axis=0) for rows in (inside, out))
        best = int(np.argmax(sharpe_in))
        below, ties = sum(sharpe_out < sharpe_out[best]), sum(sharpe_out == sharpe_out[best])
        low += (below + 0.5 * ties) / matrix.shape[1] <= 0.5
        lost += sharpe_out[best] < 0
        count += 1
    return low / count, lost / count


def test_overfitting_is_counted_as_the_paper_counts_it() -> None:
    matrix = np.random.default_rng(2).normal(0.02, 1.0, (83, 7))
    found = trials.pbo(matrix, 6)
    assert (found.pbo, found.p_oos_loss) == pytest.approx(slow_pbo(matrix, 6))
    assert found.splits == 20


@pytest.mark.covers("I5")
def test_pbo_alone_praises_configurations_that_all_lose() -> None:
    # Costs rank configurations perfectly: nothing is "overfit", everything loses. So the three go together.
    drag = np.random.default_rng(3).normal(0, 0.1, (160, 30)) - np.linspace(0.05, 0.30, 30)
    found = trials.pbo(drag, 8)
    assert found.pbo < 0.2 and found.p_oos_loss > 0.95 and found.share_positive == 0.0
    noise = [trials.pbo(np.random.default_rng(s).normal(size=(160, 30)), 8) for s in range(12)]
    assert np.mean([f.pbo for f in noise]) == pytest.approx(0.5, abs=0.12)
    edge = np.random.default_rng(4).normal(0, 0.1, (160, 30)) + np.where(np.arange(30) == 5, 0.1, 0.0)
    assert trials.pbo(edge, 8).pbo < 0.02 and trials.pbo(edge, 8).p_oos_loss < 0.05


def test_what_has_no_statistics_is_refused() -> None:
    for call in (lambda: trials.moments(np.ones(10)), lambda: trials.moments(np.ones(1)),
                 lambda: trials.psr(0.1, 1, 0, 3), lambda: trials.psr(2.0, 50, 3.0, 1.0),
                 lambda: trials.expected_best(0, 1), lambda: trials.expected_best(5, -1),
                 lambda: trials.pbo(np.zeros((100, 1))), lambda: trials.pbo(np.zeros((100, 3)), 5),
                 lambda: trials.pbo(np.zeros((10, 3)), 8), lambda: trials.n_eff(np.zeros((1, 3))),
                 lambda: trials.pbo(np.full((100, 3), np.nan))):
        with pytest.raises(DataError):
            call()


def test_moments_are_those_of_the_textbook() -> None:
    values = np.array([1.0, 2.0, 3.0, 10.0])
    m = trials.moments(values)
    assert m.sharpe == pytest.approx(values.mean() / values.std(ddof=1)) and m.n == 4
    assert trials.moments(np.random.default_rng(5).normal(size=20000)).kurt == pytest.approx(3.0, abs=0.15)
    assert m.skew > 1.0
