"""The table of labelled candidates: its order, its refusals, its weights."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.meta import samples
from core.meta.samples import Samples, build
from tests.meta.makers import DAY, JAN, candidates

lives = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), min_size=1, max_size=25)


def slow_uniqueness(t0: np.ndarray, t1: np.ndarray) -> np.ndarray:
    """Chapter 4 as written: unit by unit, one over the number of labels alive, averaged over the life."""
    alive = {t: sum(a <= t < b for a, b in zip(t0, t1, strict=True)) for t in range(int(t0.min()), int(t1.max()))}
    return np.array([np.mean([1.0 / alive[t] for t in range(a, b)]) for a, b in zip(t0, t1, strict=True)])


@settings(derandomize=True, deadline=None, max_examples=100)
@given(lives)
def test_uniqueness_equals_the_count_minute_by_minute(rows: list[tuple[int, int]]) -> None:
    t0 = np.array([a for a, _ in rows], np.int64)
    t1 = t0 + np.array([length for _, length in rows], np.int64)
    np.testing.assert_allclose(samples.average_uniqueness(t0, t1), slow_uniqueness(t0, t1), rtol=1e-12)
    assert samples.uniqueness(t0, t1).mean() == pytest.approx(1.0)


def test_labels_that_never_meet_are_wholly_unique_and_twins_half() -> None:
    apart = np.array([0, 10, 20]), np.array([10, 20, 30])
    assert samples.average_uniqueness(*apart).tolist() == [1.0, 1.0, 1.0]
    twins = np.array([0, 0]), np.array([7, 7])
    assert samples.average_uniqueness(*twins).tolist() == [0.5, 0.5]
    assert samples.uniqueness(np.array([], np.int64), np.array([], np.int64)).tolist() == []


def test_rows_come_sorted_by_decision_then_id_whatever_their_order_was() -> None:
    s, _ = candidates(200, 1)
    order = np.random.default_rng(0).permutation(200)
    columns = {n: getattr(s, n)[order] for n in samples.COLUMNS if n != "win"}
    again = build(s.names, [s.ids[i] for i in order], s.x[order], **columns)
    assert again.ids == tuple(sorted(s.ids, key=lambda i: (s.t0[s.ids.index(i)], i)))
    np.testing.assert_array_equal(again.r, np.array([s.r[s.ids.index(i)] for i in again.ids]))
    np.testing.assert_array_equal(again.win, again.pnl_pct > 0)


def test_take_keeps_the_rows_asked_for() -> None:
    s, _ = candidates(50, 2)
    late = s.take(s.t0 > np.median(s.t0))
    assert len(late) == (s.t0 > np.median(s.t0)).sum()
    assert late.ids == tuple(np.array(s.ids)[s.t0 > np.median(s.t0)])
    assert len(s.take(np.array([], np.int64))) == 0
    np.testing.assert_array_equal(s.take(np.array([3, 7])).x, s.x[[3, 7]])


def test_family_follows_from_the_targets() -> None:
    s, _ = candidates(4, 3)
    mixed = dataclasses.replace(s, rr1=np.array([1.0, np.nan, 2.0, np.nan]))
    assert mixed.family.tolist() == ["targets", "trailed", "targets", "trailed"]


@pytest.mark.parametrize(("change", "says"), [
    (lambda s: {"t0": s.t0[::-1].copy(), "t1": s.t1[::-1].copy()}, "not in time order"),
    (lambda s: {"t1": s.t0.copy()}, "end before they begin"),
    (lambda s: {"r": np.where(np.arange(len(s)) == 3, np.nan, s.r)}, "r of .* is not finite"),
    (lambda s: {"x": np.where(np.arange(len(s))[:, None] == 3, np.inf, s.x)}, "feature f0 .* is infinite"),
    (lambda s: {"x": s.x[:, 1:]}, "names"),
    (lambda s: {"cost_r": s.cost_r[1:]}, "cost_r"),
    (lambda s: {"win": ~s.win}, "above zero"),
    (lambda s: {"ids": (s.ids[0],) * len(s)}, "stands twice"),
])
def test_a_table_that_cannot_be_is_refused_by_name(change: object, says: str) -> None:
    s, _ = candidates(20, 4)
    with pytest.raises(DataError, match=says):
        dataclasses.replace(s, **change(s))  # type: ignore[operator]
    assert isinstance(dataclasses.replace(s), Samples)  # the clean twin


def test_young_rows_are_kept_out_because_only_their_losers_have_ended() -> None:
    # Winners live ten days, losers one: among the rows that ended by the frontier the young are all losers.
    t0 = JAN + np.arange(100) * DAY
    win = np.arange(100) % 2 == 0
    ended = t0 + np.where(win, 10 * DAY, DAY) <= JAN + 100 * DAY
    assert win[ended].mean() < 0.48
    fair = ended & samples.had_time(t0, JAN + 100 * DAY, 10 * DAY)
    assert win[fair].mean() == pytest.approx(0.5, abs=0.01)
    assert fair.sum() == 91


def test_columns_no_model_can_use_are_named() -> None:
    x = np.array([[1.0, np.nan, 3.0, np.nan], [2.0, np.nan, 3.0, 5.0]])
    assert samples.useless(x, ("fine", "lost", "flat", "sometimes")) == {"lost": "never known", "flat": "constant"}
