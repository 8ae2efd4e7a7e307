"""The real python-telegram-bot over a real socket, against every answer a Bot API server gives."""

import io
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from core.clock import VirtualClock
from core.errors import ConfigError, Rejected, Transient
from core.notify import messages, redact
from core.notify.delivery import Deliverer
from core.notify.errors import TextRejected, Unclear, Unknown
from core.notify.telegram import TelegramSender
from core.notify.text import LIMIT
from tests.notify.bot_api import CHAT, TOKEN, BotApi
from tests.notify.channel import drain, judge
from tests.notify.memory_outbox import MemoryOutbox
from tests.notify.samples import T, donchian_row, signal_row

HALF = TOKEN.split(":")[1]


@pytest.fixture
def api() -> Iterator[BotApi]:
    with BotApi() as server:
        yield server


@pytest.fixture
def sender(api: BotApi) -> Iterator[TelegramSender]:
    made = TelegramSender(TOKEN, CHAT, api.url, timeout=20)
    yield made
    made.close()


@pytest.fixture
def hasty(api: BotApi) -> Iterator[TelegramSender]:
    """For answers that never come; the others use `sender`, so that a busy machine changes nothing."""
    made = TelegramSender(TOKEN, CHAT, api.url, timeout=0.4)
    made.send("warm")  # the library is loaded by the first message
    api.messages.clear()
    yield made
    made.close()


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
    ("chat", Rejected, 0, "chat_id"), ("migrate", Rejected, 0, "-100777"), (409, Rejected, 0, "another program"),
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
    sender = TelegramSender(TOKEN, CHAT, url, timeout=20)
    for ask in (lambda: sender.send("x"), sender.reachable, sender.find_chats):
        with pytest.raises(Transient) as caught:
            ask()
        assert type(caught.value) is Transient
    sender.close()


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
    assert sender.find_chats() == [(5, "Ann"), (-100, "Our desk")]


def test_a_missing_token_or_chat_says_what_to_set(api: BotApi) -> None:
    with pytest.raises(ConfigError, match="bot_token"):
        TelegramSender("", CHAT)
    with pytest.raises(Rejected, match=r"notify\.telegram\.chat_id"):
        TelegramSender(TOKEN, None, api.url).send("x")


def test_a_wrong_token_is_refused_and_never_shown(api: BotApi) -> None:
    sender = TelegramSender("987654321:AAanother_token_of_somebody_else_1", CHAT, api.url, timeout=20)
    with pytest.raises(Rejected, match="does not know this bot") as caught:
        sender.send("x")
    assert "somebody" not in "".join(traceback.format_exception(caught.value))
    sender.close()


def test_proxies_of_the_environment_do_not_catch_a_server_on_this_machine(
        api: BotApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for url in (api.url, api.url + "/", api.url + "/bot", api.url.replace("127.0.0.1", "localhost")):
        sender = TelegramSender(TOKEN, CHAT, url, timeout=0.5)
        sender.send("x")
        sender.close()
    assert len(api.messages) == 4


def test_after_close_the_next_message_opens_a_new_connection(api: BotApi, sender: TelegramSender) -> None:
    for _ in range(3):
        sender.send("x")
        sender.close()
    sender.close()
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
    sender = TelegramSender(TOKEN, CHAT, api.url, timeout=0.4)
    said = [repr(sender), str(sender)]
    sender.send("warm")
    if noisy:
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.DEBUG)
    for fault in FAULTS:
        for ask in (lambda: sender.send("<b>x</b>"), sender.reachable, sender.find_chats):
            api.script(fault, fault)
            api.probe(fault)
            try:
                ask()
            except (Transient, Rejected) as exc:
                said += [str(exc), repr(exc), repr(exc.args), *traceback.format_exception(exc)]
                logging.getLogger("engine").exception("failed")
            api._answers["sendMessage"].clear()
            api._answers["getMe"].clear()
    sender.close()
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
    sender = TelegramSender(TOKEN, CHAT, api.url, timeout=20)
    sender.send("x")
    logging.getLogger("httpx").setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.filters.clear()
    sender.send("x")
    assert TOKEN in everything_logged.getvalue() and TOKEN in repr(sender._bot)
    sender.close()


def test_the_outbox_never_holds_the_token_in_its_errors(api: BotApi) -> None:
    class Leaky:
        name = "leaky"

        def send(self, text: str) -> str:
            raise ValueError(f"POST /bot{TOKEN}/sendMessage")

        def reachable(self) -> None:
            pass

    outbox, clock = filled(1)
    Deliverer(outbox, [Leaky()], clock).run_once()
    assert "ValueError" in str(outbox.rows[1].error) and HALF not in str(outbox.rows[1].error)
