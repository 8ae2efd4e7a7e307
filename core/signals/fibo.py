"""Levels of a plan drawn on an impulse (rule 11)."""

from typing import NamedTuple

TP1_LEVEL = 1.272
TP2_LEVEL = 1.618


class Levels(NamedTuple):
    """Raw prices, not yet on the tick."""

    entry: float
    sl: float
    tp1: float
    tp2: float


def levels(start: float, end: float, entry_level: float, stop_distance: float) -> Levels:
    """Entry, stop and targets for the move from price `start` to price `end`; a falling one is mirrored.

    entry_level: share of the move that is given back. stop_distance: price units beyond the start.
    """
    move = end - start
    away = stop_distance if move > 0 else -stop_distance
    return Levels(end - entry_level * move, start - away, start + TP1_LEVEL * move, start + TP2_LEVEL * move)
