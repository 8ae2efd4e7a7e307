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
    except TraderError as error:
        return _failed(args, out, str(error), type(error).__name__)
    except sqlite3.Error as error:
        return _failed(args, out, f"the database: {error}", type(error).__name__)
    except OSError as error:
        return _failed(args, out, f"{error.filename or 'the system'}: {error.strerror or error}", type(error).__name__)


def _failed(args: Namespace, out: Out, message: str, kind: str) -> int:
    if args.debug:
        raise  # noqa: PLE0704 - called inside the handlers of _run only
    out.err.line(out.err.paint("error: ", "red") + message)
    out.result({"error": message, "kind": kind})
    return FAILED


def _forget_stdout() -> None:
    # Whoever read our output has gone: nothing more can be written, not even at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
