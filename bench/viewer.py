"""Open pages of the dashboard without a browser: `python -m bench.viewer URL SECONDS PAGE...`; JSON on the last line.

Each page is a connection that speaks Streamlit's own protocol: it asks for the page, and then sends the timed
refreshes that a browser would send, each part of the page at its own interval. Nothing is drawn here, as a browser
usually runs on another machine. Prints for each page the seconds of its first paint and of every refresh.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp


@dataclass
class Seen:
    """One open page: seconds until it stood, and seconds of each refresh from the asking to its end."""

    page: str
    paint: float = 0.0
    refreshes: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Viewer:
    """One open page."""

    def __init__(self, socket: Any, page: str, until: float) -> None:
        self._socket, self._until, self.seen = socket, until, Seen(page)
        self._due: dict[str, tuple[float, float]] = {}  # part of the page: interval, when it is due
        self._hash = ""

    async def look(self) -> Seen:
        """Open the page and stay on it until the end."""
        began = time.monotonic()
        await self._ask(self.seen.page, "")
        await self._finished(began + 60.0)
        self.seen.paint = time.monotonic() - began
        while time.monotonic() < self._until:
            part, wait = self._next()
            await asyncio.sleep(max(0.0, min(wait, self._until - time.monotonic())))
            if part and time.monotonic() < self._until:
                await self._refresh(part)
        return self.seen

    def _next(self) -> tuple[str, float]:
        if not self._due:
            return "", self._until - time.monotonic()
        part = min(self._due, key=lambda name: self._due[name][1])
        return part, self._due[part][1] - time.monotonic()

    async def _refresh(self, part: str) -> None:
        interval, _ = self._due[part]
        self._due[part] = interval, time.monotonic() + interval
        began = time.monotonic()
        await self._ask(self.seen.page, part)
        if await self._finished(began + 60.0):
            self.seen.refreshes.append(time.monotonic() - began)

    async def _ask(self, page: str, part: str) -> None:
        from streamlit.proto.BackMsg_pb2 import BackMsg

        message = BackMsg()
        message.rerun_script.page_name = "" if page == "now" else page
        message.rerun_script.page_script_hash = self._hash
        message.rerun_script.fragment_id = part
        message.rerun_script.is_auto_rerun = bool(part)
        await self._socket.send_bytes(message.SerializeToString())

    async def _finished(self, end: float) -> bool:
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        while time.monotonic() < end:
            got = await self._socket.receive(timeout=end - time.monotonic())
            if got.type != aiohttp.WSMsgType.BINARY:
                self.seen.failed.append(f"the connection ended: {got.type}")
                self._until = 0.0
                return False
            message = ForwardMsg()
            message.ParseFromString(got.data)
            self._take(message)
            if message.WhichOneof("type") == "script_finished":
                return True
        self.seen.failed.append("no answer in a minute")
        return False

    def _take(self, message: Any) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._hash = message.new_session.page_script_hash
        elif kind == "auto_rerun":
            part, interval = message.auto_rerun.fragment_id, message.auto_rerun.interval
            self._due.setdefault(part, (interval, time.monotonic() + interval))
        elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
            self.seen.failed.append(message.delta.new_element.exception.message[:200])


async def look(url: str, seconds: float, pages: list[str]) -> list[Seen]:
    """Look at all pages at once for so long."""
    until = time.monotonic() + seconds
    address = url.replace("http", "ws", 1) + "/_stcore/stream"
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(address, protocols=("streamlit",), max_msg_size=0) for _ in pages]
        found = await asyncio.gather(*(Viewer(s, p, until).look() for s, p in zip(sockets, pages, strict=True)))
        for socket in sockets:
            await socket.close()
    return list(found)


if __name__ == "__main__":
    print(json.dumps([asdict(seen) for seen in asyncio.run(look(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))]))
