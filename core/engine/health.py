"""What the daemon tells of itself: the exchange away and back, symbols gone, a clock that is off."""

import logging
from collections.abc import Mapping

from core.engine import announce
from core.engine.context import Context
from core.engine.sync import Synced
from core.errors import DataError, Transient
from core.notify import messages
from core.store import runs
from core.store.candles import Con
from core.timeframe import DAY, MINUTE

log = logging.getLogger(__name__)

TELL_AFTER = 5 * MINUTE
CLOCK_OFF_MS = 2_000
LOW_DISK_BYTES = 512 * 2**20

_DOWN = "exchange_down_since"
_BAN = "banned_until"


def watch(ctx: Context, now: int, done: Synced) -> None:
    """Remember outages and bans over restarts, and queue a message when one begins in earnest or ends."""
    kinds = (Transient, DataError)  # silent, or answering with rubbish
    away = bool(done.errors) and not done.reached and all(isinstance(e, kinds) for e in done.errors.values())
    with ctx.db.lock:
        since = runs.get(ctx.db.con, _DOWN)
        banned = runs.get(ctx.db.con, _BAN, 0)
    ban = ctx.exchange.banned_until if ctx.exchange else 0
    gone = sorted(done.ended)
    if not away and since is None and ban == banned and not gone and not _clock_off(ctx):
        return
    with ctx.db.write() as con:
        runs.put(con, _BAN, ban)
        for symbol in gone:
            _tell(ctx, con, f"gone:{symbol}:{now}", messages.symbol_gone(symbol), now)
        _outage(ctx, con, since, away, now)
        if _clock_off(ctx) and ctx.exchange:
            ahead = -(ctx.exchange.clock_offset_ms or 0)  # the exchange measures the other way round
            _tell(ctx, con, f"clock:{now // DAY}", messages.clock_off(ahead), now)


def remember_ban(ctx: Context) -> None:
    """Write down until when the exchange must not be asked, where that is news."""
    ban = ctx.exchange.banned_until if ctx.exchange else 0
    if ban != banned_until(ctx):
        with ctx.db.write() as con:
            runs.put(con, _BAN, ban)


def watch_disk(ctx: Context, now: int, free: int) -> None:
    """Warn once a day while there is still room to write the warning. free: bytes left on the file's disk."""
    if free < LOW_DISK_BYTES:
        log.warning("the disk is nearly full: %d MB are left", free // 2**20)
        with ctx.db.write() as con:
            _tell(ctx, con, f"disk:{now // DAY}", messages.disk_low(free), now)


def banned_until(ctx: Context) -> int:
    """The time before which the exchange must not be asked, as remembered from before a restart."""
    with ctx.db.lock:
        return int(runs.get(ctx.db.con, _BAN, 0))


def asked(sent: Mapping[str, int]) -> str:
    """How many requests the exchange was sent, in words; sent: by outcome, as `runs.sent_since` gives them."""
    bad = [f"{sent[name]:,} {word}" for name, word in (("failed", "failed"), ("limited", "told to wait"))
           if sent.get(name)]
    return f"{sum(sent.values()):,}" + (f" ({', '.join(bad)})" if bad else "")


def _outage(ctx: Context, con: Con, since: int | None, away: bool, now: int) -> None:
    if away and since is None:
        runs.put(con, _DOWN, now)
    elif away and since is not None and now - since >= TELL_AFTER:
        _tell(ctx, con, f"down:{since}", messages.exchange_down(since), now)
    elif not away and since is not None:
        runs.put(con, _DOWN, None)
        if now - since >= TELL_AFTER:
            _tell(ctx, con, f"back:{since}", messages.exchange_back(since, (now - since) // MINUTE), now)


def _clock_off(ctx: Context) -> bool:
    offset = ctx.exchange.clock_offset_ms if ctx.exchange else None
    return offset is not None and abs(offset) > CLOCK_OFF_MS


def _tell(ctx: Context, con: Con, key: str, body: str, now: int) -> None:
    announce.tell(ctx, con, "health", key, body, now, now + DAY)
