"""Answers about plans: what is open, what was found, what has ended."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.engine import announce, params, rows
from core.engine.chat.desk import Ask, Puzzled, Reply, find
from core.notify import phone
from core.notify.text import esc, moment, pct, price, r
from core.store import chats, signals
from core.store.reads import bot as reads
from core.store.reads.bot import Open
from core.timeframe import DAY, HOUR, MINUTE, show_span
from core.trades.lifecycle import R_TIME, TIME
from core.trades.results import TradeRow, result

SHOWN = 6  # open trades told in full; more are a table
LISTED = 15  # rows of a table
STALE = 5 * MINUTE  # an older price says so
_WAITING = "PENDING"


def status(ask: Ask) -> Reply:
    """Open trades: each in full, as a table, or one by its id."""
    if ask.args and ask.args[0].lower() != "table":
        return Reply(_one(ask))
    found = reads.under_way(ask.con, ask.exchange)
    held = [o for o in found if o.trade.state[0] != _WAITING]
    waiting = [o for o in found if o.trade.state[0] == _WAITING]
    if ask.args or len(held) > SHOWN:
        return Reply(_tables(ask, held, waiting))
    if not held:
        return Reply("<b>No active trade</b>" + _left(waiting))
    return Reply("\n\n".join(_whole(ask, o) for o in held) + _left(waiting))


def _left(waiting: Sequence[Open]) -> str:
    n = len(waiting)
    return f"\n\n{n} plan{'s' if n > 1 else ''} wait{'' if n > 1 else 's'} for the entry: /status table" if n else ""


def _one(ask: Ask) -> str:
    row = find(ask, "/status ID")
    own = [o for o in reads.under_way(ask.con, ask.exchange) if o.trade.id == row["id"]]
    if not own:
        trade = signals.trade_row(ask.con, str(row["id"]))
        ended = f"{trade['status']}" if trade["closed_ts"] is not None else "followed on paper only"
        raise Puzzled(f"#{row['short_id']} is not open ({ended}): /why {row['short_id']} tells more.")
    return _whole(ask, own[0])


def _whole(ask: Ask, o: Open) -> str:
    t, tick = o.trade, o.tick
    known = reads.price(ask.con, ask.exchange, t.symbol)
    head = (f"{'🟢' if t.direction == 'long' else '🔴'} <b>{esc(phone.pair(t.symbol))}</b> {esc(t.direction)} "
            f"{o.leverage}x · <code>#{esc(o.short_id)}</code>")
    lines = [("Setup", f"{o.setup} {t.timeframe}")]
    if t.state[0] == _WAITING:
        lines += [("Entry", f"{price(t.entry, tick)} {'market' if t.market else 'limit'}"),
                  ("Waits until", moment(t.expires_ts, ask.zone, ask.now))]
    else:
        lines += [("Open since", _spaced(ask.now - _opened(o))), ("Open Rate", price(_fill(o), tick))]
    if known is not None:
        old = ask.now - known[0]
        lines.append(("Current Rate", price(known[1], tick) + (f" ({_spaced(old)} old)" if old > STALE else "")))
        if t.state[0] != _WAITING:
            now = _worth(ask, o, known[1])
            lines.append(("Profit", f"{pct(now.pnl_pct or 0.0)} {r(now.r_multiple or 0.0)}"))
    lines += _stops(o)
    done = [("TP1 at", moment(t.state[8], ask.zone, ask.now))] if t.state[8] else []
    return f"{head}\n{phone.pairs([*lines, *done, *_taken(ask, o)])}"


def _stops(o: Open) -> list[tuple[str, str]]:
    t, tick = o.trade, o.tick
    side = 1 if t.direction == "long" else -1

    def level(value: float) -> str:
        return f"{price(value, tick)} {pct(100 * side * (value / t.entry - 1))}"

    found = [("Stoploss", level(float(t.state[4])))]
    if t.tp1 is None:
        return [*found, ("Targets", "none, the stop trails")]
    left = [("TP1", t.tp1)] if not t.state[8] else []
    return found + [(name, level(x)) for name, x in [*left, ("TP2", t.tp2)] if x is not None]


def _taken(ask: Ask, o: Open) -> list[tuple[str, str]]:
    own = chats.taken(ask.con, o.trade.n) if ask.role == chats.OWNER else None
    if own is None:
        return []
    out = f", out {price(own['exit_price'], o.tick)}" if own["exit_price"] is not None else ""
    return [("You took it", price(own["price"], o.tick) + out)]


def _fill(o: Open) -> float:
    return float(o.trade.state[3] or o.trade.entry)


def _opened(o: Open) -> int:
    return int(o.trade.state[2] or o.trade.decided_ts)


def _worth(ask: Ask, o: Open, at: float) -> TradeRow:
    # As if it were closed by hand now: all costs but funding.
    body = signals.configs(ask.con)[o.trade.config_hash]
    terms = params.terms(body)
    order, state = rows.trade_order(o.trade, terms), rows.state_of(o.trade.state)
    ended = state._replace(status=TIME, reason=R_TIME, closed_ts=ask.now, exit_price=at)
    return result(order, ended, terms.costs, terms.usd_per_trade)


def worth_of_open(ask: Ask) -> tuple[int, float, float]:
    """(open trades, their net R, their net USD at the plans' own sizes) if all were closed now."""
    held = [o for o in reads.under_way(ask.con, ask.exchange) if o.trade.state[0] != _WAITING]
    total_r = usd = 0.0
    for o in held:
        known = reads.price(ask.con, ask.exchange, o.trade.symbol)
        if known is not None:
            now = _worth(ask, o, known[1])
            total_r += now.r_multiple or 0.0
            usd += (now.pnl_pct or 0.0) / 100.0 * _fill(o) * o.trade.qty
    return len(held), total_r, usd


def _tables(ask: Ask, held: Sequence[Open], waiting: Sequence[Open]) -> str:
    parts = []
    if held:
        shown = [(o.short_id, _pair(o), _brief(ask.now - _opened(o)), *_gain(ask, o)) for o in held[:LISTED]]
        parts.append(f"<b>Open: {len(held)}</b>\n" + phone.table(("ID", "Pair", "Since", "Profit", "R"), shown, 2))
    if waiting:
        soonest = sorted(waiting, key=lambda o: o.trade.expires_ts)
        left = [(o.short_id, _pair(o), price(o.trade.entry, o.tick), _brief(o.trade.expires_ts - ask.now))
                for o in soonest[:LISTED]]
        parts.append(f"<b>Waiting: {len(waiting)}</b>\n" + phone.table(("ID", "Pair", "Entry", "Left"), left, 2))
    return "\n".join(parts) or "<b>No active trade</b>"


def _pair(o: Open) -> str:
    return f"{phone.coin(o.trade.symbol)} {'L' if o.trade.direction == 'long' else 'S'}"


def _gain(ask: Ask, o: Open) -> tuple[str, str]:
    known = reads.price(ask.con, ask.exchange, o.trade.symbol)
    if known is None:
        return "-", "-"
    now = _worth(ask, o, known[1])
    return pct(now.pnl_pct or 0.0), f"{now.r_multiple or 0.0:+.2f}"


def _spaced(span: int) -> str:
    return show_span(max(MINUTE, span - span % MINUTE))  # seconds say nothing


def _brief(span: int) -> str:
    return "".join(_spaced(span).split())  # `2h11m`: a table has no room for a blank


def newest(ask: Ask) -> Reply:
    """The newest signals that passed."""
    n = ask.number(8, 20)
    found = reads.recent(ask.con, ask.exchange, ask.now - 30 * DAY, n)
    if not found:
        return Reply("No plan passed in the last 30 days: /gate tells why.")
    shown = [(row["short_id"], f"{phone.coin(row['symbol'])} {'L' if row['direction'] == 'long' else 'S'}",
              row["timeframe"], _brief(ask.now - row["decided_ts"]), _stand(row["status"], row["r_multiple"]))
             for row in found]
    labels = list(dict.fromkeys(announce.evidence(ask.con, row) for row in found))
    lines = [f"<b>The newest {len(found)} signals</b>", phone.table(("ID", "Pair", "TF", "Age", "State"), shown, 3),
             f"Evidence: {', '.join(labels)}"]
    if any(str(row["reason"]).startswith("ungated") for row in found):
        lines.append("Ungated: no model judged them")
    return Reply("\n".join([*lines, "/why ID explains, /chart ID draws one"]))


def _stand(status: str, net_r: float | None) -> str:
    return f"{net_r:+.2f}R" if net_r is not None else status[:8]


def ended(ask: Ask) -> Reply:
    """The newest closed trades, beside what the owner did."""
    n = ask.number(10, 30)
    found = reads.closed(ask.con, ask.exchange, ask.now - 60 * DAY, ask.now + HOUR, n)
    if not found:
        return Reply("No trade was closed in the last 60 days.")
    shown = [(row["short_id"], f"{phone.coin(row['symbol'])} {'L' if row['direction'] == 'long' else 'S'}",
              _brief(ask.now - row["closed_ts"]), pct(row["pnl_pct"]), f"{row['r_multiple']:+.2f}") for row in found]
    own = [f"<code>#{row['short_id']}</code> you: {_own(row)}" for row in found
           if row["own_price"] is not None and ask.role == chats.OWNER]
    total = sum(row["r_multiple"] for row in found)
    lines = [f"<b>The newest {len(found)} trades, net {r(total)}</b>",
             phone.table(("ID", "Pair", "Ago", "Profit", "R"), shown, 2)]
    return Reply("\n".join(lines + own))


def _own(row: Mapping[str, Any]) -> str:
    tick, side = row["tick"], 1 if row["direction"] == "long" else -1
    entry, out = row["own_price"], row["own_exit"]
    if out is None:
        return f"in {price(entry, tick)} (paper {price(row['fill'], tick)})"
    return (f"{price(entry, tick)} to {price(out, tick)} = {pct(100 * side * (out / entry - 1))} before fees "
            f"(paper {pct(100 * side * (row['exit_price'] / row['fill'] - 1))})")
