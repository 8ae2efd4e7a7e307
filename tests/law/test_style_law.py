"""Short functions, short files, all annotated, public things described; the figures are printed."""

import statistics

import pytest

from tests.law import rules
from tests.law.tree import functions, length, module, modules

pytestmark = pytest.mark.law

CORE = modules("core")


def test_functions_and_files_keep_under_their_caps() -> None:
    assert list(rules.too_long(CORE)) == []


def test_most_functions_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    lengths = sorted(length(f) for m in CORE for f in functions(m))
    files = sorted(len(m.text.splitlines()) for m in CORE)
    median, p90 = statistics.median(lengths), lengths[int(0.9 * len(lengths))]
    with capsys.disabled():
        print(f"\n{len(lengths)} functions: median {median:g}, p90 {p90}, longest {lengths[-1]} lines; "
              f"{len(files)} files: median {statistics.median(files):g}, longest {files[-1]} lines")
    assert median <= 8
    assert p90 <= 30


def test_everything_is_annotated() -> None:
    assert list(rules.unannotated(CORE)) == []


def test_public_things_have_docstrings() -> None:
    found = [(name, text) for m in CORE for name, _, text in rules.public(m)]
    bare = [name for name, text in found if not text]
    assert len(bare) <= 0.05 * len(found), bare
    assert [name for name in bare if name.endswith(".py")] == [], "every module says what it is"


def test_docstrings_begin_with_one_line_that_ends() -> None:
    wrong = []
    for m in CORE:
        for name, _, text in rules.public(m):
            first, _, rest = (text or "").partition("\n")
            if text and (first.rstrip()[-1] not in ".:!?;" or (rest.strip() and not rest.startswith("\n"))):
                wrong.append(name)
    assert len(wrong) <= 0.02 * sum(1 for m in CORE for _ in rules.public(m)), wrong


def test_planted_flaws_are_caught_and_clean_twins_pass() -> None:
    long = "def f() -> int:\n" + "    x = 1\n" * 60 + "    return x\n"
    short = 'def f() -> int:\n    """' + "one\n" * 70 + '"""\n' + "    x = 1\n" * 50 + "    return x\n"
    assert len(list(rules.too_long([module("core/toy.py", long)]))) == 1
    assert list(rules.too_long([module("core/toy.py", short)])) == [], "a docstring is not counted"
    assert len(list(rules.too_long([module("core/toy.py", "x = 1\n" * 451)]))) == 1
    for bare in ("def f(x) -> int: ...", "def f(x: int): ...", "def f(*a, x: int) -> int: ...", "async def f(): ..."):
        assert len(list(rules.unannotated([module("core/toy.py", bare)]))) == 1, bare
    method = "class A:\n    def f(self, x: int, *a: int, **k: int) -> None: ..."
    assert list(rules.unannotated([module("core/toy.py", method)])) == []
    bare = 'def f() -> None:\n    pass\nclass A:\n    """A."""\n    def g(self) -> None:\n        pass\n'
    assert sum(text is None for _, _, text in rules.public(module("core/toy.py", bare))) == 3
