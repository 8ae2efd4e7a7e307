"""The figures of the page Filter, as plain dicts: ECharts' own options. Pure.

An interval is a thin line from its lower to its upper end. What a figure tells at a place is written out in the name
of the point there: templates of ECharts can show a name, but not format a number.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from core.candles import Floats, Ints
from core.dashboard import theme, words
from core.meta.drift import DESIGN
from core.meta.gate import is_judged
from core.store.reads.filter import BIN_PCT, Bin
from core.timeframe import show_time
from core.trades import equity

Figure = dict[str, Any]
Part = Mapping[str, Any]
Value = float | None
Point = tuple[Value, Value, Value, Value]  # x, y, and the ends of y's interval

WINDOW = 200  # plans of the rolling shares


def coverage(part: Part, dark: bool) -> Figure:
    """The best plans by score: how many win beside what would break even, and net R, for each share of them."""
    points = [c for c in part["coverage"] if c["n"]]
    told = [(100 * c["coverage"], _taken(f"Best {100 * c['coverage']:.3g}%: {c['n']:,} plans, threshold "
                                         f"{c['threshold']:.3g}", c)) for c in points]
    gate = part["gate"] if part["gate"]["n"] else None
    if gate:
        told.append((100 * (gate["coverage"] or 0.0), _taken(f"The filter: {gate['n']:,} plans", gate)))
    even = [[100 * c["coverage"], _pct(c["break_even"])] for c in points]
    series = [
        *(_told(told) | {"xAxisIndex": k, "yAxisIndex": k} for k in (0, 1)),
        *_curve("Won", [_won(c) for c in points], theme.BLUE),
        _line("Break-even", even, theme.ORANGE, "dashed"),
        *(_curve("The filter", [_won(gate)], theme.UP, symbol="diamond", symbolSize=13) if gate else ()),
        *(one | {"xAxisIndex": 1, "yAxisIndex": 1} for one in _curve("R per plan", [_r(c) for c in points],
                                                                     theme.PURPLE)),
        _level(0.0) | {"xAxisIndex": 1, "yAxisIndex": 1}]
    return _two(dark, series, ("Won, %", "Net R per plan"), "Share of the admitted plans taken, %", 196,
                legend=["Won", "Break-even", *(["The filter"] if gate else []), "R per plan"],
                x={"min": 0, "max": 100}, y={}, low={})


def _won(c: Part) -> Point:
    return 100 * (c["coverage"] or 0.0), _pct(c["win_rate"]), _pct(c["win_low"]), _pct(c["win_high"])


def _r(c: Part) -> Point:
    return 100 * (c["coverage"] or 0.0), c["mean_r"], c["mean_r_low"], c["mean_r_high"]


def _taken(head: str, c: Part) -> str:
    _, win, low, high = _won(c)
    return (f"{head}\nWon {_num(win)}%{_between(low, high)}\nBreak-even {_num(_pct(c['break_even']))}%\n"
            f"{words.r(c['mean_r'])} per plan{_between(c['mean_r_low'], c['mean_r_high'], '+.2f')}")


def reliability(part: Part, dark: bool) -> Figure:
    """Claimed against observed shares of wins, with intervals, and how many plans stand behind each point."""
    bins = part["probability"].get("reliability", [])
    points: list[Point] = [(_pct(b["claimed"]), _pct(b["observed"]), _pct(b["low"]), _pct(b["high"])) for b in bins]
    told = [(x, f"Claimed {_num(x)}%\nObserved {_num(y)}%{_between(low, high)}\n{b['n']:,} plans")
            for b, (x, y, low, high) in zip(bins, points, strict=True)]
    edges = [v for point in points for v in point if v is not None]
    ends = [min(edges) // 10 * 10, -(-max(edges) // 10) * 10] if edges else [0.0, 100.0]
    counts = _columns([(x, b["n"]) for b, (x, *_) in zip(bins, points, strict=True)], theme.BLUE)
    series = [*(_told(told) | {"xAxisIndex": k, "yAxisIndex": k} for k in (0, 1)),
              _line("Says what it means", [[end, end] for end in ends], theme.GREY, "dashed"),
              *_curve("Observed", points, theme.BLUE, lineStyle=_FAINT), counts | {"xAxisIndex": 1, "yAxisIndex": 1}]
    scale = {"min": ends[0], "max": ends[1]}
    return _two(dark, series, ("Observed, %", "Plans"), "Claimed p(win), %", 220,
                legend=["Observed", "Says what it means"], x=scale, y=scale, low={"minInterval": 1})


def deciles(part: Part, dark: bool) -> Figure:
    """EV predicted against realised, percent of the notional, in ten groups by rising prediction."""
    groups = part["deciles"]
    x, y = [d["predicted"] for d in groups], [d["realised"] for d in groups]
    error = [None if d["error"] is None else 1.96 * d["error"] for d in groups]
    points: list[Point] = [(a, b, None if e is None else b - e, None if e is None else b + e)
                           for a, b, e in zip(x, y, error, strict=True)]
    told = [(a, f"Predicted {a:+.2f}%\nRealised {b:+.2f}%{_between(low, high, '+.2f')}\n{d['n']:,} plans")
            for d, (a, b, low, high) in zip(groups, points, strict=True)]
    ends = [min(x), max(x)] if x else [0.0, 1.0]
    series = [_told(told), _line("As predicted", [[end, end] for end in ends], theme.GREY, "dashed"),
              *_curve("Realised", points, theme.BLUE, lineStyle=_FAINT), _level(0.0)]
    return _one(dark, series, "Realised EV, % of the notional", "Predicted EV, % (tenths of the admitted plans)",
                legend=["Realised", "As predicted"], x={"scale": True}, y={"scale": True})


CLASSES = {"passed by the filter": theme.UP, "refused by the filter": theme.DOWN, "observed only": theme.BLUE,
           "refused by admission": theme.GREY}


def p_histogram(bins: Sequence[Bin], dark: bool, threshold: float | None) -> Figure:
    """How often p fell where, by what became of the plan. threshold: of p, None where the filter goes by EV."""
    counts: dict[str, dict[int, int]] = {name: {} for name in CLASSES}
    for b in bins:
        of = counts[judged(b.verdict, b.word)]
        of[b.bin] = of.get(b.bin, 0) + b.n
    found = {name: of for name, of in counts.items() if of}
    # One more on each side, so that a bar knows its width even where it is the only one.
    every = range(max(0, min(b.bin for b in bins) - 1), max(b.bin for b in bins) + 2) if bins else range(0)
    middle = {k: BIN_PCT * (k + 0.5) for k in every}
    told = [(middle[k], "\n".join([f"p from {BIN_PCT * k}% to {BIN_PCT * (k + 1)}%", *(
        [f"{of[k]:,} {name}" for name, of in found.items() if k in of] or ["no decision"])])) for k in every]
    bars = [{"type": "bar", "name": name, "stack": "p", "data": [[middle[k], of.get(k)] for k in every],
             "barCategoryGap": "8%", "itemStyle": {"color": theme.faded(CLASSES[name], 0.85)}, **_QUIET}
            for name, of in found.items()]
    line = [] if threshold is None else [_mark({"xAxis": 100 * threshold}, theme.ORANGE)]
    ends = {"min": BIN_PCT * every.start // 10 * 10, "max": -(-BIN_PCT * every.stop // 10) * 10} if bins else {}
    return _one(dark, [_told(told), *bars, *line], "Decisions", "p(win), %", legend=list(found), x=ends, y={})


def judged(verdict: str, word: str) -> str:
    """What became of a scored plan, one of CLASSES. word: the first of the verdict's reason."""
    if is_judged(word):
        return "passed by the filter" if verdict == "pass" else "refused by the filter"
    return "observed only" if verdict == "pass" else "refused by admission"


ROW, MOST = 25, 15  # px of a feature, and how many are shown


def importance(shares: Mapping[str, float], dark: bool, most: int = MOST) -> Figure:
    """Share of the gain that each feature brought, the largest on top."""
    top = sorted(shares.items(), key=lambda item: item[1])[-most:]
    bar = {"type": "bar", "itemStyle": {"color": theme.BLUE}, "barCategoryGap": "30%", "label": {
        "show": True, "position": "right", "color": "inherit"}, "data": [
            {"value": 100 * share, "label": {"formatter": f"{100 * share:.1f}%"}} for _, share in top]}
    return theme.option(dark, series=[bar], tooltip={"show": False},
                        grid={"top": 0, "right": 48}, x={"type": "value", "show": False},
                        y={"type": "category", "data": [name for name, _ in top], "axisLine": {"show": False}})


def rolling(p: Floats, win: Floats, ts: Ints, dark: bool, window: int = WINDOW) -> Figure:
    """Claimed and observed shares of wins over the last `window` plans, by when the results were known.

    The band is what chance allows, plans coming in clumps.
    """
    if len(p) < window:
        return theme.option(dark, series=[])
    claimed, observed = (100.0 * _moving(values, window) for values in (p, win))
    kept = equity.thin(observed, 600)
    when = ts[window - 1:][kept]
    spread = 196.0 * np.sqrt(DESIGN * claimed / 100 * (1 - claimed / 100) / window)

    def along(values: Floats) -> Any:
        return np.column_stack([when, values[kept]])

    band = {"type": "line", "stack": "band", "stackStrategy": "all", "symbol": "none", "lineStyle": {"width": 0},
            **_QUIET}
    grey = theme.faded(theme.GREY, 0.25)
    rows = zip(when.tolist(), *((v[kept]).tolist() for v in (observed, claimed, spread)), strict=True)
    series = [
        _told((t, f"{show_time(t)}\nWon {a:.1f}%\nClaimed {b:.1f}%\n"
               f"Chance allows {b - c:.1f}% to {b + c:.1f}%") for t, a, b, c in rows),
        band | {"data": along(claimed - spread)},
        band | {"name": "What chance allows", "data": along(2 * spread), "areaStyle": {"color": grey},
                "itemStyle": {"color": grey}},
        _line("Claimed", along(claimed), theme.ORANGE, "dashed"), _line("Observed", along(observed), theme.BLUE)]
    return theme.option(
        dark, series=series, x={"type": "time"}, y={"type": "value", "scale": True, **_above("Won, %")},
        grid=_grid(_TOP, bottom=24), tooltip=_WORDS,
        legend={"show": True, "data": ["Observed", "Claimed", {"name": "What chance allows", "icon": "roundRect"}]})


def _moving(values: Floats, window: int) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((total[window:] - total[:-window]) / window)


# What they are drawn with


TALL, LOW = 420, 340  # px of a figure with two panels, and with one
_LEFT, _TOP = 44, 60  # px: the labels of an axis; the legend and the name of an axis
_FAINT = {"width": 1, "opacity": 0.6}
_QUIET = {"silent": True, "tooltip": {"show": False}}
_WORDS = {"formatter": "{b}", "extraCssText": "white-space: pre-line", "axisPointer": {"snap": True}}


def _told(points: Iterable[tuple[Value, str]]) -> dict[str, Any]:
    # Not seen: it has the words that the tooltip shows at each x.
    return {"type": "line", "symbol": "none", "lineStyle": {"opacity": 0}, "silent": True,
            "data": [{"value": [x, None], "name": text} for x, text in points]}


def _curve(name: str, points: Sequence[Point], colour: str, **more: Any) -> list[dict[str, Any]]:
    spans = [cell for x, y, low, high in points if None not in (y, low, high)
             for cell in ([x, low], [x, high], [x, None])]
    whiskers = _line(name, spans, theme.faded(colour, 0.75)) | {
        "symbol": "rect", "symbolSize": [7, 1.5], "showSymbol": True, "z": 1}
    whiskers["lineStyle"] = {"width": 1.5}
    through = _line(name, [[x, y] for x, y, *_ in points], colour) | {"symbol": "circle", "symbolSize": 7}
    return [through | more, whiskers]


def _columns(points: Sequence[tuple[Value, int]], colour: str) -> dict[str, Any]:
    # Thick lines, not bars: these would widen the axis, and the panel would not stand below its neighbour any more.
    data = [cell for x, y in points for cell in ([x, 0], [x, y], [x, None])]
    return _line("", data, theme.faded(colour, 0.5)) | {"lineStyle": {"width": 8, "cap": "butt"}}


def _line(name: str, data: Any, colour: str, kind: str = "solid") -> dict[str, Any]:
    return {"type": "line", "name": name, "data": data, "symbol": "none", "itemStyle": {"color": colour},
            "lineStyle": {"width": 2, "type": kind}, **_QUIET}


def _level(at: float) -> dict[str, Any]:
    return _mark({"yAxis": at}, theme.GREY, "solid")


def _mark(at: Mapping[str, float], colour: str, kind: str = "dashed") -> dict[str, Any]:
    return {"type": "line", "data": [], "markLine": {
        "silent": True, "symbol": "none", "label": {"show": False}, "data": [at],
        "lineStyle": {"color": colour, "type": kind, "width": 1.5}}}


def _above(name: str) -> dict[str, Any]:
    # The name of a y axis above it: beside it, it would take the width that a phone does not have.
    return {"name": name, "nameLocation": "end", "nameGap": 12, "axisLine": {"onZero": False},
            "nameTextStyle": {"align": "left", "padding": [0, 0, 0, -_LEFT]}}


def _one(dark: bool, series: list[Any], name: str, x_name: str, *, legend: list[str], x: Part, y: Part) -> Figure:
    return theme.option(
        dark, series=series, tooltip=_WORDS, legend={"show": True, "data": legend}, grid=_grid(_TOP, bottom=44),
        x={"type": "value", "name": x_name, "nameGap": 26, "axisLine": {"onZero": False}, **x},
        y={"type": "value", **_above(name), **y})


def _two(dark: bool, series: list[Any], names: tuple[str, str], x_name: str, upper: int, *, legend: list[str],
         x: Part, y: Part, low: Part) -> Figure:
    # upper: px of the first of the two panels; the second fills what is left of TALL.
    below = {"type": "value", "name": x_name, "nameGap": 26, "axisLine": {"onZero": False}, **x}
    above = {"type": "value", "axisLine": {"onZero": False}, "axisLabel": {"show": False}, **x}
    return theme.option(
        dark, series=series, tooltip=_WORDS, legend={"show": True, "data": legend},
        axisPointer={"link": [{"xAxisIndex": "all"}]},
        grid=[_grid(_TOP, height=upper), _grid(_TOP + upper + 38, bottom=44)],
        x=[above | {"gridIndex": 0}, below | {"gridIndex": 1}],
        y=[{"type": "value", "gridIndex": 0, "scale": True, **_above(names[0]), **y},
           {"type": "value", "gridIndex": 1, "splitNumber": 2, **_above(names[1]), **low}])


def _grid(top: int, **more: int) -> dict[str, Any]:
    return {"left": _LEFT, "right": 16, "top": top, "containLabel": False, **more}


def _pct(fraction: Value) -> Value:
    return None if fraction is None or fraction != fraction else 100.0 * fraction


def _num(value: Value) -> str:
    return words.NONE if value is None else f"{value:.1f}"


def _between(low: Value, high: Value, form: str = ".1f") -> str:
    return "" if low is None or high is None else f" (95 %: {low:{form}} to {high:{form}})"
