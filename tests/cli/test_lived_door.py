"""`retro_scan.py --walk-forward` as its users meet it, and the demo that shows the filter learn."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.store import runs
from core.store.db import Database
from tests.cli import doors
from tests.cli.conftest import Demo
from tests.engine import harness
from tests.engine import lived_rig as rig

LESSON = ("--demo", "--learn", "--edge", 2, "--seed", 5, "--history", "22d", "--span", "4h")


# The walk-forward


@pytest.mark.covers("rule 35")
def test_a_demo_is_walked_through_in_a_new_file_and_nothing_differs(demo: Demo, tmp_path: Path) -> None:
    before, lived = demo.db.read_bytes(), tmp_path / "lived.db"
    args = ("--walk-forward", "--into", lived, "--start", "2024-01-05", *demo.where)
    answer = doors.call("retro_scan", *args)
    assert answer.code == 0, answer.err
    assert demo.db.read_bytes() == before, "the file it came from is only read"
    assert "walk-forward 100 %" in answer.err and "copied" in answer.err
    said = answer.out
    for text in ("all it let pass", "refused by the filter", "buy and hold", "break-even", "95 % interval", "coverage",
                 "Out of sample by construction", "week from", "equity USD", "weekly training", "compounded"):
        assert text in said, text
    assert re.search(r"^Lived +2024-01-05 00:00Z to 2024-01-05 06:00Z, 1 week;", said, re.M)
    same = doors.call("core", "diff", demo.db, lived)
    assert same.code == 0 and "no difference" in same.out, same.out
    again = doors.call("retro_scan", *args, "--json")
    assert again.code == 0, again.err
    assert {"groups", "by_week", "hold", "learned", "counts", "weeks", "equity_usd", "seconds"} <= set(again.json)
    assert again.json["counts"].get("written", 0) == 0, "asked again it has nothing left to do, and tells the same"
    figures = again.json["groups"]["system"]
    assert {"plans", "trades", "coverage_pct", "win_pct", "break_even_pct", "expectancy_r", "expectancy_r_low",
            "drawdown_r", "drawdown_usd", "profit_usd", "total_r"} <= set(figures)


def test_a_file_that_has_lived_is_not_lived_in_again(own: Demo) -> None:
    answer = doors.call("retro_scan", "--walk-forward", *own.where)
    assert answer.code == 1 and "has lived" in answer.err and "--into FILE" in answer.err
    itself = doors.call("retro_scan", "--walk-forward", "--into", own.db, *own.where)
    assert itself.code == 1 and "is the file itself" in itself.err


@pytest.mark.parametrize(("args", "says"), [
    (["--walk-forward", "--stride", "2"], "thin the plans out"),
    (["--walk-forward", "--limit-per-pair", "5"], "thin the plans out"),
    (["--into", "x.db"], "--into belongs to --walk-forward"),
    (["--walk-forward", "--timeframes", "2h"], "2h is not among the scanned timeframes"),
])
def test_what_makes_no_sense_is_wrong_usage(args: list[str], says: str, own: Demo) -> None:
    answer = doors.call("retro_scan", *args, *own.where)
    assert answer.code == 2 and says in answer.err


def test_a_chosen_symbol_alone_is_lived_with(demo: Demo, tmp_path: Path) -> None:
    answer = doors.call("retro_scan", "--walk-forward", "--into", tmp_path / "x.db", "--symbols", "BTC", "--timeframes",
                        "5m", *demo.where, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["groups"]["system"]["plans"] > 0


# The demo


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A short demo over its first training, which is made to succeed; its file and what it said."""
    folder = tmp_path_factory.mktemp("lesson")
    config = doors.write_config(folder, f"{rig.CONFIG}app: {{db_path: DB}}\n")
    with pytest.MonkeyPatch.context() as patch:
        rig.promote_all(patch)
        answer = doors.call("scheduler_run", *LESSON, "--config", config, "--db", folder / "demo.db")
    assert answer.code == 0, answer.err
    yield folder / "demo.db", answer.out


@pytest.mark.covers("rule 35", "I5")
def test_the_demo_tells_the_story_of_the_filter_in_order(lesson: tuple[Path, str]) -> None:
    _, said = lesson
    steps = ["Candidates collected", "The first training is due at", "New model in use", "plan refused by the filter"]
    places = [said.index(step) for step in steps]
    assert places == sorted(places)
    framed = " ".join(said.replace("│", " ").split())
    assert "were filled and have ended: what the filter learns from" in framed
    assert re.search(r"it had not seen it (took|would have taken)", framed), "figures of plans it had not seen"
    assert "beats" in framed or "made better by the test" in framed
    assert re.search(r"p\(win\) \d+%, expected [+-]\d+\.\d\d% of its size", framed)


def test_every_message_of_the_demo_names_the_market_and_the_strength_of_the_edge(lesson: tuple[Path, str]) -> None:
    path, said = lesson
    label = "GENERATED MARKET, planted edge 2, not real prices"
    assert said.count("┌") <= said.count(label), "in each frame"
    for row in harness.rows(path, "alerts"):
        assert label in row["body"], row["key"]
    db = Database(path, readonly=True)
    assert runs.get(db.con, "market") == label
    db.close()
    assert "planted, of strength 2" in said and "No real market is that kind" in said


def test_the_summary_names_the_model_and_what_it_did(lesson: tuple[Path, str]) -> None:
    _, said = lesson
    found = re.search(r"^Filter +(\d+) plans passed, (\d+) refused by a model, (\d+) not judged by one; 1 promotion, "
                      r"governs: \d{8}-\d{4}-[0-9a-f]{8}$", said, re.M)
    assert found is not None and int(found[1]) + int(found[2]) > 0


def test_a_demo_that_learns_begins_an_hour_before_its_first_training(lesson: tuple[Path, str]) -> None:
    _, said = lesson
    assert "Time     2024-01-28 02:00Z until 2024-01-28 06:00Z" in said
    assert "first at 2024-01-28 03:00Z" in said


def test_a_finished_lesson_goes_on_without_scanning_its_history_again(lesson: tuple[Path, str], tmp_path: Path) -> None:
    path = rig.copied(lesson[0], tmp_path / "demo.db")
    folder = lesson[0].parent
    answer = doors.call("scheduler_run", *LESSON, "--config", folder / "config.yaml", "--db", path)
    assert answer.code == 0 and "goes on where it stopped" in answer.out, answer.err
    assert "candidates of the history" not in answer.err and "Candidates collected" not in answer.out


def test_other_doors_find_the_models_beside_a_demos_file(lesson: tuple[Path, str]) -> None:
    where = ("--config", lesson[0].parent / "config.yaml", "--db", lesson[0])
    shown = doors.call("core", "models", *where, "--json")
    assert shown.code == 0, shown.err
    assert "governs" in shown.out
