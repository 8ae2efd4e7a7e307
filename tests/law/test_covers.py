"""Every rule, every invariant and every defect of the earlier program is named by at least one test."""

import pytest

from tests.law import covers
from tests.law.tree import module, modules

pytestmark = pytest.mark.law

TESTS = [m for m in modules("tests") if m.path.rpartition("/")[2].startswith("test_")]
COVERED = covers.covered(TESTS)
RULES = covers.rules()


def test_the_rules_page_holds_every_rule_in_order() -> None:
    numbers = [name.removeprefix("rule ") for name in RULES]
    assert [n for n in numbers if n.isdigit()] == [str(n) for n in range(1, 36)]
    assert {"19a", "19b", "19c", "33a"} == {n for n in numbers if not n.isdigit()}


@pytest.mark.parametrize("group", ["rules", "defects", "invariants"])
def test_each_is_named_by_a_test(group: str) -> None:
    wanted = {"rules": RULES, "defects": covers.DEFECTS, "invariants": covers.INVARIANTS}[group]
    missing = [name for name in wanted if name not in COVERED]
    assert not missing, f"no test names {', '.join(missing)} in a marker `covers`"


def test_no_marker_names_what_does_not_exist() -> None:
    known = {*RULES, *covers.DEFECTS, *covers.LATER_DEFECTS, *covers.INVARIANTS}
    assert {name: places for name, places in COVERED.items() if name not in known} == {}


def test_markers_stand_in_test_files_only() -> None:
    helpers = [m for m in modules("tests") if not m.path.rpartition("/")[2].startswith("test_")]
    assert covers.covered(helpers) == {}


def test_planted_flaws_a_wrong_name_and_no_name_are_seen() -> None:
    text = "import pytest\n@pytest.mark.covers('rule 99', *NAMES)\ndef test_x():\n    pass\n"
    toy = module("tests/toy/test_x.py", text)
    assert [name for name, _ in covers.marks(toy)] == ["rule 99", "?"]
    assert covers.covered([module("tests/toy/test_y.py", "def test_y():\n    pass\n")]) == {}
