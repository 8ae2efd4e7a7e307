"""The page Results: live, history and in-sample apart, no rate alone, every figure under its known name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.dashboard import cards, theme
from core.dashboard.views import results as view
from core.dashboard.views import results_figures as figures
from core.dashboard.views import results_metrics as metrics
from core.dashboard.views.results import Choice
from core.store.db import Database
from core.store.reads import results as reads
from core.store.reads.results import Count
from core.trades import columns, equity, grouped
from core.trades.columns import Columns
from tests.dashboard import rig, trades_file
from tests.dashboard.trades_file import BTC, DAY, ETH, EXCHANGE, HOUR, JAN, plan
from tests.trades.test_columns import of

SPAN = (JAN, JAN + 10 * DAY)


def some(*results: float, **more: Any) -> Columns:
    """Trades of these results in R, one a day; 1 R is 10 USD."""
    return of(*({"r_multiple": r, "pnl_pct": r, "fill": 100.0, "qty": 10.0, "opened_ts": JAN + i * DAY,
                 "closed_ts": JAN + i * DAY + HOUR, **more} for i, r in enumerate(results)))


def drawn(figure: figures.Figure) -> dict[str, Any]:
    found = json.loads(json.dumps(theme.plain(figure), allow_nan=False))
    assert isinstance(found, dict)
    return found


# Which trades


def test_a_choice_keeps_what_fits_all_of_it() -> None:
    trades = of({"symbol": BTC, "direction": "long", "closed_ts": JAN + DAY}, {"symbol": BTC, "direction": "short",
                "closed_ts": JAN + 5 * DAY}, {"symbol": ETH, "timeframe": "4h", "setup": "donchian",
                                              "closed_ts": JAN + 9 * DAY})
    until = JAN + 10 * DAY
    assert len(view.pick(trades, Choice(), until)) == 3
    assert len(view.pick(trades, Choice(days=7), until)) == 2
    assert len(view.pick(trades, Choice(symbols=(BTC,)), until)) == 2
    assert len(view.pick(trades, Choice(symbols=(BTC,), directions=("short",)), until)) == 1
    assert len(view.pick(trades, Choice(timeframes=("4h",), setups=("donchian",)), until)) == 1
    assert len(view.pick(trades, Choice(setups=("compression",)), until)) == 0


def test_the_span_begins_with_the_first_fill_or_with_the_days() -> None:
    trades = some(1.0, 2.0)
    assert view.span(trades, Choice(), JAN + 20 * DAY) == (JAN, JAN + 20 * DAY)
    assert view.span(trades, Choice(days=7), JAN + 20 * DAY) == (JAN + 13 * DAY, JAN + 20 * DAY)


# In words


@pytest.mark.covers("I5")
def test_a_rate_is_never_told_alone() -> None:
    text = view.sentence(grouped.summarize(some(2.0, -1.0, -1.0, -1.0)))
    for needed in ("4 trades", "25.0% won", "[4.6 to 69.9]", "break even at 33.3%", "-0.25R", "next to nothing"):
        assert needed in text, (needed, text)
    card = {label: (value, below) for label, value, below, _ in view.headline(
        grouped.summarize(some(2.0, -1.0)), equity.account(some(2.0, -1.0), 1000.0, *SPAN), 0.1)}
    assert "break-even 33.3%" in card["Win%"][1] and "[" in card["Win%"][1]
    assert card["Market change"][0] == "+10.0%"
    assert card["From the best 1%"][0] == "100%"


@pytest.mark.parametrize(("results", "words"), [
    ([1.0] * 40 + [0.9] * 40, "earned more than chance"), ([-1.0] * 40 + [-0.9] * 40, "lost more than chance"),
    ([1.0, -1.0] * 40, "chance alone"), ([1.0, 2.0], "too few weeks")])
def test_the_sentence_judges_by_the_interval(results: list[float], words: str) -> None:
    assert words in view.sentence(grouped.summarize(some(*results)))


def test_an_account_that_is_used_up_says_so() -> None:
    gone = equity.account(some(-60.0, -60.0), 1000.0, *SPAN)
    assert "2024-01-02" in view.ruin(gone)
    shown = {label: value for label, value, *_ in view.headline(grouped.summarize(some(-60.0)), gone, None)}
    assert shown["Max % underwater"] == "all of it"
    assert view.ruin(equity.account(some(1.0), 1000.0, *SPAN)) == ""


@pytest.mark.covers("I3")
@pytest.mark.parametrize(("refused", "words"), [([-1.0, -1.0, 0.5], "saved 2 R"), ([3.0, -1.0], "cost 2 R"),
                                                ([], "Nothing that was refused")])
def test_what_refusing_was_worth(refused: list[float], words: str) -> None:
    assert words in view.saved(grouped.summarize(some(1.0)), grouped.summarize(some(*refused)))


# Tables


def test_the_calendar_adds_up_by_month_and_year() -> None:
    trades = of({"r_multiple": 1.0, "closed_ts": JAN}, {"r_multiple": 2.0, "closed_ts": JAN + 2 * DAY},
                {"r_multiple": -4.0, "closed_ts": JAN + 40 * DAY}, {"r_multiple": 8.0, "closed_ts": JAN - DAY})
    newest, oldest = view.calendar(trades, "R")
    assert (newest["Year"], newest["Jan"], newest["Feb"], newest["Mar"], newest["Total"]) == ("2024", 3.0, -4.0, None,
                                                                                             -1.0)
    assert (oldest["Year"], oldest["Dec"], oldest["Total"]) == ("2023", 8.0, 8.0)
    assert view.calendar(trades, "USD")[0]["Jan"] == pytest.approx(2 * 9.9)


def test_the_calendar_is_coloured_by_size_and_sign() -> None:
    page = cards.heat_html(view.calendar(some(1.0, -3.0), "R"), "Year", "+,.1f")
    assert "-2.0" in page and "2024" in page and "None" not in page
    assert "<script>" not in cards.heat_html([{"Year": "<script>", "Jan": 0.0}], "Year", "+.1f")


@pytest.mark.covers("I5")
def test_every_row_of_a_group_has_what_a_rate_needs() -> None:
    trades = some(1.0, -1.0, 2.0, -1.0, -1.0)
    for group in grouped.GROUPS:
        for row in view.group_rows(grouped.by(trades, group), 1000.0):
            assert row["trades"] and row["interval_win"] and "break_even_pct" in row, group
        assert view.group_columns(group)[0].label == view.TITLES[group]
    row = view.group_rows(grouped.by(trades, "pair"), 1000.0)[0]
    assert (row["name"], row["outcomes"], row["tot_pct"], row["tot_r"]) == ("BTC", "2 0 3", 0.0, 0.0)


def test_passed_and_refused_stand_side_by_side_with_what_decided() -> None:
    passed, refused = some(1.0, verdict="pass"), some(-1.0, verdict="refused", reason="cost_r 0.2 > max_cost_r 0.15")
    names = [row["name"] for row in view.sides(passed, refused, 1000.0)]
    assert names == ["Passed", "Passed: no model acted (observe-only)", "Refused",
                     "Refused: costs above the limit of the stop distance"]


# Every figure, by hand: four trades of +2, -1, -1, +3 R, one a day, 1 R = 10 USD, an account of 1,000 USD

NAMES = ("Max open trades", "Total/Daily Avg Trades", "Starting balance", "Final balance", "Absolute profit",
         "Total profit %", "Avg. daily profit %", "CAGR %", "Sortino", "Sharpe", "Calmar", "SQN", "Profit factor",
         "Expectancy (Ratio)", "Mean profit p-value", "Avg. stake amount", "Total trade volume", "Long / Short",
         "Total profit Long %", "Total profit Short %", "Absolute profit Long", "Absolute profit Short", "Best Pair",
         "Worst Pair", "Best trade", "Worst trade", "Best day", "Worst day", "Days win/draw/lose",
         "Min/Max/Avg. Duration Winners", "Min/Max/Avg. Duration Losers", "Max Consecutive Wins / Loss",
         "Entry Timeouts", "Left open trades", "Min balance", "Max balance", "Max % of account underwater",
         "Absolute Drawdown (Account)", "Absolute Drawdown", "Drawdown duration", "Profit at Drawdown start | end",
         "Drawdown high", "Drawdown low", "Drawdown Start", "Drawdown End", "Current Drawdown", "Market change")
BY_HAND = {
    "Max open trades": "1", "Total/Daily Avg Trades": "4 / 0.40", "Starting balance": "1,000.00 USD",
    "Final balance": "1,030.00 USD", "Absolute profit": "+30.00 USD", "Total profit %": "+3.00%",
    "Avg. daily profit %": "+0.300%", "CAGR %": "+194.1%",  # 1.03 to the power of 36.5
    "Sharpe": "3.21",  # 0.003 a day / 0.01785 x 19.105
    "Sortino": "–",    # both losers are equal: no deviation
    "Calmar": "292.31",  # 0.3 % a day / (20 / 1020) x 19.105
    "Profit factor": "2.50", "Expectancy (Ratio)": "7.50 USD (0.75)", "SQN": "0.73",
    "Avg. stake amount": "333.33 USD", "Long / Short": "4 / 0", "Total profit Long %": "+3.00%",
    "Absolute profit Short": "0.00 USD", "Best Pair": "BTC +30.00 USD", "Worst Pair": "BTC +30.00 USD",
    "Best trade": "BTC +3.00%", "Worst trade": "BTC -1.00%", "Best day": "+30.00 USD", "Worst day": "-10.00 USD",
    "Days win/draw/lose": "2 / 0 / 2", "Min/Max/Avg. Duration Winners": "1h / 1h / 1h",
    "Max Consecutive Wins / Loss": "1 / 2", "Entry Timeouts": "3 of 9", "Left open trades": "2",
    "In-sample left out": "5", "Min balance": "1,000.00 USD", "Max balance": "1,030.00 USD",
    "Max % of account underwater": "1.96%", "Absolute Drawdown (Account)": "1.96%", "Absolute Drawdown": "20.00 USD",
    "Drawdown duration": "2d", "Profit at Drawdown start | end": "20.00 USD | 0.00 USD",
    "Drawdown Start": "2024-01-01 01:00Z", "Drawdown End": "2024-01-03 01:00Z",
    "Drawdown recovered": "2024-01-04 01:00Z",
    "Current Drawdown": "0.00 USD (0.00%)", "Market change": "-20.0%", "Win Draw Loss": "2 0 2",
}


def test_every_figure_has_its_known_name_and_the_value_of_the_hand_table() -> None:
    trades = some(2.0, -1.0, -1.0, 3.0)
    found = metrics.sections(trades, grouped.summarize(trades), equity.account(trades, 1000.0, *SPAN), SPAN, -0.2,
                             Count(9, 3, 5, 2), Choice())
    told = {row["name"]: row["value"] for rows in found.values() for row in rows}
    assert [name for name in NAMES if name not in told] == []
    assert {name: told[name] for name in BY_HAND} == BY_HAND


def test_figures_of_one_losing_trade_do_not_fail() -> None:
    trades = some(-1.0)
    found = metrics.sections(trades, grouped.summarize(trades), equity.account(trades, 1000.0, *SPAN), SPAN, None,
                             Count(1, 0, 0, 0), Choice(days=7))
    told = {row["name"]: row["value"] for rows in found.values() for row in rows}
    assert (told["Drawdown Start"], told["Drawdown recovered"], told["Market change"]) == ("with the first trade",
                                                                                          "not yet", "–")
    assert "whatever else was chosen" in told["Entry Timeouts"]


# Figures


def line(figure: figures.Figure, name: str) -> dict[int, float]:
    """The values of a line of the figure of the balance, by time."""
    column = next(s["encode"]["y"] for s in figure["series"] if s["name"] == name)
    rows = drawn(figure)["dataset"]["source"]
    return dict(zip(rows["ts"], rows[column], strict=True))


def test_equity_ends_where_the_sums_do_and_market_stands_beside_usd_only() -> None:
    trades, hold = some(2.0, -1.0), (np.array([JAN, JAN + DAY]), np.array([1000.0, 900.0]))
    r = figures.balance(trades, "R", 1000.0, hold, SPAN, True)
    usd = figures.balance(trades, "USD", 1000.0, hold, SPAN, False)
    assert {s["name"] for s in r["series"]} == {"These trades", "Drawdown"}
    assert line(r, "These trades") == {JAN: 0.0, JAN + HOUR: 2.0, JAN + DAY + HOUR: 1.0}
    assert line(r, "Drawdown") == {JAN: 0.0, JAN + HOUR: 0.0, JAN + DAY + HOUR: -1.0}
    assert line(usd, "These trades") == {JAN: 1000.0, JAN + HOUR: 1020.0, JAN + DAY: 1020.0, JAN + DAY + HOUR: 1010.0}
    assert line(usd, "Buy and hold") == {JAN: 1000.0, JAN + HOUR: pytest.approx(1000.0 - 100 / 24), JAN + DAY: 900.0,
                                         JAN + DAY + HOUR: None}, "nothing is known after its last close"


def test_the_distribution_counts_every_trade_and_wild_ones_at_the_edge() -> None:
    figure = drawn(figures.distribution(some(50.0, -1.0, 0.5, -30.0), True))
    bars = figure["series"][0]["data"]
    assert sum(b["value"][1] for b in bars) == 4 and bars[0]["value"][1] == bars[-1]["value"][1] == 1
    assert bars[0]["tooltip"]["formatter"] == "below -1.75 R: 1 trade, 25.0%"
    marks = {m["label"]["formatter"]: m["xAxis"] for m in figure["series"][0]["markLine"]["data"]}
    assert marks == {"mean +4.88R": 4.875, "median -0.25R": -0.25}


def test_excursions_draw_a_sample_of_the_trades() -> None:
    found = drawn(figures.excursions(some(*[1.0, -1.0] * 1000), "mae", True))["series"]
    assert sum(len(s["data"]) for s in found) == figures.MOST_POINTS
    assert figures.sample(0).tolist() == [] and figures.sample(1).tolist() == [0]
    drawn(figures.excursions(some(1.0), "mfe", False))


@pytest.mark.covers("I5")
def test_bars_stand_with_their_exact_interval_and_what_a_rate_needs() -> None:
    parts = grouped.by(some(*[1.0, -1.0] * 1000), "weekday")
    figure = drawn(figures.bars(parts, True))
    bars, intervals = figure["series"]
    monday = next(iter(parts.values()))
    low, high = monday.expectancy_r_low, monday.expectancy_r_high
    assert low is not None and high is not None and low < high
    assert len(bars["data"]) == len(intervals["data"]) == 7 and bars["data"][0]["value"] == monday.expectancy_r
    assert intervals["data"][0] == [low, *[monday.expectancy_r] * 3, high]
    assert "break-even" in bars["data"][0]["tooltip"]["formatter"]


def test_a_group_without_an_interval_has_none_drawn_and_long_names_stand_beside_their_bars() -> None:
    parts = grouped.by(some(1.0, setup="a <b> long name"), "setup")
    figure = drawn(figures.bars(parts, True))
    assert figure["series"][1]["data"] == [[None] * 5]
    assert (figure["xAxis"].get("type"), figure["yAxis"]["type"]) == (None, "category")
    assert "&lt;b&gt;" in figure["series"][0]["data"][0]["tooltip"]["formatter"], "a tip is HTML"
    assert drawn(figures.bars(grouped.by(some(1.0), "hour"), True))["xAxis"]["type"] == "category"


# What is read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Live: +2, -1, -1 R and one unfilled; one open, one in-sample. Refused: -1 R. History: +5 R before live began."""
    plans = [*trades_file.results([2.0, -1.0, -1.0]), plan(3), plan(4, 9.0, in_sample=1),
             plan(5, None, status="OPEN", exit_reason=None, closed_ts=None, opened_ts=JAN, fill=100.0),
             plan(6, -1.0, verdict="refused", reason="cost_r 0.2 > max_cost_r 0.15", symbol=ETH),
             plan(-10, 5.0, id="old", origin="retro")]
    return trades_file.write(tmp_path, plans)


def read(db: Path, origin: str, verdict: str = "pass") -> list[float]:
    file = Database(db, readonly=True)
    found = columns.of(reads.trades(file.con, EXCHANGE, origin, verdict))
    file.close()
    return sorted(found.r.tolist())


@pytest.mark.covers("I5")
def test_live_history_and_refused_are_read_apart_and_in_sample_never(file: Path) -> None:
    assert read(file, "live") == [-1.0, -1.0, 2.0]
    assert read(file, "live", "refused") == [-1.0]
    assert read(file, "retro") == [5.0]
    con = Database(file, readonly=True).con
    assert reads.counts(con, EXCHANGE, "live", "pass") == Count(ended=5, never_filled=1, in_sample=1, under_way=1)
    assert reads.counts(con, EXCHANGE, "retro", "refused") == Count(0, 0, 0, 0)
    assert reads.live_since(con, EXCHANGE) == JAN


def test_live_trades_are_found_by_the_index_over_times(file: Path) -> None:
    con = Database(file, readonly=True).con
    where, values = reads._which(con, EXCHANGE, "live", "pass")
    plan_ = " ".join(str(row[3]) for row in con.execute(f"EXPLAIN QUERY PLAN SELECT g.n {where}", values))
    assert "signals_time (exchange=? AND symbol=? AND decided_ts>?)" in plan_


def test_the_stamp_changes_when_a_trade_ends_and_not_before(file: Path) -> None:
    db = Database(file)
    before = reads.stamp(db.con)
    with db.write() as con:
        trades_file.add(con, [plan(20, None, status="PENDING", exit_reason=None, closed_ts=None)])
    assert reads.stamp(db.con) == before
    with db.write() as con:
        trades_file.add(con, [plan(21, 1.0)])
    assert reads.stamp(db.con) != before
    changed = reads.stamp(db.con)
    with db.write() as con:
        con.execute("UPDATE symbols SET funding_ts = 5")
    assert reads.stamp(db.con) != changed, "a late funding rate changes results"
    db.close()


def test_closes_come_from_the_shortest_bars_that_fit(file: Path) -> None:
    con = Database(file, readonly=True).con
    ts, close = reads.closes(con, EXCHANGE, BTC, JAN, JAN + 30 * DAY)
    assert len(ts) == 30 * 24 and ts[0] == JAN + HOUR and close[-1] == pytest.approx(110.0)
    ts, _ = reads.closes(con, EXCHANGE, BTC, JAN - 3000 * HOUR, JAN + 30 * DAY)
    assert len(ts) == 30, "too long for hours: days"
    assert reads.closes(con, EXCHANGE, "XRP", JAN, JAN + DAY) == ([], [])


# The page


def test_the_page_shows_live_trades_and_keeps_history_apart(file: Path) -> None:
    at = rig.open_page("results", file)
    text = rig.words_of(at)
    assert not at.exception
    assert "3 trades, 33.3% won" in text and "break even at 33.3%" in text
    first = rig.figures_of(at)[0]
    assert first["dataset"]["source"]["equity"][-1] == 0.0 and first["series"][0]["name"] == "These trades"
    at.segmented_control(key="results-origin").set_value("retro").run()
    assert not at.exception and "1 trade, 100.0% won" in rig.words_of(at)


@pytest.mark.parametrize("tab", ["Calendar", "Groups", "Distribution", "All figures", "Passed against refused"])
def test_every_tab_draws(file: Path, tab: str) -> None:
    at = rig.open_page("results", file)
    assert len(rig.figures_of(at)) == 1 and not at.tabs, "what is below the first screen comes a moment later"
    at.session_state["results-tab"] = tab
    at.session_state["results-unit"] = "USD"
    at.run()
    assert not at.exception and len(at.tabs) == 5
    if tab == "All figures":
        assert "Max % of account underwater" in rig.words_of(at)
    if tab == "Passed against refused":
        assert "Refusing saved 1 R" in rig.words_of(at)


def test_an_empty_choice_says_what_to_do(file: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    at = rig.open_page("results", file)
    at.session_state["results-period"] = "7 days"  # the clock is years later
    at.run()
    assert "choose a longer time" in rig.words_of(at) and not at.exception
    empty = trades_file.write(tmp_path_factory.mktemp("empty"), live_from=None)
    at = rig.open_page("results", empty)
    assert "retro_scan.py" in rig.words_of(at) and not at.exception
    at.segmented_control(key="results-origin").set_value("live").run()
    assert "No live plan that passed" in rig.words_of(at) and not at.exception
