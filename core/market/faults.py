"""What can go wrong at an exchange, as a script: which request, which symbol, when, and what then.

A plan is a list of `Fault`s. Given the same plan, seed and requests, the same things go wrong. Times
are those of the replay exchange's clock; only `stall` and `trickle` take real time, on the socket.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from zlib import crc32

from core.candles import Row
from core.errors import ConfigError
from core.market.source import exchange_id
from core.timeframe import HOUR, MINUTE

FOREVER = 1 << 62

# How the reply itself fails.
REPLIES: dict[str, str] = {
    "status": "HTTP `status`, `Retry-After: retry_after` where given; 429 as Bitget's JSON, others as HTML",
    "code": "HTTP 400 with Bitget's error `code`",
    "html": "200 with an HTML page",
    "truncated": "200, the JSON cut after `share` of its bytes, the length header agreeing",
    "short": "200, the body cut after `share` of its bytes, the length header not agreeing, then closed",
    "null": "200, body `null`",
    "data_null": "200, an envelope whose data is null",
    "empty_body": "200, no body",
    "empty_data": "200, an envelope whose data is []",
    "stall": "no answer for `seconds` (0: never)",
    "trickle": "the answer in 20 pieces over `seconds`",
    "reset": "the connection is reset before an answer",
    "down": "the connection is reset at once: the machine is not there",
}
# What is wrong with the candles of a reply. `start` and `stop` choose the minutes concerned.
CANDLES: dict[str, str] = {
    "hole": "the minutes are absent",
    "revision": "until `seconds` after a minute's end, close and volume are not yet the final ones",
    "nan": "close is NaN",
    "none": "close is null",
    "zero": "all prices are 0",
    "crossed": "high and low are exchanged",
    "negative": "volume is negative",
    "seconds": "the time is in seconds",
    "offgrid": "the time is 17 s off the minute",
    "future": "a row of the minute one hour from now is added",
    "duplicates": "every row comes twice",
    "reversed": "newest row first",
}
# How the exchange reads a request for candles.
WINDOWS: dict[str, str] = {
    "cap": "at most `amount` rows",
    "end_inclusive": "the row that opens at endTime belongs to the window",
    "start_exclusive": "the row that opens at startTime does not belong to the window",
}
LISTINGS: dict[str, str] = {
    "delisted": "the symbol is removed: not among the contracts, code 40309",
    "renamed": "the symbol goes on under the name `to` (unified)",
}
KINDS: dict[str, str] = {**REPLIES, **CANDLES, **WINDOWS, **LISTINGS}
PASSING = tuple(k for k in (*REPLIES, *CANDLES, "cap") if k not in ("stall", "trickle", "empty_data", "hole"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong, and when.

    kind: one of KINDS, which say what happens. path: the request's path ends with it. symbol: unified
    name or exchange id; empty = all. since, until: acts while since <= now < until (ms UTC). first,
    count: acts on the matching requests number `first` to `first + count - 1`, from 0. chance: acts on
    this share of them, drawn from the plan's seed. start, stop: minutes concerned, [start, stop).
    every: of these only each n-th. The rest are arguments of single kinds.
    """

    kind: str
    path: str = ""
    symbol: str = ""
    since: int = 0
    until: int = FOREVER
    first: int = 0
    count: int = FOREVER
    chance: float = 1.0
    start: int = 0
    stop: int = FOREVER
    every: int = 1
    status: int = 503
    code: str = "40015"
    retry_after: float | None = None
    seconds: float = 0.0
    share: float = 0.5
    amount: int = 100
    to: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"unknown fault {self.kind!r}: use one of {', '.join(KINDS)}")

    def concerns(self, ts: int) -> bool:
        """Whether the minute `ts` is among those the fault touches."""
        return self.start <= ts < self.stop and ts // MINUTE % self.every == 0


class Faults:
    """A plan with its memory: how often each fault could have acted (`hits`: how often it did, by kind).

    Belongs to one replay exchange; not for use by several threads at once.
    """

    def __init__(self, plan: Iterable[Fault] = (), seed: int = 0) -> None:
        self.plan = tuple(plan)
        self.seed = seed
        self.hits: Counter[str] = Counter()
        self._seen = [0] * len(self.plan)
        self._numbered = [(n, fault) for n, fault in enumerate(self.plan) if fault.kind not in LISTINGS]
        self._listings = [fault for fault in self.plan if fault.kind in LISTINGS]

    def strike(self, path: str, symbol: str, now: int) -> list[Fault]:
        """The faults that act on this request, in the plan's order; counts it. `symbol`: id or ''."""
        acting = [fault for n, fault in self._numbered if self._acts(n, fault, path, symbol, now)]
        self.hits.update(fault.kind for fault in acting)
        return acting

    def down(self, now: int) -> bool:
        """Whether the machine is unreachable for all."""
        return any(f.kind == "down" and not f.path and not f.symbol and f.count == FOREVER and f.chance == 1.0
                   and f.since <= now < f.until for f in self.plan)

    def listed(self, symbol: str, now: int) -> str | None:
        """The unified name under which `symbol` trades at `now`; None once it is delisted."""
        for fault in self._listings:
            if exchange_id(fault.symbol) == exchange_id(symbol) and fault.since <= now < fault.until:
                return fault.to if fault.kind == "renamed" else None
        return symbol

    def _acts(self, n: int, fault: Fault, path: str, symbol: str, now: int) -> bool:
        if not (fault.since <= now < fault.until and path.endswith(fault.path)):
            return False
        if fault.symbol and exchange_id(fault.symbol) != symbol:
            return False
        if fault.kind not in REPLIES and not path.endswith("candles"):
            return False
        order = self._seen[n]
        self._seen[n] += 1
        return fault.first <= order < fault.first + fault.count and self._drawn(n, order) < fault.chance

    def _drawn(self, n: int, order: int) -> float:
        return crc32(f"{self.seed}/{n}/{order}".encode()) / 2**32


def shown(row: Row, faults: Sequence[Fault], now: int) -> Row | None:
    """The final `row` as the acting faults let the exchange know it at `now`: absent, or not yet final."""
    for fault in faults:
        if not fault.concerns(row[0]):
            continue
        if fault.kind == "hole":
            return None
        if fault.kind == "revision" and now < row[0] + MINUTE + fault.seconds * 1000:
            ts, start, high, low, _, volume = row
            row = (ts, start, high, low, low if start > low else high, volume * 0.75)
    return row


def garble(texts: list[list[str | None]], faults: Sequence[Fault], now: int) -> list[list[str | None]]:
    """Rows of texts (ts, open, high, low, close, volume, …) as the acting faults send them."""
    for fault in faults:
        if fault.kind in _ROW:
            texts = [_ROW[fault.kind](t) if fault.concerns(int(t[0] or 0)) else t for t in texts]
        elif fault.kind == "future" and texts:
            texts = [*texts, [str((now + HOUR) // MINUTE * MINUTE), *texts[-1][1:]]]
        elif fault.kind == "duplicates":
            texts = [t for t in texts for _ in range(2)]
        elif fault.kind == "reversed":
            texts = texts[::-1]
    return texts


def storm(seed: int, start: int, stop: int, symbols: Sequence[str], n: int = 20,
          kinds: Sequence[str] = PASSING) -> tuple[Fault, ...]:
    """A seeded mix of `n` faults that all end by `stop`, after which the exchange tells the whole truth.

    The default kinds take no real time, and none makes a minute look as if it had never traded.
    """
    rng = Random(seed)
    return tuple(_gust(rng, rng.choice(kinds), start, stop, symbols) for _ in range(n))


def _gust(rng: Random, kind: str, start: int, stop: int, symbols: Sequence[str]) -> Fault:
    since = rng.randrange(start, stop)
    until = min(stop, since + rng.choice((MINUTE, 10 * MINUTE, HOUR, 6 * HOUR)))
    status = rng.choice((403, 418, 429, 500, 502, 503, 504))
    return Fault(kind=kind, symbol=rng.choice((*symbols, "")), since=since, until=until, status=status,
                 chance=rng.choice((0.2, 0.5, 1.0)), every=rng.choice((1, 3, 10)), share=rng.random(),
                 retry_after=rng.choice((None, 5.0)) if status == 429 else None,
                 seconds=float(rng.choice((5, 40, 100))), amount=rng.choice((10, 99)))


def _set(texts: list[str | None], values: dict[int, str | None]) -> list[str | None]:
    return [values.get(i, text) for i, text in enumerate(texts)]


_ROW = {
    "nan": lambda t: _set(t, {4: "NaN"}),
    "none": lambda t: _set(t, {4: None}),
    "zero": lambda t: _set(t, dict.fromkeys(range(1, 5), "0")),
    "crossed": lambda t: _set(t, {2: t[3], 3: t[2]}),
    "negative": lambda t: _set(t, {5: f"-{t[5]}"}),
    "seconds": lambda t: _set(t, {0: str(int(t[0] or 0) // 1000)}),
    "offgrid": lambda t: _set(t, {0: str(int(t[0] or 0) + 17_000)}),
}
