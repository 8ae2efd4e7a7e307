"""Ctrl-C and SIGTERM: the first asks to stop after the running stage, a second one stops at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_signals(what: str) -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, instead of ending the process. A second signal raises KeyboardInterrupt."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        os.write(2, f"\nstopping: {what} (once more to stop at once)\n".encode())  # print is not safe in a handler

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
