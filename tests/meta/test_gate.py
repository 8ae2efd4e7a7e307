"""The verdict: admission, observe-only, expected value or p, and the lower bound."""

import math
from dataclasses import replace

import pytest

from core.meta.gate import FILTER_OFF, UNGATED, Policy, Score, is_ungated, judge

SCORE = Score(0.55, 0.58, 0.52, 0.31, 0.08, "m1", "weak", 2.0)
PAIR = "pair BTC/USDT:USDT 15m"


def policy(limit: float = 0.0, use_ev: bool = True, **more: object) -> Policy:
    return Policy(use_ev, limit, PAIR, **more)  # type: ignore[arg-type]


@pytest.mark.covers("rule 17")
def test_without_a_model_the_verdict_is_that_of_admission_and_says_so() -> None:
    assert (judge(None, True).passed, judge(None, True).reason) == (True, UNGATED)
    assert (judge(None, False).passed, judge(None, False).reason) == (True, FILTER_OFF)
    refused = judge("cost_r 0.4 > max_cost_r 0.15", True)
    assert (refused.passed, refused.reason, refused.model) == (False, "cost_r 0.4 > max_cost_r 0.15", None)


@pytest.mark.covers("rule 17", "I3")
def test_admission_refuses_first_and_the_score_is_kept_all_the_same() -> None:
    found = judge("cost_r 0.4 > max_cost_r 0.15", True, SCORE, policy())
    assert not found.passed and found.reason.startswith("cost_r")
    assert (found.p_raw, found.p, found.ev_pct, found.model) == (0.55, 0.58, 0.31, "m1")


@pytest.mark.covers("rule 17", "I5")
@pytest.mark.parametrize(
    ("use_ev", "limit", "passed", "reason"),
    [
        (True, 0.05, True, f"ev 0.31 >= min_ev_pct 0.05 ({PAIR})"),
        (True, 0.40, False, f"ev 0.31 < min_ev_pct 0.40 ({PAIR})"),
        (True, 0.20, False, f"ev_low 0.08 <= min_ev_pct 0.20 ({PAIR})"),
        (True, 0.08, False, f"ev_low 0.08 <= min_ev_pct 0.08 ({PAIR})"),
        (True, 0.311, False, f"ev 0.310 < min_ev_pct 0.311 ({PAIR})"),
        (False, 0.50, True, f"p 0.58 >= threshold 0.50 ({PAIR})"),
        (False, 0.55, False, f"p_low 0.52 <= threshold 0.55 ({PAIR})"),
        (False, 0.60, False, f"p 0.58 < threshold 0.60 ({PAIR})"),
    ],
)
def test_value_and_lower_bound_must_both_pass(use_ev: bool, limit: float, passed: bool, reason: str) -> None:
    found = judge(None, True, SCORE, policy(limit, use_ev))
    assert (found.passed, found.reason) == (passed, reason)
    assert (found.p, found.ev_pct, found.model) == (SCORE.p, SCORE.ev_pct, "m1")


@pytest.mark.covers("rule 17", "I5")
def test_the_expected_value_must_exceed_its_limit_by_the_margin_and_p_need_not() -> None:
    def score(ev_pct: float, low: float = 0.25) -> Score:
        return Score(0.55, 0.58, 0.52, ev_pct, low, "m1", "weak", 2.0, margin_pct=0.05)

    passed = judge(None, True, score(0.35), policy(0.30))
    assert passed.passed is False and passed.reason == f"ev_low 0.25 <= min_ev_pct 0.30 ({PAIR})"
    passed = judge(None, True, score(0.35, 0.31), policy(0.30))
    assert passed.passed and passed.reason == f"ev 0.35 >= min_ev_pct 0.30 + margin 0.050 ({PAIR})"
    refused = judge(None, True, score(0.34, 0.31), policy(0.30))
    assert refused.reason == f"ev 0.34 < min_ev_pct 0.30 + margin 0.050 ({PAIR})"
    assert judge(None, True, replace(score(0.34, 0.31), margin_pct=0.0), policy(0.30)).passed, "its clean twin"
    assert judge(None, True, score(0.0), policy(0.50, use_ev=False)).passed


@pytest.mark.covers("I5")
def test_no_edge_at_all_is_not_let_through_by_a_limit_of_zero() -> None:
    nothing = Score(0.5, 0.5, 0.5, 0.0, 0.0, "m1")
    assert judge(None, True, nothing, policy(0.0)).reason == f"ev_low 0.00 <= min_ev_pct 0.00 ({PAIR})"


def test_what_is_not_a_number_never_passes() -> None:
    for broken in (SCORE.__class__(math.nan, math.nan, math.nan, math.nan, math.nan, "m1"),
                   SCORE.__class__(0.5, 0.6, math.nan, 0.3, math.nan, "m1")):
        assert not judge(None, True, broken, policy()).passed
        assert not judge(None, True, broken, policy(0.5, use_ev=False)).passed


@pytest.mark.covers("rule 17")
def test_observe_only_passes_shows_and_says_why() -> None:
    strict = policy(5.0, observe="812 of 1,000 closed plans")
    found = judge(None, True, SCORE, strict)
    assert found.passed and found.reason == "ungated: 812 of 1,000 closed plans" and found.p == SCORE.p
    assert not judge(None, True, SCORE, policy(5.0)).passed, "the same score, acted on"
    assert judge(None, True, None, policy()).reason == "ungated: the model gave no score"
    assert is_ungated(found.reason) and is_ungated(UNGATED) and not is_ungated(FILTER_OFF)
    assert not is_ungated("ungatedly yours") and not is_ungated(None)


def test_drift_raises_what_is_asked_by_what_that_much_of_p_is_worth() -> None:
    assert judge(None, True, SCORE, policy(0.0, raised_p=0.03)).passed
    refused = judge(None, True, SCORE, policy(0.0, raised_p=0.05))  # 0.05 x 2.0 = 0.10 % of EV
    assert refused.reason == f"ev_low 0.08 <= min_ev_pct 0.10 ({PAIR}, raised for drift)"
    assert judge(None, True, SCORE, policy(0.5, use_ev=False, raised_p=0.03)).reason.startswith("p_low 0.52 <= ")


def test_rows_the_model_may_have_learned_from_are_marked_scored_or_not() -> None:
    assert judge(None, True, SCORE, policy(in_sample=True)).in_sample
    assert judge("hole", True, None, policy(in_sample=True)).in_sample
    assert not judge(None, True, SCORE, policy()).in_sample
