"""The bot over a real socket: its words, its roles, and that it is in nobody's way."""

import io
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.engine import announce
from core.engine.chat import bot as bot_module
from core.engine.chat import changes, recipients
from core.engine.chat.bot import ANSWERS, MOST, Bot
from core.engine.chat.changes import CHANGES
from core.engine.chat.desk import Ask, Reply
from core.errors import Transient
from core.notify import commands, phone, redact
from core.notify.api import Heard
from core.store import chats, runs
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine.bot_rig import CHANNEL, GROUP, NOW, OWNER, STRANGER, VIEWER, Desk, config
from tests.notify.bot_api import TOKEN

HALF = TOKEN.split(":")[1]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A bot for questions; what changes something has a desk of its own."""
    with Desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture(autouse=True)
def _an_hour_later(request: pytest.FixtureRequest) -> None:
    if "desk" in request.fixturenames:
        desk: Desk = request.getfixturevalue("desk")
        desk.bot._lately.clear()


def test_every_command_of_the_list_has_an_answer_and_every_answer_a_command() -> None:
    assert {c.name for c in commands.COMMANDS} == set(ANSWERS) | set(CHANGES)
    assert {c.name for c in commands.COMMANDS if c.owner} < set(CHANGES)


@pytest.mark.parametrize("command", [
    "/start", "/help", "/status", "/status table", "/status OPENAAA", "/signals", "/signals 2", "/trades", "/profit",
    "/profit 7", "/daily", "/daily 3", "/weekly", "/performance", "/stats", "/health", "/version", "/gate", "/model",
    "/gaps", "/why WONAAAA", "/why refused", "/chart OPENAAA"])
@pytest.mark.parametrize("user", [OWNER, VIEWER])
def test_every_reading_command_answers_both_roles_in_valid_html_and_narrow_tables(
        desk: Desk, command: str, user: int) -> None:
    message = desk.ask(command, user)
    assert message.chat == str(user) and message.mode == "HTML" and message.text.strip()
    assert "wrong" not in message.text and "Busy" not in message.text
    for block in message.raw.split("<pre>")[1:]:
        assert phone.widest(block.partition("</pre>")[0]) <= phone.WIDTH


def test_open_trades_are_told_in_the_words_that_other_bots_use(desk: Desk) -> None:
    text = desk.ask("/status").text
    for words in ("BTC/USDT", "long 3x", "#OPENAAA", "Open Rate", "64210.5", "Current Rate", "64800.0", "Profit",
                  "Stoploss", "63400.0", "TP1", "1 plan waits"):
        assert words in text, words
    table = desk.ask("/status table").text
    assert "OPENAAA BTC L" in table and "WAITAAA ETH S" in table and "REFUSED" not in table


def test_the_profit_of_an_open_trade_is_net_of_the_costs_of_closing_it_now(desk: Desk) -> None:
    text = desk.ask("/status OPENAAA").text
    gross = 100 * (64800 / 64210.5 - 1)
    costs = (0.06 + 0.025) * (1 + 64800 / 64210.5)
    assert f"{gross - costs:+.2f}%" in text and f"{gross:+.2f}%" not in text


def test_results_stand_beside_their_number_their_interval_and_the_break_even_rate(desk: Desk) -> None:
    text = desk.ask("/profit").text
    for words in ("ROI: Closed trades", "ROI: All trades", "Trade Count", "Profit factor", "Win / Loss", "1 / 1",
                  "Winrate", "50% (9-91)", "Break-even", "Expectancy", "Max Drawdown", "Too few weeks"):
        assert words in text, words
    assert "No model judged 1 of them" in text
    for command in ("/profit", "/daily", "/weekly", "/performance"):
        assert "net of costs, each plan at its own size" in desk.ask(command).text, command
    assert "won" not in desk.ask("/profit 1").text and "No trade was closed in the last 1 days" in desk.ask(
        "/profit 1").text


def test_a_decision_is_explained_gate_by_gate_and_drawn(desk: Desk) -> None:
    text = desk.ask("/why #REFUSED").text
    assert "REFUSED: cost_r 0.31 > max_cost_r 0.15" in text and "Gates" in text and "✅" in text
    chart = desk.ask("/chart openaaa")
    assert chart.photo is not None and chart.photo.startswith(b"\x89PNG") and "Entry 64210.5" in chart.text


@pytest.mark.parametrize(("command", "words"), [
    ("/why", "Which one?"), ("/why xx", "That is no id"), ("/why NOSUCHID", "No such plan"),
    ("/status WONAAAA", "is not open"), ("/daily seven", "A number, please"), ("/chart", "/chart ID"),
    ("/prfit", "Did you mean /profit?"), ("/bananas", "There is no /bananas"), ("/taken", "Which one?"),
    ("/taken OPENAAA", "At which price?"), ("/taken OPENAAA x", "is no price"), ("/taken OPENAAA 6421", "a slip?"),
    ("/<b>&", "There is no /<b>&")])
def test_what_cannot_be_done_is_said_with_how_to_say_it_right(desk: Desk, command: str, words: str) -> None:
    assert words in desk.ask(command).text


def test_the_menus_are_set_for_those_who_may_command_each_with_his_own(desk: Desk) -> None:
    desk.ask("/version")
    menus = {form["scope"]: form["commands"] for method, form in desk.server.forms if method == "setMyCommands"}
    assert len(menus) == 2
    own, read = (next(m for s, m in menus.items() if f'"chat_id": {who}' in s) for who in (OWNER, VIEWER))
    assert '"pause"' in own and '"pause"' not in read and '"mute"' in read


# Roles


def silent(desk: Desk, text: str, user: int, chat: int | None = None, **more: Any) -> bool:
    """Whether nobody gets an answer to this."""
    before = len(desk.server.messages)
    desk.done(desk.tell(text, user, chat, **more))
    return len(desk.server.messages) == before


@pytest.mark.parametrize(("user", "chat", "more"), [
    (STRANGER, None, {}), (STRANGER, GROUP, {}), (STRANGER, CHANNEL, {}), (OWNER, GROUP, {}), (VIEWER, GROUP, {}),
    (OWNER, None, {"forward_origin": {"type": "user"}}), (OWNER, None, {"via_bot": {"id": 5}}),
    (OWNER, None, {"from": {"id": OWNER, "is_bot": True}}), (OWNER, None, {"photo": []}),
    (OWNER, None, {"from": None}), (OWNER, None, {"sender_chat": {"id": CHANNEL}, "from": {"id": 1087968824}})])
@pytest.mark.parametrize("text", ["/status", "/pause", "/help"])
def test_everyone_else_gets_nothing_and_so_does_what_is_not_the_persons_own_word(
        desk: Desk, text: str, user: int, chat: int | None, more: dict[str, Any]) -> None:
    assert silent(desk, "" if "photo" in more else text, user, chat, **more)
    assert runs.get(desk.db.con, announce.PAUSED) is None


def test_talk_and_commands_for_other_bots_get_no_answer(desk: Desk) -> None:
    for text in ("hello", "/", "/status@other_bot", "status", " "):
        assert silent(desk, text, OWNER), text
    assert "Trader_AI" in desk.ask("/version@A_BOT").text


@pytest.mark.parametrize("text", ["/pause", "/resume", "/taken OPENAAA 64300", "/stopentry"])
def test_a_viewer_changes_nothing(desk: Desk, text: str) -> None:
    assert desk.ask(text, VIEWER).text == "Only the owner may do that."
    assert desk.rows("SELECT count(*) FROM taken") == [(0,)] and runs.get(desk.db.con, announce.PAUSED) is None


def role_of(user: int, chat: int, **telegram: Any) -> str | None:
    known = recipients.roles(config(**telegram))
    return known.of(Heard(1, str(chat), str(user) if user else "", "x", "/help", 0))


def test_in_a_group_only_the_named_owner_commands_and_only_listed_people_read() -> None:
    home = {"chat_id": str(GROUP), "viewers": (str(VIEWER),), "channels": ()}
    assert role_of(OWNER, GROUP, **home) is None, "nobody is the owner of a group unless he is named"
    home["owner_id"] = str(OWNER)
    assert role_of(OWNER, GROUP, **home) == "owner" and role_of(OWNER, OWNER, **home) == "owner"
    assert role_of(VIEWER, GROUP, **home) == "viewer" and role_of(STRANGER, GROUP, **home) is None
    assert role_of(0, GROUP, **home) is None
    assert role_of(STRANGER, -9, owner_id=str(OWNER), viewers=("-9",)) == "viewer", "a group of readers"
    assert role_of(OWNER, -9, owner_id=str(OWNER), viewers=("-9",)) == "owner"
    assert role_of(OWNER, -8, owner_id=str(OWNER), viewers=("-9",)) is None, "not in a foreign group"


class Trusting(Bot):
    """Planted flaw: who writes in the owner's name of a chat is taken for the owner."""

    def _reply(self, heard: Heard, role: str, given: commands.Given) -> Reply:
        return super()._reply(heard, commands.OWNER, given)


def test_planted_flaw_a_bot_blind_to_roles_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Desk, "bot_type", Trusting)
    with Desk(tmp_path) as desk:
        assert "Paused" in desk.ask("/pause", VIEWER).text
        assert runs.get(desk.db.con, announce.PAUSED) is not None


# Changes


def test_pausing_and_resuming_say_what_they_did_and_who_did_it_is_written_down(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        assert "Paused" in desk.ask("/pause").text
        assert "Paused already" in desk.ask("/stopentry").text
        assert "paused" in desk.ask("/health").text and "announcing is paused" in desk.ask("/gate").text
        desk.clock.sleep(3600)
        assert "Resumed after 1h" in desk.ask("/resume").text
        assert "nothing was paused" in desk.ask("/resume").text
        log = desk.rows("SELECT who, what FROM audit_log WHERE who LIKE 'telegram:%' ORDER BY id")
        assert log == [(f"telegram:{OWNER}", "announcing paused"), (f"telegram:{OWNER}", "announcing resumed")]


def test_what_the_owner_did_is_recorded_shown_replaced_and_taken_back(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        answer = desk.ask("/taken OPENAAA 64,300.5").text
        assert "taken at 64300.5" in answer and "0.14% worse" in answer
        assert "You took it  64300.5" in desk.ask("/status OPENAAA").text
        assert "+0.78% before fees" in desk.ask("/taken OPENAAA 64300,5 64800").text
        assert desk.ask("/taken WONAAAA 64200 65000").text.endswith("before fees")
        assert "#WONAAAA you: 64200.0 to 65000.0 = +1.25% before fees (paper +1.73%)" in desk.ask("/trades").text
        for command in ("/status OPENAAA", "/trades"):
            assert "ou took" not in desk.ask(command, VIEWER).text and "you:" not in desk.ask(command, VIEWER).text
        assert "taken back" in desk.ask("/taken OPENAAA off").text
        assert desk.rows("SELECT g.short_id, t.price, t.exit_price FROM taken t JOIN signals g ON g.n = t.signal") == [
            ("WONAAAA", 64200.0, 65000.0)]
        assert len(desk.rows("SELECT 1 FROM audit_log WHERE what LIKE 'taken%'")) == 4


def test_a_viewer_mutes_his_own_chat_and_no_other(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        assert "without a sound until" in desk.ask("/mute 90", VIEWER).text
        assert chats.muted_until(desk.db.con, str(VIEWER)) == NOW + 90 * MINUTE
        assert chats.muted_until(desk.db.con, str(OWNER)) == 0
        assert "make a sound again" in desk.ask("/mute off", VIEWER).text
        desk.ask("/mute 999999999")
        assert chats.muted_until(desk.db.con, str(OWNER)) == NOW + 7 * DAY


def test_a_viewer_who_reads_along_in_the_owners_group_cannot_take_its_sound_away(tmp_path: Path) -> None:
    cfg = config(chat_id=str(GROUP), owner_id=str(OWNER))
    with Desk(tmp_path, cfg) as desk:
        for command in ("/mute", "/mute off"):
            assert "Only the owner" in desk.ask(command, VIEWER, GROUP).text
        assert chats.muted_until(desk.db.con, str(GROUP)) == 0
        assert "without a sound until" in desk.ask("/mute", OWNER, GROUP).text


def test_a_full_disk_while_another_program_reads_the_bot_ends_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_module, "LONGEST_WAIT", 0.01)
    real, tries = bot_module.writing, []

    @contextmanager
    def full(db: Any, *rest: Any) -> Iterator[Any]:
        tries.append(1)
        if len(tries) < 3:
            raise sqlite3.OperationalError("database or disk is full")
        with real(db, *rest) as con:
            yield con

    monkeypatch.setattr(bot_module, "writing", full)
    with Desk(tmp_path, start=False) as desk:
        desk.server.answers("getUpdates", *[409] * 30)
        desk.bot.start()
        desk.server.until(lambda: desk.server.asked.count("getUpdates") > 2)
        desk.clock.sleep(121)
        assert "Trader_AI" in desk.ask("/version").text
        assert len(tries) > 3 and desk.rows("SELECT count(*) FROM alerts") == [(1,)]


# Restarts, old commands, floods


@pytest.mark.covers("I6")
def test_a_restart_repeats_no_change_though_telegram_was_not_told_that_it_was_done(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        update = desk.tell("/taken OPENAAA 64300")
        desk.ask("/taken OPENAAA off")
        kept = [{"update_id": update, "message": {
            "message_id": 1, "date": NOW // 1000, "text": "/taken OPENAAA 64300", "chat": {"id": OWNER},
            "from": {"id": OWNER, "is_bot": False}}}]
        desk.bot.stop()
        desk.server.updates = kept  # as if the last confirmation had not reached Telegram
        desk.restart()
        desk.ask("/version")
        assert desk.rows("SELECT count(*) FROM taken") == [(0,)]
        assert len(desk.rows("SELECT 1 FROM audit_log WHERE what = 'taken'")) == 1


def test_planted_flaw_a_bot_that_forgets_its_place_does_it_twice(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "remember", lambda con, update_id, now: None)
    with Desk(tmp_path) as desk:
        update = desk.tell("/pause")
        desk.ask("/resume")
        desk.bot.stop()
        desk.server.updates = [{"update_id": update, "message": {
            "date": NOW // 1000, "text": "/pause", "chat": {"id": OWNER}, "from": {"id": OWNER}}}]
        desk.server.confirmed = 0
        desk.restart()
        desk.ask("/version")
        assert runs.get(desk.db.con, announce.PAUSED) is not None


def test_a_place_older_than_a_day_is_not_held_against_new_numbers(tmp_path: Path) -> None:
    with Desk(tmp_path, start=False) as desk:
        with desk.db.write() as con:
            changes.remember(con, 999_999, NOW - 2 * DAY)  # after a quiet week Telegram counts from anywhere
        desk.bot.start()
        assert "Trader_AI" in desk.ask("/version").text


def test_wishes_of_a_moment_that_is_over_are_not_carried_out_and_facts_are(tmp_path: Path) -> None:
    with Desk(tmp_path, start=False) as desk:
        desk.tell("/pause", old=3 * HOUR)
        desk.tell("/status", old=3 * HOUR)
        desk.tell("/taken OPENAAA 64300", old=3 * HOUR)
        desk.bot.start()
        desk.ask("/version")
        assert [text.partition(" ")[0] for text in desk.server.texts] == ["/pause", "/status", "📝", "Trader_AI"]
        assert "180 minutes ago" in desk.server.texts[0] and "not carried out" in desk.server.texts[0]
        assert runs.get(desk.db.con, announce.PAUSED) is None
        assert desk.rows("SELECT ts FROM taken") == [(NOW - 3 * HOUR,)]


def test_a_flood_of_commands_is_answered_once_and_then_no_more(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        for _ in range(MOST + 15):
            desk.tell("/version", VIEWER)
        desk.ask("/health")  # another chat is not concerned
        assert len(desk.server.to(VIEWER)) == MOST + 1
        assert desk.server.to(VIEWER)[-1].text.startswith(f"More than {MOST} commands")
        desk.clock.sleep(61)
        assert "Trader_AI" in desk.ask("/version", VIEWER).text


# Telegram in trouble


@pytest.mark.covers("D14")
@pytest.mark.parametrize("fault", ["html502", "json500", "drop", "cut", "garbage", ("429", 1), "bare429", 409, "odd",
                                   "bare", "list", "null"])
def test_the_bot_hears_on_after_any_fault_of_telegram(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Any) -> None:
    monkeypatch.setattr(bot_module, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(bot_module, "PARKED", 0.01)
    with Desk(tmp_path, start=False) as desk:
        desk.server.probe(fault)
        desk.server.answers("getUpdates", fault, fault)
        desk.server.answers("setMyCommands", fault)
        desk.bot.start()
        assert "Trader_AI" in desk.ask("/version").text


@pytest.mark.covers("I6")
@pytest.mark.parametrize("fault", ["drop", ("429", 1), "html502"])
def test_an_answer_that_may_have_arrived_is_not_sent_twice_and_a_refused_one_is(tmp_path: Path, fault: Any) -> None:
    with Desk(tmp_path) as desk:
        desk.server.script(fault)
        desk.tell("/help")
        desk.ask("/version")
        told = [text for text in desk.server.texts if text.startswith("Commands")]
        assert len(told) == {"drop": 1, "html502": 0}.get(fault, 1)


def test_two_programs_with_one_token_are_told_to_the_owner_once_by_alert(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(bot_module, "LONGEST_WAIT", 0.01)
    with Desk(tmp_path, start=False) as desk:
        desk.server.answers("getUpdates", *[409] * 60)
        desk.bot.start()
        desk.server.until(lambda: desk.server.asked.count("getUpdates") > 5)
        assert desk.rows("SELECT count(*) FROM alerts") == [(0,)], "it may be the last wait of this very bot"
        desk.clock.sleep(121)
        desk.server.until(lambda: desk.server.asked.count("getUpdates") > 60)
        assert "Trader_AI" in desk.ask("/version").text
        ((kind, body),) = desk.rows("SELECT kind, body FROM alerts")
        assert kind == "health" and "Another program reads" in body
        assert desk.rows("SELECT count(*) FROM copies") == [(0,)], "the owner's business alone"
        assert sum("another program uses this bot" in r.getMessage() for r in caplog.records) == 1


@pytest.mark.covers("D19")
def test_the_token_stands_in_no_log_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_module, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(bot_module, "PARKED", 0.01)
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    root.addHandler(handler)
    redact.install((TOKEN,))
    try:
        with Desk(tmp_path, start=False) as desk:
            for fault in ("html502", "drop", 409, 401, 404, "odd", "garbage"):
                desk.server.answers("getUpdates", fault)
                desk.server.answers("sendMessage", fault)
            desk.bot.start()
            for _ in range(8):
                desk.tell("/health")
            desk.tell("/version")
            desk.server.until(lambda: any("SQLite" in text for text in desk.server.texts))
    finally:
        root.removeHandler(handler)
    assert "no commands are heard" in stream.getvalue() and HALF not in stream.getvalue()


# In nobody's way


def hold(desk: Desk, seconds: float = 0.2) -> bool:
    """Whether the tick could take the writing connection now."""
    got = desk.db.lock.acquire(timeout=seconds)
    if got:
        desk.db.lock.release()
    return got


def hanging_pause(desk: Desk) -> bool:
    """Ask for a change whose answer hangs; whether a tick could write meanwhile."""
    desk.server.script("hang")
    desk.tell("/pause")
    desk.server.until(lambda: "sendMessage" in desk.server.asked)
    return hold(desk)


def test_an_answer_that_hangs_holds_no_tick_up(tmp_path: Path) -> None:
    with Desk(tmp_path, timeout=2) as desk:
        assert hanging_pause(desk)
        assert runs.get(desk.db.con, announce.PAUSED) is not None


class Greedy(Bot):
    """Planted flaw: it answers before it lets the writing connection go."""

    def _serve(self, heard: Heard) -> None:
        with self._ctx.db.lock:
            super()._serve(heard)


def test_planted_flaw_a_bot_that_answers_with_the_file_in_its_hand_is_caught(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Desk, "bot_type", Greedy)
    with Desk(tmp_path, timeout=2) as desk:
        assert not hanging_pause(desk)


@contextmanager
def tick_at_work(desk: Desk) -> Iterator[None]:
    """A minute's work that holds the writing connection, in a thread of its own, as in the daemon."""
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        with desk.db.write() as con:
            runs.put(con, "toy", 1)
            begun.set()
            ended.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(20)
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_while_the_tick_writes_questions_are_answered_and_changes_told_to_come_again(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk, tick_at_work(desk):
        assert "BTC/USDT" in desk.ask("/status").text
        assert desk.ask("/pause").text == bot_module.BUSY
    with Desk(tmp_path) as desk:
        assert runs.get(desk.db.con, announce.PAUSED) is None, "and not done later behind one's back"


def test_a_question_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(ask: Ask) -> Reply:
        ask.ctx.clock.sleep(bot_module.READ_SECONDS + 1)  # the time that its queries take
        ask.con.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n")
        raise AssertionError("it was not given up")

    monkeypatch.setitem(ANSWERS, "gaps", endless)
    with Desk(tmp_path) as desk:
        assert desk.ask("/gaps").text == bot_module.BUSY
        assert "Trader_AI" in desk.ask("/version").text


def test_a_bug_in_an_answer_is_said_logged_and_ends_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(ANSWERS, "gaps", lambda ask: Reply(str(1 // 0)))
    with Desk(tmp_path) as desk:
        assert desk.ask("/gaps").text == bot_module.BROKEN
        assert "ZeroDivisionError" in caplog.text and "Trader_AI" in desk.ask("/version").text


def test_an_answer_can_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(ask: Ask) -> Reply:
        ask.con.execute("DELETE FROM taken")
        return Reply("done")

    monkeypatch.setitem(ANSWERS, "gaps", bad)
    with Desk(tmp_path) as desk:
        assert desk.ask("/gaps").text != "done"


def test_stopping_takes_no_longer_than_a_moment_though_it_waits_for_news(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.server.until(lambda: "getUpdates" in desk.server.asked)
    desk.bot.stop(seconds=5)
    assert not desk.bot._thread.is_alive()
    desk.__exit__()


def test_writing_waits_only_a_moment(tmp_path: Path) -> None:
    with Desk(tmp_path, start=False) as desk, tick_at_work(desk), pytest.raises(Transient, match="busy"), \
            changes.writing(desk.db, 0.05):
        raise AssertionError


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(ask: Ask) -> Reply:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setitem(ANSWERS, "gaps", broken)
    with Desk(tmp_path) as desk:
        assert "cannot be read" in desk.ask("/gaps").text
