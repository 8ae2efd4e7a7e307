"""Prices in tables: with the decimals of their row's tick, and in the order of the numbers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.dashboard import parts, words
from core.dashboard.words import Column

ENTRY = Column("entry", "Entry", "price")
TICKS = (0.1, 0.01, 0.0001, 0.5, 5.0, 1e-07)


def row(value: float | None, tick: float | None = 0.01) -> dict[str, Any]:
    return {"entry": value, "tick": tick}


def test_rows_of_one_tick_share_one_format_and_stay_numbers() -> None:
    rows = [row(20.6), row(101.25), row(None, 0.1)]
    assert words.places(rows, ENTRY) == 2, "a row without a price says nothing"
    frame, config = parts._frame(rows, [ENTRY]), parts._config(ENTRY, rows)
    assert frame["entry"].dtype == "float64" and config["type_config"]["format"] == "%.2f"
    assert words.places([row(3.0, 5.0)], ENTRY) == 0 and words.places([row(3.0, 0.5), row(2.5, 0.1)], ENTRY) == 1


def test_rows_of_several_ticks_keep_their_zeros_each_and_stand_to_the_right() -> None:
    rows = [row(20.6, 0.01), row(64250.0, 0.1), row(None), row(0.5, 1e-07)]
    assert words.places(rows, ENTRY) is None
    assert list(parts._frame(rows, [ENTRY])["entry"]) == ["   20.60", "64250.0", None, "    0.5000000"]
    config = parts._config(ENTRY, rows)
    assert config["alignment"] == "right" and config["type_config"]["type"] == "text"


def test_a_size_goes_by_its_lot() -> None:
    amount = Column("qty", "Amount", "price", step="lot")
    assert words.places([{"qty": 1.5, "tick": 0.1, "lot": 0.001}], amount) == 3


def test_a_row_that_tells_no_step_shows_what_there_is() -> None:
    rows = [row(0.1, None), row(20.6, 0.01)]
    assert words.places(rows, ENTRY) is None and words.places([row(1.0, None)], ENTRY) is None
    assert words.aligned(rows, ENTRY) == [" 0.1", "20.60"]
    assert words.places([], ENTRY) is None and words.aligned([], ENTRY) == []


@pytest.mark.parametrize("tick", TICKS)
def test_what_is_shown_is_what_an_exchange_takes(tick: float) -> None:
    assert words.aligned([row(37 * tick, tick)], ENTRY) == [words.price(37 * tick, tick)]


@given(st.lists(st.tuples(st.integers(1, 10**7), st.sampled_from(TICKS)), min_size=2, max_size=30))
def test_the_texts_sort_as_the_numbers_do(steps: list[tuple[int, float]]) -> None:
    rows = [row(n * tick, tick) for n, tick in steps]
    told = words.aligned(rows, ENTRY)
    assert [float(t) for t in sorted(t for t in told if t)] == sorted(float(t) for t in told if t)
