"""The page Signals and trades: every decision and every trade as filterable tables, and the life of a chosen one."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import streamlit as st

from core.dashboard import parts, words
from core.dashboard.pages import explained
from core.dashboard.reading import Source
from core.dashboard.views import chart
from core.dashboard.views import trades as view
from core.engine import announce, params, why
from core.engine.context import Context
from core.errors import DataError
from core.meta.evidence import LABELS
from core.store import models, reports, signals
from core.store.reads import chart as chart_reads
from core.store.reads import trades as reads
from core.store.reads.now import prices as newest_prices
from core.store.reads.trades import CLOSED, OPEN, Group, Stamp, Wanted

Row = dict[str, Any]

ROWS = 500  # of one page of a table
EXPORTED = 50_000  # rows of one file, at most
_HEIGHT = 440  # px


class Listed(NamedTuple):
    """What is shown: which plans, in which order, the how manyeth page, and how far the file was."""

    wanted: Wanted
    order: str
    number: int
    stamp: Stamp


def page(source: Source) -> None:
    """Draw the page."""
    st.header("Signals and trades")
    kind = _kind()
    wanted, order = _asked(source, kind)
    if kind == OPEN:
        parts.live("5s")(_open)(source, wanted, order)
    else:
        _settled(source, wanted, order)
    chosen = st.session_state.get("trades-chosen")
    if chosen:
        _chosen(source, chosen)


# What is asked for


def _kind() -> str:
    first = st.query_params.get("kind", CLOSED)
    chosen = st.segmented_control("List", list(view.KINDS), format_func=view.KINDS.__getitem__, key="trades-kind",
                                  default=first if first in view.KINDS else CLOSED, required=True,
                                  label_visibility="collapsed", on_change=_forget)
    return str(chosen or CLOSED)


def _asked(source: Source, kind: str) -> tuple[Wanted, str]:
    with source.read() as ctx:
        end = reads.stamp(ctx.db.con, ctx.exchange_id).scanned_ts
        known = reads.symbols(ctx.db.con, ctx.exchange_id), reads.setups(ctx.db.con), ctx.scanned_timeframes()
        cards = {m.id: m.card for m in models.registered(ctx.db.con, models.META)}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        start = _period(end) if kind != OPEN else 0
        verdict = st.segmented_control("Candidates", ("taken", "refused", "both"), key="trades-verdict",
                                       default="taken", required=True, on_change=_first_page,
                                       help="refused ones are followed on paper to their end, like the others")
        orders = list(view.ORDERS)
        order = st.selectbox("Order", orders, key="trades-order", width=190, on_change=_first_page)
        with st.container(width="content"), st.popover("More filters", icon=":material/filter_alt:"):
            wanted = _more(kind, known, cards)
    verdicts = {"taken": ("pass",), "refused": ("refused",)}.get(str(verdict), ())
    return replace(wanted, verdicts=verdicts, start=start), order


def _period(end: int) -> int:
    chosen = st.segmented_control("Period", list(view.PERIODS), key="trades-period", default="30 d", required=True,
                                  on_change=_first_page, help="counted back from the newest bar that was decided")
    return view.since(str(chosen or "30 d"), end)


def _more(kind: str, known: tuple[list[str], list[str], list[str]], cards: dict[str, Any]) -> Wanted:
    symbols, setups, timeframes = known
    picked: dict[str, Any] = {
        "symbols": _pills("Pair", symbols, words.coin), "timeframes": _pills("Timeframe", timeframes),
        "setups": _pills("Setup", setups), "directions": _pills("Direction", ("long", "short")),
        "statuses": _pills("Status", view.STATUSES), "origins": _pills("Origin", ("live", "retro")),
        "exits": _pills("Exit reason", view.EXITS) if kind != OPEN else (),
    }
    evidence = _pills("Evidence", LABELS)
    sample = st.segmented_control("In-sample rows", ("hide", "only"), key="trades-sample", on_change=_first_page,
                                  help="a model judged bars it was trained on: they count in no figure")
    return Wanted(kind, **picked, judges=view.judges(cards, evidence), in_sample={"hide": False, "only": True}.get(
        str(sample)))


def _pills(label: str, options: Sequence[str], show: Any = str) -> tuple[str, ...]:
    return tuple(st.pills(label, options, format_func=show, selection_mode="multi", key=f"trades-{label}",
                          on_change=_first_page))


def _first_page() -> None:
    st.session_state["trades-number"] = 0
    _anew()


def _anew() -> None:
    # Another list is another table: no row of it is chosen yet.
    st.session_state["trades-turn"] = st.session_state.get("trades-turn", 0) + 1


def _forget() -> None:
    _first_page()
    st.session_state.pop("trades-chosen", None)


# The tables


def _open(source: Source, wanted: Wanted, order: str) -> None:
    # Few rows, and figures that move: read anew each time.
    key, down = view.ORDERS[order]
    with source.read() as ctx:
        rows = _labelled(ctx, reads.page(ctx.db.con, ctx.exchange_id, wanted, order=key, down=down, limit=ROWS))
        groups = reads.groups(ctx.db.con, ctx.exchange_id, replace(wanted, verdicts=()))
        prices = newest_prices(ctx.db.con, ctx.exchange_id)
    if _table(view.shown(rows, prices), groups, wanted, 0):
        st.rerun()  # the life of the chosen one stands outside of this part


def _settled(source: Source, wanted: Wanted, order: str) -> None:
    # Read once and kept as it is while one looks at it, so that no row slips away under the hand.
    state = st.session_state
    with source.read() as ctx:
        stamp = reads.stamp(ctx.db.con, ctx.exchange_id)
    asked = wanted, order, state.setdefault("trades-number", 0)
    if state.get("trades-asked") != asked or "trades-stamp" not in state:
        state["trades-asked"], state["trades-stamp"] = asked, stamp
    listed = Listed(*asked, state["trades-stamp"])
    groups = _grouped(source, replace(wanted, verdicts=()), listed.stamp)
    rows = _rows(source, listed)
    parts.live("10s")(_news)(source, listed.stamp)
    _table(view.shown(rows), groups, wanted, listed.number * ROWS)
    total = sum(group.plans for group in view.counted(groups, wanted))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _pager(total, listed.number)
        _export(source, wanted, order, total)


@st.cache_data(show_spinner=False, max_entries=64)
def _rows(source: Source, listed: Listed) -> list[Row]:
    key, down = view.ORDERS[listed.order]
    with source.read() as ctx:
        return _labelled(ctx, reads.page(ctx.db.con, ctx.exchange_id, listed.wanted, order=key, down=down, limit=ROWS,
                                         skip=listed.number * ROWS))


def _labelled(ctx: Context, rows: list[Row]) -> list[Row]:
    # The evidence label hangs on the judging model and on whether there are targets: a few reads, not one a row.
    known: dict[tuple[str | None, bool], str] = {}
    for row in rows:
        key = row["model"], row["tp1"] is not None
        if key not in known:
            known[key] = announce.evidence(ctx.db.con, row)
        row["evidence"] = known[key]
    return rows


@st.cache_data(show_spinner=False, max_entries=64)
def _grouped(source: Source, wanted: Wanted, _stamp: Stamp) -> list[Group]:
    with source.read() as ctx:
        return reads.groups(ctx.db.con, ctx.exchange_id, wanted)


def _news(source: Source, stamp: Stamp) -> None:
    with source.read() as ctx:
        decided, ended = reads.news(ctx.db.con, ctx.exchange_id, stamp)
    told = [f"{n:,} {one if n == 1 else many}" for n, one, many in (
        (decided, "new decision", "new decisions"), (ended, "trade ended", "trades ended")) if n]
    if told and st.button(f"{', '.join(told)} since: show", icon=":material/refresh:", key="trades-refresh"):
        st.session_state.pop("trades-stamp", None)
        st.rerun()


def _table(rows: list[Row], groups: list[Group], wanted: Wanted, skip: int) -> bool:
    # Whether another row was chosen.
    fitting = view.counted(groups, wanted)
    for line in view.totals(fitting):
        st.markdown(f":small[{line}]")
    if not rows:
        others = sum(group.plans for group in groups) - sum(group.plans for group in fitting)
        parts.none("Nothing fits this filter.", _instead(others, wanted))
        return False
    st.caption(f"{view.showing(fitting, len(rows), skip)} · choose a row to see its life")
    turn = st.session_state.get("trades-turn", 0)
    index = parts.table(rows, view.COLUMNS[wanted.kind], f"trades-{wanted.kind}-{turn}", pick=True,
                        height=min(_HEIGHT, 38 + 35 * len(rows)))
    return _remember(index, [row["id"] for row in rows])


def _instead(others: int, wanted: Wanted) -> str:
    if others:
        return f"{others:,} {'refused' if wanted.verdicts == ('pass',) else 'taken'} ones would: choose **both** above."
    return "" if wanted.kind == OPEN else "Choose a longer period above, or fewer filters."


def _remember(index: int | None, ids: list[str]) -> bool:
    # The click was made on the rows that stood there before this run.
    state = st.session_state
    before, turned = state.get("trades-ids", ids), index != state.get("trades-index")
    if turned:
        state["trades-index"] = index
        state["trades-chosen"] = before[index] if index is not None and index < len(before) else None
    state["trades-ids"] = ids
    return turned


def _pager(total: int, number: int) -> None:
    pages = -(-total // ROWS)
    if pages < 2:
        return
    st.button("", icon=":material/chevron_left:", key="trades-back", disabled=number == 0, on_click=_turn, args=(-1,))
    st.markdown(f"page {number + 1} of {pages}", width="content")
    st.button("", icon=":material/chevron_right:", key="trades-on", disabled=number + 1 >= pages, on_click=_turn,
              args=(1,))


def _turn(by: int) -> None:
    st.session_state["trades-number"] = max(0, st.session_state.get("trades-number", 0) + by)
    _anew()


def _export(source: Source, wanted: Wanted, order: str, total: int) -> None:
    if total:
        named = f"{total:,} rows" if total <= EXPORTED else f"the first {EXPORTED:,} rows"
        st.download_button(f"CSV · {named}", lambda: _csv(source, wanted, order),
                           f"{wanted.kind}.csv", "text/csv", key="trades-csv", on_click="ignore", type="tertiary",
                           icon=":material/download:")


def _csv(source: Source, wanted: Wanted, order: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.label for column in view.EXPORT])
    for row in _all(source, wanted, order):
        writer.writerow([_plain(row[column.key], column.kind) for column in view.EXPORT])
    return out.getvalue().encode()


def _all(source: Source, wanted: Wanted, order: str) -> Iterator[Row]:
    # One look for each part, so that no read keeps the file for long.
    (key, down), part = view.ORDERS[order], 20 * ROWS
    for skip in range(0, EXPORTED, part):
        with source.read() as ctx:
            rows = reads.page(ctx.db.con, ctx.exchange_id, wanted, order=key, down=down, limit=part, skip=skip)
        yield from rows
        if len(rows) < part:
            return


def _plain(value: Any, kind: str) -> Any:
    if kind == "time" and value is not None:
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value


# The chosen one


def _chosen(source: Source, id: str) -> None:
    try:
        with source.read() as ctx:
            con, row = ctx.db.con, why.find(ctx, id)
            trade, events = signals.trade_row(con, id), reports.events(con, id)
            terms, now = params.terms(chart_reads.body(con, row["config_hash"])), ctx.clock.now()
    except DataError as error:
        st.warning(str(error))
        return
    with st.container(border=True):
        st.markdown(f"**{chart.caption({**row, **trade}, now)}**")
        parts.link("chart", "Open in Chart: levels, numbers to copy, and why", id=row["short_id"])
        explained.story(row, trade, events, terms, now)
