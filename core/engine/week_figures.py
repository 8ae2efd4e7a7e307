"""The figures of a weekly report, as plain values that JSON, the page and the message all come from.

Live results lead; refused plans followed on paper and history stand apart, and in-sample rows count nowhere.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from core.engine import account, opening
from core.engine.context import Context
from core.meta import metrics
from core.meta.gate import is_ungated
from core.store.candles import Con
from core.store.reads import report as reads
from core.store.reads import results
from core.timeframe import DAY
from core.trades import columns, equity, grouped
from core.trades.columns import Columns

WEEK = 7 * DAY
MONDAY = 4 * DAY  # the epoch began on a Thursday
YEAR_WEEKS = 52
SHOWN_WEEKS = 12
MOST_TRADES = 60
POINTS = 240
FEWEST_PER_BIN = 25
_GROUPS = ("pair", "timeframe", "direction", "setup", "exit_reason")
_APART = (("live", "pass"), ("live", "refused"), ("retro", "pass"), ("retro", "refused"))

Part = dict[str, Any]


def monday(ts: int) -> int:
    """The beginning of the week that holds `ts`, Monday 00:00 UTC."""
    return ts - (ts - MONDAY) % WEEK


def week_name(ts: int) -> str:
    """`2024-W07`: the week that holds `ts`, as ISO 8601 counts."""
    year, week, _ = datetime.fromtimestamp(ts / 1000, UTC).isocalendar()
    return f"{year}-W{week:02d}"


def of(ctx: Context, con: Con, start: int, end: int) -> Part:
    """All figures of [start, end), ms UTC, from one connection that only reads."""
    year = columns.of(reads.trades(con, ctx.exchange_id, "live", "pass", end - YEAR_WEEKS * WEEK, end))
    own = year.take(year.closed_ts >= start)
    return {
        "name": _name(start, end), "start": start, "end": end, "made_ts": ctx.clock.now(),
        "label": ctx.label or opening.market_label(ctx.db), "exchange": ctx.exchange_id,
        "symbols": list(ctx.cfg.symbols), "timeframes": ctx.scanned_timeframes(),
        "starting_usd": ctx.cfg.risk.equity_usd, "year_weeks": YEAR_WEEKS,
        "now": _figures(ctx, con, own, start, end), "year": _figures(ctx, con, year, end - YEAR_WEEKS * WEEK, end),
        "equity": _curve(year, start), "weeks": _weeks(year, end), "distribution": own.r.tolist(),
        "by": {group: _by(own, group) for group in _GROUPS},
        "trades": reads.listed(con, ctx.exchange_id, start, end, MOST_TRADES),
        "unfinished": reads.unfinished(con, ctx.exchange_id),
        "apart": _apart(ctx, con, start, end), "funnel": _funnel(ctx, con, start, end),
        "calibration": {o: _calibration(ctx, con, o, end - YEAR_WEEKS * WEEK, end) for o in ("live", "retro")},
        "account": {"now": account.of(ctx, con, start, end).plain(),
                    "year": account.of(ctx, con, end - YEAR_WEEKS * WEEK, end).plain()},
        "audit": audit(ctx), "governing": reads.governing(con, end), "models": reads.model_news(con, start, end),
        "health": _health(ctx, con, start, end),
    }


def audit(ctx: Context) -> Part | None:
    """The newest truth scorecard on disk, as `python -m core audit` wrote it; None where there is none to read."""
    try:
        found = json.loads((Path(ctx.cfg.app.data_dir) / "audit.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    rows = found.get("rows") if isinstance(found, dict) else None
    if not isinstance(rows, list):
        return None
    kept = ("number", "name", "value", "bar", "passed", "reason")
    return {"verdict": str(found.get("verdict", "")), "passed": bool(found.get("passed")),
            "made_ts": found.get("made_ts"), "data": str(found.get("data", "")),
            "rows": [{key: row.get(key) for key in kept} for row in rows if isinstance(row, dict)]}


def _name(start: int, end: int) -> str:
    first, last = week_name(start), week_name(end - 1)
    return first if first == last else f"{first} to {last}"


def _figures(ctx: Context, con: Con, trades: Columns, start: int, end: int) -> Part:
    closes = {s: results.closes(con, ctx.exchange_id, s, start, end) for s in ctx.cfg.symbols}
    market = equity.market_change({s: (np.array(ts, np.int64), np.array(c)) for s, (ts, c) in closes.items() if ts})
    days = equity.days(trades)
    return {
        **_summary(trades), "account": asdict(equity.account(trades, ctx.cfg.risk.equity_usd, start, end)),
        "days": None if days is None else days._asdict(), "volume_usd": float(trades.volume.sum()),
        "market_change_pct": None if market is None else 100.0 * market,
    }


def _summary(trades: Columns) -> Part:
    return asdict(grouped.summarize(trades))


def _by(trades: Columns, group: str) -> dict[str, Part]:
    return {name: asdict(part) for name, part in grouped.by(trades, group).items()}


def _curve(trades: Columns, start: int) -> Part:
    # The running sum of net R and USD over the year, thinned; the weeks of the report begin at `start`.
    r, usd = np.cumsum(trades.r), np.cumsum(trades.usd)
    kept = equity.thin(r, POINTS)
    return {"from_ts": start, "ts": trades.closed_ts[kept].tolist(), "r": r[kept].tolist(), "usd": usd[kept].tolist()}


def _weeks(trades: Columns, end: int) -> list[Part]:
    # The last weeks, those without a trade as well.
    starts, last = equity.period_start(trades.closed_ts, "week"), monday(end - 1)
    first = last - (SHOWN_WEEKS - 1) * WEEK
    return [{"week": week_name(ts), "start": ts, **_summary(trades.take(starts == ts))}
            for ts in range(first, last + 1, WEEK)]


def _apart(ctx: Context, con: Con, start: int, end: int) -> list[Part]:
    known = {(e.origin, e.verdict): e for e in reads.ended(con, ctx.exchange_id, start, end)}
    found = []
    for origin, verdict in _APART:
        if (origin, verdict) in known:
            rows = columns.of(reads.trades(con, ctx.exchange_id, origin, verdict, start, end))
            found.append({**known[origin, verdict]._asdict(), **_summary(rows)})
    return found


def _funnel(ctx: Context, con: Con, start: int, end: int) -> Part:
    dropped = reads.counts(con, ctx.exchange_id, start, end)
    rows = reads.decided(con, ctx.exchange_id, start, end)
    passed, refused = ([row for row in rows if row["verdict"] == verdict] for verdict in ("pass", "refused"))
    bars = dropped.pop("bars", 0)
    return {
        "bars": bars, "candidates": sum(r["plans"] for r in rows) + sum(dropped.values()),
        "stored": sum(r["plans"] for r in rows), "passed": sum(r["plans"] for r in passed),
        "filled": sum(r["filled"] for r in passed), "late": sum(r["late"] for r in passed),
        "ungated": sum(r["plans"] for r in passed if is_ungated(r["rule"])),
        "fell_out": dict(sorted({**dropped, **{r["rule"]: r["plans"] for r in refused}}.items(),
                                key=lambda item: (-item[1], item[0]))),
    }


def _calibration(ctx: Context, con: Con, origin: str, start: int, end: int) -> Part | None:
    rows = reads.scored(con, ctx.exchange_id, origin, start, end)
    if not rows:
        return None
    p, y = np.array(rows, dtype=np.float64).T
    bins = int(np.clip(len(p) // FEWEST_PER_BIN, 1, 8))
    base = float(y.mean())
    found = {"n": len(p), "wins": int(y.sum()), "claimed": float(p.mean()), "observed": base,
             "brier": metrics.brier(p, y), "skill": metrics.brier_skill(p, y, base), "ece": metrics.ece(p, y, bins),
             "ece_null95": metrics.null_ece(p, 200, 0, bins)}
    return {**{k: None if v != v else v for k, v in found.items()},
            "curve": [b._asdict() for b in metrics.reliability(p, y, bins)]}


def _health(ctx: Context, con: Con, start: int, end: int) -> Part:
    runs: Mapping[str, Mapping[str, int]] = reads.runs(con, start, end)
    symbols: Sequence[str] = ctx.cfg.symbols
    return {"runs": runs, "gap_minutes": reads.gap_minutes(con, ctx.exchange_id, symbols, start, end),
            "alerts": reads.alerts(con, start, end)}
