"""The outbox: alerts are rows first, in the transaction of what they tell, and messages second.

`alerts` holds what is told and what became of it in the owner's chat; `copies` what became of it in each
other chat. Both sides keep the contract of `core.notify.delivery.Outbox`, each on its own: a chat that cannot be
reached holds up none but itself.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from core.notify.delivery import Alert
from core.store.candles import Con
from core.store.db import Database

PRIVATE = ("health",)  # kinds that concern the owner alone

_IS_OPEN = "(state = 'queued' OR (state = 'unknown' AND lost <= 1))"


def enqueue(
    con: Con,
    kind: str,
    key: str,
    body: str,
    created_ts: int,
    expires_ts: int | None = None,
    *,
    signal: int | None = None,
    reply_to: int | None = None,
) -> int | None:
    """Queue an alert for every chat once per `key`; its id, or None where that key was queued before.

    signal: row number of the plan it announces. reply_to: id of the alert it answers.
    """
    cursor = con.execute(
        "INSERT OR IGNORE INTO alerts (kind, key, created_ts, state, body, expires_ts, signal, reply_to) "
        "VALUES (?, ?, ?, 'queued', ?, ?, ?, ?)",
        (kind, key, created_ts, body, expires_ts, signal, reply_to),
    )
    if not cursor.rowcount:
        return None
    id = cursor.lastrowid
    if kind not in PRIVATE:
        con.execute(
            "INSERT INTO copies (chat, alert, state) SELECT chat, ?, 'queued' FROM chats WHERE active AND role <> "
            "'owner'",
            (id,),
        )
    return id


def numbers(con: Con, ids: Sequence[str]) -> list[int]:
    """Row numbers of signals by their full ids, in the same order."""
    marks = ", ".join("?" * len(ids))
    known = dict(con.execute(f"SELECT id, n FROM signals WHERE id IN ({marks})", list(ids)))
    return [known[id] for id in ids]


def tell_later(con: Con, signals: Iterable[int], alert: int | None) -> None:
    """Remember that what happens to these plans (row numbers) is told, as answers to `alert`."""
    con.executemany("INSERT OR IGNORE INTO told VALUES (?, ?)", [(n, alert) for n in signals])


def told_by(con: Con, signal: int) -> tuple[int | None] | None:
    """(id of the alert that announced a plan, or None,), where its later events are told; None where they are not."""
    found: tuple[int | None] | None = con.execute("SELECT alert FROM told WHERE signal = ?", (signal,)).fetchone()
    return found


def announcement(con: Con, alert: int) -> tuple[str, list[int]] | None:
    """(text of the message that an alert answers, row numbers of the plans it announced); None where there is none."""
    row = con.execute(
        "SELECT r.id, r.body FROM alerts a JOIN alerts r ON r.id = a.reply_to WHERE a.id = ?", (alert,)
    ).fetchone()
    if row is None:
        return None
    return row[1], [n for (n,) in con.execute("SELECT signal FROM told WHERE alert = ? ORDER BY signal", (row[0],))]


class Outbox:
    """The sender's side, for the owner's chat: every change of an alert's state is a durable transaction of its own."""

    _rows, _id, _where = "alerts", "id", ""
    _claimed = (
        "SELECT a.id, a.kind, a.key, a.body, a.created_ts, a.attempts, a.expires_ts, a.lost, a.signal, r.message_id "
        "FROM alerts a LEFT JOIN alerts r ON r.id = a.reply_to WHERE a.id IN ({}) ORDER BY a.id"
    )

    def __init__(self, db: Database) -> None:
        self._db = db
        self._mine: tuple[str, ...] = ()

    def claim(self, now: int, limit: int) -> list[Alert]:
        """Take the oldest due alerts and mark them `sending` before anything leaves the machine.

        None overtakes an older one that is not due yet; one in doubt is repeated once.
        """
        with self._db.lock:
            rows = self._db.con.execute(
                f"SELECT {self._id}, not_before FROM {self._rows} WHERE {self._where}"
                f"{_IS_OPEN} ORDER BY {self._id} LIMIT ?",
                (*self._mine, limit),
            ).fetchall()
        due = [id for id, _ in itertools.takewhile(lambda row: row[1] <= now, rows)]
        if not due:
            return []  # the common case takes no write lock
        marks = ", ".join("?" * len(due))
        with self._db.write() as con:
            self._update(con, "state = 'sending', attempts = attempts + 1", (), f"{self._id} IN ({marks})", due)
            claimed = con.execute(self._claimed.format(marks), (*self._mine, *due)).fetchall()
        return [Alert(*row) for row in claimed]

    def sent(self, id: int, now: int, message_id: str) -> None:
        """It was delivered."""
        self._set(id, "state = 'sent', sent_ts = ?, message_id = ?, error = NULL", now, message_id)

    def retry(self, id: int, now: int, not_before: int, error: str) -> None:
        """It certainly did not leave: queue it again, and do not count the try as a possible delivery."""
        self._set(id, "state = 'queued', not_before = ?, error = ?", not_before, error)

    def unknown(self, id: int, now: int, not_before: int, error: str) -> None:
        """The answer was lost: it may have been delivered."""
        self._set(id, "state = 'unknown', not_before = ?, error = ?, lost = lost + 1", not_before, error)

    def failed(self, id: int, now: int, error: str) -> None:
        """The text itself was refused, plain too."""
        self._set(id, "state = 'failed', error = ?", error)

    def expired(self, id: int) -> None:
        """Too old to be told."""
        self._set(id, "state = 'expired'")

    def recover(self, now: int) -> int:
        """At start: what was being sent when the process died may or may not have left."""
        with self._db.write() as con:
            doubt = "state = 'unknown', lost = max(lost, 1), not_before = 0"
            return self._update(con, doubt, (), "state = 'sending'", ())

    def _set(self, id: int, columns: str, *values: Any) -> None:
        with self._db.write() as con:
            self._update(con, columns, values, f"{self._id} = ?", (id,))

    def _update(self, con: Con, columns: str, values: Sequence[Any], which: str, ids: Sequence[Any]) -> int:
        return con.execute(
            f"UPDATE {self._rows} SET {columns} WHERE {self._where}{which}", (*values, *self._mine, *ids)
        ).rowcount


class Copies(Outbox):
    """The same for one other chat, on its rows of `copies`."""

    _rows, _id, _where = "copies", "alert", "chat = ? AND "
    _claimed = (
        "SELECT a.id, a.kind, a.key, a.body, a.created_ts, c.attempts, a.expires_ts, c.lost, a.signal, r.message_id "
        "FROM copies c JOIN alerts a ON a.id = c.alert LEFT JOIN copies r ON r.chat = c.chat AND r.alert = a.reply_to "
        "WHERE c.chat = ? AND c.alert IN ({}) ORDER BY a.id"
    )

    def __init__(self, db: Database, chat: str) -> None:
        super().__init__(db)
        self._mine = (chat,)
