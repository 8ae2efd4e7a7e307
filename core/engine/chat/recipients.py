"""Who gets the alerts, and how each arrives there: the owner's chat first, each other one on its own."""

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from core.config import Config
from core.engine import pictures
from core.engine.context import Context
from core.engine.jobs import Job
from core.errors import TraderError
from core.notify import events
from core.notify.api import Heard, TelegramApi
from core.notify.delivery import Alert, Deliverer
from core.notify.manner import Manner, is_quiet
from core.notify.telegram import TelegramSender
from core.store import chats, outbox, runs, signals
from core.store.outbox import Copies, Outbox
from core.store.reads import looking

log = logging.getLogger(__name__)

DRAWN = 8  # pictures held in memory, for the chats that get the same one


@dataclass(frozen=True, slots=True)
class Roles:
    """Who may do what, by id. home: the owner's chat, where his alerts go; it may be a group."""

    owner: str
    home: str
    viewers: frozenset[str]
    channels: frozenset[str]

    def of(self, heard: Heard) -> str | None:
        """The role in which somebody wrote: owner, viewer, or None, who gets no answer at all.

        What is said in a group counts only in a configured one, and only the owner is the owner there.
        """
        private = heard.chat == heard.user
        if not heard.user or not (private or heard.chat == self.home or heard.chat in self.viewers):
            return None
        if heard.user == self.owner:
            return chats.OWNER
        return chats.VIEWER if heard.user in self.viewers or heard.chat in self.viewers else None

    def by_chat(self) -> dict[str, str]:
        """Every chat that gets alerts, with its role."""
        return {**dict.fromkeys(sorted(self.channels), chats.CHANNEL), **dict.fromkeys(sorted(self.viewers),
                chats.VIEWER), self.home: chats.OWNER}

    def menus(self) -> dict[str, str]:
        """Every chat that may give commands, with the role of who writes there."""
        own = {self.owner: chats.OWNER} if self.owner else {}
        home = {self.home: chats.OWNER} if self.owner and self.home != self.owner else {}
        return {**dict.fromkeys(sorted(self.viewers), chats.VIEWER), **home, **own}


def roles(cfg: Config) -> Roles:
    """The configured roles. Where no owner is named, it is whose private chat `chat_id` is; a group has none."""
    telegram = cfg.notify.telegram
    own = telegram.owner_id or (telegram.chat_id if telegram.chat_id.isdigit() else "")
    return Roles(own, telegram.chat_id, frozenset(telegram.viewers), frozenset(telegram.channels))


def settle(ctx: Context, known: Roles | None) -> None:
    """Bring the file to the configured chats (None: Telegram is off), and write down what changed."""
    with ctx.db.write() as con:
        for chat, what in chats.sync(con, known.by_chat() if known is not None else {}):
            runs.log(con, ctx.clock.now(), "config", f"chat is now {what}", chat)


def deliverers(ctx: Context, api: TelegramApi, known: Roles) -> tuple[Deliverer, "Copier"]:
    """The owner's deliverer, and that of all other chats."""
    drawer = Drawer(ctx)

    def one(queue: Outbox, chat: str, name: str) -> Deliverer:
        sender = TelegramSender(api, chat, name)
        return Deliverer(queue, [sender], ctx.clock, manner=Manners(ctx, chat, drawer), after=Marker(ctx, sender))

    others = [one(Copies(ctx.db, chat), chat, f"Telegram ({role} ..{chat[-3:]})")
              for chat, role in known.by_chat().items() if role != chats.OWNER]
    return one(Outbox(ctx.db), known.home, "Telegram"), Copier(others)


def table(copier: "Copier") -> list[Job]:
    """The job that empties the queues of all chats but the owner's; none where there are no others."""
    trigger = CronTrigger(second="*/5", timezone=UTC)
    work = Job("copies", trigger, lambda due: sum(copier.run_once().values()), "copies", quiet=True)
    return [work] if len(copier) else []


class Copier:
    """All chats but the owner's, each with its own queue, waits and faults. In a thread apart from the owner's."""

    def __init__(self, each: Sequence[Deliverer]) -> None:
        self._each = tuple(each)

    def __len__(self) -> int:
        return len(self._each)

    def run_once(self) -> Counter[str]:
        """What each has due; counts as `Deliverer.run_once`, added up."""
        counts: Counter[str] = Counter()
        for deliverer in self._each:
            counts += deliverer.run_once()
        return counts


class Drawer:
    """Draws the picture of a fresh plan, once for all chats. From a connection of its own: no tick waits for it."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._lock = threading.Lock()
        self._drawn: dict[int, bytes] = {}

    def of(self, signal: int) -> bytes:
        """The PNG of a signal (row number), as it was known at its decision. Raises where it cannot be drawn."""
        with self._lock:
            if signal not in self._drawn:
                with looking(self._ctx.db.path) as db:
                    row = signals.signal_row(db.con, signal)
                    made = pictures.of_signal(self._ctx, db.con, str(row["id"]), int(row["decided_ts"]))
                while len(self._drawn) >= DRAWN:
                    del self._drawn[next(iter(self._drawn))]
                self._drawn[signal] = made
            return self._drawn[signal]


class Marker:
    """Writes what became of a plan above its announcement, so that whoever scrolls up sees it at a glance.

    Without a promise: the message that answers it says the same and more. An edit that fails is not tried again.
    """

    def __init__(self, ctx: Context, sender: TelegramSender) -> None:
        self._ctx, self._sender = ctx, sender

    def __call__(self, alert: Alert) -> None:
        """After an alert was delivered: where it answers an announcement, mark that."""
        if alert.reply_to is None:
            return
        with looking(self._ctx.db.path) as db:
            found = outbox.announcement(db.con, alert.id)
            rows = [signals.signal_row(db.con, n) for n in found[1]] if found is not None else []
            known = [(row, signals.trade_row(db.con, str(row["id"]))) for row in rows]
        begun = [(row, trade) for row, trade in known if trade["status"] != "PENDING"]
        if found is not None and begun:
            self._sender.amend(alert.reply_to, events.marked(found[0], begun))


class Manners:
    """How an alert arrives in one chat: with a sound or without, as an answer, under a picture.

    Quiet hours and `/mute` take the sound away and hold nothing back: a plan that expires must not wait, and what
    was told silently is there in the morning, in its order.
    """

    def __init__(self, ctx: Context, chat: str, drawer: Drawer) -> None:
        self._ctx, self._chat, self._drawer = ctx, chat, drawer

    def __call__(self, alert: Alert) -> Manner:
        """The manner of one alert, now."""
        settings = self._ctx.cfg.notify.telegram
        # A repeat goes without its picture: the larger message may be what the line did not carry.
        draw = settings.pictures and alert.kind == "signal" and alert.signal is not None and not alert.lost
        silent = getattr(settings.notification_settings, alert.kind, "on") == "silent" or self._hushed()
        photo = self._picture(alert.signal) if draw and alert.signal is not None else None
        return Manner(silent, alert.reply_to, photo)

    def _picture(self, signal: int) -> bytes | None:
        try:
            return self._drawer.of(signal)
        except (TraderError, ValueError, ImportError, OSError) as error:
            log.warning("no picture of signal %d: %s", signal, error)
            return None

    def _hushed(self) -> bool:
        now, cfg = self._ctx.clock.now(), self._ctx.cfg
        here = datetime.fromtimestamp(now / 1000, ZoneInfo(cfg.app.timezone))
        if is_quiet(cfg.notify.telegram.quiet_hours, here.hour * 60 + here.minute):
            return True
        with self._ctx.db.lock:
            return chats.muted_until(self._ctx.db.con, self._chat) > now
