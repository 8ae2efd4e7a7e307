"""The Bot API through python-telegram-bot: one question, its answer or a clear error back. Any thread may ask."""

import asyncio
import concurrent.futures
import contextlib
import logging
import re
import threading
import traceback
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from core.errors import ConfigError, Rejected, TraderError, Transient
from core.notify import redact
from core.notify.errors import Conflict, TextRejected, Unclear, Unknown

if TYPE_CHECKING:
    from telegram import Bot

T = TypeVar("T")
Json = Mapping[str, Any]

OFFICIAL = "https://api.telegram.org"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Errors of httpx, by name, that come before a request has left.
_BEFORE_SENDING = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol")
_ABOUT_CHAT = re.compile("chat|rights|user|bot|member|channel|group|topic|thread|peer|kicked|forbidden|admin")
_ABOUT_TEXT = ("parse entities", "too long", "text is empty", "text must be", "must be encoded in utf-8", "entity")
_ODD = "Telegram's answer has a shape of its own: something on the way may have answered in its place"
_RAW_UPDATES = "get_Updates"  # getUpdates; so spelt, the library does not advise its own method, which parses
_WHO_TOKEN = "put the token from @BotFather into notify.telegram.bot_token and check notify.telegram.api_url"
_WHO_CHAT = "check notify.telegram.chat_id, and write to the bot (or add it to the group) once"


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that the bot received. ts: ms UTC, by Telegram's clock. user: empty where no person wrote it.

    chat, user: ids as text. title: a name for people. text: empty where it is no text of the person's own (a
    picture, a forwarded message, a message of another bot).
    """

    update_id: int
    chat: str = ""
    user: str = ""
    title: str = ""
    text: str = ""
    ts: int = 0


class TelegramApi:
    """One bot. Its own event loop runs in a thread of its own; nothing is opened before the first question."""

    def __init__(self, token: str, api_url: str | None = None, timeout: float = 10.0) -> None:
        """Open nothing yet.

        api_url: base of another Bot API server (`http://127.0.0.1:8081`). timeout: seconds to connect, to
        write and between two reads; a whole request may take three times that. Raises ConfigError where
        the token is empty.
        """
        if not token:
            raise ConfigError("notify.telegram.bot_token is empty: " + _WHO_TOKEN)
        redact.install((token,))
        self._token = token
        self.base = (api_url or OFFICIAL).rstrip("/").removesuffix("/bot")
        self._timeout = timeout
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bot: Bot | None = None
        self._poll: concurrent.futures.Future[Any] | None = None
        self._interrupted = False

    def __repr__(self) -> str:
        return f"TelegramApi({self.base!r}, token=***)"

    def ask(self, make: Callable[["Bot"], Awaitable[T]]) -> T:
        """The answer to one question.

        Raises Transient where it surely did nothing and may be asked again (`retry_after` known after a 429),
        Unknown where the answer was lost, Conflict, TextRejected, Unclear or Rejected where it was refused.
        """
        loop, bot = self._open()
        return asyncio.run_coroutine_threadsafe(self._bounded(make(bot), 3 * self._timeout), loop).result()

    def username(self) -> str:
        """The bot's own @name, without the @."""
        return str(self.ask(lambda bot: bot.get_me()).username or "")

    def updates(self, offset: int | None, seconds: int) -> list[Heard]:
        """What was written to the bot since update `offset` - 1; waits up to `seconds` for news (long polling).

        Asking with an offset tells Telegram that all before it is done with. Empty after `interrupt`.
        Raises as `ask`, Conflict where another program reads this bot's messages.
        """
        if self._stopping():
            return []
        asked = {"offset": offset, "timeout": seconds, "allowed_updates": ["message"]}
        loop, bot = self._open()
        # The raw answer: one update that the library cannot read must not hold up all behind it.
        answer = bot.do_api_request(_RAW_UPDATES, {k: v for k, v in asked.items() if v is not None},
                                    read_timeout=seconds + self._timeout)
        self._poll = asyncio.run_coroutine_threadsafe(self._bounded(answer, seconds + 3 * self._timeout), loop)
        if self._stopping():  # between the first look and here
            self._poll.cancel()
        try:
            found = self._poll.result()
        except concurrent.futures.CancelledError:
            return []
        return [heard(update) for update in _listed(found) if isinstance(update.get("update_id"), int)]

    def find_chats(self) -> list[tuple[int, str]]:
        """(chat id, title) of each chat that wrote to the bot lately, oldest first. Raises Transient or Rejected."""
        found = self.ask(lambda bot: bot.do_api_request(_RAW_UPDATES, {"timeout": 0}))
        parts = [part for update in _listed(found) for part in update.values() if isinstance(part, Mapping)]
        chats = [chat for chat in (_part(part, "chat") for part in parts) if _id(chat)]
        return list({chat["id"]: (int(chat["id"]), _title(chat)) for chat in chats}.values())

    def interrupt(self) -> None:
        """End a running `updates`, and let no further one begin."""
        self._interrupted = True
        if self._poll is not None:
            self._poll.cancel()

    def _stopping(self) -> bool:
        return self._interrupted

    def set_commands(self, chat: str, commands: Sequence[tuple[str, str]]) -> None:
        """Show these commands (name, description) in the menu of one chat. Raises as `ask`."""
        def make(bot: "Bot") -> Awaitable[bool]:
            from telegram import BotCommandScopeChat
            return bot.set_my_commands(list(commands), scope=BotCommandScopeChat(target(chat)))

        self.ask(make)

    def close(self) -> None:
        """Close connections and end the thread; a later question opens them again."""
        with self._lock:
            loop, bot = self._loop, self._bot
            self._loop = self._bot = None
        if loop is None or bot is None:
            return
        asyncio.run_coroutine_threadsafe(_end(bot), loop).result()
        loop.call_soon_threadsafe(loop.stop)

    async def _bounded(self, answer: Awaitable[T], whole: float) -> T:
        from telegram.error import TelegramError
        try:
            return await asyncio.wait_for(answer, whole)  # a trickled reply beats every timeout of the HTTP client
        except TimeoutError as exc:
            raise Unknown(f"Telegram's answer was not complete after {whole:.0f} s") from exc
        except TelegramError as exc:
            raise self._translated(exc) from self._safe(exc)
        except (KeyError, TypeError, AttributeError) as exc:  # the library trusts that it is Telegram who answers
            raise Unknown(_ODD) from exc

    def _translated(self, exc: Exception) -> TraderError:
        error = translate(exc)
        error.args = (redact.hide(str(error), (self._token,)),)
        return error

    def _safe(self, exc: Exception) -> Exception | None:
        # The chain of causes is printed in tracebacks: leave it out where any link of it tells the token.
        told = "".join(traceback.format_exception(exc))
        return exc if redact.hide(told, (self._token,)) == told else None

    def _open(self) -> tuple[asyncio.AbstractEventLoop, "Bot"]:
        with self._lock:
            if self._loop is None or self._bot is None:
                try:
                    self._bot, self._loop = self._build(), asyncio.new_event_loop()
                    threading.Thread(target=_serve, args=(self._loop,), name="telegram", daemon=True).start()
                except ImportError as exc:
                    raise Rejected(f"python-telegram-bot cannot be loaded ({exc}): install it again") from exc
                except (OSError, RuntimeError) as exc:  # no file handle or thread left
                    self._loop = None
                    raise Transient(f"no connection can be made: {exc}") from exc
            return self._loop, self._bot

    def _build(self) -> "Bot":
        from telegram import Bot
        from telegram.request import HTTPXRequest
        _quiet()
        t = self._timeout
        # A proxy named by the environment is meant for the internet, not for a server on this machine.
        extra: dict[str, Any] = {"trust_env": False} if urlsplit(self.base).hostname in _LOOPBACK else {}
        send, poll = (HTTPXRequest(connection_pool_size=4, connect_timeout=t, read_timeout=t, write_timeout=t,
                                   pool_timeout=t, httpx_kwargs=extra) for _ in range(2))
        return Bot(self._token, base_url=f"{self.base}/bot", request=send, get_updates_request=poll)


def target(chat: str) -> int | str:
    """A chat as the Bot API wants it: a number, or the @name of a public channel."""
    return int(chat) if chat.lstrip("-").isdigit() else chat


def heard(update: Json) -> Heard:
    """An update as far as it is a message; whatever shape the rest of it has, nothing is raised."""
    message = _part(update, "message")
    sender, chat = _part(message, "from"), _part(message, "chat")
    own = not sender.get("is_bot") and not any(key in message for key in ("forward_origin", "forward_date", "via_bot"))
    text, date = message.get("text"), message.get("date")
    name = sender.get("first_name") or chat.get("title") or ""
    return Heard(update["update_id"], _id(chat), _id(sender), " ".join(str(name).split())[:40],
                 text if own and isinstance(text, str) else "", 1000 * date if isinstance(date, int) else 0)


def _listed(found: object) -> list[Json]:
    if not isinstance(found, list):
        raise Unknown(_ODD)
    return [update for update in found if isinstance(update, Mapping)]


def _part(whole: Json, key: str) -> Json:
    found = whole.get(key)
    return found if isinstance(found, Mapping) else {}


def _title(chat: Json) -> str:
    name = chat.get("title") or " ".join(str(chat[key]) for key in ("first_name", "last_name") if chat.get(key))
    return str(name or chat.get("username") or chat["id"])


def _id(part: Json) -> str:
    return str(part["id"]) if isinstance(part.get("id"), int) else ""


async def _end(bot: "Bot") -> None:
    # What still waits for an answer ends first: a poll cut off from its connection would print a traceback.
    waiting = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for request in bot._request:  # Bot.shutdown does nothing unless Bot.initialize (a getMe) came before
        await request.shutdown()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        with contextlib.suppress(RuntimeError):
            loop.close()


def _quiet() -> None:
    redact.install()
    # It prints a traceback for each page of HTML that a gateway answers with: ours is one line.
    logging.getLogger("telegram.request.BaseRequest").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", message=r"[\s\S]*`retry_after` will be of type")


def translate(exc: Exception) -> TraderError:
    """The error of ours for one of python-telegram-bot's, by the question whether the message may be out.

    BadRequest is a NetworkError there, so it is looked at first. The text is not yet redacted.
    """
    from telegram import error
    text = str(exc)
    if isinstance(exc, error.RetryAfter):
        seconds = _seconds(exc.retry_after)
        return Transient(f"Telegram asks to wait {seconds:.0f} s", seconds)
    if isinstance(exc, error.ChatMigrated):
        return Rejected(f"the group became a supergroup: set notify.telegram.chat_id to {exc.new_chat_id}")
    if isinstance(exc, error.InvalidToken):
        return Rejected(f"Telegram does not know this bot ({text}): {_WHO_TOKEN}")
    if isinstance(exc, error.Forbidden):
        return Rejected(f"the bot may not write to this chat ({text}): {_WHO_CHAT}")
    if isinstance(exc, error.Conflict):
        return Conflict(f"another program uses this bot ({text}): stop it, or make a bot of your own")
    if isinstance(exc, error.BadRequest):
        return _bad_request(text)
    return _network(exc, text)


def _seconds(value: int | float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def _bad_request(text: str) -> Rejected:
    low = text.lower()
    if any(word in low for word in _ABOUT_TEXT):
        return TextRejected(f"Telegram refuses the text: {text}")
    if _ABOUT_CHAT.search(low):
        return Rejected(f"Telegram refuses the chat ({text}): {_WHO_CHAT}")
    return Unclear(f"Telegram refuses the message: {text}")


def _network(exc: Exception, text: str) -> Transient:
    cause = type(exc.__cause__).__name__ if exc.__cause__ is not None else "no cause given"
    if "too many requests" in text.lower():
        return Transient("Telegram asks to wait, without saying how long")
    if cause in _BEFORE_SENDING:
        return Transient(f"Telegram cannot be reached: {text[:160]} ({cause})")
    # Anything else, a 5xx of a gateway too, may come after the message went out.
    return Unknown(f"Telegram's answer was lost: {text[:160]}")
