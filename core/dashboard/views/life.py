"""A plan's life for people: what happened when, and the money of each leg. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from core.dashboard import words
from core.dashboard.words import Column
from core.engine.params import Terms
from core.engine.why import REASONS
from core.timeframe import MINUTE
from core.trades.results import break_even_cost, leg_costs

Row = Mapping[str, Any]

WAITING, UNDER_WAY = ("PENDING",), ("OPEN", "TP1")
MONEY = (Column("leg", "leg"), Column("share", "share"), Column("price", "rate", "price"),
         Column("gross", "gross", "pct"), Column("costs", "costs", "pct"), Column("net", "net", "pct"),
         Column("usd", "USD", "usd"))
_MAKER = ("TP1", "TP")  # legs that rest in the book; so does the fill of a limit entry


class Step(NamedTuple):
    """One thing that happened. ts: None = not yet. tone: up, down or plain. icon: a Material symbol's name."""

    ts: int | None
    what: str
    said: str
    tone: str
    icon: str


def steps(row: Row, trade: Row, events: Sequence[Row], terms: Terms) -> list[Step]:
    """The life of a plan in order of time. row: of `signals`; trade: of `trades`; events: of `trade_events`."""
    one_r = 100.0 * abs(row["entry"] - row["sl"]) / row["entry"]
    found = [_created(row)] + ([] if trade["opened_ts"] == row["decided_ts"] else [_waits(row)])
    for event in events:
        found += _told(event, row, trade, terms, one_r)
    return [*found, *([_now(row, trade)] if trade["closed_ts"] is None else [])]


def money(row: Row, trade: Row, events: Sequence[Row], terms: Terms) -> list[dict[str, Any]]:
    """One line for each leg that moved money, one for funding, and the total as it is stored; percent of the notional.

    Before the end the last line says what the legs so far come to. Nothing was filled: no lines.
    """
    if trade["fill"] is None:
        return []
    lines = [_leg(event, row, trade, terms) for event in events if event["price"] is not None]
    if trade["pnl_pct"] is None:
        return [*lines, _total("so far", lines)]
    if trade["funding_pct"]:
        lines.append({"leg": "funding", "net": -trade["funding_pct"], "usd": _usd(-trade["funding_pct"], terms)})
    total = {"leg": "TOTAL", "ts": trade["closed_ts"], "gross": trade["gross_pct"], "fee": trade["fees_pct"],
             "slippage": trade["slippage_pct"], "net": trade["pnl_pct"], "usd": trade["pnl_usd"]}
    return [*lines, total]


def money_table(lines: Sequence[Row]) -> list[dict[str, Any]]:
    """The lines of `money` as they are shown, columns MONEY: what costs, fee and slippage together, has a minus."""
    return [{**line, "costs": None if line.get("fee") is None else -(line["fee"] + line["slippage"])} for line in lines]


def result(trade: Row) -> str:
    """`TP1_TRAIL +1.50R`, `EXPIRED`, `OPEN`."""
    return str(trade["status"]) + ("" if trade["r_multiple"] is None else f" {words.r(trade['r_multiple'])}")


def tone(value: float | None) -> str:
    """Whether a result is shown as up, down or plain."""
    return "plain" if not value else "up" if value > 0 else "down"


def _created(row: Row) -> Step:
    marks = [name for name in ("late", "revised") if row[name]] + (["in-sample"] if row["in_sample"] else [])
    origin = "live" if row["origin"] == "live" else "by retro_scan"
    told = f"{origin}{''.join(f', {mark}' for mark in marks)}"
    if row["verdict"] == "pass":
        return Step(row["decided_ts"], "Created", f"taken ({row['reason']}); {told}", "plain", "flag")
    said = f"{row['reason']}; {told}; followed on paper all the same"
    return Step(row["decided_ts"], "Refused", said, "plain", "block")


def _waits(row: Row) -> Step:
    kind = "a market order" if row["market"] else "a limit order"
    said = f"{kind} at {words.price(row['entry'], row['tick'])}, until {words.when(row['expires_ts'])}"
    return Step(row["decided_ts"], "Waits", said, "plain", "hourglass_empty")


def _told(event: Row, row: Row, trade: Row, terms: Terms, one_r: float) -> list[Step]:
    name, ts = event["event"], event["ts"]
    if name == "EXPIRED":
        why = REASONS.get(trade["exit_reason"], trade["exit_reason"])
        return [Step(ts, "Expired", f"{why}; no fill, no result", "plain", "timer_off")]
    at = words.price(event["price"], row["tick"])
    if name == "FILL":
        said = f"{row['direction']} {words.price(row['qty'], row['lot'])} at {at}"
        return [Step(ts, "Filled", said, "plain", "login"), *_trail_starts(row["market"], ts, row, terms)]
    gross = _gross(event, row, trade)
    if name == "TP1" and event["fraction"] < 1.0:
        said = f"{100 * event['fraction']:.0f} % closed at {at}, {words.pct(gross)} = {words.r(gross / one_r)} gross"
        return [Step(ts, "TP1", said, "up", "looks_one"), *_after_tp1(ts, row, trade, terms)]
    return [_closed(event, row, trade, at)]


def _after_tp1(ts: int, row: Row, trade: Row, terms: Terms) -> list[Step]:
    if trade["closed_ts"] == ts:  # both targets in one minute
        return []
    found = []
    if terms.execution.move_sl_to_be_on_tp1:
        side = 1 if row["direction"] == "long" else -1
        extra = break_even_cost(terms.costs, bool(row["market"])) if terms.execution.be_net_of_costs else 0.0
        stop = words.price(trade["fill"] * (1.0 + side * extra), row["tick"])
        found.append(Step(ts + MINUTE, "Break-even", f"the stop moves to {stop}; the rest can lose no more than costs",
                          "plain", "shield"))
    return [*found, *_trail_starts(True, ts + MINUTE, row, terms)]


def _trail_starts(now: bool, ts: int, row: Row, terms: Terms) -> list[Step]:
    mult = row["trail_mult"] if row["trail_mult"] is not None else terms.execution.trail_mult
    if not now or mult != mult:
        return []
    return [Step(ts, "Trail", f"the stop follows the best price at {mult:g} ATR and never loosens", "plain", "moving")]


def _closed(event: Row, row: Row, trade: Row, at: str) -> Step:
    why = REASONS.get(trade["exit_reason"], trade["exit_reason"])
    share = f"{100 * event['fraction']:.0f} % " if event["fraction"] < 1.0 else ""
    said = f"{share}at {at} by {why}"
    if trade["pnl_pct"] is not None:
        usd = words.usd(trade["pnl_usd"])
        said += f": net **{words.r(trade['r_multiple'])}** = {words.pct(trade['pnl_pct'])} = {usd}"
    icon = {"TP": "check_circle", "SL": "cancel", "LIQUIDATED": "local_fire_department"}.get(event["event"], "logout")
    return Step(event["ts"], f"Closed: {event['event']}", said, tone(trade["pnl_pct"]), icon)


def _now(row: Row, trade: Row) -> Step:
    if trade["status"] in WAITING:
        return Step(None, "Now", f"PENDING: the entry has not been reached; followed to {words.when(trade['seen_ts'])}",
                    "plain", "pending")
    said = (f"{trade['status']}: stop at {words.price(trade['stop'], row['tick'])}, best "
            f"{words.pct(trade['mfe_pct'])}, worst {words.pct(trade['mae_pct'])}; followed to "
            f"{words.when(trade['seen_ts'])}")
    return Step(None, "Now", said, "plain", "pending")


def _leg(event: Row, row: Row, trade: Row, terms: Terms) -> dict[str, Any]:
    name, part = event["event"], event["fraction"]
    share = part * event["price"] / trade["fill"]
    maker = (not row["market"]) if name == "FILL" else name in _MAKER
    slippage = leg_costs(terms.costs, maker)[1] * share
    gross = None if name == "FILL" else _gross(event, row, trade)
    net = (gross or 0.0) - event["fee_pct"] - slippage
    return {"leg": name, "ts": event["ts"], "price": event["price"], "share": f"{100 * part:.0f}%", "gross": gross,
            "fee": event["fee_pct"], "slippage": slippage, "net": net, "usd": _usd(net, terms)}


def _gross(event: Row, row: Row, trade: Row) -> float:
    side = 1 if row["direction"] == "long" else -1
    return float(100.0 * side * event["fraction"] * (event["price"] - trade["fill"]) / trade["fill"])


def _usd(pct: float, terms: Terms) -> float:
    return pct / 100.0 * terms.usd_per_trade


def _total(name: str, lines: Sequence[Row]) -> dict[str, Any]:
    return {"leg": name, **{key: sum(line.get(key) or 0.0 for line in lines)
                            for key in ("gross", "fee", "slippage", "net", "usd")}}
