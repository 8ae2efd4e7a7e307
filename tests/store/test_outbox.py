"""The outbox on disk keeps the contract of the sender, and an alert is born in the transaction of what it tells."""

import tempfile
from pathlib import Path

import pytest

from core.store import outbox as store
from core.store.db import Database
from core.store.outbox import Outbox
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
