"""A local Bot API server on loopback: scripted answers, and a record of all that was delivered.

It judges texts as Telegram does: HTML that does not parse, an empty or a too long text is a 400.
"""

import contextlib
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.parser import BytesParser
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
    silent: bool = False
    reply_to: int | None = None
    photo: bytes | None = None


class BotApi:
    """`script(...)` queues answers for sendMessage, `ok` when it is empty; `probe(...)` those for getMe.

    Answers: ok; (429, seconds); parse, chat, odd, migrate (400); 401; 403; 404; html502, json500;
    stall (delivered, no answer), hang (neither), drop (delivered, connection closed), cut (delivered,
    half an answer), garbage (delivered, a 200 that is no JSON), trickle (delivered, a byte now and then);
    bare, list, null (a 200 of JSON that Telegram would never send).
    `answers(method, ...)` queues them for any method. Chats in `blocked` refuse every message.

    `say(...)` writes to the bot; getUpdates waits for that as long as it is asked to (long polling), forgets what
    an offset confirms, and a second reader ends the first with a 409, as Telegram does.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.edits = 0
        self.asked: list[str] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.updates: list[dict[str, Any]] = []
        self.blocked: set[str] = set()
        self.always: Any = None
        self._answers: dict[str, deque[Any]] = {"sendMessage": deque(), "getMe": deque()}
        self._news = threading.Condition()
        self._readers = 0
        self.confirmed = 0  # the newest offset that a reader asked with: all before it is done with
        self._update_id = 1000
        self._stop = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "BotApi":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        with self._news:
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def script(self, *answers: Any) -> None:
        """Queue answers for sendMessage."""
        self._answers["sendMessage"].extend(answers)

    def probe(self, *answers: Any) -> None:
        """Queue answers for getMe."""
        self._answers["getMe"].extend(answers)

    def answers(self, method: str, *answers: Any) -> None:
        """Queue answers for a method."""
        self._answers.setdefault(method, deque()).extend(answers)

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

    def to(self, chat: object) -> list[Message]:
        """What one chat got."""
        return [m for m in self.messages if m.chat == str(chat)]

    def say(self, text: str, user: int = CHAT, chat: int | None = None, date: int = 0, **more: Any) -> int:
        """Somebody writes to the bot (date: seconds); the number of the update. more: further fields of the message."""
        with self._news:
            self._update_id += 1
            message = {
                "message_id": self._update_id, "date": date, "text": text,
                "chat": {"id": chat if chat is not None else user, "type": "private" if chat is None else "group"},
                "from": {"id": user, "is_bot": False, "first_name": f"U{user}"}} | more
            self.updates.append({"update_id": self._update_id, "message": message})
            self._news.notify_all()
            return self._update_id

    def read(self, form: dict[str, str]) -> list[dict[str, Any]] | None:
        """What getUpdates answers: the news from `offset` on, once there are some; None: another reader came."""
        offset, end = int(form.get("offset", 0)), time.monotonic() + float(form.get("timeout", 0))
        with self._news:
            self._readers, self.confirmed = self._readers + 1, max(self.confirmed, offset)
            mine = self._readers
            self._news.notify_all()
            self.updates = [u for u in self.updates if not isinstance(u, dict) or u.get("update_id", offset) >= offset]
            while True:
                if mine != self._readers:
                    return None
                left = end - time.monotonic()
                if self.updates or left <= 0 or self._stop.is_set():
                    return self.updates[:100]
                self._news.wait(left)

    def deliver(self, form: dict[str, str], photo: bytes | None = None) -> Message:
        """Put a message into the chat."""
        mode, raw = form.get("parse_mode"), form.get("text" if photo is None else "caption", "")
        text = shown(raw) if mode == "HTML" else raw
        reply = json.loads(form.get("reply_parameters", "{}")).get("message_id")
        self.messages.append(Message(len(self.messages) + 1, form.get("chat_id", ""), text, mode, raw,
                                     form.get("disable_notification") == "true", reply, photo))
        return self.messages[-1]

    def edit(self, caption: bool, form: dict[str, str]) -> str | None:
        """Change a message as asked to; why not, where Telegram would refuse."""
        number, text = int(form["message_id"]), form["caption" if caption else "text"]
        if not 0 < number <= len(self.messages) or self.messages[number - 1].chat != form["chat_id"]:
            return "Bad Request: message to edit not found"
        old = self.messages[number - 1]
        if caption != (old.photo is not None):
            return f"Bad Request: there is no {'caption' if caption else 'text'} in the message to edit"
        if fault := _text_fault({**form, "text": text, "caption": text}, old.photo):
            return fault
        if old.raw == text:
            return "Bad Request: message is not modified"
        self.messages[number - 1] = replace(old, text=shown(text), raw=text)
        self.edits += 1
        return None

    def until(self, done: Callable[[], object], seconds: float = 20.0) -> None:
        """Wait for something to happen; an AssertionError where it does not."""
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, f"it never happened; delivered: {self.texts}"
            self._stop.wait(0.005)


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


# Whoever answers in Telegram's place: a gateway, the login page of a wifi.
SHAPES = {"bare": b"{}", "list": b"[1]", "null": b'{"ok": true, "result": null}'}


def _text_fault(form: dict[str, str], photo: bytes | None) -> str | None:
    raw, most = (form.get("text", ""), 4096) if photo is None else (form.get("caption", ""), 1024)
    if photo is not None and not photo.startswith(b"\x89PNG"):
        return "Bad Request: IMAGE_PROCESS_FAILED"
    fault = html_fault(raw) if form.get("parse_mode") == "HTML" else None
    if fault:
        return f"Bad Request: can't parse entities: {fault}"
    seen = shown(raw) if form.get("parse_mode") == "HTML" else raw
    if not seen.strip() and photo is None:
        return "Bad Request: message text is empty"
    return f"Bad Request: message {'caption ' if photo else ''}is too long" if _units(seen) > most else None


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _fields(kind: str, body: bytes) -> tuple[dict[str, str], bytes | None]:
    """The fields of a form, and the file in it."""
    if not kind.startswith("multipart/"):
        return {k: v[0] for k, v in parse_qs(body.decode(), keep_blank_values=True).items()}, None
    form: dict[str, str] = {}
    file = None
    for part in BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).walk():
        name, payload = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(payload, bytes) and part.get_filename():
            file = payload
        elif isinstance(payload, bytes) and name:
            form[str(name)] = payload.decode()
    return form, file


def _handler(api: BotApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms

        def log_message(self, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token, _, method = self.path.removeprefix("/bot").partition("/")
            form, file = _fields(self.headers.get("Content-Type", ""), body)
            api.asked.append(method)
            api.forms.append((method, form))
            answer = api.next_answer(method) if token == TOKEN else 401
            if form.get("chat_id") in api.blocked:
                answer = 403
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._answer(method, answer, form, file)

        def _answer(self, method: str, answer: Any, form: dict[str, str], file: bytes | None) -> None:
            if isinstance(answer, tuple):
                return self._error(429, f"Too Many Requests: retry after {answer[1]}", {"retry_after": answer[1]})
            if answer in ERRORS:
                return self._error(*ERRORS[answer])
            if answer == "html502":
                return self._bytes(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")
            if answer in SHAPES:
                return self._bytes(200, SHAPES[answer])
            if answer == "hang":
                return self._leave(30)
            if method == "getMe":
                return self._ok({"id": 1, "is_bot": True, "first_name": "bot", "username": "a_bot"}, answer)
            if method == "getUpdates":
                news = api.read(form)
                return self._error(*ERRORS[409]) if news is None else self._ok(news, answer)
            if method in ("editMessageText", "editMessageCaption"):
                fault = api.edit(method == "editMessageCaption", form)
                return self._error(400, fault, {}) if fault else self._ok(True, answer)
            if method not in ("sendMessage", "sendPhoto"):
                return self._ok(True, answer)
            if fault := _text_fault(form, file):
                return self._error(400, fault, {})
            message = api.deliver(form, file)
            chat = {"id": int(message.chat) if message.chat.lstrip("-").isdigit() else 1, "type": "private"}
            self._ok({"message_id": message.id, "date": 0, "chat": chat, "text": message.text}, answer)

        def _ok(self, result: Any, answer: Any) -> None:
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
