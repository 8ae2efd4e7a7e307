"""One writer: a second one is told who holds the file and what to do; a dead one holds nothing."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ArtifactError, LockHeld
from core.store import lock as module
from core.store.lock import WriterLock

ROOT = Path(__file__).parents[2]
HOLDER = (
    "import sys, time, pathlib; from core.store.lock import WriterLock; "
    "WriterLock(pathlib.Path(sys.argv[1]), 'scheduler_run.py').acquire(); print('held', flush=True); time.sleep(60)"
)


def hold(db: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(db)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


@pytest.mark.covers("I7", "rule 34", "D19")
def test_a_second_process_is_refused_with_both_ways_on_and_a_killed_one_frees_the_lock(tmp_path: Path) -> None:
    db = tmp_path / "ohlcv.db"
    process = hold(db)
    try:
        with pytest.raises(LockHeld) as error:
            WriterLock(db, "retro_scan.py").acquire()
        told = str(error.value)
        assert "scheduler_run.py" in told and str(process.pid) in told
        assert "Stop it" in told and "backup" in told and "--db" in told
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with WriterLock(db, "retro_scan.py"):
        assert "retro_scan.py" in (tmp_path / "ohlcv.db.lock").read_text()


@pytest.mark.covers("I7", "rule 34")
def test_within_a_process_too_and_released_means_free(tmp_path: Path) -> None:
    first = WriterLock(tmp_path / "a.db", "one")
    first.acquire()
    with pytest.raises(LockHeld, match="one"):
        WriterLock(tmp_path / "a.db", "two").acquire()
    first.release()
    first.release()
    with WriterLock(tmp_path / "a.db", "two"), pytest.raises(LockHeld, match="two"):
        first.acquire()


@pytest.mark.covers("rule 34")
@pytest.mark.parametrize("text", ["", "x" * 500, '{"who": 1', '["a"]', '{"pid": 1}'])
def test_a_lock_whose_text_says_nothing_still_refuses(text: str, tmp_path: Path) -> None:
    with WriterLock(tmp_path / "a.db", "one"):
        (tmp_path / "a.db.lock").write_text(text)
        with pytest.raises(LockHeld, match="another process"):
            WriterLock(tmp_path / "a.db", "two").acquire()


def test_a_stale_file_blocks_nobody(tmp_path: Path) -> None:
    (tmp_path / "a.db.lock").write_text('{"who": "a dead one", "pid": 1}')
    with WriterLock(tmp_path / "a.db", "two"):
        assert "a dead one" not in (tmp_path / "a.db.lock").read_text()


def test_where_no_lock_file_can_be_the_error_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match=r"cannot take the lock .*a\.db\.lock"):
        WriterLock(tmp_path / "file" / "a.db", "one").acquire()


def test_a_full_disk_leaves_the_lock_nameless_but_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    lock = WriterLock(tmp_path / "a.db", "one")
    lock.acquire()
    with pytest.raises(LockHeld, match="another process"):
        WriterLock(tmp_path / "a.db", "two").acquire()
    lock.release()
    with WriterLock(tmp_path / "a.db", "two"):
        pass


def test_a_disk_that_knows_no_locks_is_named_and_leaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(module.fcntl, "flock", refuse)
        with pytest.raises(ArtifactError, match="No locks available"):
            WriterLock(tmp_path / "a.db", "one").acquire()
    assert len(os.listdir("/proc/self/fd")) <= before
