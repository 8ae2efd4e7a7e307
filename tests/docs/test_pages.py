"""Every page: links lead somewhere, files and commands exist, keys are keys, and what comes later is not there yet."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli import parsers
from core.config import Config
from core.config.binder import dotted_keys
from core.signals.setups import REGISTRY
from tests.conftest import ROOT
from tests.docs import pages

pytestmark = pytest.mark.law

IDS = [page.relative_to(ROOT).as_posix() for page in pages.PAGES]
README = pages.text_of(ROOT / "README.md")

# Named on purpose though not there: the earlier program's scripts, and what the next steps bring.
EARLIER = {"init_db.py", "scan_signals.py", "db_inspect.py", "analyze_results.py", "maintenance.py"}
LATER: set[str] = set()
LATER_COMMANDS = {"restore", "doctor"}
LATER_TARGETS = {"reliability"}
# Streamlit runs this one; by itself it only says so.
DASHBOARD = "dashboard.py"
SCRIPTS = sorted(p.name for p in ROOT.glob("*.py") if p.name != DASHBOARD)
# What running the program makes.
MADE = {"data/ohlcv.db", "data/demo.db", "data/reports", "models/meta"}


@pytest.mark.parametrize("page", pages.PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in pages.links(pages.text_of(page)):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = page if not path else (page.parent / path)
        if not file.exists() or (anchor and anchor not in pages.anchors(pages.text_of(file))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", pages.PAGES, ids=IDS)
def test_no_page_names_a_file_that_does_not_exist(page: Path) -> None:
    known = EARLIER | LATER | MADE
    found = {name for name in pages.files(pages.text_of(page)) if name not in known}
    missing = {name for name in found if not any((base / name).exists() for base in (ROOT, page.parent))}
    assert {name for name in missing if not name.startswith(("/", "../shared"))} == set()


def test_what_comes_later_is_not_there_yet_and_what_was_earlier_has_gone() -> None:
    assert {name for name in EARLIER | LATER if (ROOT / name).exists()} == set()
    assert {name for name in LATER_COMMANDS if name in parsers.COMMANDS} == set()


@pytest.mark.parametrize("page", pages.PAGES, ids=IDS)
def test_every_small_command_named_exists(page: Path) -> None:
    named = re.findall(r"python -m core ([a-z][a-z-]*)", pages.text_of(page))
    later = LATER_COMMANDS if page.parent.name == "models" else set()
    assert set(named) - set(parsers.COMMANDS) - later == set()


def test_every_door_and_small_command_stands_in_the_readme() -> None:
    for name in parsers.COMMANDS:
        assert re.search(rf"python -m core {name}[ `]", README), name
    for door in SCRIPTS:
        assert f"`python {door}`" in README, door
    assert sorted(f"{door}.py" for door in parsers.DOORS if door != "core") == SCRIPTS
    assert f"`streamlit run {DASHBOARD}`" in README


@pytest.mark.parametrize("door", [*SCRIPTS, DASHBOARD])
def test_every_door_answers_help_as_a_script(door: str) -> None:
    ran = subprocess.run([sys.executable, str(ROOT / door), "--help"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and f"python {door}" in ran.stdout and "examples:" in ran.stdout


def test_options_that_the_readme_names_exist() -> None:
    known = {name for build in parsers.DOORS for name in _options(parsers.build(build))}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", pages.prose(README)))
    assert named - known == set()


def _options(parser: object) -> set[str]:
    found = set()
    for action in parser._actions:  # type: ignore[attr-defined]
        found |= set(action.option_strings)
        for child in (action.choices or {}).values() if isinstance(action.choices, dict) else ():
            found |= _options(child)
    return found


def test_make_targets_named_exist_and_work_on_something_that_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in pages.PAGES:
        named = set(re.findall(r"`?make ([a-z][a-z-]+)`", pages.text_of(page)))
        assert named <= targets, page


def test_the_readmes_test_command_is_what_the_gate_runs() -> None:
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in README.partition("\n## ")[0], "the first screen says how to test"
    assert re.search(r"^step make check$", gate, re.MULTILINE) and re.search(r"^step make test$", gate, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^test:.*\n\t\$\(PY\) -m pytest", makefile, re.MULTILINE)


def test_the_first_screen_says_what_it_is_and_what_one_sees() -> None:
    first = README.partition("\n## ")[0]
    for words in ("make demo", "make test", "GENERATED MARKET", "not real prices", "planted edge",
                  "Not financial advice", "no edge"):
        assert words in first, words
    assert first.index("make demo") < 1200, "the two commands come before everything else"


@pytest.mark.parametrize("phrase", ["Outdated history", "Missing data fillup", "warming up", "Telegram is silent",
                                    "No signals", "WAL", "clock is off", "exchange is away", "is being written by"])
def test_troubleshooting_uses_the_words_people_search_for(phrase: str) -> None:
    assert phrase in README.partition("## Troubleshooting")[2].partition("\n## ")[0]


def config_keys() -> set[str]:
    setups = {f"signals.setups.{name}" for name in REGISTRY}
    own = {key for name in REGISTRY for key in dotted_keys(REGISTRY[name].params, f"signals.setups.{name}")}
    return {*dotted_keys(Config), *setups, *own}


@pytest.mark.parametrize("page", pages.PAGES, ids=IDS)
def test_every_key_of_the_configuration_that_a_page_names_exists(page: Path) -> None:
    keys = config_keys()
    sections = {key.partition(".")[0] for key in keys} - {"data"}
    named = {piece for piece in pages.code(pages.text_of(page))
             for piece in re.findall(r"(?<![\w./-])[a-z_]+(?:\.[a-z_0-9]+)+(?![\w(/-])", piece)}
    wrong = {name for name in named if name.partition(".")[0] in sections and name not in keys
             and not name.endswith((".py", ".md", ".id", ".n")) and not name.startswith(("signals.id", "models.py"))}
    # Rules name a key by its last parts where the section is clear.
    assert {name for name in wrong if not any(key.endswith(f".{name}") for key in keys)} == set()


def test_commands_in_the_readmes_blocks_are_ones_that_exist() -> None:
    for block in pages.blocks(README):
        for line in block.splitlines():
            words = line.partition("#")[0].split()
            if words[:1] == ["python"] and words[1] != "-m":
                assert (ROOT / words[1]).exists(), line
            if words[:1] == ["make"]:
                assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8"), line


def test_the_words_of_the_excerpt_are_the_words_of_the_alerts() -> None:
    excerpt = next(block for block in pages.blocks(README) if "GENERATED MARKET" in block)
    words = (ROOT / "core" / "notify" / "messages.py").read_text(encoding="utf-8")
    for said in ("Valid until", "Ungated: ", "no model yet", "Evidence: ", "Funding not fully known yet", "CLOSED"):
        assert said in words and said in excerpt, said
