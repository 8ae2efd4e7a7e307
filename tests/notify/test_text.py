"""Escaping, splitting and numbers."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.notify.text import LIMIT, esc, local, pct, plain, price, size, split, when
from tests.notify.bot_api import html_fault, shown
from tests.notify.samples import T

ANY = st.text(st.characters() | st.sampled_from("_*[]<>&;#`\\\n😀"), max_size=80)


@pytest.mark.covers("D14")
@given(ANY)
def test_any_text_escaped_is_valid_html_that_shows_the_same_characters(text: str) -> None:
    assert html_fault(f"<b>{esc(text)}</b>") is None
    assert shown(esc(text)) == " ".join("".join(c if c.isprintable() else " " for c in text).split())
    esc(text).encode("utf-8")


@pytest.mark.parametrize("text", ["RSI < 30", "a & b", "<b>", "</b>", "&lt", "&unknown;"])
def test_planted_flaw_unescaped_text_is_refused_and_its_escaped_twin_passes(text: str) -> None:
    assert html_fault(text) is not None
    assert html_fault(esc(text)) is None


def test_escape_cuts_before_escaping_so_that_no_entity_is_torn() -> None:
    assert esc("&&&&&&", 3) == "&amp;&amp;…"


@pytest.mark.parametrize("broken", ["\ud800", "a\x00b", "\u202egnp.exe", "x\x1b[31m"])
def test_escape_removes_what_cannot_be_sent_or_misleads(broken: str) -> None:
    assert all(c.isprintable() for c in esc(broken))


@pytest.mark.parametrize(("value", "tick", "text"), [
    (64210.5, 0.1, "64210.5"), (64210.0, 0.5, "64210.0"), (0.0000123, 1e-7, "0.0000123"), (64210.0, 10.0, "64210"),
    (5.0, 1.0, "5"), (1.25, 0.025, "1.250"), (0.1 + 0.2, 0.01, "0.30")])
def test_prices_are_printed_with_the_decimals_of_their_tick(value: float, tick: float, text: str) -> None:
    assert price(value, tick) == text


def test_percentages_are_signed_and_zero_is_not() -> None:
    assert [pct(v) for v in (1.234, -1.2, 0.0, -0.001, 250)] == ["+1.23%", "-1.20%", "0.00%", "0.00%", "+250.00%"]


def test_times_are_told_in_utc_and_in_the_display_zone() -> None:
    assert when(T) == "1 May 14:30Z"
    assert local(T, ZoneInfo("Europe/Warsaw")) == "16:30 CEST"
    assert local(T, ZoneInfo("Pacific/Auckland")) == "2 May 02:30 NZST"
    assert local(T, ZoneInfo("UTC")) == ""


PIECES = st.lists(st.sampled_from(
    ["<b>bold</b>", "<pre>\nrow 1\nrow 2\n</pre>", "<b>two <i>deep\nlines</i></b>", "&lt;&amp;&gt;", "word " * 9, "\n",
     "😀" * 30, "x" * 150, "<code>#K7Q2MXA</code>"]), max_size=40).map("".join)


@given(PIECES, st.integers(140, 400))
def test_split_keeps_every_character_and_each_part_is_valid_html_within_the_limit(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert all(html_fault(part) is None for part in parts)
    assert all(size(part) <= limit for part in parts)
    assert "".join(map(plain, parts)).replace("\n", "") == plain(text).replace("\n", "")


def test_split_prefers_line_ends_and_leaves_short_texts_alone() -> None:
    lines = [f"line {i:03d}" for i in range(1000)]
    parts = split("\n".join(lines))
    assert [line for part in parts for line in part.split("\n")] == lines
    assert split("short") == ["short"]


def test_planted_flaw_cutting_at_4096_characters_tears_tags_and_split_does_not() -> None:
    text = "<b>" + "x" * (LIMIT - 5) + "</b>"
    assert html_fault(text[:LIMIT]) is not None
    assert [html_fault(part) for part in split(text)] == [None, None]


def test_length_counts_an_emoji_as_two_as_telegram_does() -> None:
    assert size("a😀") == 3


def test_plain_keeps_what_only_looks_like_a_tag() -> None:
    assert plain("<b>a</b> &lt; <code>b</code> < c > d") == "a < b < c > d"
