"""Opening the one SQLite file, and the one way to write to it."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from core.errors import ArtifactError
from core.store import migrations

BUSY_SECONDS = 10.0
QUICK_CHECK_BYTES = 256 * 2**20
_NOT_A_DATABASE = ("file is not a database", "malformed", "disk image")


class Database:
    """One connection to the file, shared by the threads of one process under one lock.

    A writing `Database` is made by the process that holds the `WriterLock` and is its only writing
    and only checkpointing connection. A read-only one (`readonly=True`) can never write.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self.readonly = readonly
        self.lock = threading.RLock()
        self.con = _open_readonly(path) if readonly else _open_writer(path)

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One `BEGIN IMMEDIATE` transaction: all of it, or nothing.

        durable=True syncs the disk at commit (effects: signals, trades, alerts); False lets the last
        commits be lost in a power cut, never torn (candles, which can be fetched again).
        """
        with self.lock:
            self.con.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self.con.execute("BEGIN IMMEDIATE")
            try:
                yield self.con
                self.con.execute("COMMIT")  # inside: a disk that fills up here must not leave it open
            except BaseException:
                if self.con.in_transaction:  # SQLite has already rolled back on a full disk
                    self.con.execute("ROLLBACK")
                raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Inside `write`: a part that can fail by itself without undoing the rest."""
        self.con.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self.con.in_transaction:
                self.con.execute("ROLLBACK TO part")
                self.con.execute("RELEASE part")
            raise
        self.con.execute("RELEASE part")

    def checkpoint(self) -> tuple[int, int, int]:
        """Move the WAL into the file and cut it to nothing; (busy, frames in WAL, frames moved)."""
        with self.lock:
            busy, frames, moved = self.con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return int(busy), int(frames), int(moved)

    def give_back_space(self, pages: int = 2000) -> None:
        """Return up to `pages` free pages to the file system (a full VACUUM would stop the writer)."""
        with self.lock:
            # A row without columns per page: `execute` would stop after the first, a script runs to the end.
            self.con.executescript(f"PRAGMA incremental_vacuum({int(pages)})")
            self.con.execute("PRAGMA optimize")

    def free_bytes(self) -> int:
        """Bytes left on the disk that holds the file."""
        return shutil.disk_usage(self.path.parent).free

    def close(self) -> None:
        """Close the connection; the WAL is checkpointed by SQLite when it was the last one."""
        self.con.close()


def version_warning(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str | None:
    """A sentence when this SQLite can lose pages if two connections checkpoint at once, else None.

    The WAL-reset bug: 3.7.0 to 3.51.2, but for the back-ports 3.44.6 and 3.50.7.
    """
    if version >= (3, 51, 3) or version in ((3, 44, 6), (3, 50, 7)):
        return None
    text = ".".join(map(str, version))
    return (
        f"SQLite {text} has the WAL-reset bug (fixed in 3.51.3, 3.50.7, 3.44.6): safe here, since this "
        f"program alone writes and checkpoints; never let another tool write to the file meanwhile"
    )


def check_file(db: Database) -> None:
    """Refuse a damaged file. Raises ArtifactError naming the way back."""
    if db.path.stat().st_size > QUICK_CHECK_BYTES:
        return  # minutes on a big file: `doctor` does it on request
    try:
        found = db.con.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise _damaged(db.path, found)


def _open_writer(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        con = _connect(str(path), uri=False)
    except (OSError, sqlite3.OperationalError) as error:
        raise _unusable(path, error) from error
    try:
        migrations.check_file(con)  # before anything is written to what may be somebody else's file
        if con.execute("PRAGMA page_count").fetchone()[0] == 0:
            con.execute("PRAGMA auto_vacuum=INCREMENTAL")  # takes effect only before the first table
        con.execute("PRAGMA journal_mode=WAL").fetchone()
        con.execute("PRAGMA journal_size_limit=67108864")
        con.execute("PRAGMA foreign_keys=ON")
        con.execute("PRAGMA cache_size=-8000")
        migrations.migrate(con)
    except sqlite3.DatabaseError as error:
        con.close()
        if any(text in str(error) for text in _NOT_A_DATABASE):
            raise _damaged(path, str(error)) from error
        raise _unusable(path, error) from error
    except ArtifactError:
        con.close()
        raise
    return con


def _open_readonly(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise ArtifactError(
            f"no database at {path}: start the daemon, or make one with `python -m core init-db --db {path}`"
        )
    try:
        con = _connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    except sqlite3.OperationalError as error:
        raise _unusable(path, error) from error
    try:
        con.execute("PRAGMA query_only=ON")
        migrations.check_file(con)
    except sqlite3.DatabaseError as error:
        con.close()
        raise _damaged(path, str(error)) from error
    except ArtifactError:
        con.close()
        raise
    return con


def _connect(target: str, *, uri: bool) -> sqlite3.Connection:
    return sqlite3.connect(
        target, uri=uri, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )


def _unusable(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"cannot use {path} as the database: {error}. See to its folder, its rights and the disk")


def _damaged(path: Path, found: str) -> ArtifactError:
    return ArtifactError(
        f"{path} is damaged or not a database of this program ({' '.join(found.split())}). It was left as it is: "
        f"move it aside and restore a backup (docs/OPERATIONS.md, 'A damaged file'), or start with another --db"
    )
