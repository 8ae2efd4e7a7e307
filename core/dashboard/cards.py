"""Cards, each with what belongs to it right below, so that no rate stands alone; a table of colours; drawn arrays."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from core.dashboard import plot, theme

Card = tuple[str, str, str, str]  # label, value, what stands below it, what it means


def cards(items: Iterable[Card]) -> None:
    """Cards side by side; they wrap on a narrow screen."""
    with st.container(horizontal=True, gap="small"):
        for label, value, below, means in items:
            st.metric(label, value, delta=below or None, delta_color="off", delta_arrow="off", help=means or None,
                      width="content", border=True)


def heat(rows: Sequence[Mapping[str, float | str | None]], first: str, form: str) -> None:
    """A small table whose cells are as green or red as their numbers; it scrolls sideways on a narrow screen.

    first: the column of names. form: of the numbers, such as `+,.0f`. A column `Total` does not set the scale.
    """
    st.html(heat_html(rows, first, form))


def heat_html(rows: Sequence[Mapping[str, float | str | None]], first: str, form: str) -> str:
    """The table of `heat` as HTML."""
    names = list(rows[0]) if rows else []
    most = max((abs(v) for row in rows for name, v in row.items() if name != "Total" and isinstance(v, (int, float))),
               default=0.0)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(_cell(row[name], name == first, form, most) for name in names) + "</tr>"
                   for row in rows)
    return f"<style>{_STYLE}</style><div class='heat'><table><tr>{head}</tr>{body}</table></div>"


_STYLE = (".heat{overflow-x:auto}.heat table{border-collapse:collapse;width:100%;font-size:0.85rem}"
          ".heat th{font-weight:400;opacity:0.7}.heat th,.heat td{padding:0.35rem 0.5rem;text-align:right;"
          "white-space:nowrap;border:1px solid rgba(128,128,128,0.2)}.heat th:first-child,.heat td:first-child"
          "{text-align:left}")


def _cell(value: float | str | None, name: bool, form: str, most: float) -> str:
    if name or not isinstance(value, (int, float)):
        return f"<td>{escape(str(value)) if name and value is not None else ''}</td>"
    share = min(1.0, abs(value) / most) if most else 0.0
    return f"<td style='background:{theme.faded(theme.signed(value), 0.06 + 0.5 * share)}'>{value:{form}}</td>"


def figure(fig: Mapping[str, Any], key: str) -> None:
    """A figure whose data may be arrays; it keeps its zoom across refreshes. key: as `plot.live`."""
    plot.live(plain(fig), key)


def plain(value: Any) -> Any:
    """The same as JSON has it: arrays as lists, times as ms, what is not finite as None."""
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
