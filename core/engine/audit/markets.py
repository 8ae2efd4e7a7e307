"""Generated markets for the audit, run through the program's own functions: bars, plans, features, outcomes."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core import timeframe
from core.candles import Bars, Floats, MarketInfo
from core.config import Config, decision_body
from core.engine import compiled, frames, params
from core.market.generated import random_walk
from core.meta.samples import Flags, Samples, build
from core.signals.decide import Candidate, decide
from core.signals.features import NAMES, Frames, table
from core.signals.features.trend import HIGHER
from core.signals.indicators import Indicators
from core.signals.params import Common, Costs, Risk
from core.signals.setups import REGISTRY, Setup
from core.timeframe import DAY, MINUTE
from core.trades.arrays import empty_states, pack_orders, unpack_states
from core.trades.lifecycle import Order, State
from core.trades.orders import Execution, make_order
from core.trades.results import result

FREE = Costs(0.0, 0.0, 0.0, False)
TERMS = MarketInfo(tick=1e-6, lot=1e-9, min_notional=0.0)  # a grid too fine to matter
TF = 15 * MINUTE
WALK_VOL = 0.0012  # of a minute: stops then cost about a tenth of the risk
USD = 1000.0


@dataclass(frozen=True, slots=True)
class Rules:
    """How plans are found and ended. setups: every enabled one, whatever timeframe it is configured for."""

    setups: tuple[tuple[Setup, Any], ...]
    common: Common
    costs: Costs
    risk: Risk
    execution: Execution
    trail_period: int

    def free(self) -> "Rules":
        """The same rules in a world without costs, where nothing is refused for what it costs."""
        common = replace(self.common, min_tp_net_pct=-math.inf, max_cost_r=math.inf)
        return replace(self, costs=FREE, common=common)


def rules(cfg: Config) -> Rules:
    """The rules of a configuration."""
    body = decision_body(cfg)
    setups = tuple((REGISTRY[name], used.params) for name, used in sorted(cfg.signals.setups.items()))
    return Rules(setups, params.common(body), params.costs(body), params.risk(body), params.execution(body),
                 body["execution"]["trail"]["atr_period"])


@dataclass(frozen=True, eq=False)
class Plans:
    """The plans of one market and what came of them, in the order they were decided. atr: of the trail, by bar."""

    minutes: Bars
    bars: Bars
    found: list[Candidate]
    orders: list[Order]
    states: list[State]
    atr: Floats


def joined(bars: Bars, tf: int) -> Bars:
    """Bars of a higher timeframe (ms) as the store would build them, in one go; no bars from none."""
    if not len(bars):
        return replace(bars, tf=tf)
    cuts = np.flatnonzero(np.diff(bars.ts // tf, prepend=-1))
    stops, add = np.append(cuts[1:], len(bars)) - 1, np.add.reduceat
    return Bars(tf, bars.ts[cuts] // tf * tf, bars.open[cuts], np.maximum.reduceat(bars.high, cuts),
                np.minimum.reduceat(bars.low, cuts), bars.close[stops], add(bars.volume, cuts), add(bars.minutes, cuts))


def decided(bars: Bars, lo: int, hi: int, used: Rules, kernels: Any, terms: MarketInfo = TERMS,
            start: int = 0) -> list[Candidate]:
    """What the setups decide on bars [lo, hi). start: ms, from where on every minute is there."""
    return decide(bars, lo, hi, start, timeframe.NAMES[bars.tf], used.setups, terms, used.costs, used.risk,
                  used.common, kernels, Counter())


def played(minutes: Bars, used: Rules, tf: int = TF, terms: MarketInfo = TERMS) -> Plans:
    """Every plan of a market's whole history and its outcome, by the compiled kernels as retro runs them."""
    bars, kernels = joined(minutes, tf), compiled.kernels()
    found = decided(bars, 0, len(bars), used, kernels, terms, int(minutes.ts[0]))
    orders = [make_order(c.direction, c.market, c.entry, c.sl, c.tp1, c.tp2, c.liq, c.decided_ts, tf, used.execution,
                         used.costs, c.trail_mult, c.max_hold) for c in found]
    atr = Indicators(bars, used.trail_period, kernels).atr_array(0, len(bars))
    return Plans(minutes, bars, found, orders, walked(orders, minutes, bars, atr), atr)


def walked(orders: Sequence[Order], minutes: Bars, bars: Bars, atr: Floats) -> list[State]:
    """What becomes of orders over the minutes; bars and their ATR are those of the trail."""
    packed, out, m = pack_orders(orders), empty_states(len(orders)), minutes
    starts = np.searchsorted(m.ts, packed["decided_ts"])
    compiled.lifecycle().walk_many(packed, starts, m.ts, m.open, m.high, m.low, m.close, bars.ts + bars.tf, atr,
                                   int(m.ts[-1]) + MINUTE, out)
    return unpack_states(out)


def results(plans: Plans, used: Rules) -> list[tuple[Candidate, float, float, int]]:
    """Plans that were filled and have ended: (plan, net R, net percent, ms from when on that was known)."""
    ended = []
    for c, order, state in zip(plans.found, plans.orders, plans.states, strict=True):
        row = result(order, state, used.costs, USD)
        if row.r_multiple is not None and row.pnl_pct is not None and row.closed_ts is not None:
            ended.append((c, row.r_multiple, row.pnl_pct, row.closed_ts + MINUTE))
    return ended


def samples(plans: Plans, used: Rules, around: Frames | None = None) -> tuple[Samples, Flags]:
    """The ended plans as the training sees them, and whether admission lets each pass.

    around: the frames the features are made from; default: the market's own bars and the higher timeframe.
    """
    ended, tf = results(plans, used), plans.bars.tf
    found = [row[0] for row in ended]
    made = around or Frames(plans.bars, {HIGHER[tf]: joined(plans.minutes, HIGHER[tf])}, None, None,
                            used.common.atr_period)
    x = table(frames.facts(found), made, compiled.kernels())
    risk = np.array([abs(c.entry - c.sl) for c in found])
    rows = build(
        NAMES, [f"{n:07d}" for n in range(len(found))], x, t0=[c.decided_ts for c in found],
        t1=[row[3] for row in ended], r=[row[1] for row in ended], pnl_pct=[row[2] for row in ended],
        risk_pct=100.0 * risk / np.array([c.entry for c in found]), cost_r=[c.cost_r for c in found],
        rr1=[math.nan if c.tp1 is None else abs(c.tp1 - c.entry) / abs(c.entry - c.sl) for c in found],
        direction=["long" if c.direction > 0 else "short" for c in found], symbol=["WALK"] * len(found),
        timeframe=[c.timeframe for c in found], setup=[c.setup for c in found], trend=[c.trend for c in found],
        vol=[c.vol for c in found], in_sample=[False] * len(found))
    return rows, np.array([found[int(name)].refusal is None for name in rows.ids], np.bool_)


def walk(seed: int, days: int, used: Rules, *, steps: int = 8, vol: float = WALK_VOL) -> Plans:
    """The plans of a driftless random walk of minutes."""
    return played(random_walk(seed, days * DAY // MINUTE, vol=vol, steps=steps, tick=TERMS.tick), used)
