"""What the page Now shows: plans at work, the newest signals, results so far, and why it is quiet."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from core.dashboard import bars, theme, words
from core.dashboard.words import Column
from core.engine.funnel import Funnel
from core.signals.text import counted
from core.trades.performance import Summary

Row = Mapping[str, Any]
Metric = tuple[str, str, str]

OPEN = (
    Column("plan", "Plan"), Column("symbol", "Symbol"), Column("side", "Side"),
    Column("now_r", "Now", "r", "price result so far in multiples of the planned risk, before costs"),
    Column("price", "Price", "price", "close of the newest minute"), Column("fill", "Entry", "price"),
    Column("stop", "Stop now", "price"), Column("next", "Next target", "price", "empty: the stop trails"),
    Column("status", "Status"), Column("opened_ts", "Opened", "time"), Column("setup", "Setup"),
)
PENDING = (
    Column("plan", "Plan"), Column("symbol", "Symbol"), Column("side", "Side"),
    Column("away_pct", "Distance", "pct", "how far the price must move to reach the entry"),
    Column("left", "Expires in", "text"), Column("price", "Price", "price"), Column("entry", "Entry", "price"),
    Column("sl", "SL", "price"), Column("tp1", "TP1", "price"), Column("tp2", "TP2", "price"),
    Column("setup", "Setup"),
)
LATEST = (
    Column("decided_ts", "Decided", "time"), Column("plan", "Plan"), Column("symbol", "Symbol"),
    Column("side", "Side"), Column("evidence", "Evidence", "text", "how strong the evidence is that plans like this "
                                   "one earn money; computed, never opinion"),
    Column("said", "Filter", "text", "what the filter said, and on which ground"),
    Column("outcome", "What became of it"), Column("entry", "Entry", "price"), Column("sl", "SL", "price"),
    Column("setup", "Setup"),
)
_DAYS = (bars.Kind("today", theme.BLUE), bars.Kind("yesterday", theme.faded(theme.BLUE, 0.4)))
_STEPS = ("Bars decided", "Setups found", "Admitted by the rules", "Passed the filter", "Filled")


def split(rows: Iterable[Row]) -> tuple[list[Row], list[Row], int, int]:
    """Unfinished plans as (open, pending, refused ones followed on paper, others of retro)."""
    opened: list[Row] = []
    pending: list[Row] = []
    refused = retro = 0
    for row in rows:
        if row["verdict"] != "pass":
            refused += 1
        elif row["origin"] != "live":
            retro += 1
        else:
            (pending if row["opened_ts"] is None else opened).append(row)
    return opened, pending, refused, retro


def open_rows(rows: Iterable[Row], prices: Mapping[str, float]) -> list[dict[str, Any]]:
    """Open positions with their price result so far."""
    return [
        {**_plan(row), "now_r": now_r(row, prices.get(row["symbol"])), "price": prices.get(row["symbol"]),
         "fill": row["fill"], "stop": row["stop"], "next": row["tp2"] if row["tp1_ts"] else row["tp1"],
         "status": "TP1 reached" if row["tp1_ts"] else "open", "opened_ts": row["opened_ts"]}
        for row in rows
    ]


def now_r(row: Row, price: float | None) -> float | None:
    """The price result of the open part in planned stop distances, before costs; None where not known."""
    risk = abs(row["entry"] - row["sl"])
    if price is None or row["fill"] is None or risk <= 0:
        return None
    return (price - row["fill"]) * (1 if row["direction"] == "long" else -1) / float(risk)


def pending_rows(rows: Iterable[Row], prices: Mapping[str, float], now: int) -> list[dict[str, Any]]:
    """Waiting entries, the one that expires first on top."""
    found = [
        {**_plan(row), "away_pct": _away(row, prices.get(row["symbol"])), "price": prices.get(row["symbol"]),
         "left": words.span(max(0, row["expires_ts"] - now)), "expires_ts": row["expires_ts"],
         "entry": row["entry"], "sl": row["sl"], "tp1": row["tp1"], "tp2": row["tp2"]}
        for row in rows
    ]
    return sorted(found, key=lambda r: (r["expires_ts"], r["plan"]))


def _away(row: Row, price: float | None) -> float | None:
    return None if not price else 100.0 * (row["entry"] - price) / price


def _plan(row: Row) -> dict[str, Any]:
    return {"plan": row["short_id"], "tick": row["tick"], "symbol": words.coin(row["symbol"]),
            "side": words.SIDES.get(row["direction"], row["direction"]),
            "setup": f"{row['setup']} {row['timeframe']}"}


def latest_rows(rows: Iterable[Row], evidence: Mapping[str, str]) -> list[dict[str, Any]]:
    """The newest signals. evidence: the computed label by signal id."""
    return [
        {**_plan(row), "decided_ts": row["decided_ts"], "evidence": evidence.get(row["id"], "insufficient"),
         "said": said(row), "outcome": outcome(row), "entry": row["entry"], "sl": row["sl"]}
        for row in rows
    ]


def said(row: Row) -> str:
    """The filter's word on a signal in a few characters: `passed, EV +0.21%` or `refused: cost_r 0.2 > ...`."""
    late = ", late" if row["late"] else ""
    if row["verdict"] != "pass":
        return f"refused: {row['reason']}{late}"
    if row["ev_pct"] is not None:
        return f"passed, p {words.share(row['ml_p'])}, EV {words.pct(row['ev_pct'])}{late}"
    return f"passed, {row['reason']}{late}"


def outcome(row: Row) -> str:
    """What became of a signal so far."""
    if row["closed_ts"] is None:
        return {"PENDING": "waits for its entry", "OPEN": "open", "TP1": "open, TP1 reached"}.get(
            row["status"], str(row["status"]))
    return "never filled" if row["r_multiple"] is None else f"{row['status']} {words.r(row['r_multiple'])}"


def result(name: str, summary: Summary) -> Metric:
    """The net result of a stretch of time, its win rate never alone."""
    if not summary.trades:
        return name, "no trade closed", "net result of live plans that passed and were filled"
    total = summary.expectancy_r * summary.trades if summary.expectancy_r is not None else None
    return name, f"{words.r(total)} · {summary.trades} closed", won(summary)


def won(s: Summary) -> str:
    """`3 of 7 won (43%, 95% interval 16% to 75%, break-even at 40%)`, net of all costs."""
    if s.win_pct is None or s.win_low_pct is None or s.win_high_pct is None:
        return "net of all costs"
    even = "not known yet" if s.break_even_pct is None else f"at {s.break_even_pct:.0f}%"
    return (f"{s.wins} of {s.trades} won ({s.win_pct:.0f}%, 95% interval {s.win_low_pct:.0f}% to {s.win_high_pct:.0f}%,"
            f" break-even {even}); {words.usd(s.tot_profit_usd)} net of all costs, each trade at usd_per_trade")


# The funnel


def steps(funnel: Funnel) -> tuple[int, ...]:
    """The five figures of a day's funnel."""
    return funnel.bars, funnel.candidates, funnel.admitted, funnel.passed, funnel.filled


def funnel_bars(today: Funnel, yesterday: Funnel) -> str:
    """Today's funnel over yesterday's as HTML; lengths are logarithmic, figures stand beside them."""
    days = [steps(day) for day in (today, yesterday)]
    return bars.grouped(_STEPS, _DAYS, [[words.count(n) for n in day] for day in days],
                        [[_length(n) for n in day] for day in days])


def _length(n: int) -> float:
    return math.log10(1 + n)


def quiet(day: Funnel, name: str) -> str:
    """In words what became of the setups of a day; empty where there were none."""
    if not day.candidates:
        return ""
    reasons = day.reasons()
    fell = f"; of the others {', '.join(reasons)}" if reasons else ""
    calm = " A quiet day is the filter working." if not day.passed else ""
    return f"{name}: of {counted(day.candidates, 'setup')} {words.count(day.passed)} passed{fell}.{calm}"


def ungated(day: Funnel) -> str:
    """Where the filter only observes: that passing says nothing yet."""
    if not day.ungated:
        return ""
    return f"{counted(day.ungated, 'plan')} passed **ungated**: no trained model has judged them yet."
