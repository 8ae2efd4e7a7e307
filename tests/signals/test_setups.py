"""The setups: what they find, what they write, and that a new one touches one file."""

import importlib
import math
import sys
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.candles import Bars
from core.signals import setups as package
from core.signals.indicators import Indicators
from core.signals.kernels import PLAIN
from core.signals.params import Common
from core.signals.setups import REGISTRY, Found, compression, donchian, fibo_avwap
from tests.signals import reference_indicators as slow
from tests.signals.lookahead import decided
from tests.signals.markets import COMMON, hilo, walk

FREE = donchian.DonchianParams(channel=3, ema_side=False)


def ran(name: str, bars: Bars, params: Any, common: Common = COMMON, lo: int = 0) -> tuple[list[Found], Counter[str]]:
    counts: Counter[str] = Counter()
    ind = Indicators(bars, common.atr_period, PLAIN)
    return REGISTRY[name].find(bars, lo, len(bars), ind, common, params, PLAIN, counts), counts


def sides(name: str, bars: Bars, params: Any, common: Common = COMMON) -> dict[int, int]:
    return {f.i: f.direction for f in ran(name, bars, params, common)[0]}


QUICK = replace(COMMON, atr_period=2)


@pytest.mark.covers("rule 19a")
def test_donchian_goes_long_on_the_first_close_above_the_channel_only() -> None:
    closes = [9.0, 9.0, 9.0, 9.5, 10.5, 11.5, 10.0, 9.0, 12.5]
    highs = [10.0, 10.0, 10.0, 10.0, 11.0, 12.0, 11.0, 10.0, 13.0]
    lows = [8.0] * 9
    # bar 4: 10.5 > 10; bar 5: 11.5 > 11, but bar 4 was so; bar 8: 12.5 > 12 and bar 7 was not so
    assert sides("donchian", hilo(highs, lows, closes), FREE, QUICK) == {4: 1, 8: 1}
    touching = hilo(highs, lows, [*closes[:4], 10.0, *closes[5:]])  # a close at the high is not above it
    assert sides("donchian", touching, FREE, QUICK) == {5: 1, 8: 1}


@pytest.mark.covers("rule 19a")
def test_donchian_short_is_the_mirror_and_may_follow_a_long_at_once() -> None:
    highs, lows = [10.0, 10.0, 10.0, 11.0, 11.0], [8.0, 8.0, 8.0, 8.5, 5.0]
    assert sides("donchian", hilo(highs, lows, [9.0, 9.0, 9.0, 10.5, 6.0]), FREE, QUICK) == {3: 1, 4: -1}


@pytest.mark.covers("rule 19a", "rule 5")
def test_donchian_asks_for_the_side_of_the_ema_and_for_enough_closes() -> None:
    n = 420
    falling = [200.0 - 0.2 * k for k in range(n)]
    closes = [*falling[:-1], falling[-1] + 6.0]  # above the last 20 highs, far below EMA(200)
    bars = hilo([c + 0.1 for c in closes], [c - 0.1 for c in closes], closes)
    assert donchian.needs(COMMON, donchian.DonchianParams()) == 401
    assert sides("donchian", bars, donchian.DonchianParams(ema_side=False)).get(n - 1) == 1
    assert n - 1 not in sides("donchian", bars, donchian.DonchianParams())
    up = hilo([c + 0.1 for c in closes], [c - 0.1 for c in closes], [*closes[:-1], 260.0])
    assert sides("donchian", up, donchian.DonchianParams()).get(n - 1) == 1
    assert n - 1 - 21 not in sides("donchian", up.cut(21, n), donchian.DonchianParams())  # 399 closes: no EMA


@pytest.mark.covers("rule 19a")
def test_the_bar_before_is_judged_by_the_same_full_condition() -> None:
    # bar n-2 breaks the channel below the EMA, bar n-1 breaks it above: the first bar at which all of it holds
    n = 450
    falling = [200.0 - 0.2 * k for k in range(n - 2)]
    closes = [*falling, falling[-1] + 6.0, 260.0]
    bars = hilo([c + 0.1 for c in closes], [c - 0.1 for c in closes], closes)
    assert sides("donchian", bars, donchian.DonchianParams()).get(n - 1) == 1
    free = sides("donchian", bars, donchian.DonchianParams(ema_side=False))
    assert free.get(n - 2) == 1 and n - 1 not in free


@pytest.mark.covers("rule 19a")
@settings(max_examples=5)
@given(seed=st.integers(0, 10_000), channel=st.integers(2, 30))
def test_donchian_equals_the_slow_reference(seed: int, channel: int) -> None:
    bars = walk(seed, 520)
    state = [slow.broken_out(bars, i, channel, True, None) for i in range(len(bars))]
    expected = {i: state[i] for i in range(1, len(bars)) if state[i] and state[i - 1] != state[i]}
    assert sides("donchian", bars, donchian.DonchianParams(channel=channel)) == expected


@pytest.mark.covers("rule 19b")
@settings(max_examples=5)
@given(seed=st.integers(0, 10_000), within=st.integers(1, 6), ema_side=st.booleans())
def test_compression_equals_the_slow_reference(seed: int, within: int, ema_side: bool) -> None:
    bars = walk(seed, 480)
    params = compression.CompressionParams(channel=10, bandwidth_lookback=60, within_bars=within, ema_side=ema_side)
    squeeze = (20, 2.0, 60, 20.0, within)
    state = [slow.broken_out(bars, i, 10, ema_side, None) for i in range(len(bars))]
    narrow = [slow.broken_out(bars, i, 10, ema_side, squeeze) for i in range(len(bars))]
    expected = {i: state[i] for i in range(1, len(bars)) if narrow[i] and state[i - 1] != state[i]}
    assert sides("compression", bars, params) == expected


TIGHT: dict[str, Any] = {"channel": 2, "ema_side": False, "bandwidth_period": 2, "bandwidth_lookback": 2,
                         "bandwidth_rank_pct": 60.0, "within_bars": 1}


@pytest.mark.covers("rule 5", "rule 19a", "rule 19b", "I1")
@pytest.mark.parametrize(("name", "params"), [
    ("donchian", donchian.DonchianParams(channel=2, ema_side=False)),
    ("compression", compression.CompressionParams(**TIGHT)),
    ("fibo_avwap", fibo_avwap.FiboAvwapParams()),
])
def test_a_decision_reads_no_more_bars_than_its_setup_says(name: str, params: Any) -> None:
    bars, common = walk(11, 400), replace(COMMON, piv_window=1, lookback_candles=9, atr_period=1)
    reach = REGISTRY[name].needs(common, params)
    whole = {f.i for f in ran(name, bars, params, common, lo=20)[0]}
    singly = {i for i in range(20, 400) if ran(name, bars.cut(i + 1 - reach, i + 1), params, common, lo=reach - 1)[0]}
    assert whole == singly and len(whole) > 20


@pytest.mark.covers("rule 19b")
def test_compression_needs_narrow_bands_before_the_breakout_and_not_on_it() -> None:
    swings = [100.0 + (3.0 if k % 2 else -3.0) for k in range(150)]
    calm = [100.0 + (0.1 if k % 2 else -0.1) for k in range(30)]
    def market(closes: list[float]) -> Bars:
        return hilo([c + 0.05 for c in closes], [c - 0.05 for c in closes], closes)
    params = compression.CompressionParams(ema_side=False)
    widening = [100.0 + (1 + 0.02 * k) * (1 if k % 2 else -1) for k in range(180)]
    narrow, wide = market([*swings, *calm, 104.0]), market([*widening, 106.0])
    assert sides("compression", narrow, params) == {180: 1}
    assert sides("donchian", wide, donchian.DonchianParams(ema_side=False)).get(180) == 1
    assert sides("compression", wide, params) == {}


@pytest.mark.covers("rule 19c", "rule 19b")
def test_breakouts_are_planned_at_the_close_with_the_stop_in_atrs() -> None:
    bars = hilo([10.0, 10.0, 10.0, 10.0, 11.0], [8.0] * 5, [9.0, 9.0, 9.0, 9.0, 10.5])
    (f,), _ = ran("donchian", bars, FREE, QUICK)
    atr = Indicators(bars, 2, PLAIN).atr(4)
    assert (f.i, f.start, f.end, f.entry, f.sl) == (4, 4, 4, 10.5, 10.5 - 2.0 * atr)
    assert f.market and f.trail_mult == 3.0 and f.max_hold == 200
    assert all(map(math.isnan, (f.tp1, f.tp2, f.avwap)))
    assert f.why == "Close 10.5 above the 3-bar high 10; stop at 2 ATR, trailed"


@pytest.mark.covers("rule 5")
def test_without_an_atr_there_is_no_candidate_and_it_is_counted() -> None:
    bars = hilo([10.0, 10.0, 10.0, 10.0, 11.0], [8.0] * 5, [9.0, 9.0, 9.0, 9.0, 10.5])
    assert ran("donchian", bars, FREE, replace(COMMON, atr_period=6)) == ([], Counter(no_atr=1))
    up = hilo([12, 11, 12, 14, 16, 18, 16], [11, 10, 11, 12, 14, 15, 14])
    common = replace(COMMON, piv_window=1, lookback_candles=10)
    assert ran("fibo_avwap", up, fibo_avwap.FiboAvwapParams(), common) == ([], Counter(no_atr=1))


@pytest.mark.covers("rule 11", "rule 12", "I2")
def test_fibo_plan_on_a_small_impulse_by_hand() -> None:
    up = hilo([12, 11, 12, 14, 16, 18, 16], [11, 10, 11, 12, 14, 15, 14])
    common = replace(COMMON, piv_window=1, lookback_candles=10, atr_period=2)
    (f,), _ = ran("fibo_avwap", up, fibo_avwap.FiboAvwapParams(), common)
    atr = Indicators(up, 2, PLAIN).atr(6)
    assert (f.direction, f.i, f.start, f.end, f.market, f.max_hold) == (1, 6, 1, 5, False, 0)
    # 18 - 0.618 x 8; 10 - 0.5 x 1.5 x ATR of the deciding bar; 10 + 1.272 x 8; 10 + 1.618 x 8
    assert [f.entry, f.sl, f.tp1, f.tp2] == pytest.approx([13.056, 10 - 0.75 * atr, 20.176, 22.944])
    # halfway closes, volume 1: typical prices 10.5 11.5 13 15 16.5 15 from bar 1 to the deciding bar 6
    assert f.avwap == pytest.approx(81.5 / 6)
    assert f.why == ("Up impulse 10 to 18 over 4 bars; entry at the 0.618 retracement; "
                     f"AVWAP 13.5833 lies {(81.5 / 6 - 13.056) / atr:.1f} ATR above")


@pytest.mark.covers("rule 12")
def test_avwap_can_be_switched_off_and_is_missing_without_volume() -> None:
    up = hilo([12, 11, 12, 14, 16, 18, 16], [11, 10, 11, 12, 14, 15, 14])
    common = replace(COMMON, piv_window=1, lookback_candles=10, atr_period=2)
    dry = Bars(up.tf, up.ts, up.open, up.high, up.low, up.close, np.zeros(7), up.minutes)
    for bars, use in ((up, False), (dry, True)):
        (f,), _ = ran("fibo_avwap", bars, fibo_avwap.FiboAvwapParams(), replace(common, avwap_use=use))
        assert math.isnan(f.avwap) and f.why.endswith("retracement; no AVWAP")


def test_defaults_and_bounds_are_those_of_the_rules() -> None:
    assert {n: s.timeframes for n, s in REGISTRY.items()} == {
        "compression": ("4h",), "donchian": ("4h",), "fibo_avwap": ("5m", "15m", "1h")}
    d, c = donchian.DonchianParams(), compression.CompressionParams()
    assert (d.channel, d.ema_side, d.sl_atr, d.trail_atr, d.max_hold_candles) == (20, True, 2.0, 3.0, 200)
    assert (c.channel, c.sl_atr, c.trail_atr, c.max_hold_candles) == (20, 1.5, 3.0, 200)
    assert (c.bandwidth_period, c.bandwidth_std, c.bandwidth_lookback) == (20, 2.0, 120)
    assert (c.bandwidth_rank_pct, c.within_bars) == (20.0, 5)
    assert fields(fibo_avwap.FiboAvwapParams) == ()
    for params in (d, c):
        for field in fields(params):
            if field.type is not bool and field.type != "bool":
                assert field.metadata["min"] <= getattr(params, field.name) <= field.metadata["max"]


def test_a_name_cannot_be_taken_twice() -> None:
    with pytest.raises(ValueError, match="'donchian' is registered twice"):
        package.setup("donchian", params=dict, timeframes=(), needs=lambda common, params: 1)(donchian.find)


TOY = '''
from dataclasses import dataclass
from core.signals.setups import NONE, Found, setup

@dataclass(frozen=True, slots=True)
class ToyParams:
    every: int = 50

@setup("toy", params=ToyParams, timeframes=("5m",), needs=lambda common, params: 1)
def find(bars, lo, hi, ind, common, params, kernels, counts):
    return [Found("toy", 1, i, i, i, c := float(bars.close[i]), c * 0.98, NONE, NONE, NONE, True, NONE, 0, "Toy")
            for i in range(lo, hi) if i % params.every == 0]
'''


def test_adding_a_setup_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    monkeypatch.setattr(package, "REGISTRY", {})
    loaded = {n: m for n, m in sys.modules.items() if n.startswith(package.__name__)}
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    try:
        fresh = _discovered_with(tmp_path)
        assert sorted(fresh) == ["compression", "donchian", "fibo_avwap", "toy"]
        toy = fresh["toy"]
        candidates = decided(walk(1, 700), 560, 700, [(toy, toy.params())])
        assert [c.setup for c in candidates] == ["toy"] * 2 and candidates[0].rationale.startswith("Toy; ")
    finally:
        for name in [n for n in sys.modules if n.startswith(package.__name__)]:
            del sys.modules[name]
        sys.modules.update(loaded)
        sys.modules["core.signals"].setups = package  # type: ignore[attr-defined]


def _discovered_with(folder: Path) -> dict[str, Any]:
    # The package imported afresh, with one more folder on its path: what a new file in it amounts to.
    source = Path(str(package.__file__))
    spec = importlib.util.spec_from_file_location(package.__name__, source,
                                                  submodule_search_locations=[str(source.parent), str(folder)])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[package.__name__] = module
    spec.loader.exec_module(module)
    registry: dict[str, Any] = module.REGISTRY
    return registry
