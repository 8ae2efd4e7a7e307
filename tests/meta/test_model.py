"""The boosters: repeatable to the byte, safe from files, able to find an edge and to find none."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import ArtifactError, ConfigError, DataError
from core.meta import calibration, ev, metrics, model
from core.meta.baselines import fit_baselines, geometry_table
from core.meta.model import Model, ModelParams, fit
from core.meta.samples import uniqueness
from core.meta.splits import HOUR, final_split
from tests.meta.makers import COST, candidates

QUICK = ModelParams(rounds=40, seeds=2)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def small() -> tuple[Model, np.ndarray]:
    """A model that holds a pair, and rows to score."""
    s, _ = candidates(3000, 1, "interaction", 0.6, k=8)
    return fit(s.x, s.win * 1.0, uniqueness(s.t0, s.t1), s.names, QUICK, 7), s.x[:50]


def recovered(n: int, form: str, seed: int) -> float:
    """Share of the best possible gain at 20 % coverage that the model reaches on rows it never saw."""
    s, p = candidates(n + 8000, seed, form)
    rows = np.random.default_rng(seed).permutation(n + 8000)  # the edge is the same at all times
    seen, fresh = rows[:n], rows[n:]
    score = fit(s.x[seen], s.win[seen] * 1.0, None, s.names, ModelParams(), seed, s.t0[seen]).score(s.x[fresh])
    value, top = 2 * p[fresh] - 1 - COST, len(fresh) // 5
    gate, oracle = (value[np.argsort(-by)[:top]].mean() for by in (score, p[fresh]))
    return float((gate - value.mean()) / (oracle - value.mean()))


@pytest.mark.covers("I5")
@pytest.mark.parametrize(("n", "form", "bar"), [(2000, "linear", 0.75), (5000, "linear", 0.85),
                                                (5000, "interaction", 0.55)])
def test_a_planted_edge_is_recovered(n: int, form: str, bar: float) -> None:
    assert np.mean([recovered(n, form, seed) for seed in range(2)]) >= bar


@pytest.mark.covers("I5")
@pytest.mark.parametrize("seed", [12, 13])
def test_on_noise_nothing_is_found_and_nothing_passes(seed: int) -> None:
    s, _ = candidates(6000, seed)
    fold, y = final_split(s.t0, s.t1, embargo_ms=24 * HOUR), s.win * 1.0
    m = fit(s.x[fold.fit], y[fold.fit], uniqueness(s.t0[fold.fit], s.t1[fold.fit]), s.names, ModelParams(), seed,
            s.t0[fold.fit])
    c = calibration.fit_calibrator(m.score(s.x[fold.calibrate]), y[fold.calibrate], t0=s.t0[fold.calibrate])
    raw = m.score(s.x[fold.test])
    p, test = c.apply(raw), s.take(fold.test)
    table = ev.measure(s.take(np.concatenate([fold.fit, fold.calibrate])))
    passed = ev.expected_pct(table, test, c.lower(raw)) > ev.MARGIN_R * test.risk_pct
    assert passed.mean() <= 0.02
    assert abs(metrics.auc(raw, test.win) - 0.5) < 0.04
    plain = fit_baselines(s.take(fold.fit))
    plan = geometry_table(test.rr1, test.cost_r, test.risk_pct, test.timeframe, plain.timeframes())
    gains = metrics.brier_gains(p, y[fold.test], plain.predict(test.x, plan)["base_rate"])
    assert not metrics.block_bootstrap_mean(gains, test.t0).low > 0


@pytest.mark.covers("I5")
def test_an_edge_passes_the_gate_and_earns_what_was_claimed() -> None:
    s, _ = candidates(9000, 21, "linear", 0.8)
    fold, y = final_split(s.t0, s.t1, embargo_ms=24 * HOUR), s.win * 1.0
    m = fit(s.x[fold.fit], y[fold.fit], None, s.names, ModelParams(), 0)
    c = calibration.fit_calibrator(m.score(s.x[fold.calibrate]), y[fold.calibrate], t0=s.t0[fold.calibrate])
    raw, test = m.score(s.x[fold.test]), s.take(fold.test)
    table = ev.measure(s.take(np.concatenate([fold.fit, fold.calibrate])))
    passed = ev.expected_pct(table, test, c.lower(raw)) > ev.MARGIN_R * test.risk_pct
    assert 0.1 < passed.mean() < 0.5
    got = metrics.block_bootstrap_mean(test.pnl_pct[passed], test.t0[passed])
    assert got.low > 0
    assert got.low < ev.expected_pct(table, test, c.apply(raw))[passed].mean() < got.high


def test_the_expected_r_target_ranks_and_its_calibrator_takes_the_identity() -> None:
    s, _ = candidates(4000, 2, "linear", 0.6, k=10)
    m = fit(s.x[:3000], s.r[:3000] * 5, None, s.names, ModelParams(target=model.R), 0)
    score = m.score(s.x[3000:])
    assert m.link == calibration.IDENTITY and np.abs(score).max() < 3.0  # the results were clipped
    assert metrics.auc(score, s.win[3000:]) > 0.6
    c = calibration.fit_calibrator(score, s.win[3000:] * 1.0, link=m.link)
    assert c.a > 0 and c.apply(score).mean() == pytest.approx(s.win[3000:].mean(), abs=0.01)


def test_the_same_input_and_seed_give_the_same_bytes_and_another_seed_others(small: tuple[Model, np.ndarray]) -> None:
    s, _ = candidates(500, 3, k=5)
    a, b, c = (fit(s.x, s.win * 1.0, None, s.names, QUICK, seed) for seed in (1, 1, 2))
    assert a.blobs() == b.blobs() != c.blobs()
    assert a.seeds == (2, 3) and c.seeds == (4, 5)


def test_files_give_the_same_scores_back_to_the_bit(small: tuple[Model, np.ndarray]) -> None:
    m, x = small
    assert [(p.i, p.j) for p in m.pairs] == [(0, 1)]
    again = Model.from_blobs(m.blobs(), json.loads(json.dumps(m.meta(), allow_nan=False)))
    np.testing.assert_array_equal(again.score(x), m.score(x))
    np.testing.assert_array_equal(again.contributions(x), m.contributions(x))
    assert again.meta() == m.meta() and again.blobs() == m.blobs()


def test_one_row_scores_as_it_does_among_many(small: tuple[Model, np.ndarray]) -> None:
    m, x = small
    np.testing.assert_array_equal([m.score(x[i:i + 1])[0] for i in range(len(x))], m.score(x))
    assert m.score(x[:0]).shape == (0,)


def test_contributions_add_up_to_the_margin_feature_by_feature(small: tuple[Model, np.ndarray]) -> None:
    m, x = small
    table = m.contributions(x)
    assert table.shape == (50, len(m.names) + 1)
    assert table.sum(axis=1) == pytest.approx(m.margin(x), abs=1e-5)
    assert set(np.argsort(-np.abs(table[:, :-1]).mean(axis=0))[:2]) == {0, 1}  # the planted two
    assert m.importance()["f0*f1"] > 0.5 and sum(m.importance().values()) == pytest.approx(1.0)


def test_all_trees_are_used(small: tuple[Model, np.ndarray]) -> None:
    m, _ = small
    assert [b.num_boosted_rounds() for b in m.boosters] == [QUICK.rounds] * 2


@pytest.mark.covers("D19")
@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "foreign", "missing", "swapped"])
def test_a_damaged_booster_is_refused_before_the_library_sees_it(small: tuple[Model, np.ndarray], damage: str) -> None:
    # XGBoost 3.2 ends the whole process on an empty blob and on some truncated ones.
    m, _ = small
    blobs = m.blobs()
    first, second = sorted(blobs)
    whole = blobs[first]
    blobs[first] = {"empty": b"", "truncated": whole[:len(whole) // 2], "foreign": b'{"version": [9, 9, 9]}',
                    "flipped": whole[:99] + bytes([whole[99] ^ 1]) + whole[100:], "swapped": blobs[second],
                    "missing": whole}[damage]
    if damage == "missing":
        del blobs[first]
    with pytest.raises(ArtifactError, match="SHA-256"):
        Model.from_blobs(blobs, m.meta())


@pytest.mark.covers("D19")
def test_a_card_that_does_not_fit_is_refused(small: tuple[Model, np.ndarray]) -> None:
    m, _ = small
    good = m.meta()
    for change in ({"names": [*m.names[:-1], "other"]}, {"names": list(m.names[::-1])}, {"seeds": []}, {"params": {}},
                   {"seeds": "x"}, {"pairs": [[0, 99, 0, 0, 1, 1]]}, {"pairs": []}, {"sha256": {}},
                   {"params": good["params"] | {"new_knob": 1}}, {"params": good["params"] | {"target": "magic"}}):
        with pytest.raises(ArtifactError):
            Model.from_blobs(m.blobs(), good | change)
    with pytest.raises(ArtifactError):
        Model.from_blobs(m.blobs(), {})
    foreign = b"not a model"
    with pytest.raises(ArtifactError, match="cannot read"):  # hashed as it is, but nothing XGBoost wrote
        Model.from_blobs(dict.fromkeys(m.blobs(), foreign), good | {
            "sha256": dict.fromkeys(good["sha256"], hashlib.sha256(foreign).hexdigest())})


def test_other_features_than_those_trained_on_are_refused_by_name(small: tuple[Model, np.ndarray]) -> None:
    m, x = small
    m.check_names(m.names)
    with pytest.raises(ArtifactError, match=r"no longer there: .'f7'.*new: .'z'"):
        m.check_names((*m.names[:-1], "z"))
    with pytest.raises(ArtifactError, match="order changed"):
        m.check_names(m.names[::-1])
    with pytest.raises(DataError, match="8 features"):
        m.score(x[:, :7])
    with pytest.raises(DataError, match=r"infinite .column 2"):
        m.score(np.where(np.arange(8) == 2, np.inf, x))


def test_what_cannot_be_trained_on_is_refused() -> None:
    s, _ = candidates(200, 4, k=3)
    y, flat = s.win * 1.0, np.column_stack([np.full(200, 2.0), np.full(200, np.nan), np.zeros(200)])
    for x, labels, weight, says in (
            (s.x, np.ones(200), None, "one class"), (s.x, y * 2, None, "0 or 1"), (flat, y, None, "constant or never"),
            (s.x[:0], y[:0], None, "nothing to train on"), (s.x, y[1:], None, "nothing to train on"),
            (s.x, y, np.zeros(200), "weights"), (s.x, y, np.ones(3), "weights"),
            (s.x, np.where(y > 0, np.nan, y), None, "finite"), (s.x * np.inf, y, None, "infinite")):
        with pytest.raises(DataError, match=says):
            fit(x, labels, weight, s.names, QUICK, 0)
    some = np.where(np.arange(200)[:, None] % 2 == 0, np.nan, 1.0)  # known or not can itself tell something
    assert fit(np.repeat(some, 3, axis=1), y, None, s.names, QUICK, 0).score(s.x).shape == (200,)


@pytest.mark.parametrize("wrong", [{"target": "luck"}, {"rounds": 0}, {"seeds": 0}, {"clip_r": 0.0}, {"pairs": -1}])
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ModelParams(**wrong)  # type: ignore[arg-type]


def test_scoring_and_training_bring_in_neither_sklearn_nor_pandas_and_both_still_import_later() -> None:
    # 64 MB and a second of CPU instead of 192 MB and five.
    code = """
import importlib.util
import sys
import numpy as np
from core.meta import baselines, calibration, drift, ev, leakage, metrics, model, samples, splits, trials
assert "xgboost" not in sys.modules and "scipy" not in sys.modules
rng = np.random.default_rng(0)
x = rng.normal(size=(300, 3))
m = model.fit(x, (rng.random(300) < 0.5) * 1.0, None, "abc", model.ModelParams(rounds=5), 0)
m = model.Model.from_blobs(m.blobs(), m.meta())
m.score(x), m.contributions(x)
heavy = {"sklearn", "pandas", "pyarrow", "joblib"} & {name.split(".")[0] for name in sys.modules}
assert not heavy, heavy
assert all(importlib.util.find_spec(name) for name in ("sklearn", "pandas"))  # no block is left behind
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr
