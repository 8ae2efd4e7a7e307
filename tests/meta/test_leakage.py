"""The shipped checkers: each catches its planted flaw and lets the clean twin pass."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.meta import leakage
from core.meta.splits import HOUR, Fold, final_split
from tests.meta import reference_splits as slow
from tests.meta.makers import candidates

EMBARGO = 24 * HOUR


def clean() -> tuple[Fold, np.ndarray, np.ndarray, np.ndarray]:
    s, _ = candidates(3000, 5, k=5)
    return final_split(s.t0, s.t1, embargo_ms=EMBARGO), s.t0, s.t1, s.symbol


def per_symbol(t0: np.ndarray, t1: np.ndarray, symbol: np.ndarray, fold: Fold) -> np.ndarray:
    """Fit rows purged against the calibrating rows of their own symbol only: a known bug of a known library."""
    kept = []
    for name in np.unique(symbol):
        own = fold.calibrate[symbol[fold.calibrate] == name]
        kept.append(np.flatnonzero((symbol == name) & (t1 + EMBARGO <= t0[own].min())))
    return np.sort(np.concatenate(kept))


def test_the_clean_fold_passes() -> None:
    fold, t0, t1, _ = clean()
    leakage.check_fold(fold, t0, t1, EMBARGO)


@pytest.mark.covers("I2", "I5")
def test_purging_per_symbol_is_caught_with_both_rows_and_intervals() -> None:
    fold, t0, t1, symbol = clean()
    symbol = symbol.copy()
    symbol[fold.calibrate[:60]] = "BTC"  # the others are quiet for a while
    flawed = replace(fold, fit=per_symbol(t0, t1, symbol, fold))
    assert set(fold.fit) <= set(flawed.fit)
    with pytest.raises(DataError, match=r"rows of fit reach into calibrate .* row \d+ covers \[\d+, \d+\), row \d+"):
        leakage.check_fold(flawed, t0, t1, EMBARGO)


@pytest.mark.covers("I2", "I5")
def test_shuffled_folds_are_caught() -> None:
    fold, t0, t1, _ = clean()
    order = np.random.default_rng(0).permutation(len(t0))
    flawed = replace(fold, fit=np.sort(order[:1800]), calibrate=np.sort(order[1800:2250]), test=np.sort(order[2250:]),
                     test_start=int(t0[0]), test_end=int(t0[-1]) + 1)
    with pytest.raises(DataError, match="reach into"):
        leakage.check_fold(flawed, t0, t1, EMBARGO)


def test_a_missing_embargo_is_caught() -> None:
    _, t0, t1, _ = clean()
    with pytest.raises(DataError, match="embargo"):
        leakage.check_fold(final_split(t0, t1, embargo_ms=0), t0, t1, EMBARGO)


@pytest.mark.covers("D7")
def test_a_calibrator_fitted_on_training_rows_is_caught() -> None:
    fold, t0, t1, _ = clean()
    with pytest.raises(DataError, match="fit reach into calibrate"):
        leakage.check_fold(replace(fold, calibrate=fold.fit[-500:]), t0, t1, EMBARGO)


def test_rows_twice_rows_outside_and_test_rows_outside_the_window_are_caught() -> None:
    fold, t0, t1, _ = clean()
    for flawed, says in ((replace(fold, fit=np.append(fold.fit, fold.fit[0])), "twice"),
                         (replace(fold, fit=np.append(fold.fit, len(t0))), "outside"),
                         (replace(fold, test_end=int(t0[-1])), "outside the window")):
        with pytest.raises(DataError, match=says):
            leakage.check_fold(flawed, t0, t1, EMBARGO)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 10), st.sampled_from("fcte")), min_size=2, max_size=14),
       st.integers(0, 8))
def test_the_checker_agrees_with_the_oracle_on_any_fold(rows: list[tuple[int, int, str]], embargo: int) -> None:
    rows = sorted(rows)
    t0, t1 = np.array([r[0] for r in rows]), np.array([r[0] + r[1] for r in rows])
    fit, calibrate, test = (np.array([i for i, r in enumerate(rows) if r[2] == kind], np.int64) for kind in "fct")
    fold = Fold(fit, calibrate, test, 0, 0, 0, 100)
    try:
        leakage.check_fold(fold, t0, t1, embargo)
        passed = True
    except DataError:
        passed = False
    assert passed == slow.sound(fold, t0.tolist(), t1.tolist(), embargo)


@pytest.mark.covers("I2")
def test_a_value_known_after_its_decision_is_caught_and_one_known_at_it_passes() -> None:
    decided = np.array([100, 200, 300])
    leakage.check_known_at(decided, decided)
    leakage.check_known_at(decided, np.array([[90, 100], [200, 10], [0, 0]]))
    with pytest.raises(DataError, match="row 1 decided at 200 uses column 1 known at 260, 60 ms later"):
        leakage.check_known_at(decided, np.array([[90, 100], [200, 260], [0, 0]]))


def test_time_order_is_checked_and_ties_pass() -> None:
    leakage.check_sorted(np.array([1, 1, 2]))
    with pytest.raises(DataError, match="row 2 is decided at 1, before row 1 at 2"):
        leakage.check_sorted(np.array([1, 2, 1]))


@pytest.mark.covers("I2", "I5")
def test_a_feature_too_good_to_be_true_is_named_and_honest_ones_are_not() -> None:
    s, _ = candidates(4000, 6, "linear", 0.40, k=8)  # a strong honest edge: area .61
    assert leakage.suspects(s.x, s.win, s.names) == []
    leaked = s.x.copy()
    leaked[:, 3] += 1.2 * s.win  # as if a bar that was still open had been read
    assert [name for name, _ in leakage.suspects(leaked, s.win, s.names)] == ["f3"]
    leaked[:, 3] *= -1.0
    assert leakage.suspects(leaked, s.win, s.names)[0][1] > 0.75
