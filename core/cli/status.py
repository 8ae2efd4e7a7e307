"""`status`: ten lines on what the daemon does, what is open, and why nothing was sent today."""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.cli import opening
from core.cli.screen import Out, counted, size
from core.engine import announce, drift, funnel, health, warmup
from core.engine.context import Context
from core.store import candles, reports, runs
from core.store.lock import holder
from core.timeframe import DAY, HOUR, MINUTE, floor, show_span, show_time

STALE = 5 * MINUTE  # a finished minute older than this is worth a colour
_TICK = {"incremental_sync": "sync", "resample": "resample", "scan_signals": "scan", "execute_signals": "execute"}


def run(args: Namespace, out: Out) -> int:
    """Print the status; reads only, and works while the daemon runs."""
    cfg = opening.config(args)
    with opening.reader(args, cfg) as ctx:
        facts = gather(ctx)
    out.result(facts)
    for line in lines(facts, out):
        out.say(line)
    return 0


def gather(ctx: Context) -> dict[str, Any]:
    """All that status shows, as plain values; times in ms UTC."""
    now = ctx.clock.now()
    con, today = ctx.db.con, floor(now, DAY)
    with ctx.db.lock:
        facts = {
            "db": str(ctx.db.path),
            "now": now,
            "exchange": ctx.exchange_id,
            "daemon": holder(ctx.db.path),
            "replayed": runs.get(con, opening.VIRTUAL) is not None,
            "last_runs": reports.last_runs(con),
            "last_error": reports.last_error(con),
            "bad_runs_today": reports.bad_runs(con, today, now + DAY),
            "frontiers": {s: known[-1].frontier for s, known in candles.stretches(con, ctx.exchange_id).items()},
            "exchange_down_since": runs.get(con, "exchange_down_since"),
            "banned_until": runs.get(con, "banned_until", 0),
            "requests": {"today": runs.sent_since(con, today), "week": runs.sent_since(con, today - 6 * DAY)},
            "paused": announce.paused_since(con),
            "unfinished": reports.unfinished(con, ctx.exchange_id),
            "closed_today": reports.closed_between(con, ctx.exchange_id, today, today + DAY),
            "alerts": reports.alerts(con, today),
            "gaps": reports.gap_summary(con, ctx.exchange_id),
            "drift": drift.state(con),
            "file_bytes": _bytes(ctx.db.path),
            "wal_bytes": _bytes(ctx.db.path.with_name(ctx.db.path.name + "-wal")),
        }
        warmth = warmup.of(ctx)
        seen = funnel.of(ctx, now)
    state = {
        "running": facts["daemon"] is not None,
        "down_since": facts["exchange_down_since"],
        "alerts": facts["alerts"],
        "send_ungated": ctx.send_ungated or facts["replayed"],
        "paused": facts["paused"],
    }
    return {
        **facts,
        "symbols": list(ctx.cfg.symbols),
        "telegram": ctx.cfg.notify.telegram.enabled,
        "timeframes": [{**asdict(w), "text": w.describe()} for w in warmth],
        "today": {**asdict(seen), "text": seen.describe()},
        "why": funnel.silence(ctx.cfg, seen, warmth, state),
    }


def lines(facts: dict[str, Any], out: Out) -> list[str]:
    """The ten lines."""
    paint = out.out.paint
    head = f"{facts['db']} · {facts['exchange']} · {show_time(facts['now'])}"
    rows = [
        ("Daemon", _daemon(facts)),
        ("Exchange", _exchange(facts)),
        ("Candles", f"{_candles(facts)}; {_gaps(facts)}"),
        ("Timeframes", "; ".join(t["text"] for t in facts["timeframes"])),
        ("Plans", _plans(facts)),
        ("Today", facts["today"]["text"]),
        ("Alerts", f"{facts['why']}{_drift(facts)}"),
        ("Outbox", _outbox(facts)),
        ("File", f"{size(facts['file_bytes'])}, WAL {size(facts['wal_bytes'])}"),
        ("Last error", _error(facts)),
    ]
    return [paint(head, "bold"), *(f"{paint(f'{name:<11}', 'dim')}{text}" for name, text in rows)]


def _daemon(facts: dict[str, Any]) -> str:
    state = f"running ({facts['daemon']})" if facts["daemon"] else "not running"
    ticks = [r for r in facts["last_runs"] if r["job"] in _TICK]
    if not ticks:
        return f"{state}; it has not worked on this file yet"
    last = max(r["ended_ts"] or r["due_ts"] for r in ticks)
    stages = ", ".join(
        f"{_TICK[r['job']]} {_outcome(r)}" for r in sorted(ticks, key=lambda r: list(_TICK).index(r["job"]))
    )
    return f"{state}; last tick {_ago(facts['now'], last)}: {stages}"


def _outcome(run: dict[str, Any]) -> str:
    return str(run["rows"] or 0) if run["state"] == "ok" else run["state"].upper()


def _candles(facts: dict[str, Any]) -> str:
    known = {s: ts for s, ts in facts["frontiers"].items() if s in facts["symbols"]}
    if not known:
        return "none yet: the daemon or `python download_data.py` fetches them"
    behind = min(known, key=lambda s: known[s])
    age = facts["now"] - known[behind]
    many = f"{len(known)} of {counted(len(facts['symbols']), 'symbol')}"
    text = f"{many}; last finished minute {show_time(known[behind] - MINUTE)}"
    slow = f", {behind} is the last" if max(known.values()) != known[behind] else ""
    return f"{text}, {show_span(max(0, age))} old{slow}{' (outdated history)' if age > STALE else ''}"


def _exchange(facts: dict[str, Any]) -> str:
    sent = facts["requests"]
    if not sent["week"]:
        return _answers(facts)
    return f"{_answers(facts)}; requests today {health.asked(sent['today'])}, in 7 days {health.asked(sent['week'])}"


def _answers(facts: dict[str, Any]) -> str:
    if facts["replayed"]:
        return "a replayed market, not the real exchange"
    if facts["exchange_down_since"] is not None:
        return f"no answer since {show_time(facts['exchange_down_since'])}; tried every minute, caught up by itself"
    if facts["banned_until"] > facts["now"]:
        return f"asks to wait until {show_time(facts['banned_until'])}"
    asked = [run for run in facts["last_runs"] if run["job"] == "incremental_sync"]
    if not asked:
        return "not asked yet"
    return "answers" if asked[0]["state"] == "ok" else f"the last tick's sync {asked[0]['state']}: see the last error"


def _plans(facts: dict[str, Any]) -> str:
    left = dict(facts["unfinished"])
    shadow, pending = left.pop("shadow", 0), left.pop("PENDING", 0)
    parts = [
        f"{sum(left.values())} open" + (f" ({', '.join(f'{n} {name}' for name, n in left.items())})" if left else ""),
        f"{pending} pending",
        f"{shadow} refused but followed on paper",
    ]
    closed = facts["closed_today"]
    result = f", net {closed['net_r']:+.2f} R over {counted(closed['filled'], 'fill')}" if closed["filled"] else ""
    return ", ".join(parts) + f"; {closed['closed']} ended today{result}"


def _drift(facts: dict[str, Any]) -> str:
    # Only where it is news: `models` tells more.
    if facts["drift"].get("level", "ok") == "ok":
        return ""
    return f"; drift of the model: {drift.describe(facts['drift']).partition(':')[0]} (`models` tells more)"


def _outbox(facts: dict[str, Any]) -> str:
    alerts = facts["alerts"]
    states = ", ".join(f"{n} {state}" for state, n in sorted(alerts["states"].items())) or "empty"
    channel = "Telegram" if facts["telegram"] else "Telegram is off (notify.telegram.enabled), the console shows alerts"
    waits = f"; waiting since {show_time(alerts['waiting_since'])}" if alerts["waiting"] else ""
    return f"{states}{waits}; {alerts['trouble'] or channel}"


def _gaps(facts: dict[str, Any]) -> str:
    found = facts["gaps"]
    if not found:
        return "no gaps"
    total, minutes = sum(g["gaps"] for g in found), sum(g["minutes"] for g in found)
    newest = show_time(max(g["last_ts"] for g in found))
    return f"{counted(total, 'gap')} of {counted(minutes, 'minute')}, the newest until {newest}"


def _error(facts: dict[str, Any]) -> str:
    error = facts["last_error"]
    if error is None:
        return "none"
    today = ", ".join(f"{n} {state}" for state, n in sorted(facts["bad_runs_today"].items()))
    text = str(error["error"] or "no reason given").splitlines()[0][:200]
    return f"{_ago(facts['now'], error['ended_ts'] or error['due_ts'])}, {error['job']} {error['state']}: {text}" + (
        f" (today {today})" if today else ""
    )


def _ago(now: int, ts: int) -> str:
    return f"{show_span(now - ts)} ago" if 0 <= now - ts < 48 * HOUR else show_time(ts)


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
