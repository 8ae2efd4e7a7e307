"""What the replay exchange answers: the public REST API of Bitget USDT-M futures over a MarketSource.

No sockets here: a request is a path, its parameters and the time; the answer is a status and bytes.
Final candles are written as text once, in blocks of six hours, and cut from there.
"""

import json
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate

from core.candles import Bars, Row
from core.market.faults import REPLIES, WINDOWS, Fault, Faults, garble, shown
from core.market.source import Contract, MarketSource, decimals, exchange_id, parts, row_at
from core.timeframe import DAY, HOUR, MINUTE, floor

Encoder = Callable[[object], bytes]
Reply = tuple[int, bytes]
Params = dict[str, str]

BLOCK = 6 * HOUR
RECENT_DAYS = 30  # how far back `candles` reaches for 1m; older ones are at `history-candles`
RECENT_ROWS, HISTORY_ROWS, FUNDING_ROWS = 1000, 200, 100
FUNDING = 8 * HOUR
_QUOTING = len('["') + 6 * len('""') + len('"],')  # what a row of seven numbers grows by in the reply
_MIX = "/api/v2/mix/market/"


class _Block:
    """Six hours of one symbol: opens, and the rows as one text in which row i is [at[i], at[i + 1])."""

    __slots__ = ("at", "text", "ts")

    def __init__(self, bars: Bars) -> None:
        rows = _numbers(bars)
        self.ts = array("q", bars.ts.tolist())
        self.at = array("i", accumulate((len(row) + _QUOTING for row in rows), initial=0))
        self.text = (b'["' + b"\n".join(rows).replace(b",", b'","').replace(b"\n", b'"],["') + b'"],') if rows else b""


class Api:
    """Answers requests about `source` as Bitget would; `faults` bends the candles and the listings."""

    def __init__(self, source: MarketSource, faults: Faults) -> None:
        self._source, self.faults = source, faults
        # Two blocks a symbol for the live edge and some for a backfill: about 35 kB each.
        self._block = lru_cache(maxsize=2 * len(source.symbols()) + 8)(self._build_block)
        self._rates = lru_cache(maxsize=None)(self._build_rates)
        self._handlers: dict[str, Callable[[Params, int, Sequence[Fault]], Reply]] = {
            "/api/v2/public/time": self._time,
            "/api/v2/spot/public/coins": _nothing,
            "/api/v2/spot/public/symbols": _nothing,
            "/api/v2/margin/currencies": _nothing,
            _MIX + "contracts": self._contracts,
            _MIX + "candles": self._recent,
            _MIX + "history-candles": self._history,
            _MIX + "history-fund-rate": self._funding,
            _MIX + "current-fund-rate": self._current_rate,
            _MIX + "open-interest": self._open_interest,
            _MIX + "query-position-lever": self._lever,
            _MIX + "ticker": self._ticker,
        }

    def answer(self, path: str, params: Params, now: int, faults: Sequence[Fault] = ()) -> Reply:
        """HTTP status and JSON body of a request at `now`; `faults` are those acting on it."""
        handler = self._handlers.get(path)
        if handler is None:
            return _refusal(404, "40404", f"Request URL NOT FOUND: {path}", now)
        return handler(params, now, [fault for fault in faults if fault.kind not in REPLIES])

    def knows(self, path: str) -> bool:
        """Whether `path` is part of the API."""
        return path in self._handlers

    # Candles

    def _recent(self, params: Params, now: int, faults: Sequence[Fault]) -> Reply:
        oldest = floor(now, MINUTE) - RECENT_DAYS * DAY
        return self._candles(params, now, faults, RECENT_ROWS, max(oldest, _whole(params, "startTime", 0)))

    def _history(self, params: Params, now: int, faults: Sequence[Fault]) -> Reply:
        # The start is not read here: the window ends at endTime and has `limit` rows.
        return self._candles(params, now, faults, HISTORY_ROWS, 0)

    def _candles(self, params: Params, now: int, faults: Sequence[Fault], cap: int, start: int) -> Reply:
        symbol = self._symbol(params, now)
        if symbol is None:
            return self._unknown(params, now)
        if params.get("granularity", "1m") != "1m":
            return _refusal(400, "400171", "the replay exchange serves granularity=1m only", now)
        limit = min(cap, max(1, _whole(params, "limit", 100)))
        end = _whole(params, "endTime", now + 1)
        for fault in faults:
            limit = min(limit, fault.amount) if fault.kind == "cap" else limit
            end += fault.kind == "end_inclusive"
            start += fault.kind == "start_exclusive"
        data = [fault for fault in faults if fault.kind not in WINDOWS]
        if data:
            return _success(self._bent(symbol, start, end, limit, now, data), now)
        return _success(self._straight(symbol, start, end, limit, now), now)

    def _straight(self, symbol: str, start: int, end: int, limit: int, now: int) -> bytes:
        # The last `limit` rows of [start, end), cut from the blocks, the newest block first.
        pieces: list[bytes] = []
        partial = self._partial(symbol, start, end, now)
        if partial is not None:
            pieces.append(_text(partial).encode() + b",")
            limit -= 1
        first, stop = max(start, self._source.first(symbol)), min(end, floor(now, MINUTE))
        opened = floor(min(stop - 1, self._source.last(symbol)), BLOCK)
        while limit > 0 and opened > first - BLOCK:
            block = self._block(symbol, opened)
            hi = bisect_left(block.ts, stop)
            lo = max(bisect_left(block.ts, first), hi - limit)
            if lo < hi:
                pieces.append(block.text[block.at[lo]:block.at[hi]])
                limit -= hi - lo
            opened -= BLOCK
        return b"[" + b"".join(reversed(pieces))[:-1] + b"]"

    def _bent(self, symbol: str, start: int, end: int, limit: int, now: int, faults: Sequence[Fault]) -> bytes:
        first, stop = max(start, self._source.first(symbol)), min(end, floor(now, MINUTE))
        rows: list[Row] = []
        opened = floor(min(stop - 1, self._source.last(symbol)), BLOCK)
        partial = self._partial(symbol, start, end, now)
        while len(rows) < limit and opened > first - BLOCK:
            bars = self._source.candles(symbol, max(first, opened), min(stop, opened + BLOCK))
            rows = [*self._shown(bars, faults, now), *rows]
            opened -= BLOCK
        if partial is not None and shown(partial, faults, partial[0]) is not None:
            rows.append(partial)
        texts: list[list[str | None]] = [list(json.loads(_text(row))) for row in rows[-limit:]]
        return json.dumps(garble(texts, faults, now), separators=(",", ":")).encode()

    def _shown(self, bars: Bars, faults: Sequence[Fault], now: int) -> list[Row]:
        rows = (shown(row_at(bars, i), faults, now) for i in range(len(bars)))
        return [row for row in rows if row is not None]

    def _partial(self, symbol: str, start: int, end: int, now: int) -> Row | None:
        opened = floor(now, MINUTE)
        return self._source.partial(symbol, now) if start <= opened < end else None

    def _build_block(self, symbol: str, opened: int) -> _Block:
        return _Block(self._source.candles(symbol, opened, opened + BLOCK))

    # Everything else

    def _time(self, params: Params, now: int, faults: Sequence[Fault]) -> Reply:
        return _success(b'{"serverTime":"%d"}' % now, now)

    def _contracts(self, params: Params, now: int, faults: Sequence[Fault]) -> Reply:
        if params.get("productType", "").upper() != "USDT-FUTURES":
            return _success(b"[]", now)
        rows = [_contract_row(name, self._source.info(symbol), self._source.first(symbol))
                for symbol, name in self._listed(now) if params.get("symbol", exchange_id(name)) == exchange_id(name)]
        return _success(json.dumps(rows).encode(), now)

    def _funding(self, params: Params, now: int, faults: Sequence[Fault]) -> Reply:
        symbol = self._symbol(params, now)
        if symbol is None:
            return self._unknown(params, now)
        size = min(FUNDING_ROWS, max(1, _whole(params, "pageSize", 20)))
        times, rates = self._rates(symbol)
        hi = max(0, bisect_left(times, now + 1) - size * (max(1, _whole(params, "pageNo", 1)) - 1))
        rows = [{"symbol": params["symbol"], "fundingRate": rates[i], "fundingTime": str(times[i])}
                for i in range(hi - 1, max(0, hi - size) - 1, -1)]
        return _success(json.dumps(rows).encode(), now)

    def _current_rate(self, params: Params, now: int, faults: Sequence[Fault]) -> Reply:
        symbol = self._symbol(params, now)
        if symbol is None:
            return self._unknown(params, now)
        row = {"symbol": params["symbol"], "fundingRate": self._last_rate(symbol, now), "fundingRateInterval": "8",
               "nextUpdate": str(floor(now, FUNDING) + FUNDING), "minFundingRate": "-0.003", "maxFundingRate": "0.003"}
        return _success(json.dumps([row]).encode(), now)

    def _open_interest(self, params: Params, now: int, faults: Sequence[Fault]) -> Reply:
        # No source knows it: 0, in the real shape.
        if self._symbol(params, now) is None:
            return self._unknown(params, now)
        data = {"openInterestList": [{"symbol": params["symbol"], "size": "0"}], "ts": str(now)}
        return _success(json.dumps(data).encode(), now)

    def _lever(self, params: Params, now: int, faults: Sequence[Fault]) -> Reply:
        symbol = self._symbol(params, now)
        if symbol is None:
            return self._unknown(params, now)
        row = {"symbol": params["symbol"], "level": "1", "startUnit": "0", "endUnit": "150000",
               "leverage": str(self._source.info(symbol).max_leverage), "keepMarginRate": "0.004"}
        return _success(json.dumps([row]).encode(), now)

    def _ticker(self, params: Params, now: int, faults: Sequence[Fault]) -> Reply:
        symbol = self._symbol(params, now)
        if symbol is None:
            return self._unknown(params, now)
        price = self._price(symbol, now)
        row = {"symbol": params["symbol"], "lastPr": price, "askPr": price, "bidPr": price, "indexPrice": price,
               "fundingRate": self._last_rate(symbol, now), "holdingAmount": "0", "markPrice": price, "ts": str(now)}
        return _success(json.dumps([row]).encode(), now)

    def _price(self, symbol: str, now: int) -> str:
        row = self._source.partial(symbol, now)
        if row is not None:
            return repr(row[4])
        bars = self._source.candles(symbol, now - DAY, floor(now, MINUTE))
        return repr(float(bars.close[-1])) if len(bars) else "0"

    def _last_rate(self, symbol: str, now: int) -> str:
        times, rates = self._rates(symbol)
        known = bisect_left(times, now + 1)
        return rates[known - 1] if known else "0"

    def _build_rates(self, symbol: str) -> tuple[list[int], list[str]]:
        first, end = self._source.first(symbol) - 3 * FUNDING, self._source.last(symbol) + 3 * FUNDING
        known = self._source.funding(symbol, first, end)
        return [ts for ts, _ in known], [format(Decimal(repr(rate)), "f") for _, rate in known]

    # Names

    def _listed(self, now: int) -> list[tuple[str, str]]:
        names = [(symbol, self.faults.listed(symbol, now)) for symbol in self._source.symbols()]
        return [(symbol, name) for symbol, name in names if name is not None]

    def _symbol(self, params: Params, now: int) -> str | None:
        wanted = params.get("symbol", "")
        for symbol, name in self._listed(now):
            if exchange_id(name) == wanted:
                return symbol
        return None

    def _unknown(self, params: Params, now: int) -> Reply:
        wanted = params.get("symbol", "")
        if any(exchange_id(symbol) == wanted for symbol in self._source.symbols()):
            return _refusal(400, "40309", "The contract has been removed", now)
        return _refusal(400, "40034", f"Parameter {wanted} does not exist", now)


def _nothing(params: Params, now: int, faults: Sequence[Fault]) -> Reply:
    return _success(b"[]", now)


def _success(data: bytes, now: int) -> Reply:
    return 200, b'{"code":"00000","msg":"success","requestTime":%d,"data":%b}' % (now, data)


def _refusal(status: int, code: str, message: str, now: int) -> Reply:
    return status, json.dumps({"code": code, "msg": message, "requestTime": now, "data": None}).encode()


def _whole(params: Params, key: str, default: int) -> int:
    text = params.get(key, "")
    return int(text) if text.isdecimal() else default


@lru_cache(maxsize=1)
def _encoder() -> Encoder:
    # orjson comes with ccxt, but is not built for every platform; json writes the same numbers, slower.
    try:
        import orjson
    except ImportError:
        return lambda rows: json.dumps(rows, separators=(",", ":")).encode()
    return orjson.dumps


def _numbers(bars: Bars) -> list[bytes]:
    # `ts,open,high,low,close,volume,quote volume` by bar, each number in its shortest exact form.
    # Quote volume in whole coins: nobody reads it, and short texts are quick.
    quote = (bars.close * bars.volume).round().astype(int)
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume, quote)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    return _encoder()(rows)[2:-2].split(b"],[") if rows else []


def _text(row: Row) -> str:
    return '["' + '","'.join(map(repr, (*row, round(row[4] * row[5])))) + '"]'


def _contract_row(name: str, contract: Contract, launched: int) -> dict[str, object]:
    base, quote, settle = parts(name)
    place = decimals(contract.tick)
    return {
        "symbol": exchange_id(name), "baseCoin": base, "quoteCoin": quote, "supportMarginCoins": [settle],
        "makerFeeRate": repr(contract.maker), "takerFeeRate": repr(contract.taker), "symbolType": "perpetual",
        "feeRateUpRatio": "0.005", "openCostUpRatio": "0.01", "symbolStatus": "normal", "offTime": "-1",
        "pricePlace": str(place), "priceEndStep": str(round(contract.tick * 10**place)),
        "volumePlace": str(decimals(contract.lot)), "sizeMultiplier": _plain(contract.lot),
        "minTradeNum": _plain(contract.lot), "minTradeUSDT": _plain(contract.min_notional),
        "minLever": "1", "maxLever": str(contract.max_leverage), "launchTime": str(launched),
        "deliveryTime": "", "deliveryStartTime": "", "fundInterval": "8", "limitOpenTime": "-1", "maintainTime": "",
    }


def _plain(number: float) -> str:
    return format(Decimal(repr(number)).normalize(), "f")
