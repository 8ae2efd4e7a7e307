"""From bars to candidates: warm-up, order, what a candidate carries, real candles."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.candles import Bars
from core.signals.decide import first_complete, needs, window
from core.signals.indicators import BLOCK
from core.signals.setups import REGISTRY, donchian
from core.signals.text import number, told
from tests.signals.compiled_kernels import compiled
from tests.signals.lookahead import decided, toy
from tests.signals.markets import BLOCK_MS, COMMON, EPOCH, TF, walk

ALL = [(s, s.params()) for s in REGISTRY.values()]
FIBO = [(REGISTRY["fibo_avwap"], REGISTRY["fibo_avwap"].params())]


@pytest.mark.covers("rule 5", "rule 30")
def test_warm_is_the_three_hundred_bars_with_the_whole_block_before_the_oldest() -> None:
    bars = walk(1, 800)
    # stretch from EPOCH on: the oldest of the 300 must lie in block 1 or later -> bar 128 + 299
    assert first_complete(bars, EPOCH, 100, 0) == 128 + 299
    assert first_complete(bars, EPOCH + 1, 100, 0) == 256 + 299  # one ms short: a block later
    assert first_complete(bars, EPOCH - BLOCK_MS, 100, 0) == 299  # an older start: as soon as 300 bars exist
    assert first_complete(bars, EPOCH - BLOCK_MS, 401, 0) == 400  # the setup's own need
    assert first_complete(bars, EPOCH + 10 * TF, 600, 0) == 609  # bars 10 to 609 are 600
    assert first_complete(bars, EPOCH, 100, 600) == 600
    assert first_complete(bars, EPOCH + 700 * TF, 100, 0) == 800  # never in these bars
    assert first_complete(bars.cut(0, 0), EPOCH, 100, 0) == 0


@pytest.mark.covers("rule 5")
@settings(max_examples=40)
@given(seed=st.integers(0, 999), start=st.integers(-200, 700), need=st.integers(1, 450), lo=st.integers(0, 700))
def test_first_complete_equals_a_plain_scan(seed: int, start: int, need: int, lo: int) -> None:
    bars, stretch = walk(seed, 700, holes=0.2), EPOCH + start * TF
    ts = bars.ts.tolist()
    warm = [i for i in range(max(lo, 299, need - 1), len(ts))
            if stretch <= min((ts[i - 299] // TF // BLOCK - 1) * BLOCK * TF, ts[i - need + 1])]
    assert first_complete(bars, stretch, need, lo) == (warm[0] if warm else max(len(ts), 0))


@pytest.mark.covers("rule 5")
def test_bars_that_are_not_warm_are_not_decided() -> None:
    bars = walk(1, 800)
    cold = decided(bars, 0, 800, ALL, stretch_start=EPOCH)
    assert min(c.ts for c in cold) >= int(bars.ts[427])
    assert cold == [c for c in decided(bars, 0, 800, ALL) if c.ts >= int(bars.ts[427])]


@pytest.mark.covers("rule 5")
def test_needs_is_the_largest_and_the_window_covers_two_blocks() -> None:
    assert needs(FIBO, COMMON) == 123 and needs(ALL, COMMON) == 401
    assert window(FIBO, COMMON) == 299 + 256
    assert window(FIBO, replace(COMMON, lookback_candles=900)) == 903
    assert needs([(REGISTRY["donchian"], donchian.DonchianParams(ema_side=False))], COMMON) == 123


@pytest.mark.covers("rule 17", "I3")
def test_refused_candidates_are_kept_and_impossible_ones_counted() -> None:
    counts: Counter[str] = Counter()
    strict = replace(COMMON, min_tp_net_pct=2.0, max_cost_r=0.09)
    candidates = decided(walk(1, 1500), 0, 1500, ALL, common=strict, counts=counts)
    refusals = Counter(c.refusal.split()[0] for c in candidates if c.refusal)
    assert refusals["cost_r"] > 0 and refusals["tp1_net"] > 0 and any(c.refusal is None for c in candidates)
    assert set(counts) <= {"sl_touched", "cost_hopeless", "levels_out_of_order", "qty_zero", "stop_too_wide", "no_atr"}
    assert counts["sl_touched"] > 0 and counts["cost_hopeless"] == 0
    dear = decided(walk(1, 1500), 0, 1500, ALL, common=replace(strict, max_cost_r=0.03), counts=counts)
    assert counts["cost_hopeless"] > 0 and all(c.cost_r <= 3 * 0.03 for c in dear)


@pytest.mark.covers("rule 13", "rule 19c")
def test_a_candidate_carries_what_its_row_needs() -> None:
    bars = walk(1, 1200)
    candidates = decided(bars, 0, 1200, ALL)
    assert candidates == sorted(candidates, key=lambda c: (c.decided_ts, c.setup, c.start_ts))
    fibo = next(c for c in candidates if c.setup == "fibo_avwap" and c.direction == 1)
    breakout = next(c for c in candidates if c.setup == "donchian")
    assert fibo.decided_ts == fibo.ts + TF and fibo.start_ts < fibo.end_ts < fibo.ts
    assert fibo.end_ts == fibo.ts - COMMON.piv_window * TF
    assert fibo.timeframe == "5m" and (fibo.tick, fibo.lot, fibo.min_notional) == (0.01, 0.001, 5.0)
    assert fibo.tp1 is not None and fibo.tp2 is not None and fibo.sl < fibo.entry < fibo.tp1 < fibo.tp2
    assert fibo.trail_mult is None and fibo.max_hold == 0 and not fibo.market and fibo.tp1_net_pct is not None
    assert breakout.start_ts == breakout.end_ts == breakout.ts and breakout.market
    assert (breakout.tp1, breakout.tp2, breakout.avwap, breakout.tp1_net_pct) == (None, None, None, None)
    assert (breakout.trail_mult, breakout.max_hold) == (3.0, 200)
    for c in candidates:
        assert c.trend in ("trend", "range") and c.vol in ("low", "normal", "high")
        assert c.rationale.endswith(f"; {c.trend}, {c.vol} volatility.") and "\n" not in c.rationale
        assert all(type(x) in (str, int, float, bool, type(None)) for x in c)  # no numpy scalars leave the room


@pytest.mark.covers("rule 19")
def test_plans_are_independent_of_each_other() -> None:
    bars = walk(8, 1200)
    together = decided(bars, 0, 1200, ALL)
    alone = [c for pair in ALL for c in decided(bars, 400, 1200, [pair])]
    assert sorted(together) == sorted(c for c in alone)


@pytest.mark.covers("rule 5")
def test_a_bar_without_atr_makes_no_row() -> None:
    bars = walk(1, 700)
    always = toy("always", lambda b, i: 1)
    rows = decided(bars, 600, 700, [(always, {})])
    assert len(rows) == 100


@pytest.mark.parametrize(("value", "text"), [(27110.0, "27110"), (0.00001234, "0.00001234"), (103.82, "103.82"),
                                             (12345678901.0, "12345678900")])
def test_numbers_read_without_exponents(value: float, text: str) -> None:
    assert number(value) == text


def test_a_number_never_reads_as_its_limit() -> None:
    assert told(0.31, 0.5) == "0.31" and told(0.49996, 0.5) == "0.49996" and told(0.5, 0.5) == "0.5"


def five_minutes(path: Path, days: int) -> Bars:
    """Final 5m bars of the first days of a file of 1m candles."""
    import pyarrow.parquet as pq

    table = {n: c.to_numpy()[: days * 1440] for n, c in zip(*_columns(pq.read_table(path)), strict=True)}
    first = np.flatnonzero(np.diff(table["ts"] // TF, prepend=-1))
    return Bars(TF, table["ts"][first] // TF * TF, table["open"][first], np.maximum.reduceat(table["high"], first),
                np.minimum.reduceat(table["low"], first), table["close"][np.append(first[1:], len(table["ts"])) - 1],
                np.add.reduceat(table["volume"], first), np.diff(np.append(first, len(table["ts"]))))


def _columns(table: object) -> tuple[list[str], list]:
    return table.column_names, [table.column(n) for n in table.column_names]  # type: ignore[attr-defined]


@pytest.mark.covers("I1", "rule 5")
@pytest.mark.parametrize("name", ["binance_perp-BTCUSDT-1m-20230718-20230817", "bitfinex-LTCUSD-1m-20180101-20181231"])
def test_real_candles_plain_and_compiled_window_and_history_agree(real_candles: Path, name: str) -> None:
    bars = five_minutes(real_candles / f"{name}.parquet", 8)
    common = replace(COMMON, min_tp_net_pct=0.2)
    n, reach = len(bars), window(ALL, common)
    whole = decided(bars, 0, n, ALL, common=common)
    assert whole == decided(bars, 0, n, ALL, common=common, kernels=compiled()) and len(whole) > 50
    for i in sorted({int(bars.ts.searchsorted(c.ts)) for c in whole})[::25]:
        part = bars.cut(max(0, i + 1 - reach), i + 1)
        live = decided(part, len(part) - 1, len(part), ALL, common=common)
        assert live == [c for c in whole if c.ts == int(bars.ts[i])]
