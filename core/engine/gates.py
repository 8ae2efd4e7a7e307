"""Each gate of one stored decision: its value, its threshold, and where the threshold comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

from core import timeframe
from core.engine.context import Context
from core.engine.explain import Explained, Worth
from core.meta.gate import FILTER_OFF, UNGATED, Policy, is_judged, is_ungated
from core.signals.indicators import BLOCK, Indicators
from core.store import candles, reports

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gate:
    """One rule's answer. passed: None where it does not apply. source: the key that sets the threshold."""

    name: str
    passed: bool | None
    value: float | None
    threshold: float | None
    source: str
    sentence: str


def of(ctx: Context, row: Row, body: Mapping[str, Any], explained: Explained) -> list[Gate]:
    """The gates in the order in which they were asked. body: the configuration the decision was made under."""
    return [
        _hole(ctx, row, body),
        _cost(row, body),
        _tp1(row, body),
        _avwap(ctx, row, body),
        _notional(row),
        _model(row, body, explained),
    ]


def changed(gates: list[Gate], then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Which thresholds today's configuration sets otherwise."""
    lines = []
    for gate in gates:
        old, new = lookup(then, gate.source), lookup(now, gate.source)
        if old is not None and new is not None and old != new:
            lines.append(f"{gate.source} is {new} today; it was {old} when this was decided")
    return lines


def lookup(body: Mapping[str, Any], key: str) -> Any:
    """A value of a configuration body by its dotted key, or None."""
    found: Any = body
    for part in key.removeprefix("models.").split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _hole(ctx: Context, row: Row, body: Mapping[str, Any]) -> Gate:
    size, most = timeframe.ms(row["timeframe"]), int(body["signals"]["max_hole_candles"])
    due = (row["ts"] - row["start_ts"]) // size + 1
    with ctx.db.lock:
        stored = reports.bars_between(
            ctx.db.con, row["exchange"], row["symbol"], row["timeframe"], row["start_ts"], row["ts"]
        )
    missing, key = due - stored, "signals.max_hole_candles"
    return Gate(
        "candles",
        missing <= most,
        missing,
        most,
        key,
        f"{missing} of {due} bars between its start and its decision are missing; at most {most} may be ({key})",
    )


def _cost(row: Row, body: Mapping[str, Any]) -> Gate:
    most, key = float(body["signals"]["max_cost_r"]), "signals.max_cost_r"
    return Gate(
        "costs",
        row["cost_r"] <= most,
        row["cost_r"],
        most,
        key,
        f"a stop-out costs {row['cost_r']:.3g} of the stop distance in fees and slippage; at most {most:g} may be "
        f"({key})",
    )


def _tp1(row: Row, body: Mapping[str, Any]) -> Gate:
    least, key = float(body["signals"]["min_tp_net_pct"]), "signals.min_tp_net_pct"
    net = row["tp1_net_pct"]
    if net is None:
        return Gate("net TP1", None, None, least, key, "it has no targets, so no net result at TP1 is asked for")
    return Gate(
        "net TP1",
        net >= least,
        net,
        least,
        key,
        f"TP1 is worth {net:.3g} % after all costs; at least {least:g} % is asked for ({key})",
    )


def _avwap(ctx: Context, row: Row, body: Mapping[str, Any]) -> Gate:
    key = "signals.avwap.max_distance_atr"
    most, use = float(body["signals"]["avwap"]["max_distance_atr"]), body["signals"]["avwap"]["use"]
    if row["market"] or not use or most <= 0:
        why = (
            "a market entry asks for none" if row["market"] else f"switched off ({key if use else 'signals.avwap.use'})"
        )
        return Gate("AVWAP", None, None, None, key, f"the distance to the AVWAP is not asked for: {why}")
    if row["avwap"] is None:
        return Gate(
            "AVWAP", False, None, most, key, f"there is no AVWAP, since there was no volume; {key} asks for one"
        )
    atr = _atr(ctx, row, int(body["signals"]["atr_period"]))
    far = abs(row["entry"] - row["avwap"]) / atr if atr else None
    told = "an unknown number of" if far is None else f"{far:.3g}"
    return Gate(
        "AVWAP",
        None if far is None else far <= most,
        far,
        most,
        key,
        f"the entry lies {told} ATR from the AVWAP; at most {most:g} may be ({key})",
    )


def _atr(ctx: Context, row: Row, period: int) -> float | None:
    size = timeframe.ms(row["timeframe"])
    with ctx.db.lock:
        series = candles.series(ctx.db.con, row["exchange"])[row["symbol"], row["timeframe"]]
        bars = candles.tail(ctx.db.con, series.id, size, row["ts"] + 1, 2 * BLOCK + 1)
    if not len(bars) or int(bars.ts[-1]) != row["ts"]:
        return None
    value = Indicators(bars, period, ctx.kernels).atr(len(bars) - 1)
    return None if isnan(value) else float(value)


def _notional(row: Row) -> Gate:
    source = f"the market's terms at {row['exchange']}"
    return Gate(
        "order size",
        row["notional"] >= row["min_notional"],
        row["notional"],
        row["min_notional"],
        source,
        f"the order is worth {row['notional']:.2f}; at least {row['min_notional']:g} is taken ({source})",
    )


def _model(row: Row, body: Mapping[str, Any], explained: Explained) -> Gate:
    meta = body["meta"]
    if not meta["enabled"]:
        key = "models.meta.enabled"
        return Gate("model", None, None, None, key, f"no model is asked ({FILTER_OFF}: {key} is false)")
    if row["ml_p"] is None:
        why = str(row["reason"]).partition(": ")[2] if is_ungated(row["reason"]) else ""
        said = f"no model has judged it: {why}" if why else "no model has judged it, since none existed yet"
        return Gate("model", None, None, None, "models.meta", f"{said} (models.meta: {UNGATED}, observe-only)")
    return _judged(row, bool(meta["use_ev"]), explained.policy, explained.worth)


def _judged(row: Row, use_ev: bool, policy: Policy | None, worth: Worth | None) -> Gate:
    key = "models.meta.min_ev_pct" if use_ev else "models.meta.threshold"
    value = row["ev_pct"] if use_ev else row["ml_p"]
    what = f"model {row['model']} gives p(win) {100 * row['ml_p']:.0f} % and EV {row['ev_pct']:.3g} %"
    held = row["verdict"] == "pass" if is_judged(row["reason"]) else None
    if policy is None:
        return Gate("model", held, value, None, key, what)
    least = policy.limit if use_ev else 100 * policy.limit
    name = "EV" if use_ev else "p(win)"
    more = f" and a margin of {worth.margin_pct:.3g} %" if use_ev and worth else ""
    low = f", here {worth.low_pct:.3g} %," if use_ev and worth else ""
    asked = f"{name} of {least:.3g} %{more} is asked for, and its lower bound{low} must exceed {least:.3g} %"
    asked += f" ({policy.source}){_held(worth)}"
    acted = "" if held is not None else "; shown, not acted on"
    return Gate("model", held, value, policy.limit, key if policy.source == "global" else policy.source,
                f"{what}; {asked}{acted}")


def _held(worth: Worth | None) -> str:
    # Why EV counts for less than p and payoffs claim.
    if worth is None or worth.realised is None:
        return ""
    held = worth.realised
    return (f"; p and payoffs claim an EV of {worth.claimed_pct:.3g} %, and it counts for no more than such claims "
            f"brought on {held.n:,} plans that the model had not learned from: a mean claim of {held.middle:+.2f} R "
            f"before costs brought {held.level:+.2f} R, and of 1 R claimed beyond that {held.slope:.2f} R arrived")
