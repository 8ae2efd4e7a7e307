"""What may stand on a command line: the options every door has, and how dates, spans and names are read."""

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from core import timeframe
from core.errors import ConfigError

COMMON: dict[str, Any] = {
    "config": "config.yaml",
    "db": None,
    "json": False,
    "log_level": None,
    "verbose": 0,
    "debug": False,
}
LEVELS = ("debug", "info", "warning", "error")

_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")

_UNKNOWN = re.compile(r"unrecognized arguments: (--[\w-]+)")


class UsageError(Exception):
    """The command line is well-formed but makes no sense; exit code 2, with this sentence."""


class Parser(argparse.ArgumentParser):
    """An argument parser that shows examples as written and suggests the nearest name for a wrong one."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", _Help)
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Print usage and one line, then exit with 2."""
        wrong, unknown = _CHOICE.search(message), _UNKNOWN.search(message)
        if wrong:
            message += nearest(wrong[1], re.findall(r"'?([\w-]+)'?", wrong[2]))
        elif unknown:
            message += nearest(unknown[1], sorted(_options(self)))
        self.print_usage(sys.stderr)
        self.exit(2, f"error: {message}\n")


def _options(parser: argparse.ArgumentParser) -> set[str]:
    # Of all commands together: which one was meant is not known where the error is found.
    found = {name for action in parser._actions for name in action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {name for child in action.choices.values() for name in _options(child)}
    return found


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)


def nearest(word: str, names: Iterable[str] | Mapping[str, str]) -> str:
    """`; did you mean X?`, or nothing when no name comes close. A mapping gives spellings and what they stand for."""
    meant = (
        {name.lower(): name for name in names}
        if not isinstance(names, Mapping)
        else {spelling.lower(): name for spelling, name in names.items()}
    )
    found = difflib.get_close_matches(word.lower(), meant, 1, 0.5)
    return f"; did you mean {meant[found[0]]}?" if found else ""


def common(parser: argparse.ArgumentParser) -> None:
    """Add what every door has; `settle` fills in absent ones, so that they may stand before or after a command."""
    group = parser.add_argument_group("every door has")
    add = group.add_argument
    add("--config", metavar="FILE", default=argparse.SUPPRESS, help="the configuration (default: config.yaml)")
    add(
        "--db",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="the database (default: app.db_path of the configuration)",
    )
    add(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print one JSON object and nothing else on standard output",
    )
    add("--log-level", choices=LEVELS, default=argparse.SUPPRESS, help="how much is logged to standard error")
    add("-v", "--verbose", action="count", default=argparse.SUPPRESS, help="log more; twice for everything")
    add("--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error")


def settle(args: argparse.Namespace) -> argparse.Namespace:
    """Fill in the common options that were not given."""
    for name, value in COMMON.items():
        if not hasattr(args, name):
            setattr(args, name, value)
    return args


def moment(text: str) -> int:
    """A UTC date or time of the command line, as ms."""
    try:
        return timeframe.parse_time(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def span(text: str) -> int:
    """A duration of the command line (`90m`, `36h`, `3d`, `2w`), as ms."""
    try:
        return timeframe.parse_span(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def speed(text: str) -> float:
    """Virtual seconds per second; `max` is infinite."""
    try:
        value = float("inf") if text == "max" else float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"not a speed: {text!r} (write max, or seconds per second such as 600)")
    return value


def edge(text: str) -> float:
    """The strength of a planted edge, 0 to 5."""
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error
    if not 0.0 <= value <= 5.0:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 5")
    return value


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"not a whole number from 1 on: {text!r}")
    return int(text)


def names(values: list[str] | None) -> list[str]:
    """Names given as separate words or with commas between them."""
    return [name.strip() for value in values or () for name in value.split(",") if name.strip()]


def check_span(start: int | None, end: int | None, now: int | None = None) -> None:
    """Refuse an end that is not after its start, and a start at or after `now`. Raises UsageError."""
    if start is not None and end is not None and end <= start:
        raise UsageError(f"--end {timeframe.show_time(end)} is not after --start {timeframe.show_time(start)}")
    if now is not None and start is not None and start >= now:
        raise UsageError(f"--start {timeframe.show_time(start)} lies in the future (it is {timeframe.show_time(now)})")
