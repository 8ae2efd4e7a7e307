"""Broad handlers are counted, SQL stays in its room, nothing runs code out of data; and each of these can fail."""

import pytest

from tests.law import rules
from tests.law.tree import module, modules

pytestmark = pytest.mark.law

CORE = modules("core")
SCRIPTS = [*modules("core"), *modules("bench")]


@pytest.mark.covers("D19")
def test_only_three_places_catch_everything() -> None:
    found = [place.partition(":")[0] for place in rules.broad_handlers(CORE)]
    assert sorted(found) == sorted(rules.BROAD_PLACES)


def test_sql_stands_in_the_store_alone() -> None:
    assert list(rules.sql_text(CORE)) == []


@pytest.mark.covers("D19")
def test_nothing_can_run_code_out_of_data() -> None:
    assert list(rules.harmful(SCRIPTS)) == []


@pytest.mark.parametrize("text", [
    "try:\n    f()\nexcept Exception:\n    pass\n",
    "try:\n    f()\nexcept:\n    log()\n",
    "try:\n    f()\nexcept (ValueError, BaseException) as e:\n    print(e)\n",
    "def f():\n    try:\n        g()\n    except BaseException:\n        if a:\n            return 1\n        raise\n",
    "import contextlib\nwith contextlib.suppress(Exception):\n    f()\n",
])
def test_planted_flaw_a_handler_that_swallows_is_caught(text: str) -> None:
    assert len(list(rules.broad_handlers([module("core/engine/toy.py", text)]))) == 1


@pytest.mark.parametrize("text", [
    "try:\n    f()\nexcept ValueError:\n    pass\n",
    "try:\n    f()\nexcept BaseException:\n    undo()\n    raise\n",
])
def test_clean_twin_a_narrow_handler_and_one_that_raises_again_pass(text: str) -> None:
    assert list(rules.broad_handlers([module("core/engine/toy.py", text)])) == []


@pytest.mark.parametrize("text", [
    "x = 'SELECT * FROM signals'\n", "x = f'INSERT INTO {name} VALUES (1)'\n", "x = '''\n  PRAGMA user_version'''\n",
    "def f(con):\n    con.execute(text)\n", "import sqlite3\ncon = sqlite3.connect('x')\n",
])
def test_planted_flaw_sql_outside_its_room_is_caught(text: str) -> None:
    assert list(rules.sql_text([module("core/engine/toy.py", text)]))
    assert list(rules.sql_text([module("core/store/toy.py", text)])) == []


def test_clean_twin_prose_is_not_sql() -> None:
    prose = 'def f():\n    """SELECT is a word of this docstring."""\n    return "Select one, or update it"\n'
    assert list(rules.sql_text([module("core/cli/toy.py", prose)])) == []


@pytest.mark.parametrize("text", [
    "import pickle\n", "from joblib import load\n", "x = eval('1')\n", "exec('x = 1')\n",
    "import yaml\nyaml.load('x')\n",
    "import subprocess\nsubprocess.run('ls', shell=True)\n", "import os\nos.system('ls')\n",
    "import numpy as np\nnp.load('x', allow_pickle=True)\n",
])
def test_planted_flaw_code_out_of_data_is_caught(text: str) -> None:
    assert list(rules.harmful([module("core/engine/toy.py", text)]))


def test_clean_twin_safe_loading_passes() -> None:
    safe = "import json\nimport subprocess\njson.loads('1')\nsubprocess.run(['ls'], shell=False)\nmodel.eval()\n"
    assert list(rules.harmful([module("core/engine/toy.py", safe)])) == []
