"""Closed trades as columns, so that many thousand of them cost milliseconds and few bytes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.candles import Floats, Ints
from core.trades.performance import Closed

Flags = NDArray[np.bool_]

# What is read of each closed trade, in this order: columns of `signals` and `trades`.
TEXTS = ("symbol", "timeframe", "setup", "direction", "exit_reason", "verdict", "reason", "trend", "vol")
TIMES = ("opened_ts", "closed_ts")
NUMBERS = ("pnl_pct", "gross_pct", "r_multiple", "mae_pct", "mfe_pct", "entry", "sl", "fill", "qty", "leverage")
FIELDS = (*TEXTS, *TIMES, *NUMBERS)
CHUNK = 4096  # rows turned into arrays at once, so that few are held as Python values


class Labels(NamedTuple):
    """A column of names: codes (n,) into `names`, which are unique and sorted."""

    codes: Ints
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Columns:
    """Closed trades in closing order, each column (n,).

    rule: the first word of the verdict's reason (`ungated`, `ev`, `cost_r`). regime: trend/volatility. times: ms
    UTC. pnl_pct: net, percent of the entry notional. usd: the same of the plan's own size. r: net in planned stop
    distances; mae_r, mfe_r: worst and best seen, in the same. stake: margin bound; volume: bought and sold, USD.
    """

    symbol: Labels
    timeframe: Labels
    setup: Labels
    direction: Labels
    exit_reason: Labels
    verdict: Labels
    rule: Labels
    regime: Labels
    opened_ts: Ints
    closed_ts: Ints
    pnl_pct: Floats
    usd: Floats
    r: Floats
    mae_r: Floats
    mfe_r: Floats
    stake: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.closed_ts)

    def take(self, rows: Flags | Ints) -> "Columns":
        """The rows of a mask, or of positions, in the order given."""
        return Columns(**{f.name: _taken(getattr(self, f.name), rows) for f in fields(self)})


def of(rows: Iterable[Sequence[Any]]) -> Columns:
    """Columns from rows of FIELDS, in any order; all of filled and ended trades."""
    source, parts = iter(rows), list[_Part]()
    known: tuple[dict[str, int], ...] = tuple({} for _ in _LABELS)
    while chunk := list(islice(source, CHUNK)):
        parts.append(_part(chunk, known))
    codes, ts, number = (np.concatenate([part[i] for part in parts], axis=1) if parts else empty
                         for i, empty in enumerate(_EMPTY))
    named: dict[str, Any] = {name: _sorted(codes[i], known[i]) for i, name in enumerate(_LABELS)}
    n = dict(zip(NUMBERS, number, strict=True))
    notional, risk_pct = n["fill"] * n["qty"], 100.0 * np.abs(n["entry"] - n["sl"]) / n["entry"]
    made = Columns(
        **named, opened_ts=ts[0], closed_ts=ts[1], pnl_pct=n["pnl_pct"], usd=n["pnl_pct"] / 100.0 * notional,
        r=n["r_multiple"], mae_r=n["mae_pct"] / risk_pct, mfe_r=n["mfe_pct"] / risk_pct,
        stake=notional / np.maximum(n["leverage"], 1.0),
        volume=notional * (2.0 + _side(named["direction"]) * n["gross_pct"] / 100.0))
    return made.take(_order(made))


def closed(trades: Columns) -> list[Closed]:
    """The same as rows, pnl_usd from the plan's own size."""
    text = [[column.names[code] for code in column.codes.tolist()] for column in
            (trades.symbol, trades.timeframe, trades.setup, trades.direction, trades.exit_reason)]
    numbers = [getattr(trades, name).tolist() for name in ("opened_ts", "closed_ts", "pnl_pct", "usd", "r")]
    return [Closed(*row) for row in zip(*text, *numbers, strict=True)]


_Part = tuple[Ints, Ints, Floats]
_LABELS = ("symbol", "timeframe", "setup", "direction", "exit_reason", "verdict", "rule", "regime")
_EMPTY: _Part = (np.empty((len(_LABELS), 0), np.int64), np.empty((len(TIMES), 0), np.int64),
                 np.empty((len(NUMBERS), 0)))


def _part(chunk: Sequence[Sequence[Any]], known: Sequence[dict[str, int]]) -> _Part:
    # Codes of the names in order of appearance, times, numbers; each (columns, rows).
    cells = list(zip(*chunk, strict=True))
    texts: list[Iterable[str]] = [*cells[:6], [_rule(reason) for reason in cells[6]],
                                  [f"{trend}/{vol}" for trend, vol in zip(cells[7], cells[8], strict=True)]]
    codes = [[seen.setdefault(name, len(seen)) for name in column] for seen, column in zip(known, texts, strict=True)]
    first = len(TEXTS) + len(TIMES)
    return (np.array(codes, dtype=np.int64), np.array(cells[len(TEXTS):first], dtype=np.int64),
            np.array(cells[first:], dtype=np.float64))


def _rule(reason: str) -> str:
    return "filter off" if reason == "filter off" else reason.partition(" ")[0].rstrip(":")


def _sorted(codes: Ints, known: Mapping[str, int]) -> Labels:
    names = tuple(sorted(known))
    place = np.empty(len(names), np.int64)
    place[[known[name] for name in names]] = np.arange(len(names))
    return Labels(place[codes] if len(names) else codes, names)


def _side(direction: Labels) -> Floats:
    return np.array([1.0 if name == "long" else -1.0 for name in direction.names] or [0.0])[direction.codes]


def _order(trades: Columns) -> Ints:
    keys = (trades.direction, trades.setup, trades.timeframe, trades.symbol)
    return np.lexsort((*(key.codes for key in keys), trades.closed_ts)).astype(np.int64)


def _taken(column: Any, rows: Flags | Ints) -> Any:
    return Labels(column.codes[rows], column.names) if isinstance(column, Labels) else column[rows]
