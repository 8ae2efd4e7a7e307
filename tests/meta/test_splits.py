"""Folds against the brute-force oracle, and what purging is for."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigError, DataError
from core.meta import splits
from core.meta.splits import DAY, HOUR, MONTH, final_split, walk_forward
from tests.meta import reference_splits as slow
from tests.meta.makers import JAN, times

clocks = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40)), min_size=3, max_size=60)
windows = st.tuples(st.integers(20, 150), st.integers(10, 60), st.integers(0, 50), st.integers(0, 30),
                    st.sampled_from([0.1, 0.2, 0.34, 0.5]))


def arrays(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    ordered = sorted(rows)
    return np.array([a for a, _ in ordered], np.int64), np.array([a + n for a, n in ordered], np.int64)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(clocks, windows)
def test_every_fold_is_what_the_definition_says_and_keeps_past_and_future_apart(
        rows: list[tuple[int, int]], window: tuple[int, int, int, int, float]) -> None:
    (t0, t1), (train, test, more, embargo, share) = arrays(rows), window
    folds = walk_forward(t0, t1, train_ms=train, test_ms=test, step_ms=test + more, embargo_ms=embargo,
                         calibrate_share=share)
    expected = slow.walk(t0.tolist(), t1.tolist(), train, test, test + more, embargo, share)
    assert [(f.fit.tolist(), f.calibrate.tolist(), f.test.tolist()) for f in folds] == expected
    for fold in folds:
        assert slow.sound(fold, t0.tolist(), t1.tolist(), embargo)
        assert fold.fit_end == t1[fold.fit].max() and fold.cal_end == t1[fold.calibrate].max()
        assert fold.cal_end + embargo <= fold.test_start
    tested = [i for fold in folds for i in fold.test.tolist()]
    assert len(tested) == len(set(tested))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(clocks, st.integers(0, 30), st.integers(0, 40))
def test_the_final_split_is_sound_or_refused(rows: list[tuple[int, int]], embargo: int, settle: int) -> None:
    t0, t1 = arrays(rows)
    try:
        fold = final_split(t0, t1, embargo_ms=embargo, settle_ms=settle)
    except DataError as error:
        assert "too few to split" in str(error)
        return
    assert slow.sound(fold, t0.tolist(), t1.tolist(), embargo)
    assert fold.test.tolist() == [i for i in range(len(t0)) if t0[i] >= t0[int(0.75 * len(t0))]]


def test_the_final_split_has_the_shares_asked_for() -> None:
    t0, t1 = times(4000, np.random.default_rng(0))
    fold = final_split(t0, t1, embargo_ms=24 * HOUR)
    assert len(fold.test) == pytest.approx(1000, abs=3)
    assert len(fold.calibrate) == pytest.approx(600, abs=25)
    assert len(fold.fit) == pytest.approx(2400, abs=25)


def test_half_a_year_to_train_and_a_month_to_test_gives_a_fold_a_month() -> None:
    t0, t1 = times(5000, np.random.default_rng(1))
    folds = walk_forward(t0, t1, train_ms=6 * MONTH, test_ms=MONTH, step_ms=MONTH, embargo_ms=24 * HOUR)
    assert len(folds) == 19
    assert [f.test_start - folds[0].test_start for f in folds] == [k * MONTH for k in range(19)]
    assert all(len(a.fit) < len(b.fit) for a, b in pairwise(folds))  # expanding
    assert sum(len(f.test) for f in folds) == (t0 >= t0[0] + 6 * MONTH).sum()


def test_purging_looks_across_symbols() -> None:
    # Row 0 lives long into the test window. Whose symbol it is plays no part: no argument even takes one.
    t0 = JAN + np.arange(300) * DAY
    t1 = t0 + HOUR
    t1[0] = t0[250]
    fold = walk_forward(t0, t1, train_ms=200 * DAY, test_ms=50 * DAY, step_ms=50 * DAY, embargo_ms=0)[0]
    assert 0 not in fold.fit and 1 in fold.fit


def test_without_settling_the_end_of_a_slice_holds_quick_losers_only() -> None:
    # Winners live 8 days, losers half a day; half of all rows win.
    rng = np.random.default_rng(2)
    t0 = JAN + np.sort(rng.integers(0, 200 * 24, 8000)) * HOUR
    win = rng.random(8000) < 0.5
    t1 = t0 + np.where(win, 8 * DAY, 12 * HOUR)
    window = {"train_ms": 150 * DAY, "test_ms": 50 * DAY, "step_ms": 50 * DAY, "embargo_ms": 24 * HOUR}
    plain, settled = (walk_forward(t0, t1, **window, settle_ms=s)[0] for s in (0, 9 * DAY))
    assert win[plain.calibrate].mean() < 0.45  # a calibrator would claim five points too little
    assert win[settled.calibrate].mean() == pytest.approx(0.5, abs=0.03)


def test_the_embargo_is_a_day_or_the_longest_lives() -> None:
    t0 = np.zeros(1000, np.int64)
    assert splits.embargo(t0, t0 + HOUR) == 24 * HOUR
    assert splits.embargo(t0, t0 + 5 * DAY) == 5 * DAY
    assert splits.embargo(t0[:0], t0[:0]) == 24 * HOUR


@pytest.mark.parametrize("change", [{"test_ms": 0}, {"train_ms": -1}, {"embargo_ms": -1}, {"step_ms": DAY},
                                    {"calibrate_share": 0.0}, {"calibrate_share": 1.0}, {"settle_ms": -1}])
def test_windows_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    t0, t1 = times(500, np.random.default_rng(3))
    good = {"train_ms": 6 * MONTH, "test_ms": MONTH, "step_ms": MONTH, "embargo_ms": HOUR}
    with pytest.raises(ConfigError):
        walk_forward(t0, t1, **(good | change))  # type: ignore[arg-type]
    assert walk_forward(t0, t1, **good)  # type: ignore[arg-type]


def test_rows_out_of_order_no_rows_and_shares_without_a_test_are_refused() -> None:
    t0, t1 = times(100, np.random.default_rng(4))
    with pytest.raises(DataError, match="time order"):
        final_split(t0[::-1], t1[::-1], embargo_ms=0)
    with pytest.raises(DataError, match="no rows"):
        final_split(t0[:0], t1[:0], embargo_ms=0)
    with pytest.raises(ConfigError):
        final_split(t0, t1, fit=0.8, calibrate=0.2, embargo_ms=0)
    assert walk_forward(t0[:0], t1[:0], train_ms=1, test_ms=1, step_ms=1, embargo_ms=0) == []
