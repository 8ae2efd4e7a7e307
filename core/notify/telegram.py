"""One chat of a Telegram bot: a message out, as text or under a picture, its id or a clear error back."""

import contextlib
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from core.errors import Rejected, Transient
from core.notify.api import TelegramApi, target
from core.notify.errors import TextRejected, Unclear, Unknown
from core.notify.manner import PLAIN, Manner
from core.notify.text import CAPTION, LIMIT, plain, size, split

if TYPE_CHECKING:
    from telegram import Bot, Message

log = logging.getLogger(__name__)


class TelegramSender:
    """Sends to one chat; any thread may call it. Several may share one `api`, whose owner closes it."""

    def __init__(self, api: TelegramApi, chat: str | int | None, name: str = "Telegram") -> None:
        """Open nothing yet. chat: id or @name. name: stands in the log."""
        self.api, self._chat, self.name = api, str(chat if chat is not None else ""), name

    def __repr__(self) -> str:
        return f"TelegramSender({self.api!r})"

    def send(self, text: str, manner: Manner = PLAIN) -> str:
        """Deliver `text` (HTML; split where longer than 4096) and return the id of its first message.

        A picture goes out with the text below it, unless the text is too long for that or the picture is
        refused: then the text goes out alone. Raises Transient where it surely was not delivered and may be
        tried again (`retry_after` known after a 429), Unknown where the answer was lost, TextRejected where
        markup and plain text are both refused, Unclear for an unknown refusal, Rejected (naming who must act)
        for the rest.
        """
        if not self._chat:
            raise Rejected("no chat to send to: set notify.telegram.chat_id (`python -m core test-alert` lists them)")
        text = _sendable(text)
        if manner.photo is not None and 0 < size(plain(text)) <= CAPTION:
            try:
                return self._photo(text, manner)
            except Rejected as exc:
                log.warning("Telegram refused a picture (%s): sending the text alone", exc)
        return self._text(text, manner)

    def reachable(self) -> None:
        """Ask Telegram anything harmless; raises Transient while it does not answer. A refusal is an answer."""
        with contextlib.suppress(Rejected):
            self.api.ask(lambda bot: bot.get_me())

    def amend(self, message_id: str, text: str) -> None:
        """Put `text` (HTML) in the place of a message's, or below its picture; makes no sound. Raises as `send`."""
        if not message_id.isdigit() or size(plain(text)) > LIMIT:
            return
        chat, number, text = target(self._chat), int(message_id), _sendable(text)
        try:
            self.api.ask(lambda bot: bot.edit_message_text(text, chat, number, parse_mode="HTML",
                                                           disable_web_page_preview=True))
        except Unclear:  # it stands below a picture
            if size(plain(text)) <= CAPTION:
                self.api.ask(lambda bot: bot.edit_message_caption(chat, number, caption=text, parse_mode="HTML"))

    def _text(self, text: str, manner: Manner) -> str:
        first = ""
        for part in split(text, LIMIT):
            try:
                message_id = self._part(part, manner if not first else Manner(silent=True))
            except (Transient, Rejected) as exc:
                if first and not isinstance(exc, TextRejected):
                    raise Unknown(f"only a first part was delivered: {exc}") from exc
                raise
            first = first or message_id
        return first

    def _part(self, part: str, manner: Manner) -> str:
        try:
            return self._post(part, "HTML", manner)
        except (TextRejected, Unclear) as exc:
            log.warning("Telegram refused the text of an alert (%s): sending it without markup", exc)
            return self._post(plain(part), None, manner)

    def _post(self, text: str, mode: str | None, manner: Manner) -> str:
        if not text.strip():
            raise TextRejected("the text is empty")

        def make(bot: "Bot") -> "Awaitable[Message]":
            return bot.send_message(target(self._chat), text, mode, disable_web_page_preview=True, **_extras(manner))

        return str(self.api.ask(make).message_id)

    def _photo(self, text: str, manner: Manner) -> str:
        def make(bot: "Bot") -> "Awaitable[Message]":
            return bot.send_photo(target(self._chat), manner.photo or b"", caption=text, parse_mode="HTML",
                                  filename="chart.png", **_extras(manner))

        return str(self.api.ask(make).message_id)


def _extras(manner: Manner) -> dict[str, Any]:
    from telegram import ReplyParameters
    found: dict[str, Any] = {"disable_notification": manner.silent}
    if manner.reply_to and manner.reply_to.isdigit():
        # The message it answers may have been deleted: then it stands alone.
        found["reply_parameters"] = ReplyParameters(int(manner.reply_to), allow_sending_without_reply=True)
    return found


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # a lone surrogate cannot be sent at all
