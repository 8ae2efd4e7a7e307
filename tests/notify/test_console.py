"""Alerts in the terminal."""

import io

import pytest

from core.clock import VirtualClock
from core.errors import Transient
from core.notify import messages
from core.notify.console import ConsoleSender
from core.notify.delivery import Deliverer
from tests.notify.memory_outbox import MemoryOutbox
from tests.notify.samples import T, signal_row


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_alert_is_framed_and_without_tags() -> None:
    out = io.StringIO()
    assert ConsoleSender(out).send("<b>LONG &lt;X&gt;</b>\n\nEntry <code>1.5</code>") == "console-1"
    assert [line.rstrip() for line in out.getvalue().split("\n")] == [
        "┌" + "─" * 39, "│ LONG <X>", "│", "│ Entry 1.5", "└" + "─" * 39, ""]


def test_colours_only_on_a_terminal_and_only_where_wanted() -> None:
    for stream, colour, painted in ((Terminal(), True, True), (Terminal(), False, False), (io.StringIO(), True, False)):
        ConsoleSender(stream, colour).send(messages.signal(signal_row(), now=T))
        assert ("\x1b[1m" in stream.getvalue()) is painted


def test_long_lines_are_wrapped_inside_the_frame() -> None:
    out = Terminal()
    ConsoleSender(out).send("Why: " + "word " * 60)
    assert all(line.startswith(("│ ", "┌", "└")) and len(line) <= 74 for line in out.getvalue().rstrip().split("\n"))


def test_names_from_outside_cannot_send_escape_sequences() -> None:
    out = Terminal()
    ConsoleSender(out).send("x\x1b]0;title\x07y &#27;[31mz")
    assert "\x1b" not in out.getvalue() and "\x07" not in out.getvalue()


def test_a_terminal_without_unicode_gets_ascii_instead_of_a_crash() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    ConsoleSender(stream).send("🟢 <b>LONG</b> · 15m")
    assert raw.getvalue().decode("ascii").startswith("+---") and b"LONG" in raw.getvalue()


def test_a_closed_stream_is_a_passing_fault() -> None:
    out = io.StringIO()
    sender = ConsoleSender(out)
    out.close()
    with pytest.raises(Transient):
        sender.send("x")


def test_with_telegram_off_the_outbox_empties_into_the_console() -> None:
    out, outbox = io.StringIO(), MemoryOutbox()
    outbox.add("<b>one</b>")
    outbox.add("two")
    assert Deliverer(outbox, [ConsoleSender(out)], VirtualClock(T)).run_once() == {"sent": 2}
    assert outbox.states() == ["sent", "sent"]
    assert out.getvalue().index("│ one") < out.getvalue().index("│ two")
