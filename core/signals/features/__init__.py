"""What is known of a candidate at its decision, as one ordered table of numbers.

The order and the meaning of the columns are a contract with the models: VERSION grows with any change of a
value, a name or the order. Everything with a side is in the direction of the trade, so that a long and its
mirrored short look alike; everything is in ATRs, ranks, percent or shares, so that symbols compare.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from core import timeframe
from core.candles import Floats
from core.errors import DataError
from core.signals.features import hours, market, plan, shape, trend
from core.signals.features.facts import Frames, PlanFacts, Rows, read
from core.signals.features.view import ANCHORED, RANKED, View, as_of
from core.signals.kernels import Kernels

__all__ = ["FEATURES", "NAMES", "VERSION", "Frames", "Needs", "PlanFacts", "needs", "table"]

VERSION = 2
FEATURES: dict[str, str] = {**shape.FEATURES, **trend.FEATURES, **plan.FEATURES, **market.FEATURES, **hours.FEATURES}
NAMES: tuple[str, ...] = tuple(FEATURES)


class Needs(NamedTuple):
    """How far back each frame must reach for a row to have the bits of full history.

    bars: of the own timeframe up to and including the deciding one, and not fewer than the decision itself
    needs (`decide.window`, which holds the impulse). higher: bars by timeframe (ms), up to the last closed
    one. btc: bars of the own timeframe. funding: ms before decided_ts.
    """

    bars: int
    higher: Mapping[int, int]
    btc: int
    funding: int


def needs(tf: int) -> Needs:
    """What the features of a candidate of timeframe `tf` (ms) read."""
    higher = trend.HIGHER.get(tf)
    return Needs(RANKED, {} if higher is None else {higher: ANCHORED}, RANKED, market.FUNDING_REACH)


def table(rows: Sequence[PlanFacts], frames: Frames, kernels: Kernels) -> Floats:
    """Features of candidates of one symbol and timeframe, float64, shape (len(rows), len(NAMES)).

    NaN = not known; never infinite. Row by row the same bits whatever else is asked for, whatever comes
    later, and whatever lies further back than `needs`. Raises DataError for a row of another timeframe or
    without its deciding bar.
    """
    facts = read(rows)
    own = _own(facts, rows, frames, kernels)
    with np.errstate(all="ignore"):
        columns = {**shape.columns(facts, own), **trend.columns(facts, own, frames, kernels),
                   **plan.columns(facts, own), **market.columns(facts, frames, kernels),
                   **hours.columns(facts)}
    out = np.column_stack([columns[name] for name in NAMES])
    out[~np.isfinite(out)] = np.nan
    return out + 0.0  # no negative zeros


def _own(facts: Rows, rows: Sequence[PlanFacts], frames: Frames, kernels: Kernels) -> View:
    bars = frames.bars.cut(int(frames.bars.ts.searchsorted(frames.start)), len(frames.bars))
    name = timeframe.NAMES.get(bars.tf, f"{bars.tf} ms")
    at = as_of(bars, facts.decided_ts)
    for k in np.flatnonzero((at < 0) | (facts.ts + bars.tf != facts.decided_ts)).tolist():
        raise DataError(f"no {name} bar closes when the candidate of {timeframe.show_time(rows[k].ts)} on "
                        f"{rows[k].timeframe} is decided")
    for k in np.flatnonzero(bars.ts[at] != facts.ts).tolist():
        raise DataError(f"the deciding bar {timeframe.show_time(rows[k].ts)} on {rows[k].timeframe} is not there")
    return View(bars, at, frames.start, frames.atr_period, kernels)
