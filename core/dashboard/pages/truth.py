"""The page Truth: does the program tell the truth? The audit's scorecard, and what recomputing the last day gave."""

from pathlib import Path

import streamlit as st

from core.clock import SystemClock
from core.dashboard import parts, theme
from core.dashboard.reading import Source
from core.dashboard.views import truth as view
from core.dashboard.views.truth import Card
from core.engine import daily_reconcile

SHIPPED = Path(__file__).parents[3] / "docs" / "AUDIT.md"
AUDIT = "audit.json"  # in app.data_dir


def page(source: Source) -> None:
    """Draw the page."""
    st.header("Truth")
    _recomputed(source)
    _scorecard(source)


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


@parts.live("60s")
def _recomputed(source: Source) -> None:
    st.subheader("The last day, recomputed", help="once a day every live signal and trade of the last 24 hours is made "
                 "again from the stored candles and compared field by field")
    with source.read() as ctx:
        found, now = daily_reconcile.last(ctx.db.con), ctx.clock.now()
    if found is None:
        parts.none("Nothing was recomputed yet.", "The daemon does it each day at 00:12 UTC, and within an hour of its "
                   "start where that was missed. While it is stopped, `python -m core reconcile` does it at once.")
        return
    told, colour = view.verdict(found)
    {theme.GOOD: st.success, theme.BAD: st.error}.get(colour, st.info)(told)
    st.caption(view.looked(found, now))
    for note in view.notes(found):
        st.markdown(note)
    if found.lines:
        more = found.differ - len(found.lines)
        st.code("\n".join([*found.lines, *([f"and {more:,} more"] if more > 0 else [])]), language=None)
