"""The commands of the bot: their names, who may give them, how they are read out of a message. Pure.

Names, order and meaning are those that users of other bots know, where the thing is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from core.notify.text import esc

OWNER, VIEWER = "owner", "viewer"
MOST_TEXT = 200  # characters of a message that are looked at


@dataclass(frozen=True, slots=True)
class Command:
    """One command. args: as shown in the help. owner: it changes something, so only the owner may give it."""

    name: str
    args: str
    what: str
    owner: bool = False
    aliases: tuple[str, ...] = ()


COMMANDS = (
    Command("status", "[table|ID]", "open trades"),
    Command("signals", "[n]", "the newest signals"),
    Command("trades", "[n]", "closed trades"),
    Command("profit", "[days]", "what the trades made"),
    Command("daily", "[n]", "result by day"),
    Command("weekly", "[n]", "result by week"),
    Command("performance", "", "result by pair"),
    Command("stats", "", "exit reasons, durations"),
    Command("why", "ID", "why a plan passed or not"),
    Command("chart", "ID", "its chart"),
    Command("gate", "", "what the filter did today"),
    Command("model", "", "the model and its evidence"),
    Command("gaps", "", "missing candles"),
    Command("health", "", "is all well", aliases=("ping",)),
    Command("mute", "[minutes|off]", "alerts without a sound"),
    Command("taken", "ID PRICE [EXIT]", "what you really did", owner=True),
    Command("pause", "", "announce no new signals", owner=True, aliases=("stopentry", "stopbuy", "stop")),
    Command("resume", "", "announce them again", owner=True),
    Command("version", "", "which version runs"),
    Command("help", "", "this list"),
    Command("start", "", "who you are here"),
)
_NAMES = {name: command for command in COMMANDS for name in (command.name, *command.aliases)}


@dataclass(frozen=True, slots=True)
class Given:
    """A command as it was given. command: None where there is none of that name; near: the likely one, or empty."""

    word: str
    command: Command | None
    args: tuple[str, ...]
    near: str = ""


def parse(text: str, bot: str) -> Given | None:
    """The command in a message, or None where it holds none for this bot (`bot`: its name without the @)."""
    words = text[:MOST_TEXT].split()
    if not words or not words[0].startswith("/") or len(words[0]) < 2:
        return None
    word, _, addressed = words[0][1:].partition("@")
    if addressed and addressed.lower() != bot.lower():
        return None
    word = word.lower()
    command = _NAMES.get(word)
    near = "" if command else next(iter(get_close_matches(word, _NAMES, 1, 0.5)), "")
    return Given(word, command, tuple(words[1:]), near)


def unknown(given: Given) -> str:
    """The answer to a command that does not exist."""
    hint = f"Did you mean /{given.near}? " if given.near else ""
    return f"There is no /{esc(given.word, 30)}. {hint}/help lists all commands."


def help_text(role: str) -> str:
    """All commands that a role may give, one a line."""
    lines = [f"/{c.name}{' ' + esc(c.args) if c.args else ''} · {esc(c.what)}" for c in allowed(role)]
    note = [] if role == OWNER else ["You read here; only the owner changes things."]
    return "\n".join(["<b>Commands</b>", *lines, "", "<i>ID is the #ABC1234 of an alert.</i>", *note])


def menu(role: str) -> list[tuple[str, str]]:
    """(name, description) of the commands of a role, for the menu of the app."""
    return [(c.name, f"{c.args} {c.what}".strip()) for c in allowed(role)]


def allowed(role: str) -> Sequence[Command]:
    """The commands that a role may give."""
    return [c for c in COMMANDS if role == OWNER or not c.owner]
