"""Today's funnel, from bars to fills, and in words why nothing was sent."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from core.config import Config
from core.engine.context import Context
from core.engine.warmup import Warmth
from core.meta.gate import is_ungated
from core.signals.text import counted
from core.store import reports
from core.timeframe import DAY, floor, show_time

# First words of admission's refusals (core.signals.plan); whatever else refuses is a gate.
ADMISSION = ("hole", "cost_r", "tp1_net", "avwap_distance", "no", "notional")
_WORDS = {
    "hole": "had a hole in their candles",
    "cost_r": "cost too much of their stop distance",
    "tp1_net": "were worth too little at TP1",
    "avwap_distance": "lay too far from the AVWAP",
    "no": "had no AVWAP",
    "notional": "were below the market's least order",
    "sl_touched": "had touched their stop before they were known",
    "cost_hopeless": "were far too costly to ever pass",
    "stop_too_wide": "had a stop too wide for any leverage",
    "levels_out_of_order": "had levels out of order",
    "qty_zero": "were too small to trade",
}


@dataclass(frozen=True, slots=True)
class Funnel:
    """One UTC day: bars decided, candidates found, those admitted, passed and filled, and what fell out by rule."""

    day: int
    bars: int
    candidates: int
    admitted: int
    passed: int
    filled: int
    ungated: int
    late: int
    fell_out: Counter[str] = field(default_factory=Counter)

    def describe(self) -> str:
        """The funnel in one line."""
        return (
            f"{self.bars:,} bars -> {counted(self.candidates, 'candidate')} -> {self.admitted:,} admitted -> "
            f"{self.passed:,} passed -> {self.filled:,} filled"
        )

    def reasons(self, most: int = 3) -> list[str]:
        """What fell out and why, in words, the most frequent first."""
        return [f"{n:,} {_WORDS.get(name, f'were refused by {name}')}" for name, n in self.fell_out.most_common(most)]


def of(ctx: Context, now: int) -> Funnel:
    """The funnel of the UTC day of `now`."""
    day = floor(now, DAY)
    with ctx.db.lock:
        seen = reports.counts(ctx.db.con, ctx.exchange_id, day)
        rows = reports.decided(ctx.db.con, ctx.exchange_id, day, day + DAY)
    passed = [r for r in rows if r["verdict"] == "pass"]
    refused = Counter(str(r["reason"]).partition(" ")[0] for r in rows if r["verdict"] == "refused")
    dropped = Counter({name: n for name, n in seen.items() if name != "bars"})
    return Funnel(
        day,
        seen.get("bars", 0),
        len(rows) + dropped.total(),
        len(rows) - sum(refused[name] for name in ADMISSION),
        len(passed),
        sum(r["opened_ts"] is not None for r in passed),
        sum(is_ungated(r["reason"]) for r in passed),
        sum(bool(r["late"]) for r in passed),
        dropped + refused,
    )


def silence(cfg: Config, today: Funnel, warmth: list[Warmth], state: dict[str, Any]) -> str:
    """What was sent today, or in words why nothing was.

    state: running (bool), down_since (ms or None), alerts (as reports.alerts gives them), send_ungated (bool), and
    paused: since when (ms) the owner wants no new plan announced, absent or None: they are.
    """
    sent = state["alerts"]["sent"]
    if sent:
        return "sent today: " + ", ".join(f"{n} {kind}" for kind, n in sorted(sent.items()))
    return "nothing sent today: " + _why(cfg, today, warmth, state)


def _why(cfg: Config, today: Funnel, warmth: list[Warmth], state: dict[str, Any]) -> str:
    waiting = state["alerts"]["waiting"]
    if waiting:
        trouble = state["alerts"]["trouble"]
        return f"{counted(waiting, 'alert')} wait{'s' if waiting == 1 else ''} to go out" + (
            f" ({trouble})" if trouble else ""
        )
    if state.get("paused") is not None:
        return f"the announcing is paused since {show_time(state['paused'])} (/resume in the chat)"
    if state["down_since"] is not None:
        return f"the exchange has not answered since {show_time(state['down_since'])}, so nothing new can be decided"
    if warmth and not any(w.live for w in warmth):
        return f"no timeframe is live yet; {warmth[0].describe()}"
    if not today.bars:
        return (
            "no live bar has closed yet today"
            if state["running"]
            else "no bar was decided today: the daemon is not running"
        )
    return _why_no_plan(cfg, today, state)


def _why_no_plan(cfg: Config, today: Funnel, state: dict[str, Any]) -> str:
    if not today.candidates:
        return f"no setup appeared in {counted(today.bars, 'bar')}, which is usual"
    if not today.passed:
        return f"of {counted(today.candidates, 'candidate')} none passed: {', '.join(today.reasons())}"
    if today.late == today.passed:
        return f"{counted(today.passed, 'plan')} passed, but so late that a summary tells them"
    if today.ungated and not state["send_ungated"]:
        return (
            f"{counted(today.ungated, 'plan')} passed, but no model has judged them yet (ungated): the daily digest "
            f"tells them; notify.telegram.send_ungated: true sends each"
        )
    if "signal" not in cfg.notify.telegram.send_on:
        return f"{counted(today.passed, 'plan')} passed, but notify.telegram.send_on leaves signals out"
    return f"{counted(today.passed, 'plan')} passed, yet no alert was queued"
