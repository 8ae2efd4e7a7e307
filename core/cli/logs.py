"""Logging of a door: to standard error, in UTC, without secrets."""

import logging
from argparse import Namespace
from datetime import UTC, datetime

from core.cli.screen import Screen
from core.notify import redact

_NOISY = ("apscheduler", "asyncio", "ccxt", "httpx", "httpcore", "numba", "telegram")


def start(args: Namespace, screen: Screen) -> None:
    """Set logging up as the command line says; further calls replace the first."""
    level = level_of(args)
    handler = logging.StreamHandler(screen.as_text())
    handler.setFormatter(_Utc("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.DEBUG if args.verbose > 1 else logging.WARNING)
    redact.install()


def level_of(args: Namespace) -> int:
    """The level a command line asks for: --log-level, or the door's own, one step lower for each -v."""
    if args.log_level:
        return int(logging.getLevelName(args.log_level.upper()))
    default = int(logging.getLevelName(args.log_default.upper()))
    return max(logging.DEBUG, default - 10 * args.verbose)


class _Utc(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
