"""Derived bars, built inside the database from the next smaller timeframe."""

from collections.abc import Iterable, Iterator, Sequence

from core.store.candles import Con, record_revision
from core.timeframe import DAY

_CHUNK = 30 * DAY  # rows of one read: bounds memory on years of catch-up
_SELECT = (
    "SELECT ts, open, high, low, close, volume, minutes FROM ohlcv WHERE series = ? AND ts >= ? AND ts < ? ORDER BY ts"
)

BarRow = tuple[int, float, float, float, float, float, int]


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


def build(con: Con, source: int, target: int, tf: int, start: int, end: int, frontier: int) -> int:
    """Build the bars of series `target` with start <= ts < end from series `source`; both on the grid of `tf`.

    Idempotent. A bar that changes leaves its old values in `revisions`. Returns the bars written.
    """
    written = 0
    for a in range(start, end, _CHUNK - _CHUNK % tf):
        b = min(end, a + _CHUNK - _CHUNK % tf)
        rows = list(buckets(con.execute(_SELECT, (source, a, b)).fetchall(), tf))
        written += _put(con, target, rows, frontier)
    return written


def set_built(con: Con, values: Iterable[tuple[int, int]]) -> None:
    """Move the watermark of derived series: (built_ts, series id)."""
    con.executemany("UPDATE series SET built_ts = ? WHERE id = ?", values)


def _put(con: Con, target: int, rows: Sequence[BarRow], frontier: int) -> int:
    if not rows:
        return 0
    old = {r[0]: r for r in con.execute(_SELECT, (target, rows[0][0], rows[-1][0] + 1))}
    fresh = [r for r in rows if r[0] not in old] if old else rows
    con.executemany(f"INSERT INTO ohlcv VALUES ({int(target)}, ?, ?, ?, ?, ?, ?, ?)", fresh)
    changed = [r for r in rows if r[0] in old and old[r[0]] != r] if old else []
    for r in changed:
        record_revision(con, target, old[r[0]], frontier)
        con.execute(
            "UPDATE ohlcv SET open = ?, high = ?, low = ?, close = ?, volume = ?, minutes = ? "
            "WHERE series = ? AND ts = ?",
            (*r[1:], target, r[0]),
        )
    return len(fresh) + len(changed)
