"""The outbox on disk keeps the contract of the sender, and an alert is born in the transaction of what it tells."""

import tempfile
from pathlib import Path

import pytest

from core.store import chats
from core.store import outbox as store
from core.store.db import Database
from core.store.outbox import Copies, Outbox
from tests.notify.outbox_contract import OutboxContract
from tests.notify.samples import T


@pytest.mark.covers("D13", "I6")
class TestSqliteOutbox(OutboxContract):
    """core.store.outbox under the same tests as the one in memory."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.db: Database | None = None

    def make(self) -> Outbox:
        self.db = Database(Path(tempfile.mkdtemp(dir=self.folder)) / "a.db")
        return Outbox(self.db)

    def add(self, outbox: Outbox, key: str, created_ts: int = T, expires_ts: int | None = None) -> None:
        assert self.db is not None
        with self.db.write() as con:
            store.enqueue(con, "signal", key, f"body of {key}", created_ts, expires_ts)


@pytest.mark.covers("D13", "I6")
class TestCopiesOfAViewer(TestSqliteOutbox):
    """What goes to another chat, under the same tests."""

    def make(self) -> Outbox:
        self.db = Database(Path(tempfile.mkdtemp(dir=self.folder)) / "a.db")
        with self.db.write() as con:
            chats.sync(con, {"1": chats.OWNER, "2": chats.VIEWER, "-3": chats.CHANNEL})
        return Copies(self.db, "2")


@pytest.mark.covers("I6")
def test_an_alert_is_lost_with_its_decision_and_only_with_it(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with pytest.raises(ZeroDivisionError), db.write() as con:
        assert store.enqueue(con, "signal", "a", "text", T)
        raise ZeroDivisionError
    assert Outbox(db).claim(T, 9) == []
    with db.write() as con:
        assert store.enqueue(con, "signal", "a", "text", T)
        assert not store.enqueue(con, "signal", "a", "other text", T)
    assert [a.body for a in Outbox(db).claim(T, 9)] == ["text"]
    db.close()


@pytest.mark.covers("I6")
def test_what_was_claimed_survives_a_restart_as_unknown(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with db.write() as con:
        store.enqueue(con, "signal", "a", "text", T)
    Outbox(db).claim(T, 1)
    db.close()
    db = Database(tmp_path / "a.db")
    assert db.con.execute("SELECT state FROM alerts").fetchone() == ("sending",)
    assert Outbox(db).recover(T) == 1
    assert [(a.key, a.lost) for a in Outbox(db).claim(T, 1)] == [("a", 1)]
    db.close()


def told(db: Database, key: str, kind: str = "signal", reply_to: int | None = None) -> int:
    with db.write() as con:
        id = store.enqueue(con, kind, key, key, T, reply_to=reply_to)
    assert id is not None
    return id


@pytest.mark.covers("I6")
def test_every_chat_gets_each_alert_once_and_one_that_blocks_holds_up_no_other(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with db.write() as con:
        chats.sync(con, {"1": chats.OWNER, "2": chats.VIEWER, "-3": chats.CHANNEL})
    sides: dict[str, Outbox] = {"1": Outbox(db), "2": Copies(db, "2"), "-3": Copies(db, "-3")}
    for key in ("a", "b"):
        told(db, key)
    (alert,) = sides["2"].claim(T, 1)
    sides["2"].retry(alert.id, T, T + 3_600_000, "blocked")
    assert [[a.key for a in side.claim(T, 9)] for side in sides.values()] == [["a", "b"], [], ["a", "b"]]
    db.close()


def test_an_answer_names_the_message_of_its_own_chat(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with db.write() as con:
        chats.sync(con, {"1": chats.OWNER, "2": chats.VIEWER})
    owner, viewer = Outbox(db), Copies(db, "2")
    first = told(db, "signal")
    owner.sent(owner.claim(T, 1)[0].id, T, "71")
    viewer.sent(viewer.claim(T, 1)[0].id, T, "902")
    told(db, "closed", "closed", first)
    assert (owner.claim(T, 1)[0].reply_to, viewer.claim(T, 1)[0].reply_to) == ("71", "902")
    db.close()


def test_an_answer_to_what_was_never_delivered_names_no_message(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    owner = Outbox(db)
    first = told(db, "signal")
    owner.expired(owner.claim(T, 1)[0].id)
    told(db, "closed", "closed", first)
    assert owner.claim(T, 1)[0].reply_to is None
    db.close()


def test_what_concerns_the_owner_goes_to_nobody_else(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with db.write() as con:
        chats.sync(con, {"1": chats.OWNER, "2": chats.VIEWER})
    told(db, "disk", "health")
    assert len(Outbox(db).claim(T, 9)) == 1 and Copies(db, "2").claim(T, 9) == []
    db.close()


def test_a_chat_taken_out_gets_nothing_more_and_one_put_in_nothing_old(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with db.write() as con:
        assert chats.sync(con, {"1": chats.OWNER, "2": chats.VIEWER}) == [("1", "owner"), ("2", "viewer")]
    told(db, "a")
    with db.write() as con:
        assert chats.sync(con, {"1": chats.OWNER, "4": chats.VIEWER}) == [("4", "viewer"), ("2", "none")]
    told(db, "b")
    assert Copies(db, "2").claim(T, 9) == []
    assert [a.key for a in Copies(db, "4").claim(T, 9)] == ["b"]
    with db.write() as con:
        chats.sync(con, {"1": chats.OWNER, "2": chats.VIEWER})
    assert Copies(db, "2").claim(T, 9) == [], "what was told meanwhile is not caught up"
    db.close()


def test_in_a_new_owners_chat_nothing_answers_messages_of_the_old_one(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    owner = Outbox(db)
    for home, expected in (("1", "71"), ("9", None), ("9", None)):
        with db.write() as con:
            chats.sync(con, {})  # Telegram was off for a while
            chats.sync(con, {home: chats.OWNER})
        if home == "1":
            first = told(db, "signal")
            owner.sent(owner.claim(T, 1)[0].id, T, "71")
        told(db, f"closed {home} {expected} {len(owner.claim(T, 9))}", "closed", first)
        (alert,) = owner.claim(T, 1)
        assert alert.reply_to == expected
        owner.sent(alert.id, T, "72")
        db.con.execute("DELETE FROM alerts WHERE kind = 'closed'")
    assert chats.sync(db.con, {"1": chats.OWNER})[0] == ("1", "owner")
    db.close()


def test_what_the_owner_did_is_replaced_and_taken_back(tmp_path: Path) -> None:
    from tests.store.files import filled

    db = Database(filled(tmp_path / "a.db", 5))
    db.con.execute("PRAGMA foreign_keys=OFF")
    with db.write() as con:
        chats.take(con, 7, "telegram:1", T, 100.0)
        chats.take(con, 7, "telegram:1", T + 5, 100.0, 103.0)
        row = chats.taken(con, 7)
        assert row is not None
        assert (row["ts"], row["price"], row["exit_ts"], row["exit_price"]) == (T, 100.0, T + 5, 103.0)
        chats.take(con, 7, "telegram:1", T + 9, 101.0)
        row = chats.taken(con, 7)
        assert row is not None and (row["ts"], row["price"], row["exit_price"]) == (T + 9, 101.0, None)
        chats.untake(con, 7)
        assert chats.taken(con, 7) is None
    db.close()
