"""The page Truth: does the program tell the truth? The audit's scorecard, and the last day recomputed."""

from pathlib import Path

import streamlit as st

from core.clock import SystemClock
from core.dashboard import parts, theme
from core.dashboard.reading import Source
from core.dashboard.views import truth as view
from core.dashboard.views.truth import Card
from core.engine.reconcile import ReconcileResult, reconcile
from core.store import candles
from core.store.reads import truth as reads
from core.timeframe import DAY, HOUR

SHIPPED = Path(__file__).parents[3] / "docs" / "AUDIT.md"
AUDIT = "audit.json"  # in app.data_dir
MOST = 2_000  # rows recomputed without being asked; more take a while
_SHOWN = 20


def page(source: Source) -> None:
    """Draw the page."""
    st.header("Truth")
    first = st.container()  # stands on top, and is drawn last: it takes a second
    _scorecard(source)
    with first:
        _recomputed(source)


def _scorecard(source: Source) -> None:
    st.subheader("Scorecard", help="fourteen figures, each with the bar it must meet; nothing here promises a profit")
    path = Path(source.settings().app.data_dir) / AUDIT
    text = path.read_text(encoding="utf-8") if path.is_file() else None
    found = view.card(text) if text is not None else None
    if found is None:
        told = "No audit was made on this machine yet." if text is None else f"`{path}` is not a scorecard."
        parts.none(told, "`python -m core audit` measures it, on generated markets and on this database: about ten "
                         "minutes, or a good minute with `--quick`. This page then shows the rows.")
        _shipped()
        return
    _card(found)
    _shipped()


def _card(found: Card) -> None:
    (st.success if found.passed else st.error)(f"**{view.plain(found.verdict)}.**")
    st.caption(f"{view.age(found.made_ts, SystemClock().now())}; {found.made}")
    for line in found.lines:
        with st.expander(line.title, expanded=line.passed is False):
            st.markdown("\n".join(f"- {view.plain(piece)}" for piece in line.told))
            st.caption(f"bar: {view.plain(line.bar)}")


def _shipped() -> None:
    if SHIPPED.is_file():
        with st.expander("The scorecard that came with this version (docs/AUDIT.md)"):
            st.markdown(SHIPPED.read_text(encoding="utf-8").partition("\n")[2])


def _recomputed(source: Source) -> None:
    st.subheader("The last day, recomputed", help="every live signal and trade of the last 24 hours is made again "
                 "from the stored candles and compared field by field")
    with source.read() as ctx:
        rows = reads.decided(ctx.db.con, ctx.exchange_id, DAY)
        known = candles.stretches(ctx.db.con, ctx.exchange_id)
    until = max(stretches[-1].frontier for stretches in known.values())
    if rows > MOST and not st.button(f"Recompute {rows:,} rows", key="recompute"):
        parts.none(f"{rows:,} live rows were decided in the last 24 hours; recomputing them takes a while.")
        return
    found = _reconcile(source, until // HOUR)
    told, colour = view.verdict(found)
    {theme.GOOD: st.success, theme.BAD: st.error}.get(colour, st.info)(told)
    for note in view.notes(found):
        st.markdown(note)
    if found.differing:
        more = len(found.differing) - _SHOWN
        st.code("\n".join([*found.differing[:_SHOWN], *([f"and {more:,} more"] if more > 0 else [])]), language=None)
    st.caption("As of the last whole hour of the candles. By hand, also further back: `python -m core reconcile "
               "--start 2024-05-01`.")


@st.cache_data(ttl=3600, max_entries=4, show_spinner="Recomputing the last day from its candles ...")
def _reconcile(source: Source, hour: int) -> ReconcileResult:
    with source.read() as ctx:
        return reconcile(ctx)
