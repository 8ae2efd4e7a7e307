"""`diff A B`: equal files are told equal, and every planted flaw is named."""

import hashlib
from pathlib import Path

import pytest

from core.engine import diff
from core.errors import ArtifactError
from core.timeframe import HOUR, MINUTE
from tests.engine import copies, harness

FIRST = "(SELECT n FROM signals ORDER BY decided_ts, id LIMIT 1)"
TRADED = "(SELECT n FROM signals JOIN positions ON signal = n WHERE exit_price > 0 ORDER BY decided_ts, id LIMIT 1)"
HASH = "0123456789ab"


def _id(path: Path, n: str) -> str:
    return str(copies.ask(path, f"SELECT id FROM signals WHERE n = {n}")[0][0])


def _middle(path: Path) -> int:
    low, high = copies.ask(path, "SELECT min(decided_ts), max(decided_ts) FROM signals")[0]
    return int((low + high) // 2 // HOUR * HOUR)


@pytest.mark.covers("rule 31", "I1")
def test_a_copy_is_the_same_and_everything_was_compared(unbroken: Path, tmp_path: Path) -> None:
    found = diff.compare(unbroken, copies.copy(unbroken, tmp_path / "b.db"))
    assert found.same and found.lines[-1] == "no difference"
    assert found.counts["signals"] == found.counts["trades"] == len(copies.ask(unbroken, "SELECT 1 FROM signals")) > 100
    assert sum(found.counts[name] for name in ("differences", "revised", "funding", "unfinished", "delisted")) == 0


@pytest.mark.covers("rule 31")
def test_origin_late_and_row_numbers_do_not_count(unbroken: Path, tmp_path: Path) -> None:
    b = copies.copy(unbroken, tmp_path / "b.db", "UPDATE signals SET origin = 'retro', late = 1")
    assert diff.compare(unbroken, b).same


@pytest.mark.covers("rule 31", "I1", "I4")
@pytest.mark.parametrize(
    ("field", "statement"),
    [
        ("sl", f"UPDATE signals SET sl = sl + tick WHERE n = {TRADED}"),
        ("rationale", f"UPDATE signals SET rationale = rationale || '!' WHERE n = {TRADED}"),
        (
            "verdict",
            f"UPDATE signals SET verdict = CASE verdict WHEN 'pass' THEN 'refused' ELSE 'pass' END WHERE n = {TRADED}",
        ),
        ("exit_price", f"UPDATE positions SET exit_price = exit_price * (1 + 1e-15) WHERE signal = {TRADED}"),
        ("pnl_pct", f"UPDATE positions SET pnl_pct = pnl_pct + 1e-9 WHERE signal = {TRADED}"),
        ("exit_reason", f"UPDATE positions SET exit_reason = NULL WHERE signal = {TRADED}"),
        ("event 1", f"UPDATE events SET price = price + 0.01 WHERE leg = 0 AND signal = {TRADED}"),
        ("event 2", f"DELETE FROM events WHERE leg = 1 AND signal = {TRADED}"),
        ("its trade", f"DELETE FROM positions WHERE signal = {TRADED}"),
    ],
)
def test_a_planted_flaw_is_named_by_id_and_field(field: str, statement: str, unbroken: Path, tmp_path: Path) -> None:
    b = copies.copy(unbroken, tmp_path / "b.db", statement)
    for found in (diff.compare(unbroken, b), diff.compare(b, unbroken)):
        assert not found.same and found.counts["differences"] == 1
        assert found.lines[1].startswith(f"first difference: {_id(unbroken, TRADED)} (decided ")
        assert f": {field}: A " in found.lines[1]


@pytest.mark.covers("rule 31")
def test_both_values_are_told_and_the_first_flaw_in_time_comes_first(unbroken: Path, tmp_path: Path) -> None:
    last = "(SELECT n FROM signals ORDER BY decided_ts DESC, id DESC LIMIT 1)"
    b = copies.copy(unbroken, tmp_path / "b.db", f"UPDATE signals SET entry = 1.5 WHERE n IN ({last}, {FIRST})")
    ((id, entry),) = copies.ask(unbroken, f"SELECT id, entry FROM signals WHERE n = {FIRST}")
    found = diff.compare(unbroken, b)
    assert id in found.lines[1] and found.lines[1].endswith(f"entry: A {entry}, B 1.5")
    assert found.counts["differences"] == 2 and "2 rows differ, by first field: entry 2" in found.lines


@pytest.mark.covers("rule 31", "rule 17")
def test_a_row_that_one_file_lacks_is_a_difference(unbroken: Path, tmp_path: Path) -> None:
    gone = [
        f"DELETE FROM {t} WHERE {c} = 1" for t, c in (("events", "signal"), ("positions", "signal"), ("signals", "n"))
    ]
    b = copies.copy(unbroken, tmp_path / "b.db", *gone)
    found, back = diff.compare(unbroken, b), diff.compare(b, unbroken)
    assert (
        f"{_id(unbroken, '1')} (decided " in found.lines[1] and "the row itself: A present, B absent" in found.lines[1]
    )
    assert "the row itself: A absent, B present" in back.lines[1]


@pytest.mark.covers("rule 31")
def test_what_lies_beyond_the_lesser_frontier_is_not_compared(unbroken: Path, tmp_path: Path) -> None:
    cut = _middle(unbroken)
    b = copies.copy(unbroken, tmp_path / "b.db", f"UPDATE symbols SET scanned_ts = {cut}, followed_ts = {cut}")
    copies.edit(
        b, f"UPDATE signals SET sl = 1.0 WHERE decided_ts > {cut}", f"UPDATE events SET price = 1.0 WHERE ts >= {cut}"
    )
    copies.edit(b, f"UPDATE positions SET exit_price = 1.0, mae_pct = -9.0 WHERE closed_ts >= {cut}")
    found = diff.compare(unbroken, b)
    assert found.same and found.counts["unfinished"] > 0 and found.counts["trades"] > 30
    last = f"(SELECT max(decided_ts) FROM signals WHERE decided_ts <= {cut})"
    copies.edit(b, f"UPDATE signals SET sl = 1.0 WHERE decided_ts = {last}")
    assert "sl: A " in diff.compare(unbroken, b).lines[1]


@pytest.mark.covers("rule 31")
def test_a_trade_open_at_the_common_end_is_compared_up_to_there(unbroken: Path, tmp_path: Path) -> None:
    cut = _middle(unbroken)
    held = f"opened_ts < {cut - 10 * MINUTE} AND closed_ts > {cut + 10 * MINUTE}"
    b = copies.copy(unbroken, tmp_path / "b.db", f"UPDATE symbols SET scanned_ts = {cut}, followed_ts = {cut}")
    copies.edit(b, f"UPDATE positions SET opened_ts = opened_ts - 60000 WHERE {held}")
    assert "opened_ts: A " in diff.compare(unbroken, b).lines[1]


@pytest.mark.covers("rule 31", "I1")
def test_a_run_that_ended_earlier_is_the_same_as_far_as_it_went(unbroken: Path, tmp_path: Path) -> None:
    harness.run(tmp_path / "cut.db", until_h=5)
    found = diff.compare(unbroken, tmp_path / "cut.db")
    assert found.same, found.lines
    assert found.counts["unfinished"] > 0 and found.counts["trades"] > 20


@pytest.mark.covers("rule 31")
def test_start_and_end_narrow_the_range(unbroken: Path, tmp_path: Path) -> None:
    at = copies.ask(unbroken, "SELECT decided_ts FROM signals ORDER BY decided_ts LIMIT 1 OFFSET 60")[0][0]
    b = copies.copy(unbroken, tmp_path / "b.db", f"UPDATE signals SET sl = sl + tick WHERE decided_ts = {at}")
    assert diff.compare(unbroken, b, at + 1, None).same
    assert diff.compare(unbroken, b, None, at).same
    assert not diff.compare(unbroken, b, None, at + 1).same
    assert not diff.compare(unbroken, b, at, at + 1).same
    assert diff.compare(unbroken, b, at + 90 * 24 * HOUR, None).lines[-1] == "nothing could be compared"
    assert not diff.compare(unbroken, b, at + 90 * 24 * HOUR, None).same, "comparing nothing proves nothing"


@pytest.mark.covers("rule 31", "rule 3")
def test_a_row_that_saw_a_rewritten_candle_is_counted_apart(unbroken: Path, tmp_path: Path) -> None:
    ts, symbol = copies.ask(unbroken, f"SELECT ts, symbol FROM signals WHERE n = {TRADED}")[0]
    one = copies.ask(unbroken, "SELECT id FROM series WHERE symbol = ? AND timeframe = '1m'", symbol)[0][0]
    oldest = copies.ask(unbroken, "SELECT min(ts) FROM ohlcv WHERE series = ?", one)[0][0]
    flaw = f"UPDATE signals SET sl = sl + tick WHERE n = {TRADED}"
    revision = "INSERT INTO revisions (series, ts, open, frontier) VALUES ({one}, {at}, 1.0, {at})"
    inside = copies.copy(unbroken, tmp_path / "in.db", flaw, revision.format(one=one, at=ts - 30 * MINUTE))
    for found in (diff.compare(unbroken, inside), diff.compare(inside, unbroken)):
        assert found.same and found.counts["revised"] > 0 and found.counts["signals"] > 0
        assert any("with a rewritten candle" in line for line in found.lines)
    before = copies.copy(unbroken, tmp_path / "before.db", flaw, revision.format(one=one, at=oldest))
    found = diff.compare(unbroken, before)
    assert not found.same and found.counts["revised"] == 0, "that candle lies before every warm-up"


@pytest.mark.covers("rule 31", "rule 32")
def test_another_configuration_is_told_first_and_once(unbroken: Path, tmp_path: Path) -> None:
    b = copies.copy(
        unbroken,
        tmp_path / "b.db",
        f"INSERT INTO configs SELECT '{HASH}', json_set(body, '$.risk.max_leverage', 3), 0 FROM configs LIMIT 1",
        f"UPDATE signals SET config_hash = '{HASH}'",
    )
    found = diff.compare(unbroken, b)
    assert not found.same and found.counts["differences"] == 0
    assert f"B {HASH}; risk.max_leverage: A 10, B 3" in found.lines[1]


@pytest.mark.covers("rule 31", "rule 27")
def test_funding_that_one_file_does_not_know_is_left_out_and_counted(unbroken: Path, tmp_path: Path) -> None:
    worse = "UPDATE positions SET funding_known = 0, pnl_pct = pnl_pct + 1, pnl_usd = 0 WHERE pnl_pct IS NOT NULL"
    blind = copies.copy(
        unbroken, tmp_path / "b.db", "DELETE FROM funding", "UPDATE symbols SET funding_ts = NULL", worse
    )
    found = diff.compare(unbroken, blind)
    assert found.same and found.counts["funding"] > 20
    assert any("funding inputs differ" in line for line in found.lines)
    copies.edit(blind, f"UPDATE positions SET gross_pct = gross_pct + 1 WHERE signal = {TRADED}")
    assert "gross_pct: A " in diff.compare(unbroken, blind).lines[1], "the rest of the row still counts"
    seeing = copies.copy(unbroken, tmp_path / "c.db", worse)
    assert not diff.compare(unbroken, seeing).same, "with the same rates it is a difference"


@pytest.mark.covers("rule 25", "rule 31")
def test_a_delisting_that_one_file_alone_knows_is_counted_apart(unbroken: Path, tmp_path: Path) -> None:
    gone = f"UPDATE positions SET status = 'TIME', exit_reason = 'delisted' WHERE signal = {TRADED}"
    b = copies.copy(unbroken, tmp_path / "b.db", gone)
    assert not diff.compare(unbroken, b).same
    copies.edit(b, "UPDATE series SET ended_ts = 60000")
    found = diff.compare(unbroken, b)
    assert found.same and found.counts["delisted"] == 1


def _renamed(column: str, old: str, new: str) -> list[str]:
    tables = ("symbols", "series", "sync_checkpoint", "signals", "funding", "counts")
    return [f"UPDATE {table} SET {column} = '{new}' WHERE {column} = '{old}'" for table in tables]


@pytest.mark.covers("rule 31")
def test_symbols_not_in_common_are_named_and_nothing_in_common_is_not_the_same(unbroken: Path, tmp_path: Path) -> None:
    other = copies.copy(unbroken, tmp_path / "b.db", *_renamed("symbol", "SOL/USDT:USDT", "XRP/USDT:USDT"))
    found = diff.compare(unbroken, other)
    assert (
        found.same
        and "only in A: SOL/USDT:USDT (bitget)" in found.lines
        and "only in B: XRP/USDT:USDT (bitget)" in found.lines
    )
    apart = copies.copy(unbroken, tmp_path / "c.db", *_renamed("exchange", "bitget", "okx"))
    found = diff.compare(unbroken, apart)
    assert not found.same and found.lines[-1] == "nothing could be compared"


@pytest.mark.covers("rule 30", "rule 31")
def test_a_timeframe_that_a_live_file_has_not_begun_is_named_not_compared(unbroken: Path, tmp_path: Path) -> None:
    of = "WHERE timeframe = '15m'"
    b = copies.copy(
        unbroken,
        tmp_path / "b.db",
        f"UPDATE series SET live_from = NULL {of}",
        f"DELETE FROM events WHERE signal IN (SELECT n FROM signals {of})",
        f"DELETE FROM positions WHERE signal IN (SELECT n FROM signals {of})",
        f"DELETE FROM signals {of}",
    )
    found = diff.compare(unbroken, b)
    assert found.same and "SOL/USDT:USDT 15m: B has not begun to decide it: not compared" in found.lines
    later = copies.copy(
        unbroken,
        tmp_path / "c.db",
        f"UPDATE series SET live_from = live_from + {2 * HOUR} {of}",
        f"UPDATE signals SET sl = 1.0 {of} AND decided_ts < (SELECT max(live_from) FROM series {of})",
    )
    assert diff.compare(unbroken, later).same, "what lies before live_from is retro's"


@pytest.mark.covers("I7")
def test_it_reads_only_and_says_what_is_missing(unbroken: Path, tmp_path: Path) -> None:
    b = copies.copy(unbroken, tmp_path / "b.db")
    before = hashlib.sha256(b.read_bytes()).hexdigest()
    diff.compare(b, unbroken)
    assert hashlib.sha256(b.read_bytes()).hexdigest() == before
    with pytest.raises(ArtifactError, match="no database at"):
        diff.compare(b, tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
