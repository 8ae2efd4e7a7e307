"""The words: complete, valid, narrow, and honest about what is not known."""

import itertools
import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.notify import messages
from core.notify.text import LIMIT, size
from tests.notify.bot_api import html_fault, shown
from tests.notify.samples import T, donchian_row, expired_row, signal_row, trade_row

WARSAW = ZoneInfo("Europe/Warsaw")
FLOWING = ("Why:", "Same minute", "Evidence:", "REFUSED:")  # sentences: the phone wraps them
HOSTILE = st.text(st.sampled_from("_*[]()<>&;#~`|\\{}\"'\n\x00\u202e") | st.characters(), max_size=60)


def text(html: str) -> str:
    """What the phone shows; fails where Telegram would refuse it."""
    assert html_fault(html) is None, html
    assert size(html) <= LIMIT
    return shown(html)


def width(line: str) -> int:
    """Columns of a line; a pictogram takes two, its variation selector none."""
    return sum(2 if c > "\u2190" and c not in "…│" else 1 for c in line if c != "\ufe0f")


def test_signal_shows_all_that_is_typed_into_an_exchange() -> None:
    lines = text(messages.signal(signal_row(), now=T, zone=WARSAW, evidence="weak")).split("\n")
    assert lines[0] == "🟢 LONG BTC/USDT:USDT"
    assert lines[1] == "15m · fibo_avwap · #K7Q2MXA"
    for line in ("Entry 64210.5 limit", "SL 63400.0 -1.26% -1.00R", "TP1 65900.0 +2.63% +2.08R",
                 "TP2 67050.0 +4.42% +3.50R", "AVWAP 64155.2", "Size 0.052 = 3338.95 USDT", "Leverage 3x · risk 0.5%",
                 "Costs 0.11R · net at TP1 +2.45%", "p(win) 41% · EV +0.35%", "Evidence: weak",
                 "Valid until 1 May 16:00Z", "= 18:00 CEST · 1h 30m left", "Why: Pullback to 0.618 of the rise."):
        assert line in lines, line


def test_signal_without_targets_is_a_market_order_and_gains_are_signed_for_the_short_side() -> None:
    shown_text = text(messages.signal(donchian_row(), now=T))
    assert shown_text.startswith("🔴 SHORT 1000PEPE/USDT:USDT")
    for part in ("Entry 0.0074521 market", "SL 0.0079000 -6.01% -1.00R", "No targets: the stop trails", "Size 81234 ="):
        assert part in shown_text
    assert "TP1" not in shown_text and "None" not in shown_text


def test_prices_can_be_copied_with_one_tap() -> None:
    copied = re.findall(r"<code>([^<]*)</code>", messages.signal(signal_row(), now=T))
    assert copied == ["#K7Q2MXA", "64210.5", "63400.0", "65900.0", "67050.0", "0.052"]


@pytest.mark.parametrize(("changes", "told"), [
    ({"ml_p": None, "ev_pct": None, "reason": "ungated"}, "Ungated: no model yet"),
    ({"ml_p": None, "ev_pct": None, "reason": "filter off"}, "Filter off: not gated"),
    ({"reason": "ungated"}, "(shown, not acted on)"),
    ({"verdict": "refused", "reason": "tp1_net 0.31 < 0.5"}, "REFUSED: tp1_net 0.31 < 0.5"),
    ({"late": 1}, "Late: decided for 1 May 14:30Z")])
def test_signal_says_what_it_is_not(changes: dict[str, Any], told: str) -> None:
    assert told in text(messages.signal(signal_row(**changes), now=T)).split("\n")
    assert told not in text(messages.signal(signal_row(), now=T))


def test_generated_market_is_labelled_in_every_row_message_and_real_ones_are_not() -> None:
    row, trade, label = signal_row(), trade_row(), messages.GENERATED
    for make in (lambda **k: messages.signal(row, now=T, **k), lambda **k: messages.closed(row, trade, **k),
                 lambda **k: messages.late_summary([row], **k),
                 lambda **k: messages.digest(T, [row], {}, [trade], **k)):
        assert text(make(label=label)).split("\n")[1] == "GENERATED MARKET, not real prices"
        assert "GENERATED" not in text(make())


@pytest.mark.covers("rule 19")
def test_alert_of_a_setup_with_an_open_plan_says_so_and_others_do_not() -> None:
    assert "Already has an open plan: #AB12CD3" in text(messages.signal(signal_row(), (), "AB12CD3", now=T))
    assert "open plan" not in text(messages.signal(signal_row(), now=T))


@pytest.mark.covers("rule 17")
def test_one_symbol_direction_and_minute_is_one_message_that_names_the_others() -> None:
    best, second = signal_row(id="a", ev_pct=0.5), signal_row(id="b", ev_pct=0.2, setup="donchian", short_id="BBBBBBB")
    third = signal_row(id="c", ev_pct=None, short_id="CCCCCCC")
    apart = [signal_row(id="d", direction="short"), signal_row(id="e", decided_ts=T + 60_000),
             signal_row(id="f", symbol="X/Y:Y")]
    for rows in itertools.permutations([best, second, third, *apart]):
        groups = messages.one_message_each(rows)
        assert [(row["id"], [o["id"] for o in others]) for row, others in groups] == [
            ("a", ["b", "c"]), ("d", []), ("f", []), ("e", [])]
    html = messages.signal(best, [second, third], now=T)
    assert "Same minute, same side: donchian 15m #BBBBBBB, fibo_avwap 15m #CCCCCCC" in text(html)


@pytest.mark.covers("rule 17")
def test_without_a_model_the_best_plan_is_the_one_with_the_least_cost_in_r() -> None:
    rows = [donchian_row(id="a", cost_r=0.3), donchian_row(id="b", cost_r=0.1), donchian_row(id="c", cost_r=0.1)]
    assert [row["id"] for row, _ in messages.one_message_each(rows)] == ["b"]


def test_signal_whose_validity_ended_says_so() -> None:
    assert "No longer valid (ended 1 May 16:00Z)" in text(messages.signal(signal_row(), now=T + 6 * 900_000))


def test_closed_trade_shows_net_gross_and_every_cost() -> None:
    lines = text(messages.closed(signal_row(), trade_row(), zone=WARSAW)).split("\n")
    assert lines[0] == "🟢 CLOSED BTC/USDT:USDT"
    for line in ("TP1_TRAIL: trailing stop", "Net +2.05% · +1.62R · +2.05 USD", "Gross +2.17% · fees 0.084%",
                 "Slip 0.025% · funding 0.010%", "Best +2.90% · worst -0.41%", "Exit 65320.4", "p(win) was 41%",
                 "Held 3h 6m, to 19:45 CEST"):
        assert line in lines, line


def test_closed_loss_unfilled_plan_refused_plan_and_missing_funding_are_told() -> None:
    assert text(messages.closed(signal_row(), trade_row(pnl_pct=-1.4))).startswith("🔴")
    unfilled = text(messages.closed(signal_row(), expired_row()))
    assert unfilled.startswith("⚪") and "EXPIRED: the entry was never filled" in unfilled and "None" not in unfilled
    assert "followed on paper only" in text(messages.closed(signal_row(verdict="refused", reason="x"), trade_row()))
    assert "Funding not fully known yet" in text(messages.closed(signal_row(), trade_row(funding_known=0)))


@pytest.mark.parametrize("reason", ["sl", "sl_gap", "be", "trail", "tp1", "tp2", "time", "never_filled", "gapped",
                                    "tp1_before_entry", "liquidation", "delisted"])
def test_every_exit_reason_has_words(reason: str) -> None:
    line = text(messages.closed(signal_row(), trade_row(exit_reason=reason))).split("\n")[4]
    assert line.split(": ")[1] not in (reason, "")
    assert "_" not in line.split(": ")[1]


def test_after_an_outage_late_plans_come_in_one_summary_and_not_as_new() -> None:
    rows = [signal_row(id=str(i), short_id=f"S{i:06d}", decided_ts=T + i * 60_000) for i in range(400)]
    shown_text = text(messages.late_summary(rows))
    assert shown_text.startswith("⏰ Back after an outage\n400 plans were decided late.") and "not new" in shown_text
    named = shown_text.count("#S")
    assert "#S000399" in shown_text  # the newest first
    assert shown_text.endswith(f"and {400 - named} more")
    assert "1 plan was" in text(messages.late_summary(rows[:1]))


def test_digest_never_shows_a_win_rate_without_n_and_break_even() -> None:
    trades = [trade_row(pnl_pct=2.0, r_multiple=2.0), trade_row(pnl_pct=-1.0, r_multiple=-1.0), expired_row()]
    lines = text(messages.digest(T, [signal_row()], {"tp1_net": 31, "cost_r": 9}, trades, evidence="none",
                                 between=(9.45, 90.55))).split("\n")
    for line in ("📒 1 May, the day (UTC)", "Closed: n=2 · 1 never filled", "Won 1 of 2 (50%)",
                 "95% interval 9% to 91%", "Break-even rate 33%",
                 "Net +1.00R · +1.00% of notional", "Evidence: none", "Not announced singly: 1", "Refused: 40",
                 "31 × tp1_net"):
        assert line in lines, line


@pytest.mark.parametrize(("pnl", "told"), [
    ([1.0], "Break-even rate unknown: no loss yet"), ([-1.0], "Break-even rate unknown: no win yet"),
    ([], "Closed: none with a result · 1 never filled")])
def test_digest_says_where_a_rate_is_not_known(pnl: list[float], told: str) -> None:
    trades = [expired_row(), *(trade_row(pnl_pct=p, r_multiple=p) for p in pnl)]
    assert told in text(messages.digest(T, [], {}, trades)).split("\n")


def test_digest_of_a_wild_day_still_fits_and_counts_all() -> None:
    rows = [signal_row(id=str(i)) for i in range(900)]
    shown_text = text(messages.digest(T, rows, {f"reason {i}": i + 1 for i in range(60)}, [trade_row()] * 500))
    assert "Not announced singly: 900" in shown_text and "Refused: 1830" in shown_text and "other reasons" in shown_text
    assert re.search(r"\nand \d+ more\n", shown_text)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: messages.exchange_down(T), ("Exchange does not answer", "1 May 14:30Z")),
    (lambda: messages.exchange_back(T, 95), ("Exchange is back", "1h 35m")),
    (lambda: messages.symbol_gone("A<B>/USDT:USDT"), ("A<B>/USDT:USDT is gone",)),
    (lambda: messages.clock_off(-2400), ("2.4 s behind",)), (lambda: messages.clock_off(2400), ("2.4 s ahead of",)),
    (lambda: messages.disk_low(300 * 2**20), ("Disk nearly full", "300 MB")), (messages.test_message, ("Test alert",)),
    (lambda: messages.note("Model kept", "AUC 0.51 < 0.52\nold one stays"), ("Model kept", "0.51 < 0.52\nold one"))])
def test_messages_about_the_program_say_what_happened(make: Callable[[], str], words: tuple[str, ...]) -> None:
    shown_text = text(make())
    assert all(word in shown_text for word in words)


def test_a_repeat_carries_its_label_and_the_same_text() -> None:
    body = messages.signal(signal_row(), now=T)
    assert text(messages.repeat(body)) == "(repeat: Telegram's answer was lost)\n" + text(body)


WIDE = signal_row(symbol="1000000BABYDOGE/USDT:USDT", entry=0.0000012345, sl=0.0000011, tp1=0.000009, tp2=0.00002,
                  avwap=0.0000012, tick=1e-10, qty=1234567890.0, lot=1.0, notional=1524.07, direction="short", late=1)
ROWS = (signal_row(), donchian_row(), WIDE)


@pytest.mark.parametrize("row", ROWS)
def test_lines_of_figures_fit_a_phone(row: dict[str, Any]) -> None:
    made = [messages.signal(row, [donchian_row()], "AB12CD3", "weak", now=T, zone=WARSAW, label=messages.GENERATED),
            messages.closed(row, trade_row(), zone=WARSAW), messages.closed(row, expired_row()),
            messages.digest(T, [row], {"cost_r": 3}, [trade_row(), expired_row()])]
    for line in "\n".join(map(text, made)).split("\n"):
        assert width(line) <= 36 or line.startswith(FLOWING), line


@pytest.mark.covers("D14")
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_hostile_names_and_reasons_never_break_a_message_and_are_never_lost(
        symbol: str, setup: str, rationale: str, reason: str) -> None:
    row = signal_row(symbol=symbol, setup=setup, rationale=rationale, reason=reason, verdict="refused")
    for html in (messages.signal(row, [row], rationale, setup, now=T, label=reason),
                 messages.closed(row, trade_row(exit_reason=reason)), messages.late_summary([row]),
                 messages.digest(T, [row], {reason: 2}, [trade_row()]), messages.note(symbol, rationale),
                 messages.symbol_gone(symbol)):
        html.encode("utf-8")
        text(html)
    seen = " ".join("".join(c if c.isprintable() else " " for c in rationale).split())
    assert seen in text(messages.signal(row, now=T)) and "#K7Q2MXA" in text(messages.signal(row, now=T))


@given(st.text(max_size=3000))
def test_however_long_the_words_one_message_is_enough(words: str) -> None:
    row = signal_row(rationale=words * 3, symbol=words, setup=words, reason=words, verdict="refused")
    text(messages.repeat(messages.signal(row, [row] * 50, words, words, now=T, label=words)))
    text(messages.repeat(messages.note(words, words * 5)))
