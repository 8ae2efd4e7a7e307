"""The candle gate: nothing an exchange or a file says becomes a candle before it has passed here.

Client libraries check nothing: they hand on NaN, None, high < low, off-grid and year-2100 stamps,
seconds for milliseconds, duplicates, and the candle that is still in progress.
"""

import math
import sys
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from operator import ge, lt
from typing import Any

from core.candles import Row

# What a healthy reply may hold as well; every other reason says that the sender is unwell.
HARMLESS = frozenset({"open", "outside", "order", "duplicate"})
# The row does not even say which minute it is about.
TIMELESS = frozenset({"shape", "time", "seconds", "grid", "future"})


@dataclass(frozen=True, slots=True)
class Gated:
    """Rows that passed, ascending and unique in ts, and how many did not, by reason.

    Reasons: shape, time, seconds, grid, future (stamp faults); open (not closed yet), outside
    (the window); type, finite, price, range, volume (value faults); conflict (one ts, different
    values: none is kept); duplicate (identical: one is kept); order (kept, but came late).
    """

    rows: list[Row]
    rejected: Counter[str]

    @property
    def faults(self) -> int:
        """How many rows were refused for a fault of the sender; such a minute is not proven absent."""
        return faults(self.rejected)


def faults(rejected: Counter[str]) -> int:
    """Count the refusals that no healthy sender causes."""
    return sum(n for reason, n in rejected.items() if reason not in HARMLESS)


def check(rows: Sequence[Any], tf_ms: int, start: int, end: int, closed_before: int) -> Gated:
    """Keep the final candles of the window [start, end), refuse and count everything else.

    rows: sequences (ts, open, high, low, close, volume, ...), of any quality. tf_ms: length of a
    bar. closed_before: time of the EXCHANGE (ms UTC) not after the moment the reply was made; only
    bars with ts + tf_ms <= closed_before are final. Kept rows are tuples of plain int and float.
    """
    clean = _clean(rows, tf_ms, start, end, closed_before)
    return _examined(rows, tf_ms, start, end, closed_before) if clean is None else clean


def _clean(rows: Sequence[Any], tf: int, start: int, end: int, closed_before: int) -> Gated | None:
    # The quick path, or None if anything is out of the ordinary. It knows no reason but the two
    # that healthy replies have at their tail. Column by column in C: a year has half a million rows.
    if not rows or not {*map(type, rows)} <= {list, tuple}:
        return None
    try:
        columns = list(zip(*rows, strict=True))
    except ValueError:  # rows of different lengths
        return None
    ts = columns[0] if len(columns) == 6 else (None,)
    if {*map(type, ts)} != {int} or ts[0] < start or ts[-1] > closed_before or not _in_order(ts, tf):
        return None
    final = bisect_right(ts, closed_before - tf)
    stop = min(final, bisect_left(ts, end))
    left = Counter({k: n for k, n in (("open", len(ts) - final), ("outside", final - stop)) if n})
    if stop < len(ts):
        columns = [column[:stop] for column in columns]
    return Gated([*map(tuple, rows[:stop])], left) if _plausible(*columns[1:]) else None


def _in_order(ts: tuple[int, ...], tf: int) -> bool:
    if ts[0] % tf:
        return False
    return ts == tuple(range(ts[0], ts[0] + tf * len(ts), tf)) or (
        all(map(lt, ts, ts[1:])) and not any(t % tf for t in ts))


def _plausible(*prices: tuple[float, ...]) -> bool:
    if not prices[0]:
        return True
    if any({*map(type, column)} != {float} for column in prices):
        return False
    o, high, low, c, volume = prices
    # NaN fails every comparison with its neighbours, and makes the sum of the volumes NaN.
    ordered = all(map(ge, high, o)) and all(map(ge, high, c)) and all(map(ge, o, low)) and all(map(ge, c, low))
    return ordered and min(low) > 0 and max(high) < math.inf and sum(volume) < math.inf and min(volume) >= 0


def _examined(rows: Sequence[Any], tf: int, start: int, end: int, closed_before: int) -> Gated:
    rejected: Counter[str] = Counter()
    groups: dict[int, list[Row]] = defaultdict(list)
    latest = -1
    for row in rows:
        reason = _time_fault(row, tf, start, end, closed_before) or _value_fault(row)
        if reason:
            rejected[reason] += 1
            continue
        rejected["order"] += row[0] < latest
        latest = row[0]
        groups[latest].append((latest, *map(float, row[1:6])))  # type: ignore[arg-type]
    kept = [group[0] for _, group in sorted(groups.items()) if _agree(group, rejected)]
    return Gated(kept, +rejected)


def _agree(group: list[Row], rejected: Counter[str]) -> bool:
    same = all(row == group[0] for row in group)
    rejected["duplicate" if same else "conflict"] += len(group) - same
    return same


def _time_fault(row: Any, tf: int, start: int, end: int, closed_before: int) -> str | None:
    if not isinstance(row, (list, tuple)) or len(row) < 6:
        return "shape"
    ts = row[0]
    if not isinstance(ts, int) or isinstance(ts, bool):
        return "time"
    if ts < start and start <= ts * 1000 + tf and ts * 1000 <= closed_before + tf:
        return "seconds"
    if ts % tf:
        return "grid"
    if ts > closed_before:
        return "future"
    if ts + tf > closed_before:
        return "open"
    return None if start <= ts < end else "outside"


def _value_fault(row: Sequence[Any]) -> str | None:
    values = row[1:6]
    if any(isinstance(x, bool) or not isinstance(x, (int, float)) for x in values):
        return "type"
    if not all(abs(x) <= sys.float_info.max for x in values):  # false for NaN too
        return "finite"
    o, high, low, c, volume = values
    if min(o, high, low, c) <= 0:
        return "price"
    if high < max(o, c) or low > min(o, c):
        return "range"
    return "volume" if volume < 0 else None
