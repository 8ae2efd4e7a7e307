"""The dashboard as a whole: what was asked for, the pages, the sidebar, and the pages for bad days."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.dashboard import command, parts, theme
from core.dashboard.pages import chart, filter, now, results, system, trades, truth
from core.dashboard.reading import NotReady, Source, State, look

Page = Callable[[Source], None]


class Entry(NamedTuple):
    """One page: its path in the address, its name, its icon, and the function that draws it."""

    path: str
    title: str
    icon: str
    page: Page


PAGES = (
    Entry("now", "Now", ":material/monitoring:", now.page),
    Entry("chart", "Chart", ":material/candlestick_chart:", chart.page),
    Entry("trades", "Signals and trades", ":material/list_alt:", trades.page),
    Entry("results", "Results", ":material/query_stats:", results.page),
    Entry("filter", "Filter", ":material/filter_alt:", filter.page),
    Entry("truth", "Truth", ":material/verified:", truth.page),
    Entry("system", "System", ":material/settings_heart:", system.page),
)

_ABOUT = "Trader_AI: signals for crypto futures with a lie detector. Not financial advice; it trades nothing."


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the page that is asked for, over the database that the command line names."""
    try:
        source = command.source(argv)
    except command.WrongUsage as error:
        st.error(f"{error}\n\n```\n{command.EXAMPLES}\n```")
        return
    run(source)


def run(source: Source, first: str = "now") -> None:
    """Draw the app over `source`. first: path of the page that is shown where the address names none."""
    st.set_page_config("Trader_AI", theme.icon(), layout="wide", menu_items={"About": _ABOUT})
    st.logo(theme.logo(), icon_image=theme.icon(), size="large")
    parts.style()
    known = {e.path: st.Page(_drawn(e, source), title=e.title, icon=e.icon, url_path=e.path, default=e.path == first)
             for e in PAGES}
    st.session_state[parts.PAGES_KEY] = known
    chosen: StreamlitPage = st.navigation(list(known.values()))
    with st.sidebar:
        _alive(source)
    chosen.run()


def _drawn(entry: Entry, source: Source) -> Callable[[], None]:
    def draw() -> None:
        state = look(source)
        if state.blocks:
            _waiting(source, state.kind)
            return
        _above(source)
        try:
            entry.page(source)
        except NotReady as error:
            parts.bad_day(error.state)

    draw.__name__ = entry.path
    return draw


@st.fragment(run_every="5s")
def _alive(source: Source) -> None:
    state = look(source)
    parts.liveness(state)
    st.caption(_below(source, state))


def _below(source: Source, state: State) -> str:
    name = source.path.name if state.kind != "config" else source.config.name
    return f"{name}, read-only" + (f"  \n**{state.label}**" if state.label else "")


@st.fragment(run_every="5s")
def _above(source: Source) -> None:
    # Live, since the sidebar is folded away on a phone: a daemon that stops is told while one looks.
    state = look(source)
    if state.blocks:
        st.rerun()
    parts.banner(state)


@st.fragment(run_every="3s")
def _waiting(source: Source, kind: str) -> None:
    # Comes to life by itself as soon as there is something to show.
    state = look(source)
    if state.kind != kind:
        st.rerun()
    parts.bad_day(state)
