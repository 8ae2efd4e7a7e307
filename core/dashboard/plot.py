"""The figure that changes while one looks at it: drawn anew in place, so that zoom and pan stay where they are."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.dashboard import theme
from core.dashboard.views import scripts
from core.dashboard.views.scripts import Script

_EVENTS = {"click": scripts.CLICKED, "datazoom": scripts.HELD, "zr:click": scripts.BACK}


def live(option: Mapping[str, Any], key: str, height: str, revision: str,
         on_click: Callable[[str], None] | None = None) -> None:
    """`theme.option` with its series and one dataZoom of values; new data are merged into the figure that stands there.

    st.echarts_chart (parts.figure) builds its figure anew whenever the data change, and a zoom would be lost.
    key: one for each figure of a page, and the same at each refresh. height: as CSS has it. revision: a zoom is kept
    while it stays the same. on_click: told the `id` of a point that was clicked.
    """
    from streamlit_echarts import JsCode, st_echarts  # can only be loaded where Streamlit runs

    def clicked() -> None:
        found = (st.session_state[key] or {}).get("chart_event")
        if found and on_click is not None:
            on_click(str(found))

    def sent(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: sent(item) for name, item in value.items()}
        if isinstance(value, list):
            return [sent(item) for item in value]
        return JsCode(str(value)) if isinstance(value, Script) else value

    zoom = scripts.kept(option["dataZoom"], revision, f".st-key-{key} .echarts-container")
    st_echarts(sent(theme.plain({**option, "dataZoom": [zoom]})), theme="", events=_EVENTS, height=height,
               replace_merge=["series"], key=key, on_change=clicked)
