"""The words of what happens to an announced plan, as HTML for Telegram; each answers the plan's own message. Pure.

Rows are mappings with the columns of `signals` and `trades`. Every text names the short id, for the message it
answers may never have been delivered. What `messages.py` says of lengths and escaping holds here too.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

from core.notify.text import esc, local, pct, price, r, when
from core.timeframe import MINUTE

Row = Mapping[str, Any]


def filled(row: Row, trade: Row, *, zone: tzinfo = UTC, label: str = "") -> str:
    """The entry was filled. row: `signals`; trade: `trades`."""
    tick, side = row["tick"], _side(row)
    lines = [*_head("🔵", "FILLED", row, label), f"Filled at {_code(trade['fill'], tick)}"]
    apart = 100 * side * (row["entry"] - trade["fill"]) / row["entry"]
    if abs(apart) >= 0.005:
        lines.append(f"Planned {price(row['entry'], tick)}: {abs(apart):.2f}% {'better' if apart > 0 else 'worse'}")
    lines += [_moment(trade["opened_ts"], zone), "", f"SL {_code(row['sl'], tick)}"]
    if row["tp1"] is None:
        return "\n".join([*lines, "No targets: the stop trails"])
    return "\n".join([*lines, *(f"{k.upper()} {_code(row[k], tick)}" for k in ("tp1", "tp2") if row[k] is not None)])


def tp1(row: Row, trade: Row, fraction: float, *, zone: tzinfo = UTC, label: str = "") -> str:
    """The first target was reached and the stop moved. fraction: share of the position closed there."""
    tick, at = row["tick"], trade["tp1_price"]
    gain = 100 * _side(row) * (at - trade["fill"]) / trade["fill"]
    lines = [*_head("🎯", "TP1", row, label)]
    lines.append(f"{100 * fraction:.0f}% closed at {_code(at, tick)}" if fraction else f"Reached {_code(at, tick)}")
    lines += [f"Gross {pct(gain)} {r(gain / _risk_pct(row))}", _moment(trade["tp1_ts"], zone), "", _stop(row, trade)]
    if row["tp2"] is not None:
        lines.append(f"Rest: TP2 {_code(row['tp2'], tick)}")
    return "\n".join(lines)


def _stop(row: Row, trade: Row) -> str:
    stop, tick = trade["stop"], row["tick"]
    if stop == row["sl"]:
        return f"SL stays {_code(stop, tick)}"
    even = " (break-even)" if abs(stop - trade["fill"]) < tick else ""
    return f"SL now {_code(stop, tick)}{even}"


def marked(body: str, trades: Sequence[tuple[Row, Row]]) -> str:
    """The text of an announcement with what has become of its plans above it. trades: (signal, trade), as told."""
    return "\n".join([*(_mark(row, trade, len(trades) > 1) for row, trade in trades), body])


def _mark(row: Row, trade: Row, named: bool) -> str:
    name = f" #{esc(row['short_id'], 16)}" if named else ""
    if trade["closed_ts"] is None:
        return f"▶️ <b>{esc(trade['status'])}</b>{name}"
    if trade["r_multiple"] is None:
        return f"⚪ <b>{esc(trade['status'])}</b>{name}"
    sign = "✅" if trade["r_multiple"] > 0 else "❌"
    return f"{sign} <b>{esc(trade['status'])} {r(trade['r_multiple'])}</b>{name}"


def burst(groups: Sequence[tuple[Row, Sequence[Row]]], *, zone: tzinfo = UTC, label: str = "") -> str:
    """Many new plans of one minute in one message, the best expectation first; each can be acted on as it stands."""
    ranked = sorted(groups, key=lambda group: -(group[0]["ev_pct"] if group[0]["ev_pct"] is not None else -1e9))
    head = [f"📦 <b>{len(groups)} new plans in one minute</b>", *([f"<b>{esc(label, 60)}</b>"] if label else [])]
    return "\n".join([*head, *(_short_plan(row, others, zone) for row, others in ranked)])


def _short_plan(row: Row, others: Sequence[Row], zone: tzinfo) -> str:
    tick, light = row["tick"], "🟢" if row["direction"] == "long" else "🔴"
    levels = [f"SL {_code(row['sl'], tick)}"] + ([f"TP1 {_code(row['tp1'], tick)}"] if row["tp1"] is not None else [])
    chance = "" if row["ml_p"] is None else f"p {100 * row['ml_p']:.0f}% · "
    until = local(row["expires_ts"], zone) or when(row["expires_ts"])
    more = f"\n+ {len(others)} more plan{'s' if len(others) > 1 else ''} of this minute" if others else ""
    return (
        f"\n{light} <b>{esc(row['direction']).upper()} {esc(row['symbol'], 27)}</b> {esc(row['timeframe'])}\n"
        f"Entry {_code(row['entry'], tick)} {'market' if row['tp1'] is None else 'limit'}\n"
        f"{' · '.join(levels)}\n"
        f"Size {_code(row['qty'], row['lot'])} · {row['leverage']:g}x\n"
        f"{chance}until {until} · <code>#{esc(row['short_id'], 16)}</code>{more}"
    )


def _head(sign: str, what: str, row: Row, label: str) -> list[str]:
    return [
        f"{sign} <b>{what} {esc(row['symbol'], 27)}</b>", *([f"<b>{esc(label, 60)}</b>"] if label else []),
        f"{esc(row['direction'])} · {esc(row['timeframe'])} · {esc(row['setup'], 20)}",
        f"<code>#{esc(row['short_id'], 16)}</code>", ""]


def _moment(ts: int, zone: tzinfo) -> str:
    # The end of the minute in which it happened: before that nobody could know.
    here = local(ts + MINUTE, zone)
    return when(ts + MINUTE) + (f" = {here}" if here else "")


def _code(value: float, tick: float) -> str:
    return f"<code>{price(value, tick)}</code>"


def _side(row: Row) -> int:
    return 1 if row["direction"] == "long" else -1


def _risk_pct(row: Row) -> float:
    return float(100 * abs(row["entry"] - row["sl"]) / row["entry"])
