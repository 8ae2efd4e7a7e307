"""The outbox the other tests use keeps the contract that core/store's must keep."""

import pytest

from tests.notify.memory_outbox import MemoryOutbox
from tests.notify.outbox_contract import OutboxContract
from tests.notify.samples import T


@pytest.mark.covers("D13", "I6")
class TestMemoryOutbox(OutboxContract):
    def make(self) -> MemoryOutbox:
        return MemoryOutbox()

    def add(self, outbox: MemoryOutbox, key: str, created_ts: int = T, expires_ts: int | None = None) -> None:
        outbox.add(key, created_ts, expires_ts, key)
