"""The generated market: deterministic in any order, consistent, and without an edge unless one is planted."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.candles import Bars
from core.errors import DataError
from core.market.candle_gate import check
from core.market.generated import FUNDING, START, SYMBOLS, GeneratedMarket, random_walk
from core.market.source import decimals, row_at
from core.timeframe import DAY, HOUR, MINUTE

BTC, ETH, DOGE = "BTC/USDT:USDT", "ETH/USDT:USDT", "DOGE/USDT:USDT"
COLUMNS = ("ts", "open", "high", "low", "close", "volume", "minutes")
# Captured when the market was written; a change of it changes every figure measured on it.
GOLDEN = "e62bd948dc4ceac30855b6e16eb85fe895ff450f518c774c0627f4d078858b10"


def market(**more: float) -> GeneratedMarket:
    return GeneratedMarket((BTC, ETH, DOGE), **{"days": 60, **more})  # type: ignore[arg-type]


def same(a: Bars, b: Bars) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in COLUMNS)


def digest(bars: Bars) -> str:
    return hashlib.sha256(b"".join(getattr(bars, name).tobytes() for name in COLUMNS)).hexdigest()


def returns(bars: Bars, minutes: int) -> np.ndarray:
    return np.diff(np.log(bars.close[::minutes]))


def test_three_days_of_three_symbols_have_the_bytes_they_had() -> None:
    source = market()
    found = [digest(source.candles(s, START + 10 * DAY, START + 13 * DAY)) for s in source.symbols()]
    assert hashlib.sha256("".join(found).encode()).hexdigest() == GOLDEN


@given(st.lists(st.tuples(st.sampled_from([BTC, ETH, DOGE]), st.integers(0, 59), st.integers(1, 2000)), max_size=6))
@pytest.mark.covers("I1")
def test_a_minute_does_not_depend_on_what_was_asked_before(asked: list[tuple[str, int, int]]) -> None:
    restless = market()
    for symbol, day, minutes in asked:
        restless.candles(symbol, START + day * DAY - 7 * MINUTE, START + day * DAY + minutes * MINUTE)
    span = START + 30 * DAY - HOUR, START + 30 * DAY + HOUR
    assert same(restless.candles(BTC, *span), _FRESH)


_FRESH = market().candles(BTC, START + 30 * DAY - HOUR, START + 30 * DAY + HOUR)


@pytest.mark.covers("I1")
def test_other_symbols_a_longer_life_and_forgetting_change_nothing() -> None:
    alone = GeneratedMarket((BTC,), days=300)
    assert same(alone.candles(BTC, START, START + DAY), market().candles(BTC, START, START + DAY))
    first = alone.candles(BTC, START + 3 * DAY, START + 4 * DAY)
    for day in range(100):
        alone.candles(BTC, START + day * DAY, START + (day + 1) * DAY)
    assert same(alone.candles(BTC, START + 3 * DAY, START + 4 * DAY), first)
    assert alone._day.cache_info().currsize <= 18


def test_any_range_is_a_cut_of_the_whole_and_outside_the_life_there_is_nothing() -> None:
    source = market()
    whole = source.candles(ETH, START + 4 * DAY, START + 6 * DAY)
    assert len(whole) == 2880 and np.all(np.diff(whole.ts) == MINUTE)
    part = source.candles(ETH, START + 5 * DAY - 90_001, START + 5 * DAY + 90_001)
    assert part.ts.tolist() == [START + 5 * DAY + n * MINUTE for n in (-1, 0, 1)]
    assert same(part, whole.cut(1439, 1442))
    for outside in (START - DAY, START + 60 * DAY):
        assert len(source.candles(ETH, outside, outside + DAY)) == 0
    assert source.first(ETH) == START and source.last(ETH) == START + 60 * DAY - MINUTE
    assert source.partial(ETH, START - 1) is None and source.partial(ETH, START + 60 * DAY) is None
    with pytest.raises(DataError, match="FOO"):
        source.candles("FOO/USDT:USDT", START, START + DAY)


def test_it_says_that_it_is_generated_and_knows_twenty_coins() -> None:
    assert market().label == "generated market (seed 7)"
    assert "planted edge" in market(edge=0.5).label
    assert len(SYMBOLS) == len(set(SYMBOLS)) == len(GeneratedMarket(days=1).symbols()) == 20
    assert len(GeneratedMarket(("NEW/USDT:USDT",), days=1).candles("NEW/USDT:USDT", START, START + DAY)) == 1440


@pytest.mark.parametrize("symbol", [BTC, DOGE, "SHIB/USDT:USDT"])
def test_every_candle_passes_the_gate_and_stands_on_the_tick(symbol: str) -> None:
    source = GeneratedMarket((symbol,), days=60)
    bars = source.candles(symbol, START + 20 * DAY, START + 23 * DAY)
    rows = [list(row_at(bars, i)) for i in range(len(bars))]
    gated = check(rows, MINUTE, START, START + 60 * DAY, START + 60 * DAY)
    assert len(gated.rows) == len(rows) and not gated.rejected
    info = source.info(symbol)
    for step, values in ((info.tick, bars.close), (info.tick, bars.high), (info.lot, bars.volume)):
        assert values.tolist() == [float(f"{v:.{decimals(step)}f}") for v in values]
        assert np.all(values > 0)


def test_days_join_without_a_seam_and_jumps_open_minutes_with_a_gap() -> None:
    bars = market(jumps=3.0).candles(BTC, START, START + 20 * DAY)
    gaps = np.flatnonzero(bars.open[1:] != bars.close[:-1])
    assert 30 < len(gaps) < 90
    calm = market(jumps=0.0).candles(BTC, START, START + 20 * DAY)
    assert np.array_equal(calm.open[1:], calm.close[:-1])


def test_volatility_clusters_follows_the_hours_and_symbols_move_together() -> None:
    source = market()
    btc, eth = (source.candles(s, START, START + 60 * DAY) for s in (BTC, ETH))
    size = np.abs(returns(btc, 1))
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.1
    assert 0.3 < np.corrcoef(returns(btc, 60), returns(eth, 60))[0, 1] < 0.8
    by_hour = (btc.high / btc.low - 1.0).reshape(60, 24, 60).mean(axis=(0, 2))
    assert by_hour[14] > 1.5 * by_hour[3]
    assert btc.volume.reshape(60, 24, 60).mean(axis=(0, 2))[14] > 1.2 * btc.volume.mean()


@pytest.mark.covers("I4")
def test_the_price_is_a_martingale_over_days_and_within_them() -> None:
    daily, hourly = [], []
    for seed in range(12):
        source = GeneratedMarket((BTC, DOGE), seed, days=400)
        for symbol in source.symbols():
            daily.append(np.exp(np.diff(source._table(symbol)[0])) - 1.0)
        close = source.candles(BTC, START, START + 12 * DAY).close[::60]
        hourly.append(close[1:] / close[:-1] - 1.0)
    for sample in (np.concatenate(daily), np.concatenate(hourly)):
        assert abs(sample.mean()) < 3 * sample.std() / len(sample) ** 0.5
    pairs = np.concatenate([np.stack([h[1:], h[:-1]]) for h in hourly], axis=1)
    assert abs(np.corrcoef(pairs)[0, 1]) < 4 / pairs.shape[1] ** 0.5


def test_a_planted_edge_is_found_and_its_clean_twin_has_none() -> None:
    def lift(edge: float) -> float:
        source = GeneratedMarket((BTC,), days=800, edge=edge, jumps=0.0)
        log, _, variance, _ = source._table(BTC)
        z = np.diff(log) / np.sqrt(variance)
        crowd = np.array([rate for _, rate in source.funding(BTC, START, START + 800 * DAY)])[::3]  # of each midnight
        return -float(np.corrcoef(crowd, z)[0, 1]) * len(z) ** 0.5

    assert lift(1.0) > 6.0
    assert abs(lift(0.0)) < 3.0


def test_a_planted_edge_is_known_before_the_day_it_moves_and_is_not_the_trend() -> None:
    source = GeneratedMarket((BTC,), days=800, edge=1.0, jumps=0.0)
    crowd = source._crowd(BTC)
    rates = np.array([rate for _, rate in source.funding(BTC, START, START + 800 * DAY)])
    assert np.corrcoef(rates[::3], crowd)[0, 1] > 0.95, "the rate of the day's first moment shows it"
    z = np.diff(source._table(BTC)[0])
    trend = np.lib.stride_tricks.sliding_window_view(z, 8)[:-1].mean(axis=1)
    assert abs(np.corrcoef(trend, crowd[8:])[0, 1]) < 0.25, "the side of a long average does not tell it"
    twin = GeneratedMarket((BTC,), days=800, edge=1.0, jumps=0.0)
    assert same(source.candles(BTC, START, START + DAY), twin.candles(BTC, START, START + DAY))


def test_funding_is_every_eight_hours_plausible_and_deterministic() -> None:
    source = market()
    rates = source.funding(BTC, START, START + 60 * DAY)
    assert [ts for ts, _ in rates] == list(range(START, START + 60 * DAY, FUNDING))
    for twin in (source, market()):
        assert twin.funding(BTC, START + 1, START + FUNDING + 1) == rates[1:2]
    values = np.array([rate for _, rate in rates])
    assert 0 < values.mean() < 3e-4 and np.abs(values).max() <= 3e-3 and values.min() < 0
    assert source.funding(BTC, START - DAY, START) == [] == source.funding(BTC, START + 60 * DAY, START + 61 * DAY)


@pytest.mark.covers("I4")
def test_a_random_walk_has_a_mean_of_zero_at_any_horizon() -> None:
    walks = [random_walk(seed, 1500, vol=0.002) for seed in range(600)]
    for minute in (0, 99, 1499):
        ends = np.array([walk.close[minute] for walk in walks]) / 1000.0 - 1.0
        assert abs(ends.mean()) < 3 * ends.std() / len(ends) ** 0.5
        assert ends.std() == pytest.approx(0.002 * (minute + 1) ** 0.5, rel=0.1)


def test_a_random_walk_is_honest_within_the_bar_and_stays_positive() -> None:
    walk = random_walk(3, 20_000, vol=0.01)
    assert walk.low.min() > 0 and np.array_equal(walk.open[1:], walk.close[:-1])
    top, bottom = np.maximum(walk.open, walk.close), np.minimum(walk.open, walk.close)
    assert np.all(walk.high >= top) and np.all(walk.low <= bottom)
    assert np.mean(walk.high > top) > 0.5
    up, down = np.log(walk.high / walk.open).mean(), np.log(walk.open / walk.low).mean()
    assert up == pytest.approx(down, rel=0.03)
    assert digest(walk) == digest(random_walk(3, 20_000, vol=0.01)) != digest(random_walk(4, 20_000, vol=0.01))
