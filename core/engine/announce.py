"""Which alerts a decision or an outcome deserves; they are queued in its own transaction."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from core.engine.context import Context
from core.meta import trained
from core.meta.artifact import family_of
from core.meta.gate import is_ungated
from core.notify import messages
from core.store import models, outbox, reports
from core.store import signals as signals_store
from core.store.candles import Con
from core.timeframe import DAY, HOUR, floor

Row = Mapping[str, Any]
CLOSED_TOLD_FOR = 2 * DAY


def signals(ctx: Context, con: Con, rows: Sequence[Row], now: int) -> None:
    """Queue the alerts of fresh rows: one message per (symbol, direction, minute), late ones in one summary."""
    passed = [r for r in rows if r["verdict"] == "pass"]
    late = [r for r in passed if r["late"]]
    if late:
        tell(ctx, con, "late", f"late:{now}", messages.late_summary(late, label=ctx.label), now, now + DAY)
    single = [r for r in passed if not r["late"] and (ctx.send_ungated or not is_ungated(r["reason"]))]
    for best, others in messages.one_message_each(single):
        body = messages.signal(
            best,
            others,
            signals_store.open_plan(con, best),
            evidence(con, best),
            now=now,
            zone=_zone(ctx),
            label=ctx.label,
        )
        outbox.enqueue(
            con,
            "signal",
            f"signal:{best['symbol']}:{best['direction']}:{best['decided_ts']}",
            body,
            now,
            int(best["expires_ts"]),
        )


def closed(ctx: Context, con: Con, n: int, now: int) -> None:
    """Queue the alert of a finished trade, if its signal was announced singly."""
    row = signals_store.signal_row(con, n)
    if not _was_told(ctx, row):
        return
    trade = signals_store.trade_row(con, str(row["id"]))
    body = messages.closed(row, trade, zone=_zone(ctx), label=ctx.label)
    tell(ctx, con, "closed", f"closed:{row['id']}", body, now, now + CLOSED_TOLD_FOR)


def digest(ctx: Context, con: Con, now: int) -> int:
    """Queue the digest of the last whole UTC day once: what was found, refused and closed untold."""
    day = floor(now, DAY) - DAY
    found = reports.day(con, ctx.exchange_id, day, day + DAY)
    if not (found.ungated or found.refused or found.closed):
        return 0
    body = messages.digest(day, found.ungated, found.refused, found.closed, evidence="insufficient", label=ctx.label)
    return int(tell(ctx, con, "digest", f"digest:{day}", body, now, now + 36 * HOUR))


def evidence(con: Con, row: Row) -> str:
    """The computed evidence label of a signal: that of the model that judged it, for plans like this one."""
    judge = None if row["model"] is None else models.one(con, str(row["model"]))
    return "insufficient" if judge is None else trained.evidence(judge.card, family_of(row["tp1"] is not None))


def tell(ctx: Context, con: Con, kind: str, key: str, body: str, now: int, expires_ts: int) -> bool:
    """Queue one alert, unless its kind is switched off; False where nothing was queued."""
    if not ctx.tell_all and kind not in ctx.cfg.notify.telegram.send_on:
        return False
    return outbox.enqueue(con, kind, key, body, now, expires_ts)


def _was_told(ctx: Context, row: Row) -> bool:
    passed_singly = row["verdict"] == "pass" and not row["late"]
    return row["origin"] == "live" and passed_singly and (ctx.send_ungated or not is_ungated(row["reason"]))


def _zone(ctx: Context) -> ZoneInfo:
    return ZoneInfo(ctx.cfg.app.timezone)
