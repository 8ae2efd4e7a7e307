"""A whole model as the gate uses it: boosters, calibrator, payoffs and what EV brought, to plain files and back."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from core.candles import Floats, Ints
from core.errors import ArtifactError, DataError
from core.meta.calibration import Calibrator
from core.meta.ev import ALL, MARGIN_R, Payoffs
from core.meta.model import Model
from core.meta.realised import Realised
from core.meta.samples import TARGETS, TRAILED
from core.signals import features

CHECK_ROWS = 5
TOLERANCE = 1e-9

_CALIBRATOR, _PAYOFFS, _REALISED = "calibrator.json", "payoffs.json", "realised.json"


@dataclass(frozen=True, eq=False)
class Family:
    """What judges the plans of one family. payoffs: by timeframe, ALL for those without their own."""

    model: Model
    calibrator: Calibrator
    payoffs: Mapping[str, Payoffs]
    realised: Realised


class Predicted(NamedTuple):
    """One row: raw score, p and its lower bound, expected value and its lower bound (percent of the notional) as
    they count, how much EV grows from p = 0 to 1, EV as p and payoffs claim it, and the margin asked of it."""

    p_raw: float
    p: float
    p_low: float
    ev_pct: float
    ev_low_pct: float
    ev_per_p: float
    claimed_pct: float
    margin_pct: float


class Plans(NamedTuple):
    """What of the plans decides their payoff, (n,): stop distance (percent of the entry), rr1 (NaN without
    targets), costs in R."""

    risk_pct: Floats
    rr1: Floats
    cost_r: Floats


@dataclass(frozen=True, eq=False)
class Artifact:
    """A model ready to score. columns: where its features stand in the table of this program."""

    id: str
    card: Mapping[str, Any]
    families: Mapping[str, Family]
    columns: Ints

    @property
    def data_end(self) -> int:
        """When the last result it learned from was known (ms UTC): earlier decisions are in-sample."""
        return int(self.card["data"]["end"])

    def predict(
        self, family: str, tf: str, x: Floats, plans: Plans, *, calibrated: bool = True
    ) -> list[Predicted | None]:
        """Judge plans of one family and timeframe; None where no finite number comes out.

        x: (n, k) of this program's feature table, NaN = not known. calibrated: False shows the raw score as p and
        EV as that claims it. Raises ArtifactError where the model cannot.
        """
        used = self.families[family]
        pays = used.payoffs.get(tf) or used.payoffs[ALL]
        try:
            raw = used.model.score(x[:, self.columns])
        except (DataError, ValueError) as error:  # XGBoost's own error is a ValueError
            raise ArtifactError(f"model {self.id} cannot score: {error}") from error
        p, low = (used.calibrator.apply(raw), used.calibrator.lower(raw)) if calibrated else (raw, raw)
        none, all_, risk = np.zeros(len(raw)), np.ones(len(raw)), plans.risk_pct
        per_p = pays.ev_pct(all_, *plans) - pays.ev_pct(none, *plans)
        claimed, worst = (pays.ev_r(chance, plans.rr1, plans.cost_r) for chance in (p, low))
        worth, least = used.realised.counted(claimed, worst, plans.cost_r) if calibrated else (claimed, worst)
        columns = (raw, p, low, worth * risk, least * risk, per_p, claimed * risk, MARGIN_R * risk)
        rows = [Predicted(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]
        return [row if all(map(math.isfinite, row)) else None for row in rows]

    def contributions(self, family: str, x: Floats) -> dict[str, Floats]:
        """What each feature moved the raw margin by, (n,) by name, and `bias`; from XGBoost's own contributions."""
        used = self.families[family]
        table = used.model.contributions(x[:, self.columns])
        return {name: table[:, i] for i, name in enumerate((*used.model.names, "bias"))}


def family_of(has_targets: bool) -> str:
    """The family that judges a plan with, or without, targets."""
    return TARGETS if has_targets else TRAILED


def pack(
    families: Mapping[str, Family], card: Mapping[str, Any], probe: Mapping[str, Floats]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The card and the files of a new model, for `registry.save`.

    card: `created_ts`, `data` {start, end (ms), hash, n}, `config_hash`, `config` (the decision body trained
    under), `versions`, `metrics`, and `families` with at least `n`, `n_calibrate` and `evidence` of each. Added
    here: features and their version, what the boosters need, and the self-check: the answers to `probe` (rows
    of this program's feature table by family). Raises DataError for features that this program does not make.
    """
    names = next(iter(families.values())).model.names
    columns = _columns(names, features.VERSION)
    told: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for family, f in families.items():
        f.model.check_names(names)
        rows = np.asarray(probe[family][:CHECK_ROWS], dtype=np.float64)
        told[family] = {
            **card.get("families", {}).get(family, {}),
            "model": f.model.meta(),
            "self_check": _answers(f, rows[:, columns]),
        }
        files |= {f"model_{family}_{seed}.ubj": blob for seed, blob in f.model.blobs().items()}
    files[_CALIBRATOR] = _json({name: f.calibrator.to_dict() for name, f in families.items()})
    files[_PAYOFFS] = _json(
        {name: {tf: asdict(pays) for tf, pays in f.payoffs.items()} for name, f in families.items()}
    )
    files[_REALISED] = _json({name: f.realised.to_dict() for name, f in families.items()})
    own = {"kind": "meta", "features": list(names), "feature_version": features.VERSION, "families": told}
    return {**card, **own}, files


def unpack(id: str, card: Mapping[str, Any], files: Mapping[str, bytes]) -> Artifact:
    """A model from its card and files, after it has given its own answers again (to 1e-9).

    Raises ArtifactError: not a model of this program, other features, or another answer than when it was made.
    """
    try:
        if card.get("kind") != "meta":
            raise ArtifactError("it is not a model of the gate")
        columns = _columns([str(name) for name in card["features"]], card["feature_version"])
        if _REALISED not in files:
            raise ArtifactError("its EV was never held against results, so it would trade on noise: train a new one")
        calibrators, pays, held = (json.loads(files[name]) for name in (_CALIBRATOR, _PAYOFFS, _REALISED))
        families = {
            name: _family(name, told, files, calibrators[name], pays[name], held[name])
            for name, told in card["families"].items()
        }
        if not families or int(card["data"]["end"]) < int(card["data"]["start"]):
            raise ArtifactError("its card names no family, or data that end before they begin")
        for name, family in families.items():
            family.model.check_names(card["features"])
            _check(name, family, card["families"][name]["self_check"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ArtifactError(
            f"model {id} cannot be used: its files do not fit together ({type(error).__name__}: {error}). "
            "Train a new one, or go back: `python -m core models rollback`"
        ) from error
    except (ArtifactError, DataError) as error:
        raise ArtifactError(f"model {id} cannot be used: {error}") from error
    return Artifact(id, card, families, columns)


def _family(name: str, told: Mapping[str, Any], files: Mapping[str, bytes], calibrator: Mapping[str, Any],
            pays: Mapping[str, Any], held: Mapping[str, Any]) -> Family:
    if name not in (TARGETS, TRAILED):
        raise ArtifactError(f"it knows a family {name!r} that this program does not")
    meta, _n = told["model"], int(told["n"]) + int(told["n_calibrate"])
    blobs = {str(seed): files[f"model_{name}_{seed}.ubj"] for seed in meta["seeds"]}
    known = {tf: Payoffs(**row) for tf, row in pays.items()}
    if ALL not in known:
        raise ArtifactError(f"it has no payoffs for {name}")
    return Family(Model.from_blobs(blobs, meta), Calibrator.from_dict(calibrator), known, Realised.from_dict(held))


def _columns(names: Sequence[str], version: object) -> Ints:
    # In the program's own order: a model that was trained on another order would score nonsense.
    if version != features.VERSION:
        raise ArtifactError(
            f"it was trained on features of version {version}, this program makes version {features.VERSION}: "
            "train a new one"
        )
    unknown = [name for name in names if name not in features.NAMES]
    if unknown:
        raise ArtifactError(f"it wants features this program does not make ({', '.join(unknown)}): train a new one")
    columns = np.array([features.NAMES.index(name) for name in names], dtype=np.int64)
    if not len(columns) or not (np.diff(columns) > 0).all():
        raise ArtifactError("its features are not in this program's order: train a new one")
    return columns


def _answers(family: Family, x: Floats) -> dict[str, Any]:
    raw = family.model.score(x)
    p, low = family.calibrator.apply(raw), family.calibrator.lower(raw)
    rows = [[None if math.isnan(v) else v for v in row] for row in x.tolist()]
    return {"x": rows, "raw": raw.tolist(), "p": p.tolist(), "p_low": low.tolist()}


def _check(name: str, family: Family, expected: Mapping[str, Any]) -> None:
    x = np.array([[math.nan if v is None else v for v in row] for row in expected["x"]], dtype=np.float64)
    if not len(x):
        raise ArtifactError("it has no self-check")
    found = _answers(family, x)
    for key in ("raw", "p", "p_low"):
        off = float(np.max(np.abs(np.array(found[key]) - np.array(expected[key], dtype=np.float64))))
        if not off <= TOLERANCE:
            raise ArtifactError(
                f"it answers otherwise than when it was made ({name}: {key} off by {off:.3g}), perhaps because a "
                "library changed: train a new one, or install the versions its card names"
            )


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode()
