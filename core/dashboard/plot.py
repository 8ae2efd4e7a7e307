"""Figures that change while one looks at them: drawn anew in place, so that zoom and pan stay where they are."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import plotly
import streamlit as st
from streamlit.components import v1, v2

from core.dashboard import theme

Spec = Mapping[str, Any]

NAME = "live_figure"
_HTML = '<div class="live-figure" style="width: 100%"></div>'


def live(fig: Spec, key: str, *, narrow: Spec | None = None, on_click: Callable[[str], None] | None = None,
         config: Spec | None = None) -> None:
    """A figure as a plain dict of data and layout.

    key: one for each figure of a page, and the same at each refresh. narrow: keys of the layout that differ on a
    phone. on_click: told the `customdata` of a point that was clicked. config: keys that differ from theme.CHART.
    Zoom is kept while `layout.uirevision` is.
    """
    def clicked() -> None:
        found = st.session_state[key].clicked
        if found and on_click is not None:
            on_click(str(found))

    shown = {**theme.CHART, **(config or {}), "showSendToCloud": False}
    shown["modeBarButtonsToRemove"] = [*shown.get("modeBarButtonsToRemove", ()), "sendChartToCloud"]
    data = {"figure": fig, "narrow": narrow or {}, "config": shown, "source": _library()}
    _renderer()(key=key, data=data, on_clicked_change=clicked)


def preload() -> None:
    """Have plotly's script ready before a figure asks for it; shows nothing. Last on a page without live figures."""
    _renderer()(key="live-figure-preload", data={"figure": None, "source": _library()}, height=1)


@cache
def _renderer() -> Callable[..., Any]:
    script = Path(__file__).with_name("figure.js").read_text(encoding="utf-8")
    return v2.component(NAME, html=_HTML, js=script, isolate_styles=False)


def _library() -> str:
    # Plotly's own script, out of the installed package and served by this very server: nothing from elsewhere.
    served = v1.declare_component("plotlyjs", path=str(Path(plotly.__file__).parent / "package_data"))
    return f"component/{served.name}/plotly.min.js?v={plotly.__version__}"
