"""The weekly report: made once per week whatever happens, true to the rows, and readable without anything else."""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.engine import jobs, week_figures, weekly_report
from core.engine.context import Context
from core.engine.week_figures import WEEK, monday, week_name
from core.notify import report_html, report_svg, report_words
from core.notify.text import plain
from core.store import runs
from core.store.db import Database
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine import harness
from tests.engine.rig import copy

BAD = "<script>alert('x')</script> & \"co\""


def lively(path: Path) -> None:
    """Give the run's rows a model's claims, so that every part of a report has something to say."""
    con = sqlite3.connect(path)
    con.execute("INSERT INTO models VALUES ('m1', 'meta', '', '', 5, 6, NULL, ?)", (
        '{"families": {"targets": {"evidence": {"label": "weak", "why": "' + "few & far" + '"}}}}',))
    con.execute("UPDATE signals SET ml_p = 0.2 + (n % 10) * 0.05, model = 'm1', reason = CASE verdict WHEN 'pass' "
                "THEN 'ev 0.2 >= 0 (global)' ELSE reason END")
    con.execute("UPDATE signals SET verdict = 'refused', reason = 'ev -0.1 < 0 (global)' WHERE verdict = 'pass' "
                "AND n % 4 = 0")
    moment = con.execute("SELECT max(decided_ts) FROM signals").fetchone()[0]
    con.execute("INSERT INTO promotions (kind, model, promoted_ts, ts, who, why) "
                "VALUES ('meta', 'm1', 6, ?, 'user', ?)", (moment, BAD))
    con.execute("UPDATE models SET created_ts = ?", (moment,))
    con.execute("INSERT INTO trials (ts, kind, params) VALUES (?, 'train', '{}')", (moment,))
    con.commit()
    con.close()


@pytest.fixture(scope="module")
def told(unbroken: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = copy(unbroken, tmp_path_factory.mktemp("report") / "week.db")
    lively(path)
    return path


@pytest.fixture
def ctx(told: Path, tmp_path: Path) -> Iterator[Context]:
    path = copy(told, tmp_path / "a.db")
    db = Database(path)
    cfg = harness.config()
    cfg = replace(cfg, app=replace(cfg.app, data_dir=str(tmp_path / "data")))
    yield Context(cfg, db, VirtualClock(end_of(db.con) + 8 * MINUTE), tell_all=True, label="GENERATED MARKET")
    db.close()


def end_of(con: sqlite3.Connection) -> int:
    """The end of the week that the run lies in."""
    return monday(con.execute("SELECT max(decided_ts) FROM signals").fetchone()[0]) + WEEK


def figures(ctx: Context) -> dict[str, Any]:
    end = end_of(ctx.db.con)
    return week_figures.of(ctx, ctx.db.con, end - WEEK, end)


def alerts(ctx: Context) -> list[str]:
    return [row[0] for row in ctx.db.con.execute("SELECT body FROM alerts WHERE kind = 'weekly'")]


def at(ctx: Context, due: int) -> int:
    ctx.clock.set(due)  # type: ignore[attr-defined]
    return weekly_report.run(ctx, due)


# When


def test_weeks_begin_on_monday_and_are_named_as_the_calendar_names_them() -> None:
    for ts in range(0, 60 * 365 * DAY, 97 * HOUR):
        first = datetime.fromtimestamp(monday(ts) / 1000, UTC)
        assert first.weekday() == 0 and monday(ts) % DAY == 0 and monday(ts) <= ts < monday(ts) + WEEK
        assert week_name(ts) == f"{first.isocalendar().year}-W{first.isocalendar().week:02d}"


def test_it_is_due_on_monday_a_few_minutes_after_midnight_in_a_lane_apart_from_the_ticks(ctx: Context) -> None:
    table = jobs.table(ctx, None, lambda: False)
    (job,) = (j for j in table if j.name == "weekly_report")
    end = end_of(ctx.db.con)
    assert jobs.due_between(job, end, end + HOUR) == [end + 7 * MINUTE + 35_000]
    assert [j.name for j in table if j.lane == job.lane] == ["weekly_report", "daily_reconcile"], "lookers only"


@pytest.mark.covers("I6")
def test_a_week_is_reported_once_also_over_restarts(ctx: Context) -> None:
    end = end_of(ctx.db.con)
    assert at(ctx, end + DAY + HOUR) == 1
    again = Context(ctx.cfg, ctx.db, ctx.clock, tell_all=True)
    assert [at(c, end + DAY + k * HOUR) for k in range(2, 50) for c in (ctx, again)] == [0] * 96
    assert len(alerts(ctx)) == 1
    assert len(list(weekly_report.folder(ctx).glob("*"))) == 1


def test_an_outage_over_monday_reports_the_week_when_it_is_over(ctx: Context) -> None:
    end = end_of(ctx.db.con)
    assert at(ctx, end + 5 * DAY) == 1
    assert week_name(end - 1) in alerts(ctx)[0]


def test_it_waits_for_minutes_that_are_still_to_be_followed_but_not_for_ever(ctx: Context) -> None:
    end = end_of(ctx.db.con)
    assert at(ctx, end + 8 * MINUTE) == 0, "the run ended on a weekday: the rest of the week is not followed"
    ctx.db.con.execute("UPDATE symbols SET followed_ts = ?", (end,))
    assert at(ctx, end + 8 * MINUTE) == 1


def test_a_week_before_the_first_live_decision_has_no_report(ctx: Context) -> None:
    assert at(ctx, end_of(ctx.db.con) - WEEK + 2 * DAY) == 0
    ctx.db.con.execute("UPDATE series SET live_from = NULL")
    assert at(ctx, end_of(ctx.db.con) + 2 * DAY) == 0
    assert alerts(ctx) == []


def test_a_kind_that_is_switched_off_still_leaves_the_page(ctx: Context) -> None:
    ctx.tell_all = False
    telegram = replace(ctx.cfg.notify.telegram, send_on=("signal",))
    ctx.cfg = replace(ctx.cfg, notify=replace(ctx.cfg.notify, telegram=telegram))
    assert at(ctx, end_of(ctx.db.con) + 2 * DAY) == 1
    assert alerts(ctx) == [] and len(list(weekly_report.folder(ctx).glob("week-*.html"))) == 1


@pytest.mark.covers("I1")
def test_it_touches_no_decision_and_no_result(ctx: Context) -> None:
    def rows() -> list[Any]:
        return [ctx.db.con.execute(f"SELECT * FROM {t}").fetchall() for t in ("signals", "positions", "events")]

    before = rows()
    assert at(ctx, end_of(ctx.db.con) + 2 * DAY) == 1
    assert rows() == before


def test_a_failure_while_writing_leaves_nothing_and_the_next_hour_tries_again(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = end_of(ctx.db.con)
    with monkeypatch.context() as broken:
        broken.setattr(weekly_report.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
        with pytest.raises(OSError, match="disk full"):
            at(ctx, end + DAY)
    assert list(weekly_report.folder(ctx).iterdir()) == [] and alerts(ctx) == []
    assert runs.get(ctx.db.con, weekly_report.DONE) is None
    assert at(ctx, end + DAY + HOUR) == 1


def test_the_configured_file_reports_into_the_data_folder_and_another_beside_itself(ctx: Context) -> None:
    assert weekly_report.folder(ctx) == ctx.db.path.parent / "reports" / "a"
    ctx.cfg = replace(ctx.cfg, app=replace(ctx.cfg.app, db_path=str(ctx.db.path)))
    assert weekly_report.folder(ctx) == Path(ctx.cfg.app.data_dir) / "reports"


# What


def test_figures_are_those_of_the_rows(ctx: Context) -> None:
    f = figures(ctx)
    rows = ctx.db.con.execute(
        "SELECT t.pnl_pct, t.r_multiple FROM trades t JOIN signals g ON g.id = t.signal_id WHERE g.verdict = 'pass' "
        "AND t.pnl_pct IS NOT NULL AND t.closed_ts IS NOT NULL").fetchall()
    assert f["now"]["trades"] == len(rows) > 20 and f["now"]["wins"] == sum(pnl > 0 for pnl, _ in rows)
    assert f["now"]["expectancy_r"] * len(rows) == pytest.approx(sum(r for _, r in rows))
    assert f["equity"]["r"][-1] == pytest.approx(sum(r for _, r in rows))
    assert sum(part["trades"] for part in f["by"]["pair"].values()) == len(rows)
    assert {(a["origin"], a["verdict"]) for a in f["apart"]} == {("live", "pass"), ("live", "refused")}
    stored = ctx.db.con.execute("SELECT count(*) FROM signals").fetchone()[0]
    assert f["funnel"]["stored"] == stored and f["funnel"]["candidates"] >= stored


def test_in_sample_rows_and_other_weeks_count_nowhere(ctx: Context) -> None:
    before = figures(ctx)["now"]["trades"]
    ctx.db.con.execute("UPDATE signals SET in_sample = 1 WHERE n % 2 = 0")
    f = figures(ctx)
    assert 0 < f["now"]["trades"] < before
    end = end_of(ctx.db.con)
    other = week_figures.of(ctx, ctx.db.con, end, end + WEEK)
    assert other["now"]["trades"] == 0 and other["year"]["trades"] == f["year"]["trades"]


def test_calibration_counts_every_scored_plan_once(ctx: Context) -> None:
    c = figures(ctx)["calibration"]["live"]
    n, won = ctx.db.con.execute(
        "SELECT count(*), sum(t.pnl_pct > 0) FROM trades t JOIN signals g ON g.id = t.signal_id "
        "WHERE g.ml_p IS NOT NULL AND t.pnl_pct IS NOT NULL AND t.closed_ts IS NOT NULL").fetchone()
    assert c["n"] == n == sum(b["n"] for b in c["curve"]) and c["wins"] == won


def test_the_same_file_and_moment_give_the_same_page(ctx: Context) -> None:
    assert report_html.page(figures(ctx)) == report_html.page(figures(ctx))


def test_the_scorecard_on_disk_is_shown_and_rubbish_is_none(ctx: Context) -> None:
    path = Path(ctx.cfg.app.data_dir) / "audit.json"
    assert figures(ctx)["audit"] is None and "python -m core audit" in report_html.page(figures(ctx))
    path.parent.mkdir()
    for text in ("{", "[]", '{"rows": 3}'):
        path.write_text(text, encoding="utf-8")
        assert figures(ctx)["audit"] is None
    path.write_text('{"verdict": "PASSED: all hold", "passed": true, "made_ts": 1000, "rows": [{"number": 1, '
                    '"name": "<b>Leaks", "value": "0", "bar": "0", "passed": true, "reason": ""}]}', encoding="utf-8")
    page = report_html.page(figures(ctx))
    assert "PASSED: all hold" in page and "&lt;b&gt;Leaks" in page and "1970-01-01" in page


# How it looks


class Checker(HTMLParser):
    """Tags that open and close, and whatever could be loaded from somewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "srcset", "data", "action")]
        self.loads += [tag] if tag in ("script", "link", "img", "iframe", "object") else []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def checked(page: str) -> Checker:
    found = Checker()
    found.feed(page)
    assert found.open == []
    return found


def test_the_page_is_whole_loads_nothing_and_escapes_what_it_is_given(ctx: Context) -> None:
    page = report_html.page(figures(ctx))
    assert checked(page).loads == [] and "http" not in page.replace("http-equiv", "") and "url(" not in page
    assert "alert('x')" in page and "<script" not in page
    assert "GENERATED MARKET" in page and "prefers-color-scheme:dark" in page and "@media print" in page


@pytest.mark.covers("I5")
def test_no_win_rate_stands_without_its_count_interval_and_break_even(ctx: Context) -> None:
    f = figures(ctx)
    rows = checked(report_html.page(f)).rows
    names = [row[0] for row in rows if row]
    first = names.index("Win%")
    assert names[first + 1:first + 3] == ["Win% 95 % interval", "Break-even Win%"] and "Trades" in names[:first]
    heads = [row for row in rows if "Win%" in row[1:]]
    assert len(heads) >= 6
    for row in heads:
        at_rate = row.index("Win%")
        assert row[at_rate - 1] == "Trades"
        assert row[at_rate + 1].startswith("95 %") and row[at_rate + 2].startswith("Break-even")
    for text in (report_words.verdict(f), plain(report_words.message(f, ""))):
        s = f["now"]
        assert f"of {s['trades']}" in text and report_words.between(s) in text and "reak-even" in text


def test_the_message_fits_a_phone(ctx: Context) -> None:
    body = report_words.message(figures(ctx), "data/reports/week-2024-W07.html")
    assert len(body) < 1500
    assert all(len(line) <= 40 for line in plain(body).splitlines() if not line.startswith("Report:")), body


def test_a_week_without_a_trade_says_why_and_draws_nothing(ctx: Context) -> None:
    ctx.db.con.execute("UPDATE signals SET verdict = 'refused'")
    f = figures(ctx)
    page = report_html.page(f)
    assert checked(page).loads == [] and "<svg" not in page.split("Do the probabilities")[0]
    assert "No plan that passed ended" in report_words.verdict(f)
    assert "bars" in report_words.message(f, "") and report_words.lines(f)


@pytest.mark.parametrize(("n", "low", "high", "says"), [
    (29, 0.1, 0.2, "next to nothing"), (80, None, None, "few weeks prove nothing"),
    (80, -0.1, 0.3, "not to be told from nothing"), (80, 0.1, 0.3, "more than nothing"),
    (80, -0.3, -0.1, "less than nothing")])
def test_the_verdict_claims_no_more_than_the_numbers_allow(
    n: int, low: float | None, high: float | None, says: str
) -> None:
    s = {"trades": n, "wins": 20, "expectancy_r": 0.1, "tot_profit_usd": 1.0, "win_pct": 50.0, "win_low_pct": 40.0,
         "win_high_pct": 60.0, "break_even_pct": 30.0, "expectancy_r_low": low, "expectancy_r_high": high}
    words = report_words.verdict({"now": s, "year": s, "year_weeks": 52})
    assert says in words and "Last 52" not in words
    year = s | {"trades": 900, "expectancy_r_low": -0.1, "expectancy_r_high": 0.2}
    assert "not to be told from nothing" in report_words.verdict({"now": s, "year": year, "year_weeks": 52})


def test_charts_of_little_or_strange_data_are_whole_or_left_out() -> None:
    assert report_svg.equity({"ts": [1], "r": [1.0], "from_ts": 0}) == ""
    assert report_svg.weeks([], lambda w: 0.0) == report_svg.distribution([1.0]) == report_svg.reliability([]) == ""
    same = report_svg.equity({"ts": [5, 5, 5], "r": [0.0, 0.0, 0.0], "from_ts": 5})
    wide = report_svg.distribution([-1.0] * 5 + [40.0])
    one = report_svg.reliability([{"n": 3, "claimed": 0.4, "observed": 0.0, "low": 0.0, "high": 0.7}])
    for svg in (same, wide, one):
        checked(svg)
        numbers = [float(v) for v in re.findall(r'(?:x|y|x1|y1|x2|y2|cx|cy)="(-?[\d.]+)"', svg)]
        assert numbers and all(-1 <= v <= 641 for v in numbers)


def test_numbers_near_zero_carry_no_sign() -> None:
    assert report_words.number(-0.001, signed=True) == "0.00" and report_words.money(-0.001) == "0.00"
    assert report_words.number(-1234.5, 1) == "-1,234.5" and report_words.number(None) == "-"
