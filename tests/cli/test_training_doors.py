"""`train_meta.py`, `calibrate_meta.py`, `tune_thresholds.py` as their users meet them."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli import learning
from core.engine import promotion, report, training
from core.engine.context import Context
from core.engine.handback import Window
from core.engine.promotion import Order
from core.store import models
from core.store.lock import WriterLock
from tests.cli import doors
from tests.cli.doors import Answer
from tests.meta import market_file

DOORS = ("train_meta", "calibrate_meta", "tune_thresholds")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database with a month and a half of closed plans and its configuration; only to be copied."""
    folder = tmp_path_factory.mktemp("doors")
    market_file.made(folder, days=market_file.DAYS).db.close()
    return folder


class Own:
    """A copy to work on: its folder, its configuration file, and the open file for looking and preparing."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder, self.ctx = folder, market_file.copied(source, folder)
        self.config = market_file.config_file(folder)

    def call(self, door: str, *args: object) -> Answer:
        """The door, on this file."""
        return doors.call(door, *args, "--config", self.config)

    def sha256(self) -> str:
        """Of the database's own file."""
        return hashlib.sha256(self.ctx.db.path.read_bytes()).hexdigest()


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Iterator[Own]:
    found = Own(made, tmp_path)
    yield found
    found.ctx.db.close()


def governed(own: Own) -> str:
    """Put the model that `train_meta.py` made in force, better or not."""
    answer = own.call("train_meta", "--json")
    assert answer.code == 0, answer.err
    name = str(answer.json["handed_back"])
    promotion.promote(own.ctx, name, Order("user", "for the test", own.ctx.clock.now()))
    return name


@pytest.mark.parametrize("door", DOORS)
def test_help_reads_well_and_names_no_hidden_option(door: str) -> None:
    answer = doors.call(door, "--help")
    assert answer.code == 0 and "examples:" in answer.out and "--days" in answer.out
    assert "low-priority" not in answer.out and max(map(len, answer.out.splitlines())) <= 110


@pytest.mark.covers("I5")
def test_training_prints_the_whole_truth_and_takes_the_result_in(own: Own) -> None:
    answer = own.call("train_meta", "--full")
    assert answer.code == 0, answer.err
    for words in ("evidence:", "Sealed rows", "All out-of-sample rows", "base rate", "geometry alone", "ridge logistic",
                  "EMA200 rule", "break-even", "reliability", "EV decile", "regime", "direction", "symbol", "timeframe",
                  "Against each rule", "better: no", "sets of parameters counted", "Time"):
        assert words in answer.out, words
    (known,) = models.registered(own.ctx.db.con)
    assert known.id in answer.out and known.promoted_ts is None
    assert "train" in answer.err and "100 %" in answer.err, "a bar on standard error"


def test_json_is_one_object_with_every_figure(own: Own) -> None:
    found = own.call("train_meta", "--json").json
    assert found["better"] is False and found["taken_in"] and found["samples"] == found["report"]["data"]["samples"]
    assert set(found["report"]["families"]) == {"targets", "trailed"}
    sealed = found["report"]["families"]["targets"]["sealed"]
    assert sealed["gate"]["n"] <= sealed["ungated"]["n"] and "evidence" in found["report"]["families"]["targets"]


@pytest.mark.covers("rule 34", "I7")
def test_while_a_daemon_runs_the_doors_only_read_and_leave_a_folder(own: Own) -> None:
    governed(own)
    own.ctx.db.checkpoint()
    before = own.sha256()
    with WriterLock(own.ctx.db.path, "the daemon"):
        for door, n in zip(DOORS, (1, 2, 3), strict=True):
            answer = own.call(door)
            assert answer.code == 0, answer.err
            assert "the daemon takes it in before its next scan" in answer.out
            assert len(list((own.folder / "models/incoming").glob("[!.]*"))) == n
            answer = own.call(door, "--json")
            assert answer.json["taken_in"] is None
            (own.folder / "models/incoming" / answer.json["handed_back"]).rename(own.folder / door)
        assert own.sha256() == before and own.ctx.db.checkpoint()[1] == 0


@pytest.mark.covers("D7", "D8")
def test_calibration_and_tuning_work_on_the_model_in_use(own: Own) -> None:
    name = governed(own)
    calibrated = own.call("calibrate_meta")
    assert calibrated.code == 0 and name in calibrated.out and "judged on" in calibrated.out
    assert "newer" in calibrated.out and "in use" in calibrated.out
    tuned = own.call("tune_thresholds", "--mode", "p", "--json")
    assert tuned.code == 0 and tuned.json["report"]["goal"]["mode"] == "p"
    assert models.count_trials(own.ctx.db.con, "threshold") == tuned.json["report"]["sets"]
    shown = own.call("tune_thresholds")
    assert "thresholds tried" in shown.out and "BTC/USDT:USDT 15m" in shown.out


@pytest.mark.parametrize("door", ["calibrate_meta", "tune_thresholds"])
def test_without_a_model_in_use_there_is_one_clear_line(own: Own, door: str) -> None:
    answer = own.call(door)
    assert answer.code == 1 and answer.out == "" and "no model governs" in answer.err
    assert "train_meta.py" in answer.err and len(answer.err.strip().splitlines()) == 1


@pytest.mark.parametrize(("args", "said"), [
    (("--days", "30", "--start", "2024-01-05"), "--days and --start"),
    (("--start", "2024-02-01", "--end", "2024-01-01"), "is not after"),
    (("--days", "0"), "not a whole number"),
    (("--mode", "p"), "unrecognized"),
])
def test_wrong_usage_is_told_as_such(own: Own, args: tuple[str, ...], said: str) -> None:
    answer = own.call("train_meta", *args)
    assert answer.code == 2 and said in answer.err


def test_a_window_without_plans_is_refused_in_one_line(own: Own) -> None:
    answer = own.call("train_meta", "--end", "2024-01-02")
    assert answer.code == 1 and "no closed plan to train on" in answer.err
    assert not (own.folder / "models/incoming").exists()


def test_too_few_plans_are_a_report_and_not_a_model(own: Own) -> None:
    own.config.write_text(own.config.read_text().replace("min_closed_samples: 300", "min_closed_samples: 9000"))
    answer = own.call("train_meta")
    assert answer.code == 0 and "at least 9,000 are needed" in answer.out and "base rate" in answer.out
    assert "No model could be trained" in answer.out and models.registered(own.ctx.db.con) == []


def test_a_damaged_model_in_use_is_named_and_nothing_is_made(own: Own) -> None:
    name = governed(own)
    card = own.folder / "models/meta" / name / "card.json"
    card.write_text(card.read_text().replace('"seed"', '"sead"').replace('"n"', '"m"'), encoding="utf-8")
    answer = own.call("tune_thresholds")
    assert answer.code == 1 and name in answer.err and "changed or cut short" in answer.err


def test_no_database_is_one_clear_line(tmp_path: Path) -> None:
    config = doors.write_config(tmp_path)
    answer = doors.call("train_meta", "--config", config)
    assert answer.code == 1 and "no database at" in answer.err


def test_low_priority_makes_the_process_nice(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(os, "nice", asked.append)
    assert own.call("tune_thresholds", "--low-priority").code == 1
    assert asked == [learning.LOW]


def test_the_walk_forward_windows_can_be_set(own: Own) -> None:
    few = own.call("train_meta", "--json", "--train-days", "20", "--test-days", "4", "--step-days", "8").json
    many = own.call("train_meta", "--json", "--train-days", "20", "--test-days", "4", "--step-days", "4").json
    count = [len(x["report"]["families"]["targets"]["folds"]) for x in (few, many)]
    assert count[1] > count[0] >= 2


def test_the_report_shows_no_nan_and_the_short_form_is_shorter(own: Own) -> None:
    found = training.run(Context(own.ctx.cfg, own.ctx.db, own.ctx.clock), Window()).report
    full, short = report.lines(found, full=True), report.lines(found)
    assert all("nan" not in line and "None" not in line for line in full)
    assert set(short) < set(full) and len(short) < 0.6 * len(full)
