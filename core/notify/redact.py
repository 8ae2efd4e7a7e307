"""Keep secrets out of logs: one filter on the root handlers, one function for texts of our own."""

import logging
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_BOT_TOKEN = re.compile(r"(?<!\d)\d{5,15}(?::|%3A)[A-Za-z0-9_-]{20,}")
_SHORTEST = 6  # a shorter "secret" would blank ordinary words
_NOISY = ("httpx", "httpcore", "telegram")
_PLAIN = logging.Formatter()


def hide(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with every secret, its URL-quoted forms and anything shaped like a bot token replaced by `***`."""
    for form in sorted(_forms(secrets), key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return _BOT_TOKEN.sub(HIDDEN, text)


def _forms(secrets: Iterable[str]) -> set[str]:
    forms: set[str] = set()
    for secret in secrets:
        parts = [secret, secret.partition(":")[2]]  # a bot token is "id:secret"
        forms.update(f(p) for p in parts for f in (str, quote, quote_plus) if len(p) >= _SHORTEST)
    return forms


class RedactingFilter(logging.Filter):
    """Rewrites each record (message, arguments, traceback, stack) so that no secret is left in it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._secrets = set(secrets)

    def __repr__(self) -> str:
        return f"RedactingFilter({len(self._secrets)} secrets)"

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these too."""
        self._secrets |= set(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact in place; every record passes."""
        record.msg, record.args = self._clean(_message(record)), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = _PLAIN.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._clean(record.exc_text)
        if record.stack_info:
            record.stack_info = self._clean(record.stack_info)
        return True

    def _clean(self, text: str) -> str:
        return hide(text, self._secrets)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # a record with wrong arguments must still be redacted
        return f"{record.msg} {record.args}"


def install(secrets: Iterable[str] = (), logger: logging.Logger | None = None) -> RedactingFilter:
    """Put one redacting filter on every handler of the root logger (or of `logger`) and quieten HTTP logs.

    May be called again, with more secrets or after handlers were added. httpx logs each URL at INFO
    and the bot's URL holds its token, so its loggers (and telegram's) start at WARNING.
    """
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    handlers = (logger or logging.getLogger()).handlers
    there = [f for h in handlers for f in h.filters if isinstance(f, RedactingFilter)]
    one = there[0] if there else RedactingFilter(())
    one.add(s for s in secrets if s)
    for handler in handlers:
        if one not in handler.filters:
            handler.addFilter(one)
    return one
