"""Texts of the configuration that mean more than text: each parser returns the value or raises ConfigError.

The messages say what is allowed; the loader puts the key and the line before them.
"""

import re
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from core.config.names import suggestion
from core.errors import ConfigError
from core.timeframe import DAY, MINUTE, floor, parse_time

_SYMBOL = re.compile(r"[^\s/:,a-z]+/[A-Z0-9]+:[A-Z0-9]+")
_LOOSE_SYMBOL = re.compile(r"([A-Za-z0-9]+?)[/_-]?(USDT|USDC|USD)(?:[:._-]?(?:USDT|USDC|USD|PERP|UMCBL|SWAP))?")
_FIRST_DATE = 14_610 * DAY  # 2010-01-01
_LAST_DATE = 47_482 * DAY  # 2100-01-01


def timezone(text: str) -> str:
    """Name of a time zone of the IANA list. Raises ConfigError with the nearest name."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = suggestion(text, available_timezones())
        raise ConfigError(f"no such time zone; allowed: a name such as UTC or Europe/Berlin{near}") from None
    return text


def exchange_id(text: str) -> str:
    """An exchange as ccxt names it. Raises ConfigError."""
    if not re.fullmatch(r"[a-z][a-z0-9]*", text):
        raise ConfigError("not an exchange's id; allowed: ccxt's name in small letters and digits, such as bitget")
    return text


def url(text: str) -> str:
    """An http(s) address without user and password, without the last slash. Raises ConfigError."""
    allowed = "not an address; allowed: null, or http(s)://host[:port][/path] without user, password or query"
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise ConfigError(allowed) from None
    if not good or parts.username is not None or parts.query or parts.fragment or re.search(r"\s", text):
        raise ConfigError(allowed)
    return text.rstrip("/")


def token(text: str) -> str:
    """A Telegram bot token. Raises ConfigError, never naming what was written."""
    if re.search(r"[\s/?#]", text):
        raise ConfigError("not a bot token; allowed: the text from @BotFather, without spaces or slashes")
    return text


def person(text: str) -> str:
    """A Telegram user's id. Raises ConfigError, never naming what was written."""
    if not re.fullmatch(r"[1-9][0-9]{0,18}", text):
        raise ConfigError("not a user's id; allowed: a whole number such as 12345678")
    return text


def chat(text: str) -> str:
    """The id of a Telegram user or group. Raises ConfigError, never naming what was written."""
    if not re.fullmatch(r"-?[1-9][0-9]{0,18}", text):
        raise ConfigError("not a chat's id; allowed: a whole number, below zero for a group")
    return text


def channel(text: str) -> str:
    """The id or public @name of a Telegram channel or group. Raises ConfigError, never naming what was written."""
    if not re.fullmatch(r"-?[1-9][0-9]{0,18}|@[A-Za-z][A-Za-z0-9_]{3,31}", text):
        raise ConfigError("not a channel; allowed: a whole number such as -1001234567890, or @name of a public one")
    return text


def hours(text: str) -> str:
    """A span of the day, `HH:MM-HH:MM`; it may run over midnight. Raises ConfigError."""
    found = re.fullmatch(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", text)
    h1, m1, h2, m2 = (int(part) for part in found.groups()) if found else (24, 0, 24, 0)
    if h1 > 23 or h2 > 23 or m1 > 59 or m2 > 59 or (h1, m1) == (h2, m2):
        raise ConfigError("not a span of hours; allowed: from-to such as 22:00-07:00, or empty")
    return f"{h1:02d}:{m1:02d}-{h2:02d}:{m2:02d}"


def start_date(text: str) -> int:
    """A UTC date or time to ms, floored to the minute. Raises ConfigError."""
    allowed = "allowed: a UTC date such as 2024-01-01 or 2024-01-01T12:30, from 2010 to 2099"
    try:
        ts = parse_time(text)
    except ConfigError:
        raise ConfigError(f"not a date; {allowed}") from None
    if not _FIRST_DATE <= ts < _LAST_DATE:
        raise ConfigError(f"out of range; {allowed}")
    return floor(ts, MINUTE)


def symbol(text: str) -> str:
    """A linear swap in ccxt's unified form. Raises ConfigError with the likely spelling."""
    if not _SYMBOL.fullmatch(text):
        raise ConfigError(f"not a symbol; allowed: BASE/QUOTE:SETTLE such as BTC/USDT:USDT{_likely_symbol(text)}")
    base, _, settle = re.split("[/:]", text)
    if settle == base:
        raise ConfigError("an inverse contract, settled in its base coin; allowed: linear ones such as BTC/USDT:USDT")
    return text


def _likely_symbol(text: str) -> str:
    match = _LOOSE_SYMBOL.fullmatch(text.upper())
    return f"; did you mean {match[1]}/{match[2]}:{match[2]}" if match else ""
