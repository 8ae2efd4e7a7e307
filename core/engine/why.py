"""One decision explained: each gate, the plan, and what happened since. For the command line, the bot and the pages."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from core.engine import gates
from core.engine.context import Context
from core.engine.explain import explain
from core.errors import DataError
from core.meta.gate import FILTER_OFF, UNGATED, is_ungated
from core.notify.text import pct, price, r
from core.store import reports, signals
from core.timeframe import MINUTE, show_span, show_time

Row = Mapping[str, Any]
Facts = Mapping[str, Any]
Sections = dict[str, list[str]]

REASONS = {
    "sl": "the stop",
    "sl_gap": "a gap through the stop",
    "be": "the stop at break-even",
    "trail": "the trailing stop",
    "tp1": "TP1",
    "tp2": "TP2",
    "time": "the longest hold",
    "never_filled": "the entry was never reached",
    "gapped": "it opened beyond the stop",
    "tp1_before_entry": "TP1 came before the entry",
    "liquidation": "the liquidation price",
    "delisted": "the market was delisted",
}


def find(ctx: Context, text: str) -> dict[str, Any]:
    """The one signal that a full or short id, or its beginning, means. Raises DataError for none or several."""
    with ctx.db.lock:
        found = reports.matching(ctx.db.con, text.removeprefix("#"))
    if not found:
        raise DataError(
            f"no signal {text} in {ctx.db.path}: ids stand in the alerts (#ABC1234) and in the table signals; "
            "what can never pass is counted, not stored"
        )
    if len(found) > 1:
        named = ", ".join(
            f"#{row['short_id']} ({row['symbol']} {row['timeframe']}, {show_time(row['decided_ts'])})"
            for row in found[:5]
        )
        raise DataError(f"{text} may mean {named}{' or more' if len(found) > 5 else ''}: write more of it")
    return found[0]


def gather(ctx: Context, row: Row, most: int = 5) -> dict[str, Any]:
    """All that is known of a decision. most: how many of the features that moved p are told."""
    with ctx.db.lock:
        body = signals.configs(ctx.db.con)[row["config_hash"]]
        trade = signals.trade_row(ctx.db.con, row["id"])
        events, alert = reports.events(ctx.db.con, row["id"]), reports.alert_about(ctx.db.con, row)
        explained = explain(ctx, ctx.db.con, row, body, most)
    asked = gates.of(ctx, row, body, explained)
    return {
        "signal": dict(row),
        "trade": trade,
        "events": events,
        "alert": _alert(row, alert, ctx),
        "gates": [asdict(gate) for gate in asked],
        "moved": [move._asdict() for move in explained.moved],
        "moved_trouble": explained.trouble,
        "worth": explained.worth.plain() if explained.worth else None,
        "config_changes": gates.changed(asked, body, ctx.body),
        "now": ctx.clock.now(),
    }


def sections(facts: Facts) -> Sections:
    """The explanation as plain lines under their names, in the order in which people read them.

    Verdict, Found, Gates, Moved p, Changed, Plan, Alert, Since, Now or End; a part with nothing to say is left out.
    """
    row = facts["signal"]
    found = {
        "Verdict": [f"{row['verdict'].upper()}: {verdict(row)}"],
        "Found": [str(row["rationale"])],
        "Gates": _gates(facts["gates"]),
        "Moved p": _moved(facts),
        "Changed": list(facts["config_changes"]),
        "Plan": plan(row),
        "Alert": [facts["alert"]],
        "Since": [_event(event, row) for event in facts["events"]],
        "Now" if facts["trade"]["closed_ts"] is None else "End": [state(facts["trade"], row)],
    }
    return {name: lines for name, lines in found.items() if lines}


def lines(facts: Facts, paint: Callable[..., str] = lambda text, *_styles: text) -> list[str]:
    """The explanation for people as one column of text. paint: colours a text (`bold`, `green`, `red`), if wanted."""
    row, said = facts["signal"], sections(facts)
    told = [
        paint(head(row), "bold"),
        row["id"],
        f"decided {show_time(row['decided_ts'])}, {origin(row)}",
        f"{paint(row['verdict'].upper(), 'green' if row['verdict'] == 'pass' else 'red')}: {verdict(row)}",
    ]
    for name, body in list(said.items())[1:]:
        blank = [""] if name in ("Found", "Gates", "Plan", "Alert") else []
        label = "" if name == "Changed" else name
        told += [*blank, *(f"{label if i == 0 else '':<9}{line}" for i, line in enumerate(body))]
    return told


def head(row: Row) -> str:
    """`#ABC1234  LONG BTC/USDT:USDT 5m fibo_avwap`."""
    return f"#{row['short_id']}  {row['direction'].upper()} {row['symbol']} {row['timeframe']} {row['setup']}"


def origin(row: Row) -> str:
    """Who decided it and when: live or over history, late, rewritten since, in-sample."""
    said = "live" if row["origin"] == "live" else "by retro_scan, over history"
    return (
        said
        + (", late" if row["late"] else "")
        + (", its candles were rewritten later" if row["revised"] else "")
        + (", in-sample: it counts in no figure" if row["in_sample"] else "")
    )


def verdict(row: Row) -> str:
    """Why it passed or not, in words."""
    if row["verdict"] == "refused":
        return f"{row['reason']} (followed on paper all the same)"
    if is_ungated(row["reason"]):
        return f"admitted; {row['reason'] if row['reason'] != UNGATED else 'ungated, since no model has judged it'}"
    return "admitted; the filter is off" if row["reason"] == FILTER_OFF else str(row["reason"])


def _gates(found: list[dict[str, Any]]) -> list[str]:
    marks = {True: "ok  ", False: "NO  ", None: "-   "}
    return [f"{marks[gate['passed']]}{gate['sentence']}" for gate in found]


def _moved(facts: Facts) -> list[str]:
    # XGBoost's own contributions, in the margin that p is made from.
    if facts["moved_trouble"]:
        return [f"what moved p cannot be told: {facts['moved_trouble']}"]
    return [
        f"{move['by']:+.3f}  {move['name']} = {'not known' if move['value'] is None else format(move['value'], '.4g')}"
        f" ({move['meaning']})"
        for move in facts["moved"]
    ]


def plan(row: Row) -> list[str]:
    """The plan in four lines."""
    tick, risk = row["tick"], abs(row["entry"] - row["sl"])
    side = 1 if row["direction"] == "long" else -1

    def level(name: str) -> str:
        gain = side * (row[name] - row["entry"])
        return f"{price(row[name], tick)} ({pct(100 * gain / row['entry'])}, {r(gain / risk)})"

    avwap = "" if row["avwap"] is None else f"AVWAP {price(row['avwap'], tick)}, "
    return [
        f"entry {price(row['entry'], tick)} {'market' if row['market'] else 'limit'}, stop {level('sl')}",
        "no targets, the stop trails" if row["tp1"] is None else f"TP1 {level('tp1')}, TP2 {level('tp2')}",
        f"size {price(row['qty'], row['lot'])} = {row['notional']:.2f}, leverage {row['leverage']}x, "
        f"risk {row['risk_pct']:.3g} % of equity, liquidation near {price(row['liq'], tick)}",
        f"{avwap}{row['trend']}, {row['vol']} volatility; valid until {show_time(row['expires_ts'])}",
    ]


def _event(event: Row, row: Row) -> str:
    at = "" if event["price"] is None else f" at {price(event['price'], row['tick'])}"
    share = f", {100 * event['fraction']:.0f} % of it" if event["fraction"] not in (None, 0.0, 1.0) else ""
    return f"{show_time(event['ts'])}  {event['event']}{at}{share}"


def state(trade: Row, row: Row) -> str:
    """Where the plan stands, or how it ended and with what."""
    if trade["status"] == "PENDING":
        until = show_time(row["expires_ts"])
        return f"PENDING: the entry waits until {until}; followed up to {show_time(trade['seen_ts'])}"
    if trade["closed_ts"] is None:
        return (
            f"{trade['status']}: filled at {price(trade['fill'], row['tick'])}, stop now "
            f"{price(trade['stop'], row['tick'])}, best "
            f"{pct(trade['mfe_pct'])}, worst {pct(trade['mae_pct'])}; followed up to {show_time(trade['seen_ts'])}"
        )
    why = REASONS.get(trade["exit_reason"], trade["exit_reason"])
    if trade["pnl_pct"] is None:
        return f"{trade['status']}, {why}; no fill, no result"
    held = show_span(trade["closed_ts"] + MINUTE - trade["opened_ts"])
    known = "" if trade["funding_known"] else ", not all funding is known"
    return (
        f"{trade['status']} by {why} after {held}: net {pct(trade['pnl_pct'])} = {r(trade['r_multiple'])} = "
        f"{trade['pnl_usd']:+.2f} USD "
        f"(gross {pct(trade['gross_pct'])}, fees {trade['fees_pct']:.3f}, slippage {trade['slippage_pct']:.3f}, "
        "funding "
        f"{trade['funding_pct'] or 0:.3f}{known}); best {pct(trade['mfe_pct'])}, worst {pct(trade['mae_pct'])}"
    )


def _alert(row: Row, alert: Row | None, ctx: Context) -> str:
    if alert is not None:
        first = (
            ""
            if f"#{row['short_id']}" in str(alert["body"]).partition("Same minute")[0]
            else ", named in another plan's message"
        )
        when = f" {show_time(alert['sent_ts'])}" if alert["sent_ts"] else ""
        return f"{alert['state']}{when}{first}" + (f" ({alert['error']})" if alert["error"] else "")
    if row["verdict"] == "refused" or row["origin"] != "live":
        return "none: " + ("refused plans are not announced" if row["origin"] == "live" else "history is not announced")
    if row["late"]:
        return "in the summary of late plans"
    if is_ungated(row["reason"]):
        return "in the daily digest only, since no model has judged it (notify.telegram.send_ungated: true sends each)"
    return "none was queued"
