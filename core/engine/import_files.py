"""Which files an import takes, and why it leaves others out; each is read through before any is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.engine.context import Context
from core.errors import ConfigError, DataError
from core.market.importers import Rates, find_files, is_funding, read_batches, symbol_of, timeframe_of
from core.market.recorded import choose_sources
from core.timeframe import MINUTE, show_span, show_time


@dataclass(frozen=True, slots=True)
class Extent:
    """A file read through once; step: the largest span (ms) that divides the distances of its rows."""

    rows: int
    first: int
    last: int
    step: int
    rates: bool


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file to import under a symbol; terms: the file that tells tick and lot."""

    path: Path
    symbol: str
    terms: Path
    extent: Extent


@dataclass(frozen=True, slots=True)
class Choice:
    """files: to import, candles before rates, by time. lines: what was chosen. refused: faulty ones, and why."""

    files: list[ImportFile]
    lines: list[str]
    refused: list[str]


def choose(ctx: Context, given: Sequence[Path], symbol: str | None = None) -> Choice:
    """Choose among files and folders; a file with a bad row anywhere is refused as a whole.

    A folder gives one source for each configured symbol (or for `symbol`), the longest, as the replay exchange
    chooses; a file named by itself is taken as it is. Raises ConfigError for paths and names that do not fit.
    """
    find_files(given)  # names a path that does not exist before anything is read
    done, named = Choice([], [], []), {}
    for path in given:
        if path.is_dir():
            named.update(_of_folder(ctx, path, symbol, done))
        else:
            named[path, symbol or _named_symbol(ctx, path)] = path
    extents = {path: _taken(path, ctx.clock.now(), done) for path, _ in named}
    for (path, name), terms in named.items():
        extent = extents[path]
        if extent is not None:
            done.files.append(ImportFile(path, name, terms if extents.get(terms) else path, extent))
    done.files.sort(key=lambda file: (file.extent.rates, file.symbol, file.extent.first))
    return done


def _taken(path: Path, now: int, done: Choice) -> Extent | None:
    extent = _extent(path, done)
    if extent is None or not extent.rows:
        return None
    why = _objection(path, extent, now)
    if why:
        done.refused.append(f"{path.name}: {why}")
        return None
    return extent


def _of_folder(ctx: Context, folder: Path, symbol: str | None, done: Choice) -> dict[tuple[Path, str], Path]:
    files = [path for path in find_files([folder]) if symbol_of(path.name)]
    minutes = [path for path in files if not is_funding(path.name) and timeframe_of(path.name) in (None, "1m")]
    done.lines.extend(
        f"left out {path.name}: {timeframe_of(path.name)} by its name; only 1m candles are stored"
        for path in files
        if path not in minutes and not is_funding(path.name)
    )
    known = {_pair(symbol_of(path.name)) for path in minutes or files}
    wanted = [symbol] if symbol else [s for s in ctx.cfg.symbols if _pair(s) in known]
    if not wanted:
        raise ConfigError(
            f"{folder} has no 1m candles or funding of a configured symbol "
            f"({', '.join(ctx.cfg.symbols)}); it has: {', '.join(sorted(known)) or 'none'}. "
            f"Add one to `symbols`, or name it with --symbol"
        )
    others = known - {_pair(s) for s in wanted}
    if others and not symbol:
        done.lines.append(f"left out, not configured: {', '.join(sorted(others))}")
    return _sources(folder, wanted, done) if minutes else _rates_alone(files, wanted, done)


def _sources(folder: Path, wanted: Sequence[str], done: Choice) -> dict[tuple[Path, str], Path]:
    found = {}
    for name, source in choose_sources(folder, wanted).items():
        done.lines.append(f"chosen {source.describe()}")
        found.update({(path, name): source.path for path in (*source.paths, *source.funding)})
    return found


def _rates_alone(files: Sequence[Path], wanted: Sequence[str], done: Choice) -> dict[tuple[Path, str], Path]:
    # The longest file of each symbol, and those before and after it: an archive may come by months.
    found: dict[tuple[Path, str], Path] = {}
    for name in wanted:
        kept: list[Extent] = []
        extents = [(path, _extent(path, done)) for path in files if _pair(symbol_of(path.name)) == _pair(name)]
        known = [(path, extent) for path, extent in extents if extent and extent.rates]
        for path, extent in sorted(known, key=lambda item: (-item[1].rows, item[0].name)):
            if all(extent.last < other.first or extent.first > other.last for other in kept):
                kept.append(extent)
                found[path, name] = path
    return found


def _pair(symbol: str | None) -> str:
    return (symbol or "").partition(":")[0]


def _named_symbol(ctx: Context, path: Path) -> str:
    found = symbol_of(path.name, swap=any(":" in symbol for symbol in ctx.cfg.symbols))
    if found is None:
        raise ConfigError(f"{path.name}: its name tells no symbol: give it with --symbol")
    return found


def _extent(path: Path, done: Choice) -> Extent | None:
    # The whole file is read before any of it is stored, so that a bad one leaves nothing behind.
    rows, first, last, step, rates = 0, 0, 0, 0, is_funding(path.name)
    try:
        for piece in read_batches(path):
            rates = isinstance(piece, Rates)
            first, before = (first, last) if rows else (int(piece.ts[0]), int(piece.ts[0]))
            step = int(np.gcd.reduce(np.diff(piece.ts, prepend=before), initial=step))
            rows, last = rows + len(piece), int(piece.ts[-1])
    except DataError as error:
        done.refused.append(str(error))
        return None
    return Extent(rows, first, last, step, rates)


def _objection(path: Path, extent: Extent, now: int) -> str | None:
    named = timeframe_of(path.name)
    if extent.last + (0 if extent.rates else MINUTE) > now:
        return f"its last row ({show_time(extent.last)}) lies in the future or had not closed"
    if extent.rates:
        return None
    if named not in (None, "1m"):
        return f"{named} by its name; only 1m candles are stored, larger bars are built from them"
    if extent.step > MINUTE:
        return f"its rows lie {show_span(extent.step)} apart: not 1m candles"
    return None
