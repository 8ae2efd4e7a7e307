"""The outbox's contract in memory, the oracle of what was promised, and two planted flaws."""

from dataclasses import dataclass

from core.notify.delivery import Alert


@dataclass
class Entry:
    """One row of `alerts`."""

    id: int
    kind: str
    key: str
    body: str
    created_ts: int
    expires_ts: int | None
    state: str = "queued"
    attempts: int = 0
    lost: int = 0
    not_before: int = 0
    sent_ts: int | None = None
    message_id: str | None = None
    error: str | None = None


class MemoryOutbox:
    """What core/store keeps in SQLite; survives a "kill", since the test holds it."""

    def __init__(self) -> None:
        self.rows: dict[int, Entry] = {}

    def add(self, body: str, now: int = 0, expires_ts: int | None = None, key: str | None = None) -> int:
        """Queue an alert; the same key is queued once."""
        id = len(self.rows) + 1
        if key is not None and any(e.key == key for e in self.rows.values()):
            return 0
        self.rows[id] = Entry(id, "signal", key or f"k{id}", body, now, expires_ts)
        return id

    def states(self) -> list[str]:
        """All states in order of id."""
        return [e.state for e in self.rows.values()]

    def claim(self, now: int, limit: int) -> list[Alert]:
        taken: list[Alert] = []
        for e in self.rows.values():
            if not (e.state == "queued" or (e.state == "unknown" and e.lost <= 1)):
                continue
            if e.not_before > now or len(taken) == limit:
                break
            e.state, e.attempts = "sending", e.attempts + 1
            taken.append(Alert(e.id, e.kind, e.key, e.body, e.created_ts, e.attempts, e.expires_ts, e.lost))
        return taken

    def sent(self, id: int, now: int, message_id: str) -> None:
        self._set(id, state="sent", sent_ts=now, message_id=message_id)

    def retry(self, id: int, now: int, not_before: int, error: str) -> None:
        self._set(id, state="queued", not_before=not_before, error=error)

    def unknown(self, id: int, now: int, not_before: int, error: str) -> None:
        self._set(id, state="unknown", not_before=not_before, error=error, lost=self.rows[id].lost + 1)

    def failed(self, id: int, now: int, error: str) -> None:
        self._set(id, state="failed", error=error)

    def expired(self, id: int) -> None:
        self._set(id, state="expired")

    def recover(self, now: int) -> int:
        left = [e for e in self.rows.values() if e.state == "sending"]
        for e in left:
            e.state, e.lost, e.not_before = "unknown", max(e.lost, 1), 0
        return len(left)

    def _set(self, id: int, **values: object) -> None:
        for name, value in values.items():
            setattr(self.rows[id], name, value)


class SentBeforeSending(MemoryOutbox):
    """Planted flaw: an alert counts as sent as soon as it is claimed."""

    def recover(self, now: int) -> int:
        for e in self.rows.values():
            e.state = "sent" if e.state == "sending" else e.state
        return 0

    def retry(self, id: int, now: int, not_before: int, error: str) -> None:
        self._set(id, state="sent")

    unknown = retry


class NoUnknown(MemoryOutbox):
    """Planted flaw: what was being sent is simply queued again, as if it had never left."""

    def recover(self, now: int) -> int:
        for e in self.rows.values():
            e.state = "queued" if e.state == "sending" else e.state
        return 0

    def unknown(self, id: int, now: int, not_before: int, error: str) -> None:
        self.retry(id, now, not_before, error)
