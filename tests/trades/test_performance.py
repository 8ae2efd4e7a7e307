"""Figures over trades, on numbers one can add up in the head."""

from math import isclose, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trades import performance as perf
from core.trades.performance import DAY, WEEK, Closed

JAN = 1_704_067_200_000  # 2024-01-01


def trade(pnl: float, r: float | None = None, day: int = 0, **other: object) -> Closed:
    """A closed trade of `pnl` percent, closed `day` days after New Year 2024, held one hour unless told."""
    values = {"symbol": "BTC/USDT:USDT", "timeframe": "15m", "setup": "fibo_avwap", "direction": "long",
              "exit_reason": "sl", "opened_ts": JAN + day * DAY - 3_600_000, "closed_ts": JAN + day * DAY,
              "pnl_pct": pnl, "pnl_usd": 10 * pnl, "r_multiple": pnl if r is None else r} | other
    return Closed(**values)  # type: ignore[arg-type]


SOME = [trade(2.0, day=0), trade(-1.0, day=1), trade(-1.0, day=2), trade(0.0, day=3), trade(4.0, day=10)]


@pytest.mark.covers("I5")
def test_summary_of_five_trades() -> None:
    s = perf.summarize(SOME)
    assert (s.trades, s.wins, s.draws, s.losses) == (5, 2, 1, 2)
    assert s.win_pct == 40.0
    assert s.break_even_pct == 25.0  # wins of 3 on average against losses of 1
    assert (s.expectancy_r, s.avg_profit_pct, s.tot_profit_pct, s.tot_profit_usd) == (0.8, 0.8, 4.0, 40.0)
    assert s.profit_factor == 3.0
    assert s.expectancy_ratio == pytest.approx((1 + 3) * 0.4 - 1)
    assert (s.best_trade_pct, s.worst_trade_pct) == (4.0, -1.0)
    assert (s.max_consecutive_wins, s.max_consecutive_losses) == (1, 2)
    assert s.avg_duration_ms == s.avg_duration_winners_ms == 3_600_000
    assert s.tail_share_pct == pytest.approx(100 * 4 / 6)  # at least one trade is the tail


@pytest.mark.covers("I5")
def test_a_win_rate_comes_with_its_interval_and_never_without() -> None:
    s = perf.summarize(SOME)
    assert s.win_low_pct is not None and s.win_high_pct is not None
    assert s.win_low_pct < 40.0 < s.win_high_pct
    assert perf.summarize([]).win_pct is None


def test_nothing_gives_zero_counts_and_no_figures() -> None:
    s = perf.summarize([])
    assert (s.trades, s.tot_profit_pct, s.max_consecutive_wins) == (0, 0.0, 0)
    for name in ("expectancy_r", "profit_factor", "break_even_pct", "max_drawdown", "sqn"):
        assert getattr(s, name) is None
    assert perf.days([]) is None


def test_only_wins_have_no_profit_factor_and_no_drawdown() -> None:
    s = perf.summarize([trade(1.0), trade(2.0, day=1)])
    assert (s.profit_factor, s.break_even_pct, s.expectancy_ratio, s.max_drawdown) == (None, None, None, None)


def test_wilson_interval_against_published_values() -> None:
    low, high = perf.wilson(8, 10) or (0.0, 0.0)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert perf.wilson(0, 0) is None
    assert (perf.wilson(0, 5) or (1, 1))[0] == 0.0
    assert (perf.wilson(5, 5) or (0, 0))[1] == 1.0


@given(st.integers(1, 500), st.data())
def test_wilson_interval_holds_the_rate_and_mirrors(n: int, data: st.DataObject) -> None:
    wins = data.draw(st.integers(0, n))
    low, high = perf.wilson(wins, n) or (1.0, 0.0)
    assert 0.0 <= low <= wins / n <= high <= 1.0
    other = perf.wilson(n - wins, n) or (0.0, 0.0)
    assert isclose(low, 1 - other[1], abs_tol=1e-12)


def test_at_the_break_even_rate_the_expectancy_is_zero() -> None:
    rate = perf.break_even_rate(1.5, 1.0)
    assert rate == 0.4
    assert isclose(rate * 1.5 - (1 - rate) * 1.0, 0.0, abs_tol=1e-12)


def test_drawdown_of_a_sequence() -> None:
    d = perf.max_drawdown([trade(x, day=i) for i, x in enumerate([3, -1, 2, -4, 1, -2, 9])])
    assert d == perf.Drawdown(5.0, 4.0, -1.0, JAN + 2 * DAY, JAN + 5 * DAY)


def test_a_loss_on_the_first_trade_is_a_drawdown_from_zero() -> None:
    assert perf.max_drawdown([trade(-2.0)]) == perf.Drawdown(2.0, 0.0, -2.0, None, JAN)


@given(st.lists(st.floats(-5, 5), max_size=30))
def test_drawdown_agrees_with_the_definition(results: list[float]) -> None:
    sums = np.concatenate([[0.0], np.cumsum(results)])
    deepest = max((sums[i] - sums[j] for i in range(len(sums)) for j in range(i, len(sums))), default=0.0)
    d = perf.max_drawdown([trade(x, day=i) for i, x in enumerate(results)])
    assert (d.depth_pct if d else 0.0) == pytest.approx(deepest, abs=1e-9)


def test_block_interval_widens_when_blocks_hang_together() -> None:
    values = [1.0, 1.0, -1.0, -1.0] * 3
    alone = perf.block_interval(values, range(12))
    paired = perf.block_interval(values, [n // 2 for n in range(len(values))])
    assert alone is not None and paired is not None
    assert paired[1] > alone[1] > 0 > alone[0] > paired[0]
    students = 2.2010  # Student's 97.5 % quantile with 11 degrees of freedom
    assert alone[1] == pytest.approx(students * np.std(values, ddof=1) / sqrt(12), rel=0.005)
    assert perf.block_interval(values, [0] * 12) is None
    assert perf.block_interval(values, [n // 3 for n in range(12)]) is None, "four weeks say nothing of a fifth"


def test_block_interval_covers_a_true_zero_about_as_often_as_it_says() -> None:
    r, hits = np.random.default_rng(5), 0
    blocks = np.repeat(np.arange(40), 5)
    for _ in range(400):
        values = np.repeat(r.normal(size=40), 5) + r.normal(size=200)
        low, high = perf.block_interval(values.tolist(), blocks.tolist()) or (1.0, -1.0)
        hits += low < 0 < high
    assert 0.91 < hits / 400 < 0.98


@pytest.mark.covers("I3", "I5")
def test_open_expired_and_in_sample_rows_do_not_count_and_order_is_by_closing() -> None:
    row = {name: getattr(SOME[0], name) for name in Closed.__slots__}
    rows = [row | {"closed_ts": JAN + DAY}, row | {"pnl_pct": None}, row | {"in_sample": 1}, row | {"in_sample": 0}]
    kept = perf.closed_trades(rows)
    assert [t.closed_ts for t in kept] == [JAN, JAN + DAY]


def test_groups_add_up_to_the_whole() -> None:
    trades = [trade(1.0, symbol="A", exit_reason="tp2", day=5), trade(-1.0, symbol="B", direction="short", day=40),
              trade(-2.0, symbol="A", setup="donchian", timeframe="4h", day=41)]
    for group in perf.GROUPS:
        parts = perf.by(trades, group)
        assert sum(s.trades for s in parts.values()) == 3
        assert sum(s.tot_profit_pct for s in parts.values()) == -2.0
    assert list(perf.by(trades, "month")) == ["2024-01", "2024-02"]
    assert perf.by(trades, "pair")["A"].wins == 1
    with pytest.raises(KeyError):
        perf.by(trades, "weather")


def test_days_are_counted_by_their_sum() -> None:
    d = perf.days([trade(2.0), trade(-1.0), trade(-3.0, day=1), trade(0.0, day=2)])
    assert d == perf.Days(win=1, draw=1, lose=1, best_pct=1.0, worst_pct=-3.0)


def test_weeks_of_closing_are_the_blocks_of_the_expectancy() -> None:
    weeks = [trade((-1.0) ** n * 1.5, closed_ts=JAN + n * WEEK) for n in range(4)]
    assert perf.summarize([*weeks, trade(2.0, day=1)]).expectancy_r_low is None
    five = perf.summarize([*weeks, trade(-1.0, closed_ts=JAN + 4 * WEEK)])
    assert five.expectancy_r_low is not None and five.expectancy_r is not None
    assert five.expectancy_r_low < five.expectancy_r


def test_sqn_and_streaks() -> None:
    assert perf.sqn([1.0, -1.0, 2.0, 2.0]) == pytest.approx(2 * 1.0 / np.std([1, -1, 2, 2], ddof=1))
    assert perf.sqn([1.0]) is None
    assert perf.sqn([1.0, 1.0]) is None
    assert perf.streaks([1, 1, 0, 1, -1, -1, -1]) == (2, 3)


def test_every_figure_has_its_label() -> None:
    assert list(perf.LABELS) == list(perf.Summary.__slots__)
