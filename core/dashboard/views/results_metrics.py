"""Every figure of the page Results in one list, under the names that users of other programs know. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from core.dashboard import words
from core.dashboard.views.results import Choice
from core.dashboard.words import NONE, Column
from core.store.reads.results import Count
from core.timeframe import show_time
from core.trades import equity, grouped
from core.trades.columns import Columns
from core.trades.equity import Account, Fall
from core.trades.performance import Summary

Pairs = Iterator[tuple[str, str]]
COLUMNS = (Column("name", "Figure", width="medium"), Column("value", "Value", width="medium"),
           Column("means", "What it means"))

NOT_HERE = ("Not in this list, since they have no meaning here: rejected entry signals (there are no slots that could "
            "be full), replaced and cancelled orders, exit timeouts.")

HELP = {
    "From": "First fill, or where the chosen days begin.",
    "Max open trades": "Most in one minute. Plans are independent of each other: there is no limit.",
    "Starting balance": "risk.equity_usd of the configuration: the size that plans are made for.",
    "Final balance": "Nothing is compounded: every plan has the size made for the starting balance.",
    "Total profit %": "Of the starting balance.",
    "Avg. daily profit %": "Total profit % by calendar day.",
    "Min balance": "Lowest balance after a closing.",
    "Max balance": "Highest balance after a closing.",
    "Avg. stake amount": "Margin that a trade bound: its notional by its leverage.",
    "Total trade volume": "Bought and sold together.",
    "CAGR %": "(Final / starting balance) to the power of 365 / days, less 1; none where nothing is left.",
    "Sortino": "Mean profit per day / deviation of the losing trades x sqrt(365), as other programs have it. It grows "
               "with the number of trades: look at the one by day.",
    "Sharpe": "Mean profit per day / deviation of single trades x sqrt(365), as other programs have it. It grows with "
              "the number of trades: look at the one by day.",
    "Calmar": "Mean daily profit % / drawdown of the account x sqrt(365), as other programs have it.",
    "Sortino by day": "Mean daily result / root mean square of the losing days, x sqrt(365); idle days count as zero.",
    "Sharpe by day": "Mean daily result / its deviation x sqrt(365); idle days count as zero.",
    "Calmar by year": "CAGR / Max % of account underwater.",
    "SQN": "sqrt(trades) x mean R / deviation of R. It takes trades as independent of each other.",
    "Profit factor": "Gross profit / gross loss.",
    "Expectancy (Ratio)": "Mean profit of a trade; (1 + average win / average loss) x win rate - 1.",
    "Mean profit p-value": "Chance of a mean R this far from zero without any edge. Weeks count as one observation "
                           "each, so it is larger than one over single trades would be.",
    "Best Pair": "By absolute profit.", "Worst Pair": "By absolute profit.",
    "Best trade": "Net, percent of its notional.", "Worst trade": "Net, percent of its notional.",
    "Best day": "By day of closing, UTC.", "Worst day": "By day of closing, UTC.",
    "Days win/draw/lose": "From the first closing to the last; days without one are draws.",
    "Profit from the best 1%": "Share of all winnings.",
    "Max Consecutive Wins / Loss": "In closing order.",
    "Total profit Long %": "Of the starting balance.", "Total profit Short %": "Of the starting balance.",
    "Entry Timeouts": "Plans that ended without ever filling.",
    "Left open trades": "Waiting or open now; they count when they have ended.",
    "In-sample left out": "Judged by a model that may have learned from what came after them: they are in no figure.",
    "Max % of account underwater": "Largest (peak - balance) / peak.",
    "Account used up": "When nothing of the starting balance was left; what comes after is arithmetic.",
    "Absolute Drawdown (Account)": "Absolute drawdown / (drawdown high + starting balance).",
    "Absolute Drawdown": "The deepest fall of the balance.",
    "Drawdown duration": "From its start to its end, the lowest point.",
    "Drawdown high": "Profit so far where it began.", "Drawdown low": "Profit so far at its lowest.",
    "Current Drawdown": "Of the highest balance so far.",
    "Market change": "Mean over the pairs of last close / first close - 1 over the same time: what buying and holding "
                     "brought.",
}


def sections(trades: Columns, s: Summary, a: Account, span: tuple[int, int], market: float | None,
             count: Count, choice: Choice) -> dict[str, list[dict[str, str]]]:
    """The figures by heading, as rows of COLUMNS."""
    return {
        "Account": _told((*_account(trades, s, a, span), *_ratios(s, a))),
        "Trades": _told((*_trades(trades, s), *_sides(trades, a.starting), *_entries(count, choice))),
        "Drawdown": _told((*_drawdown(a), ("Market change", _pct(market, 1)))),
    }


def _told(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value, "means": HELP.get(name, "")} for name, value in pairs]


def _account(trades: Columns, s: Summary, a: Account, span: tuple[int, int]) -> Pairs:
    yield "From", show_time(span[0])
    yield "To", show_time(span[1])
    yield "Max open trades", words.count(equity.most_open(trades.opened_ts, trades.closed_ts))
    yield "Total/Daily Avg Trades", f"{words.count(s.trades)} / {s.trades / a.days:.2f}"
    yield "Starting balance", _usd(a.starting)
    yield "Final balance", _usd(a.final)
    yield "Absolute profit", words.usd(a.profit_usd)
    yield "Total profit %", _pct(a.profit_pct / 100)
    yield "Avg. daily profit %", _pct(a.avg_daily_pct / 100, 3)
    yield "Min balance", _usd(a.min_balance)
    yield "Max balance", _usd(a.max_balance)
    yield "Avg. stake amount", _usd(_mean(trades.stake))
    yield "Total trade volume", _usd(float(trades.volume.sum()))


def _ratios(s: Summary, a: Account) -> Pairs:
    yield "CAGR %", _pct(None if a.cagr_pct is None else a.cagr_pct / 100, 1)
    for name, value in (("Sortino", a.sortino), ("Sharpe", a.sharpe), ("Calmar", a.calmar),
                        ("Sortino by day", a.by_day_sortino), ("Sharpe by day", a.by_day_sharpe),
                        ("Calmar by year", a.calmar_year), ("SQN", s.sqn), ("Profit factor", s.profit_factor)):
        yield name, _num(value)
    yield "Expectancy (Ratio)", f"{_num(s.expectancy_usd)} USD ({_num(s.expectancy_ratio)})"
    yield "Mean profit p-value", NONE if a.p_value is None else f"{a.p_value:.2g}"


def _trades(trades: Columns, s: Summary) -> Pairs:
    pairs = {name: part.tot_profit_usd for name, part in grouped.by(trades, "pair").items()}
    days = equity.days(trades)
    for name, pick in (("Best Pair", max), ("Worst Pair", min)):
        pair = pick(pairs, key=pairs.__getitem__, default=None)
        yield name, NONE if pair is None else f"{words.coin(pair)} {words.usd(pairs[pair])}"
    for name, at in (("Best trade", np.argmax), ("Worst trade", np.argmin)):
        yield name, _one(trades, int(at(trades.pnl_pct))) if len(trades) else NONE
    yield "Best day", NONE if days is None else words.usd(days.best_usd)
    yield "Worst day", NONE if days is None else words.usd(days.worst_usd)
    yield "Days win/draw/lose", NONE if days is None else f"{days.win} / {days.draw} / {days.lose}"
    yield "Win Draw Loss", f"{s.wins} {s.draws} {s.losses}"
    yield "Profit from the best 1%", _num(s.tail_share_pct, 1, "%")
    for who, spans in (("Winners", (s.min_duration_winners_ms, s.max_duration_winners_ms, s.avg_duration_winners_ms)),
                       ("Losers", (s.min_duration_losers_ms, s.max_duration_losers_ms, s.avg_duration_losers_ms))):
        yield f"Min/Max/Avg. Duration {who}", " / ".join(words.span(v) for v in spans)
    yield "Max Consecutive Wins / Loss", f"{s.max_consecutive_wins} / {s.max_consecutive_losses}"


def _sides(trades: Columns, starting: float) -> Pairs:
    side = grouped.by(trades, "direction")
    n, usd = ({name: pick(side[name]) if name in side else 0 for name in ("long", "short")}
              for pick in (lambda s: s.trades, lambda s: s.tot_profit_usd))
    yield "Long / Short", f"{words.count(int(n['long']))} / {words.count(int(n['short']))}"
    for name in ("long", "short"):
        yield f"Total profit {name.title()} %", _pct(usd[name] / starting)
    for name in ("long", "short"):
        yield f"Absolute profit {name.title()}", words.usd(usd[name])


def _entries(count: Count, choice: Choice) -> Pairs:
    wider = " (whatever else was chosen)" if choice != Choice(choice.origin, choice.verdict) else ""
    yield "Entry Timeouts", f"{words.count(count.never_filled)} of {words.count(count.ended)}{wider}"
    yield "Left open trades", words.count(count.under_way) + wider
    yield "In-sample left out", words.count(count.in_sample) + wider


def _drawdown(a: Account) -> Pairs:
    yield "Max % of account underwater", f"{a.underwater_pct:.2f}%"
    if a.ruined_ts is not None:
        yield "Account used up", show_time(a.ruined_ts)
    yield from _fall(a.drawdown)
    yield "Current Drawdown", f"{_usd(a.current_drawdown_usd)} ({a.current_drawdown_pct:.2f}%)"


def _fall(d: Fall | None) -> Pairs:
    if d is None:
        yield "Absolute Drawdown", NONE
        return
    yield "Absolute Drawdown (Account)", f"{d.account_pct:.2f}%"
    yield "Absolute Drawdown", _usd(d.depth_usd)
    yield "Drawdown duration", NONE if d.start_ts is None else words.span(d.end_ts - d.start_ts)
    yield "Profit at Drawdown start | end", f"{_usd(d.high_usd)} | {_usd(d.low_usd)}"
    yield "Drawdown high", _usd(d.high_usd)
    yield "Drawdown low", _usd(d.low_usd)
    yield "Drawdown Start", "with the first trade" if d.start_ts is None else show_time(d.start_ts)
    yield "Drawdown End", show_time(d.end_ts)
    yield "Drawdown recovered", "not yet" if d.recovered_ts is None else show_time(d.recovered_ts)


def _one(trades: Columns, i: int) -> str:
    return f"{words.coin(trades.symbol.names[trades.symbol.codes[i]])} {words.pct(float(trades.pnl_pct[i]))}"


def _mean(values: Any) -> float | None:
    return float(values.mean()) if len(values) else None


def _usd(value: float | None) -> str:
    return NONE if value is None else f"{value:,.2f} USD"


def _num(value: float | None, digits: int = 2, unit: str = "") -> str:
    return NONE if value is None else f"{value:,.{digits}f}{unit}"


def _pct(fraction: float | None, digits: int = 2) -> str:
    return NONE if fraction is None else words.pct(100.0 * fraction, digits)
