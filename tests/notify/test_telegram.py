"""The real python-telegram-bot over a real socket, against every answer a Bot API server gives."""

import io
import json
import logging
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from core.clock import VirtualClock
from core.errors import ConfigError, Rejected, Transient
from core.notify import messages, redact
from core.notify.api import TelegramApi
from core.notify.delivery import Alert, Deliverer
from core.notify.errors import Conflict, TextRejected, Unclear, Unknown
from core.notify.manner import PLAIN, Manner
from core.notify.telegram import TelegramSender
from core.notify.text import LIMIT
from tests.notify.bot_api import CHAT, TOKEN, BotApi
from tests.notify.channel import drain, judge
from tests.notify.memory_outbox import MemoryOutbox
from tests.notify.samples import T, donchian_row, signal_row

HALF = TOKEN.split(":")[1]
PNG = b"\x89PNG small"


def make(chat: Any, url: str, timeout: float = 20, token: str = TOKEN) -> TelegramSender:
    """A sender with a bot of its own."""
    return TelegramSender(TelegramApi(token, url, timeout), chat)


@pytest.fixture
def api() -> Iterator[BotApi]:
    with BotApi() as server:
        yield server


@pytest.fixture
def sender(api: BotApi) -> Iterator[TelegramSender]:
    made = make(CHAT, api.url)
    yield made
    made.api.close()


@pytest.fixture
def hasty(api: BotApi) -> Iterator[TelegramSender]:
    """For answers that never come; the others use `sender`, so that a busy machine changes nothing."""
    made = make(CHAT, api.url, 0.4)
    made.send("warm")  # the library is loaded by the first message
    api.messages.clear()
    yield made
    made.api.close()


SILENT = ("stall", "hang", "trickle")


@pytest.fixture
def fitting(answer: Any, request: pytest.FixtureRequest) -> TelegramSender:
    """The sender for this answer."""
    made: TelegramSender = request.getfixturevalue("hasty" if answer in SILENT else "sender")
    return made


@pytest.mark.covers("D14")
def test_a_message_arrives_as_html_with_its_id(api: BotApi, sender: TelegramSender) -> None:
    assert [sender.send(messages.signal(row, now=T)) for row in (signal_row(), donchian_row())] == ["1", "2"]
    assert api.messages[0].text.startswith("🟢 LONG BTC/USDT:USDT") and api.messages[0].mode == "HTML"
    assert api.messages[0].chat == str(CHAT) and "-&gt;" not in api.messages[1].text


@pytest.mark.covers("D14")
@pytest.mark.parametrize(("answer", "error", "delivered", "words"), [
    (("429", 7), Transient, 0, "wait 7 s"), ("bare429", Transient, 0, "asks to wait"),
    ("html502", Unknown, 0, "502"), ("json500", Unknown, 0, "Internal Server Error"),
    ("stall", Unknown, 1, "Timed out"), ("hang", Unknown, 0, "Timed out"), ("drop", Unknown, 1, "disconnected"),
    ("cut", Unknown, 1, "answer was lost"), ("garbage", Unknown, 1, "Invalid server response"),
    ("trickle", Unknown, 1, "not complete"),
    (401, Rejected, 0, "bot_token"), (404, Rejected, 0, "api_url"), (403, Rejected, 0, "chat_id"),
    ("chat", Rejected, 0, "chat_id"), ("migrate", Rejected, 0, "-100777"), (409, Conflict, 0, "another program"),
    ("odd", Unclear, 0, "nobody has seen"), ("parse", TextRejected, 0, "parse entities")])
def test_every_answer_becomes_the_error_that_says_who_must_act(
        api: BotApi, fitting: TelegramSender, answer: Any, error: type[Exception], delivered: int, words: str) -> None:
    api.script(*[answer] * (2 if error in (Unclear, TextRejected) else 1))  # a refused text is sent again, plain
    with pytest.raises(error) as caught:
        fitting.send("<b>plan</b>")
    assert type(caught.value) is error and words in str(caught.value)
    assert len(api.messages) == delivered
    assert fitting.send("next")  # and the sender still works


def test_flood_wait_is_told_in_seconds_also_where_the_library_gives_a_timedelta(
        api: BotApi, sender: TelegramSender, monkeypatch: pytest.MonkeyPatch) -> None:
    for flag in ("false", "true"):
        monkeypatch.setenv("PTB_TIMEDELTA", flag)
        api.script(("429", 3600))
        with pytest.raises(Transient) as caught:
            sender.send("x")
        assert caught.value.retry_after == 3600.0


def test_a_refused_connection_is_transient_and_surely_not_delivered() -> None:
    with BotApi() as gone:
        url = gone.url
    sender = make(CHAT, url)
    for ask in (lambda: sender.send("x"), sender.reachable, sender.api.find_chats):
        with pytest.raises(Transient) as caught:
            ask()
        assert type(caught.value) is Transient
    sender.api.close()


@pytest.mark.covers("D14")
def test_refused_markup_is_sent_plain_at_once(api: BotApi, sender: TelegramSender) -> None:
    assert sender.send("RSI < 30 & <b>rising</b>") == "1"
    assert [(m.text, m.mode) for m in api.messages] == [("RSI < 30 & rising", None)]


def test_lone_surrogates_do_not_stop_a_message(api: BotApi, sender: TelegramSender) -> None:
    sender.send("a \ud800 b")
    assert api.texts == ["a ? b"]


def test_a_long_text_goes_out_in_whole_parts(api: BotApi, sender: TelegramSender) -> None:
    text = "<b>head</b>\n" + "\n".join(f"<code>{i:04d}</code> &lt;line&gt;" for i in range(900))
    assert sender.send(text) == "1"
    assert len(api.messages) > 3 and all(len(m.text) <= LIMIT and m.mode == "HTML" for m in api.messages)
    assert "\n".join(api.texts) == messages.plain(text)


def test_a_text_of_which_only_a_part_arrived_is_unknown(api: BotApi, sender: TelegramSender) -> None:
    api.script("ok", ("429", 5))
    with pytest.raises(Unknown, match="first part"):
        sender.send("\n".join(["line"] * 2000))


def test_an_empty_text_is_refused_without_asking(api: BotApi, sender: TelegramSender) -> None:
    with pytest.raises(TextRejected):
        sender.send(" ")
    assert api.asked == []


def test_reachable_asks_a_harmless_question_and_a_refusal_is_an_answer(api: BotApi, hasty: TelegramSender) -> None:
    api.asked.clear()
    hasty.reachable()
    api.probe(401)
    hasty.reachable()
    for answer in ("html502", "hang", "drop", ("429", 5)):
        api.probe(answer)
        with pytest.raises(Transient):
            hasty.reachable()
    assert set(api.asked) == {"getMe"} and api.messages == []


def test_find_chats_lists_each_chat_once_with_its_name(api: BotApi, sender: TelegramSender) -> None:
    def update(n: int, kind: str, chat: dict[str, Any]) -> dict[str, Any]:
        return {"update_id": n, kind: {"message_id": n, "date": 0, "chat": chat, "text": "/start"}}

    ann = {"id": 5, "type": "private", "first_name": "Ann"}
    group = {"id": -100, "type": "supergroup", "title": "Our desk"}
    api.updates = [update(1, "message", ann), update(2, "channel_post", group), update(3, "message", ann),
                   {"update_id": 4}]
    assert sender.api.find_chats() == [(5, "Ann"), (-100, "Our desk")]


def test_a_missing_token_or_chat_says_what_to_set(api: BotApi) -> None:
    with pytest.raises(ConfigError, match="bot_token"):
        make(CHAT, "", token="")
    with pytest.raises(Rejected, match=r"notify\.telegram\.chat_id"):
        make(None, api.url).send("x")


def test_a_wrong_token_is_refused_and_never_shown(api: BotApi) -> None:
    sender = make(CHAT, api.url, token="987654321:AAanother_token_of_somebody_else_1")
    with pytest.raises(Rejected, match="does not know this bot") as caught:
        sender.send("x")
    assert "somebody" not in "".join(traceback.format_exception(caught.value))
    sender.api.close()


def test_proxies_of_the_environment_do_not_catch_a_server_on_this_machine(
        api: BotApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for url in (api.url, api.url + "/", api.url + "/bot", api.url.replace("127.0.0.1", "localhost")):
        sender = make(CHAT, url, 0.5)
        sender.send("x")
        sender.api.close()
    assert len(api.messages) == 4


def test_after_close_the_next_message_opens_a_new_connection(api: BotApi, sender: TelegramSender) -> None:
    for _ in range(3):
        sender.send("x")
        sender.api.close()
    sender.api.close()
    assert len(api.messages) == 3


@pytest.mark.covers("D14", "I6")
@pytest.mark.parametrize("answer", ["stall", "drop", "cut", "garbage", "trickle", "hang", "html502", "json500"])
def test_a_lost_answer_gives_at_most_one_labelled_repeat_and_nothing_is_lost(
        api: BotApi, fitting: TelegramSender, answer: str) -> None:
    outbox, clock = filled(3)
    api.script("ok", answer)
    drain(outbox, Deliverer(outbox, [fitting], clock), clock)
    assert outbox.states() == ["sent"] * 3 and judge(outbox, api.texts) == []
    assert outbox.rows[2].lost == 1 and len(api.messages) <= 4


def filled(n: int) -> tuple[MemoryOutbox, VirtualClock]:
    outbox = MemoryOutbox()
    for i in range(n):
        outbox.add(f"<b>plan</b> {i}", T)
    return outbox, VirtualClock(T)


@pytest.mark.covers("D14", "I6")
def test_a_burst_of_200_under_flood_control_keeps_its_order_and_loses_none(api: BotApi, sender: TelegramSender) -> None:
    outbox, clock = filled(200)
    for i in range(30):
        api.script(*["ok"] * 6, ("429", 1 + 37 * i % 3600))
    deliverer = Deliverer(outbox, [sender], clock)
    drain(outbox, deliverer, clock, runs=3000)
    assert api.texts == [f"plan {i}" for i in range(200)]
    assert outbox.states() == ["sent"] * 200 and api.asked.count("sendMessage") == 230


@pytest.mark.covers("D14", "I6")
def test_a_gateway_broken_for_a_day_loses_none(api: BotApi, sender: TelegramSender) -> None:
    outbox, clock = filled(10)
    api.always = "html502"
    deliverer = Deliverer(outbox, [sender], clock)
    for _ in range(24 * 60):
        deliverer.run_once()
        clock.sleep(60)
    assert api.messages == [] and api.asked.count("sendMessage") == 1  # then harmless questions only
    api.always = None
    drain(outbox, deliverer, clock)
    assert judge(outbox, api.texts) == [] and len(api.messages) == 10


def test_a_picture_goes_out_above_its_text_in_answer_to_a_message_and_without_a_sound(
        api: BotApi, sender: TelegramSender) -> None:
    assert sender.send("<b>plan</b> &lt;1", Manner(silent=True, reply_to="77", photo=PNG)) == "1"
    (message,) = api.messages
    assert (message.text, message.mode, message.photo) == ("plan <1", "HTML", PNG)
    assert message.silent and message.reply_to == 77
    assert sender.send("x", Manner(reply_to="console-3")) == "2" and api.messages[1].reply_to is None
    assert not api.messages[1].silent


@pytest.mark.covers("D14")
@pytest.mark.parametrize("answer", ["odd", "parse", "chat"])
def test_a_refused_picture_never_costs_the_text(api: BotApi, sender: TelegramSender, answer: str) -> None:
    api.answers("sendPhoto", answer)
    assert sender.send("<b>plan</b>", Manner(photo=PNG)) == "1"
    assert sender.send("plan 2", Manner(photo=b"no picture at all")) == "2"
    assert [(m.text, m.photo) for m in api.messages] == [("plan", None), ("plan 2", None)]


def test_a_text_too_long_for_a_caption_goes_out_whole_without_the_picture(api: BotApi, sender: TelegramSender) -> None:
    sender.send("a" * 1025, Manner(photo=PNG))
    assert api.messages[0].photo is None and len(api.texts[0]) == 1025
    sender.send("a" * 1024, Manner(photo=PNG))
    assert api.messages[1].photo == PNG


def test_only_the_first_part_of_a_long_text_makes_a_sound_and_answers(api: BotApi, sender: TelegramSender) -> None:
    sender.send("\n".join(["line"] * 2000), Manner(reply_to="5"))
    assert [(m.silent, m.reply_to) for m in api.messages] == [(False, 5), (True, None), (True, None)]


@pytest.mark.covers("D14", "I6")
def test_a_picture_whose_answer_is_lost_is_repeated_once_labelled(api: BotApi, sender: TelegramSender) -> None:
    outbox, clock = filled(2)
    api.answers("sendPhoto", "drop")

    def manner(alert: Alert) -> Manner:
        return Manner(photo=None if alert.lost else PNG)

    drain(outbox, Deliverer(outbox, [sender], clock, manner=manner), clock)
    assert judge(outbox, api.texts) == [] and len(api.messages) == 3
    assert [m.photo is not None for m in api.messages] == [True, False, True]


def test_news_are_waited_for_told_once_and_forgotten_by_the_offset(api: BotApi, sender: TelegramSender) -> None:
    first = api.say("/status", date=1_714_573_800)
    (got,) = sender.api.updates(None, 5)
    assert (got.update_id, got.chat, got.user, got.text, got.ts) == (first, str(CHAT), str(CHAT), "/status", T)
    assert [u.update_id for u in sender.api.updates(None, 0)] == [first], "not confirmed yet"
    assert sender.api.updates(first + 1, 0) == [] and api.updates == []
    threading.Timer(0.05, lambda: api.say("/help")).start()
    assert [u.text for u in sender.api.updates(first + 1, 20)] == ["/help"]


def test_odd_updates_are_no_text_of_a_person_and_stop_nothing(api: BotApi, sender: TelegramSender) -> None:
    api.updates = [
        {"update_id": 1}, {"update_id": 2, "message": "?"}, {"update_id": 3, "message": {"chat": {"id": "x"}}},
        {"update_id": 4, "message": {"message_id": {}, "from": [], "text": 5, "date": "now"}}, {"nothing": 1}, 7]
    api.say("/pause", forward_origin={"type": "user"})
    api.say("/pause", via_bot={"id": 3})
    api.updates.append({"update_id": 2000, "message": {"from": {"id": 9, "is_bot": True}, "text": "/pause"}})
    found = sender.api.updates(None, 0)
    assert len(found) == 7 and {u.text for u in found} == {""}


def test_a_running_wait_for_news_ends_at_once_when_asked_to(api: BotApi, sender: TelegramSender) -> None:
    threading.Timer(0.1, sender.api.interrupt).start()
    began = time.monotonic()
    assert sender.api.updates(None, 30) == [] and sender.api.updates(None, 30) == []
    assert time.monotonic() - began < 10


def test_a_second_reader_is_a_conflict_with_a_name_of_its_own(api: BotApi, sender: TelegramSender) -> None:
    other = TelegramApi(TOKEN, api.url)
    threading.Timer(0.1, lambda: other.updates(None, 0)).start()
    with pytest.raises(Conflict, match="another program"):
        sender.api.updates(None, 20)
    other.close()


def test_the_menu_is_set_for_one_chat(api: BotApi, sender: TelegramSender) -> None:
    sender.api.set_commands("-100", [("help", "what there is")])
    method, form = api.forms[-1]
    assert method == "setMyCommands" and json.loads(form["scope"]) == {"type": "chat", "chat_id": -100}
    assert json.loads(form["commands"]) == [{"command": "help", "description": "what there is"}]
    assert sender.api.username() == "a_bot"


@pytest.mark.covers("D14")
def test_hostile_names_arrive_whole(api: BotApi, sender: TelegramSender) -> None:
    for name in ("_*[]<>&", "</b>", "&lt", "<b>", "a<!--", "`|\\{}", "&#0;", "<a href='x'>"):
        sender.send(messages.signal(signal_row(rationale=name, setup=name), now=T))
        assert api.messages[-1].mode == "HTML" and api.texts[-1].endswith(f"Why: {name}")


FAULTS = ("ok", ("429", 3), "bare429", "parse", "chat", "odd", "migrate", 401, 403, 404, 409, "html502", "json500",
          "stall", "drop", "cut", "garbage")
NOISY = ("httpx", "httpcore", "telegram", "telegram.request.BaseRequest")


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """All that the process logs at DEBUG, through the filter, as an engine sets it up."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    quiet = {name: logging.getLogger(name).level for name in NOISY}
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)
    for name, old in quiet.items():
        logging.getLogger(name).setLevel(old)


def everything_said(api: BotApi, noisy: bool) -> str:
    """Meet every fault once; all texts of errors, tracebacks and reprs."""
    sender = make(CHAT, api.url, 0.4)
    said = [repr(sender), str(sender), repr(sender.api)]
    sender.send("warm")
    if noisy:
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.DEBUG)
    for fault in FAULTS:
        for ask in (lambda: sender.send("<b>x</b>"), lambda: sender.send("x", Manner(photo=PNG)), sender.reachable,
                    sender.api.find_chats, lambda: sender.api.updates(5, 0), sender.api.username,
                    lambda: sender.api.set_commands("5", [("help", "all")])):
            api.script(fault, fault)
            api.probe(fault)
            for method in ("sendPhoto", "getUpdates", "setMyCommands"):
                api.answers(method, fault)
            try:
                ask()
            except (Transient, Rejected) as exc:
                said += [str(exc), repr(exc), repr(exc.args), *traceback.format_exception(exc)]
                logging.getLogger("engine").exception("failed")
            for queue in api._answers.values():
                queue.clear()
    sender.api.close()
    return "".join(said)


@pytest.mark.covers("D19")
@pytest.mark.parametrize("noisy", [False, True])
def test_canary_token_appears_in_no_log_exception_or_repr(
        api: BotApi, everything_logged: io.StringIO, noisy: bool) -> None:
    redact.install((TOKEN,))
    said = everything_said(api, noisy)
    written = everything_logged.getvalue()
    assert "failed" in written and (not noisy or "HTTP Request" in written)
    assert HALF not in said and HALF not in written


@pytest.mark.covers("D19")
def test_planted_flaw_the_library_alone_writes_the_token(api: BotApi, everything_logged: io.StringIO) -> None:
    sender = make(CHAT, api.url)
    sender.send("x")
    logging.getLogger("httpx").setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.filters.clear()
    sender.send("x")
    assert TOKEN in everything_logged.getvalue() and TOKEN in repr(sender.api._bot)
    sender.api.close()


def test_the_outbox_never_holds_the_token_in_its_errors(api: BotApi) -> None:
    class Leaky:
        name = "leaky"

        def send(self, text: str, manner: Manner = PLAIN) -> str:
            raise ValueError(f"POST /bot{TOKEN}/sendMessage")

        def reachable(self) -> None:
            pass

    outbox, clock = filled(1)
    Deliverer(outbox, [Leaky()], clock).run_once()
    assert "ValueError" in str(outbox.rows[1].error) and HALF not in str(outbox.rows[1].error)
