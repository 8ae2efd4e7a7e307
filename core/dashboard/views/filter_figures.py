"""The figures of the page Filter, as plain dicts that plotly understands. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.candles import Floats, Ints
from core.dashboard import theme
from core.engine.account import WORDS
from core.meta.drift import DESIGN
from core.store.reads.filter import BIN_PCT, Bin
from core.trades import equity

Figure = dict[str, Any]
Part = Mapping[str, Any]

WINDOW = 200  # plans of the rolling shares


def coverage(part: Part, dark: bool) -> Figure:
    """The best plans by score: how many win beside what would break even, and net R, for each share of them."""
    points = [c for c in part["coverage"] if c["n"]]
    x = [100 * c["coverage"] for c in points]
    told = [f"n {c['n']:,}, threshold {c['threshold']:.3g}" for c in points]
    win = _whiskers(x, [_pct(c["win_rate"]) for c in points], [_pct(c["win_low"]) for c in points],
                    [_pct(c["win_high"]) for c in points], "Won", theme.BLUE, told, "%")
    even = {"type": "scatter", "mode": "lines", "name": "Break-even", "x": x,
            "y": [_pct(c["break_even"]) for c in points], "line": {"color": theme.ORANGE, "dash": "dash"},
            "hovertemplate": "break-even %{y:.1f}%<extra></extra>"}
    mean, low, high = ([c[name] for c in points] for name in ("mean_r", "mean_r_low", "mean_r_high"))
    r = _whiskers(x, mean, low, high, "R per plan", theme.PURPLE, told, " R") | {"yaxis": "y2", "showlegend": False}
    gate = [_gate(part["gate"])] if part["gate"]["n"] else []
    layout = theme.layout(
        dark, height=400, revision="coverage", hovermode="closest", showlegend=True,
        xaxis={"anchor": "y2", "title": {"text": "Coverage: share of the admitted plans taken, %"}},
        yaxis={"domain": [0.42, 1.0], "title": {"text": "Win%"}},
        yaxis2={"domain": [0.0, 0.34], "title": {"text": "R per plan"}, "zeroline": True, "zerolinewidth": 2})
    return {"data": [win, even, *gate, r], "layout": layout}


def _gate(gate: Part) -> dict[str, Any]:
    one = _whiskers([100 * (gate["coverage"] or 0.0)], [_pct(gate["win_rate"])], [_pct(gate["win_low"])],
                    [_pct(gate["win_high"])], "The filter", theme.UP, [f"n {gate['n']:,}"], "%")
    return one | {"mode": "markers", "marker": {"symbol": "diamond", "size": 11, "color": theme.UP}}


def _whiskers(x: Sequence[Any], y: Sequence[Any], low: Sequence[Any], high: Sequence[Any], name: str, colour: str,
              told: Sequence[str], unit: str) -> dict[str, Any]:
    up, down = ([None if edge is None or at is None else abs(edge - at) for at, edge in zip(y, edges, strict=True)]
                for edges in (high, low))
    spans = [f"{t}<br>95 %: {_round(a)} to {_round(b)}" for t, a, b in zip(told, low, high, strict=True)]
    return {"type": "scatter", "mode": "lines+markers", "name": name, "x": x, "y": y, "customdata": spans,
            "line": {"color": colour, "width": 2}, "marker": {"size": 6},
            "error_y": {"type": "data", "symmetric": False, "array": up, "arrayminus": down,
                        "color": theme.faded(colour, 0.7), "thickness": 1.5, "width": 3},
            "hovertemplate": f"%{{x:.3g}}: %{{y:.3g}}{unit}<br>%{{customdata}}<extra>{name}</extra>"}


def reliability(part: Part, dark: bool) -> Figure:
    """Claimed against observed shares of wins, with intervals, and how many plans stand behind each point."""
    points = part["probability"].get("reliability", [])
    x = [_pct(b["claimed"]) for b in points]
    curve = _whiskers(x, [_pct(b["observed"]) for b in points], [_pct(b["low"]) for b in points],
                      [_pct(b["high"]) for b in points], "Observed", theme.BLUE, [f"n {b['n']:,}" for b in points], "%")
    ends = [0.0, 100.0]
    if points:
        edges = [v for v in (*x, *(_pct(b[name]) for b in points for name in ("low", "high"))) if v is not None]
        ends = [max(0.0, min(edges) - 3), min(100.0, max(edges) + 3)]
    ideal = {"type": "scatter", "mode": "lines", "name": "Says what it means", "x": ends, "y": ends,
             "hoverinfo": "skip", "line": {"color": theme.GREY, "dash": "dash"}}
    counts = {"type": "bar", "x": x, "y": [b["n"] for b in points], "yaxis": "y2", "showlegend": False,
              "marker": {"color": theme.faded(theme.BLUE, 0.5)}, "width": max(0.4, (ends[1] - ends[0]) / 60),
              "hovertemplate": "%{x:.1f}%: %{y:,} plans<extra></extra>"}
    layout = theme.layout(
        dark, height=400, revision="reliability", hovermode="closest", showlegend=True,
        xaxis={"anchor": "y2", "range": ends, "title": {"text": "Claimed p(win), %"}},
        yaxis={"domain": [0.3, 1.0], "range": ends, "title": {"text": "Observed, %"}},
        yaxis2={"domain": [0.0, 0.22], "title": {"text": "Plans"}, "rangemode": "tozero"})
    return {"data": [ideal, curve, counts], "layout": layout}


def deciles(part: Part, dark: bool) -> Figure:
    """EV predicted against realised, percent of the notional, in ten groups by rising prediction."""
    groups = part["deciles"]
    x, y = [d["predicted"] for d in groups], [d["realised"] for d in groups]
    error = [None if d["error"] is None else 1.96 * d["error"] for d in groups]
    low, high = ([None if e is None else at + side * e for at, e in zip(y, error, strict=True)] for side in (-1, 1))
    points = _whiskers(x, y, low, high, "Realised", theme.BLUE, [f"n {d['n']:,}" for d in groups], "%")
    ends = [min(x), max(x)] if x else [0.0, 1.0]
    ideal = {"type": "scatter", "mode": "lines", "name": "As predicted", "x": ends, "y": ends, "hoverinfo": "skip",
             "line": {"color": theme.GREY, "dash": "dash"}}
    layout = theme.layout(dark, height=340, revision="deciles", hovermode="closest", showlegend=True,
                          xaxis={"title": {"text": "Predicted EV, % (tenths of the admitted plans)"}},
                          yaxis={"title": {"text": "Realised, %"}, "zeroline": True, "zerolinewidth": 2})
    return {"data": [ideal, points], "layout": layout}


CLASSES = {"passed by the filter": theme.UP, "refused by the filter": theme.DOWN, "observed only": theme.BLUE,
           "refused by admission": theme.GREY}


def p_histogram(bins: Sequence[Bin], dark: bool, threshold: float | None) -> Figure:
    """How often p fell where, by what became of the plan. threshold: of p, None where the filter goes by EV."""
    counts: dict[str, dict[int, int]] = {name: {} for name in CLASSES}
    for b in bins:
        of = counts[judged(b.verdict, b.word)]
        of[b.bin] = of.get(b.bin, 0) + b.n
    data = [{"type": "bar", "name": name, "x": [BIN_PCT * (k + 0.5) for k in sorted(of)],
             "y": [of[k] for k in sorted(of)], "width": 0.92 * BIN_PCT,
             "marker": {"color": theme.faded(CLASSES[name], 0.85)},
             "hovertemplate": f"p about %{{x:.0f}}%: %{{y:,}}<extra>{name}</extra>"}
            for name, of in counts.items() if of]
    line = [] if threshold is None else [
        {"type": "line", "x0": 100 * threshold, "x1": 100 * threshold, "yref": "paper", "y0": 0, "y1": 1,
         "line": {"color": theme.ORANGE, "dash": "dash"}}]
    layout = theme.layout(dark, height=340, revision="p", hovermode="closest", showlegend=True, barmode="stack",
                          shapes=line, xaxis={"title": {"text": "p(win), %"}}, yaxis={"title": {"text": "Decisions"}})
    return {"data": data, "layout": layout}


def judged(verdict: str, word: str) -> str:
    """What became of a scored plan, one of CLASSES. word: the first of the verdict's reason."""
    if word in WORDS:
        return "passed by the filter" if verdict == "pass" else "refused by the filter"
    return "observed only" if verdict == "pass" else "refused by admission"


def importance(shares: Mapping[str, float], dark: bool, most: int = 15) -> Figure:
    """Share of the gain that each feature brought, the largest on top."""
    top = sorted(shares.items(), key=lambda item: item[1])[-most:]
    bar = {"type": "bar", "orientation": "h", "y": [name for name, _ in top], "x": [100 * share for _, share in top],
           "marker": {"color": theme.BLUE}, "hovertemplate": "%{y}: %{x:.1f}%<extra></extra>"}
    return {"data": [bar], "layout": theme.layout(
        dark, height=60 + 22 * len(top), revision="importance", hovermode="closest",
        xaxis={"title": {"text": "Share of the gain, %"}}, yaxis={"type": "category"})}


def rolling(p: Floats, win: Floats, ts: Ints, dark: bool, window: int = WINDOW) -> Figure:
    """Claimed and observed shares of wins over the last `window` plans, by when the results were known.

    The band is what chance allows, plans coming in clumps.
    """
    if len(p) < window:
        return {"data": [], "layout": theme.layout(dark, height=300)}
    claimed, observed = (100.0 * _moving(values, window) for values in (p, win))
    kept = equity.thin(observed, 600)
    when = ts[window - 1:][kept].astype("datetime64[ms]")
    spread = 196.0 * np.sqrt(DESIGN * claimed / 100 * (1 - claimed / 100) / window)
    band = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False,
            "x": when}
    data = [
        band | {"y": (claimed - spread)[kept]},
        band | {"y": (claimed + spread)[kept], "fill": "tonexty", "fillcolor": theme.faded(theme.GREY, 0.2),
                "showlegend": True, "name": "What chance allows"},
        {"type": "scatter", "mode": "lines", "name": "Claimed", "x": when, "y": claimed[kept],
         "line": {"color": theme.ORANGE, "dash": "dash"}, "hovertemplate": "claimed %{y:.1f}%<extra></extra>"},
        {"type": "scatter", "mode": "lines", "name": "Observed", "x": when, "y": observed[kept],
         "line": {"color": theme.BLUE, "width": 2}, "hovertemplate": "won %{y:.1f}%<extra></extra>"}]
    layout = theme.layout(dark, height=300, revision="rolling", showlegend=True, xaxis={"type": "date"},
                          yaxis={"title": {"text": f"Of the last {window} plans, %"}})
    return {"data": data, "layout": layout}


def _moving(values: Floats, window: int) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((total[window:] - total[:-window]) / window)


def _pct(fraction: float | None) -> float | None:
    return None if fraction is None or fraction != fraction else 100.0 * fraction


def _round(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
