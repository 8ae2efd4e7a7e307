"""Colours, and what every figure has in common. Pure: figures are plain dicts, ECharts' own options."""

from collections.abc import Mapping
from typing import Any

import numpy as np

UP, DOWN = "#26a69a", "#ef5350"
BLUE, ORANGE, PURPLE, GREY, YELLOW = "#42a5f5", "#ffa726", "#ab47bc", "#9e9e9e", "#fdd835"
# Lines of one chart, in this order; told apart by colour-blind eyes as well.
SERIES = (BLUE, ORANGE, UP, PURPLE, YELLOW, DOWN, GREY)

# Badge colours (Streamlit's names) of the evidence labels of core.meta.evidence.
EVIDENCE = {"insufficient": "gray", "none": "red", "weak": "orange", "moderate": "blue", "strong": "green"}
GOOD, WARN, BAD, CALM = "green", "orange", "red", "gray"

_INK = {True: "#d5d9e0", False: "#31333f"}
_GRID = {True: "rgba(255,255,255,0.09)", False: "rgba(0,0,0,0.08)"}
_HOVER = {True: "#1c2028", False: "#ffffff"}


def signed(value: float | None) -> str:
    """The colour of a result: green from zero on, red below, grey where there is none."""
    return GREY if value is None else UP if value >= 0 else DOWN


def faded(colour: str, opacity: float) -> str:
    """`#rrggbb` as an rgba() of the given opacity."""
    parts = ", ".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return f"rgba({parts}, {opacity:g})"


def option(dark: bool, *, x: Any = None, y: Any = None, **more: Any) -> dict[str, Any]:
    """The base of a figure: an option object of ECharts, as its documentation names the keys.

    x, y: keys of the axes, or a list of such where there are several; joined with what every axis has in common.
    more: replaces or adds keys; dicts are joined with ours. Times are ms, shown in UTC.
    """
    base: dict[str, Any] = {
        "animation": False, "useUTC": True, "backgroundColor": "transparent", "color": list(SERIES),
        "textStyle": {"color": _INK[dark], "fontSize": 12},
        "grid": {"left": 8, "right": 12, "top": 28, "bottom": 8, "containLabel": True},
        "legend": {"show": False, "top": 0, "left": 0, "itemWidth": 16, "itemHeight": 8,
                   "textStyle": {"color": _INK[dark]}},
        "tooltip": {"trigger": "axis", "confine": True, "backgroundColor": _HOVER[dark], "borderWidth": 0,
                    "textStyle": {"color": _INK[dark], "fontSize": 12}}}
    for name, value in more.items():
        base[name] = {**base[name], **value} if isinstance(value, dict) and name in base else value
    return base | {"xAxis": _axes(dark, x), "yAxis": _axes(dark, y)}


def _axes(dark: bool, given: Any) -> Any:
    return [axis(dark, **one) for one in given] if isinstance(given, (list, tuple)) else axis(dark, **(given or {}))


def axis(dark: bool, **more: Any) -> dict[str, Any]:
    """What every axis has in common; `more` replaces or adds keys."""
    ink = {"color": _INK[dark]}
    return {"axisLabel": {**ink, "hideOverlap": True}, "nameTextStyle": ink, "nameLocation": "middle",
            "axisLine": {"lineStyle": {"color": _GRID[dark]}}, "axisTick": {"show": False},
            "splitLine": {"lineStyle": {"color": _GRID[dark]}}} | more


def plain(value: Any) -> Any:
    """A figure as JSON has it: arrays as lists, times as ms, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return _listed(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _listed(values: Any) -> list[Any]:
    if values.dtype.kind == "M":
        values = values.astype("datetime64[ms]").astype(np.int64)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return [None if bad else v for v, bad in zip(values.tolist(), ~np.isfinite(values), strict=True)]
    return list(values.tolist())


_CANDLES = (f'<path fill="{DOWN}" d="M8 2h2v4h4v16H10v8H8v-8H4V6h4z"/>'
            f'<path fill="{UP}" d="M22 4h2v5h4v14h-4v7h-2v-7h-4V9h4z"/>')


def icon() -> str:
    """Two candles as an SVG, for the browser's tab (an icon by name would be asked of a foreign host)."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{_CANDLES}</svg>'


def logo() -> str:
    """The candles with the name beside them, readable on dark and on light."""
    name = f'<text x="40" y="22" font-family="sans-serif" font-size="18" font-weight="600" fill="{UP}">Trader_AI</text>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 140 32" width="140">{_CANDLES}{name}</svg>'
