"""A channel and an outbox whose every fault is scripted, and the judge of what reached the reader."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from core.errors import Rejected, Transient
from core.notify.delivery import Deliverer, TextRejected, Unclear, Unknown
from core.notify.manner import PLAIN, Manner
from core.notify.messages import REPEAT
from tests.notify.bot_api import html_fault, shown
from tests.notify.memory_outbox import Entry, MemoryOutbox


class Killed(BaseException):
    """kill -9, as far as the code can feel it."""


class Channel:
    """Answers as scripted, `ok` when the script is empty.

    ok; lost (delivered, no answer); gone (neither); down (refused at the door); int (429 for as long);
    parked; text; odd; bug. `silent` makes `reachable` fail.
    """

    name = "fake"

    def __init__(self, answers: Iterable[Any] = ()) -> None:
        self.answers = deque(answers)
        self.always: Any = "ok"
        self.silent = False
        self.delivered: list[str] = []
        self.manners: list[Manner] = []
        self.tried = 0

    def send(self, text: str, manner: Manner = PLAIN) -> str:
        self.tried += 1
        answer = self.answers.popleft() if self.answers else self.always
        if answer in ("ok", "lost"):
            assert html_fault(text) is None
            self.delivered.append(shown(text))
            self.manners.append(manner)
        if answer == "ok":
            return str(len(self.delivered))
        raise self._fault(answer)

    def reachable(self) -> None:
        if self.silent:
            raise Transient("no answer to a harmless question")

    def _fault(self, answer: Any) -> Exception:
        if isinstance(answer, int):
            return Transient("flood", float(answer))
        return {"lost": Unknown("answer lost"), "gone": Unknown("answer lost"), "down": Transient("connection refused"),
                "parked": Rejected("chat not found: check chat_id"), "text": TextRejected("bad text"),
                "odd": Unclear("never seen"), "bug": RuntimeError("a bug")}[answer]


class Doomed:
    """Wraps an object and kills the process before or after its n-th call of all calls counted in `fuse`."""

    def __init__(self, inner: Any, fuse: list[int]) -> None:
        self._inner, self._fuse = inner, fuse

    @property
    def name(self) -> str:
        return str(self._inner.name)

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._inner, method)

        def call(*args: Any) -> Any:
            self._burn()
            answer = real(*args)
            self._burn()
            return answer
        return call

    def _burn(self) -> None:
        self._fuse[0] -= 1
        if self._fuse[0] == 0:
            raise Killed


def judge(outbox: MemoryOutbox, delivered: list[str]) -> list[str]:
    """All that is wrong: lost alerts, repeats without their label, alerts out of order. Bodies must be unique."""
    wrong, first = [], []
    for row in outbox.rows.values():
        copies = [i for i, text in enumerate(delivered) if text.split("\n")[-1] == shown(row.body)]
        excused = row.state in ("expired", "failed") or (row.state == "unknown" and row.lost > 1)
        if not copies and not excused:
            wrong.append(f"lost: {row.body}")
        wrong += [f"unlabelled repeat: {row.body}" for i in copies[1:] if not delivered[i].startswith(REPEAT)]
        first += copies[:1]
    return wrong if first == sorted(first) else [*wrong, "out of order"]


def is_open(row: Entry) -> bool:
    """Whether it is still to be delivered."""
    return row.state in ("queued", "sending") or (row.state == "unknown" and row.lost <= 1)


def drain(outbox: MemoryOutbox, deliverer: Deliverer, clock: Any, runs: int = 400, step: float = 60.0) -> None:
    """Minutes pass until nothing is open."""
    for _ in range(runs):
        deliverer.run_once()
        if not any(is_open(row) for row in outbox.rows.values()):
            return
        clock.sleep(step)
