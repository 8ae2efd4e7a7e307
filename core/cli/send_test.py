"""`test-alert`: send one message to Telegram, or find the chat that messages should go to."""

import os
from argparse import Namespace
from dataclasses import replace

from core.cli.screen import Out
from core.config import CHAT_ENV, TOKEN_ENV, Config, load
from core.config.schema import Telegram
from core.errors import ConfigError
from core.notify import messages, redact
from core.notify.api import TelegramApi
from core.notify.telegram import TelegramSender
from core.signals.setups import REGISTRY

_TOKEN = (
    f"there is no bot token: get one from @BotFather, then `export {TOKEN_ENV}=...` or set notify.telegram.bot_token"
)
_ENABLE = "set notify.telegram.enabled: true, and the daemon sends its alerts there"


def run(args: Namespace, out: Out) -> int:
    """Send a test message (0). Without a chat id, list the chats that wrote to the bot and say what to set (1)."""
    telegram = _config(args.config).notify.telegram
    if not telegram.bot_token:
        raise ConfigError(_TOKEN)
    redact.install((telegram.bot_token,))
    api = TelegramApi(telegram.bot_token, telegram.api_url)
    try:
        return _send(api, telegram, out) if telegram.chat_id else _find(api, out)
    finally:
        api.close()


def _config(path: str) -> Config:
    try:
        return load(path, REGISTRY)
    except ConfigError:
        if os.environ.get(CHAT_ENV):
            raise
    # The chat may be all that is missing, and it is what this command finds out.
    cfg = load(path, REGISTRY, {**os.environ, CHAT_ENV: "0"})
    return replace(cfg, notify=replace(cfg.notify, telegram=replace(cfg.notify.telegram, chat_id="")))


def _send(api: TelegramApi, telegram: Telegram, out: Out) -> int:
    chat = telegram.chat_id
    message_id = TelegramSender(api, chat).send(messages.test_message())
    out.result({"sent": True, "chat_id": chat, "message_id": message_id})
    out.say(f"sent to chat {chat} (message {message_id})")
    if chat.startswith("-") and not telegram.owner_id:
        out.say("this chat is a group: commands are answered only once notify.telegram.owner_id names you")
    if not telegram.enabled:
        out.say(f"next: {_ENABLE}")
    return 0


def _find(api: TelegramApi, out: Out) -> int:
    chats = api.find_chats()
    out.result({"sent": False, "chats": [{"chat_id": number, "title": title} for number, title in chats]})
    if not chats:
        out.say(
            "notify.telegram.chat_id is empty, and nobody has written to the bot lately: write it any message "
            "(or add it to a group and write there), then run this again"
        )
        return 1
    out.say("notify.telegram.chat_id is empty. These chats wrote to the bot:")
    for number, title in chats:
        out.say(f"  {number}  {title}")
    out.say(
        f"choose one: `export {CHAT_ENV}={chats[-1][0]}`, or in the configuration notify.telegram.chat_id: "
        f'"{chats[-1][0]}"; '
        "then run this again"
    )
    return 1
