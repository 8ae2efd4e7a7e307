"""Does anything know the future? The present from truncated history, and with all that follows scrambled."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from core.candles import Bars, Floats
from core.engine import compiled, frames
from core.engine.audit import markets
from core.engine.audit.markets import Plans, Rules
from core.engine.audit.record import Row, Size
from core.errors import DataError
from core.market.generated import START, GeneratedMarket
from core.signals import features
from core.signals.decide import Candidate
from core.signals.features import Frames, PlanFacts, table
from core.signals.features.facts import Series
from core.signals.features.market import PUBLISHED
from core.signals.features.trend import HIGHER
from core.signals.features.view import ANCHORED, RANKED
from core.signals.indicators import Indicators
from core.signals.kernels import PLAIN, Kernels
from core.timeframe import DAY, MINUTE

Table = Callable[[Sequence[PlanFacts], Frames, Kernels], Floats]

TF = 5 * MINUTE
DAYS = 46
WARM = 14 * DAY  # of higher bars, before every feature is known
OWN, BTC = "SOL/USDT:USDT", "BTC/USDT:USDT"


@dataclass(slots=True)
class Checked:
    """How many comparisons were made of what, and where values differed (name -> count). rows: instants touched."""

    made: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    rows: int = 0

    @property
    def checks(self) -> int:
        """All comparisons."""
        return self.made.total()

    @property
    def mismatches(self) -> int:
        """All values that differed."""
        return self.wrong.total()

    def worst(self) -> str:
        """What differed most often, in words; empty where nothing did."""
        found = ", ".join(f"{name} {n}" for name, n in self.wrong.most_common(3))
        return f": {found}" if found else ""


class Stage:
    """A generated pair of markets with funding, and the plans of its whole history."""

    def __init__(self, seed: int, used: Rules, days: int = DAYS) -> None:
        market, end = GeneratedMarket((OWN, BTC), seed, days=days), START + days * DAY
        self.used, self.end = used, end
        self.minutes, self.btc = (market.candles(s, START, end) for s in (OWN, BTC))
        settled = market.funding(OWN, START, end)
        self.funding: Series = (np.array([ts for ts, _ in settled]), np.array([rate for _, rate in settled]))

    @cached_property
    def plans(self) -> Plans:
        """All plans, decided and ended over the whole history at once."""
        return markets.played(self.minutes, self.used, TF)

    @cached_property
    def bars(self) -> Bars:
        """Bars of the whole history."""
        return self.plans.bars

    @cached_property
    def frames(self) -> Frames:
        """The frames of the whole history, as a training reads them."""
        return self.frames_of(self.minutes, self.btc, self.funding)

    def frames_of(self, own: Bars, btc: Bars, funding: Series) -> Frames:
        """Frames built from minutes; the bars of all timeframes may end with one in progress."""
        higher = HIGHER[TF]
        return Frames(markets.joined(own, TF), {higher: markets.joined(own, higher)}, markets.joined(btc, TF),
                      funding, self.used.common.atr_period, START, START)

    def candidates(self, count: int) -> list[int]:
        """Numbers of plans spread evenly over what is warm and has a day to come."""
        ts = np.array([c.decided_ts for c in self.plans.found])
        known = np.flatnonzero((ts >= START + WARM) & (ts <= self.end - DAY))
        if len(known) < count:
            raise DataError(f"{len(known)} plans on the generated market, {count} are needed")
        return [int(known[k]) for k in np.linspace(0, len(known) - 1, count).astype(int)]


# Row 1


def truncation(stage: Stage, checks: int, make: Table = table) -> Checked:
    """Hold decisions, features and outcomes of the whole history against those from truncated minutes.

    A third of `checks` each. Whole: at once, compiled, as retro and training run. Truncated: one at a time, plain,
    from no more minutes than the daemon reads; outcomes from the minutes before the label's `t1`.
    """
    found, third = Checked(), -(-checks // 3)
    numbers = stage.candidates(third)
    chosen = [stage.plans.found[n] for n in numbers]
    rows = frames.facts(chosen)
    whole = make(rows, stage.frames, compiled.kernels())
    for ts in _times(stage, chosen, third):
        _decision(stage, ts, found)
    for row, expected in zip(rows, whole, strict=True):
        _compare(found, "features", expected, make([row], _seen(stage, row.decided_ts), PLAIN)[0])
    _outcomes(stage, numbers, found)
    return found


def _times(stage: Stage, chosen: Sequence[Candidate], count: int) -> list[int]:
    # Bars that gave a plan, and a third of others: a plan too many is as wrong as one that is missing.
    with_plan = list(dict.fromkeys(c.ts for c in chosen))
    warm = [ts for ts in stage.bars.ts.tolist() if START + WARM <= ts < stage.end - DAY]
    others = [warm[k] for k in np.linspace(0, len(warm) - 1, count).astype(int)]
    return list(dict.fromkeys([*with_plan[: 2 * count // 3], *others]))[:count]


def _decision(stage: Stage, ts: int, found: Checked) -> None:
    bars = _seen(stage, ts + TF).bars
    alone = markets.decided(bars, len(bars) - 1, len(bars), stage.used, PLAIN, start=START)
    found.made["decisions"] += 1
    _note(found, "decision", alone != [c for c in stage.plans.found if c.ts == ts])


def _seen(stage: Stage, now: int) -> Frames:
    # What a daemon has at `now`, from the minutes it reads; the bar in progress of the higher timeframe included.
    own = _window(stage.minutes, now, max(RANKED * TF, ANCHORED * HIGHER[TF]) + HIGHER[TF])
    made = stage.frames_of(own, _window(stage.btc, now, (RANKED + 1) * TF), _published(stage.funding, now))
    return replace(made, bars=made.bars.cut(max(0, len(made.bars) - RANKED), len(made.bars)))


def _window(minutes: Bars, now: int, reach: int) -> Bars:
    first = (now - reach) // HIGHER[TF] * HIGHER[TF]
    return minutes.cut(int(minutes.ts.searchsorted(first)), int(minutes.ts.searchsorted(now)))


def _published(series: Series, now: int) -> Series:
    known = series[0] + PUBLISHED <= now
    return series[0][known], series[1][known]


def _outcomes(stage: Stage, numbers: Sequence[int], found: Checked) -> None:
    plans = stage.plans
    for n in numbers:
        state, order = plans.states[n], plans.orders[n]
        if not state.closed_ts:
            continue
        known = state.closed_ts + MINUTE
        first = int(plans.minutes.ts.searchsorted(order.decided_ts))
        minutes = plans.minutes.cut(first, int(plans.minutes.ts.searchsorted(known)))
        bars = plans.bars.cut(0, int(np.searchsorted(plans.bars.ts + TF, known, side="right")))
        atr = Indicators(bars, stage.used.trail_period, compiled.kernels()).atr_array(0, len(bars))
        found.made["outcomes"] += 1
        _note(found, "outcome", not len(minutes) or markets.walked([order], minutes, bars, atr)[0] != state)


def _compare(found: Checked, kind: str, expected: Floats, got: Floats) -> None:
    found.made[kind] += 1
    same = (expected == got) | (np.isnan(expected) & np.isnan(got))
    found.rows += not same.all()
    for j in np.flatnonzero(~same):
        found.wrong[features.NAMES[j]] += 1


def _note(found: Checked, name: str, differs: bool) -> None:
    found.rows += differs
    if differs:
        found.wrong[name] += 1


def truncation_row(found: Checked, least: int = 1000) -> Row:
    """Row 1."""
    made = ", ".join(f"{n:,} {name}" for name, n in sorted(found.made.items()))
    value = f"{found.mismatches:,} mismatches / {found.checks:,} checks ({made}){found.worst()}"
    return Row(1, "truncation and known_at leak test", value, f"0 mismatches, at least {least:,} checks",
               found.mismatches == 0 and found.checks >= least, detail=_detail(found))


# Row 2


def scramble(stage: Stage, instants: int, make: Table = table) -> Checked:
    """Replace all that comes after a decision by noise, decide and compute anew; compare that decision's row.

    Cut at decisions, zero tolerance. The noise is in the minutes, so that every bar in progress holds some of it,
    and in what is published later. The plan's neighbours are computed with it, as a training does.
    """
    found, chosen = Checked(), stage.candidates(instants)
    rows = frames.facts(stage.plans.found)
    whole = make([rows[n] for n in chosen], stage.frames, compiled.kernels())
    for k, n in enumerate(chosen):
        noisy = _noisy(stage, rows[n].decided_ts, k)
        among = make([rows[n], *rows[max(0, n - 3) : n]], noisy, compiled.kernels())[0]
        _compare(found, "features", whole[k], among)
        _signal(stage, stage.used, noisy.bars, rows[n].ts, found)
    return found


def scramble_signals(stage: Stage, instants: int, used: Rules) -> Checked:
    """The same for the decisions alone of other rules, cut at theirs."""
    found, kernels = Checked(), compiled.kernels()
    ts = [c.ts for c in markets.decided(stage.bars, 0, len(stage.bars), used, kernels, start=START)]
    late = [t for t in ts if START + WARM <= t <= stage.end - DAY]
    for k in np.linspace(0, len(late) - 1, instants).astype(int) if late else ():
        noisy = _noise(stage.minutes, late[k] + TF, int(k))
        _signal(stage, used, markets.joined(noisy, TF), late[k], found)
    return found


def _signal(stage: Stage, used: Rules, noisy: Bars, ts: int, found: Checked) -> None:
    at, kernels = int(stage.bars.ts.searchsorted(ts)), compiled.kernels()
    span = max(0, at - 5), min(at + 30, len(noisy))
    before, after = ([c for c in markets.decided(bars, *span, used, kernels, start=START) if c.ts == ts]
                     for bars in (stage.bars, noisy))
    found.made["signals"] += 1
    _note(found, "signal", before != after)


def _noisy(stage: Stage, now: int, seed: int) -> Frames:
    return stage.frames_of(_noise(stage.minutes, now, seed), _noise(stage.btc, now, seed + 1),
                           _other(stage.funding, now, seed))


def _noise(minutes: Bars, now: int, seed: int) -> Bars:
    # Two days of it reach further than anything that is compared.
    kept = int(minutes.ts.searchsorted(now))
    rng, end = np.random.default_rng(seed), min(len(minutes), kept + 2 * DAY // MINUTE)
    n = end - kept
    close = minutes.close[kept - 1] * np.exp(rng.normal(0.0, 0.2, n))
    made = Bars(MINUTE, minutes.ts[kept:end], close, close * (1.0 + rng.random(n)), close * (1.0 - 0.5 * rng.random(n)),
                close, rng.lognormal(3.0, 1.0, n), np.ones(n, np.int64))
    return _appended(minutes.cut(0, kept), made)


def _appended(a: Bars, b: Bars) -> Bars:
    names = ("ts", "open", "high", "low", "close", "volume", "minutes")
    return Bars(a.tf, *(np.concatenate([getattr(a, name), getattr(b, name)]) for name in names))


def _other(series: Series, now: int, seed: int) -> Series:
    noise = np.random.default_rng(seed).lognormal(0.0, 3.0, len(series[0]))
    return series[0], np.where(series[0] + PUBLISHED <= now, series[1], noise)


def scramble_row(found: Checked, least: int = 200) -> Row:
    """Row 2."""
    instants = found.made["features"]
    value = f"{found.mismatches:,} values changed at {instants:,} decisions (all features and signals){found.worst()}"
    return Row(2, "future scrambled at decisions", value, f"0 changed, at least {least} decisions",
               found.mismatches == 0 and instants >= least, detail=_detail(found))


def _detail(found: Checked) -> dict[str, Any]:
    return {"made": dict(found.made), "wrong": dict(found.wrong), "rows": found.rows}


def rows(stage: Stage, size: Size) -> list[Row]:
    """Rows 1 and 2."""
    return [truncation_row(truncation(stage, size.checks)), scramble_row(scramble(stage, size.instants))]
