"""Chart pictures of stored signals, for alerts and for `/chart`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from core import timeframe
from core.candles import Bars
from core.engine.context import Context
from core.errors import DataError
from core.notify.picture import Mark, Plan, chart_png
from core.notify.text import pct
from core.store import candles, runs
from core.store.candles import Con
from core.store.reads import pictures

Row = Mapping[str, Any]

BEFORE = 60  # bars shown before the decision; up to REACH where the impulse began earlier
REACH = 110
AFTER = 8  # bars shown behind the end of a plan
MOST = 180  # bars in one picture: a longer plan is drawn on the next larger timeframe
FEWEST = 24  # bars shown before the decision at least
FLATTEST = 2.5  # the height of a picture is at most this many times the plan's, where FEWEST allows it
_ZONE = (0.5, 0.786)  # the retracement in which setups with an impulse enter


def of_signal(ctx: Context, con: Con, signal_id: str, until: int | None = None) -> bytes:
    """A signal's chart as PNG bytes: `of_signal(ctx, con, row["id"])`; well under 60 kB and a tenth of a second.

    con: any connection to the file, a read-only one will do; three short reads on keys, at most a few hundred bars.
    signal_id: the full id. until: draw only what was known at this time (ms UTC), such as decided_ts for the
    alert of a fresh plan; None: up to the newest candle, fills and exits included. The market's label comes from
    `ctx.label` or the file. Raises DataError for an unknown id, and where the file holds no candles of that time.
    """
    row = pictures.drawn(con, signal_id)
    if row is None:
        raise DataError(f"no signal {signal_id} in this file")
    known = max(row["decided_ts"], row["seen_ts"] or 0) if until is None else until
    size = _timeframe(ctx, row, known)
    bars = _bars(ctx, con, row, size, known if until is not None else known + AFTER * size)
    before = known + 1 if until is None else until  # a fill at the very decision is not known yet
    marks = [_mark(row, *event) for event in pictures.events(con, signal_id) if event[0] < before]
    shown = _shown(row, bars)
    if not len(shown):
        raise DataError(f"no candles around {timeframe.show_time(row['decided_ts'])} in this file")
    label = ctx.label or str(runs.get(con, "market", ""))
    return chart_png(shown, _plan(row, bars, known, fresh=until is not None), marks, label.partition(",")[0])


def _shown(row: Row, bars: Bars) -> Bars:
    # From the impulse on, and as much before it as leaves the plan a third of the height.
    levels = [row[name] for name in ("entry", "sl", "tp1", "tp2") if row[name] is not None]
    room = FLATTEST * (max(levels) - min(levels))
    first = int(np.searchsorted(bars.ts, _first(row, bars.tf)))
    last = int(np.searchsorted(bars.ts, row["decided_ts"])) - FEWEST
    last = min(last, int(np.searchsorted(bars.ts, row["start_ts"])) - 4)
    while first < last and max([*bars.high[first:], *levels]) - min([*bars.low[first:], *levels]) > room:
        first += 1
    return bars.cut(first, len(bars))


def _timeframe(ctx: Context, row: Row, known: int) -> int:
    # The signal's own, or the first larger one on which the whole plan fits.
    own = timeframe.ms(row["timeframe"])
    larger = [timeframe.ms(tf) for tf in ctx.timeframes if timeframe.ms(tf) >= own]
    return next((size for size in larger if known - _first(row, size) <= MOST * size), max(own, *larger))


def _first(row: Row, size: int) -> int:
    wanted = min(row["decided_ts"] - BEFORE * size, row["start_ts"] - 4 * size)
    return int(max(wanted, row["decided_ts"] - REACH * size))


def _bars(ctx: Context, con: Con, row: Row, size: int, end: int) -> Bars:
    series = candles.series(con, row["exchange"]).get((row["symbol"], timeframe.NAMES[size]))
    if series is None:
        raise DataError(f"no {timeframe.NAMES[size]} candles of {row['symbol']} in this file")
    start = min(_first(row, size), timeframe.floor(row["start_ts"], size))  # AVWAP begins there
    bars = candles.load(con, series.id, size, max(start, end - 4 * MOST * size), end)
    return bars.before(end - size + 1)


def _mark(row: Row, ts: int, event: str, at: float) -> Mark:
    gain = (at - row["entry"]) * (1 if row["direction"] == "long" else -1)
    return Mark(ts, at, "entry" if event == "FILL" else "good" if gain > 0 else "bad")


def _plan(row: Row, bars: Bars, known: int, *, fresh: bool) -> Plan:
    closed = None if row["closed_ts"] is None or row["closed_ts"] > known else int(row["closed_ts"])
    ends = _pivots(row, bars)
    move = ends[1][1] - ends[0][1] if ends else 0.0
    held = row["status"] in ("OPEN", "TP1") and not fresh
    return Plan(
        row["symbol"], row["timeframe"], 1 if row["direction"] == "long" else -1, row["short_id"], row["setup"],
        row["tick"], row["entry"], row["sl"], row["decided_ts"], row["tp1"], row["tp2"], closed,
        row["stop"] if held else None,
        (ends[1][1] - _ZONE[0] * move, ends[1][1] - _ZONE[1] * move) if ends else None,
        ends, _avwap(row, bars), _state(row, closed, fresh))


def _state(row: Row, closed: int | None, fresh: bool) -> str:
    words = [] if row["verdict"] == "pass" else ["refused"]
    if not fresh and closed is not None and row["pnl_pct"] is not None:
        words.append(f"{row['status']} net {pct(row['pnl_pct'])}")
    elif not fresh:
        words.append(row["status"])
    return ", ".join(words)


def _pivots(row: Row, bars: Bars) -> list[tuple[int, float]]:
    # The impulse's two ends; a plan without targets has none, and a larger timeframe does not show them exactly.
    if row["tp1"] is None or bars.tf != timeframe.ms(row["timeframe"]):
        return []
    first, last = (bars.low, bars.high) if row["direction"] == "long" else (bars.high, bars.low)
    at = np.searchsorted(bars.ts, [row["start_ts"], row["end_ts"]])
    found = [(int(bars.ts[i]), float(side[i])) for i, side in zip(at, (first, last), strict=True) if i < len(bars)]
    return found if [ts for ts, _ in found] == [row["start_ts"], row["end_ts"]] else []


def _avwap(row: Row, bars: Bars) -> list[tuple[int, float]]:
    # The line anchored at the impulse's start (rule 12), drawn on to the newest bar.
    if row["avwap"] is None or bars.tf != timeframe.ms(row["timeframe"]):
        return []
    part = bars.cut(int(np.searchsorted(bars.ts, row["start_ts"])), len(bars))
    volume = np.cumsum(part.volume)
    money = np.cumsum((part.high + part.low + part.close) / 3 * part.volume)
    return [(ts, m / v) for ts, m, v in zip(part.ts.tolist(), money.tolist(), volume.tolist(), strict=True) if v > 0]
