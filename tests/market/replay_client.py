"""Helpers: the unmodified ccxt client, and a bare HTTP client, both pointed at a replay exchange."""

import asyncio
import http.client
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from core.clock import VirtualClock
from core.market.faults import Fault, Faults
from core.market.replay import ReplayExchange
from core.market.source import MarketSource

T = TypeVar("T")
MIX = "/api/v2/mix/market/"


@contextmanager
def running(source: MarketSource, now: int, *plan: Fault, seed: int = 0) -> Iterator[ReplayExchange]:
    """A replay exchange at `now` of a virtual clock, stopped at the end."""
    exchange = ReplayExchange(source, VirtualClock(now), Faults(plan, seed))
    exchange.start()
    try:
        yield exchange
    finally:
        exchange.stop()


def ccxt_run(exchange: ReplayExchange, work: Callable[[Any], Awaitable[T]], timeout: int = 5000) -> T:
    """Run `work(client)` with ccxt's own bitget client, whose "now" is the exchange's clock."""
    import ccxt.async_support as ccxt

    async def main() -> T:
        options = {"defaultType": "swap", "fetchMarkets": {"types": ["swap"]}}
        client = ccxt.bitget({"timeout": timeout, "enableRateLimit": False, "options": options})
        client.urls["api"] = dict.fromkeys(client.urls["api"], exchange.base_url)
        client.has["fetchCurrencies"] = False
        client.milliseconds = exchange.clock.now
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(main())


def ask(exchange: ReplayExchange, path: str, timeout: float = 5.0, **params: object) -> tuple[int, Any, dict[str, str]]:
    """Status, body (JSON where it is JSON, else bytes) and headers of one request without ccxt."""
    query = "&".join(f"{key}={value}" for key, value in params.items())
    connection = http.client.HTTPConnection("127.0.0.1", int(exchange.base_url.rpartition(":")[2]), timeout=timeout)
    try:
        connection.request("GET", f"{path}?{query}" if query else path)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    try:
        return answer.status, json.loads(body), dict(answer.headers)
    except ValueError:
        return answer.status, body, dict(answer.headers)


def candles(exchange: ReplayExchange, path: str = "candles", symbol: str = "BTCUSDT", **params: object) -> Any:
    """The rows of a bare request for 1m candles, lists of texts as the server wrote them."""
    return ask(exchange, MIX + path, symbol=symbol, granularity="1m", productType="USDT-FUTURES", **params)[1]["data"]
