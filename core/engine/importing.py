"""Candles and funding that a user owns, into the file: `import-candles` (rule 33)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core import timeframe
from core.candles import MarketInfo, Row
from core.engine.context import Context
from core.engine.execute import settle
from core.engine.frontier import spans
from core.engine.import_files import ImportFile, choose
from core.engine.resample import resample
from core.errors import ConfigError, DataError
from core.market.importers import Rates, read_batches
from core.market.recorded import contract_of
from core.store import candles, funding, runs
from core.store.candles import Con, Span, Stretch
from core.timeframe import MINUTE, show_time

BATCH = 10_000  # rows of one transaction
GAP_REASON = "absent in imported file"
INFERRED = 0  # info_ts of terms that no exchange has told yet: the daemon asks at its next start

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class ImportResult:
    """What an import did.

    lines: what was chosen and stored, and hints, for people. rows: candles and rates new to the database or
    changed in it. gaps: absent minutes recorded. refused: files with a mistake, each with why.
    """

    lines: list[str] = field(default_factory=list)
    rows: int = 0
    gaps: int = 0
    refused: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Stored:
    """What a file has brought so far; end: all minutes before it are done; dirty: the mark set for resampling."""

    end: int | None = None
    fresh: int = 0
    revised: int = 0
    gaps: int = 0
    dirty: Span | None = None


def import_candles(
    ctx: Context,
    paths: Sequence[Path | str],
    symbol: str | None = None,
    tf: str | None = None,
    progress: Progress | None = None,
) -> ImportResult:
    """Store 1m candles and funding rates of files and folders; idempotent, resumable by running it again.

    symbol and tf stand in where names tell none (`import_files.choose`). A refused file leaves nothing behind;
    the others go on. progress: rows done and in all. Raises ConfigError for paths and names that do not fit,
    DataError when no file could be taken at all.
    """
    if tf is not None and timeframe.ms(tf) != MINUTE:
        raise ConfigError(f"{tf} candles are not stored, only 1m ones: larger bars are built from them")
    given = [Path(p) for p in paths]
    choice = choose(ctx, given, symbol)
    done, files = ImportResult(choice.lines, refused=choice.refused), choice.files
    _prepare(ctx, files)
    before, total = 0, sum(file.extent.rows for file in files)
    for file in files:
        if file.extent.rates:
            _import_rates(ctx, file, done)
        else:
            _import_file(ctx, file, done, _from(progress, before, total))
        before += file.extent.rows
        if progress:
            progress(before, total)
    return _finish(ctx, files, given, done)


def _from(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    return lambda n: progress(before + n, total) if progress else None


def _finish(ctx: Context, files: Sequence[ImportFile], given: Sequence[Path], done: ImportResult) -> ImportResult:
    bars = resample(ctx, {file.symbol for file in files})
    if not any(line.startswith("stored") for line in done.lines):
        raise DataError("nothing was imported: " + ("; ".join(done.refused) or "the files hold no rows"))
    if done.rows:
        with ctx.db.write(durable=False) as con:
            runs.log(con, ctx.clock.now(), "user", "import-candles", ", ".join(str(path) for path in given))
    done.lines += [
        *_hints(ctx, files, given),
        f"{done.rows} rows new or changed, {done.gaps} minutes absent, {bars} larger bars built",
    ]
    return done


def _prepare(ctx: Context, files: Sequence[ImportFile]) -> None:
    with ctx.db.write(durable=False) as con:
        candles.ensure(con, ctx.exchange_id, dict.fromkeys(file.symbol for file in files), ctx.timeframes)


# Candles


def _import_file(ctx: Context, file: ImportFile, done: ImportResult, progress: Callable[[int], None]) -> None:
    resample(ctx, {file.symbol})  # what an import that was killed left unbuilt, before the stretches change
    why = _beyond(ctx, file)
    if why:
        done.refused.append(f"{file.path.name}: {why}")
        return
    stored, rows_read = _Stored(), 0
    _set_terms(ctx, file)
    for rows in _batches(file.path):
        with ctx.db.write(durable=False) as con:
            _store(ctx, con, file.symbol, rows, stored)
        rows_read += len(rows)
        progress(rows_read)
    done.rows += stored.fresh + stored.revised
    done.gaps += stored.gaps
    done.lines.append(
        f"stored {file.symbol}: {file.path.name}: {file.extent.rows} minutes, {show_time(file.extent.first)} to "
        f"{show_time(file.extent.last)}: {stored.fresh} new, {stored.revised} rewritten, {stored.gaps} absent"
    )


def _beyond(ctx: Context, file: ImportFile) -> str | None:
    # A hole behind the frontier would be decided over and walked over as if nothing had been traded in it.
    with ctx.db.lock:
        info = candles.symbols(ctx.db.con, ctx.exchange_id)[file.symbol]
        known = candles.stretches(ctx.db.con, ctx.exchange_id).get(file.symbol)
    if info.scanned_ts is None or not known or file.extent.first <= known[-1].frontier:
        return None
    return (
        f"it begins at {show_time(file.extent.first)}, and the minutes from {show_time(known[-1].frontier)} on are "
        f"missing: this database has decided {file.symbol} up to there. Import or download those first"
    )


def _set_terms(ctx: Context, file: ImportFile) -> None:
    with ctx.db.lock:
        known = candles.symbols(ctx.db.con, ctx.exchange_id)[file.symbol].market
    if known is None:
        terms = contract_of(file.terms)
        info = MarketInfo(terms.tick, terms.lot, terms.min_notional)
        with ctx.db.write(durable=False) as con:
            candles.set_market(con, ctx.exchange_id, file.symbol, info, INFERRED)


def _batches(path: Path) -> Iterator[list[Row]]:
    for piece in read_batches(path):
        assert not isinstance(piece, Rates)  # the columns were the same throughout when the file was read through
        columns = (piece.ts, piece.open, piece.high, piece.low, piece.close, piece.volume)
        for a in range(0, len(piece), BATCH):
            yield list(zip(*(column[a : a + BATCH].tolist() for column in columns), strict=True))


def _store(ctx: Context, con: Con, symbol: str, rows: list[Row], stored: _Stored) -> None:
    # One batch: rows, revisions, gaps, the stretch and the mark for resampling move together.
    exchange, series = ctx.exchange_id, candles.series(con, ctx.exchange_id)
    start, end = rows[0][0] if stored.end is None else stored.end, rows[-1][0] + MINUTE
    known = candles.stretches(con, exchange).get(symbol, [])
    one, frontier = series[symbol, "1m"].id, known[-1].frontier if known else end
    there, gone = set(candles.stored_times(con, one, start, end)), _gone(con, exchange, symbol, start, end)
    fresh = [row[0] for row in rows if row[0] not in there]
    _, rewritten = candles.put_rows(con, one, rows, frontier)
    healed = _heal(con, exchange, symbol, one, sorted(gone.intersection(fresh)), frontier)
    absent = _absent(start, end, rows, there | gone)
    candles.add_gaps(con, exchange, symbol, absent, GAP_REASON)
    _settle_pending(con, exchange, symbol, (start, end))
    opened = _cover(con, exchange, symbol, start, end, known)
    touched = [*fresh[:1], *fresh[-1:], *(row[0] for row in rewritten), *opened]
    # The newest stretch is built on from `built` by itself.
    newest = not known or end >= known[-1].start
    built = max(series[symbol, tf].built_ts or 0 for tf in ctx.timeframes[1:])
    _mark(con, exchange, symbol, touched, built if newest else None, stored)
    stored.end = end
    stored.fresh += len(fresh)
    stored.revised += len(rewritten) + healed
    stored.gaps += sum(b - a for a, b in absent) // MINUTE


def _gone(con: Con, exchange: str, symbol: str, start: int, end: int) -> set[int]:
    recorded = candles.gaps(con, exchange, symbol, start, end)
    return {ts for a, b in recorded for ts in range(max(a, start), min(b, end), MINUTE)}


def _heal(con: Con, exchange: str, symbol: str, series: int, times: Sequence[int], frontier: int) -> int:
    # A minute that comes after its absence was recorded is a revision: decisions did without it.
    for ts in times:
        candles.heal_gap(con, exchange, symbol, ts)
        candles.record_revision(con, series, (ts, None, None, None, None, None, None), frontier)
    return len(times)


def _absent(start: int, end: int, rows: Sequence[Row], known: set[int]) -> list[Span]:
    if len(rows) * MINUTE == end - start:
        return []
    here = known.union(row[0] for row in rows)
    return spans(ts for ts in range(start, end, MINUTE) if ts not in here)


def _settle_pending(con: Con, exchange: str, symbol: str, done: Span) -> None:
    # What was seen absent once needs no second look where the file has answered.
    waiting = candles.pending(con, exchange).get(symbol)
    if waiting:
        parts = [(x, y, seen) for a, b, seen in waiting for x, y in ((a, min(b, done[0])), (max(a, done[1]), b))]
        candles.set_pending(con, exchange, symbol, [part for part in parts if part[0] < part[1]])


def _cover(con: Con, exchange: str, symbol: str, start: int, end: int, known: Sequence[Stretch]) -> list[int]:
    # Join [start, end) with the stretches that it meets; returns minutes of the buckets that were open at their ends.
    met = [s for s in known if s.start <= end and s.frontier >= start]
    if any(s.start <= start and s.frontier >= end for s in met):
        return []
    for s in met:
        candles.drop_stretch(con, exchange, symbol, s.start)
    first, frontier = min([start, *(s.start for s in met)]), max([end, *(s.frontier for s in met)])
    candles.set_stretch(con, exchange, symbol, first, frontier)
    return [x for s in met if s.frontier > s.start for x in (s.start, s.frontier) if first < x < frontier]


def _mark(con: Con, exchange: str, symbol: str, touched: Sequence[int], before: int | None, stored: _Stored) -> None:
    # Marks what lies before `before` (None: all). One mark for the whole file: no bar is built from half of it.
    if not touched:
        return
    low, high = min(touched), max(touched) + MINUTE
    high = high if before is None else min(high, before)
    if low >= high:
        return
    if stored.dirty:
        low, high = min(low, stored.dirty[0]), max(high, stored.dirty[1])
        candles.clean(con, exchange, symbol, stored.dirty)
    stored.dirty = (low, high)
    candles.add_dirty(con, exchange, symbol, low, high)


# Funding


def _import_rates(ctx: Context, file: ImportFile, done: ImportResult) -> None:
    pieces = [piece for piece in read_batches(file.path) if isinstance(piece, Rates)]
    rates = [pair for piece in pieces for pair in zip(piece.ts.tolist(), piece.rate.tolist(), strict=True)]
    with ctx.db.write() as con:
        changed = funding.add_rates(con, ctx.exchange_id, file.symbol, rates)
        settled = _settle(ctx, con, file.symbol, changed) if changed else 0
    done.rows += len(changed)
    done.lines.append(
        f"stored {file.symbol}: {file.path.name}: {len(rates)} funding rates, {show_time(rates[0][0])} to "
        f"{show_time(rates[-1][0])}: {len(changed)} new or changed, {settled} trades recomputed"
    )


def _settle(ctx: Context, con: Con, symbol: str, changed: Sequence[int]) -> int:
    # A trade between a rate known before and a new one has all its funding known now, so reach out to both sides.
    info = candles.symbols(con, ctx.exchange_id)[symbol]
    older = funding.rates(con, ctx.exchange_id, symbol, 0, changed[0] - 1)[-1:]
    newer = funding.rates(con, ctx.exchange_id, symbol, changed[-1], ctx.clock.now())[:1]
    since = older[0][0] if older else changed[0]
    through = newer[0][0] if newer else changed[-1]
    return settle(ctx, con, symbol, info, since, through)


# Hints


def _hints(ctx: Context, files: Sequence[ImportFile], given: Sequence[Path]) -> list[str]:
    lines = []
    beside = {path.parent / "funding" for path in given if path.is_dir() and path.name != "funding"}
    if not any(file.extent.rates for file in files):
        lines += [
            f"funding rates lie beside the candles and were not given: import {folder} too"
            for folder in sorted(beside)
            if folder.is_dir()
        ]
    strange = sorted({file.symbol for file in files} - set(ctx.cfg.symbols))
    if strange:
        lines.append(f"stored, but scanned only once they stand in `symbols`: {', '.join(strange)}")
    return lines
