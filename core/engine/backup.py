"""A copy of the database while the daemon writes: taken as of one moment, checked, and only then given its name."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock, SystemClock
from core.errors import ArtifactError, ConfigError
from core.store import compare
from core.store.db import Database


@dataclass(frozen=True, slots=True)
class BackupResult:
    """A finished backup: where, how large (bytes), how long it took (s), rows by table, and the lines to print."""

    path: Path
    bytes: int
    seconds: float
    tables: dict[str, int]
    lines: list[str]


def backup(db_path: Path | str, target: Path | str, clock: Clock | None = None) -> BackupResult:
    """Copy the database to `target` without stopping its writer; needs no lock.

    Raises ConfigError when the target exists or its folder does not, ArtifactError when the database
    cannot be read or the copy does not pass its check; nothing is left behind then.
    """
    source, wanted, timer = Path(db_path), Path(target), clock or SystemClock()
    began = timer.monotonic()
    db = Database(source, readonly=True)
    part = wanted.with_name(f".{wanted.name}.{os.getpid()}.part")
    try:
        _check(source, wanted)
        counts = compare.copy_file(db.con, part)
        compare.verify_copy(part, counts)
        _publish(part, wanted)
    finally:
        db.close()
        for leftover in (part, part.with_name(part.name + "-journal"), part.with_name(part.name + "-wal")):
            leftover.unlink(missing_ok=True)
    size, seconds = wanted.stat().st_size, timer.monotonic() - began
    return BackupResult(wanted, size, seconds, counts, _lines(wanted, size, seconds, counts))


def _check(source: Path, target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise ConfigError(f"{target} exists: choose another name, a backup never overwrites one")
    if not target.parent.is_dir():
        raise ConfigError(f"no such folder: {target.parent}")
    wal = source.with_name(source.name + "-wal")
    size = source.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
    free = shutil.disk_usage(target.parent).free
    if free < size:
        raise ArtifactError(
            f"not enough space in {target.parent}: the copy takes up to {_mb(size)}, {_mb(free)} are free"
        )


def _publish(part: Path, target: Path) -> None:
    # `link` refuses a name that has come into being meanwhile; where a disk has no links, the check above must do.
    _sync(part)
    try:
        os.link(part, target)
    except FileExistsError:
        raise ConfigError(f"{target} exists: choose another name, a backup never overwrites one") from None
    except OSError:
        part.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _lines(path: Path, size: int, seconds: float, counts: dict[str, int]) -> list[str]:
    return [
        f"{path}: {_mb(size)} in {seconds:.1f} s, checked: {sum(counts.values()):,} rows in {len(counts)} tables",
        f"{counts.get('ohlcv', 0):,} bars, {counts.get('signals', 0):,} signals; use it with --db {path}",
    ]


def _mb(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
