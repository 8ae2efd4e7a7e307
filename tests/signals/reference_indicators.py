"""The same definitions, written for reading and not for speed: every value from scratch."""

import math
from itertools import groupby

from core.candles import Bars


def added(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total = total + value
    return total


def run_of(bars: Bars, i: int) -> list[int]:
    """Bars of the recursion at i: from the first of the previous block, or of the own one."""
    blocks = [int(ts) // bars.tf // 128 for ts in bars.ts]
    return [k for k in range(i + 1) if blocks[k] in (blocks[i] - 1, blocks[i])]


def wilder(values: list[float], n: int) -> float:
    if len(values) < n:
        return math.nan
    value = added(values[:n]) / n
    for new in values[n:]:
        value = (value * (n - 1) + new) / n
    return value


def true_ranges(bars: Bars, run: list[int]) -> list[float]:
    h, low, c = bars.high.tolist(), bars.low.tolist(), bars.close.tolist()
    return [h[k] - low[k] if k == run[0] else max(h[k] - low[k], abs(h[k] - c[k - 1]), abs(low[k] - c[k - 1]))
            for k in run]


def atr(bars: Bars, i: int, n: int) -> float:
    return wilder(true_ranges(bars, run_of(bars, i)), n)


def adx(bars: Bars, i: int, n: int = 14) -> float:
    run = run_of(bars, i)
    h, low = bars.high.tolist(), bars.low.tolist()
    plus, minus = [0.0], [0.0]
    for k in run[1:]:
        up, down = h[k] - h[k - 1], low[k - 1] - low[k]
        plus.append(up if up > down and up > 0 else 0.0)
        minus.append(down if down > up and down > 0 else 0.0)
    dx = []
    for m in range(n, len(run) + 1):
        p, q = wilder(plus[:m], n), wilder(minus[:m], n)
        dx.append(100.0 * abs(p - q) / (p + q) if p + q > 0 else 0.0)
    return wilder(dx, n)


def vol(bars: Bars, i: int, n: int) -> str:
    values = [100.0 * atr(bars, k, n) / float(bars.close[k]) for k in range(max(0, i - 299), i + 1)]
    known = [value for value in values if not math.isnan(value)]
    share = 100.0 * sum(value < values[-1] for value in known) / len(known)
    return "low" if share < 33 else "high" if share >= 67 else "normal"


def ema(closes: list[float], i: int, n: int) -> float:
    """Weights in exact proportion (1 - 2/(n+1))^age over the last 2n closes, summed without error."""
    if i + 1 < 2 * n:
        return math.nan
    weights = [math.pow(1 - 2 / (n + 1), age) for age in range(2 * n)]
    return math.fsum(w * closes[i - age] for age, w in enumerate(weights)) / math.fsum(weights)


def bandwidth(closes: list[float], i: int, period: int, width: float) -> float:
    part = closes[i + 1 - period : i + 1]
    mean = added(part) / period
    deviation = math.sqrt(added([(c - mean) * (c - mean) for c in part]) / period)
    return 2.0 * width * deviation / mean


def is_pivot(bars: Bars, i: int, w: int) -> int:
    """+1 pivot high, -1 pivot low, 0 neither or both."""
    if i - w < 0 or i + w >= len(bars):
        return 0
    h, low = bars.high.tolist(), bars.low.tolist()
    top = h[i] > max(h[i - w : i]) and h[i] >= max(h[i + 1 : i + w + 1])
    bottom = low[i] < min(low[i - w : i]) and low[i] <= min(low[i + 1 : i + w + 1])
    return int(top) - int(bottom)


def impulses_at(bars: Bars, d: int, w: int, lookback: int, anchors: int) -> list[tuple[int, int, int, int]]:
    """(deciding bar, start, end, side) of the impulses decided at bar d, nearest start first."""
    known = bars.cut(0, d + 1)
    e = d - w
    marks = [(p, side) for p in range(max(0, d - lookback + 1), e + 1) if (side := is_pivot(known, p, w))]
    if not marks or marks[-1][0] != e:
        return []
    groups = [(side, [p for p, _ in members]) for side, members in groupby(marks, key=lambda mark: mark[1])]
    side = groups[-1][0]
    if _extreme(known, *groups[-1]) != e:
        return []
    starts = [_extreme(known, s, members) for s, members in groups if s == -side][-anchors:]
    return [(d, s, e, side) for s in reversed(starts) if _qualifies(known, s, e, side)]


def _extreme(bars: Bars, side: int, members: list[int]) -> int:
    # max() keeps the first of equals
    return max(members, key=lambda p: bars.high[p] if side > 0 else -bars.low[p])


def _qualifies(bars: Bars, s: int, e: int, side: int) -> bool:
    lows, highs = bars.low[s + 1 : e], bars.high[s + 1 : e]
    if side > 0:
        return not any(low < bars.low[s] for low in lows) and not any(high > bars.high[e] for high in highs)
    return not any(high > bars.high[s] for high in highs) and not any(low < bars.low[e] for low in lows)


def broken_out(bars: Bars, i: int, channel: int, ema_side: bool,
               squeeze: tuple[int, float, int, float, int] | None) -> int:
    """The whole condition of a breakout at bar i: +1, -1 or 0."""
    closes, c = bars.close.tolist(), float(bars.close[i])
    if i < channel:
        return 0
    side = int(c > max(bars.high[i - channel : i])) - int(c < min(bars.low[i - channel : i]))
    if ema_side and not side * (c - ema(closes, i, 200)) > 0:
        return 0
    if squeeze is not None and side:
        period, width, lookback, rank, within = squeeze
        if i - within - lookback - period + 2 < 0:
            return 0
        for j in range(i - within, i):
            values = [bandwidth(closes, k, period, width) for k in range(j - lookback + 1, j + 1)]
            if 100.0 * sum(v < values[-1] for v in values) / lookback < rank:
                return side
        return 0
    return side
