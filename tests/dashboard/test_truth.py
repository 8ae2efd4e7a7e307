"""The page Truth: the scorecard as it was measured, and the last day recomputed."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from core.dashboard import theme
from core.dashboard.pages import truth as page
from core.dashboard.views import truth as view
from core.engine.audit.record import Row, Scorecard
from core.engine.daily_reconcile import Kept
from core.timeframe import DAY, HOUR
from tests.cli import doors
from tests.dashboard import rig
from tests.dashboard.test_frame import source

NOW = 1_700_000_000_000
ROWS = (
    Row(1, "truncation and known_at leak test", "0 mismatches / 3,000 checks", "0 mismatches", True),
    Row(6, "signals on a random walk", "2.92% pass; 0 of 128 promoted", "at most 2%", False),
    Row(14, "live against recount", "insufficient", "no row differs", None, "0 closed live trades"),
)


def written(**more: Any) -> str:
    made = {"size": "full", "seed": 7, "code": "abc", "data": "my.db", "exchange": "bitget"}
    return json.dumps({**Scorecard(ROWS, made).plain(), "seconds": 12.3, "made_ts": NOW, **more})


def keep(db: Path, found: Kept) -> None:
    """Put a look into a file, as the daemon would."""
    rig.sql(db, f"UPDATE state SET value = '{json.dumps(asdict(found))}' WHERE key = 'reconcile'")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A copy, with a folder for data of its own."""
    db = rig.demo_db(tmp_path)
    doors.write_config(tmp_path, doors.CONFIG.replace("app: {", f"app: {{data_dir: {tmp_path}, "), DB=str(db))
    return db


def test_a_scorecard_is_read_as_it_was_written() -> None:
    card = view.card(written())
    assert card is not None and not card.passed and card.verdict.startswith("FAILED: 1 of 2")
    assert [line.passed for line in card.lines] == [True, False, None]
    assert card.lines[1].told == ("2.92% pass", "0 of 128 promoted")
    assert card.lines[2].told == ("insufficient", "0 closed live trades")
    assert "seed 7" in card.made and "took 12 s" in card.made and card.made_ts == NOW


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"rows": 5}', '{"rows": [{}], "verdict": "x", "passed": 1}'])
def test_what_is_no_scorecard_is_none(text: str) -> None:
    assert view.card(text) is None


def test_the_answers_are_told_by_word_as_well_as_by_colour() -> None:
    lines = view.card(written()).lines  # type: ignore[union-attr]
    assert [line.title.partition("]")[0] for line in lines] == [
        ":green-badge[holds", ":red-badge[FAILS", ":orange-badge[not measured"]


def test_text_of_a_scorecard_is_never_taken_for_markdown() -> None:
    assert view.plain("a_b *c* [d](e) $x$ :red[y]") == r"a\_b \*c\* \[d\](e) \$x\$ \:red\[y\]"


def test_the_age_of_a_scorecard_is_told() -> None:
    assert view.age(NOW, NOW + DAY) == "made 1d ago"
    assert "worth making again" in view.age(NOW, NOW + 40 * DAY) and "not known" in view.age(None, NOW)


@pytest.mark.parametrize(("found", "said", "colour"), [
    (Kept(NOW, 121, 0, 0, ()), "live = replay: 121 of 121 rows", theme.GOOD),
    (Kept(NOW, 9, 1, 0, ("x: entry: stored 1, recomputed 2",)), "live = replay: 8 of 9 rows", theme.BAD),
    (Kept(NOW, 0, 0, 0, ()), "Nothing to recompute", theme.CALM)])
def test_what_recomputing_gave_is_one_sentence(found: Kept, said: str, colour: str) -> None:
    told, is_colour = view.verdict(found)
    assert said in told and is_colour == colour
    assert bool(view.notes(found)) == bool(found.differ)


def test_rows_of_rewritten_candles_are_told_as_no_fault() -> None:
    assert "2 rows differ and saw" in view.notes(Kept(NOW, 9, 0, 2, ()))[0]
    assert "1 row differs and saw" in view.notes(Kept(NOW, 9, 0, 1, ()))[0] and "no fault" in view.notes(
        Kept(NOW, 9, 0, 1, ()))[0]


def test_the_age_of_the_look_is_told_and_what_to_do_where_it_is_old() -> None:
    kept = Kept(NOW, 9, 0, 0, ())
    fresh, old = view.looked(kept, NOW + 3 * HOUR), view.looked(kept, NOW + 2 * DAY)
    assert fresh.startswith("Recomputed 3h ago, at ") and "That is old" not in fresh
    assert "That is old" in old and "`python -m core reconcile`" in old


def test_without_an_audit_the_page_says_how_to_make_one_and_shows_the_one_that_came_along(own: Path) -> None:
    at = rig.open_page("truth", own)
    assert not at.exception
    text = rig.words_of(at)
    assert "No audit was made on this machine yet" in text and "python -m core audit" in text
    assert "truncation and known_at leak test" in text, "docs/AUDIT.md"


def test_a_scorecard_in_the_data_folder_is_shown_row_by_row(own: Path) -> None:
    (own.parent / page.AUDIT).write_text(written(), encoding="utf-8")
    at = rig.open_page("truth", own)
    assert not at.exception
    labels = [e.label for e in at.expander]
    assert any("FAILS] 6" in label for label in labels) and any("holds] 1" in label for label in labels)
    assert any("FAILED" in str(e.value) for e in at.error)
    assert "2.92% pass" in rig.words_of(at) and "No audit was made" not in rig.words_of(at)


def test_a_broken_scorecard_is_told(own: Path) -> None:
    (own.parent / page.AUDIT).write_text("{", encoding="utf-8")
    at = rig.open_page("truth", own)
    assert not at.exception and "is not a scorecard" in rig.words_of(at)


@pytest.mark.covers("I1")
def test_what_the_daemon_found_is_shown_with_its_age(own: Path) -> None:
    at = rig.open_page("truth", own)
    assert any("live = replay: " in str(e.value) for e in at.success) and not at.error and not at.button
    assert "Recomputed " in rig.words_of(at)


def test_rows_that_differ_are_named_on_the_page_and_the_rest_counted(own: Path) -> None:
    keep(own, Kept(NOW, 40, 25, 0, tuple(f"row {n}: entry: stored 1, recomputed 2" for n in range(20))))
    at = rig.open_page("truth", own)
    assert any("live = replay: 15 of 40" in str(e.value) for e in at.error)
    code = "\n".join(str(c.value) for c in at.code)
    assert "row 19: entry: stored" in code and "and 5 more" in code


def test_before_the_first_look_the_page_says_when_it_comes_and_how_to_have_it_at_once(own: Path) -> None:
    rig.sql(own, "DELETE FROM state WHERE key = 'reconcile'")
    text = rig.words_of(rig.open_page("truth", own))
    assert "Nothing was recomputed yet" in text and "00:12 UTC" in text and "`python -m core reconcile`" in text


def test_a_look_by_hand_is_what_the_page_shows_then(own: Path) -> None:
    rig.sql(own, "DELETE FROM state WHERE key = 'reconcile'",
            "UPDATE signals SET entry = entry + 1 WHERE n = (SELECT max(n) FROM signals WHERE origin = 'live')")
    where = ("--config", rig.config_for(own), "--db", own)
    assert doors.call("core", "reconcile", "--start", "2024-01-01", *where).code == 1
    assert "Nothing was recomputed yet" in rig.words_of(rig.open_page("truth", own)), "another span is another question"
    assert doors.call("core", "reconcile", *where).code == 1
    at = rig.open_page("truth", own)
    assert any("live = replay: " in str(e.value) for e in at.error)
    assert "entry: stored" in "\n".join(str(c.value) for c in at.code)


def test_the_page_recomputes_nothing_and_leaves_the_file_as_it_is(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a page must be cheap")

    monkeypatch.setattr("core.engine.reconcile.reconcile", never)
    monkeypatch.setattr("core.engine.daily_reconcile.reconcile", never)
    before = own.read_bytes()
    at = rig.open_page("truth", own)
    assert not at.exception and own.read_bytes() == before
    with source(own).read() as ctx:
        assert ctx.db.readonly
