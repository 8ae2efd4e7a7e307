"""Prices and sizes on the grid: exact decimals, ties up, float noise forgiven."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError
from core.signals.grid import grid

STEPS = ["1", "0.5", "0.25", "0.1", "0.01", "0.0001", "0.05", "5", "100", "0.00000001", "1e-6", "2.5"]


@pytest.mark.covers("rule 13")
@pytest.mark.parametrize(("tick", "raw", "nearest", "down", "up"), [
    (0.5, 10.25, 10.5, 10.0, 10.5),  # an exact tie goes up
    (0.5, 10.24, 10.0, 10.0, 10.5),
    (0.25, 7.125, 7.25, 7.0, 7.25),
    (0.0001, 0.00015, 0.0002, 0.0001, 0.0002),
    (0.0001, 1.23455, 1.2346, 1.2345, 1.2346),  # a tie as a decimal, though the float lies a hair below
    (0.01, 1.005, 1.01, 1.0, 1.01),
    (0.1, 0.3, 0.3, 0.3, 0.3),  # on the grid: stays, though 0.3 / 0.1 is 2.9999999999999996
    (0.1, 0.1 + 0.2, 0.3, 0.3, 0.3),
    (0.01, 103.82000000000001, 103.82, 103.82, 103.82),
    (100.0, 27150.0, 27200.0, 27100.0, 27200.0),
])
def test_rounding_by_hand(tick: float, raw: float, nearest: float, down: float, up: float) -> None:
    ticks = grid(tick)
    assert (ticks.nearest(raw), ticks.down(raw), ticks.up(raw)) == (nearest, down, up)


@pytest.mark.covers("rule 13")
@given(step=st.sampled_from(STEPS), quarters=st.integers(1, 4_000_000_000))
def test_rounding_equals_exact_decimal_arithmetic(step: str, quarters: int) -> None:
    exact = Decimal(step) * quarters / 4  # on the grid, at a quarter, at the tie, at three quarters
    ticks, raw = grid(float(step)), float(exact)
    steps = exact / Decimal(step)
    for got, count in ((ticks.nearest(raw), (steps + Decimal("0.5")).to_integral_value(ROUND_FLOOR)),
                       (ticks.down(raw), steps.to_integral_value(ROUND_FLOOR)),
                       (ticks.up(raw), steps.to_integral_value(ROUND_CEILING))):
        assert got == float(str(count * Decimal(step)))


@pytest.mark.covers("rule 13")
@given(step=st.sampled_from(STEPS), count=st.integers(1, 10_000_000))
def test_a_multiple_reads_as_typed_and_stays(step: str, count: int) -> None:
    typed = float(str(Decimal(step) * count))
    assert grid(float(step)).nearest(typed) == grid(float(step)).down(typed) == grid(float(step)).up(typed) == typed


@pytest.mark.parametrize("step", [0.0, -0.1, float("nan"), float("inf")])
def test_an_impossible_step_is_refused(step: float) -> None:
    with pytest.raises(DataError, match="must be positive"):
        grid(step)
