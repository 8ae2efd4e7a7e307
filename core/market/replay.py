"""The replay exchange: a local HTTP server that ccxt takes for Bitget's USDT-M futures.

It runs in a thread of its own with its own event loop, on 127.0.0.1 only, and serves candles up to
"now" of the clock it is given, the one in progress included. What it says is in replay_api, what goes
wrong with it in faults.
"""

import asyncio
import threading
from collections import Counter
from urllib.parse import unquote_plus

from core.clock import Clock
from core.errors import Transient
from core.market.faults import REPLIES, Fault, Faults
from core.market.replay_api import Api, Params, Reply
from core.market.source import MarketSource

HTML = b"<html><head><title>Attention</title></head><body><h1>We will be back soon</h1></body></html>"
PIECES = 20
_REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
            418: "I'm a teapot", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
            503: "Service Unavailable", 504: "Gateway Timeout"}


class ReplayExchange:
    """Serves `source` over HTTP up to now of `clock`; `faults` makes it fail on purpose.

    requests: how often each path was asked, failed requests included; readable at any time.
    """

    def __init__(self, source: MarketSource, clock: Clock, faults: Faults | None = None) -> None:
        self.clock, self.faults = clock, faults or Faults()
        self.api = Api(source, self.faults)
        self.requests: Counter[str] = Counter()
        self.base_url = ""
        self._port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._connections: set[_Connection] = set()

    def start(self) -> str:
        """Listen on a free port of 127.0.0.1 and return the base URL; a second start takes the same port.

        Raises Transient if the port cannot be had.
        """
        started = threading.Event()
        failed: list[OSError] = []
        self._thread = threading.Thread(target=self._run, args=(started, failed), name="replay-exchange", daemon=True)
        self._thread.start()
        started.wait()
        if failed:
            self._thread.join()
            self._thread = None
            raise Transient(f"the replay exchange cannot listen: {failed[0]}") from failed[0]
        self.base_url = f"http://127.0.0.1:{self._port}"
        return self.base_url

    def stop(self) -> None:
        """Close every connection and end the thread; does nothing if not running."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._thread = None

    def bend(self, faults: Faults) -> None:
        """Follow another plan of faults from the next request on; `Faults()` ends them all."""
        self.faults = self.api.faults = faults

    def count(self, suffix: str) -> int:
        """How often the paths that end with `suffix` were asked."""
        return sum(n for path, n in self.requests.copy().items() if path.endswith(suffix))

    def _run(self, started: threading.Event, failed: list[OSError]) -> None:
        loop = self._loop = asyncio.new_event_loop()
        try:
            server = loop.run_until_complete(loop.create_server(lambda: _Connection(self), "127.0.0.1", self._port))
        except OSError as error:
            failed.append(error)
            loop.close()
            started.set()
            return
        self._port = server.sockets[0].getsockname()[1]
        started.set()
        loop.run_forever()
        server.close()
        for connection in list(self._connections):
            connection.abort()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


class _Connection(asyncio.Protocol):
    """One keep-alive connection: requests in, replies out, in order."""

    def __init__(self, exchange: ReplayExchange) -> None:
        self._exchange = exchange
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._exchange._connections.add(self)
        if self._exchange.faults.down(self._exchange.clock.now()):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._exchange._connections.discard(self)
        self._transport = None

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            self._serve(head)

    def _serve(self, head: bytes) -> None:
        line, _, headers = head.partition(b"\r\n")
        method, target, *_ = (*line.decode("latin-1").split(" "), "", "")
        path, params = _target(target)
        exchange = self._exchange
        exchange.requests[path] += 1
        now = exchange.clock.now()
        if method != "GET":
            self._write((405, b""), close=True)
            return
        acting = exchange.faults.strike(path, params.get("symbol", ""), now) if exchange.faults.plan else []
        reply = exchange.api.answer(path, params, now, acting)
        fault = next((f for f in acting if f.kind in REPLIES), None)
        if fault is not None:
            self._fail(fault, reply)
            return
        self._write(reply, close=b"connection: close" in headers.lower())

    def _fail(self, fault: Fault, reply: Reply) -> None:
        if fault.kind in ("reset", "down"):
            self.abort()
        elif fault.kind == "stall":
            if fault.seconds:
                asyncio.get_running_loop().call_later(fault.seconds, self._write, reply)
        elif fault.kind == "trickle":
            self._trickle(_message(reply), fault.seconds / PIECES)
        elif fault.kind == "short":
            message = _message(reply)
            self._send(message[:len(message) - len(reply[1]) + int(len(reply[1]) * fault.share)], close=True)
        else:
            self._send(_message(_broken(fault, reply), _extra(fault)))

    def _trickle(self, message: bytes, pause: float) -> None:
        size = -(-len(message) // PIECES)
        for n in range(PIECES):
            asyncio.get_running_loop().call_later(n * pause, self._send, message[n * size:(n + 1) * size])

    def _write(self, reply: Reply, close: bool = False) -> None:
        self._send(_message(reply), close)

    def _send(self, message: bytes, close: bool = False) -> None:
        if self._transport is None:
            return
        self._transport.write(message)
        if close:
            self._transport.close()


def _target(target: str) -> tuple[str, Params]:
    path, _, query = target.partition("?")
    if "%" in query or "+" in query:
        query = "&".join(unquote_plus(pair) for pair in query.split("&"))
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return path, {key: value for key, _, value in pairs}


def _message(reply: Reply, extra: str = "") -> bytes:
    status, body = reply
    kind = "text/html" if body.startswith(b"<") else "application/json"
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\nContent-Type: {kind}\r\n{extra}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _extra(fault: Fault) -> str:
    return "" if fault.retry_after is None else f"Retry-After: {fault.retry_after:g}\r\n"


def _broken(fault: Fault, reply: Reply) -> Reply:
    # The reply that a fault of the body or the status puts in the place of the true one.
    if fault.kind == "status":
        return fault.status, b'{"code":"429","msg":"Too Many Requests"}' if fault.status == 429 else HTML
    if fault.kind == "code":
        return 400, b'{"code":"%b","msg":"fault","data":null}' % fault.code.encode()
    bodies = {
        "html": HTML,
        "truncated": reply[1][:int(len(reply[1]) * fault.share)],
        "null": b"null",
        "data_null": b'{"code":"00000","msg":"success","data":null}',
        "empty_body": b"",
        "empty_data": b'{"code":"00000","msg":"success","data":[]}',
    }
    return 200, bodies[fault.kind]
