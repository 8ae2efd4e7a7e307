"""Alerts to several chats: each once, each on its own, silently where that is wished, in threads, under a picture."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.config.schema import Sounds
from core.engine import announce
from core.engine.chat import recipients
from core.engine.chat.recipients import Copier, Drawer, Manners
from core.notify import messages
from core.notify.delivery import Alert, Deliverer
from core.notify.manner import is_quiet
from core.store import chats, outbox
from core.store.db import Database
from core.timeframe import DAY, HOUR
from tests.engine.bot_rig import CHANNEL, NOW, OWNER, VIEWER, Desk, config

CHATS = (OWNER, VIEWER, CHANNEL)


class Post:
    """The deliverers of a daemon at work on a desk's file; minutes pass as told."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.keys = desk, 0
        self.owner, self.copier = self.made()

    def made(self) -> tuple[Deliverer, Copier]:
        return recipients.deliverers(self.desk.ctx, self.desk.api, recipients.roles(self.desk.cfg))

    def queue(self, kind: str = "closed", *, signal: str | None = None, reply_to: int | None = None,
              keep: int = 100 * DAY) -> int:
        """Queue an alert of a kind whose text is its number."""
        self.keys += 1
        with self.desk.db.write() as con:
            n = outbox.numbers(con, [signal])[0] if signal else None
            id = outbox.enqueue(con, kind, f"k{self.keys}", f"<b>alert {self.keys}</b>", self.desk.clock.now(),
                                self.desk.clock.now() + keep, signal=n, reply_to=reply_to)
        assert id is not None
        return id

    def run(self, times: int = 1, step: float = 60) -> None:
        for _ in range(times):
            self.owner.run_once()
            self.copier.run_once()
            self.desk.clock.sleep(step)

    def texts(self, chat: int) -> list[str]:
        return [m.text for m in self.desk.server.to(chat)]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with Desk(tmp_path, start=False) as desk:
        yield Post(desk)


@pytest.mark.covers("I6", "D13")
def test_each_chat_gets_each_alert_once_in_order_however_often_the_program_starts(post: Post) -> None:
    for _ in range(4):
        post.queue()
        post.run()
        post.owner, post.copier = post.made()
        post.run()
    for chat in CHATS:
        assert post.texts(chat) == [f"alert {i}" for i in range(1, 5)]


@pytest.mark.covers("I6", "D14")
def test_a_viewer_who_blocks_the_bot_holds_up_nobody_and_gets_what_is_still_valid_when_he_is_back(post: Post) -> None:
    post.desk.server.blocked = {str(VIEWER)}
    post.queue(keep=2 * HOUR)
    for _ in range(3):
        post.queue()
    post.run(3)
    assert len(post.texts(OWNER)) == len(post.texts(CHANNEL)) == 4 and post.texts(VIEWER) == []
    assert post.owner.trouble == ""
    post.run(5 * 60)
    asked = sum(form.get("chat_id") == str(VIEWER) for _, form in post.desk.server.forms)
    assert asked <= 7, "asked again about once an hour"
    post.desk.server.blocked = set()
    post.run(61)
    assert post.texts(VIEWER) == ["alert 2", "alert 3", "alert 4"], "what has expired is not told"
    assert len(post.texts(OWNER)) == 4


class OneQueue(Copier):
    """Planted flaw: all chats in one queue, each alert to all of them or to none."""

    def run_once(self) -> Any:
        counts = super().run_once()
        if counts["parked"] or counts["retried"]:
            for deliverer in self._each:
                deliverer._resume = deliverer._clock.monotonic() + 3600
        return counts


def test_planted_flaw_one_queue_for_all_is_caught(post: Post) -> None:
    post.copier = OneQueue(post.copier._each)
    post.desk.server.blocked = {str(VIEWER)}
    for _ in range(3):
        post.queue()
        post.run(2)
    assert len(post.texts(CHANNEL)) < 3


@pytest.mark.covers("I6", "D14")
def test_a_lost_answer_in_one_chat_is_repeated_there_alone_and_labelled(post: Post) -> None:
    post.queue()
    post.desk.server.script("ok", "drop")
    post.run(3)
    assert post.texts(OWNER) == ["alert 1"]
    others = [post.texts(chat) for chat in (CHANNEL, VIEWER)]
    assert sorted(map(len, others)) == [1, 2]
    assert next(t for t in others if len(t) == 2) == ["alert 1", f"{messages.REPEAT}\nalert 1"]


@pytest.mark.covers("I6", "D14")
def test_a_day_without_telegram_loses_nothing_in_any_chat(post: Post) -> None:
    post.desk.server.always = "html502"
    for _ in range(24):
        post.queue()
        post.run(12, 300)
    post.desk.server.always = None
    post.run(30)
    for chat in CHATS:
        told = [text.removeprefix(f"{messages.REPEAT}\n") for text in post.texts(chat)]
        assert told == [f"alert {i}" for i in range(1, 25)]


def test_answers_hang_on_the_message_of_their_own_chat_and_stand_alone_where_there_is_none(post: Post) -> None:
    first = post.queue("signal")
    post.desk.server.blocked = {str(VIEWER)}
    post.owner.run_once()
    post.copier.run_once()
    with post.desk.db.write() as con:
        con.execute("UPDATE alerts SET expires_ts = 1 WHERE id = ?", (first,))
    post.desk.server.blocked = set()
    post.queue("filled", reply_to=first)
    post.run(90)
    by_chat = {chat: post.desk.server.to(chat) for chat in CHATS}
    for chat in (OWNER, CHANNEL):
        assert by_chat[chat][1].reply_to == by_chat[chat][0].id
    (alone,) = by_chat[VIEWER]
    assert alone.text == "alert 2" and alone.reply_to is None


def test_a_new_plan_comes_under_its_picture_drawn_once_for_all(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    honest = recipients.pictures.of_signal
    monkeypatch.setattr(recipients.pictures, "of_signal",
                        lambda ctx, con, id, until: drawn.append(id) or honest(ctx, con, id, until))
    post.queue("signal", signal="open")
    post.queue("closed")
    post.run(2)
    for chat in CHATS:
        signal, closed = post.desk.server.to(chat)
        assert (signal.photo or b"").startswith(b"\x89PNG") and closed.photo is None
    assert drawn == ["open"]


@pytest.mark.parametrize("picture", [True, False])
def test_what_became_of_a_plan_is_written_above_its_announcement_without_another_message(
        post: Post, picture: bool) -> None:
    first = post.queue("signal", signal="won" if picture else None)
    with post.desk.db.write() as con:
        outbox.tell_later(con, outbox.numbers(con, ["won"]), first)
    post.run()
    assert [m.photo is not None for m in post.desk.server.messages] == [picture] * 3
    post.queue("closed", reply_to=first)
    post.run()
    for chat in CHATS:
        assert post.texts(chat) == ["✅ TP1_TRAIL +1.62R\nalert 1", "alert 2"]
    assert post.desk.server.edits == 3
    with post.desk.db.write() as con:
        outbox.tell_later(con, outbox.numbers(con, ["open", "lost", "wait"]), first)
    post.queue("filled", reply_to=first)
    post.run()
    assert post.texts(OWNER)[0].splitlines() == [
        "▶️ OPEN #OPENAAA", "✅ TP1_TRAIL +1.62R #WONAAAA", "❌ SL -1.10R #LOSTAAA", "alert 1"]


@pytest.mark.parametrize("fault", [("429", 9), "drop", "chat", 403, "html502"])
def test_a_mark_that_fails_costs_nothing(post: Post, fault: Any) -> None:
    first = post.queue("signal")
    with post.desk.db.write() as con:
        outbox.tell_later(con, outbox.numbers(con, ["won"]), first)
    post.run()
    post.desk.server.answers("editMessageText", *[fault] * 3)
    for _ in range(2):
        post.queue("closed", reply_to=first)
    post.run(2)
    for chat in CHATS:
        assert [text.splitlines()[-1] for text in post.texts(chat)] == ["alert 1", "alert 2", "alert 3"]
    assert post.owner.trouble == ""


def test_a_picture_that_cannot_be_drawn_costs_no_alert(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise ValueError("no bars")

    monkeypatch.setattr(recipients.pictures, "of_signal", broken)
    post.queue("signal", signal="open")
    post.run()
    assert [m.photo for m in post.desk.server.messages] == [None] * 3
    monkeypatch.setattr(recipients.pictures, "of_signal", lambda *_: 1 // 0)  # a bug
    post.queue("signal", signal="open")
    post.run()
    assert len(post.desk.server.messages) == 6


def test_no_tick_waits_while_a_picture_is_drawn(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    free: list[bool] = []

    def tick() -> None:
        if post.desk.db.lock.acquire(timeout=1):
            post.desk.db.lock.release()
            free.append(True)

    def draw(*_: object) -> bytes:
        thread = threading.Thread(target=tick)
        thread.start()
        thread.join()
        return b"\x89PNG"

    monkeypatch.setattr(recipients.pictures, "of_signal", draw)
    post.queue("signal", signal="open")
    post.owner.run_once()
    assert free == [True]


def manner(desk: Desk, kind: str, chat: int = OWNER, lost: int = 0) -> Any:
    alert = Alert(1, kind, "k", "x", NOW, 1, None, lost)
    return Manners(desk.ctx, str(chat), Drawer(desk.ctx))(alert)


def test_sounds_go_by_kind_by_the_hour_and_by_the_chats_own_wish(tmp_path: Path) -> None:
    quiet = config(quiet_hours="22:00-07:00", notification_settings=Sounds(filled="silent"))
    with Desk(tmp_path, quiet, start=False) as desk:  # 17:30 UTC
        assert not manner(desk, "signal").silent and manner(desk, "filled").silent
        desk.clock.sleep(5 * 3600)  # 22:30
        assert manner(desk, "signal").silent
        desk.clock.sleep(9 * 3600)  # 07:30
        assert not manner(desk, "signal").silent
        with desk.db.write() as con:
            chats.mute(con, str(VIEWER), desk.clock.now() + HOUR)
        assert manner(desk, "signal", VIEWER).silent and not manner(desk, "signal", OWNER).silent
        desk.clock.sleep(3600)
        assert not manner(desk, "signal", VIEWER).silent


def test_quiet_hours_are_those_of_the_reader(tmp_path: Path) -> None:
    cfg = config(quiet_hours="22:00-07:00")
    with Desk(tmp_path, replace(cfg, app=replace(cfg.app, timezone="Asia/Tokyo")), start=False) as desk:
        assert manner(desk, "signal").silent  # 17:30 UTC is 02:30 there


@pytest.mark.parametrize(("hours", "minute", "quiet"), [
    ("", 0, False), ("22:00-07:00", 22 * 60, True), ("22:00-07:00", 21 * 60 + 59, False), ("22:00-07:00", 0, True),
    ("22:00-07:00", 7 * 60, False), ("12:30-13:00", 12 * 60 + 29, False), ("12:30-13:00", 12 * 60 + 30, True)])
def test_a_span_of_hours_may_run_over_midnight(hours: str, minute: int, quiet: bool) -> None:
    assert is_quiet(hours, minute) is quiet


@pytest.mark.covers("I6")
def test_nothing_waits_in_quiet_hours(tmp_path: Path) -> None:
    with Desk(tmp_path, config(quiet_hours="00:00-23:59"), start=False) as desk:
        post = Post(desk)
        post.queue("signal")
        post.run()
        assert [m.silent for m in desk.server.messages] == [True] * 3


def test_chats_that_come_and_go_are_written_down_and_without_telegram_there_are_none(tmp_path: Path) -> None:
    with Desk(tmp_path, start=False) as desk:
        log = desk.rows("SELECT what, detail FROM audit_log ORDER BY id")
        assert log == [("chat is now channel", str(CHANNEL)), ("chat is now viewer", str(VIEWER)),
                       ("chat is now owner", str(OWNER))]
        recipients.settle(desk.ctx, None)
        with desk.db.write() as con:
            outbox.enqueue(con, "signal", "k", "x", NOW)
        assert desk.rows("SELECT count(*) FROM copies") == [(0,)]


def test_the_daemons_health_is_the_owners_alone(post: Post) -> None:
    with post.desk.db.write() as con:
        announce.tell(post.desk.ctx, con, "health", "disk", messages.disk_low(1), NOW, NOW + DAY)
    post.run(2)
    assert len(post.texts(OWNER)) == 1 and post.texts(VIEWER) == post.texts(CHANNEL) == []


@pytest.mark.covers("I6", "I7")
def test_a_file_from_before_the_chats_keeps_its_alerts_and_its_open_threads(tmp_path: Path) -> None:
    from core.store import migrations
    from tests.engine.bot_rig import Context, VirtualClock, fill
    path = tmp_path / "old.db"
    db = Database(path)
    ctx = Context(config(), db, VirtualClock(NOW))
    fill(ctx)
    with db.write() as con:
        (row,) = con.execute("SELECT symbol, direction, decided_ts FROM signals WHERE id = 'open'").fetchall()
        outbox.enqueue(con, "signal", f"signal:{row[0]}:{row[1]}:{row[2]}", "x", NOW, NOW + HOUR)
        for statement in ("DROP TABLE told", "DROP TABLE copies", "DROP TABLE taken", "DROP TABLE chats",
                          "ALTER TABLE alerts DROP COLUMN signal", "ALTER TABLE alerts DROP COLUMN reply_to",
                          "PRAGMA user_version=2"):
            con.execute(statement)
    db.close()
    db = Database(path)
    assert db.con.execute("PRAGMA user_version").fetchone() == (len(migrations.MIGRATIONS),)
    told = db.con.execute("SELECT g.id, t.alert FROM told t JOIN signals g ON g.n = t.signal").fetchall()
    assert ("open", 1) in told
    db.close()


