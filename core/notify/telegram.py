"""Telegram through python-telegram-bot: one message out, its answer or a clear error back."""

import asyncio
import contextlib
import logging
import re
import threading
import traceback
import warnings
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from core.errors import ConfigError, Rejected, TraderError, Transient
from core.notify import redact
from core.notify.errors import TextRejected, Unclear, Unknown
from core.notify.text import LIMIT, plain, split

if TYPE_CHECKING:
    from telegram import Bot

T = TypeVar("T")
log = logging.getLogger(__name__)

OFFICIAL = "https://api.telegram.org"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Errors of httpx, by name, that come before a request has left.
_BEFORE_SENDING = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol")
_ABOUT_CHAT = re.compile("chat|rights|user|bot|member|channel|group|topic|thread|peer|kicked|forbidden|admin")
_ABOUT_TEXT = ("parse entities", "too long", "text is empty", "text must be", "must be encoded in utf-8", "entity")
_WHO_TOKEN = "put the token from @BotFather into notify.telegram.bot_token and check notify.telegram.api_url"
_WHO_CHAT = "check notify.telegram.chat_id, and write to the bot (or add it to the group) once"


class TelegramSender:
    """Sends to one chat. Its own event loop runs in a thread of its own, so any thread may call it."""

    name = "Telegram"

    def __init__(self, token: str, chat_id: int | str | None, api_url: str | None = None,
                 timeout: float = 10.0) -> None:
        """Open nothing yet.

        api_url: base of another Bot API server (`http://127.0.0.1:8081`). timeout: seconds to connect, to
        write and between two reads; a whole request may take three times that. Raises ConfigError where
        the token is empty.
        """
        if not token:
            raise ConfigError("notify.telegram.bot_token is empty: " + _WHO_TOKEN)
        redact.install((token,))
        self._token, self._chat = token, chat_id
        self._base = (api_url or OFFICIAL).rstrip("/").removesuffix("/bot")
        self._timeout = timeout
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bot: Bot | None = None

    def __repr__(self) -> str:
        return f"TelegramSender(chat={self._chat!r}, api={self._base!r}, token=***)"

    def send(self, text: str) -> str:
        """Deliver `text` (HTML; split where longer than 4096) and return the id of its first message.

        Raises Transient where it surely was not delivered and may be tried again (`retry_after` known
        after a 429), Unknown where the answer was lost, TextRejected where markup and plain text are
        both refused, Unclear for an unknown refusal, Rejected (naming who must act) for the rest.
        """
        if self._chat in (None, ""):
            raise Rejected("no chat to send to: set notify.telegram.chat_id (`python -m core test-alert` lists them)")
        first = ""
        for part in split(_sendable(text), LIMIT):
            try:
                message_id = self._send_part(part)
            except (Transient, Rejected) as exc:
                if first and not isinstance(exc, TextRejected):
                    raise Unknown(f"only a first part was delivered: {exc}") from exc
                raise
            first = first or message_id
        return first

    def reachable(self) -> None:
        """Ask Telegram anything harmless; raises Transient while it does not answer. A refusal is an answer."""
        with contextlib.suppress(Rejected, KeyError, TypeError):  # the last two: an answer of an unusual shape
            self._call(lambda bot: bot.get_me())

    def find_chats(self) -> list[tuple[int, str]]:
        """(chat_id, title) of each chat that wrote to the bot lately, oldest first. Raises Transient or Rejected."""
        updates = self._call(lambda bot: bot.get_updates(timeout=0))
        chats = [update.effective_chat for update in updates]
        return list({c.id: (c.id, c.effective_name or str(c.id)) for c in chats if c is not None}.values())

    def close(self) -> None:
        """Close connections and end the thread; a later call opens them again."""
        with self._lock:
            loop, bot = self._loop, self._bot
            self._loop = self._bot = None
        if loop is None or bot is None:
            return
        for request in bot._request:  # Bot.shutdown does nothing unless Bot.initialize (a getMe) came before
            asyncio.run_coroutine_threadsafe(request.shutdown(), loop).result()
        loop.call_soon_threadsafe(loop.stop)

    def _send_part(self, part: str) -> str:
        try:
            return self._post(part, "HTML")
        except (TextRejected, Unclear) as exc:
            log.warning("Telegram refused the text of an alert (%s): sending it without markup", exc)
            return self._post(plain(part), None)

    def _post(self, text: str, mode: str | None) -> str:
        if not text.strip():
            raise TextRejected("the text is empty")
        chat = self._chat or ""
        message = self._call(lambda bot: bot.send_message(chat, text, mode, disable_web_page_preview=True))
        return str(message.message_id)

    def _call(self, make: Callable[["Bot"], Awaitable[T]]) -> T:
        loop, bot = self._open()
        return asyncio.run_coroutine_threadsafe(self._bounded(make(bot)), loop).result()

    async def _bounded(self, answer: Awaitable[T]) -> T:
        from telegram.error import TelegramError
        whole = 3 * self._timeout  # a trickled reply beats every timeout of the HTTP client
        try:
            return await asyncio.wait_for(answer, whole)
        except TimeoutError as exc:
            raise Unknown(f"Telegram's answer was not complete after {whole:.0f} s") from exc
        except TelegramError as exc:
            raise self._translated(exc) from self._safe(exc)

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
        extra: dict[str, Any] = {"trust_env": False} if urlsplit(self._base).hostname in _LOOPBACK else {}
        send, poll = (HTTPXRequest(connection_pool_size=4, connect_timeout=t, read_timeout=t, write_timeout=t,
                                   pool_timeout=t, httpx_kwargs=extra) for _ in range(2))
        return Bot(self._token, base_url=f"{self._base}/bot", request=send, get_updates_request=poll)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _quiet() -> None:
    redact.install()
    # It prints a traceback for each page of HTML that a gateway answers with: ours is one line.
    logging.getLogger("telegram.request.BaseRequest").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", message=r"[\s\S]*`retry_after` will be of type")


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # a lone surrogate cannot be sent at all


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
        return Rejected(f"another program uses this bot ({text}): stop it, or make a bot of your own")
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
