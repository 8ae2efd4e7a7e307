"""The account's figures once more, slowly and from their definitions alone: no array, nothing of the shipped code.

A trade here is (opened_ts, closed_ts, usd, r, stake, volume), trades in closing order, times in ms.
"""

import math
import statistics
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

Trade = tuple[int, int, float, float, float, float]


def moment(ts: int) -> datetime:
    return datetime.fromtimestamp(ts / 1000, UTC)


def balances(trades: Sequence[Trade], starting: float) -> list[float]:
    found, now = [], starting
    for trade in trades:
        now += trade[2]
        found.append(now)
    return found


def underwater(trades: Sequence[Trade], starting: float) -> float:
    peak, worst = starting, 0.0
    for balance in balances(trades, starting):
        peak = max(peak, balance)
        worst = max(worst, (peak - balance) / peak)
    return worst


def deepest(trades: Sequence[Trade], starting: float) -> tuple[float, float, float] | None:
    """Depth, profit at its high, profit at its low: every pair of moments is looked at, the first of equals counts."""
    profits = [0.0, *(b - starting for b in balances(trades, starting))]
    best: tuple[float, float, float] | None = None
    for j, low in enumerate(profits):
        for high in profits[:j]:
            if high - low > (best[0] if best else 0.0) + 1e-9:
                best = (high - low, high, low)
    return best


def whole_days(start: int, end: int) -> int:
    return max(1, (moment(end) - moment(start)).days)


def sharpe(trades: Sequence[Trade], starting: float, start: int, end: int, losers: bool = False) -> float | None:
    """Mean profit per day over the deviation of single trades (losers: of the losing ones), times sqrt(365)."""
    parts = [t[2] / starting for t in trades]
    spread = [p for p in parts if p < 0] if losers else parts
    if len(spread) < 2 or statistics.pstdev(spread) < 1e-15:
        return None
    return sum(parts) / whole_days(start, end) / statistics.pstdev(spread) * math.sqrt(365)


def calmar(trades: Sequence[Trade], starting: float, start: int, end: int) -> float | None:
    fall = deepest(trades, starting)
    if fall is None:
        return None
    mean_pct = sum(t[2] for t in trades) / starting / whole_days(start, end) * 100
    return mean_pct / (fall[0] / (fall[1] + starting)) * math.sqrt(365)


def cagr(starting: float, final: float, start: int, end: int) -> float | None:
    return None if final <= 0 else (final / starting) ** (365 / whole_days(start, end)) - 1


def daily(trades: Sequence[Trade], start: int, end: int) -> dict[date, float]:
    """Profit by UTC date from the date of start through that of the last moment before end."""
    found, day = {}, moment(start).date()
    while day <= moment(end - 1).date():
        found[day] = sum(t[2] for t in trades if moment(t[1]).date() == day)
        day += timedelta(days=1)
    return found


def sharpe_by_day(trades: Sequence[Trade], starting: float, start: int, end: int) -> float | None:
    sums = [v / starting for v in daily(trades, start, end).values()]
    if len(sums) < 2 or statistics.stdev(sums) < 1e-15:
        return None
    return statistics.mean(sums) / statistics.stdev(sums) * math.sqrt(365)


def sortino_by_day(trades: Sequence[Trade], starting: float, start: int, end: int) -> float | None:
    sums = [v / starting for v in daily(trades, start, end).values()]
    below = math.sqrt(sum(min(v, 0.0) ** 2 for v in sums) / len(sums))
    return statistics.mean(sums) / below * math.sqrt(365) if below > 1e-15 else None


def most_open(trades: Sequence[Trade]) -> int:
    """At each opening it is counted what is open; both ends of a trade belong to it."""
    return max((sum(o <= moment <= c for o, c, *_ in trades) for moment, *_ in trades), default=0)


def period_of(ts: int, period: str) -> date:
    day = moment(ts).date()
    return {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[period]
