"""Committed files name no machine and no index of packages, and the files about packages and versions agree."""

import re
import tomllib

import pytest

from tests.conftest import ROOT
from tests.law.tree import committed

pytestmark = pytest.mark.law

# Placeholders that a user replaces are fine; somebody's own folders are not, nor is where this copy lies.
_USUAL = ("bin", "dev", "etc", "home", "media", "mnt", "opt", "private", "proc", "srv", "sys", "tmp", "usr", "var")
_TOP = ROOT.parts[1] if len(ROOT.parts) > 2 else "root"
_TOPS = "|".join(re.escape(name) for name in {"root", *({_TOP} - set(_USUAL) - {"Users"})})
ONE_MACHINE = re.compile(rf"(?<![\w.])/(?:home|Users)/(?!you\b|trader\b|USER\b|runner\b)\w+/|"
                         rf"(?<![\w.$}}])/(?:{_TOPS})/|\b[A-Z]:\\Users\\")
URL = re.compile(r"\b(?:https?|ftp)://(?:[^\s/@\"'`<>]*@)?(\[[0-9a-f:]+\]|[A-Za-z0-9_.-]*)")
HOSTS = {"", "localhost", "127.0.0.1", "[::1]", "api.telegram.org", "www.python.org"}
HOSTS |= {"www.w3.org"}  # names the language of SVG pictures; nobody is asked
RESERVED = (".example", ".invalid", ".test", "example.org", "example.com", "example.net")
# What this file itself and the planted flaws below must be allowed to say.
OWN = "tests/law/test_files_law.py"


def machines(text: str) -> list[str]:
    """Paths of one machine."""
    return [found.group() for found in ONE_MACHINE.finditer(text)]


def foreign_hosts(text: str) -> list[str]:
    """Hosts of addresses that nobody needs to know: an index of packages, a mirror, somebody's server."""
    found = [host for host in URL.findall(text) if host not in HOSTS and not host.endswith(RESERVED)]
    return [host for host in found if not re.fullmatch(r"127(\.\d+){3}", host)]


def files() -> list[tuple[str, str]]:
    return [(name, path.read_text(encoding="utf-8", errors="replace")) for path in committed()
            if (name := path.relative_to(ROOT).as_posix()) != OWN]


def test_no_committed_file_names_a_path_of_one_machine() -> None:
    assert {name: machines(text) for name, text in files() if machines(text)} == {}


def test_no_committed_file_names_a_host_that_the_program_does_not_need() -> None:
    found = {name: foreign_hosts(text) for name, text in files()}
    # Tests may invent a host; one without a dot is nobody's.
    real = {name: [h for h in hosts if "." in h or not name.startswith("tests/")] for name, hosts in found.items()}
    assert {name: hosts for name, hosts in real.items() if hosts} == {}


def test_no_lock_or_list_of_packages_names_an_index() -> None:
    about = re.compile(r"requirements.*\.(txt|lock)$|pip\.conf$|uv\.toml$")
    lists = [(name, text) for name, text in files() if about.search(name)]
    assert len(lists) >= 3
    named = re.compile(r"index-url|--index|find-links|trusted-host|@ (?:git|file|http)", re.IGNORECASE)
    allowed = "--no-emit-index-url"
    assert {name: found for name, text in lists if (found := named.findall(text.replace(allowed, "")))} == {}


@pytest.mark.parametrize("text", ["open('/home/ann/x')", "cd /root/app", "C:\\Users\\Ann", "/Users/bob/y"])
def test_planted_flaw_a_path_of_one_machine_is_caught(text: str) -> None:
    assert machines(text)


@pytest.mark.parametrize("text", ["/home/trader/x", "../shared/data", "a/root/x", "/var/lib/x", "/mnt/usb/x.db"])
def test_clean_twin_a_placeholder_passes(text: str) -> None:
    assert machines(text) == []


def test_planted_flaw_a_mirror_is_caught_and_loopback_passes() -> None:
    assert foreign_hosts("see https://mirror.corp/simple and http://10.0.0.7:8080/") == ["mirror.corp", "10.0.0.7"]
    assert foreign_hosts("http://user:pw@127.0.0.1:8081/x https://api.telegram.org/bot http://a.example/") == []


# Packages and versions


def wanted(name: str) -> dict[str, tuple[int, ...]]:
    """Packages of a list with the least version asked for."""
    found = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)\s*>=\s*([\d.]+)", line)
        if match:
            found[match[1].lower()] = tuple(map(int, match[2].split(".")))
    return found


def pinned() -> dict[str, set[tuple[int, ...]]]:
    """Packages of the lock with every version it pins (one for each Python, where they differ)."""
    found: dict[str, set[tuple[int, ...]]] = {}
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([\d.]+)", text, re.MULTILINE):
        found.setdefault(name.lower(), set()).add(tuple(int(n) for n in version.split(".") if n))
    return found


def test_every_pinned_version_is_one_that_the_lists_allow() -> None:
    pins = pinned()
    asked = {**wanted("requirements.txt"), **wanted("requirements-dev.txt")}
    assert len(asked) > 15
    assert {name: pins.get(name) for name, least in asked.items()
            if not pins.get(name) or min(pins[name]) < least} == {}


def test_the_dev_list_contains_the_runtime_list_and_repeats_nothing() -> None:
    dev = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    assert "-r requirements.txt" in dev.splitlines()
    assert not wanted("requirements.txt").keys() & wanted("requirements-dev.txt").keys()


def test_all_files_speak_of_the_same_oldest_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    oldest = project["project"]["requires-python"].removeprefix(">=")
    major, minor = oldest.split(".")
    assert project["tool"]["ruff"]["target-version"] == f"py{major}{minor}"
    assert project["tool"]["mypy"]["python_version"] == oldest
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"({major}, {minor})" in makefile and f"--python-version {oldest}" in makefile
    for name in ("README.md", ".ci/run"):
        assert f"Python {oldest}" in (ROOT / name).read_text(encoding="utf-8"), name


def test_the_program_and_the_project_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    init = (ROOT / "core" / "__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{project["project"]["version"]}"' in init
    assert f"## {project['project']['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
