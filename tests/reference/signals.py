"""Rules 7 to 12 and 15 to 19c: which signals a list of bars gives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tests.reference import indicators, plan
from tests.reference.plan import Params, exact
from tests.reference.resample import TIMEFRAMES, Bar

MARKET_SETUPS = ("donchian", "compression")
DEFAULTS: dict[str, Params] = {  # what rules 19a to 19c name
    "donchian": {"channel": 20, "ema_side": True, "sl_atr": 2, "trail_atr": 3, "max_hold_candles": 200},
    "compression": {"channel": 20, "ema_side": True, "sl_atr": 1.5, "trail_atr": 3, "max_hold_candles": 200,
                    "bandwidth_period": 20, "bandwidth_std": 2, "bandwidth_lookback": 120, "bandwidth_rank_pct": 20,
                    "within_bars": 5},
    "fibo_avwap": {},
}


def setup_params(params: Params, setup: str) -> Params:
    """Parameters of a setup: the rules' defaults, then what `signals.setups.NAME` of the config says."""
    return DEFAULTS[setup] | dict(params["signals"]["setups"].get(setup) or {})


@dataclass(frozen=True)
class Idea:
    """A setup found at bar i: unrounded levels and the bars of its impulse."""

    direction: str
    i: int
    start: int
    end: int
    raw: tuple[Fraction, Fraction, Fraction | None, Fraction | None]  # entry, sl, tp1, tp2


AtrAt = Callable[[int], float | None]


# --- pivots (rule 7) -----------------------------------------------------------------------------------

def is_high(bars: Sequence[Bar], i: int, window: int) -> bool:
    """True if bar i's high is above those of the `window` bars before and not below those after."""
    before, after = bars[i - window:i], bars[i + 1:i + window + 1]
    return all(bars[i].high > b.high for b in before) and all(bars[i].high >= b.high for b in after)


def is_low(bars: Sequence[Bar], i: int, window: int) -> bool:
    """True if bar i's low is below those of the `window` bars before and not above those after."""
    before, after = bars[i - window:i], bars[i + 1:i + window + 1]
    return all(bars[i].low < b.low for b in before) and all(bars[i].low <= b.low for b in after)


def pivot(bars: Sequence[Bar], i: int, window: int, now: int) -> str | None:
    """`high`, `low`, or None, as known at the close of bar `now`; a bar that is both is neither."""
    # CHOICE: a bar with fewer than `window` stored bars before it is no pivot.
    if i < window or i + window > now:
        return None
    high, low = is_high(bars, i, window), is_low(bars, i, window)
    return None if high == low else ("high" if high else "low")


# --- impulses (rules 8 and 9) --------------------------------------------------------------------------

def groups(bars: Sequence[Bar], i: int, lookback: int, window: int) -> list[tuple[str, int]]:
    """Side and most extreme bar (first of equals) of each run of pivots of one side, known at bar i."""
    result: list[tuple[str, int]] = []
    for j in range(max(0, i - lookback + 1), i - window + 1):
        side = pivot(bars, j, window, i)
        if side is None:
            continue
        if not result or result[-1][0] != side:
            result.append((side, j))
            continue
        best = result[-1][1]
        higher = side == "high" and bars[j].high > bars[best].high
        lower = side == "low" and bars[j].low < bars[best].low
        if higher or lower:
            result[-1] = (side, j)
    return result


def qualifies(bars: Sequence[Bar], direction: str, start: int, end: int) -> bool:
    """True if no bar strictly between start and end lies beyond either extreme."""
    between = bars[start + 1:end]
    if direction == "long":
        return not any(b.low < bars[start].low or b.high > bars[end].high for b in between)
    return not any(b.high > bars[start].high or b.low < bars[end].low for b in between)


def impulses(bars: Sequence[Bar], i: int, params: Params) -> Iterator[tuple[str, int, int]]:
    """(direction, start, end) of the impulses decided at the close of bar i."""
    rules = params["signals"]
    window, lookback = rules["fibo"]["piv_window"], rules["lookback_candles"]
    end = i - window
    if pivot(bars, end, window, i) is None:
        return
    found = groups(bars, i, lookback, window)
    if not found or found[-1][1] != end:  # a group member, but not its extreme
        return
    side = found[-1][0]
    direction = "long" if side == "high" else "short"
    starts = [j for s, j in found if s != side][-rules["fibo"]["anchors_to_consider"]:]
    for start in starts:
        if qualifies(bars, direction, start, end):
            yield direction, start, end


# --- the three setups ----------------------------------------------------------------------------------

def fibo(bars: Sequence[Bar], i: int, params: Params, atr: float) -> Iterator[Idea]:
    """Plans of rule 11 at bar i."""
    rules = params["signals"]
    level = exact(rules["fibo"]["entry_level"])
    margin = exact(rules["fibo"]["sl_share"]) * exact(rules["atr_mult_sl"]) * Fraction(atr)
    one, two = Fraction("1.272"), Fraction("1.618")
    for direction, start, end in impulses(bars, i, params):
        if direction == "long":
            a, b = exact(bars[start].low), exact(bars[end].high)
            raw = (b - level * (b - a), a - margin, a + one * (b - a), a + two * (b - a))
        else:
            a, b = exact(bars[start].high), exact(bars[end].low)
            raw = (b + level * (a - b), a + margin, a - one * (a - b), a - two * (a - b))
        yield Idea(direction, i, start, end, raw)


def broken_out(bars: Sequence[Bar], i: int, setup: Params, direction: str) -> bool:
    """True if bar i closes beyond the channel before it and on that side of EMA(200)."""
    if i < setup["channel"]:
        return False
    channel, close = bars[i - setup["channel"]:i], bars[i].close
    if direction == "long" and not close > max(b.high for b in channel):
        return False
    if direction == "short" and not close < min(b.low for b in channel):
        return False
    if not setup["ema_side"]:
        return True
    average = indicators.ema(bars, i, 200)
    if average is None:
        return False
    return close > average if direction == "long" else close < average


def was_quiet(bars: Sequence[Bar], i: int, setup: Params) -> bool:
    """True if one of the 5 bars before bar i had a narrow bandwidth (rule 19b)."""
    # CHOICE: "the 5 bars before" are i-5 to i-1, without the breakout bar.
    rule = (setup["bandwidth_period"], setup["bandwidth_std"], setup["bandwidth_lookback"], setup["bandwidth_rank_pct"])
    return any(indicators.compressed(bars, j, *rule) for j in range(max(0, i - setup["within_bars"]), i))


def breakout(bars: Sequence[Bar], i: int, name: str, setup: Params, atr: float) -> Iterator[Idea]:
    """Plans of rules 19a to 19c at bar i."""
    # CHOICE: the ATR of the trailed setups' first stop has `signals.atr_period` too.
    away = exact(setup["sl_atr"]) * Fraction(atr)
    close = exact(bars[i].close)
    for direction in ("long", "short"):
        # CHOICE: "already so" means channel and EMA side together (a bar without an EMA was not so); for
        # `compression` the bandwidth is asked in addition to a fresh breakout and is not part of "already so".
        if not broken_out(bars, i, setup, direction) or broken_out(bars, i - 1, setup, direction):
            continue
        if name == "compression" and not was_quiet(bars, i, setup):
            continue
        sl = close - away if direction == "long" else close + away
        yield Idea(direction, i, i, i, (close, sl, None, None))


# --- admission -----------------------------------------------------------------------------------------

def avwap(bars: Sequence[Bar], start: int, i: int) -> float | None:
    """Typical price by volume from the start bar to the deciding one; None without volume (rule 12)."""
    run = bars[start:i + 1]
    volume = indicators.add(b.volume for b in run)
    if volume == 0:
        return None
    return indicators.add((b.high + b.low + b.close) / 3 * b.volume for b in run) / volume


def stop_touched(bars: Sequence[Bar], idea: Idea, sl: Fraction) -> bool:
    """True if a bar after the end up to the deciding one touched the stop (rule 10)."""
    after = bars[idea.end + 1:idea.i + 1]
    if idea.direction == "long":
        return any(exact(b.low) <= sl for b in after)
    return any(exact(b.high) >= sl for b in after)


def missing(bars: Sequence[Bar], idea: Idea, tf: int) -> int:
    """Bars of the timeframe absent between start and deciding bar (rule 18)."""
    return (bars[idea.i].ts - bars[idea.start].ts) // tf - (idea.i - idea.start)


def avwap_refuses(entry: float, value: float | None, atr: float, rules: Params) -> bool:
    """True if the distance to the AVWAP is an admission rule and is not met, or there is no AVWAP."""
    # CHOICE: `avwap.use: false` means: no AVWAP is stored and its distance refuses nothing.
    limit = rules["avwap"]["max_distance_atr"]
    if not rules["avwap"]["use"] or limit == 0:
        return False
    return value is None or abs(entry - value) > limit * atr


def warm(bars: Sequence[Bar], i: int, tf: int, needs: int, stretch_start: int) -> bool:
    """True if the stretch covers all that a decision at bar i needs (rule 5)."""
    count = max(300, needs)
    if i + 1 < count or stretch_start > bars[i - needs + 1].ts:
        return False
    oldest = indicators.block(bars[i - 299].ts, tf)
    return stretch_start <= indicators.block_start(oldest - 1, tf)


def bars_needed(setup: str, params: Params) -> int:
    """Bars at and before the deciding one that the setup itself looks at (rule 5)."""
    # CHOICE: each setup waits for its own needs only: lookback + piv_window for fibo_avwap, 400 with EMA(200).
    if setup == "fibo_avwap":
        return int(params["signals"]["lookback_candles"] + params["signals"]["fibo"]["piv_window"])
    own = setup_params(params, setup)
    needs = [400 if own["ema_side"] else 0, int(own["channel"]) + 2]
    if setup == "compression":
        needs.append(int(own["bandwidth_lookback"] + own["bandwidth_period"] - 1 + own["within_bars"]))
    return max(needs)


def refusals(row: dict[str, Any], bars: Sequence[Bar], idea: Idea, tf: int, atr: float, params: Params) -> list[str]:
    """Names of the admission rules that refuse a plan (rules 12, 16, 17, 18)."""
    rules, result = params["signals"], []
    if missing(bars, idea, tf) > rules["max_hole_candles"]:
        result.append("hole")
    if row["cost_r"] > rules["max_cost_r"]:
        result.append("cost_r")
    if row["tp1_net_pct"] is not None and row["tp1_net_pct"] < rules["min_tp_net_pct"]:
        result.append("tp1_net")
    if row["setup"] == "fibo_avwap" and avwap_refuses(row["entry"], row["avwap"], atr, rules):
        result.append("avwap_distance")
    if row["notional"] < row["min_notional"]:
        result.append("min_notional")
    return result


def number(value: Fraction | None) -> float | None:
    """The float nearest to an exact value."""
    return None if value is None else float(value)


def planned(idea: Idea, bars: Sequence[Bar], setup: str, params: Params) -> dict[str, Any] | None:
    """Prices, size and costs of an idea; None if the plan cannot exist or no gate could pass it (rule 17)."""
    market = params["market"]
    levels = plan.round_levels(idea.direction, idea.raw, exact(market["tick"]))
    if not levels.in_order():
        return None
    if setup == "fibo_avwap" and stop_touched(bars, idea, levels.sl):
        return None
    cost = plan.costs(params, setup in MARKET_SETUPS)
    dear = plan.cost_r(levels, cost)
    sized = plan.size(levels, cost, params["risk"], exact(market["lot"]))
    if sized is None or dear > 3 * exact(params["signals"]["max_cost_r"]):
        return None
    return {"entry": float(levels.entry), "sl": float(levels.sl), "tp1": number(levels.tp1), "tp2": number(levels.tp2),
            "leverage": sized.leverage, "risk_pct": float(sized.risk_pct), "qty": float(sized.qty),
            "notional": float(sized.qty * levels.entry), "cost_r": float(dear),
            "tp1_net_pct": number(plan.tp1_net_pct(levels, cost)), "tick": market["tick"], "lot": market["lot"],
            "min_notional": market["min_notional"]}


def ideas_at(bars: Sequence[Bar], i: int, setup: str, params: Params, atr: float) -> Iterator[Idea]:
    """All that a setup finds at the close of bar i."""
    if setup == "fibo_avwap":
        return fibo(bars, i, params, atr)
    return breakout(bars, i, setup, setup_params(params, setup), atr)


def row_of(idea: Idea, bars: Sequence[Bar], tf: str, setup: str, params: Params,
           atr_at: AtrAt) -> dict[str, Any] | None:
    """The `signals` row of an idea, with `refused`: the list of rules that refuse it."""
    levels = planned(idea, bars, setup, params)
    if levels is None:
        return None
    length, bar, atr = TIMEFRAMES[tf], bars[idea.i], atr_at(idea.i)
    assert atr is not None
    # CHOICE: the AVWAP belongs to fibo_avwap; the trailed setups store none.
    wanted = setup == "fibo_avwap" and params["signals"]["avwap"]["use"]
    row = {"setup": setup, "timeframe": tf, "direction": idea.direction, "ts": bar.ts, "decided_ts": bar.ts + length,
           "start_ts": bars[idea.start].ts, "end_ts": bars[idea.end].ts, **levels,
           "avwap": avwap(bars, idea.start, idea.i) if wanted else None,
           "trend": indicators.trend(bars, idea.i, length), "vol": indicators.vol(bars, idea.i, length, atr_at)}
    row["refused"] = refusals(row, bars, idea, length, atr, params)
    return row


def remembered(bars: Sequence[Bar], n: int, tf: int) -> AtrAt:
    """ATR(n) by index, each computed from scratch once."""
    memory: dict[int, float | None] = {}

    def value(i: int) -> float | None:
        if i not in memory:
            memory[i] = indicators.atr(bars, i, n, tf)
        return memory[i]

    return value


def signals(bars_by_tf: Mapping[str, Sequence[Bar]], tf: str, setup: str, params: Params, start: int, end: int,
            stretch_start: int) -> list[dict[str, Any]]:
    """Rows of one setup and timeframe with start <= decided_ts < end, in time order.

    bars_by_tf: final bars by timeframe name. params: the config's sections as plain dicts, and `market`
    with tick, lot, min_notional. stretch_start: first minute of the stretch that the bars lie in.
    """
    bars, length, rows = bars_by_tf[tf], TIMEFRAMES[tf], []
    atr_at = remembered(bars, params["signals"]["atr_period"], length)
    needs = bars_needed(setup, params)
    for i, bar in enumerate(bars):
        if not start <= bar.ts + length < end or not warm(bars, i, length, needs, stretch_start):
            continue
        atr = atr_at(i)
        if atr is None:
            continue
        for idea in ideas_at(bars, i, setup, params, atr):
            row = row_of(idea, bars, tf, setup, params, atr_at)
            if row is not None:
                rows.append(row)
    return rows
