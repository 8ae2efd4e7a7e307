"""What a relived system earned, week by week: what it let pass, what its filter refused, and simply holding.

Every figure is out of sample by construction: each plan was judged by the model of its time, which had learned only
from results known before. Sizes are those of the plans, for the configured equity; nothing is compounded.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from core.candles import Floats, Ints
from core.engine import promotion
from core.engine.context import Context
from core.engine.lived import Span
from core.meta.gate import WORDS
from core.meta.samples import Flags
from core.store import lived, models
from core.store.reads import results
from core.trades import columns, equity, grouped
from core.trades.columns import Columns
from core.trades.performance import WEEK

SYSTEM, FILTER, UNGATED, SHADOW, ADMISSION = "system", "filter", "ungated", "refused", "admission"


def figures(ctx: Context, span: Span) -> dict[str, Any]:
    """Everything `--walk-forward` tells of a file that was relived; reads only."""
    starting = float(ctx.cfg.risk.equity_usd)
    with ctx.db.lock:
        con = ctx.db.con
        whole = columns.of(lived.trades(con, ctx.exchange_id, span.start, span.end))
        plans = lived.plans(con, ctx.exchange_id, span.start, span.end)
        known = _closes(ctx, span)
        learned = _learned(con, span)
    groups = {name: whole.take(mask) for name, mask in _groups(whole).items()}
    counts = _counts(plans)
    held = equity.hold(known, starting)
    return {
        "from": span.start, "to": span.end, "weeks": -(-(span.end - span.start) // WEEK), "equity_usd": starting,
        "groups": {name: _group(part, counts, name, starting, span) for name, part in groups.items()},
        "hold": _hold(held, starting),
        "by_week": _weeks(groups, held, starting, span),
        "learned": learned,
    }


def _closes(ctx: Context, span: Span) -> dict[str, tuple[Ints, Floats]]:
    found = {s: results.closes(ctx.db.con, ctx.exchange_id, s, span.start, span.end) for s in ctx.cfg.symbols}
    return {s: (np.array(ts, np.int64), np.array(close, np.float64)) for s, (ts, close) in found.items()}


def _groups(trades: Columns) -> dict[str, Flags]:
    passed = _is(trades.verdict, "pass")
    judged = np.any([_is(trades.rule, word) for word in WORDS], axis=0)
    return {SYSTEM: passed, FILTER: passed & judged, UNGATED: passed & ~judged, SHADOW: ~passed & judged,
            ADMISSION: ~passed & ~judged}


def _is(labels: columns.Labels, name: str) -> Flags:
    return np.asarray(labels.codes == labels.names.index(name)) if name in labels.names else np.zeros(
        len(labels.codes), np.bool_)


def _counts(plans: list[tuple[str, str, int]]) -> Counter[str]:
    # Plans by group, filled or not, ended or not.
    found: Counter[str] = Counter()
    for verdict, rule, n in plans:
        judged, passed = rule in WORDS, verdict == "pass"
        found[(FILTER if judged else UNGATED) if passed else (SHADOW if judged else ADMISSION)] += n
    found[SYSTEM] = found[FILTER] + found[UNGATED]
    return found


def _group(part: Columns, counts: Mapping[str, int], name: str, starting: float, span: Span) -> dict[str, Any]:
    told = asdict(grouped.summarize(part))
    kept = ("trades", "wins", "win_pct", "win_low_pct", "win_high_pct", "break_even_pct", "expectancy_r",
            "expectancy_r_low", "expectancy_r_high", "profit_factor", "tail_share_pct")
    admitted = counts[SYSTEM] + counts[SHADOW]
    bank = equity.account(part, starting, span.start, span.end)
    return {
        "plans": counts[name], "coverage_pct": None if name == ADMISSION or not admitted else
        100.0 * counts[name] / admitted, **{key: told[key] for key in kept}, "total_r": float(part.r.sum()),
        "drawdown_r": 0.0 - float(equity.underwater(part.r).min(initial=0.0)), "profit_usd": bank.profit_usd,
        "profit_pct": bank.profit_pct, "drawdown_usd": bank.drawdown.depth_usd if bank.drawdown else 0.0,
        "drawdown_pct": bank.underwater_pct, "ruined_ts": bank.ruined_ts,
        "most_open": equity.most_open(part.opened_ts, part.closed_ts),
    }


def _hold(held: tuple[Ints, Floats], starting: float) -> dict[str, Any]:
    worth = held[1]
    if not len(worth):
        return {"profit_usd": None, "profit_pct": None, "drawdown_pct": None}
    peak = np.maximum(np.maximum.accumulate(worth), starting)
    return {"profit_usd": float(worth[-1]) - starting, "profit_pct": 100.0 * (float(worth[-1]) / starting - 1.0),
            "drawdown_pct": 100.0 * float(((peak - worth) / peak).max())}


def _weeks(groups: Mapping[str, Columns], held: tuple[Ints, Floats], starting: float, span: Span
           ) -> list[dict[str, Any]]:
    first, last = (int(equity.period_start(np.array([ts]), "week")[0]) for ts in (span.start, span.end - 1))
    by = {name: {p.start_ts: p for p in equity.breakdown(groups[name], "week")} for name in (SYSTEM, FILTER, SHADOW)}
    found, usd, r = list[dict[str, Any]](), 0.0, 0.0
    for week in range(first, last + 1, WEEK):
        row: dict[str, Any] = {"week": week}
        for name, periods in by.items():
            p = periods.get(week)
            n, r_of, usd_of = (p.trades, p.r, p.usd) if p else (0, 0.0, 0.0)
            row |= {f"{name}_n": n, f"{name}_r": r_of, f"{name}_usd": usd_of}
        usd, r = usd + row["system_usd"], r + row["system_r"]
        at = int(np.searchsorted(held[0], min(week + WEEK, span.end), side="right")) - 1
        worth = float(held[1][at]) if at >= 0 else starting
        found.append(row | {"equity_usd": starting + usd, "equity_r": r, "hold_usd": worth})
    return found


def _learned(con: Any, span: Span) -> dict[str, Any]:
    history = [e for e in models.history(con) if span.start <= e.ts <= span.end]
    trained = lived.trainings(con, span.start, span.end)
    changes = [{"ts": e.ts, "governs_from": e.promoted_ts, "kind": e.kind, "model": e.model, "who": e.who, "why": e.why,
                **({"level": e.detail["level"]} if "level" in e.detail else {})} for e in history]
    return {"trainings": trained, "models": len(models.registered(con, models.META)),
            "promoted": sum(e.kind == models.META and e.model is not None for e in history), "changes": changes,
            "governs": promotion.current(con)}
