"""The lifecycle kernel on 20,000 plans over three years, against vectorbt and against itself uncompiled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import data
from bench.measure import Row, Scale, cpu, side_by_side
from bench.peers import environment
from core.candles import Bars
from core.engine import compiled
from core.signals.indicators import Indicators
from core.signals.kernels import PLAIN
from core.trades import lifecycle
from core.trades.arrays import ORDER, empty_states, unpack_states

SL, TP1, TP2 = 0.004, 0.004, 0.008  # of the entry: some 80 minutes until one is met
PUBLISHED_S = 0.144  # vectorbt 1.2.0 on a quiet machine, from_signals with stops, 20,000 entries on 3 years
FIELDS = ("ts", "open", "high", "low", "close")


def run(scale: Scale) -> list[Row]:
    """The same plans compiled and plain; vectorbt gets the same entries, one stop and one target."""
    bars = data.minutes(data.SYMBOL, scale.pick(3 * data.YEAR, 30))
    orders, at = plans(bars, scale.pick(20_000, 1_000))
    closes, atr = _trail(bars)
    fast, slow = empty_states(len(orders)), empty_states(len(orders))
    arrays = [getattr(bars, name) for name in FIELDS]
    lists = [array.tolist() for array in arrays]
    end = int(bars.ts[-1]) + 1
    walk_many: Callable[..., None] = compiled.lifecycle().walk_many
    plain_walk_many: Callable[..., None] = lifecycle.walk_many

    def ours() -> None:
        walk_many(orders, at + 1, *arrays, closes, atr, end, fast)

    def plain() -> None:
        plain_walk_many(orders, (at + 1).tolist(), *lists, closes.tolist(), atr.tolist(), end, slow)

    first = cpu(ours)
    mine, uncompiled = side_by_side(scale.pick(3, 1), lambda: best(ours), lambda: cpu(plain))
    peer = _vectorbt(scale, _entries(scale.folder, bars, at, orders["direction"]), lambda: best(ours))
    if not np.array_equal(fast, slow):
        raise RuntimeError("compiled and plain do not give the same states")
    lived = _minutes_lived(fast, orders) / len(orders)
    note = f"{len(orders):,} plans, {lived:.0f} minutes each; first call {first:.1f} s"
    return [
        Row("compiled", mine, "s", "the plain Python it is compiled from", uncompiled, 40, at_least=True, note=note),
        peer,
    ]


def plans(bars: Bars, count: int) -> tuple[Any, Any]:
    """Orders (limit at the last close) and the bars after which they were decided."""
    rng = np.random.default_rng(1)
    at = np.sort(rng.choice(len(bars) - 2000, count, replace=False))
    side = np.where(rng.random(count) < 0.5, 1, -1)
    orders, entry = np.zeros(count, ORDER), bars.close[at]
    decided = bars.ts[at] + bars.tf
    values = {
        "direction": side, "entry": entry, "sl": entry * (1 - side * SL), "tp1": entry * (1 + side * TP1),
        "tp2": entry * (1 + side * TP2), "liq": entry * (1 - side * 0.09), "decided_ts": decided,
        "deadline": decided + 120 * bars.tf, "tp1_fraction": 0.5, "move_be": True, "be_cost": 0.0, "trail_mult": 2.0,
        "max_hold_ms": 1440 * bars.tf,
    }
    for name, value in values.items():
        orders[name] = value
    return orders, at


def _trail(bars: Bars) -> tuple[Any, Any]:
    joined = data.join(bars, "5m")
    return joined.ts + joined.tf, Indicators(joined, 14, PLAIN).atr_array(0, len(joined))


def _minutes_lived(states: Any, orders: Any) -> float:
    ended = [s.closed_ts for s in unpack_states(states)]
    lived = [(end - begun) / 60_000 + 1 for end, begun in zip(ended, orders["decided_ts"].tolist(), strict=True) if end]
    return float(sum(lived))


def best(work: Callable[[], None]) -> float:
    """A few calls as one measurement: they take milliseconds."""
    return min(cpu(work) for _ in range(3))


def _vectorbt(scale: Scale, entries: Path, ours: Callable[[], float]) -> Row:
    why = environment.ready() if scale.peers else "left out"
    if why is None:
        try:
            peer = environment.Peer("vectorbt_brackets.py", str(entries))
            theirs_too = lambda: min(float(peer.ask()["seconds"]) for _ in range(3))  # noqa: E731
            mine, theirs = side_by_side(scale.pick(7, 1), ours, theirs_too)
            peer.close()
        except RuntimeError as error:
            why = str(error)
        else:
            first, name = peer.first, f"vectorbt {peer.first['version']} from_signals"
            note = f"{first['trades']:,} trades taken, overlapping ones ignored; first call {first['seconds']:.0f} s"
            return Row("compiled", mine, "s", name, theirs, 0.1, note=note)
    note = f"vectorbt was not run: {why}"
    return Row("compiled", ours(), "s", "vectorbt, PUBLISHED figure", PUBLISHED_S, 0.1, note=note)


def _entries(folder: Path, bars: Bars, at: Any, side: Any) -> Path:
    longs, shorts = np.zeros(len(bars), bool), np.zeros(len(bars), bool)
    longs[at[side > 0]], shorts[at[side < 0]] = True, True
    path = folder / "entries.npz"
    np.savez(path, **{name: getattr(bars, name) for name in FIELDS}, long=longs, short=shorts, sl=SL, tp=TP2)
    return path
