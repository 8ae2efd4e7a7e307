"""The one way into every door: parse, run the chosen command, turn errors into one line and an exit code."""

import importlib
import os
import sqlite3
import sys
from argparse import Namespace
from collections.abc import Sequence

from core.cli import logs, parsers
from core.cli.options import UsageError, settle
from core.cli.screen import Out
from core.errors import TraderError
from core.notify import redact

OK, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def main(door: str, argv: Sequence[str] | None = None) -> int:
    """Run a door and return its exit code: 0 done, 1 failed with one clear line, 2 wrong usage."""
    parser = parsers.build(door)
    args = settle(parser.parse_args(argv))
    out = Out(sys.stdout, sys.stderr, args.json)
    logs.start(args, out.err)
    try:
        return _run(args, out)
    except UsageError as error:
        out.note(f"error: {error}")
        return WRONG_USAGE
    except BrokenPipeError:
        _forget_stdout()
        return OK
    except KeyboardInterrupt:
        out.note("stopped")
        return INTERRUPTED


def _run(args: Namespace, out: Out) -> int:
    module, _, function = args.run.partition(":")
    try:
        return int(getattr(importlib.import_module(module), function)(args, out))
    except BrokenPipeError:
        raise
    except (TraderError, sqlite3.Error, OSError) as error:
        if args.debug:
            raise
        message = redact.hide(_told(error))
        out.note(f"{out.err.paint('error:', 'red')} {message}")
        out.result({"error": message, "kind": type(error).__name__})
        return FAILED


def _told(error: Exception) -> str:
    if isinstance(error, sqlite3.Error):
        return f"the database: {error}"
    if isinstance(error, OSError):
        return f"{error.filename or 'the system'}: {error.strerror or error}"
    return str(error)


def _forget_stdout() -> None:
    # Whoever read our output has gone: nothing more can be written, not even at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
