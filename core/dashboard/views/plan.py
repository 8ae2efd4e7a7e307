"""A plan in words and in numbers that can be typed, or copied one by one, into an exchange. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from core.dashboard import words
from core.engine.params import Terms
from core.timeframe import show_time

Row = Mapping[str, Any]


class Number(NamedTuple):
    """One number of a plan. value: exactly as it is typed; note: what it means."""

    label: str
    value: str
    note: str


def numbers(row: Row, terms: Terms) -> list[Number]:
    """Entry, stop, targets, size and leverage of a row of `signals`."""
    tick, quote = row["tick"], _quote(row)
    found = [Number("Entry", words.price(row["entry"], tick), "market" if row["market"] else "limit"),
             Number("SL", words.price(row["sl"], tick), _distance(row, "sl"))]
    if row["tp1"] is not None:
        part = terms.execution.tp1_fraction
        found += [Number("TP1", words.price(row["tp1"], tick), f"{_distance(row, 'tp1')}, close {100 * part:.0f}%"),
                  Number("TP2", words.price(row["tp2"], tick), f"{_distance(row, 'tp2')}, the rest")]
    margin = row["notional"] / row["leverage"]
    return [*found, Number("Size", words.price(row["qty"], row["lot"]), f"= {row['notional']:,.2f} {quote}"),
            Number("Leverage", f"{row['leverage']:g}", f"margin {margin:,.2f} {quote}")]


def order(row: Row, terms: Terms) -> str:
    """The whole plan as one block of text to copy."""
    trail = [] if row["tp1"] is not None else [f"No targets: the stop trails at {row['trail_mult'] or 0:g} ATR"]
    lines = [f"{row['direction'].upper()} {row['symbol']}  {row['timeframe']} {row['setup']}  #{row['short_id']}",
             *(f"{n.label:<9}{n.value:<12} {n.note}" for n in numbers(row, terms)), *trail,
             f"Risk     {row['risk_pct']:.3g} % of equity, costs included",
             f"Liq.     {words.price(row['liq'], row['tick'])}",
             f"Valid    until {show_time(row['expires_ts'])}"]
    return "\n".join(line.rstrip() for line in lines)


def facts(row: Row) -> str:
    """What else is worth knowing before acting, in one line."""
    parts = [f"risk **{row['risk_pct']:.3g}%** of equity", f"costs **{row['cost_r']:.2f}R**"]
    if row["tp1_net_pct"] is not None:
        parts.append(f"net at TP1 **{words.pct(row['tp1_net_pct'])}**")
    parts += [f"liquidation {words.price(row['liq'], row['tick'])}", f"{row['trend']}, {row['vol']} volatility"]
    if row["avwap"] is not None:
        parts.append(f"AVWAP {words.price(row['avwap'], row['tick'])}")
    return " · ".join(parts)


def validity(row: Row, trade: Row, now: int) -> str:
    """Whether the plan can still be acted on, in one sentence."""
    until = words.when(row["expires_ts"], now)
    if trade["status"] != "PENDING":
        return ""
    if now >= row["expires_ts"]:
        return f"No longer valid: its entry was not reached by {until}."
    return f"Valid until {until} ({words.ago(now, row['expires_ts'])})."


def _distance(row: Row, name: str) -> str:
    side = 1 if row["direction"] == "long" else -1
    gain, risk = side * (row[name] - row["entry"]), abs(row["entry"] - row["sl"])
    return f"{words.pct(100 * gain / row['entry'])} {words.r(gain / risk)}"


def _quote(row: Row) -> str:
    return str(row["symbol"]).partition("/")[2].partition(":")[0]
