"""What the page Chart shows of a market and of one plan: its window of bars, levels, pivots, fills and exits. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from core.candles import Bars
from core.dashboard import words
from core.signals.fibo import TP1_LEVEL, TP2_LEVEL
from core.signals.kernels import pivot
from core.timeframe import MINUTE

Row = Mapping[str, Any]

MOST = 1500  # bars of one chart
LEAD = 0.15  # share of the window before the setup begins
AFTER = 40  # bars loaded after a plan has ended
SEEN = 80  # bars seen at first, at least
RETRACED = (0.236, 0.382, 0.5, 0.618, 0.786)
EXTENDED = (TP1_LEVEL, TP2_LEVEL)


class Window(NamedTuple):
    """Bars with start <= ts < end are shown. cut: the plan's life is longer than MOST bars of this timeframe."""

    start: int
    end: int
    cut: bool = False


class Level(NamedTuple):
    """A price drawn as a line over [start, end). kind: entry, sl, tp, stop, liq, fib or channel."""

    name: str
    price: float
    kind: str
    start: int
    end: int


class Mark(NamedTuple):
    """A fill, an exit or an expiry at a moment. tone: up, down or plain."""

    ts: int
    price: float
    name: str
    tone: str


class Point(NamedTuple):
    """A pivot: the open of its bar, its price, and +1 for a high, -1 for a low."""

    ts: int
    price: float
    side: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One plan as it is drawn. own: bars of its own timeframe, from its start bar (or before) on.

    stops: times and prices of a stop that moved (`stops.path`), empty for one that did not.
    """

    row: Row
    trade: Row
    events: Sequence[Row]
    own: Bars
    channel: int = 0
    stops: tuple[list[int], list[float]] = ([], [])

    @property
    def side(self) -> int:
        """+1 long, -1 short."""
        return 1 if self.row["direction"] == "long" else -1

    @property
    def until(self) -> int:
        """Where its lines end: its last minute, its expiry while it waits, or as far as it has been followed."""
        if self.trade["status"] == "PENDING":
            return int(self.row["expires_ts"])
        return int(self.trade["closed_ts"] or self.trade["seen_ts"]) + MINUTE


def window(size: int, count: int, newest: int, plan: tuple[Row, Row] | None = None, until: int | None = None) -> Window:
    """Which bars to show. size: of a bar, ms; count: how many bars, at least; newest: open of the newest bar.

    plan: a row of `signals` and one of `trades`: the window holds the plan's whole life. until: without a plan,
    the end that is asked for.
    """
    last = newest + size
    count = min(count, MOST)
    if plan is None:
        end = last if until is None else min(last, until)
        return Window(end - count * size, end)
    row, trade = plan
    first = row["start_ts"] - int(LEAD * count) * size
    ended = last if trade["closed_ts"] is None else trade["closed_ts"] + AFTER * size
    end = min(last, max(first + count * size, ended))
    first = min(first, end - count * size)
    if end - first <= MOST * size:
        return Window(first, end)
    first = max(first, row["decided_ts"] - MOST // 3 * size)
    return Window(first, min(end, first + MOST * size), first + MOST * size < end)


def focus(size: int, shown: Window, plan: tuple[Row, Row] | None) -> tuple[int, int]:
    """The part of the window that is seen at first: the plan's life with some bars around it; all without a plan."""
    if plan is None:
        return shown.start, shown.end
    row, trade = plan
    first, last = row["start_ts"], trade["closed_ts"] or shown.end
    around = max(20 * size, int(0.25 * (last - first)), (SEEN * size - (last - first)) // 2)
    end = min(shown.end, last + around)
    return max(shown.start, min(first - around, end - SEEN * size)), end


def levels(plan: Plan) -> list[Level]:
    """The plan's prices as lines, from the decision to its end; the stop in force where it has moved."""
    row, start, end = plan.row, plan.row["decided_ts"], plan.until
    named = [("Entry", row["entry"], "entry"), ("SL", row["sl"], "sl"), ("TP1", row["tp1"], "tp"),
             ("TP2", row["tp2"], "tp")]
    found = [Level(name, float(price), kind, start, end) for name, price, kind in named if price is not None]
    stop = plan.trade["stop"]
    if plan.trade["fill"] is not None and stop is not None and stop != row["sl"]:
        times = plan.stops[0]  # the last but one is when it came to where it stands
        since = times[-2] if len(times) > 1 else plan.trade["tp1_ts"] or plan.trade["opened_ts"]
        name = "Last stop" if plan.trade["closed_ts"] is not None else "Stop now"
        found.append(Level(name, float(stop), "stop", since, end))
    return found


def impulse(plan: Plan) -> tuple[Point, Point] | None:
    """The two pivots that a plan stands on; None where it stands on none, or where their bars are not stored."""
    start, end = plan.row["start_ts"], plan.row["end_ts"]
    if start == end:
        return None
    i, j = (int(np.searchsorted(plan.own.ts, ts)) for ts in (start, end))
    if j >= len(plan.own) or plan.own.ts[i] != start or plan.own.ts[j] != end:
        return None
    low, high = plan.own.low, plan.own.high
    begins, ends = (low, high) if plan.side > 0 else (high, low)
    return Point(start, float(begins[i]), -plan.side), Point(end, float(ends[j]), plan.side)


def fibs(plan: Plan) -> list[Level]:
    """Retracements and extensions of the impulse, from its start bar on (rule 11)."""
    found = impulse(plan)
    if found is None:
        return []
    a, b = found
    move, start, end = b.price - a.price, a.ts, plan.until
    back = [Level(f"{x:g}", b.price - x * move, "fib", start, end) for x in (0.0, *RETRACED, 1.0)]
    return back + [Level(f"{x:g} ext.", a.price + x * move, "fib", start, end) for x in EXTENDED]


def channel(plan: Plan) -> list[Level]:
    """The highest high and lowest low of the bars before the breakout, for a plan that stands on them."""
    at = int(np.searchsorted(plan.own.ts, plan.row["ts"]))
    if plan.row["start_ts"] != plan.row["end_ts"] or not plan.channel or at < plan.channel:
        return []
    part = slice(at - plan.channel, at)
    start, end = int(plan.own.ts[at - plan.channel]), plan.row["decided_ts"]
    return [Level(f"{plan.channel} bars' high", float(plan.own.high[part].max()), "channel", start, end),
            Level(f"{plan.channel} bars' low", float(plan.own.low[part].min()), "channel", start, end)]


def avwap(plan: Plan) -> tuple[list[int], list[float]]:
    """The AVWAP from the impulse's start bar on: (ts, price) of each bar; at the deciding bar it is the stored one."""
    if plan.row["avwap"] is None:
        return [], []
    own = plan.own
    part = slice(int(np.searchsorted(own.ts, plan.row["start_ts"])), int(np.searchsorted(own.ts, plan.until)))
    typical = (own.high[part] + own.low[part] + own.close[part]) / 3.0
    money, total = np.cumsum(typical * own.volume[part]), np.cumsum(own.volume[part])
    there = total > 0.0
    return own.ts[part][there].tolist(), (money[there] / total[there]).tolist()


def pivots(bars: Bars, size: int) -> list[Point]:
    """All pivots of the bars shown that are confirmed by `size` bars on each side (rule 7)."""
    high, low = bars.high.tolist(), bars.low.tolist()
    sides = ((i, pivot(high, low, i, size)) for i in range(size, len(bars) - size))
    return [Point(int(bars.ts[i]), high[i] if side > 0 else low[i], side) for i, side in sides if side]


def marks(plan: Plan) -> list[Mark]:
    """Fills, exits and an expiry, as they happened."""
    found = []
    for event in plan.events:
        name, price = event["event"], event["price"]
        if price is None:
            found.append(Mark(event["ts"], plan.row["entry"], name, "plain"))
            continue
        gain = 0.0 if name == "FILL" else plan.side * (price - plan.trade["fill"])
        found.append(Mark(event["ts"], price, name, "plain" if name == "FILL" else "up" if gain > 0 else "down"))
    return found


def waiting(plan: Plan) -> tuple[int, int] | None:
    """[from, to) in which the entry waited: to its fill, its end or its expiry; None for a market order."""
    if plan.row["market"]:
        return None
    ends = (plan.trade["opened_ts"], plan.trade["closed_ts"], plan.row["expires_ts"])
    return plan.row["decided_ts"], next(ts for ts in ends if ts is not None)


def held(plan: Plan) -> tuple[int, int] | None:
    """[from, to) in which a position was open; None where the entry was never filled."""
    opened = plan.trade["opened_ts"]
    return None if opened is None else (opened, plan.until)


def caption(row: Row, now: int | None = None) -> str:
    """One line for a list of plans: `▲ long BTC 5m fibo_avwap · 3 May 14:05Z · TP +1.74R · #ABC1234`.

    now: the year is told of what lies far from it.
    """
    end = "" if row["r_multiple"] is None else f" {words.r(row['r_multiple'])}"
    refused = "✕ refused, " if row["verdict"] == "refused" else ""
    what = f"{words.SIDES[row['direction']]} {words.coin(row['symbol'])} {row['timeframe']} {row['setup']}"
    return (f"{what} · {words.when(row['decided_ts'], now)} · "
            f"{refused}{row['status']}{end} · #{row['short_id']}")


