"""The figures of the page Results, as plain dicts that plotly understands. Pure."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from core.candles import Floats, Ints
from core.dashboard import theme, words
from core.trades import equity
from core.trades.columns import Columns
from core.trades.performance import Summary

Figure = dict[str, Any]

MOST_POINTS = 900  # of a scatter
CLIP = (-2.0, 6.0)  # R; what lies beyond stands in the outermost bars


def balance(trades: Columns, unit: str, starting: float, hold: tuple[Ints, Floats], span: tuple[int, int],
            dark: bool, revision: str) -> Figure:
    """Equity above, drawdown below. unit: R, or USD beside buy and hold."""
    values = trades.usd if unit == "USD" else trades.r
    total, below = (starting if unit == "USD" else 0.0) + np.cumsum(values), equity.underwater(values)
    kept = equity.thin(total)
    first = starting if unit == "USD" else 0.0
    x = _dates(np.concatenate([[span[0]], trades.closed_ts[kept]]))
    form = ",.0f" if unit == "USD" else "+.1f"
    traces: list[Any] = [
        {"type": "scatter", "mode": "lines", "name": "These trades", "x": x,
         "y": np.concatenate([[first], total[kept]]), "line": {"color": theme.BLUE, "width": 2, "shape": "hv"},
         "hovertemplate": f"%{{y:{form}}} {unit}<extra>These trades</extra>"},
        {"type": "scatter", "mode": "lines", "name": "Drawdown", "x": x, "y": np.concatenate([[0.0], below[kept]]),
         "yaxis": "y2", "fill": "tozeroy", "fillcolor": theme.faded(theme.DOWN, 0.25), "showlegend": False,
         "line": {"color": theme.DOWN, "width": 1, "shape": "hv"},
         "hovertemplate": f"%{{y:{form}}} {unit}<extra>Drawdown</extra>"}]
    if unit == "USD" and len(hold[0]):
        traces.insert(1, {"type": "scatter", "mode": "lines", "name": "Buy and hold", "x": _dates(hold[0]),
                          "y": hold[1], "line": {"color": theme.GREY, "width": 1.5, "dash": "dot"},
                          "hovertemplate": "%{y:,.0f} USD<extra>Buy and hold</extra>"})
    layout = theme.layout(dark, height=430, revision=revision, xaxis={"anchor": "y2", "type": "date"},
                          yaxis={"domain": [0.32, 1.0], "title": {"text": f"Equity, {unit}"}, "zeroline": unit == "R"},
                          yaxis2={"domain": [0.0, 0.26], "title": {"text": "Drawdown"}}, showlegend=unit == "USD")
    return {"data": traces, "layout": layout}


def distribution(trades: Columns, dark: bool, bins: int = 32) -> Figure:
    """How often each result in R happened; what lies beyond CLIP stands in the outermost bars."""
    counts, edges = np.histogram(np.clip(trades.r, *CLIP), bins=bins, range=CLIP)
    middle = (edges[:-1] + edges[1:]) / 2
    tips = [f"{low:+.2f} to {high:+.2f} R" for low, high in pairwise(edges.tolist())]
    tips[0], tips[-1] = f"below {edges[1]:+.2f} R", f"above {edges[-2]:+.2f} R"
    share = 100.0 * counts / max(1, len(trades))
    bars = {"type": "bar", "x": middle, "y": counts, "customdata": list(zip(tips, share.tolist(), strict=True)),
            "marker": {"color": [theme.signed(v) for v in middle.tolist()]}, "width": edges[1] - edges[0],
            "hovertemplate": "%{customdata[0]}: %{y:,} trades, %{customdata[1]:.1f}%<extra></extra>"}
    marks = [_line(float(trades.r.mean()), "mean", theme.BLUE),
             _line(float(np.median(trades.r)), "median", theme.ORANGE)]
    layout = theme.layout(dark, height=320, revision="r", hovermode="closest", bargap=0.05,
                          xaxis={"title": {"text": "Net result, R"}, "zeroline": False},
                          yaxis={"title": {"text": "Trades"}}, shapes=[m["shape"] for m in marks],
                          annotations=[{**m["note"], "yshift": -14 * i} for i, m in enumerate(marks)])
    return {"data": [bars], "layout": layout}


def _line(x: float, name: str, colour: str) -> dict[str, Any]:
    return {"shape": {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1,
                      "line": {"color": colour, "width": 1.5, "dash": "dash"}},
            "note": {"x": x, "xanchor": "left", "yref": "paper", "y": 1, "yanchor": "top", "showarrow": False,
                     "text": f"{name} {words.r(x)}", "font": {"color": colour}}}


def excursions(trades: Columns, kind: str, dark: bool) -> Figure:
    """Worst (mae) or best (mfe) price seen against the result, both in R, one point per trade."""
    rows = sample(len(trades))
    seen = (trades.mae_r if kind == "mae" else trades.mfe_r)[rows]
    result, traces = trades.r[rows], []
    for name, mask, colour in (("Lost", result <= 0, theme.DOWN), ("Won", result > 0, theme.UP)):
        traces.append({"type": "scatter", "mode": "markers", "name": name, "x": np.round(seen[mask], 3),
                       "y": np.round(result[mask], 3), "marker": {"color": theme.faded(colour, 0.55), "size": 5},
                       "hovertemplate": f"{kind.upper()} %{{x:.2f}} R, result %{{y:+.2f}} R<extra>{name}</extra>"})
    title = "MAE: furthest against the trade, R" if kind == "mae" else "MFE: furthest in its favour, R"
    reach = float(np.quantile(np.abs(seen), 0.995)) if len(seen) else 1.0
    wide = [-1.05 * reach, 0.05 * reach] if kind == "mae" else [-0.05 * reach, 1.05 * reach]
    layout = theme.layout(dark, height=340, revision=kind, hovermode="closest", showlegend=True,
                          xaxis={"title": {"text": title}, "range": wide}, yaxis={"title": {"text": "Net result, R"}})
    return {"data": traces, "layout": layout}


def sample(n: int, most: int = MOST_POINTS) -> Ints:
    """Positions of at most `most` rows, evenly spread in time."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64)) if n else np.empty(0, np.int64)


def bars(parts: Mapping[str, Summary], dark: bool, key: str) -> Figure:
    """Expectancy in R of each member of a group with its interval; how many trades stands in the tip."""
    names, all_ = [words.coin(name) for name in parts], list(parts.values())
    mean = [s.expectancy_r for s in all_]
    up, down = ([abs(edge - s.expectancy_r) if edge is not None and s.expectancy_r is not None else 0.0
                 for s, edge in zip(all_, edges, strict=True)]
                for edges in ([s.expectancy_r_high for s in all_], [s.expectancy_r_low for s in all_]))
    told = [f"{s.trades:,} trades, {s.win_pct:.1f}% won [{s.win_low_pct:.1f} to {s.win_high_pct:.1f}], break-even "
            f"{words.NONE if s.break_even_pct is None else f'{s.break_even_pct:.1f}%'}" for s in all_]
    data = {"type": "bar", "x": names, "y": mean, "customdata": told,
            "marker": {"color": [theme.faded(theme.signed(v), 0.8) for v in mean]},
            "error_y": {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": theme.GREY,
                        "thickness": 1, "width": 2},
            "hovertemplate": "%{x}: %{y:+.2f} R per trade<br>%{customdata}<extra></extra>"}
    layout = theme.layout(dark, height=260, revision=key, hovermode="closest", xaxis={"type": "category"},
                          yaxis={"title": {"text": "R per trade"}})
    return {"data": [data], "layout": layout}


def _dates(ts: Ints) -> Any:
    # Plotly takes ISO text without a zone as it stands: UTC.
    return ts.astype("datetime64[ms]")
