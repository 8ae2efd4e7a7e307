"""The thresholds of the gate: which one applies, and how the weekly tuning finds them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.candles import Floats, Ints
from core.errors import DataError

STEPS = 20  # coverages tried for each group: 100 %, 95 %, ..., 5 %


@dataclass(frozen=True, slots=True)
class Limit:
    """What is asked of one pair and timeframe, or of one regime; None leaves it to the next level."""

    threshold: float | None = None
    min_ev_pct: float | None = None


Table = Mapping[str, Mapping[str, Limit]]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All thresholds in force. pair: symbol -> timeframe -> Limit. regime: trend -> volatility -> Limit.

    use_ev: min_ev_pct (percent) counts, else threshold (0 to 1).
    """

    use_ev: bool
    threshold: float
    min_ev_pct: float
    pair: Table = field(default_factory=dict)
    regime: Table = field(default_factory=dict)

    def resolve(self, symbol: str, tf: str, trend: str, vol: str) -> tuple[float, str]:
        """The value that applies and where it comes from: pair and timeframe, then regime, then global."""
        levels = ((self.pair, symbol, tf, f"pair {symbol} {tf}"), (self.regime, trend, vol, f"regime {trend}/{vol}"))
        for table, outer, inner, source in levels:
            value = self._of(table.get(outer, {}).get(inner))
            if value is not None:
                return value, source
        return (self.min_ev_pct if self.use_ev else self.threshold), "global"

    def _of(self, limit: Limit | None) -> float | None:
        if limit is None:
            return None
        return limit.min_ev_pct if self.use_ev else limit.threshold


def from_plain(plain: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Limit]]:
    """A table from nested dicts, as JSON holds it. Raises DataError for what is not one."""
    try:
        return {
            outer: {inner: Limit(_number(row.get("threshold")), _number(row.get("min_ev_pct")))
                    for inner, row in rows.items()}
            for outer, rows in plain.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"not a table of thresholds: {error}") from error


def to_plain(table: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Nested dicts of a table whose rows have `threshold` and `min_ev_pct`; what is None is left out."""
    return {
        outer: {inner: {name: float(value) for name in ("threshold", "min_ev_pct")
                        if (value := getattr(row, name)) is not None} for inner, row in rows.items()}
        for outer, rows in table.items()
    }


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


# Tuning


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """Closed plans with what an out-of-sample model said of each, shape (n,).

    value: p (0 to 1) or the expected value in percent, as the mode says. win: net result above zero. net_pct:
    net result, percent of notional. t0: decided_ts; t1: when the result was known (ms).
    """

    value: Floats
    win: NDArray[np.bool_]
    net_pct: Floats
    t0: Ints
    t1: Ints
    symbol: NDArray[Any]
    timeframe: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Goal:
    """What the tuning aims for.

    mode `p`: a win rate (0 to 1) of at least `target`; mode `ev`: a mean net result (percent) of at least
    `target`: a win rate says nothing of plans that win seldom and much. least: fewer passing rows prove
    nothing. sure: standard errors by which the rows chosen on must exceed the target, since the lowest
    threshold that just reaches it would miss it half the time later. prior: rows that the parent's value
    counts for. share: part of the time that is chosen on; what follows is scored on. embargo_ms: between them.
    """

    mode: str
    target: float
    least: int = 30
    sure: float = 1.28
    prior: float = 200.0
    share: float = 0.6
    embargo_ms: int = 86_400_000


@dataclass(frozen=True, slots=True)
class Tried:
    """One threshold held against one group: part `chosen` or `scored`; level `global`, `timeframe` or `pair`.

    n, coverage: rows that pass. win_rate, mean_pct, error_pct: theirs, with the standard error of the mean.
    """

    part: str
    level: str
    name: str
    threshold: float
    n: int
    coverage: float
    win_rate: float
    mean_pct: float
    error_pct: float

    def reached(self, goal: Goal, sure: float = 0.0) -> bool:
        """Whether enough rows pass, and reach the target by `sure` standard errors."""
        if self.n < goal.least:
            return False
        if goal.mode == "ev":
            return self.mean_pct - sure * self.error_pct >= goal.target
        return self.win_rate - sure * math.sqrt(self.win_rate * (1.0 - self.win_rate) / self.n) >= goal.target


@dataclass(frozen=True, slots=True)
class Choice:
    """What came out for one pair and timeframe.

    own: the threshold of its own rows, None where none reaches the target. value: after shrinking, None where
    no level has any. scored: `value` on rows it was not chosen on, and `pooled` the same for its timeframe.
    kept: whether it is used. why: in words.
    """

    symbol: str
    timeframe: str
    own: float | None
    value: float | None
    scored: Tried | None
    pooled: Tried | None
    kept: bool
    why: str


@dataclass(frozen=True, slots=True)
class Tuned:
    """The table to use, how each row of it came about, and every set that was evaluated (for the trial log)."""

    table: dict[str, dict[str, Limit]]
    choices: tuple[Choice, ...]
    tried: tuple[Tried, ...]


@dataclass(frozen=True, slots=True)
class _Level:
    # A group's threshold after shrinking; raw is its own, None where its rows reach the target nowhere.
    raw: float | None
    value: float | None


def tune(rows: Graded, goal: Goal) -> Tuned:
    """Find per pair and timeframe the lowest threshold (the most coverage) that reaches the target.

    It is chosen on the earlier rows, whose results were known before the later ones began, and shrunk to the
    timeframe's value, as that is to the global one: value = (n x own + prior x parent) / (n + prior), n the
    rows that pass. It is kept only if it reaches the target on the later rows too: its own, or where they are
    fewer than `least`, those of its timeframe. Where nothing is kept the table has no row, and the broader
    level of the gate applies. Raises DataError where there is nothing to choose on or to score on.
    """
    _check(rows, goal)
    early, late = _halves(rows, goal)
    tried: list[Tried] = []
    top = _choose(rows, early, goal, "global", "all", None, tried)
    table: dict[str, dict[str, Limit]] = {}
    choices = []
    for tf in sorted(set(rows.timeframe[early].tolist())):
        of_tf = rows.timeframe == tf
        middle = _choose(rows, early & of_tf, goal, "timeframe", tf, top.value, tried)
        for symbol in sorted(set(rows.symbol[early & of_tf].tolist())):
            own = of_tf & (rows.symbol == symbol)
            found = _choose(rows, early & own, goal, "pair", f"{symbol} {tf}", middle.value, tried)
            choice = _confirm(rows, late, own, of_tf, goal, (symbol, tf), found, tried)
            choices.append(choice)
            if choice.kept and choice.value is not None:
                table.setdefault(symbol, {})[tf] = _limit(goal, choice.value)
    return Tuned(table, tuple(choices), tuple(tried))


def _check(rows: Graded, goal: Goal) -> None:
    if goal.mode not in ("ev", "p"):
        raise DataError(f"thresholds are tuned in mode ev or p, not {goal.mode!r}")
    if not np.isfinite(rows.value).all():
        raise DataError("thresholds cannot be tuned on rows without a score")


def _halves(rows: Graded, goal: Goal) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    if not len(rows.t0):
        raise DataError("there are no closed plans to tune thresholds on")
    first, last = int(rows.t0.min()), int(rows.t0.max())
    cut = first + int((last - first) * goal.share)
    late = rows.t0 >= cut
    early = rows.t1 + goal.embargo_ms <= cut
    if not early.any() or not late.any():
        raise DataError(
            f"{len(rows.t0)} closed plans do not reach far enough to choose thresholds on the earlier part "
            "and to score them on the later one"
        )
    return early, late


def _choose(rows: Graded, mask: NDArray[np.bool_], goal: Goal, level: str, name: str, parent: float | None,
            tried: list[Tried]) -> _Level:
    values = rows.value[mask]
    best: Tried | None = None
    for cut in _cuts(values):
        found = _measure(rows, mask, float(cut), "chosen", level, name)
        tried.append(found)
        if best is None and found.reached(goal, goal.sure):
            best = found
    if best is None:
        return _Level(None, parent)
    if parent is None:
        return _Level(best.threshold, best.threshold)
    return _Level(best.threshold, (best.n * best.threshold + goal.prior * parent) / (best.n + goal.prior))


def _cuts(values: Floats) -> Floats:
    # Ascending: the first that reaches the target has the most coverage.
    if not len(values):
        return values
    return np.unique(np.quantile(values, np.arange(STEPS) / STEPS, method="lower"))


def _measure(rows: Graded, mask: NDArray[np.bool_], cut: float, part: str, level: str, name: str) -> Tried:
    passing = mask & (rows.value >= cut)
    n, of = int(passing.sum()), int(mask.sum())
    win = float(rows.win[passing].mean()) if n else float("nan")
    net = rows.net_pct[passing]
    mean = float(net.mean()) if n else float("nan")
    error = float(net.std(ddof=1)) / math.sqrt(n) if n > 1 else float("nan")
    return Tried(part, level, name, cut, n, n / of if of else 0.0, win, mean, error)


def _confirm(rows: Graded, late: NDArray[np.bool_], own: NDArray[np.bool_], of_tf: NDArray[np.bool_], goal: Goal,
             pair: tuple[str, str], found: _Level, tried: list[Tried]) -> Choice:
    symbol, tf = pair
    if found.value is None:
        return Choice(symbol, tf, None, None, None, None, False, "no threshold reaches the target on any level")
    scored = _measure(rows, late & own, found.value, "scored", "pair", f"{symbol} {tf}")
    pooled = _measure(rows, late & of_tf, found.value, "scored", "timeframe", tf)
    tried += [scored, pooled]
    judged = scored if scored.n >= goal.least else pooled
    kept = judged.reached(goal)
    said = f"{judged.n} later plans of {judged.name} {'reach' if kept else 'do not reach'} the target"
    if found.raw is None:
        said += "; its own earlier ones do not, so the value is that of its timeframe or of all"
    return Choice(symbol, tf, found.raw, found.value, scored, pooled, kept, said)


def _limit(goal: Goal, value: float) -> Limit:
    return Limit(min_ev_pct=value) if goal.mode == "ev" else Limit(threshold=min(1.0, max(0.0, value)))
