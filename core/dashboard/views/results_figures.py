"""The figures of the page Results: options of ECharts as plain dicts. Pure."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from core.candles import Floats, Ints
from core.dashboard import theme, words
from core.signals.text import counted
from core.trades import equity
from core.trades.columns import Columns
from core.trades.performance import Summary

Figure = dict[str, Any]

MOST_POINTS = 900  # of a scatter
CLIP = (-2.0, 6.0)  # R; what lies beyond stands in the outermost bars
_LONG = 5  # letters of a name that stands below its bar


def balance(trades: Columns, unit: str, starting: float, hold: tuple[Ints, Floats], span: tuple[int, int],
            dark: bool) -> Figure:
    """Equity above, drawdown below. unit: R, or USD beside buy and hold."""
    values, first = (trades.usd, starting) if unit == "USD" else (trades.r, 0.0)
    total, below = first + np.cumsum(values), equity.underwater(values)
    kept = equity.thin(total)
    ts = np.concatenate([[span[0]], trades.closed_ts[kept]])
    rows = {"ts": ts, "equity": np.concatenate([[first], total[kept]]), "below": np.concatenate([[0.0], below[kept]])}
    held = unit == "USD" and len(hold[0]) > 0
    if held:
        rows = _beside(rows, hold)
    most = max(float(np.abs(rows[name]).max()) for name in ("equity", "below"))
    both = {"left": 14 + 7 * max(5, len(f"-{most:,.0f}")), "right": 12}  # the two halves begin at the same place
    time = {"type": "time", "axisLine": {"show": False}, "splitLine": {"show": False}}
    blank = {"axisPointer": {"show": True, "label": {"formatter": " "}}}  # its pointer goes along and tells nothing
    return theme.option(
        dark, dataset={"source": rows}, series=_lines(unit, held), axisPointer={"link": [{"xAxisIndex": "all"}]},
        legend={"show": held, "data": ["These trades", "Buy and hold"]},
        grid=[{**both, "top": 294, "bottom": 26}, {**both, "top": 44, "height": 214}],
        x=[{**time, **blank}, {**time, "gridIndex": 1, "axisLabel": {"show": False}}],
        y=[{"name": f"Drawdown, {unit}", **_ABOVE, "splitNumber": 2},
           {"name": f"Equity, {unit}", **_ABOVE, "gridIndex": 1, "scale": unit == "USD"},
           {"show": False, "gridIndex": 1}])


_ABOVE = {"nameLocation": "end", "nameTextStyle": {"align": "left"}}  # the name of an axis, above it


def _beside(rows: dict[str, Any], hold: tuple[Ints, Floats]) -> dict[str, Any]:
    # One time for all lines, so that the tip names all of them: the account stays as it was until a trade closes,
    # the market goes straight from one close to the next.
    ts = np.union1d(rows["ts"], hold[0])
    at = np.maximum(np.searchsorted(rows["ts"], ts, side="right") - 1, 0)
    return {"ts": ts, "equity": rows["equity"][at], "below": rows["below"][at],
            "hold": np.interp(ts, *hold, left=np.nan, right=np.nan)}


def _lines(unit: str, held: bool) -> list[dict[str, Any]]:
    form = "%,.0f USD" if unit == "USD" else "%+.1f R"
    drawdown = _line("Drawdown", "below", theme.DOWN, form)
    lines = [
        _line("These trades", "equity", theme.BLUE, form, 1, 1) | {"step": "end", "lineStyle": {"width": 2}},
        drawdown | {"step": "end", "lineStyle": {"width": 1}, "tooltip": {"show": False},
                    "areaStyle": {"color": theme.faded(theme.DOWN, 0.25), "origin": 0}}]
    if held:
        lines.append(_line("Buy and hold", "hold", theme.GREY, form, 1, 1)
                     | {"lineStyle": {"width": 1.5, "type": "dotted"}})
    # One tip for both halves: the upper one tells the drawdown too, by a line that is not drawn.
    return [*lines, drawdown | {"xAxisIndex": 1, "yAxisIndex": 2, "symbol": "none", "lineStyle": {"opacity": 0}}]


def _line(name: str, column: str, colour: str, form: str, x: int = 0, y: int = 0) -> dict[str, Any]:
    return {"type": "line", "name": name, "encode": {"x": "ts", "y": column}, "xAxisIndex": x, "yAxisIndex": y,
            "showSymbol": False, "itemStyle": {"color": colour}, "tooltip": {"valueFormatter": form}}


def distribution(trades: Columns, dark: bool, bins: int = 32) -> Figure:
    """How often each result in R happened; what lies beyond CLIP stands in the outermost bars."""
    counts, edges = np.histogram(np.clip(trades.r, *CLIP), bins=bins, range=CLIP)
    tips = [f"{low:+.2f} to {high:+.2f} R" for low, high in pairwise(edges.tolist())]
    tips[0], tips[-1] = f"below {edges[1]:+.2f} R", f"above {edges[-2]:+.2f} R"
    share = 100.0 * counts / max(1, len(trades))
    data = [_item([x, n], theme.signed(x), f"{tip}: {counted(n, 'trade')}, {part:.1f}%") for x, n, tip, part in zip(
        ((edges[:-1] + edges[1:]) / 2).tolist(), counts.tolist(), tips, share.tolist(), strict=True)]
    mean, median = float(trades.r.mean()), float(np.median(trades.r))
    marks = [_mark("mean", mean, theme.BLUE, 20), _mark("median", median, theme.ORANGE, 5)]
    return theme.option(
        dark, tooltip={"trigger": "item"},
        series=[{"type": "bar", "data": data, "barCategoryGap": "6%",
                 "markLine": {"symbol": "none", "silent": True, "data": marks}}],
        x={"type": "value", "min": CLIP[0], "max": CLIP[1], "name": "Net result, R", "nameGap": 26,
           "splitLine": {"show": False}},
        y={"name": "Trades", "nameGap": 14 + 7 * len(f"{counts.max():,}")}, grid={"left": 24, "top": 44, "bottom": 30})


def _mark(name: str, x: float, colour: str, up: int) -> dict[str, Any]:
    # Their names stand one above the other: the two lines are often close.
    return {"xAxis": min(max(x, CLIP[0]), CLIP[1]), "lineStyle": {"color": colour, "width": 1.5, "type": "dashed"},
            "label": {"formatter": f"{name} {words.r(x)}", "color": colour, "position": "end", "distance": up,
                      "align": "left" if x < sum(CLIP) / 2 else "right"}}


def _item(value: Any, colour: str, tip: str) -> dict[str, Any]:
    # A tip is HTML.
    return {"value": value, "itemStyle": {"color": colour},
            "tooltip": {"formatter": "<br>".join(escape(line) for line in tip.split("\n"))}}


def excursions(trades: Columns, kind: str, dark: bool) -> Figure:
    """Worst (mae) or best (mfe) price seen against the result, both in R, one point per trade."""
    rows = sample(len(trades))
    seen = (trades.mae_r if kind == "mae" else trades.mfe_r)[rows]
    result, series = trades.r[rows], []
    for name, mask, colour in (("Lost", result <= 0, theme.DOWN), ("Won", result > 0, theme.UP)):
        points = np.round(np.column_stack([seen[mask], result[mask]]), 3)
        series.append({"type": "scatter", "name": name, "data": points, "symbolSize": 5,
                       "itemStyle": {"color": theme.faded(colour, 0.55)},
                       "tooltip": {"formatter": f"{{a}}: {kind.upper()} {{@[0]}} R, net result {{@[1]}} R"}})
    title = "MAE: furthest against the trade, R" if kind == "mae" else "MFE: furthest in its favour, R"
    reach = float(np.quantile(np.abs(seen), 0.995)) if len(seen) else 1.0
    low, high = (-1.05 * reach, 0.05 * reach) if kind == "mae" else (-0.05 * reach, 1.05 * reach)
    edge = {"axisLine": {"show": False, "onZero": False}}
    figure = theme.option(
        dark, series=series, legend={"show": True}, tooltip={"trigger": "item"},
        grid={"left": 24, "bottom": 30}, x={"name": title, "nameGap": 26, "min": low, "max": high, **edge},
        y={"name": "Net result, R", "nameGap": 28, **edge})
    figure["xAxis"]["axisLabel"] |= {"showMinLabel": False, "showMaxLabel": False}
    return figure


def sample(n: int, most: int = MOST_POINTS) -> Ints:
    """Positions of at most `most` rows, evenly spread in time."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64)) if n else np.empty(0, np.int64)


def bars(parts: Mapping[str, Summary], dark: bool) -> Figure:
    """Expectancy in R of each member of a group with its interval; how many trades stands in the tip.

    Long names stand beside their bars, which then go sideways.
    """
    names = [words.coin(name) for name in parts]
    tips = [_told(name, s) for name, s in zip(names, parts.values(), strict=True)]
    means = [s.expectancy_r for s in parts.values()]
    data = [_item(mean, theme.faded(theme.signed(mean), 0.8), tip) for mean, tip in zip(means, tips, strict=True)]
    series = [{"type": "bar", "data": data, "barMaxWidth": 60}, _intervals(list(parts.values()))]
    beside = _lies(names)
    group = {"type": "category", "data": names, "splitLine": {"show": False}, "inverse": beside}
    value = {"name": "R per trade", **({"nameGap": 26} if beside else _ABOVE)}
    return theme.option(dark, series=series, tooltip={"trigger": "item"}, x=value if beside else group,
                        y=group if beside else value, grid={"top": 12 if beside else 36, "bottom": 30 if beside else 8})


def height(parts: Mapping[str, Summary]) -> int:
    """How high `bars` of these parts should be, px."""
    return 60 + 26 * len(parts) if _lies([words.coin(name) for name in parts]) else 260


def _lies(names: Sequence[str]) -> bool:
    return any(len(name) > _LONG for name in names)


def _intervals(of: Sequence[Summary]) -> dict[str, Any]:
    # The lines of a box plot without its box: lowest = lower edge, highest = upper edge, all between them is the mean.
    data = [[None] * 5 if None in (s.expectancy_r_low, s.expectancy_r, s.expectancy_r_high) else
            [s.expectancy_r_low, *[s.expectancy_r] * 3, s.expectancy_r_high] for s in of]
    return {"type": "boxplot", "data": data, "silent": True, "boxWidth": [4, 8], "tooltip": {"show": False}, "z": 3,
            "itemStyle": {"color": "transparent", "borderColor": theme.GREY, "borderWidth": 1}}


def _told(name: str, s: Summary) -> str:
    won = "" if s.win_pct is None else f", {s.win_pct:.1f}% won [{s.win_low_pct:.1f} to {s.win_high_pct:.1f}]"
    even = words.NONE if s.break_even_pct is None else f"{s.break_even_pct:.1f}%"
    between = "" if s.expectancy_r_low is None or s.expectancy_r_high is None else (
        f" [{s.expectancy_r_low:+.2f} to {s.expectancy_r_high:+.2f}]")
    return (f"{name}: {words.r(s.expectancy_r)} per trade{between}\n"
            f"{counted(s.trades, 'trade')}{won}, break-even {even}")
