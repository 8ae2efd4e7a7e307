"""What an account would have made of closed trades: balance, drawdown, ratios, and the calendar.

Names and definitions are those that users of other programs know; where such a figure flatters (a ratio over
single trades grows with their number) one by days stands beside it. Each plan has its own size, made for the
starting balance: nothing is compounded. A figure that is not defined is None.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.candles import Floats, Ints
from core.timeframe import DAY
from core.trades import grouped
from core.trades.columns import Columns, Flags

YEAR_DAYS = 365


@dataclass(frozen=True, slots=True)
class Fall:
    """The deepest fall of the balance, by closings. high_usd, low_usd: profit so far at its start and its end.

    account_pct: depth in percent of the balance it fell from. start_ts: None where it began with the first trade;
    recovered_ts: when that high was reached again, None = not yet.
    """

    depth_usd: float
    account_pct: float
    high_usd: float
    low_usd: float
    start_ts: int | None
    end_ts: int
    recovered_ts: int | None


@dataclass(frozen=True, slots=True)
class Account:
    """An account that took every trade. *_pct: percent of the starting balance unless said otherwise.

    sharpe, sortino, calmar: mean result per day over the deviation of single trades, and over the drawdown, by
    the square root of 365. by_day_*: the same over results by UTC day; calmar_year: CAGR over `underwater_pct`.
    underwater_pct: the largest share of its highest balance that it lost. ruined_ts: when nothing was left; what
    comes after is arithmetic. p_value: chance of a mean this far from zero without any edge, weeks as blocks.
    """

    days: int
    starting: float
    final: float
    profit_usd: float
    profit_pct: float
    avg_daily_pct: float
    cagr_pct: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    by_day_sharpe: float | None
    by_day_sortino: float | None
    calmar_year: float | None
    p_value: float | None
    min_balance: float | None
    max_balance: float | None
    underwater_pct: float
    drawdown: Fall | None
    current_drawdown_usd: float
    current_drawdown_pct: float
    ruined_ts: int | None


def account(trades: Columns, starting: float, start: int, end: int) -> Account:
    """The account over [start, end) ms with `starting` USD."""
    usd, days = trades.usd, max(1, (end - start) // DAY)
    balance = starting + np.cumsum(usd)
    peak = np.maximum(np.maximum.accumulate(balance), starting)
    under = (peak - balance) / peak
    final = float(balance[-1]) if len(usd) else starting
    profit, worst = final - starting, float(under.max(initial=0.0))
    growth, daily = cagr(days, starting, final), by_day(trades.closed_ts, usd / starting, start, end)
    deepest = drawdown(trades, starting)
    broke = np.flatnonzero(balance <= 0.0)
    return Account(
        days=days, starting=starting, final=final, profit_usd=profit, profit_pct=100.0 * profit / starting,
        avg_daily_pct=100.0 * profit / starting / days, cagr_pct=None if growth is None else 100.0 * growth,
        sharpe=_annual(profit / starting / days, _spread(usd / starting)),
        sortino=_annual(profit / starting / days, _spread(usd[usd < 0] / starting)),
        calmar=_annual(100.0 * profit / starting / days, deepest.account_pct / 100.0 if deepest else 0.0),
        by_day_sharpe=_annual(float(daily.mean()), _spread(daily) * math.sqrt(len(daily) / max(1, len(daily) - 1))),
        by_day_sortino=_annual(float(daily.mean()), math.sqrt(float((np.minimum(daily, 0.0) ** 2).mean()))),
        calmar_year=growth / worst if growth is not None and worst > 0 else None,
        p_value=p_value(trades.r, trades.closed_ts),
        min_balance=float(balance.min()) if len(usd) else None, max_balance=float(balance.max()) if len(usd) else None,
        underwater_pct=100.0 * worst, drawdown=deepest,
        current_drawdown_usd=float(peak[-1] - balance[-1]) if len(usd) else 0.0,
        current_drawdown_pct=100.0 * float(under[-1]) if len(usd) else 0.0,
        ruined_ts=int(trades.closed_ts[broke[0]]) if len(broke) else None)


def cagr(days: int, starting: float, final: float) -> float | None:
    """Growth per year of 365 days, as a fraction; None where nothing is left."""
    if final <= 0.0:
        return None
    power = math.log(final / starting) * YEAR_DAYS / days
    return math.expm1(power) if power < 100.0 else None  # a day or two that would grow without bounds


def drawdown(trades: Columns, starting: float) -> Fall | None:
    """The deepest fall of the balance in USD; None if it never fell."""
    found = grouped.fall(trades.usd)
    if found is None:
        return None
    total, (top, low) = np.cumsum(trades.usd), found
    high, ts = (float(total[top]) if top >= 0 else 0.0), trades.closed_ts
    back = np.flatnonzero(total[low:] >= high)
    depth = high - float(total[low])
    return Fall(depth, 100.0 * depth / (high + starting), high, float(total[low]), int(ts[top]) if top >= 0 else None,
                int(ts[low]), int(ts[low + back[0]]) if len(back) else None)


def underwater(values: Floats) -> Floats:
    """How far the running sum lies below its highest so far (0 at the beginning), as a negative number; (n,)."""
    total = np.cumsum(values)
    return np.asarray(total - np.maximum(np.maximum.accumulate(total), 0.0)) if len(values) else total


def by_day(ts: Ints, values: Floats, start: int, end: int) -> Floats:
    """Sums by UTC day from the day of `start` through that of the last ms before `end`, days without any as 0."""
    first, last = start // DAY, max(start, end - 1) // DAY
    inside = (ts // DAY >= first) & (ts // DAY <= last)
    found = np.bincount(ts[inside] // DAY - first, weights=values[inside], minlength=last - first + 1)
    return found.astype(np.float64)


def p_value(values: Floats, closed_ts: Ints) -> float | None:
    """Two-sided chance of such a mean if the true one were zero, weeks of closing as blocks; None below 5 weeks."""
    found = grouped.week_error(values, closed_ts)
    if found is None or found[1] <= 0.0:
        return None
    return student(found[0] / found[1], found[2])


def student(t: float, free: int) -> float:
    """P(|T| > |t|) for Student's t with a whole number of degrees of freedom (Abramowitz and Stegun 26.7.3-4)."""
    angle = math.atan(abs(t) / math.sqrt(free))
    odd, square = free % 2, math.cos(angle) ** 2
    term = math.cos(angle) if odd else 1.0
    total = term if free > 1 else 0.0
    for k in range(2 + odd, free - 1, 2):
        term *= square * (k - 1) / k
        total += term
    inside = 2.0 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return min(1.0, max(0.0, 1.0 - inside))


def most_open(opened_ts: Ints, closed_ts: Ints) -> int:
    """How many trades were open in one minute at most, the minutes of opening and closing included."""
    if not len(opened_ts):
        return 0
    opens, ends = np.sort(opened_ts), np.sort(closed_ts)
    before = np.searchsorted(ends, opens, side="left")  # ended in an earlier minute
    return int((np.searchsorted(opens, opens, side="right") - before).max())


def _annual(mean: float, spread: float) -> float | None:
    return mean / spread * math.sqrt(YEAR_DAYS) if spread > 0.0 else None


def _spread(values: Floats) -> float:
    # Of the values themselves (n, not n - 1), as the ratios that users know have it; equal ones have exactly none.
    return float(values.std()) if len(values) > 1 and np.ptp(values) > 0.0 else 0.0


# Buy and hold

Closes = Mapping[str, tuple[Ints, Floats]]  # by symbol: times and closes, ascending


def market_change(closes: Closes) -> float | None:
    """Mean over the pairs of last close / first close - 1, a fraction; None without any."""
    changes = [float(close[-1] / close[0] - 1.0) for _, close in closes.values() if len(close)]
    return math.fsum(changes) / len(changes) if changes else None


def hold(closes: Closes, starting: float) -> tuple[Ints, Floats]:
    """`starting` USD in equal parts bought at each pair's first close and held: times and balance, (m,).

    A pair that begins later is cash until then.
    """
    known = [(ts, close) for ts, close in closes.values() if len(close)]
    if not known:
        return np.empty(0, np.int64), np.empty(0)
    times = np.unique(np.concatenate([ts for ts, _ in known]))
    worth = [np.where(times < ts[0], 1.0, close[np.maximum(np.searchsorted(ts, times, side="right") - 1, 0)] / close[0])
             for ts, close in known]
    return times, starting * np.mean(worth, axis=0)


# The calendar


class Period(NamedTuple):
    """One day, week (from Monday) or month of closings, UTC. start_ts: its first moment."""

    start_ts: int
    trades: int
    usd: float
    r: float
    profit_factor: float | None
    wins: int
    draws: int
    losses: int


def breakdown(trades: Columns, period: str) -> list[Period]:
    """Results by `day`, `week` or `month` of closing, oldest first; those without a closing are left out."""
    starts = period_start(trades.closed_ts, period)
    found, index = np.unique(starts, return_inverse=True)
    n, won, lost = len(found), trades.pnl_pct > 0, trades.pnl_pct < 0

    def total(values: Floats, rows: Flags | None = None) -> list[float]:
        kept = values if rows is None else np.where(rows, values, 0.0)
        return np.bincount(index, weights=kept, minlength=n).tolist()

    ones = np.ones(len(trades))
    gains, pains = total(trades.usd, trades.usd > 0), total(-trades.usd, trades.usd < 0)
    wins, losses, counts = total(ones, won), total(ones, lost), total(ones)
    usd, r = total(trades.usd), total(trades.r)
    return [Period(int(found[i]), int(counts[i]), usd[i], r[i], gains[i] / pains[i] if pains[i] > 0 else None,
                   int(wins[i]), int(counts[i] - wins[i] - losses[i]), int(losses[i])) for i in range(n)]


def period_start(ts: Ints, period: str) -> Ints:
    """First moment of the day, week or month that holds each time, ms UTC. Raises KeyError for another period."""
    day = ts // DAY
    if period == "month":
        months = ts.astype("datetime64[ms]").astype("datetime64[M]")
        return months.astype("datetime64[ms]").astype(np.int64)
    return {"day": day, "week": (day + 3) // 7 * 7 - 3}[period] * DAY  # the epoch began on a Thursday


class Days(NamedTuple):
    """Days from the first closing to the last that won, drew (those without a closing too) and lost; best, worst."""

    win: int
    draw: int
    lose: int
    best_usd: float
    worst_usd: float


def days(trades: Columns) -> Days | None:
    """Results by UTC day of closing; None without trades."""
    if not len(trades):
        return None
    daily = by_day(trades.closed_ts, trades.usd, int(trades.closed_ts[0]), int(trades.closed_ts[-1]) + 1)
    win, lose = int((daily > 0).sum()), int((daily < 0).sum())
    return Days(win, len(daily) - win - lose, lose, float(daily.max()), float(daily.min()))


def thin(values: Floats, most: int = 1200) -> Ints:
    """Positions of at most about `most` points that keep a curve's shape: of each run the lowest, highest and last."""
    n = len(values)
    if n <= most:
        return np.arange(n)
    edges = np.linspace(0, n, most // 3 + 1).astype(np.int64)
    kept = {0, n - 1}
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[start:stop]
        kept |= {start + int(part.argmin()), start + int(part.argmax()), stop - 1}
    return np.array(sorted(kept), dtype=np.int64)
