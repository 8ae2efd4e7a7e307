"""How a message goes out, beside its text: with or without a sound, in answer to which message, under which picture."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Manner:
    """reply_to: the channel's id of the message it answers. photo: a PNG above the text."""

    silent: bool = False
    reply_to: str | None = None
    photo: bytes | None = None


PLAIN = Manner()


def is_quiet(hours: str, minute: int) -> bool:
    """Whether a minute of the day (0 to 1439) lies in `HH:MM-HH:MM`, which may run over midnight; empty: never."""
    if not hours:
        return False
    begin, end = (int(part[:2]) * 60 + int(part[3:]) for part in hours.split("-"))
    return begin <= minute < end if begin < end else minute >= begin or minute < end
