"""What the pages read: one module for each, every query bounded. And opening a file only to look at it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import ArtifactError
from core.store import migrations
from core.store.compare import snapshot
from core.store.db import Database

PATIENCE_MS = 1_500  # a page waits this long for a busy file, then says so

MISSING, EMPTY, FOREIGN, OLD, NEWER, DAMAGED, UNREADABLE = (
    "missing", "empty", "foreign", "old_schema", "newer", "damaged", "unreadable")

_BROKEN = ("malformed", "not a database", "disk image")


class NotReadable(ArtifactError):
    """A file that cannot be shown. kind: MISSING, EMPTY, FOREIGN, OLD, NEWER, DAMAGED or UNREADABLE."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@contextmanager
def looking(path: Path) -> Iterator[Database]:
    """The file, read-only, in one short snapshot that ends with the block. Never migrates it, never writes.

    Raises NotReadable where it cannot be shown, at any moment of the block.
    """
    db = _open(path)
    try:
        db.con.execute(f"PRAGMA busy_timeout={PATIENCE_MS}")
        with snapshot(db.con):
            _refuse_unfit(db)
            yield db
    except sqlite3.DatabaseError as error:
        raise _told(path, error) from error
    finally:
        db.close()


def _open(path: Path) -> Database:
    if not path.is_file():
        raise NotReadable(MISSING, f"there is no database at {path}")
    try:
        return Database(path, readonly=True)
    except ArtifactError as error:
        if isinstance(error.__cause__, sqlite3.DatabaseError):
            raise _told(path, error.__cause__) from error
        raise NotReadable(NEWER if "has schema" in str(error) else FOREIGN, str(error)) from error


def _refuse_unfit(db: Database) -> None:
    found, known = migrations.version(db.con), len(migrations.MIGRATIONS)
    if found == 0:
        raise NotReadable(EMPTY, f"{db.path} holds nothing yet")
    if found < known:
        raise NotReadable(OLD, f"{db.path} has schema {found}, this version works with {known}")


def _told(path: Path, error: sqlite3.DatabaseError) -> NotReadable:
    text = " ".join(str(error).split())
    broken = not isinstance(error, sqlite3.OperationalError) or any(word in text for word in _BROKEN)
    kind = DAMAGED if broken else UNREADABLE
    return NotReadable(kind, f"{path}: {text}")


def file_stamp(path: Path) -> tuple[object, ...]:
    """Sizes and times of the file and its WAL: equal only where nothing was written between."""
    found: list[object] = []
    for name in (path, path.with_name(path.name + "-wal")):
        try:
            stat = name.stat()
            found += [stat.st_ino, stat.st_size, stat.st_mtime_ns]
        except OSError:
            found.append(None)
    return tuple(found)
