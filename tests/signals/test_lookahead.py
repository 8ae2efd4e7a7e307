"""Nothing is known before it is known, and nothing depends on how much is loaded or how it is cut."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.candles import Bars, from_rows
from core.signals.decide import decide, needs, window
from core.signals.kernels import PLAIN
from core.signals.pivots import impulses
from core.signals.setups import REGISTRY, Setup, donchian
from tests.signals import lookahead
from tests.signals.compiled_kernels import compiled
from tests.signals.lookahead import decided, leaks, toy
from tests.signals.markets import COMMON, COSTS, MARKET, RISK, TF, mirrored, noise_after, walk

ALL = [(s, s.params()) for s in REGISTRY.values()]


def some_instants(bars: Bars, seed: int) -> list[int]:
    """A few bars with candidates and a few without."""
    with_candidate = sorted({int(bars.ts.searchsorted(c.ts)) for c in decided(bars, 0, len(bars), ALL)})
    rng = np.random.default_rng(seed)
    return [*rng.choice(with_candidate, 5).tolist(), *rng.integers(600, len(bars) - 1, 5).tolist()]


@pytest.mark.covers("I2", "rule 7", "rule 9", "rule 19a", "rule 19b")
@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), holes=st.sampled_from([0.0, 0.05]))
def test_decisions_are_the_same_when_later_bars_are_noise(seed: int, holes: float) -> None:
    bars = walk(seed, 900, holes=holes)
    assert leaks(bars, some_instants(bars, seed), ALL) == []


@pytest.mark.covers("I2")
@pytest.mark.parametrize("flaw", [lookahead.pivot_at_its_own_bar, lookahead.centred_mean, lookahead.scaled_by_all])
def test_planted_lookahead_is_caught(flaw: lookahead.Callable[[Bars, int], int]) -> None:
    assert leaks(walk(1, 900), range(600, 700), [(toy("flawed", flaw), {})]) != []


@pytest.mark.covers("I2")
@pytest.mark.parametrize("twin", [lookahead.pivot_when_confirmed, lookahead.trailing_mean])
def test_the_clean_twins_pass(twin: lookahead.Callable[[Bars, int], int]) -> None:
    setups: lookahead.Setups = [(toy("clean", twin), {})]
    bars = walk(1, 900)
    assert leaks(bars, range(700, 760), setups) == []
    assert len(decided(bars, 700, 760, setups)) > 3


def seen_at(minutes: Bars, now: int, *, unfinished: bool) -> Bars:
    """5m bars at `now` built from the minutes that have ended; with the one still forming if asked."""
    part = minutes.before(now)
    rows = []
    for open_ in range(int(part.ts[0]), now, TF):
        if open_ + TF <= now or unfinished:
            k = slice(*np.searchsorted(part.ts, (open_, open_ + TF)))
            rows.append((open_, part.open[k][0], part.high[k].max(), part.low[k].min(), part.close[k][-1],
                         part.volume[k].sum()))
    return from_rows(TF, rows)


@pytest.mark.covers("D2", "I2")
@pytest.mark.parametrize(("unfinished", "agrees"), [(True, False), (False, True)])
def test_an_unfinished_bar_is_caught_by_comparing_with_the_final_ones(unfinished: bool, agrees: bool) -> None:
    five = walk(3, 5 * 600, start=walk(1, 1).ts[0])
    minutes = Bars(60_000, five.ts[0] + 60_000 * np.arange(len(five)), five.open, five.high, five.low, five.close,
                   five.volume, five.minutes)
    final = seen_at(minutes, int(minutes.ts[-1]) + 60_000, unfinished=False)
    whole = {c.ts: c for c in decided(final, 0, len(final), [(REGISTRY["donchian"], donchian.DonchianParams())])}
    same = []
    for i in range(520, 590):
        now = int(final.ts[i]) + TF + (120_000 if unfinished else 0)
        bars = seen_at(minutes, now, unfinished=unfinished)
        last = len(bars) - 1
        found = decided(bars, last, last + 1, [(REGISTRY["donchian"], donchian.DonchianParams())])
        same.append(found == [whole[ts] for ts in [int(bars.ts[last])] if ts in whole])
    assert all(same) is agrees


@pytest.mark.covers("I1", "rule 5", "rule 30")
@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), holes=st.sampled_from([0.0, 0.1]))
def test_live_windows_give_the_rows_of_one_range_over_full_history(seed: int, holes: float) -> None:
    bars = walk(seed, 1100, holes=holes)
    reach, n = window(ALL, COMMON), len(bars)
    lo = n - 120
    whole = decided(bars, lo, n, ALL)
    live = [c for i in range(lo, n) for c in decided(bars.cut(max(0, i + 1 - reach), i + 1), min(i, reach - 1),
                                                     min(i, reach - 1) + 1, ALL)]
    assert live == whole and whole


@pytest.mark.covers("I1")
def test_a_window_one_bar_too_short_is_caught() -> None:
    # planted flaw: fewer bars than `window` where the oldest of the 300 is the last of its block
    bars = walk(2, 1200)
    i, reach = 128 * 5 - 1 + 299, window(ALL, COMMON)
    assert reach == 299 + 256
    assert int(bars.ts[i - 299]) // TF % 128 == 127
    full, short = bars.cut(i + 1 - reach, i + 1), bars.cut(i + 2 - reach, i + 1)
    from core.signals.indicators import Indicators
    atrs = [Indicators(b, 14, PLAIN).atr_array(len(b) - 300, len(b)) for b in (bars.cut(0, i + 1), full, short)]
    assert (atrs[0] == atrs[1]).all() and not (atrs[0] == atrs[2]).all()


@pytest.mark.covers("I1")
def test_any_chunking_and_either_kernels_give_the_same_candidates() -> None:
    bars = walk(9, 1600, holes=0.03)
    n = len(bars)
    whole, counts = decided(bars, 0, n, ALL), Counter[str]()
    cuts = [0, 500, 501, 733, 900, 901, 902, 1400, n]
    parts = [c for lo, hi in pairwise(cuts) for c in decided(bars, lo, hi, ALL, counts=counts)]
    assert parts == whole == decided(bars, 0, n, ALL, kernels=compiled())
    assert len(whole) > 100 and {c.setup for c in whole} == set(REGISTRY)
    once: Counter[str] = Counter()
    decided(bars, 0, n, ALL, counts=once)
    assert counts == once


@pytest.mark.covers("rule 9", "D6")
def test_one_candidate_per_setup_and_impulse() -> None:
    keys = Counter((c.setup, c.start_ts, c.end_ts) for c in decided(walk(4, 2500), 0, 2500, ALL))
    assert set(keys.values()) == {1}


@pytest.mark.covers("rule 9", "rule 11", "rule 19a")
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_reflected_prices_give_the_reflected_candidates(seed: int) -> None:
    bars = walk(seed, 700, tick=0.125, step=0.003)
    about = 2048.0
    other = mirrored(bars, about)
    up, down = ([tuple(m) for m in impulses(b, 100, 700, 3, 90, 3, PLAIN)] for b in (bars, other))
    assert up == [(i, s, e, -side) for i, s, e, side in down]
    for setup, params in (x for x in ALL if x[0].name != "compression"):  # a bandwidth is relative to the price
        longs, shorts = (_found(setup, params, b) for b in (bars, other))
        assert [(f.i, f.start, f.direction) for f in longs] == [(f.i, f.start, -f.direction) for f in shorts]
        for f, g in zip(longs, shorts, strict=True):
            assert [f.entry, f.sl] == pytest.approx([about - g.entry, about - g.sl], rel=1e-12)
            assert [f.tp1, f.tp2] == pytest.approx([about - g.tp1, about - g.tp2], rel=1e-12, nan_ok=True)


def _found(setup: Setup, params: object, bars: Bars) -> list:
    from core.signals.indicators import Indicators
    return setup.find(bars, 450, 700, Indicators(bars, 14, PLAIN), COMMON, params, PLAIN, Counter())


@pytest.mark.covers("I2")
def test_noise_really_changes_what_comes_later() -> None:
    bars = walk(1, 900)
    assert decided(bars, 700, 800, ALL) != decided(noise_after(bars, 700, 1), 700, 800, ALL)
    assert decide(bars, 800, 800, 0, "5m", ALL, MARKET, COSTS, RISK, COMMON, PLAIN, Counter()) == []
    assert needs(ALL, COMMON) == 401
