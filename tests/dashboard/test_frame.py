"""The frame of the dashboard: every page opens, every bad day has a page that says what to do, nothing is written."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.web.server.app_discovery import discover_asgi_app

from core.clock import VirtualClock
from core.config import load
from core.dashboard import app, command, parts, reading, words
from core.dashboard.reading import BEHIND, CONFIG, FINE, STOPPED, NotReady, Source, look
from core.engine import demo, opening
from core.store import candles, migrations, reads
from core.store.db import Database
from core.store.lock import WriterLock
from core.timeframe import HOUR, MINUTE
from tests.conftest import ROOT
from tests.dashboard import rig

PAGES = [entry.path for entry in app.PAGES]


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished demo, only to be read."""
    return rig.demo_db(tmp_path_factory.mktemp("frame"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A copy to break."""
    return rig.demo_db(tmp_path)


def source(db: Path) -> Source:
    return Source(rig.config_for(db), db)


def set_clock(monkeypatch: pytest.MonkeyPatch, now: int) -> None:
    monkeypatch.setattr(opening, "SystemClock", lambda: VirtualClock(now))


def frontier(db: Path) -> int:
    with source(db).read() as ctx:
        return min(known[-1].frontier for known in candles.stretches(ctx.db.con, ctx.exchange_id).values())


# Every page


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_and_says_that_its_market_was_replayed(page: str, db: Path) -> None:
    at = rig.open_page(page, db)
    assert not at.exception, at.exception
    text = rig.words_of(at)
    assert "GENERATED MARKET, not real prices" in text
    assert "GENERATED MARKET" in "\n".join(str(c.value) for c in at.sidebar.caption), "in the sidebar as well"


def test_a_real_market_carries_no_label(own: Path) -> None:
    rig.made_real(own)
    text = rig.words_of(rig.open_page("now", own))
    assert "GENERATED" not in text and "replayed" not in text


def test_the_label_of_recorded_candles_is_theirs(own: Path) -> None:
    rig.sql(own, "DELETE FROM state WHERE key = 'market'",
            "UPDATE state SET value = '\"recorded: x\"' WHERE key = 'virtual_market'")
    assert "REPLAY of recorded candles" in rig.words_of(rig.open_page("now", own))
    assert opening.RECORDED == demo.LABEL_RECORDED and opening.GENERATED == demo.LABEL_GENERATED


def test_the_market_label_that_a_file_remembers_comes_first(own: Path) -> None:
    rig.sql(own, "INSERT OR REPLACE INTO state VALUES ('market', '\"REPLAY of my own\"')")
    assert look(source(own)).label == "REPLAY of my own"


# Bad days


def missing(db: Path) -> None:
    db.unlink()


def no_bytes(db: Path) -> None:
    db.write_bytes(b"")


def no_candles(db: Path) -> None:
    db.unlink()
    Database(db).close()


def older(db: Path) -> None:
    rig.sql(db, f"PRAGMA user_version={len(migrations.MIGRATIONS) - 1}")


def newer(db: Path) -> None:
    rig.sql(db, "PRAGMA user_version=99")


def foreign(db: Path) -> None:
    db.unlink()
    rig.sql(db, "CREATE TABLE candles (x)")


def no_database(db: Path) -> None:
    db.write_bytes(b"certainly no database\n" * 500)


def torn(db: Path) -> None:
    size = db.stat().st_size
    with db.open("r+b") as file:
        for at in range(4096, size, 4096):
            file.seek(at)
            file.write(b"\xa5" * 4096)


def a_folder(db: Path) -> None:
    db.unlink()
    db.mkdir()


BAD_DAYS = [
    (missing, reads.MISSING, ("no database at", "scheduler_run.py", "download_data.py", "make demo")),
    (no_bytes, reads.EMPTY, ("is empty", "scheduler_run.py")),
    (no_candles, reads.EMPTY, ("holds no candles of bitget yet", "import-candles")),
    (older, reads.OLD, ("older version", "Start the daemon once with this version")),
    (newer, reads.NEWER, ("newer version", "Update the program", "has schema 99")),
    (foreign, reads.FOREIGN, ("another program", "Move it aside")),
    (no_database, reads.DAMAGED, ("is damaged", "newest backup")),
    (torn, reads.DAMAGED, ("is damaged", "newest backup")),
    (a_folder, reads.MISSING, ("no database at",)),
]


@pytest.mark.parametrize(("spoil", "kind", "said"), BAD_DAYS, ids=[spoil.__name__ for spoil, _, _ in BAD_DAYS])
def test_a_bad_day_has_a_page_that_says_what_to_do(spoil: Callable[[Path], None], kind: str, said: tuple[str, ...],
                                                   own: Path) -> None:
    spoil(own)
    before = own.read_bytes() if own.is_file() else None
    assert look(source(own)).kind == kind
    at = rig.open_page("now", own)
    assert not at.exception, at.exception
    text = rig.words_of(at)
    for word in said:
        assert word in text, text
    assert (own.read_bytes() if own.is_file() else None) == before, "nothing was repaired, migrated or emptied"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_breaks_on_an_older_schema(page: str, own: Path) -> None:
    older(own)
    at = rig.open_page(page, own)
    assert not at.exception and "Start the daemon once with this version" in rig.words_of(at)


def test_a_mistake_in_the_configuration_is_shown_with_its_line(own: Path) -> None:
    config = rig.config_for(own)
    config.write_text(config.read_text() + "simbols: [x]\n")
    at = rig.open_page("now", own)
    text = rig.words_of(at)
    assert not at.exception and look(source(own)).kind == CONFIG
    assert "simbols" in text and "check-config" in text


def test_a_file_locked_by_another_tool_is_told_soon_and_not_as_damaged(own: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.store.db.BUSY_SECONDS", 0.05)
    rig.sql(own, "PRAGMA journal_mode=DELETE")
    holder = sqlite3.connect(own, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        assert look(source(own)).kind == reads.UNREADABLE
        assert "cannot be read now" in rig.words_of(rig.open_page("now", own))
    finally:
        holder.close()
    assert look(source(own)).kind == STOPPED


def test_a_file_that_breaks_between_two_looks_is_told_in_the_part_that_notices(own: Path) -> None:
    with pytest.raises(NotReady) as told, source(own).read():
        raise sqlite3.DatabaseError("database disk image is malformed")
    assert told.value.state.kind == reads.DAMAGED and "newest backup" in told.value.state.what_to_do


def test_a_file_without_a_daemon_says_how_to_start_it(own: Path) -> None:
    rig.made_real(own)
    state = look(source(own))
    assert state.kind == STOPPED and not state.blocks
    text = rig.words_of(rig.open_page("now", own))
    assert "The daemon is not running" in text and "python scheduler_run.py" in text and "2024-01-05 05:59Z" in text


def test_another_writer_is_not_taken_for_the_daemon(own: Path) -> None:
    rig.made_real(own)
    with WriterLock(own, "download_data.py"):
        state = look(source(own))
    assert state.kind == STOPPED and "download_data.py (process" in state.sentence


@pytest.mark.parametrize(("minutes", "kind"), [(1, FINE), (4, FINE), (6, BEHIND), (600, BEHIND)])
def test_a_daemon_is_behind_when_its_last_minute_is_old(minutes: int, kind: str, own: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    rig.made_real(own)
    set_clock(monkeypatch, frontier(own) + minutes * MINUTE)
    with WriterLock(own, "scheduler_run.py"):
        state = look(source(own))
        text = rig.words_of(rig.open_page("now", own))
    assert state.kind == kind and state.age == minutes * MINUTE
    assert ("behind" in text and "catches up by itself" in text) == (kind == BEHIND)
    assert (":red[" in text) == (kind == BEHIND), "late is red"


def test_behind_because_the_exchange_is_away_says_so(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.made_real(own)
    since = frontier(own) + MINUTE
    rig.sql(own, f"INSERT OR REPLACE INTO state VALUES ('exchange_down_since', '{since}')")
    set_clock(monkeypatch, since + HOUR)
    with WriterLock(own, "scheduler_run.py"):
        state = look(source(own))
    assert "the exchange has not answered since 2024-01-05 06:01Z" in state.sentence
    assert "Nothing has to be done" in state.what_to_do


def test_the_first_minutes_of_a_daemon_are_no_error(own: Path) -> None:
    no_candles(own)
    with WriterLock(own, "scheduler_run.py"):
        text = rig.words_of(rig.open_page("now", own))
    assert "first candles are on their way" in text


def test_a_page_that_waited_comes_to_life_when_the_file_does(own: Path) -> None:
    kept = own.read_bytes()
    own.unlink()
    at = rig.open_page("now", own)
    assert "no database at" in rig.words_of(at)
    own.write_bytes(kept)
    at.run()
    assert "Waiting for entry" in rig.words_of(at)


def test_a_replay_that_stands_still_is_no_alarm(db: Path) -> None:
    state = look(source(db))
    assert state.kind == STOPPED and state.label and state.age is not None and state.age < MINUTE
    assert "--demo" in state.what_to_do and str(db) in state.what_to_do


# Read-only, and short


def test_a_look_cannot_write(own: Path) -> None:
    with source(own).read() as ctx, pytest.raises(sqlite3.OperationalError, match="readonly"):
        ctx.db.con.execute("DELETE FROM signals")


def test_nothing_stays_open_between_two_looks(own: Path) -> None:
    rig.open_page("now", own)
    rig.open_page("system", own)
    open_files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                  if os.path.exists(f"/proc/self/fd/{fd}")]
    assert [name for name in open_files if name.startswith(str(own))] == []


def test_a_look_sees_one_moment_and_the_writer_goes_on_meanwhile(own: Path) -> None:
    writer = Database(own)
    with source(own).read() as ctx:
        before = ctx.db.con.execute("SELECT count(*) FROM audit_log").fetchone()
        with writer.write() as con:
            con.execute("INSERT INTO audit_log (ts, who, what) VALUES (1, 'x', 'y')")
        assert ctx.db.con.execute("SELECT count(*) FROM audit_log").fetchone() == before
    assert writer.checkpoint()[0] == 0, "once the look has ended, nothing keeps the WAL from being cut"
    writer.close()


def test_the_stamp_changes_with_what_is_written_and_only_then(own: Path) -> None:
    stamp = source(own).stamp()
    assert source(own).stamp() == stamp
    look(source(own))
    writer = Database(own)
    with writer.write() as con:
        con.execute("INSERT INTO audit_log (ts, who, what) VALUES (1, 'x', 'y')")
    assert source(own).stamp() != stamp
    writer.close()


def test_the_configuration_is_read_again_only_when_it_changed(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Path] = []
    monkeypatch.setattr(reading, "load", lambda path, registry: loads.append(path) or load(path, registry))
    here = source(own)
    assert here.settings() is here.settings() and len(loads) == 1
    os.utime(here.config, (1, 1))
    here.settings()
    assert len(loads) == 2


# Doors and parts


def test_run_by_itself_the_script_says_how_it_is_started() -> None:
    ran = subprocess.run([sys.executable, str(ROOT / "dashboard.py")], capture_output=True, text=True, check=False)
    assert ran.returncode == 2 and "streamlit run dashboard.py -- --db" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_streamlit_finds_the_app_that_loads_before_it_answers() -> None:
    found = discover_asgi_app(ROOT / "dashboard.py")
    assert found.is_asgi_app and found.app_name == "app"


def test_a_wrong_option_is_told_on_the_page() -> None:
    with pytest.raises(command.WrongUsage, match="--bd"):
        command.source(["--bd", "x"])


def test_the_command_line_names_the_configuration_and_the_database() -> None:
    assert command.source([]) == Source(Path("config.yaml"), None)
    assert command.source(["--config", "c.yaml", "--db", "x.db"]) == Source(Path("c.yaml"), Path("x.db"))


def test_the_server_answers_this_machine_only_and_tells_nobody() -> None:
    text = (ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    for line in ('address = "127.0.0.1"', "gatherUsageStats = false", 'showErrorDetails = "none"'):
        assert line in text, line


def test_tables_keep_numbers_as_numbers_and_exports_carry_whole_values() -> None:
    rows = [{"t": 1_700_000_000_123, "r": 1.5, "n": 3, "s": None, "f": 1, "d": 61_000},
            {"t": None, "r": None, "n": None, "s": "x", "f": None, "d": None}]
    columns = [words.Column("t", "T", "time"), words.Column("r", "R", "r"), words.Column("n", "N", "count"),
               words.Column("s", "S"), words.Column("f", "F", "flag"), words.Column("d", "D", "span")]
    frame = parts._frame(rows, columns)
    assert str(frame["t"].dtype).startswith("datetime64[") and "UTC" in str(frame["t"].dtype)
    assert frame["r"].dtype == "float64" and list(frame["s"]) == ["–", "x"] and list(frame["d"]) == ["1m 1s", "–"]
    assert parts._frame([], columns).shape == (0, 6)
    exported = parts._csv(rows, columns).decode().splitlines()
    assert exported[0] == "t,r,n,s,f,d" and exported[1].startswith("2023-11-14T22:13:20.123000+00:00,1.5,")


def test_formats_are_as_people_read_them() -> None:
    assert words.r(1.5) == "+1.50R" and words.pct(-0.004) == "0.00%" and words.usd(-1234.5) == "-1,234.50 USD"
    assert words.usd(0.001) == "0.00 USD" and words.share(0.364) == "36%" and words.size(5 * 2**20) == "5 MB"
    assert words.ago(10_000, 8_000) == "2s ago" and words.ago(0, 3_600_000) == "in 1h"
    assert words.coin("BTC/USDT:USDT") == "BTC" and words.coin("BTC/USD:BTC") == "BTC/USD:BTC"
    empty = (words.r(None), words.pct(None), words.usd(None), words.count(None), words.span(None), words.when(None),
             words.price(None, 0.1), words.size(None), words.share(None), words.ago(1, None))
    assert set(empty) == {words.NONE}
