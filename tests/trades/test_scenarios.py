"""Every sentence of rules 19c to 29 on bars one can check in the head, long and mirrored."""

import pytest

from core.trades import lifecycle
from core.trades.lifecycle import REASON_NAMES, STATUS_NAMES, delist, new_state
from tests.trades.scenarios import (
    ALL,
    FILLED,
    MINUTE,
    PLAN,
    QUIET,
    T0,
    TO_TP1,
    Scenario,
    both,
    names,
    run,
    run_step_by_step,
    wrong,
)

TABLE = [pytest.param(s, id=s.name, marks=pytest.mark.covers(*names(s))) for s in ALL]


@pytest.mark.parametrize("s", TABLE)
def test_scenario_walked_at_once(s: Scenario) -> None:
    assert wrong(s, run(s)) == []


@pytest.mark.parametrize("s", TABLE)
def test_scenario_minute_by_minute(s: Scenario) -> None:
    assert wrong(s, run_step_by_step(s)) == []
    assert run_step_by_step(s) == run(s)


@pytest.mark.parametrize("s", TABLE)
def test_a_finished_plan_never_changes_again(s: Scenario) -> None:
    state, k = run(s), s.plan()
    if lifecycle.finished(state):
        assert lifecycle.step(state, k, T0 + 99 * MINUTE, 50.0, 150.0, 50.0, 150.0, 1.0) == state
        assert lifecycle.expire(state, k, T0 + 99 * MINUTE) == state
        assert delist(state, k, T0 + 99 * MINUTE, 100.0) == state


@pytest.mark.covers("rule 20", "rule 25")
def test_every_end_and_every_reason_but_delisted_occurs_in_the_table() -> None:
    ends = {tuple(s.end.split()) for s in ALL}
    assert {end[0] for end in ends} == set(STATUS_NAMES)
    assert {end[1] for end in ends if len(end) > 1} == set(REASON_NAMES) - {"", "delisted"}


DELISTED = both([
    Scenario("open", "25", (FILLED,), "TIME delisted", fill=(0, 100), exit=(0, 100.5), best=100.5, worst=99.5),
    Scenario("after TP1", "25", (FILLED, TO_TP1), "TIME delisted", fill=(0, 100), tp1=(1, 104), exit=(1, 100.5)),
    Scenario("pending", "25", (QUIET,), "EXPIRED delisted", closed=0),
])


@pytest.mark.covers("rule 25")
@pytest.mark.parametrize("s", DELISTED, ids=lambda s: s.name)
def test_delisted_at_the_last_minute(s: Scenario) -> None:
    last = 99.5 if s.short else 100.5
    state = delist(run(s), s.plan(), s.minutes()[-1][0], last)
    assert wrong(s, state) == []


@pytest.mark.covers("rule 25")
def test_delisted_before_any_minute_of_its_life_expires_at_the_last_stored_one() -> None:
    state = delist(new_state(PLAN), PLAN, T0 - MINUTE, 100.0)
    assert (STATUS_NAMES[state.status], REASON_NAMES[state.reason]) == ("EXPIRED", "delisted")
    assert state.closed_ts == T0 - MINUTE
