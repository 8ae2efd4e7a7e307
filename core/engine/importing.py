"""Candles and funding that a user owns, into the file: `import-candles` (rule 33)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core import timeframe
from core.candles import Bars, MarketInfo, Row
from core.engine.context import Context
from core.engine.execute import settle
from core.engine.frontier import spans
from core.engine.resample import resample
from core.errors import ConfigError, DataError
from core.market.importers import Rates, find_files, is_funding, read_batches, symbol_of, timeframe_of
from core.market.recorded import choose_sources, contract_of, survey
from core.store import candles, funding, runs
from core.store.candles import Con, Series, Span, Stretch
from core.timeframe import MINUTE, show_time

BATCH = 10_000  # rows of one transaction: bounds memory and how long a reader's WAL grows
GAP_REASON = "absent in imported file"
INFERRED = 0  # info_ts of terms that no exchange has told: it is asked at the daemon's next start

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class ImportResult:
    """lines: what was chosen, stored and refused, for people. rows: candles and rates new to the file or
    changed in it. gaps: absent minutes recorded. refused: files that were left out, with why."""

    lines: list[str] = field(default_factory=list)
    rows: int = 0
    gaps: int = 0
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _File:
    """A file to import under a symbol, read through once: rows, first and last ts; terms: whose file tells tick and lot."""

    path: Path
    symbol: str
    rows: int
    first: int
    last: int
    rates: bool
    terms: Path


@dataclass(slots=True)
class _Stored:
    """What a file brought: new and rewritten rows, absent minutes, and the span that they touch."""

    fresh: int = 0
    revised: int = 0
    gaps: int = 0
    touched: Span | None = None


def import_candles(ctx: Context, paths: Sequence[Path | str], symbol: str | None = None, tf: str | None = None,
                   progress: Progress | None = None) -> ImportResult:
    """Store 1m candles and funding rates of files and folders; idempotent, resumable by running it again.

    A folder gives one source for each configured symbol (or for `symbol`): the longest, as the replay
    exchange chooses. A file named by itself is taken as it is. A file that breaks a rule anywhere is left out
    as a whole; the others go on. progress: rows done and in all. Raises ConfigError for paths and names that
    do not fit, DataError when no file at all could be taken.
    """
    if tf is not None and timeframe.ms(tf) != MINUTE:
        raise ConfigError(f"{tf} candles cannot be imported: only 1m ones are stored, larger bars are built from them")
    done = ImportResult()
    files = sorted(_chosen(ctx, [Path(p) for p in paths], symbol, tf, done), key=lambda f: (f.rates, f.symbol, f.first))
    if not files:
        raise DataError("nothing to import" + "".join(f"; {why}" for why in done.refused))
    _prepare(ctx, files)
    total, before = sum(f.rows for f in files), 0
    for file in files:
        ticked = _counted(progress, before, total)
        if file.rates:
            _import_rates(ctx, file, done)
        else:
            _import_file(ctx, file, done, ticked)
        before += file.rows
        ticked(0)
    bars = resample(ctx, {f.symbol for f in files})
    done.lines += [f"{done.rows} rows new or changed, {done.gaps} minutes absent, {bars} larger bars built", *done.refused,
                   *_hints(ctx, [Path(p) for p in paths], files)]
    return done


def _counted(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress(before + done, total) if progress else None


# Which files


def _chosen(ctx: Context, paths: Sequence[Path], symbol: str | None, tf: str | None, done: ImportResult) -> list[_File]:
    find_files(paths)  # names what does not exist before anything is read
    named: list[tuple[Path, str, Path]] = []
    for path in paths:
        if path.is_dir():
            named += _of_folder(ctx, path, symbol, done)
        else:
            named.append((path, symbol or _named_symbol(ctx, path), path))
    found = [_surveyed(ctx, path, name, tf, terms, done) for path, name, terms in dict.fromkeys(named)]
    return [file for file in found if file is not None]


def _of_folder(ctx: Context, folder: Path, symbol: str | None, done: ImportResult) -> list[tuple[Path, str, Path]]:
    sources = survey(folder)
    if not sources:
        return _rates_of_folder(ctx, folder, symbol, done)
    pairs = {_pair(source.symbol) for source in sources}
    wanted = [symbol] if symbol else [s for s in ctx.cfg.symbols if _pair(s) in pairs]
    if not wanted:
        raise ConfigError(f"{folder} has candles of {', '.join(sorted(pairs))}, but none of the configured symbols "
                          f"({', '.join(ctx.cfg.symbols)}): add one to `symbols`, or name it with --symbol")
    others = sorted(pairs - {_pair(s) for s in wanted})
    if others:
        done.lines.append(f"{folder}: not configured, left out: {', '.join(others)}")
    found = []
    for name, source in choose_sources(folder, wanted).items():
        done.lines.append(source.describe())
        found += [(path, name, source.path) for path in (*source.paths, *source.funding)]
    return found


def _rates_of_folder(ctx: Context, folder: Path, symbol: str | None, done: ImportResult) -> list[tuple[Path, str, Path]]:
    files = [path for path in find_files([folder]) if is_funding(path.name)]
    wanted = [symbol] if symbol else list(ctx.cfg.symbols)
    found = [(path, name, path) for name in wanted for path in _longest_rates(files, name, done)]
    if not found:
        raise ConfigError(f"{folder} has neither 1m candles nor funding rates of {', '.join(wanted)}")
    return found


def _longest_rates(files: Sequence[Path], symbol: str, done: ImportResult) -> list[Path]:
    # The longest file, and those before and after it: an archive may come by months.
    kept: list[tuple[int, int, int, Path]] = []
    known = [path for path in files if _pair(symbol_of(path.name) or "") == _pair(symbol)]
    for extent in sorted((_extent(path, done) for path in known), key=lambda e: (-e[2], e[3].name)):
        if extent[2] and all(extent[1] < first or extent[0] > last for first, last, _, _ in kept):
            kept.append(extent)
    return [path for *_, path in sorted(kept)]


def _extent(path: Path, done: ImportResult) -> tuple[int, int, int, Path]:
    times = [ts for piece in _read(path, done) for ts in (int(piece.ts[0]), int(piece.ts[-1]), len(piece))]
    return (times[0], times[-2], sum(times[2::3]), path) if times else (0, 0, 0, path)


def _pair(symbol: str) -> str:
    return symbol.partition(":")[0]


def _named_symbol(ctx: Context, path: Path) -> str:
    swap = any(":" in symbol for symbol in ctx.cfg.symbols)
    found = symbol_of(path.name, swap)
    if found is None:
        raise ConfigError(f"{path.name}: its name tells no symbol: give it with --symbol")
    return found


def _surveyed(ctx: Context, path: Path, symbol: str, tf: str | None, terms: Path, done: ImportResult) -> _File | None:
    # The whole file is read before any of it is stored, so that a bad one leaves nothing behind.
    rows, first, last, ones, rates = 0, 0, 0, 0, False
    named = timeframe_of(path.name)
    if named not in (None, "1m") and not is_funding(path.name):
        done.refused.append(f"refused {path.name}: {named} by its name; only 1m candles are stored, larger bars are built from them")
        return None
    for piece in _read(path, done):
        rates = isinstance(piece, Rates)
        ones += int(np.count_nonzero(np.diff(piece.ts, prepend=last or int(piece.ts[0])) == MINUTE))
        first, last, rows = first or int(piece.ts[0]), int(piece.ts[-1]), rows + len(piece)
    why = _objection(ctx, rows, first, last, ones, rates)
    if rows and why:
        done.refused.append(f"refused {path.name}: {why}")
        return None
    return _File(path, symbol, rows, first, last, rates, terms) if rows else None


def _read(path: Path, done: ImportResult) -> Iterator[Bars | Rates]:
    try:
        yield from list(read_batches(path))
    except DataError as error:
        done.refused.append(f"refused {error}")
