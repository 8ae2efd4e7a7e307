"""`demo`: the demo in the foreground with the dashboard beside it; when one is asked to stop, both do."""

import os
import socket
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.cli import demo, opening
from core.cli.options import COMMON, UsageError
from core.cli.screen import Out

ROOT = Path(__file__).parents[2]
HOST, PORT = "127.0.0.1", 8501
LOG = "dashboard.log"  # in app.data_dir
# Asks Linux to end this process when its parent ends, however that ends (PR_SET_PDEATHSIG; it only reads, so a kill
# costs nothing), looks whether it came too late for that, and becomes the command. Other systems have no such wish.
_TIED = """import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])"""
_TRIED = 20  # ports after the usual one
_PATIENCE = 5.0  # seconds that a dashboard has to end by itself


def run(args: Namespace, out: Out) -> int:
    """Run the demo to its end or to Ctrl-C, with the dashboard open meanwhile."""
    cfg = opening.config(args)
    folder = Path(cfg.app.data_dir)
    db = Path(args.db or folder / demo.DB)
    port = free_port(args.port)
    folder.mkdir(parents=True, exist_ok=True)
    with dashboard(command(Path(args.config), db, port), folder / LOG, out):
        if args.port is None and port != PORT:
            out.say(f"Port {PORT} is taken by another program, so the dashboard has another one.")
        address = out.out.paint(f"http://{HOST}:{port}", "bold")
        out.say(f"Dashboard  {address}  (open it in a browser; Ctrl-C ends both)")
        code = demo.run(args, out)
    config_too = "" if args.config == COMMON["config"] else f" --config {args.config}"
    out.say(f"The dashboard has ended too; again without the demo: streamlit run dashboard.py -- --db {db}{config_too}")
    return code


def free_port(wanted: int | None) -> int:
    """The port asked for, or the usual one or the next that is free. Raises UsageError where it is taken."""
    tried = [wanted] if wanted is not None else list(range(PORT, PORT + _TRIED))
    for port in tried:
        if _free(port):
            return port
    first, last = tried[0], tried[-1]
    named = f"port {first} is" if first == last else f"ports {first} to {last} are"
    raise UsageError(f"{named} taken by another program: choose another one with --port")


def _free(port: int) -> bool:
    if port > 65_535:
        raise UsageError(f"--port {port} is no port: the highest is 65535")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that has just ended is free
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def command(config: Path, db: Path, port: int) -> list[str]:
    """What starts the dashboard over a database."""
    return [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard.py"), "--server.address", HOST,
            "--server.port", str(port), "--", "--config", str(config.resolve()), "--db", str(db.resolve())]


@contextmanager
def dashboard(command: Sequence[str], log: Path, out: Out) -> Iterator[subprocess.Popen[bytes]]:
    """The dashboard as a process of its own, ended with the block; told where it ends before that.

    It gets a session of its own: Ctrl-C in a terminal reaches the demo alone, which then ends both. On Linux it also
    ends when this process is killed.
    """
    leaving = threading.Event()
    with log.open("wb") as file:
        process = subprocess.Popen(_tied(command), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file,
                                   stderr=subprocess.STDOUT, start_new_session=True)
    watch = threading.Thread(target=_watch, args=(process, leaving, log, out), daemon=True)
    watch.start()
    try:
        yield process
    finally:
        leaving.set()
        _end(process)
        watch.join(_PATIENCE)


def _tied(command: Sequence[str]) -> list[str]:
    if not sys.platform.startswith("linux"):
        return list(command)
    return [sys.executable, "-S", "-c", _TIED, str(os.getpid()), *command]


def _watch(process: "subprocess.Popen[bytes]", leaving: threading.Event, log: Path, out: Out) -> None:
    code = process.wait()
    if not leaving.is_set():
        out.note(f"the dashboard has ended by itself (exit code {code}); {log} says why. The demo goes on")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
