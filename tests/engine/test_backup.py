"""`backup`: a checked copy as of one moment, while the daemon writes."""

import hashlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.engine import backup as backups
from core.engine import diff
from core.engine.backup import backup
from core.errors import ArtifactError, ConfigError
from core.store import compare
from core.store.db import Database
from core.store.lock import WriterLock
from tests.engine import copies

BATCH = 7  # rows of each of the writer's transactions


@pytest.fixture
def written(tmp_path: Path) -> Iterator[tuple[Path, threading.Event]]:
    """A database that a thread writes to until the event is set, under the daemon's lock."""
    path, stop, begun = tmp_path / "live.db", threading.Event(), threading.Event()

    def work() -> None:
        with WriterLock(path, "daemon"):
            db, k = Database(path), 0
            while not stop.is_set():
                with db.write() as con:
                    for _ in range(BATCH):
                        k += 1
                        con.execute("INSERT INTO trials (ts, kind, params) VALUES (?, 'x', ?)", (k, _line(k)))
                        con.execute("INSERT INTO audit_log (ts, who, what) VALUES (?, 'x', ?)", (k, _line(k)))
                if k >= 40 * BATCH:
                    begun.set()
            db.close()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(30)
    yield path, stop
    stop.set()
    thread.join()


def _line(k: int) -> str:
    return hashlib.sha256(str(k).encode()).hexdigest() * 8


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.covers("I7", "rule 34")
def test_a_copy_taken_while_the_daemon_writes_is_whole_transactions_to_the_byte(
    written: tuple[Path, threading.Event], tmp_path: Path
) -> None:
    path, _ = written
    for n in range(5):
        found = backup(path, tmp_path / f"copy{n}.db")
        trials = [r[0] for r in copies.ask(found.path, "SELECT params FROM trials ORDER BY id")]
        audits = [r[0] for r in copies.ask(found.path, "SELECT what FROM audit_log ORDER BY id")]
        assert len(trials) == found.tables["trials"] >= 40 * BATCH and len(trials) % BATCH == 0
        assert _digest(trials) == _digest(audits) == _digest([_line(k + 1) for k in range(len(trials))])
        assert found.bytes == found.path.stat().st_size and found.seconds >= 0
    assert sorted(p.name for p in tmp_path.glob("copy*")) == [f"copy{n}.db" for n in range(5)], "nothing else is left"


@pytest.mark.covers("rule 34")
def test_planted_flaw_copying_the_file_alone_loses_what_is_in_the_wal(
    written: tuple[Path, threading.Event], tmp_path: Path
) -> None:
    path, _ = written
    con = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    counts = compare.table_counts(con)
    con.close()
    shutil.copy(path, tmp_path / "cp.db")
    with pytest.raises(ArtifactError):
        compare.verify_copy(tmp_path / "cp.db", counts)


@pytest.mark.covers("I1")
def test_a_backup_is_a_database_to_go_on_with(unbroken: Path, tmp_path: Path) -> None:
    found = backup(unbroken, tmp_path / "b.db")
    assert diff.compare(unbroken, found.path).same
    assert any("MB in" in line for line in found.lines)
    db = Database(found.path)
    assert db.con.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
    assert db.con.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    with db.write() as con:
        con.execute("INSERT INTO audit_log (ts, who, what) VALUES (1, 'x', 'y')")
    db.close()


@pytest.mark.covers("rule 34")
def test_an_existing_target_and_a_missing_folder_are_refused(unbroken: Path, tmp_path: Path) -> None:
    (tmp_path / "there.db").write_text("precious")
    with pytest.raises(ConfigError, match=r"there\.db exists"):
        backup(unbroken, tmp_path / "there.db")
    assert (tmp_path / "there.db").read_text() == "precious"
    with pytest.raises(ConfigError, match="no such folder"):
        backup(unbroken, tmp_path / "no" / "b.db")
    with pytest.raises(ConfigError, match="exists"):
        backup(unbroken, unbroken)
    with pytest.raises(ArtifactError, match="no database at"):
        backup(tmp_path / "none.db", tmp_path / "b.db")
    assert [p.name for p in tmp_path.iterdir()] == ["there.db"]


def _lose_rows(path: Path) -> None:
    copies.edit(path, "DELETE FROM events WHERE signal = 1")


def _flip_page(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        for at in range(size // 2 // 4096 * 4096, size, 4096):
            file.seek(at)
            file.write(b"\xff" * 512)


def _cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


@pytest.mark.covers("rule 34")
@pytest.mark.parametrize("harm", [_lose_rows, _flip_page, _cut])
def test_a_bad_copy_is_found_and_leaves_nothing_behind(
    harm: Any, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = compare.copy_file

    def harmed(con: Any, target: Path) -> dict[str, int]:
        counts = honest(con, target)
        harm(target)
        return counts

    monkeypatch.setattr(backups.compare, "copy_file", harmed)
    with pytest.raises(ArtifactError, match="the copy"):
        backup(unbroken, tmp_path / "b.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.covers("rule 34")
def test_too_little_space_is_said_before_anything_is_written(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(ArtifactError, match="not enough space"):
        backup(unbroken, tmp_path / "b.db")
    assert list(tmp_path.iterdir()) == []
