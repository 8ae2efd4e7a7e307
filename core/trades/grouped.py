"""The figures of `performance` over columns, whole and by group: quick where there are many trades."""

from collections.abc import Callable

import numpy as np

from core.candles import Floats, Ints
from core.timeframe import HOUR
from core.trades import performance
from core.trades.columns import Columns, Labels
from core.trades.performance import DAY, FEWEST_BLOCKS, WEEK, Z95, Drawdown, Summary

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def summarize(trades: Columns) -> Summary:
    """All figures of `performance.summarize`, usd being the plan's own size."""
    n, pnl, r, usd = len(trades), trades.pnl_pct, trades.r, trades.usd
    won, lost = pnl > 0, pnl < 0
    wins, losses = int(won.sum()), int(lost.sum())
    rate = performance.wilson(wins, n) or (None, None)
    low, high = week_interval(r, trades.closed_ts) or (None, None)
    held = trades.closed_ts - trades.opened_ts
    runs = streaks(pnl)
    return Summary(
        trades=n, wins=wins, draws=n - wins - losses, losses=losses, win_pct=100.0 * wins / n if n else None,
        win_low_pct=_percent(rate[0]), win_high_pct=_percent(rate[1]),
        break_even_pct=_percent(performance.break_even_rate(_mean(r[won]), _mean(-r[lost]))),
        expectancy_r=_mean(r), expectancy_r_low=low, expectancy_r_high=high, avg_profit_pct=_mean(pnl),
        tot_profit_pct=float(pnl.sum()), tot_profit_usd=float(usd.sum()), expectancy_ratio=expectancy_ratio(usd),
        profit_factor=profit_factor(usd), sqn=sqn(r), max_drawdown=_drawdown(trades),
        best_trade_pct=float(pnl.max()) if n else None, worst_trade_pct=float(pnl.min()) if n else None,
        tail_share_pct=_percent(tail_share(pnl)), avg_duration_ms=_span(held), avg_duration_winners_ms=_span(held[won]),
        avg_duration_losers_ms=_span(held[lost]), max_consecutive_wins=runs[0], max_consecutive_losses=runs[1],
        expectancy_usd=_mean(usd), min_duration_winners_ms=_least(held[won]), max_duration_winners_ms=_most(held[won]),
        min_duration_losers_ms=_least(held[lost]), max_duration_losers_ms=_most(held[lost]))


def week_interval(values: Floats, closed_ts: Ints, z: float = Z95) -> tuple[float, float] | None:
    """`performance.block_interval` of the mean with weeks of closing as blocks."""
    found = week_error(values, closed_ts)
    if found is None:
        return None
    mean, error, free = found
    half = performance.widened(z, free) * error
    return mean - half, mean + half


def week_error(values: Floats, closed_ts: Ints) -> tuple[float, float, int] | None:
    """Mean, its standard error with weeks as blocks, and the degrees of freedom; None below 5 weeks."""
    _, week = np.unique(closed_ts // WEEK, return_inverse=True)
    groups = int(week.max()) + 1 if len(values) else 0
    if groups < FEWEST_BLOCKS:
        return None
    mean = float(values.mean())
    off = np.bincount(week, weights=values - mean)
    return mean, float(np.sqrt(groups / (groups - 1) * (off @ off))) / len(values), groups - 1


def profit_factor(results: Floats) -> float | None:
    """Sum of the wins over the sum of the losses; None without losses."""
    lost = -float(results[results < 0].sum())
    return float(results[results > 0].sum()) / lost if lost > 0 else None


def expectancy_ratio(results: Floats) -> float | None:
    """As `performance.expectancy_ratio`."""
    won, lost = _mean(results[results > 0]), _mean(-results[results < 0])
    if won is None or lost is None:
        return None
    return (1.0 + won / lost) * float((results > 0).mean()) - 1.0


def sqn(results: Floats) -> float | None:
    """As `performance.sqn`."""
    if len(results) < 2 or not np.ptp(results) > 0.0:
        return None
    return float(np.sqrt(len(results)) * results.mean() / results.std(ddof=1))


def streaks(results: Floats) -> tuple[int, int]:
    """Longest runs of wins and of losses; a draw ends both."""
    sign = np.sign(results)
    ends = np.append(np.flatnonzero(np.diff(sign)), len(sign) - 1) if len(sign) else np.empty(0, np.int64)
    length, of_run = np.diff(ends, prepend=-1), sign[ends]
    return tuple(int(length[of_run == side].max(initial=0)) for side in (1, -1))  # type: ignore[return-value]


def tail_share(results: Floats, share: float = 0.01) -> float | None:
    """As `performance.tail_share`."""
    won = float(results[results > 0].sum())
    if won <= 0.0:
        return None
    top = np.sort(results)[-max(1, round(len(results) * share)):]
    return float(top[top > 0].sum()) / won


def fall(results: Floats) -> tuple[int, int] | None:
    """The deepest fall of the running sum, which begins at 0: positions of its high (-1 = the beginning) and low."""
    if not len(results):
        return None
    total = np.cumsum(results)
    high = np.maximum(np.maximum.accumulate(total), 0.0)
    low = int(np.argmax(high - total))
    if not high[low] > total[low]:
        return None
    return (int(np.argmax(total >= high[low])) if high[low] > 0.0 else -1), low


def _drawdown(trades: Columns) -> Drawdown | None:
    found = fall(trades.pnl_pct)
    if found is None:
        return None
    total, (top, low) = np.cumsum(trades.pnl_pct), found
    high = float(total[top]) if top >= 0 else 0.0
    return Drawdown(high - float(total[low]), high, float(total[low]),
                    int(trades.closed_ts[top]) if top >= 0 else None, int(trades.closed_ts[low]))


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100.0 * fraction


def _span(held: Ints) -> int | None:
    return int(held.sum()) // len(held) if len(held) else None


def _least(held: Ints) -> int | None:
    return int(held.min()) if len(held) else None


def _most(held: Ints) -> int | None:
    return int(held.max()) if len(held) else None


# Groups


def weekday(ts: Ints) -> Ints:
    """Day of the week, UTC, Monday 0."""
    return (ts // DAY + 3) % 7  # the epoch began on a Thursday


def hour(ts: Ints) -> Ints:
    """Hour of the day, UTC."""
    return ts // HOUR % 24


def _months(trades: Columns) -> Labels:
    months = trades.closed_ts.astype("datetime64[ms]").astype("datetime64[M]")
    names, codes = np.unique(months, return_inverse=True)
    return Labels(codes.astype(np.int64), tuple(str(name) for name in names))


def _mixed(trades: Columns) -> Labels:
    # Setup and exit reason together: what others call the mixed tag.
    codes = trades.setup.codes * max(1, len(trades.exit_reason.names)) + trades.exit_reason.codes
    return Labels(codes, tuple(f"{a} {b}" for a in trades.setup.names for b in trades.exit_reason.names))


# The ways to cut the trades. Weekday and hour are those of the fill.
GROUPS: dict[str, Callable[[Columns], Labels]] = {
    "pair": lambda t: t.symbol, "timeframe": lambda t: t.timeframe, "direction": lambda t: t.direction,
    "regime": lambda t: t.regime, "setup": lambda t: t.setup, "exit_reason": lambda t: t.exit_reason,
    "mixed": _mixed, "rule": lambda t: t.rule, "month": _months,
    "weekday": lambda t: Labels(weekday(t.opened_ts), WEEKDAYS),
    "hour": lambda t: Labels(hour(t.opened_ts), tuple(f"{h:02d}" for h in range(24))),
}


def by(trades: Columns, group: str) -> dict[str, Summary]:
    """A summary per value of one of GROUPS that has any trade, in their order. Raises KeyError for another group."""
    codes, names = GROUPS[group](trades)
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    parts = np.split(order, starts[1:])
    return {names[code]: summarize(trades.take(part)) for code, part in zip(found.tolist(), parts, strict=False)}
