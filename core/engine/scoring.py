"""The filter as of each decision: which model, which threshold, what it said (rules 17 and 32).

Live, retro and reconcile ask the same function. While no model was ever promoted it costs one small query:
no feature is computed and XGBoost is not imported.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.candles import Bars
from core.engine import announce, frames, params
from core.engine.context import Context
from core.engine.params import Body
from core.engine.rows import signal_id
from core.errors import ArtifactError, DataError
from core.meta import thresholds, trained
from core.meta.artifact import Artifact, Plans, family_of
from core.meta.gate import Policy, Score, Verdict, judge
from core.meta.thresholds import Thresholds
from core.notify import messages
from core.signals import features
from core.signals.costs import cost_r
from core.signals.decide import Candidate
from core.store import models, signals
from core.store.candles import Con
from core.store.models import Promotion
from core.timeframe import DAY, MINUTE

log = logging.getLogger(__name__)

OK, WARN, RAISE, OBSERVE = "ok", "warn", "raise", "observe"  # what drift asks for, in the promotion history
PATIENCE = 15 * MINUTE  # a decision waits this long for what its features are made from


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


def verdicts(ctx: Context, con: Con, asked: Asked) -> list[Verdict]:
    """The gate's verdict on each candidate, by the models and thresholds as of its decision.

    A model that cannot be used is named in one alert and the last good one takes its place; where there is
    none the verdict is observe-only. Raises DataError while the features still wait for candles.
    """
    enabled = bool(asked.body["meta"]["enabled"])
    if not asked.found or not enabled or not models.has_history(con):
        return [judge(c.refusal, enabled) for c in asked.found]
    return _Gate(ctx, con, asked).verdicts()


def policies(ctx: Context, con: Con, asked: Asked) -> list[Policy | None]:
    """What the gate asks of each candidate, None where no model governs it or the filter is off."""
    if not asked.body["meta"]["enabled"] or not models.has_history(con):
        return [None] * len(asked.found)
    return _Gate(ctx, con, asked).policies()


def model_root(ctx: Context) -> Path:
    """The folder that holds the model folders."""
    return Path(ctx.cfg.models.meta.model_path)


def plans(body: Body, found: Sequence[Candidate]) -> Plans:
    """What of the candidates decides their payoff, costs as `costs_mode` of the configuration body says."""
    risk = [abs(c.entry - c.sl) for c in found]
    rr1 = [math.nan if c.tp1 is None else abs(c.tp1 - c.entry) / r for c, r in zip(found, risk, strict=True)]
    share = [100.0 * r / c.entry for c, r in zip(found, risk, strict=True)]
    return Plans(np.array(share), np.array(rr1), np.array([_cost_r(body, c) for c in found]))


def _cost_r(body: Body, c: Candidate) -> float:
    mode = body["meta"]["costs_mode"]
    if mode == "auto":
        return c.cost_r
    costs = replace(params.costs(body), assume_maker=mode == "maker")
    return cost_r(c.entry, c.sl, costs, c.market)


class _Governed(NamedTuple):
    # What judges a decision. why: the model that should cannot be used. later: it was promoted only afterwards.
    artifact: Artifact | None
    later: bool
    why: str = ""


class _Gate:
    # One call: everything that several candidates share is found once.
    def __init__(self, ctx: Context, con: Con, asked: Asked) -> None:
        self.ctx, self.con, self.asked = ctx, con, asked
        entries = models.history(con)
        self.meta, self.tables, self.drift = (
            [e for e in entries if e.kind == kind] for kind in (models.META, models.THRESHOLDS, models.DRIFT)
        )
        self.use_ev = bool(asked.body["meta"]["use_ev"])
        self._governed, self._limits = cache(self._find_model), cache(self._find_limits)
        self._unfit = cache(self._find_unfit)

    def verdicts(self) -> list[Verdict]:
        found, governed = self.asked.found, self._all_governed()
        missing = self._awaited() if any(g.artifact for g in governed) else None
        scores = self._scores(governed) if missing is None else [None] * len(found)
        return [judge(c.refusal, True, score, self._policy(c, by, missing))
                for c, by, score in zip(found, governed, scores, strict=True)]

    def policies(self) -> list[Policy | None]:
        return [self._policy(c, by, None) for c, by in zip(self.asked.found, self._all_governed(), strict=True)]

    # Which model

    def _all_governed(self) -> list[_Governed]:
        return [self._governed(*self._governing(c.decided_ts)) for c in self.asked.found]

    def _governing(self, decided_ts: int) -> tuple[int, bool]:
        # How much of the history judges the decision, and whether that lies behind it.
        count = _in_force(self.meta, decided_ts)
        if count or decided_ts >= self.asked.hindsight:
            return count, False
        first = next((i for i, e in enumerate(self.meta) if e.model is not None), None)
        return (0, False) if first is None else (first + 1, True)

    def _find_model(self, count: int, later: bool) -> _Governed:
        named = self.meta[count - 1].model if count else None
        if named is None:
            return _Governed(None, later)
        found = self.ctx.models.usable(self.meta[:count], model_root(self.ctx), self._unusable)
        return _Governed(found, later, "" if found else f"model {named} cannot be used")

    def _unusable(self, entry: Promotion, why: str) -> None:
        self._warn(f"model:{entry.model}:{entry.n}:unusable", why)  # told once for each promotion

    def _warn(self, key: str, why: str) -> None:
        log.warning("%s", why)
        now = self.asked.now
        if now is not None:
            body = messages.note("A model cannot be used", why, label=self.ctx.label)
            announce.tell(self.ctx, self.con, "health", key, body, now, now + DAY)

    def _awaited(self) -> str | None:
        # Candles of another frame may be a tick late; a decision without them would not be that of retro.
        symbol, tf, bars, _body, found, now, _hindsight = self.asked
        if now is None:
            return None
        waiting, last = self.ctx.models.waiting, max(c.decided_ts for c in found)
        what = frames.behind(self.con, self.ctx.exchange_id, self.ctx.cfg.symbols, symbol, bars.tf, last)
        if what is None:
            waiting.pop(symbol, None)
        elif now - waiting.setdefault(symbol, now) < PATIENCE:
            raise DataError(f"{symbol} {tf}: its plans wait for their features: {what}")
        return what

    # What it says

    def _scores(self, governed: Sequence[_Governed]) -> list[Score | None]:
        found = self.asked.found
        groups: dict[tuple[str, str], list[int]] = {}
        for i, (c, g) in enumerate(zip(found, governed, strict=True)):
            if g.artifact is not None and _family(c) in g.artifact.families:
                groups.setdefault((g.artifact.id, _family(c)), []).append(i)
        rows = sorted(i for group in groups.values() for i in group)
        table = self._features([found[i] for i in rows]) if rows else np.empty((0, 0))
        scores: list[Score | None] = [None] * len(found)
        for (_id, family), group in groups.items():
            artifact = governed[group[0]].artifact
            assert artifact is not None
            said = self._predict(artifact, family, [found[i] for i in group], table[np.searchsorted(rows, group)])
            for i, score in zip(group, said, strict=True):
                scores[i] = score
        return scores

    def _features(self, found: Sequence[Candidate]) -> Any:
        made = None if self.ctx.table is None else self.ctx.table.rows([self._id(c) for c in found])
        if made is not None:
            return made
        times = [c.decided_ts for c in found]
        around = frames.load(
            self.con,
            self.ctx.exchange_id,
            self.asked.symbol,
            self.asked.bars,
            min(times),
            max(times),
            params.common(self.asked.body).atr_period,
        )
        return features.table(frames.facts(found), around, self.ctx.kernels)

    def _id(self, c: Candidate) -> str:
        return signal_id(c.setup, self.asked.symbol, c.timeframe, c.start_ts, c.end_ts)

    def _predict(self, artifact: Artifact, family: str, found: Sequence[Candidate], x: Any) -> list[Score | None]:
        calibrated, label = bool(self.asked.body["meta"]["calibration"]), trained.evidence(artifact.card, family)
        try:
            asked = plans(self.asked.body, found)
            rows = artifact.predict(family, self.asked.timeframe, x, asked, calibrated=calibrated)
        except ArtifactError as error:
            self._warn(f"model:{artifact.id}:predict", str(error))
            return [None] * len(found)
        return [None if r is None else Score(*r[:5], artifact.id, label, r.ev_per_p, r.margin_pct) for r in rows]

    # What is asked of it

    def _policy(self, c: Candidate, governed: _Governed, missing: str | None) -> Policy | None:
        artifact = governed.artifact
        if artifact is None:
            return Policy(self.use_ev, 0.0, "", governed.why, governed.later) if governed.why else None
        drift = self._drift(artifact.id, c.decided_ts)
        observe = "drift" if drift.get("level") == OBSERVE else missing
        observe = observe or self._unfit(artifact, c.setup, _family(c))
        raised = float(drift["by"]) if drift.get("level") == RAISE else 0.0
        limit, source = self._limits(_in_force(self.tables, c.decided_ts)).resolve(
            self.asked.symbol, self.asked.timeframe, c.trend, c.vol
        )
        in_sample = governed.later or c.decided_ts < artifact.data_end
        return Policy(self.use_ev, limit, source, observe, in_sample, raised)

    def _drift(self, model: str, decided_ts: int) -> Mapping[str, Any]:
        # It concerns the model it was found at, and ends with its rule.
        entries = [e for e in self.drift if e.model == model]
        count = _in_force(entries, decided_ts)
        return entries[count - 1].detail if count else {}

    def _find_limits(self, count: int) -> Thresholds:
        meta = self.asked.body["meta"]
        table = thresholds.from_plain(self.tables[count - 1].table) if count else {}
        regime = thresholds.from_plain(meta["per_regime"])
        return Thresholds(self.use_ev, float(meta["threshold"]), float(meta["min_ev_pct"]), table, regime)

    def _find_unfit(self, artifact: Artifact, setup: str, family: str) -> str | None:
        # Why its scores of this setup are shown and not acted on.
        told = artifact.card["families"].get(family)
        if told is None:
            return f"model {artifact.id} knows no plans of family {family}"
        few = trained.too_few(told, int(self.asked.body["meta"]["min_closed_samples"]))
        return few or self._reconfigured(artifact, setup)

    def _reconfigured(self, artifact: Artifact, setup: str) -> str | None:
        card = artifact.card
        then = card.get("config") or signals.configs(self.con).get(str(card.get("config_hash")))
        if then is None:
            return "the configuration it was trained under is not known"
        keys = trained.changed(then, self.asked.body, setup)
        more = f" and {len(keys) - 2} more" if len(keys) > 2 else ""
        return f"{', '.join(keys[:2])}{more} changed since its training" if keys else None


def _in_force(entries: Sequence[Promotion], decided_ts: int) -> int:
    # How many entries were in force at the decision: the last of them governs (late bars take the older one).
    return sum(e.promoted_ts <= decided_ts for e in entries)


def _family(c: Candidate) -> str:
    return family_of(c.tp1 is not None)
