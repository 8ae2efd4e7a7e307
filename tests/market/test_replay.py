"""The replay exchange as ccxt and a bare client see it: pages, the open candle, listings, faults."""

import http.client
import socket
from typing import Any

import numpy as np
import pytest

from core.candles import Bars, Row, from_rows
from core.clock import VirtualClock
from core.errors import ConfigError, Transient
from core.market.faults import KINDS, PASSING, Fault, Faults, storm
from core.market.generated import START, GeneratedMarket
from core.market.replay import ReplayExchange
from core.market.source import Contract, in_progress, row_at
from core.timeframe import DAY, HOUR, MINUTE
from tests.market.replay_client import MIX, ask, candles, ccxt_run, running

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
MARKET = GeneratedMarket((BTC, ETH, "DOGE/USDT:USDT"), days=60)
NOW = START + 45 * DAY + 20_000  # 20 s into a minute
OPEN = NOW - 20_000


def rows(start: int, end: int, symbol: str = BTC) -> list[list[float]]:
    bars = MARKET.candles(symbol, start, end)
    return [list(row_at(bars, i)) for i in range(len(bars))]


async def pages(client: Any, symbol: str, start: int, end: int) -> list[list[float]]:
    # The pager that was proven against ccxt: aligned, 200 rows where the history endpoint answers.
    found: list[list[float]] = []
    while start < end:
        limit = 200 if start <= client.milliseconds() - 28 * DAY else 1000
        page = [r for r in await client.fetch_ohlcv(symbol, "1m", since=start, limit=limit) if start <= r[0] < end]
        found += page
        start = int(page[-1][0]) + MINUTE if page else start + limit * MINUTE
    return found


class Sparse:
    """Five hours of minutes with a hole of a hundred, and none after."""

    label = "sparse"

    def __init__(self) -> None:
        kept = [n for n in range(300) if not 100 <= n < 200]
        self.bars = from_rows(MINUTE, [(n * MINUTE, 5.0, 6.0, 4.0, 5.0, 1.0) for n in kept])

    def symbols(self) -> tuple[str, ...]:
        return (BTC,)

    def info(self, symbol: str) -> Contract:
        return Contract(0.5, 0.001)

    def first(self, symbol: str) -> int:
        return 0

    def last(self, symbol: str) -> int:
        return 299 * MINUTE

    def candles(self, symbol: str, start: int, end: int) -> Bars:
        lo, hi = np.searchsorted(self.bars.ts, (start, end))
        return self.bars.cut(int(lo), int(hi))

    def partial(self, symbol: str, now: int) -> Row | None:
        return None

    def funding(self, symbol: str, start: int, end: int) -> list[tuple[int, float]]:
        return []


def test_ccxt_gets_every_minute_across_the_border_of_the_two_endpoints() -> None:
    start, end = OPEN - 31 * DAY, OPEN - 26 * DAY
    with running(MARKET, NOW) as exchange:
        found = ccxt_run(exchange, lambda client: pages(client, BTC, start, end))
        assert exchange.count("/history-candles") == 15
        assert exchange.count("/candles") == 10  # 7 of them still of 200 rows: the pager keeps a day of margin
    assert found == rows(start, end)


def test_the_newest_page_ends_with_the_open_candle_which_changes_until_it_closes() -> None:
    final = row_at(MARKET.candles(BTC, OPEN, OPEN + MINUTE), 0)
    with running(MARKET, OPEN) as exchange:
        seen = []
        for second in (1, 20, 40, 59):
            exchange.clock.set(OPEN + second * 1000)
            page = ccxt_run(exchange, lambda client: client.fetch_ohlcv(BTC, "1m", since=OPEN - 2 * MINUTE, limit=5))
            assert page[:2] == rows(OPEN - 2 * MINUTE, OPEN)
            assert len(page) == 3
            seen.append(tuple(page[2]))
        exchange.clock.set(OPEN + MINUTE)
        page = ccxt_run(exchange, lambda client: client.fetch_ohlcv(BTC, "1m", since=OPEN - 2 * MINUTE, limit=5))
        assert tuple(page[2]) == final
    assert len(set(seen)) == 4
    assert final not in seen
    volumes = [row[5] for row in seen]
    assert volumes == sorted(volumes) and volumes[-1] < final[5]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 0.999])
@pytest.mark.covers("I2")
def test_an_open_candle_is_consistent_with_its_final_one_and_never_equal_to_it(share: float) -> None:
    bars = MARKET.candles(BTC, START, START + 200 * MINUTE)
    contract = MARKET.info(BTC)
    for i in range(len(bars)):
        final = row_at(bars, i)
        seen = in_progress(final, final[0] + int(share * MINUTE), contract)
        assert seen is not None and seen != final
        _, o, h, l, c, v = seen
        assert o == final[1] and final[3] <= l <= min(o, c) and max(o, c) <= h <= final[2] and v < final[5]
    assert in_progress(final, final[0] - 1, contract) is None


def test_pages_are_capped_as_the_real_ones_and_end_before_end_time() -> None:
    with running(MARKET, NOW) as exchange:
        recent = candles(exchange, startTime=OPEN - 5000 * MINUTE, endTime=OPEN, limit=5000)
        old = candles(exchange, "history-candles", startTime=OPEN - 5000 * MINUTE, endTime=OPEN, limit=5000)
        assert (len(recent), len(old)) == (1000, 200)
        assert int(recent[-1][0]) == int(old[-1][0]) == OPEN - MINUTE
        assert int(recent[0][0]) == OPEN - 1000 * MINUTE
        assert len(candles(exchange)) == 100
        assert len(recent[0]) == 7 and all(isinstance(text, str) for text in recent[0])


def test_the_recent_endpoint_reaches_back_thirty_days_and_the_other_to_the_start() -> None:
    edge = OPEN - 30 * DAY
    with running(MARKET, NOW) as exchange:
        assert int(candles(exchange, startTime=edge - HOUR, endTime=edge + HOUR, limit=200)[0][0]) == edge
        assert candles(exchange, startTime=edge - 2 * HOUR, endTime=edge - HOUR, limit=200) == []
        first = candles(exchange, "history-candles", endTime=START + 3 * MINUTE, limit=200)
        assert [int(r[0]) for r in first] == [START, START + MINUTE, START + 2 * MINUTE]
        assert candles(exchange, "history-candles", endTime=START, limit=200) == []
        assert candles(exchange, startTime=NOW + HOUR, endTime=NOW + 2 * HOUR) == []


def test_a_page_over_a_hole_still_has_its_rows_and_after_the_end_there_are_none_new() -> None:
    with running(Sparse(), 400 * MINUTE) as exchange:
        page = candles(exchange, "history-candles", endTime=250 * MINUTE, limit=100)
        assert [int(r[0]) // MINUTE for r in page] == [*range(50, 100), *range(200, 250)]
        assert candles(exchange, startTime=120 * MINUTE, endTime=180 * MINUTE) == []
        assert candles(exchange, startTime=350 * MINUTE, endTime=390 * MINUTE) == []
        assert int(candles(exchange, limit=1)[0][0]) == 299 * MINUTE


def test_ccxt_reads_the_contracts_with_exact_steps() -> None:
    with running(MARKET, NOW) as exchange:
        markets = ccxt_run(exchange, lambda client: client.load_markets())
        assert exchange.count("contracts") == 6
    assert sorted(markets) == sorted(MARKET.symbols())
    for symbol in MARKET.symbols():
        market, info = markets[symbol], MARKET.info(symbol)
        assert (market["precision"]["price"], market["precision"]["amount"]) == (info.tick, info.lot)
        assert market["limits"]["cost"]["min"] == 5.0 and market["limits"]["leverage"]["max"] == 125
        assert (market["taker"], market["maker"], market["contractSize"]) == (0.0006, 0.0002, 1.0)


@pytest.mark.parametrize("tick", [0.5, 0.25, 10.0, 1.0, 1e-7, 0.05])
def test_ccxt_reads_any_tick_back_to_the_bit(tick: float) -> None:
    source = Sparse()
    source.info = lambda symbol: Contract(tick, 1e-5)  # type: ignore[method-assign]
    with running(source, 400 * MINUTE) as exchange:
        markets = ccxt_run(exchange, lambda client: client.load_markets())
    assert (markets[BTC]["precision"]["price"], markets[BTC]["precision"]["amount"]) == (tick, 1e-5)


def test_a_client_that_asks_for_everything_finds_no_spot_market() -> None:
    async def work(client: Any) -> Any:
        client.has["fetchCurrencies"] = True
        client.options["fetchMarkets"] = {"types": ["spot", "swap"]}
        return await client.load_markets()

    with running(MARKET, NOW) as exchange:
        assert len(ccxt_run(exchange, work)) == 3
        assert exchange.requests["/api/v2/spot/public/coins"] == 1


def test_funding_is_paged_newest_first_and_never_of_the_future() -> None:
    async def work(client: Any) -> list[tuple[int, float]]:
        await client.load_markets()
        pages = [await client.fetch_funding_rate_history(BTC, limit=50, params={"pageNo": n}) for n in (1, 2, 3, 4)]
        return [(r["timestamp"], r["fundingRate"]) for page in pages for r in page]

    with running(MARKET, NOW) as exchange:
        found = ccxt_run(exchange, work)
        newest = ask(exchange, MIX + "history-fund-rate", symbol="BTCUSDT", pageSize=1)[1]["data"][0]
    assert sorted(found) == MARKET.funding(BTC, START, NOW + 1)
    assert len(found) == 136
    assert int(newest["fundingTime"]) == OPEN


def test_the_small_calls_answer_in_the_shape_that_ccxt_reads() -> None:
    async def work(client: Any) -> list[Any]:
        await client.load_markets()
        return [await client.fetch_time(), await client.fetch_ticker(BTC), await client.fetch_funding_rate(BTC),
                await client.fetch_open_interest(BTC), await client.fetch_market_leverage_tiers(BTC)]

    with running(MARKET, NOW) as exchange:
        time, ticker, rate, interest, tiers = ccxt_run(exchange, work)
    partial = MARKET.partial(BTC, NOW)
    assert partial is not None
    assert time == NOW and ticker["last"] == partial[4]
    assert rate["fundingRate"] == MARKET.funding(BTC, START, NOW + 1)[-1][1]
    assert rate["fundingTimestamp"] == OPEN + 8 * HOUR
    assert interest["openInterestAmount"] == 0.0 and tiers[0]["maxLeverage"] == 125


def test_unknown_paths_symbols_and_granularities_are_refused_as_by_bitget() -> None:
    with running(MARKET, NOW) as exchange:
        status, body, _ = ask(exchange, "/api/v9/nothing")
        assert (status, body["code"]) == (404, "40404")
        status, body, _ = ask(exchange, MIX + "candles", symbol="FOOUSDT", granularity="1m")
        assert (status, body["code"]) == (400, "40034")
        assert ask(exchange, MIX + "candles", symbol="BTCUSDT", granularity="1H")[0] == 400
        assert exchange.requests["/api/v9/nothing"] == 1


def test_the_server_listens_on_loopback_only_and_leaves_nothing_behind() -> None:
    exchange = ReplayExchange(MARKET, VirtualClock(NOW))
    url = exchange.start()
    port = int(url.rpartition(":")[2])
    assert url == f"http://127.0.0.1:{port}"
    with socket.socket() as other, pytest.raises(OSError):
        other.settimeout(0.5)
        other.connect(("127.0.0.2", port))
    exchange.stop()
    exchange.stop()
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.1", port))
    assert exchange.start() == url
    with pytest.raises(Transient):
        twin = ReplayExchange(MARKET, VirtualClock(NOW))
        twin._port = port
        twin.start()
    exchange.stop()


def test_requests_in_one_packet_or_in_many_are_answered_in_order() -> None:
    with running(MARKET, NOW) as exchange, socket.socket() as client:
        client.connect(("127.0.0.1", int(exchange.base_url.rpartition(":")[2])))
        request = b"GET /api/v2/public/time HTTP/1.1\r\nHost: x\r\n\r\n"
        client.sendall(request * 2 + request[:10])
        client.sendall(request[10:].replace(b"Host: x", b"Connection: close"))
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.count(b"HTTP/1.1 200 OK") == answer.count(b'"serverTime":"%d"' % NOW) == 3


# Faults

PAGE = {"startTime": OPEN - 10 * MINUTE, "endTime": OPEN, "limit": 10}


def broken(kind: str, **more: Any) -> Fault:
    return Fault(kind=kind, path="candles", **more)


@pytest.mark.parametrize(("fault", "error"), [
    (broken("status", status=429, retry_after=3.0), "DDoSProtection"),
    (broken("status", status=418), "DDoSProtection"),
    (broken("status", status=403), "ExchangeNotAvailable"),
    (broken("status", status=503), "ExchangeNotAvailable"),
    (broken("status", status=504), "RequestTimeout"),
    (broken("code", code="40015"), "ExchangeError"),
    (broken("code", code="40200"), "OnMaintenance"),
    (broken("reset"), "ExchangeNotAvailable"),
    (broken("down"), "ExchangeNotAvailable"),
    (broken("short"), "ExchangeError"),
    (broken("stall"), "RequestTimeout"),
    (broken("trickle", seconds=30.0), "RequestTimeout"),
    (Fault(kind="delisted", symbol=BTC), "BadSymbol"),
])
def test_a_failing_reply_reaches_ccxt_as_the_error_it_is(fault: Fault, error: str) -> None:
    import ccxt

    async def work(client: Any) -> None:
        await client.load_markets()
        exchange.bend(Faults([fault]))
        with pytest.raises(getattr(ccxt, error)) as raised:
            await client.fetch_ohlcv(BTC, "1m", since=OPEN - 10 * MINUTE, limit=10)
        assert type(raised.value).__name__ == error

    with running(MARKET, NOW) as exchange:
        ccxt_run(exchange, work, timeout=300)


@pytest.mark.parametrize("kind", ["html", "truncated", "null", "data_null", "empty_body", "empty_data"])
def test_a_reply_of_rubbish_with_status_200_is_sent_as_such(kind: str) -> None:
    with running(MARKET, NOW, broken(kind, count=1)) as exchange:
        status, body, _ = ask(exchange, MIX + "candles", symbol="BTCUSDT", granularity="1m", **PAGE)
        expected = {"html": bytes, "truncated": bytes, "null": type(None), "empty_body": bytes}.get(kind, dict)
        assert status == 200 and isinstance(body, expected)
        if isinstance(body, dict):
            assert body["data"] == (None if kind == "data_null" else [])
        assert len(candles(exchange, **PAGE)) == 10  # the clean twin: the next request
        assert exchange.faults.hits == {kind: 1}


def test_too_many_requests_say_when_to_come_back() -> None:
    with running(MARKET, NOW, Fault(kind="status", status=429, retry_after=7.0)) as exchange:
        status, body, headers = ask(exchange, "/api/v2/public/time")
    assert (status, body["code"], headers["Retry-After"]) == (429, "429", "7")


@pytest.mark.parametrize(("kind", "column", "text"), [
    ("nan", 4, "NaN"), ("none", 4, None), ("zero", 1, "0"), ("seconds", 0, str((OPEN - 5 * MINUTE) // 1000)),
    ("offgrid", 0, str(OPEN - 5 * MINUTE + 17_000)),
])
def test_a_garbled_candle_is_garbled_and_its_neighbours_are_not(kind: str, column: int, text: str | None) -> None:
    one = broken(kind, start=OPEN - 5 * MINUTE, stop=OPEN - 4 * MINUTE)
    with running(MARKET, NOW) as exchange:
        clean = candles(exchange, **PAGE)
    with running(MARKET, NOW, one) as exchange:
        bent = candles(exchange, **PAGE)
    assert bent[5][column] == text
    assert bent[:5] + bent[6:] == clean[:5] + clean[6:]


def test_crossed_negative_doubled_reversed_and_future_rows() -> None:
    with running(MARKET, NOW) as exchange:
        clean = candles(exchange, **PAGE)
    for kind, expected in {
        "crossed": [[r[0], r[1], r[3], r[2], *r[4:]] for r in clean],
        "negative": [[*r[:5], f"-{r[5]}", r[6]] for r in clean],
        "duplicates": [r for r in clean for _ in range(2)],
        "reversed": clean[::-1],
        "future": [*clean, [str(OPEN + HOUR), *clean[-1][1:]]],
    }.items():
        with running(MARKET, NOW, broken(kind)) as exchange:
            assert candles(exchange, **PAGE) == expected, kind


def test_a_hole_is_there_for_one_symbol_until_it_is_filled() -> None:
    hole = broken("hole", symbol=BTC, start=OPEN - 5 * MINUTE, stop=OPEN - 2 * MINUTE, until=NOW + MINUTE)
    with running(MARKET, NOW, hole) as exchange:
        gone = [int(r[0]) for r in candles(exchange, **PAGE)]
        assert len(gone) == 7 and not {OPEN - n * MINUTE for n in (5, 4, 3)} & set(gone)
        assert len(candles(exchange, symbol="ETHUSDT", **PAGE)) == 10
        older = [int(r[0]) for r in candles(exchange, "history-candles", **PAGE)]
        assert older == [OPEN - n * MINUTE for n in (13, 12, 11, 10, 9, 8, 7, 6, 2, 1)]
        exchange.clock.set(NOW + MINUTE)
        assert len(candles(exchange, **PAGE)) == 10


def test_a_revised_minute_is_first_served_otherwise_and_then_stays() -> None:
    late = broken("revision", seconds=90, every=2)
    with running(MARKET, NOW) as exchange:
        clean = candles(exchange, **PAGE)
    with running(MARKET, NOW, late) as exchange:
        first = candles(exchange, **PAGE)
        changed = [int(r[0]) for r, c in zip(first, clean, strict=True) if r[1:] != c[1:]]
        assert changed == [ts for ts in (OPEN - 2 * MINUTE, OPEN - MINUTE) if ts // MINUTE % 2 == 0]
        for r in first:
            assert float(r[3]) <= min(float(r[1]), float(r[4])) <= max(float(r[1]), float(r[4])) <= float(r[2])
        exchange.clock.set(NOW + 3 * MINUTE)
        assert candles(exchange, **PAGE) == clean


def test_the_window_quirks_of_other_exchanges() -> None:
    def stamps(*plan: Fault) -> list[int]:
        with running(MARKET, NOW, *plan) as exchange:
            return [(int(r[0]) - OPEN) // MINUTE for r in candles(exchange, **{**PAGE, "limit": 50})]

    assert stamps() == list(range(-10, 0))
    assert stamps(broken("cap", amount=3)) == [-3, -2, -1]
    assert stamps(broken("end_inclusive"))[-1] == 0
    assert stamps(broken("start_exclusive"))[0] == -9


def test_a_symbol_is_delisted_or_renamed_at_its_time_and_the_others_stay() -> None:
    plan = (Fault(kind="delisted", symbol=BTC, since=NOW + MINUTE),
            Fault(kind="renamed", symbol=ETH, to="POL/USDT:USDT", since=NOW + MINUTE))
    with running(MARKET, NOW, *plan) as exchange:
        assert len(candles(exchange, **PAGE)) == len(candles(exchange, symbol="ETHUSDT", **PAGE)) == 10
        before = candles(exchange, symbol="ETHUSDT", **PAGE)
        exchange.clock.set(NOW + MINUTE)
        names = [r["symbol"] for r in ask(exchange, MIX + "contracts", productType="usdt-futures")[1]["data"]]
        assert names == ["POLUSDT", "DOGEUSDT"]
        for gone in ("BTCUSDT", "ETHUSDT"):
            assert ask(exchange, MIX + "candles", symbol=gone, granularity="1m")[1]["code"] == "40309"
        assert candles(exchange, symbol="POLUSDT", **PAGE) == before


def test_a_machine_that_is_down_resets_every_connection_until_it_is_back() -> None:
    with running(MARKET, NOW, Fault(kind="down", since=NOW, until=NOW + HOUR)) as exchange:
        with pytest.raises(ConnectionError):
            ask(exchange, "/api/v2/public/time")
        exchange.clock.set(NOW + HOUR)
        assert ask(exchange, "/api/v2/public/time")[0] == 200


def test_a_fault_can_be_aimed_by_path_symbol_request_and_time() -> None:
    faults = Faults([Fault(kind="html", path="history-candles", symbol=BTC, since=10, until=20, first=1, count=2)])
    path = MIX + "history-candles"
    assert not faults.strike(MIX + "ticker", "BTCUSDT", 10)
    assert not faults.strike(path, "ETHUSDT", 10)
    assert not faults.strike(path, "BTCUSDT", 9)
    assert [len(faults.strike(path, "BTCUSDT", 10 + n)) for n in range(4)] == [0, 1, 1, 0]
    assert faults.hits == {"html": 2}


def test_chance_is_drawn_from_the_seed_and_nothing_else() -> None:
    def struck(seed: int) -> list[bool]:
        faults = Faults([Fault(kind="html", chance=0.3)], seed)
        return [bool(faults.strike("/x", "", 0)) for _ in range(1000)]

    assert struck(1) == struck(1) != struck(2)
    assert 250 < sum(struck(1)) < 350


def test_a_storm_is_the_same_for_the_same_seed_and_ends_in_time() -> None:
    plan = storm(5, NOW, NOW + DAY, (BTC, ETH), 50)
    assert plan == storm(5, NOW, NOW + DAY, (BTC, ETH), 50) != storm(6, NOW, NOW + DAY, (BTC, ETH), 50)
    assert all(NOW <= f.since < f.until <= NOW + DAY and f.kind in PASSING for f in plan)


def test_every_kind_of_fault_can_be_served_and_an_unknown_one_is_refused() -> None:
    for kind in KINDS:
        with running(MARKET, NOW, Fault(kind=kind, seconds=0.01, to="A/USDT:USDT", symbol=BTC, share=0.9)) as exchange:
            try:
                ask(exchange, MIX + "candles", symbol="BTCUSDT", granularity="1m", **PAGE)
            except (OSError, http.client.HTTPException) as error:
                assert kind in ("stall", "short", "reset", "down"), error
    with pytest.raises(ConfigError, match="unknown fault 'htlm'"):
        Fault(kind="htlm")
