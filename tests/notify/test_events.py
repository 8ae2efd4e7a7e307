"""What happens to a plan, in words."""

from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from core.notify import events, phone
from core.notify.text import moment
from tests.notify.bot_api import html_fault, shown
from tests.notify.samples import T, donchian_row, signal_row, trade_row

BERLIN = ZoneInfo("Europe/Berlin")
HELD = {"fill": 64210.5, "stop": 63400.0, "tp1_price": 65900.0}


def test_a_fill_names_its_price_what_it_cost_beside_the_plan_and_the_levels() -> None:
    text = shown(events.filled(signal_row(), trade_row(**HELD), zone=BERLIN))
    assert text.splitlines() == [
        "🔵 FILLED BTC/USDT:USDT", "long · 15m · fibo_avwap", "#K7Q2MXA", "", "Filled at 64210.5",
        "1 May 14:41Z = 16:41 CEST", "", "SL 63400.0", "TP1 65900.0", "TP2 67050.0"]
    worse = shown(events.filled(donchian_row(), trade_row(fill=0.00744)))
    assert "Planned 0.0074521: 0.16% worse" in worse and "No targets: the stop trails" in worse
    assert "better" in shown(events.filled(signal_row(), trade_row(fill=64100.0)))


def test_the_first_target_says_what_was_closed_and_where_the_stop_stands_now() -> None:
    even = shown(events.tp1(signal_row(), trade_row(**HELD | {"stop": 64210.5}), 0.5, zone=BERLIN))
    assert even.splitlines()[4:] == [
        "50% closed at 65900.0", "Gross +2.63% +2.08R", "1 May 16:31Z = 18:31 CEST", "",
        "SL now 64210.5 (break-even)", "Rest: TP2 67050.0"]
    assert "SL stays 63400.0" in shown(events.tp1(signal_row(), trade_row(**HELD), 0.5))
    assert "Reached 65900.0" in shown(events.tp1(signal_row(), trade_row(**HELD), 0.0))


def test_many_plans_in_one_message_keep_what_one_types() -> None:
    rows = [(signal_row(short_id=f"A{i}", ev_pct=i), [signal_row()] * i) for i in range(3)]
    text = events.burst([*rows, (donchian_row(short_id="DD"), [])], label="GENERATED")
    assert html_fault(text) is None and phone.widest(text) <= 40
    assert [line for line in shown(text).splitlines() if "#" in line] == [
        "p 41% · until 1 May 16:00Z · #A2", "p 41% · until 1 May 16:00Z · #A1", "p 41% · until 1 May 16:00Z · #A0",
        "until 1 May 16:00Z · #DD"]
    assert "+ 2 more plans of this minute" in text and "<code>64210.5</code> limit" in text and "GENERATED" in text


@given(st.text(max_size=40), st.text(max_size=20))
def test_hostile_names_break_no_message(setup: str, short: str) -> None:
    row = signal_row(setup=setup, short_id=short or "x", symbol="<b>&</b>" + short)
    for text in (events.filled(row, trade_row(**HELD)), events.tp1(row, trade_row(**HELD), 0.5),
                 events.burst([(row, [row])])):
        assert html_fault(text) is None


def test_lines_of_figures_fit_a_phone() -> None:
    for row in (signal_row(), donchian_row()):
        for text in (events.filled(row, trade_row(**HELD), zone=BERLIN),
                     events.tp1(row, trade_row(**HELD), 0.5, zone=BERLIN)):
            assert phone.widest(text) <= 40


def test_a_moment_is_told_on_the_readers_clock_with_the_day_where_it_is_not_today() -> None:
    assert moment(T, BERLIN, T) == "16:30 CEST"
    assert moment(T, BERLIN, T + 86_400_000) == "1 May 16:30 CEST"
    assert moment(T, BERLIN, T + 365 * 86_400_000) == "1 May 2024 16:30 CEST"
    assert moment(T, ZoneInfo("UTC"), T) == "14:30Z"
    assert moment(T, ZoneInfo("Asia/Tokyo"), T + 1000) == "23:30 JST"
