"""ccxt at arm's length: one exchange's class, made strict, and its errors said in our words.

ccxt answers garbled replies with empty lists, takes its time from the machine's clock and loads a
hundred exchanges to use one. This file puts that right; `exchange` uses the result.
"""

import asyncio
import difflib
import importlib
import importlib.util
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from core.errors import ConfigError, Rejected, TraderError, Transient

LONGEST_WAIT_S = 86_400.0
OK, FAILED, LIMITED = "ok", "failed", "limited"  # what became of a request; limited: the exchange asked us to wait
_TEXT_LIMIT = 200
_import_lock = threading.Lock()

_BAN = frozenset({"DDoSProtection", "RateLimitExceeded"})
_TIMEOUT = frozenset({"RequestTimeout", "TimeoutError"})
_PASSING = frozenset({"OperationFailed", "OSError", "TimeoutError"})
# Bitget: system abnormal, service error, unknown error. ccxt gives them as plain ExchangeError.
_PASSING_CODES = re.compile(r'"code":\s*"?(40015|40725|45001)\b')
_BANNED_UNTIL = re.compile(r"banned until (\d{13})\b")


@dataclass(frozen=True, slots=True)
class Profile:
    """What one exchange allows: 1m candles per request (recent, old) and the market types to load."""

    recent: int
    old: int
    market_types: tuple[str, ...] | None = None


BITGET = "bitget"
_PROFILES = {
    BITGET: Profile(1000, 200, ("swap",)),
    "binance": Profile(1000, 1000, ("linear",)),
    "binanceusdm": Profile(1000, 1000, ("linear",)),
    "bybit": Profile(200, 200, ("linear",)),
    "okx": Profile(100, 100, ("swap",)),
}


def profile(exchange_id: str) -> Profile:
    """Limits of an exchange; only Bitget's are tested, an unknown one gets the smallest."""
    return _PROFILES.get(exchange_id, Profile(100, 100))


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the client takes from outside: `now` (exchange time, ms UTC), `before_send` and `answered`.

    `before_send` runs right before each request leaves, and may raise to hold it back; `answered` after each that
    left, with OK, FAILED or LIMITED.
    """

    now: Callable[[], int]
    before_send: Callable[[], None]
    answered: Callable[[str], None]


def connect(exchange_id: str, hooks: Hooks, api_url: str | None, rate_limit_ms: float | None, timeout_s: float) -> Any:
    """Make a strict ccxt client for public swap data, without a request and without credentials.

    api_url: other host that speaks the exchange's API. rate_limit_ms: between requests, None =
    ccxt's own figure, 0 = none. Raises ConfigError for an exchange ccxt does not know.
    """
    types = profile(exchange_id).market_types
    options: dict[str, Any] = {"defaultType": "swap", **({"fetchMarkets": {"types": list(types)}} if types else {})}
    config: dict[str, Any] = {"timeout": int(timeout_s * 1000), "enableRateLimit": rate_limit_ms != 0,
                              "aiohttp_trust_env": False, "options": options}
    if api_url and api_url.startswith("http:"):
        config["verify"] = False  # no TLS at all: spare the 40 ms of reading certificates
    if rate_limit_ms:
        config["rateLimit"] = rate_limit_ms
    client = _strict(load_class(exchange_id), hooks, timeout_s)(config)
    client.has["fetchCurrencies"] = False
    if api_url:
        client.urls["api"] = _rehosted(client.urls["api"], api_url.rstrip("/"))
        client.timeout_on_exit = 0 if api_url.startswith("http:") else client.timeout_on_exit
    return client


def foreign_errors(client: Any) -> tuple[type[Exception], ...]:
    """Every error class a request of this client may raise that is not ours.

    Beside ccxt's own: the bare errors with which it stumbles over garbled replies.
    """
    stumbles = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
    return (client.error_root, OSError, TimeoutError, *stumbles)


def load_class(exchange_id: str) -> Any:
    """Import ccxt's async class of one exchange, leaving the other hundred on disk."""
    with _import_lock:
        if exchange_id not in _known():
            near = difflib.get_close_matches(exchange_id, _known(), 1)
            raise ConfigError(f"unknown exchange {exchange_id!r}" + (f": did you mean {near[0]!r}?" if near else ""))
        if "ccxt" in sys.modules:
            return getattr(importlib.import_module("ccxt.async_support"), exchange_id)
        try:
            return _load_alone(exchange_id)
        except (ImportError, AttributeError):  # another release of ccxt, laid out differently
            return getattr(importlib.import_module("ccxt.async_support"), exchange_id)


def _known() -> list[str]:
    return [p.stem for p in (_root() / "async_support").glob("*.py") if p.stem != "__init__"]


def _root() -> Path:
    spec = importlib.util.find_spec("ccxt")
    if spec is None or spec.origin is None:
        raise ConfigError("ccxt is not installed")
    return Path(spec.origin).parent


def _load_alone(exchange_id: str) -> Any:
    # Two stand-ins take the place of the packages whose __init__ loads every exchange. They go
    # again at once, so that a plain `import ccxt` elsewhere still finds the real one.
    stubs = {"ccxt": ModuleType("ccxt"), "ccxt.async_support": ModuleType("ccxt.async_support")}
    root = _root()
    stubs["ccxt"].__path__ = [str(root)]
    stubs["ccxt.async_support"].__path__ = [str(root / "async_support")]
    sys.modules.update(stubs)
    try:
        stubs["ccxt"].__dict__.update(vars(importlib.import_module("ccxt.base.errors")))
        stubs["ccxt"].Exchange = importlib.import_module("ccxt.base.exchange").Exchange  # type: ignore[attr-defined]
        return getattr(importlib.import_module(f"ccxt.async_support.{exchange_id}"), exchange_id)
    finally:
        for name in stubs:
            sys.modules.pop(name, None)


def _rehosted(urls: Any, base: str) -> Any:
    if isinstance(urls, dict):
        return {key: _rehosted(value, base) for key, value in urls.items()}
    return base + urlsplit(urls).path.rstrip("/") if isinstance(urls, str) else urls


def _strict(base: Any, hooks: Hooks, deadline_s: float) -> Any:
    """Subclass of a ccxt class that takes our time, our deadline, and no garbled reply for an empty one."""
    errors = sys.modules["ccxt.base.errors"]
    error_root, bad_response = errors.BaseError, errors.BadResponse

    class Strict(base):  # type: ignore[misc]
        def milliseconds(self) -> int:
            return hooks.now()

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            hooks.before_send()
            outcome = FAILED
            try:
                async with asyncio.timeout(deadline_s):  # a trickled reply may outlive the socket's timeouts
                    reply = await super().fetch(url, method, headers, body)
                outcome = OK
                return reply
            except error_root as error:
                outcome = LIMITED if is_ban(error) else FAILED
                raise
            finally:
                hooks.answered(outcome)

        def handle_errors(self, code: int, reason: str, url: str, method: str, headers: Any, body: str,
                          response: Any, request_headers: Any, request_body: Any) -> None:
            try:
                super().handle_errors(code, reason, url, method, headers, body, response, request_headers, request_body)
                self.handle_http_status_code(code, reason or "", url, method, body)
                if _garbled(self.id, url, response):
                    raise bad_response(f"{self.id} garbled reply of {len(body)} bytes to {urlsplit(url).path}")
            except error_root as error:
                error.status, error.retry_after = code, _retry_after(headers, body, hooks.now())
                raise

        def parse_ohlcvs(self, ohlcvs: Any, market: Any = None, *_: Any, **__: Any) -> list[Any]:
            # ccxt would drop what lies before `since` and cut duplicates' victims off the end, unseen
            return [self.parse_ohlcv(row, market) for row in ohlcvs]

        def set_markets(self, markets: Any, currencies: Any = None) -> Any:
            listed = markets.values() if isinstance(markets, dict) else markets or ()
            if not any(market.get("swap") for market in listed):
                raise bad_response(f"{self.id} listed no swap market")
            return super().set_markets(markets, currencies)

    Strict.error_root = error_root
    return Strict


def _garbled(exchange_id: str, url: str, reply: Any) -> bool:
    if exchange_id != BITGET:
        return not isinstance(reply, (dict, list))
    wanted = dict if "/public/time" in url else list
    return not isinstance(reply, dict) or not isinstance(reply.get("data"), wanted)


def _retry_after(headers: Any, body: str, now: int) -> float | None:
    """Seconds the server asks us to wait, from `Retry-After` (seconds or date) or "banned until"."""
    until = _BANNED_UNTIL.search(body or "")
    if until:
        return _bounded((int(until[1]) - now) / 1000)
    value = next((str(v) for k, v in dict(headers or {}).items() if k.lower() == "retry-after"), "")
    try:
        return _bounded(float(value))
    except ValueError:
        pass
    try:
        return _bounded(parsedate_to_datetime(value).timestamp() - now / 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _bounded(seconds: float) -> float | None:
    return min(seconds, LONGEST_WAIT_S) if seconds >= 0 else (None if seconds != seconds else 0.0)


def _names(error: BaseException | None) -> set[str]:
    return {c.__name__ for c in type(error).__mro__}


def is_ban(error: Exception) -> bool:
    """Tell whether the exchange asks us to stop sending (429, 418, or its own code for it)."""
    return getattr(error, "status", None) in (418, 429) or bool(_names(error) & _BAN)


def is_timeout(error: Exception) -> bool:
    """Tell whether the request used up its time, so that trying again at once would double the wait."""
    return bool(_names(error) & _TIMEOUT)


def translate(what: str, error: Exception) -> TraderError:
    """Say a foreign error in our words: Transient if waiting may help, Rejected if not.

    An unknown refusal of the exchange is Rejected, which alone never proves a delisting.
    """
    text = f"{what}: {type(error).__name__}: {_short(error)}"
    if is_ban(error) or _passing(error):
        return Transient(text, getattr(error, "retry_after", None))
    return Rejected(text)


def _passing(error: Exception) -> bool:
    names = _names(error)
    if "BaseError" not in names:  # a bare error: ccxt stumbled over a garbled reply
        return True
    if "ExchangeClosedByUser" in names or names & _PASSING:
        return True
    status = getattr(error, "status", None) or 0
    unwell = status >= 500 or status == 408 or bool(_PASSING_CODES.search(str(error)))
    return unwell or "ClientError" in _names(error.__cause__)  # aiohttp: the body broke off


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "..."
