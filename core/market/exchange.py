"""The exchange: closed 1m candles, markets, funding and time, through the real ccxt client.

One `Exchange` owns one event loop. Its answers have passed the candle gate and its errors are ours.
"""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Self, TypeVar

from core.candles import MarketInfo, Row
from core.clock import Clock
from core.errors import DataError, Rejected, TraderError, Transient
from core.market import candle_gate, ccxt_client
from core.market.server_time import ServerTime
from core.timeframe import DAY, MINUTE, ceil, floor, show_time

T = TypeVar("T")

# A day inside the 29 days after which Bitget's client asks the endpoint for old candles.
OLD_AFTER_MS = 28 * DAY
QUICK_TRIES = 3
PARALLEL = 10
MOST_PAGES = 1000
FUNDING_PAGE = 100
SULK_S = 5.0
_FIRST_BAN_S, _LONGEST_BAN_S, _FORGIVEN_MS = 5.0, 300.0, 600_000


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: final candles of [start, end_asked), ascending, and the refusals by reason.

    A minute of that window without a row is proven absent only if `faults` is 0.
    """

    rows: list[Row]
    start: int
    end_asked: int
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def faults(self) -> int:
        """Rows refused for a fault of the sender."""
        return candle_gate.faults(self.rejected)


class Exchange:
    """Public data of one exchange. `run` and `close` from one thread at a time; coroutines only inside `run`.

    clock: ours; decides nothing but waits, since a candle is closed by the exchange's own time.
    api_url: another host that speaks the exchange's API. rate_limit_ms: None = ccxt's figure, 0 =
    off. timeout_s: total time of one request. banned_until: ms UTC of our clock, nothing is sent
    before it. pause: awaitable sleep between quick retries. requests: how many were sent since it was made, by
    what became of them (ok, failed, limited); it only grows. Raises Transient, Rejected and DataError only, and
    ConfigError from `open`.
    """

    def __init__(self, exchange_id: str, clock: Clock, *, api_url: str | None = None,
                 rate_limit_ms: float | None = None, timeout_s: float = 10.0, banned_until: int = 0,
                 pause: Callable[[float], Awaitable[Any]] = asyncio.sleep, seed: int = 0) -> None:
        self.id = exchange_id
        self.requests: Counter[str] = Counter()
        self.banned_until = banned_until
        self._clock, self._pause, self._random = clock, pause, random.Random(seed)
        self._settings = (api_url, rate_limit_ms, timeout_s)
        self._profile = ccxt_client.profile(exchange_id)
        self._time = ServerTime(clock)
        self._strikes, self._well = 0, True
        self._sulk: tuple[float, str] | None = None
        self._lock = threading.Lock()
        self._runner: asyncio.Runner | None = None
        self._client: Any = None
        self._foreign: tuple[type[Exception], ...] = ()

    # -- life ------------------------------------------------------------------------------------

    def open(self) -> Self:
        """Load the client; sends nothing. Raises ConfigError for an unknown exchange."""
        if self._client is None:
            hooks = ccxt_client.Hooks(self._time.now, self._before_send, self._answered)
            self._client = ccxt_client.connect(self.id, hooks, *self._settings)
            self._foreign = ccxt_client.foreign_errors(self._client)
            self._runner = asyncio.Runner()
            self._ready_lock, self._slots = asyncio.Lock(), asyncio.Semaphore(PARALLEL)
        return self

    def close(self) -> None:
        """Close the connections and the loop; harmless if not open."""
        runner, client, self._runner, self._client = self._runner, self._client, None, None
        if runner is not None:
            with self._lock, runner:
                runner.run(client.close())

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, awaitable: Awaitable[T]) -> T:
        """Run one of the coroutines below to its end, blocking."""
        answer: list[T] = []

        async def whole() -> None:
            answer.append(await awaitable)  # not returned: Runner writes out what its task returns

        with self._lock:
            if self._runner is None:
                raise RuntimeError("the exchange is not open")
            self._runner.run(whole())
        return answer[0]

    async def gather(self, awaitables: Iterable[Awaitable[T]]) -> list[T | TraderError]:
        """Run many at once; one result or TraderError per item, in order, so that none stops the others.

        Any other error is a fault of the program and is raised when all have ended.
        """
        results = await asyncio.gather(*awaitables, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, TraderError):
                raise result
        return results  # type: ignore[return-value]

    @property
    def clock_offset_ms(self) -> int | None:
        """Exchange time minus our clock at the last measurement; None before the first."""
        return self._time.offset_ms

    def now(self) -> int:
        """Time at the exchange, ms UTC (never ahead of it); our own clock before the first measurement."""
        return self._time.now()

    # -- questions -------------------------------------------------------------------------------

    async def server_time(self) -> int:
        """Ask the exchange for its time, ms UTC, and remember the offset."""
        sent = self._clock.now()
        server = await self._call("time", self._client.fetch_time)
        if not isinstance(server, int) or server < 10**11:
            raise Transient(f"time: the exchange answered {server!r}")
        self._time.measured(server, sent)
        return server

    async def markets(self, symbols: Iterable[str]) -> dict[str, MarketInfo]:
        """Ask for the market list and say what it tells of `symbols`.

        Left out: symbols not listed (see `delisted`) and markets without a usable tick or lot.
        """
        listed = await self._call("markets", partial(self._client.load_markets, True))
        known = {s: _market_info(listed[s]) for s in symbols if _is_listed(listed.get(s))}
        return {s: info for s, info in known.items() if info is not None}

    def delisted(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """Those of `symbols` that the last good market list does not hold; empty before the first list."""
        listed = self._client.markets if self._client is not None else None
        return tuple(s for s in symbols if not _is_listed(listed.get(s))) if listed else ()

    async def candles(self, symbol: str, start: int, end: int, limit: int = 1000) -> Page:
        """Ask once for the 1m candles of [start, end), as far as one request reaches and minutes are closed.

        The window really asked ends at `end_asked`; it equals `start` if no minute of it is closed.
        Raises DataError if the answer is about no minute, or about others.
        """
        await self._ready()
        start = ceil(start, MINUTE)
        now = self.now()  # taken before the request leaves: what is closed by then is final in the answer
        count = self._window(start, end, limit, now)
        if count <= 0:
            return Page([], start, start)
        rows = await self._call(f"candles {symbol}", partial(self._ask, symbol, start, count))
        stop = start + count * MINUTE
        gated = candle_gate.check(rows, MINUTE, start, stop, now)
        _refuse_nonsense(symbol, rows, gated.rejected, stop if self.id == ccxt_client.BITGET else None)
        return Page(gated.rows, start, stop, gated.rejected)

    async def funding(self, symbol: str, since: int) -> list[tuple[int, float]]:
        """Past funding rates (ts ms, rate as a fraction) from `since` on, ascending, unique."""
        await self._ready()
        backward = self.id == ccxt_client.BITGET
        found = await (self._funding_back if backward else self._funding_forth)(symbol, since)
        return sorted((ts, rate) for ts, rate in found.items() if since <= ts <= self.now())

    # -- candles ---------------------------------------------------------------------------------

    def _window(self, start: int, end: int, limit: int, now: int) -> int:
        # minutes to ask for, all closed by the exchange's time
        cap = self._profile.old if start <= now - OLD_AFTER_MS else self._profile.recent
        spare = 1 if self.id == ccxt_client.BITGET else 0
        return min(limit, cap - spare, (floor(min(end, now), MINUTE) - start) // MINUTE)

    async def _ask(self, symbol: str, start: int, count: int) -> Any:
        # Bitget gets room for one row more than the window holds: whether its endTime is inclusive
        # is not known, and it counts `limit` back from there.
        extra = {"limit": count + 1} if self.id == ccxt_client.BITGET else {}
        return await self._client.fetch_ohlcv(symbol, "1m", start, count, extra)

    # -- funding ---------------------------------------------------------------------------------

    async def _funding_back(self, symbol: str, since: int) -> dict[int, float]:
        # Bitget: newest first, by page number; `since` is never sent
        found: dict[int, float] = {}
        for page in range(1, MOST_PAGES):
            ask = partial(self._client.fetch_funding_rate_history, symbol, None, FUNDING_PAGE, {"pageNo": page})
            new = _rates(await self._call(f"funding {symbol}", ask))
            if not new.keys() - found.keys():
                break
            found |= new
            if min(found) < since:
                break
        return found

    async def _funding_forth(self, symbol: str, since: int) -> dict[int, float]:
        found: dict[int, float] = {}
        for _ in range(MOST_PAGES):
            after = max(found) + 1 if found else since
            ask = partial(self._client.fetch_funding_rate_history, symbol, after, FUNDING_PAGE)
            new = _rates(await self._call(f"funding {symbol}", ask))
            if not new.keys() - found.keys():
                break
            found |= new
        return found

    # -- the wire --------------------------------------------------------------------------------

    async def _ready(self) -> None:
        """Have a market list and a fresh time; after a failure all callers wait a moment before the next try."""
        if self._client.markets and not self._time.stale():
            return
        async with self._ready_lock:
            if self._sulk and self._clock.monotonic() < self._sulk[0]:
                raise Transient(self._sulk[1])
            self._sulk = None
            try:
                await self._prepare()
            except Rejected as error:  # no symbol was asked about, so none was refused
                raise self._sulking(Transient(str(error))) from error
            except Transient as error:
                raise self._sulking(error) from error.__cause__

    def _sulking(self, error: Transient) -> Transient:
        if error.retry_after is None:
            self._sulk = (self._clock.monotonic() + SULK_S, str(error))
        return error

    async def _prepare(self) -> None:
        if self._time.stale():
            try:
                await self.server_time()
            except TraderError:
                if not self._time.known:
                    raise
                self._time.failed()
        if not self._client.markets:
            await self.markets(())

    async def _call(self, what: str, request: Callable[[], Awaitable[T]]) -> T:
        """Send a request, with quick retries while the exchange was well a moment ago."""
        async with self._slots:
            tries = QUICK_TRIES if self._well else 1
            for attempt in range(1, tries + 1):
                try:
                    answer = await request()
                except self._foreign as error:
                    failure = self._failed(what, error)
                    if attempt == tries or not _worth_a_retry(failure, error):
                        raise failure from error
                else:
                    self._well = True
                    return answer
                await self._pause(self._random.uniform(0.0, 0.25 * 2**attempt))
        raise AssertionError("unreachable")

    def _failed(self, what: str, error: Exception) -> TraderError:
        failure = ccxt_client.translate(what, error)
        if isinstance(failure, Transient):
            self._well = False
            if failure.retry_after is not None or ccxt_client.is_ban(error):
                failure.retry_after = self._ban(failure.retry_after)
        return failure

    def _ban(self, asked_s: float | None) -> float:
        # what the exchange asks for; a wait of our own, growing with each new ban, where it does not say
        now = self._clock.now()
        if self.banned_until <= now:
            self._strikes = 0 if now - self.banned_until > _FORGIVEN_MS else self._strikes
            own = min(_LONGEST_BAN_S, _FIRST_BAN_S * 2.0**self._strikes)
            self.banned_until = now + int(1000 * (own if asked_s is None else asked_s))
            self._strikes += 1
        elif asked_s is not None:
            self.banned_until = max(self.banned_until, now + int(1000 * asked_s))
        return (self.banned_until - now) / 1000

    def _before_send(self) -> None:
        left = self.banned_until - self._clock.now()
        if left > 0:
            raise Transient(f"{self.id} asked us to wait until {show_time(self.banned_until)}", left / 1000)

    def _answered(self, outcome: str) -> None:
        self.requests[outcome] += 1


def _worth_a_retry(failure: TraderError, error: Exception) -> bool:
    return isinstance(failure, Transient) and failure.retry_after is None and not ccxt_client.is_timeout(error)


def _refuse_nonsense(symbol: str, rows: Sequence[Any], rejected: Counter[str], stop: int | None) -> None:
    # An answer that names no minute says nothing about the window and must not look like a hole in
    # it; nor may one of later minutes only, where an end was sent (else that is what a hole gives).
    useless = {k: n for k, n in rejected.items() if k in candle_gate.TIMELESS or k == "outside"}
    if not rows or sum(useless.values()) < len(rows):
        return
    if set(useless) != {"outside"} or (stop is not None and min(row[0] for row in rows) > stop):
        reasons = ", ".join(f"{reason} x {n}" for reason, n in useless.items())
        raise DataError(f"candles {symbol}: the answer is not about the minutes asked for: {reasons}")


def _is_listed(market: Mapping[str, Any] | None) -> bool:
    if not market or not market.get("swap"):
        return False
    return (market.get("info") or {}).get("symbolStatus") != "off"


def _market_info(market: Mapping[str, Any]) -> MarketInfo | None:
    # ccxt's precision is a tick size on every exchange of the profile table; lots are in contracts
    tick, amount = market["precision"].get("price"), market["precision"].get("amount")
    if not _positive(tick) or not _positive(amount):
        return None
    lot = Decimal(str(amount)) * Decimal(str(market.get("contractSize") or 1))
    least = ((market.get("limits") or {}).get("cost") or {}).get("min") or 0.0
    return MarketInfo(float(tick), float(lot), float(least))


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 < value < float("inf")


def _rates(entries: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    pairs = ((e.get("timestamp"), e.get("fundingRate")) for e in entries)
    return {ts: float(rate) for ts, rate in pairs
            if isinstance(ts, int) and ts > 0 and isinstance(rate, (int, float)) and abs(rate) < 1}
