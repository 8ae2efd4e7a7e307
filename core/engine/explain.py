"""Why the filter said what it said of one stored decision: limit, source, and what moved p most."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from core import timeframe
from core.candles import Floats
from core.engine import frames, params
from core.engine.artifacts import place
from core.engine.context import Context
from core.engine.inputs import setups_of
from core.engine.params import Body
from core.engine.scoring import Asked, model_root, plans, policies
from core.errors import ArtifactError, DataError
from core.meta.artifact import Artifact, family_of
from core.meta.gate import Policy
from core.meta.realised import Realised
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


class Worth(NamedTuple):
    """How the EV came about, percent of the notional: as p and payoffs claim it, as it counts, its lower bound, and
    the margin asked beyond the limit. realised: what such claims were held against; None = nothing."""

    claimed_pct: float
    ev_pct: float
    low_pct: float
    margin_pct: float
    realised: Realised | None

    def plain(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self._asdict(), "realised": self.realised.to_dict() if self.realised else None}


class Explained(NamedTuple):
    """policy: what was asked and from where; None where no model governed. moved: the strongest first.

    trouble: why `moved` is empty though a model scored the row. worth: None likewise.
    """

    policy: Policy | None
    moved: list[Moved]
    trouble: str | None
    worth: Worth | None = None


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
        artifact = _artifact(ctx, con, str(row["model"]))
        x = _features(ctx, con, asked)
        return Explained(policy, _moved(artifact, asked, x, most), None, _worth(artifact, asked, x))
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


def _features(ctx: Context, con: Con, asked: Asked) -> Floats:
    c, period = asked.found[0], params.common(asked.body).atr_period
    around = frames.load(con, ctx.exchange_id, asked.symbol, asked.bars, c.decided_ts, c.decided_ts, period)
    return features.table(frames.facts([c]), around, ctx.kernels)


def _worth(artifact: Artifact, asked: Asked, x: Floats) -> Worth | None:
    family, calibrated = family_of(asked.found[0].tp1 is not None), bool(asked.body["meta"]["calibration"])
    said = artifact.predict(family, asked.timeframe, x, plans(asked.body, asked.found), calibrated=calibrated)[0]
    if said is None:
        return None
    held = artifact.families[family].realised if calibrated else None
    return Worth(said.claimed_pct, said.ev_pct, said.ev_low_pct, said.margin_pct, held)


def _moved(artifact: Artifact, asked: Asked, x: Floats, most: int) -> list[Moved]:
    c = asked.found[0]
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
