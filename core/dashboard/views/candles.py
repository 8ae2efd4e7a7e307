"""The candle chart as a plain dict that plotly understands: bars, volume, and whatever is drawn over them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import pairwise
from typing import Any

from core.candles import Bars
from core.dashboard import theme, words
from core.dashboard.views import chart
from core.dashboard.views.chart import Level, Plan, Window

Row = Mapping[str, Any]
Spec = dict[str, Any]

HEIGHT, NARROW_HEIGHT = 600, 430
_VOLUME = 0.14  # share of the height
_COLOURS = {"entry": theme.BLUE, "sl": theme.DOWN, "tp": theme.UP, "stop": theme.ORANGE, "fib": theme.GREY,
            "channel": theme.GREY}
_CROSS = {"showspikes": True, "spikemode": "across", "spikethickness": 1, "spikedash": "dot", "spikesnap": "cursor"}
# Where the name of a mark stands; what comes last stands on the right.
_SIDES_OF_MARKS = {"FILL": "bottom center", "EXPIRED": "bottom center", "TP1": "middle left"}
_NAMED_FIRST = ("0", "1", "0.618", "1.272 ext.", "1.618 ext.")  # where names would lie on each other
_TONES = {"up": theme.UP, "down": theme.DOWN, "plain": theme.BLUE}


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All that is drawn. tick: price step; zone: of the time axis; others: decisions nearby, rows of trades.page.

    piv_window: pivots of the bars are marked with it, 0 = none. fibs: whether fib levels are drawn.
    """

    symbol: str
    timeframe: str
    bars: Bars
    window: Window
    tick: float
    zone: tzinfo
    plan: Plan | None = None
    others: Sequence[Row] = field(default_factory=tuple)
    piv_window: int = 0
    fibs: bool = True


def figure(scene: Scene, dark: bool) -> Spec:
    """The chart. Level lines are shapes whose `name` is the level's; clickable points carry a signal's short id."""
    shift = _shift(scene)
    levels = chart.levels(scene.plan) if scene.plan else []
    traces = [_candles(scene, shift), _volume(scene, shift), *_pivots(scene, shift), *_others(scene, shift)]
    shapes: list[Spec] = []
    if scene.plan:
        traces += [*_avwap(scene.plan, shift), *_impulse(scene.plan, shift), *_marks(scene.plan, scene.tick, shift)]
        shapes = [*_bands(scene.plan, shift), *_lines(_thin(scene), shift), *_lines(levels, shift),
                  *_onward(levels, _x_range(scene, shift)[1], shift)]
    layout = theme.layout(
        dark, height=HEIGHT, revision=_revision(scene), margin={"l": 8, "r": 104 if levels else 16, "t": 12, "b": 8},
        hovermode="x", shapes=shapes, annotations=[*_tags(scene, levels), *_fib_names(scene, shift)],
        xaxis={"type": "date", "range": _x_range(scene, shift), "anchor": "y2", "title": {"text": _axis_title(scene)},
               **_CROSS},
        yaxis={"domain": [_VOLUME + 0.02, 1], "range": list(_y_range(scene, levels)),
               "tickformat": _format(scene.tick), **_CROSS},
        yaxis2={"domain": [0, _VOLUME], "showticklabels": False, "showgrid": False, "fixedrange": True,
                "rangemode": "tozero"})
    return {"data": traces, "layout": layout}


def narrow(spec: Spec) -> Spec:
    """What of the layout differs on a phone: lower, no margin, the levels' names inside."""
    inside = [{**a, "x": 1, "xanchor": "right", "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)",
               "font": {**a["font"], "color": a["bgcolor"], "size": 11}} if a.get("xref") == "paper" else a
              for a in spec["layout"]["annotations"]]
    axis = {"tickfont": {"size": 10}}
    return {"height": NARROW_HEIGHT, "margin": {"l": 2, "r": 2, "t": 6, "b": 2}, "annotations": inside,
            "xaxis": {**spec["layout"]["xaxis"], **axis, "nticks": 5},
            "yaxis": {**spec["layout"]["yaxis"], **axis, "ticklabelposition": "inside", "nticks": 6}}




def _revision(scene: Scene) -> str:
    about = scene.plan.row["id"] if scene.plan else "none"
    span = (scene.window.end - scene.window.start) // scene.bars.tf if scene.plan is None else 0
    return f"{scene.symbol}|{scene.timeframe}|{about}|{span}"


def _shift(scene: Scene) -> int:
    # One offset for the whole chart, that of its end: an hour is never drawn twice or left out.
    there = datetime.fromtimestamp(scene.window.end / 1000, scene.zone).utcoffset()
    return int(there.total_seconds() * 1000) if there else 0


def _axis_title(scene: Scene) -> str:
    hours = _shift(scene) / 3_600_000
    return "" if not hours else f"UTC{hours:+g}"


def _format(tick: float) -> str:
    return f".{len(words.price(0.0, tick).partition('.')[2])}f"


def _candles(scene: Scene, shift: int) -> Spec:
    bars = scene.bars
    up, down = ({"line": {"color": c, "width": 1}, "fillcolor": c} for c in (theme.UP, theme.DOWN))
    name = f"{words.coin(scene.symbol)} {scene.timeframe}"
    return {"type": "candlestick", "name": name, "x": (bars.ts + shift).tolist(), "open": bars.open.tolist(),
            "high": bars.high.tolist(), "low": bars.low.tolist(), "close": bars.close.tolist(), "increasing": up,
            "decreasing": down, "whiskerwidth": 0, "yhoverformat": _format(scene.tick)}


def _volume(scene: Scene, shift: int) -> Spec:
    bars = scene.bars
    colours = [theme.faded(theme.UP if up else theme.DOWN, 0.45) for up in (bars.close >= bars.open).tolist()]
    return {"type": "bar", "name": "volume", "x": (bars.ts + shift).tolist(), "y": bars.volume.tolist(), "yaxis": "y2",
            "marker": {"color": colours, "line": {"width": 0}}, "hovertemplate": "volume %{y:.4~s}<extra></extra>"}


def _pivots(scene: Scene, shift: int) -> list[Spec]:
    found = chart.pivots(scene.bars, scene.piv_window) if scene.piv_window else []
    if not found:
        return []
    return [{"type": "scatter", "mode": "markers", "name": "pivots", "x": [p.ts + shift for p in found],
             "y": [p.price for p in found], "hoverinfo": "skip",
             "marker": {"symbol": ["triangle-down-open" if p.side > 0 else "triangle-up-open" for p in found],
                        "size": 6, "color": theme.faded(theme.GREY, 0.8)}}]


def _others(scene: Scene, shift: int) -> list[Spec]:
    own = scene.plan.row["short_id"] if scene.plan else None
    rows = [row for row in scene.others if row["short_id"] != own]
    found = []
    for verdict, name in (("pass", "taken"), ("refused", "refused")):
        part = [row for row in rows if row["verdict"] == verdict]
        if part:
            found.append(_decisions(scene, part, name, shift))
    return found


def _decisions(scene: Scene, rows: Sequence[Row], name: str, shift: int) -> Spec:
    low, high = _y_range(scene, [])
    gap, taken = 0.018 * (high - low), name == "taken"
    near = {int(ts): i for i, ts in enumerate(scene.bars.ts)}
    x, y, symbols, colours, ids, told = [], [], [], [], [], []
    for row in rows:
        i = near.get((row["decided_ts"] - 1) // scene.bars.tf * scene.bars.tf)
        if i is None:
            continue
        long = row["direction"] == "long"
        x.append(int(scene.bars.ts[i]) + shift)
        y.append(float(scene.bars.low[i]) - gap if long else float(scene.bars.high[i]) + gap)
        symbols.append(("triangle-up" if long else "triangle-down") + ("" if taken else "-open"))
        colours.append((theme.UP if long else theme.DOWN) if taken else theme.GREY)
        ids.append(row["short_id"])
        told.append(chart.caption(row) + ("" if taken else f"<br>{row['reason']}") + "<br><i>click to open it</i>")
    return {"type": "scatter", "mode": "markers", "name": name, "x": x, "y": y, "customdata": ids, "text": told,
            "hovertemplate": "%{text}<extra></extra>", "opacity": 0.95 if taken else 0.5,
            "marker": {"symbol": symbols, "color": colours, "size": 11 if taken else 9}}


def _avwap(plan: Plan, shift: int) -> list[Spec]:
    ts, values = chart.avwap(plan)
    if not ts:
        return []
    return [{"type": "scatter", "mode": "lines", "name": "AVWAP", "x": [t + shift for t in ts], "y": values,
             "line": {"color": theme.PURPLE, "width": 1.6},
             "hovertemplate": f"AVWAP %{{y:{_format(plan.row['tick'])}}}<extra></extra>"}]


def _impulse(plan: Plan, shift: int) -> list[Spec]:
    found = chart.impulse(plan)
    if found is None:
        return []
    dots = {"color": theme.ORANGE, "width": 1.2, "dash": "dot"}
    return [{"type": "scatter", "mode": "lines+markers+text", "name": "impulse", "x": [p.ts + shift for p in found],
             "y": [p.price for p in found], "text": ["A", "B"], "hoverinfo": "skip",
             "textposition": ["bottom center" if p.side < 0 else "top center" for p in found],
             "textfont": {"color": theme.ORANGE, "size": 12}, "line": dots,
             "marker": {"size": 8, "color": theme.ORANGE}}]


def _marks(plan: Plan, tick: float, shift: int) -> list[Spec]:
    found = chart.marks(plan)
    if not found:
        return []
    return [{"type": "scatter", "mode": "markers+text", "name": "trade", "x": [m.ts + shift for m in found],
             "y": [m.price for m in found], "text": [f"<b>{m.name}</b>" for m in found],
             "textposition": [_SIDES_OF_MARKS.get(m.name, "middle right") for m in found],
             "textfont": {"color": [_TONES[m.tone] for m in found], "size": 12},
             "hovertext": [f"{m.name} at {words.price(m.price, tick)}, {words.when(m.ts)}" for m in found],
             "hovertemplate": "%{hovertext}<extra></extra>",
             "marker": {"symbol": [_symbol(m.name) for m in found], "size": 12,
                        "color": [_TONES[m.tone] for m in found], "line": {"color": "#ffffff", "width": 1.5}}}]


def _symbol(event: str) -> str:
    return {"FILL": "circle", "SL": "x", "LIQUIDATED": "x", "EXPIRED": "circle-open"}.get(event, "star")


def _bands(plan: Plan, shift: int) -> list[Spec]:
    row, found = plan.row, []
    waited, held = chart.waiting(plan), chart.held(plan)
    if waited:
        found.append(_box("waiting", waited, 0, 1, theme.faded(theme.GREY, 0.13), shift, yref="y domain"))
    if held:
        target = row["tp2"] if row["tp2"] is not None else plan.trade["exit_price"]
        if target is not None:
            gain = plan.side * (target - row["entry"]) > 0
            green = theme.faded(theme.UP, 0.12 if gain else 0.0)
            found.append(_box("reward", held, row["entry"], target, green, shift))
        found.append(_box("risk", held, row["entry"], row["sl"], theme.faded(theme.DOWN, 0.12), shift))
    found.append({"type": "line", "name": "decided", "xref": "x", "yref": "y domain", "layer": "below", "y0": 0,
                  "y1": 1, "x0": row["decided_ts"] + shift, "x1": row["decided_ts"] + shift,
                  "line": {"color": theme.faded(theme.GREY, 0.8), "width": 1, "dash": "dot"}})
    return found


def _box(name: str, span: tuple[int, int], low: float, high: float, colour: str, shift: int, yref: str = "y") -> Spec:
    return {"type": "rect", "name": name, "xref": "x", "yref": yref, "x0": span[0] + shift, "x1": span[1] + shift,
            "y0": low, "y1": high, "fillcolor": colour, "line": {"width": 0}, "layer": "below"}


def _thin(scene: Scene) -> list[Level]:
    if scene.plan is None or not scene.fibs:
        return []
    return chart.fibs(scene.plan) + chart.channel(scene.plan)


def _lines(levels: Iterable[Level], shift: int) -> list[Spec]:
    return [{"type": "line", "name": level.name, "xref": "x", "yref": "y", "x0": level.start + shift,
             "x1": level.end + shift, "y0": level.price, "y1": level.price, **_pen(level)} for level in levels]


def _onward(levels: Iterable[Level], end: int, shift: int) -> list[Spec]:
    # After a plan's end its levels go on faintly, to their names at the edge.
    return [{"type": "line", "name": "after", "xref": "x", "yref": "y", "x0": level.end + shift, "x1": end,
             "y0": level.price, "y1": level.price, "layer": "below",
             "line": {"color": theme.faded(_COLOURS[level.kind], 0.45), "width": 1, "dash": "dot"}}
            for level in levels if level.end + shift < end]


def _pen(level: Level) -> Spec:
    if level.kind in ("fib", "channel"):
        faint = {"color": theme.faded(_COLOURS[level.kind], 0.55), "width": 1, "dash": "dot"}
        return {"layer": "below", "line": faint}
    return {"layer": "above", "line": {"color": _COLOURS[level.kind], "width": 1.8}}


def _tags(scene: Scene, levels: Sequence[Level]) -> list[Spec]:
    # Names and prices at the right edge, moved apart where they would lie on each other.
    low, high = _y_range(scene, levels)
    placed = apart([level.price for level in levels], (high - low) * 0.042)
    return [{"xref": "paper", "x": 1.004, "xanchor": "left", "yref": "y", "y": y, "yanchor": "middle",
             "showarrow": False, "text": f"{level.name} {words.price(level.price, scene.tick)}", "borderpad": 2,
             "bgcolor": _COLOURS[level.kind],
             "font": {"color": "#ffffff" if level.kind != "stop" else "#000000", "size": 11}}
            for level, y in zip(levels, placed, strict=True)]


def apart(prices: Sequence[float], gap: float) -> list[float]:
    """The same prices, moved as little as one pass allows, so that neighbours are at least `gap` apart."""
    order = sorted(range(len(prices)), key=lambda i: prices[i])
    placed = list(prices)
    for before, i in pairwise(order):
        placed[i] = max(placed[i], placed[before] + gap)
    return placed


def _fib_names(scene: Scene, shift: int) -> list[Spec]:
    low, high = _y_range(scene, chart.levels(scene.plan) if scene.plan else [])
    names, least = list[Level](), (high - low) * 0.025
    for level in sorted(_thin(scene), key=lambda one: one.name not in _NAMED_FIRST):
        if all(abs(level.price - other.price) >= least for other in names):
            names.append(level)
    return [{"xref": "x", "x": level.start + shift, "xanchor": "right", "yref": "y", "y": level.price,
             "showarrow": False, "text": f"{level.name} ", "font": {"color": theme.GREY, "size": 10}}
            for level in names]


def _focus(scene: Scene) -> tuple[int, int]:
    plan = scene.plan
    return chart.focus(scene.bars.tf, scene.window, (plan.row, plan.trade) if plan else None)


def _x_range(scene: Scene, shift: int) -> list[int]:
    start, end = _focus(scene)
    room = int(0.02 * (end - start))
    if scene.plan and scene.plan.trade["closed_ts"] is None:  # room for what is to come
        least, most = int(0.1 * (end - start)), int(0.25 * (end - start))
        end += max(least, min(scene.plan.until - end, most))
    return [start + shift, end + room + shift]


def _y_range(scene: Scene, levels: Sequence[Level]) -> tuple[float, float]:
    start, end = _focus(scene)
    seen = slice(*scene.bars.ts.searchsorted((start, end)).tolist())
    bars, prices = scene.bars.cut(seen.start, seen.stop), [level.price for level in levels]
    low = min([*prices, *([float(bars.low.min())] if len(bars) else [])], default=0.0)
    high = max([*prices, *([float(bars.high.max())] if len(bars) else [])], default=1.0)
    room = 0.04 * (high - low) or 0.01 * high
    return low - room, high + room
