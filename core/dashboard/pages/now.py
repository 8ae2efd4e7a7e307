"""The page Now: is it alive, what is at work, what came lately, and why it is quiet."""

from typing import Any

import streamlit as st

from core.dashboard import parts, words
from core.dashboard.reading import LATE, STOPPED, Source, look
from core.dashboard.views import now as view
from core.engine import announce, funnel, warmup
from core.engine.context import Context
from core.notify import redact
from core.store import reports, runs
from core.store.reads import now as reads
from core.timeframe import DAY, MINUTE, floor
from core.trades.performance import closed_trades, summarize

WEEK = 7 * DAY
_MONDAY = 4 * DAY  # 5 January 1970
_LATEST_DAYS = 7


def page(source: Source) -> None:
    """Draw the page."""
    st.header("Now")
    _head(source)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _plans(source)
    with right:
        _funnel(source)
    _latest(source)


@parts.live("5s")
def _head(source: Source) -> None:
    state = look(source)
    with source.read() as ctx:
        now = ctx.clock.now()
        week = floor(now - _MONDAY, WEEK) + _MONDAY
        trades = closed_trades(reads.ended(ctx.db.con, ctx.exchange_id, week))
        rows = reads.unfinished(ctx.db.con, ctx.exchange_id)
    opened, pending, refused, _ = view.split(rows)
    today = [t for t in trades if t.closed_ts >= floor(now, DAY)]
    late = state.age is not None and state.age > LATE
    shown = "–" if state.frontier is None else words.when(state.frontier - MINUTE, now)
    age = "replayed" if state.label else f"{words.span(state.age)} ago"
    parts.metrics([
        ("Last finished minute", f":red[{shown}]" if late else shown, age),
        ("Open", str(len(opened)), "filled and not ended"),
        ("Waiting for entry", str(len(pending)), f"{refused} refused ones are followed on paper beside them"),
        view.result("Today", summarize(today)),
        view.result("This week", summarize(trades)),
    ])
    told = ["" if state.label else f"Last minute {age}{', which is late' if late else ''}.",
            f"This week {view.won(summarize(trades))}." if trades else ""]
    if any(told):
        st.caption(" ".join(filter(None, told)))


@parts.live("5s")
def _plans(source: Source) -> None:
    with source.read() as ctx:
        rows = reads.unfinished(ctx.db.con, ctx.exchange_id)
        prices = reads.prices(ctx.db.con, ctx.exchange_id)
        now = ctx.clock.now()
    opened, pending, refused, retro = view.split(rows)
    st.subheader("Open")
    if opened:
        _table(view.open_rows(opened, prices), view.OPEN, "open")
    else:
        parts.none("No position is open.")
    st.subheader("Waiting for entry")
    if pending:
        _table(view.pending_rows(pending, prices, now), view.PENDING, "pending")
    else:
        parts.none("No entry is waiting.")
    more = [f"{refused} refused" if refused else "", f"{retro} from history" if retro else ""]
    if any(more):
        st.caption(f"Followed on paper beside these: {' and '.join(filter(None, more))}.")


@parts.live("15s")
def _funnel(source: Source) -> None:
    with source.read() as ctx:
        now = ctx.clock.now()
        today, before = funnel.of(ctx, now), funnel.of(ctx, now - DAY)
        warm = warmup.of(ctx)
        why = funnel.silence(ctx.cfg, today, warm, _state(ctx, source))
    st.subheader("The day as a funnel", help="UTC days; refused setups are stored and followed on paper too")
    st.html(view.funnel_bars(today, before))
    for line in (view.quiet(today, "Today"), view.quiet(before, "Yesterday"), view.ungated(today)):
        if line:
            st.markdown(line)
    st.caption(f"Alerts: {redact.hide(why)}.")
    waiting = [w.describe() for w in warm if w.live < w.symbols]
    if waiting:
        st.caption(f"Timeframes: {'; '.join(waiting)}.")


def _state(ctx: Context, source: Source) -> dict[str, Any]:
    today = floor(ctx.clock.now(), DAY)
    return {"running": look(source).kind != STOPPED, "down_since": runs.get(ctx.db.con, "exchange_down_since"),
            "paused": announce.paused_since(ctx.db.con), "alerts": reports.alerts(ctx.db.con, today),
            "send_ungated": ctx.send_ungated or bool(ctx.label)}


@parts.live("15s")
def _latest(source: Source) -> None:
    head, switch = st.columns([3, 2], vertical_alignment="bottom")
    head.subheader("Latest signals")
    refused = switch.toggle("with refused ones", key="latest-refused")
    with source.read() as ctx:
        since = ctx.clock.now() - _LATEST_DAYS * DAY
        rows = reads.latest(ctx.db.con, ctx.exchange_id, since, refused=refused)
        evidence = {row["id"]: announce.evidence(ctx.db.con, row) for row in rows}
    if rows:
        _table(view.latest_rows(rows, evidence), view.LATEST, "latest")
    else:
        parts.none(f"No live signal {'was decided' if refused else 'passed'} in the last {_LATEST_DAYS} days.",
                   "" if refused else "The funnel above says what became of the setups.")


def _table(rows: list[dict[str, Any]], columns: tuple[words.Column, ...], key: str) -> None:
    chosen = parts.table(rows, columns, key, pick=True)
    if chosen is not None and chosen < len(rows):
        parts.link("chart", f"{rows[chosen]['plan']} on the chart, with its plan and why", id=rows[chosen]["plan"])
