"""Candle and funding files that a user owns: parquet, CSV, and the zips of Binance's public archive.

Files are read in batches, so that memory does not grow with them, and every row is held to the same
rules wherever it comes from: a file that breaks one is refused with the row's number.
"""

import csv
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.candles import Bars, Floats, Ints, empty
from core.errors import ConfigError, DataError
from core.timeframe import MINUTE, TIMEFRAMES

SUFFIXES = (".parquet", ".csv", ".zip")
MONEY = ("USDT", "USDC", "FDUSD", "BUSD", "USD", "EUR")
QUOTES = (*MONEY, "BTC")
BATCH = 65_536
CANDLES = ("ts", "open", "high", "low", "close", "volume")
FUNDING = ("ts", "rate")

_ALIASES = {
    "timestamp": "ts", "time": "ts", "open_time": "ts", "opentime": "ts", "calc_time": "ts", "fundingtime": "ts",
    "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume", "vol": "volume",
    "funding_rate": "rate", "fundingrate": "rate", "last_funding_rate": "rate",
}
_PAIR = re.compile(rf"([A-Z0-9]{{2,}}?)({'|'.join(QUOTES)})")
_UNITS = ((100_000_000_000, 1000, 1), (100_000_000_000_000, 1, 1), (10**17, 1, 1000), (1 << 63, 1, 10**6))

Table = dict[str, NDArray[Any]]  # columns of one batch by name


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Funding of one symbol: ts, int64 ms UTC of each settlement (on the minute), and rate, a fraction."""

    ts: Ints
    rate: Floats

    def __len__(self) -> int:
        return len(self.ts)


def symbol_of(name: str, swap: bool = True) -> str | None:
    """Unified symbol in a file's name; None if there is none.

    `binance_spot-BTCUSDT-1m-2023.parquet`, `BTC_USDT-1m.csv`: `BTC/USDT:USDT` at a swap exchange,
    else `BTC/USDT`. A pair in a coin that is no stablecoin settles in its quote too: `BTC/USD:USD`.
    """
    words = [word.upper() for word in re.split(r"[^A-Za-z0-9]+", Path(name).name)]
    pairs = [found.groups() for word in words if word not in QUOTES and (found := _PAIR.fullmatch(word))]
    pairs += [(a, b) for a, b in pairwise(words) if b in MONEY and a and a != b]
    if not pairs:
        return None
    base, quote = pairs[0]
    return f"{base}/{quote}:{quote}" if swap else f"{base}/{quote}"


def timeframe_of(name: str) -> str | None:
    """Timeframe in a file's name (`…-1m-…`); None if there is none that this program knows."""
    words = re.split(r"[^A-Za-z0-9]+", Path(name).name)
    return next((word.lower() for word in words if word.lower() in TIMEFRAMES and word[-1:] != "M"), None)


def is_funding(name: str) -> bool:
    """Whether a file's name says that it holds funding rates."""
    return "funding" in Path(name).name.lower()


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The files to import among files and folders, folders searched to the bottom, in order of their names.

    Raises ConfigError for a path that does not exist or a file of another kind.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        elif not path.exists():
            raise ConfigError(f"no such file or folder: {path}")
        elif path.suffix.lower() not in SUFFIXES:
            raise ConfigError(f"{path.name}: not one of {', '.join(SUFFIXES)}")
        else:
            found.append(path)
    return found


def read_file(path: Path, start: int | None = None, end: int | None = None) -> Bars | Rates:
    """Candles (Bars) or funding (Rates) of one file within [start, end), ms UTC.

    The columns decide which. The timeframe is that of the name, 1m where it tells none. Raises
    DataError with file and row, ConfigError if there is no such file.
    """
    pieces = list(read_batches(path, start, end))
    rates = [piece for piece in pieces if isinstance(piece, Rates)]
    if rates or (not pieces and is_funding(path.name)):
        ts = np.concatenate([np.empty(0, np.int64), *(r.ts for r in rates)])
        return Rates(ts, np.concatenate([np.empty(0), *(r.rate for r in rates)]))
    return join([piece for piece in pieces if isinstance(piece, Bars)], TIMEFRAMES[timeframe_of(path.name) or "1m"])


def read_batches(path: Path, start: int | None = None, end: int | None = None) -> Iterator[Bars | Rates]:
    """The same in pieces of at most BATCH rows, for files larger than memory; checked across pieces."""
    tf = TIMEFRAMES[timeframe_of(path.name) or "1m"]
    lo, hi = (-(1 << 62) if start is None else start), ((1 << 62) if end is None else end)
    unit, before = None, -(1 << 62)
    for first, table in _tables(path, lo):
        if not len(table["ts"]):
            continue
        unit = unit or _unit(int(table["ts"][0]))
        piece = _piece(path, first, table, unit, tf, before)
        before = int(piece.ts[-1])
        a, b = (int(i) for i in np.searchsorted(piece.ts, (lo, hi)))
        if a < b:
            yield piece.cut(a, b) if isinstance(piece, Bars) else Rates(piece.ts[a:b], piece.rate[a:b])
        if before >= hi:
            return


def join(pieces: list[Bars], tf: int = MINUTE) -> Bars:
    """One Bars of consecutive ones."""
    if len(pieces) <= 1:
        return pieces[0] if pieces else empty(tf)
    columns = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in (*CANDLES, "minutes"))
    return Bars(tf, *columns)


def sample(path: Path, rows: int) -> Bars:
    """The first `rows` candles of a file, whatever range is wanted of it later. Raises DataError."""
    pieces: list[Bars] = []
    for piece in read_batches(path):
        if isinstance(piece, Rates):
            raise DataError(f"{path.name}: funding, not candles")
        pieces.append(piece)
        if sum(map(len, pieces)) >= rows:
            break
    return join(pieces).cut(0, rows)


# Formats


def _tables(path: Path, start: int) -> Iterator[tuple[int, Table]]:
    # Batches with the number of their first row (from 1). `start` lets a format skip what lies before.
    if not path.is_file():
        raise ConfigError(f"no such file: {path}")
    kind = path.suffix.lower()
    if kind == ".parquet":
        yield from _parquet(path, start)
    elif kind == ".zip":
        yield from _zip(path)
    elif kind == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as lines:
            yield from _csv(path, lines)
    else:
        raise ConfigError(f"{path.name}: not one of {', '.join(SUFFIXES)}")


def _parquet(path: Path, start: int) -> Iterator[tuple[int, Table]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            names = _columns(path, file.schema_arrow.names)
            groups, skipped = _groups(file.metadata, next(iter(names.values())), start)
            first = 1 + skipped
            columns = list(names.values())
            for batch in file.iter_batches(BATCH, row_groups=groups, columns=columns, use_threads=False):
                table = {name: _numbers(path, first, batch.column(column)) for name, column in names.items()}
                yield first, table
                first += len(batch)
        pa.default_memory_pool().release_unused()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name}: not a readable parquet file ({error})") from error


def _groups(metadata: Any, column: str, start: int) -> tuple[list[int], int]:
    # Row groups from the first that reaches `start` (ms) on, by their statistics; rows left out before it.
    skipped = 0
    for n in range(metadata.num_row_groups):
        group = metadata.row_group(n)
        stats = next((group.column(i).statistics for i in range(group.num_columns)
                      if group.column(i).path_in_schema == column), None)
        if stats is None or not stats.has_min_max or not isinstance(stats.max, int) or to_ms(stats.max) >= start:
            return list(range(n, metadata.num_row_groups)), skipped
        skipped += group.num_rows
    return [], skipped


def _numbers(path: Path, first: int, column: Any) -> NDArray[Any]:
    # Without pyarrow's own to_numpy, which would load pandas: two seconds and 60 MB.
    import pyarrow as pa

    if column.null_count:
        raise DataError(f"{path.name}: row {first + column.is_null().index(True).as_py()}: a value is missing")
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    try:
        return np.from_dlpack(column)
    except (TypeError, BufferError, pa.ArrowException) as error:
        raise DataError(f"{path.name}: row {first}: a column of {column.type} is not numbers") from error


def _zip(path: Path) -> Iterator[tuple[int, Table]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if name.lower().endswith(".csv"))
            if len(names) != 1:
                raise DataError(f"{path.name}: holds {len(names)} CSV files, expected one")
            with archive.open(names[0]) as raw:
                yield from _csv(path, TextIOWrapper(raw, encoding="utf-8-sig", newline=""))
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise DataError(f"{path.name}: not a readable zip ({error})") from error


def _csv(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, Table]]:
    try:
        rows = (row for row in csv.reader(lines) if row)
        head = next(rows, None)
        if head is None:
            return
        at, body = _layout(path, head)
        first = 1
        while batch := [*body, *islice(rows, BATCH - len(body))]:
            yield first, _parse(path, first, batch, at)
            first, body = first + len(batch), []
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path.name}: not a readable CSV file ({error})") from error


def _layout(path: Path, head: list[str]) -> tuple[dict[str, int], list[list[str]]]:
    # Where each column stands, and the first data rows that the look at the head took.
    if any(cell.strip()[:1].isalpha() for cell in head):
        names = _columns(path, head)
        return {name: head.index(column) for name, column in names.items()}, []
    wanted = FUNDING if len(head) == len(FUNDING) else CANDLES
    if len(head) not in (len(FUNDING), len(CANDLES), 12):
        raise DataError(f"{path.name}: row 1: {len(head)} columns without a header, expected 2, 6 or Binance's 12")
    return {name: i for i, name in enumerate(wanted)}, [head]


def _parse(path: Path, first: int, rows: list[list[str]], at: dict[str, int]) -> Table:
    try:
        table: Table = {name: np.array([float(row[i]) for row in rows]) for name, i in at.items() if name != "ts"}
        table["ts"] = np.array([int(row[at["ts"]]) for row in rows], dtype=np.int64)
    except (ValueError, IndexError, OverflowError):
        raise DataError(f"{path.name}: row {first + _unreadable(rows, at)}: not numbers") from None
    return table


def _unreadable(rows: list[list[str]], at: dict[str, int]) -> int:
    for n, row in enumerate(rows):
        try:
            np.int64(int(row[at["ts"]]))
            [float(row[i]) for i in at.values()]
        except (ValueError, IndexError, OverflowError):
            return n
    return 0


def _columns(path: Path, names: Iterable[str]) -> dict[str, str]:
    # Our name of each needed column to the file's name, ts first.
    known: dict[str, str] = {}
    for name in names:
        plain = name.strip().lower()
        known.setdefault(_ALIASES.get(plain, plain), name)
    for wanted in (CANDLES, FUNDING):
        if all(name in known for name in wanted):
            return {name: known[name] for name in wanted}
    raise DataError(f"{path.name}: columns {', '.join(known)}; expected {', '.join(CANDLES)} or {', '.join(FUNDING)}")


# Rules


def _unit(ts: int) -> tuple[int, int]:
    # (multiply, divide) that turns the file's times into ms: s, ms, us and ns differ by their size.
    return next((times, by) for limit, times, by in _UNITS if abs(ts) < limit)


def to_ms(ts: int) -> int:
    """A time in s, ms, us or ns as ms."""
    times, by = _unit(ts)
    return ts * times // by


def _piece(path: Path, first: int, table: Table, unit: tuple[int, int], tf: int, before: int) -> Bars | Rates:
    raw = table["ts"]
    if raw.dtype != np.int64:
        _refuse(path, first, ~np.isfinite(raw) | (raw != np.floor(raw)), "ts is not a whole number")
        raw = raw.astype(np.int64)
    ts = raw * unit[0] // unit[1]
    funding = "rate" in table
    if funding:
        ts = ts - ts % MINUTE  # archives stamp settlements some ms late
    _refuse(path, first, np.diff(ts, prepend=before) <= 0, "ts is not after the row before")
    if funding:
        rate = table["rate"].astype(np.float64)
        _refuse(path, first, ~np.isfinite(rate), "rate is not a number")
        return Rates(ts, rate)
    _refuse(path, first, (ts % tf != 0) | (raw * unit[0] % unit[1] != 0), "ts is not the open of a bar")
    columns = [table[name].astype(np.float64) for name in CANDLES[1:]]
    _check_candles(path, first, columns)
    o, h, l, c, v = columns
    return Bars(tf, ts, o, h, l, c, v, np.full(len(ts), tf // MINUTE, dtype=np.int64))


def _check_candles(path: Path, first: int, columns: list[Floats]) -> None:
    o, h, l, c, v = columns
    finite = np.isfinite(o) & np.isfinite(h) & np.isfinite(l) & np.isfinite(c) & np.isfinite(v)
    _refuse(path, first, ~finite, "a value is missing or not finite")
    _refuse(path, first, l <= 0, "a price is not positive")
    _refuse(path, first, (h < np.maximum(o, c)) | (l > np.minimum(o, c)), "high and low do not hold open and close")
    _refuse(path, first, v < 0, "volume is negative")


def _refuse(path: Path, first: int, bad: NDArray[np.bool_], why: str) -> None:
    if bad.any():
        raise DataError(f"{path.name}: row {first + int(bad.argmax())}: {why}")
