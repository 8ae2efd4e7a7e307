"""The small commands on a tiny database."""

import csv
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from core.engine import gates
from tests.cli import doors
from tests.cli.conftest import Demo


def rows(db: Path, sql: str) -> list[dict[str, Any]]:
    """Rows of a query as dicts."""
    con = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    con.row_factory = sqlite3.Row
    found = [dict(r) for r in con.execute(sql)]
    con.close()
    return found


def change(db: Path, sql: str) -> None:
    """Change a file behind the program's back."""
    con = sqlite3.connect(db)
    con.execute(sql)
    con.commit()
    con.close()


@pytest.mark.parametrize(
    "args", [["status"], ["inspect"], ["analyze"], ["reconcile"], ["scan"], ["init-db"], ["check-config"]]
)
def test_json_is_one_object_and_nothing_else_on_standard_output(args: list[str], own: Demo) -> None:
    answer = doors.call("core", *args, *own.where, "--json")
    assert answer.code == 0, answer.err
    assert answer.json and answer.out.count("\n") == 1


def test_init_db_makes_the_file_and_again_changes_nothing(demo: Demo, tmp_path: Path) -> None:
    db = tmp_path / "deep" / "new.db"
    first = doors.call("core", "init-db", "--config", demo.config, "--db", db, "--json")
    again = doors.call("core", "init-db", "--config", demo.config, "--db", db, "--json")
    assert first.json["made"] is True and again.json["made"] is False
    assert first.json["tables"] == again.json["tables"] and first.json["tables"]["series"] > 0


def test_inspect_tells_rows_and_extents_of_every_series(demo: Demo) -> None:
    found = doors.call("core", "inspect", *demo.where, "--json").json
    minute = next(s for s in found["series"] if s["timeframe"] == "1m")
    assert minute["rows"] == found["stretches"][0]["frontier"] // 60_000 - found["stretches"][0]["start_ts"] // 60_000
    assert minute["last_ts"] - minute["first_ts"] == (minute["rows"] - 1) * 60_000
    assert found["gaps"] == [] and found["tables"]["ohlcv"] == sum(s["rows"] for s in found["series"])
    text = doors.call("core", "inspect", *demo.where).out
    assert "BTC/USDT:USDT  5m" in text and "no gaps are recorded" in text


def test_scan_of_what_is_decided_changes_nothing(own: Demo) -> None:
    before = rows(own.db, "SELECT * FROM signals"), rows(own.db, "SELECT * FROM trades")
    assert doors.call("core", "scan", *own.where, "--json").json == {"bars": 0, "signals": 0, "trades": 0}
    assert before == (rows(own.db, "SELECT * FROM signals"), rows(own.db, "SELECT * FROM trades"))


@pytest.mark.covers("rule 17")
def test_why_explains_a_refusal_with_both_numbers_and_the_key_that_sets_them(demo: Demo) -> None:
    row = rows(demo.db, "SELECT * FROM signals WHERE reason LIKE 'cost_r%' ORDER BY n LIMIT 1")[0]
    answer = doors.call("core", "why", row["short_id"], *demo.where)
    assert answer.code == 0, answer.err
    assert f"REFUSED: {row['reason']} (followed on paper all the same)" in answer.out
    assert f"NO  a stop-out costs {row['cost_r']:.3g} of the stop distance" in answer.out
    assert "at most 0.9 may be (signals.max_cost_r)" in answer.out
    assert "refused plans are not announced" in answer.out
    for key in ("signals.max_hole_candles", "signals.min_tp_net_pct", "signals.avwap.max_distance_atr", "models.meta"):
        assert key in answer.out or row["tp1"] is None


def test_why_tells_the_plan_and_what_happened_since(demo: Demo) -> None:
    row = rows(
        demo.db,
        "SELECT g.*, t.* FROM signals g JOIN trades t ON t.signal_id = g.id "
        "WHERE t.pnl_pct IS NOT NULL AND g.verdict = 'pass' ORDER BY n LIMIT 1",
    )[0]
    found = doors.call("core", "why", row["id"], *demo.where, "--json").json
    assert found["trade"]["status"] == row["status"] and found["signal"]["id"] == row["id"]
    assert found["events"][0]["event"] == "FILL"
    text = doors.call("core", "why", row["id"], *demo.where).out
    assert f"{row['status']} by " in text and f"{row['pnl_usd']:+.2f} USD" in text and row["rationale"] in text
    assert "PASS: admitted; ungated, since no model has judged it" in text
    assert "Alert    sent 2024-01-05" in text


def test_why_takes_full_ids_short_ids_and_unique_beginnings(demo: Demo) -> None:
    row = rows(demo.db, "SELECT id, short_id FROM signals ORDER BY n LIMIT 1")[0]
    for given in (
        row["id"],
        row["short_id"],
        "#" + row["short_id"],
        row["short_id"].lower(),
        row["short_id"][:5],
        row["id"][:-1],
    ):
        assert doors.call("core", "why", given, *demo.where, "--json").json["signal"]["id"] == row["id"], given
    many = doors.call("core", "why", row["id"].partition(":")[0], *demo.where)
    assert many.code == 1 and "may mean #" in many.err and "write more of it" in many.err
    none = doors.call("core", "why", "100%_x", *demo.where)
    assert none.code == 1 and "no signal 100%_x" in none.err


def test_why_says_which_thresholds_were_changed_since(demo: Demo, tmp_path: Path) -> None:
    config = doors.write_config(tmp_path, doors.CONFIG.replace("max_cost_r: 0.9", "max_cost_r: 0.2"))
    row = rows(demo.db, "SELECT short_id FROM signals ORDER BY n LIMIT 1")[0]
    answer = doors.call("core", "why", row["short_id"], "--config", config, "--db", demo.db)
    assert "signals.max_cost_r is 0.2 today; it was 0.9 when this was decided" in answer.out
    assert gates.lookup({"meta": {"threshold": 0.5}}, "models.meta.threshold") == 0.5


@pytest.mark.covers("I5")
def test_analyze_never_shows_a_win_rate_alone(demo: Demo) -> None:
    text = doors.call("core", "analyze", *demo.where).out
    rates = [line for line in text.splitlines() if line.startswith("won ")]
    assert rates and all("break-even at" in line and " to " in line and " of " in line for line in rates)
    for head in (line for line in text.splitlines() if "Win%" in line and "Trades" in line):
        assert "95 % interval" in head and "Break-even Win%" in head
    for title in ("by setup", "by timeframe", "by direction", "by exit reason", "by month"):
        assert title in text
    assert "USD: each trade at usd_per_trade; " in text and "count each plan at its own size" in text


def test_analyze_keeps_live_and_retro_apart(own: Demo) -> None:
    before = doors.call("core", "analyze", *own.where, "--json").json["sections"]
    assert doors.call("retro_scan", *own.where, "--start", "2024-01-03", "--end", "2024-01-05").code == 0
    after = doors.call("core", "analyze", *own.where, "--json").json["sections"]
    live = [s for s in before if s["origin"] == "live"]
    assert live == [s for s in after if s["origin"] == "live"]
    assert sum(s["ended"] for s in before if s["origin"] == "retro") == 0
    assert sum(s["ended"] for s in after if s["origin"] == "retro") > 0
    assert "RETRO, passed (history: no alert was sent)" in doors.call("core", "analyze", *own.where).out


def test_analyze_writes_every_finished_trade_as_csv(demo: Demo, tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    answer = doors.call("core", "analyze", "--csv", target, *demo.where, "--json")
    written = list(csv.DictReader(target.open()))
    stored = rows(demo.db, "SELECT signal_id, pnl_pct FROM trades WHERE closed_ts IS NOT NULL")
    assert {r["id"]: r["pnl_pct"] for r in written} == {
        r["signal_id"]: "" if r["pnl_pct"] is None else str(r["pnl_pct"]) for r in stored
    }
    assert answer.json["sections"]
    shown = doors.call("core", "analyze", "--csv", "-", *demo.where)
    assert len(list(csv.DictReader(io.StringIO(shown.out)))) == len(written)


def test_analyze_counts_only_what_closed_in_the_window(demo: Demo) -> None:
    nothing = doors.call("core", "analyze", "--end", "2023-01-01", *demo.where)
    assert nothing.code == 0 and "no trade has ended in this time" in nothing.out


def test_reconcile_finds_no_difference_and_names_a_planted_one(own: Demo) -> None:
    clean = doors.call("core", "reconcile", *own.where)
    assert clean.code == 0 and "live = replay: " in clean.out and "first difference" not in clean.out
    change(own.db, "UPDATE signals SET entry = entry + tick WHERE n = 1")
    planted = doors.call("core", "reconcile", "--start", "2024-01-04", *own.where, "--json")
    assert planted.code == 1 and "entry" in planted.json["first"] and len(planted.json["differing"]) == 1


def test_diff_of_equal_files_is_0_and_of_others_1_with_the_first_difference(own: Demo, demo: Demo) -> None:
    same = doors.call("core", "diff", demo.db, own.db)
    assert same.code == 0 and "no difference" in same.out
    change(own.db, "UPDATE signals SET sl = sl - tick WHERE n = 2")
    other = doors.call("core", "diff", demo.db, own.db, "--json")
    assert other.code == 1 and other.json["same"] is False and any(": sl:" in line for line in other.json["lines"])


def test_backup_is_a_working_copy_and_never_overwrites(demo: Demo, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    assert doors.call("core", "backup", target, *demo.where).code == 0
    assert doors.call("core", "diff", demo.db, target).code == 0
    again = doors.call("core", "backup", target, *demo.where)
    assert again.code == 1 and "never overwrites" in again.err


def test_import_candles_takes_a_csv_and_names_what_it_refuses(demo: Demo, tmp_path: Path) -> None:
    good, bad = tmp_path / "BTCUSDT-1m.csv", tmp_path / "ETHUSDT-1m.csv"
    begin = 1_704_067_200_000
    good.write_text(
        "ts,open,high,low,close,volume\n" + "".join(f"{begin + i * 60_000},100,101,99,100.5,3\n" for i in range(600))
    )
    db = tmp_path / "i.db"
    answer = doors.call("core", "import-candles", good, "--config", demo.config, "--db", db, "--json")
    assert answer.code == 0 and answer.json["rows"] >= 600, answer.err
    bad.write_text("ts,open,high,low,close,volume\n" + f"{begin},100,99,101,100,3\n")
    refused = doors.call("core", "import-candles", bad, "--config", demo.config, "--db", db)
    assert refused.code == 1 and "ETHUSDT-1m.csv" in refused.err


def test_retro_scan_is_idempotent_and_leaves_live_rows_alone(own: Demo) -> None:
    first = doors.call("retro_scan", *own.where, "--json").json
    again = doors.call("retro_scan", *own.where, "--json").json
    assert first["written"] > 0 and again.get("written", 0) == 0 and again["candidates"] == first["candidates"]
    assert json.dumps(rows(own.db, "SELECT count(*) AS n FROM signals WHERE origin = 'live'"))
