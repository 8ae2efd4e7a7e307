"""`import-candles`: what a user already owns, however it is cut into files, gives the same database."""

import io
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.candles import MarketInfo
from core.clock import VirtualClock
from core.engine import demo, diff, importing, retro
from core.engine.context import Context
from core.engine.importing import GAP_REASON, ImportResult, import_candles
from core.errors import ConfigError, DataError
from core.store import candles
from core.store.db import Database
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine import copies, harness
from tests.engine.copies import SOL, START
from tests.reference.resample import minute, resample

CONFIG = harness.CONFIG.replace("[BTC/USDT:USDT, SOL/USDT:USDT]", "[SOL/USDT:USDT]").replace("[5m, 15m]", "[5m]")
NAME = "binance_perp-SOLUSDT-1m.csv"
HOLE = 20 * HOUR + 3 * MINUTE  # begins inside a bar and lasts for 70 minutes
HOLES = {START + 5 * HOUR + k * MINUTE for k in (0, 1, 2, 7)} | {START + HOLE + k * MINUTE for k in range(70)}


class Imports:
    """A database that files are imported into; `now` long after all of them."""

    def __init__(self, path: Path, text: str = CONFIG, now: int = copies.MONTHS_LATER) -> None:
        self.path = path
        self.ctx = Context(harness.config(text), Database(path), VirtualClock(now))

    def take(self, *paths: Path, **options: Any) -> ImportResult:
        return import_candles(self.ctx, paths, **options)

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        return self.ctx.db.con.execute(question).fetchall()

    def state(self) -> list[Any]:
        """All that an import may change, but revisions."""
        tables = ("ohlcv", "gaps", "sync_checkpoint", "dirty", "funding", "symbols", "series")
        return [self.ask(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]


@pytest.fixture
def made(tmp_path: Path) -> Imports:
    return Imports(tmp_path / "a.db")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of minutes with holes, in one file."""
    return copies.write_csv(tmp_path_factory.mktemp("whole") / NAME, copies.rows(copies.bars(0, 2 * DAY), HOLES))


def _part(folder: Path, start: int, end: int, name: str = NAME, drop: set[int] = HOLES) -> Path:
    return copies.write_csv(folder / name, copies.rows(copies.bars(start, end), drop))


@pytest.mark.covers("rule 33", "rule 33a", "rule 1", "rule 2", "rule 4", "D18")
def test_a_file_gives_minutes_gaps_a_stretch_and_the_bars_of_the_rules(made: Imports, whole: Path) -> None:
    found = made.take(whole)
    wanted = copies.rows(copies.bars(0, 2 * DAY), HOLES)
    assert (found.rows, found.gaps, found.refused) == (len(wanted), len(HOLES), [])
    assert made.ask("SELECT start_ts, frontier FROM sync_checkpoint") == [(START, START + 2 * DAY)]
    assert {reason for (reason,) in made.ask("SELECT reason FROM gaps")} == {GAP_REASON}
    absent = {ts for a, b in made.ask("SELECT start_ts, end_ts FROM gaps") for ts in range(a, b + MINUTE, MINUTE)}
    assert absent == HOLES, "end_ts is the open of the last absent minute"
    bars = resample({row[0]: row[1:] for row in wanted}, START + 2 * DAY)
    for tf in ("5m", "15m", "1h", "4h", "1d"):
        stored = made.ask(
            f"SELECT ts, open, high, low, close, volume, minutes FROM candles WHERE timeframe = '{tf}' ORDER BY ts"
        )
        assert stored == [tuple(bar) for bar in bars[tf]]
    assert bars["5m"][0] == resample({row[0]: row[1:] for row in wanted[:5]}, START + 5 * MINUTE)["5m"][0]
    assert minute(wanted[0]).minutes == 1 and made.ask("SELECT count(*) FROM revisions") == [(0,)]


@pytest.mark.covers("rule 33", "D18")
def test_a_second_import_changes_nothing(made: Imports, whole: Path) -> None:
    made.take(whole)
    before, log = made.state(), made.ask("SELECT count(*) FROM audit_log")
    found = made.take(whole)
    assert (found.rows, found.gaps) == (0, 0) and "0 rows new or changed" in found.lines[-1]
    assert made.state() == before and made.ask("SELECT count(*) FROM revisions") == [(0,)]
    assert made.ask("SELECT count(*) FROM audit_log") == log == [(1,)]


CUTS = {
    "meeting": [
        (0, 13 * HOUR + 7 * MINUTE),
        (13 * HOUR + 7 * MINUTE, 31 * HOUR + 2 * MINUTE),
        (31 * HOUR + 2 * MINUTE, 2 * DAY),
    ],
    "overlapping": [(0, 25 * HOUR + MINUTE), (3 * HOUR + 3 * MINUTE, 30 * HOUR), (29 * HOUR + 58 * MINUTE, 2 * DAY)],
    "a hole at a seam": [(0, HOLE), (19 * HOUR, 30 * HOUR), (30 * HOUR, 2 * DAY)],
    "one inside another": [(0, 40 * HOUR), (9 * HOUR, 11 * HOUR), (20 * HOUR + 10 * MINUTE, 2 * DAY)],
}


@pytest.mark.covers("rule 33", "rule 1", "rule 2", "I1")
@pytest.mark.parametrize("cut", list(CUTS), ids=str)
def test_pieces_in_any_order_give_the_same_database_as_the_whole(cut: str, whole: Path, tmp_path: Path) -> None:
    one = Imports(tmp_path / "one.db")
    one.take(whole)
    parts = [_part(tmp_path / str(n), a, b) for n, (a, b) in enumerate(CUTS[cut])]
    for order in itertools.permutations(range(3)):
        many = Imports(tmp_path / f"many{''.join(map(str, order))}.db")
        for n in order:
            many.take(parts[n])
        assert _without_built(many.state()) == _without_built(one.state()), order
        assert many.ask("SELECT count(*) FROM revisions r JOIN series s ON s.id = r.series WHERE timeframe = '1m'") == [
            (0,)
        ]
        many.ctx.db.close()


def _without_built(state: list[Any]) -> list[Any]:
    # Gaps may lie in two rows that touch where a hole lies across two files.
    gaps = sorted(ts for row in state[1] for ts in range(row[2], row[3] + MINUTE, MINUTE))
    return [state[0], gaps, *state[2:]]


@pytest.mark.covers("rule 33", "rule 1")
@pytest.mark.parametrize("live", [18 * HOUR, 3 * MINUTE], ids=["live for hours", "live for minutes"])
def test_an_older_piece_that_does_not_meet_is_a_stretch_of_its_own_with_its_bars(
    live: int, made: Imports, tmp_path: Path
) -> None:
    made.take(_part(tmp_path / "new", 30 * HOUR, 30 * HOUR + live))
    made.take(_part(tmp_path / "old", 0, 10 * HOUR + 2 * MINUTE))
    ends = [(START, START + 10 * HOUR + 2 * MINUTE), (START + 30 * HOUR, START + 30 * HOUR + live)]
    assert made.ask("SELECT start_ts, frontier FROM sync_checkpoint ORDER BY 1") == ends
    old = resample({row[0]: row[1:] for row in copies.rows(copies.bars(0, 10 * HOUR + 2 * MINUTE), HOLES)}, ends[0][1])
    for tf in ("5m", "15m", "1h", "4h"):
        stored = made.ask(f"SELECT ts FROM candles WHERE timeframe = '{tf}' AND ts < {ends[0][1]} ORDER BY ts")
        assert [ts for (ts,) in stored] == [bar.ts for bar in old[tf]], "the last, unended one is left out"
    assert made.ask(f"SELECT count(*) FROM gaps WHERE start_ts >= {ends[0][1]} AND end_ts < {ends[1][0]}") == [(0,)]


@pytest.mark.covers("rule 33", "rule 3", "D18")
def test_other_values_are_revisions_and_rebuild_their_bars(made: Imports, whole: Path, tmp_path: Path) -> None:
    made.take(whole)
    at, wanted = START + 30 * HOUR, copies.rows(copies.bars(0, 2 * DAY), HOLES)
    row = next(r for r in wanted if r[0] == at)
    old, row[2] = tuple(row), row[2] * 1.01
    found = made.take(copies.write_csv(tmp_path / NAME, wanted))
    assert found.rows == 1 and "1 rewritten" in found.lines[0]
    assert made.ask(
        f"SELECT ts, open, high, low, close, volume FROM revisions r JOIN series s ON s.id = r.series "
        f"WHERE timeframe = '1m' AND ts = {at}"
    ) == [old]
    bars = resample({r[0]: r[1:] for r in wanted}, START + 2 * DAY)
    for tf in ("5m", "1d"):
        stored = made.ask(
            f"SELECT ts, open, high, low, close, volume, minutes FROM candles WHERE timeframe = '{tf}' ORDER BY ts"
        )
        assert stored == [tuple(bar) for bar in bars[tf]]


@pytest.mark.covers("rule 33", "rule 3", "rule 1")
def test_a_minute_that_an_earlier_file_lacked_heals_its_gap(made: Imports, whole: Path, tmp_path: Path) -> None:
    made.take(whole)
    found = made.take(_part(tmp_path, 0, 2 * DAY, drop=HOLES - {START + HOLE + 30 * MINUTE}))
    assert found.rows == 2 and found.gaps == 0, "one new minute, and that it is new is a revision"
    gaps = made.ask(f"SELECT start_ts, end_ts FROM gaps WHERE start_ts >= {START + HOLE} ORDER BY 1")
    healed = START + HOLE + 30 * MINUTE
    assert gaps == [(START + HOLE, healed - MINUTE), (healed + MINUTE, START + HOLE + 69 * MINUTE)]
    assert made.ask("SELECT r.open FROM revisions r JOIN series s ON s.id = r.series WHERE timeframe = '1m'") == [
        (None,)
    ]


# Bad input


def _spoilt(kind: str) -> list[list[Any]]:
    rows = copies.rows(copies.bars(0, 60 * MINUTE))
    if kind == "descending":
        rows[40], rows[41] = rows[41], rows[40]
    elif kind == "duplicate":
        rows[41] = list(rows[40])
    elif kind == "nan":
        rows[41][2] = math.nan
    elif kind == "zero":
        rows[41][3] = 0.0
    return rows


@pytest.mark.covers("rule 33", "D18")
@pytest.mark.parametrize("kind", ["descending", "duplicate", "nan", "zero", "good"])
def test_a_file_with_a_bad_row_is_refused_by_name_and_row_and_the_others_go_on(
    kind: str, made: Imports, whole: Path, tmp_path: Path
) -> None:
    bad = copies.write_csv(tmp_path / "BTCUSDT-1m.csv", _spoilt(kind))
    found = made.take(bad, whole)
    if kind == "good":
        assert found.refused == [] and found.rows == len(copies.rows(copies.bars(0, 2 * DAY), HOLES)) + 60
        return
    (why,) = found.refused
    assert why.startswith("BTCUSDT-1m.csv: row 42: ")
    assert {symbol for (symbol,) in made.ask("SELECT symbol FROM candles")} == {SOL}, (
        "nothing of the bad file is stored"
    )
    with pytest.raises(DataError, match="row 42"):
        made.take(bad)


@pytest.mark.covers("rule 33", "rule 2", "D18")
def test_what_is_not_closed_minutes_is_refused(tmp_path: Path) -> None:
    five = [[START + k * 5 * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0] for k in range(20)]
    late = Imports(tmp_path / "b.db", now=START + 2 * HOUR)
    for path, why in (
        (copies.write_csv(tmp_path / "SOLUSDT.csv", five), "5m apart: not 1m candles"),
        (copies.write_csv(tmp_path / "SOLUSDT-5m.csv", five), "5m by its name"),
        (_part(tmp_path, 0, 2 * HOUR + MINUTE), "had not closed"),
        (copies.write_csv(tmp_path / "SOLUSDT-1m-none.csv", []), "no rows"),
    ):
        with pytest.raises(DataError, match=why):
            late.take(path)
    assert late.take(_part(tmp_path, 0, 2 * HOUR)).rows == 120, "one that closes now is taken"
    assert late.ask("SELECT count(*) FROM ohlcv WHERE ts >= 1") == late.ask("SELECT count(*) FROM candles")


@pytest.mark.covers("rule 33")
def test_names_that_tell_too_little_or_too_much_are_asked_for(made: Imports, whole: Path, tmp_path: Path) -> None:
    plain = _part(tmp_path, 0, HOUR, "minutes.csv")
    with pytest.raises(ConfigError, match="give it with --symbol"):
        made.take(plain)
    with pytest.raises(ConfigError, match="5m candles are not stored"):
        made.take(whole, tf="5m")
    with pytest.raises(ConfigError, match="no such file"):
        made.take(tmp_path / "none.csv")
    assert made.take(plain, symbol=SOL, tf="1m").rows == 60
    found = made.take(plain, symbol="XRP/USDT:USDT")
    assert any("scanned only once they stand in `symbols`: XRP/USDT:USDT" in line for line in found.lines)


@pytest.mark.covers("rule 33", "rule 1", "rule 30")
def test_a_hole_behind_what_was_decided_is_refused(made: Imports, whole: Path, tmp_path: Path) -> None:
    made.take(whole)
    later = _part(tmp_path, 2 * DAY + HOUR, 3 * DAY)
    made.ctx.db.con.execute("UPDATE symbols SET scanned_ts = 1, followed_ts = 1")
    with pytest.raises(DataError, match="Import or download those first"):
        made.take(later)
    between = _part(tmp_path / "between", 2 * DAY, 2 * DAY + HOUR)
    assert made.take(later, between).refused == [], "files are taken in order of time"
    assert made.ask("SELECT start_ts, frontier FROM sync_checkpoint") == [(START, START + 3 * DAY)]


# Folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A long spot file, a short perpetual one, another coin, other bars; funding beside."""
    _part(tmp_path / "candles", 0, DAY, "binance_spot-SOLUSDT-1m-20240101-20240102.csv", set())
    _part(tmp_path / "candles", 12 * HOUR, DAY, "binance_perp-SOLUSDT-1m-20240101-20240102.csv", set())
    _part(tmp_path / "candles", 0, HOUR, "binance_spot-ADAUSDT-1m-20240101-20240101.csv", set())
    _part(tmp_path / "candles", 0, HOUR, "binance_spot-SOLUSDT-5m-20240101-20240101.csv", set())
    copies.write_rates(tmp_path / "funding" / "binance_perp-SOLUSDT-funding.csv", 0, DAY)
    return tmp_path


@pytest.mark.covers("rule 33", "rule 35")
def test_a_folder_gives_the_longest_source_of_each_configured_symbol_and_says_so(made: Imports, folder: Path) -> None:
    found = made.take(folder / "candles")
    assert made.ask("SELECT DISTINCT symbol FROM candles") == [(SOL,)] and found.rows == 1440 and found.refused == []
    text = "\n".join(found.lines)
    assert "chosen SOL/USDT:USDT: binance_spot-SOLUSDT-1m-20240101-20240102.csv (spot), 1440 minutes" in text
    assert "left out, not configured: ADA/USDT" in text and "left out binance_spot-SOLUSDT-5m" in text
    assert f"import {folder / 'funding'} too" in text
    named = made.take(folder / "candles", symbol="ADA/USDT:USDT")
    assert named.rows == 60 and made.ask("SELECT count(DISTINCT symbol) FROM candles") == [(2,)]
    both = made.take(folder)
    assert made.ask("SELECT count(*) FROM funding") == [(3,)] and both.rows == 3
    assert not any("too" in line.split() for line in both.lines)


@pytest.mark.covers("rule 33", "rule 27")
def test_funding_alone_and_what_a_folder_lacks(made: Imports, folder: Path, tmp_path: Path) -> None:
    assert made.take(folder / "funding").rows == 3
    assert made.take(folder / "funding").rows == 0
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="it has: none"):
        made.take(tmp_path / "none")
    _part(tmp_path / "ada", 0, HOUR, "ADAUSDT-1m.csv")
    with pytest.raises(ConfigError, match="it has: ADA/USDT"):
        made.take(tmp_path / "ada")


@pytest.mark.covers("rule 33", "rule 13")
def test_market_terms_are_inferred_only_where_no_exchange_told_them(made: Imports, whole: Path) -> None:
    made.take(whole)
    real = copies.MARKET.info(SOL)
    assert made.ask("SELECT tick, lot, info_ts FROM symbols") == [(real.tick, real.lot, 0)], (
        "asked for at the next start"
    )
    with made.ctx.db.write() as con:
        candles.set_market(con, "bitget", SOL, MarketInfo(0.5, 2.0, 7.0), 123)
    made.take(whole)
    assert made.ask("SELECT tick, lot, min_notional, info_ts FROM symbols") == [(0.5, 2.0, 7.0, 123)]


@pytest.mark.covers("rule 33")
def test_progress_is_told_and_a_killed_import_goes_on_where_it_stopped(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    monkeypatch.setattr(importing, "BATCH", 777)
    told: list[tuple[int, int]] = []
    Imports(tmp_path / "one.db").take(whole, progress=lambda *at: told.append(at))
    assert told == sorted(told) and told[-1][0] == told[-1][1] == 2 * 1440 - len(HOLES) and len(told) > 2

    def killed(done: int, total: int) -> None:
        if done >= 1500:
            raise Killed

    for history in (False, True):
        broken, one = Imports(tmp_path / f"broken{history}.db"), Imports(tmp_path / f"whole{history}.db")
        if history:  # what is imported lies behind a live stretch
            for db in (broken, one):
                db.take(_part(tmp_path / "live", 3 * DAY, 4 * DAY))
        with pytest.raises(Killed):
            broken.take(whole, progress=killed)
        broken.take(whole)
        one.take(whole)
        assert broken.state() == one.state()
        assert broken.ask("SELECT count(*) FROM revisions") == [(0,)]


# Import and retro against the replay exchange on the same folder


def _live(path: Path, folder: Path, span: int) -> None:
    options = demo.DemoOptions(candles=folder, span=span, history=60 * HOUR)
    cfg, db = harness.config(CONFIG), Database(path)
    demo.run(cfg, db, options, demo.prepare(cfg, options), console=io.StringIO())
    db.close()


@pytest.mark.covers("rule 33", "rule 35", "rule 31", "rule 27", "rule 1", "I1")
def test_import_and_retro_give_the_rows_of_the_replay_exchange_on_the_same_folder(tmp_path: Path) -> None:
    rng = random.Random(11)
    holes = {START + rng.randrange(2 * 1440, 3 * 1440) * MINUTE for _ in range(60)}
    _part(tmp_path / "candles", 0, 3 * DAY, "binance_spot-SOLUSDT-1m-20240101-20240103.csv", holes)
    _part(tmp_path / "candles", 2 * DAY, 3 * DAY, "binance_perp-SOLUSDT-1m-20240103-20240103.csv", set())
    copies.write_rates(tmp_path / "funding" / "binance_perp-SOLUSDT-funding.csv", 0, 4 * DAY)
    _live(tmp_path / "live.db", tmp_path, 9 * HOUR)
    made = Imports(tmp_path / "made.db")
    assert made.take(tmp_path / "candles").gaps == len(holes)
    retro.run(made.ctx, retro.RetroOptions())
    blind = diff.compare(tmp_path / "live.db", made.path)
    assert blind.same and blind.counts["signals"] > 10, blind.lines
    assert blind.counts["funding"] > 0 and made.ask("SELECT sum(funding_known) FROM positions") == [(0,)]
    funded = made.take(tmp_path / "funding")
    assert funded.rows == 12 and made.ask("SELECT sum(funding_known) > 20 FROM positions") == [(1,)], (
        "trades are recomputed"
    )
    seeing = diff.compare(tmp_path / "live.db", made.path)
    assert seeing.same and seeing.counts["funding"] == 0, seeing.lines
    made.ctx.db.con.execute("UPDATE signals SET sl = sl + tick WHERE n = (SELECT max(n) FROM signals)")
    assert not diff.compare(tmp_path / "live.db", made.path).same


def _plain(cfg: Any, symbols: Sequence[str]) -> Any:
    return replace(cfg, symbols=tuple(symbols))


@pytest.mark.covers("rule 33")
def test_real_files_are_taken_with_their_funding(real_candles: Path, real_funding: Path, tmp_path: Path) -> None:
    made = Imports(tmp_path / "a.db")
    made.ctx.cfg = _plain(made.ctx.cfg, ["ADA/USDT:USDT"])
    found = made.take(real_candles, real_funding)
    assert found.rows == 43140 + 91 and found.gaps == 0 and found.refused == []
    assert made.ask("SELECT tick FROM symbols") == [(0.0001,)]
    assert made.ask("SELECT frontier - start_ts FROM sync_checkpoint") == [(43140 * MINUTE,)]
