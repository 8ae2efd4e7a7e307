"""`analyze`: results of closed trades, and what the filter's refusals saved and cost.

A win rate never stands alone; live and retro are kept apart.
"""

import csv
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from core.cli import opening
from core.cli.options import check_span
from core.cli.screen import Out, counted, table
from core.engine import account
from core.engine.account import Account, Book, Line, Side
from core.store import reports
from core.timeframe import show_span, show_time
from core.trades import performance
from core.trades.performance import Closed, Summary

_SECTIONS = (
    ("live", "pass", "LIVE, passed"),
    ("live", "refused", "LIVE, refused (followed on paper: what the rules saved or cost)"),
    ("retro", "pass", "RETRO, passed (history: no alert was sent)"),
    ("retro", "refused", "RETRO, refused"),
)
_HEAD = (
    "",
    "Trades",
    "Win%",
    "95 % interval",
    "Break-even Win%",
    "Expectancy R",
    "Profit factor",
    "Cum Profit %",
    "Avg Duration",
)
_TITLES = {
    "setup": "by setup",
    "timeframe": "by timeframe",
    "direction": "by direction",
    "exit_reason": "by exit reason",
    "month": "by month (of closing, UTC)",
}
_FILTER = {"live": "THE FILTER'S OWN ACCOUNT, LIVE", "retro": "THE FILTER'S OWN ACCOUNT, RETRO"}
_FILTER_HEAD = ("Refused", "filled", "saved R", "cost R", "worth R", "R each, 95 %", "Passed", "filled", "net R",
                "R each, 95 %")
_FILTER_TITLES = {"pair": "by pair", "timeframe": "by timeframe", "regime": "by regime", "setup": "by setup",
                  "month": "by month (of closing, UTC)"}
_MANY = 30  # trades below which a rate says next to nothing


def run(args: Namespace, out: Out) -> int:
    """Print the figures, and write every finished trade to --csv; reads only."""
    check_span(args.start, args.end)
    cfg = opening.config(args)
    with opening.reader(args, cfg) as ctx, ctx.db.lock:
        rows = reports.finished(ctx.db.con, ctx.exchange_id, args.start, args.end)
        own = account.of(ctx, ctx.db.con, args.start, args.end)
    if args.csv == "-":
        write_csv(rows, sys.stdout)
        return 0
    if args.csv:
        with Path(args.csv).expanduser().open("w", newline="", encoding="utf-8") as file:
            write_csv(rows, file)
        out.note(f"{counted(len(rows), 'trade')} written to {args.csv}")
    found = {
        (origin, verdict): [r for r in rows if (r["origin"], r["verdict"]) == (origin, verdict)]
        for origin, verdict, _ in _SECTIONS
    }
    if out.as_json:
        sections = [_as_json(origin, verdict, found[origin, verdict]) for origin, verdict, _ in _SECTIONS]
        out.result({"sections": sections, "filter": own.plain()})
        return 0
    for line in _report(found, own, out):
        out.say(line)
    return 0


def write_csv(rows: Sequence[dict[str, Any]], file: TextIO) -> None:
    """All columns of every finished trade, unfilled ones included; times in ms UTC.

    judged_by, the last one: `filter`, `admission`, or nothing where neither refused nor a model decided.
    """
    names = [*rows[0], "judged_by"] if rows else ["id"]
    writer = csv.DictWriter(file, names)
    writer.writeheader()
    writer.writerows({**row, "judged_by": account.judged_by(row["verdict"], row["reason"])} for row in rows)


def _report(found: dict[tuple[str, str], list[dict[str, Any]]], own: Account, out: Out) -> list[str]:
    lines: list[str] = []
    for origin, verdict, title in _SECTIONS:
        if found[origin, verdict]:
            lines += [out.out.paint(title, "bold"), *_section(found[origin, verdict]), ""]
    for book in (own.live, own.retro):
        if not book.empty:
            lines += [out.out.paint(_FILTER[book.origin], "bold"), *_filter(book), ""]
    if not lines:
        return ["no trade has ended in this time"]
    return [
        *lines,
        "Net of fees, slippage and funding. Fills are assumed as docs/RULES.md says: stops first, gaps fill at the "
        "gap.",
        "USD: each trade at usd_per_trade; the page Results, the report and the bot's sums count each plan at its own "
        "size.",
        "Break-even Win%: the rate at which these wins and losses cancel. Overlapping trades make every interval "
        "wider than shown.",
    ]


def _section(rows: list[dict[str, Any]]) -> list[str]:
    trades = performance.closed_trades(rows)
    unfilled, left_out = sum(r["pnl_pct"] is None for r in rows), sum(bool(r["in_sample"]) for r in rows)
    notes = [
        f"{counted(len(rows), 'plan')} ended, {unfilled} never filled"
        + (f", {left_out} in-sample left out" if left_out else "")
    ]
    if not trades:
        return notes
    whole = performance.summarize(trades)
    notes += [f"{show_time(rows[0]['closed_ts'])} to {show_time(rows[-1]['closed_ts'])}", *_headline(whole)]
    for group, title in _TITLES.items():
        parts = performance.by(trades, group)
        notes += ["", *table((title, *_HEAD[1:]), [_row(name, part) for name, part in parts.items()])]
    return notes


def _filter(book: Book) -> list[str]:
    line, notes = book.whole, f", {book.in_sample} in-sample left out" if book.in_sample else ""
    found = [
        f"Only what the filter itself decided; {book.refused_open} refused and {book.passed_open} passed plans have "
        f"not ended{notes}",
        f"refused {_side(line.refused)}",
        f"  they would have lost {_num(line.saved_r)} R (saved) and won {_num(line.cost_r)} R (cost): the refusals "
        f"were worth {_signed(line.net_saved_r)} R",
        f"passed {_side(line.passed)}",
    ]
    for group, title in _FILTER_TITLES.items():
        if book.by[group]:
            found += ["", *table((title, *_FILTER_HEAD), [_filter_row(*item) for item in book.by[group].items()])]
    return found


def _side(side: Side) -> str:
    few = f" (fewer than {_MANY}: this says next to nothing)" if side.filled < _MANY else ""
    return (f"{counted(side.plans, 'plan')}, {side.filled} filled, {side.won} of them won: net "
            f"{_signed(side.net_r)} R, {_each(side)} R each{few}")


def _filter_row(name: str, line: Line) -> tuple[object, ...]:
    no, yes = line.refused, line.passed
    return (name, no.plans, no.filled, _num(line.saved_r), _num(line.cost_r), _signed(line.net_saved_r), _each(no),
            yes.plans, yes.filled, _signed(yes.net_r), _each(yes))


def _each(side: Side) -> str:
    between = "" if side.low is None else f" [{_num(side.low)} to {_num(side.high)}]"
    return f"{_num(side.mean_r)}{between}"


def _headline(s: Summary) -> list[str]:
    worst = s.max_drawdown
    fell = f"; drawdown {worst.depth_pct:.2f} % of one trade's notional" if worst else ""
    few = f" (fewer than {_MANY} trades: this says next to nothing)" if s.trades < _MANY else ""
    return [
        f"won {s.wins} of {s.trades} = {_pct(s.win_pct)} [{_pct(s.win_low_pct)} to {_pct(s.win_high_pct)}], "
        f"break-even at {_pct(s.break_even_pct)}{few}",
        f"expectancy {_num(s.expectancy_r)} R [{_num(s.expectancy_r_low)} to {_num(s.expectancy_r_high)}], profit "
        "factor "
        f"{_num(s.profit_factor)}, total {_num(s.tot_profit_pct)} % of notional = {_num(s.tot_profit_usd)} USD{fell}",
        f"best {_num(s.best_trade_pct)} %, worst {_num(s.worst_trade_pct)} %, the best 1 % of trades brought "
        f"{_pct(s.tail_share_pct)} of all winnings; longest runs {s.max_consecutive_wins} won, "
        f"{s.max_consecutive_losses} lost",
    ]


def _row(name: str, s: Summary) -> tuple[object, ...]:
    between = f"{_pct(s.win_low_pct)} to {_pct(s.win_high_pct)}"
    held = "-" if s.avg_duration_ms is None else show_span(s.avg_duration_ms)
    return (
        name,
        s.trades,
        _pct(s.win_pct),
        between,
        _pct(s.break_even_pct),
        _num(s.expectancy_r),
        _num(s.profit_factor),
        _num(s.tot_profit_pct),
        held,
    )


def _as_json(origin: str, verdict: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    trades: list[Closed] = performance.closed_trades(rows)
    groups = {group: {name: asdict(part) for name, part in performance.by(trades, group).items()} for group in _TITLES}
    return {
        "origin": origin,
        "verdict": verdict,
        "ended": len(rows),
        "never_filled": sum(r["pnl_pct"] is None for r in rows),
        "all": asdict(performance.summarize(trades)),
        "by": groups,
    }


def _pct(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} %"


def _num(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _signed(value: float) -> str:
    return f"{value:+,.2f}"
