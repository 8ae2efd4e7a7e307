"""`analyze`: results of closed trades. A win rate never stands alone; live and retro are kept apart."""

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
    "Tot Profit %",
    "Avg Duration",
)
_TITLES = {
    "setup": "by setup",
    "timeframe": "by timeframe",
    "direction": "by direction",
    "exit_reason": "by exit reason",
    "month": "by month (of closing, UTC)",
}
_MANY = 30  # trades below which a rate says next to nothing


def run(args: Namespace, out: Out) -> int:
    """Print the figures, and write every finished trade to --csv; reads only."""
    check_span(args.start, args.end)
    cfg = opening.config(args)
    with opening.reader(args, cfg) as ctx:
        rows = reports.finished(ctx.db.con, ctx.exchange_id, args.start, args.end)
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
    out.result({"sections": [_as_json(origin, verdict, found[origin, verdict]) for origin, verdict, _ in _SECTIONS]})
    for line in _report(found, out):
        out.say(line)
    return 0


def write_csv(rows: Sequence[dict[str, Any]], file: TextIO) -> None:
    """All columns of every finished trade, unfilled ones included; times in ms UTC."""
    names = list(rows[0]) if rows else ["id"]
    writer = csv.DictWriter(file, names)
    writer.writeheader()
    writer.writerows(rows)


def _report(found: dict[tuple[str, str], list[dict[str, Any]]], out: Out) -> list[str]:
    lines: list[str] = []
    for origin, verdict, title in _SECTIONS:
        if found[origin, verdict]:
            lines += [out.out.paint(title, "bold"), *_section(found[origin, verdict]), ""]
    if not lines:
        return ["no trade has ended in this time"]
    return [
        *lines,
        "Net of fees, slippage and funding. Fills are assumed as docs/RULES.md says: stops first, gaps fill at the "
        "gap.",
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
