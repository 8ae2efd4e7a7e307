"""The filter as of each decision: which model, which threshold, what it said (rules 17 and 32).

Live, retro and reconcile ask the same function. While no model was ever promoted it costs one small query:
no feature is computed and XGBoost is not imported.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core import timeframe
from core.candles import Bars
from core.engine import announce, frames, params
from core.engine.context import Context
from core.engine.params import Body
from core.errors import ArtifactError, DataError
from core.meta import thresholds
from core.meta.artifact import Artifact, family_of
from core.meta.gate import Policy, Score, Verdict, judge
from core.meta.thresholds import Thresholds
from core.notify import messages
from core.signals import features
from core.signals.decide import Candidate
from core.store import models, signals
from core.store.candles import Con
from core.store.models import Promotion
from core.timeframe import DAY, MINUTE

log = logging.getLogger(__name__)

PATIENCE = 15 * MINUTE  # a decision waits this long for what its features are made from
LEAST_CALIBRATED = 100  # rows a family's calibrator must have seen

# Keys of a configuration that change neither what is found nor how it ends; all others of these sections do.
SECTIONS = ("signals", "execution")
ADMISSION_ONLY = (
    "signals.min_tp_net_pct",
    "signals.max_cost_r",
    "signals.max_hole_candles",
    "signals.avwap.max_distance_atr",
    "signals.evaluation",
)


class Asked(NamedTuple):
    """Candidates of one symbol and timeframe, all decided under one configuration.

    bars: of the timeframe, `decide.window` of them up to each deciding one. now: ms UTC of the tick, None
    where history is read and nothing can be awaited. hindsight: a decision before it may take a model that was
    promoted only later, and is then in-sample.
    """

    symbol: str
    timeframe: str
    bars: Bars
    body: Body
    found: Sequence[Candidate]
    now: int | None = None
    hindsight: int = 0


@dataclass(frozen=True, slots=True)
class _History:
    meta: list[Promotion]
    thresholds: list[Promotion]
    drift: list[Promotion]


@dataclass(frozen=True, slots=True)
class _Model:
    # What judges some of the candidates: the model, or None and why.
    artifact: Artifact | None
    later: bool
    why: str = ""


def verdicts(ctx: Context, con: Con, asked: Asked) -> list[Verdict]:
    """The gate's verdict on each candidate, by the models and thresholds as of its decision.

    A model that cannot be used is named in one alert and the last good one takes its place; where there is
    none the verdict is observe-only. Raises DataError while the features still wait for candles.
    """
    enabled = bool(asked.body["meta"]["enabled"])
    if not asked.found or not enabled or not models.has_history(con):
        return [judge(c.refusal, enabled) for c in asked.found]
    history = _history(con)
    governed = [_governing(history.meta, c.decided_ts, asked.hindsight) for c in asked.found]
    used = {n: _model(ctx, con, asked, history.meta, n) for n in set(governed)}
    missing = _awaited(ctx, con, asked) if any(m.artifact for m in used.values()) else None
    found = [_policy(ctx, con, asked, history, c, used[n], missing) for c, n in zip(asked.found, governed, strict=True)]
    scores = _scores(ctx, con, asked, [used[n] for n in governed], missing)
    return [judge(c.refusal, True, s, p) for c, s, p in zip(asked.found, scores, found, strict=True)]


def _history(con: Con) -> _History:
    entries = models.history(con)
    return _History(*([e for e in entries if e.kind == kind] for kind in (models.META, models.THRESHOLDS, models.DRIFT)))


def _as_of(entries: Sequence[Promotion], decided_ts: int) -> int:
    # How many entries were in force at the decision: the last of them governs.
    return sum(e.promoted_ts <= decided_ts for e in entries)


def _governing(entries: Sequence[Promotion], decided_ts: int, hindsight: int) -> tuple[int, bool]:
    # The part of the history that judges the decision, and whether that lies behind it.
    count = _as_of(entries, decided_ts)
    if count or decided_ts >= hindsight:
        return count, False
    first = next((i for i, e in enumerate(entries) if e.model is not None), None)
    return (0, False) if first is None else (first + 1, True)


def _model(ctx: Context, con: Con, asked: Asked, entries: Sequence[Promotion], governed: tuple[int, bool]) -> _Model:
    count, later = governed
    if not count or entries[count - 1].model is None:
        return _Model(None, later)
    found = ctx.models.usable(
        entries[:count], model_root(ctx), lambda entry, why: _tell_broken(ctx, con, asked.now, entry, why)
    )
    named = entries[count - 1].model
    return _Model(found, later, "" if found else f"model {named} cannot be used")


def model_root(ctx: Context) -> Path:
    """The folder that holds the model folders."""
    return Path(ctx.cfg.models.meta.model_path)


def _tell_broken(ctx: Context, con: Con, now: int | None, entry: Promotion, why: str) -> None:
    log.warning("%s", why)
    if now is not None:
        body = messages.note("A model cannot be used", why, label=ctx.label)
        key = f"model:{entry.model}:{entry.n}:unusable"  # once for each promotion
        announce.tell(ctx, con, "health", key, body, now, now + DAY)


def _awaited(ctx: Context, con: Con, asked: Asked) -> str | None:
    # Candles of another frame may be a tick late; a decision without them would not be that of retro.
    if asked.now is None:
        return None
    last = max(c.decided_ts for c in asked.found)
    what = frames.behind(con, ctx.exchange_id, ctx.cfg.symbols, asked.symbol, asked.bars.tf, last)
    if what is None:
        ctx.models.waiting.pop(asked.symbol, None)
        return None
    since = ctx.models.waiting.setdefault(asked.symbol, asked.now)
    if asked.now - since < PATIENCE:
        raise DataError(f"{asked.symbol} {asked.timeframe}: its plans wait for their features: {what}")
    return what


# Scores


def _scores(
    ctx: Context, con: Con, asked: Asked, used: Sequence[_Model], missing: str | None
) -> list[Score | None]:
    scores: list[Score | None] = [None] * len(used)
    groups: dict[tuple[str, str], list[int]] = {}
    for i, (c, m) in enumerate(zip(asked.found, used, strict=True)):
        family = family_of(c.tp1 is not None)
        if m.artifact is not None and family in m.artifact.families and missing is None:
            groups.setdefault((m.artifact.id, family), []).append(i)
    if not groups:
        return scores
    rows = sorted(i for group in groups.values() for i in group)
    table = dict(zip(rows, _features(ctx, con, asked, [asked.found[i] for i in rows]), strict=True))
    for (_id, family), group in groups.items():
        artifact = used[group[0]].artifact
        assert artifact is not None
        found = _predict(ctx, con, asked, artifact, family, [asked.found[i] for i in group],
                         np.array([table[i] for i in group]))
        for i, score in zip(group, found, strict=True):
            scores[i] = score
    return scores


def _features(ctx: Context, con: Con, asked: Asked, found: Sequence[Candidate]) -> Any:
    first, last = min(c.decided_ts for c in found), max(c.decided_ts for c in found)
    period = params.common(asked.body).atr_period
    around = frames.load(con, ctx.exchange_id, asked.symbol, asked.bars, first, last, period)
    return features.table(frames.facts(found), around, ctx.kernels)


def _predict(
    ctx: Context, con: Con, asked: Asked, artifact: Artifact, family: str, found: Sequence[Candidate], x: Any
) -> list[Score | None]:
    risk = np.array([100.0 * abs(c.entry - c.sl) / c.entry for c in found])
    calibrated = bool(asked.body["meta"]["calibration"])
    try:
        rows = artifact.predict(family, x, asked.timeframe, risk, calibrated=calibrated)
    except ArtifactError as error:
        log.warning("%s", error)
        if asked.now is not None:
            body = messages.note("A model cannot be used", str(error), label=ctx.label)
            announce.tell(ctx, con, "health", f"model:{artifact.id}:predict", body, asked.now, asked.now + DAY)
        return [None] * len(found)
    label = evidence(artifact.card, family)
    return [None if row is None else Score(*row, artifact.id, label) for row in rows]


def evidence(card: Mapping[str, Any], family: str) -> str:
    """The evidence label of one family in a model's card."""
    return str(card["families"].get(family, {}).get("evidence", {}).get("label", "insufficient"))


# Policies


def _policy(
    ctx: Context, con: Con, asked: Asked, history: _History, c: Candidate, used: _Model, missing: str | None
) -> Policy | None:
    if used.artifact is None and not used.why:
        return None
    limit, source = _limit(history, asked, c)
    observe = used.why or missing or _observe(ctx, con, asked, history, c, used.artifact)
    late = used.artifact is not None and c.decided_ts < used.artifact.data_end
    return Policy(bool(asked.body["meta"]["use_ev"]), limit, source, observe or None, used.later or late)


def _limit(history: _History, asked: Asked, c: Candidate) -> tuple[float, str]:
    meta, count = asked.body["meta"], _as_of(history.thresholds, c.decided_ts)
    table = thresholds.from_plain(history.thresholds[count - 1].table) if count else {}
    in_force = Thresholds(
        bool(meta["use_ev"]), meta["threshold"], meta["min_ev_pct"], table, thresholds.from_plain(meta["per_regime"])
    )
    value, source = in_force.resolve(asked.symbol, asked.timeframe, c.trend, c.vol)
    drift = _drift(history, c.decided_ts)
    if drift.get("level") != "raise":
        return value, source
    return value + float(drift["by"]), f"{source}, raised by {float(drift['by']):g} for drift"


def _drift(history: _History, decided_ts: int) -> dict[str, Any]:
    count = _as_of(history.drift, decided_ts)
    return history.drift[count - 1].detail if count else {}


def _observe(
    ctx: Context, con: Con, asked: Asked, history: _History, c: Candidate, artifact: Artifact | None
) -> str | None:
    # Why the model is not acted on, the first reason that holds.
    assert artifact is not None
    if _drift(history, c.decided_ts).get("level") == "observe":
        return "drift"
    told = artifact.card["families"].get(family_of(c.tp1 is not None))
    if told is None:
        return f"model {artifact.id} was not trained on plans {'with' if c.tp1 is not None else 'without'} targets"
    few = _too_few(told, int(asked.body["meta"]["min_closed_samples"]))
    return few or _reconfigured(con, asked.body, artifact, c.setup)


def _too_few(told: Mapping[str, Any], floor: int) -> str | None:
    n, calibrated = int(told["n"]), int(told["n_calibrate"])
    if n < floor:
        return f"{n:,} of {floor:,} closed plans (models.meta.min_closed_samples)"
    if calibrated < LEAST_CALIBRATED:
        return f"calibrated on {calibrated:,} of {LEAST_CALIBRATED:,} plans"
    return None


def _reconfigured(con: Con, body: Body, artifact: Artifact, setup: str) -> str | None:
    trained = artifact.card.get("config") or signals.configs(con).get(str(artifact.card.get("config_hash")))
    if trained is None:
        return "the configuration it was trained under is not known"
    keys = changed(trained, body, setup)
    if not keys:
        return None
    more = f" and {len(keys) - 2} more" if len(keys) > 2 else ""
    return f"{', '.join(keys[:2])}{more} changed since training"


def changed(trained: Body, body: Body, setup: str) -> list[str]:
    """Keys that make one setup's plans, or how they end, others than those a model was trained on.

    What only admits or refuses does not: refused plans are learned from as well. Nor does sizing, since
    results are per notional and per R. Other setups do not concern this one.
    """
    old, new = (_flat(b, setup) for b in (trained, body))
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def _flat(body: Body, setup: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(key: str, value: Any) -> None:
        if key.startswith(ADMISSION_ONLY) or key.endswith(".timeframes"):
            return
        if isinstance(value, Mapping):
            for name, item in value.items():
                if key != "signals.setups" or name == setup:
                    walk(f"{key}.{name}", item)
        else:
            found[key] = list(value) if isinstance(value, tuple) else value

    for section in SECTIONS:
        walk(section, body[section])
    return found


def timeframe_of(c: Candidate) -> int:
    """Length of a candidate's timeframe in ms."""
    return timeframe.ms(c.timeframe)
