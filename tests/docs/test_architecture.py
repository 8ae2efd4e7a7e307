"""docs/ARCHITECTURE.md is held to the code: its list of files, its layers, its table of invariants."""

import re
from itertools import pairwise

import pytest

from tests.conftest import ROOT
from tests.docs import filelist, pages
from tests.law import covers, rules
from tests.law.tree import module

pytestmark = pytest.mark.law

TEXT = pages.text_of(filelist.PAGE)


def test_the_list_of_files_is_that_of_the_files() -> None:
    listed = TEXT.partition(filelist.BEGIN)[2].partition(filelist.END)[0]
    assert listed == filelist.listed(), "write it anew: python -m tests.docs.filelist"


def test_every_file_says_what_it_is_for() -> None:
    every = [path for _, files in filelist.groups(ROOT) for path in files]
    there = [p for p in (ROOT / "core").rglob("*.py") if "__pycache__" not in p.parts]
    assert sorted(every) == sorted([*ROOT.glob("*.py"), *there])
    assert [path.name for path in every if len(filelist.purpose(path)) < 10] == []


def test_the_layers_drawn_are_the_layers_held() -> None:
    drawn = TEXT.partition("## Who may import whom")[2].partition("\n```\n")[2].partition("\n```")[0].splitlines()[1:]
    rooms = set(rules.RANK)
    rows = [rooms & {*re.split(r"  +", line)[:2], *re.findall(r"^\w+", line)} for line in drawn]
    seen = [row for row in rows if row]
    for above, below in pairwise(seen):
        assert max(rules.RANK[room] for room in below) < min(rules.RANK[room] for room in above), (above, below)
    assert {room for row in seen for room in row} >= {"cli", "engine", "store", "meta", "notify", "trades", "signals",
                                                     "market", "config"}


def test_each_invariant_names_tests_that_name_it() -> None:
    rows = re.findall(r"^\| (I\d) \|.*\| ([^|]+) \|$", TEXT, re.MULTILINE)
    assert [name for name, _ in rows] == list(covers.INVARIANTS)
    for name, held in rows:
        for path in re.findall(r"`([^`]+)`", held):
            text = (ROOT / path).read_text(encoding="utf-8")
            assert name in covers.covered([module(path, text)]), f"{path} does not name {name}"


def test_planted_flaw_a_file_that_is_not_listed_is_seen() -> None:
    assert filelist.renewed(TEXT) == TEXT or filelist.listed() not in TEXT
    less = TEXT.replace("- `core/clock.py` ", "")
    assert less != TEXT and filelist.renewed(less) != less
