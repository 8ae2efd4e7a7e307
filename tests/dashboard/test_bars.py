"""Bars and tables as HTML: every number can be read, nothing can break out of its text."""

import re
from typing import Any

import pytest

from core.dashboard import bars, cards, theme
from core.dashboard.views import reasons
from core.dashboard.words import Column

BAD = "<img src=x onerror='alert(1)'>"


def moved(*by: float, **more: Any) -> list[dict[str, Any]]:
    return [{"name": f"f{i}", "value": 1.5, "by": b, "meaning": "m", **more} for i, b in enumerate(by)]


def plain(page: str) -> str:
    """The text of a page, as one would read it."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page).split())


def test_what_raised_p_goes_right_and_what_lowered_it_left_the_strongest_on_top() -> None:
    page = reasons.contributions(moved(-0.4, 0.1, 0.0))
    assert plain(page) == "f0 = 1.5 -0.400 f1 = 1.5 +0.100 f2 = 1.5 +0.000"
    sides = re.findall(r"<div class='(up|down)'><i style='background:(#\w+);width:calc\(\(100% - 3.6rem\) \* ([0-9.]+)",
                       page)
    assert sides == [("down", theme.DOWN, "1.0000"), ("up", theme.UP, "0.2500"), ("up", theme.UP, "0.0000")]
    assert "f0 = ?" in plain(reasons.contributions(moved(1.0, value=None)))


def test_text_of_others_stays_text() -> None:
    kind = bars.Kind(BAD, theme.BLUE)
    for page in (reasons.contributions(moved(1.0, name=BAD, meaning=BAD)),
                 bars.grouped([BAD], [kind], [[BAD]], [[1.0]]),
                 cards.table_html([{"a": BAD}], (Column("a", BAD, help=BAD),))):
        assert "<img" not in page and "onerror='" not in page and "&lt;img" in page
    told = reasons.moved_table(moved(1.0, name="a_b", meaning="x | y"))
    assert r"a\_b" in told and r"x \| y" in told


def test_bars_of_nothing_are_no_error() -> None:
    assert plain(bars.signed([])) == "" and "width:0.00%" in bars.grouped(
        ["a"], [bars.Kind("now", theme.BLUE)], [["0"]], [[0.0]])


def test_bars_carry_their_names_for_those_who_cannot_see_them() -> None:
    page = bars.grouped(["Filled"], [bars.Kind("today", theme.BLUE), bars.Kind("before", theme.GREY)],
                        [["3"], ["1,200"]], [[3.0], [6.0]])
    assert plain(page[page.index("<dl>"):]) == "Filled today 3 before 1,200"
    assert re.findall(r"width:([0-9.]+)%", page) == ["50.00", "100.00"]


@pytest.mark.parametrize(("value", "kind", "told"), [
    (None, "r", "–"), (float("nan"), "number", "–"), (1.25, "r", "+1.25R"), (-0.5, "pct", "-0.50%"),
    (12345, "count", "12,345"), (0.91234, "number", "0.912"), (12345.6, "number", "12,346"),
    (-198.14, "usd", "-198.14"), (61591.9, "price", "61591.9"), (1_704_434_400_000, "time", "2024-01-05 06:00"),
    (90_000, "span", "1m 30s"), (True, "flag", "yes"), ("x", "text", "x")])
def test_a_cell_is_told_as_people_read_it(value: Any, kind: str, told: str) -> None:
    assert cards.text(value, kind) == told


def test_a_table_has_heads_that_explain_and_shades_what_was_asked() -> None:
    columns = (Column("a", "Name"), Column("r", "Tot R", "r", "in stop distances"))
    page = cards.table_html([{"a": "x", "r": 2.0}, {"a": "y", "r": -1.0}, {"a": "z"}], columns, shade=("r",))
    assert plain(page) == "Name Tot R x +2.00R y -1.00R z –"
    assert "title='in stop distances'" in page and page.count("<th scope='col'") == 2
    shades = [theme.faded(theme.UP, 0.56), theme.faded(theme.DOWN, 0.31)]
    assert re.findall(r"background:(rgba\([^)]*\))", page) == shades
    assert "background" not in cards.table_html([{"a": "x", "r": 0.0}], columns, shade=("r",)).partition("</style>")[2]
