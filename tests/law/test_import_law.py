"""Imports run down only, pure rooms reach nothing, and each of these tests can fail."""

import pytest

from tests.law import rules
from tests.law.tree import imports, module, modules

pytestmark = pytest.mark.law

CORE = modules("core")


def test_imports_run_down_only() -> None:
    assert list(rules.wrong_direction(CORE)) == []


def test_no_module_imports_our_package_inside_a_function() -> None:
    assert list(rules.inner_imports(CORE)) == []


def test_no_two_rooms_import_each_other() -> None:
    assert rules.cycles(CORE) == []


def test_pure_rooms_reach_no_file_socket_sql_or_clock() -> None:
    assert list(rules.impure(CORE)) == []
    assert sum(rules.is_pure(m.path) for m in CORE) > 25


def test_the_machines_time_is_read_in_one_file_and_chance_has_a_seed() -> None:
    assert list(rules.clock_and_chance(CORE)) == []


def test_what_pages_show_is_made_without_streamlit_files_and_sql() -> None:
    assert list(rules.reaching_views(CORE)) == []
    assert sum(m.path.startswith(rules.VIEWS) for m in CORE) > 5


def test_heavy_packages_load_where_they_are_used_and_streamlit_in_the_dashboard_alone() -> None:
    assert list(rules.heavy_at_the_top(CORE)) == []
    assert any(name == "streamlit" for m in CORE if m.room == "dashboard" for _, name in imports(m))


@pytest.mark.parametrize("text", ["import streamlit as st\n", "import pandas as pd\n", "import sqlite3\n",
                                  "from pathlib import Path\n", "def f():\n    import streamlit\n"])
def test_planted_flaw_a_view_that_draws_or_reads_is_caught(text: str) -> None:
    assert list(rules.impure([module("core/dashboard/views/toy.py", text)]))
    assert list(rules.impure([module("core/dashboard/pages/toy.py", text)])) == []


@pytest.mark.parametrize("text", ["from core.store.reads import now\n", "from core.dashboard import parts\n",
                                  "from core.clock import SystemClock\n", "from core.dashboard.pages import now\n"])
def test_planted_flaw_a_view_that_fetches_is_caught(text: str) -> None:
    assert len(list(rules.reaching_views([module("core/dashboard/views/toy.py", text)]))) == 1
    assert list(rules.reaching_views([module("core/dashboard/pages/toy.py", text)])) == []


def test_clean_twin_a_view_of_figures_and_plain_rows_passes() -> None:
    text = ("import numpy as np\nfrom datetime import datetime\nfrom core.dashboard import theme\n"
            "from core.store.reads.trades import Row\n")
    view = [module("core/dashboard/views/toy.py", text)]
    assert list(rules.impure(view)) == [] and list(rules.reaching_views(view)) == []
    assert list(rules.heavy_at_the_top(view)) == []


@pytest.mark.parametrize(("path", "text"), [
    ("core/cli/toy.py", "import streamlit as st\n"), ("core/cli/toy.py", "def f():\n    import streamlit\n"),
    ("core/cli/toy.py", "def f():\n    import streamlit_echarts\n"),
    ("core/engine/toy.py", "import pandas as pd\n"), ("core/meta/toy.py", "from sklearn import metrics\n"),
    ("core/notify/toy.py", "import telegram\n"), ("core/dashboard/toy.py", "import ccxt\n"),
])
def test_planted_flaw_a_heavy_import_at_the_top_is_caught(path: str, text: str) -> None:
    assert list(rules.heavy_at_the_top([module(path, text)]))


@pytest.mark.parametrize(("path", "text"), [
    ("core/market/toy.py", "def f():\n    import pandas\n"), ("core/dashboard/toy.py", "import streamlit\n"),
    ("core/dashboard/pages/toy.py", "import pandas as pd\n"),
])
def test_clean_twin_a_heavy_import_where_it_is_used_passes(path: str, text: str) -> None:
    assert list(rules.heavy_at_the_top([module(path, text)])) == []


UPHILL = [
    ("core/signals/toy.py", "from core.config import load\n", "the configuration stops at the engine"),
    ("core/market/toy.py", "from core.config.schema import Config\n", "the configuration stops at the engine"),
    ("core/store/toy.py", "from core.engine import tick\n", "imports run down only"),
    ("core/trades/toy.py", "import core.store.db\n", "imports run down only"),
    ("core/signals/toy.py", "from core.market.source import Contract\n", "imports run down only"),
    ("core/notify/toy.py", "from ..store.db import Database\n", "imports run down only"),
    ("core/notify/toy.py", "from core.trades.results import legs\n", "alerts are made from rows"),
    ("core/clock.py", "from core import timeframe\n", "imports run down only"),
    ("core/surprise/toy.py", "from core.errors import DataError\n", "a room without a place"),
]


@pytest.mark.parametrize(("path", "text", "why"), UPHILL)
def test_planted_flaw_an_import_that_runs_up_is_caught(path: str, text: str, why: str) -> None:
    found = list(rules.wrong_direction([module(path, text)]))
    assert len(found) == 1 and why in found[0], found


@pytest.mark.parametrize(("path", "text"), [
    ("core/engine/toy.py", "from core.config import Config\nfrom core.store.db import Database\n"),
    ("core/store/toy.py", "from core.notify.delivery import Alert\nfrom core import timeframe\n"),
    ("core/trades/toy.py", "from core.signals.params import Costs\n"),
])
def test_clean_twin_an_import_that_runs_down_passes(path: str, text: str) -> None:
    assert list(rules.wrong_direction([module(path, text)])) == []


def test_planted_flaw_a_lazy_import_of_our_own_is_caught_and_a_foreign_one_passes() -> None:
    lazy = module("core/engine/toy.py", "def f():\n    from core.store import db\n    import numba\n")
    assert len(list(rules.inner_imports([lazy]))) == 1
    assert list(rules.inner_imports([module("core/engine/toy.py", "from core.store import db\n")])) == []


def test_planted_flaw_a_knot_of_three_rooms_is_caught() -> None:
    knot = [module("core/a/x.py", "import core.b.x\n"), module("core/b/x.py", "import core.c.x\n"),
            module("core/c/x.py", "from core.a import x\n")]
    assert rules.cycles(knot) == ["a -> b -> c -> a"]
    assert rules.cycles(knot[:2]) == []


@pytest.mark.parametrize("text", [
    "import sqlite3\n", "import socket\n", "import os\n", "from pathlib import Path\n", "import time\n",
    "from datetime import datetime\n", "import random\n", "import logging\n", "import asyncio\n", "import pandas\n",
    "def f(x):\n    return open(x)\n", "import numpy as np\nx = np.load('x.npy')\n", "def f():\n    import scipy\n",
])
def test_planted_flaw_a_pure_room_that_reaches_out_is_caught(text: str) -> None:
    assert list(rules.impure([module("core/signals/toy.py", text)]))
    assert list(rules.impure([module("core/meta/toy.py", text)])) or "scipy" in text
    assert list(rules.impure([module("core/engine/toy.py", text)])) == []


@pytest.mark.parametrize("text", [
    "import time\n", "from datetime import datetime\nx = datetime.now()\n",
    "import datetime\nx = datetime.date.today()\n",
    "import random\nx = random.random()\n", "import random\nx = random.Random()\n",
    "import numpy as np\nx = np.random.default_rng()\n", "import numpy as np\nx = np.random.normal()\n",
    "import os\nx = os.urandom(4)\n", "import uuid\n",
])
def test_planted_flaw_time_or_chance_from_the_machine_is_caught(text: str) -> None:
    assert list(rules.clock_and_chance([module("core/engine/toy.py", text)]))


def test_clean_twin_a_seeded_generator_and_the_clocks_own_file_pass() -> None:
    seeded = "import random\nimport numpy as np\na, b = random.Random(7), np.random.default_rng(seed=7)\n"
    assert list(rules.clock_and_chance([module("core/market/toy.py", seeded)])) == []
    assert list(rules.clock_and_chance([module("core/clock.py", "import time\nx = time.time()\n")])) == []
