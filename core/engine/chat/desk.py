"""What a command of the bot is handed, and what it hands back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from core.engine.context import Context
from core.errors import TraderError
from core.store import reports
from core.store.candles import Con


class Puzzled(TraderError):
    """The command cannot be carried out as it was given; the message is the answer (HTML)."""


@dataclass(frozen=True)
class Ask:
    """One command. ctx: over a read-only connection. now: ms UTC. role: owner or viewer. chat: where it came from."""

    ctx: Context
    args: tuple[str, ...]
    now: int
    role: str
    chat: str

    @property
    def con(self) -> Con:
        """The connection to read from."""
        return self.ctx.db.con

    @property
    def exchange(self) -> str:
        """The configured exchange."""
        return self.ctx.exchange_id

    @property
    def zone(self) -> tzinfo:
        """Where the reader's clock stands."""
        return ZoneInfo(self.ctx.cfg.app.timezone)

    def number(self, default: int, most: int, least: int = 1) -> int:
        """The first argument as a whole number within limits. Raises Puzzled where it is none."""
        if not self.args:
            return default
        text = self.args[0]
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise Puzzled(f"A number, please: {least} to {most}.")
        return min(most, max(least, int(text)))


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: HTML, and a picture above it where there is one."""

    text: str
    photo: bytes | None = None


Answer = Callable[[Ask], Reply]


def find(ask: Ask, usage: str) -> dict[str, Any]:
    """The signal that the first argument names, whole or by its beginning. Raises Puzzled."""
    if not ask.args:
        raise Puzzled(f"Which one? {usage}")
    wanted = ask.args[0].removeprefix("#")
    if len(wanted) < 3 or not wanted.isascii():
        raise Puzzled(f"That is no id. {usage}")
    found = reports.matching(ask.con, wanted)
    if not found:
        raise Puzzled("No such plan. Ids stand in the alerts, /signals and /trades.")
    if len(found) > 1:
        named = "\n".join(f"<code>#{row['short_id']}</code> {row['symbol']} {row['timeframe']}" for row in found[:5])
        raise Puzzled(f"Which of these?\n{named}")
    return found[0]
