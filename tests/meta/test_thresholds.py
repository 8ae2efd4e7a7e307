"""Thresholds: which one applies, and how they are tuned without fooling oneself."""

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError
from core.meta.thresholds import STEPS, Goal, Graded, Limit, Thresholds, from_plain, to_plain, tune

DAY = 86_400_000
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
EV = Goal("ev", 0.0)
P = Goal("p", 0.55)


@pytest.mark.covers("rule 17")
def test_the_most_specific_threshold_applies_and_is_named() -> None:
    pair = {BTC: {"15m": Limit(0.6, 0.2), "1h": Limit(threshold=0.7)}}
    regime = {"trend": {"high": Limit(0.5, 0.1)}}
    ev, p = (Thresholds(use_ev, 0.55, 0.05, pair, regime) for use_ev in (True, False))
    assert ev.resolve(BTC, "15m", "trend", "high") == (0.2, f"pair {BTC} 15m")
    assert ev.resolve(BTC, "1h", "trend", "high") == (0.1, "regime trend/high"), "its row has no min_ev_pct"
    assert p.resolve(BTC, "1h", "trend", "high") == (0.7, f"pair {BTC} 1h")
    assert ev.resolve(BTC, "4h", "trend", "low") == (0.05, "global")
    assert p.resolve(ETH, "15m", "range", "high") == (0.55, "global")


LIMITS = st.fixed_dictionaries({}, optional={"threshold": st.floats(0, 1), "min_ev_pct": st.floats(-5, 5)})


@given(st.dictionaries(st.sampled_from([BTC, ETH]), st.dictionaries(st.sampled_from(["5m", "1h"]), LIMITS)))
def test_a_table_survives_the_way_through_json(plain: dict[str, dict[str, dict[str, float]]]) -> None:
    assert to_plain(from_plain(plain)) == plain


@pytest.mark.parametrize("plain", [{BTC: 1}, {BTC: {"1h": 0.5}}, {BTC: {"1h": {"threshold": "high"}}},
                                   {BTC: {"1h": {"threshold": True}}}, {BTC: {"1h": {"min_ev_pct": float("nan")}}}])
def test_what_is_no_table_is_refused(plain: object) -> None:
    with pytest.raises(DataError, match="not a table"):
        from_plain(plain)  # type: ignore[arg-type]


def graded(n: int, seed: int, edge: float, mode: str = "ev", days: int = 400) -> Graded:
    """Plans whose value tells something (edge > 0) or nothing; zero on average either way, with costs."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    p = np.clip(0.5 + edge * z, 0.02, 0.98)
    win = rng.random(n) < p
    t0 = np.sort(rng.integers(0, days * 24, n)) * (DAY // 24)
    net = np.where(win, 1.0, -1.0) - 0.1
    value = 2 * (0.5 + edge * z) - 1.1 if mode == "ev" else 0.5 + edge * z
    if edge == 0.0:
        value = (0.4 if mode == "p" else -0.1) + 0.2 * z
    return Graded(value, win, net, t0, t0 + DAY // 2, rng.choice([BTC, ETH], n), rng.choice(["15m", "1h"], n))


@pytest.mark.covers("D8")
@pytest.mark.parametrize("goal", [EV, P], ids=["ev", "p"])
def test_an_edge_gives_thresholds_that_hold_on_rows_they_were_not_chosen_on(goal: Goal) -> None:
    found = tune(graded(6000, 1, 0.1, goal.mode), goal)
    assert len(found.choices) == 4 and sum(c.kept for c in found.choices) >= 3
    fresh = graded(20_000, 2, 0.1, goal.mode)
    for c in (c for c in found.choices if c.kept):
        assert c.value is not None and c.scored is not None and c.scored.reached(goal)
        passing = fresh.value >= c.value
        got = fresh.net_pct[passing].mean() if goal.mode == "ev" else fresh.win[passing].mean()
        assert got > goal.target and 0.2 < passing.mean() < 0.8
        row = found.table[c.symbol][c.timeframe]
        assert (row.min_ev_pct if goal.mode == "ev" else row.threshold) == c.value


def kept_share(goal: Goal, flawed: bool) -> float:
    kept = total = 0
    for seed in range(30):
        rows = graded(900, 100 + seed, 0.0, goal.mode)
        found = tune(rows, replace(goal, sure=0.0) if flawed else goal)
        for c in found.choices:
            total += 1
            # The planted flaw of D8: any threshold that looked good where it was chosen is used.
            kept += c.own is not None if flawed else c.kept
    return kept / total


@pytest.mark.covers("D8")
@pytest.mark.parametrize("goal", [EV, P], ids=["ev", "p"])
def test_on_noise_hardly_anything_is_kept_where_the_flawed_way_keeps_much(goal: Goal) -> None:
    honest, flawed = kept_share(goal, False), kept_share(goal, True)
    assert flawed > 0.25 and honest < 0.03


@pytest.mark.covers("D8")
def test_every_set_that_was_evaluated_is_returned() -> None:
    found = tune(graded(3000, 3, 0.1), EV)
    chosen, scored = ([t for t in found.tried if t.part == part] for part in ("chosen", "scored"))
    assert len(chosen) == (1 + 2 + 4) * STEPS and len(scored) == 2 * 4
    assert {t.level for t in chosen} == {"global", "timeframe", "pair"}


def slow_choice(rows: Graded, goal: Goal) -> dict[tuple[str, str], float | None]:
    """The same choice, row by row and without shortcuts."""
    first, last = min(rows.t0), max(rows.t0)
    cut = first + int((last - first) * goal.share)
    early = [i for i in range(len(rows.t0)) if rows.t1[i] + goal.embargo_ms <= cut]

    def choose(of: list[int]) -> tuple[float, int] | None:
        values = sorted(rows.value[i] for i in of)
        for step in range(STEPS):
            at = values[int(step / STEPS * (len(values) - 1))] if values else 0.0
            passing = [i for i in of if rows.value[i] >= at]
            got = [float(rows.net_pct[i] if goal.mode == "ev" else rows.win[i]) for i in passing]
            if len(passing) < goal.least:
                continue
            mean = statistics.fmean(got)
            spread = statistics.stdev(got) if goal.mode == "ev" else math.sqrt(mean * (1 - mean))
            if mean - goal.sure * spread / math.sqrt(len(got)) >= goal.target:
                return at, len(passing)
        return None

    def shrunk(own: tuple[float, int] | None, parent: float | None) -> float | None:
        if own is None or parent is None:
            return parent if own is None else own[0]
        return (own[1] * own[0] + goal.prior * parent) / (own[1] + goal.prior)

    top, found = shrunk(choose(early), None), {}
    for tf in ("15m", "1h"):
        of_tf = [i for i in early if rows.timeframe[i] == tf]
        middle = shrunk(choose(of_tf), top)
        for symbol in (BTC, ETH):
            found[symbol, tf] = shrunk(choose([i for i in of_tf if rows.symbol[i] == symbol]), middle)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_choice_is_that_of_the_slow_reference(seed: int) -> None:
    for goal in (EV, P):
        rows = graded(500, seed, 0.12, goal.mode)
        fast = {(c.symbol, c.timeframe): c.value for c in tune(rows, goal).choices}
        slow = slow_choice(rows, goal)
        assert fast.keys() == slow.keys()
        for key, value in slow.items():
            assert fast[key] == pytest.approx(value, abs=1e-12) if value is not None else fast[key] is None


def test_a_pair_with_few_rows_takes_the_value_of_its_timeframe() -> None:
    rows = graded(4000, 5, 0.1)
    few = np.where(np.cumsum(rows.symbol == ETH) <= 60, ETH, BTC)
    thin = replace(rows, symbol=np.where(rows.symbol == ETH, few, BTC))
    by = {(c.symbol, c.timeframe): c for c in tune(thin, EV).choices}
    small, large = by[ETH, "15m"], by[BTC, "15m"]
    assert small.value is not None and large.value is not None
    assert abs(small.value - large.value) < 0.1 and (small.own is None or abs(small.own - large.value) >= abs(
        small.value - large.value))


@pytest.mark.parametrize(
    ("rows", "goal", "said"),
    [
        (graded(0, 1, 0.0, days=2), EV, "no closed plans"),
        (graded(10, 1, 0.0, days=1), EV, "do not reach far enough"),
        (graded(500, 1, 0.0), replace(EV, mode="roi"), "mode ev or p"),
        (replace(graded(500, 1, 0.0), value=np.full(500, np.nan)), EV, "without a score"),
    ],
)
def test_what_cannot_be_tuned_on_is_said(rows: Graded, goal: Goal, said: str) -> None:
    with pytest.raises(DataError, match=said):
        tune(rows, goal)


def test_all_the_same_value_and_no_win_at_all_keep_nothing() -> None:
    rows = graded(2000, 6, 0.1)
    dull = replace(rows, value=np.zeros(2000))
    assert tune(dull, EV).table == {}
    lost = replace(rows, win=np.zeros(2000, bool), net_pct=np.full(2000, -1.1))
    found = tune(lost, P)
    assert found.table == {} and all(c.value is None and "no threshold" in c.why for c in found.choices)
