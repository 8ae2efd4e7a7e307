"""The account: each figure by hand, then against a slow reference written from the definitions alone."""

from dataclasses import fields
from datetime import UTC, datetime
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.trades import columns, equity
from core.trades.columns import Columns
from tests.trades import reference_equity as slow
from tests.trades.test_columns import DAY, HOUR, JAN, of, trades

START = 1000.0


def account_of(*usd: float, days: int = 10) -> equity.Account:
    """One trade a day of the given profits, over `days`."""
    return equity.account(in_usd(*usd), START, JAN, JAN + days * DAY)


def in_usd(*usd: float) -> Columns:
    # fill x qty is 1000 USD: ten USD are one percent
    return of(*({"fill": 100.0, "qty": 10.0, "pnl_pct": value / 10, "r_multiple": value / 10,
                 "opened_ts": JAN + i * DAY, "closed_ts": JAN + i * DAY + HOUR} for i, value in enumerate(usd)))


def test_an_account_by_hand() -> None:
    a = account_of(100.0, -50.0, -150.0, 200.0, days=365)
    assert (a.days, a.starting, a.final, a.profit_usd) == (365, 1000.0, pytest.approx(1100.0), pytest.approx(100.0))
    assert (a.profit_pct, a.cagr_pct) == (pytest.approx(10.0), pytest.approx(10.0))  # a year: growth is growth
    assert a.avg_daily_pct == pytest.approx(10.0 / 365)
    assert (a.min_balance, a.max_balance) == (pytest.approx(900.0), pytest.approx(1100.0))
    assert a.underwater_pct == pytest.approx(100 * 200 / 1100)
    d = a.drawdown
    assert d is not None and d.account_pct == pytest.approx(100 * 200 / 1100)
    assert (d.depth_usd, d.high_usd, d.low_usd) == (pytest.approx(200.0), pytest.approx(100.0), pytest.approx(-100.0))
    assert (d.start_ts, d.end_ts, d.recovered_ts) == (JAN + HOUR, JAN + 2 * DAY + HOUR, JAN + 3 * DAY + HOUR)
    mean, spread = 0.1 / 365, float(np.std([0.1, -0.05, -0.15, 0.2]))
    assert a.sharpe == pytest.approx(mean / spread * sqrt(365))
    assert a.sortino == pytest.approx(mean / 0.05 * sqrt(365))  # losers of 5 and 15 %
    assert a.calmar == pytest.approx(100 * mean / (200 / 1100) * sqrt(365))
    assert a.calmar_year == pytest.approx(0.1 / (200 / 1100))
    assert (a.current_drawdown_usd, a.ruined_ts) == (pytest.approx(0.0), None)
    assert a.p_value is None, "four days say nothing"


def test_without_trades_nothing_is_defined_and_nothing_fails() -> None:
    a = equity.account(columns.of([]), START, JAN, JAN + DAY)
    assert (a.final, a.profit_usd, a.underwater_pct, a.drawdown) == (START, 0.0, 0.0, None)
    for name in ("sharpe", "sortino", "calmar", "by_day_sharpe", "by_day_sortino", "calmar_year", "p_value"):
        assert getattr(a, name) is None, name
    assert a.cagr_pct == 0.0


def test_an_account_that_is_used_up_says_when_and_has_no_growth() -> None:
    a = account_of(-400.0, -700.0, 300.0)
    assert a.ruined_ts == JAN + DAY + HOUR
    assert (a.cagr_pct, a.final) == (pytest.approx(100 * (0.2 ** 36.5 - 1)), pytest.approx(200.0))
    b = account_of(-400.0, -700.0)
    assert (b.cagr_pct, b.calmar_year) == (None, None)
    assert b.underwater_pct == pytest.approx(110.0)


def test_a_fall_from_the_beginning_has_no_start_and_may_last() -> None:
    d = account_of(-10.0, 5.0).drawdown
    assert d is not None and (d.start_ts, d.recovered_ts) == (None, None)
    assert d.account_pct == pytest.approx(1.0)
    assert account_of(1.0, 2.0).drawdown is None


@settings(max_examples=60)
@given(trades(25), st.integers(1, 60))
def test_accounts_agree_with_the_slow_reference(found: Columns, more: int) -> None:
    start, end = JAN, int(found.closed_ts.max(initial=JAN)) + more * HOUR
    a = equity.account(found, START, start, end)
    rows = [(int(o), int(c), float(u), float(r), float(s), float(v)) for o, c, u, r, s, v in zip(
        found.opened_ts, found.closed_ts, found.usd, found.r, found.stake, found.volume, strict=True)]
    final = START + sum(row[2] for row in rows)
    growth = slow.cagr(START, final, start, end)
    assert a.underwater_pct == pytest.approx(100 * slow.underwater(rows, START), abs=1e-6)
    assert a.cagr_pct == (None if growth is None else pytest.approx(100 * growth, rel=1e-6))
    for mine, theirs in (
            (a.sharpe, slow.sharpe(rows, START, start, end)), (a.sortino, slow.sharpe(rows, START, start, end, True)),
            (a.calmar, slow.calmar(rows, START, start, end)),
            (a.by_day_sharpe, slow.sharpe_by_day(rows, START, start, end)),
            (a.by_day_sortino, slow.sortino_by_day(rows, START, start, end))):
        assert mine == (None if theirs is None else pytest.approx(theirs, rel=1e-6, abs=1e-9))
    fall = slow.deepest(rows, START)
    assert (a.drawdown.depth_usd if a.drawdown else 0.0) == pytest.approx(fall[0] if fall else 0.0, abs=1e-6)
    assert equity.most_open(found.opened_ts, found.closed_ts) == slow.most_open(rows)


@settings(max_examples=40)
@given(trades(), st.sampled_from(["day", "week", "month"]))
def test_periods_agree_with_the_calendar(found: Columns, period: str) -> None:
    parts = equity.breakdown(found, period)
    expected: dict[object, list[int]] = {}
    for i, ts in enumerate(found.closed_ts.tolist()):
        expected.setdefault(slow.period_of(ts, period), []).append(i)
    assert [slow.moment(p.start_ts).date() for p in parts] == sorted(expected)  # type: ignore[type-var]
    for p in parts:
        rows = expected[slow.moment(p.start_ts).date()]
        won, lost = (sum(float(found.usd[i]) for i in rows if side * found.usd[i] > 0) for side in (1, -1))
        assert (p.trades, p.wins) == (len(rows), sum(found.pnl_pct[i] > 0 for i in rows))
        assert p.losses + p.draws + p.wins == p.trades
        assert p.usd == pytest.approx(won + lost, abs=1e-9)
        assert p.r == pytest.approx(sum(float(found.r[i]) for i in rows))
        assert p.profit_factor == (pytest.approx(won / -lost) if lost < 0 else None)


def test_periods_begin_on_monday_and_on_the_first() -> None:
    at = int(datetime(2024, 2, 29, 13, tzinfo=UTC).timestamp() * 1000)  # a Thursday of a leap year
    starts = {p: datetime.fromtimestamp(int(equity.period_start(np.array([at]), p)[0]) / 1000, UTC).strftime("%m-%d")
              for p in ("day", "week", "month")}
    assert starts == {"day": "02-29", "week": "02-26", "month": "02-01"}
    with pytest.raises(KeyError):
        equity.period_start(np.array([at]), "fortnight")


def test_days_without_a_closing_are_draws() -> None:
    found = of({"pnl_pct": 2.0, "closed_ts": JAN}, {"pnl_pct": -1.0, "closed_ts": JAN + HOUR},
               {"pnl_pct": -3.0, "closed_ts": JAN + 3 * DAY})
    d = equity.days(found)
    assert d is not None and (d.win, d.draw, d.lose) == (1, 2, 1)
    assert (d.best_usd, d.worst_usd) == (pytest.approx(9.9), pytest.approx(-29.7))
    assert equity.days(columns.of([])) is None


def test_open_at_once_counts_the_minutes_of_both_ends() -> None:
    opened, closed = np.array([0, 60_000, 120_000]), np.array([60_000, 60_000, 120_000])
    assert equity.most_open(opened, closed) == 2
    assert equity.most_open(np.empty(0, np.int64), np.empty(0, np.int64)) == 0


@pytest.mark.parametrize(("t", "free"), [(12.7062, 1), (4.302653, 2), (3.182446, 3), (2.570582, 5), (2.228139, 10),
                                         (2.042272, 30), (1.983972, 100)])
def test_students_quantiles_against_published_values(t: float, free: int) -> None:
    assert equity.student(t, free) == pytest.approx(0.05, abs=2e-6)
    assert equity.student(-t, free) == equity.student(t, free)
    assert equity.student(0.0, free) == pytest.approx(1.0)


def test_a_mean_without_an_edge_is_rarely_called_one() -> None:
    rng, calls, n = np.random.default_rng(3), 0, 300
    when = JAN + np.repeat(np.arange(20), 10) * 7 * DAY
    for _ in range(n):
        values = np.repeat(rng.normal(size=20), 10) + rng.normal(size=200)  # trades of a week hang together
        p = equity.p_value(values, when)
        calls += p is not None and p < 0.05
    assert 0.02 < calls / n < 0.09
    assert equity.p_value(np.ones(3), when[:3]) is None


def test_market_change_is_the_mean_over_pairs_and_holding_ends_there() -> None:
    ts = np.array([JAN, JAN + DAY, JAN + 2 * DAY])
    closes = {"A": (ts, np.array([100.0, 150.0, 120.0])), "B": (ts[1:], np.array([10.0, 9.0])),
              "C": (np.empty(0, np.int64), np.empty(0))}
    assert equity.market_change(closes) == pytest.approx((0.2 - 0.1) / 2)
    times, worth = equity.hold(closes, START)
    assert times.tolist() == ts.tolist()
    assert worth.tolist() == pytest.approx([1000.0, 1250.0, 1050.0])  # B is cash on the first day
    assert equity.market_change({}) is None and not len(equity.hold({}, START)[0])


def test_underwater_is_zero_at_highs_and_counts_from_the_beginning() -> None:
    assert equity.underwater(np.array([1.0, -3.0, 2.0, 5.0])).tolist() == [0.0, -3.0, -1.0, 0.0]
    assert equity.underwater(np.array([-1.0])).tolist() == [-1.0]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=400), st.integers(6, 60))
def test_a_thinned_curve_keeps_its_ends_and_extremes(values: list[float], most: int) -> None:
    curve = np.array(values)
    kept = equity.thin(curve, most)
    assert kept[0] == 0 and kept[-1] == len(curve) - 1 and (np.diff(kept) > 0).all()
    assert (curve[kept].min(), curve[kept].max()) == (curve.min(), curve.max())
    assert len(kept) <= max(most + 3, len(curve) if len(curve) <= most else 0)


def test_every_field_of_an_account_is_plain() -> None:
    a = account_of(1.0, -2.0)
    assert {type(getattr(a, f.name)) for f in fields(a)} <= {int, float, type(None), equity.Fall}
