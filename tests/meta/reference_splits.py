"""The folds by brute force: every pair of rows is looked at, nothing is clever."""

from core.meta.splits import Fold


def apart(t0: list[int], t1: list[int], a: int, b: int, embargo: int) -> bool:
    """Whether the label of row a, with the embargo, has ended when row b is decided."""
    return t1[a] + embargo <= t0[b]


def sound(fold: Fold, t0: list[int], t1: list[int], embargo: int) -> bool:
    """Whether the slices are disjoint and every earlier row is known, and rested, before every later one."""
    parts = [fold.fit.tolist(), fold.calibrate.tolist(), fold.test.tolist()]
    rows = [row for part in parts for row in part]
    if len(set(rows)) != len(rows):
        return False
    pairs = [(a, b) for k, first in enumerate(parts) for later in parts[k + 1:] for a in first for b in later]
    return all(apart(t0, t1, a, b, embargo) for a, b in pairs) and all(
        fold.test_start <= t0[i] < fold.test_end for i in parts[2])


def walk(t0: list[int], t1: list[int], train: int, test: int, step: int, embargo: int,
         share: float) -> list[tuple[list[int], list[int], list[int]]]:
    """The folds as the definition reads: rows of (fit, calibrate, test)."""
    folds, start = [], t0[0] + train
    while start <= t0[-1]:
        past = [i for i in range(len(t0)) if t1[i] + embargo <= start]
        if past:
            bound = t0[past[min(len(past) - 1, int(len(past) * (1.0 - share)))]]
            fold = ([i for i in range(len(t0)) if t1[i] + embargo <= bound],
                    [i for i in past if t0[i] >= bound],
                    [i for i in range(len(t0)) if start <= t0[i] < start + test])
            if all(fold):
                folds.append(fold)
        start += step
    return folds
