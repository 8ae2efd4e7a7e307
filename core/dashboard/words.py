"""Numbers and times as people read them, and the columns of tables. Pure; None is shown as a dash."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from core.notify import text
from core.signals import text as numbers
from core.timeframe import DAY, show_span, show_time

NONE = "–"

SIDES = {"long": "▲ long", "short": "▼ short"}  # told by shape as well as by colour


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    kind: text, count, number, pct, r, usd, price, time (ms UTC), span (ms), flag. width: small, medium,
    large, pixels, or empty for as wide as needed. step: of a price, the key of its row's tick or lot.
    """

    key: str
    label: str
    kind: str = "text"
    help: str = ""
    width: str | int = ""
    step: str = "tick"


def places(rows: Sequence[Mapping[str, Any]], c: Column) -> int | None:
    """Decimals of all prices of a column; None where rows differ in that, or one does not tell its step."""
    steps = {row.get(c.step) for row in rows if row.get(c.key) is not None}
    found = {None if step is None else _decimals(step) for step in steps}
    return found.pop() if len(found) == 1 else None


def aligned(rows: Sequence[Mapping[str, Any]], c: Column) -> list[str | None]:
    """The prices of a column, each with its row's decimals, as texts that sort as the numbers do.

    Blanks before them bring the points below each other: a blank comes before any digit.
    """
    told = [_told(row.get(c.key), row.get(c.step)) for row in rows]
    wide = max((len(value.partition(".")[0]) for value in told if value is not None), default=0)
    return [None if value is None else " " * (wide - len(value.partition(".")[0])) + value for value in told]


def _told(value: float | None, step: float | None) -> str | None:
    if value is None:
        return None
    return numbers.number(value) if step is None else f"{value:.{_decimals(step)}f}"


@cache
def _decimals(step: float) -> int:
    return len(text.price(0.0, step).partition(".")[2])


def price(value: float | None, tick: float) -> str:
    """A price or a size with the decimals of its tick or lot."""
    return NONE if value is None else text.price(value, tick)


def pct(value: float | None, decimals: int = 2) -> str:
    """`+1.25%`."""
    return NONE if value is None else text.pct(value, decimals)


def share(value: float | None, decimals: int = 0) -> str:
    """A share of 0 to 1 as `36%`."""
    return NONE if value is None else f"{100 * value:.{decimals}f}%"


def r(value: float | None) -> str:
    """`+1.50R`."""
    return NONE if value is None else text.r(value)


def usd(value: float | None) -> str:
    """`+1,234.50 USD`; zero carries no sign."""
    if value is None:
        return NONE
    return f"{value:+,.2f} USD" if round(value, 2) else "0.00 USD"


def count(value: int | None) -> str:
    """`12,345`."""
    return NONE if value is None else f"{value:,}"


def span(duration: int | None) -> str:
    """A duration in ms in its two largest units."""
    return NONE if duration is None else show_span(duration)


def ago(now: int, ts: int | None) -> str:
    """`12s ago`; `in 3h 5m` for what lies ahead."""
    if ts is None:
        return NONE
    return f"{show_span(now - ts)} ago" if ts <= now else f"in {show_span(ts - now)}"


def when(ts: int | None, now: int | None = None) -> str:
    """`1 May 14:30Z`; with the year where `now` is given and far away."""
    if ts is None:
        return NONE
    return show_time(ts) if now is not None and abs(now - ts) > 300 * DAY else text.when(ts)


def iso(ts: int) -> str:
    """`2024-05-01T14:30:00`: UTC, as date axes of figures take it."""
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def size(n: float | None) -> str:
    """Bytes for people."""
    return NONE if n is None else numbers.size(n)


def coin(symbol: str) -> str:
    """`BTC/USDT:USDT` as `BTC`; the whole name where the quote is another one."""
    return symbol.removesuffix("/USDT:USDT")
