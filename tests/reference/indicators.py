"""Rules 5 and 6, EMA of rule 19a, bandwidth of rule 19b: every value from scratch, by the letter.

`bars` is a list of final bars, ascending; `i` the index of the bar whose value is asked; `tf` its length in ms.
None means there is no value.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from tests.reference.resample import Bar

BLOCK = 128


def add(values: Iterable[float]) -> float:
    """Sum from left to right (the built-in `sum` compensates in newer Pythons)."""
    total = 0.0
    for value in values:
        total = total + value
    return total


def block(ts: int, tf: int) -> int:
    """Number of the 128-bar block, counted from the epoch, that holds the bar opened at `ts`."""
    return ts // tf // BLOCK


def block_start(number: int, tf: int) -> int:
    """Open of the first bar of a block."""
    return number * BLOCK * tf


def warm_up(bars: Sequence[Bar], i: int, tf: int) -> Sequence[Bar]:
    """Bars from the first one stored in the previous block (or, if it is empty, in the own one) up to i."""
    first = i
    while first > 0 and block(bars[first - 1].ts, tf) >= block(bars[i].ts, tf) - 1:
        first -= 1
    return bars[first:i + 1]


def true_ranges(run: Sequence[Bar]) -> list[float]:
    """High - low of the first bar; from then on with the close before (that of the bar before, however old)."""
    ranges = [run[0].high - run[0].low]
    for before, bar in pairwise(run):
        ranges.append(max(bar.high - bar.low, abs(bar.high - before.close), abs(bar.low - before.close)))
    return ranges


def wilder(values: Sequence[float], n: int) -> list[float]:
    """Wilder's averages of `values`, the first one at index n - 1: the simple mean of the first n."""
    if len(values) < n:
        return []
    averages = [add(values[:n]) / n]
    for value in values[n:]:
        averages.append((averages[-1] * (n - 1) + value) / n)
    return averages


def atr(bars: Sequence[Bar], i: int, n: int, tf: int) -> float | None:
    """Wilder's ATR(n) at bar i."""
    averages = wilder(true_ranges(warm_up(bars, i, tf)), n)
    return averages[-1] if averages else None


def movements(run: Sequence[Bar]) -> tuple[list[float], list[float]]:
    """Upward and downward directional movements, 0 at the first bar."""
    plus, minus = [0.0], [0.0]
    for before, bar in pairwise(run):
        up, down = bar.high - before.high, before.low - bar.low
        plus.append(up if up > down and up > 0 else 0.0)
        minus.append(down if down > up and down > 0 else 0.0)
    return plus, minus


def directional_index(plus: float, minus: float, true_range: float) -> float:
    """DX of three averages: 100 |DI+ - DI-| / (DI+ + DI-), 0 when both movements are 0."""
    if true_range == 0 or (plus == 0 and minus == 0):
        return 0.0
    plus_di, minus_di = 100 * plus / true_range, 100 * minus / true_range
    return 100 * abs(plus_di - minus_di) / (plus_di + minus_di)


def adx(bars: Sequence[Bar], i: int, n: int, tf: int) -> float | None:
    """Wilder's ADX(n) at bar i; the first value has 2n - 1 bars."""
    run = warm_up(bars, i, tf)
    plus, minus = movements(run)
    averages = zip(wilder(plus, n), wilder(minus, n), wilder(true_ranges(run), n), strict=True)
    values = wilder([directional_index(*three) for three in averages], n)
    return values[-1] if values else None


def trend(bars: Sequence[Bar], i: int, tf: int) -> str:
    """`trend` if ADX(14) >= 25, else `range`."""
    value = adx(bars, i, 14, tf)
    return "trend" if value is not None and value >= 25 else "range"  # CHOICE: no ADX yet counts as range.


def below(current: float, values: Sequence[float]) -> int:
    """How many of `values` lie strictly below `current`."""
    return len([value for value in values if value < current])


def vol(bars: Sequence[Bar], i: int, tf: int, atr_at: Callable[[int], float | None]) -> str | None:
    """Regime of volatility: where ATR / close stands among its values on the last 300 bars (rule 6)."""
    # CHOICE: "the last 300 values" are those of the last 300 stored bars; bars without an ATR are left out
    # of both counts.
    values = []
    for j in range(max(0, i - 299), i + 1):
        value = atr_at(j)
        if value is not None:
            values.append(100 * value / bars[j].close)
    if atr_at(i) is None:
        return None
    lower = below(values[-1], values)
    if 100 * lower < 33 * len(values):
        return "low"
    return "high" if 100 * lower >= 67 * len(values) else "normal"


def ema(bars: Sequence[Bar], i: int, n: int) -> float | None:
    """EMA(n) at bar i over the last 2n closes, weights normalised (rule 19a)."""
    if i + 1 < 2 * n:
        return None
    alpha = 2 / (n + 1)  # CHOICE: the usual smoothing, alpha = 2 / (n + 1).
    weights = [(1 - alpha) ** age for age in range(2 * n)]
    return add(w * bars[i - age].close for age, w in enumerate(weights)) / add(weights)


def bandwidth(bars: Sequence[Bar], i: int, n: int = 20, width: float = 2.0) -> float | None:
    """Bollinger bandwidth at bar i: (upper - lower) / middle, population standard deviation."""
    if i + 1 < n:
        return None
    closes = [bar.close for bar in bars[i - n + 1:i + 1]]
    mean = add(closes) / n
    deviation = math.sqrt(add((close - mean) ** 2 for close in closes) / n)
    return 2 * width * deviation / mean


def compressed(bars: Sequence[Bar], i: int, n: int = 20, width: float = 2.0, last: int = 120,
               percentile: float = 20) -> bool:
    """True if fewer than 20 % of the last 120 bandwidths (that of bar i included) are below that of bar i."""
    if i + 1 < last + n - 1:
        return False
    values = [bandwidth(bars, j, n, width) or 0.0 for j in range(i - last + 1, i + 1)]
    return 100 * below(values[-1], values) < percentile * last
