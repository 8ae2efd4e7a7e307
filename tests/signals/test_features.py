"""Features: by hand, against the slow reference, and knowing only what was known at the decision."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.candles import Bars, Floats
from core.errors import DataError
from core.signals import features
from core.signals.decide import Candidate
from core.signals.features import FEATURES, NAMES, Frames, PlanFacts, market, needs, table, trend
from core.signals.kernels import PLAIN, Kernels
from core.timeframe import DAY, HOUR, MINUTE
from tests.signals import feature_rig as rig
from tests.signals import reference_features as slow
from tests.signals.compiled_kernels import compiled
from tests.signals.feature_rig import leaks, same, seen_at, some
from tests.signals.markets import EPOCH, TF, keep, mirrored, walk

HOLES = [0.0, 0.05]
HOURS = EPOCH // HOUR * HOUR  # a whole hour near the start of the markets
LEVEL = ("atr_pct", "atr_rank", "band_rank", "stop_pct", "btc_atr_rank")  # relative to the price


def column(found: Floats, name: str) -> Floats:
    values: Floats = found[:, NAMES.index(name)]
    return values


def market_rows(seed: int, holes: float, count: int, n: int = 2000) -> tuple[Frames, list[PlanFacts]]:
    """A market and some of its candidates, most of them with a warm higher timeframe."""
    frames = rig.market(seed, n, holes)
    return frames, some([r for r in rig.candidates(frames.bars) if r.ts >= EPOCH + 1100 * TF], count, seed)


def at(frames: Frames, ts: int, side: int = 1, **changes: object) -> PlanFacts:
    """A plan decided at the close of bar `ts`: a stop of 1, targets at 2 and 3."""
    i = int(frames.bars.ts.searchsorted(ts))
    close = float(frames.bars.close[i])
    row = PlanFacts("fibo_avwap", "5m", side, ts, ts + frames.bars.tf, ts, ts, close, close - side, close + 2 * side,
                    close + 3 * side, close, 0.1, 0.4)
    return row._replace(**changes)


def one(frames: Frames, row: PlanFacts) -> dict[str, float]:
    return dict(zip(NAMES, table([row], frames, PLAIN)[0].tolist(), strict=True))


# -- nothing is known too early ---------------------------------------------------------------------


@pytest.mark.covers("I2", "D2", "rule 5")
@settings(max_examples=4)
@given(seed=st.integers(0, 10_000), holes=st.sampled_from(HOLES))
def test_features_are_the_same_when_everything_later_is_noise(seed: int, holes: float) -> None:
    frames, rows = market_rows(seed, holes, 90)
    assert leaks(frames, rows[:60], rows[60:]) == []


def opened(bars: Bars, decided_ts: np.ndarray) -> np.ndarray:
    """Flaw: the bar in progress is joined, by its open."""
    return bars.ts.searchsorted(decided_ts, side="right") - 1


def one_ahead(bars: Bars, decided_ts: np.ndarray) -> np.ndarray:
    """Flaw: the bar that closes next is joined."""
    return np.minimum(features.as_of(bars, decided_ts) + 1, len(bars) - 1)


def normalised(rows: Sequence[PlanFacts], frames: Frames, kernels: Kernels) -> Floats:
    """Flaw: each column is scaled by all of itself."""
    found = table(rows, frames, kernels)
    return found / np.maximum(1.0, np.max(np.abs(np.nan_to_num(found)), axis=0))


def ranked_over_all(rows: Sequence[PlanFacts], frames: Frames, kernels: Kernels) -> Floats:
    """Flaw: a volume is compared with that of all history."""
    found = table(rows, frames, kernels)
    found[:, NAMES.index("volume_20")] /= np.median(frames.bars.volume)
    return found


HIGHER_NAMES = ["higher_adx", "higher_ema50", "higher_return_12"]


@pytest.mark.covers("I2", "D2")
@pytest.mark.parametrize(("module", "name", "flaw", "caught"), [
    (trend, "as_of", opened, HIGHER_NAMES),
    (market, "as_of", one_ahead, ["btc_atr_rank", "btc_ema50", "btc_return_12"]),
    (market, "PUBLISHED", -8 * HOUR, ["funding_day_pct", "funding_pct"]),
])
def test_a_planted_leak_is_caught_and_named(monkeypatch: pytest.MonkeyPatch, module: object, name: str, flaw: object,
                                            caught: list[str]) -> None:
    frames, rows = market_rows(11, 0.0, 20)
    assert leaks(frames, rows[:12], rows[12:]) == []
    monkeypatch.setattr(module, name, flaw)
    assert leaks(frames, rows[:12], rows[12:]) == caught


@pytest.mark.covers("I2", "D2")
@pytest.mark.parametrize("flaw", [normalised, ranked_over_all])
def test_a_whole_column_normalisation_is_caught(flaw: Callable[..., Floats]) -> None:
    frames, rows = market_rows(12, 0.0, 20)
    assert "volume_20" in leaks(frames, rows[:12], rows[12:], flaw)


@pytest.mark.covers("I2", "D2")
def test_each_row_with_an_unfinished_higher_bar_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    # Cutting at the decision, with zero tolerance, is what gives the check its power.
    frames, rows = market_rows(13, 0.0, 40)
    warm = [r for r in rows if r.decided_ts > EPOCH + 110 * HOUR]
    monkeypatch.setattr(trend, "as_of", opened)
    assert len(warm) > 10
    assert all(leaks(frames, [row], []) == HIGHER_NAMES for row in warm)


# -- as-of joins ------------------------------------------------------------------------------------


def with_bar(hour: Bars, close: float, closes_at: int) -> Bars:
    """The hours with one more bar, which closes at the given time."""
    columns = [np.append(x, close) for x in (hour.open, hour.high, hour.low, hour.close, hour.volume)]
    return Bars(HOUR, np.append(hour.ts, closes_at - HOUR), *columns, np.append(hour.minutes, 60))


@pytest.mark.covers("I2", "D2")
def test_a_higher_bar_that_closes_at_the_decision_counts_and_one_a_minute_later_does_not() -> None:
    frames = rig.market(21)
    ts = HOURS + 170 * HOUR - TF
    row = at(frames, ts)
    assert row.decided_ts % HOUR == 0
    before, price = frames.higher[HOUR].before(row.decided_ts - HOUR), float(frames.bars.close[0])
    without, counted, late = (one(replace(frames, higher={HOUR: hours}), row) for hours in (
        before, with_bar(before, price * 2, row.decided_ts), with_bar(before, price * 2, row.decided_ts + MINUTE)))
    assert all(counted[n] != without[n] for n in HIGHER_NAMES)
    assert all(late[n] == without[n] for n in HIGHER_NAMES)


@pytest.mark.covers("I2", "D2")
def test_a_frame_that_ended_long_ago_is_not_the_state_of_now() -> None:
    frames = rig.market(22)
    row = at(frames, HOURS + 170 * HOUR - TF)
    hour = frames.higher[HOUR]
    for missing, known in ((0, True), (3, True), (4, False)):
        found = one(replace(frames, higher={HOUR: hour.before(row.decided_ts - missing * HOUR)}), row)
        assert math.isnan(found["higher_adx"]) is not known
    btc = frames.btc
    assert btc is not None
    for missing, known in ((3, True), (4, False)):
        found = one(replace(frames, btc=btc.before(row.decided_ts - missing * TF)), row)
        assert math.isnan(found["btc_return_12"]) is not known


@pytest.mark.covers("I2")
def test_a_funding_rate_is_known_an_hour_after_its_settlement() -> None:
    frames = rig.market(23)
    row = at(frames, HOURS + 170 * HOUR)
    edge = row.decided_ts - HOUR
    times = np.array([edge - DAY - 1, edge - DAY, edge - DAY + 1, edge - 8 * HOUR, edge, edge + 1])
    rates = np.array([1e-4, 2e-4, 4e-4, 8e-4, 16e-4, 32e-4])
    found = one(replace(frames, funding=(times, rates)), row)
    assert found["funding_pct"] == pytest.approx(0.16) and found["funding_day_pct"] == pytest.approx(0.28)
    short = one(replace(frames, funding=(times, rates)), at(frames, row.ts, -1))
    assert short["funding_pct"] == -found["funding_pct"] and short["funding_day_pct"] == -found["funding_day_pct"]
    assert one(replace(frames, funding=(times[:4], rates[:4])), row)["funding_pct"] == pytest.approx(0.08)
    young = one(replace(frames, funding=(times[2:], rates[2:])), row)  # the day may not be known as a whole
    assert young["funding_pct"] == pytest.approx(0.16) and math.isnan(young["funding_day_pct"])
    for gone in ((times[:2], rates[:2]), (times[:0], rates[:0]), None):
        stale = one(replace(frames, funding=gone), row)
        assert math.isnan(stale["funding_pct"]) and math.isnan(stale["funding_day_pct"])


@pytest.mark.covers("I1")
def test_a_decision_made_before_a_frame_was_whole_does_not_see_it() -> None:
    frames, rows = market_rows(25, 0.0, 30)
    until = rows[15].decided_ts
    span = (rows[5].decided_ts, until)
    for unseen, names in (("higher_unseen", HIGHER_NAMES), ("btc_unseen", [n for n in NAMES if n.startswith("btc_")])):
        plain, found = table(rows, frames, PLAIN), table(rows, replace(frames, **{unseen: span}), PLAIN)
        inside = np.array([span[0] <= r.decided_ts < until for r in rows])
        assert 0 < inside.sum() < len(rows)
        for name in NAMES:
            hidden = inside & (name in names)
            assert np.isnan(column(found, name)[hidden]).all()
            assert same(column(found, name)[~hidden], column(plain, name)[~hidden])


# -- the same values however they are asked for -----------------------------------------------------


@pytest.mark.covers("I1", "rule 5")
@settings(max_examples=5)
@given(seed=st.integers(0, 10_000), holes=st.sampled_from([0.0, 0.05, 0.3]))
def test_a_live_window_gives_the_bits_of_full_history(seed: int, holes: float) -> None:
    frames, rows = market_rows(seed, holes, 40)
    whole = table(rows, frames, compiled())
    for row, expected in zip(rows, whole, strict=True):
        assert same(table([row], seen_at(frames, row.decided_ts, windows=True), PLAIN)[0], expected)


@pytest.mark.covers("I1", "rule 5")
def test_a_window_too_short_is_caught() -> None:
    # planted flaw, at its worst place: the last bar of a block needs all of the block before
    frames, ranks = rig.market(31), []
    assert needs(TF) == (555, {HOUR: 256}, 555, 49 * HOUR)

    def adx_and_rank(i: int, count: int) -> tuple[float, float]:
        found = one(replace(frames, bars=frames.bars.cut(i + 1 - count, i + 1)), at(frames, int(frames.bars.ts[i])))
        return found["adx"], found["atr_rank"]

    for k in range(6, 18):
        last = 128 * k - 1
        whole, full, short = (adx_and_rank(last, n)[0] for n in (last + 1, 256, 255))
        assert whole == full != short
        whole, full, short = (adx_and_rank(last + 299, n)[1] for n in (last + 300, 555, 310))
        assert whole == full
        ranks.append(short == whole)
    assert not all(ranks)


@pytest.mark.covers("I1")
def test_rows_do_not_depend_on_their_company_their_order_or_the_kernels() -> None:
    frames, rows = market_rows(32, 0.05, 60)
    whole = table(rows, frames, PLAIN)
    assert same(whole, table(rows, frames, compiled()))
    assert same(whole[::-1], table(rows[::-1], frames, PLAIN))
    assert same(whole[7:9], table(rows[7:9], frames, PLAIN))
    assert same(np.vstack((whole[3], whole[3])), table([rows[3], rows[3]], frames, PLAIN))
    assert table([], frames, PLAIN).shape == (0, len(NAMES))


@pytest.mark.covers("rule 5", "I1")
def test_bars_before_the_stretch_are_not_read_and_what_needs_them_is_not_known() -> None:
    frames, rows = market_rows(33, 0.0, 30)
    start = int(frames.bars.ts[300])
    later = replace(frames, start=start, btc_start=start)
    assert frames.btc is not None
    bare = replace(later, bars=frames.bars.cut(300, len(frames.bars)), btc=frames.btc.cut(300, len(frames.btc)),
                   higher={HOUR: frames.higher[HOUR].cut(25, len(frames.higher[HOUR]))})
    rows = [r for r in rows if r.start_ts >= start]
    found = table(rows, later, PLAIN)
    assert same(found, table(rows, bare, PLAIN))
    for row, values in zip(rows, found, strict=True):
        # the oldest of the 300 sits in a block whose predecessor lies before the start
        oldest = (int(row.ts) - 299 * TF) // TF // 128 - 1
        assert math.isnan(values[NAMES.index("atr_rank")]) is (oldest * 128 * TF < start)
    early = at(frames, int(frames.bars.ts[420]))  # its own recursion would start before the stretch
    assert math.isnan(one(later, early)["adx"]) and not math.isnan(one(frames, early)["adx"])


# -- what the values are ----------------------------------------------------------------------------


@pytest.mark.covers("I2", "rule 5", "rule 6", "rule 19a")
@pytest.mark.parametrize(("seed", "holes", "start"), [(41, 0.0, 0), (42, 0.05, 0), (43, 0.0, 500)])
def test_the_table_equals_the_slow_reference(seed: int, holes: float, start: int) -> None:
    frames, rows = market_rows(seed, holes, 5, 1500)
    first = int(frames.bars.ts[start])
    frames = replace(frames, start=first, btc_start=first) if start else frames
    found = table(rows, frames, compiled())
    for row, values in zip(rows, found, strict=True):
        expected = slow.features(row, frames)
        assert set(expected) == set(NAMES)
        exact = [n for n in NAMES if "ema" not in n]
        assert same([values[NAMES.index(n)] for n in exact], [expected[n] for n in exact])
        assert values.tolist() == pytest.approx([expected[n] for n in NAMES], rel=1e-9, abs=1e-9, nan_ok=True)


@pytest.mark.covers("rule 5")
def test_rsi_of_two_by_hand() -> None:
    # changes 0, +1, -2, +3: seed up 1/2, down 0; then (0.5 + 0) / 2, (0 + 2) / 2; then (0.25 + 3) / 2, (1 + 0) / 2
    out = [0.0] * 4
    PLAIN.rsi([], [], [10.0, 11.0, 9.0, 12.0], 4, 2, out)
    assert math.isnan(out[0])
    assert out[1:] == [100.0, 20.0, pytest.approx(100 * 1.625 / 2.125)]
    flat = [0.0] * 3
    PLAIN.rsi([], [], [5.0] * 3, 3, 2, flat)
    assert flat[1:] == [50.0, 50.0]


def test_mean_and_rank_by_hand() -> None:
    out = [0.0] * 3
    PLAIN.means([1.0, 2.0, 6.0, 1.0], [1, 2, 3], 3, 3, out)
    assert math.isnan(out[0]) and out[1:] == [3.0, 3.0]
    PLAIN.ranks([math.nan, 2.0, 6.0, 2.0], [1, 2, 3], 3, 3, out)
    assert math.isnan(out[0]) and out[1:] == [50.0, 0.0]  # one of the two known lies below; none strictly
    PLAIN.ranks([1.0, 2.0, math.nan], [2], 1, 3, out)
    assert math.isnan(out[0])


@pytest.mark.covers("I2")
def test_the_plan_by_hand() -> None:
    frames = rig.market(44)
    i = 700
    ts = int(frames.bars.ts[i])
    bars = frames.bars
    bars.low[680], bars.high[690], bars.close[i] = 90.0, 110.0, 100.0
    row = at(frames, ts, start_ts=int(bars.ts[680]), end_ts=int(bars.ts[690]), entry=98.0, sl=88.0, tp1=118.0,
             tp2=128.0, avwap=97.0)
    found = one(frames, row)
    atr = found["atr_pct"]  # the close is 100
    assert {n: found[n] for n in ("fib_depth", "impulse_bars", "impulse_age", "rr1", "rr2")} == {
        "fib_depth": 0.5, "impulse_bars": 10.0, "impulse_age": 10.0, "rr1": 2.0, "rr2": 3.0}
    assert [found[n] * atr for n in ("impulse_atr", "entry_atr", "stop_atr", "avwap_atr")] == pytest.approx(
        [20.0, 2.0, 10.0, 1.0])
    assert found["stop_pct"] == pytest.approx(100 * 10 / 98) and found["cost_r"] == 0.1 and found["tp1_net_pct"] == 0.4


@pytest.mark.covers("rule 19c")
def test_a_plan_without_targets_or_impulse_knows_none_of_theirs() -> None:
    frames = rig.market(45)
    row = at(frames, int(frames.bars.ts[800]), setup="donchian", tp1=None, tp2=None, avwap=None, tp1_net_pct=None)
    found = one(frames, row)
    unknown = {n for n, value in found.items() if math.isnan(value)} - set(HIGHER_NAMES)
    assert unknown == {"fib_depth", "impulse_atr", "impulse_bars", "impulse_age", "rr1", "rr2", "avwap_atr",
                       "tp1_net_pct"}
    assert found["setup"] == 1.0 and found["timeframe"] == 1.0
    assert math.isnan(one(frames, row._replace(setup="a later one"))["setup"])


def test_hour_and_weekday_are_those_of_the_decision() -> None:
    frames = rig.market(46)
    row = at(frames, int(frames.bars.ts[900]))
    monday = 4 * DAY  # 1970-01-05
    found = features.hours.columns(features.read([row._replace(decided_ts=monday), row._replace(
        decided_ts=monday - 90 * MINUTE)]))
    assert found["hour"].tolist() == [0.0, 22.5] and found["weekday"].tolist() == [0.0, 6.0]


@pytest.mark.covers("I2")
@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_a_short_in_the_mirror_has_the_features_of_the_long(seed: int) -> None:
    about, bars, btc = 2048.0, walk(seed, 2000, tick=0.125, step=0.003), walk(seed + 1, 2000, tick=0.125, step=0.003)
    frames = rig.frames_of(bars, btc)
    assert frames.funding is not None
    other = replace(rig.frames_of(mirrored(bars, about), mirrored(btc, about)),
                    funding=(frames.funding[0], -frames.funding[1]))
    rows = some([r for r in rig.candidates(bars) if r.ts >= bars.ts[1300]], 40, seed)
    turned = [r._replace(direction=-r.direction, **{
        n: None if getattr(r, n) is None else about - getattr(r, n) for n in ("entry", "sl", "tp1", "tp2", "avwap")})
        for r in rows]
    found, mirror = table(rows, frames, compiled()), table(turned, other, compiled())
    for name in NAMES:
        if name not in LEVEL:
            assert column(found, name) == pytest.approx(column(mirror, name), rel=1e-9, abs=1e-9, nan_ok=True), name
    flipped = table([r._replace(direction=-r.direction) for r in rows], frames, compiled())
    assert all(same(column(found, n), column(flipped, n)) for n in LEVEL)


@pytest.mark.covers("I2")
def test_the_unit_of_price_and_volume_does_not_matter() -> None:
    frames, rows = market_rows(47, 0.05, 40)

    def scaled(b: Bars) -> Bars:
        return Bars(b.tf, b.ts, b.open * 64, b.high * 64, b.low * 64, b.close * 64, b.volume / 1024, b.minutes)

    assert frames.btc is not None
    other = replace(frames, bars=scaled(frames.bars), btc=scaled(frames.btc),
                    higher={tf: scaled(b) for tf, b in frames.higher.items()})
    scaled_rows = [r._replace(**{n: None if getattr(r, n) is None else getattr(r, n) * 64
                                 for n in ("entry", "sl", "tp1", "tp2", "avwap")}) for r in rows]
    assert same(table(rows, frames, PLAIN), table(scaled_rows, other, PLAIN))


def test_a_market_that_does_not_move_or_trade_gives_unknowns_and_nothing_infinite() -> None:
    n = 1400
    still = np.full(n, 100.0)
    bars = Bars(TF, EPOCH + TF * np.arange(n), still, still, still, still, np.zeros(n), np.full(n, 5))
    frames = rig.frames_of(bars, bars)
    found = one(frames, at(frames, int(bars.ts[-2]), sl=100.0))
    assert not any(math.isinf(value) for value in found.values())
    assert {n for n in ("body", "return_3", "volume_20", "rr1", "stop_atr", "ema50") if math.isnan(found[n])} == {
        "body", "return_3", "volume_20", "rr1", "stop_atr", "ema50"}
    assert found["rsi"] == 50.0 and found["adx"] == 0.0


def test_btc_has_no_state_of_its_own_and_a_frame_without_a_higher_one_says_so() -> None:
    frames = replace(rig.market(48), btc=None, higher={})
    found = one(frames, at(frames, int(frames.bars.ts[900])))
    assert all(math.isnan(value) for name, value in found.items() if name.startswith(("btc_", "higher_")))
    assert needs(DAY).higher == {} and needs(4 * HOUR).higher == {DAY: 256}
    assert needs(TF).bars == needs(TF).btc == 555


def test_a_row_of_another_timeframe_or_without_its_bar_is_refused() -> None:
    frames = rig.market(49)
    row = at(frames, int(frames.bars.ts[900]))
    hole = replace(frames, bars=keep(frames.bars, frames.bars.ts != row.ts))
    for wrong, given_frames in ((row._replace(decided_ts=row.ts + HOUR), frames), (row, hole),
                                (row._replace(ts=EPOCH - DAY, decided_ts=EPOCH - DAY + TF), frames)):
        with pytest.raises(DataError, match="5m"):
            table([wrong], given_frames, PLAIN)


# -- the contract with the models -------------------------------------------------------------------


def test_facts_are_fields_of_a_candidate() -> None:
    assert set(PlanFacts._fields) <= set(Candidate._fields)


def test_every_feature_says_what_it_is_and_no_name_comes_twice() -> None:
    parts = (features.shape, features.trend, features.plan, features.market, features.hours)
    assert sum(len(part.FEATURES) for part in parts) == len(NAMES) == len(FEATURES)
    assert all(FEATURES.values()) and len(NAMES) == 46


def test_version_grows_with_any_change_of_order_or_values() -> None:
    # A model reads columns by place: whoever changes this fingerprint raises VERSION with it.
    frames, rows = market_rows(51, 0.05, 30)
    text = [",".join(NAMES), *(" ".join(f"{x:.6g}" for x in values) for values in table(rows, frames, PLAIN).tolist())]
    print_ = hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]
    assert (features.VERSION, print_) == (2, "49fd15c2d7db76fc")
