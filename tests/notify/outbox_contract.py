"""What any outbox must do for the Deliverer. Subclass it with `make` and `add` to hold another one to it."""

from typing import Any

from tests.notify.samples import T


class OutboxContract:
    """Tests of core.notify.delivery.Outbox."""

    def make(self) -> Any:
        raise NotImplementedError

    def add(self, outbox: Any, key: str, created_ts: int = T, expires_ts: int | None = None) -> None:
        raise NotImplementedError

    def filled(self, n: int = 3) -> Any:
        outbox = self.make()
        for i in range(n):
            self.add(outbox, f"key {i}")
        return outbox

    def one(self, outbox: Any, now: int = T) -> Any:
        (alert,) = outbox.claim(now, 1)
        return alert

    def test_claims_come_oldest_first_up_to_the_limit_and_count_attempts(self) -> None:
        outbox = self.filled()
        assert [a.key for a in outbox.claim(T, 2)] == ["key 0", "key 1"]
        last = self.one(outbox)
        assert (last.key, last.attempts, last.lost, last.created_ts) == ("key 2", 1, 0, T)
        assert outbox.claim(T, 9) == []

    def test_one_key_is_queued_once(self) -> None:
        outbox = self.make()
        self.add(outbox, "same")
        self.add(outbox, "same")
        assert len(outbox.claim(T, 9)) == 1

    def test_nothing_overtakes_an_alert_that_is_not_due(self) -> None:
        outbox = self.filled()
        outbox.retry(self.one(outbox).id, T, T + 1000, "flood")
        assert outbox.claim(T + 999, 9) == []
        again = outbox.claim(T + 1000, 9)
        assert [(a.key, a.attempts, a.lost) for a in again] == [("key 0", 2, 0), ("key 1", 1, 0), ("key 2", 1, 0)]

    def test_an_unknown_one_is_owed_one_repeat_and_stays_marked_through_retries(self) -> None:
        outbox = self.filled(1)
        outbox.unknown(self.one(outbox).id, T, T, "lost")
        for _ in range(5):
            alert = self.one(outbox)
            assert alert.lost == 1
            outbox.retry(alert.id, T, T, "flood")
        outbox.unknown(self.one(outbox).id, T, T, "lost")
        assert outbox.claim(T, 9) == []

    def test_a_repeat_is_owed_however_many_attempts_failed_before(self) -> None:
        outbox = self.filled(1)
        for _ in range(9):
            outbox.retry(self.one(outbox).id, T, T, "refused")
        outbox.unknown(self.one(outbox).id, T, T, "lost")
        assert self.one(outbox).lost == 1

    def test_an_exhausted_unknown_one_does_not_block_the_next(self) -> None:
        outbox = self.filled(2)
        outbox.unknown(self.one(outbox).id, T, T, "lost")
        outbox.unknown(self.one(outbox).id, T, T + 10**9, "lost")
        assert self.one(outbox).key == "key 1"

    def test_recovery_makes_what_was_being_sent_unknown_due_at_once_and_owed_a_repeat_each_time(self) -> None:
        outbox = self.filled(2)
        outbox.retry(self.one(outbox).id, T, T + 5000, "flood")
        self.one(outbox, T + 5000)
        for _ in range(4):
            assert outbox.recover(T) == 1
            assert self.one(outbox).lost == 1
        assert self.one(outbox).key == "key 1"

    def test_ended_alerts_never_come_back(self) -> None:
        outbox = self.filled(3)
        outbox.sent(self.one(outbox).id, T, "77")
        outbox.failed(self.one(outbox).id, T, "text")
        outbox.expired(self.one(outbox).id)
        assert outbox.recover(T) == 0 and outbox.claim(T + 10**9, 9) == []
