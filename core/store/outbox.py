"""The outbox: alerts are rows first, in the transaction of what they tell, and messages second."""

import itertools
from typing import Any

from core.notify.delivery import Alert
from core.store.candles import Con
from core.store.db import Database

_OPEN = (
    "SELECT id, not_before FROM alerts WHERE state = 'queued' OR (state = 'unknown' AND lost <= 1) ORDER BY id LIMIT ?"
)


def enqueue(con: Con, kind: str, key: str, body: str, created_ts: int, expires_ts: int | None = None) -> bool:
    """Queue an alert once per `key`; False where that key was queued before."""
    cursor = con.execute(
        "INSERT OR IGNORE INTO alerts (kind, key, created_ts, state, body, expires_ts) "
        "VALUES (?, ?, ?, 'queued', ?, ?)",
        (kind, key, created_ts, body, expires_ts),
    )
    return bool(cursor.rowcount)


class Outbox:
    """The sender's side: every change of an alert's state is a durable transaction of its own."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def claim(self, now: int, limit: int) -> list[Alert]:
        """Take the oldest due alerts and mark them `sending` before anything leaves the machine.

        None overtakes an older one that is not due yet; one in doubt is repeated once.
        """
        with self._db.lock:
            rows = self._db.con.execute(_OPEN, (limit,)).fetchall()
        due = [id for id, _ in itertools.takewhile(lambda row: row[1] <= now, rows)]
        if not due:
            return []  # the common case takes no write lock
        marks = ", ".join("?" * len(due))
        with self._db.write() as con:
            claimed = con.execute(
                f"UPDATE alerts SET state = 'sending', attempts = attempts + 1 WHERE id IN ({marks}) "
                "RETURNING id, kind, key, body, created_ts, attempts, expires_ts, lost",
                due,
            ).fetchall()
        return [Alert(*row) for row in sorted(claimed)]

    def sent(self, id: int, now: int, message_id: str) -> None:
        """It was delivered."""
        self._set(id, state="sent", sent_ts=now, message_id=message_id, error=None)

    def retry(self, id: int, now: int, not_before: int, error: str) -> None:
        """It certainly did not leave: queue it again, and do not count the try as a possible delivery."""
        self._set(id, state="queued", not_before=not_before, error=error)

    def unknown(self, id: int, now: int, not_before: int, error: str) -> None:
        """The answer was lost: it may have been delivered."""
        with self._db.write() as con:
            con.execute(
                "UPDATE alerts SET state = 'unknown', not_before = ?, error = ?, lost = lost + 1 WHERE id = ?",
                (not_before, error, id),
            )

    def failed(self, id: int, now: int, error: str) -> None:
        """The text itself was refused, plain too."""
        self._set(id, state="failed", error=error)

    def expired(self, id: int) -> None:
        """Too old to be told."""
        self._set(id, state="expired")

    def recover(self, now: int) -> int:
        """At start: what was being sent when the process died may or may not have left."""
        with self._db.write() as con:
            return con.execute(
                "UPDATE alerts SET state = 'unknown', lost = max(lost, 1), not_before = 0 WHERE state = 'sending'"
            ).rowcount

    def _set(self, id: int, **columns: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        with self._db.write() as con:
            con.execute(f"UPDATE alerts SET {names} WHERE id = ?", (*columns.values(), id))
