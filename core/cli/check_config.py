"""`check-config`: the configuration as the program understands it, or every mistake in it."""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from core.cli import opening
from core.cli.screen import Out, plain
from core.config import config_hash, describe
from core.errors import ConfigError

_DATES = ("start_date",)


def run(args: Namespace, out: Out) -> int:
    """Print all values, those left out of the file too (0), or all mistakes (1)."""
    try:
        cfg = opening.config(args)
    except ConfigError as error:
        out.result({"ok": False, "mistakes": str(error).splitlines()})
        out.note(str(error))
        return 1
    described = describe(cfg)
    out.result({"ok": True, "config": described, "config_hash": config_hash(cfg)})
    for line in lines(described):
        out.say(line)
    out.say()
    out.say(f"{args.config} is in order (config_hash {config_hash(cfg)})")
    return 0


def lines(values: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Nested values, one key a line, as one would write them."""
    for name, value in values.items():
        head = "  " * depth + str(name) + ":"
        if isinstance(value, Mapping) and value:
            yield head
            yield from lines(value, depth + 1)
        else:
            yield f"{head} {_shown(str(name), value)}"


def _shown(name: str, value: Any) -> str:
    if name in _DATES and isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d")
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_shown("", item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else "null" if value is None else str(plain(value))
