"""The one call from final bars to candidates; live, retro and audit all make it."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from core.candles import Bars, MarketInfo
from core.signals.indicators import BLOCK, Indicators, run_start
from core.signals.kernels import Kernels
from core.signals.params import Common, Costs, Risk
from core.signals.plan import Plan, build
from core.signals.regime import VOL_WINDOW
from core.signals.setups import Found, Setup


class Candidate(NamedTuple):
    """A decision at the close of bar `ts`, with all that a signals row needs but the verdict of the gate.

    Times ms UTC; decided_ts = ts + timeframe. direction: +1 or -1. Prices on the tick, but avwap and
    liq (raw). None = the setup has none; trail_mult None and max_hold 0 = as configured.
    refusal: why admission refuses it, or None.
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
    leverage: int
    risk_pct: float
    qty: float
    notional: float
    tick: float
    lot: float
    min_notional: float
    tp1_net_pct: float | None
    cost_r: float
    trend: str
    vol: str
    refusal: str | None
    liq: float
    market: bool
    trail_mult: float | None
    max_hold: int
    rationale: str


def needs(setups: Sequence[tuple[Setup, Any]], common: Common) -> int:
    """Bars at or before the deciding one that the setups of a timeframe read, regime and ATR aside."""
    return max([common.lookback_candles + common.piv_window, *(s.needs(common, params) for s, params in setups)])


def window(setups: Sequence[tuple[Setup, Any]], common: Common) -> int:
    """Bars up to the deciding one with which any decision equals that from full history to the bit.

    The oldest of the regime's bars may be the last of its block, and the block before may be full.
    """
    return max(needs(setups, common), VOL_WINDOW - 1 + 2 * BLOCK)


def first_complete(bars: Bars, stretch_start: int, needs: int, lo: int) -> int:
    """First bar at or after `lo` that is warm (rule 5); len(bars) if none is.

    stretch_start: ms, from where on every minute is stored or known to be absent. needs: bars.
    Once a bar is warm all later ones are: what they need starts later.
    """
    left, right = max(lo, VOL_WINDOW - 1, needs - 1, 0), len(bars)
    if left >= right:
        return right
    while left < right:
        middle = (left + right) // 2
        if _warm(bars, stretch_start, needs, middle):
            right = middle
        else:
            left = middle + 1
    return left


def _warm(bars: Bars, stretch_start: int, needs: int, i: int) -> bool:
    oldest = run_start(int(bars.ts[i - VOL_WINDOW + 1]), bars.tf)
    return stretch_start <= min(oldest, int(bars.ts[i - needs + 1]))


def decide(bars: Bars, lo: int, hi: int, stretch_start: int, tf_name: str, setups: Sequence[tuple[Setup, Any]],
           market: MarketInfo, costs: Costs, risk: Risk, common: Common, kernels: Kernels,
           counts: Counter[str]) -> list[Candidate]:
    """Decide bars [lo, hi): every candidate, refused ones too, by (decided_ts, setup, start_ts).

    bars: final bars only, `window` of them up to each decided one. Bars that are not warm are passed
    over. counts: how many candidates were dropped, by reason.
    """
    lo = first_complete(bars, stretch_start, needs(setups, common), lo)
    ind = Indicators(bars, common.atr_period, kernels)
    candidates = []
    for setup, params in setups if lo < hi else ():
        for found in setup.find(bars, lo, hi, ind, common, params, kernels, counts):
            plan = build(found, bars, ind, market, costs, risk, common)
            if isinstance(plan, str):
                counts[plan] += 1
            else:
                candidates.append(_candidate(found, plan, bars, ind, tf_name, market))
    candidates.sort(key=lambda c: (c.decided_ts, c.setup, c.start_ts))
    return candidates


def _candidate(found: Found, plan: Plan, bars: Bars, ind: Indicators, tf_name: str, market: MarketInfo) -> Candidate:
    ts, trend, vol = int(bars.ts[found.i]), ind.trend(found.i), ind.vol(found.i)
    return Candidate(
        found.setup, tf_name, found.direction, ts, ts + bars.tf, int(bars.ts[found.start]), int(bars.ts[found.end]),
        plan.entry, plan.sl, _or_none(plan.tp1), _or_none(plan.tp2), _or_none(found.avwap), plan.leverage,
        plan.risk_pct, plan.qty, plan.notional, market.tick, market.lot, market.min_notional,
        _or_none(plan.tp1_net_pct), plan.cost_r, trend, vol, plan.refusal, plan.liq, found.market,
        _or_none(found.trail_mult), found.max_hold, f"{found.why}; {trend}, {vol} volatility.")


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
