"""A local Bot API server on loopback: scripted answers, and a record of all that was delivered.

It judges texts as Telegram does: HTML that does not parse, an empty or a too long text is a 400.
"""

import contextlib
import json
import re
import threading
import time
from collections import deque
from dataclasses import dataclass
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

TOKEN = "123456789:AAcanary-Canary_canaryCANARYcanary1"
CHAT = 4242

_ALLOWED = {"b", "strong", "i", "em", "u", "s", "code", "pre", "a", "blockquote"}
_MARK = re.compile(r"<(/?)([^<>]*)>|&([^;&\s]{0,10};)?|[<>]")


def html_fault(text: str) -> str | None:
    """Why Telegram would refuse `text` as HTML; None where it is valid."""
    stack: list[str] = []
    for mark in _MARK.finditer(text):
        closing, tag, entity = mark.groups()
        if mark.group().startswith("&"):
            if not re.fullmatch(r"lt;|gt;|amp;|quot;|#\d+;|#x[0-9a-fA-F]+;", entity or ""):
                return f"unknown entity at {mark.start()}"
        elif tag is None or (tag.split() or [""])[0] not in _ALLOWED:
            return f"unsupported start tag at byte offset {mark.start()}"
        elif not closing:
            stack.append(tag.split()[0])
        elif not stack or stack.pop() != tag:
            return f"unexpected end tag at byte offset {mark.start()}"
    return f"can't find end tag for {stack[-1]}" if stack else None


def shown(text: str) -> str:
    """What a reader sees of valid HTML."""
    return unescape(re.sub(r"</?[a-z]+>", "", text))


@dataclass(frozen=True)
class Message:
    """One delivered message: what the reader sees, and how it was sent."""

    id: int
    chat: str
    text: str
    mode: str | None
    raw: str


class BotApi:
    """`script(...)` queues answers for sendMessage, `ok` when it is empty; `probe(...)` those for getMe.

    Answers: ok; (429, seconds); parse, chat, odd, migrate (400); 401; 403; 404; html502, json500;
    stall (delivered, no answer), hang (neither), drop (delivered, connection closed), cut (delivered,
    half an answer), garbage (delivered, a 200 that is no JSON), trickle (delivered, a byte now and then).
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.asked: list[str] = []
        self.updates: list[dict[str, Any]] = []
        self.always: Any = None
        self._answers: dict[str, deque[Any]] = {"sendMessage": deque(), "getMe": deque()}
        self._stop = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "BotApi":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()

    def script(self, *answers: Any) -> None:
        """Queue answers for sendMessage."""
        self._answers["sendMessage"].extend(answers)

    def probe(self, *answers: Any) -> None:
        """Queue answers for getMe."""
        self._answers["getMe"].extend(answers)

    def next_answer(self, method: str) -> Any:
        """What to do with this request."""
        queue = self._answers.get(method)
        return queue.popleft() if queue else self.always or "ok"

    def wait(self, seconds: float) -> None:
        """Hold a connection open, until the server stops at the latest."""
        self._stop.wait(seconds)

    @property
    def texts(self) -> list[str]:
        return [m.text for m in self.messages]

    def deliver(self, form: dict[str, str]) -> Message:
        """Put a message into the chat."""
        mode, raw = form.get("parse_mode"), form.get("text", "")
        text = shown(raw) if mode == "HTML" else raw
        self.messages.append(Message(len(self.messages) + 1, form.get("chat_id", ""), text, mode, raw))
        return self.messages[-1]


ERRORS: dict[Any, tuple[int, str, dict[str, int]]] = {
    "parse": (400, "Bad Request: can't parse entities: scripted", {}),
    "chat": (400, "Bad Request: chat not found", {}),
    "odd": (400, "Bad Request: a refusal nobody has seen before", {}),
    "migrate": (400, "Bad Request: group chat was upgraded to a supergroup chat", {"migrate_to_chat_id": -100777}),
    401: (401, "Unauthorized", {}),
    403: (403, "Forbidden: bot was blocked by the user", {}),
    404: (404, "Not Found", {}),
    409: (409, "Conflict: terminated by other getUpdates request", {}),
    "bare429": (429, "Too Many Requests", {}),
    "json500": (500, "Internal Server Error", {}),
}


def _text_fault(form: dict[str, str]) -> str | None:
    raw = form.get("text", "")
    fault = html_fault(raw) if form.get("parse_mode") == "HTML" else None
    if fault:
        return f"Bad Request: can't parse entities: {fault}"
    seen = shown(raw) if form.get("parse_mode") == "HTML" else raw
    if not seen.strip():
        return "Bad Request: message text is empty"
    return "Bad Request: message is too long" if len(seen.encode("utf-16-le")) > 2 * 4096 else None


def _handler(api: BotApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms

        def log_message(self, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            token, _, method = self.path.removeprefix("/bot").partition("/")
            form = {k: v[0] for k, v in parse_qs(body, keep_blank_values=True).items()}
            api.asked.append(method)
            answer = api.next_answer(method) if token == TOKEN else 401
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._answer(method, answer, form)

        def _answer(self, method: str, answer: Any, form: dict[str, str]) -> None:
            if isinstance(answer, tuple):
                return self._error(429, f"Too Many Requests: retry after {answer[1]}", {"retry_after": answer[1]})
            if answer in ERRORS:
                return self._error(*ERRORS[answer])
            if answer == "html502":
                return self._bytes(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")
            if answer == "hang":
                return self._leave(30)
            if method == "getMe":
                return self._ok({"id": 1, "is_bot": True, "first_name": "bot", "username": "a_bot"}, answer)
            if method == "getUpdates":
                return self._ok(api.updates, answer)
            if fault := _text_fault(form):
                return self._error(400, fault, {})
            message = api.deliver(form)
            chat = {"id": int(message.chat), "type": "private"}
            self._ok({"message_id": message.id, "date": 0, "chat": chat, "text": message.text}, answer)

        def _ok(self, result: Any, answer: str) -> None:
            payload = json.dumps({"ok": True, "result": result}).encode()
            if answer == "stall":
                self._leave(30)
            elif answer == "drop":
                self._leave(0)
            elif answer == "garbage":
                self._bytes(200, b"<html>sign in to the wifi</html>", "text/html")
            elif answer in ("cut", "trickle"):
                self._partly(payload, answer == "trickle")
            else:
                self._bytes(200, payload)

        def _partly(self, payload: bytes, slowly: bool) -> None:
            self._head(200, 9 * len(payload), "application/json")
            self.wfile.write(payload[: len(payload) // 2])
            for _ in range(600 if slowly else 0):
                time.sleep(0.05)
                self.wfile.write(b" ")
                self.wfile.flush()
            self._leave(0)

        def _leave(self, seconds: float) -> None:
            api.wait(seconds)
            self.close_connection = True

        def _error(self, code: int, text: str, parameters: dict[str, int]) -> None:
            body = {"ok": False, "error_code": code, "description": text}
            self._bytes(code, json.dumps(body | ({"parameters": parameters} if parameters else {})).encode())

        def _bytes(self, code: int, payload: bytes, kind: str = "application/json") -> None:
            self._head(code, len(payload), kind)
            self.wfile.write(payload)

        def _head(self, code: int, length: int, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
            self.end_headers()

    return Handler
