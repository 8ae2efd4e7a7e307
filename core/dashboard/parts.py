"""What pages are built from: live parts, figures, tables with export, badges, and the pages for bad days."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ParamSpec

import pandas as pd
import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.dashboard import theme, words
from core.dashboard.reading import BEHIND, FINE, STOPPED, NotReady, State
from core.dashboard.words import Column

P = ParamSpec("P")
Row = Mapping[str, Any]
Metric = tuple[str, str] | tuple[str, str, str]  # label, value, and what it means

PAGES_KEY = "_pages"

# Less air around a page than Streamlit leaves, and figures that fit side by side on a phone.
_STYLE = """<style>
.stMainBlockContainer {padding: 4rem 2.2rem 3rem 2.2rem; max-width: 1700px}
[data-testid="stMetricValue"] {font-size: 1.55rem; line-height: 1.3}
@media (max-width: 640px) {
  .stMainBlockContainer {padding: 4rem 0.9rem 2rem 0.9rem}
  [data-testid="stMetricValue"] {font-size: 1.2rem}
}
</style>"""


def style() -> None:
    """Once on every page."""
    st.html(_STYLE)


def live(every: str | None = "5s") -> Callable[[Callable[P, None]], Callable[P, None]]:
    """A part of a page that draws itself anew every so often, without touching the rest of the page."""

    def wrap(draw: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(draw)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                draw(*args, **kwargs)
            except NotReady as error:
                bad_day(error.state)

        wrapped: Callable[P, None] = st.fragment(guarded, run_every=every)
        return wrapped

    return wrap


def whole(key: str) -> bool:
    """Whether to draw what lies below the first screen: not as the page is opened, but a second later.

    What is seen stands sooner then. key: one for each page; once true it stays so for the session.
    """
    if not st.session_state.get(key):
        _soon(key)
    return bool(st.session_state.get(key))


@st.fragment(run_every="1s")
def _soon(key: str) -> None:
    # Called first as the page is opened, and for the second time a second later.
    if key in st.session_state:
        st.session_state[key] = True
        st.rerun()
    st.session_state[key] = False


def dark() -> bool:
    """Whether the viewer's theme is the dark one."""
    return st.context.theme.type != "light"


def figure(option: Mapping[str, Any], key: str, height: int = 320, alt: str = "") -> None:
    """A figure that has no zoom to lose: `theme.option` with its series; its data may be arrays.

    key: one for each figure of a page, and the same at each refresh. height: px. alt: what it shows, for those
    who cannot see it.
    """
    st.echarts_chart(theme.plain(option), key=key, theme=None, height=height, alt=alt or None)


def metrics(items: Iterable[Metric]) -> None:
    """Labelled figures side by side; they wrap on a narrow screen."""
    with st.container(horizontal=True, gap="medium"):
        for label, value, *more in items:
            st.metric(label, value, help=more[0] if more else None, width="content")


def evidence(label: str, why: str = "") -> None:
    """The computed evidence label, in its colour."""
    st.badge(f"evidence: {label}", color=theme.EVIDENCE.get(label, theme.CALM), help=why or None)  # type: ignore[arg-type]


def badge(text: str, colour: str = theme.CALM, why: str = "") -> None:
    """A short word in a colour of theme (GOOD, WARN, BAD, CALM)."""
    st.badge(text, color=colour, help=why or None)  # type: ignore[arg-type]


def none(text: str, what_to_do: str = "") -> None:
    """Where a table or a figure would stand: that there is nothing, and what to do about it."""
    with st.container(border=True):
        st.markdown(f":gray[{text}]")
        if what_to_do:
            st.markdown(what_to_do)


def link(page: str, label: str, **query: str) -> None:
    """A link to another page (`chart`, say), with what it shall show; it keeps the session."""
    known: Mapping[str, StreamlitPage] = st.session_state.get(PAGES_KEY, {})
    if page in known:
        st.page_link(known[page], label=label, query_params=query or None)


def table(rows: Sequence[Row], columns: Sequence[Column], key: str, *, pick: bool = False,
          height: int | None = None, export: str = "") -> int | None:
    """Rows as a table that sorts by a click on a column's head.

    pick: a row can be chosen, and its index in `rows` is returned. height: px, None = as high as the rows
    up to ten of them. export: name of a CSV file with these rows, offered below.
    """
    asked: dict[str, Any] = {"on_select": "rerun", "selection_mode": "single-row"} if pick else {}
    seen = st.dataframe(_frame(rows, columns), key=key, hide_index=True, width="stretch",
                        height=height or min(len(rows), 10) * 35 + 38, placeholder=words.NONE,
                        column_config={c.key: _config(c, rows) for c in columns}, **asked)
    if export:
        offer(rows, columns, key, export)
    chosen = seen["selection"]["rows"] if pick else []
    return int(chosen[0]) if chosen else None


def offer(rows: Sequence[Row], columns: Sequence[Column], key: str, name: str) -> None:
    """A button that saves these rows as a CSV file of this name; none where there are no rows."""
    if rows:
        st.download_button(f"CSV · {words.count(len(rows))} rows", lambda: _csv(rows, columns), name, "text/csv",
                           key=f"{key}-csv", on_click="ignore", type="tertiary", icon=":material/download:")


def _frame(rows: Sequence[Row], columns: Sequence[Column]) -> pd.DataFrame:
    return pd.DataFrame({c.key: _prices(rows, c) if c.kind == "price" else
                         _series([row.get(c.key) for row in rows], c.kind) for c in columns})


def _prices(rows: Sequence[Row], c: Column) -> "pd.Series[Any]":
    # One format serves a whole column. Where its rows have other decimals each, they are texts that sort as numbers.
    if words.places(rows, c) is None:
        return pd.Series(words.aligned(rows, c), dtype="object")
    return pd.Series([row.get(c.key) for row in rows], dtype="float64")


def _series(values: list[Any], kind: str) -> "pd.Series[Any]":
    if kind == "time":
        return pd.to_datetime(pd.Series(values, dtype="Int64"), unit="ms", utc=True)
    if kind == "span":
        return pd.Series([words.span(v) for v in values], dtype="object")
    if kind == "count":
        return pd.Series(values, dtype="Int64")
    if kind in ("number", "pct", "r", "usd"):
        return pd.Series(values, dtype="float64")
    if kind == "flag":
        return pd.Series([None if v is None else bool(v) for v in values], dtype="object")
    return pd.Series([words.NONE if v is None else str(v) for v in values], dtype="object")


_FORMATS = {"number": "%.3g", "pct": "%+.2f%%", "r": "%+.2fR", "usd": "%+.2f", "count": "%d"}


def _config(c: Column, rows: Sequence[Row]) -> Any:
    said: dict[str, Any] = {"label": c.label, "help": c.help or None, "width": c.width or None}
    if c.kind == "time":
        return st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC", **said)
    if c.kind == "price":
        decimals = words.places(rows, c)
        return (st.column_config.TextColumn(alignment="right", **said) if decimals is None else
                st.column_config.NumberColumn(format=f"%.{decimals}f", **said))
    if c.kind in _FORMATS:
        return st.column_config.NumberColumn(format=_FORMATS[c.kind], **said)
    if c.kind == "flag":
        return st.column_config.CheckboxColumn(**said)
    return st.column_config.TextColumn(**said)


def _csv(rows: Sequence[Row], columns: Sequence[Column]) -> bytes:
    frame = pd.DataFrame([{c.key: _plain(row.get(c.key), c.kind) for c in columns} for row in rows])
    return frame.to_csv(index=False).encode()


def _plain(value: Any, kind: str) -> Any:
    if kind == "time" and value is not None:
        return datetime.fromtimestamp(value / 1000, UTC).isoformat()
    return value


# Bad days, and what every page begins with


def banner(state: State) -> None:
    """Above every page: that the market is not live, that the daemon is away or behind."""
    if state.label:
        st.warning(f"**{state.label}.** What you see was replayed; nothing of it happened on an exchange.",
                   icon=":material/science:")
    if state.kind in (BEHIND, STOPPED):
        say = st.info if state.label else st.error
        say(f"**{state.sentence}** {state.what_to_do}", icon=":material/pause_circle:")


def bad_day(state: State) -> None:
    """Instead of a page: why there is nothing to show, and what to do."""
    st.header("Waiting for the first candles" if state.daemon else "Nothing to show yet"
              if state.kind in ("missing", "empty") else "This needs a hand")
    st.error(state.sentence) if state.kind not in ("missing", "empty") else st.info(state.sentence)
    st.markdown(state.what_to_do)


def liveness(state: State) -> None:
    """For the sidebar: is it alive, in one line and a colour."""
    colour, word = {FINE: (theme.GOOD, "running"), BEHIND: (theme.BAD, "behind"),
                    STOPPED: (theme.BAD, "stopped")}.get(state.kind, (theme.BAD, "nothing to show"))
    badge(word, theme.CALM if state.label and state.kind == STOPPED else colour, state.sentence)
    if state.frontier is not None:
        st.caption(f"last minute {words.when(state.frontier - 60_000, state.now)}"
                   + ("" if state.label else f", {words.span(state.age)} ago"))
