"""From the outbox to the channel: in order, none lost, a repeat only where an answer was lost, and labelled.

The promise: an alert leaves the outbox when the channel said "delivered", when its text is refused
even without markup, or when it is too old to be told. Where the answer was lost (a time-out, a
broken connection, a gateway's error, a kill in mid-sending) it may be out already: it is sent once
more, labelled, after a harmless question showed that the channel answers again.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from core.clock import Clock
from core.errors import Rejected, Transient
from core.notify import messages
from core.notify.errors import TextRejected, Unclear, Unknown
from core.notify.manner import Manner
from core.notify.redact import hide

__all__ = ["Alert", "Deliverer", "Outbox", "Sender", "TextRejected", "Unclear", "Unknown"]

T = TypeVar("T")
log = logging.getLogger(__name__)

FIRST_WAIT = 5.0  # seconds after a first fault; doubles
LONGEST_WAIT = 600.0
PARKED_WAIT = 3600.0  # where somebody must act
STRIKES = 3  # tries of one alert against a refusal we do not understand


@dataclass(frozen=True, slots=True)
class Alert:
    """One row of the outbox as claimed. Times are ms UTC; `expires_ts` None: never too old.

    attempts: claims so far, this one included. lost: how often it may have gone out unheard of (answers
    lost, kills in mid-sending); above 0 it goes out as a labelled repeat, whatever happened since.
    signal: row number of the plan it announces. reply_to: the channel's id of the message it answers.
    """

    id: int
    kind: str
    key: str
    body: str
    created_ts: int
    attempts: int
    expires_ts: int | None
    lost: int = 0
    signal: int | None = None
    reply_to: str | None = None


class Outbox(Protocol):
    """The table of alerts, seen by the sender. Every call is one durable transaction."""

    def claim(self, now: int, limit: int) -> list[Alert]:
        """Move the oldest open alerts to `sending`, attempts + 1, before anything leaves the machine.

        Open: `queued`, or `unknown` and still owed its repeat (lost <= 1). Oldest first, and none
        past the first that is not due (not_before > now): alerts never overtake each other.
        """

    def sent(self, id: int, now: int, message_id: str) -> None:
        """`sending` -> `sent`."""

    def retry(self, id: int, now: int, not_before: int, error: str) -> None:
        """`sending` -> `queued`: it surely did not leave this time. `lost` stays."""

    def unknown(self, id: int, now: int, not_before: int, error: str) -> None:
        """`sending` -> `unknown`, lost + 1. Past lost = 1 it is never claimed again: it was repeated once."""

    def failed(self, id: int, now: int, error: str) -> None:
        """`sending` -> `failed`: its text cannot be delivered."""

    def expired(self, id: int) -> None:
        """`sending` -> `expired`."""

    def recover(self, now: int) -> int:
        """All left in `sending` -> `unknown`, due at once, lost = max(lost, 1): a kill always leaves a repeat owed."""


class Sender(Protocol):
    """A channel."""

    name: str

    def send(self, text: str, manner: Manner = ...) -> str:
        """Deliver HTML and return the message's id; raises Transient, Unknown, TextRejected, Unclear, Rejected."""

    def reachable(self) -> None:
        """Raise Transient while the channel does not answer."""


class Deliverer:
    """Empties the outbox through the first sender; the others (a console) show what it delivered.

    Never sleeps: where the channel asks to wait, `run_once` returns and the next calls do nothing
    until then. Call it from a thread of its own, outside the minute's work.
    """

    def __init__(self, outbox: Outbox, senders: Sequence[Sender], clock: Clock, limit: int = 20,
                 manner: Callable[[Alert], Manner] = lambda alert: Manner(reply_to=alert.reply_to),
                 after: Callable[[Alert], object] = lambda alert: None) -> None:
        """limit: most alerts per run (Telegram allows about 20 a minute to a group).

        manner: how each goes out. after: called once it was delivered and written down; a fault of it is logged.
        """
        if not senders:
            raise ValueError("a Deliverer needs at least one sender")
        self._outbox, self._clock, self._limit, self._manner, self._after = outbox, clock, limit, manner, after
        self._sender, self._mirrors = senders[0], tuple(senders[1:])
        self._resume = 0.0  # monotonic seconds before which the channel rests
        self._resume_ts = 0
        self._faults = 0
        self._trouble = ""
        self._unclean = True
        self._delivered: tuple[int, str] | None = None
        self._strikes: tuple[int, int] = (0, 0)

    @property
    def trouble(self) -> str:
        """Why nothing goes out at the moment, in one line; empty while all is well."""
        return self._trouble

    def run_once(self) -> Counter[str]:
        """Send what is due and return how many alerts met which end.

        Keys: sent (of them repeated), retried, unknown, parked, failed, expired, recovered. Faults of the
        channel never leave here; faults of the outbox (a full disk) do, and the next run puts right what
        they left behind.
        """
        counts: Counter[str] = Counter()
        self._recover(counts)
        self._unclean = True
        for _ in range(self._limit):
            if self._clock.monotonic() < self._resume:
                break
            # One at a time, so that a kill leaves one alert in doubt; the wait was kept, whatever the wall clock did.
            claimed = self._outbox.claim(max(self._clock.now(), self._resume_ts), 1)
            if not claimed:
                break
            self._handle(claimed[0], counts)
        self._unclean = False
        return counts

    def _recover(self, counts: Counter[str]) -> None:
        if self._delivered is not None:  # it went out, yet the outbox could not write it down
            self._record(*self._delivered)
        if self._unclean and (n := self._outbox.recover(self._clock.now())):
            counts["recovered"] += n

    def _handle(self, alert: Alert, counts: Counter[str]) -> None:
        if alert.expires_ts is not None and self._clock.now() >= alert.expires_ts:
            self._outbox.expired(alert.id)
            counts["expired"] += 1
            return
        text = messages.repeat(alert.body) if alert.lost else alert.body
        answer = (self._ask() if alert.lost else None) or self._send(alert, text)
        if isinstance(answer, str):
            self._succeed(alert, answer, text, counts)
        else:
            self._fail(alert, answer, counts)

    def _ask(self) -> Exception | None:
        # Before the sending nothing of the alert has left, whatever became of the question.
        silence = _try(self._sender.reachable)
        return None if silence is None else Transient(_said(silence), getattr(silence, "retry_after", None))

    def _send(self, alert: Alert, text: str) -> str | Exception:
        manner = self._manner_of(alert)
        return _try(lambda: self._sender.send(text, manner))

    def _manner_of(self, alert: Alert) -> Manner:
        # A picture that cannot be drawn must not hold the words back.
        manner = _try(lambda: self._manner(alert))
        if isinstance(manner, Manner):
            return manner
        log.warning("alert %s goes out plain: %s", alert.id, _said(manner))
        return Manner(reply_to=alert.reply_to)

    def _succeed(self, alert: Alert, message_id: str, text: str, counts: Counter[str]) -> None:
        counts["sent"] += 1
        if alert.lost:
            counts["repeated"] += 1
        self._delivered = (alert.id, message_id)
        self._record(alert.id, message_id)
        self._faults = 0
        if self._trouble:
            log.info("%s delivers again", self._sender.name)
            self._trouble = ""
        trouble = _try(lambda: self._after(alert))
        if isinstance(trouble, Exception):
            log.info("after alert %s: %s", alert.id, _said(trouble))
        for mirror in self._mirrors:
            answer = _try(lambda mirror=mirror: mirror.send(text))  # type: ignore[misc]
            if not isinstance(answer, str):
                log.warning("%s: %s", mirror.name, answer)

    def _record(self, id: int, message_id: str) -> None:
        self._outbox.sent(id, self._clock.now(), message_id)
        self._delivered = None

    def _fail(self, alert: Alert, exc: Exception, counts: Counter[str]) -> None:
        if isinstance(exc, TextRejected):
            self._give_up(alert, exc, counts)
        elif isinstance(exc, Unclear):
            self._strike(alert, exc, counts)
        elif isinstance(exc, Rejected):
            self._put_back(alert, exc, PARKED_WAIT, "parked", counts)
        elif isinstance(exc, Unknown):
            self._put_back(alert, exc, self._back_off(), "unknown", counts)
        elif isinstance(exc, Transient):
            wait = self._back_off() if exc.retry_after is None else max(1.0, exc.retry_after)
            self._put_back(alert, exc, wait, "retried", counts)
        else:
            log.error("unexpected fault of %s", self._sender.name, exc_info=exc)
            self._put_back(alert, exc, self._back_off(), "unknown", counts)

    def _back_off(self) -> float:
        self._faults += 1
        return float(min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self._faults - 1, 10)))

    def _strike(self, alert: Alert, exc: Exception, counts: Counter[str]) -> None:
        # One poisonous alert must not hold up all behind it for ever.
        known, n = self._strikes
        self._strikes = (alert.id, n + 1 if known == alert.id else 1)
        if self._strikes[1] >= STRIKES:
            self._give_up(alert, exc, counts)
        else:
            self._put_back(alert, exc, LONGEST_WAIT, "parked", counts)

    def _give_up(self, alert: Alert, exc: Exception, counts: Counter[str]) -> None:
        log.error("alert %s (%s) cannot be delivered: %s", alert.id, alert.key, exc)
        self._outbox.failed(alert.id, self._clock.now(), _said(exc))
        counts["failed"] += 1

    def _put_back(self, alert: Alert, exc: Exception, wait: float, how: str, counts: Counter[str]) -> None:
        now = self._clock.now()
        self._resume, self._resume_ts = self._clock.monotonic() + wait, now + int(wait * 1000)
        counts[how] += 1
        self._tell(_said(exc), wait, how)
        put = self._outbox.unknown if how == "unknown" else self._outbox.retry
        put(alert.id, now, self._resume_ts, _said(exc))

    def _tell(self, why: str, wait: float, how: str) -> None:
        if how == "parked" and why != self._trouble:
            log.error("%s is off until somebody acts: %s. Alerts wait, next try in %.0f min",
                      self._sender.name, why, wait / 60)
        elif not self._trouble:
            log.warning("%s: %s. Alerts wait, next try in %.0f s", self._sender.name, why, wait)
        self._trouble = why


def _try(work: Callable[[], T]) -> T | Exception:
    try:
        return work()
    except Exception as exc:  # noqa: BLE001 - the catch-all of the notification channel: its faults end here
        return exc


def _said(exc: Exception) -> str:
    return hide(f"{exc}" if isinstance(exc, (Transient, Rejected)) else f"unexpected {type(exc).__name__}: {exc}")[:500]
