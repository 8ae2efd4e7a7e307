"""How the rows are cut in time: expanding walk-forward and one final split, purged and embargoed.

Every fold has three slices in this order: `fit` (the boosters), `calibrate` (the calibrator, payoffs and
thresholds), `test` (every figure that is published). A row enters an earlier slice only if its whole
label and the embargo after it lie before the next slice begins, whatever its symbol.
"""

from dataclasses import dataclass

import numpy as np

from core.candles import Ints
from core.errors import ConfigError, DataError
from core.meta.leakage import check_fold, check_intervals, check_sorted

HOUR, DAY = 3_600_000, 86_400_000
MONTH = 30 * DAY


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Row numbers of the slices, ascending int64, and their bounds in ms UTC.

    fit_end, cal_end: when the last label of the slice was known (its largest t1), so what the slice
    teaches may be used from then on. test_start, test_end: the window [start, end) of the test decisions.
    """

    fit: Ints
    calibrate: Ints
    test: Ints
    fit_end: int
    cal_end: int
    test_start: int
    test_end: int


def embargo(t0: Ints, t1: Ints) -> int:
    """The recommended embargo: 24 h, or the 99th percentile of the label lengths if that is more; ms."""
    return max(24 * HOUR, int(np.quantile(t1 - t0, 0.99))) if len(t0) else 24 * HOUR


def walk_forward(t0: Ints, t1: Ints, *, train_ms: int, test_ms: int, step_ms: int, embargo_ms: int,
                 calibrate_share: float = 0.2, settle_ms: int = 0) -> list[Fold]:
    """Expanding folds in time order; every row is tested at most once.

    t0, t1: (n,) int64, ascending t0, rows of all symbols together. The k-th test window is
    [s, s + test_ms) with s = t0[0] + train_ms + k x step_ms. Of the rows whose label and embargo end
    before s the last `calibrate_share` in time order calibrate; of those before them, the ones that end
    before the first calibrating decision fit. settle_ms: rows decided less than this before a bound are
    left out too, so that quick losers do not stand alone there (their slow neighbours are purged).
    Folds with an empty slice are left out. Every fold has passed `leakage.check_fold`.
    Raises ConfigError for windows that make no sense, DataError for rows out of order.
    """
    _check_windows(train_ms, test_ms, step_ms, embargo_ms, calibrate_share, settle_ms)
    check_intervals(t0, t1)
    check_sorted(t0)
    folds = []
    for start in range(int(t0[0]) + train_ms, int(t0[-1]) + 1, step_ms) if len(t0) else ():
        past = _ended_before(start, t0, t1, embargo_ms, settle_ms)
        if len(past):
            bound = int(t0[past[min(len(past) - 1, int(len(past) * (1.0 - calibrate_share)))]])
            fold = _fold(t0, t1, past, bound, start, start + test_ms, embargo_ms, settle_ms)
            if len(fold.fit) and len(fold.calibrate) and len(fold.test):
                folds.append(fold)
    return folds


def final_split(t0: Ints, t1: Ints, *, fit: float = 0.60, calibrate: float = 0.15, embargo_ms: int,
                settle_ms: int = 0) -> Fold:
    """One split by share of rows in time order: fit, calibrate, and the sealed rest as test.

    Rows, embargo and settle_ms as in `walk_forward`; purged rows belong to no slice. Each look at the
    test slice is counted by who looks. Raises ConfigError for shares that leave no test, DataError when
    a slice is empty.
    """
    if not (fit > 0.0 and calibrate > 0.0 and fit + calibrate < 1.0):
        raise ConfigError(f"shares must be positive and leave a test slice: fit {fit}, calibrate {calibrate}")
    check_intervals(t0, t1)
    check_sorted(t0)
    if not len(t0):
        raise DataError("no rows to split")
    bound, start = int(t0[int(fit * len(t0))]), int(t0[int((fit + calibrate) * len(t0))])
    past = _ended_before(start, t0, t1, embargo_ms, settle_ms)
    fold = _fold(t0, t1, past, bound, start, int(t0[-1]) + 1, embargo_ms, settle_ms)
    if not (len(fold.fit) and len(fold.calibrate) and len(fold.test)):
        raise DataError(f"{len(t0)} rows are too few to split: fit {len(fold.fit)}, calibrate "
                        f"{len(fold.calibrate)}, test {len(fold.test)} remain after purging")
    return fold


def _check_windows(train_ms: int, test_ms: int, step_ms: int, embargo_ms: int, share: float, settle_ms: int) -> None:
    if min(train_ms, test_ms, step_ms) <= 0 or min(embargo_ms, settle_ms) < 0 or not 0.0 < share < 1.0:
        raise ConfigError("walk-forward windows must be positive, embargo not negative, calibrate_share in (0, 1)")
    if step_ms < test_ms:
        raise ConfigError(f"step_ms {step_ms} is below test_ms {test_ms}: rows would be tested twice")


def _ended_before(bound: int, t0: Ints, t1: Ints, embargo_ms: int, settle_ms: int) -> Ints:
    return np.flatnonzero((t1 + embargo_ms <= bound) & (t0 + settle_ms <= bound))


def _fold(t0: Ints, t1: Ints, past: Ints, bound: int, start: int, end: int, embargo_ms: int, settle_ms: int) -> Fold:
    calibrate = past[t0[past] >= bound]
    fit = _ended_before(bound, t0, t1, embargo_ms, settle_ms)
    test = np.flatnonzero((t0 >= start) & (t0 < end))
    ends = [int(t1[rows].max()) if len(rows) else 0 for rows in (fit, calibrate)]
    fold = Fold(fit, calibrate, test, ends[0], ends[1], start, end)
    check_fold(fold, t0, t1, embargo_ms)
    return fold
