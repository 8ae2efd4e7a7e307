"""The frames that the features of a symbol's candidates are made from, read as the candidates saw them."""

from collections.abc import Sequence

import numpy as np

from core import timeframe
from core.candles import Bars
from core.signals.decide import Candidate
from core.signals.features import Frames, PlanFacts, needs
from core.signals.features.facts import Series as Dated
from core.store import candles, funding
from core.store.candles import Con, Series, Stretch
from core.timeframe import HOUR, floor


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
    left out, so that its features are not known.
    """
    reach = needs(bars.tf)
    series, stretches = candles.series(con, exchange), candles.stretches(con, exchange)
    higher = {}
    for size, count in reach.higher.items():
        row = series.get((symbol, timeframe.NAMES[size]))
        if row is not None:
            higher[size] = _tail(con, row, size, count, first, last)
    btc, btc_start = btc_of(symbol), 0
    own = None if btc is None else series.get((btc, timeframe.NAMES[bars.tf]))
    if own is not None and btc is not None:
        btc_start = _start(stretches, btc)
    return Frames(
        bars,
        higher,
        None if own is None else _tail(con, own, bars.tf, reach.btc, first, last),
        _rates(con, exchange, symbol, first - reach.funding - 1, last),
        None,
        atr_period,
        _start(stretches, symbol),
        btc_start,
    )


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
