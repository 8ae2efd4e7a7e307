"""What features are made from: the candidates' own numbers and the bars around them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.candles import Bars, Floats, Ints

Series = tuple[Ints, Floats]  # times (ms UTC, ascending) and values
Span = tuple[int, int]  # from <= decided_ts < until, ms UTC
NEVER: Span = (0, 0)


class PlanFacts(NamedTuple):
    """A candidate as decided: times ms UTC, direction +1 or -1, prices on the tick (avwap raw), None = has none.

    Fields of `decide.Candidate`, by the same names.
    """

    setup: str
    timeframe: str
    direction: int
    ts: int
    decided_ts: int
    start_ts: int
    end_ts: int
    entry: float
    sl: float
    tp1: float | None
    tp2: float | None
    avwap: float | None
    cost_r: float
    tp1_net_pct: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The final bars around the candidates of one symbol and timeframe; what lies later is not read.

    bars: own timeframe. higher: the symbol's bars by timeframe (ms). btc: BTC's bars of the own timeframe,
    None for BTC itself. funding: rates (0.0001 = 0.01 %) at their settlements. start, btc_start: ms from where
    on the stretch of the symbol, of BTC, is complete (rule 1): older bars are not read, and a value that would
    need them is not known. higher_unseen, btc_unseen: decisions in these spans do not see the frame, because its
    history was not whole yet when they were made.
    """

    bars: Bars
    higher: Mapping[int, Bars]
    btc: Bars | None
    funding: Series | None
    atr_period: int
    start: int = 0
    btc_start: int = 0
    higher_unseen: Span = NEVER
    btc_unseen: Span = NEVER


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Candidates as columns, each of shape (n,); NaN = has none. side: the direction as +1.0 or -1.0."""

    setup: tuple[str, ...]
    timeframe: tuple[str, ...]
    side: Floats
    ts: Ints
    decided_ts: Ints
    start_ts: Ints
    end_ts: Ints
    entry: Floats
    sl: Floats
    tp1: Floats
    tp2: Floats
    avwap: Floats
    cost_r: Floats
    tp1_net_pct: Floats


def read(rows: Sequence[PlanFacts]) -> Rows:
    """Candidates to columns."""
    columns = list(zip(*rows, strict=True)) or [()] * len(PlanFacts._fields)
    ts, decided_ts, start_ts, end_ts = (np.array(column, np.int64) for column in columns[3:7])
    side, *prices = (np.array([math.nan if x is None else x for x in column], np.float64)
                     for column in (columns[2], *columns[7:]))
    return Rows(columns[0], columns[1], side, ts, decided_ts, start_ts, end_ts, *prices)
