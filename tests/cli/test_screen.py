"""What people see: bars on a terminal and in a pipe, colours, tables."""

import io

from core.cli.progress import Bar
from core.cli.screen import Screen, plain, size, table
from core.clock import VirtualClock


class Terminal(io.StringIO):
    """A stream that a person watches."""

    def isatty(self) -> bool:
        return True


def test_in_a_pipe_a_bar_prints_one_line_every_ten_percent() -> None:
    stream, clock = io.StringIO(), VirtualClock(0)
    bar = Bar(Screen(stream, {}), clock, "history", "minutes")
    for done in range(0, 1001, 5):
        clock.sleep(0.1)
        bar(done, 1000)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10 and "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()
    assert "500 of 1,000 minutes" in lines[4] and "/s" in lines[4] and "left" in lines[4]
    assert "100 %" in lines[-1] and "took" in lines[-1]


def test_on_a_terminal_the_bar_is_one_line_drawn_again() -> None:
    stream, clock = Terminal(), VirtualClock(0)
    screen = Screen(stream, {})
    bar = Bar(screen, clock, "history", "minutes")
    for done in (250, 500):
        clock.sleep(1)
        bar(done, 1000)
    assert stream.getvalue().count("\n") == 0 and stream.getvalue().count("\r") == 2 and bar.running
    screen.line("a log line")
    assert stream.getvalue().endswith("\r\x1b[Ka log line\n")  # the bar was cleared first
    bar(1000, 1000)
    assert stream.getvalue().endswith("\n") and not bar.running


def test_a_bar_is_not_drawn_more_often_than_a_person_can_see() -> None:
    stream, clock = Terminal(), VirtualClock(0)
    bar = Bar(Screen(stream, {}), clock, "history", "minutes")
    for done in range(1, 900):
        clock.sleep(0.001)
        bar(done, 1000)
    assert stream.getvalue().count("\r") <= 6


def test_work_of_unknown_or_no_size_shows_nothing() -> None:
    stream = io.StringIO()
    Bar(Screen(stream, {}), VirtualClock(0), "history", "minutes")(0, 0)
    assert stream.getvalue() == ""


def test_colours_only_on_a_terminal_and_never_with_no_color() -> None:
    assert Screen(Terminal(), {}).paint("x", "red") == "\x1b[31mx\x1b[0m"
    assert Screen(Terminal(), {"NO_COLOR": "1"}).paint("x", "red") == "x"
    assert Screen(io.StringIO(), {}).paint("x", "red") == "x"


def test_what_the_stream_cannot_encode_is_replaced_not_fatal() -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Screen(raw, {}).line("│ 🟢 long")
    raw.seek(0)
    assert raw.read() == "? ? long\n"


def test_tables_align_numbers_to_the_right() -> None:
    assert table(("table", "rows"), [("signals", 12), ("ohlcv", 1234567)]) == [
        "table         rows",
        "-------  ---------",
        "signals         12",
        "ohlcv    1,234,567",
    ]


def test_values_json_has_no_word_for_become_null() -> None:
    assert plain({"a": float("nan"), "b": (1, float("inf")), 3: {"c": True}}) == {
        "a": None,
        "b": [1, None],
        "3": {"c": True},
    }


def test_sizes_are_told_in_a_fitting_unit() -> None:
    assert [size(n) for n in (0, 999, 2048, 5 * 2**20, 3 * 2**30)] == ["0 B", "999 B", "2 kB", "5 MB", "3.0 GB"]
