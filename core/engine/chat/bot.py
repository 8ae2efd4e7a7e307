"""The bot's own thread: it waits for commands, knows who may give them, answers, and is in nobody's way.

Reads come from a read-only connection of their own, with a limit of time. Nothing is sent while the writing
connection is held. Whatever goes wrong with Telegram or with one command, the thread goes on, and no tick notices.
"""

import logging
import threading
from collections import deque
from dataclasses import replace

from core.engine import announce
from core.engine.artifacts import Models
from core.engine.chat import results, system, trades
from core.engine.chat.changes import CHANGES, OFFSET, TIMELESS, Deed, writing
from core.engine.chat.desk import Answer, Ask, Puzzled, Reply
from core.engine.chat.recipients import Roles
from core.engine.context import Context
from core.engine.tick import attempt
from core.errors import ArtifactError, Rejected, TraderError, Transient
from core.notify import commands, messages
from core.notify.api import Heard, TelegramApi
from core.notify.commands import Given
from core.notify.errors import Conflict, Unknown
from core.notify.manner import Manner
from core.notify.telegram import TelegramSender
from core.notify.text import esc
from core.store import runs
from core.store.db import Database
from core.store.reads.bot import glimpse
from core.timeframe import DAY, MINUTE

log = logging.getLogger(__name__)

POLL_SECONDS = 25  # Telegram holds a question for news this long
READ_SECONDS = 3.0  # for all that one answer reads
STALE = 5 * MINUTE  # a command older than this is not carried out: its moment is over
KEPT = DAY  # Telegram keeps what is not fetched for a day; an older offset says nothing any more
MOST = 20  # commands of one chat in a minute; what is beyond is not answered
LONGEST_WAIT = 60.0  # seconds between two tries while Telegram cannot be reached
PARKED = 600.0  # where somebody must act
CONFLICT_TOLD_AFTER = 2 * MINUTE  # the wait of this bot's last run may still be open for a while

BUSY = "⏳ Busy, try again in a moment."
FLOOD = f"More than {MOST} commands in a minute: this one and what follows is not carried out. Try again in a minute."
BROKEN = "That went wrong, and stands in the log."

ANSWERS: dict[str, Answer] = {
    "start": system.start, "help": system.help_, "status": trades.status, "signals": trades.newest,
    "trades": trades.ended, "profit": results.profit, "daily": results.daily, "weekly": results.weekly,
    "performance": results.performance, "stats": results.stats, "health": system.health, "version": system.version,
    "why": system.explain, "chart": system.chart, "gate": system.gate, "model": system.model, "gaps": system.gaps,
}


class Bot:
    """Answers the commands of those who may give them. `start`, then `stop`; in between it needs nobody."""

    def __init__(self, ctx: Context, api: TelegramApi, roles: Roles) -> None:
        """ctx: the daemon's; only its file is written to, and only in short transactions."""
        self._ctx, self._api, self._roles = ctx, api, roles
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bot", daemon=True)
        self._name = ""
        self._next: int | None = None
        self._next_ts = 0
        self._models = Models()
        self._lately: dict[str, deque[int]] = {}
        self._ignored: set[str] = set()
        self._conflict_since: int | None = None
        self._waits = 0
        self._trouble = ""

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Stop listening; a running answer is finished if that takes no longer than `seconds`."""
        self._stop.set()
        self._api.interrupt()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        self._remembered()
        while not self._stop.is_set() and not self._greet():
            pass
        while not self._stop.is_set():
            self._listen()

    def _remembered(self) -> None:
        with self._ctx.db.lock:
            known = runs.get(self._ctx.db.con, OFFSET)
        if known is not None:
            self._next, self._next_ts = int(known["next"]), int(known["ts"])

    def _greet(self) -> bool:
        # Its own name, to tell commands for other bots of a group apart, and the menus of those who may command.
        try:
            self._name = self._api.username()
        except TraderError as error:
            self._rest(error)
            return False
        for chat, role in self._roles.menus().items():
            try:
                self._api.set_commands(chat, commands.menu(role))
            except TraderError as error:  # somebody who has not written to the bot yet has no menu
                log.info("no menu for a %s: %s", role, error)
        return True

    def _listen(self) -> None:
        now = self._ctx.clock.now()
        offset = self._next if now - self._next_ts < KEPT else None
        try:
            found = self._api.updates(offset, POLL_SECONDS)
        except TraderError as error:
            self._rest(error)
            return
        if self._trouble and not self._stop.is_set():
            log.info("Telegram answers again")
        self._waits, self._trouble, self._conflict_since = 0, "", None
        for heard in found:
            self._next, self._next_ts = heard.update_id + 1, self._ctx.clock.now()
            if not self._stop.is_set():
                self._serve(heard)

    def _rest(self, error: TraderError) -> None:
        self._waits += 1
        wait = min(LONGEST_WAIT, 2.0 ** min(self._waits, 6))
        if isinstance(error, Conflict):
            self._conflict()
        elif isinstance(error, Rejected):
            wait = PARKED
        elif isinstance(error, Transient) and error.retry_after is not None:
            wait = max(1.0, error.retry_after)
        if str(error) != self._trouble and not self._stop.is_set():
            log.warning("no commands are heard: %s; next try in %.0f s", error, wait)
        self._trouble = str(error)
        self._stop.wait(wait)

    def _conflict(self) -> None:
        now = self._ctx.clock.now()
        self._conflict_since = self._conflict_since or now
        if now - self._conflict_since < CONFLICT_TOLD_AFTER:
            return
        body = messages.note("Two programs, one bot", "Another program reads this bot's messages, so commands may go "
                             "unanswered here; alerts still go out. Stop it, give one of them a bot of its own, or set "
                             "notify.telegram.commands: false here.")
        attempt(self._ctx, "bot", now, lambda: self._warn(f"conflict:{now // DAY}", body, now))

    def _warn(self, key: str, body: str, now: int) -> int:
        # What cannot be written now (a busy file, a full disk) is told at the next try.
        with writing(self._ctx.db) as con:
            return int(announce.tell(self._ctx, con, "health", key, body, now, now + DAY))

    # One message

    def _serve(self, heard: Heard) -> None:
        role, given = self._roles.of(heard), commands.parse(heard.text, self._name)
        if role is None or given is None:
            return
        replies: list[Reply] = []
        if self._too_many(heard):
            if heard.chat in self._ignored:
                return
            self._ignored.add(heard.chat)
            replies.append(Reply(FLOOD))
        else:
            self._ignored.discard(heard.chat)
            run = attempt(self._ctx, "bot", heard.ts, lambda: replies.append(self._reply(heard, role, given)))
            if run.state != "ok":
                replies.append(Reply(BUSY if (run.error or "").startswith("the database") else BROKEN))
        attempt(self._ctx, "bot", heard.ts, lambda: self._say(heard.chat, replies[0]))

    def _too_many(self, heard: Heard) -> bool:
        now = self._ctx.clock.now()
        lately = self._lately.setdefault(heard.chat, deque(maxlen=MOST))
        if len(lately) == MOST and 0 <= now - lately[0] < MINUTE:  # the clock may step back
            return True
        lately.append(now)
        return False

    def _reply(self, heard: Heard, role: str, given: Given) -> Reply:
        now = self._ctx.clock.now()
        if given.command is None:
            return Reply(commands.unknown(given))
        if given.command.owner and role != commands.OWNER:
            return Reply("Only the owner may do that.")
        name = given.command.name
        if now - heard.ts > STALE and name not in TIMELESS:
            return Reply(f"/{esc(given.word)} came while I was away ({(now - heard.ts) // MINUTE} minutes ago) and was "
                         "not carried out: send it again if you still want it.")
        try:
            return self._carry_out(heard, role, name, given.args, now)
        except Puzzled as puzzle:
            return Reply(str(puzzle))
        except ArtifactError as error:
            log.warning("the bot cannot read: %s", error)
            return Reply("The database cannot be read at the moment.")

    def _carry_out(self, heard: Heard, role: str, name: str, args: tuple[str, ...], now: int) -> Reply:
        ctx, clock = self._ctx, self._ctx.clock
        end = clock.monotonic() + READ_SECONDS
        with glimpse(ctx.db.path, lambda: clock.monotonic() > end) as db:
            ask = Ask(self._reader(db), args, now, role, heard.chat)
            if name in ANSWERS:
                return ANSWERS[name](ask)
            return CHANGES[name](Deed(ask, heard, ctx.db))

    def _reader(self, db: Database) -> Context:
        return replace(self._ctx, db=db, exchange=None, models=self._models, unwritten=[])

    def _say(self, chat: str, reply: Reply) -> None:
        sender = TelegramSender(self._api, chat)
        try:
            sender.send(reply.text, Manner(photo=reply.photo))
        except Unknown as error:
            log.warning("an answer may not have arrived: %s", error)
        except Transient as error:  # it surely did not: once more, unless Telegram asks for a long pause
            wait = error.retry_after if error.retry_after is not None else 1.0
            if wait <= 10 and not self._stop.wait(wait):
                sender.send(reply.text, Manner(photo=reply.photo))


