"""The demo's market, as shipped: its planted edge is found by the first training, and the model then judges."""

from pathlib import Path

import pytest

from tests.cli import doors
from tests.engine import harness


@pytest.mark.slow
@pytest.mark.covers("I5")
def test_the_first_training_of_the_demo_is_promoted_and_judges(tmp_path: Path) -> None:
    shipped = (doors.ROOT / "config.yaml").read_text(encoding="utf-8")
    config = tmp_path / "config.yaml"
    config.write_text(shipped.replace("data_dir: data ", f"data_dir: {tmp_path} "), encoding="utf-8")
    path = tmp_path / "demo.db"
    answer = doors.call("scheduler_run", "--demo", "--span", "3h", "--config", config, "--db", path, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["promotions"] == 1 and answer.json["model"], answer.err
    assert answer.json["filter"]["passed"] + answer.json["filter"]["refused"] > 0
    said = [row["body"] for row in harness.rows(path, "alerts") if "New model in use" in row["body"]]
    assert len(said) == 1 and "beats all baselines on the sealed rows" in said[0] and "planted edge 1.5" in said[0]
