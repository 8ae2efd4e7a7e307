"""Colours, and what every figure has in common. Pure: layouts are plain dicts that plotly understands."""

from typing import Any

UP, DOWN = "#26a69a", "#ef5350"
BLUE, ORANGE, PURPLE, GREY, YELLOW = "#42a5f5", "#ffa726", "#ab47bc", "#9e9e9e", "#fdd835"
# Lines of one chart, in this order; told apart by colour-blind eyes as well.
SERIES = (BLUE, ORANGE, UP, PURPLE, YELLOW, DOWN, GREY)

# Badge colours (Streamlit's names) of the evidence labels of core.meta.evidence.
EVIDENCE = {"insufficient": "gray", "none": "red", "weak": "orange", "moderate": "blue", "strong": "green"}
GOOD, WARN, BAD, CALM = "green", "orange", "red", "gray"

CHART = {"displaylogo": False, "scrollZoom": False, "responsive": True,
         "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}

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


def layout(dark: bool, *, height: int = 360, revision: str = "same", **more: Any) -> dict[str, Any]:
    """The base of a figure's layout; `more` replaces or adds keys, axes are joined with ours.

    revision: zoom and hidden traces are kept across refreshes while it stays the same (name the symbol and
    timeframe, say, so that another one starts afresh). Times on a date axis are UTC, as plotly shows ms.
    """
    axes = {name: {**axis(dark), **more.pop(name, {})} for name in ("xaxis", "yaxis")}
    axes |= {name: {**axis(dark), **more.pop(name)} for name in list(more) if name.startswith(("xaxis", "yaxis"))}
    axes["xaxis"].setdefault("rangeslider", {"visible": False})
    return {
        "height": height, "uirevision": revision, "autosize": True,
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": _INK[dark], "size": 12}, "margin": {"l": 8, "r": 8, "t": 24, "b": 8},
        "hovermode": "x unified", "dragmode": "pan", "showlegend": False, "bargap": 0.15,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"bgcolor": _HOVER[dark], "font": {"color": _INK[dark]}},
        **axes, **more,
    }


def axis(dark: bool) -> dict[str, Any]:
    """What every axis has in common."""
    grid = _GRID[dark]
    return {"gridcolor": grid, "zerolinecolor": grid, "linecolor": grid, "automargin": True,
            "title": {"font": {"size": 12}}}


_CANDLES = (f'<path fill="{DOWN}" d="M8 2h2v4h4v16H10v8H8v-8H4V6h4z"/>'
            f'<path fill="{UP}" d="M22 4h2v5h4v14h-4v7h-2v-7h-4V9h4z"/>')


def icon() -> str:
    """Two candles as an SVG, for the browser's tab (an icon by name would be asked of a foreign host)."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{_CANDLES}</svg>'


def logo() -> str:
    """The candles with the name beside them, readable on dark and on light."""
    name = f'<text x="40" y="22" font-family="sans-serif" font-size="18" font-weight="600" fill="{UP}">Trader_AI</text>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 140 32" width="140">{_CANDLES}{name}</svg>'
