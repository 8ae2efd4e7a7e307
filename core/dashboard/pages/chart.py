"""The page Chart: candles of any market, and one plan on them: its levels, its life, its numbers, and why."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from core.candles import Bars
from core.dashboard import parts, plot, theme, words
from core.dashboard.numbers import numbers
from core.dashboard.pages import explained
from core.dashboard.reading import Source
from core.dashboard.views import candles as drawing
from core.dashboard.views import chart as view
from core.dashboard.views import life, reasons
from core.dashboard.views import plan as plans
from core.dashboard.views.candles import Scene
from core.dashboard.views.chart import Plan
from core.engine import announce, params, stops, why
from core.engine.context import Context
from core.errors import DataError
from core.store import candles, reports, signals
from core.store.reads import chart as reads
from core.store.reads import trades as found
from core.store.reads.trades import Wanted
from core.timeframe import DAY, ms, parse_time

Row = dict[str, Any]

LISTED = 200  # newest plans to choose from
NEARBY = 400  # other decisions marked on one chart
NO_PLAN = "candles"  # in place of an id: the candles alone
COUNTS = (150, 300, 600, 1000, 1500)
_OVERLAYS = ("Taken nearby", "Refused nearby", "Fib levels", "Pivots")
_MARKS = {"late": "decided too late to be told as new", "revised": "its candles were rewritten later",
          "in_sample": "a model judged bars it was trained on: it counts in no figure"}


@dataclass(frozen=True)
class Asked:
    """What the controls ask for. id: of a plan, None = candles alone; series: number of the chart's series.

    newest: the newest plan that fitted then. until: where candles alone shall end, None = at the newest.
    """

    id: str | None
    symbol: str
    timeframe: str
    series: int
    count: int
    overlays: tuple[str, ...]
    wanted: Wanted
    newest: str | None
    until: int | None = None


def page(source: Source) -> None:
    """Draw the page."""
    asked = _controls(source)
    if asked is None:
        parts.none("There are no candles yet.", "They come with the first download: **Now** shows how far it is.")
        return
    with source.read() as ctx:
        row = found.one(ctx.db.con, asked.id) if asked.id else None
    moving = row is None or row["closed_ts"] is None
    every = "5s" if moving else "60s"
    parts.live(every)(_drawn)(source, asked)
    if asked.id:
        left, right = st.columns(2, gap="large")
        with left:
            parts.live(every)(_life)(source, asked.id)
        told = explained.gathered(source, asked.id)
        with right:
            explained.gates(told)
        with left:
            explained.moved(told)


# What is asked for


def _controls(source: Source) -> Asked | None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        pick = st.container(width=620)
        fits, looks = st.container(width="content"), st.container(width="content")
    with fits, st.popover("Filter", icon=":material/filter_alt:"):
        wanted = _wanted(source)
    with source.read() as ctx:
        known = reads.timeframes(ctx.db.con, ctx.exchange_id)
        rows = _listed(ctx, wanted, LISTED)
        row, now = _row(ctx, rows), ctx.clock.now()
    if not known:
        return None
    with pick:
        _picker(rows, row, now)
    with looks, st.popover("View", icon=":material/tune:"):
        count = st.select_slider("Bars", COUNTS, 300, key="chart-bars")
        overlays = st.pills("Show", _OVERLAYS, selection_mode="multi", default=_OVERLAYS[:3], key="chart-overlays")
        until = st.date_input("Up to", None, key="chart-until", help="the last day shown, UTC") if row is None else None
    symbol, timeframe = _market(known, row)
    newest = rows[0]["id"] if rows else None
    return Asked(row["id"] if row else None, symbol, timeframe, known[symbol][timeframe], count, tuple(overlays),
                 wanted, newest, _end_of(until))


def _end_of(day: date | None) -> int | None:
    return None if day is None else parse_time(day.isoformat()) + DAY


def _wanted(source: Source) -> Wanted:
    with source.read() as ctx:
        symbols, setups = found.symbols(ctx.db.con, ctx.exchange_id), found.setups(ctx.db.con)
        timeframes = ctx.scanned_timeframes()
    st.text_input("Id", key="chart-typed", placeholder="#ABC1234", on_change=_typed)
    st.segmented_control("Candidates", ("taken", "refused", "both"), key="chart-verdict", default="taken",
                         required=True, on_change=_forget, help="where none was taken, refused ones are listed")
    st.segmented_control("Direction", ("long", "short"), key="chart-direction", on_change=_forget)
    st.pills("Symbol", symbols, format_func=words.coin, key="chart-symbols", selection_mode="multi", on_change=_forget)
    st.pills("Timeframe", timeframes, key="chart-timeframes", selection_mode="multi", on_change=_forget)
    st.pills("Setup", setups, key="chart-setups", selection_mode="multi", on_change=_forget)
    state = st.session_state
    verdict = {"taken": ("pass",), "refused": ("refused",)}.get(state["chart-verdict"], ())
    direction = (state["chart-direction"],) if state["chart-direction"] else ()
    return Wanted(symbols=tuple(state["chart-symbols"]), timeframes=tuple(state["chart-timeframes"]),
                  setups=tuple(state["chart-setups"]), directions=direction, verdicts=verdict)


def _listed(ctx: Context, wanted: Wanted, most: int) -> list[Row]:
    rows = found.newest(ctx.db.con, ctx.exchange_id, wanted, most)
    if rows or wanted.verdicts != ("pass",):
        return rows
    return found.newest(ctx.db.con, ctx.exchange_id, replace(wanted, verdicts=()), most)


def _row(ctx: Context, rows: list[Row]) -> Row | None:
    # The plan in the address, else the newest that fits.
    text = st.query_params.get("id", "")
    if text == NO_PLAN:
        return None
    if text:
        try:
            return found.one(ctx.db.con, str(why.find(ctx, text)["id"]))
        except DataError as error:
            st.warning(str(error), icon=":material/search_off:")
    return rows[0] if rows else None


def _picker(rows: list[Row], row: Row | None, now: int) -> None:
    captions = {r["id"]: view.caption(r, now) for r in ([row] if row else []) + rows}
    ids = [r["id"] for r in rows]
    extra = [row["id"]] if row and row["id"] not in ids else []
    st.session_state["chart-plan"] = row["id"] if row else NO_PLAN
    st.selectbox("Plan", [*extra, *ids, NO_PLAN], key="chart-plan", on_change=_picked,
                 format_func=lambda id: captions.get(id, "No plan: the candles alone"))


def _market(known: dict[str, dict[str, int]], row: Row | None) -> tuple[str, str]:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if row is None:
            symbol = str(st.selectbox("Symbol", known, format_func=words.coin, key="chart-symbol", width=220,
                                      label_visibility="collapsed"))
        else:
            symbol = row["symbol"]
        names = list(known[symbol])
        own = row["timeframe"] if row and row["timeframe"] in names else names[min(1, len(names) - 1)]
        chosen = st.segmented_control("Timeframe", names, default=own, key=f"chart-tf-{row['id'] if row else symbol}",
                                      label_visibility="collapsed", required=True)
    return symbol, str(chosen or own)


def _picked() -> None:
    _go(st.session_state["chart-plan"])


def _typed() -> None:
    _go(st.session_state["chart-typed"].strip())


def _go(id: str) -> None:
    if id:
        st.query_params["id"] = id
    else:
        _forget()


def _forget() -> None:
    st.query_params.pop("id", None)


# What is drawn


def _drawn(source: Source, asked: Asked) -> None:
    with source.read() as ctx:
        seen = _read(ctx, asked)
    scene, terms, now, newest, evidence = seen
    plan = scene.plan
    left, right = st.columns([7, 3], gap="medium") if plan else (st.container(), st.container())
    with left:
        if plan:
            _head(plan, evidence)
        plot.live(drawing.figure(scene, parts.dark()), "chart-figure", drawing.HEIGHT, drawing.revision(scene),
                  on_click=_clicked)
        if st.session_state.pop("chart-clicked", None):
            st.rerun()
        st.caption(_below(scene))
    if newest:
        with left:
            _newer(newest)
    if plan and terms:
        with right:
            _numbers(plan, terms, now)


def _clicked(id: str) -> None:
    _go(id)
    st.session_state["chart-clicked"] = True  # the whole page shows the other plan, not this part alone


def _read(ctx: Context, asked: Asked) -> tuple[Scene, params.Terms | None, int, Row | None, str]:
    con, size = ctx.db.con, ms(asked.timeframe)
    row = why.find(ctx, asked.id) if asked.id else None
    body = reads.body(con, row["config_hash"]) if row else None
    trade = signals.trade_row(con, row["id"]) if row else None
    last = reads.last_bar(con, asked.series) or 0
    window = view.window(size, asked.count, last, (row, trade) if row and trade else None, asked.until)
    bars = candles.load(con, asked.series, size, window.start, window.end)
    plan = _plan(ctx, row, trade, body, asked, bars) if row and trade and body else None
    others = _others(ctx, asked, window)
    tick = row["tick"] if row else reads.tick(con, ctx.exchange_id, asked.symbol) or 0.01
    pivots = params.common(body or ctx.body).piv_window if "Pivots" in asked.overlays else 0
    zone = ZoneInfo(ctx.cfg.app.timezone)
    scene = Scene(asked.symbol, asked.timeframe, bars, window, tick, zone, plan, others, pivots,
                  "Fib levels" in asked.overlays)
    evidence = announce.evidence(con, row) if row else ""
    return scene, params.terms(body) if body else None, ctx.clock.now(), _newest(ctx, asked), evidence


def _plan(ctx: Context, row: Row, trade: Row, body: Row, asked: Asked, bars: Bars) -> Plan:
    con, size = ctx.db.con, ms(row["timeframe"])
    setup = body["signals"]["setups"].get(row["setup"], {})
    channel = int(setup.get("channel", 0)) if row["start_ts"] == row["end_ts"] else 0
    first = row["start_ts"] - channel * size
    if row["timeframe"] != asked.timeframe or first < bars.ts[0]:
        series = candles.one_series(con, row["exchange"], row["symbol"], row["timeframe"]).id
        end = min(int(trade["closed_ts"] or trade["seen_ts"]) + 1, first + view.MOST * size)
        bars = candles.load(con, series, size, first, max(end, row["decided_ts"]))
    return Plan(row, trade, reports.events(con, row["id"]), bars, channel, stops.path(con, row, trade, body))


def _others(ctx: Context, asked: Asked, window: view.Window) -> list[Row]:
    named = (("pass", "Taken nearby"), ("refused", "Refused nearby"))
    verdicts = tuple(verdict for verdict, name in named if name in asked.overlays)
    if not verdicts:
        return []
    near = Wanted(symbols=(asked.symbol,), timeframes=(asked.timeframe,), verdicts=verdicts, start=window.start,
                  end=window.end + 1)
    return found.page(ctx.db.con, ctx.exchange_id, near, limit=NEARBY)


def _newest(ctx: Context, asked: Asked) -> Row | None:
    rows = _listed(ctx, asked.wanted, 1)
    return rows[0] if rows and rows[0]["id"] != asked.newest else None


def _newer(row: Row) -> None:
    if st.button(f"Newer: {view.caption(row)}", icon=":material/fiber_new:", key="chart-newer", on_click=_go,
                 args=(row["short_id"],)):
        st.rerun()


def _head(plan: Plan, evidence: str) -> None:
    # One paragraph, since each one takes its time to be drawn.
    row, trade = plan.row, plan.trade
    tone = {"up": theme.GOOD, "down": theme.BAD}.get(life.tone(trade["r_multiple"]), theme.CALM)
    told = [(life.result(trade), tone, ""),
            (f"evidence: {evidence}", theme.EVIDENCE.get(evidence, theme.CALM),
             "how strong the evidence is that plans like this one earn money")]
    if row["verdict"] == "refused":
        told.append(("refused, on paper only", theme.WARN, reasons.safe(row["reason"])))
    told += [(mark.replace("_", "-"), theme.WARN, said) for mark, said in _MARKS.items() if row[mark]]
    if row["origin"] == "retro":
        told.append(("retro", theme.CALM, "found by retro_scan over history, not live"))
    badges = " ".join(f":{colour}-badge[{reasons.safe(text)}]" for text, colour, _ in told)
    st.markdown(f"#### :{'green' if plan.side > 0 else 'red'}[{words.SIDES[row['direction']]}] "
                f"{words.coin(row['symbol'])} {row['timeframe']} {row['setup']} `#{row['short_id']}` {badges}",
                help="  \n".join(f"**{text}**: {why}" for text, _, why in told if why))


def _below(scene: Scene) -> str:
    end = f"{words.count(len(scene.bars))} bars of {scene.timeframe}"
    cut = f"; its life is longer than {view.MOST:,} of them: choose a longer timeframe" if scene.window.cut else ""
    how = "wheel or pinch zooms, drag pans, double click goes back"
    return f"{end}{cut} · {how}" + (" · ▲▼ other decisions: click one to open it" if scene.others else "")


def _numbers(plan: Plan, terms: params.Terms, now: int) -> None:
    row = plan.row
    numbers((n.label, n.value, n.note) for n in plans.numbers(row, terms))
    st.markdown(f":small[{plans.facts(row)}]")
    valid = plans.validity(row, plan.trade, now)
    if valid:
        st.info(valid, icon=":material/schedule:")
    with st.popover("The plan as text", icon=":material/content_copy:", width="stretch"):  # loads when opened
        st.code(plans.order(row, terms), language=None, wrap_lines=True)


def _life(source: Source, id: str) -> None:
    with source.read() as ctx:
        row, trade = why.find(ctx, id), signals.trade_row(ctx.db.con, id)
        events, terms = reports.events(ctx.db.con, id), params.terms(reads.body(ctx.db.con, row["config_hash"]))
        now = ctx.clock.now()
    explained.story(row, trade, events, terms, now, head="### Life\n\n")
