"""Commands as people type them, and the help that fits a phone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.notify import commands, phone
from core.notify.commands import COMMANDS, OWNER, VIEWER, parse
from tests.notify.bot_api import html_fault, shown


@pytest.mark.parametrize(("text", "name", "args"), [
    ("/status", "status", ()), ("/STATUS table", "status", ("table",)),
    ("/taken ABC 1.5 2", "taken", ("ABC", "1.5", "2")),
    ("/status@our_bot", "status", ()), ("/Status@OUR_BOT  x", "status", ("x",)), ("/stopentry", "pause", ()),
    ("/stopbuy", "pause", ()), ("/ping", "health", ()), ("/why\n#ABC", "why", ("#ABC",))])
def test_a_command_is_read_whatever_its_case_and_wherever_it_is_addressed(
        text: str, name: str, args: tuple[str, ...]) -> None:
    given_ = parse(text, "our_bot")
    assert given_ is not None and given_.command is not None
    assert (given_.command.name, given_.args) == (name, args)


@pytest.mark.parametrize("text", ["", " ", "hello", "/", "//", "status", "/status@other", "@our_bot /status"])
def test_talk_and_commands_for_others_are_none(text: str) -> None:
    found = parse(text, "our_bot")
    assert found is None or (found.command is None and text == "//")


@pytest.mark.parametrize(("text", "near"), [
    ("/prfit", "profit"), ("/stat", "stats"), ("/dayly", "daily"), ("/chrat", "chart"), ("/xyzzy", "")])
def test_an_unknown_one_is_answered_with_the_nearest(text: str, near: str) -> None:
    found = parse(text, "")
    assert found is not None and found.command is None and found.near == near
    assert (f"/{near}?" in commands.unknown(found)) == bool(near) and "/help" in commands.unknown(found)


@given(st.text(max_size=300))
def test_any_text_is_read_without_harm_and_answered_in_valid_html(text: str) -> None:
    for each in (text, "/" + text):
        found = parse(each, "our_bot")
        if found is not None and found.command is None:
            assert html_fault(commands.unknown(found)) is None


def test_names_are_unique_and_as_telegram_takes_them() -> None:
    names = [name for c in COMMANDS for name in (c.name, *c.aliases)]
    assert len(names) == len(set(names))
    for role in (OWNER, VIEWER):
        for name, what in commands.menu(role):
            assert name.isascii() and name.islower() and len(name) <= 32 and 3 <= len(what) <= 256


def test_the_help_holds_each_command_of_a_role_once_and_no_other() -> None:
    for role in (OWNER, VIEWER):
        text = commands.help_text(role)
        assert html_fault(text) is None and phone.widest(text) <= 48
        lines = [line.split()[0] for line in shown(text).splitlines() if line.startswith("/")]
        assert lines == [f"/{c.name}" for c in COMMANDS if role == OWNER or not c.owner]
    assert "/pause" not in commands.help_text(VIEWER) and "only the owner" in commands.help_text(VIEWER)


@given(st.lists(st.tuples(*[st.text(max_size=25)] * 4), max_size=6))
def test_tables_keep_their_columns_and_the_width_of_a_phone(rows: list[tuple[str, ...]]) -> None:
    text = phone.table(("A", "Bb", "Ccc", "D"), rows, 2)
    assert html_fault(text) is None and phone.widest(text) <= phone.WIDTH


def test_a_table_lies_as_one_reads_it() -> None:
    text = phone.table(("ID", "Pair", "R"), [("A", "BTC L", "+1.00"), ("BBB", "X", "-10.00")], 2)
    assert text == "<pre>ID  Pair       R\nA   BTC L  +1.00\nBBB X     -10.00</pre>"
    assert phone.pairs([("a", "1"), ("long", "<2>")]) == "<pre>a    1\nlong &lt;2&gt;</pre>"
    assert (phone.coin("1000PEPE/USDT:USDT"), phone.pair("BTC/USDT:USDT")) == ("1000PEPE", "BTC/USDT")
