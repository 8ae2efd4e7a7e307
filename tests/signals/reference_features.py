"""The features written for reading and not for speed: one row at a time, every value from what had closed."""

import math

from core.candles import Bars
from core.signals.features import Frames, PlanFacts
from tests.signals import reference_indicators as slow
from tests.signals.reference_indicators import added

HOUR, DAY = 3_600_000, 86_400_000
HIGHER = {300_000: HOUR, 900_000: 4 * HOUR, HOUR: 4 * HOUR, 4 * HOUR: DAY}
NAN = math.nan


def closed(bars: Bars, start: int, now: int) -> Bars:
    """The bars of the stretch that have closed at `now`."""
    keep = [k for k in range(len(bars)) if int(bars.ts[k]) >= start and int(bars.ts[k]) + bars.tf <= now]
    return bars.cut(keep[0], keep[-1] + 1) if keep else bars.cut(0, 0)


def div(a: float, b: float) -> float:
    return a / b if b and not math.isnan(b) else NAN


def covered(bars: Bars, i: int, start: int) -> bool:
    """Whether the block before that of bar i lies in the stretch."""
    length = 128 * bars.tf
    return i >= 0 and (int(bars.ts[i]) // length - 1) * length >= start


def rsi(bars: Bars, i: int, n: int = 14) -> float:
    run = slow.run_of(bars, i)
    c = bars.close.tolist()
    changes = [0.0] + [c[k] - c[k - 1] for k in run[1:]]
    up, down = (slow.wilder([max(0.0, sign * x) for x in changes], n) for sign in (1, -1))
    return 50.0 if up + down == 0 else 100.0 * up / (up + down)


def share_below(values: list[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return NAN if math.isnan(values[-1]) else 100.0 * sum(v < values[-1] for v in known) / len(known)


class Seen:
    """A frame at a decision: its last closed bar is the last there is."""

    def __init__(self, bars: Bars | None, start: int, now: int, period: int) -> None:
        self.bars = None if bars is None else closed(bars, start, now)
        if self.bars is not None and (not len(self.bars) or now - int(self.bars.ts[-1]) >= 5 * self.bars.tf):
            self.bars = None
        self.start, self.period = start, period
        self.c = [] if self.bars is None else self.bars.close.tolist()
        self.i = len(self.c) - 1

    def atr(self) -> float:
        if self.bars is None or not covered(self.bars, self.i, self.start):
            return NAN
        return slow.atr(self.bars, self.i, self.period)

    def adx(self) -> float:
        known = self.bars is not None and covered(self.bars, self.i, self.start)
        return slow.adx(self.bars, self.i) if known and self.bars is not None else NAN

    def rsi(self) -> float:
        known = self.bars is not None and covered(self.bars, self.i, self.start)
        return rsi(self.bars, self.i) if known and self.bars is not None else NAN

    def ema(self, n: int, lag: int = 0) -> float:
        return slow.ema(self.c, self.i - lag, n)

    def moved(self, lag: int) -> float:
        return div(self.c[self.i] - self.c[self.i - lag], self.atr()) if self.i - lag >= 0 else NAN

    def above_ema(self, n: int) -> float:
        return div(self.c[self.i] - self.ema(n), self.atr()) if self.c else NAN

    def atr_rank(self) -> float:
        if self.bars is None or not covered(self.bars, self.i - 299, self.start):
            return NAN
        return share_below([100.0 * slow.atr(self.bars, k, self.period) / self.c[k]
                            for k in range(self.i - 299, self.i + 1)])

    def band_rank(self) -> float:
        if self.i < 138:
            return NAN
        return share_below([slow.bandwidth(self.c, k, 20, 2.0) for k in range(self.i - 119, self.i + 1)])


def features(row: PlanFacts, frames: Frames) -> dict[str, float]:
    """Every feature of one candidate by name."""
    now, side = row.decided_ts, row.direction
    own = Seen(frames.bars, frames.start, now, frames.atr_period)
    higher = Seen(frames.higher.get(HIGHER.get(frames.bars.tf, 0)), frames.start, now, frames.atr_period)
    btc = Seen(frames.btc, frames.btc_start, now, frames.atr_period)
    found = {**_shape(own, side), **_trend(own, side), **_impulse(row, own), **_plan(row, own)}
    found |= {
        "higher_ema50": side * higher.above_ema(50), "higher_adx": higher.adx(),
        "higher_return_12": side * higher.moved(12),
        "btc_ema50": side * btc.above_ema(50), "btc_return_12": side * btc.moved(12), "btc_atr_rank": btc.atr_rank(),
        **_funding(frames, now, side),
        "hour": (now % DAY) / HOUR, "weekday": float((now // DAY + 3) % 7),
        "setup": {"fibo_avwap": 0.0, "donchian": 1.0, "compression": 2.0}.get(row.setup, NAN),
        "timeframe": float(["1m", "5m", "15m", "1h", "4h", "1d"].index(row.timeframe)),
    }
    return found


def _shape(own: Seen, side: int) -> dict[str, float]:
    assert own.bars is not None
    o, h, low, c, v = (x.tolist() for x in (own.bars.open, own.bars.high, own.bars.low, own.bars.close,
                                            own.bars.volume))
    body, upper, lower, size = c[-1] - o[-1], h[-1] - max(o[-1], c[-1]), min(o[-1], c[-1]) - low[-1], h[-1] - low[-1]
    ahead, behind = (upper, lower) if side > 0 else (lower, upper)
    return {
        **{f"return_{n}": side * own.moved(n) for n in (1, 3, 12, 48)},
        "body": div(side * body, size), "wick_ahead": div(ahead, size), "wick_behind": div(behind, size),
        "range_atr": div(size, own.atr()),
        **{f"volume_{n}": div(v[-1], added(v[-n:]) / n) if len(v) >= n else NAN for n in (20, 96)},
        "atr_pct": 100.0 * own.atr() / c[-1] if own.atr() > 0 else NAN,
        "atr_rank": own.atr_rank(), "band_rank": own.band_rank(),
    }


def _trend(own: Seen, side: int) -> dict[str, float]:
    found = {"rsi": own.rsi() if side > 0 else 100.0 - own.rsi(), "adx": own.adx()}
    for n in (20, 50, 200):
        found[f"ema{n}"] = side * own.above_ema(n)
        found[f"ema{n}_slope"] = div(side * (own.ema(n) - own.ema(n, 12)), own.atr())
    off = own.c[-1] - own.ema(200)
    found["ema200_side"] = NAN if math.isnan(off) else side * float((off > 0) - (off < 0))
    return found


def _impulse(row: PlanFacts, own: Seen) -> dict[str, float]:
    names = ("fib_depth", "impulse_atr", "impulse_bars", "impulse_age")
    assert own.bars is not None
    ts = own.bars.ts.tolist()
    if row.start_ts == row.end_ts or row.start_ts not in ts or row.end_ts not in ts:
        return dict.fromkeys(names, NAN)
    s, e = ts.index(row.start_ts), ts.index(row.end_ts)
    first, last = (own.bars.low, own.bars.high) if row.direction > 0 else (own.bars.high, own.bars.low)
    size = row.direction * float(last[e] - first[s])
    depth = div(row.direction * (float(last[e]) - own.c[-1]), size)
    return dict(zip(names, (depth, div(size, own.atr()), float(e - s), float(own.i - e)), strict=True))


def _plan(row: PlanFacts, own: Seen) -> dict[str, float]:
    risk = abs(row.entry - row.sl)
    return {
        "entry_atr": div(row.direction * (own.c[-1] - row.entry), own.atr()),
        "stop_atr": div(risk, own.atr()), "stop_pct": 100.0 * risk / row.entry,
        "rr1": NAN if row.tp1 is None else div(abs(row.tp1 - row.entry), risk),
        "rr2": NAN if row.tp2 is None else div(abs(row.tp2 - row.entry), risk),
        "cost_r": row.cost_r, "tp1_net_pct": NAN if row.tp1_net_pct is None else row.tp1_net_pct,
        "avwap_atr": NAN if row.avwap is None else div(row.direction * (row.entry - row.avwap), own.atr()),
    }


def _funding(frames: Frames, now: int, side: int) -> dict[str, float]:
    known = [] if frames.funding is None else [
        (int(ts), float(rate)) for ts, rate in zip(*frames.funding, strict=True) if int(ts) + HOUR <= now]
    day = [rate for ts, rate in known if ts + HOUR + DAY > now]
    before = [rate for ts, rate in known if now - 2 * DAY < ts + HOUR <= now - DAY]
    return {"funding_pct": side * 100.0 * day[-1] if day else NAN,
            "funding_day_pct": side * 100.0 * math.fsum(day) if day and before else NAN}
