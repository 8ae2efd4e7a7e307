"""Lives of plans one can check in the head: a few 1m bars, a long plan, and what must come of it.

The plan unless a row says otherwise: limit 100, stop 98, targets 104 and 106, liquidation 90, half
closed at TP1, stop to break-even then, no trail, good for 10 minutes. Minute 0 opens at the decision.
Every row is run again as its mirror: prices reflected at 100, long turned short.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isnan, nan
from typing import Any

from core.trades import lifecycle
from core.trades.lifecycle import REASON_NAMES, STATUS_NAMES, Order, State

MINUTE = 60_000
T0 = 28_333_334 * MINUTE
MIRROR = 200.0

Bar = tuple[int, float, float, float, float]
At = tuple[int, float]  # minute, price

PLAN = Order(direction=1, market=False, entry=100.0, sl=98.0, tp1=104.0, tp2=106.0, liq=90.0, decided_ts=T0,
             deadline=T0 + 10 * MINUTE, tp1_fraction=0.5, move_be=True, be_cost=0.0, trail_mult=nan, max_hold_ms=0)
MARKET = PLAN._replace(market=True, tp1=nan, tp2=nan, trail_mult=2.0, deadline=T0 + 5 * MINUTE)


@dataclass(frozen=True)
class Scenario:
    """bars: "open high low close" per minute from `first` on, "-" = absent; end: status and exit reason."""

    name: str
    rules: str
    bars: tuple[str, ...]
    end: str
    fill: At | None = None
    tp1: At | None = None
    exit: At | None = None
    closed: int | None = None  # minute, for plans without an exit price
    stop: float | None = None
    best: float | None = None
    worst: float | None = None
    order: Order = PLAN
    first: int = 0
    frontier: int | None = None
    atr: tuple[tuple[int, float], ...] = ((0, 1.0),)  # (minute a bar of the timeframe closes, its ATR)
    short: bool = field(default=False)

    def minutes(self) -> list[Bar]:
        """The bars as (ts, open, high, low, close)."""
        found = []
        for i, text in enumerate(self.bars):
            if text != "-":
                o, h, low, c = (float(x) for x in text.split())
                bar = (MIRROR - o, MIRROR - low, MIRROR - h, MIRROR - c) if self.short else (o, h, low, c)
                found.append((T0 + (self.first + i) * MINUTE, *bar))
        return found

    def plan(self) -> Order:
        """The order, mirrored for a short."""
        if not self.short:
            return self.order
        k = self.order
        return k._replace(direction=-1, entry=MIRROR - k.entry, sl=MIRROR - k.sl, tp1=MIRROR - k.tp1,
                          tp2=MIRROR - k.tp2, liq=MIRROR - k.liq)

    def trail(self) -> tuple[list[int], list[float]]:
        """Closes of the timeframe's bars and their ATR."""
        return [T0 + m * MINUTE for m, _ in self.atr], [x for _, x in self.atr]


def both(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Each scenario and its mirror."""
    return [s for long in scenarios for s in (long, replace(long, name=long.name + ", short", short=True))]


def run(s: Scenario, kernel: Any = lifecycle) -> State:
    """Walk the scenario at once, with `kernel` = the lifecycle module or a flawed copy of it."""
    k, bars = s.plan(), s.minutes()
    columns = [list(x) for x in zip(*bars, strict=True)] if bars else [[], [], [], [], []]
    state, _ = kernel.walk(kernel.new_state(k), k, *columns, 0, len(bars), *s.trail())
    return state if s.frontier is None else kernel.expire(state, k, T0 + s.frontier * MINUTE)


def run_step_by_step(s: Scenario) -> State:
    """The same minute by minute, as the daemon does."""
    k, state = s.plan(), lifecycle.new_state(s.plan())
    closes, atr = s.trail()
    for ts, o, h, low, c in s.minutes():
        j = lifecycle.last_closed(closes, ts)
        state = lifecycle.step(state, k, ts, o, h, low, c, atr[j] if j >= 0 else nan)
    return state if s.frontier is None else lifecycle.expire(state, k, T0 + s.frontier * MINUTE)


def wrong(s: Scenario, state: State) -> list[str]:
    """What differs from the scenario's expectation; empty if it holds."""
    seen: dict[str, Any] = {"end": f"{STATUS_NAMES[state.status]} {REASON_NAMES[state.reason]}".strip(),
                            "fill": _at(s, state.opened_ts, state.fill), "tp1": _at(s, state.tp1_ts, state.tp1_price),
                            "exit": _at(s, state.closed_ts if state.exit_price else 0, state.exit_price)}
    if s.closed is not None:
        seen["closed"] = (state.closed_ts - T0) // MINUTE
    for name in ("stop", "best", "worst"):
        if getattr(s, name) is not None:
            seen[name] = _long(s, getattr(state, name))
    return [f"{name}: {got!r}, not {getattr(s, name)!r}" for name, got in seen.items() if got != getattr(s, name)]


def _long(s: Scenario, price: float) -> float:
    return MIRROR - price if s.short else price


def _at(s: Scenario, ts: int, price: float) -> At | None:
    assert not isnan(price)
    return None if price == 0.0 else ((ts - T0) // MINUTE, _long(s, price))


FILLED = "101 101 99.5 100"  # through the limit, nothing else
QUIET = "101 102 100.5 101"  # leaves limit, stop and targets alone
HELD = "101 103 99 102"  # the same once filled
TO_TP1 = "102 104.5 101 104"  # through TP1

PENDING = [
    Scenario("limit only touched does not fill", "21 22", ("101 102 100 101",), "PENDING"),
    Scenario("limit traded through fills at its price, favourable side not counted", "21 22 28",
             ("101 103 99.5 100",), "OPEN", fill=(0, 100), stop=98, best=100, worst=99.5),
    Scenario("open beyond the limit fills at the open, whole bar counts", "21 22 28", (QUIET, "99.5 100.5 99 100"),
             "OPEN", fill=(1, 99.5), best=100.5, worst=99),
    Scenario("open exactly at the limit fills inside the bar: no target on it", "21 22", ("100 107 99.5 100",),
             "OPEN", fill=(0, 100), best=100, worst=99.5),
    Scenario("stop on the fill bar", "22 28 I4", ("101 103 97 99",), "SL sl", fill=(0, 100), exit=(0, 98), best=100,
             worst=98),
    Scenario("targets on a fill bar not filled at the open do not count", "22 I4", ("101 107 99.5 104.5",), "OPEN",
             fill=(0, 100), best=100, worst=99.5),
    Scenario("filled at the open, TP1 on the same bar", "22 23", ("99.5 104.25 99 104",), "TP1", fill=(0, 99.5),
             tp1=(0, 104), stop=99.5, best=104.25, worst=99),
    Scenario("filled at the open, both targets on the same bar", "22 23 28", ("99.5 107 99 106.5",), "TP tp2",
             fill=(0, 99.5), tp1=(0, 104), exit=(0, 106), best=106, worst=99),
    Scenario("filled at the open, stop and targets on the same bar: the stop", "22 I4", ("99.5 107 97.75 100",),
             "SL sl", fill=(0, 99.5), exit=(0, 98), best=99.5, worst=98),
    Scenario("open at the stop fills and stops there", "22 28", ("98 107 97 98.5",), "SL sl_gap", fill=(0, 98),
             exit=(0, 98), best=98, worst=98),
    Scenario("open beyond the stop fills and stops there", "22", (QUIET, "97 97.5 96 97"), "SL sl_gap", fill=(1, 97),
             exit=(1, 97), best=97, worst=97),
    Scenario("open beyond the liquidation price while pending still only stops", "22", ("85 86 84 85",), "SL sl_gap",
             fill=(0, 85), exit=(0, 85)),
    Scenario("open at TP1 expires", "22", ("104 105 103 104",), "EXPIRED tp1_before_entry", closed=0),
    Scenario("open beyond TP1 expires even if the bar falls through the limit", "22", (QUIET, "104.5 105 97 98"),
             "EXPIRED tp1_before_entry", closed=1),
    Scenario("TP1 touched without entry expires", "22", (QUIET, "101 104 100.5 103"), "EXPIRED tp1_before_entry",
             closed=1),
    Scenario("TP1 and the limit on one bar: the entry, as the adverse side comes first", "22 I4",
             ("101 104.5 99.5 104",), "OPEN", fill=(0, 100)),
    Scenario("not reached in the minutes there are: it waits", "22 D3", (QUIET,) * 9, "PENDING", frontier=9),
    Scenario("known minutes reach the deadline: expired", "20 22 D3", (QUIET,) * 10,
             "EXPIRED never_filled", closed=9, frontier=10),
    Scenario("a minute at the deadline comes too late", "22", (QUIET,) * 10 + ("99 99 97 98",),
             "EXPIRED never_filled", closed=9),
    Scenario("the last minute before the deadline fills", "22", (QUIET,) * 9 + (FILLED,), "OPEN", fill=(9, 100)),
    Scenario("after a hole over the deadline: expired at the deadline", "22 29", (QUIET,) + ("-",) * 11 + (FILLED,),
             "EXPIRED never_filled", closed=9),
    Scenario("calendar time counts, not bars: one minute seen, nine absent", "22", ("-",) * 9 + (FILLED,), "OPEN",
             fill=(9, 100)),
    Scenario("minutes before the decision do not count", "1 22", ("99 99 97 98", QUIET), "PENDING", first=-1),
]

HELD_BARS = [
    Scenario("open at the stop", "21 23", (FILLED, "98 99 97 98.5"), "SL sl_gap", fill=(0, 100), exit=(1, 98)),
    Scenario("open beyond the stop fills at the open", "21 23 28 I4", (FILLED, "97 99 96 98.5"), "SL sl_gap",
             fill=(0, 100), exit=(1, 97), best=100, worst=97),
    Scenario("open beyond the liquidation price liquidates at it", "23 28", (FILLED, "89 91 88 90"),
             "LIQUIDATED liquidation", fill=(0, 100), exit=(1, 90), worst=90),
    Scenario("open at the liquidation price is not beyond it: stopped at the open", "23", (FILLED, "90 91 88 90"),
             "SL sl_gap", fill=(0, 100), exit=(1, 90)),
    Scenario("a bar through stop and liquidation meets the stop first", "23", (FILLED, "100 100 85 90"), "SL sl",
             fill=(0, 100), exit=(1, 98)),
    Scenario("stop triggers on touch", "21 23 28", (FILLED, "101 103 98 102"), "SL sl", fill=(0, 100), exit=(1, 98),
             best=100, worst=98),
    Scenario("low just above the stop", "21 28", (FILLED, "101 103 98.25 102"), "OPEN", fill=(0, 100), best=103,
             worst=98.25),
    Scenario("stop and TP1 on one bar: the stop", "23 I4 D5", (FILLED, "101 105 97.5 104"), "SL sl", fill=(0, 100),
             exit=(1, 98)),
    Scenario("TP1 only touched", "21 23", (FILLED, "101 104 99 103"), "OPEN", fill=(0, 100), best=104),
    Scenario("TP1 traded through: half closed at it, stop to the fill", "21 23 28", (FILLED, TO_TP1), "TP1",
             fill=(0, 100), tp1=(1, 104), stop=100, best=104.5, worst=99.5),
    Scenario("both targets on one bar", "23 28", (FILLED, "102 107 99 106"), "TP tp2", fill=(0, 100), tp1=(1, 104),
             exit=(1, 106), best=106, worst=99),
    Scenario("open beyond TP1: TP1 at the open, and the stop cannot happen on that bar", "21 23",
             (FILLED, "104.5 105 97 98"), "TP1", fill=(0, 100), tp1=(1, 104.5), stop=100, best=105, worst=97),
    Scenario("open beyond TP1, TP2 inside the bar", "23", (FILLED, "104.5 107 97 98"), "TP tp2", fill=(0, 100),
             tp1=(1, 104.5), exit=(1, 106), best=106, worst=97),
    Scenario("open beyond TP2: both at the open", "21 23", (FILLED, "106.5 107 97 98"), "TP tp2", fill=(0, 100),
             tp1=(1, 106.5), exit=(1, 106.5)),
    Scenario("open at TP1 is not beyond it: the stop comes first", "21 23", (FILLED, "104 105 97 98"), "SL sl",
             fill=(0, 100), exit=(1, 98)),
    Scenario("open at TP2 is beyond TP1: TP1 at the open, TP2 inside", "21 23", (FILLED, "106 106.5 97 98"), "TP tp2",
             fill=(0, 100), tp1=(1, 106), exit=(1, 106)),
    Scenario("a hole, then a bar with its own open beyond the stop", "29", (FILLED, "-", "-", "97 98 96 97"),
             "SL sl_gap", fill=(0, 100), exit=(3, 97)),
    Scenario("filled at a gap: break-even is the fill, the stop stays planned", "23", ("99 99 98.5 99", "99 99 98 99"),
             "SL sl", fill=(0, 99), exit=(1, 98)),
]

AFTER_TP1 = [
    Scenario("break-even acts from the next minute", "23 24", (FILLED, "102 104.5 99 104"), "TP1", fill=(0, 100),
             tp1=(1, 104), stop=100),
    Scenario("break-even touched", "23 25", (FILLED, TO_TP1, "104 104 100 101"), "TP1_TRAIL be", fill=(0, 100),
             tp1=(1, 104), exit=(2, 100), best=104.5, worst=99.5),
    Scenario("open beyond break-even", "21 25", (FILLED, TO_TP1, "99.5 100 99 100"), "TP1_TRAIL be", fill=(0, 100),
             tp1=(1, 104), exit=(2, 99.5)),
    Scenario("break-even net of costs", "23", (FILLED, TO_TP1, "104 104 100.75 101"), "TP1_TRAIL be", fill=(0, 100),
             tp1=(1, 104), exit=(2, 100.78125), order=PLAN._replace(be_cost=1 / 128)),
    Scenario("whole size at TP1", "23 28", (FILLED, "102 107 99 106"), "TP tp1", fill=(0, 100), tp1=(1, 104),
             exit=(1, 104), best=104, worst=99, order=PLAN._replace(tp1_fraction=1.0)),
    Scenario("whole size at an open beyond TP1", "21 23", (FILLED, "105 107 99 106"), "TP tp1", fill=(0, 100),
             tp1=(1, 105), exit=(1, 105), order=PLAN._replace(tp1_fraction=1.0)),
    Scenario("nothing closed at TP1, only the stop moves", "23 25", (FILLED, TO_TP1, "104 104 99 101"),
             "TP1_TRAIL be", fill=(0, 100), tp1=(1, 104), exit=(2, 100), order=PLAN._replace(tp1_fraction=0.0)),
    Scenario("stop not moved at TP1", "23 25", (FILLED, TO_TP1, "104 104 99 101", "101 101 98 99"), "TP1_TRAIL sl",
             fill=(0, 100), tp1=(1, 104), exit=(3, 98), order=PLAN._replace(move_be=False)),
    Scenario("stop not moved at TP1, gap through it", "25", (FILLED, TO_TP1, "97 97.5 96 97"), "TP1_TRAIL sl",
             fill=(0, 100), tp1=(1, 104), exit=(2, 97), order=PLAN._replace(move_be=False)),
    Scenario("TP2 on a later bar", "23 28", (FILLED, TO_TP1, "104 106.5 103 106"), "TP tp2", fill=(0, 100),
             tp1=(1, 104), exit=(2, 106), best=106, worst=99.5),
    Scenario("TP2 only touched", "21", (FILLED, TO_TP1, "104 106 103 105"), "TP1", fill=(0, 100), tp1=(1, 104)),
    Scenario("open beyond TP2", "21", (FILLED, TO_TP1, "106.5 107 99 100"), "TP tp2", fill=(0, 100), tp1=(1, 104),
             exit=(2, 106.5)),
    Scenario("break-even and TP2 on one bar: the stop", "23 I4", (FILLED, TO_TP1, "104 107 99.5 106"), "TP1_TRAIL be",
             fill=(0, 100), tp1=(1, 104), exit=(2, 100)),
    Scenario("liquidated after TP1", "23 25", (FILLED, TO_TP1, "89 90 88 89"), "LIQUIDATED liquidation",
             fill=(0, 100), tp1=(1, 104), exit=(2, 90)),
]

TRAILED = PLAN._replace(trail_mult=2.0)

TRAIL = [
    Scenario("trail under the TP1 bar's high, from the next minute", "24 25", (FILLED, TO_TP1, "104 104.5 102.5 103"),
             "TP1_TRAIL trail", fill=(0, 100), tp1=(1, 104), exit=(2, 102.5), order=TRAILED),
    Scenario("the TP1 bar itself is not trailed", "23 24", (FILLED, "102 104.5 102 104"), "TP1", fill=(0, 100),
             tp1=(1, 104), stop=100, order=TRAILED),
    Scenario("a bar's own high does not raise its stop", "24 D5",
             (FILLED, TO_TP1, "103 105.75 102.75 105", "105 105 103.75 104"), "TP1_TRAIL trail", fill=(0, 100),
             tp1=(1, 104), exit=(3, 103.75), order=TRAILED),
    Scenario("highs before the TP1 bar are below it and do not matter", "24",
             (FILLED, "101 103.75 100 103", TO_TP1, "104 104 102.75 103"), "TP1", fill=(0, 100), tp1=(2, 104),
             stop=102.5, order=TRAILED),
    Scenario("a larger ATR does not loosen it", "24", (FILLED, TO_TP1, "104 104 103 104", "104 104 102.5 103"),
             "TP1_TRAIL trail", fill=(0, 100), tp1=(1, 104), exit=(3, 102.5), order=TRAILED, atr=((0, 1.0), (3, 3.0))),
    Scenario("the ATR of a bar that closes at the minute's open counts", "24",
             (FILLED, TO_TP1, "104.25 104.25 104 104"), "TP1_TRAIL trail", fill=(0, 100), tp1=(1, 104), exit=(2, 104),
             order=TRAILED, atr=((0, 1.0), (2, 0.25))),
    Scenario("the ATR of a bar that closes later does not", "2 24 I2", (FILLED, TO_TP1, "104.25 104.25 103 104"),
             "TP1", fill=(0, 100), tp1=(1, 104), stop=102.5, order=TRAILED, atr=((0, 1.0), (3, 0.25))),
    Scenario("no ATR, no move", "24", (FILLED, TO_TP1, "104 104 102 103", "103 103 100 101"), "TP1_TRAIL be",
             fill=(0, 100), tp1=(1, 104), exit=(3, 100), order=TRAILED, atr=((0, nan),)),
    Scenario("no bar of the timeframe has closed, no move", "24", (FILLED, TO_TP1, "104 104 102 103"), "TP1",
             fill=(0, 100), tp1=(1, 104), stop=100, order=TRAILED, atr=((9, 1.0),)),
    Scenario("a trail below break-even leaves break-even", "24 25", (FILLED, TO_TP1, "104 104 99 101"),
             "TP1_TRAIL be", fill=(0, 100), tp1=(1, 104), exit=(2, 100), order=TRAILED, atr=((0, 3.0),)),
    Scenario("a trail at break-even has not moved it", "24 25", (FILLED, TO_TP1, "104 104 99 101"), "TP1_TRAIL be",
             fill=(0, 100), tp1=(1, 104), exit=(2, 100), order=TRAILED, atr=((0, 2.25),)),
    Scenario("open beyond the trail", "21 24", (FILLED, TO_TP1, "102 103 101 102"), "TP1_TRAIL trail", fill=(0, 100),
             tp1=(1, 104), exit=(2, 102), order=TRAILED),
    Scenario("the trail is not rounded to a tick", "24", (FILLED, TO_TP1, "104.25 104.5 104 104"), "TP1_TRAIL trail",
             fill=(0, 100), tp1=(1, 104), exit=(2, 104.15625), order=TRAILED, atr=((0, 0.171875),)),
    Scenario("the trail moves a stop that TP1 left alone", "24 25", (FILLED, TO_TP1, "104 104 102 103"),
             "TP1_TRAIL trail", fill=(0, 100), tp1=(1, 104), exit=(2, 102.5), order=TRAILED._replace(move_be=False)),
    Scenario("trail and TP2 on one bar: the trail", "24 I4", (FILLED, TO_TP1, "104 107 102.5 106"),
             "TP1_TRAIL trail", fill=(0, 100), tp1=(1, 104), exit=(2, 102.5), order=TRAILED),
]

MARKETS = [
    Scenario("market order fills at the first open, whole bar counts", "19c 28", ("101 102 100.5 101.5",), "OPEN",
             fill=(0, 101), stop=98, best=102, worst=100.5, order=MARKET),
    Scenario("first minute absent: the next one's open", "19c 29", ("-", "-", "101.5 102 101 101.5"), "OPEN",
             fill=(2, 101.5), order=MARKET),
    Scenario("no minute within one bar", "19c", (), "EXPIRED never_filled", closed=4, frontier=5, order=MARKET),
    Scenario("no minute yet, but the bar is not over", "19c", (), "PENDING", frontier=4, order=MARKET),
    Scenario("first minute after the bar comes too late", "19c", ("-",) * 5 + (QUIET,), "EXPIRED never_filled",
             closed=4, order=MARKET),
    Scenario("open at the stop: gapped", "19c", ("98 99 97 98",), "EXPIRED gapped", closed=0, order=MARKET),
    Scenario("open beyond the stop: gapped", "19c", ("-", "97 99 96 98"), "EXPIRED gapped", closed=1, order=MARKET),
    Scenario("stopped on the fill bar", "19c 28", ("100 107 97 99",), "SL sl", fill=(0, 100), exit=(0, 98), best=100,
             worst=98, order=MARKET),
    Scenario("trail from the fill bar on, from the next minute", "19c 24 25", ("100 103 98.25 102", "102 102 101 101"),
             "TRAIL trail", fill=(0, 100), exit=(1, 101), order=MARKET),
    Scenario("the fill bar is not trailed", "19c 24", ("100 105 98.25 99",), "OPEN", fill=(0, 100), stop=98, best=105,
             order=MARKET),
    Scenario("open beyond the trail", "21 24", ("100 105 98.25 99", "99 99.5 98.5 99"), "TRAIL trail", fill=(0, 100),
             exit=(1, 99), order=MARKET),
    Scenario("stop at its first level", "19c 25", ("100 101 99 100", "100 100 98 99"), "SL sl", fill=(0, 100),
             exit=(1, 98), order=MARKET, atr=((0, 9.0),)),
    Scenario("gap through the first level", "19c 23", ("100 101 99 100", "97 97 96 97"), "SL sl_gap", fill=(0, 100),
             exit=(1, 97), order=MARKET, atr=((0, 9.0),)),
    Scenario("a trail at the first level has not moved it", "19c 25", ("100 101 99 100", "100 100 98 99"), "SL sl",
             fill=(0, 100), exit=(1, 98), order=MARKET, atr=((0, 1.5),)),
    Scenario("liquidated by an open", "23", ("100 101 99 100", "89 89 88 89"), "LIQUIDATED liquidation",
             fill=(0, 100), exit=(1, 90), order=MARKET, atr=((0, 9.0),)),
    Scenario("no targets: any height is just a higher trail", "19c 24", ("100 101 99 100", "120 140 119 139"), "OPEN",
             fill=(0, 100), best=140, stop=99, order=MARKET),
]

HOLD3 = PLAN._replace(max_hold_ms=3 * MINUTE)

TIMES = [
    Scenario("time at the close of the minute whose end reaches the hold", "25 28", (QUIET, FILLED, HELD, HELD, HELD),
             "TIME time", fill=(1, 100), exit=(3, 102), best=103, worst=99, order=HOLD3),
    Scenario("one minute earlier it still runs", "25", (QUIET, FILLED, HELD), "OPEN", fill=(1, 100), order=HOLD3),
    Scenario("minutes absent: the first one after", "25 29", (FILLED, "-", "-", "-", HELD), "TIME time",
             fill=(0, 100), exit=(4, 102), order=HOLD3),
    Scenario("stop on the last minute comes before time", "25", (FILLED, HELD, "101 101 97 99"), "SL sl",
             fill=(0, 100), exit=(2, 98), order=HOLD3),
    Scenario("target on the last minute comes before time", "25", (FILLED, HELD, "101 107 100 106"), "TP tp2",
             fill=(0, 100), tp1=(2, 104), exit=(2, 106), order=HOLD3),
    Scenario("time for the rest after TP1", "25", (FILLED, TO_TP1, "104 105 103 104.25"), "TIME time", fill=(0, 100),
             tp1=(1, 104), exit=(2, 104.25), best=105, order=HOLD3),
    Scenario("TP1 on the last minute, time for the rest", "25", (FILLED, HELD, TO_TP1), "TIME time", fill=(0, 100),
             tp1=(2, 104), exit=(2, 104), order=HOLD3),
    Scenario("a hold of one minute ends on the fill bar", "25", ("101 103 99 102",), "TIME time", fill=(0, 100),
             exit=(0, 102), worst=99, order=PLAN._replace(max_hold_ms=MINUTE)),
]

ALL = both(PENDING + HELD_BARS + AFTER_TP1 + TRAIL + MARKETS + TIMES)


def names(scenario: Scenario) -> list[str]:
    """What the scenario covers, as the names of the `covers` marker."""
    return [x if x[0] in "ID" else f"rule {x}" for x in scenario.rules.split()]
