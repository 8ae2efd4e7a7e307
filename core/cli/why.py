"""`why ID`: one decision explained, gate by gate, with what happened since."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.cli import gates, opening
from core.cli.screen import Out
from core.engine.context import Context
from core.engine.explain import explain
from core.errors import DataError
from core.meta.gate import FILTER_OFF, UNGATED, is_ungated
from core.notify.text import pct, price, r
from core.store import reports, signals
from core.timeframe import MINUTE, show_span, show_time

Row = Mapping[str, Any]

_REASONS = {
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


def run(args: Namespace, out: Out) -> int:
    """Find the signal and explain it; reads only."""
    cfg = opening.config(args)
    with opening.reader(args, cfg) as ctx:
        row = find(ctx, args.id)
        facts = gather(ctx, row)
    out.result(facts)
    for line in lines(facts, out):
        out.say(line)
    return 0


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


def gather(ctx: Context, row: Row) -> dict[str, Any]:
    """All that is known of a decision."""
    with ctx.db.lock:
        body = signals.configs(ctx.db.con)[row["config_hash"]]
        trade = signals.trade_row(ctx.db.con, row["id"])
        events, alert = reports.events(ctx.db.con, row["id"]), reports.alert_about(ctx.db.con, row)
        explained = explain(ctx, ctx.db.con, row, body)
    asked = gates.of(ctx, row, body, explained)
    return {
        "signal": dict(row),
        "trade": trade,
        "events": events,
        "alert": _alert(row, alert, ctx),
        "gates": [asdict(gate) for gate in asked],
        "moved": [move._asdict() for move in explained.moved],
        "moved_trouble": explained.trouble,
        "config_changes": gates.changed(asked, body, ctx.body),
        "now": ctx.clock.now(),
    }


def lines(facts: dict[str, Any], out: Out) -> list[str]:
    """The explanation for people."""
    row, paint = facts["signal"], out.out.paint
    passed = row["verdict"] == "pass"
    head = f"#{row['short_id']}  {row['direction'].upper()} {row['symbol']} {row['timeframe']} {row['setup']}"
    return [
        paint(head, "bold"),
        row["id"],
        f"decided {show_time(row['decided_ts'])}, {_origin(row)}",
        f"{paint(row['verdict'].upper(), 'green' if passed else 'red')}: {_verdict(row)}",
        "",
        f"Found    {row['rationale']}",
        "",
        *(f"{name:<9}{line}" for name, line in _gates(facts["gates"])),
        *(f"{name:<9}{line}" for name, line in _moved(facts)),
        *(f"         {line}" for line in facts["config_changes"]),
        "",
        *(f"{name:<9}{line}" for name, line in _plan(row)),
        "",
        *(f"{name:<9}{line}" for name, line in _since(facts, row)),
    ]


def _origin(row: Row) -> str:
    said = "live" if row["origin"] == "live" else "by retro_scan, over history"
    return (
        said
        + (", late" if row["late"] else "")
        + (", its candles were rewritten later" if row["revised"] else "")
        + (", in-sample: it counts in no figure" if row["in_sample"] else "")
    )


def _verdict(row: Row) -> str:
    if row["verdict"] == "refused":
        return f"{row['reason']} (followed on paper all the same)"
    if is_ungated(row["reason"]):
        return f"admitted; {row['reason'] if row['reason'] != UNGATED else 'ungated, since no model has judged it'}"
    return "admitted; the filter is off" if row["reason"] == FILTER_OFF else str(row["reason"])


def _gates(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    marks = {True: "ok  ", False: "NO  ", None: "-   "}
    return [("Gates" if i == 0 else "", f"{marks[gate['passed']]}{gate['sentence']}") for i, gate in enumerate(found)]


def _moved(facts: dict[str, Any]) -> list[tuple[str, str]]:
    # XGBoost's own contributions, in the margin that p is made from.
    lines = [
        f"{move['by']:+.3f}  {move['name']} = {'not known' if move['value'] is None else format(move['value'], '.4g')}"
        f" ({move['meaning']})"
        for move in facts["moved"]
    ]
    if facts["moved_trouble"]:
        lines = [f"what moved p cannot be told: {facts['moved_trouble']}"]
    return [("Moved p" if i == 0 else "", line) for i, line in enumerate(lines)]


def _plan(row: Row) -> list[tuple[str, str]]:
    tick, risk = row["tick"], abs(row["entry"] - row["sl"])
    side = 1 if row["direction"] == "long" else -1

    def level(name: str) -> str:
        gain = side * (row[name] - row["entry"])
        return f"{price(row[name], tick)} ({pct(100 * gain / row['entry'])}, {r(gain / risk)})"

    targets = "no targets, the stop trails" if row["tp1"] is None else f"TP1 {level('tp1')}, TP2 {level('tp2')}"
    return [
        ("Plan", f"entry {price(row['entry'], tick)} {'market' if row['market'] else 'limit'}, stop {level('sl')}"),
        ("", targets),
        (
            "",
            f"size {price(row['qty'], row['lot'])} = {row['notional']:.2f}, leverage {row['leverage']}x, risk "
            f"{row['risk_pct']:.3g} % of "
            f"equity, liquidation near {price(row['liq'], tick)}",
        ),
        (
            "",
            f"{'' if row['avwap'] is None else 'AVWAP ' + price(row['avwap'], tick) + ', '}{row['trend']}, "
            f"{row['vol']} volatility; "
            f"valid until {show_time(row['expires_ts'])}",
        ),
    ]


def _since(facts: dict[str, Any], row: Row) -> list[tuple[str, str]]:
    trade = facts["trade"]
    found = [("Alert", facts["alert"])]
    for i, event in enumerate(facts["events"]):
        at = "" if event["price"] is None else f" at {price(event['price'], row['tick'])}"
        share = f", {100 * event['fraction']:.0f} % of it" if event["fraction"] not in (None, 0.0, 1.0) else ""
        found.append(("Since" if i == 0 else "", f"{show_time(event['ts'])}  {event['event']}{at}{share}"))
    return [*found, ("Now" if trade["closed_ts"] is None else "End", _state(trade, row))]


def _state(trade: Row, row: Row) -> str:
    if trade["status"] == "PENDING":
        until = show_time(row["expires_ts"])
        return f"PENDING: the entry waits until {until}; followed up to {show_time(trade['seen_ts'])}"
    if trade["closed_ts"] is None:
        return (
            f"{trade['status']}: filled at {price(trade['fill'], row['tick'])}, stop now "
            f"{price(trade['stop'], row['tick'])}, best "
            f"{pct(trade['mfe_pct'])}, worst {pct(trade['mae_pct'])}; followed up to {show_time(trade['seen_ts'])}"
        )
    why = _REASONS.get(trade["exit_reason"], trade["exit_reason"])
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
