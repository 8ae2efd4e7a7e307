"""Derived bars, built inside the database from the next smaller timeframe."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from core.store.candles import Con, record_revision
from core.timeframe import DAY, floor

_CHUNK = 30 * DAY  # of one series, at once: bounds memory on years of catch-up
_SELECT = (
    "SELECT ts, open, high, low, close, volume, minutes FROM ohlcv WHERE series = ? AND ts >= ? AND ts < ? ORDER BY ts"
)
_SELECT_MANY = (
    "SELECT series, ts, open, high, low, close, volume, minutes FROM ohlcv "
    "WHERE series IN (SELECT value FROM json_each(?)) AND ts >= ? AND ts < ? ORDER BY series, ts"
)

BarRow = tuple[int, float, float, float, float, float, int]
Stored = tuple[int, int, float, float, float, float, float, int]  # the series, then a bar


class Part(NamedTuple):
    """What is built from what: the ids of two series, and the frontier that a rewritten bar is noted with."""

    source: int
    target: int
    frontier: int



def buckets(rows: Iterable[BarRow], tf: int) -> Iterator[BarRow]:
    """Join ascending bars into bars of length `tf` (ms); volume is added left to right.

    A bucket without rows gives no bar. `minutes` adds up, so that a short bar shows as one.
    """
    end = 0
    start, o, h, lo, c, v, m = 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0
    for ts, o2, h2, l2, c2, v2, m2 in rows:
        if ts < end:
            if h2 > h:
                h = h2
            if l2 < lo:
                lo = l2
            c = c2
            v += v2
            m += m2
            continue
        if end:
            yield start, o, h, lo, c, v, m
        start = ts - ts % tf
        end = start + tf
        o, h, lo, c, v, m = o2, h2, l2, c2, v2, m2
    if end:
        yield start, o, h, lo, c, v, m


def build(con: Con, parts: Sequence[Part], tf: int, start: int, end: int) -> int:
    """Build the bars with start <= ts < end of every part; start and end are on the grid of `tf` (ms).

    Idempotent. A bar that changes leaves its old values in `revisions`. Returns the bars written.
    """
    step = max(tf, floor(_CHUNK // len(parts), tf))
    return sum(_put(con, parts, list(_bars(con, parts, tf, a, min(end, a + step)))) for a in range(start, end, step))


def set_built(con: Con, targets: Iterable[int], built_ts: int) -> None:
    """Move the watermark of derived series, by id."""
    ids = json.dumps(list(targets))
    con.execute("UPDATE series SET built_ts = ? WHERE id IN (SELECT value FROM json_each(?))", (built_ts, ids))


def _bars(con: Con, parts: Sequence[Part], tf: int, start: int, end: int) -> Iterator[Stored]:
    # Many series in one statement: a minute of a hundred symbols is a hundred times a handful of rows.
    target = {part.source: part.target for part in parts}
    if len(parts) == 1:
        (source,) = target
        for bar in buckets(con.execute(_SELECT, (source, start, end)), tf):
            yield target[source], *bar
        return
    found = con.execute(_SELECT_MANY, (json.dumps(list(target)), start, end)).fetchall()
    for source, rows in groupby(found, itemgetter(0)):
        for bar in buckets((row[1:] for row in rows), tf):
            yield target[source], *bar


def _put(con: Con, parts: Sequence[Part], rows: Sequence[Stored]) -> int:
    if not rows:
        return 0
    fresh = con.executemany("INSERT INTO ohlcv VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", rows).rowcount
    return fresh if fresh == len(rows) else fresh + _rewrite(con, parts, rows)


def _rewrite(con: Con, parts: Sequence[Part], rows: Sequence[Stored]) -> int:
    # Some bars were there already: the ones that hold other values now.
    frontier = {part.target: part.frontier for part in parts}
    span = min(r[1] for r in rows), max(r[1] for r in rows) + 1
    old = {r[:2]: r for r in con.execute(_SELECT_MANY, (json.dumps(list(frontier)), *span))}
    changed = [r for r in rows if old[r[:2]] != r]
    for r in changed:
        record_revision(con, r[0], old[r[:2]][1:], frontier[r[0]])
        con.execute(
            "UPDATE ohlcv SET open = ?, high = ?, low = ?, close = ?, volume = ?, minutes = ? "
            "WHERE series = ? AND ts = ?",
            (*r[2:], *r[:2]),
        )
    return len(changed)
