"""Parts that several pages show of one plan: its life, its money, and why the gates said what they said."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.dashboard import cards, words
from core.dashboard.reading import Source
from core.dashboard.views import life, reasons
from core.engine import why
from core.engine.artifacts import Models
from core.engine.params import Terms

ESCAPED = r"\_"
MOVED = 12  # features told, the strongest first
_COLOURS = {"up": "green", "down": "red", "plain": "gray"}


def story(row: life.Row, trade: life.Row, events: Sequence[life.Row], terms: Terms, now: int, head: str = "") -> None:
    """A plan's life as a list of events, the newest last, and what each leg of it cost and brought.

    head: Markdown above the list.
    """
    lines = []
    for step in life.steps(row, trade, events, terms):
        at = f" :gray[{words.when(step.ts, now)}]" if step.ts is not None else ""
        lines.append(f":{_COLOURS[step.tone]}[:material/{step.icon}:] **{step.what.replace('_', ESCAPED)}**{at}: "
                     f"{step.said}")
    st.markdown(head + "  \n".join(lines))
    legs = life.money(row, trade, events, terms)
    if legs:
        with st.expander("Money of each leg", expanded=trade["closed_ts"] is not None):
            cards.table(life.money_table(legs), life.MONEY)
            st.caption(f"percent of the entry notional, costs are fee and slippage; USD: each trade at "
                       f"usd_per_trade ({terms.usd_per_trade:,.0f} USD)")


def gates(told: dict[str, Any]) -> None:
    """Why a plan was taken or refused: the answer of each gate. told: what `gathered` gave."""
    st.markdown(f"### Why\n\n{reasons.gates(told)}\n\n:gray[:small[Alert: {reasons.safe(told['alert'])}]]")


def moved(told: dict[str, Any]) -> None:
    """What moved the model; nothing where none judged the plan."""
    if told["moved"]:
        _moved(told)
    elif told["moved_trouble"]:
        st.caption(f"What moved p cannot be told: {told['moved_trouble']}")


def gathered(source: Source, id: str) -> dict[str, Any]:
    """All that is known of a decision, `core.engine.why.gather`."""
    with source.read() as ctx:
        ctx.models = _models()
        return why.gather(ctx, why.find(ctx, id), MOVED)


def _moved(told: dict[str, Any]) -> None:
    st.markdown("**What moved p(win)**", help="what each feature added to the model's margin (log odds, or clipped R "
                                              "for plans without targets), the strongest first")
    st.html(reasons.contributions(told["moved"]))
    with st.expander("The same as a table"):
        st.markdown(reasons.moved_table(told["moved"]))


@st.cache_resource(show_spinner=False)
def _models() -> Models:
    return Models()  # loading one takes seconds: once for all sessions


