"""A daemon in a test's hand: the real ccxt client against the replay exchange, minute by minute, with faults.

A `Rig` opens a database, an exchange on loopback and the engine's context; `go` lives minutes through.
A second Rig on the same file is a restart. `warmed` gives a file with history and live timeframes.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from core.candles import Bars, Row
from core.clock import Clock, VirtualClock
from core.config.schema import Config
from core.engine import health
from core.engine.context import Context
from core.engine.daemon import start_up
from core.engine.tick import tick
from core.market.exchange import Exchange
from core.market.faults import Fault, Faults
from core.market.generated import GeneratedMarket
from core.market.replay import ReplayExchange
from core.market.source import Contract, in_progress, row_at
from core.store.db import Database
from core.store.lock import WriterLock
from core.store.runs import JobRun
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine import harness

BTC, SOL = "BTC/USDT:USDT", "SOL/USDT:USDT"
ONE = harness.CONFIG.replace("[BTC/USDT:USDT, SOL/USDT:USDT]", "[SOL/USDT:USDT]").replace("[5m, 15m]", "[5m]")
TWO = harness.CONFIG.replace("[5m, 15m]", "[5m]")
HISTORY = 50 * HOUR  # warms 5m up
SETTLE = 3_000


class Pruned:
    """A market without some of its minutes, for good, and with some changed: what a hole or a rewrite really is."""

    def __init__(self, market: GeneratedMarket, holes: Iterable[tuple[str, int, int]] = ()) -> None:
        self._market, self.label = market, market.label
        self._holes = list(holes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._market, name)

    def info(self, symbol: str) -> Contract:
        return self._market.info(symbol)

    def candles(self, symbol: str, start: int, end: int) -> Bars:
        bars = self._market.candles(symbol, start, end)
        for name, a, b in self._holes:
            if name == symbol:
                keep = (bars.ts < a) | (bars.ts >= b)
                fields = ("ts", "open", "high", "low", "close", "volume", "minutes")
                bars = Bars(bars.tf, *(getattr(bars, f)[keep] for f in fields))
        return bars

    def partial(self, symbol: str, now: int) -> Row | None:
        ts = now - now % MINUTE
        bars = self.candles(symbol, ts, ts + MINUTE)
        return in_progress(row_at(bars, 0), now, self.info(symbol)) if len(bars) else None


def market(symbols: Sequence[str] = (SOL,), seed: int = 7, days: int = 12) -> GeneratedMarket:
    """A small generated market; its first day is the epoch of all rigs."""
    return GeneratedMarket(tuple(symbols), seed=seed, days=days)


START = market().start + 4 * DAY  # where the live minutes of all rigs begin


class Skewed:
    """A machine's clock beside the true time: `skew` ms off, and free to step; its monotonic side never steps."""

    def __init__(self, true: VirtualClock, skew: int = 0) -> None:
        self._true, self.skew = true, skew

    def now(self) -> int:
        return self._true.now() + self.skew

    def monotonic(self) -> float:
        return self._true.monotonic()

    def sleep(self, seconds: float) -> None:
        self._true.sleep(seconds)


async def no_pause(_seconds: float) -> None:
    """Quick retries without real time."""


class Rig:
    """One life of the daemon over a file, from `now` on, at an exchange that `faults` bend."""

    def __init__(
        self,
        path: Path,
        *,
        cfg: Config | None = None,
        source: Any = None,
        faults: Iterable[Fault] = (),
        now: int = START,
        clock: Clock | None = None,
        true: VirtualClock | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        self.path = path
        cfg = cfg or harness.config(ONE)
        self.true = true or VirtualClock(now)
        self.clock = clock or self.true
        self.server = ReplayExchange(source or market(cfg.symbols), self.true, Faults(tuple(faults)))
        url = self.server.start()
        self.lock = WriterLock(path, "rig")
        self.lock.acquire()
        self.db = Database(path)
        cfg = replace(cfg, exchange=replace(cfg.exchange, api_url=url, rate_limit_ms=0))
        self.ctx = Context(cfg, self.db, self.clock, None, send_ungated=True, tell_all=True)
        self.exchange = Exchange(
            cfg.exchange.id,
            self.clock,
            api_url=url,
            rate_limit_ms=0,
            timeout_s=timeout_s,
            banned_until=health.banned_until(self.ctx),
            pause=no_pause,
        ).open()
        self.ctx.exchange = self.exchange
        self.ctx.ensure_rows()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End this life in good order."""
        self.exchange.close()
        self.server.stop()
        self.db.close()
        self.lock.release()

    def warm(self, history: int = HISTORY) -> dict[str, Any]:
        """Start up with `history` fetched at once."""
        return start_up(self.ctx, history_from=self.clock.now() - self.clock.now() % MINUTE - history)

    def tick(self) -> list[JobRun]:
        """The minute that has just ended."""
        return tick(self.ctx, self.clock.now())

    def go(self, minutes: int, each: Callable[[list[JobRun]], object] = lambda runs: None) -> None:
        """Live through so many minutes: at `settle_seconds` past each, one tick."""
        for _ in range(minutes):
            now = self.true.now()
            self.true.set(now - now % MINUTE + MINUTE + SETTLE)
            each(self.tick())

    def rest(self, minutes: int) -> None:
        """Let so many minutes pass without a tick."""
        self.true.set(self.true.now() + minutes * MINUTE)

    def rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows of any query."""
        return self.db.con.execute(query, params).fetchall()

    def one(self, query: str, *params: Any) -> Any:
        """The only value of the only row."""
        ((value,),) = self.rows(query, *params)
        return value

    def stretches(self, symbol: str = SOL) -> list[tuple[int, int]]:
        """(start, frontier) of a symbol."""
        return self.rows("SELECT start_ts, frontier FROM sync_checkpoint WHERE symbol = ? ORDER BY 1", symbol)

    def messages(self, kind: str) -> list[str]:
        """Bodies of the alerts of a kind."""
        return [r[0] for r in self.rows("SELECT body FROM alerts WHERE kind = ? ORDER BY id", kind)]


def warmed(path: Path, symbols: Sequence[str], source: Any = None) -> Path:
    """Make a file whose 5m timeframe is live from the first minutes after START on."""
    cfg = harness.config(ONE if len(symbols) == 1 else TWO)
    with Rig(path, cfg=cfg, source=source) as rig:
        rig.warm()
        rig.go(1)
    return path


def copy(source: Path, target: Path) -> Path:
    """A copy of a closed file."""
    shutil.copyfile(source, target)
    return target


def outcome(path: Path) -> dict[str, list[dict[str, Any]]]:
    """All that must not depend on what went wrong on the way: decisions, outcomes, candles, gaps."""
    found = harness.decisions(path)
    found["candles"] = harness.rows(path, "candles")
    found["gaps"] = harness.rows(path, "gaps")
    return found


def differences(a: dict[str, list[dict[str, Any]]], b: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    """Per table the rows that only one of two outcomes has; a few of them, for a readable failure."""
    found = {}
    for table in a:
        left, right = ([tuple(sorted(r.items(), key=str)) for r in x[table]] for x in (a, b))
        odd: list[Any] = [dict(r) for r in set(left) ^ set(right)]
        if odd or len(left) != len(right):
            found[table] = [*odd[:3]] or [f"{len(left)} and {len(right)} rows"]
    return found
