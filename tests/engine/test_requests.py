"""Requests to the exchange: counted where they leave, written with the minute's job runs, by UTC day and outcome."""

from pathlib import Path

import pytest

from core.engine import diff, health
from core.market.faults import Fault
from core.store import runs
from core.timeframe import DAY, HOUR, MINUTE, floor
from tests.engine import copies
from tests.engine.rig import SETTLE, SOL, START, Rig, copy, warmed
from tests.store.files import full_disk

BEGIN = START + MINUTE + SETTLE


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return warmed(tmp_path_factory.mktemp("requests") / "warm.db", [SOL])


def today(rig: Rig) -> dict[str, int]:
    return dict(runs.sent_since(rig.db.con, floor(rig.clock.now(), DAY)))


def test_all_that_the_exchange_was_asked_is_on_record_start_up_too(tmp_path: Path) -> None:
    with Rig(tmp_path / "a.db") as rig:
        rig.warm(3 * HOUR)
        assert runs.requests(rig.db.con) == {}, "nothing is written for a single request"
        rig.go(3)
        assert today(rig) == {"ok": rig.server.requests.total()}


def test_failures_and_requests_to_wait_are_told_apart_and_a_restart_adds_to_them(warm: Path, tmp_path: Path) -> None:
    down = Fault(kind="status", status=503, path="candles", since=BEGIN + 2 * MINUTE, until=BEGIN + 4 * MINUTE)
    ban = Fault(kind="status", status=429, retry_after=120.0, since=BEGIN + 6 * MINUTE, count=1)
    path = copy(warm, tmp_path / "a.db")
    with Rig(path, now=BEGIN) as rig:
        before = today(rig)["ok"]
    with Rig(path, faults=[down, ban], now=BEGIN) as rig:
        rig.go(12)
        first, asked, now = today(rig), rig.server.requests.total(), rig.true.now()
        assert first["limited"] == 1 and first["failed"] >= 2 and sum(first.values()) == before + asked
    with Rig(path, now=now) as rig:
        rig.go(2)
        assert today(rig) == {**first, "ok": first["ok"] + rig.server.requests.total()}


def test_a_day_ends_at_midnight_utc(warm: Path, tmp_path: Path) -> None:
    late = floor(BEGIN, DAY) + DAY - 3 * MINUTE + SETTLE
    with Rig(copy(warm, tmp_path / "a.db"), now=late) as rig:
        rig.go(6)
        known = runs.requests(rig.db.con)
    assert list(known) == [floor(BEGIN, DAY), floor(BEGIN, DAY) + DAY] and known[floor(BEGIN, DAY) + DAY]["ok"] >= 3


def test_a_full_disk_loses_no_count(warm: Path, tmp_path: Path) -> None:
    with Rig(copy(warm, tmp_path / "a.db"), now=BEGIN) as rig:
        before = today(rig)["ok"]
        with full_disk(rig.db):
            rig.go(30)
            assert rig.ctx.unwritten, "the disk was full"
        rig.go(2)
        assert today(rig) == {"ok": before + rig.server.requests.total()}


@pytest.mark.covers("rule 31")
def test_files_that_took_other_requests_are_still_the_same_file(unbroken: Path, tmp_path: Path) -> None:
    known = copies.ask(unbroken, "SELECT value FROM state WHERE key = 'requests'")
    assert known and '"ok"' in known[0][0], "the demo's exchange counts too"
    other = copies.copy(unbroken, tmp_path / "b.db", "UPDATE state SET value = '{}' WHERE key = 'requests'")
    assert diff.compare(unbroken, other).same


def test_the_sentence_names_only_what_went_wrong() -> None:
    assert health.asked({}) == "0" and health.asked({"ok": 1440}) == "1,440"
    assert health.asked({"ok": 1440, "failed": 2, "limited": 1}) == "1,443 (2 failed, 1 told to wait)"
