"""The frames that the features of a symbol's candidates are made from, read as the candidates saw them.

Older history is fetched behind what is decided live. So that history gives the same features later, the file
remembers from which decision on each frame was whole (`whole_from` in `state`): live decisions made before that
never see it, not even when it has become whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np

from core import timeframe
from core.candles import Bars
from core.signals.decide import Candidate
from core.signals.features import Frames, PlanFacts, needs
from core.signals.features.facts import NEVER, Span
from core.signals.features.facts import Series as Dated
from core.signals.features.view import ANCHORED, RANKED
from core.store import candles, funding, models, runs
from core.store.candles import Con, Series, Stretch
from core.timeframe import HOUR, floor

WHOLE = "whole_from"
_EVER = 2**62
Known = Mapping[tuple[str, str], Series]  # by symbol and timeframe


def btc_of(symbol: str) -> str | None:
    """BTC's market of the same quote and settlement, whose state is a feature of the others; None for BTC itself."""
    base, _, rest = symbol.partition("/")
    return None if base == "BTC" else f"BTC/{rest}"


def facts(found: Sequence[Candidate]) -> list[PlanFacts]:
    """Candidates as the features see them."""
    return [PlanFacts(*(getattr(c, name) for name in PlanFacts._fields)) for c in found]


def load(con: Con, exchange: str, symbol: str, bars: Bars, first: int, last: int, atr_period: int) -> Frames:
    """The frames of candidates of one symbol and timeframe with first <= decided_ts <= last (ms).

    bars: of their own timeframe, at least `decide.window` of them before the first. What is not stored is
    left out, so that its features are not known, and what a live decision could not see yet, too.
    """
    reach, whole = needs(bars.tf), runs.get(con, WHOLE)
    series, stretches = candles.series(con, exchange), candles.stretches(con, exchange)
    tf, live = timeframe.NAMES[bars.tf], _live_from(series, symbol, timeframe.NAMES[bars.tf])
    higher, unseen = {}, NEVER
    for size, count in reach.higher.items():
        row = series.get((symbol, timeframe.NAMES[size]))
        if row is not None:
            higher[size] = _tail(con, row, size, count, first, last)
            unseen = _unseen(live, whole, symbol, timeframe.NAMES[size])
    btc, btc_start, btc_unseen = btc_of(symbol), 0, NEVER
    own = None if btc is None else series.get((btc, tf))
    if own is not None and btc is not None:
        btc_start, btc_unseen = _start(stretches, btc), _unseen(live, whole, btc, tf)
    return Frames(
        bars,
        higher,
        None if own is None else _tail(con, own, bars.tf, reach.btc, first, last),
        _rates(con, exchange, symbol, first - reach.funding - 1, last),
        atr_period,
        _start(stretches, symbol),
        btc_start,
        unseen,
        btc_unseen,
    )


def mark_whole(con: Con, series: Known, stretches: Mapping[str, Sequence[Stretch]], scanned: Iterable[str]) -> None:
    """Note from which decision on the frames are whole that have become so; for the tick, before it decides.

    That is when they became so, or where older history came in behind, the first decision that is not made yet.
    scanned: the timeframes that are decided on. A file that live decided on before this was noted counts as whole.
    """
    known = runs.get(con, WHOLE)
    live = any(row.live_from is not None for row in series.values())
    fresh = {_key(*names): 0 for names in series if live and known is None}
    since, names_scanned = models.next_promoted_ts(con), set(scanned)
    for (symbol, tf), row in series.items():
        if tf == "1m" or symbol not in stretches or _key(symbol, tf) in (fresh if known is None else known):
            continue
        need = RANKED if btc_of(symbol) is None and tf in names_scanned else ANCHORED
        became = _whole_at(con, row, timeframe.ms(tf), stretches[symbol][-1], need)
        if became is not None:
            fresh[_key(symbol, tf)] = max(since, became)
    if fresh or known is None:
        runs.put(con, WHOLE, {**(known or {}), **fresh})


def _whole_at(con: Con, row: Series, size: int, stretch: Stretch, need: int) -> int | None:
    # When the stretch's bar number `need` closed: it holds the block of the oldest one read and the block before.
    end = floor(stretch.frontier, size)
    if (end - stretch.start) // size < need:
        return None
    opens = list(islice(candles.iter_times(con, row.id, stretch.start), need))
    return opens[-1] + size if len(opens) == need and opens[-1] + size <= end else None


def _unseen(live: int | None, whole: Mapping[str, int] | None, symbol: str, tf: str) -> Span:
    # What lies before live is retro's, and sees all that there is.
    return NEVER if live is None or whole is None else (live, whole.get(_key(symbol, tf), _EVER))


def _live_from(series: Known, symbol: str, tf: str) -> int | None:
    own = series.get((symbol, tf))
    return None if own is None else own.live_from


def _key(symbol: str, tf: str) -> str:
    return f"{symbol} {tf}"


def behind(con: Con, exchange: str, symbols: Sequence[str], symbol: str, tf: int, decided_ts: int) -> str | None:
    """What the features of a decision still wait for, in words; None where all is there.

    symbols: those that are followed; nothing is awaited from others, nor from a market that ended. tf in ms.
    """
    series, own = candles.series(con, exchange), needs(tf)
    awaited = [(symbol, size) for size in own.higher]
    btc = btc_of(symbol)
    if btc in symbols and btc is not None:
        awaited.append((btc, tf))
    for name, size in awaited:
        row = series.get((name, timeframe.NAMES[size]))
        if row is not None and row.ended_ts is None and (row.built_ts or 0) < floor(decided_ts, size):
            return f"the {timeframe.NAMES[size]} bars of {name} end at {timeframe.show_time(row.built_ts)}"
    asked = candles.symbols(con, exchange)[symbol].funding_ts
    if asked is not None and asked < decided_ts - HOUR and series[symbol, "1m"].ended_ts is None:
        return f"funding rates of {symbol} are known up to {timeframe.show_time(asked)}"
    return None


def _tail(con: Con, row: Series, size: int, count: int, first: int, last: int) -> Bars:
    return candles.tail(con, row.id, size, floor(last, size), count + (last - first) // size + 1)


def _start(stretches: dict[str, list[Stretch]], symbol: str) -> int:
    return stretches[symbol][-1].start if symbol in stretches else 0


def _rates(con: Con, exchange: str, symbol: str, after: int, through: int) -> Dated | None:
    found = funding.rates(con, exchange, symbol, after, through)
    if not found:
        return None
    ts, rates = zip(*found, strict=True)
    return np.array(ts, np.int64), np.array(rates, np.float64)
