"""Which alerts a decision or an outcome deserves; they are queued in its own transaction."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from core.engine.context import Context
from core.meta import trained
from core.meta.artifact import family_of
from core.meta.gate import is_ungated
from core.notify import events, messages
from core.store import models, outbox, reports, runs
from core.store import signals as signals_store
from core.store.candles import Con
from core.timeframe import DAY, HOUR, floor
from core.trades.lifecycle import TP, State
from core.trades.performance import wilson

Row = Mapping[str, Any]
CLOSED_TOLD_FOR = 2 * DAY
MOVED_TOLD_FOR = 12 * HOUR  # a fill or a first target; the end of the plan tells them too
PAUSED = "announcing_paused"  # since when (ms UTC) no new plan is announced, and who asked; absent: all are


def signals(ctx: Context, con: Con, rows: Sequence[Row], now: int) -> None:
    """Queue the alerts of fresh rows: one message per (symbol, direction, minute), late ones in one summary.

    Many at once come as one message. Nothing is queued while the announcing is paused; rows do not depend on it.
    """
    passed = [r for r in rows if r["verdict"] == "pass"]
    if not passed or paused_since(con) is not None:
        return
    late = [r for r in passed if r["late"]]
    if late:
        tell(ctx, con, "late", f"late:{now}", messages.late_summary(late, label=ctx.label), now, now + DAY)
    single = [r for r in passed if not r["late"] and (ctx.send_ungated or not is_ungated(r["reason"]))]
    groups = messages.one_message_each(single)
    if len(groups) > ctx.cfg.notify.telegram.digest_above and not ctx.tell_all:
        body = events.burst(groups, zone=_zone(ctx), label=ctx.label)
        told = [row for best, others in groups for row in (best, *others)]
        _announce(ctx, con, f"signals:{now}", body, told, now, max(int(row["expires_ts"]) for row in told))
        return
    for best, others in groups:
        body = messages.signal(
            best,
            others,
            signals_store.open_plan(con, best),
            evidence(con, best),
            now=now,
            zone=_zone(ctx),
            label=ctx.label,
        )
        key = f"signal:{best['symbol']}:{best['direction']}:{best['decided_ts']}"
        _announce(ctx, con, key, body, [best, *others], now, int(best["expires_ts"]))


def _announce(ctx: Context, con: Con, key: str, body: str, rows: Sequence[Row], now: int, expires_ts: int) -> None:
    # What happens to these plans later is told too, as an answer to this message where it is sent at all.
    numbers = outbox.numbers(con, [str(row["id"]) for row in rows])
    picture = numbers[0] if len(rows) == 1 or not key.startswith("signals:") else None
    alert = outbox.enqueue(con, "signal", key, body, now, expires_ts, signal=picture) if _on(ctx, "signal") else None
    outbox.tell_later(con, numbers, alert)


def moved(ctx: Context, con: Con, n: int, old: State, new: State, now: int) -> None:
    """Queue the alert of what happened to an announced plan, if anything did: its fill, its first target, its end.

    Of several in one step only the last is told; its words name the others. n: row number of the signal.
    """
    steps = {"closed": new.status >= TP, "tp1": new.tp1_ts > old.tp1_ts, "filled": new.opened_ts > old.opened_ts}
    kind = next((name for name, happened in steps.items() if happened and _on(ctx, name)), None)
    told = outbox.told_by(con, n) if kind is not None else None
    if kind is None or told is None:
        return
    row = signals_store.signal_row(con, n)
    trade = signals_store.trade_row(con, str(row["id"]))
    zone, label = _zone(ctx), ctx.label
    if kind == "closed":
        body = messages.closed(row, trade, zone=zone, label=label)
    elif kind == "tp1":
        body = events.tp1(row, trade, signals_store.tp1_fraction(con, n), zone=zone, label=label)
    else:
        body = events.filled(row, trade, zone=zone, label=label)
    until = now + (CLOSED_TOLD_FOR if kind == "closed" else MOVED_TOLD_FOR)
    outbox.enqueue(con, kind, f"{kind}:{row['id']}", body, now, until, reply_to=told[0])


def digest(ctx: Context, con: Con, now: int) -> int:
    """Queue the digest of the last whole UTC day once: what was found, refused and closed untold."""
    day = floor(now, DAY) - DAY
    found = reports.day(con, ctx.exchange_id, day, day + DAY)
    if not (found.ungated or found.refused or found.closed):
        return 0
    pnl = [row["pnl_pct"] for row in found.closed if row["pnl_pct"] is not None]
    rate = wilson(sum(x > 0 for x in pnl), len(pnl))
    body = messages.digest(day, found.ungated, found.refused, found.closed, evidence=evidence_in_force(con),
                           between=rate and (100.0 * rate[0], 100.0 * rate[1]), label=ctx.label)
    return int(tell(ctx, con, "digest", f"digest:{day}", body, now, now + 36 * HOUR))


def paused_since(con: Con) -> int | None:
    """Since when (ms UTC) no new plan is announced; None while all are."""
    found = runs.get(con, PAUSED)
    return None if found is None else int(found["ts"])


def evidence(con: Con, row: Row) -> str:
    """The computed evidence label of a signal: that of the model that judged it, for plans like this one."""
    judge = None if row["model"] is None else models.one(con, str(row["model"]))
    return "insufficient" if judge is None else trained.evidence(judge.card, family_of(row["tp1"] is not None))


def evidence_in_force(con: Con) -> str:
    """The computed evidence labels of the model in force, by family; where none is, that there is none."""
    history = models.history(con, models.META)
    named = history[-1].model if history else None
    judge = None if named is None else models.one(con, named)
    if judge is None:
        return "insufficient, no model in force"
    return ", ".join(f"{name} {trained.evidence(judge.card, name)}" for name in sorted(judge.card["families"]))


def tell(ctx: Context, con: Con, kind: str, key: str, body: str, now: int, expires_ts: int) -> bool:
    """Queue one alert, unless its kind is switched off; False where nothing was queued."""
    return _on(ctx, kind) and outbox.enqueue(con, kind, key, body, now, expires_ts) is not None


def _on(ctx: Context, kind: str) -> bool:
    telegram = ctx.cfg.notify.telegram
    return ctx.tell_all or (kind in telegram.send_on and getattr(telegram.notification_settings, kind) != "off")


def _zone(ctx: Context) -> ZoneInfo:
    return ZoneInfo(ctx.cfg.app.timezone)
