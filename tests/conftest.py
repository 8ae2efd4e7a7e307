"""What every test gets: no network but loopback, no proxies or secrets of the machine, repeatable hypothesis."""

import ipaddress
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
REAL_DATA = ROOT.parent / "shared" / "data"

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "ws_proxy", "wss_proxy")
SECRETS = ("TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID")


class NetworkBlocked(RuntimeError):
    """A test tried to leave the machine. Not an OSError, so that no retry code swallows it."""


def is_loopback(host: object) -> bool:
    """Whether `host` (a name, an address or None) stays on this machine."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if text is None or text == "localhost":
        return True
    try:
        return ipaddress.ip_address(str(text).split("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_unless_loopback(sock: socket.socket, address: Any) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):
        raise NetworkBlocked(f"tests may only use loopback, not {address[0]}:{address[1]}")


def _guarded(name: str, where: Callable[[tuple[Any, ...]], Any]) -> Callable[..., Any]:
    real = getattr(socket.socket, name)

    def method(self: socket.socket, *args: Any) -> Any:
        address = where(args)
        if address is not None:
            _refuse_unless_loopback(self, address)
        return real(self, *args)

    return method


def _sendmsg_address(args: tuple[Any, ...]) -> Any:
    return args[3] if len(args) > 3 else None


def _install_socket_guard() -> None:
    if getattr(socket, "_only_loopback", False):
        return
    for name in ("connect", "connect_ex", "bind"):
        setattr(socket.socket, name, _guarded(name, lambda args: args[0]))
    socket.socket.sendto = _guarded("sendto", lambda args: args[-1])  # type: ignore[method-assign]
    socket.socket.sendmsg = _guarded("sendmsg", _sendmsg_address)  # type: ignore[method-assign]
    real_lookup = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_loopback(host):
            raise NetworkBlocked(f"tests may not look up the host name {host!r}")
        return real_lookup(host, *args, **kwargs)

    socket.getaddrinfo = lookup  # type: ignore[assignment]
    socket._only_loopback = True  # type: ignore[attr-defined]


def _clean_environment() -> None:
    for name in PROXIES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    for name in SECRETS:
        os.environ.pop(name, None)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "localhost,127.0.0.1,::1"
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(sys.prefix) / "numba-cache"))


_clean_environment()
_install_socket_guard()
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def real_candles() -> Path:
    """Folder of the real 1m candles; skips with a reason where they are not beside the repository."""
    folder = REAL_DATA / "candles"
    if not folder.is_dir():
        pytest.skip("no real candles beside the repository (../shared/data/candles)")
    return folder


@pytest.fixture(scope="session")
def real_funding() -> Path:
    """Folder of the real funding rates; skips with a reason where they are not beside the repository."""
    folder = REAL_DATA / "funding"
    if not folder.is_dir():
        pytest.skip("no real funding rates beside the repository (../shared/data/funding)")
    return folder


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Count the skips by reason, so that a quiet skip is never taken for a pass."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if not reasons:
        terminalreporter.write_line("no test was skipped")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")
