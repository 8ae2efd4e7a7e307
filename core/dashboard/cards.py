"""Cards, each with what belongs to it right below, so that no rate stands alone; tables of plain text and of colours.

The tables are HTML: nothing has to be loaded for them, they can be searched and copied, and a screen reader reads
them. They do not sort: where that matters, or where a row is chosen, take `parts.table`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from core.dashboard import theme, words
from core.dashboard.words import Column

Card = tuple[str, str, str, str]  # label, value, what stands below it, what it means
Row = Mapping[str, Any]


def cards(items: Iterable[Card]) -> None:
    """Cards side by side; they wrap on a narrow screen."""
    with st.container(horizontal=True, gap="small"):
        for label, value, below, means in items:
            st.metric(label, value, delta=below or None, delta_color="off", delta_arrow="off", help=means or None,
                      width="content", border=True)


# The scrolling belongs to Streamlit's own box around the table: it stays where it is when the text changes.
_STYLE = (".stHtml:has(>.plain){overflow-x:auto}.stHtml:has(>.high){max-height:26rem;overflow-y:auto}"
          ".plain{border-collapse:collapse;width:100%;font-size:0.85rem;margin:0}"
          ".plain th{font-weight:400;color:color-mix(in srgb,currentColor 70%,transparent);white-space:nowrap}"
          ".plain th[title]{cursor:help}.high th{position:sticky;top:0;backdrop-filter:blur(12px)}"
          ".plain th,.plain td{padding:0.35rem 0.5rem;text-align:left;vertical-align:top;"
          "border:1px solid rgba(128,128,128,0.2)}"
          ".plain .n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
          ".plain .s{white-space:nowrap}.plain .l{min-width:12rem}"
          "@media (max-width:640px){.plain th{width:auto!important;min-width:0!important}"
          ".plain .s{white-space:normal}}")


def table(rows: Sequence[Row], columns: Sequence[Column], *, shade: Sequence[str] = (), high: bool = False) -> None:
    """A table of plain text; it scrolls sideways on a narrow screen.

    shade: keys of numbers whose cells are as green or red as they are large. high: many rows, which scroll below
    their head.
    """
    st.html(table_html(rows, columns, shade, high))


def table_html(rows: Sequence[Row], columns: Sequence[Column], shade: Sequence[str] = (), high: bool = False) -> str:
    """The table of `table` as HTML."""
    most = {key: max((abs(row[key]) for row in rows if row.get(key) is not None), default=0.0) for key in shade}
    head = "".join(f"<th scope='col'{_class(c.kind, '')}{_width(c)}{_title(c.help)}>{escape(c.label)}</th>"
                   for c in columns)
    return _html(head, ("".join(_told(row, c, most.get(c.key, 0.0)) for c in columns) for row in rows), high)


def _html(head: str, rows: Iterable[str], high: bool = False) -> str:
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (f"<style>{_STYLE}</style><table class='plain{' high' if high else ''}'><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>")


def _told(row: Row, c: Column, most: float) -> str:
    value, step = row.get(c.key), row.get(c.step)
    shown = words.price(value, step) if c.kind == "price" and step is not None else text(value, c.kind)
    shade = f" style='background:{_shade(value, most)}'" if most and value is not None else ""
    return f"<td{_class(c.kind, shown)}{shade}>{escape(shown)}</td>"


_NUMBERS = ("count", "number", "pct", "r", "usd", "price", "span")
_SHORT, _WIDE = 24, 60  # letters: up to here a text stays in one line, beyond that its column is wide


def _class(kind: str, shown: str) -> str:
    if kind in _NUMBERS:
        return " class='n'"
    return " class='s'" if len(shown) <= _SHORT else " class='l'" if len(shown) > _WIDE else ""


_WIDTHS = {"small": "5rem", "medium": "13rem", "large": "24rem"}


def _width(c: Column) -> str:
    width = f"{c.width}px" if isinstance(c.width, int) else _WIDTHS.get(c.width)
    return f" style='width:{width};min-width:{width}'" if width else ""


def _title(help: str) -> str:
    return f" title='{escape(help, quote=True)}'" if help else ""


def text(value: Any, kind: str) -> str:
    """A cell of a table as people read it. kind: as `words.Column`."""
    if value is None or value != value:
        return words.NONE
    if kind == "time":
        return words.iso(value)[:16].replace("T", " ")
    if kind == "flag":
        return "yes" if value else "no"
    return _TOLD[kind](value) if kind in _TOLD else str(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


_TOLD: Mapping[str, Callable[[Any], str]] = {
    "span": words.span, "count": words.count, "number": _number, "pct": words.pct, "r": words.r,
    "usd": "{:+,.2f}".format, "price": "{:.8g}".format}


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
    head = "".join(f"<th scope='col'{_class('text' if name == first else 'number', '')}>{escape(name)}</th>"
                   for name in names)
    return _html(head, ("".join(_cell(row[name], name == first, form, most) for name in names) for row in rows))


def _cell(value: float | str | None, name: bool, form: str, most: float) -> str:
    if name or not isinstance(value, (int, float)):
        return f"<td>{escape(str(value)) if name and value is not None else ''}</td>"
    return f"<td class='n' style='background:{_shade(value, most)}'>{value:{form}}</td>"


def _shade(value: float, most: float) -> str:
    share = min(1.0, abs(value) / most) if most else 0.0
    return theme.faded(theme.signed(value), 0.06 + 0.5 * share)
