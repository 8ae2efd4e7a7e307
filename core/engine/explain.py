"""Why the filter said what it said of one stored decision: limit, source, and what moved p most."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from core import timeframe
from core.engine import frames, params
from core.engine.artifacts import place
from core.engine.context import Context
from core.engine.inputs import setups_of
from core.engine.params import Body
from core.engine.scoring import Asked, model_root, policies
from core.errors import ArtifactError, DataError
from core.meta.artifact import Artifact, family_of
from core.meta.gate import Policy
from core.signals import features
from core.signals.decide import Candidate, window
from core.store import candles, models
from core.store.candles import Con

Row = Mapping[str, Any]


class Moved(NamedTuple):
    """One feature's value (None = not known) and what it added to the model's margin (log odds, or clipped R)."""

    name: str
    value: float | None
    by: float
    meaning: str


class Explained(NamedTuple):
    """policy: what was asked and from where; None where no model governed. moved: the strongest first.

    trouble: why `moved` is empty though a model scored the row.
    """

    policy: Policy | None
    moved: list[Moved]
    trouble: str | None


def explain(ctx: Context, con: Con, row: Row, body: Body, most: int = 5) -> Explained:
    """Explain the filter's part in a row of `signals`. body: the configuration it was decided under. Reads only."""
    c = candidate(row)
    size, common = timeframe.ms(c.timeframe), params.common(body)
    series = candles.series(con, str(row["exchange"]))[str(row["symbol"]), c.timeframe]
    bars = candles.tail(con, series.id, size, c.decided_ts, window(setups_of(body, c.timeframe), common))
    asked = Asked(str(row["symbol"]), c.timeframe, bars, body, [c], None, c.decided_ts + 1 if row["in_sample"] else 0)
    policy = policies(ctx, con, asked)[0]
    if row["model"] is None:
        return Explained(policy, [], None)
    try:
        return Explained(policy, _moved(ctx, con, asked, str(row["model"]), most), None)
    except (ArtifactError, DataError) as error:
        return Explained(policy, [], str(error))


def candidate(row: Row) -> Candidate:
    """A row of `signals` as it was when it was decided."""
    own = {name: row[name] for name in Candidate._fields if name in row}
    refused = row["verdict"] == "refused" and row["reason"]
    return Candidate(**{
        **own, "direction": 1 if row["direction"] == "long" else -1, "market": bool(row["market"]),
        "refusal": refused or None,
    })


def _moved(ctx: Context, con: Con, asked: Asked, model: str, most: int) -> list[Moved]:
    artifact, c = _artifact(ctx, con, model), asked.found[0]
    period = params.common(asked.body).atr_period
    around = frames.load(con, ctx.exchange_id, asked.symbol, asked.bars, c.decided_ts, c.decided_ts, period)
    x = features.table(frames.facts([c]), around, ctx.kernels)
    known = dict(zip(features.NAMES, x[0].tolist(), strict=True))
    by = {name: float(v[0]) for name, v in artifact.contributions(family_of(c.tp1 is not None), x).items()}
    by.pop("bias")
    strongest = sorted(by, key=lambda name: -abs(by[name]))[:most]
    return [Moved(name, _value(known.get(name)), by[name], features.FEATURES.get(name, "")) for name in strongest]


def _value(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value


def _artifact(ctx: Context, con: Con, model: str) -> Artifact:
    found = models.one(con, model)
    if found is None:
        raise DataError(f"model {model} is not registered in this file")
    return ctx.models.read(found.id, found.sha256, place(found.path, model_root(ctx), found.id))
