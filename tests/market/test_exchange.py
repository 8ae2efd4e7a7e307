"""The exchange adapter against a faulty server: the real ccxt client over a real socket."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.errors import ConfigError, DataError, Rejected, TraderError, Transient
from core.market import ccxt_client
from core.market.exchange import Exchange, Page
from core.timeframe import DAY, HOUR, MINUTE
from tests.market.fake_exchange import HTML, FakeExchange, Fault, contract, error, final_row, serving

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
NOW = 1_700_000_040_000 // MINUTE * MINUTE + 3_000
ROOT = Path(__file__).resolve().parents[2]


class Rig:
    """A fake exchange and a client, each with a clock of its own."""

    def __init__(self, fake: FakeExchange, clock: VirtualClock, here: VirtualClock) -> None:
        self.fake, self.clock, self.here = fake, clock, here
        self.naps: list[float] = []
        self.exchange = self.client()

    def client(self, **options: Any) -> Exchange:
        settings: dict[str, Any] = {"api_url": self.fake.url, "rate_limit_ms": 0, "timeout_s": 5.0, "pause": self.nap}
        return Exchange("bitget", self.here, **(settings | options))

    async def nap(self, seconds: float) -> None:
        self.naps.append(seconds)

    def ask(self, call: Awaitable[Any]) -> Any:
        return self.exchange.run(call)

    def candles(self, minutes: int = 10, symbol: str = BTC) -> Page:
        end = self.clock.now() // MINUTE * MINUTE
        page: Page = self.ask(self.exchange.candles(symbol, end - minutes * MINUTE, end))
        return page

    def advance(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.here.sleep(seconds)


@pytest.fixture
def rig() -> Iterator[Rig]:
    clock, here = VirtualClock(NOW), VirtualClock(NOW)
    with serving(clock.now) as fake:
        rig = Rig(fake, clock, here)
        with rig.exchange:
            yield rig


@pytest.fixture
def ready(rig: Rig) -> Rig:
    rig.candles()
    rig.fake.asked.clear()
    rig.exchange.requests.clear()
    return rig


def expected(start: int, count: int) -> list[tuple[Any, ...]]:
    return [final_row(start + i * MINUTE) for i in range(count)]


# -- the healthy exchange --------------------------------------------------------------------------


def test_candles_come_as_the_exchange_serves_them(rig: Rig) -> None:
    page = rig.candles(10)
    assert page.rows == expected(page.start, 10) and page.end_asked == page.start + 10 * MINUTE
    assert not page.rejected and page.faults == 0
    assert rig.fake.counts() == {"time": 1, "contracts": 6, "candles": 1} and rig.exchange.requests == {"ok": 8}


def test_markets_give_tick_lot_and_least_notional_and_leave_out_what_is_not_listed(rig: Rig) -> None:
    rig.fake.contracts.append(contract("OFFUSDT", symbolStatus="off"))
    found = rig.ask(rig.exchange.markets([BTC, "OFF/USDT:USDT", "NIX/USDT:USDT", "BTC/USDT"]))
    assert list(found) == [BTC]
    assert (found[BTC].tick, found[BTC].lot, found[BTC].min_notional) == (0.05, 0.001, 5.0)
    assert rig.exchange.delisted([BTC, "OFF/USDT:USDT", "NIX/USDT:USDT"]) == ("OFF/USDT:USDT", "NIX/USDT:USDT")


def test_nothing_counts_as_delisted_before_the_list_is_known(rig: Rig) -> None:
    assert rig.exchange.delisted([BTC]) == ()


def test_server_time_and_offset_are_reported(rig: Rig) -> None:
    rig.clock.set(NOW + 7_000)
    assert rig.exchange.clock_offset_ms is None
    assert rig.ask(rig.exchange.server_time()) == NOW + 7_000
    assert rig.exchange.clock_offset_ms == 7_000


def test_many_at_once_one_failure_stops_no_other(ready: Rig) -> None:
    start = NOW // MINUTE * MINUTE - HOUR
    calls = [ready.exchange.candles(s, start, start + HOUR) for s in (BTC, "NIX/USDT:USDT", ETH)]
    good, bad, other = ready.ask(ready.exchange.gather(calls))
    assert isinstance(good, Page) and isinstance(other, Page) and len(good.rows) == len(other.rows) == 60
    assert isinstance(bad, Rejected)


def test_exchange_can_be_used_from_another_thread_than_it_was_opened_in(ready: Rig) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert len(pool.submit(ready.candles).result().rows) == 10
    assert len(ready.candles().rows) == 10


def test_programming_error_among_many_is_raised(ready: Rig) -> None:
    async def broken() -> Page:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ready.ask(ready.exchange.gather([broken()]))


def test_unknown_exchange_is_a_config_error_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'bitget'"):
        Exchange("bitgett", VirtualClock(NOW)).open()


def test_closed_exchange_leaves_no_warning_and_can_be_opened_again(rig: Rig, recwarn: pytest.WarningsRecorder) -> None:
    rig.candles()
    rig.exchange.close()
    rig.exchange.close()
    with pytest.raises(RuntimeError, match="not open"):
        rig.ask(asyncio.sleep(0))
    rig.exchange.open()
    assert len(rig.candles().rows) == 10
    assert not [w for w in recwarn if "never awaited" not in str(w.message)]


def test_proxy_variables_do_not_catch_the_traffic(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert len(rig.candles().rows) == 10


# -- faults ----------------------------------------------------------------------------------------

PASSING: dict[str, Fault] = {
    **{str(code): Fault(status=code, body=HTML) for code in (403, 408, 418, 429, 500, 502, 503, 504, 520)},
    "429 json": error("429", 429), "429 empty": Fault(status=429, body=""), "503 json": error("12345", 503),
    "40015": error("40015"), "40725": error("40725"), "45001": error("45001"), "40200 maintenance": error("40200"),
    "1001": error("1001"), "50009": error("50009"),
    "stall": Fault(stall_s=1.5), "trickle": Fault(trickle_s=0.02), "reset": Fault(reset=True),
    "short body": Fault(short=30), "html 200": Fault(body=HTML), "empty": Fault(body=""), "null": Fault(body="null"),
    "number": Fault(body="7"), "array": Fault(body="[]"), "text": Fault(body='"x"'), "not json": Fault(body="{'a': 1}"),
    "data null": Fault(edit=lambda d: None), "data object": Fault(edit=lambda d: {"x": 1}),
    "data missing": Fault(body='{"code":"00000","msg":"success"}'),
}
FINAL: dict[str, Fault] = {
    "40034 bad parameter": error("40034"), "40309 delisted": error("40309"), "40020": error("40020"),
    "unknown code": error("77777"), "40808": error("40808"),
}


@pytest.fixture
def brisk(rig: Rig) -> Iterator[Rig]:
    rig.candles()
    rig.exchange.close()
    rig.exchange = rig.client(timeout_s=0.4)
    with rig.exchange:
        rig.ask(rig.exchange.server_time())
        rig.ask(rig.exchange.markets([BTC]))
        yield rig


@pytest.mark.covers("D18")
@pytest.mark.parametrize("name", PASSING)
def test_passing_fault_is_transient_and_is_forgotten_when_it_ends(brisk: Rig, name: str) -> None:
    brisk.fake.always("candles", PASSING[name])
    with pytest.raises(Transient) as caught:
        brisk.candles()
    assert caught.value.__cause__ is not None and len(str(caught.value)) < 300
    brisk.fake.always("candles", None)
    brisk.advance(caught.value.retry_after or 0)
    assert len(brisk.candles().rows) == 10


@pytest.mark.parametrize("name", FINAL)
def test_refusal_for_good_is_rejected_and_asked_once(ready: Rig, name: str) -> None:
    ready.fake.always("candles", FINAL[name])
    with pytest.raises(Rejected):
        ready.candles()
    assert ready.fake.counts() == {"candles": 1}


def test_refused_connection_is_transient(rig: Rig) -> None:
    rig.fake.close()
    rig.exchange.close()
    rig.exchange = rig.client(api_url="http://127.0.0.1:9")
    with rig.exchange, pytest.raises(Transient):
        rig.candles()


@pytest.mark.covers("I2")
def test_reply_cut_at_every_byte_stores_nothing_and_is_never_taken_for_no_data(rig: Rig) -> None:
    rig.candles(3)
    whole = len(rig.fake._body("candles", rig.fake.asked[-1][1], Fault()))
    for kept in range(whole):
        rig.fake.script("candles", Fault(cut=kept), Fault(cut=kept), Fault(cut=kept))
        with pytest.raises(Transient):
            rig.candles(3)
        rig.fake._scripts["candles"].clear()
    rig.fake.script("candles", Fault(cut=whole))
    assert len(rig.candles(3).rows) == 3  # the clean twin


def test_quick_fault_is_retried_within_the_call_and_slow_one_is_not(brisk: Rig) -> None:
    brisk.fake.script("candles", Fault(status=502, body=HTML), Fault(body=HTML))
    assert len(brisk.candles().rows) == 10
    assert len(brisk.naps) == 2 and 0 <= brisk.naps[0] <= 0.5 and 0 <= brisk.naps[1] <= 1.0
    brisk.fake.asked.clear()
    brisk.fake.script("candles", Fault(stall_s=1.0))
    with pytest.raises(Transient):
        brisk.candles()
    assert brisk.fake.counts() == {"candles": 1}


def test_exchange_known_to_be_unwell_is_asked_once_per_call(ready: Rig) -> None:
    ready.fake.always("candles", Fault(status=503, body=HTML))
    for _ in range(3):
        with pytest.raises(Transient):
            ready.candles()
    assert ready.fake.counts()["candles"] == 3 + 1 + 1


def test_jitter_is_repeatable(rig: Rig) -> None:
    naps = []
    for _ in range(2):
        rig.exchange.close()
        rig.exchange, rig.naps = rig.client(seed=5), []
        rig.fake.script("time", Fault(status=502), Fault(status=502))
        with rig.exchange:
            rig.candles()
        naps.append(rig.naps)
    assert naps[0] == naps[1] and len(naps[0]) == 2


def test_error_text_is_short_however_long_the_page(ready: Rig) -> None:
    ready.fake.always("candles", Fault(status=503, body="<p>" * 50_000))
    with pytest.raises(Transient) as caught:
        ready.candles()
    assert len(str(caught.value)) < 300


# -- bans ------------------------------------------------------------------------------------------


def test_nothing_is_sent_during_a_ban_and_work_goes_on_after_it(ready: Rig) -> None:
    ready.fake.script("candles", error("429", 429, Retry_After="120"))
    with pytest.raises(Transient) as caught:
        ready.candles()
    assert caught.value.retry_after == 120 and ready.exchange.banned_until == NOW + 120_000
    for _ in range(119):
        ready.advance(1)
        with pytest.raises(Transient) as caught:
            ready.ask(ready.exchange.markets([BTC]))
        with pytest.raises(Transient):
            ready.candles()
    assert ready.fake.counts() == {"candles": 1} and caught.value.retry_after == 1
    ready.advance(1)
    assert len(ready.candles().rows) == 10


def test_ban_outlives_a_restart(rig: Rig) -> None:
    rig.exchange.close()
    rig.exchange = rig.client(banned_until=NOW + 60_000)
    with rig.exchange:
        with pytest.raises(Transient) as caught:
            rig.candles()
        assert caught.value.retry_after == 60 and not rig.fake.asked and not rig.exchange.requests
        rig.advance(60)
        assert len(rig.candles().rows) == 10


def test_requests_are_counted_by_what_became_of_them_and_one_held_back_is_none(ready: Rig) -> None:
    ready.candles()
    ready.fake.always("candles", Fault(body="<html>"))
    with pytest.raises(Transient):
        ready.candles()
    failed = len(ready.fake.asked) - 1
    ready.fake.always("candles", error("429", 429, Retry_After="7"))
    for _ in range(3):
        with pytest.raises(Transient):
            ready.candles()
    assert ready.exchange.requests == {"ok": 1, "failed": failed, "limited": 1}
    assert len(ready.fake.asked) == ready.exchange.requests.total()


def test_ban_met_while_loading_the_markets_stops_the_calls_still_waiting(rig: Rig) -> None:
    rig.fake.always("time", error("429", 429, Retry_After="30"))
    start = NOW // MINUTE * MINUTE - HOUR
    calls = [rig.exchange.candles(s, start, start + HOUR) for s in (BTC, ETH) * 10]
    results = rig.ask(rig.exchange.gather(calls))
    assert all(isinstance(r, Transient) and r.retry_after for r in results)
    assert rig.fake.counts() == {"time": 1}


RETRY_AFTER: list[tuple[Fault, float]] = [
    (error("429", 429, Retry_After="7"), 7.0), (Fault(status=429, body="", headers={"retry-after": "2.5"}), 2.5),
    (Fault(status=418, body="", headers={"Retry-After": "Tue, 14 Nov 2023 22:15:03 GMT"}), 60.0),
    (Fault(status=418, body='{"code":-1003,"msg":"banned until 1700000090000"}'), 87.0 - 40.0 + 0.0),
    (Fault(status=429, body="", headers={"Retry-After": "soon"}), 5.0),
    (Fault(status=429, body="", headers={"Retry-After": "nan"}), 5.0), (Fault(status=429, body=""), 5.0),
    (Fault(status=503, body=HTML, headers={"Retry-After": "90"}), 90.0),
    (Fault(status=429, body="", headers={"Retry-After": "9999999999"}), 86_400.0),
]


@pytest.mark.parametrize(("fault", "seconds"), RETRY_AFTER, ids=range(len(RETRY_AFTER)))
def test_wait_asked_for_is_honoured(ready: Rig, fault: Fault, seconds: float) -> None:
    ready.fake.script("candles", fault)
    with pytest.raises(Transient) as caught:
        ready.candles()
    assert caught.value.retry_after == pytest.approx(seconds)
    assert ready.exchange.banned_until == pytest.approx(NOW + seconds * 1000)


def test_wait_grows_with_each_ban_that_names_no_time_until_ten_quiet_minutes(ready: Rig) -> None:
    waits = []
    ready.fake.always("candles", Fault(status=429, body=""))
    for _ in range(8):
        with pytest.raises(Transient) as caught:
            ready.candles()
        waits.append(caught.value.retry_after)
        ready.advance((caught.value.retry_after or 0) + 30)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    ready.advance(601)
    with pytest.raises(Transient) as caught:
        ready.candles()
    assert caught.value.retry_after == 5


# -- time ------------------------------------------------------------------------------------------


@pytest.mark.covers("I2")
@pytest.mark.parametrize("skew", [-3_600_000, -2_000, -1, 0, 1, 2_000, 3_600_000])
def test_candle_in_progress_is_never_returned_whatever_the_local_clock_says(skew: int) -> None:
    minute = NOW // MINUTE * MINUTE
    clock, here = VirtualClock(minute - 5_000), VirtualClock(minute - 5_000 + skew)
    with serving(clock.now, end_inclusive=True) as fake:
        rig = Rig(fake, clock, here)
        with rig.exchange:
            for _ in range(21):
                page = rig.ask(rig.exchange.candles(BTC, minute - 5 * MINUTE, minute + 5 * MINUTE))
                closed = clock.now() // MINUTE * MINUTE
                assert page.rows == expected(minute - 5 * MINUTE, (closed - minute) // MINUTE + 5)
                assert page.end_asked == closed
                rig.advance(0.5)
            assert rig.exchange.clock_offset_ms == -skew


@pytest.mark.covers("I2")
def test_reply_that_straddles_the_minute_is_judged_by_the_time_it_was_asked_at(ready: Rig) -> None:
    minute = NOW // MINUTE * MINUTE
    ready.advance(56.95)

    def unfinished(rows: list[list[str]]) -> list[list[str]]:
        ready.advance(0.1)  # made before the minute ended, arrives after
        return [*rows, [str(minute), "10", "12", "9", "11", "5", "1"]]

    ready.fake.script("candles", Fault(edit=unfinished))
    page = ready.ask(ready.exchange.candles(BTC, minute - 2 * MINUTE, minute + MINUTE))
    assert page.rows == expected(minute - 2 * MINUTE, 2) and page.end_asked == minute
    assert ready.clock.now() > minute + MINUTE
    again = ready.ask(ready.exchange.candles(BTC, minute - 2 * MINUTE, minute + MINUTE))
    assert again.rows == expected(minute - 2 * MINUTE, 3)


@pytest.mark.parametrize("step", [-7_200_000, 7_200_000, 2_000])
def test_step_of_the_local_clock_does_not_close_candles_early(ready: Rig, step: int) -> None:
    class Stepped(VirtualClock):
        jump = 0

        def now(self) -> int:
            return super().now() + self.jump

    ready.exchange.close()
    ready.here = stepped = Stepped(NOW)
    ready.exchange = ready.client()
    with ready.exchange:
        ready.candles()
        stepped.jump = step
        minute = NOW // MINUTE * MINUTE
        page = ready.ask(ready.exchange.candles(BTC, minute - 5 * MINUTE, minute + MINUTE))
        assert len(page.rows) == 5 and page.end_asked == minute
        assert ready.exchange.clock_offset_ms == -step


def test_time_is_measured_again_every_ten_minutes_and_an_old_one_serves_through_a_fault(ready: Rig) -> None:
    for _ in range(9):
        ready.advance(60)
        ready.candles()
    assert ready.fake.counts()["time"] == 0
    ready.fake.always("time", Fault(status=500, body=""))
    ready.advance(60)
    assert len(ready.candles().rows) == 10 and ready.fake.counts()["time"] >= 1
    ready.fake.always("time", None)
    ready.advance(60)
    ready.fake.asked.clear()
    ready.candles()
    assert ready.fake.counts()["time"] == 1


@pytest.mark.parametrize("answer", [{"serverTime": "x"}, {"serverTime": "0"}, {}, {"serverTime": "1700000000"}])
def test_garbled_time_is_no_time(rig: Rig, answer: dict[str, str]) -> None:
    rig.fake.always("time", Fault(edit=lambda d: answer))
    with pytest.raises(Transient):
        rig.candles()
    assert "candles" not in rig.fake.counts() and rig.exchange.clock_offset_ms is None


@pytest.mark.parametrize("endpoint", ["time", "contracts"])
def test_refusal_of_what_no_symbol_asked_for_rejects_no_symbol(rig: Rig, endpoint: str) -> None:
    rig.fake.always(endpoint, error("77777"))
    with pytest.raises(Transient, match="77777"):
        rig.candles()


def test_exchange_that_is_down_at_the_start_is_not_asked_once_per_symbol(rig: Rig) -> None:
    rig.fake.always("time", Fault(status=503, body=HTML))
    start = NOW // MINUTE * MINUTE - HOUR
    results = rig.ask(rig.exchange.gather([rig.exchange.candles(BTC, start, start + HOUR) for _ in range(30)]))
    assert all(isinstance(r, Transient) for r in results) and rig.fake.counts()["time"] == 3
    rig.fake.always("time", None)
    rig.advance(60)
    assert len(rig.candles().rows) == 10


# -- markets under faults --------------------------------------------------------------------------

GARBLED_LISTS = [Fault(body=HTML), Fault(cut=40), Fault(edit=lambda d: []), Fault(edit=lambda d: None),
                 Fault(edit=lambda d: [{}]), Fault(edit=lambda d: [{"symbol": "BTCUSDT"}]), Fault(edit=lambda d: ["x"])]


@pytest.mark.parametrize("fault", GARBLED_LISTS, ids=range(len(GARBLED_LISTS)))
def test_garbled_market_list_is_transient_and_makes_nobody_delisted(rig: Rig, fault: Fault) -> None:
    rig.fake.always("contracts", fault)
    with pytest.raises(Transient):
        rig.candles()
    assert rig.exchange.delisted([BTC]) == ()
    rig.fake.always("contracts", None)
    rig.advance(60)
    assert len(rig.candles().rows) == 10


@pytest.mark.parametrize("fault", GARBLED_LISTS, ids=range(len(GARBLED_LISTS)))
def test_garbled_market_list_does_not_replace_a_good_one(ready: Rig, fault: Fault) -> None:
    ready.fake.always("contracts", fault)
    with pytest.raises(Transient):
        ready.ask(ready.exchange.markets([BTC]))
    assert ready.exchange.delisted([BTC]) == () and len(ready.candles().rows) == 10


def test_symbol_unknown_after_a_good_list_is_rejected_without_asking_for_it(ready: Rig) -> None:
    with pytest.raises(Rejected, match="NIX"):
        ready.candles(symbol="NIX/USDT:USDT")
    assert not ready.fake.asked


def test_symbol_that_leaves_the_list_is_delisted_and_the_others_go_on(ready: Rig) -> None:
    ready.fake.contracts.pop()
    assert list(ready.ask(ready.exchange.markets([BTC, ETH]))) == [BTC]
    assert ready.exchange.delisted([BTC, ETH]) == (ETH,)
    with pytest.raises(Rejected):
        ready.candles(symbol=ETH)
    assert len(ready.candles().rows) == 10


def test_market_without_a_tick_is_left_out_but_not_delisted(rig: Rig) -> None:
    rig.fake.contracts[1]["sizeMultiplier"] = "0"
    assert list(rig.ask(rig.exchange.markets([BTC, ETH]))) == [BTC]
    assert rig.exchange.delisted([BTC, ETH]) == ()


# -- paging ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "endpoint", "rows"), [
    (27 * DAY, "candles", 999), (28 * DAY - MINUTE, "candles", 999), (28 * DAY, "history", 199),
    (28 * DAY + MINUTE, "history", 199), (29 * DAY - MINUTE, "history", 199), (29 * DAY, "history", 199),
    (29 * DAY + MINUTE, "history", 199), (400 * DAY, "history", 199),
])
@pytest.mark.parametrize("inclusive", [False, True])
def test_page_is_whole_on_both_sides_of_the_border(age: int, endpoint: str, rows: int, inclusive: bool) -> None:
    clock = VirtualClock(NOW // MINUTE * MINUTE)
    with serving(clock.now, end_inclusive=inclusive) as fake:
        rig = Rig(fake, clock, clock)
        with rig.exchange:
            start = clock.now() - age
            page = rig.ask(rig.exchange.candles(BTC, start, clock.now()))
    assert page.rows == expected(start, rows) and page.end_asked == start + rows * MINUTE
    if 28 * DAY <= age < 29 * DAY:
        endpoint = "candles"  # ccxt's own border is a day further; the small page is right on either side
    name, query = fake.asked[-1]
    assert name == endpoint and int(query["limit"]) == rows + 1 and int(query["startTime"]) == start


@pytest.mark.parametrize("inclusive", [False, True])
def test_pages_join_without_hole_or_overlap_over_33_days(inclusive: bool) -> None:
    clock = VirtualClock(NOW)
    with serving(clock.now, end_inclusive=inclusive) as fake:
        rig = Rig(fake, clock, clock)
        with rig.exchange:
            start = cursor = NOW // MINUTE * MINUTE - 33 * DAY
            end, got = start + 33 * DAY, []
            while cursor < end:
                page = rig.ask(rig.exchange.candles(BTC, cursor, end))
                got += page.rows
                assert page.start == cursor < page.end_asked
                cursor = page.end_asked
    assert got == expected(start, 33 * 1440)


def test_limit_and_end_bound_the_window(ready: Rig) -> None:
    start = NOW // MINUTE * MINUTE - HOUR
    assert ready.ask(ready.exchange.candles(BTC, start, start + HOUR, 7)).end_asked == start + 7 * MINUTE
    page = ready.ask(ready.exchange.candles(BTC, start, start + 5 * MINUTE + 1, 200))
    assert len(page.rows) == 5 and page.end_asked == start + 5 * MINUTE
    page = ready.ask(ready.exchange.candles(BTC, start - 1, start + 5 * MINUTE))
    assert page.start == start and page.rows == expected(start, 5)


@pytest.mark.parametrize("offset", [0, MINUTE, DAY])
def test_window_with_no_closed_minute_sends_nothing(ready: Rig, offset: int) -> None:
    start = NOW // MINUTE * MINUTE + offset
    page = ready.ask(ready.exchange.candles(BTC, start, start + HOUR))
    assert page == Page([], start, start) and not ready.fake.asked


def test_missing_minutes_are_just_missing(ready: Rig) -> None:
    hole = NOW // MINUTE * MINUTE - 5 * MINUTE
    ready.fake.exists = lambda ts: ts != hole
    page = ready.candles(10)
    assert hole not in [r[0] for r in page.rows] and len(page.rows) == 9 and page.faults == 0
    ready.fake.exists = lambda ts: False
    assert ready.candles(10).rows == []


def _with(position: int, value: str, at: int = 4) -> Callable[[Any], Any]:
    def edit(rows: list[list[str]]) -> list[list[str]]:
        rows[at][position] = value
        return rows

    return edit


SICK_ROWS: list[tuple[str, Callable[[Any], Any], dict[str, int], int]] = [
    ("descending", lambda rows: rows[::-1], {"order": 9}, 10),
    ("twice", lambda rows: [*rows, *rows], {"duplicate": 10}, 10),
    ("one twice", lambda rows: [rows[0], *rows], {"duplicate": 1}, 10),
    ("contradiction", lambda rows: [*rows[:5], [*rows[4][:5], "99", "1"], *rows[5:]], {"conflict": 2}, 9),
    ("nan", _with(2, "NaN"), {"finite": 1}, 9), ("infinite", _with(1, "inf"), {"finite": 1}, 9),
    ("word", _with(3, "abc"), {"type": 1}, 9), ("zero", _with(3, "0"), {"price": 1}, 9),
    ("high below low", _with(2, "1"), {"range": 1}, 9), ("negative volume", _with(5, "-1"), {"volume": 1}, 9),
    ("off grid", _with(0, str(NOW // MINUTE * MINUTE - 6 * MINUTE + 28_000)), {"grid": 1}, 9),
    ("year 2100", _with(0, "4102444800000"), {"future": 1}, 9),
    ("short row", lambda rows: [*rows[:4], rows[4][:3], *rows[5:]], {"type": 1}, 9),
]


@pytest.mark.covers("I2")
@pytest.mark.parametrize(("name", "edit", "rejected", "kept"), SICK_ROWS, ids=[s[0] for s in SICK_ROWS])
def test_sick_rows_never_pass_and_healthy_ones_do(ready: Rig, name: str, edit: Any, rejected: dict[str, int],
                                                 kept: int) -> None:
    ready.fake.script("candles", Fault(edit=edit))
    page = ready.candles(10)
    assert set(page.rows) <= set(expected(page.start, 10)) and len(page.rows) == kept
    assert page.rows == sorted(page.rows)
    assert rejected.items() <= page.rejected.items() and bool(page.faults) == (kept < 10)


@pytest.mark.parametrize(("edit", "reason"), [
    (lambda rows: [[r[0][:10], *r[1:]] for r in rows], "seconds x 10"),
    (lambda rows: [1, 2, 3], "time x 3"), (lambda rows: ["abcdef"] * 2, "time x 2"),
    (lambda rows: [[str(int(r[0]) + 28_000), *r[1:]] for r in rows], "grid x 10"),
    (lambda rows: [[str(int(r[0]) + 40 * DAY), *r[1:]] for r in rows], "future x 10"),
])
def test_reply_that_names_no_minute_is_a_data_error_not_a_hole(ready: Rig, edit: Any, reason: str) -> None:
    ready.fake.script("candles", Fault(edit=edit))
    with pytest.raises(DataError, match=reason):
        ready.candles(10)
    assert len(ready.candles(10).rows) == 10


def test_reply_about_later_minutes_only_is_a_data_error_and_earlier_ones_are_a_hole(ready: Rig) -> None:
    start = NOW // MINUTE * MINUTE - HOUR
    for shift, fails in ((11 * MINUTE, True), (-11 * MINUTE, False)):
        ready.fake.script("candles", Fault(edit=lambda rows, by=shift: [[str(int(r[0]) + by), *r[1:]] for r in rows]))
        try:
            page = ready.ask(ready.exchange.candles(BTC, start, start + 10 * MINUTE))
        except DataError as failure:
            assert fails and "outside x 10" in str(failure)
        else:
            assert not fails and page.rows == [] and page.faults == 0


# -- funding ---------------------------------------------------------------------------------------


def test_funding_is_paged_back_to_since_ascending_and_unique(ready: Rig) -> None:
    newest = NOW // (8 * HOUR) * 8 * HOUR
    ready.fake.funding = [(newest - i * 8 * HOUR, f"0.000{i % 7}") for i in range(450)]
    since = newest - 249 * 8 * HOUR
    rates = ready.ask(ready.exchange.funding(BTC, since))
    assert rates == sorted((ts, float(r)) for ts, r in ready.fake.funding if ts >= since) and len(rates) == 250
    assert ready.fake.counts() == {"funding": 3}
    assert len(ready.ask(ready.exchange.funding(BTC, 0))) == 450


def test_funding_of_a_market_without_any_is_empty(ready: Rig) -> None:
    assert ready.ask(ready.exchange.funding(BTC, 0)) == []


def test_garbled_funding_is_transient_and_bad_rates_are_left_out(ready: Rig) -> None:
    newest = NOW // (8 * HOUR) * 8 * HOUR
    bad = [(newest - 8 * HOUR, "x"), (newest - 16 * HOUR, "nan"), (newest + DAY, "0.1")]
    ready.fake.funding = [(newest, "0.0001"), *bad]
    assert ready.ask(ready.exchange.funding(BTC, 0)) == [(newest, 0.0001)]
    ready.fake.always("funding", Fault(cut=50))
    with pytest.raises(Transient):
        ready.ask(ready.exchange.funding(BTC, 0))


# -- loading ---------------------------------------------------------------------------------------


def loaded(code: str) -> Any:
    text = f"import sys, json\nfrom core.market.ccxt_client import load_class\n{code}"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT, check=True)
    return json.loads(done.stdout)


def test_only_the_configured_exchange_is_imported_and_only_when_opened() -> None:
    before, exchanges, stand_ins = loaded(
        "import core.market.exchange; before = any(m.split('.')[0] in ('ccxt', 'aiohttp') for m in sys.modules)\n"
        "load_class('bitget'); mine = [m for m in sys.modules if m.startswith('ccxt.async_support.')]\n"
        "names = [m.split('.')[-1] for m in mine if m.count('.') == 2]\n"
        "print(json.dumps([before, names, 'ccxt' in sys.modules]))")
    assert before is False and set(exchanges) == {"base", "bitget"} and stand_ins is False


@pytest.mark.slow
def test_the_real_package_stays_usable_beside_ours() -> None:
    assert loaded("ours = load_class('bitget')\nimport ccxt, ccxt.async_support as a\n"
                  "print(json.dumps([hasattr(ccxt, 'binance'), a.bitget is ours, load_class('okx') is a.okx,"
                  " issubclass(ccxt.BadSymbol, ccxt.BaseError)]))") == [True, True, True, True]


@pytest.mark.parametrize("exchange_id", ["binance", "binanceusdm", "bybit", "okx", "gate"])
def test_other_exchanges_can_be_pointed_at_another_host(exchange_id: str) -> None:
    hooks = ccxt_client.Hooks(lambda: NOW, lambda: None, lambda outcome: None)
    client = ccxt_client.connect(exchange_id, hooks, "http://127.0.0.1:9/", 0, 1.0)
    text = json.dumps(client.urls["api"])
    assert "https:" not in text and "http://127.0.0.1:9" in text and client.milliseconds() == NOW
    assert client.has["fetchCurrencies"] is False and client.enableRateLimit is False


def test_planted_flaw_the_bare_client_takes_a_cut_reply_for_no_data(rig: Rig) -> None:
    rig.candles()
    rig.fake.always("candles", Fault(cut=60))
    rig.fake.always("history", Fault(cut=60))  # the bare client lives in the machine's own time
    bare = ccxt_client.load_class("bitget")({"options": {"fetchMarkets": {"types": ["swap"]}}})
    bare.urls["api"] = dict.fromkeys(bare.urls["api"], rig.fake.url)
    bare.has["fetchCurrencies"] = False

    async def ask() -> Any:
        try:
            return await bare.fetch_ohlcv(BTC, "1m", NOW - HOUR, 10)
        finally:
            await bare.close()

    assert asyncio.run(ask()) == []  # the flaw our client mends
    with pytest.raises(TraderError):
        rig.candles()
