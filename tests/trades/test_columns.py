"""Trades as columns say what the slow figures over single trades say."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.trades import columns, grouped
from core.trades import performance as perf
from core.trades.columns import FIELDS, Columns

JAN = 1_704_067_200_000  # Monday, 2024-01-01 00:00
HOUR, DAY = 3_600_000, 86_400_000

PLAIN: dict[str, Any] = {
    "symbol": "BTC/USDT:USDT", "timeframe": "15m", "setup": "fibo_avwap", "direction": "long", "exit_reason": "sl",
    "verdict": "pass", "reason": "ungated", "trend": "trend", "vol": "low", "opened_ts": JAN, "closed_ts": JAN + HOUR,
    "pnl_pct": 1.0, "gross_pct": 1.2, "r_multiple": 0.5, "mae_pct": -1.0, "mfe_pct": 3.0, "entry": 100.0, "sl": 98.0,
    "fill": 99.0, "qty": 10.0, "leverage": 3,
}


def row(**other: Any) -> list[Any]:
    return [(PLAIN | other)[name] for name in FIELDS]


def of(*changes: dict[str, Any]) -> Columns:
    return columns.of([row(**change) for change in changes])


@st.composite
def trades(draw: st.DrawFn, most: int = 40) -> Columns:
    """Trades of a few months; many close at the same moment, some are draws, and all sums in USD are exact."""
    picks = {"symbol": ["A", "B", "C"], "timeframe": ["5m", "4h"], "setup": ["fibo_avwap", "donchian"],
             "direction": ["long", "short"], "exit_reason": ["sl", "tp2", "time"], "vol": ["low", "high"],
             "reason": ["ungated", "ungated: drift", "ev 0.1 >= min_ev_pct 0 (global)"]}
    rows = []
    for _ in range(draw(st.integers(0, most))):
        opened = JAN + draw(st.integers(0, 100)) * 7 * HOUR
        pnl = draw(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 2.0, 8.0]))
        rows.append(row(**{name: draw(st.sampled_from(of_it)) for name, of_it in picks.items()}, opened_ts=opened,
                        closed_ts=opened + draw(st.integers(0, 50)) * HOUR, pnl_pct=pnl, r_multiple=pnl / 2,
                        fill=100.0, qty=draw(st.sampled_from([1.0, 2.0]))))
    return columns.of(rows)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, perf.Drawdown) and isinstance(b, perf.Drawdown):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return a == b if a is None or b is None or isinstance(a, int) else a == pytest.approx(b, rel=1e-9, abs=1e-9)


@pytest.mark.covers("I5")
@settings(max_examples=60)
@given(trades())
def test_columns_summarize_to_what_single_trades_do(found: Columns) -> None:
    slow, quick = perf.summarize(columns.closed(found)), grouped.summarize(found)
    wrong = [f.name for f in fields(slow) if not same(getattr(slow, f.name), getattr(quick, f.name))]
    assert wrong == []


@settings(max_examples=25)
@given(trades())
def test_groups_of_columns_are_those_of_single_trades(found: Columns) -> None:
    for group in perf.GROUPS:
        slow, quick = perf.by(columns.closed(found), group), grouped.by(found, group)
        assert list(slow) == list(quick)
        for name, part in slow.items():
            assert all(same(getattr(part, f.name), getattr(quick[name], f.name)) for f in fields(part)), (group, name)


def test_a_row_becomes_usd_at_its_own_size_and_excursions_in_stop_distances() -> None:
    one = of({})
    assert one.usd[0] == pytest.approx(0.01 * 99.0 * 10.0)  # 1 % of what was bought
    assert (one.r[0], one.mae_r[0], one.mfe_r[0]) == (0.5, -0.5, 1.5)  # the stop lay 2 % away
    assert one.stake[0] == pytest.approx(330.0)
    assert one.volume[0] == pytest.approx(990.0 + 990.0 * 1.012)
    short = of({"direction": "short", "gross_pct": 1.2})
    assert short.volume[0] == pytest.approx(990.0 + 990.0 * (1 - 0.012)), "a short that wins buys back for less"


def test_order_is_by_closing_whatever_the_order_of_the_rows() -> None:
    found = of({"closed_ts": JAN + 3}, {"closed_ts": JAN + 1, "symbol": "B"}, {"closed_ts": JAN + 1, "symbol": "A"})
    assert found.closed_ts.tolist() == [JAN + 1, JAN + 1, JAN + 3]
    assert [found.symbol.names[code] for code in found.symbol.codes] == ["A", "B", "BTC/USDT:USDT"]


def test_rows_are_read_in_runs_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(symbol=name, closed_ts=JAN + i, pnl_pct=float(i)) for i, name in enumerate("CABBACABAC")]
    whole = columns.of(rows)
    monkeypatch.setattr(columns, "CHUNK", 3)
    parts = columns.of(iter(rows))
    assert columns.closed(whole) == columns.closed(parts)
    assert parts.symbol.names == ("A", "B", "C")


def test_the_rule_is_the_first_word_of_the_reason() -> None:
    reasons = ("ungated", "ungated: drift", "filter off", "cost_r 0.2 > max_cost_r 0.15", "ev_low -0.1 <= 0 (global)")
    found = of(*({"reason": reason, "closed_ts": JAN + i} for i, reason in enumerate(reasons)))
    assert [found.rule.names[c] for c in found.rule.codes] == ["ungated", "ungated", "filter off", "cost_r", "ev_low"]


def test_a_part_keeps_the_names_and_the_rest_apart() -> None:
    found = of({"closed_ts": JAN + 1, "symbol": "A"}, {"closed_ts": JAN + 2, "symbol": "B"})
    part = found.take(found.closed_ts > JAN + 1)
    assert (len(part), part.symbol.names, part.symbol.codes.tolist()) == (1, ("A", "B"), [1])
    assert list(grouped.by(part, "pair")) == ["B"]


def test_weekday_and_hour_are_those_of_the_fill() -> None:
    found = of({"opened_ts": JAN + 5 * HOUR, "closed_ts": JAN + 2 * DAY},
               {"opened_ts": JAN - HOUR, "closed_ts": JAN + 2 * DAY})
    assert {name: s.trades for name, s in grouped.by(found, "weekday").items()} == {"Mon": 1, "Sun": 1}
    assert {name: s.trades for name, s in grouped.by(found, "hour").items()} == {"05": 1, "23": 1}
    assert list(grouped.by(found, "mixed")) == ["fibo_avwap sl"]
    assert list(grouped.by(found, "regime")) == ["trend/low"]
    with pytest.raises(KeyError):
        grouped.by(found, "weather")


def test_every_group_adds_up_to_the_whole() -> None:
    found = of(*({"closed_ts": JAN + i * 11 * HOUR, "opened_ts": JAN + i * 10 * HOUR, "symbol": "AB"[i % 2],
                  "pnl_pct": float(i % 5 - 2)} for i in range(200)))
    for group in grouped.GROUPS:
        assert sum(s.trades for s in grouped.by(found, group).values()) == 200, group


def test_the_deepest_fall_begins_at_zero_or_at_a_high() -> None:
    assert grouped.fall(np.array([-2.0])) == (-1, 0)
    assert grouped.fall(np.array([3.0, -1.0, 2.0, -4.0, 1.0, -2.0, 9.0])) == (2, 5)
    assert grouped.fall(np.array([1.0, 2.0])) is None
    assert grouped.fall(np.empty(0)) is None
