"""The evidence label: a computed word, for each boundary of its rule."""

import math

import pytest

from core.meta.evidence import GATED_FLOOR, LABELS, STRONG_GATED, label


@pytest.mark.covers("I5")
@pytest.mark.parametrize(
    ("n", "gated", "interval", "dsr", "expected"),
    [
        (999, 5000, (0.1, 0.3), 0.99, "insufficient"),
        (1000, 99, (0.1, 0.3), 0.99, "insufficient"),
        (1000, 100, None, 0.99, "insufficient"),
        (1000, 100, (math.nan, math.nan), 0.99, "insufficient"),
        (1000, 100, (0.0, 0.3), 0.99, "none"),
        (9000, 5000, (-0.1, 0.3), 0.99, "none"),
        (9000, 5000, (-0.3, -0.1), 0.99, "none"),
        (1000, 100, (0.01, 0.3), None, "weak"),
        (1000, 5000, (0.01, 0.3), 0.949, "weak"),
        (1000, 5000, (0.01, 0.3), math.nan, "weak"),
        (1000, 100, (0.01, 0.3), 0.95, "moderate"),
        (1000, STRONG_GATED - 1, (0.01, 0.3), 1.0, "moderate"),
        (1000, STRONG_GATED, (0.01, 0.3), 0.95, "strong"),
    ],
)
def test_the_label_follows_from_the_figures(
    n: int, gated: int, interval: tuple[float, float] | None, dsr: float | None, expected: str
) -> None:
    found = label(n, gated, interval, 0.0, dsr)
    assert found.label == expected and found.label in LABELS and any(ch.isdigit() for ch in found.why)


def test_a_win_rate_is_held_against_its_break_even_rate() -> None:
    assert label(5000, 2000, (0.52, 0.58), 0.50, 0.99).label == "strong"
    assert label(5000, 2000, (0.52, 0.58), 0.55, 0.99).label == "none", "a win rate alone says nothing"


def test_more_of_anything_never_weakens_the_label() -> None:
    rank = LABELS.index
    base = {"n": 1000, "gated": GATED_FLOOR, "low": 0.0, "dsr": 0.9}
    steps = {"n": (10, 1000, 10**6), "gated": (10, 100, 1100, 10**5), "low": (-1.0, 0.0, 0.1), "dsr": (0.0, 0.95, 1.0)}
    for name, values in steps.items():
        for others in (base, {**base, "low": 0.2, "dsr": 0.99, "gated": 2000}):
            found = [
                label(int(a["n"]), int(a["gated"]), (a["low"], 2.0), 0.0, a["dsr"]).label
                for a in ({**others, name: value} for value in values)
            ]
            assert [rank(x) for x in found] == sorted(rank(x) for x in found), (name, found)
