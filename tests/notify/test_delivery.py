"""None lost, order kept, a repeat only where an answer was lost, and then labelled."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import VirtualClock
from core.notify.delivery import LONGEST_WAIT, PARKED_WAIT, STRIKES, Deliverer
from core.notify.messages import REPEAT
from core.timeframe import DAY, HOUR, MINUTE
from tests.notify.channel import Channel, Doomed, Killed, drain, judge
from tests.notify.memory_outbox import MemoryOutbox, NoUnknown, SentBeforeSending
from tests.notify.samples import T

Rig = tuple[MemoryOutbox, Channel, VirtualClock, Deliverer]


def rig(answers: Any = (), n: int = 3, outbox: MemoryOutbox | None = None) -> Rig:
    outbox, channel, clock = outbox or MemoryOutbox(), Channel(answers), VirtualClock(T)
    for i in range(n):
        outbox.add(f"<b>plan</b> #{i}", T)
    return outbox, channel, clock, Deliverer(outbox, [channel], clock)


@pytest.mark.covers("D13", "I6")
def test_each_alert_is_told_once_however_often_the_job_runs_and_restarts() -> None:
    outbox, channel, clock, deliverer = rig(n=5)
    for _ in range(10):
        deliverer.run_once()
        Deliverer(outbox, [channel], clock).run_once()
        clock.sleep(60)
    assert channel.delivered == [f"plan #{i}" for i in range(5)]
    assert outbox.states() == ["sent"] * 5


@pytest.mark.covers("D14")
def test_flood_control_pauses_the_whole_channel_without_sleeping_and_keeps_the_order() -> None:
    outbox, channel, clock, deliverer = rig(["ok", 30])
    assert deliverer.run_once() == {"sent": 1, "retried": 1}
    assert clock.now() == T and outbox.states() == ["sent", "queued", "queued"]
    clock.sleep(29)
    assert deliverer.run_once() == {} and channel.tried == 2
    clock.sleep(1)
    assert deliverer.run_once() == {"sent": 2}
    assert channel.delivered == ["plan #0", "plan #1", "plan #2"]


def test_flood_wait_survives_a_restart_and_nothing_overtakes() -> None:
    outbox, channel, clock, deliverer = rig([3600])
    deliverer.run_once()
    again = Deliverer(outbox, [channel], clock)
    assert again.run_once() == {} and channel.tried == 1
    clock.sleep(3600)
    assert again.run_once() == {"sent": 3} and judge(outbox, channel.delivered) == []


def test_waits_double_up_to_ten_minutes_and_start_anew_after_a_success() -> None:
    outbox, channel, clock, deliverer = rig(["down"] * 12 + ["ok", "down"], n=2)
    waits = []
    for _ in range(12):
        assert deliverer.run_once() == {"retried": 1}
        waits.append((outbox.rows[1].not_before - clock.now()) // 1000)
        clock.sleep(waits[-1] - 1)
        assert deliverer.run_once() == {}  # not before
        clock.sleep(1)
    assert waits == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600] and LONGEST_WAIT == 600
    assert deliverer.run_once() == {"sent": 1, "retried": 1}
    assert outbox.rows[2].not_before - clock.now() == 5000 and channel.tried == 14


@pytest.mark.covers("D14", "I6")
@pytest.mark.parametrize("fault", ["down", "gone", "lost", "bug", 600])
def test_a_day_without_telegram_loses_none_and_repeats_at_most_one(fault: Any) -> None:
    outbox, channel, clock, deliverer = rig(n=0)
    channel.always, channel.silent = fault, True
    for minute in range(DAY // MINUTE):
        if minute % 7 == 0:
            outbox.add(f"plan #{minute}", clock.now())
        deliverer.run_once()
        clock.sleep(60)
    assert channel.tried <= 150  # six an hour
    channel.always, channel.silent = "ok", False
    drain(outbox, deliverer, clock)
    assert set(outbox.states()) == {"sent"} and judge(outbox, channel.delivered) == []
    assert len(outbox.rows) == 206 and len(channel.delivered) == 206 + (fault == "lost")
    assert sum(text.startswith(REPEAT) for text in channel.delivered) == (fault in ("lost", "gone", "bug"))


@pytest.mark.covers("I6")
def test_accepted_then_dropped_gives_one_labelled_repeat_with_the_same_id() -> None:
    outbox, channel, clock, deliverer = rig(["lost"])
    assert deliverer.run_once() == {"unknown": 1}
    assert outbox.states() == ["unknown", "queued", "queued"]
    clock.sleep(5)
    assert deliverer.run_once() == {"sent": 3, "repeated": 1}
    assert channel.delivered == ["plan #0", f"{REPEAT}\nplan #0", "plan #1", "plan #2"]


def test_the_repeat_waits_until_a_harmless_question_is_answered() -> None:
    outbox, channel, clock, deliverer = rig(["lost"])
    channel.silent = True
    for _ in range(300):
        deliverer.run_once()
        clock.sleep(60)
    assert channel.tried == 1 and outbox.rows[1].lost == 1
    channel.silent = False
    drain(outbox, deliverer, clock)
    assert len(channel.delivered) == 4 and judge(outbox, channel.delivered) == []


def test_a_repeat_whose_answer_is_lost_too_stays_unknown_and_the_next_goes_on() -> None:
    outbox, channel, clock, deliverer = rig(["lost", "lost"])
    drain(outbox, deliverer, clock)
    assert outbox.states() == ["unknown", "sent", "sent"]
    assert [text.endswith("#0") for text in channel.delivered] == [True, True, False, False]


def test_a_repeat_that_meets_a_flood_keeps_its_label() -> None:
    outbox, channel, clock, deliverer = rig(["lost", 5, "down"], n=1)
    drain(outbox, deliverer, clock)
    assert channel.delivered == ["plan #0", f"{REPEAT}\nplan #0"] and outbox.states() == ["sent"]


@pytest.mark.covers("D14")
def test_a_refused_chat_parks_the_channel_with_one_line_and_keeps_the_alerts(caplog: pytest.LogCaptureFixture) -> None:
    outbox, channel, clock, deliverer = rig(["parked"] * 5)
    with caplog.at_level(logging.INFO):
        for _ in range(4 * 60 + 1):
            deliverer.run_once()
            clock.sleep(60)
    assert channel.tried == 5 and outbox.states() == ["queued"] * 3
    assert [r.levelname for r in caplog.records] == ["ERROR"]
    assert "check chat_id" in caplog.text and "check chat_id" in deliverer.trouble
    clock.sleep(PARKED_WAIT)
    assert deliverer.run_once() == {"sent": 3} and deliverer.trouble == ""


def test_a_text_that_is_refused_even_plain_fails_alone() -> None:
    outbox, _, _, deliverer = rig(["text"])
    assert deliverer.run_once() == {"failed": 1, "sent": 2}
    assert outbox.states() == ["failed", "sent", "sent"] and outbox.rows[1].error == "bad text"


def test_an_unclear_refusal_is_tried_again_and_then_no_longer_blocks_the_others() -> None:
    outbox, channel, clock, deliverer = rig(["odd"] * STRIKES)
    drain(outbox, deliverer, clock)
    assert outbox.states() == ["failed", "sent", "sent"] and channel.tried == STRIKES + 2
    outbox, channel, clock, deliverer = rig(["odd"] * (STRIKES - 1))
    drain(outbox, deliverer, clock)
    assert outbox.states() == ["sent"] * 3


def test_a_bug_in_a_sender_never_leaves_the_job_and_may_have_delivered(caplog: pytest.LogCaptureFixture) -> None:
    outbox, channel, clock, deliverer = rig(["bug"])
    assert deliverer.run_once() == {"unknown": 1}
    assert "RuntimeError: a bug" in caplog.text  # with its traceback
    drain(outbox, deliverer, clock)
    assert channel.delivered[0] == f"{REPEAT}\nplan #0" and outbox.states() == ["sent"] * 3


def test_nothing_older_than_its_validity_is_pushed() -> None:
    outbox, channel, clock, deliverer = rig(["down"], n=0)
    outbox.add("short lived", T, expires_ts=T + HOUR)
    outbox.add("long lived", T, expires_ts=T + 3 * HOUR)
    outbox.add("for ever", T)
    deliverer.run_once()
    clock.set(T + HOUR)
    assert deliverer.run_once() == {"expired": 1, "sent": 2}
    assert channel.delivered == ["long lived", "for ever"] and outbox.states() == ["expired", "sent", "sent"]


def test_planted_flaw_a_deliverer_blind_to_validity_would_push_a_stale_alert() -> None:
    outbox, channel, clock, deliverer = rig(n=0)
    outbox.add("stale", T, expires_ts=None)  # the flaw: validity not handed on
    clock.set(T + DAY)
    deliverer.run_once()
    assert channel.delivered == ["stale"]


def test_a_wall_clock_stepped_back_does_not_hold_alerts_back() -> None:
    outbox, channel, clock, _ = rig(["down"])

    class Stepped:
        def now(self) -> int:
            return clock.now() - (HOUR if clock.now() > T else 0)

        def monotonic(self) -> float:
            return clock.monotonic()

        def sleep(self, seconds: float) -> None:
            raise AssertionError("the deliverer never sleeps")

    deliverer = Deliverer(outbox, [channel], Stepped())
    deliverer.run_once()
    clock.sleep(5)
    assert deliverer.run_once() == {"sent": 3}


def test_a_run_sends_no_more_than_its_limit() -> None:
    outbox, channel, clock, _ = rig(n=50)
    deliverer = Deliverer(outbox, [channel], clock, limit=20)
    assert [deliverer.run_once()["sent"] for _ in range(4)] == [20, 20, 10, 0]


def test_a_console_beside_telegram_shows_what_was_delivered_and_its_faults_harm_nobody() -> None:
    outbox, channel, clock, _ = rig(["lost"])
    console = Channel(["ok", "bug", "ok"])
    drain(outbox, Deliverer(outbox, [channel, console], clock), clock)
    assert outbox.states() == ["sent"] * 3 and console.delivered == [f"{REPEAT}\nplan #0", "plan #2"]


def test_without_any_channel_it_refuses_to_start() -> None:
    with pytest.raises(ValueError, match="sender"):
        Deliverer(MemoryOutbox(), [], VirtualClock(T))


def test_a_full_disk_after_the_delivery_is_mended_without_a_repeat() -> None:
    outbox, channel, _, deliverer = rig(n=2)
    real, full = outbox.sent, [True]

    def sent(id: int, now: int, message_id: str) -> None:
        if full:
            raise OSError(28, "No space left on device")
        real(id, now, message_id)

    outbox.sent = sent  # type: ignore[method-assign]
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            deliverer.run_once()
    assert channel.tried == 1
    full.clear()
    deliverer.run_once()
    assert channel.delivered == ["plan #0", "plan #1"] and outbox.states() == ["sent"] * 2


def sweep(outbox_type: type[MemoryOutbox], answers: tuple[Any, ...]) -> list[str]:
    """Kill at every step in turn, restart, let it finish; all that went wrong over all kills."""
    wrong: list[str] = []
    for point in range(1, 200):
        fuse = [point]
        outbox, channel, clock, _ = rig(answers, n=3, outbox=outbox_type())
        dying = Deliverer(Doomed(outbox, fuse), [Doomed(channel, fuse)], clock)
        try:
            drain(outbox, dying, clock, 40, 300.0)
        except Killed:
            drain(outbox, Deliverer(outbox, [channel], clock), clock, 40, 300.0)
            wrong += judge(outbox, channel.delivered)
        else:
            return wrong
    raise AssertionError("the sweep did not reach the end")


ANSWERS = ((), ("lost",), (7, "ok", "lost"), ("down", "ok", "parked"), ("ok", "gone", "text"))


@pytest.mark.covers("I6", "D14")
@pytest.mark.parametrize("answers", ANSWERS)
def test_killed_at_any_step_no_alert_is_lost_or_repeated_without_its_label(answers: tuple[Any, ...]) -> None:
    assert sweep(MemoryOutbox, answers) == []


@pytest.mark.covers("I6")
def test_planted_flaw_marking_sent_before_sending_loses_an_alert_and_is_caught() -> None:
    assert any(w.startswith("lost") for w in sweep(SentBeforeSending, ()))


@pytest.mark.covers("I6")
def test_planted_flaw_without_the_unknown_state_a_repeat_is_unlabelled_and_is_caught() -> None:
    assert any(w.startswith("unlabelled repeat") for w in sweep(NoUnknown, ()))


FAULTS = st.sampled_from(["ok", "lost", "gone", "down", 3, 700, "parked", "text", "odd", "bug"])


@pytest.mark.covers("I6")
@given(st.lists(FAULTS, max_size=25), st.lists(st.integers(1, 60), max_size=4), st.booleans())
def test_whatever_the_channel_and_the_kills_do_the_promise_holds(
        answers: list[Any], kills: list[int], silent: bool) -> None:
    outbox, channel, clock, deliverer = rig(answers, n=6)
    channel.silent = silent
    for point in kills:
        fuse = [point]
        try:
            drain(outbox, Deliverer(Doomed(outbox, fuse), [Doomed(channel, fuse)], clock), clock, 15)
        except Killed:
            clock.sleep(60)
    channel.silent = False
    drain(outbox, deliverer, clock, runs=3000, step=300.0)
    assert judge(outbox, channel.delivered) == []
    assert not {"queued", "sending"} & set(outbox.states())
    assert len(channel.delivered) <= 6 + sum(e.lost for e in outbox.rows.values()) + len(kills)
