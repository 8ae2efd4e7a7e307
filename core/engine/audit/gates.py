"""What a file's data say of probabilities and gates: rows 8 to 12, every figure out of sample."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from core.engine import figures
from core.engine.audit import held_out
from core.engine.audit.held_out import HeldOut
from core.engine.audit.record import Row, signed
from core.engine.figures import Rule, Scored
from core.engine.verdict import Tried
from core.errors import DataError
from core.meta import evidence, metrics, trials
from core.meta.samples import TARGETS, Flags

Trades = Callable[..., Mapping[str, Any]]

# What stands beside a win rate; the last two only where a plan has targets.
COLUMNS = ("n", "coverage", "win_rate", "win_low", "win_high", "break_even", "mean_r", "mean_r_low", "mean_r_high",
           "mean_pct", "claimed")
OF_TARGETS = ("fair", "break_even_planned")
GROUPS = ("symbol", "timeframe", "direction", "quarter")
LIMITS = (1.0, 0.75, 0.5, 0.3, 0.2, 0.1, 0.05)  # coverages that the grid of row 12 tries
PARTS = 16
TOLERANCE = 1e-9

NAMES = {8: "Brier: model, base rate, geometry", 9: "calibration error against its null", 10: "gates, all columns",
         11: "ungated beside gated, by group", 12: "trials, deflated Sharpe, overfitting"}
BAR = {8: "shown with skill and its interval; every row out of sample", 9: "ECE <= p95 of perfect claims at the same n",
       10: "all columns or none; equal to a plain recount", 11: "shown; every grouping adds up to the whole",
       12: "shown together; a label above weak needs a deflated Sharpe of at least 0.95"}


def brier_row(found: Sequence[HeldOut]) -> Row:
    """Row 8."""
    told, detail, held = [], {}, True
    for t in found:
        s, leak = t.scored, held_out.known_before(t)
        y = s.samples.win.astype(np.float64)
        base, own = metrics.brier(s.base["base_rate"], y), metrics.brier(s.p, y)
        gain = figures.interval(metrics.brier_gains(s.p, y, s.base["base_rate"]), s.samples.t0)
        skill = [100.0 * v / base for v in gain]
        geometry = metrics.brier(s.base["geometry"], y)
        held &= leak is None and all(map(math.isfinite, (own, base, geometry, *skill)))
        sign = "positive" if skill[1] > 0 else "negative" if skill[2] < 0 else "none visible"
        why = f"; NOT OUT OF SAMPLE: {leak}" if leak else ""
        told.append(f"{t.family} n {len(s):,}: {own:.4f}, base rate {base:.4f}, geometry {geometry:.4f}, skill "
                    f"{signed(skill[0], skill[1], skill[2], 2)} % ({sign}){why}")
        detail[t.family] = {"n": len(s), "brier": own, "base_rate": base, "geometry": geometry, "skill_pct": skill,
                            "auc": metrics.auc(s.p, y), "folds": len(t.parts), "sealed_rows_left_alone": t.sealed}
    return Row(8, NAMES[8], "; ".join(told), BAR[8], held, detail=detail)


def calibration_row(found: Sequence[HeldOut]) -> Row:
    """Row 9."""
    told, detail, held = [], {}, True
    for t in found:
        s = t.scored
        y = s.samples.win.astype(np.float64)
        error, null, fair = metrics.ece(s.p, y), metrics.null_ece(s.p), metrics.null_ece(s.p, truths=s.truths)
        held &= error <= null
        told.append(f"{t.family}: {error:.3f} against {null:.3f} (claimed {s.p.mean():.1%}, observed {y.mean():.1%}, "
                    f"{fair:.3f} is what calibrators fitted on as few rows give)")
        detail[t.family] = {"ece": error, "null_p95": null, "null_p95_with_fit": fair,
                            "reliability": [b._asdict() for b in metrics.reliability(s.p, y)]}
    return Row(9, NAMES[9], "; ".join(told), BAR[9], held, detail=detail)


# Row 10


def gate_row(found: Sequence[HeldOut], rule: Rule, threshold: float, trades: Trades = figures.trades) -> Row:
    """Row 10."""
    told, detail, wrong = [], {}, []
    for t in found:
        s, of = t.scored, int(t.scored.admitted.sum())
        for name, taken in held_out.gates(s, rule, threshold).items():
            row, wanted = dict(trades(s, taken, of)), COLUMNS + (OF_TARGETS if t.family == TARGETS else ())
            off = _recount(s, taken, of, row)
            wrong += [f"{t.family} {name}: {column}" for column in off]
            shown = all(math.isfinite(row[column]) for column in wanted)
            detail[f"{t.family}: {name}"] = {c: row[c] for c in wanted} if shown else {"n": row["n"], "withheld": True}
            told.append(f"{t.family} {name}: {_gate(row) if shown else _withheld(row)}")
    why = f"; DIFFERS FROM A RECOUNT: {', '.join(wrong[:3])}" if wrong else ""
    return Row(10, NAMES[10], "; ".join(told) + why, BAR[10], not wrong, detail=detail)


def _gate(row: Mapping[str, Any]) -> str:
    fair = f", fair {row['fair']:.1%}, planned break-even {row['break_even_planned']:.1%}" \
        if math.isfinite(row["fair"]) else ""
    return (f"n {row['n']:,} ({row['coverage']:.0%}), win {row['win_rate']:.1%} [{row['win_low']:.1%}, "
            f"{row['win_high']:.1%}]{fair}, break-even {row['break_even']:.1%}, "
            f"{signed(row['mean_r'], row['mean_r_low'], row['mean_r_high'], 2)} R, {row['mean_pct']:+.2f} %/trade, "
            f"claimed {row['claimed']:.1%}")


def _withheld(row: Mapping[str, Any]) -> str:
    return f"n {row['n']:,}, withheld: too few for an interval"


def _recount(s: Scored, taken: Flags, of: int, row: Mapping[str, Any]) -> list[str]:
    # The same figures by plain loops over the rows, from results and claims alone.
    n = won = 0
    r = pct = claimed = 0.0
    for i, take in enumerate(taken.tolist()):
        if take:
            n += 1
            won += bool(s.samples.pnl_pct[i] > 0)
            r += float(s.samples.r[i])
            pct += float(s.samples.pnl_pct[i])
            claimed += float(s.p[i])
    expected = {"n": n, "coverage": n / of if of else math.nan}
    if n:
        expected |= {"win_rate": won / n, "mean_r": r / n, "mean_pct": pct / n, "claimed": claimed / n}
    return [name for name, value in expected.items()
            if not (abs(row[name] - value) <= TOLERANCE or (math.isnan(row[name]) and math.isnan(value)))]


# Row 11


def ungated_row(found: Sequence[HeldOut], rule: Rule, trades: Trades = figures.trades) -> Row:
    """Row 11."""
    told, detail, wrong = [], {}, []
    for t in found:
        s = t.scored
        gated, of = s.gated(rule), int(s.admitted.sum())
        whole = {"ungated": trades(s, s.admitted, of), "gated": trades(s, gated, of)}
        table = {name: {part: _pair(s, rows, gated, trades) for part, rows in _groups(s, name).items()}
                 for name in GROUPS}
        wrong += [f"{t.family} by {name}" for name, parts in table.items()
                  for side, total in whole.items() if not _adds_up(parts, side, total)]
        told.append(f"{t.family} ungated {_short(whole['ungated'])}, gated {_short(whole['gated'])}")
        detail[t.family] = {"whole": whole, **table}
    why = f"; DOES NOT ADD UP: {', '.join(wrong[:3])}" if wrong else ""
    return Row(11, NAMES[11], "; ".join(told) + why, BAR[11], not wrong, detail=detail)


def _pair(s: Scored, rows: Flags, gated: Flags, trades: Trades) -> dict[str, Any]:
    of = int((rows & s.admitted).sum())
    return {"ungated": trades(s, rows & s.admitted, of), "gated": trades(s, rows & gated, of)}


def _adds_up(parts: Mapping[str, Mapping[str, Any]], side: str, total: Mapping[str, Any]) -> bool:
    n = sum(part[side]["n"] for part in parts.values())
    r = sum(part[side]["total_r"] for part in parts.values())
    return bool(n == total["n"] and abs(r - total["total_r"]) <= 1e-6)


def _groups(s: Scored, name: str) -> dict[str, Flags]:
    labels = _quarters(s) if name == "quarter" else getattr(s.samples, name)
    return {str(label): labels == label for label in sorted(set(labels.tolist()))}


def _quarters(s: Scored) -> Any:
    days = [datetime.fromtimestamp(t / 1000, UTC) for t in s.samples.t0.tolist()]
    return np.array([f"{d.year}-Q{(d.month + 2) // 3}" for d in days], dtype=object)


def _short(row: Mapping[str, Any]) -> str:
    if not row["n"]:
        return "none"
    mean = signed(row["mean_r"], row["mean_r_low"], row["mean_r_high"], 2)
    return f"{mean} R (n {row['n']:,}, win {row['win_rate']:.1%})"


# Row 12


def trials_row(found: Sequence[HeldOut], rule: Rule, tried: Tried, floor: int, labels: Mapping[str, str]) -> Row:
    """Row 12. labels: evidence that the governing model claims, by family."""
    told, detail, wrong = [], {}, []
    for t in found:
        s = t.scored
        proof = _proof(s, rule, tried)
        label = evidence.label(len(t.rows), proof["gated"], proof["interval"], 0.0, proof["dsr"], floor=floor)
        grid = _grid(s)
        detail[t.family] = {**proof, **_overfit(grid), "label": label.label, "why": label.why}
        claimed = labels.get(t.family, label.label)
        if claimed in ("moderate", "strong") and not (proof["dsr"] or 0.0) >= evidence.PROVEN:
            wrong.append(f"{t.family}: the model's card says {claimed}")
        told.append(f"{t.family}: {_tried(detail[t.family], tried)}, evidence {label.label}")
    why = f"; CLAIMS TOO MUCH: {'; '.join(wrong)}" if wrong else ""
    shown = all(bool(d["shown"]) for d in detail.values())
    return Row(12, NAMES[12], "; ".join(told) + why, BAR[12], shown and not wrong, detail=detail)


def _proof(s: Scored, rule: Rule, tried: Tried) -> dict[str, Any]:
    # Of the gated results by week. N is at least the log's, and the spread at least what worthless rules scatter by.
    mask = s.gated(rule)
    mean, sums = figures.interval(s.samples.r[mask], s.samples.t0[mask]), figures.weekly_results(s, mask)
    found: dict[str, Any] = {"gated": int(mask.sum()), "sets": tried.sets, "dsr": None,
                             "interval": None if math.isnan(mean.low) else (mean.low, mean.high)}
    try:
        m = trials.moments(sums)
        spread = float(np.var(tried.sharpes, ddof=1)) if len(tried.sharpes) > 1 else 0.0
        return found | {"dsr": trials.dsr(*m, max(1, tried.sets), max(spread, 1.0 / m.n))}
    except DataError:
        return found


def _grid(s: Scored) -> Any:
    # Weekly net R of gates that could have been chosen: coverages by EV and by p, and the baselines' own.
    columns = [figures.weekly_results(s, s.admitted & (value >= np.quantile(value[s.admitted], 1.0 - share)))
               for value in (s.ev, s.p) for share in LIMITS if s.admitted.any() and np.isfinite(value).all()]
    columns += [figures.weekly_results(s, s.admitted & (s.base[name] >= np.quantile(s.base[name], 0.8)))
                for name in sorted(s.base)]
    return np.column_stack(columns)


def _overfit(grid: Any) -> dict[str, Any]:
    parts = min(PARTS, len(grid) // 2 // 2 * 2)
    try:
        over = trials.pbo(grid, parts)
    except DataError as error:
        return {"shown": True, "withheld": str(error), "n_eff": None}
    values = {"n_eff": trials.n_eff(grid), "pbo": over.pbo, "p_oos_loss": over.p_oos_loss,
              "share_positive": over.share_positive, "configurations": grid.shape[1], "splits": over.splits}
    return {**values, "shown": all(map(math.isfinite, values.values()))}


def _tried(d: Mapping[str, Any], tried: Tried) -> str:
    sharpe = "not defined" if d["dsr"] is None else f"{d['dsr']:.2f}"
    log = f"{tried.sets:,} sets in the trial log, deflated Sharpe {sharpe}"
    if "withheld" in d:
        return f"{log}; PBO withheld: {d['withheld']}"
    return (f"{log}; of {d['configurations']} gates (N_eff {d['n_eff']:.1f}) PBO {d['pbo']:.2f} with P(OOS loss) "
            f"{d['p_oos_loss']:.2f} and {d['share_positive']:.0%} above zero")
