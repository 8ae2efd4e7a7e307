"""ATR, ADX, EMA, bands and regime: by hand, against the slow reference, and the same to the bit from any window."""

import ast
import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.candles import Bars
from core.signals import indicators, kernels, regime
from core.signals.indicators import Indicators
from core.signals.kernels import PLAIN
from tests.signals import reference_indicators as slow
from tests.signals.compiled_kernels import compiled
from tests.signals.markets import BLOCK_MS, EPOCH, TF, hilo, keep, walk


def same(a: object, b: object) -> bool:
    return np.array_equal(np.asarray(a, float), np.asarray(b, float), equal_nan=True)


@pytest.mark.covers("rule 5", "rule 6")
def test_atr_of_three_is_seeded_by_the_mean_and_then_smoothed() -> None:
    # true ranges: 2 (first bar: high - low), 3 (12 - 9 from the close of 9), 4 (13 - 9), 1
    bars = hilo([10, 12, 13, 11.5], [8, 10, 9, 10.5], closes=[9, 11, 11, 11])
    ind = Indicators(bars, 3, PLAIN)
    assert math.isnan(ind.atr(0)) and math.isnan(ind.atr(1))
    assert ind.atr(2) == 3.0  # (2 + 3 + 4) / 3
    assert ind.atr(3) == (3.0 * 2 + 1.0) / 3


@pytest.mark.covers("rule 6")
def test_adx_of_a_straight_rise_is_one_hundred_and_of_flat_bars_zero() -> None:
    rising = hilo([10.0 + k for k in range(40)], [9.0 + k for k in range(40)])
    flat = hilo([10.0] * 40, [9.0] * 40)
    assert math.isnan(Indicators(rising, 14, PLAIN).adx(25)) and Indicators(rising, 14, PLAIN).adx(26) == 100.0
    assert Indicators(flat, 14, PLAIN).adx(30) == 0.0
    assert Indicators(rising, 14, PLAIN).trend(30) == "trend" and Indicators(flat, 14, PLAIN).trend(30) == "range"
    assert Indicators(rising, 14, PLAIN).trend(20) == "range"  # no ADX yet


@pytest.mark.covers("rule 6")
@pytest.mark.parametrize(("adx", "name"), [(24.999, "range"), (25.0, "trend"), (math.nan, "range")])
def test_trend_starts_at_twenty_five(adx: float, name: str) -> None:
    assert regime.trend_of(adx) == name


@pytest.mark.covers("rule 6")
@pytest.mark.parametrize(("below", "name"), [(98, "low"), (99, "normal"), (200, "normal"), (201, "high")])
def test_volatility_rank_is_low_under_33_percent_and_high_from_67(below: int, name: str) -> None:
    assert regime.vol_of(below, 300) == name


@pytest.mark.covers("rule 5")
def test_recursion_starts_at_the_first_bar_stored_in_the_previous_block() -> None:
    bars = walk(1, 600)
    ind = Indicators(bars, 14, PLAIN)
    for i in (127, 128, 255, 256, 300, 599):
        start = max(0, (i // 128 - 1) * 128)
        run = bars.cut(start, i + 1)
        expected = slow.wilder(slow.true_ranges(run, list(range(len(run)))), 14)
        assert ind.atr(i) == expected


@pytest.mark.covers("rule 5")
def test_recursion_starts_in_its_own_block_where_the_previous_one_is_empty() -> None:
    bars = walk(2, 512)
    mask = np.ones(512, bool)
    mask[100:300] = False  # blocks 1 and part of 0 and 2 missing: block 2 starts alone, at bar 300
    bars = keep(bars, mask)
    ind = Indicators(bars, 14, PLAIN)
    first = int(np.searchsorted(bars.ts, EPOCH + 300 * TF))
    assert math.isnan(ind.atr(first + 12)) and not math.isnan(ind.atr(first + 13))
    assert math.isnan(ind.adx(first + 25)) and not math.isnan(ind.adx(first + 26))
    assert ind.atr(first + 13) == slow.atr(bars, first + 13, 14)
    # its true range is high - low: the close before the hole plays no part
    assert ind.atr(first + 13) == Indicators(bars.cut(first, len(bars)), 14, PLAIN).atr(13)


@pytest.mark.covers("rule 5", "rule 6")
@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), holes=st.sampled_from([0.0, 0.1, 0.9]), n=st.integers(2, 20))
def test_indicators_equal_the_slow_reference_to_the_bit(seed: int, holes: float, n: int) -> None:
    bars = walk(seed, 900, holes=holes, tick=0.25)
    ind = Indicators(bars, n, PLAIN)
    for i in range(0, len(bars), 37):
        assert same(ind.atr(i), slow.atr(bars, i, n))
        assert same(ind.adx(i), slow.adx(bars, i))
    assert same(ind.atr_array(0, len(bars)), [ind.atr(i) for i in range(len(bars))])


@pytest.mark.covers("rule 6")
@settings(max_examples=4)
@given(seed=st.integers(0, 10_000), holes=st.sampled_from([0.0, 0.3]))
def test_volatility_equals_the_slow_reference(seed: int, holes: float) -> None:
    bars = walk(seed, 620, holes=holes)
    ind = Indicators(bars, 14, PLAIN)
    for i in (len(bars) - 1, len(bars) - 40):
        assert ind.vol(i) == slow.vol(bars, i, 14)


@pytest.mark.covers("rule 5", "I1")
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), back=st.integers(0, 400), holes=st.sampled_from([0.0, 0.2, 0.8]))
def test_a_warm_window_gives_the_bits_of_full_history(seed: int, back: int, holes: float) -> None:
    bars = walk(seed, 1400 if holes < 0.5 else 6000, holes=holes)
    i = len(bars) - 1 - back
    oldest = indicators.run_start(int(bars.ts[max(0, i - 299)]), TF)
    part = bars.cut(int(np.searchsorted(bars.ts, oldest)), i + 1)
    whole, short = Indicators(bars, 14, PLAIN), Indicators(part, 14, PLAIN)
    j = len(part) - 1
    assert same([whole.atr(i), whole.adx(i)], [short.atr(j), short.adx(j)])
    assert same(whole.atr_array(i - 200, i + 1), short.atr_array(j - 200, j + 1))
    if not math.isnan(whole.atr(i)):
        assert whole.vol(i) == short.vol(j)


@pytest.mark.covers("rule 5")
def test_a_recursion_from_the_window_start_is_caught_by_the_window_test() -> None:
    # planted flaw: warm up from wherever the window happens to start
    bars = walk(5, 1400)
    flawed = [slow.wilder(slow.true_ranges(part, list(range(len(part)))), 14)
              for part in (bars, bars.cut(1150, 1400))]
    assert flawed[0] != flawed[1]
    anchored = [Indicators(part, 14, PLAIN).atr(len(part) - 1) for part in (bars, bars.cut(1150, 1400))]
    assert anchored[0] == anchored[1]


@pytest.mark.covers("rule 5")
def test_asking_in_any_order_gives_the_same_values() -> None:
    bars = walk(6, 1000)
    forward, jumping = Indicators(bars, 14, PLAIN), Indicators(bars, 14, PLAIN)
    asked = [900, 10, 400, 130, 999, 500, 0, 640]
    found = {i: (jumping.atr(i), jumping.adx(i)) for i in asked}
    assert all(same(found[i], (forward.atr(i), forward.adx(i))) for i in sorted(asked))
    assert same(jumping.atr_array(0, 1000), forward.atr_array(0, 1000))


@pytest.mark.covers("rule 19a")
@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 200))
def test_ema_is_the_weighted_mean_of_its_last_closes(seed: int, n: int) -> None:
    closes = walk(seed, 420).close
    for i in (2 * n - 1, 419):
        assert indicators.ema(closes, i, n, PLAIN) == pytest.approx(slow.ema(closes.tolist(), i, n), rel=1e-13)
    assert math.isnan(indicators.ema(closes, 2 * n - 2, n, PLAIN))
    assert indicators.ema(closes, 419, n, PLAIN) == indicators.ema(closes[420 - 2 * n :], 2 * n - 1, n, PLAIN)


@pytest.mark.covers("rule 19a")
def test_ema_of_one_over_two_closes_by_hand() -> None:
    # n = 2: keep = 1/3; weights 1/27 1/9 1/3 1 over 1, 2, 3, 4 -> (1/27 + 2/9 + 1 + 4) / (40/27) = 142/40
    assert indicators.ema(np.array([1.0, 2.0, 3.0, 4.0]), 3, 2, PLAIN) == pytest.approx(142 / 40, rel=1e-15)


@pytest.mark.covers("rule 19b")
def test_bandwidth_by_hand_and_against_the_reference() -> None:
    # closes 1 and 3: mean 2, deviation 1; (2 + 2) - (2 - 2) over 2 = 2
    assert indicators.bandwidth(np.array([1.0, 3.0]), 1, 2, 2.0, PLAIN) == 2.0
    assert math.isnan(indicators.bandwidth(np.array([1.0, 3.0]), 1, 3, 2.0, PLAIN))
    closes = walk(3, 60).close
    assert indicators.bandwidth(closes, 50, 20, 2.0, PLAIN) == slow.bandwidth(closes.tolist(), 50, 20, 2.0)


@pytest.mark.covers("rule 12")
def test_avwap_weighs_the_typical_price_by_volume_and_needs_volume() -> None:
    # typical prices 2 and 5, volumes 1 and 3: 17 / 4
    h, low, c = [3.0, 6.0], [1.0, 4.0], [2.0, 5.0]
    assert PLAIN.avwap(h, low, c, [1.0, 3.0], 2) == 4.25
    assert math.isnan(PLAIN.avwap(h, low, c, [0.0, 0.0], 2))


@pytest.mark.covers("I1")
def test_compiled_kernels_give_the_bits_of_the_plain_ones() -> None:
    fast = compiled()
    for seed, holes in ((1, 0.0), (2, 0.3)):
        bars = walk(seed, 1500, holes=holes)
        plain, quick = Indicators(bars, 14, PLAIN), Indicators(bars, 14, fast)
        n = len(bars)
        assert same(plain.atr_array(0, n), quick.atr_array(0, n))
        assert same([plain.adx(i) for i in range(n)], [quick.adx(i) for i in range(n)])
        assert [plain.vol(i) for i in range(400, n, 50)] == [quick.vol(i) for i in range(400, n, 50)]
        closes = bars.close
        assert same([indicators.ema(closes, i, 200, PLAIN) for i in range(390, n, 11)],
                    [indicators.ema(closes, i, 200, fast) for i in range(390, n, 11)])
        assert same([indicators.bandwidth(closes, i, 20, 2.0, PLAIN) for i in range(19, n, 11)],
                    [indicators.bandwidth(closes, i, 20, 2.0, fast) for i in range(19, n, 11)])


ALLOWED_ATTRIBUTES = {"sqrt", "nan", "isnan"}


def kernel_faults(source: str) -> list[str]:
    """What in the loops could give other bits when compiled, or could not be compiled."""
    tree, faults = ast.parse(source), []
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name != "_plain_seq"):
        for node in (inner for statement in function.body for inner in ast.walk(statement)):
            if isinstance(node, ast.Pow):
                faults.append(f"{function.name}: **")
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else "range"
            if called not in functions | {"range", "abs"}:
                faults.append(f"{function.name}: {called}()")
            if isinstance(node, ast.Attribute) and node.attr not in ALLOWED_ATTRIBUTES:
                faults.append(f"{function.name}: .{node.attr}")
    return faults


@pytest.mark.covers("I1")
def test_kernels_use_only_what_has_the_same_bits_compiled() -> None:
    assert kernel_faults(inspect.getsource(kernels)) == []
    planted = "def f(x):\n    return x ** 2 + sum(x) + x.mean()"
    assert sorted(kernel_faults(planted)) == ["f: **", "f: .mean", "f: sum()"]


def test_every_kernel_is_listed_after_the_ones_it_calls() -> None:
    tree = ast.parse(inspect.getsource(kernels))
    order = [f.__name__ for f in kernels.FUNCTIONS]
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name != "_plain_seq"}
    assert set(order) == set(functions)
    for name, node in functions.items():
        called = {n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        assert all(order.index(other) < order.index(name) for other in called & set(order))


def test_run_start_is_the_open_of_the_previous_block() -> None:
    assert indicators.run_start(EPOCH, TF) == EPOCH - BLOCK_MS
    assert indicators.run_start(EPOCH + BLOCK_MS - TF, TF) == EPOCH - BLOCK_MS
    assert isinstance(walk(1, 3), Bars)
