"""How far a symbol's minutes are known: the frontier, and what is missing before it (rule 1)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.timeframe import MINUTE

CONFIRM_MS = 30_000  # two fetches this far apart prove an absence

Span = tuple[int, int]
Pending = tuple[int, int, int]  # start, end (exclusive), first seen


class Judged(NamedTuple):
    """Absences that a second fetch confirmed, and all that are seen once."""

    confirmed: list[Span]
    pending: list[Pending]


def judge(asked: Span, stored: Iterable[int], gaps: Iterable[Span], pending: Sequence[Pending], now: int) -> Judged:
    """Judge what one fetched page lacks.

    asked: the window that the page answers, from the frontier on and cut after its last row: a minute
    is absent only when a later one was served, since an exchange that serves nothing may merely be
    late. stored: opens of all rows on disk inside `asked`. gaps: absences recorded before.
    """
    known = {*stored, *_minutes(gaps, asked)}
    first_seen = {t: first for a, b, first in pending for t in range(max(a, asked[0]), min(b, asked[1]), MINUTE)}
    missing = [t for t in range(asked[0], asked[1], MINUTE) if t not in known]
    confirmed = [t for t in missing if now - first_seen.get(t, now) >= CONFIRM_MS]
    done = set(confirmed)
    waiting = [(t, first_seen.get(t, now)) for t in missing if t not in done]
    return Judged(spans(confirmed), _joined([*outside(pending, asked), *((t, t + MINUTE, s) for t, s in waiting)]))


def walk(frontier: int, stored: Iterable[int], gaps: Sequence[Span]) -> int:
    """The first minute at or after `frontier` that is neither stored nor recorded as absent.

    stored: opens on disk from `frontier` on, ascending; read only as far as needed.
    """
    ahead = sorted(span for span in gaps if span[1] > frontier)
    for ts in stored:
        while ahead and ahead[0][0] <= frontier:
            frontier = max(frontier, ahead.pop(0)[1])
        if ts > frontier:
            return frontier
        if ts == frontier:
            frontier += MINUTE
    while ahead and ahead[0][0] <= frontier:
        frontier = max(frontier, ahead.pop(0)[1])
    return frontier


def spans(times: Iterable[int]) -> list[Span]:
    """Ascending minutes joined into half-open spans."""
    return [(a, b) for a, b, _ in _joined([(t, t + MINUTE, 0) for t in times])]


def _minutes(gaps: Iterable[Span], inside: Span) -> set[int]:
    return {t for a, b in gaps for t in range(max(a, inside[0]), min(b, inside[1]), MINUTE)}


def outside(pending: Iterable[Pending], span: Span) -> list[Pending]:
    """The parts of `pending` that lie outside `span`: what a page says nothing about, or what is still waited for."""
    left = []
    for a, b, first in pending:
        left += [(x, y, first) for x, y in ((a, min(b, span[0])), (max(a, span[1]), b)) if x < y]
    return left


def _joined(found: Iterable[Pending]) -> list[Pending]:
    joined: list[Pending] = []
    for a, b, first in sorted(found):
        if joined and joined[-1][1] == a and joined[-1][2] == first:
            joined[-1] = (joined[-1][0], b, first)
        else:
            joined.append((a, b, first))
    return joined
