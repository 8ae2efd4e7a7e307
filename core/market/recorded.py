"""A market of recorded candles: which file stands for which symbol, and a MarketSource over them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.candles import Bars, Floats, Row
from core.errors import ConfigError, DataError
from core.market.importers import (
    Rates,
    find_files,
    is_funding,
    join,
    read_batches,
    sample,
    symbol_of,
    timeframe_of,
    to_ms,
)
from core.market.source import Contract, exchange_id, in_progress, parts, row_at
from core.timeframe import MINUTE, show_time

SAMPLE = 20_000  # candles at the start of a file from which its contract is inferred
MIN_NOTIONAL = 5.0
FINEST = 8  # decimals beyond which digits are noise


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one market of one origin, and their extent.

    symbol: unified, as at a swap exchange. kind: spot, swap or unknown, by the name. paths: in order
    of time (an archive may come by months). rows, first, last: all files together, ms UTC.
    """

    symbol: str
    kind: str
    paths: tuple[Path, ...]
    rows: int
    first: int
    last: int
    funding: tuple[Path, ...] = ()

    @property
    def path(self) -> Path:
        """The earliest file."""
        return self.paths[0]

    def describe(self) -> str:
        """One line: the files, their kind, how many minutes and from when to when."""
        more = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
        rates = f"funding {self.funding[0].name}" if self.funding else "no funding"
        return (f"{self.symbol}: {self.path.name}{more} ({self.kind}), {self.rows} minutes, "
                f"{show_time(self.first)} to {show_time(self.last)}, {rates}")


def survey(folder: Path) -> list[Source]:
    """Every market of 1m candles in a folder, searched to the bottom; files are not read whole.

    Files that differ only in the dates of their names are one market. Raises ConfigError, DataError.
    """
    if not folder.is_dir():
        raise ConfigError(f"no such folder: {folder}")
    files = [path for path in find_files([folder]) if symbol_of(path.name)]
    minutes = [path for path in files if not is_funding(path.name) and timeframe_of(path.name) in (None, "1m")]
    rates = _families(path for path in files if is_funding(path.name))
    return [_source(paths, rates) for paths in _families(minutes)]


def choose_sources(folder: Path, symbols: Iterable[str]) -> dict[str, Source]:
    """One source for each symbol: the longest one quoted as the symbol is; spot may stand in for the swap.

    Of equally long ones the swap, then the first by name. Raises ConfigError naming a symbol that has
    none and what the folder has.
    """
    known = survey(folder)
    return {symbol: _longest(symbol, known, folder) for symbol in symbols}


def common_end(choices: Mapping[str, Source]) -> int:
    """End (ms UTC, exclusive) of what all chosen sources have."""
    return min(source.last for source in choices.values()) + MINUTE


def infer_contract(bars: Bars) -> Contract:
    """Terms of a market from a sample of its candles.

    tick: the largest power of ten, 1 at most, of which nine tenths of all prices are multiples. lot: the
    same of the volumes, but no finer than the power of ten that is worth at most one quote coin.
    """
    prices = np.concatenate([bars.open, bars.high, bars.low, bars.close])
    tick, step = _step(prices), _step(bars.volume)
    worth = float(np.median(bars.close)) if len(bars) else 1.0
    fine = next((d for d in range(FINEST + 1) if 10.0 ** -d * worth <= 1.0), FINEST)
    return Contract(tick, max(step, float(f"1e-{fine}")), MIN_NOTIONAL)


def contract_of(path: Path) -> Contract:
    """Terms of the market of a file, from its first SAMPLE candles whatever range is used of it."""
    return infer_contract(sample(path, SAMPLE))


class RecordedMarket:
    """Recorded 1m candles as a market (a MarketSource).

    choices: the source of each symbol, for printing. Only minutes of [start, end) exist; they are
    loaded when a symbol is first asked for and kept, 56 bytes a minute.
    """

    def __init__(self, folder: Path, symbols: Iterable[str], start: int | None = None, end: int | None = None) -> None:
        self.choices = choose_sources(folder, symbols)
        self.label = f"recorded candles of {folder.name}"
        self._start, self._end = start, end
        self._bars: dict[str, Bars] = {}
        self._rates: dict[str, Rates] = {}
        self._contracts: dict[str, Contract] = {}

    def narrow(self, start: int | None, end: int | None) -> None:
        """Take another range from now on, before anything is served; what was loaded is dropped."""
        self._start, self._end = start, end
        self._bars.clear()

    def describe(self) -> list[str]:
        """The choice, a line for each symbol."""
        return [source.describe() for source in self.choices.values()]

    def symbols(self) -> tuple[str, ...]:
        """The symbols on offer, in the order given."""
        return tuple(self.choices)

    def info(self, symbol: str) -> Contract:
        """Terms of a market, the same for every range of the same files."""
        if symbol not in self._contracts:
            self._contracts[symbol] = contract_of(self._known(symbol).path)
        return self._contracts[symbol]

    def first(self, symbol: str) -> int:
        """First minute, ms UTC."""
        return int(self._loaded(symbol).ts[0])

    def last(self, symbol: str) -> int:
        """Last minute, ms UTC."""
        return int(self._loaded(symbol).ts[-1])

    def common_end(self, symbols: Iterable[str] | None = None) -> int:
        """End (ms UTC, exclusive) of what the symbols all have, whatever range is taken."""
        return common_end({symbol: self._known(symbol) for symbol in symbols or self.choices})

    def candles(self, symbol: str, start: int, end: int) -> Bars:
        """Final 1m bars of [start, end) as views; minutes the file lacks are absent."""
        bars = self._loaded(symbol)
        lo, hi = np.searchsorted(bars.ts, (start, end))
        return bars.cut(int(lo), int(hi))

    def partial(self, symbol: str, now: int) -> Row | None:
        """The candle in progress as seen at `now`; None where the file has no such minute."""
        bars = self.candles(symbol, now - now % MINUTE, now + 1)
        return in_progress(row_at(bars, 0), now, self.info(symbol)) if len(bars) else None

    def funding(self, symbol: str, start: int, end: int) -> list[tuple[int, float]]:
        """Settlements (ts, rate as a fraction) of [start, end); none if no file holds them."""
        if symbol not in self._rates:
            self._rates[symbol] = _read_rates(self._known(symbol).funding)
        rates = self._rates[symbol]
        lo, hi = (int(i) for i in np.searchsorted(rates.ts, (start, end)))
        return list(zip(rates.ts[lo:hi].tolist(), rates.rate[lo:hi].tolist(), strict=True))

    def _known(self, symbol: str) -> Source:
        if symbol not in self.choices:
            raise DataError(f"{symbol} is not among the {self.label}")
        return self.choices[symbol]

    def _loaded(self, symbol: str) -> Bars:
        if symbol not in self._bars:
            bars = read_source(self._known(symbol), self._start, self._end)
            if not len(bars):
                raise DataError(f"{symbol}: {self.choices[symbol].path.name} has no minute from "
                                f"{show_time(self._start)} to {show_time(self._end)}")
            self._bars[symbol] = bars
        return self._bars[symbol]


def read_source(source: Source, start: int | None = None, end: int | None = None) -> Bars:
    """Candles of [start, end) from all files of a source. Raises DataError where files overlap."""
    pieces: list[Bars] = []
    for path in source.paths:
        for piece in read_batches(path, start, end):
            if not isinstance(piece, Bars) or not len(piece):
                continue
            if pieces and piece.ts[0] <= pieces[-1].ts[-1]:
                raise DataError(f"{path.name}: overlaps the file before it")
            pieces.append(piece)
    return join(pieces)


def _read_rates(paths: tuple[Path, ...]) -> Rates:
    known: dict[int, float] = {}
    for path in paths:
        for piece in read_batches(path):
            if isinstance(piece, Rates):
                known.update(zip(piece.ts.tolist(), piece.rate.tolist(), strict=True))
    times = sorted(known)
    return Rates(np.array(times, dtype=np.int64), np.array([known[ts] for ts in times], dtype=np.float64))


def _families(paths: Iterable[Path]) -> list[list[Path]]:
    families: dict[str, list[Path]] = {}
    for path in paths:
        families.setdefault(_family(path), []).append(path)
    return list(families.values())


def _family(path: Path) -> str:
    # Folder and name without the dates at its end: BTCUSDT-1m-2023-01.zip and -02 are one market.
    return str(path.parent / re.sub(r"([-_.](\d{8}|\d{4}([-_]\d\d){0,2}))+$", "", path.stem))


def _source(paths: list[Path], rates: list[list[Path]]) -> Source:
    extents = sorted((_extent(path), path) for path in paths)
    name = paths[0].name.lower()
    kind = "spot" if "spot" in name else "swap" if re.search("perp|swap|future|um_", name) else "unknown"
    symbol = symbol_of(paths[0].name) or ""
    funding = max((family for family in rates if symbol_of(family[0].name) == symbol), key=_funded, default=[])
    return Source(symbol, kind, tuple(path for _, path in extents), sum(rows for (_, _, rows), _ in extents),
                  extents[0][0][0], max(last for (_, last, _), _ in extents), tuple(funding))


def _funded(family: list[Path]) -> int:
    return sum(_extent(path)[2] for path in family)


def _extent(path: Path) -> tuple[int, int, int]:
    # First and last time (ms) and number of rows, without reading a parquet file's data.
    if path.suffix.lower() == ".parquet":
        found = _parquet_extent(path)
        if found is not None:
            return found
    return _counted(path)


def _parquet_extent(path: Path) -> tuple[int, int, int] | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path.name}: not a readable parquet file ({error})") from error
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    stats = [column.statistics for group in groups for column in (group.column(i) for i in range(group.num_columns))
             if column.path_in_schema == "ts"]
    if not stats or any(s is None or not s.has_min_max or not isinstance(s.min, int) for s in stats):
        return None
    return to_ms(min(s.min for s in stats)), to_ms(max(s.max for s in stats)), metadata.num_rows


def _counted(path: Path) -> tuple[int, int, int]:
    first, last, rows = 0, 0, 0
    for piece in read_batches(path):
        if len(piece):
            first, last, rows = first or int(piece.ts[0]), int(piece.ts[-1]), rows + len(piece)
    return first, last, rows


def _longest(symbol: str, known: list[Source], folder: Path) -> Source:
    base, quote, _ = parts(symbol)
    fitting = [source for source in known if source.rows and parts(source.symbol)[:2] == (base, quote)]
    if not fitting:
        others = ", ".join(sorted({exchange_id(source.symbol) for source in known})) or "none"
        raise ConfigError(f"no 1m candles of {base}/{quote} in {folder} (for {symbol}); it has: {others}")
    return min(fitting, key=lambda s: (s.first - s.last, s.kind != "swap", s.path.name))


def _step(values: Floats) -> float:
    # The largest power of ten (1 at most) of which nine tenths of the values are multiples, floats'
    # noise allowed for: some archives print averages among the prices.
    for d in range(FINEST):
        scale = 10.0 ** d
        if np.mean(np.abs(np.rint(values * scale) / scale - values) <= 1e-12 * np.abs(values)) >= 0.9:
            return float(f"1e-{d}")
    return float(f"1e-{FINEST}")
