"""Figures over many trades: what `analyze` and the pages show.

A win rate never stands alone: beside it go the number of trades, an interval, and the break-even
rate that the average win and loss imply. A figure that is not defined (no losses, one week of data) is
None, never NaN or infinity.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

WEEK = 7 * 86_400_000
DAY = 86_400_000
Z95 = 1.959963984540054
FEWEST_BLOCKS = 5  # fewer say nothing of how much blocks differ


@dataclass(frozen=True, slots=True)
class Closed:
    """One closed trade. pnl_pct: net, percent of its notional; times ms UTC; direction long or short.

    pnl_usd: of the fixed notional that `analyze` shows, or of the plan's own size (`columns.of`).
    """

    symbol: str
    timeframe: str
    setup: str
    direction: str
    exit_reason: str
    opened_ts: int
    closed_ts: int
    pnl_pct: float
    pnl_usd: float
    r_multiple: float


def closed_trades(rows: Iterable[Mapping[str, Any]]) -> list[Closed]:
    """The rows (columns of `signals` and `trades`) that count, by closing time.

    Left out: what is still open or never filled (pnl_pct None) and rows marked in_sample, which no
    figure may use.
    """
    kept = [Closed(*(row[name] for name in Closed.__slots__)) for row in rows
            if row["pnl_pct"] is not None and not row.get("in_sample")]
    return sorted(kept, key=lambda t: (t.closed_ts, t.symbol, t.timeframe, t.setup, t.direction))


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of the summed net result, in percent of one trade's notional.

    high, low: the sums it fell from and to; start_ts, end_ts: closings at which they stood (start_ts
    is None when the fall began before the first closing).
    """

    depth_pct: float
    high_pct: float
    low_pct: float
    start_ts: int | None
    end_ts: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures over a set of closed trades; None where a figure is not defined. *_pct is percent.

    expectancy_usd, expectancy_ratio and profit_factor go by pnl_usd; tot_profit_pct is the sum of pnl_pct.
    """

    trades: int
    wins: int
    draws: int
    losses: int
    win_pct: float | None
    win_low_pct: float | None
    win_high_pct: float | None
    break_even_pct: float | None
    expectancy_r: float | None
    expectancy_r_low: float | None
    expectancy_r_high: float | None
    avg_profit_pct: float | None
    tot_profit_pct: float
    tot_profit_usd: float
    expectancy_ratio: float | None
    profit_factor: float | None
    sqn: float | None
    max_drawdown: Drawdown | None
    best_trade_pct: float | None
    worst_trade_pct: float | None
    tail_share_pct: float | None
    avg_duration_ms: int | None
    avg_duration_winners_ms: int | None
    avg_duration_losers_ms: int | None
    max_consecutive_wins: int
    max_consecutive_losses: int
    expectancy_usd: float | None
    min_duration_winners_ms: int | None
    max_duration_winners_ms: int | None
    min_duration_losers_ms: int | None
    max_duration_losers_ms: int | None


# What the users of other programs know these figures as.
LABELS: dict[str, str] = {
    "trades": "Trades", "wins": "Win", "draws": "Draw", "losses": "Loss", "win_pct": "Win%",
    "win_low_pct": "Win% low", "win_high_pct": "Win% high", "break_even_pct": "Break-even Win%",
    "expectancy_r": "Expectancy R", "expectancy_r_low": "Expectancy R low",
    "expectancy_r_high": "Expectancy R high", "avg_profit_pct": "Avg Profit %",
    "tot_profit_pct": "Cum Profit %", "tot_profit_usd": "Tot Profit USD",
    "expectancy_ratio": "Expectancy (Ratio)", "profit_factor": "Profit factor", "sqn": "SQN",
    "max_drawdown": "Drawdown", "best_trade_pct": "Best trade", "worst_trade_pct": "Worst trade",
    "tail_share_pct": "Profit from the best 1 %", "avg_duration_ms": "Avg Duration",
    "avg_duration_winners_ms": "Avg. Duration Winners", "avg_duration_losers_ms": "Avg. Duration Losers",
    "max_consecutive_wins": "Max Consecutive Wins", "max_consecutive_losses": "Max Consecutive Loss",
    "expectancy_usd": "Expectancy", "min_duration_winners_ms": "Min Duration Winners",
    "max_duration_winners_ms": "Max Duration Winners", "min_duration_losers_ms": "Min Duration Losers",
    "max_duration_losers_ms": "Max Duration Losers",
}


def wilson(wins: int, n: int, z: float = Z95) -> tuple[float, float] | None:
    """Wilson's score interval of a rate, as fractions; None for n = 0.

    It treats trades as independent; trades that overlap in time make the truth wider.
    """
    if n == 0:
        return None
    p, zz = wins / n, z * z
    middle = (p + zz / (2 * n)) / (1 + zz / n)
    half = z / (1 + zz / n) * math.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    return 0.0 if wins == 0 else middle - half, 1.0 if wins == n else middle + half


def break_even_rate(avg_win: float | None, avg_loss: float | None) -> float | None:
    """Share of wins at which the average win and the average loss (both positive) cancel; a fraction."""
    if avg_win is None or avg_loss is None or avg_win + avg_loss <= 0.0:
        return None
    return avg_loss / (avg_win + avg_loss)


def profit_factor(results: Sequence[float]) -> float | None:
    """Sum of the wins over the sum of the losses; None without losses."""
    lost = -math.fsum(x for x in results if x < 0)
    return math.fsum(x for x in results if x > 0) / lost if lost > 0 else None


def expectancy_ratio(results: Sequence[float]) -> float | None:
    """(1 + avg win / avg loss) x win rate - 1: mean result per average loss; None without wins or losses."""
    won, lost = mean([x for x in results if x > 0]), mean([-x for x in results if x < 0])
    if won is None or lost is None:
        return None
    return (1 + won / lost) * sum(x > 0 for x in results) / len(results) - 1


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def sqn(results: Sequence[float]) -> float | None:
    """Van Tharp's system quality number, sqrt(n) x mean / deviation (n - 1); None below 2 trades or without spread."""
    middle = mean(results)
    if middle is None or min(results) == max(results):
        return None
    deviation = math.sqrt(math.fsum((x - middle) ** 2 for x in results) / (len(results) - 1))
    return math.sqrt(len(results)) * middle / deviation


def block_interval(values: Sequence[float], blocks: Sequence[int], z: float = Z95) -> tuple[float, float] | None:
    """Interval of the mean when values of one block (a week, a walk) hang together; None below 5 blocks.

    blocks: the block of each value. Variance of a ratio of block sums with the factor G / (G - 1); the
    normal quantile z is widened to Student's with G - 1 degrees of freedom.
    """
    sums: dict[int, list[float]] = {}
    for value, block in zip(values, blocks, strict=True):
        sums.setdefault(block, []).append(value)
    middle = mean(values)
    if middle is None or len(sums) < FEWEST_BLOCKS:
        return None
    free = len(sums) - 1
    spread = math.fsum(math.fsum(x - middle for x in part) ** 2 for part in sums.values())
    half = widened(z, free) * math.sqrt(len(sums) / free * spread) / len(values)
    return middle - half, middle + half


def widened(z: float, free: int) -> float:
    """A normal quantile as Student's with `free` degrees of freedom (Cornish and Fisher 1938)."""
    return z * (1.0 + (z**2 + 1.0) / (4.0 * free) + (5.0 * z**4 + 16.0 * z**2 + 3.0) / (96.0 * free**2))


def max_drawdown(trades: Sequence[Closed]) -> Drawdown | None:
    """Deepest fall of the running sum of pnl_pct, trades in closing order; None if it never fell."""
    total = high = 0.0
    high_ts: int | None = None
    worst: Drawdown | None = None
    for t in trades:
        total += t.pnl_pct
        if total > high:
            high, high_ts = total, t.closed_ts
        elif high - total > (worst.depth_pct if worst else 0.0):
            worst = Drawdown(high - total, high, total, high_ts, t.closed_ts)
    return worst


def streaks(results: Sequence[float]) -> tuple[int, int]:
    """Longest runs of wins and of losses; a draw ends both."""
    best = {1: 0, 0: 0, -1: 0}
    run, last = 0, 0
    for x in results:
        sign = (x > 0) - (x < 0)
        run = run + 1 if sign == last else 1
        last, best[sign] = sign, max(best[sign], run)
    return best[1], best[-1]


def tail_share(results: Sequence[float], share: float = 0.01) -> float | None:
    """Part of all winnings that the best `share` of trades (at least one) brought; a fraction, None without wins."""
    won = math.fsum(x for x in results if x > 0)
    if won <= 0.0:
        return None
    top = sorted(results, reverse=True)[:max(1, round(len(results) * share))]
    return math.fsum(x for x in top if x > 0) / won


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100.0 * fraction


def _spans(trades: Iterable[Closed]) -> list[int]:
    return [t.closed_ts - t.opened_ts for t in trades]


def _duration(trades: Iterable[Closed]) -> int | None:
    spans = _spans(trades)
    return sum(spans) // len(spans) if spans else None


def summarize(trades: Sequence[Closed]) -> Summary:
    """All figures over closed trades in closing order (see `closed_trades`).

    The interval of the expectancy takes weeks of closing as blocks; the break-even rate is in R.
    """
    pnl, r, usd = [t.pnl_pct for t in trades], [t.r_multiple for t in trades], [t.pnl_usd for t in trades]
    won, lost = [t for t in trades if t.pnl_pct > 0], [t for t in trades if t.pnl_pct < 0]
    rate = wilson(len(won), len(trades)) or (None, None)
    spread = block_interval(r, [t.closed_ts // WEEK for t in trades]) or (None, None)
    even = break_even_rate(mean([t.r_multiple for t in won]), mean([-t.r_multiple for t in lost]))
    wins_run, losses_run = streaks(pnl)
    return Summary(
        trades=len(trades), wins=len(won), draws=len(trades) - len(won) - len(lost), losses=len(lost),
        win_pct=_percent(len(won) / len(trades)) if trades else None, win_low_pct=_percent(rate[0]),
        win_high_pct=_percent(rate[1]), break_even_pct=_percent(even), expectancy_r=mean(r),
        expectancy_r_low=spread[0], expectancy_r_high=spread[1], avg_profit_pct=mean(pnl),
        tot_profit_pct=math.fsum(pnl), tot_profit_usd=math.fsum(usd),
        expectancy_ratio=expectancy_ratio(usd), profit_factor=profit_factor(usd), sqn=sqn(r),
        max_drawdown=max_drawdown(trades), best_trade_pct=max(pnl, default=None),
        worst_trade_pct=min(pnl, default=None), tail_share_pct=_percent(tail_share(pnl)),
        avg_duration_ms=_duration(trades), avg_duration_winners_ms=_duration(won),
        avg_duration_losers_ms=_duration(lost), max_consecutive_wins=wins_run, max_consecutive_losses=losses_run,
        expectancy_usd=mean(usd), min_duration_winners_ms=min(_spans(won), default=None),
        max_duration_winners_ms=max(_spans(won), default=None),
        min_duration_losers_ms=min(_spans(lost), default=None), max_duration_losers_ms=max(_spans(lost), default=None))


def month(trade: Closed) -> str:
    """Calendar month of the closing, UTC, as 2024-01."""
    return datetime.fromtimestamp(trade.closed_ts / 1000, UTC).strftime("%Y-%m")


# The ways to cut the trades, under the names of the report's tables.
GROUPS: dict[str, Callable[[Closed], str]] = {
    "pair": lambda t: t.symbol, "timeframe": lambda t: t.timeframe, "direction": lambda t: t.direction,
    "setup": lambda t: t.setup, "exit_reason": lambda t: t.exit_reason, "month": month,
}


def by(trades: Sequence[Closed], group: str) -> dict[str, Summary]:
    """A summary per value of one of GROUPS, in the order of the names. Raises KeyError for another group."""
    key, parts = GROUPS[group], dict[str, list[Closed]]()
    for t in trades:
        parts.setdefault(key(t), []).append(t)
    return {name: summarize(parts[name]) for name in sorted(parts)}


@dataclass(frozen=True, slots=True)
class Days:
    """Results by UTC day of closing; days without a closing do not count."""

    win: int
    draw: int
    lose: int
    best_pct: float
    worst_pct: float


def days(trades: Sequence[Closed]) -> Days | None:
    """Best and worst day and how many days won, drew and lost; None without trades."""
    sums: dict[int, list[float]] = {}
    for t in trades:
        sums.setdefault(t.closed_ts // DAY, []).append(t.pnl_pct)
    totals = [math.fsum(part) for part in sums.values()]
    if not totals:
        return None
    win, lose = sum(x > 0 for x in totals), sum(x < 0 for x in totals)
    return Days(win, len(totals) - win - lose, lose, max(totals), min(totals))
