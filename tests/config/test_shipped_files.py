"""config.yaml, the lock and the lists of packages are held to the code."""

import ast
import re
import sys

import pytest
from yaml.nodes import MappingNode

from core.config import Config, defaults, load, loads, yamltext
from core.config.binder import dotted_keys
from core.signals.setups import REGISTRY
from tests.conftest import ROOT

pytestmark = pytest.mark.law

TEXT = (ROOT / "config.yaml").read_text(encoding="utf-8")
LINES = TEXT.splitlines()
DEFAULTS = defaults(REGISTRY)


def written(node, key=""):
    """Every dotted key of the file with the line number (from 0) of its name and of the end of its value."""
    for name, child in node.value:
        dotted = f"{key}.{name.value}" if key else name.value
        if isinstance(child, MappingNode) and child.value:
            below = list(written(child, dotted))
            yield dotted, name.start_mark.line, below[-1][2]
            yield from below
        else:
            yield dotted, name.start_mark.line, child.end_mark.line


WRITTEN = list(written(yamltext.parse(TEXT, "config.yaml")))


def test_the_shipped_file_loads_and_holds_the_defaults():
    assert load(ROOT / "config.yaml", REGISTRY, {}) == DEFAULTS


def test_the_shipped_file_holds_every_key_and_only_those():
    keys = {key for key, _, _ in WRITTEN}
    setups = {key for key in keys if key.startswith("signals.setups.")}
    assert keys - setups == set(dotted_keys(Config))
    expected = set()
    for name, setup in REGISTRY.items():
        at = f"signals.setups.{name}"
        expected |= {at, f"{at}.enabled", f"{at}.timeframes", *dotted_keys(setup.params, at)}
    assert setups == expected


@pytest.mark.parametrize(("key", "line", "end"), WRITTEN, ids=[key for key, _, _ in WRITTEN])
def test_every_key_is_explained(key, line, end):
    beside = LINES[line].partition(" # ")[2]
    above = LINES[line - 1].lstrip() if line else ""
    assert len(beside) > 8 or above.startswith("# "), f"line {line + 1}: {key} has no comment"


def taken_out(key):
    """The lines of the file without a key; the section goes with it where nothing else would be left in it."""
    parent = key.rpartition(".")[0]
    while parent and not any(k.startswith(f"{parent}.") and not f"{k}.".startswith(f"{key}.") for k, _, _ in WRITTEN):
        key, parent = parent, parent.rpartition(".")[0]
    line, end = next((line, end) for other, line, end in WRITTEN if other == key)
    return LINES[:line] + LINES[end + 1:]


@pytest.mark.parametrize("key", [key for key, _, _ in WRITTEN])
def test_a_key_taken_out_keeps_its_default(key):
    text = "\n".join(taken_out(key))
    assert text != TEXT and loads(text, REGISTRY, {}) == DEFAULTS


LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINNED = {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)==", LOCK, re.MULTILINE)}


def wanted(name):
    """Names of the packages a requirements file asks for."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {re.split(r"[<>=;\s]", line)[0].lower() for line in lines if line and line[0] not in "#-"}


def test_the_lock_pins_every_package_by_hash_and_names_no_index():
    assert wanted("requirements.txt") | wanted("requirements-dev.txt") <= PINNED
    assert not re.search(r"https?://|--index|--extra|--find|--trusted|file:|/opt/", LOCK)
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", LOCK) if not entry.startswith("#")]
    assert len(entries) >= len(PINNED) > 50
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_never_installs_both_builds_of_xgboost():
    platforms = re.findall(r"^(xgboost(?:-cpu)?)==\S+ ; .*?sys_platform (==|!=) 'linux'", LOCK, re.MULTILINE)
    assert set(platforms) == {("xgboost-cpu", "=="), ("xgboost", "!=")}


PACKAGE_OF = {"PIL": "pillow", "sklearn": "scikit-learn", "streamlit_echarts": "streamlit-echarts",
              "telegram": "python-telegram-bot", "yaml": "pyyaml", "xgboost": "xgboost-cpu"}


def imported(folder):
    """Top-level names that the code of a folder imports, with one file for each."""
    found = {}
    for path in [*(ROOT / folder).rglob("*.py"), *(ROOT.glob("*.py") if folder == "core" else [])]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            found |= {name.partition(".")[0]: path.name for name in names}
    return {PACKAGE_OF.get(name, name).lower(): file for name, file in found.items()
            if name not in sys.stdlib_module_names and name not in ("core", "tests", "bench", "playwright")}


OPTIONAL = {"orjson"}  # comes with ccxt where it is built; the code has another way where it is not


def test_the_code_imports_only_what_requirements_name():
    runtime = wanted("requirements.txt") | OPTIONAL
    assert {name: file for name, file in imported("core").items() if name not in runtime} == {}
    listed = runtime | wanted("requirements-dev.txt")
    assert {name: file for name, file in imported("tests").items() if name not in listed} == {}
