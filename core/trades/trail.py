"""The way a plan's stop went: the lifecycle walked bar by bar, its stop noted after each."""

from bisect import bisect_left
from collections.abc import Sequence

from core.trades.lifecycle import MINUTE, Order, finished, new_state, walk

Minutes = tuple[Sequence[int], Sequence[float], Sequence[float], Sequence[float], Sequence[float]]
Bars = tuple[Sequence[int], Sequence[float]]


def trail_path(order: Order, minutes: Minutes, bars: Bars) -> tuple[list[int], list[float]]:
    """Times (ms UTC) and stops of a plan's life: from when on which stop was in force, for a line of steps.

    minutes: columns ts, open, high, low, close from the decision on, in time order. bars: closes (open + timeframe)
    and Wilder's ATR of the bars of the plan's timeframe, as `walk` takes them. The first point is the fill with the
    first stop, the last one the end with the stop then in force (or, while it lives, the newest minute); between
    them one for each bar after which the stop stood elsewhere. Empty where the entry was never filled.
    """
    ts, state, at = minutes[0], new_state(order), 0
    times: list[int] = []
    stops: list[float] = []
    for cut in sorted({bisect_left(ts, close) for close in bars[0]} | {len(ts)}):
        if cut <= at or finished(state):
            continue
        state, at = walk(state, order, *minutes, at, cut, *bars)
        if not times and state.opened_ts:
            times, stops = [state.opened_ts], [order.sl]
        if times and (finished(state) or state.stop != stops[-1]):
            times.append(state.closed_ts or ts[at - 1] + MINUTE)
            stops.append(state.stop)
    if times and not finished(state) and times[-1] <= ts[-1]:
        times.append(ts[-1] + MINUTE)
        stops.append(state.stop)
    return times, stops
