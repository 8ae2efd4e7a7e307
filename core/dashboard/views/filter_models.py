"""The page Filter: thresholds, models, what was said of them, and the history of it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.dashboard import words
from core.dashboard.views.filter import FAMILIES, RULES, Part, Row, between, day, num
from core.dashboard.words import NONE, Column
from core.store.models import DRIFT, META, THRESHOLDS, Promotion, Registered
from core.timeframe import show_time

# Thresholds

THRESHOLD_COLUMNS = (Column("level", "Level"), Column("what", "Asked of"), Column("key", "Key"),
                     Column("value", "At least", "number"), Column("source", "Where it comes from"))


def thresholds(meta: Any, history: Sequence[Promotion]) -> list[Row]:
    """Every threshold in force, the most specific first. meta: `models.meta` of the configuration."""
    key = "min_ev_pct" if meta.gating.use_ev else "threshold"
    tables = [entry for entry in history if entry.kind == THRESHOLDS]
    found: list[Row] = []
    if tables:
        last = tables[-1]
        since = show_time(last.promoted_ts) if last.promoted_ts else "from the first decision on"
        source = f"{last.who}, {since}: {last.why}"
        found += [_threshold("pair and timeframe", f"{words.coin(symbol)} {tf}", key, row.get(key), source)
                  for symbol, of in sorted(last.table.items()) for tf, row in sorted(of.items())]
    found += [_threshold("regime", f"{trend}/{vol}", key, getattr(row, key), "models.meta.per_regime")
              for trend, of in meta.per_regime.items() for vol, row in of.items()]
    found.append(_threshold("global", "everything else", key, getattr(meta, key), f"models.meta.{key}"))
    return [row for row in found if row["value"] is not None]


def _threshold(level: str, what: str, key: str, value: float | None, source: str) -> Row:
    return {"level": level, "what": what, "key": key, "value": value, "source": source}


def threshold_words(meta: Any, level: str) -> str:
    """How a threshold is used; Markdown."""
    by = "The filter goes by " + ("**expected value**, percent of the notional (`gating.use_ev: true`)."
                                  if meta.gating.use_ev else "**p(win)** (`gating.use_ev: false`).")
    raised = " Drift has **raised** every threshold for the model in force." if level == "raise" else ""
    return (f"{by} The most specific threshold applies: pair and timeframe, then regime, then the global one; and the "
            f"lower bound must lie above it too.{raised}")


# Models

MODEL_COLUMNS = (
    Column("state", "State"), Column("id", "Model"), Column("evidence", "Evidence"), Column("auc", "AUC", "number"),
    Column("skill", "Brier skill", "number"), Column("gate", "Gate, sealed plans"), Column("plans", "Plans", "count"),
    Column("data", "Learned from"), Column("made_ts", "Made", "time"), Column("promoted_ts", "Governs from", "time"),
    Column("why", "What was said of it"),
)
SHORT_COLUMNS = MODEL_COLUMNS[:-1]  # what was said of it stands below
SHOWN = 12  # models of the list


def models(known: Sequence[Registered], now: str | None, said: Mapping[str, str], most: int = SHOWN) -> list[Row]:
    """The governing model, then challengers and retired ones, newest first; a row per family."""
    order = sorted(known, key=lambda m: (m.id != now, -m.created_ts))[:most]
    return [row for m in order for row in _model(m, now, said.get(m.id, ""))]


def verdicts(rows: Sequence[Row]) -> dict[str, list[str]]:
    """What was said of each model of the list when it came, one reason a line."""
    return {f"{row['id']}, {row['state']}": row["why"].split("; ") for row in rows if row["why"]}


def _model(m: Registered, now: str | None, why: str) -> list[Row]:
    state = "governs" if m.id == now else "challenger" if m.promoted_ts is None else "retired"
    data, rows = m.card.get("data", {}), []
    for family, told in m.card.get("families", {}).items():
        f = m.card.get("metrics", {}).get(family, {})
        gate = f.get("gate", {})
        rows.append({
            "state": state, "id": m.id, "made_ts": m.created_ts, "promoted_ts": m.promoted_ts or None,
            "data": f"{day(data.get('start'))} to {day(data.get('end'))}", "plans": told.get("n"),
            "evidence": f"{family}: {told.get('evidence', {}).get('label', NONE)}", "auc": f.get("auc"),
            "skill": f.get("skill"), "why": why, "gate": _gate(gate)})
    return rows


def _gate(gate: Part) -> str:
    if not gate.get("n"):
        return "let nothing pass"
    return (f"{gate['n']:,} ({words.share(gate.get('coverage'), 1)}): {words.share(gate.get('win_rate'))} won, "
            f"break-even {words.share(gate.get('break_even'))}, {words.r(gate.get('mean_r'))}")


FACT_COLUMNS = (Column("name", "What"), Column("value", "Value"))


def card_facts(card: Part, report: Part | None) -> list[Row]:
    """The model card: data, families, versions, and how often the sealed plans were looked at."""
    data = card.get("data", {})
    facts = [("Learned from", f"{num(data.get('n'), 0)} closed plans, {show_time(data.get('start'))} to "
              f"{show_time(data.get('end'))}"), ("Data hash", str(data.get("hash", NONE))[:16]),
             ("Made", show_time(card.get("created_ts"))), ("Made by", str(card.get("job", NONE))),
             ("Configuration", str(card.get("config_hash", NONE))),
             ("Features", f"{len(card.get('features', ()))}, version {card.get('feature_version')}"),
             ("Libraries", ", ".join(f"{name} {v}" for name, v in card.get("versions", {}).items()))]
    for family, told in card.get("families", {}).items():
        facts += _family_facts(family, told, (report or {}).get("families", {}).get(family, {}))
    verdict = card.get("verdict", {})
    facts += [("Verdict", "better" if verdict.get("better") else "no better")] if verdict else []
    facts += [("", str(why)) for why in verdict.get("why", ())]
    return [{"name": name, "value": value} for name, value in facts]


def _family_facts(family: str, told: Part, report: Part) -> list[tuple[str, str]]:
    evidence = told.get("evidence", {})
    found = [(FAMILIES.get(family, family).capitalize(), f"{told.get('n', 0):,} learned from, calibrated on "
              f"{told.get('n_calibrate', 0):,}"),
             ("Evidence", f"{evidence.get('label', NONE)}: {evidence.get('why', '')}")]
    slices, proof = report.get("slices", {}), report.get("trials", {})
    found += [(f"Slice: {name}", f"{part['n']:,} plans, {part['from']} to {part['to']}")
              for name, part in slices.items() if isinstance(part, Mapping)]
    if proof:
        found += [("Looks at the sealed plans", f"{proof.get('looks', 0):,}"),
                  ("Sets of parameters ever tried", f"{proof.get('sets', 0):,}"),
                  ("Deflated Sharpe ratio", num(proof.get("dsr"), 2))]
    return found


GAIN_COLUMNS = (Column("name", "Against"), Column("brier", "Squared error saved"), Column("r", "R per plan gained"),
                Column("clear", "Beyond chance"))


def gains(comparison: Part) -> list[Row]:
    """The model against each rule on the sealed plans."""
    rows = []
    for name, by in comparison.items():
        brier, r = by.get("brier"), by.get("r")
        clear = [word for word, gain in (("squared error", brier), ("R", r))
                 if gain and gain.get("low") is not None and gain["low"] > 0]
        rows.append({"name": RULES.get(name, name), "brier": _gain(brier, 5), "r": _gain(r, 3),
                     "clear": " and ".join(clear) or "no"})
    return rows


def _gain(gain: Part | None, digits: int) -> str:
    if not gain:
        return NONE
    return f"{gain['mean']:+.{digits}f} {between(gain.get('low'), gain.get('high'), digits)}".strip()


HISTORY_COLUMNS = (Column("ts", "When", "time"), Column("what", "What"), Column("model", "Model"),
                   Column("since", "For decisions from", "time"), Column("who", "Who"),
                   Column("why", "Why"))


def happened(history: Sequence[Promotion], kinds: Sequence[str] = (META, THRESHOLDS, DRIFT)) -> list[Row]:
    """Every change of what governs, newest first."""
    return [{"ts": e.ts, "what": _what(e), "model": e.model or "none", "since": e.promoted_ts or None, "who": e.who,
             "why": e.why} for e in reversed(history) if e.kind in kinds]


def _what(e: Promotion) -> str:
    if e.kind == DRIFT:
        return f"drift: {e.detail.get('level')}"
    if e.kind == THRESHOLDS:
        return "thresholds"
    return "rolled back" if e.detail.get("rollback") else "model governs" if e.model else "no model governs"
