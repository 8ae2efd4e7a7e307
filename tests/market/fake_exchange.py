"""A scripted loopback server that speaks the public Bitget JSON, for faults; no market logic beyond a formula."""

import json
import socket
import struct
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

MINUTE = 60_000
ENDPOINTS = {
    "/api/v2/public/time": "time",
    "/api/v2/mix/market/contracts": "contracts",
    "/api/v2/mix/market/candles": "candles",
    "/api/v2/mix/market/history-candles": "history",
    "/api/v2/mix/market/history-fund-rate": "funding",
}
REASONS = {200: "OK", 403: "Forbidden", 418: "Teapot", 429: "Too Many", 500: "Error", 503: "Unavailable"}
HTML = "<html><body>Just a moment...</body></html>"


@dataclass(frozen=True)
class Fault:
    """What to do instead of answering well; the first that is set wins, from top to bottom."""

    reset: bool = False
    stall_s: float = 0.0
    trickle_s: float = 0.0
    cut: int | None = None  # bytes kept of the body, Content-Length to match
    short: int | None = None  # bytes kept of the body, Content-Length of the whole
    edit: Callable[[Any], Any] | None = None  # of the `data`
    before: Callable[[], None] | None = None  # runs when the request has arrived
    status: int = 200
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def error(code: str, status: int = 400, **headers: str) -> Fault:
    """Bitget's error envelope."""
    body = json.dumps({"code": code, "msg": "said no", "requestTime": 1, "data": None})
    return Fault(status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def contract(symbol: str, **changes: str) -> dict[str, Any]:
    row = {"symbol": symbol, "baseCoin": symbol[:-4], "quoteCoin": "USDT", "makerFeeRate": "0.0002",
           "takerFeeRate": "0.0006", "supportMarginCoins": ["USDT"], "minTradeNum": "0.001", "priceEndStep": "5",
           "pricePlace": "2", "volumePlace": "3", "sizeMultiplier": "0.001", "symbolType": "perpetual",
           "minTradeUSDT": "5", "symbolStatus": "normal", "minLever": "1", "maxLever": "125", "launchTime": "",
           "deliveryTime": "", "fundInterval": "8"}
    return {**row, **changes}


def final_row(ts: int) -> tuple[int, float, float, float, float, float]:
    """The final candle of a minute: a formula any test can repeat."""
    n = ts // MINUTE % 1000
    o, c = 1000.0 + n, 1000.5 + (n + 1) % 1000
    return ts, o, max(o, c) + 2.0, min(o, c) - 2.0, c, 3.0 + n / 8


def unfinished_row(ts: int, now: int) -> tuple[int, float, float, float, float, float]:
    """The same candle while in progress at `now`: other close and volume."""
    _, o, _, _, _, _ = final_row(ts)
    part = (now - ts) / MINUTE
    return ts, o, o + part, o - 1.0, o + part / 2, part


class FakeExchange:
    """Serves `final_row` for every minute in `exists`, as of `now()`, on 127.0.0.1."""

    def __init__(self, now: Callable[[], int], end_inclusive: bool = False) -> None:
        self.now = now
        self.end_inclusive = end_inclusive
        self.exists: Callable[[int], bool] = lambda ts: True
        self.contracts = [contract("BTCUSDT"), contract("ETHUSDT")]
        self.funding: list[tuple[int, str]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._scripts: dict[str, deque[Fault]] = defaultdict(deque)
        self._standing: dict[str, Fault] = {}
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    # -- script ----------------------------------------------------------------------------------

    def script(self, endpoint: str, *faults: Fault) -> None:
        """Answer the next requests of `endpoint` with these, one each."""
        self._scripts[endpoint].extend(faults)

    def always(self, endpoint: str, fault: Fault | None) -> None:
        """Answer every request of `endpoint` with `fault` until told otherwise."""
        self._standing.pop(endpoint, None)
        if fault is not None:
            self._standing[endpoint] = fault

    def counts(self) -> Counter[str]:
        return Counter(name for name, _ in self.asked)

    def close(self) -> None:
        self._server.close()

    # -- wire ------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            self._answer(sock)

    def _answer(self, sock: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = sock.recv(4096)
            if not piece:
                return
            head += piece
        url = urlsplit(head.split(b" ", 2)[1].decode())
        name, query = ENDPOINTS.get(url.path, url.path), dict(parse_qsl(url.query))
        with self._lock:
            self.asked.append((name, query))
            script = self._scripts[name]
            fault = script.popleft() if script else self._standing.get(name, Fault())
        if fault.before:
            fault.before()
        self._send(sock, fault, self._body(name, query, fault))

    def _send(self, sock: socket.socket, fault: Fault, body: bytes) -> None:
        if fault.reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        time.sleep(fault.stall_s)
        length = len(body) if fault.cut is None else fault.cut
        headers = {"Content-Type": "application/json", "Content-Length": str(length), "Connection": "close"}
        lines = [f"HTTP/1.1 {fault.status} {REASONS.get(fault.status, '')}"]
        lines += [f"{k}: {v}" for k, v in (headers | fault.headers).items()]
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        body = body[: length if fault.short is None else fault.short]
        if not fault.trickle_s:
            sock.sendall(body)
            return
        for byte in body:
            sock.sendall(bytes([byte]))
            time.sleep(fault.trickle_s)

    # -- content ---------------------------------------------------------------------------------

    def _body(self, name: str, query: dict[str, str], fault: Fault) -> bytes:
        if fault.body is not None:
            return fault.body.encode()
        data = {"time": self._time, "contracts": self._contracts, "candles": self._candles, "history": self._candles,
                "funding": self._funding}[name](query)
        data = fault.edit(data) if fault.edit else data
        envelope = {"code": "00000", "msg": "success", "requestTime": self.now(), "data": data}
        return json.dumps(envelope, separators=(",", ":")).encode()

    def _time(self, query: dict[str, str]) -> Any:
        return {"serverTime": str(self.now())}

    def _contracts(self, query: dict[str, str]) -> Any:
        return self.contracts if query["productType"] == "USDT-FUTURES" else []

    def _candles(self, query: dict[str, str]) -> Any:
        start, end, limit, now = int(query["startTime"]), int(query["endTime"]), int(query["limit"]), self.now()
        last = min(end if self.end_inclusive else end - 1, now)
        stamps = [ts for ts in range(-(-start // MINUTE) * MINUTE, last + 1, MINUTE) if self.exists(ts)]
        rows = (final_row(ts) if ts + MINUTE <= now else unfinished_row(ts, now) for ts in stamps[-limit:])
        return [[str(ts), *map(repr, values), "1.0"] for ts, *values in rows]

    def _funding(self, query: dict[str, str]) -> Any:
        size, page = int(query.get("pageSize", 20)), int(query.get("pageNo", 1))
        newest_first = sorted(self.funding, reverse=True)[size * (page - 1) : size * page]
        return [{"symbol": query["symbol"], "fundingRate": r, "fundingTime": str(ts)} for ts, r in newest_first]


@contextmanager
def serving(now: Callable[[], int], **options: Any) -> Iterator[FakeExchange]:
    fake = FakeExchange(now, **options)
    try:
        yield fake
    finally:
        fake.close()
