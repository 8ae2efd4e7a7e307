"""The page Chart: the levels that are drawn are those of the plan, the numbers are those one types, and it opens."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.candles import Bars
from core.dashboard import theme
from core.dashboard.views import candles as drawing
from core.dashboard.views import chart as view
from core.dashboard.views import life, plan, reasons, scripts
from core.dashboard.views.candles import Scene
from core.dashboard.views.chart import Plan, Window
from core.dashboard.views.scripts import Script
from core.engine import params
from core.signals.avwap import anchored_vwap
from core.signals.fibo import levels as plan_levels
from core.signals.kernels import PLAIN, pivot
from core.store import candles, reports, signals
from core.store.reads import chart as reads
from core.timeframe import DAY, HOUR, MINUTE
from tests.dashboard import plans, rig
from tests.dashboard.plans import DECIDED, EXPIRES, FIVE, START, T0, TERMS
from tests.dashboard.test_frame import source

UTC = ZoneInfo("UTC")


def scene(plan_: Plan | None = None, **more: Any) -> Scene:
    """60 bars of 5m, with a plan or without."""
    own = plans.bars()
    return Scene(**{"symbol": "BTC/USDT:USDT", "timeframe": "5m", "bars": own, "window": Window(T0, T0 + 60 * FIVE),
                    "tick": 0.01, "zone": UTC, "plan": plan_, **more})


def series(spec: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in spec["series"] if one["name"] == name)


def lines(spec: dict[str, Any], name: str = "levels") -> dict[str, Any]:
    """Lines of a figure by name, each as its two ends."""
    return {line["name"]: line["coords"] for one in spec["series"] if one["name"] == name for line in one["data"]}


def zones(spec: dict[str, Any]) -> dict[str, Any]:
    """Shaded parts of a figure by name, each as its two corners."""
    return {a["name"]: ((a["xAxis"], b["xAxis"]), (a.get("yAxis"), b.get("yAxis")))
            for a, b in spec["series"][0]["markArea"]["data"]}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rig.demo_db(tmp_path_factory.mktemp("chart"))


# What is drawn is what was planned


def test_the_levels_drawn_are_the_levels_of_the_plan() -> None:
    found = lines(drawing.figure(scene(plans.plan()), dark=True))
    for name, price in {"Entry": 103.82, "SL": 99.0, "TP1": 112.72, "TP2": 116.18}.items():
        assert found[name] == [[DECIDED, price], [EXPIRES, price]], "while it waits, up to its expiry"


def test_their_names_carry_the_price_as_it_is_typed() -> None:
    drawn = series(drawing.figure(scene(plans.plan()), dark=True), "tags")["renderItem"]
    assert isinstance(drawn, Script)
    for name in ("Entry 103.82", "SL 99.00", "TP1 112.72", "TP2 116.18"):
        assert f'"{name}"' in drawn


@pytest.mark.covers("rule 11")
def test_fib_levels_of_100_to_110_are_those_one_can_check_in_the_head() -> None:
    found = {level.name: level.price for level in view.fibs(plans.plan())}
    assert found == pytest.approx({"0": 110.0, "0.236": 107.64, "0.382": 106.18, "0.5": 105.0, "0.618": 103.82,
                                   "0.786": 102.14, "1": 100.0, "1.272 ext.": 112.72, "1.618 ext.": 116.18})
    by_rule = plan_levels(100.0, 110.0, 0.618, 1.0)
    assert (found["0.618"], found["1.272 ext."]) == pytest.approx((by_rule.entry, by_rule.tp1))


def test_a_short_is_mirrored() -> None:
    own = plans.mirrored(plans.bars())
    short = plans.plan(plans.row(direction="short", entry=106.18, sl=111.0, tp1=97.28, tp2=93.82), own=own)
    start, end = view.impulse(short) or pytest.fail("no impulse")
    assert (start.price, start.side, end.price, end.side) == (110.0, 1, 100.0, -1)
    assert {level.name: level.price for level in view.fibs(short)}["0.618"] == pytest.approx(106.18)


def test_no_fib_levels_where_the_bars_of_the_impulse_are_not_stored() -> None:
    own = plans.bars()
    without = Bars(own.tf, *(getattr(own, name)[15:] for name in ("ts", "open", "high", "low", "close", "volume",
                                                                  "minutes")))
    assert view.fibs(plans.plan(own=without)) == [] and view.impulse(plans.plan(own=without)) is None


def test_a_breakout_shows_the_channel_it_broke_instead() -> None:
    at = plans.row(start_ts=DECIDED - FIVE, end_ts=DECIDED - FIVE, tp1=None, tp2=None, avwap=None, market=1)
    found = view.channel(Plan(at, plans.trade(), (), plans.bars(), 6))
    assert [(level.price, level.start) for level in found] == [(110.0, T0 + 13 * FIVE), (103.0, T0 + 13 * FIVE)]
    assert view.fibs(plans.plan(at)) == [] and view.avwap(plans.plan(at)) == ([], [])


@pytest.mark.covers("rule 12")
def test_the_avwap_begins_at_the_impulses_start_and_meets_the_stored_value_at_the_decision() -> None:
    own = plans.bars()
    stored = anchored_vwap(own, 10, 19, PLAIN)
    ts, values = view.avwap(plans.plan(plans.row(avwap=stored), own=own))
    assert ts[0] == START and values[ts.index(DECIDED - FIVE)] == pytest.approx(stored, rel=1e-12)
    assert values[0] == pytest.approx((105.0 + 100.0 + 104.5) / 3)


@pytest.mark.covers("rule 7")
def test_pivots_are_those_of_the_rule() -> None:
    own = plans.bars()
    high, low = own.high.tolist(), own.low.tolist()
    expected = [(i, side) for i in range(5, 55) if (side := pivot(high, low, i, 5))]
    found = view.pivots(own, 5)
    assert [((p.ts - T0) // FIVE, p.side) for p in found] == expected == [(10, -1), (14, 1)]
    assert [p.price for p in found] == [100.0, 110.0]


def test_fills_and_exits_stand_at_their_minute_and_price() -> None:
    trade, events = plans.trailed()
    found = view.marks(plans.plan(trade_=trade, events=events))
    assert [(m.name, m.price, m.tone) for m in found] == [("FILL", 100.0, "plain"), ("TP1", 112.0, "up"),
                                                           ("TP1_TRAIL", 106.0, "up")]
    spec = drawing.figure(scene(plans.plan(trade_=trade, events=events)), dark=True)
    assert [point["value"] for point in series(spec, "trade")["data"]] == [[m.ts, m.price] for m in found]
    assert [row[6] for row in spec["series"][0]["data"] if len(row) > 6] == [
        "FILL at 100.00, 5 Jan 01:45Z", "TP1 at 112.00, 5 Jan 01:50Z", "TP1_TRAIL at 106.00, 5 Jan 02:00Z"]


def test_waiting_and_holding_are_shaded_and_a_moved_stop_is_drawn() -> None:
    trade, events = plans.trailed()
    spec = drawing.figure(scene(plans.plan(trade_=trade, events=events)), dark=True)
    found, closed = zones(spec), DECIDED + 4 * FIVE + MINUTE
    assert found["waiting"] == ((DECIDED, DECIDED + FIVE), (None, None))
    assert found["risk"] == ((DECIDED + FIVE, closed), (103.82, 99.0))
    assert found["reward"] == ((DECIDED + FIVE, closed), (103.82, 116.18))
    assert lines(spec)["Last stop"] == [[DECIDED + 2 * FIVE, 106.0], [closed, 106.0]]


def test_a_stop_that_trailed_is_drawn_as_it_went() -> None:
    trade, events = plans.trailed()
    whole, closed = plans.plan(trade_=trade, events=events), DECIDED + 4 * FIVE + MINUTE
    times, stops = [DECIDED + FIVE, DECIDED + 2 * FIVE, DECIDED + 3 * FIVE, closed], [99.0, 104.0, 106.0, 106.0]
    spec = drawing.figure(scene(replace(whole, stops=(times, stops))), dark=True)
    way = series(spec, "Stop")
    assert way["step"] == "end" and way["data"] == [[t, v] for t, v in zip(times, stops, strict=True)]
    assert lines(spec)["Last stop"] == [[DECIDED + 3 * FIVE, 106.0], [closed, 106.0]]
    assert "Stop" not in [one["name"] for one in drawing.figure(scene(whole), dark=True)["series"]]
    pending = zones(drawing.figure(scene(plans.plan()), dark=True))
    assert pending == {"waiting": ((DECIDED, EXPIRES), (None, None))}


def test_a_market_order_waits_for_nothing() -> None:
    assert view.waiting(plans.plan(plans.row(market=1))) is None


def test_refused_decisions_nearby_are_hollow_and_each_carries_its_id_and_its_reason() -> None:
    near = [{**plans.row(**more), **plans.trade()} for more in (
        {"short_id": "TAKEN11"}, {"short_id": "REFUSED", "verdict": "refused", "reason": "cost_r 0.2 > 0.15 <b>"},
        {"short_id": "ABCDEFG"})]
    spec = drawing.figure(scene(plans.plan(), others=near), dark=True)
    (taken,), (refused,) = series(spec, "taken")["data"], series(spec, "refused")["data"]
    assert (taken["id"], refused["id"]) == ("TAKEN11", "REFUSED"), "its own plan is not among them"
    assert taken["itemStyle"]["color"] == theme.UP and refused["itemStyle"]["color"] == "transparent"
    assert taken["value"] == [DECIDED - FIVE, 103.0], "below the deciding bar"
    assert "cost_r 0.2 &gt; 0.15 &lt;b&gt;" in refused["tooltip"]["formatter"]


def test_the_zoom_is_given_up_for_another_plan_or_timeframe_alone() -> None:
    def revision(**more: Any) -> str:
        return drawing.revision(scene(**{"plan_": plans.plan(), **more}))

    more_bars = scene(plans.plan()).window._replace(end=T0 + 61 * FIVE)
    assert revision() == revision(window=more_bars) == revision(others=[])
    assert len({revision(), revision(timeframe="1h"), revision(plan_=plans.plan(plans.row(id="other")))}) == 3


def test_the_range_that_was_sent_gives_way_to_the_one_that_is_held() -> None:
    sent = drawing.figure(scene(), dark=True)["dataZoom"]
    assert (sent["startValue"], sent["filterMode"]) == (T0, "filter") and sent["endValue"] >= T0 + 60 * FIVE
    text = scripts.kept(sent, "BTC|5m", ".st-key-x .box")
    assert json.dumps(sent) in text and '"BTC|5m"' in text and '".st-key-x .box"' in text


def test_the_time_axis_is_in_the_display_zone_and_says_so() -> None:
    utc = drawing.figure(scene(), dark=True)
    there = drawing.figure(scene(zone=ZoneInfo("Asia/Kolkata")), dark=True)
    assert there["series"][0]["data"][0][0] - utc["series"][0]["data"][0][0] == 5 * HOUR + 30 * MINUTE
    assert there["xAxis"][1]["name"] == "UTC+5.5" and not utc["xAxis"][1]["name"]
    assert '"UTC+5.5"' in there["tooltip"]["formatter"]


def test_prices_are_told_with_the_decimals_of_the_tick() -> None:
    for tick, digits in ((0.01, 2), (0.00005, 5), (0.5, 1), (1.0, 0)):
        axis = drawing.figure(scene(tick=tick), dark=True)["yAxis"][0]
        assert axis["axisLabel"]["formatter"] == f"(value) => value.toFixed({digits})"
        assert axis["minInterval"] == tick


def test_at_first_a_level_is_seen_however_far_away_it_is() -> None:
    far = drawing.figure(scene(plans.plan(plans.row(tp2=150.0))), dark=True)["yAxis"][0]
    for end in ("min", "max"):  # candles of 100 to 110 in a range of 99 to 150
        assert far[end].endswith(f"([103.82, 99.0, 112.72, 150.0], {1.01 * 51.0 / 10.0})")
    assert drawing.figure(scene(plans.plan()), dark=True)["yAxis"][0]["max"].endswith(", 2.5)")


def test_a_figure_is_plain_json_with_its_volume_in_both_themes() -> None:
    trade, events = plans.trailed()
    for dark in (True, False):
        spec = drawing.figure(scene(plans.plan(trade_=trade, events=events), piv_window=5), dark=dark)
        assert json.loads(json.dumps(theme.plain(spec), allow_nan=False))
        bars, volume = spec["series"][:2]
        assert (bars["type"], volume["type"]) == ("candlestick", "bar")
        assert bars["data"][10][:6] == [START, 104.0, 104.5, 100.0, 105.0, 30.0], "ECharts takes open, close, low, high"
        assert volume["data"][10] == [START, 30.0, 1]
        assert "Entry 103.82" in spec["aria"]["label"]["description"]


def test_an_empty_window_is_drawn_empty() -> None:
    assert drawing.figure(scene(bars=plans.bars().cut(0, 0)), dark=True)["series"][0]["data"] == []


# Which bars are shown


@pytest.mark.parametrize(("count", "closed", "bars", "cut"), [
    (300, DECIDED + 10 * FIVE, 300, False),  # a short life in a wide window
    (100, DECIDED + 500 * FIVE, 566, False),  # a long life is shown whole
    (100, DECIDED + 5000 * FIVE, view.MOST, True),  # but for one that is longer than any chart
])
def test_the_window_holds_the_life_of_the_plan(count: int, closed: int, bars: int, cut: bool) -> None:
    newest = T0 + 20_000 * FIVE
    found = view.window(FIVE, count, newest, (plans.row(), plans.trade(status="SL", closed_ts=closed)))
    assert found.cut is cut and (found.end - found.start) // FIVE == pytest.approx(bars, abs=1)
    assert found.start <= DECIDED < found.end and (cut or (found.start < START and found.end > closed))


def test_a_fresh_plan_is_shown_up_to_the_newest_bar_with_the_bars_before_it() -> None:
    found = view.window(FIVE, 300, DECIDED - FIVE, (plans.row(), plans.trade()))
    assert found == Window(DECIDED - 300 * FIVE, DECIDED)
    start, end = view.focus(FIVE, found, (plans.row(), plans.trade()))
    assert end == DECIDED and start <= START and end - start < found.end - found.start


def test_without_a_plan_the_newest_bars_are_shown_or_those_before_a_time() -> None:
    assert view.window(FIVE, 100, T0) == Window(T0 - 99 * FIVE, T0 + FIVE)
    assert view.window(FIVE, 100, T0, until=T0 - DAY) == Window(T0 - DAY - 100 * FIVE, T0 - DAY)
    assert view.window(FIVE, 9999, T0).end - view.window(FIVE, 9999, T0).start == view.MOST * FIVE


# Words and numbers


def test_the_numbers_are_those_one_types() -> None:
    found = {n.label: (n.value, n.note) for n in plan.numbers(plans.row(), TERMS)}
    assert found == {"Entry": ("103.82", "limit"), "SL": ("99.00", "-4.64% -1.00R"),
                     "TP1": ("112.72", "+8.57% +1.85R, close 50%"), "TP2": ("116.18", "+11.91% +2.56R, the rest"),
                     "Size": ("20.5", "= 2,128.31 USDT"), "Leverage": ("3", "margin 709.44 USDT")}
    trailing = plans.row(tp1=None, tp2=None, market=1, trail_mult=3.0)
    assert [n.label for n in plan.numbers(trailing, TERMS)] == ["Entry", "SL", "Size", "Leverage"]
    assert "trails at 3 ATR" in plan.order(trailing, TERMS)


def test_the_plan_as_text_holds_every_number_once() -> None:
    text = plan.order(plans.row(), TERMS)
    assert text.startswith("LONG BTC/USDT:USDT  5m fibo_avwap  #ABCDEFG")
    for number in ("103.82", "99.00", "112.72", "116.18", "20.5", "69.70", "2024-01-05 03:40Z"):
        assert text.count(number) == 1, number


def test_a_plan_says_until_when_it_may_be_acted_on() -> None:
    assert "in 2h" in plan.validity(plans.row(), plans.trade(), DECIDED)
    assert plan.validity(plans.row(), plans.trade(), EXPIRES).startswith("No longer valid")
    assert plan.validity(plans.row(), plans.trade(status="OPEN"), DECIDED) == ""


def test_a_life_is_told_in_order_with_break_even_and_trail() -> None:
    trade, events = plans.trailed()
    steps = life.steps(plans.row(), trade, events, TERMS)
    assert [step.what for step in steps] == ["Created", "Waits", "Filled", "TP1", "Break-even", "Trail",
                                             "Closed: TP1_TRAIL"]
    times = [step.ts for step in steps if step.ts is not None]
    assert times == sorted(times) and steps[4].ts == DECIDED + 2 * FIVE + MINUTE, "the stop moves a minute later"
    assert "+6.00%" in steps[3].said and "moves to 100.00" in steps[4].said and "the trailing stop" in steps[6].said


@pytest.mark.parametrize(("trade", "last", "said"), [
    (plans.trade(), "Now", "PENDING"),
    (plans.trade(status="OPEN", opened_ts=DECIDED, fill=103.82, mfe_pct=1.0, mae_pct=-1.0), "Now", "stop at 99.00"),
])
def test_an_unfinished_life_ends_with_now(trade: dict[str, Any], last: str, said: str) -> None:
    end = life.steps(plans.row(), trade, [], TERMS)[-1]
    assert end.what == last and end.ts is None and said in end.said


def test_an_expired_plan_says_why_and_has_no_money() -> None:
    trade = plans.trade(status="EXPIRED", exit_reason="never_filled", closed_ts=EXPIRES - MINUTE)
    events = [plans.event("EXPIRED", EXPIRES - MINUTE, None, 0.0, 0.0)]
    assert "never reached" in life.steps(plans.row(), trade, events, TERMS)[-1].said
    assert life.money(plans.row(), trade, events, TERMS) == []


@pytest.mark.covers("rule 26")
def test_the_money_of_the_legs_adds_up_to_the_net_result() -> None:
    trade, events = plans.trailed()
    *legs, total = life.money(plans.row(), trade, events, TERMS)
    assert [line["leg"] for line in legs] == ["FILL", "TP1", "TP1_TRAIL", "funding"]
    for name in ("net", "usd"):
        assert sum(line[name] for line in legs) == pytest.approx(total[name])
    assert sum(line.get("slippage") or 0.0 for line in legs) == pytest.approx(total["slippage"])
    shown = life.money_table([*legs, total])
    assert shown[-1]["leg"] == "TOTAL"
    for line in shown:
        assert (line.get("gross") or 0.0) + (line["costs"] or 0.0) == pytest.approx(
            line["net"] + (trade["funding_pct"] if line is shown[-1] else 0.0)) or line["leg"] == "funding"


def test_contributions_are_bars_with_the_strongest_on_top_and_text_that_markdown_leaves_alone() -> None:
    moved = [{"name": "a_b", "value": 1.0, "by": -0.4, "meaning": "m"}, {"name": "c", "value": None, "by": 0.1,
                                                                        "meaning": "x | y"}]
    bars = reasons.contributions(moved)
    assert bars.index("a_b <span>= 1") < bars.index("-0.400") < bars.index("c <span>= ?") < bars.index("+0.100")
    assert r"a\_b" in reasons.moved_table(moved) and r"x \| y" in reasons.moved_table(moved)


# On a database


def test_every_stored_trade_of_the_demo_adds_up_and_is_drawn_as_planned(db: Path) -> None:
    with source(db).read() as ctx:
        con = ctx.db.con
        rows = signals.row_dicts(con.execute("SELECT * FROM signals ORDER BY n LIMIT 60"))
        assert rows, "the demo found nothing"
        for row in rows:
            trade, events = signals.trade_row(con, row["id"]), reports.events(con, row["id"])
            terms = params.terms(reads.body(con, row["config_hash"]))
            series = candles.one_series(con, row["exchange"], row["symbol"], row["timeframe"]).id
            own = candles.load(con, series, plans.FIVE, row["start_ts"], row["expires_ts"] + DAY)
            drawn = {level.name: level.price for level in view.levels(Plan(row, trade, events, own))}
            assert (drawn["Entry"], drawn["SL"]) == (row["entry"], row["sl"])
            money = life.money(row, trade, events, terms)
            if trade["pnl_pct"] is not None:
                assert sum(line["net"] for line in money[:-1]) == pytest.approx(trade["pnl_pct"], abs=1e-9)
            ts, values = view.avwap(Plan(row, trade, events, own))
            if row["avwap"] is not None:
                assert values[ts.index(row["ts"])] == pytest.approx(row["avwap"], rel=1e-12)


FIGURE = "streamlit-echarts.streamlit_echarts"


def sent(at: Any) -> list[dict[str, Any]]:
    """What was sent to the figures of a page."""
    return [json.loads(c.proto.json) for c in at.get("bidi_component") if c.proto.component_name == FIGURE]


def live_figures(at: Any) -> list[dict[str, Any]]:
    return [one["options"] for one in sent(at)]


def test_new_data_are_merged_into_the_figure_and_what_has_gone_disappears(db: Path) -> None:
    for _ in range(2):  # the component is known to every session of a process
        at = rig.open_page("chart", db)
        (found,) = sent(at)
        assert not at.exception and found["replaceMerge"] == ["series"]
        assert {"click", "datazoom", "zr:click"} == set(found["onEvents"])
        (zoom,) = found["options"]["dataZoom"]
        assert ".st-key-chart-figure .echarts-container" in zoom and zoom.startswith("--x_x--"), "evaluated there"


def newest(db: Path, where: str = "1") -> dict[str, Any]:
    with source(db).read() as ctx:
        return signals.row_dicts(ctx.db.con.execute(
            f"SELECT * FROM signals WHERE {where} ORDER BY decided_ts DESC, n DESC LIMIT 1"))[0]


def test_the_page_opens_on_the_newest_plan_with_its_numbers_life_and_reasons(db: Path) -> None:
    at, row = rig.open_page("chart", db), newest(db, "verdict = 'pass'")
    said = rig.words_of(at)
    assert not at.exception and f"#{row['short_id']}" in said
    for part in ("Life", "Why", "**costs**", "Alert:", "risk **"):
        assert part in said, part
    assert [c.value.splitlines()[0] for c in at.code] == [plan.order(row, TERMS).splitlines()[0]]
    spec = live_figures(at)[0]
    assert spec["series"][0]["type"] == "candlestick" and lines(spec)["Entry"][0][1] == row["entry"]
    for number in plan.numbers(row, TERMS):
        assert any(f">{number.value}</code>" in page.proto.body for page in at.get("html"))


def test_an_id_in_the_address_chooses_the_plan(db: Path) -> None:
    row = newest(db, "verdict = 'refused'")
    for text in (row["id"], row["short_id"], "#" + row["short_id"]):
        at = rig.open_page("chart", db, id=text)
        assert not at.exception and f"#{row['short_id']}" in rig.words_of(at), text
        assert "refused, on paper only" in rig.words_of(at)


def test_an_unknown_id_says_so_and_shows_the_newest(db: Path) -> None:
    at = rig.open_page("chart", db, id="NOSUCH1")
    assert not at.exception and "no signal NOSUCH1" in rig.words_of(at)
    assert newest(db, "verdict = 'pass'")["short_id"] in rig.words_of(at)


def test_candles_alone_show_any_timeframe_and_no_plan(db: Path) -> None:
    at = rig.open_page("chart", db, id="candles")
    spec = live_figures(at)[0]
    assert not at.exception and lines(spec) == zones(spec) == {} and len(spec["series"][0]["data"]) > 100
    assert "Why" not in rig.words_of(at)


def test_a_filter_for_refused_ones_shows_the_newest_of_them(db: Path) -> None:
    at = rig.open_page("chart", db)
    next(g for g in at.get("button_group") if g.key == "chart-verdict").set_value("refused").run()
    assert not at.exception and newest(db, "verdict = 'refused'")["short_id"] in rig.words_of(at)


def test_where_none_was_taken_the_newest_refused_one_is_shown(tmp_path: Path) -> None:
    own = rig.demo_db(tmp_path)
    with closing(sqlite3.connect(own)) as con:
        con.execute("UPDATE signals SET verdict = 'refused', reason = 'cost_r 1 > max_cost_r 0.15'")
        con.commit()
    at = rig.open_page("chart", own)
    assert not at.exception and f"#{newest(own)['short_id']}" in rig.words_of(at)


def test_a_file_without_any_plan_shows_its_candles(tmp_path: Path) -> None:
    own = rig.demo_db(tmp_path)
    with closing(sqlite3.connect(own)) as con:
        for name in ("events", "positions", "signals"):
            con.execute(f"DELETE FROM {name}")
        con.commit()
    at = rig.open_page("chart", own)
    assert not at.exception and lines(live_figures(at)[0]) == {}


def test_candles_alone_end_with_the_day_that_is_chosen(db: Path) -> None:
    at = rig.open_page("chart", db, id="candles")
    at.date_input(key="chart-until").set_value(date(2024, 1, 4)).run()
    assert not at.exception and live_figures(at)[0]["series"][0]["data"][-1][0] == T0 - FIVE
