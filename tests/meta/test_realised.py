"""A claim counts for no more than such claims brought, and what it was held against is kept with the model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.engine import training
from core.engine.figures import Rule, score
from core.errors import ArtifactError, DataError
from core.meta import artifact, realised
from core.meta.realised import Realised, hold
from core.meta.samples import TARGETS
from core.trades.performance import WEEK
from tests.meta import toy_models as toys
from tests.meta.makers import COST, JAN, candidates, times


def slice_of(n: int, seed: int, share: float, spread: float = 0.3, luck: float = 0.0) -> tuple[np.ndarray, ...]:
    """Claims (net R), results, costs and times of n plans: `share` of what is claimed beyond zero arrives, and the
    plans of a week share their fortune."""
    rng = np.random.default_rng(seed)
    t0, _ = times(n, rng, days=200.0)
    cost = rng.uniform(0.02, 0.2, n)
    claimed = rng.normal(0.0, spread, n)
    week = (t0 - JAN) // WEEK
    fortune = rng.normal(0.0, luck, int(week.max()) + 1)[week] if luck else 0.0
    r = share * claimed + fortune + rng.normal(0.0, 1.0, n) - cost
    return claimed - cost, r, cost, t0


@pytest.mark.covers("I5", "D17")
def test_claims_that_bring_nothing_count_for_what_the_average_plan_brought() -> None:
    claimed, r, cost, t0 = slice_of(4000, 1, share=0.0)
    worth, low = hold(claimed, r, cost, t0).counted(claimed, claimed - 0.05, cost)
    assert (claimed > 0.1).mean() > 0.2, "a fifth of the plans are claimed to earn ..."
    assert np.max(worth + cost) < 0.1 and not np.any(low > 0.0), "... and none of it counts"


@pytest.mark.covers("I5")
def test_claims_that_arrive_are_left_as_they_are() -> None:
    claimed, r, cost, t0 = slice_of(4000, 2, share=1.0)
    found = hold(claimed, r, cost, t0)
    worth, low = found.counted(claimed, claimed, cost)
    assert 0.85 < found.slope <= 1.0 and abs(found.level - found.middle) < 0.05
    assert np.abs(worth - claimed).mean() < 0.05 and np.all(worth <= claimed)
    assert (low > 0.0).sum() > 0.6 * (claimed > 0.0).sum(), "a real edge keeps its power"


def test_half_of_a_claim_arrives_and_half_counts() -> None:
    claimed, r, cost, t0 = slice_of(20000, 3, share=0.5)
    found = hold(claimed, r, cost, t0)
    assert found.slope == pytest.approx(0.5, abs=0.06)
    assert found.mean(np.array([0.5]), np.array([0.1]))[0] == pytest.approx(0.5 * 0.6 - 0.1, abs=0.06)


def test_it_is_the_least_squares_line_of_results_before_costs_on_claims_before_costs() -> None:
    claimed, r, cost, t0 = slice_of(500, 4, share=0.7)
    found = hold(claimed, r, cost, t0)
    slope, level = np.polyfit(claimed + cost, r + cost, 1)
    assert found.slope == pytest.approx(slope) and found.level - found.slope * found.middle == pytest.approx(level)
    assert found.mean(claimed, cost) == pytest.approx(slope * (claimed + cost) + level - cost)


def test_a_slope_that_points_the_wrong_way_is_read_as_none_and_one_too_steep_as_one() -> None:
    claimed, r, cost, t0 = slice_of(3000, 5, share=-1.0)
    wrong, steep = hold(claimed, r, cost, t0), hold(*slice_of(3000, 5, share=2.0))
    assert wrong.slope == 0.0 and wrong.cov[1:] == (0.0, 0.0) and steep.slope == 1.0
    assert np.ptp(wrong.mean(claimed, cost) + cost) == pytest.approx(0.0)


@pytest.mark.covers("I5")
def test_the_bound_holds_its_level_where_weeks_hang_together_and_single_plans_would_not() -> None:
    above, alone = 0, 0
    at, free = np.array([0.1]), np.zeros(1)
    for seed in range(200):
        claimed, r, cost, t0 = slice_of(800, 100 + seed, share=0.5, luck=0.25)
        found = hold(claimed, r, cost, t0)
        above += found.lower(at, free)[0] > 0.05
        alone += hold(claimed, r, cost, JAN + np.arange(800) * WEEK).lower(at, free)[0] > 0.05
    assert above <= 18 < alone  # of 200: nominal 10, two errors more


def test_a_favourable_slice_raises_no_claim() -> None:
    claimed, r, cost, t0 = slice_of(3000, 6, share=1.0)
    worth, low = hold(claimed, r + 0.5, cost, t0).counted(claimed, claimed - 0.02, cost)
    assert np.array_equal(worth, claimed) and np.all(low <= claimed - 0.02)


def test_a_dearer_plan_is_worth_less_by_its_costs_whatever_the_slope() -> None:
    found = Realised(100, 10, 0.1, 0.02, 0.0, (0.0, 0.0, 0.0))
    assert found.mean(np.array([0.0, -0.1]), np.array([0.1, 0.2])) == pytest.approx([-0.08, -0.18])


def test_few_weeks_widen_the_bound_and_equal_claims_are_no_trouble() -> None:
    claimed, r, cost, t0 = slice_of(400, 7, share=0.5)
    few = hold(claimed, r, cost, JAN + (np.arange(400) % 6) * WEEK)
    assert few.reach == pytest.approx(2.015, abs=0.02), "Student's quantile of five degrees"
    one = hold(claimed, r, cost, np.full(400, JAN))
    assert one.weeks == 1 and one.reach == pytest.approx(1.6487, abs=0.001), "of single plans: weeks say nothing"
    same = hold(np.full(400, -0.1), r, np.full(400, 0.1), t0)
    assert same.slope == 0.0 and np.isfinite(same.lower(np.zeros(1), np.zeros(1))).all()


def test_too_few_rows_and_numbers_that_are_none_are_refused() -> None:
    claimed, r, cost, t0 = slice_of(100, 8, share=0.5)
    with pytest.raises(DataError, match="29 plans are too few"):
        hold(claimed[:29], r[:29], cost[:29], t0[:29])
    with pytest.raises(DataError, match="finite"):
        hold(np.where(np.arange(100) == 3, np.nan, claimed), r, cost, t0)
    with pytest.raises(DataError, match="one length"):
        hold(claimed, r[:99], cost, t0)


@pytest.mark.covers("D19")
def test_files_give_it_back_to_the_bit_and_impossible_ones_are_refused() -> None:
    found = hold(*slice_of(500, 9, share=0.4))
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert Realised.from_dict(json.loads(text)) == found
    good = found.to_dict()
    for change in ({"slope": 1.5}, {"slope": -0.1}, {"cov": [0.1, 0.0]}, {"cov": [-1.0, 0.0, 0.0]}, {"reach": -1.0},
                   {"level": float("nan")}, {"n": "x"}, {"n": -1}):
        with pytest.raises(ArtifactError, match="train a new one"):
            Realised.from_dict({**good, **change})
    with pytest.raises(ArtifactError):
        Realised.from_dict({})


@pytest.mark.covers("I5", "D17")
def test_the_trap_of_the_overrun_limit_order_plans_that_win_more_often_and_earn_nothing_more() -> None:
    # A feature tells how far the price has overrun the entry: far means a better fill but a wider way to go, so
    # less often a win and more of it. p is right; one payoff for all reads its spread as profit.
    def passing(gain: float) -> float:
        s, _ = candidates(6000, 31, "none", k=6)
        rng, z = np.random.default_rng(31), s.x[:, 0]
        p = 1.0 / (1.0 + np.exp(-0.8 * z))
        size = 1.0 / np.maximum(p, 0.2) - 1.0 if not gain else np.full(len(s), gain)
        r = np.where(rng.random(len(s)) < p, size, -1.0) - COST
        s = replace(s, r=r, pnl_pct=r * s.risk_pct, win=r > 0)
        made = training.fit(s, np.arange(3500), np.arange(3500, 4500), training.PARAMS[TARGETS], 1)
        late = s.take(np.arange(4600, 6000))
        return float(score(made, None, late, np.ones(len(late), bool)).gated(Rule(True, 0.0)).mean())

    assert passing(gain=0.0) == 0.0, "a fair game, whatever p"
    assert passing(gain=1.0) > 0.25, "the clean twin: the same p with an edge behind it"


def test_student_is_the_quantile_of_the_tables() -> None:
    assert [realised.student(k) for k in (4, 8, 20, 1000)] == pytest.approx([2.132, 1.860, 1.725, 1.646], abs=0.02)


@pytest.mark.covers("D19")
def test_a_model_from_before_its_ev_was_held_against_results_is_refused(tmp_path: Path) -> None:
    folder = toys.save(tmp_path)
    files = {name: data for name, data in folder.files.items() if name != "realised.json"}
    assert artifact.unpack(folder.id, folder.card, folder.files).families
    with pytest.raises(ArtifactError, match=r"never held against results.*train a new one"):
        artifact.unpack(folder.id, folder.card, files)


@pytest.mark.covers("I5", "D17")
def test_the_model_that_scores_live_counts_its_ev_as_the_figures_do(tmp_path: Path) -> None:
    x, plans = toys.rows(20, 3), artifact.Plans(np.full(20, 2.0), np.full(20, 1.0), np.full(20, 0.1))
    found = artifact.unpack("m", *_parts(tmp_path))
    held = replace(toys.AS_CLAIMED, slope=0.25, level=-0.2, cov=(0.01, 0.0, 0.02))
    family = replace(found.families[TARGETS], realised=held)
    rows = replace(found, families={TARGETS: family}).predict(TARGETS, "1h", x, plans)
    for was, row in zip(found.predict(TARGETS, "1h", x, plans), rows, strict=True):
        assert was is not None and row is not None and was.ev_pct == pytest.approx(was.claimed_pct)
        claimed = np.array([row.claimed_pct / 2.0])
        assert row.claimed_pct == was.claimed_pct and row.margin_pct == pytest.approx(0.1)
        assert row.ev_pct == pytest.approx(2.0 * min(claimed[0], held.mean(claimed, np.array([0.1]))[0]))
        assert row.ev_low_pct <= row.ev_pct <= was.ev_pct
    raw = replace(found, families={TARGETS: family}).predict(TARGETS, "1h", x, plans, calibrated=False)
    assert all(r is not None and r.ev_pct == r.claimed_pct for r in raw), "the raw score is shown as it claims"


def _parts(root: Path) -> tuple[Any, Any]:
    folder = toys.save(root)
    return folder.card, folder.files
