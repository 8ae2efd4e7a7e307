"""Checks that refuse a training whose rows knew what they could not know.

Shipped code: they run on every fold of every training, whatever made the folds. All times are ms UTC;
a label covers [t0, t1): decided at t0, known to everybody from t1 on.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.candles import Ints
from core.errors import DataError
from core.meta.metrics import auc


class Slices(Protocol):
    """What a fold must have: three index arrays and the bounds of its test window (ms UTC)."""

    @property
    def fit(self) -> Ints: ...
    @property
    def calibrate(self) -> Ints: ...
    @property
    def test(self) -> Ints: ...
    @property
    def test_start(self) -> int: ...
    @property
    def test_end(self) -> int: ...


def check_sorted(t0: Ints) -> None:
    """Refuse decision times that are not ascending (ties are fine). Raises DataError naming the first."""
    back = np.flatnonzero(np.diff(t0) < 0)
    if len(back):
        i = int(back[0])
        raise DataError(f"rows are not in time order: row {i + 1} is decided at {t0[i + 1]}, before row {i} at {t0[i]}")


def check_intervals(t0: Ints, t1: Ints) -> None:
    """Refuse labels that end before they begin, or arrays of different length. Raises DataError."""
    if t0.shape != t1.shape or t0.ndim != 1:
        raise DataError(f"t0 and t1 must be flat and of one length, not {t0.shape} and {t1.shape}")
    wrong = np.flatnonzero(t1 <= t0)
    if len(wrong):
        i = int(wrong[0])
        raise DataError(f"{len(wrong)} labels end before they begin: row {i} covers [{t0[i]}, {t1[i]})")


def check_known_at(decided_ts: Ints, known_at: Ints) -> None:
    """Refuse values that became known only after the decision that uses them.

    decided_ts: (n,). known_at: (n,) or (n, k), when each value was known; equal is allowed.
    Raises DataError naming the first row and how much too late its value was.
    """
    times = known_at if known_at.ndim == 2 else known_at[:, None]
    late = np.argwhere(times > decided_ts[:, None])
    if len(late):
        i, j = (int(v) for v in late[0])
        raise DataError(f"{len(late)} values were not known yet: row {i} decided at {decided_ts[i]} uses column {j} "
                        f"known at {times[i, j]}, {times[i, j] - decided_ts[i]} ms later")


def check_fold(fold: Slices, t0: Ints, t1: Ints, embargo_ms: int) -> None:
    """Refuse a fold in which an earlier slice could know anything of a later one.

    Every label of `fit` must end `embargo_ms` before the first decision of `calibrate` and of `test`,
    every label of `calibrate` before the first of `test`; the slices are disjoint and the test rows lie
    in the test window. Symbols play no part: markets move together. Source: Lopez de Prado, Advances in
    Financial Machine Learning (2018), ch. 7, here one-sided as nothing later is trained on.
    Raises DataError naming two rows and both intervals.
    """
    check_intervals(t0, t1)
    slices = {"fit": fold.fit, "calibrate": fold.calibrate, "test": fold.test}
    for name, rows in slices.items():
        _check_rows(name, rows, len(t0))
    for first, second in (("fit", "calibrate"), ("fit", "test"), ("calibrate", "test")):
        _check_apart(first, slices[first], second, slices[second], t0, t1, embargo_ms)
    outside = fold.test[(t0[fold.test] < fold.test_start) | (t0[fold.test] >= fold.test_end)]
    if len(outside):
        i = int(outside[0])
        raise DataError(f"test row {i}, decided at {t0[i]}, lies outside the window [{fold.test_start}, "
                        f"{fold.test_end})")


def suspects(x: NDArray[np.float64], win: NDArray[np.bool_], names: tuple[str, ...],
             limit: float = 0.65) -> list[tuple[str, float]]:
    """Features that alone separate wins from losses better than anything honest does here.

    x: (n, k), NaN left out per column; win: (n,). Returns (name, area under the curve in 0.5..1) above
    `limit`, best first; columns with fewer than 50 known rows of either kind are passed over. An
    unfinished higher bar merged as a feature gave .79 on a pure random walk, honest features .56 at most.
    It accuses, it does not prove: what it names is looked at before the model may be promoted.
    """
    found = []
    for j, name in enumerate(names):
        known = ~np.isnan(x[:, j])
        y = win[known]
        if min(y.sum(), len(y) - y.sum()) >= 50:
            area = auc(x[known, j], y)
            found.append((name, max(area, 1.0 - area)))
    return sorted((f for f in found if f[1] > limit), key=lambda f: (-f[1], f[0]))


def _check_rows(name: str, rows: Ints, n: int) -> None:
    if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= n):
        raise DataError(f"slice {name} names rows outside 0..{n - 1}")
    if len(np.unique(rows)) != len(rows):
        raise DataError(f"slice {name} names a row twice")


def _check_apart(first: str, a: Ints, second: str, b: Ints, t0: Ints, t1: Ints, embargo_ms: int) -> None:
    if not len(a) or not len(b):
        return
    begin = int(t0[b].min())
    late = a[t1[a] + embargo_ms > begin]
    if len(late):
        i, j = int(late[np.argmax(t1[late])]), int(b[np.argmin(t0[b])])
        raise DataError(
            f"{len(late)} rows of {first} reach into {second} (embargo {embargo_ms} ms): row {i} covers "
            f"[{t0[i]}, {t1[i]}), row {j} covers [{t0[j]}, {t1[j]})")
