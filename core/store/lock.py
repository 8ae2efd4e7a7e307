"""The writer's lock: one process writes, and a second one is told who does (rule 34)."""

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from core.errors import ArtifactError, LockHeld


class WriterLock:
    """An exclusive `flock` on `<database>.lock`, held by an open descriptor.

    The kernel frees it when the process dies, however it dies, so a stale file never blocks a start.
    The file's text names the holder for the message; it is not the lock.
    """

    def __init__(self, db_path: Path, who: str) -> None:
        self._path = lock_path(db_path)
        self._who = who
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises LockHeld that names the holder and the ways on, ArtifactError where no lock can be."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _unusable(self._path, error) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 400, 0).decode("utf-8", "replace")
            os.close(fd)
            raise LockHeld(_refusal(self._path, holder)) from None
        except OSError as error:
            os.close(fd)
            raise _unusable(self._path, error) from error
        self._fd = fd
        with suppress(OSError):  # on a full disk the lock holds all the same, only without a name
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps({"who": self._who, "pid": os.getpid()}).encode(), 0)

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> "WriterLock":
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lock_path(db_path: Path) -> Path:
    """Where the lock of a database lies; two names of one file (a link) have one lock."""
    real = db_path.resolve()
    return real.with_name(real.name + ".lock")


def holder(db_path: Path) -> str | None:
    """Who holds the lock of a database, or None. Never waits, and never takes the lock."""
    try:
        fd = os.open(lock_path(db_path), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named(os.pread(fd, 400, 0).decode("utf-8", "replace"))
    finally:
        os.close(fd)
    return None


def _named(text: str) -> str:
    try:
        seen = json.loads(text)
        return f"{seen['who']} (process {seen['pid']})"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _unusable(path: Path, error: OSError) -> ArtifactError:
    return ArtifactError(f"cannot take the lock {path}: {error.strerror}. See to its folder, its rights and the disk")


def _refusal(path: Path, holder: str) -> str:
    db = path.name.removesuffix(".lock")
    return (
        f"{db} is being written by {_named(holder)}. Stop it first, or work on a copy: "
        f"`python -m core backup copy.db`, then this command with `--db copy.db`"
    )
