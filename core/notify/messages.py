"""The words of every alert, as HTML for Telegram, made to be read on a phone. Pure: rows in, text out.

Rows are mappings with the columns of the tables `signals` and `trades`. Every dynamic value is
escaped; a line of figures has at most 36 characters (free text flows); a message has at most 4096.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from itertools import groupby
from typing import Any

from core.notify.text import LIMIT, esc, local, pct, plain, price, r, size, split, when
from core.timeframe import MINUTE, show_span

__all__ = ["GENERATED", "REPEAT", "clock_off", "closed", "digest", "disk_low", "exchange_back", "exchange_down",
           "late_summary", "not_the_same", "note", "one_message_each", "plain", "repeat", "signal", "split",
           "symbol_gone", "test_message"]

Row = Mapping[str, Any]

GENERATED = "GENERATED MARKET, not real prices"
REPEAT = "(repeat: Telegram's answer was lost)"
_ROOM = LIMIT - 100  # leaves room for the repeat's label and "and N more"

_REASONS = {
    "sl": "stop loss", "sl_gap": "gap through the stop", "be": "break-even stop after TP1", "trail": "trailing stop",
    "tp1": "TP1", "tp2": "TP2", "time": "longest hold reached", "never_filled": "the entry was never filled",
    "gapped": "it opened beyond the stop", "tp1_before_entry": "TP1 came before the entry",
    "liquidation": "liquidation price", "delisted": "the market is no longer listed"}


def one_message_each(rows: Iterable[Row]) -> list[tuple[Row, list[Row]]]:
    """One (symbol, direction, decided_ts) is one message (rule 17): the best plan of each, with the others.

    Best is the highest EV where a model gave one, then the least cost in R; the id breaks ties, so the
    order of `rows` does not matter. Groups come by decided_ts, symbol, direction.
    """
    def moment(row: Row) -> tuple[Any, ...]:
        return (row["decided_ts"], row["symbol"], row["direction"])

    groups = (sorted(group, key=_rank) for _, group in groupby(sorted(rows, key=moment), key=moment))
    return [(group[0], group[1:]) for group in groups]


def _rank(row: Row) -> tuple[Any, ...]:
    ev = row["ev_pct"]
    return (-ev if ev is not None else math.inf, row["cost_r"], str(row["id"]))


def signal(row: Row, others: Sequence[Row] = (), open_plan: str | None = None, evidence: str = "", *, now: int,
           zone: tzinfo = UTC, label: str = "") -> str:
    """A new plan to act on.

    row: a `signals` row with `short_id` and `expires_ts`. others: plans of the same symbol, direction and
    minute. open_plan: short id of an open plan of the same setup, symbol, timeframe and direction, or None
    (rule 19). evidence: the computed label. now: ms UTC. zone: display zone. label: such as GENERATED.
    """
    side = f"{_light(row['direction'] == 'long')} <b>{esc(row['direction']).upper()}"
    lines = [f"{side} {esc(row['symbol'], 27)}</b>", *_labelled(label),
             f"{esc(row['timeframe'])} · {esc(row['setup'], 20)} · {_code_id(row)}", *_refusal(row), "",
             *_levels(row), "", *_size(row), *_chances(row, evidence), "",
             *_validity(row["expires_ts"], now, zone)]
    if row.get("late"):
        lines.append(f"Late: decided for {when(row['decided_ts'])}")
    if open_plan:
        lines += ["", f"Already has an open plan: {_hash(open_plan)}"]
    if others:
        lines += ["", f"Same minute, same side: {_named(others)}"]
    return "\n".join([*lines, "", f"Why: {esc(row['rationale'] or '-', 700)}"])


def _light(good: bool) -> str:
    return "🟢" if good else "🔴"


def _hash(short_id: object) -> str:
    return "#" + esc(short_id, 16).lstrip("#")


def _short(row: Row) -> str:
    return _hash(row.get("short_id") or row["id"])


def _code_id(row: Row) -> str:
    return f"<code>{_short(row)}</code>"


def _labelled(label: str) -> list[str]:
    return [f"<b>{esc(label, 60)}</b>"] if label else []


def _refusal(row: Row) -> list[str]:
    return [f"REFUSED: {esc(row['reason'], 120)}"] if row.get("verdict") == "refused" else []


def _code(value: float, tick: float) -> str:
    return f"<code>{price(value, tick)}</code>"  # one tap copies it


def _levels(row: Row) -> list[str]:
    entry, tick = row["entry"], row["tick"]
    lines = [f"Entry {_code(entry, tick)} {'market' if row['tp1'] is None else 'limit'}", f"SL {_distance(row, 'sl')}"]
    if row["tp1"] is None:
        lines.append("No targets: the stop trails")
    else:
        lines += [f"{name.upper()} {_distance(row, name)}" for name in ("tp1", "tp2") if row[name] is not None]
    if row["avwap"] is not None:
        lines.append(f"AVWAP {price(row['avwap'], tick)}")
    return lines


def _distance(row: Row, name: str) -> str:
    side = 1 if row["direction"] == "long" else -1
    gain, risk = side * (row[name] - row["entry"]), abs(row["entry"] - row["sl"])
    in_r = f" {r(gain / risk)}" if risk > 0 else ""
    return f"{_code(row[name], row['tick'])} {pct(100 * gain / row['entry'])}{in_r}"


def _size(row: Row) -> list[str]:
    quote = row["symbol"].partition("/")[2].partition(":")[0]
    lines = [f"Size {_code(row['qty'], row['lot'])} = {row['notional']:.2f} {esc(quote, 8)}".rstrip(),
             f"Leverage {row['leverage']:g}x · risk {row['risk_pct']:.3g}%", f"Costs {row['cost_r']:.2f}R"]
    if row["tp1_net_pct"] is not None:
        lines[-1] += f" · net at TP1 {pct(row['tp1_net_pct'])}"
    return lines


def _chances(row: Row, evidence: str) -> list[str]:
    off = row.get("reason") == "filter off"
    if row["ml_p"] is None:
        why = str(row.get("reason")).partition(": ")[2]
        lines = ["Filter off: not gated" if off else f"Ungated: {esc(why, 160) or 'no model yet'}"]
    else:
        lines = [f"p(win) {100 * row['ml_p']:.0f}%" + ("" if row["ev_pct"] is None else f" · EV {pct(row['ev_pct'])}")]
        lines += ["(shown, not acted on)"] if off or _observed(row) else []
    return [*lines, f"Evidence: {esc(evidence, 60)}"] if evidence else lines


def _observed(row: Row) -> bool:
    return str(row.get("reason")).partition(":")[0] == "ungated"


def _validity(expires_ts: int, now: int, zone: tzinfo) -> list[str]:
    if now >= expires_ts:
        return [f"No longer valid (ended {when(expires_ts)})"]
    here = local(expires_ts, zone)
    left = f"{show_span(max(MINUTE, expires_ts - now))} left"
    return [f"Valid until <b>{when(expires_ts)}</b>", f"= {here} · {left}" if here else left]


def _named(rows: Sequence[Row], most: int = 5) -> str:
    names = [f"{esc(o['setup'], 20)} {esc(o['timeframe'])} {_short(o)}" for o in rows[:most]]
    return ", ".join(names) + (f" and {len(rows) - most} more" if len(rows) > most else "")


def closed(row: Row, trade: Row, *, zone: tzinfo = UTC, label: str = "") -> str:
    """A plan came to its end. row: `signals`; trade: `trades`; its result columns are None where it never filled."""
    filled = trade["pnl_pct"] is not None
    light = _light(trade["pnl_pct"] > 0) if filled else "⚪"
    lines = [f"{light} <b>CLOSED {esc(row['symbol'], 27)}</b>", *_labelled(label),
             f"{esc(row['direction'])} · {esc(row['timeframe'])} · {esc(row['setup'], 20)}", _code_id(row), "",
             f"<b>{esc(trade['status'])}</b>: {_REASONS.get(trade['exit_reason'], esc(trade['exit_reason']))}"]
    lines += _result(row, trade, zone) if filled else [f"No fill, no result ({when(trade['closed_ts'])})"]
    if row.get("verdict") == "refused":
        lines += ["", "A refused plan, followed on paper only."]
    return "\n".join(lines)


def _result(row: Row, trade: Row, zone: tzinfo) -> list[str]:
    here = local(trade["closed_ts"], zone)
    usd = f"{trade['pnl_usd']:+.2f} USD" if trade["pnl_usd"] is not None else ""
    lines = [f"Net <b>{pct(trade['pnl_pct'])}</b> · {r(trade['r_multiple'])}" + (f" · {usd}" if usd else ""), "",
             f"Gross {pct(trade['gross_pct'])} · fees {trade['fees_pct']:.3f}%",
             f"Slip {trade['slippage_pct']:.3f}% · funding {trade['funding_pct'] or 0:.3f}%"]
    if not trade["funding_known"]:
        lines.append("Funding not fully known yet")
    if trade["mfe_pct"] is not None:
        lines.append(f"Best {pct(trade['mfe_pct'])} · worst {pct(trade['mae_pct'])}")
    lines += ["", f"Exit <code>{price(trade['exit_price'], row['tick'])}</code>",
              f"{when(trade['opened_ts'])} to {when(trade['closed_ts'])}",
              f"Held {show_span(trade['closed_ts'] + MINUTE - trade['opened_ts'])}" + (f", to {here}" if here else "")]
    if row["ml_p"] is not None:
        lines.append(f"p(win) was {100 * row['ml_p']:.0f}%")
    return lines


def late_summary(rows: Sequence[Row], *, label: str = "") -> str:
    """One message after an outage for all plans decided late, so that none is announced as new. Newest first."""
    head = ["⏰ <b>Back after an outage</b>", *_labelled(label),
            f"{_count(len(rows), 'plan was', 'plans were')} decided late. They are on record and followed, not new:"]
    newest = sorted(rows, key=lambda row: (-row["decided_ts"], row["symbol"], str(row["id"])))
    return _listing(head, [_brief(row) for row in newest])


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _brief(row: Row) -> str:
    market = f"{esc(row['direction'])} {esc(row['timeframe'])} {esc(row['symbol'], 30)}"
    return f"{market}\n{_short(row)} {when(row['decided_ts'])} {esc(row['setup'], 20)}"


def _listing(head: Sequence[str], items: Sequence[str], tail: Sequence[str] = ()) -> str:
    lines, room = list(head), _ROOM - sum(size(line) + 1 for line in (*head, *tail))
    for i, item in enumerate(items):
        room -= size(item) + 1
        if room < 0:
            lines.append(f"and {len(items) - i} more")
            break
        lines.append(item)
    return "\n".join([*lines, *tail])


def digest(day: int, ungated: Sequence[Row], refused: Mapping[str, int], closed: Sequence[Row], *, evidence: str = "",
           between: tuple[float, float] | None = None, label: str = "") -> str:
    """The day in one message: plans that were not announced singly, refusals by reason, results of what closed.

    day: any ms of the UTC day. refused: reason -> count. closed: `trades` rows; those without a result
    count as never filled. between: the interval of their win rate, percent.
    """
    head = [f"📒 <b>{when(day).rsplit(' ', 1)[0]}, the day (UTC)</b>", *_labelled(label), *_results(closed, between)]
    if evidence:
        head.append(f"Evidence: {esc(evidence, 60)}")
    tail = _refusals(refused)
    head += ["", f"<b>Not announced singly: {len(ungated)}</b>"]
    return _listing(head, [_brief(row) for row in ungated], tail)


def _results(trades: Sequence[Row], between: tuple[float, float] | None) -> list[str]:
    pnl = [t["pnl_pct"] for t in trades if t["pnl_pct"] is not None]
    unfilled = f"{len(trades) - len(pnl)} never filled"
    if not pnl:
        return ["", f"Closed: none with a result · {unfilled}"]
    wins, losses = [p for p in pnl if p > 0], [p for p in pnl if p <= 0]
    total_r = sum(t["r_multiple"] for t in trades if t["pnl_pct"] is not None)
    return ["", f"Closed: n={len(pnl)} · {unfilled}",
            f"Won {len(wins)} of {len(pnl)} ({100 * len(wins) / len(pnl):.0f}%)",
            *([f"95% interval {between[0]:.0f}% to {between[1]:.0f}%"] if between else []),
            f"Break-even rate {_break_even(wins, losses)}", f"Net {r(total_r)} · {pct(sum(pnl))} of notional"]


def _break_even(wins: Sequence[float], losses: Sequence[float]) -> str:
    # The win rate at which these payoffs earn nothing: L / (W + L), W and L the mean win and loss.
    if not wins or not losses:
        return f"unknown: no {'loss' if wins else 'win'} yet"
    win, loss = sum(wins) / len(wins), -sum(losses) / len(losses)
    return f"{100 * loss / (win + loss):.0f}%"


def _refusals(refused: Mapping[str, int], most: int = 12) -> list[str]:
    if not refused:
        return []
    ranked = sorted(refused.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{n} × {esc(reason, 80)}" for reason, n in ranked[:most]]
    rest = sum(n for _, n in ranked[most:])
    return ["", f"<b>Refused: {sum(refused.values())}</b>", *lines, *([f"{rest} × other reasons"] if rest else [])]


def note(title: str, text: str = "", *, label: str = "") -> str:
    """A message about the program itself: a model promoted or kept, a warning, a summary."""
    lines = [f"ℹ️ <b>{esc(title, 200)}</b>", *_labelled(label)]
    return _listing(lines, [esc(line, 1000) for line in text.splitlines()])


def exchange_down(since: int, *, label: str = "") -> str:
    """The exchange has not answered since `since` (ms UTC)."""
    return note("Exchange does not answer", f"Since {when(since)}. No plan is made on missing candles; "
                                            "what is missed is caught up by itself.", label=label)


def exchange_back(since: int, minutes: int, *, label: str = "") -> str:
    """It answers again after `minutes` of silence that began at `since` (ms UTC)."""
    return note("Exchange is back", f"Silent since {when(since)}, for {show_span(minutes * MINUTE)}. "
                                    "Candles are being caught up.", label=label)


def symbol_gone(symbol: str, *, label: str = "") -> str:
    """The exchange no longer lists `symbol`."""
    return note(f"{symbol} is gone", "The exchange no longer lists it: its open plans end at the last price. "
                                     "Take it out of `symbols` in the config.", label=label)


def clock_off(offset_ms: int, *, label: str = "") -> str:
    """The machine's clock differs from the exchange's by `offset_ms` (positive: this machine is ahead)."""
    side = "ahead of" if offset_ms > 0 else "behind"
    return note("Clock is off", f"This machine is {abs(offset_ms) / 1000:.1f} s {side} the exchange. "
                                "Switch on time synchronisation (NTP).", label=label)


def disk_low(free: int, *, label: str = "") -> str:
    """Little room is left. free: bytes."""
    return note("Disk nearly full", f"{free // 2**20} MB are left. Once it is full nothing can be written, so nothing "
                                    "is decided. Free some space: work goes on by itself and catches up.", label=label)


def not_the_same(differ: int, checked: int, *, label: str = "") -> str:
    """Recomputing the last day gave other rows than those stored. differ: of `checked` rows."""
    return note("Live is not replay", f"{differ:,} of the {checked:,} plans of the last 24 hours are not what the "
                                      "stored candles give. The program or the file was changed by hand, or this is a "
                                      "fault: python -m core reconcile names them.", label=label)


def test_message(*, label: str = "") -> str:
    """What `test-alert` sends."""
    return note("Test alert", "Alerts of Trader_AI reach this chat.", label=label)


def repeat(text: str) -> str:
    """A message that may have been delivered before, labelled so; the short id in it is the same."""
    return f"<i>{esc(REPEAT)}</i>\n{text}"
