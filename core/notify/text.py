"""Telegram's HTML: escaping, numbers as one types them, splitting, and the way back to plain text."""

import html
import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

LIMIT = 4096  # UTF-16 units, as Telegram counts
CAPTION = 1024  # the same, of a text below a picture
_TAGS = "b|strong|i|em|u|ins|s|strike|del|code|pre|a|blockquote|tg-spoiler|span"
_TAG = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?>")
_TOKEN = re.compile(rf"{_TAG.pattern}|&#?[0-9A-Za-z]{{1,8}};|.", re.DOTALL)


def esc(value: object, most: int = 0) -> str:
    """Any value as safe HTML on one line, cut to `most` characters (0: whole).

    Control, direction and broken characters become blanks.
    """
    text = "".join(c if c.isprintable() else " " for c in str(value))
    text = " ".join(text.split())
    if most and len(text) > most:
        text = text[: most - 1].rstrip() + "…"
    return html.escape(text, quote=False)


def price(value: float, tick: float) -> str:
    """A price or a size with the decimals of its tick or lot, as it is typed into an exchange."""
    exponent = Decimal(repr(float(tick))).normalize().as_tuple().exponent
    return f"{value:.{max(0, -int(exponent))}f}"


def pct(value: float, decimals: int = 2) -> str:
    """A signed percentage; zero carries no sign."""
    text = f"{value:+.{decimals}f}"
    return ("0" + text[2:] if float(text) == 0 else text) + "%"


def r(value: float) -> str:
    """A signed multiple of the planned risk."""
    return pct(value)[:-1] + "R"


def when(ts: int) -> str:
    """`1 May 14:30Z`."""
    moment = datetime.fromtimestamp(ts / 1000, UTC)
    return f"{moment.day} {moment:%b %H:%M}Z"


def local(ts: int, zone: tzinfo) -> str:
    """The same moment in the display zone, `16:30 CEST`, with the day where it differs; empty where the zone is UTC."""
    here, utc = datetime.fromtimestamp(ts / 1000, zone), datetime.fromtimestamp(ts / 1000, UTC)
    if here.utcoffset() == utc.utcoffset():
        return ""
    day = "" if here.date() == utc.date() else f"{here.day} {here:%b} "
    return f"{day}{here:%H:%M} {esc(here.tzname() or '', 8)}"


def moment(ts: int, zone: tzinfo, now: int) -> str:
    """A moment on the reader's clock: `16:30 CEST`, `30 Apr 16:30 CEST` where it is not today, `16:30Z` in UTC.

    With the year where it is another one.
    """
    here, today = datetime.fromtimestamp(ts / 1000, zone), datetime.fromtimestamp(now / 1000, zone)
    day = "" if here.date() == today.date() else f"{here.day} {here:%b} "
    day += "" if here.year == today.year else f"{here.year} "
    name = "Z" if not here.utcoffset() else f" {esc(here.tzname() or '', 8)}"
    return f"{day}{here:%H:%M}{name}"


def plain(text: str) -> str:
    """The same text without tags and entities."""
    return html.unescape(_TAG.sub("", text))


def size(text: str) -> int:
    """Length as Telegram counts it, in UTF-16 units."""
    return len(text) + sum(c > "\uffff" for c in text)


def split(text: str, limit: int = LIMIT) -> list[str]:
    """Parts of at most `limit` units, cut at line ends where possible, never inside a tag or an entity.

    A tag that is open at a cut is closed there and opened again in the next part. Joined and
    stripped of tags and line ends, the parts are the text.
    """
    if size(text) <= limit:
        return [text]
    parts: list[str] = []
    tokens, opened = _TOKEN.findall(text), list[str]()
    while tokens:
        prefix = "".join(opened)
        cut = _cut(tokens, limit - 2 * size(prefix) - 64)  # room for closing what is open
        body, tokens = tokens[:cut], tokens[cut:]
        opened = _open_tags(opened, body)
        part = prefix + "".join(body).strip("\n") + "".join(_closing(t) for t in reversed(opened))
        if plain(part).strip():
            parts.append(part)
    return parts


def _cut(tokens: Sequence[str], room: int) -> int:
    used, line_end = 0, 0
    for i, token in enumerate(tokens):
        used += size(token)
        if used > room:
            return line_end or max(i, 1)
        if token == "\n":
            line_end = i + 1
    return len(tokens)


def _open_tags(opened: Sequence[str], body: Sequence[str]) -> list[str]:
    stack = list(opened)
    for token in body:
        if token.startswith("</") and _TAG.fullmatch(token):
            del stack[-1:]
        elif _TAG.fullmatch(token):
            stack.append(token)
    return stack


def _closing(tag: str) -> str:
    return f"</{tag[1:-1].split()[0]}>"
