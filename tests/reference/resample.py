"""Rules 1 to 4: what is known, and how minutes become bars."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

MINUTE = 60_000
TIMEFRAMES = {"1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": 60 * MINUTE, "4h": 240 * MINUTE,
              "1d": 1440 * MINUTE}


class Bar(NamedTuple):
    """One candle; `ts` is its open in ms UTC, `minutes` how many 1m rows it was built from."""

    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    minutes: int = 1


def minute(row: Sequence[float]) -> Bar:
    """A bar out of a 1m row (ts, open, high, low, close, volume)."""
    ts, open_, high, low, close, volume = row[:6]
    return Bar(int(ts), open_, high, low, close, volume)


def stretches(minutes: Iterable[int], gaps: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs [first, end) of minutes without a break, each stored or recorded as a gap (rule 1).

    minutes: opens of the stored 1m rows. gaps: (open of the first absent minute, open of the last one).
    `end` is the open of the first minute not known, so a bar is final when ts + timeframe <= end.
    """
    # CHOICE: "the frontier has reached its end" is read as: the last known minute's END is at or after it.
    known = set(minutes)
    for first, last in gaps:
        known.update(range(first, last + MINUTE, MINUTE))
    runs: list[tuple[int, int]] = []
    for ts in sorted(known):
        if runs and runs[-1][1] == ts:
            runs[-1] = (runs[-1][0], ts + MINUTE)
        else:
            runs.append((ts, ts + MINUTE))
    return runs


def frontier(minutes: Iterable[int], gaps: Iterable[tuple[int, int]], stretch_start: int) -> int:
    """End of the stretch that begins at `stretch_start` (`stretch_start` itself if nothing is known there)."""
    for first, end in stretches(minutes, gaps):
        if first <= stretch_start < end:
            return end
    return stretch_start


def build(parts: Sequence[Bar], ts: int) -> Bar:
    """One bar out of the smaller bars that lie in it, ascending; volume is added left to right (rule 4)."""
    high, low, volume, minutes = parts[0].high, parts[0].low, 0.0, 0
    for part in parts:
        high = part.high if part.high > high else high
        low = part.low if part.low < low else low
        volume = volume + part.volume
        minutes = minutes + part.minutes
    return Bar(ts, parts[0].open, high, low, parts[-1].close, volume, minutes)


def next_larger(bars: Sequence[Bar], tf: int, end: int) -> list[Bar]:
    """Bars of length `tf` that have ended by `end`; a bucket without parts has no row (rule 2)."""
    # CHOICE: a bucket that begins before the stretch does is stored as a short bar like any other (the
    # warm-up rule keeps it out of every decision).
    buckets: dict[int, list[Bar]] = {}
    for bar in bars:
        buckets.setdefault(bar.ts - bar.ts % tf, []).append(bar)
    return [build(parts, ts) for ts, parts in sorted(buckets.items()) if ts + tf <= end]


def resample(minutes: Mapping[int, Sequence[float]], end: int) -> dict[str, list[Bar]]:
    """All timeframes from 1m rows {ts: (open, high, low, close, volume)} known up to `end` (not included)."""
    rows = [minute((ts, *minutes[ts][:5])) for ts in sorted(minutes) if ts + MINUTE <= end]
    result = {"1m": rows}
    for name, tf in list(TIMEFRAMES.items())[1:]:
        rows = next_larger(rows, tf, end)
        result[name] = rows
    return result
