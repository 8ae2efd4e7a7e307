"""What the bot changes: the announcing, the sound of a chat, and what the owner really did. Nothing else.

Each change is one short transaction with who did it (`audit_log`) and with the number of the update that asked for
it, so that no restart does it twice. No row of `signals` or `trades` depends on any of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from core.engine import announce
from core.engine.chat.desk import Ask, Puzzled, Reply, find
from core.errors import Transient
from core.notify.api import Heard
from core.notify.text import esc, moment, pct, price
from core.store import chats, runs
from core.store.candles import Con
from core.store.db import Database
from core.store.reads import bot as reads
from core.timeframe import DAY, MINUTE, show_span

OFFSET = "telegram_offset"  # number of the next update to ask for, and when it was written down
WAIT_SECONDS = 2.0  # for the writing connection; the minute's work may hold it longer
MUTE = 60  # minutes
LONGEST_MUTE = 7 * DAY
FURTHEST = 0.5  # a price told may lie this share from the plan's entry; more is a slip of the finger


@dataclass(frozen=True)
class Deed:
    """One change that was asked for. ask: as for an answer. heard: the message. db: the file, to be written to."""

    ask: Ask
    heard: Heard
    db: Database

    @property
    def who(self) -> str:
        """Who asked, as the audit log names them."""
        return f"telegram:{self.heard.user}"


@contextmanager
def writing(db: Database, seconds: float = WAIT_SECONDS) -> Iterator[Con]:
    """A transaction that waits only a moment for the writing connection. Raises Transient where it is busy longer."""
    if not db.lock.acquire(timeout=seconds):
        raise Transient("the database is busy")
    try:
        with db.write() as con:
            yield con
    finally:
        db.lock.release()


def _do(deed: Deed, what: str, detail: str, change: Callable[[Con], Any]) -> None:
    with writing(deed.db) as con:
        change(con)
        runs.log(con, deed.ask.now, deed.who, what, detail or None)
        remember(con, deed.heard.update_id, deed.ask.now)


def remember(con: Con, update_id: int, now: int) -> None:
    """Write down that an update is done with."""
    runs.put(con, OFFSET, {"next": update_id + 1, "ts": now})


def pause(deed: Deed) -> Reply:
    """Announce no new signals; those announced before are told to their end."""
    ask = deed.ask
    since = announce.paused_since(ask.con)
    if since is not None:
        return Reply(f"⏸ Paused already, since {_time(ask, since)}. /resume")
    value = {"ts": ask.now, "who": deed.who}
    _do(deed, "announcing paused", "", lambda con: runs.put(con, announce.PAUSED, value))
    return Reply("⏸ <b>Paused</b>: no new signal is announced.\nAll plans are still recorded and followed, and what "
                 "was announced is told to its end. /resume")


def resume(deed: Deed) -> Reply:
    """Announce new signals again."""
    ask = deed.ask
    since = announce.paused_since(ask.con)
    if since is None:
        return Reply("▶️ New signals are announced: nothing was paused.")
    n = reads.passed_since(ask.con, ask.exchange, since)
    _do(deed, "announcing resumed", f"paused since {since}", lambda con: runs.put(con, announce.PAUSED, None))
    missed = f"{n} plan{'s' if n != 1 else ''} passed meanwhile: /signals" if n else "No plan passed meanwhile."
    return Reply(f"▶️ <b>Resumed</b> after {show_span(ask.now - since)}.\n{missed}")


def mute(deed: Deed) -> Reply:
    """Keep this chat's alerts without a sound for a while."""
    ask = deed.ask
    # The owner may command from a chat of his own while the alerts go to a group.
    chat = ask.ctx.cfg.notify.telegram.chat_id if ask.role == chats.OWNER else ask.chat
    if ask.role != chats.OWNER and chat == ask.ctx.cfg.notify.telegram.chat_id:
        return Reply("Only the owner may do that here: these are his alerts.")
    if ask.args and ask.args[0].lower() in ("off", "0"):
        _do(deed, "unmuted", f"chat of a {ask.role}", lambda con: chats.mute(con, chat, 0))
        return Reply("🔔 Alerts make a sound again.")
    span = min(LONGEST_MUTE, ask.number(MUTE, LONGEST_MUTE // MINUTE) * MINUTE)
    until = ask.now + span
    _do(deed, "muted", f"chat of a {ask.role}, {show_span(span)}", lambda con: chats.mute(con, chat, until))
    return Reply(f"🔕 Alerts come without a sound until {_time(ask, until)}. /mute off")


def taken(deed: Deed) -> Reply:
    """Write down at which price the owner really entered, and left, beside the paper result."""
    ask, usage = deed.ask, "/taken ID PRICE, later /taken ID PRICE EXIT"
    row = find(ask, usage)
    n, short = int(row["n"]), f"<code>#{esc(row['short_id'])}</code>"
    if len(ask.args) < 2:
        raise Puzzled(f"At which price? {usage}")
    if ask.args[1].lower() == "off":
        _do(deed, "taken back", f"#{row['short_id']}", lambda con: chats.untake(con, n))
        return Reply(f"{short}: taken back, as if you had not traded it.")
    entry = _price(ask.args[1], row["entry"], row["tick"])
    out = _price(ask.args[2], entry, row["tick"]) if len(ask.args) > 2 else None
    ts = deed.heard.ts or ask.now
    detail = f"#{row['short_id']} at {price(entry, row['tick'])}" + (
        f", out at {price(out, row['tick'])}" if out is not None else "")
    _do(deed, "taken", detail, lambda con: chats.take(con, n, deed.who, ts, entry, out))
    return Reply(_told(row, short, entry, out))


def _told(row: dict[str, Any], short: str, entry: float, out: float | None) -> str:
    tick, side = row["tick"], 1 if row["direction"] == "long" else -1
    apart = 100 * side * (row["entry"] - entry) / row["entry"]
    lines = [f"📝 {short} taken at <code>{price(entry, tick)}</code>",
             f"Planned {price(row['entry'], tick)}: {_beside(apart)}"]
    if out is not None:
        lines.append(f"Out at <code>{price(out, tick)}</code>: {pct(100 * side * (out / entry - 1))} before fees")
    else:
        lines.append(f"Out of it? /taken {esc(row['short_id'])} {price(entry, tick)} EXIT")
    return "\n".join(lines)


def _beside(apart: float) -> str:
    return "as planned" if abs(apart) < 0.005 else f"{abs(apart):.2f}% {'better' if apart > 0 else 'worse'}"


def _price(text: str, near: float, tick: float) -> float:
    # `64,210.5`, `64210,5` and `64'210.5` are what people write: of the readings the one nearest to the plan's.
    bare = text.replace("'", "").replace("_", "").removeprefix("$")
    readings = [bare.replace(",", ""), bare.replace(".", "").replace(",", "."), bare.replace(",", ".")]
    found = [float(x) for x in readings if x.replace(".", "", 1).isdigit() and len(x) < 20]
    best = min(found, key=lambda value: abs(value - near), default=0.0)
    if best <= 0.0:
        raise Puzzled(f"{esc(text, 30)} is no price. Write it like {price(near, tick)}")
    if abs(best / near - 1) > FURTHEST:
        raise Puzzled(f"{esc(text, 30)} is far from {price(near, tick)}: a slip? Nothing was written down.")
    return best


def _time(ask: Ask, ts: int) -> str:
    return moment(ts, ask.zone, ask.now)


CHANGES: dict[str, Callable[[Deed], Reply]] = {"pause": pause, "resume": resume, "mute": mute, "taken": taken}
TIMELESS = ("taken",)  # a fact, however late it arrives; the others are wishes of their moment
