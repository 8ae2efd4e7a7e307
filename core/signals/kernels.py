"""The numeric loops, written once: plain functions over sequences of scalars.

The daemon runs them as they stand on lists; retro compiles this file's functions unchanged. Both
give the same bits, because they use only + - * / and comparisons, in one fixed order, and no
globals but each other. `side` is +1 for up, -1 for down; multiplying by it is exact, so that the
short side is the long side in the mirror.
"""

import math
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass

from core.candles import Floats

Values = Sequence[float] | Floats
Out = MutableSequence[float]
Marks = MutableSequence[int]


def pivot(high: Values, low: Values, i: int, window: int) -> int:
    """Tell whether bar i is a pivot: +1 high, -1 low, 0 neither (rule 7).

    The caller makes sure that bar i + window exists. Fewer than `window` bars before: 0.
    """
    if i < window:
        return 0
    is_high = True
    is_low = True
    for k in range(1, window + 1):
        if high[i - k] >= high[i] or high[i + k] > high[i]:
            is_high = False
        if low[i - k] <= low[i] or low[i + k] < low[i]:
            is_low = False
        if not is_high and not is_low:
            return 0
    if is_high == is_low:
        return 0
    return 1 if is_high else -1


def starts_of(high: Values, low: Values, end: int, side: int, first: int, window: int, anchors: int,
              out: Marks, n: int) -> int:
    """Write the starts of the impulses that end at pivot `end` to out[n:]; the new n (rules 8, 9).

    One walk back from the end to bar `first`. Nothing is written if the end is not the strict
    extreme of its own group. Order: nearest start first.
    """
    top = high if side > 0 else low
    bottom = low if side > 0 else high
    group = side
    groups = 0  # opposite groups begun
    best = -1  # representative of the opposite group being read
    clean = False  # no bar strictly between it and the end breaks either level
    beyond = False  # a bar strictly between went past the end
    floor = side * top[end]  # mirrored lowest price strictly between
    for p in range(end - 1, first - 1, -1):
        if beyond and group == side:
            break  # every start further back has that bar between
        kind = pivot(high, low, p, window)
        if kind == side:
            if groups == 0 and side * top[p] >= side * top[end]:
                return n
            if group != side and groups == anchors:
                break
            group = side
        elif kind == -side:
            if group == side:
                if best >= 0 and clean:
                    out[n] = best
                    n += 1
                groups += 1
                group = -side
                best = -1
            if best < 0 or side * bottom[p] <= side * bottom[best]:
                best = p
                clean = not beyond and floor >= side * bottom[p]
        if side * bottom[p] < floor:
            floor = side * bottom[p]
        if side * top[p] > side * top[end]:
            beyond = True
    if best >= 0 and clean:
        out[n] = best
        n += 1
    return n


def impulses(high: Values, low: Values, lo: int, hi: int, window: int, lookback: int, anchors: int,
             out_bar: Marks, out_start: Marks, out_side: Marks) -> int:
    """Find the impulses decided at bars [lo, hi): how many were written to the three outputs.

    The end of each is bar `out_bar - window`. The outputs hold (hi - lo) * anchors at most.
    """
    n = 0
    for bar in range(lo, hi):
        end = bar - window
        first = bar - lookback + 1
        if first < 0:
            first = 0
        if end < first:
            continue
        side = pivot(high, low, end, window)
        if side == 0:
            continue
        after = starts_of(high, low, end, side, first, window, anchors, out_start, n)
        for k in range(n, after):
            out_bar[k] = bar
            out_side[k] = side
        n = after
    return n


def avwap(high: Values, low: Values, close: Values, volume: Values, count: int) -> float:
    """Volume-weighted typical price of bars [0, count), summed left to right; NaN without volume."""
    money = 0.0
    total = 0.0
    for k in range(count):
        money += (high[k] + low[k] + close[k]) / 3.0 * volume[k]
        total += volume[k]
    if total > 0.0:
        return money / total
    return math.nan


def atr(high: Values, low: Values, close: Values, count: int, n: int, out: Out) -> None:
    """Write Wilder's ATR(n) of a run of `count` bars to `out`; NaN before its n-th bar.

    The true range of bar 0 is high - low (rule 5). It is written out here: a call a bar costs a third.
    """
    total = 0.0
    value = math.nan
    before = close[0] if count else 0.0
    for k in range(count):
        now = high[k] - low[k]
        if k > 0:
            up = abs(high[k] - before)
            if up > now:
                now = up
            down = abs(low[k] - before)
            if down > now:
                now = down
        before = close[k]
        if k < n:
            total += now
            if k == n - 1:
                value = total / n
        else:
            value = (value * (n - 1) + now) / n
        out[k] = value


def adx(high: Values, low: Values, close: Values, count: int, n: int, out: Out) -> None:
    """Write Wilder's ADX(n) of a run of `count` bars to `out`; NaN before its (2n - 1)-th bar.

    Both movements are smoothed like the ATR (seed: mean of the first n, those of bar 0 are 0). The
    ATR cancels out of DX = 100 |plus - minus| / (plus + minus), 0 when both are 0.
    """
    plus = 0.0
    minus = 0.0
    total = 0.0
    value = math.nan
    for k in range(count):
        rise = 0.0
        fall = 0.0
        if k > 0:
            up = high[k] - high[k - 1]
            down = low[k - 1] - low[k]
            if up > down and up > 0.0:
                rise = up
            if down > up and down > 0.0:
                fall = down
        if k < n:
            plus += rise
            minus += fall
            if k == n - 1:
                plus = plus / n
                minus = minus / n
        else:
            plus = (plus * (n - 1) + rise) / n
            minus = (minus * (n - 1) + fall) / n
        if k >= n - 1:
            dx = 0.0
            if plus + minus > 0.0:
                dx = 100.0 * abs(plus - minus) / (plus + minus)
            if k < 2 * n - 1:
                total += dx
                if k == 2 * n - 2:
                    value = total / n
            else:
                value = (value * (n - 1) + dx) / n
        out[k] = value


def rsi(high: Values, low: Values, close: Values, count: int, n: int, out: Out) -> None:
    """Write Wilder's RSI(n), 0 to 100, of a run of `count` bars to `out`; NaN before its n-th bar.

    Rises and falls of the close are smoothed like the movements of the ADX: those of bar 0 are 0, the seed
    is the mean of the first n. 50 where nothing moved. high, low: not read (the signature of its siblings).
    """
    up = 0.0
    down = 0.0
    for k in range(count):
        rise = 0.0
        fall = 0.0
        if k > 0:
            change = close[k] - close[k - 1]
            if change > 0.0:
                rise = change
            else:
                fall = -change
        if k < n:
            up += rise
            down += fall
            if k == n - 1:
                up = up / n
                down = down / n
        else:
            up = (up * (n - 1) + rise) / n
            down = (down * (n - 1) + fall) / n
        value = math.nan
        if k >= n - 1:
            value = 50.0
            if up + down > 0.0:
                value = 100.0 * up / (up + down)
        out[k] = value


def rank_atr_pct(atrs: Values, close: Values, lo: int, i: int) -> tuple[int, int]:
    """Rank bar i's ATR % among bars [lo, i]: (how many lie strictly below, how many there are).

    Bars without an ATR (NaN) are no values and count on neither side.
    """
    now = 100.0 * atrs[i] / close[i]
    below = 0
    count = 0
    for k in range(lo, i + 1):
        value = 100.0 * atrs[k] / close[k]
        if value < now:
            below += 1
        if value == value:
            count += 1
    return below, count


def ema_weights(n: int, out: Out) -> None:
    """Write the 2n weights of EMA(n), oldest close first: (1 - 2 / (n + 1)) to the power of age."""
    keep = 1.0 - 2.0 / (n + 1)
    weight = 1.0
    for age in range(2 * n):
        out[2 * n - 1 - age] = weight
        weight *= keep


def ema(close: Values, weights: Values, count: int, i: int) -> float:
    """EMA at bar i as the weighted mean of the last `count` closes; NaN where there are fewer."""
    if i < count - 1:
        return math.nan
    total = 0.0
    mass = 0.0
    for k in range(count):
        total += weights[k] * close[i - count + 1 + k]
        mass += weights[k]
    return total / mass


def emas(close: Values, weights: Values, count: int, at: Sequence[int], size: int, out: Out) -> None:
    """Write the EMA at each of the `size` bars of `at` to `out`."""
    for k in range(size):
        out[k] = ema(close, weights, count, at[k])


def means(values: Values, at: Sequence[int], size: int, window: int, out: Out) -> None:
    """Write the mean of the last `window` values, the bar's own included, at each bar of `at`; NaN with fewer."""
    for k in range(size):
        i = at[k]
        total = math.nan
        if i >= window - 1:
            total = 0.0
            for j in range(i - window + 1, i + 1):
                total += values[j]
        out[k] = total / window


def ranks(values: Values, at: Sequence[int], size: int, window: int, out: Out) -> None:
    """Write the rank of the value at each bar of `at` among the last `window`, its own included, 0 to below 100.

    The share, in percent, that lies strictly below; a missing value (NaN) counts on neither side. NaN where
    there are fewer bars or the value itself is missing.
    """
    for k in range(size):
        i = at[k]
        rank = math.nan
        if i >= window - 1 and values[i] == values[i]:
            below = 0
            known = 0
            for j in range(i - window + 1, i + 1):
                if values[j] < values[i]:
                    below += 1
                if values[j] == values[j]:
                    known += 1
            rank = 100.0 * below / known
        out[k] = rank


def bandwidth(close: Values, i: int, period: int, width: float) -> float:
    """Bollinger bandwidth at bar i: (upper - lower) / middle, population deviation, two passes."""
    total = 0.0
    for k in range(i - period + 1, i + 1):
        total += close[k]
    mean = total / period
    square = 0.0
    for k in range(i - period + 1, i + 1):
        square += (close[k] - mean) * (close[k] - mean)
    return 2.0 * width * math.sqrt(square / period) / mean


def bandwidths(close: Values, lo: int, hi: int, period: int, width: float, out: Out) -> None:
    """Write the bandwidths of bars [lo, hi) to the start of `out`; NaN with fewer than `period` closes."""
    for i in range(lo, hi):
        value = math.nan
        if i >= period - 1:
            value = bandwidth(close, i, period, width)
        out[i - lo] = value


def squeezed(close: Values, i: int, period: int, width: float, lookback: int, rank_pct: float, within: int,
             bands: Out) -> bool:
    """Tell whether a narrow bandwidth stood on at least one of the `within` bars before bar i.

    Narrow: fewer than rank_pct % of its last `lookback` values (itself included) lie below it.
    bands: bandwidths by bar, NaN where not yet computed; filled as needed. Too few bars: no.
    """
    first = i - within - lookback + 1
    if first - period + 1 < 0:
        return False
    for k in range(first, i):
        if math.isnan(bands[k]):
            bands[k] = bandwidth(close, k, period, width)
    for last in range(i - within, i):
        below = 0
        for k in range(last - lookback + 1, last + 1):
            if bands[k] < bands[last]:
                below += 1
        if below * 100.0 < rank_pct * lookback:
            return True
    return False


def breakout(high: Values, low: Values, close: Values, i: int, channel: int) -> int:
    """Tell whether close[i] lies above (+1) or below (-1) all of the `channel` bars before; else 0."""
    if i < channel:
        return 0
    above = True
    below = True
    for k in range(i - channel, i):
        if close[i] <= high[k]:
            above = False
        if close[i] >= low[k]:
            below = False
        if not above and not below:
            return 0
    return 1 if above else -1


def broken_out(high: Values, low: Values, close: Values, weights: Values, count: int, i: int, channel: int) -> int:
    """Evaluate channel and EMA side of rule 19a at bar i: +1 long, -1 short, 0 neither.

    count 0: no EMA side is asked. The cheap test comes first.
    """
    side = breakout(high, low, close, i, channel)
    if side != 0 and count > 0:
        level = ema(close, weights, count, i)
        if not side * close[i] > side * level:
            return 0
    return side


def breakouts(high: Values, low: Values, close: Values, weights: Values, count: int, lo: int, hi: int,
              channel: int, period: int, width: float, lookback: int, rank_pct: float, within: int, bands: Out,
              out_bar: Marks, out_side: Marks) -> int:
    """Find the bars of [lo, hi) that break out while the bar before did not, the bands being narrow if asked.

    within 0: no squeeze is asked. Returns how many were written; the outputs hold hi - lo at most.
    """
    n = 0
    before = 0
    for i in range(lo - 1, hi):
        side = broken_out(high, low, close, weights, count, i, channel)
        if i >= lo and side != 0 and side != before and (
                within == 0 or squeezed(close, i, period, width, lookback, rank_pct, within, bands)):
            out_bar[n] = i
            out_side[n] = side
            n += 1
        before = side
    return n


# Every loop of this file, callees before callers: the order in which a compiler needs them.
FUNCTIONS: tuple[Callable, ...] = (pivot, starts_of, impulses, avwap, atr, adx, rsi, rank_atr_pct,
                                   ema_weights, ema, emas, means, ranks, bandwidth, bandwidths, squeezed, breakout,
                                   broken_out, breakouts)


@dataclass(frozen=True, slots=True)
class Kernels:
    """The loops in one form, plain or compiled, with `seq`: an array in the form they like best."""

    seq: Callable[[Floats], Values]
    pivot: Callable[..., int]
    starts_of: Callable[..., int]
    impulses: Callable[..., int]
    avwap: Callable[..., float]
    atr: Callable[..., None]
    adx: Callable[..., None]
    rsi: Callable[..., None]
    rank_atr_pct: Callable[..., tuple[int, int]]
    ema_weights: Callable[..., None]
    ema: Callable[..., float]
    emas: Callable[..., None]
    means: Callable[..., None]
    ranks: Callable[..., None]
    bandwidth: Callable[..., float]
    bandwidths: Callable[..., None]
    squeezed: Callable[..., bool]
    breakout: Callable[..., int]
    broken_out: Callable[..., int]
    breakouts: Callable[..., int]


def _plain_seq(array: Floats) -> Values:
    # Loops over a list of floats run several times faster than over an array's scalars.
    values: list[float] = array.tolist()
    return values


PLAIN = Kernels(_plain_seq, *FUNCTIONS)
