"""`reconcile`: stored live rows recomputed from the candles, and the flag `revised` of rule 3."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.engine.context import Context
from core.engine.reconcile import ReconcileResult, reconcile
from core.engine.resample import resample
from core.store import candles
from core.store.db import Database
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine import copies, harness

SOL = copies.SOL
TRADED = "(SELECT n FROM signals JOIN positions ON signal = n WHERE exit_price > 0 ORDER BY decided_ts, id LIMIT 1)"


def _reconcile(path: Path, start: int | None = 0, end: int | None = None, *, mark: bool = False) -> ReconcileResult:
    db = Database(path, readonly=not mark)
    try:
        return reconcile(Context(harness.config(), db, VirtualClock(0)), start, end, mark=mark)
    finally:
        db.close()


def _rewrite(path: Path, ts: int, factor: float, *, told: bool) -> None:
    # The exchange serves other prices for a minute: with told=False nobody records it.
    db = Database(path)
    ctx = Context(harness.config(), db, VirtualClock(0))
    with db.write() as con:
        one = candles.series(con, "bitget")[SOL, "1m"].id
        found = con.execute("SELECT open, high, low, close, volume FROM ohlcv WHERE series = ? AND ts = ?", (one, ts))
        o, h, low, c, v = found.fetchone()
        candles.put_rows(con, one, [(ts, o, h * factor, low / factor, c, v)], ts)
        candles.add_dirty(con, "bitget", SOL, ts, ts + MINUTE)
    resample(ctx)
    if not told:
        with db.write() as con:
            con.execute("DELETE FROM revisions")
    db.close()


def _minute_of_many(path: Path) -> int:
    # A minute that the warm-up of many rows, but not of all, has seen.
    return int(
        copies.ask(path, "SELECT decided_ts FROM signals WHERE symbol = ? ORDER BY decided_ts LIMIT 1 OFFSET 20", SOL)[
            0
        ][0]
    )


@pytest.mark.covers("rule 31", "I1", "I2")
def test_every_live_row_is_what_its_candles_give(unbroken: Path) -> None:
    found = _reconcile(unbroken)
    assert (found.differing, found.first, found.skipped, found.marked) == ([], None, 0, 0)
    assert found.checked == len(copies.ask(unbroken, "SELECT 1 FROM signals")) > 100


@pytest.mark.covers("rule 31", "I1", "I2", "I4")
@pytest.mark.parametrize(
    ("field", "statement"),
    [
        ("sl", f"UPDATE signals SET sl = sl + tick WHERE n = {TRADED}"),
        ("avwap", f"UPDATE signals SET avwap = 1.0 WHERE n = {TRADED}"),
        ("reason", f"UPDATE signals SET reason = 'because' WHERE n = {TRADED}"),
        ("expires_ts", f"UPDATE signals SET expires_ts = expires_ts + 60000 WHERE n = {TRADED}"),
        ("exit_price", f"UPDATE positions SET exit_price = exit_price + 0.001 WHERE signal = {TRADED}"),
        ("mae_pct", f"UPDATE positions SET mae_pct = mae_pct - 1e-9 WHERE signal = {TRADED}"),
        ("r_multiple", f"UPDATE positions SET r_multiple = 9.0 WHERE signal = {TRADED}"),
        ("event 2", f"UPDATE events SET ts = ts + 60000 WHERE leg = 1 AND signal = {TRADED}"),
        ("its trade", f"DELETE FROM positions WHERE signal = {TRADED}"),
    ],
)
def test_a_tampered_row_is_named_by_id_and_field(field: str, statement: str, unbroken: Path, tmp_path: Path) -> None:
    b = copies.copy(unbroken, tmp_path / "b.db", statement)
    found = _reconcile(b, mark=True)
    id = copies.ask(
        b,
        f"SELECT id FROM signals WHERE n = {TRADED}"
        if field != "its trade"
        else "SELECT id FROM signals WHERE n NOT IN (SELECT signal FROM positions)",
    )[0][0]
    assert len(found.differing) == 1 and found.first == found.differing[0]
    assert found.first.startswith(f"{id} (decided ") and f": {field}: stored " in found.first
    assert copies.ask(b, "SELECT count(*) FROM signals WHERE revised")[0][0] == 0, "no rewritten candle explains it"


@pytest.mark.covers("rule 31", "I3")
def test_a_row_that_is_missing_and_one_too_many_are_both_found(unbroken: Path, tmp_path: Path) -> None:
    b = copies.copy(unbroken, tmp_path / "b.db", f"UPDATE signals SET id = 'invented' WHERE n = {TRADED}")
    lost = copies.ask(unbroken, f"SELECT id FROM signals WHERE n = {TRADED}")[0][0]
    found = _reconcile(b)
    assert sorted(line.split(" (")[0] for line in found.differing) == sorted(["invented", lost])
    assert any(line.endswith("the row itself: stored present, recomputed absent") for line in found.differing)
    assert any(line.endswith("the row itself: stored absent, recomputed present") for line in found.differing)


@pytest.mark.covers("rule 31")
def test_the_default_range_is_the_last_day_and_a_given_one_is_kept_to(unbroken: Path, tmp_path: Path) -> None:
    (at,) = copies.ask(unbroken, f"SELECT decided_ts FROM signals WHERE n = {TRADED}")[0]
    b = copies.copy(unbroken, tmp_path / "b.db", f"UPDATE signals SET sl = sl + tick WHERE n = {TRADED}")
    assert _reconcile(b, None).checked == _reconcile(b).checked, "the run lasted half a day"
    assert _reconcile(b, at + 1).differing == [] and len(_reconcile(b, at, at + 1).differing) == 1
    assert _reconcile(b, None, at).differing == []
    copies.edit(b, f"UPDATE symbols SET scanned_ts = scanned_ts + {DAY}")
    assert _reconcile(b, None).checked < _reconcile(b).checked


@pytest.mark.covers("rule 3", "rule 31")
def test_a_rewritten_candle_marks_the_rows_it_changes_and_no_other(unbroken: Path, tmp_path: Path) -> None:
    b = copies.copy(unbroken, tmp_path / "b.db")
    at = _minute_of_many(b)
    _rewrite(b, at, 1.03, told=True)
    looked = _reconcile(b)
    assert looked.differing == [] and looked.skipped > 0 and looked.marked == 0
    assert copies.ask(b, "SELECT count(*) FROM signals WHERE revised")[0][0] == 0, "without mark nothing is written"
    marked = _reconcile(b, mark=True)
    flagged = copies.ask(b, "SELECT symbol, decided_ts FROM signals WHERE revised")
    assert 0 < len(flagged) == marked.marked < marked.checked
    assert {symbol for symbol, _ in flagged} == {SOL}
    assert _reconcile(b, mark=True).marked == 0, "a second time changes nothing"


@pytest.mark.covers("rule 3")
def test_a_candle_rewritten_in_secret_is_never_marked_away(unbroken: Path, tmp_path: Path) -> None:
    b = copies.copy(unbroken, tmp_path / "b.db")
    _rewrite(b, _minute_of_many(b), 1.03, told=False)
    found = _reconcile(b, mark=True)
    assert found.differing and found.skipped == 0 and found.marked == 0


@pytest.mark.covers("rule 3")
def test_a_rewrite_that_changes_no_column_marks_nothing(unbroken: Path, tmp_path: Path) -> None:
    b = copies.copy(unbroken, tmp_path / "b.db")
    one = copies.ask(b, "SELECT id FROM series WHERE symbol = ? AND timeframe = '1m'", SOL)[0][0]
    copies.edit(b, f"INSERT INTO revisions (series, ts, open, frontier) VALUES ({one}, {_minute_of_many(b)}, 1.0, 0)")
    found = _reconcile(b, mark=True)
    assert (found.differing, found.skipped, found.marked) == ([], 0, 0)
    copies.edit(
        b,
        "UPDATE signals SET revised = 1 WHERE symbol = 'SOL/USDT:USDT' AND n = (SELECT max(n) FROM signals "
        "WHERE symbol = 'SOL/USDT:USDT')",
    )
    assert _reconcile(b, mark=True).marked == 1, "and a mark that no longer holds is taken back"


@pytest.mark.covers("rule 32", "rule 31")
def test_each_row_is_recomputed_under_the_configuration_it_was_made_with(unbroken: Path, tmp_path: Path) -> None:
    middle = copies.ask(unbroken, "SELECT avg(decided_ts) FROM signals")[0][0]
    b = copies.copy(
        unbroken,
        tmp_path / "b.db",
        "INSERT INTO configs SELECT 'aaaaaaaaaaaa', body, 0 FROM configs",
        f"UPDATE signals SET config_hash = 'aaaaaaaaaaaa' WHERE decided_ts > {middle}",
    )
    cfg = harness.config()
    other = replace(cfg, signals=replace(cfg.signals, slippage_pct=0.5, validity_candles=2))
    db = Database(b, readonly=True)
    assert reconcile(Context(other, db, VirtualClock(0)), 0).differing == []
    db.close()
    copies.edit(
        b, "UPDATE configs SET body = json_set(body, '$.signals.slippage_pct', 0.03) WHERE config_hash = 'aaaaaaaaaaaa'"
    )
    found, theirs = (
        _reconcile(b),
        {r[0] for r in copies.ask(b, "SELECT id FROM signals WHERE config_hash = 'aaaaaaaaaaaa'")},
    )
    assert {line.split(" (")[0] for line in found.differing} == theirs, "costs are in every plan"


@pytest.mark.covers("I7")
def test_without_mark_it_works_on_a_file_it_cannot_write(unbroken: Path, tmp_path: Path) -> None:
    b = copies.copy(unbroken, tmp_path / "b.db")
    before = hashlib.sha256(b.read_bytes()).hexdigest()
    assert _reconcile(b, None, None).checked > 0
    assert hashlib.sha256(b.read_bytes()).hexdigest() == before
    assert _reconcile(b, 100 * 365 * DAY, 100 * 365 * DAY + HOUR).checked == 0
