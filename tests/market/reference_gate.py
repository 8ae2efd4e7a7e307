"""The candle gate written as its contract reads: slow, row by row, sharing no code with the real one."""

import math
from typing import Any


def reference_rows(rows: Any, tf: int, start: int, end: int, closed_before: int) -> list[tuple[Any, ...]]:
    """Rows that may be stored, ascending."""
    good = [tuple(row[:6]) for row in rows if _fine(row, tf, start, end, closed_before)]
    kept = []
    for ts in sorted({row[0] for row in good}):
        same = [row for row in good if row[0] == ts]
        if all(row == same[0] for row in same):
            kept.append(same[0])
    return kept


def _fine(row: Any, tf: int, start: int, end: int, closed_before: int) -> bool:
    if type(row) not in (list, tuple) or len(row) < 6:
        return False
    ts, o, h, low, c, v = row[:6]
    if type(ts) is not int or ts % tf != 0 or ts < start or ts >= end or ts + tf > closed_before:
        return False
    for value in (o, h, low, c, v):
        if type(value) not in (int, float) or math.isnan(value) or math.isinf(value):
            return False
    return 0 < low <= o <= h and low <= c <= h and v >= 0
