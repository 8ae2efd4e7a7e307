"""The page Results: which trades, what they come to in words and cards, and the tables. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.dashboard import words
from core.dashboard.words import Column
from core.timeframe import DAY, show_time
from core.trades import equity, grouped
from core.trades.columns import Columns, Labels
from core.trades.equity import Account
from core.trades.performance import Summary

LIVE, RETRO = "live", "retro"
PASSED, REFUSED = "pass", "refused"
ORIGINS = {LIVE: "Live", RETRO: "Retro (history)"}
VERDICTS = {PASSED: "Passed", REFUSED: "Refused (shadow)"}
PERIODS: dict[str, int | None] = {"All": None, "1 year": 365, "90 days": 90, "30 days": 30, "7 days": 7}
FEW = 30  # trades below which a rate says next to nothing

Card = tuple[str, str, str, str]  # label, value, what stands below it, what it means
Row = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """Which trades: origin and verdict; closed in the last `days` (None = all); empty = no restriction."""

    origin: str = LIVE
    verdict: str = PASSED
    days: int | None = None
    symbols: tuple[str, ...] = ()
    timeframes: tuple[str, ...] = ()
    setups: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()


def pick(trades: Columns, choice: Choice, until: int) -> Columns:
    """The trades of a choice; its days end at `until` (ms)."""
    keep = np.ones(len(trades), np.bool_)
    if choice.days is not None:
        keep &= trades.closed_ts >= until - choice.days * DAY
    for column, wanted in ((trades.symbol, choice.symbols), (trades.timeframe, choice.timeframes),
                           (trades.setup, choice.setups), (trades.direction, choice.directions)):
        if wanted:
            keep &= _named(column, wanted)
    return trades if keep.all() else trades.take(keep)


def _named(column: Labels, wanted: Sequence[str]) -> Any:
    return np.isin(column.codes, [i for i, name in enumerate(column.names) if name in wanted])


def span(trades: Columns, choice: Choice, until: int) -> tuple[int, int]:
    """The time that the figures are about: from the first fill (or where the days begin) to `until`."""
    first = int(trades.opened_ts.min()) if len(trades) else until
    return (first if choice.days is None else max(first, until - choice.days * DAY)), max(until, first + 1)


# In words


def sentence(s: Summary) -> str:
    """What the trades say, with everything a win rate needs beside it; Markdown."""
    if not s.trades:
        return ""
    few = f" Fewer than {FEW} trades: this says next to nothing." if s.trades < FEW else ""
    even = "" if s.break_even_pct is None else f"; these wins and losses break even at {s.break_even_pct:.1f}%"
    return (f"**{words.count(s.trades)} {'trade' if s.trades == 1 else 'trades'}, {s.win_pct:.1f}% won** "
            f"[{s.win_low_pct:.1f} to {s.win_high_pct:.1f}]{even}. Per trade {words.r(s.expectancy_r)}"
            f"{between(s.expectancy_r_low, s.expectancy_r_high)}: **{_judged(s)}**.{few}")


def _judged(s: Summary) -> str:
    if s.expectancy_r_low is None or s.expectancy_r_high is None:
        return "too few weeks to tell skill from chance"
    if s.expectancy_r_low > 0.0:
        return "they earned more than chance explains"
    return "they lost more than chance explains" if s.expectancy_r_high < 0.0 else "chance alone explains it"


def between(low: float | None, high: float | None, unit: str = "R") -> str:
    """` [-0.13 to -0.08 R]`; empty where there is no interval."""
    return "" if low is None or high is None else f" [{low:+.2f} to {high:+.2f}{' ' + unit if unit else ''}]"


def headline(s: Summary, a: Account, market: float | None) -> list[Card]:
    """The cards above everything else."""
    interval = between(s.expectancy_r_low, s.expectancy_r_high, "").strip() or "no interval below 5 weeks"
    even = _num(s.break_even_pct, 1, "%")
    rate = "" if s.win_pct is None else f"[{s.win_low_pct:.1f} to {s.win_high_pct:.1f}] · break-even {even}"
    return [
        ("Trades", words.count(s.trades), f"{s.trades / a.days:.1f} a day", "Filled and ended trades."),
        ("Expectancy R", words.r(s.expectancy_r), interval, "Mean net result in planned stop distances, with its 95 % "
         "interval: weeks of closing as blocks, since trades of one week hang together."),
        ("Win%", _num(s.win_pct, 1, "%"), rate, "Net result above zero, with Wilson's 95 % interval. It says nothing "
         "without the break-even rate that the average win and loss imply."),
        ("Profit factor", _num(s.profit_factor), f"expectancy ratio {_num(s.expectancy_ratio)}",
         "Gross profit over gross loss, each trade at its plan's own size."),
        ("Total R", _r(total_r(s)), f"{a.profit_usd:+,.0f} USD", "Sum of the net results in planned stop "
         "distances; below it in USD at the plans' own sizes."),
        ("Max % underwater", *_under(a), "Largest share of its highest balance that an account of "
         f"{a.starting:,.0f} USD lost which took every plan at its own size."),
        ("From the best 1%", _num(s.tail_share_pct, 0, "%"), "of all winnings", "What the best one percent of trades "
         "brought. High: the result hangs on a few trades, and missing one changes it."),
        ("Market change", _pct(market), "buy and hold", "Mean over the pairs of last close / first close - 1, over the "
         "same time."),
    ]


def _under(a: Account) -> tuple[str, str]:
    if a.ruined_ts is not None:
        return "all of it", f"used up {day(a.ruined_ts)}"
    return f"{a.underwater_pct:.1f}%", f"now {a.current_drawdown_pct:.1f}%"


def day(ts: int) -> str:
    """`2024-01-31`."""
    return show_time(ts)[:10]


def total_r(s: Summary) -> float | None:
    """Sum of the net results in R; None without trades."""
    return None if s.expectancy_r is None else s.expectancy_r * s.trades


def ruin(a: Account) -> str:
    """What to say where the account would have been used up; empty where it was not."""
    if a.ruined_ts is None:
        return ""
    return (f"An account of {a.starting:,.0f} USD that took every one of these plans at its own size would have been "
            f"used up on **{day(a.ruined_ts)}**. What follows in USD is arithmetic; R does not depend "
            "on the size.")


def about(choice: Choice, unit: str, starting: float) -> str:
    """What the figures stand on."""
    kind = {LIVE: "Decided live", RETRO: "Decided over history (no alert was sent)"}[choice.origin]
    paper = "" if choice.verdict == PASSED else " Refused plans, followed on paper only."
    size = "" if unit == "R" else (f" USD: each plan at its own size, made for {starting:,.0f} USD, nothing "
                                   "compounded (`analyze` and Signals and trades: each trade at usd_per_trade).")
    return (f"{kind}, on paper, net of fees, slippage and funding, by time of closing; in-sample plans are in no "
            f"figure.{paper}{size}")


# Tables

COLUMNS = (
    Column("trades", "Trades", "count"), Column("expectancy_r", "Expectancy R", "r"),
    Column("interval_r", "95% interval", help="Of the expectancy; weeks of closing as blocks."),
    Column("win_pct", "Win%", "number"), Column("interval_win", "95% interval ", help="Of the win rate (Wilson)."),
    Column("break_even_pct", "Break-even", "number", "Win rate at which these wins and losses cancel, percent."),
    Column("profit_factor", "Profit factor", "number"), Column("avg_profit_pct", "Avg Profit %", "pct"),
    Column("tot_r", "Tot R", "r"), Column("tot_usd", "Tot Profit USD", "usd"),
    Column("tot_pct", "Tot Profit %", "pct", "Of the starting balance."),
    Column("avg_duration_ms", "Avg Duration", "span"),
    Column("outcomes", "Win Draw Loss"),
    Column("tail_share_pct", "Best 1%", "number", "Share of all winnings that the best one percent of trades brought."),
)
TITLES = {"pair": "Pair", "timeframe": "Timeframe", "direction": "Direction", "regime": "Regime", "setup": "Setup",
          "exit_reason": "Exit reason", "mixed": "Setup and exit reason", "rule": "Decided by", "weekday": "Weekday",
          "hour": "Hour", "month": "Month"}


def group_columns(group: str) -> tuple[Column, ...]:
    """The columns of a group's table."""
    return (Column("name", TITLES[group], width="medium"), *COLUMNS)


def group_rows(parts: Mapping[str, Summary], starting: float) -> list[Row]:
    """One row per member of a group."""
    return [{"name": words.coin(name), **row(s, starting)} for name, s in parts.items()]


def row(s: Summary, starting: float) -> Row:
    """The cells of COLUMNS."""
    return {
        "trades": s.trades, "expectancy_r": s.expectancy_r, "win_pct": s.win_pct, "break_even_pct": s.break_even_pct,
        "interval_r": between(s.expectancy_r_low, s.expectancy_r_high, "").strip(" []") or None,
        "interval_win": None if s.win_low_pct is None else f"{s.win_low_pct:.1f} to {s.win_high_pct:.1f}",
        "profit_factor": s.profit_factor, "avg_profit_pct": s.avg_profit_pct, "tot_r": total_r(s),
        "tot_usd": s.tot_profit_usd, "tot_pct": 100.0 * s.tot_profit_usd / starting,
        "avg_duration_ms": s.avg_duration_ms, "outcomes": f"{s.wins} {s.draws} {s.losses}",
        "tail_share_pct": s.tail_share_pct,
    }


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def calendar(trades: Columns, unit: str) -> list[Row]:
    """A row per year with the sum of each month of closing and of the year; None where nothing closed. unit: R, USD."""
    found: dict[int, Row] = {}
    for p in equity.breakdown(trades, "month"):
        year, month = int(str(np.datetime64(p.start_ts, "ms"))[:4]), int(str(np.datetime64(p.start_ts, "ms"))[5:7])
        cells = found.setdefault(year, {"Year": str(year), **dict.fromkeys(MONTHS), "Total": 0.0})
        value = p.r if unit == "R" else p.usd
        cells[MONTHS[month - 1]] = value
        cells["Total"] += value
    return [found[year] for year in sorted(found, reverse=True)]


PERIOD_COLUMNS = (
    Column("start_ts", "From", "time"), Column("trades", "Trades", "count"), Column("r", "Tot R", "r"),
    Column("usd", "Tot Profit USD", "usd"), Column("profit_factor", "Profit Factor", "number"),
    Column("wins", "Wins", "count"), Column("draws", "Draws", "count"), Column("losses", "Losses", "count"),
)


def breakdown(trades: Columns, period: str) -> list[Row]:
    """Results by day, week or month of closing, newest first."""
    return [p._asdict() for p in reversed(equity.breakdown(trades, period))]


SIDE_COLUMNS = (Column("name", "Plans"), *COLUMNS)


def sides(passed: Columns, refused: Columns, starting: float) -> list[Row]:
    """Passed beside refused, and each by what decided."""
    found = []
    for title, trades in (("Passed", passed), ("Refused", refused)):
        found.append({"name": title, **row(grouped.summarize(trades), starting)})
        parts = grouped.by(trades, "rule")
        found += [{"name": f"{title}: {decided(name)}", **row(s, starting)} for name, s in parts.items()]
    return found


def decided(rule: str) -> str:
    """What the first word of a verdict's reason means."""
    told = {"ungated": "no model acted (observe-only)", "filter": "filter off", "filter off": "filter off",
            "ev": "the filter, by EV", "ev_low": "the filter, by EV's lower bound", "p": "the filter, by p(win)",
            "p_low": "the filter, by p's lower bound", "cost_r": "costs above the limit of the stop distance",
            "tp1_net": "first target worth too little", "hole": "candles missing", "notional": "below the minimum size",
            "avwap_distance": "too far from the AVWAP"}
    return told.get(rule, rule)


def saved(passed: Summary, refused: Summary) -> str:
    """What refusing was worth, in words; Markdown."""
    if not refused.trades or refused.expectancy_r is None:
        return "Nothing that was refused has filled and ended yet."
    total = total_r(refused) or 0.0
    what = f"saved {abs(total):,.0f} R" if total < 0 else f"cost {total:,.0f} R"
    own = "" if passed.expectancy_r is None else f"; what passed made {words.r(passed.expectancy_r)} per trade"
    interval = between(refused.expectancy_r_low, refused.expectancy_r_high)
    return (f"What was refused and still followed on paper ({words.count(refused.trades)} trades) made "
            f"{words.r(refused.expectancy_r)} per trade{interval}{own}. **Refusing {what}.**")


def _num(value: float | None, digits: int = 2, unit: str = "") -> str:
    return words.NONE if value is None else f"{value:,.{digits}f}{unit}"


def _r(value: float | None) -> str:
    return words.NONE if value is None else f"{value:+,.1f}R"


def _pct(fraction: float | None) -> str:
    return words.NONE if fraction is None else f"{100.0 * fraction:+,.1f}%"
