"""The page Signals and trades: filters, orders and pages agree with plain SQL, kinds of rows stay apart, exports."""

import csv
import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.dashboard.pages import trades as page
from core.dashboard.views import trades as view
from core.store.candles import Con
from core.store.reads import trades as reads
from core.store.reads.trades import CLOSED, OPEN, ORDERS, SIGNALS, Group, Wanted
from core.timeframe import DAY, HOUR
from tests.dashboard import rig
from tests.dashboard.test_frame import source

EXCHANGE = "bitget"


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo in which some rows are made retro and some in-sample."""
    path = rig.demo_db(tmp_path_factory.mktemp("trades"))
    with closing(sqlite3.connect(path)) as con:
        con.execute("UPDATE signals SET origin = 'retro' WHERE n % 3 = 0")
        con.execute("UPDATE signals SET in_sample = 1 WHERE n % 6 = 0")
        con.commit()
    return path


@pytest.fixture
def con(db: Path) -> Iterator[Con]:
    with source(db).read() as ctx:
        yield ctx.db.con


def plain(con: Con, where: str = "1") -> list[dict[str, Any]]:
    """All plans as one plain join, newest first."""
    cursor = con.execute("SELECT g.*, p.status, p.opened_ts, p.closed_ts, p.r_multiple, p.pnl_usd, p.pnl_pct FROM "
                         f"signals g JOIN positions p ON p.signal = g.n WHERE {where} "
                         "ORDER BY g.decided_ts DESC, g.n DESC")
    names = [d[0] for d in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


FILTERS = [
    (Wanted(), "1"),
    (Wanted(OPEN), "p.closed_ts IS NULL"),
    (Wanted(CLOSED), "p.closed_ts IS NOT NULL AND p.opened_ts IS NOT NULL"),
    (Wanted(verdicts=("refused",)), "verdict = 'refused'"),
    (Wanted(directions=("long",), statuses=("SL", "EXPIRED")), "direction = 'long' AND status IN ('SL', 'EXPIRED')"),
    (Wanted(setups=("fibo_avwap",), timeframes=("5m", "15m")), "setup = 'fibo_avwap'"),
    (Wanted(symbols=("NO/SUCH:ONE",)), "0"),
    (Wanted(CLOSED, exits=("sl",)), "exit_reason = 'sl'"),
    (Wanted(origins=("retro",)), "origin = 'retro'"),
    (Wanted(in_sample=True), "in_sample = 1"),
    (Wanted(in_sample=False, origins=("retro",)), "in_sample = 0 AND origin = 'retro'"),
    (Wanted(judges=((None, True),)), "model IS NULL AND tp1 IS NOT NULL"),
    (Wanted(judges=(("other", True), (None, False))), "model IS NULL AND tp1 IS NULL"),
    (Wanted(judges=()), "0"),
]


@pytest.mark.parametrize(("wanted", "where"), FILTERS, ids=[where[:40] for _, where in FILTERS])
def test_a_filter_finds_what_plain_sql_finds_and_counts_it(con: Con, wanted: Wanted, where: str) -> None:
    expected = plain(con, where)
    found = reads.page(con, EXCHANGE, wanted, limit=10_000)
    assert {row["id"] for row in found} == {row["id"] for row in expected}
    groups = reads.groups(con, EXCHANGE, wanted)
    assert sum(g.plans for g in groups) == len(expected)
    assert sum(g.filled for g in groups) == sum(row["opened_ts"] is not None for row in expected)
    assert sum(g.net_r for g in groups) == pytest.approx(sum(row["r_multiple"] or 0.0 for row in expected))


def test_a_period_is_of_decisions_and_for_closed_trades_of_ends(con: Con) -> None:
    rows = plain(con)
    middle = sorted(row["decided_ts"] for row in rows)[len(rows) // 2]
    found = reads.page(con, EXCHANGE, Wanted(start=middle, end=middle + HOUR), limit=10_000)
    assert {row["id"] for row in found} == {r["id"] for r in rows if middle <= r["decided_ts"] < middle + HOUR}
    found = reads.page(con, EXCHANGE, Wanted(CLOSED, start=middle), limit=10_000)
    assert {row["id"] for row in found} == {r["id"] for r in rows if r["opened_ts"] and (r["closed_ts"] or 0) >= middle}


def test_pages_joined_are_the_whole_list_in_every_order(con: Con) -> None:
    total = len(plain(con))
    assert total > 10
    for order in ORDERS:
        for down in (True, False):
            parts = [reads.page(con, EXCHANGE, Wanted(), order=order, down=down, limit=7, skip=skip)
                     for skip in range(0, total, 7)]
            ids = [row["id"] for part in parts for row in part]
            assert ids == [row["id"] for row in reads.page(con, EXCHANGE, Wanted(), order=order, down=down, limit=9999)]
            assert len(set(ids)) == total, order


def test_an_order_is_of_all_that_fit_and_what_has_no_value_comes_last(con: Con) -> None:
    best = [row["r_multiple"] for row in reads.page(con, EXCHANGE, Wanted(), order="profit_r", limit=9999)]
    known = [r for r in best if r is not None]
    assert known == sorted(known, reverse=True) and best[: len(known)] == known
    worst = reads.page(con, EXCHANGE, Wanted(), order="profit_r", down=False, limit=1)[0]["r_multiple"]
    assert worst == min(known)


def test_the_newest_of_several_symbols_are_the_newest_of_all(con: Con) -> None:
    assert [r["id"] for r in reads.newest(con, EXCHANGE, Wanted(), 10)] == [row["id"] for row in plain(con)[:10]]


def test_no_list_reads_a_table_from_end_to_end(con: Con) -> None:
    for kind in (SIGNALS, OPEN, CLOSED):
        where, values = reads._where(con, EXCHANGE, Wanted(kind, start=1))
        plan = [row[3] for row in con.execute(f"EXPLAIN QUERY PLAN SELECT g.n FROM {where}", values)]
        assert not [step for step in plan if step.startswith("SCAN")], plan


def test_news_tells_what_came_since_a_stamp(con: Con) -> None:
    now = reads.stamp(con, EXCHANGE)
    assert reads.news(con, EXCHANGE, now) == (0, 0)
    earlier = now._replace(n=now.n - 3, followed_ts=0)
    filled = sum(1 for row in plain(con) if row["opened_ts"] and row["closed_ts"])
    assert reads.news(con, EXCHANGE, earlier) == (3, filled)


# Words


def test_live_retro_and_in_sample_are_never_added_up() -> None:
    groups = [Group("pass", "live", 0, 2, 2, 2, 1.5, 15.0), Group("pass", "retro", 0, 5, 4, 4, -1.0, -10.0),
              Group("refused", "live", 0, 1, 1, 1, -1.1, -11.0), Group("pass", "retro", 1, 9, 9, 9, 99.0, 990.0)]
    live, refused, retro, in_sample = view.totals(groups)
    assert "2 plans" in live and "+1.50R" in live and "-1.10R" in refused and "-1.00R" in retro
    assert "9 plans" in in_sample and "99" not in in_sample and "count in no figure" in in_sample


def test_how_many_of_how_many_are_shown() -> None:
    groups = [Group("pass", "live", 0, 12_430, 0, 0, 0.0, 0.0)]
    assert view.showing(groups, 500, 500) == "Showing 501 to 1,000 of 12,430"
    assert view.showing([], 0, 0) == "None" and view.showing(groups, 12_430, 0) == "All 12,430 shown"


def test_evidence_is_that_of_the_model_that_judged() -> None:
    cards = {"m1": {"families": {"targets": {"evidence": {"label": "weak"}}}}}
    assert view.judges(cards, ()) is None
    assert view.judges(cards, ("weak",)) == (("m1", True),)
    assert view.judges(cards, ("insufficient",)) == ((None, True), (None, False), ("m1", False))


def test_a_period_begins_on_a_whole_hour() -> None:
    assert view.since("7 d", 100 * DAY + 7 * HOUR + 5) == 93 * DAY + 7 * HOUR and view.since("all", DAY) == 0


def test_marks_name_what_a_row_is() -> None:
    row = {"origin": "retro", "in_sample": 1, "late": 0, "revised": 0}
    assert view.marks(row) == "retro, in-sample" and view.marks({**row, "origin": "live", "in_sample": 0}) == ""


# The page


def table(at: Any) -> Any:
    return at.dataframe[0].value


@pytest.mark.parametrize("kind", [SIGNALS, OPEN, CLOSED])
def test_every_list_opens_with_its_columns(db: Path, con: Con, kind: str) -> None:
    at = rig.open_page("trades", db, kind=kind)
    assert not at.exception, at.exception
    expected = {row["short_id"] for row in reads.page(con, EXCHANGE, Wanted(kind, verdicts=("pass",)), limit=9999)}
    if not expected:
        assert "Nothing fits this filter" in rig.words_of(at)
        return
    frame = table(at)
    assert list(frame.columns) == [column.key for column in view.COLUMNS[kind]]
    assert set(frame["short_id"]) == expected and f"{len(expected)} shown" in rig.words_of(at)


def test_refused_ones_are_shown_when_asked_for_and_named_when_nothing_fits(db: Path, con: Con) -> None:
    at = rig.open_page("trades", db, kind=SIGNALS)
    next(g for g in at.get("button_group") if g.key == "trades-verdict").set_value("refused").run()
    refused = [r["short_id"] for r in reads.page(con, EXCHANGE, Wanted(verdicts=("refused",)), limit=9999)]
    assert list(table(at)["short_id"]) == refused and set(table(at)["taken"]) == {"refused"}


def test_a_chosen_trade_shows_its_life(db: Path, con: Con) -> None:
    at = rig.open_page("trades", db, kind=SIGNALS)
    row = reads.page(con, EXCHANGE, Wanted(CLOSED), limit=1)[0]
    at.session_state["trades-chosen"] = row["id"]
    at.run()
    said = rig.words_of(at)
    assert not at.exception and "**Filled**" in said and "TOTAL" in said and f"#{row['short_id']}" in said


def test_the_export_holds_every_row_that_fits_under_the_files_own_names(db: Path, con: Con) -> None:
    text = page._csv(source(db), Wanted(), "newest").decode()
    found = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in found] == [row["id"] for row in plain(con)]
    assert found[0]["decided_ts"].endswith("Z") and float(found[0]["entry"]) == plain(con)[0]["entry"]


def test_what_is_open_is_shown_at_the_newest_price(db: Path) -> None:
    row = {"symbol": "BTC/USDT:USDT", "direction": "short", "verdict": "pass", "ml_p": 0.4, "origin": "live", "late": 0,
           "revised": 0, "in_sample": 0, "fill": 100.0, "stop": 105.0, "entry": 100.0, "sl": 104.0, "closed_ts": None}
    opened, waiting, unknown = view.shown(
        [row, {**row, "fill": None}, {**row, "symbol": "X"}], {"BTC/USDT:USDT": 98.0})
    assert (opened["now_pct"], opened["now_r"], opened["stop_now"]) == pytest.approx((2.0, 0.5, 105.0))
    assert waiting["now"] == 98.0 and "now_pct" not in waiting and "now_pct" not in unknown
