"""The candle chart as an option object of ECharts: bars, volume, and whatever is drawn over them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from html import escape
from typing import Any

from core.candles import Bars
from core.dashboard import theme, words
from core.dashboard.views import chart, scripts
from core.dashboard.views.chart import Level, Mark, Plan, Window

Row = Mapping[str, Any]
Spec = dict[str, Any]

HEIGHT = "clamp(430px, 50vw, 600px)"
_LEAST = 8  # bars of the closest zoom
_ROOM = 2.5  # levels far away may make the height of the seen candles this much larger when one zooms
_COLOURS = {"entry": theme.BLUE, "sl": theme.DOWN, "tp": theme.UP, "stop": theme.ORANGE, "fib": theme.GREY,
            "channel": theme.GREY}
# Where the name of a mark stands; what comes last stands on the right.
_SIDES_OF_MARKS = {"FILL": "bottom", "EXPIRED": "bottom", "TP1": "left"}
_NAMED_FIRST = ("0", "1", "0.618", "1.272 ext.", "1.618 ext.")  # where names would lie on each other
_TONES = {"up": theme.UP, "down": theme.DOWN, "plain": theme.BLUE}
_PAPER = {True: "#0f1318", False: "#ffffff"}  # what names are written on, as .streamlit/config.toml has it
_DOTS = [2, 3]  # px drawn, px left out
_CROSS = "path://M0 2L2 0L5 3L8 0L10 2L7 5L10 8L8 10L5 7L2 10L0 8L3 5Z"
_STAR = "path://M5 0L6.5 3.3L10 3.8L7.4 6.3L8.1 10L5 8.2L1.9 10L2.6 6.3L0 3.8L3.5 3.3Z"
_SYMBOLS = {"FILL": "circle", "SL": _CROSS, "LIQUIDATED": _CROSS, "EXPIRED": "circle"}


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
    """The chart. Lines and zones carry the names of what they show; clickable points a signal's short id as `id`."""
    shift, digits = _shift(scene), _digits(scene.tick)
    halo = {"textBorderColor": _PAPER[dark], "textBorderWidth": 3}
    levels = chart.levels(scene.plan) if scene.plan else []
    series = [_candles(scene, shift), _volume(scene, shift), *_pivots(scene, shift), *_others(scene, shift)]
    if scene.plan:
        series += [*_avwap(scene.plan, shift), _lines("fibs", _thin(scene), shift, 1, _named(scene), halo),
                   *_impulse(scene.plan, shift, halo), _onward(levels, _last(scene), shift),
                   _lines("levels", levels, shift, 3), *_stops(scene.plan, shift), *_marks(scene.plan, shift, halo)]
    series += _tags(scene, levels)
    zone = _zone(scene)
    sides = {"left": 6, "right": _edge(scene, levels), "containLabel": False, "outerBoundsMode": "none"}
    return theme.option(
        dark, series=series, dataZoom=_zoom(scene, shift), x=_time_axes(scene, dark, shift, zone),
        y=_price_axes(scene, dark, levels, digits),
        grid=[{**sides, "top": 8, "bottom": "22%"}, {**sides, "top": "81%", "bottom": 44 if zone else 28}],
        axisPointer={"link": [{"xAxisIndex": "all"}], "lineStyle": {"color": theme.GREY, "type": "dotted"}},
        tooltip={"axisPointer": {"type": "cross", "crossStyle": {"color": theme.GREY, "type": "dotted"},
                                 "label": {"backgroundColor": "#5c6370"}},
                 "formatter": scripts.told(digits, zone), "position": scripts.ASIDE, "padding": 8},
        aria={"enabled": True, "label": {"description": _alt(scene)}})


def revision(scene: Scene) -> str:
    """Stays the same while a zoom shall be kept."""
    about = scene.plan.row["id"] if scene.plan else "none"
    span = (scene.window.end - scene.window.start) // scene.bars.tf if scene.plan is None else 0
    return f"{scene.symbol}|{scene.timeframe}|{about}|{span}"


# The frame


def _shift(scene: Scene) -> int:
    # One offset for the whole chart, that of its end: an hour is never drawn twice or left out.
    there = datetime.fromtimestamp(scene.window.end / 1000, scene.zone).utcoffset()
    return int(there.total_seconds() * 1000) if there else 0


def _zone(scene: Scene) -> str:
    hours = _shift(scene) / 3_600_000
    return "" if not hours else f"UTC{hours:+g}"


def _digits(tick: float) -> int:
    return len(words.price(0.0, tick).partition(".")[2])


def _alt(scene: Scene) -> str:
    what = f"{words.coin(scene.symbol)} {scene.timeframe}: {words.count(len(scene.bars))} candles with their volume"
    prices = [f"{level.name} {words.price(level.price, scene.tick)}" for level in chart.levels(scene.plan)] \
        if scene.plan else []
    return what + (", and the plan's " + ", ".join(prices) if prices else "")


def _edge(scene: Scene, levels: Sequence[Level]) -> int:
    # px right of the plot: as wide as a price.
    return 14 + int(6.5 * max(len(words.price(price, scene.tick)) for price in _extremes(scene, levels)))


def _time_axes(scene: Scene, dark: bool, shift: int, zone: str) -> list[Spec]:
    times = {"year": "{yyyy}", "month": "{MMM} {yyyy}", "day": "{d} {MMM}", "hour": "{HH}:{mm}", "minute": "{HH}:{mm}"}
    both: Spec = {"type": "time", "min": scene.window.start + shift, "max": _last(scene) + shift}
    label = theme.axis(dark)["axisLabel"]
    grid: Spec = {"splitLine": {"show": True, **theme.axis(dark)["splitLine"]}}
    return [{**both, **grid, "gridIndex": 0, "axisLabel": {"show": False}, "axisPointer": {"label": {"show": False}}},
            {**both, **grid, "gridIndex": 1, "axisLabel": {**label, "formatter": times}, "name": zone, "nameGap": 26,
             "axisPointer": {"label": {"formatter": scripts.POINTED_TIME}}}]


def _price_axes(scene: Scene, dark: bool, levels: Sequence[Level], digits: int) -> list[Spec]:
    low, high = scripts.span([level.price for level in levels], _most(scene, levels))
    label = {**theme.axis(dark)["axisLabel"], "fontSize": 11}
    return [{"gridIndex": 0, "position": "right", "scale": True, "min": low, "max": high, "minInterval": scene.tick,
             "splitNumber": 6, "axisLabel": {**label, "formatter": scripts.price(digits), "showMinLabel": False,
                                             "showMaxLabel": False},
             "axisPointer": {"label": {"formatter": scripts.pointed(digits)}}},
            {"gridIndex": 1, "axisLabel": {"show": False}, "splitLine": {"show": False},
             "axisPointer": {"show": False}}]


def _zoom(scene: Scene, shift: int) -> Spec:
    start, end = _x_range(scene)
    return {"type": "inside", "xAxisIndex": [0, 1], "filterMode": "filter", "minValueSpan": _LEAST * scene.bars.tf,
            "preventDefaultMouseMove": False,  # a finger that moves up or down scrolls the page
            "startValue": start + shift, "endValue": end + shift}


def _focus(scene: Scene) -> tuple[int, int]:
    plan = scene.plan
    return chart.focus(scene.bars.tf, scene.window, (plan.row, plan.trade) if plan else None)


def _x_range(scene: Scene) -> tuple[int, int]:
    start, end = _focus(scene)
    room = int(0.02 * (end - start))
    if scene.plan and scene.plan.trade["closed_ts"] is None:  # room for what is to come
        least, most = int(0.1 * (end - start)), int(0.25 * (end - start))
        end += max(least, min(scene.plan.until - end, most))
    return start, end + room


def _last(scene: Scene) -> int:
    return max(_x_range(scene)[1], scene.window.end)


def _extremes(scene: Scene, levels: Iterable[Level]) -> tuple[float, float]:
    # Of the candles that are seen at first and the levels.
    start, end = _focus(scene)
    seen = slice(*scene.bars.ts.searchsorted((start, end)).tolist())
    bars, prices = scene.bars.cut(seen.start, seen.stop), [level.price for level in levels]
    return (min([*prices, *([float(bars.low.min())] if len(bars) else [])], default=0.0),
            max([*prices, *([float(bars.high.max())] if len(bars) else [])], default=1.0))


def _most(scene: Scene, levels: Sequence[Level]) -> float:
    # At first all levels are seen, however far away they are.
    (low, high), (least, most) = _extremes(scene, []), _extremes(scene, levels)
    return max(_ROOM, 1.01 * (most - least) / (high - low)) if high > low else _ROOM


# The market


def _candles(scene: Scene, shift: int) -> Spec:
    bars, said = scene.bars, _said(scene)
    columns = (bars.ts + shift, bars.open, bars.close, bars.low, bars.high, bars.volume)
    rows: list[Any] = [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    for i, told in said.items():
        rows[i].append("<br>".join(told))
    zones = _bands(scene.plan, shift) if scene.plan else []
    up, down = theme.UP, theme.DOWN
    return {"type": "candlestick", "name": f"{words.coin(scene.symbol)} {scene.timeframe}", "data": rows, "z": 2,
            "encode": {"x": 0, "y": [1, 2, 3, 4]}, "large": False, "barWidth": "70%", "emphasis": {"disabled": True},
            "itemStyle": {"color": up, "borderColor": up, "color0": down, "borderColor0": down, "borderWidth": 1},
            "markArea": {"silent": True, "label": {"show": False}, "data": zones},
            "markLine": {"silent": True, "symbol": "none", "z": 1, "label": {"show": False},
                         "data": _decided(scene.plan, shift) if scene.plan else []}}


def _volume(scene: Scene, shift: int) -> Spec:
    bars = scene.bars
    columns = ((bars.ts + shift).tolist(), bars.volume.tolist(), (bars.close >= bars.open).astype(int).tolist())
    colours = (theme.faded(colour, 0.45) for colour in (theme.UP, theme.DOWN))
    return {"type": "bar", "name": "volume", "xAxisIndex": 1, "yAxisIndex": 1, "barWidth": "70%", "silent": True,
            "data": [list(row) for row in zip(*columns, strict=True)], "encode": {"x": 0, "y": 1},
            "itemStyle": {"color": scripts.either(2, *colours)}}


def _pivots(scene: Scene, shift: int) -> list[Spec]:
    found = chart.pivots(scene.bars, scene.piv_window) if scene.piv_window else []
    points = [{"value": [p.ts + shift, p.price], "symbolRotate": 180 if p.side > 0 else 0,
               "symbolOffset": [0, -7 if p.side > 0 else 7]} for p in found]
    return [_points("pivots", points, symbol="triangle", symbolSize=6, silent=True,
                    itemStyle=_hollow(theme.faded(theme.GREY, 0.8)))] if points else []


def _points(name: str, data: list[Spec], **more: Any) -> Spec:
    # Not part of the axis' tooltip, which tells of the nearest bar.
    return {"type": "scatter", "name": name, "data": data, "tooltip": {"trigger": "item"}, "z": 4,
            "emphasis": {"disabled": True}, **more, "itemStyle": {"opacity": 1, **more.get("itemStyle", {})}}


def _hollow(colour: str) -> Spec:
    return {"color": "transparent", "borderColor": colour, "borderWidth": 1.3}


def _said(scene: Scene) -> dict[int, list[str]]:
    # By bar: fills and exits in it, told with its prices.
    found: dict[int, list[str]] = {}
    at = {int(ts): i for i, ts in enumerate(scene.bars.ts)}
    for mark in chart.marks(scene.plan) if scene.plan else []:
        i = at.get(mark.ts // scene.bars.tf * scene.bars.tf)
        if i is not None:
            found.setdefault(i, []).append(
                escape(f"{mark.name} at {words.price(mark.price, scene.tick)}, {words.when(mark.ts)}"))
    return found


def _nearby(scene: Scene) -> list[tuple[Row, int]]:
    # Other decisions, each with the number of its deciding bar.
    own, size = scene.plan.row["short_id"] if scene.plan else None, scene.bars.tf
    at = {int(ts): i for i, ts in enumerate(scene.bars.ts)}
    found = ((row, at.get((row["decided_ts"] - 1) // size * size)) for row in scene.others if row["short_id"] != own)
    return [(row, i) for row, i in found if i is not None]


def _others(scene: Scene, shift: int) -> list[Spec]:
    near = _nearby(scene)
    found = []
    for verdict, name, size in (("refused", "refused", 9), ("pass", "taken", 12)):
        points = [_decision(scene, row, i, shift) for row, i in near if row["verdict"] == verdict]
        if points:
            found.append(_points(name, points, symbol="triangle", symbolSize=size))
    return found


def _decision(scene: Scene, row: Row, i: int, shift: int) -> Spec:
    long, taken, bars = row["direction"] == "long", row["verdict"] == "pass", scene.bars
    reason = "" if taken else f"<br>{escape(row['reason'])}"
    return {"value": [int(bars.ts[i]) + shift, float(bars.low[i] if long else bars.high[i])], "id": row["short_id"],
            "symbolRotate": 0 if long else 180, "symbolOffset": [0, 12 if long else -12],
            "itemStyle": {"color": theme.UP if long else theme.DOWN} if taken else _hollow(theme.GREY),
            "tooltip": {"formatter": f"{escape(chart.caption(row))}{reason}<br><i>click to open it</i>"}}


# The plan


def _avwap(plan: Plan, shift: int) -> list[Spec]:
    ts, values = chart.avwap(plan)
    if not ts:
        return []
    return [{"type": "line", "name": "AVWAP", "data": [[t + shift, v] for t, v in zip(ts, values, strict=True)],
             "symbol": "none", "z": 3, "silent": True, "emphasis": {"disabled": True},
             "lineStyle": {"color": theme.PURPLE, "width": 1.6}}]


def _stops(plan: Plan, shift: int) -> list[Spec]:
    # The way of a stop that moved, in steps: each held until the next.
    ts, values = plan.stops
    if not ts:
        return []
    return [{"type": "line", "name": "Stop", "data": [[t + shift, v] for t, v in zip(ts, values, strict=True)],
             "step": "end", "symbol": "none", "z": 4, "silent": True, "emphasis": {"disabled": True},
             "lineStyle": {"color": _COLOURS["stop"], "width": 1.8}}]


def _impulse(plan: Plan, shift: int, halo: Spec) -> list[Spec]:
    found = chart.impulse(plan)
    if found is None:
        return []
    points = [{"name": name, "value": [p.ts + shift, p.price],
               "label": {"show": True, "formatter": name, "position": "bottom" if p.side < 0 else "top"}}
              for name, p in zip("AB", found, strict=True)]
    line = {"name": "impulse", "coords": [point["value"] for point in points]}
    return [_segments("move", [line], 3, {"color": theme.ORANGE, "width": 1.2, "type": _DOTS}),
            _points("impulse", points, silent=True, symbolSize=8, itemStyle={"color": theme.ORANGE},
                    label={"color": theme.ORANGE, "fontSize": 12, **halo})]


def _marks(plan: Plan, shift: int, halo: Spec) -> list[Spec]:
    found = [_mark(mark, shift) for mark in chart.marks(plan)]
    return [_points("trade", found, silent=True, z=5, label=halo)] if found else []


def _mark(mark: Mark, shift: int) -> Spec:
    tone, symbol = _TONES[mark.tone], _SYMBOLS.get(mark.name, _STAR)
    look = {"color": tone, "borderColor": "#ffffff", "borderWidth": 1.5}
    return {"name": mark.name, "value": [mark.ts + shift, mark.price], "symbol": symbol,
            "symbolSize": 16 if symbol == _STAR else 12,
            "itemStyle": {**(_hollow(tone) if mark.name == "EXPIRED" else look), "opacity": 1},
            "label": {"show": True, "formatter": mark.name, "color": tone, "fontWeight": "bold", "fontSize": 12,
                      "position": _SIDES_OF_MARKS.get(mark.name, "right")}}


def _bands(plan: Plan, shift: int) -> list[list[Spec]]:
    row, found = plan.row, []
    waited, held = chart.waiting(plan), chart.held(plan)
    if waited:
        found.append(_box("waiting", waited, None, theme.faded(theme.GREY, 0.13), shift))
    if held:
        target = row["tp2"] if row["tp2"] is not None else plan.trade["exit_price"]
        if target is not None and plan.side * (target - row["entry"]) > 0:
            found.append(_box("reward", held, (row["entry"], target), theme.faded(theme.UP, 0.12), shift))
        found.append(_box("risk", held, (row["entry"], row["sl"]), theme.faded(theme.DOWN, 0.12), shift))
    return found


def _box(name: str, span: tuple[int, int], prices: tuple[float, float] | None, colour: str, shift: int) -> list[Spec]:
    low, high = ({"yAxis": price} for price in prices) if prices else ({}, {})
    return [{"name": name, "itemStyle": {"color": colour}, "xAxis": span[0] + shift, **low},
            {"xAxis": span[1] + shift, **high}]


def _decided(plan: Plan, shift: int) -> list[Spec]:
    return [{"name": "decided", "xAxis": plan.row["decided_ts"] + shift,
             "lineStyle": {"color": theme.faded(theme.GREY, 0.8), "width": 1, "type": "dotted"}}]


def _thin(scene: Scene) -> list[Level]:
    if scene.plan is None or not scene.fibs:
        return []
    return chart.fibs(scene.plan) + chart.channel(scene.plan)


def _segments(name: str, data: list[Spec], z: int, pen: Spec | None = None) -> Spec:
    # Other than lines of points they are drawn where only a part of them is seen, and stretch no axis.
    return {"type": "lines", "coordinateSystem": "cartesian2d", "name": name, "silent": True, "z": z,
            "lineStyle": {"opacity": 1, **(pen or {})}, "data": data}


def _lines(name: str, levels: Iterable[Level], shift: int, z: int, named: Iterable[str] = (),
           halo: Spec | None = None) -> Spec:
    shown = set(named)
    label = {"show": True, "position": "start", "color": theme.GREY, "fontSize": 10, **(halo or {})}
    return _segments(name, [{"name": level.name, "lineStyle": _pen(level),
                             "coords": [[level.start + shift, level.price], [level.end + shift, level.price]],
                             **({"label": {**label, "formatter": level.name}} if level.name in shown else {})}
                            for level in levels], z)


def _onward(levels: Iterable[Level], end: int, shift: int) -> Spec:
    # After a plan's end its levels go on faintly, to their names at the edge.
    return _segments("after", [
        {"name": level.name, "coords": [[level.end + shift, level.price], [end + shift, level.price]],
         "lineStyle": {"color": theme.faded(_COLOURS[level.kind], 0.5), "width": 1, "type": _DOTS}}
        for level in levels if level.end < end], 1)


def _pen(level: Level) -> Spec:
    if level.kind in ("fib", "channel"):
        return {"color": theme.faded(_COLOURS[level.kind], 0.6), "width": 1, "type": _DOTS}
    return {"color": _COLOURS[level.kind], "width": 1.8}


def _tags(scene: Scene, levels: Sequence[Level]) -> list[Spec]:
    # Drawn once for all of them, at a point that belongs to no axis and so is never cut away by a zoom.
    if not levels:
        return []
    found = [{"price": level.price, "text": f"{level.name} {words.price(level.price, scene.tick)}",
              "colour": _COLOURS[level.kind], "ink": "#ffffff" if level.kind != "stop" else "#000000"}
             for level in levels]
    return [{"type": "custom", "name": "tags", "renderItem": scripts.tags(found, _edge(scene, levels) - 2), "z": 6,
             "data": [[0]], "encode": {"x": -1, "y": -1}, "silent": True, "clip": False, "tooltip": {"show": False}}]


def _named(scene: Scene) -> list[str]:
    # Fib levels whose names have room.
    low, high = _extremes(scene, chart.levels(scene.plan) if scene.plan else [])
    names, least = list[Level](), (high - low) * 0.027
    for level in sorted(_thin(scene), key=lambda one: one.name not in _NAMED_FIRST):
        if all(abs(level.price - other.price) >= least for other in names):
            names.append(level)
    return [level.name for level in names]
