"""The boosters: shallow XGBoost trees of a few seeds, averaged in margin space, kept as plain bytes.

XGBoost is imported when first needed, with scikit-learn and pandas kept out of the process: they are not
needed to train or to score, and cost 130 MB and two seconds. Nothing here is ever pickled.
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from core.candles import Floats, Ints
from core.errors import ArtifactError, ConfigError, DataError
from core.meta.pairs import Pair, extend, find, fold_back, from_list, to_list
from core.meta.pairs import names as pair_names

WIN, R = "win", "r"


@dataclass(frozen=True, slots=True)
class ModelParams:
    """How the boosters are grown; the defaults are those that did best on planted edges of weak markets.

    target: "win" (logistic) or "r" (squared error on the net R clipped at +-clip_r, for setups whose
    result has a fat tail). seeds: boosters averaged. pairs: how many products of two features may be added
    where they are beyond chance (`pairs.find`), 0 = none. Rounds are fixed: no early stopping, so a booster
    is always used with all its trees.
    """

    target: str = WIN
    max_depth: int = 2
    eta: float = 0.03
    rounds: int = 150
    subsample: float = 0.7
    colsample: float = 0.5
    min_child_weight: float = 30.0
    reg_lambda: float = 5.0
    clip_r: float = 3.0
    seeds: int = 3
    pairs: int = 4

    def __post_init__(self) -> None:
        if self.target not in (WIN, R):
            raise ConfigError(f"target must be {WIN!r} or {R!r}, not {self.target!r}")
        if min(self.max_depth, self.rounds, self.seeds) < 1 or self.clip_r <= 0:
            raise ConfigError("max_depth, rounds, seeds and clip_r must be positive")
        if self.pairs < 0:
            raise ConfigError("pairs must be 0 or more")


@dataclass(frozen=True, eq=False)
class Model:
    """Boosters of one family. names: the features in order. seeds, boosters: one each, in order.

    pairs: products of features that the boosters see as columns behind the others.
    """

    names: tuple[str, ...]
    params: ModelParams
    pairs: tuple[Pair, ...]
    seeds: tuple[int, ...]
    boosters: tuple[Any, ...]

    @property
    def link(self) -> str:
        """What `calibration.fit_calibrator` must know of the scores: "logit" of a p, or "identity"."""
        return "logit" if self.params.target == WIN else "identity"

    def margin(self, x: Floats) -> Floats:
        """Mean margin of the boosters, float64 (n,): log odds for "win", expected clipped R for "r".

        x: (n, k) in the order of `names`, NaN = not known. Raises DataError for another width or infinity.
        """
        wide = extend(_checked(x, len(self.names)), self.pairs)
        if not len(wide):
            return np.empty(0)
        rows = [b.inplace_predict(wide, predict_type="margin").astype(np.float64) for b in self.boosters]
        return np.asarray(np.mean(rows, axis=0))

    def score(self, x: Floats) -> Floats:
        """Raw score, float64 (n,): for "win" the uncalibrated probability, for "r" the expected clipped R."""
        margin = self.margin(x)
        return 1.0 / (1.0 + np.exp(-margin)) if self.params.target == WIN else margin

    def contributions(self, x: Floats) -> Floats:
        """What each feature adds to the margin, (n, k + 1), the last column the bias; rows sum to `margin`.

        XGBoost's own exact tree SHAP values (Lundberg et al. 2018), averaged over the boosters; what a pair
        adds goes half to each of its two features.
        """
        wide = extend(_checked(x, len(self.names)), self.pairs)
        matrix = _xgboost().DMatrix(wide, feature_names=_columns(self.names, self.pairs), nthread=1)
        table = np.mean([b.predict(matrix, pred_contribs=True).astype(np.float64) for b in self.boosters], axis=0)
        return fold_back(table, self.pairs, len(self.names))

    def importance(self) -> dict[str, float]:
        """Share of the total gain by column, features in order, then pairs; sums to 1 unless no tree split."""
        gains = dict.fromkeys(_columns(self.names, self.pairs), 0.0)
        for booster in self.boosters:
            for name, gain in booster.get_score(importance_type="total_gain").items():
                gains[name] += gain
        whole = sum(gains.values())
        return {name: gain / whole if whole > 0 else 0.0 for name, gain in gains.items()}

    def check_names(self, names: Sequence[str]) -> None:
        """Refuse to score columns other than those trained on. Raises ArtifactError naming the difference."""
        if tuple(names) != self.names:
            lost, new = sorted(set(self.names) - set(names)), sorted(set(names) - set(self.names))
            raise ArtifactError(f"the model was trained on other features (no longer there: {lost or 'none'}, new: "
                                f"{new or 'none'}, order {'kept' if lost or new else 'changed'}); train a new one")

    def blobs(self) -> dict[str, bytes]:
        """One file's bytes per booster, under the text of its seed: XGBoost's UBJSON."""
        return {str(s): bytes(b.save_raw("ubj")) for s, b in zip(self.seeds, self.boosters, strict=True)}

    def meta(self) -> dict[str, Any]:
        """What `from_blobs` needs beside the bytes, as plain JSON values; SHA-256 of each blob included."""
        return {"names": list(self.names), "params": asdict(self.params), "pairs": to_list(self.pairs),
                "seeds": list(self.seeds),
                "sha256": {name: hashlib.sha256(blob).hexdigest() for name, blob in self.blobs().items()}}

    @classmethod
    def from_blobs(cls, blobs: Mapping[str, bytes], meta: Mapping[str, Any]) -> "Model":
        """The model again; scores are the same to the bit. Raises ArtifactError for what does not fit.

        The hashes are compared before XGBoost sees a byte: it ends the whole process on an empty blob and
        sometimes on a truncated one (measured, 3.2.0).
        """
        try:
            known = {f.name for f in fields(ModelParams)}
            if set(meta["params"]) != known:
                raise ArtifactError(f"model parameters differ: {sorted(set(meta['params']) ^ known)}")
            params, names = ModelParams(**meta["params"]), tuple(str(n) for n in meta["names"])
            pairs, seeds = from_list(meta["pairs"], len(names)), tuple(int(s) for s in meta["seeds"])
            hashes = {str(s): str(meta["sha256"][str(s)]) for s in seeds}
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise ArtifactError(f"the model's card cannot be read ({error}); train a new model") from error
        if not seeds:
            raise ArtifactError("the model's card names no booster; train a new model")
        columns = _columns(names, pairs)
        return cls(names, params, pairs, seeds, tuple(_booster(blobs.get(s), h, columns) for s, h in hashes.items()))


def fit(x: Floats, y: Floats, weight: Floats | None, names: Sequence[str], params: ModelParams, seed: int,
        t0: Ints | None = None) -> Model:
    """Train the boosters; the same input and seed give the same bytes.

    x: (n, k) float64, NaN = not known. y: (n,) 0/1 for "win", net R for "r". weight: (n,) positive or
    None. seed: the boosters take seed x seeds + 0, 1, .... t0: decision times, by which pairs are judged
    week by week (`pairs.find`): fewer pairs out of luck, and in a year of weeks fewer true ones, too. One thread.
    Raises DataError for no rows, one class only, values that are not finite or no usable feature.
    """
    wide, target = _checked(x, len(names)), _target(y, params)
    _check_training(wide, target, weight, params)
    xgb, pairs = _xgboost(), find(wide, target, weight, params.pairs, t0)
    matrix = xgb.DMatrix(extend(wide, pairs), target, weight=weight, feature_names=_columns(names, pairs), nthread=1)
    seeds = tuple(seed * params.seeds + i for i in range(params.seeds))
    return Model(tuple(names), params, pairs, seeds,
                 tuple(xgb.train(_settings(params) | {"seed": s}, matrix, params.rounds) for s in seeds))


def _settings(p: ModelParams) -> dict[str, Any]:
    return {"objective": "binary:logistic" if p.target == WIN else "reg:squarederror", "tree_method": "hist",
            "max_depth": p.max_depth, "eta": p.eta, "subsample": p.subsample, "colsample_bytree": p.colsample,
            "min_child_weight": p.min_child_weight, "reg_lambda": p.reg_lambda, "nthread": 1, "verbosity": 0}


def _columns(names: Sequence[str], pairs: Sequence[Pair]) -> list[str]:
    return [*names, *pair_names(pairs, names)]


def _target(y: Floats, params: ModelParams) -> Floats:
    values = np.asarray(y, dtype=np.float64)
    return values if params.target == WIN else np.clip(values, -params.clip_r, params.clip_r)


def _checked(x: Floats, width: int) -> Floats:
    if x.ndim != 2 or x.shape[1] != width:
        raise DataError(f"the model takes {width} features, got an array of shape {x.shape}")
    if np.any(np.isinf(x)):
        raise DataError(f"a feature is infinite (column {int(np.argwhere(np.isinf(x))[0][1])})")
    return np.ascontiguousarray(x, dtype=np.float64)


def _check_training(x: Floats, y: Floats, weight: Floats | None, params: ModelParams) -> None:
    if y.shape != (len(x),) or not len(x):
        raise DataError(f"nothing to train on: {len(x)} rows of features, labels of shape {y.shape}")
    if not np.all(np.isfinite(y)) or (params.target == WIN and not np.all((y == 0) | (y == 1))):
        raise DataError("labels must be finite, and 0 or 1 for the target \"win\"")
    if np.all(y == y[0]):
        raise DataError(f"all {len(y)} labels are {y[0]:g}: nothing can be learnt from one class")
    if weight is not None and (weight.shape != y.shape or not np.all(np.isfinite(weight)) or np.any(weight <= 0)):
        raise DataError("weights must be positive, finite, one per row")
    known = ~np.isnan(x)
    spread = np.where(known, x, -np.inf).max(axis=0, initial=-np.inf) > np.where(known, x, np.inf).min(axis=0,
                                                                                              initial=np.inf)
    some = known.any(axis=0)
    if not np.any((spread & some) | (some & ~known.all(axis=0))):
        raise DataError("every feature is constant or never known: nothing can be learnt from them")


def _booster(blob: bytes | None, sha: str, columns: list[str]) -> Any:
    if blob is None or hashlib.sha256(blob).hexdigest() != sha:
        raise ArtifactError("a booster's file is missing or is not the one that was saved (SHA-256 differs); "
                            "restore the model folder or train a new model")
    xgb = _xgboost()
    booster = xgb.Booster()
    try:
        booster.load_model(bytearray(blob))
    except xgb.core.XGBoostError as error:
        raise ArtifactError(f"XGBoost {xgb.__version__} cannot read a booster; train a new model") from error
    if booster.feature_names != columns:
        raise ArtifactError("a booster's features differ from the card's; train a new model")
    booster.set_param({"nthread": 1})
    return booster


def _xgboost() -> Any:
    if "xgboost" not in sys.modules:
        with _kept_out("sklearn", "pandas"):
            import xgboost
        return xgboost
    return sys.modules["xgboost"]


@contextmanager
def _kept_out(*modules: str) -> Iterator[None]:
    # A None in sys.modules makes `import` raise ImportError, which XGBoost takes as "not installed".
    blocked = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in blocked:
            if sys.modules.get(name, ...) is None:
                del sys.modules[name]
