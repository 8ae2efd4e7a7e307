"""The forward record: what models said of plans that they could not have learned from, and what came of each.

The rows are those stored as the decisions fell, live or over history, and none of them is in-sample. The figures
are those of a training's report, so that both can stand side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.candles import Floats, Ints
from core.engine import figures
from core.engine.figures import Rule, Scored
from core.meta.gate import is_judged
from core.meta.samples import TARGETS, TRAILED, Flags, Samples, Texts
from core.signals.indicators import ema_weights
from core.signals.kernels import PLAIN
from core.store.reads.filter import FIELDS
from core.timeframe import MINUTE

Closes = Callable[[str, str, int, int], tuple[Ints, Floats]]  # symbol, timeframe, first and last bar

EMA = 200
EMA_BARS = 2 * EMA
_WEIGHTS: Floats = np.asarray(ema_weights(EMA, PLAIN)) / np.sum(ema_weights(EMA, PLAIN))

@dataclass(frozen=True, eq=False)
class Record:
    """Plans in the order of their decisions, all (n,). passed: the verdict. judged: the filter itself gave it.

    ts: open of the deciding bar. model: id of the one that gave p (empty: none did, and p and EV are NaN).
    """

    scored: Scored
    passed: Flags
    judged: Flags
    model: Texts
    ts: Ints

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, mask: Flags) -> "Record":
        """The rows of a boolean mask."""
        return Record(self.scored.take(mask), self.passed[mask], self.judged[mask], self.model[mask], self.ts[mask])

    def of_family(self, family: str) -> "Record":
        """The plans with targets, or those that only trail."""
        return self.take(self.scored.samples.family == family)

    def families(self) -> list[str]:
        """The families that have any plan."""
        return [name for name in (TARGETS, TRAILED) if bool((self.scored.samples.family == name).any())]


def record(rows: Sequence[Sequence[Any]]) -> Record:
    """The record from rows of `reads.filter.FIELDS`, filled and ended, in the order of (decided_ts, id)."""
    cells = dict(zip(FIELDS, zip(*rows, strict=True) if rows else [()] * len(FIELDS), strict=True))
    n = {name: np.array([np.nan if v is None else v for v in cells[name]], dtype=np.float64)
         for name in ("entry", "sl", "tp1", "cost_r", "ml_p", "ev_pct", "pnl_pct", "r_multiple")}
    text = {name: np.array(cells[name], dtype=object) for name in
            ("symbol", "timeframe", "setup", "direction", "trend", "vol")}
    when = {name: np.array(cells[name], dtype=np.int64) for name in ("ts", "decided_ts", "closed_ts")}
    risk = np.abs(n["entry"] - n["sl"])
    count = len(rows)
    samples = Samples(
        ids=tuple(cells["id"]), x=np.empty((count, 0)), names=(), t0=when["decided_ts"], t1=when["closed_ts"] + MINUTE,
        r=n["r_multiple"], pnl_pct=n["pnl_pct"], win=n["pnl_pct"] > 0, risk_pct=100.0 * risk / n["entry"],
        cost_r=n["cost_r"], rr1=np.abs(n["tp1"] - n["entry"]) / risk, in_sample=np.zeros(count, np.bool_), **text)
    passed = np.array([verdict == "pass" for verdict in cells["verdict"]], dtype=np.bool_)
    judged = np.array([is_judged(reason) for reason in cells["reason"]], dtype=np.bool_)
    p, ev = n["ml_p"], n["ev_pct"]
    model = np.array([name or "" for name in cells["model"]], dtype=object)
    return Record(Scored(samples, passed | judged, p, p, p, ev, ev, {}, {}), passed, judged, model, when["ts"])


def figures_of(found: Record, rule: Rule) -> dict[str, Any]:
    """The figures of a record in the form of a training's report (`figures.figures`): no baselines, they had no say.

    `gate` is what the filter passed itself; where it only observed it is empty. rule: by what the best are ranked.
    The groups (`by`) are left out: `parts_of` gives them.
    """
    s, gate = found.scored, found.passed & found.judged
    of = int(s.admitted.sum())
    return {
        "n": len(s), "weeks": figures.weeks(s.samples.t0), "from": int(s.samples.t0[0]) if len(s) else None,
        "to": int(s.samples.t0[-1]) if len(s) else None, "probability": figures.probability(s.p, s),
        "gate": figures.trades(s, gate, of), "ungated": figures.trades(s, s.admitted, of, claimed=False),
        "all": figures.trades(s, np.ones(len(s), np.bool_), claimed=False),
        "coverage": figures.coverage(s, rule), "deciles": figures.deciles(s),
    }


def parts_of(found: Record) -> dict[str, dict[str, Any]]:
    """The record by timeframe, regime, symbol, direction and setup (`figures.parts`)."""
    return figures.parts(found.scored, found.passed & found.judged)


def by_ending(found: Record) -> tuple[Floats, Floats, Ints]:
    """p, win (0 or 1) and the time of the result, in the order in which results became known."""
    order = np.argsort(found.scored.samples.t1, kind="stable")
    return found.scored.p[order], found.scored.samples.win[order].astype(np.float64), found.scored.samples.t1[order]


def rules(found: Record, along: Floats | None = None) -> dict[str, dict[str, Any]]:
    """What single rules would have taken of all plans that were admitted, as `figures.trades`; nothing is fitted.

    along: from `sides`, or None.
    """
    s = found.scored
    admitted, of = s.admitted, int(s.admitted.sum())
    named: dict[str, Flags] = {
        "every admitted plan": admitted,
        "only in a trend (ADX 25 and more)": admitted & (s.samples.trend == "trend"),
        "only without a trend": admitted & (s.samples.trend != "trend"),
        "only the cheaper half, by cost in R": admitted & _cheap(s.samples.cost_r, admitted),
        "only long": admitted & (s.samples.direction == "long"),
        "only short": admitted & (s.samples.direction == "short"),
    }
    if along is not None:
        named |= {"only on the side of EMA(200)": admitted & (along > 0),
                  "only against the side of EMA(200)": admitted & (along < 0)}
    told = {name: figures.trades(s, mask, of, claimed=False) for name, mask in named.items() if mask.any()}
    every = figures.trades(s, np.ones(len(s), np.bool_), claimed=False)
    return {**told, "every plan, refused ones too": every} if len(s) else {}


def sides(found: Record, closes: Closes) -> Floats:
    """1 where a plan goes with the side of EMA(200) that its deciding bar closed on, -1 against it, (n,); NaN unknown.

    closes: opens and closes of a symbol's bars from one bar to another, with EMA_BARS - 1 more before them.
    """
    s, out = found.scored.samples, np.full(len(found), np.nan)
    for symbol, timeframe in sorted(set(zip(s.symbol.tolist(), s.timeframe.tolist(), strict=True))):
        rows = np.flatnonzero((s.symbol == symbol) & (s.timeframe == timeframe))
        ts, close = closes(symbol, timeframe, int(found.ts[rows].min()), int(found.ts[rows].max()))
        if len(close) >= EMA_BARS:
            level = np.convolve(close, _WEIGHTS[::-1], mode="valid")
            at = np.searchsorted(ts[EMA_BARS - 1:], found.ts[rows])
            known = (at < len(level)) & (ts[EMA_BARS - 1:][np.minimum(at, len(level) - 1)] == found.ts[rows])
            at, rows = at[known], rows[known]
            up = np.sign(close[EMA_BARS - 1:][at] - level[at])
            out[rows] = np.where(s.direction[rows] == "long", up, -up)
    return out


def _cheap(cost_r: Floats, admitted: Flags) -> Flags:
    return np.asarray(cost_r <= np.median(cost_r[admitted])) if admitted.any() else np.zeros(len(cost_r), np.bool_)
