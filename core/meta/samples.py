"""The labelled candidates as arrays: everything the mathematics of the filter needs, and no more.

Row i is one candidate that was filled and has ended, passed or refused alike (defect D9). Its label
covers [t0, t1) on the time axis: decided at t0, known from t1 on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.candles import Floats, Ints
from core.errors import DataError
from core.meta.leakage import check_intervals, check_sorted

Flags = NDArray[np.bool_]
Texts = NDArray[Any]  # str, dtype object or <U

TARGETS, TRAILED = "targets", "trailed"  # families: plans with take-profit levels, plans that only trail


@dataclass(frozen=True, eq=False)
class Samples:
    """n labelled candidates in the order of (t0, id); all arrays of length n.

    ids: unique. x: (n, k) float64, the features known at t0, NaN = not known, never infinite. names: the
    k columns in order. t0: decided_ts, t1: closed_ts + 60,000, ms UTC. r: net result in multiples of the
    planned risk. pnl_pct: net percent of notional. win: pnl_pct > 0. risk_pct: |entry - sl| / entry x 100.
    cost_r: planned cost in R. rr1: reward to risk of the first target, NaN without targets. trend, vol:
    regime at t0. in_sample: judged by a model that had seen it; no performance figure may use such a row.
    Raises DataError for wrong lengths, order, labels, infinite features or results that are not finite.
    """

    ids: tuple[str, ...]
    x: Floats
    names: tuple[str, ...]
    t0: Ints
    t1: Ints
    r: Floats
    pnl_pct: Floats
    win: Flags
    risk_pct: Floats
    cost_r: Floats
    rr1: Floats
    symbol: Texts
    timeframe: Texts
    setup: Texts
    direction: Texts
    trend: Texts
    vol: Texts
    in_sample: Flags

    def __post_init__(self) -> None:
        if self.x.shape != (len(self.ids), len(self.names)):
            raise DataError(f"x is {self.x.shape}, but there are {len(self.ids)} ids and {len(self.names)} names")
        for name in COLUMNS:
            if getattr(self, name).shape != (len(self.ids),):
                raise DataError(f"column {name} has shape {getattr(self, name).shape}, not ({len(self.ids)},)")
        check_intervals(self.t0, self.t1)
        check_sorted(self.t0)
        self._check_values()

    def _check_values(self) -> None:
        if len(set(self.ids)) != len(self.ids) or len(set(self.names)) != len(self.names):
            raise DataError("an id or a feature name stands twice")
        for name in ("r", "pnl_pct", "risk_pct", "cost_r"):
            bad = np.flatnonzero(~np.isfinite(getattr(self, name)))
            if len(bad):
                raise DataError(f"{name} of {self.ids[bad[0]]} is not finite ({len(bad)} such rows)")
        wild = np.argwhere(np.isinf(self.x))
        if len(wild):
            raise DataError(f"feature {self.names[wild[0][1]]} of {self.ids[wild[0][0]]} is infinite "
                            f"({len(wild)} such values)")
        if np.any(self.win != (self.pnl_pct > 0)):
            raise DataError("win must mean that the net result is above zero")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def family(self) -> Texts:
        """The family of each row: TARGETS where it has a first target, else TRAILED."""
        return np.where(np.isnan(self.rr1), TRAILED, TARGETS)

    def take(self, index: NDArray[Any]) -> "Samples":
        """The rows of an ascending index array or of a boolean mask of length n, as a copy."""
        rows = np.flatnonzero(index) if index.dtype == bool else index
        kept = {name: getattr(self, name)[rows] for name in (*COLUMNS, "x")}
        return Samples(ids=tuple(self.ids[i] for i in rows), names=self.names, **kept)


COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(Samples) if f.name not in ("ids", "names", "x"))


def build(names: Sequence[str], ids: Sequence[str], x: Floats, **columns: Any) -> Samples:
    """Samples from rows in any order: sorted by (t0, id), columns cast to their types.

    columns: every column of `Samples` but `win`, which follows from pnl_pct. Raises TypeError for a
    missing or unknown column, DataError as Samples does.
    """
    table = {name: np.asarray(values, dtype=_TYPES.get(name, object)) for name, values in columns.items()}
    order = sorted(range(len(ids)), key=lambda i: (int(table["t0"][i]), ids[i]))
    table = {name: values[order] for name, values in table.items()}
    wide = np.asarray(x, dtype=np.float64).reshape(len(ids), len(names))[order]
    return Samples(ids=tuple(ids[i] for i in order), x=wide, names=tuple(names), win=table["pnl_pct"] > 0, **table)


def average_uniqueness(t0: Ints, t1: Ints) -> Floats:
    """Mean of 1 / (labels alive) over the life [t0, t1) of each label, over all symbols; (n,) in (0, 1].

    Its sum is about the number of independent labels. Continuous in time, so bars of any length mix.
    Source: Lopez de Prado, Advances in Financial Machine Learning (2018), ch. 4.2-4.3.
    Raises DataError for labels that end before they begin.
    """
    check_intervals(t0, t1)
    edges = np.unique(np.concatenate((t0, t1)))
    begun = np.searchsorted(np.sort(t0), edges, side="right")
    ended = np.searchsorted(np.sort(t1), edges, side="right")
    alive = (begun - ended)[:-1]  # on [edges[i], edges[i + 1])
    share = np.diff(edges) / np.maximum(alive, 1)
    area = np.concatenate(([0.0], np.cumsum(share)))
    return (area[np.searchsorted(edges, t1)] - area[np.searchsorted(edges, t0)]) / (t1 - t0)


def uniqueness(t0: Ints, t1: Ints) -> Floats:
    """Training weights of labels that overlap in time: `average_uniqueness` scaled to mean 1; (n,)."""
    shares = average_uniqueness(t0, t1)
    return shares / shares.mean() if len(shares) else shares


def had_time(t0: Ints, frontier: int, horizon_ms: int) -> Flags:
    """Rows decided at least `horizon_ms` (the longest life of a trade) before the frontier; bool (n,).

    Near the end of the data only trades that ended quickly have a label, which are mostly the stopped
    ones: a report over them is too bleak and a model trained on them learns the calendar.
    """
    return t0 + horizon_ms <= frontier


def useless(x: Floats, names: Sequence[str]) -> dict[str, str]:
    """Columns no model can use, by name: "never known" (all NaN) or "constant"."""
    found = {}
    for j, name in enumerate(names):
        known = x[~np.isnan(x[:, j]), j]
        if not len(known):
            found[name] = "never known"
        elif known.min() == known.max() and len(known) == len(x):
            found[name] = "constant"
    return found


_TYPES: dict[str, Any] = {
    "t0": np.int64, "t1": np.int64, "in_sample": np.bool_,
    "r": np.float64, "pnl_pct": np.float64, "risk_pct": np.float64, "cost_r": np.float64, "rr1": np.float64,
}
