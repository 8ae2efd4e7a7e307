"""One file, one writer: transactions whole or not at all, faults named, nothing of somebody else's touched."""

import resource
import sqlite3
import threading
from pathlib import Path

import pytest

from core.errors import ArtifactError
from core.store import candles
from core.store.db import Database, check_file, version_warning
from tests.store.files import EX, SYM, T0, M, add, filled, full_disk


def count(db: Database) -> int:
    return int(db.con.execute("SELECT count(*) FROM ohlcv").fetchone()[0])


@pytest.mark.covers("I6")
def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    db = Database(filled(tmp_path / "a.db", 10))
    with pytest.raises(ZeroDivisionError), db.write() as con:
        add(con, 10, 20)
        raise ZeroDivisionError
    assert count(db) == 10 and candles.stretches(db.con, EX)[SYM][0].frontier == T0 + 10 * M
    with db.write() as con:
        add(con, 10, 20)
    assert count(db) == 20
    db.close()


def test_a_savepoint_that_fails_undoes_its_part_alone(tmp_path: Path) -> None:
    db = Database(filled(tmp_path / "a.db", 10))
    with db.write() as con:
        add(con, 10, 11)
        with pytest.raises(ZeroDivisionError), db.savepoint():
            add(con, 11, 20)
            raise ZeroDivisionError
        with db.savepoint():
            add(con, 11, 12)
    assert count(db) == 12
    db.close()


def test_effects_are_synced_and_candles_need_not_be(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with db.write() as con:
        assert con.execute("PRAGMA synchronous").fetchone() == (2,)
        assert con.in_transaction
    with db.write(durable=False) as con:
        assert con.execute("PRAGMA synchronous").fetchone() == (1,)
    with db.write() as con:
        assert con.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.con.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.con.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert db.con.execute("PRAGMA foreign_keys").fetchone() == (1,)
    db.close()


@pytest.mark.covers("D19")
def test_every_write_takes_the_write_lock_at_once(tmp_path: Path) -> None:
    # A deferred transaction that reads first fails later, whatever the timeout.
    path = filled(tmp_path / "a.db", 10)
    db, other = Database(path), sqlite3.connect(path, timeout=0, isolation_level=None)
    with db.write() as con:
        con.execute("SELECT count(*) FROM ohlcv").fetchone()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.close()
    db.close()


@pytest.mark.covers("I6")
def test_a_full_disk_loses_nothing_and_work_goes_on_when_it_is_lifted(tmp_path: Path) -> None:
    db = Database(filled(tmp_path / "a.db", 3000))
    with full_disk(db):
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match="full"), db.write() as con:
                add(con, 3000, 9000)
        assert not db.con.in_transaction and count(db) == 3000
        assert candles.stretches(db.con, EX)[SYM][0].frontier == T0 + 3000 * M
    with db.write() as con:
        add(con, 3000, 9000)
    assert count(db) == 9000 and db.con.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


@pytest.mark.covers("I6")
def test_a_disk_that_fills_up_at_the_commit_leaves_no_open_transaction(tmp_path: Path) -> None:
    # The rows fit into memory; writing them out at COMMIT is what fails (a limit on the file's size stands in).
    db = Database(filled(tmp_path / "a.db", 3000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
        with pytest.raises(sqlite3.OperationalError), db.write() as con:
            add(con, 3000, 4000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not db.con.in_transaction, "else every later write would fail for good"
    with db.write() as con:
        add(con, 3000, 4000)
    assert count(db) == 4000 and db.con.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def broken_header(data: bytearray) -> bytes:
    return b"This is not a database at all. " * 300


def random_bytes(data: bytearray) -> bytes:
    return bytes((i * 7919 + i // 251) % 256 for i in range(40_960))


def zeroed_page(data: bytearray) -> bytes:
    page = len(data) // 4096 // 2
    data[page * 4096 : (page + 1) * 4096] = bytes(4096)
    return bytes(data)


def cut_short(data: bytearray) -> bytes:
    return bytes(data[: len(data) // 2 - 100])


@pytest.mark.covers("D19")
@pytest.mark.parametrize("damage", [broken_header, random_bytes, zeroed_page, cut_short])
@pytest.mark.parametrize("readonly", [False, True], ids=["writer", "reader"])
def test_a_damaged_file_is_refused_by_name_and_left_as_it_is(damage: object, readonly: bool, tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db")
    path.write_bytes(damage(bytearray(path.read_bytes())))  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match=r"a\.db is damaged or not a database.*restore a backup"):
        db = Database(path, readonly=readonly)
        try:
            check_file(db)
        finally:
            db.close()
    assert path.read_bytes() == before


def test_a_healthy_file_passes_the_check(tmp_path: Path) -> None:
    db = Database(filled(tmp_path / "a.db"))
    check_file(db)
    db.close()


@pytest.mark.covers("D19")
@pytest.mark.parametrize("readonly", [False, True], ids=["writer", "reader"])
def test_the_database_of_another_program_is_refused_and_not_touched(readonly: bool, tmp_path: Path) -> None:
    path = tmp_path / "ohlcv.db"
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE ohlcv (exchange TEXT, symbol TEXT, tf TEXT, ts_ms INTEGER)")
    con.close()
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match="another program"):
        Database(path, readonly=readonly)
    assert path.read_bytes() == before and not (tmp_path / "ohlcv.db-wal").exists()


@pytest.mark.parametrize("readonly", [False, True], ids=["writer", "reader"])
def test_a_path_that_cannot_hold_a_database_is_a_clear_error(readonly: bool, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "folder", tmp_path / "file" / "a.db"):
        with pytest.raises(ArtifactError) as error:
            Database(path, readonly=readonly)
        assert str(path) in str(error.value)


@pytest.mark.covers("I7")
def test_a_reader_can_never_write(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db", 100)
    before = path.read_bytes()
    db = Database(path, readonly=True)
    assert count(db) == 100
    for statement in ("DELETE FROM ohlcv", "CREATE TABLE x (y)", "INSERT INTO state VALUES ('a', '1')"):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.con.execute(statement)
    with pytest.raises(sqlite3.OperationalError), db.write():
        pass
    db.close()
    assert path.read_bytes() == before


def test_a_reader_of_no_database_is_told_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="init-db"):
        Database(tmp_path / "none.db", readonly=True)
    assert list(tmp_path.iterdir()) == []


def test_a_path_with_odd_characters_is_read(tmp_path: Path) -> None:
    path = filled(tmp_path / "a b?c#d%20.db", 10)
    db = Database(path, readonly=True)
    assert count(db) == 10
    db.close()


@pytest.mark.covers("I7")
def test_a_reader_that_holds_a_snapshot_stops_nobody_and_the_checkpoint_says_so(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db", 10)
    db, reader = Database(path), Database(path, readonly=True)
    db.con.execute("PRAGMA busy_timeout=0")
    reader.con.execute("BEGIN")
    assert count(reader) == 10
    for n in range(10, 30):
        with db.write() as con:
            add(con, n, n + 1)
    assert count(db) == 30 and count(reader) == 10
    assert db.checkpoint()[0] == 1, "busy"
    reader.con.execute("COMMIT")
    assert db.checkpoint()[0] == 0 and path.with_name("a.db-wal").stat().st_size == 0
    assert count(reader) == 30
    reader.close()
    db.close()


def test_space_is_given_back_in_steps(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db", 20_000)
    db = Database(path)
    with db.write() as con:
        con.execute("DELETE FROM ohlcv WHERE ts >= ?", (T0 + 100 * M,))
    size = path.stat().st_size
    db.give_back_space()
    db.checkpoint()
    assert path.stat().st_size < size / 2
    db.close()


def test_threads_share_the_connection_one_transaction_at_a_time(tmp_path: Path) -> None:
    db = Database(filled(tmp_path / "a.db", 1))

    def work(k: int) -> None:
        for i in range(20):
            with db.write(durable=False) as con:
                con.execute("INSERT INTO state VALUES (?, '1')", (f"{k}:{i}",))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert db.con.execute("SELECT count(*) FROM state").fetchone() == (80,)
    db.close()


@pytest.mark.parametrize(
    ("version", "warned"),
    [
        ((3, 40, 1), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 44, 6), False),
        ((3, 50, 7), False),
        ((3, 53, 0), False),
    ],
)
def test_the_sqlite_with_the_wal_reset_bug_is_named(version: tuple[int, int, int], warned: bool) -> None:
    assert bool(version_warning(version)) is warned


@pytest.mark.parametrize(
    "row",
    [
        (T0, 1, 0.5, 0.5, 1, 1),
        (T0, 1, 2, 1.5, 1, 1),
        (T0, 0, 0, 0, 0, 1),
        (T0, -1, 1, -1, 1, 1),
        (T0, 1, 1, 1, 1, -1),
        (T0 + 17_000, 1, 1, 1, 1, 1),
        (T0, 1, float("inf"), 1, 1, 1),
        (T0, 1, float("nan"), 1, 1, 1),
        (T0, 1, 1, 1, 1, float("nan")),
    ],
    ids=["high too low", "low too high", "zero", "negative", "volume", "grid", "inf", "nan", "nan volume"],
)
def test_the_second_wall_takes_no_impossible_candle(row: tuple[float, ...], tmp_path: Path) -> None:
    db = Database(filled(tmp_path / "a.db", 0))
    with pytest.raises(sqlite3.IntegrityError), db.write() as con:
        con.execute("INSERT INTO ohlcv (series, ts, open, high, low, close, volume) VALUES (1, ?, ?, ?, ?, ?, ?)", row)
    db.close()
