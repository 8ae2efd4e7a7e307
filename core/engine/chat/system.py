"""Answers about the program: its health, the filter, the model, gaps, and one decision explained or drawn."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import core
from core.engine import account, announce, funnel, pictures, promotion, warmup, why
from core.engine import health as health_of
from core.engine.chat.desk import Ask, Puzzled, Reply, find
from core.errors import ArtifactError, DataError
from core.notify import commands, phone
from core.notify.text import esc, moment, price, r
from core.store import candles, models, reports, runs
from core.store.reads import bot as reads
from core.timeframe import DAY, HOUR, MINUTE, floor, show_span, show_time

STALE = 5 * MINUTE  # a finished minute older than this is worth a warning
_STAGES = {"incremental_sync": "sync", "resample": "bars", "scan_signals": "scan", "execute_signals": "follow"}
_WORTH_SAYING = {"Verdict", "Found", "Moved p", "Now", "End"}


def start(ask: Ask) -> Reply:
    """Who the writer is here, and what is going on."""
    who = {"owner": "You are the owner here.", "viewer": "You may read here."}[ask.role]
    label = f"\n<b>{esc(ask.ctx.label)}</b>" if ask.ctx.label else ""
    return Reply(f"<b>Trader_AI</b>{label}\nSignals for {_few(ask.ctx.cfg.symbols)}. Nothing is traded.\n"
                 f"{who}\n\n{_announcing(ask)}\n\n/status open trades\n/signals the newest plans\n/help all commands")


def _few(symbols: Sequence[str]) -> str:
    shown = ", ".join(phone.coin(s) for s in symbols[:6])
    return shown + (f" and {len(symbols) - 6} more" if len(symbols) > 6 else "")


def _announcing(ask: Ask) -> str:
    paused = announce.paused_since(ask.con)
    if paused is None:
        return "New signals are announced."
    return f"⏸ Paused since {_time(ask, paused)}: no new signal is announced (/resume)."


def help_(ask: Ask) -> Reply:
    """All commands of the writer's role."""
    return Reply(commands.help_text(ask.role))


def version(ask: Ask) -> Reply:
    """Which version runs."""
    return Reply(phone.pairs([("Trader_AI", core.__version__), ("Config", ask.ctx.config_hash),
                              ("Exchange", ask.exchange), ("SQLite", sqlite3.sqlite_version)]))


def health(ask: Ask) -> Reply:
    """Whether all is well: data, jobs, exchange, alerts, disk; what is not stands first."""
    con, today = ask.con, floor(ask.now, DAY)
    last = {run["job"]: run for run in reports.last_runs(con)}
    ticks = [last[job] for job in _STAGES if job in last]
    bad = reports.bad_runs(con, today, ask.now + DAY)
    alerts, down = reports.alerts(con, today), runs.get(con, "exchange_down_since")
    ended = max((run["ended_ts"] or run["due_ts"] for run in ticks), default=None)
    slow = ended is not None and ask.now - ended > STALE
    worries = [*([f"the minute's work last ran {show_span(ask.now - (ended or 0))} ago"] if slow else []),
               *_late(ask), *([f"{ask.exchange} silent since {_time(ask, down)}"] if down is not None else []),
               *(f"{_STAGES[t['job']]} {t['state']}: {_short(t['error'])}" for t in ticks if t["state"] != "ok"),
               *([f"alerts: {_short(alerts['trouble'])}"] if alerts["waiting"] and alerts["trouble"] else [])]
    rows = [("Last process", "-" if ended is None else f"{show_span(ask.now - ended)} ago"),
            ("Candles", _age(ask)), ("Exchange", "silent" if down is not None else "answers"),
            ("Requests", f"{health_of.asked(runs.sent_since(con, today))} today"),
            ("Jobs today", ", ".join(f"{n} {state}" for state, n in sorted(bad.items())) or "all ok"),
            ("Outbox", f"{alerts['waiting']} waiting" if alerts["waiting"] else "empty"),
            *(_others(ask)), ("Disk free", f"{ask.ctx.db.free_bytes() / 2**30:.1f} GB"),
            ("Announcing", "on" if announce.paused_since(con) is None else "paused")]
    head = "\n".join(["⚠️ <b>Look at this</b>", *map(esc, worries)]) if worries else "✅ <b>All is well</b>"
    return Reply(f"{head}\n{phone.pairs(rows)}\n{_warm(ask)}")


def _late(ask: Ask) -> list[str]:
    ages = _ages(ask)
    late = [s for s, age in ages.items() if age > STALE]
    if not ages:
        return ["no candles yet"]
    worst = f"{show_span(max(ages.values()))} old"
    return [f"candles of {_few(late)} are up to {worst}"] if late else []


def _ages(ask: Ask) -> dict[str, int]:
    known = candles.stretches(ask.con, ask.exchange)
    return {s: max(0, ask.now - known[s][-1].frontier) for s in ask.ctx.cfg.symbols if s in known}


def _age(ask: Ask) -> str:
    ages = _ages(ask)
    return f"{show_span(max(ages.values()))} old, {len(ages)}/{len(ask.ctx.cfg.symbols)}" if ages else "none"


def _others(ask: Ask) -> list[tuple[str, str]]:
    others = reads.chat_states(ask.con)
    waiting = sum(n for _, n in others)
    return [("Viewers", f"{len(others)}, {waiting} waiting" if waiting else f"{len(others)}")] if others else []


def _warm(ask: Ask) -> str:
    cold = [w.describe() for w in warmup.of(ask.ctx) if w.live < w.symbols]
    return "\n".join(map(esc, cold)) or "All timeframes decide live."


def _short(text: object) -> str:
    return " ".join(str(text or "no reason given").split())[:120]


def gaps(ask: Ask) -> Reply:
    """Minutes that the exchange does not have."""
    found = reports.gap_summary(ask.con, ask.exchange)
    if not found:
        return Reply("<b>No gaps</b>: every minute is there.")
    rows = [(phone.coin(g["symbol"]), str(g["gaps"]), str(g["minutes"])) for g in found]
    newest = [f"{esc(phone.coin(s))} {_time(ask, a)}, {show_span(b - a + MINUTE)}"
              for s, a, b in reads.newest_gaps(ask.con, ask.exchange, 5)]
    return Reply("\n".join(["<b>Gaps</b>", phone.table(("Pair", "Gaps", "Minutes"), rows), "The newest:", *newest]))


def gate(ask: Ask) -> Reply:
    """Today's funnel, why it let so few pass, and what its refusals were worth."""
    today = funnel.of(ask.ctx, ask.now)
    alerts = reports.alerts(ask.con, floor(ask.now, DAY))
    state = {"running": True, "down_since": runs.get(ask.con, "exchange_down_since"), "alerts": alerts,
             "send_ungated": ask.ctx.send_ungated, "paused": announce.paused_since(ask.con)}
    rows = [("Bars", f"{today.bars:,}"), ("Setups", f"{today.candidates:,}"), ("Admitted", f"{today.admitted:,}"),
            ("Passed", f"{today.passed:,}"), ("Filled", f"{today.filled:,}")]
    fell = [f"{n} {esc(name)}" for name, n in today.fell_out.most_common(5)]
    said = funnel.silence(ask.ctx.cfg, today, warmup.of(ask.ctx), state)
    return Reply("\n".join(["<b>The gate today (UTC)</b>", phone.pairs(rows), *(["Fell out: " + ", ".join(fell)]
                            if fell else []), esc(said[:1].upper() + said[1:]), "", _worth(ask)]))


def _worth(ask: Ask) -> str:
    book = account.of(ask.ctx, ask.con, ask.now - 30 * DAY, ask.now + HOUR).live
    if book.empty:
        return "The filter itself has refused or passed nothing that ended in 30 days."
    sides = [(name, f"{side.filled} filled, {r(side.net_r)}")
             for name, side in (("Refused", book.whole.refused), ("Passed", book.whole.passed))]
    return (f"<b>Its account, 30 days</b>\n{phone.pairs(sides)}\n"
            f"Refusing saved {book.whole.saved_r:.1f}R and cost {book.whole.cost_r:.1f}R: {r(book.whole.net_saved_r)}")


def model(ask: Ask) -> Reply:
    """The model that governs, its evidence, and what changed last."""
    history = models.history(ask.con)
    id = promotion.in_force(history)
    meta = [entry for entry in history if entry.kind == models.META]
    lines = ["<b>No model governs</b>: the gate only observes"] if id is None else _governing(ask, id, meta)
    waiting = [m.id for m in models.registered(ask.con, models.META) if m.promoted_ts is None]
    lines += [f"Challengers: {esc(', '.join(waiting[-3:]))}"] if waiting else []
    drift = [entry for entry in history if entry.kind == models.DRIFT]
    lines += [f"Drift: {esc(drift[-1].detail.get('level', '-'))}"] if drift and id is not None else []
    for entry in meta[-1:]:
        lines.append(f"Last change {_time(ask, entry.ts)}, by {esc(entry.who, 40)}: {esc(entry.why, 300)}")
    return Reply("\n".join(lines))


def _governing(ask: Ask, id: str, meta: Sequence[models.Promotion]) -> list[str]:
    known = models.one(ask.con, id)
    card: Mapping[str, Any] = known.card if known is not None else {}
    rows = [(name, f"n={told.get('n', '-')}, {told.get('evidence', {}).get('label', '-')}")
            for name, told in sorted(card.get("families", {}).items())]
    since = show_time(meta[-1].promoted_ts) if meta[-1].promoted_ts else "the first decision"
    why_ = [esc(told["evidence"]["why"], 300) for told in card.get("families", {}).values()
            if told.get("evidence", {}).get("why")]
    return [f"<b>Model {esc(id, 40)}</b>", f"governs since {since}",
            phone.table(("Family", "Evidence"), rows, 2) if rows else "", *dict.fromkeys(why_)]


def explain(ask: Ask) -> Reply:
    """One decision, gate by gate, with what happened since."""
    row = find(ask, "/why ID")
    try:
        facts = why.gather(ask.ctx, row)
    except (ArtifactError, DataError) as error:
        raise Puzzled(esc(error)) from error
    said = why.sections(facts)
    lines = [_head(row), f"Decided {_time(ask, row['decided_ts'])}, {esc(why.origin(row))}"]
    for name, body in said.items():
        if name == "Gates":
            lines += ["", "<b>Gates</b>", *(_mark(gate) for gate in facts["gates"])]
        elif name in _WORTH_SAYING:
            lines += ["", f"<b>{esc(name)}</b>", *map(esc, body)]
    return Reply("\n".join(line for line in lines))


def _head(row: Mapping[str, Any]) -> str:
    side = "🟢" if row["direction"] == "long" else "🔴"
    return (f"{side} <b>{esc(row['direction']).upper()} {esc(phone.pair(row['symbol']))}</b> {esc(row['timeframe'])} "
            f"{esc(row['setup'])} <code>#{esc(row['short_id'])}</code>")


def _mark(gate: Mapping[str, Any]) -> str:
    # What it asked and what it got; the sentence in full stands on the page and in `python -m core why`.
    sign = {True: "✅", False: "❌", None: "▫️"}[gate["passed"]]
    return f"{sign} {esc(str(gate['sentence']).partition(' (')[0], 200)}"


def chart(ask: Ask) -> Reply:
    """A plan's picture, up to the newest candle."""
    row = find(ask, "/chart ID")
    try:
        photo = pictures.of_signal(ask.ctx, ask.con, str(row["id"]))
    except DataError as error:
        raise Puzzled(esc(error)) from error
    tick = row["tick"]
    levels = " · ".join(f"{name} <code>{price(row[key], tick)}</code>" for name, key in
                        (("Entry", "entry"), ("SL", "sl"), ("TP1", "tp1"), ("TP2", "tp2")) if row[key] is not None)
    trade = reports.events(ask.con, str(row["id"]))
    last = f"\n{esc(trade[-1]['event'])} {_time(ask, trade[-1]['ts'])}" if trade else ""
    return Reply(f"{_head(row)}\n{levels}{last}", photo)


def _time(ask: Ask, ts: int) -> str:
    return moment(ts, ask.zone, ask.now)
