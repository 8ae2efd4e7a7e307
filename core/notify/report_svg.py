"""Charts of the weekly report as inline SVG; colours come from the page's style. Pure: numbers in, markup out."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from core.notify.text import esc, when

WIDTH, HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 24, 16, 42

Row = Mapping[str, Any]


class _Frame:
    # Scales of one chart, and its grid.

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x0, self.x1 = x if x[1] > x[0] else (x[0] - 1.0, x[0] + 1.0)
        room = 0.06 * (y[1] - y[0]) or 1.0
        self.y0, self.y1 = y[0] - room, y[1] + room

    def x(self, value: float) -> float:
        return round(_LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - _BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - _TOP - _BOTTOM), 1)

    def grid(self, show: Callable[[float], str]) -> list[str]:
        found = []
        for value in _steps(self.y0, self.y1):
            y = self.y(value)
            style = "axis" if value == 0 else "grid"
            found += [f'<line class="{style}" x1="{_LEFT}" y1="{y}" x2="{WIDTH - _RIGHT}" y2="{y}"/>',
                      f'<text x="{_LEFT - 8}" y="{y + 6}" text-anchor="end">{esc(show(value))}</text>']
        return found

    def below(self, at: Iterable[tuple[float, str]]) -> list[str]:
        return [f'<text x="{self.x(value)}" y="{HEIGHT - 12}" text-anchor="middle">{esc(text)}</text>'
                for value, text in at]


def equity(curve: Row) -> str:
    """The running sum of net R over time, the report's own span shaded. curve: ts, r (both ascending in time)."""
    ts, r = [*curve["ts"]], [*curve["r"]]
    if len(ts) < 2:
        return ""
    f = _Frame((ts[0], ts[-1]), (min(0.0, *r), max(0.0, *r)))
    line = " ".join(f"{f.x(t)},{f.y(v)}" for t, v in zip(ts, r, strict=True))
    days = [(ts[0] + (ts[-1] - ts[0]) * share, share) for share in (0.12, 0.5, 0.88)]
    own = max(ts[0], min(curve["from_ts"], ts[-1]))
    shade = f'<rect class="own" x="{f.x(own)}" y="{_TOP}" width="{max(0.0, f.x(ts[-1]) - f.x(own)):.1f}" ' \
            f'height="{HEIGHT - _TOP - _BOTTOM}"/>'
    area = f'<polygon class="area" points="{f.x(ts[0])},{f.y(0.0)} {line} {f.x(ts[-1])},{f.y(0.0)}"/>'
    return _svg(f"Running sum of net R, from {when(ts[0])} to {when(ts[-1])}", [
        shade, *f.grid(lambda v: f"{v:+g}R" if v else "0"), area, f'<polyline class="line" points="{line}"/>',
        *f.below((t, when(int(t)).rsplit(" ", 1)[0]) for t, _ in days)])


def weeks(rows: Sequence[Row], total: Callable[[Row], float]) -> str:
    """Bars of the net result by week. rows: week (a name); total: its result in R."""
    values = [total(row) for row in rows]
    if not any(values):
        return ""
    f = _Frame((-0.6, len(rows) - 0.4), (min(0.0, *values), max(0.0, *values)))
    wide = (f.x(1.0) - f.x(0.0)) * 0.7
    bars = [f'<rect class="{"up" if v > 0 else "down"}" x="{f.x(i) - wide / 2:.1f}" y="{min(f.y(v), f.y(0.0))}" '
            f'width="{wide:.1f}" height="{abs(f.y(v) - f.y(0.0)):.1f}"><title>{esc(row["week"])}: {v:+.2f}R</title>'
            "</rect>" for i, (row, v) in enumerate(zip(rows, values, strict=True))]
    return _svg("Net R by week", [*f.grid(lambda v: f"{v:+g}R" if v else "0"), *bars, *f.below(_week_names(rows))])


def win_rates(rows: Sequence[Row]) -> str:
    """Win% by week: a dot with its interval, and a bar across at break-even. rows: as `weeks` takes them."""
    shown = [(i, row) for i, row in enumerate(rows) if row["trades"]]
    if len(shown) < 2:
        return ""
    f = _Frame((-0.6, len(rows) - 0.4), (0.0, 100.0))
    parts = []
    for i, row in shown:
        x, even = f.x(float(i)), row["break_even_pct"]
        parts += [f'<line class="error" x1="{x}" y1="{f.y(row["win_low_pct"])}" x2="{x}" '
                  f'y2="{f.y(row["win_high_pct"])}"/>',
                  f'<circle class="dot" cx="{x}" cy="{f.y(row["win_pct"])}" r="6"><title>{esc(row["week"])}: won '
                  f'{row["wins"]} of {row["trades"]}</title></circle>']
        if even is not None:
            parts.append(f'<line class="even" x1="{x - 14}" y1="{f.y(even)}" x2="{x + 14}" y2="{f.y(even)}"/>')
    return _svg("Win% by week, with intervals and break-even", [
        *f.grid(lambda v: f"{v:.0f}%"), *parts, *f.below(_week_names(rows))])


def _week_names(rows: Sequence[Row]) -> list[tuple[float, str]]:
    step = 2 if len(rows) > 7 else 1
    return [(float(i), str(row["week"]).rpartition("-")[2]) for i, row in enumerate(rows)
            if (len(rows) - 1 - i) % step == 0]


def distribution(values: Sequence[float]) -> str:
    """Histogram of net R of single trades, losers and winners in their colours."""
    if len(values) < 5:
        return ""
    low, high = math.floor(2 * min(*values, -1.0)) / 2, math.ceil(2 * max(*values, 1.0)) / 2
    size = 0.25 if high - low <= 6 else 0.5 if high - low <= 14 else 1.0
    low = math.floor(low / size) * size
    counts = [0] * max(1, math.ceil((high - low) / size))
    for v in values:
        counts[min(len(counts) - 1, int((v - low) / size))] += 1
    f = _Frame((low, low + size * len(counts)), (0.0, float(max(counts))))
    wide = f.x(low + size) - f.x(low)
    bars = [f'<rect class="{"up" if low + (i + 0.5) * size > 0 else "down"}" x="{f.x(low + i * size) + 1:.1f}" '
            f'y="{f.y(n)}" width="{max(1.0, wide - 2):.1f}" height="{f.y(0.0) - f.y(n):.1f}"><title>'
            f"{low + i * size:+g}R to {low + (i + 1) * size:+g}R: {n}</title></rect>"
            for i, n in enumerate(counts) if n]
    marks = [(v, f"{v:+g}R" if v else "0") for v in _steps(low, low + size * len(counts), 5)]
    return _svg("Net R of single trades", [*f.grid(lambda v: f"{v:g}" if v >= 0 else ""), *bars, *f.below(marks)])


def reliability(curve: Sequence[Row]) -> str:
    """Claimed against observed, each point with its count and interval; on the line means honest."""
    if not curve:
        return ""
    seen = [v for b in curve for v in (b["claimed"], b["low"], b["high"])]
    low, high = max(0.0, min(seen) - 0.02), min(1.0, max(seen) + 0.02)
    f = _Frame((low, high), (low, high))
    most = max(b["n"] for b in curve)
    diagonal = f'<line class="ideal" x1="{f.x(low)}" y1="{f.y(low)}" x2="{f.x(high)}" y2="{f.y(high)}"/>'
    points, last = list[str](), -1000.0
    for b in curve:
        x, size = f.x(b["claimed"]), 4 + 6 * math.sqrt(b["n"] / most)
        points += [f'<line class="error" x1="{x}" y1="{f.y(b["low"])}" x2="{x}" y2="{f.y(b["high"])}"/>',
                   f'<circle class="dot" cx="{x}" cy="{f.y(b["observed"])}" r="{size:.1f}"><title>claimed '
                   f'{100 * b["claimed"]:.0f} %, won {100 * b["observed"]:.0f} %, n {b["n"]}</title></circle>']
        if x - last > 60:  # counts that would overlap stand in the table alone
            points.append(f'<text x="{x}" y="{f.y(b["high"]) - 8:.1f}" text-anchor="middle">{b["n"]}</text>')
            last = x
    return _svg("Share of wins (upwards) against the claimed p(win), with counts", [
        *f.grid(lambda v: f"{100 * v:.0f}%"), diagonal, *points,
        *f.below((v, f"{100 * v:.0f}%") for v in _steps(low, high, 5))])


def _svg(title: str, parts: Iterable[str]) -> str:
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{esc(title)}"><title>{esc(title)}</title>'
            + "".join(parts) + "</svg>")


def _steps(low: float, high: float, most: int = 5) -> list[float]:
    # Round values inside [low, high], at most about `most` of them.
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first = math.ceil(low / step)
    return [round(k * step, 10) for k in range(first, math.floor(high / step) + 1)]
