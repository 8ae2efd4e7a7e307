"""The lifecycle told again, slowly and differently: real prices, both directions spelled out, a list of notes.

Written from the rules, not from the code; it keeps every bar it has seen and looks things up in that list.
"""

from dataclasses import dataclass, field
from math import isnan, nan

from core.trades.lifecycle import Order

MINUTE = 60_000
Bar = tuple[int, float, float, float, float]


@dataclass
class Life:
    """What became of a plan: status and reason by name, fills as (ts, price)."""

    status: str = "PENDING"
    reason: str = ""
    fill: tuple[int, float] | None = None
    tp1: tuple[int, float] | None = None
    closed_ts: int | None = None
    exit: float | None = None
    adverse: list[float] = field(default_factory=list)  # every price that counts for mae
    favourable: list[float] = field(default_factory=list)  # every price that counts for mfe


class Simulator:
    """One plan fed minute by minute."""

    def __init__(self, order: Order) -> None:
        self.order, self.life = order, Life()
        self.stop, self.moved_by = order.sl, "sl"
        self.closed_bars: list[Bar] = []  # of the position
        self.long = order.direction == 1

    # comparisons that read as the rules do
    def below(self, a: float, b: float) -> bool:
        """a is strictly on the losing side of b."""
        return a < b if self.long else a > b

    def at_or_below(self, a: float, b: float) -> bool:
        """a is at b or on the losing side of it."""
        return a == b or self.below(a, b)

    def above(self, a: float, b: float) -> bool:
        """a is strictly on the winning side of b; never for a missing b."""
        return not isnan(b) and not self.at_or_below(a, b)

    def feed(self, bar: Bar, atr: float) -> None:
        """One minute."""
        if self.life.status == "PENDING":
            self._pending(bar)
        elif self.life.status in ("OPEN", "TP1"):
            self._position(bar, atr)

    def known_to(self, frontier: int) -> None:
        """All minutes before `frontier` have been fed."""
        if self.life.status == "PENDING" and frontier >= self.order.deadline:
            self._expire("never_filled", self.order.deadline - MINUTE)

    def _expire(self, reason: str, ts: int) -> None:
        self.life.status, self.life.reason, self.life.closed_ts = "EXPIRED", reason, ts

    def _pending(self, bar: Bar) -> None:
        ts, o, high, low, _ = bar
        k = self.order
        worst, best = (low, high) if self.long else (high, low)
        if ts < k.decided_ts:
            return
        if ts >= k.deadline:
            return self._expire("never_filled", k.deadline - MINUTE)
        if not isnan(k.tp1) and not self.below(o, k.tp1):
            return self._expire("tp1_before_entry", ts)
        if k.market:
            if self.at_or_below(o, k.sl):
                return self._expire("gapped", ts)
            return self._fill(bar, o, at_open=True)
        if self.below(worst, k.entry):
            beyond = self.below(o, k.entry)
            return self._fill(bar, o if beyond else k.entry, at_open=beyond)
        if not isnan(k.tp1) and not self.below(best, k.tp1):
            return self._expire("tp1_before_entry", ts)

    def _fill(self, bar: Bar, price: float, at_open: bool) -> None:
        ts, o, high, low, _ = bar
        worst, best = (low, high) if self.long else (high, low)
        self.life.status, self.life.fill = "OPEN", (ts, price)
        if at_open and self.at_or_below(o, self.order.sl):
            return self._close("SL", "sl_gap", ts, o)
        if self.at_or_below(worst, self.order.sl):
            return self._close("SL", "sl", ts, self.order.sl)
        if at_open and self._targets(bar):
            return None
        self._survive(bar, [worst], [best] if at_open else [])

    def _position(self, bar: Bar, atr: float) -> None:
        ts, o, high, low, _ = bar
        k, life = self.order, self.life
        worst = low if self.long else high
        self._trail(atr)
        after = life.status == "TP1"
        if not isnan(k.liq) and self.below(o, k.liq):
            return self._close("LIQUIDATED", "liquidation", ts, k.liq)
        if self.at_or_below(o, self.stop):
            return self._stopped(ts, o, gap=True)
        if not self.above(o, k.tp2 if after else k.tp1) and self.at_or_below(worst, self.stop):
            return self._stopped(ts, self.stop, gap=False)
        if not self._targets(bar):
            self._survive(bar, [worst], [high if self.long else low])

    def _trail(self, atr: float) -> None:
        k, life = self.order, self.life
        if isnan(k.trail_mult) or isnan(atr) or not (life.status == "TP1" or isnan(k.tp1)):
            return
        since = life.tp1[0] if life.tp1 else life.fill[0]  # type: ignore[index]
        bars = [b for b in self.closed_bars if b[0] >= since]
        if self.long:
            level = max(b[2] for b in bars) - k.trail_mult * atr
        else:
            level = min(b[3] for b in bars) + k.trail_mult * atr
        if self.above(level, self.stop):
            self.stop, self.moved_by = level, "trail"

    def _targets(self, bar: Bar) -> bool:
        ts, o, high, low, _ = bar
        k, life = self.order, self.life
        worst, best = (low, high) if self.long else (high, low)
        if life.status == "OPEN" and self.above(best, k.tp1):
            life.tp1, life.status = (ts, o if self.above(o, k.tp1) else k.tp1), "TP1"
            if k.tp1_fraction == 1.0:
                life.adverse.append(worst)
                self._close("TP", "tp1", ts, life.tp1[1])
                return True
            if k.move_be:
                self.stop = life.fill[1] * (1 + k.direction * k.be_cost)  # type: ignore[index]
                self.moved_by = "be"
        if life.status == "TP1" and self.above(best, k.tp2):
            life.adverse.append(worst)
            self._close("TP", "tp2", ts, o if self.above(o, k.tp2) else k.tp2)
            return True
        return False

    def _survive(self, bar: Bar, adverse: list[float], favourable: list[float]) -> None:
        k, life = self.order, self.life
        life.adverse += adverse
        life.favourable += favourable
        if not favourable:  # filled inside the bar: its favourable side may lie before the fill (rule 28)
            fill = life.fill[1]  # type: ignore[index]
            bar = (bar[0], bar[1], fill, bar[3], bar[4]) if self.long else (bar[0], bar[1], bar[2], fill, bar[4])
        self.closed_bars.append(bar)
        if k.max_hold_ms and bar[0] + MINUTE >= life.fill[0] + k.max_hold_ms:  # type: ignore[index]
            self._close("TIME", "time", bar[0], bar[4])

    def _stopped(self, ts: int, price: float, gap: bool) -> None:
        if self.life.status == "TP1":
            self._close("TP1_TRAIL", self.moved_by, ts, price)
        elif self.moved_by == "trail":
            self._close("TRAIL", "trail", ts, price)
        else:
            self._close("SL", "sl_gap" if gap else "sl", ts, price)

    def _close(self, status: str, reason: str, ts: int, price: float) -> None:
        life = self.life
        life.status, life.reason, life.closed_ts, life.exit = status, reason, ts, price
        life.adverse.append(price)
        life.favourable.append(price)


def excursions(order: Order, life: Life) -> tuple[float, float]:
    """mae and mfe as prices: the worst and the best that counted, the fill included."""
    assert life.fill is not None
    worst, best = (min, max) if order.direction == 1 else (max, min)
    return worst([life.fill[1], *life.adverse]), best([life.fill[1], *life.favourable])


def simulate(order: Order, bars: list[Bar], closes: list[int], atr: list[float], frontier: int | None = None) -> Life:
    """The whole life over `bars`; closes, atr: bars of the plan's timeframe."""
    sim = Simulator(order)
    for bar in bars:
        known = [x for close, x in zip(closes, atr, strict=True) if close <= bar[0]]
        sim.feed(bar, known[-1] if known else nan)
    if frontier is not None:
        sim.known_to(frontier)
    return sim.life
