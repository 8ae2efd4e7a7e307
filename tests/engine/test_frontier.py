"""The frontier: what is known, what is absent, what is only not there yet (rule 1)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine import frontier
from core.engine.frontier import CONFIRM_MS, judge, spans, walk
from core.timeframe import MINUTE as M


def at(*minutes: int) -> list[int]:
    return [m * M for m in minutes]


def span(a: int, b: int) -> tuple[int, int]:
    return (a * M, b * M)


LATER = CONFIRM_MS
TABLE: dict[str, tuple[Any, ...]] = {
    # name: window, stored, gaps, pending (start, end, first seen), now -> confirmed, pending
    "nothing missing": (span(0, 4), at(0, 1, 2, 3), [], [], 0, [], []),
    "first sight is not proof": (span(0, 4), at(0, 3), [], [], 5, [], [(1 * M, 3 * M, 5)]),
    "too soon": (span(0, 4), at(0, 3), [], [(1 * M, 3 * M, 5)], 5 + LATER - 1, [], [(1 * M, 3 * M, 5)]),
    "seen twice": (span(0, 4), at(0, 3), [], [(1 * M, 3 * M, 5)], 5 + LATER, [span(1, 3)], []),
    "came meanwhile": (span(0, 4), at(0, 1, 2, 3), [], [(1 * M, 3 * M, 5)], 5 + LATER, [], []),
    "half came": (span(0, 4), at(0, 2, 3), [], [(1 * M, 3 * M, 5)], 5 + LATER, [span(1, 2)], []),
    "a recorded gap is not missing": (span(0, 4), at(0, 3), [span(1, 3)], [], 9, [], []),
    "what was not asked stays": (span(2, 4), at(3), [], [(0, 3 * M, 5)], 5 + LATER, [span(2, 3)], [(0, 2 * M, 5)]),
    "newly missing beside old": (span(0, 4), at(0), [], [(1 * M, 2 * M, 5)], 9, [], [(M, 2 * M, 5), (2 * M, 4 * M, 9)]),
}


@pytest.mark.covers("rule 1", "D18")
@pytest.mark.parametrize("name", TABLE)
def test_judge_by_the_table(name: str) -> None:
    window, stored, gaps, pending, now, confirmed, waiting = TABLE[name]
    assert judge(window, stored, gaps, pending, now) == (confirmed, waiting)


WALKS: dict[str, tuple[int, list[int], list[tuple[int, int]], int]] = {
    "nothing": (3, [], [], 3),
    "all there": (0, [0, 1, 2], [], 3),
    "stops at a hole": (0, [0, 1, 3], [], 2),
    "steps over a gap": (0, [0, 3], [(1, 3)], 4),
    "a gap at the end": (0, [0], [(1, 4)], 4),
    "a gap at the start": (0, [2], [(0, 2)], 3),
    "gaps that touch": (0, [4], [(2, 4), (0, 2)], 5),
    "a gap ahead is no step": (0, [0], [(2, 4)], 1),
    "a row inside a gap": (0, [0, 2, 4], [(1, 4)], 5),
    "an old gap behind": (5, [5], [(1, 3)], 6),
}


@pytest.mark.covers("rule 1")
@pytest.mark.parametrize("name", WALKS)
def test_walk_by_the_table(name: str) -> None:
    start, stored, gaps, end = WALKS[name]
    assert walk(start * M, at(*stored), [span(a, b) for a, b in gaps]) == end * M


def slow_judge(
    window: tuple[int, int], stored: set[int], gaps: set[int], seen: dict[int, int], now: int
) -> tuple[set[int], dict[int, int]]:
    """Minute by minute, from the rule's words."""
    confirmed, waiting = set(), {m: t for m, t in seen.items() if not window[0] <= m < window[1]}
    for minute in range(*window):
        if minute in stored or minute in gaps:
            continue
        if minute in seen and now - seen[minute] >= CONFIRM_MS:
            confirmed.add(minute)
        else:
            waiting[minute] = seen.get(minute, now)
    return confirmed, waiting


MINUTES = st.sets(st.integers(0, 19))


@pytest.mark.covers("rule 1")
@given(
    st.tuples(st.integers(0, 19), st.integers(0, 20)),
    MINUTES,
    MINUTES,
    st.dictionaries(st.integers(0, 19), st.integers(0, 60_000)),
)
def test_judge_equals_the_rule_minute_by_minute(
    window: tuple[int, int], stored: set[int], gaps: set[int], seen: dict[int, int]
) -> None:
    now = 60_000
    stored = {m for m in stored if window[0] <= m < window[1]}
    found = judge(
        span(*window),
        at(*sorted(stored)),
        [span(m, m + 1) for m in gaps],
        [(m * M, m * M + M, t) for m, t in seen.items()],
        now,
    )
    confirmed, waiting = slow_judge(window, stored, gaps, seen, now)
    assert {t // M for a, b in found.confirmed for t in range(a, b, M)} == confirmed
    assert {t // M: first for a, b, first in found.pending for t in range(a, b, M)} == waiting


@pytest.mark.covers("rule 1")
@given(st.integers(0, 19), MINUTES, MINUTES)
def test_walk_equals_the_rule_minute_by_minute(start: int, stored: set[int], gaps: set[int]) -> None:
    end = start
    while end in stored or end in gaps:
        end += 1
    ahead = sorted(m for m in stored if m >= start)
    assert walk(start * M, at(*ahead), [(a, b) for a, b in spans(at(*sorted(gaps)))]) == end * M


@pytest.mark.covers("rule 1")
def test_planted_flaw_one_sight_is_proof_fails_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontier, "CONFIRM_MS", 0)
    window, stored, gaps, pending, now, confirmed, waiting = TABLE["first sight is not proof"]
    assert frontier.judge(window, stored, gaps, pending, now) != (confirmed, waiting)
