"""Frames and candidates for the tests of the features, and the check that they know nothing of what comes later."""

from collections.abc import Callable, Sequence

import numpy as np

from core.candles import Bars, Floats
from core.signals import features
from core.signals.features import Frames, PlanFacts, needs, table
from core.signals.features.trend import HIGHER
from core.signals.kernels import PLAIN, Kernels
from core.signals.setups import REGISTRY
from core.timeframe import DAY, HOUR, NAMES
from tests.signals.compiled_kernels import compiled
from tests.signals.lookahead import decided
from tests.signals.markets import noise_after, walk

Table = Callable[[Sequence[PlanFacts], Frames, Kernels], Floats]


def joined(bars: Bars, tf: int) -> Bars:
    """The bars of a higher timeframe, each from those of `bars` that it holds; one that has not ended as well."""
    cuts = np.flatnonzero(np.diff(bars.ts // tf, prepend=-1))
    stops = np.append(cuts[1:], len(bars)) - 1
    add = np.add.reduceat
    return Bars(tf, bars.ts[cuts] // tf * tf, bars.open[cuts], np.maximum.reduceat(bars.high, cuts),
                np.minimum.reduceat(bars.low, cuts), bars.close[stops], add(bars.volume, cuts), add(bars.minutes, cuts))


def frames_of(bars: Bars, btc: Bars | None, seed: int = 0, atr_period: int = 14) -> Frames:
    """Frames with the higher timeframe built from `bars`, and made-up funding."""
    rng, lo, hi = np.random.default_rng(seed), int(bars.ts[0]), int(bars.ts[-1])
    settled = np.arange(lo // DAY * DAY, hi + DAY, 8 * HOUR)
    higher = HIGHER[bars.tf]
    return Frames(bars, {higher: joined(bars, higher)}, btc, (settled, rng.normal(0.0, 1e-4, len(settled))),
                  atr_period)


def market(seed: int, n: int = 2600, holes: float = 0.0) -> Frames:
    """A random walk with another as BTC; 5m bars."""
    return frames_of(walk(seed, n, holes=holes), walk(seed + 1, n, holes=holes / 2), seed)


def candidates(bars: Bars) -> list[PlanFacts]:
    """What the setups decide over the bars."""
    name = NAMES[bars.tf]
    found = decided(bars, 0, len(bars), [(s, s.params()) for s in REGISTRY.values()],
                    kernels=compiled())
    return [PlanFacts(*(getattr(c, field) for field in PlanFacts._fields))._replace(timeframe=name) for c in found]


def some(rows: Sequence[PlanFacts], count: int, seed: int = 0) -> list[PlanFacts]:
    """A sample in time order."""
    pick = np.random.default_rng(seed).choice(len(rows), min(count, len(rows)), replace=False)
    return [rows[k] for k in sorted(pick.tolist())]


def seen_at(frames: Frames, now: int, *, windows: bool = False) -> Frames:
    """What a live run has at `now`: closed bars and published figures; only as far back as needed if asked."""
    reach = needs(frames.bars.tf)

    def bars(frame: Bars, count: int) -> Bars:
        stop = int(np.searchsorted(frame.ts + frame.tf, now, side="right"))
        return frame.cut(max(0, stop - count) if windows else 0, stop)

    def series(pair: tuple[np.ndarray, np.ndarray] | None, back: int) -> tuple[np.ndarray, np.ndarray] | None:
        if pair is None:
            return None
        known = (pair[0] + HOUR <= now) & (pair[0] > (now - back if windows else 0))
        return pair[0][known], pair[1][known]

    return Frames(bars(frames.bars, reach.bars), {tf: bars(b, reach.higher[tf]) for tf, b in frames.higher.items()},
                  None if frames.btc is None else bars(frames.btc, reach.btc), series(frames.funding, reach.funding),
                  frames.atr_period, frames.start, frames.btc_start)


def scrambled(frames: Frames, now: int, seed: int) -> Frames:
    """The same frames with noise for every bar not closed at `now`, and for every figure not published."""
    def bars(frame: Bars) -> Bars:
        stop = int(np.searchsorted(frame.ts + frame.tf, now, side="right"))
        return noise_after(frame, stop - 1, seed)

    def series(pair: tuple[np.ndarray, np.ndarray] | None) -> tuple[np.ndarray, np.ndarray] | None:
        if pair is None:
            return None
        noise = np.random.default_rng(seed).lognormal(0.0, 3.0, len(pair[0]))
        return pair[0], np.where(pair[0] + HOUR <= now, pair[1], noise)

    return Frames(bars(frames.bars), {tf: bars(b) for tf, b in frames.higher.items()},
                  None if frames.btc is None else bars(frames.btc), series(frames.funding),
                  frames.atr_period, frames.start, frames.btc_start)


def leaks(frames: Frames, instants: Sequence[PlanFacts], others: Sequence[PlanFacts], make: Table = table) -> list[str]:
    """Names of the features that differ between the prefix cut at a decision and the same with noise behind it.

    The noisy side computes all rows at once over everything, as training does; the prefix side one row. Zero
    tolerance.
    """
    wrong: set[str] = set()
    for k, row in enumerate(instants):
        alone = make([row], seen_at(frames, row.decided_ts), PLAIN)[0]
        rows = [row, *others]
        among = make(rows, scrambled(frames, row.decided_ts, k), compiled())[0]
        wrong |= {name for name, a, b in zip(features.NAMES, alone, among, strict=True) if not same(a, b)}
    return sorted(wrong)


def same(a: object, b: object) -> bool:
    """Equal to the bit, NaN where NaN."""
    return np.array_equal(np.asarray(a, float), np.asarray(b, float), equal_nan=True)
