"""Schema steps: each whole or not at all, a newer file refused, an older one brought up."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ArtifactError
from core.store import migrations
from core.store.db import Database
from tests.store.files import filled

ROOT = Path(__file__).parents[2]
MORE = (("one more column", "ALTER TABLE state ADD COLUMN note TEXT;\nCREATE TABLE extra (a INTEGER) STRICT;\n"),)


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as con:
        found = {r[0] for r in con.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    con.close()
    return found


def version(path: Path) -> int:
    with sqlite3.connect(path) as con:
        found = con.execute("PRAGMA user_version").fetchone()[0]
    con.close()
    return int(found)


def test_a_new_file_gets_every_step_and_a_second_opening_none(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    assert migrations.migrate(db.con) == 0
    db.close()
    assert version(tmp_path / "a.db") == len(migrations.MIGRATIONS)
    assert {"ohlcv", "signals", "positions", "alerts", "job_runs", "gaps", "revisions"} <= tables(tmp_path / "a.db")


def test_an_older_file_keeps_its_rows_and_gets_the_missing_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = filled(tmp_path / "a.db", 50)
    monkeypatch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS + MORE)
    db = Database(path)
    assert db.con.execute("SELECT count(*) FROM ohlcv").fetchone() == (50,)
    assert "extra" in tables(path) and version(path) == len(migrations.MIGRATIONS)
    db.close()


@pytest.mark.covers("D19")
@pytest.mark.parametrize("readonly", [False, True], ids=["writer", "reader"])
def test_a_file_of_a_newer_program_is_refused_and_left_as_it_is(readonly: bool, tmp_path: Path) -> None:
    path = filled(tmp_path / "a.db", 10)
    with sqlite3.connect(path) as con:
        con.execute(f"PRAGMA user_version={len(migrations.MIGRATIONS) + 1}")
    con.close()
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match="update the program"):
        Database(path, readonly=readonly)
    assert path.read_bytes() == before


@pytest.mark.covers("I6")
@pytest.mark.parametrize("statement", [1, 5, 20])
def test_killed_before_its_commit_a_step_leaves_the_old_schema(statement: int, tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib\n"
        "from core.store import migrations\n"
        "from core.store.db import Database\n"
        "honest = migrations._statements\n"
        "def dying(script):\n"
        "    for n, one in enumerate(honest(script)):\n"
        "        if n == int(sys.argv[2]): os.kill(os.getpid(), 9)\n"
        "        yield one\n"
        "migrations._statements = dying\n"
        "Database(pathlib.Path(sys.argv[1]))\n"
    )
    path = tmp_path / "a.db"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(statement)], cwd=ROOT, env={**os.environ}, check=False
    )
    assert done.returncode == -9
    assert version(path) == 0 and tables(path) == set()
    Database(path).close()
    assert version(path) == len(migrations.MIGRATIONS)


@pytest.mark.covers("I6")
def test_a_step_that_fails_undoes_all_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled(tmp_path / "a.db", 10)
    bad = (("bad", "CREATE TABLE extra (a INTEGER) STRICT;\nCREATE TABLE ohlcv (a INTEGER);\n"),)
    monkeypatch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS + bad)
    with pytest.raises(ArtifactError, match="already exists"):
        Database(path)
    assert "extra" not in tables(path) and version(path) == len(migrations.MIGRATIONS) - 1
