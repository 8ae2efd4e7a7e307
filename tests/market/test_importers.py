"""Files that users own: their formats, their faults, which stands for which symbol, and the market on them."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.candles import Bars
from core.errors import ConfigError, DataError
from core.market.generated import START, GeneratedMarket
from core.market.importers import Rates, find_files, read_batches, read_file, symbol_of, timeframe_of
from core.market.recorded import RecordedMarket, choose_sources, common_end, contract_of, infer_contract, read_source
from core.market.source import row_at
from core.timeframe import DAY, HOUR, MINUTE
from tests.market.replay_client import MIX, ask, candles, running

BTC = "BTC/USDT:USDT"
SOURCE = GeneratedMarket((BTC, "DOGE/USDT:USDT"), days=20)
Cells = list[list[object]]
Make = Callable[[Path, Bars], Path]
Flaw = Callable[[Cells], Cells]


def bars(minutes: int = 500, start: int = START, symbol: str = BTC) -> Bars:
    return SOURCE.candles(symbol, start, start + minutes * MINUTE)


def cells(data: Bars, scale: float = 1) -> Cells:
    return [[int(r[0] * scale), *r[1:]] for r in (row_at(data, i) for i in range(len(data)))]


def write_csv(path: Path, table: Cells, header: str = "ts,open,high,low,close,volume") -> Path:
    lines = [header] if header else []
    path.write_text("\n".join([*lines, *(",".join(map(str, row)) for row in table)]) + "\n")
    return path


def write_zip(path: Path, table: Cells) -> Path:
    # As Binance publishes: no header, twelve columns.
    text = "\n".join(",".join(map(str, [*row, int(row[0]) + MINUTE - 1, "1.0", 5, "0.5", "0.5", 0])) for row in table)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path.with_suffix(".csv").name, text)
    return path


def write_parquet(path: Path, data: Bars, **options: object) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("ts", "open", "high", "low", "close", "volume")
    pq.write_table(pa.table({name: getattr(data, name) for name in names}), path, **options)
    return path


def write_rates(path: Path, rates: list[tuple[int, float]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"ts": [ts for ts, _ in rates], "rate": [rate for _, rate in rates]}), path)
    return path


def same(a: object, b: Bars) -> bool:
    names = ("ts", "open", "high", "low", "close", "volume", "minutes")
    return isinstance(a, Bars) and all(np.array_equal(getattr(a, n), getattr(b, n)) for n in names)


@pytest.mark.parametrize(("name", "symbol", "timeframe"), [
    ("binance_spot-BTCUSDT-1m-20220101-20230831.parquet", "BTC/USDT:USDT", "1m"),
    ("bitfinex-BTCUSD-1m-20180101.parquet", "BTC/USD:USD", "1m"),
    ("BTCUSDT-1m-2023-01.zip", "BTC/USDT:USDT", "1m"),
    ("1000SHIBUSDT-5m-2023-01-05.zip", "1000SHIB/USDT:USDT", "5m"),
    ("ETH_USDT_USDT-1h-futures.csv", "ETH/USDT:USDT", "1h"),
    ("btc_fdusd-1m.csv", "BTC/FDUSD:FDUSD", "1m"),
    ("BTCFDUSD-1M-2023.csv", "BTC/FDUSD:FDUSD", None),
    ("binance_perp-ADAUSDT-funding-20230718.parquet", "ADA/USDT:USDT", None),
    ("candles.csv", None, None),
])
@pytest.mark.covers("rule 33")
def test_symbol_and_timeframe_come_from_the_name(name: str, symbol: str | None, timeframe: str | None) -> None:
    assert (symbol_of(name), timeframe_of(name)) == (symbol, timeframe)
    assert symbol_of(name, swap=False) == (symbol and symbol.partition(":")[0])


@pytest.mark.parametrize("make", [
    lambda path, data: write_parquet(path / "x.parquet", data),
    lambda path, data: write_parquet(path / "x.parquet", data, row_group_size=100),
    lambda path, data: write_csv(path / "x.csv", cells(data)),
    lambda path, data: write_csv(path / "x.csv", cells(data), "open_time,open,high,low,close,volume"),
    lambda path, data: write_csv(path / "x.csv", [[*r, 0] for r in cells(data)], "Timestamp,O,H,L,C,V,ignore"),
    lambda path, data: write_csv(path / "x.csv", cells(data), ""),
    lambda path, data: write_csv(path / "x.csv", cells(data, 0.001)),
    lambda path, data: write_csv(path / "x.csv", cells(data, 1000), ""),
    lambda path, data: write_zip(path / "x.zip", cells(data)),
    lambda path, data: write_zip(path / "x.zip", cells(data, 1000)),
])
@pytest.mark.covers("rule 33")
def test_every_format_and_unit_of_time_gives_the_same_candles(make: Make, tmp_path: Path) -> None:
    path = make(tmp_path, bars())
    assert same(read_file(path), bars())
    start, end = START + 120 * MINUTE + 1, START + 333 * MINUTE
    assert same(read_file(path, start, end), bars().cut(121, 333))
    assert len(read_file(path, START - DAY, START)) == 0 == len(read_file(path, START + DAY))


def test_timestamps_of_parquet_may_be_dates(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = bars(50)
    columns = {n: getattr(data, n) for n in ("open", "high", "low", "close", "volume")}
    for unit in ("ms", "us", "ns"):
        stamps = pa.array(data.ts * {"ms": 1, "us": 1000, "ns": 10**6}[unit]).cast(pa.timestamp(unit, tz="UTC"))
        pq.write_table(pa.table({"timestamp": stamps, **columns}), tmp_path / "x.parquet")
        assert same(read_file(tmp_path / "x.parquet"), data)


def test_funding_files_are_recognised_and_put_on_the_minute(tmp_path: Path) -> None:
    late = [(START + n * 8 * HOUR + 7, 0.0001 * n) for n in range(4)]
    wanted = [START + n * 8 * HOUR for n in range(4)]
    archive = write_csv(tmp_path / "BTCUSDT-fundingRate-2024-01.csv", [[ts, 8, rate] for ts, rate in late],
                        "calc_time,funding_interval_hours,last_funding_rate")
    for path in (archive, write_rates(tmp_path / "BTCUSDT-funding.parquet", late)):
        rates = read_file(path)
        assert isinstance(rates, Rates) and rates.ts.tolist() == wanted and rates.rate.tolist() == [r for _, r in late]
        part = read_file(path, START + 1)
        assert isinstance(part, Rates) and len(part) == 3
        none = read_file(path, START + DAY * 9)
        assert isinstance(none, Rates) and len(none) == 0


def bend(row: int, column: int, value: object) -> Flaw:
    return lambda t: [[value if (i, j) == (row, column) else cell for j, cell in enumerate(r)] for i, r in enumerate(t)]


@pytest.mark.parametrize(("flaw", "row", "why"), [
    (lambda t: [*t[:3], t[2], *t[3:]], 4, "not after"),
    (lambda t: [*t[:5], t[6], t[5], *t[7:]], 7, "not after"),
    (bend(3, 0, START + 3 * MINUTE + 1), 4, "not the open"),
    (bend(8, 4, "nan"), 9, "not finite"),
    (bend(8, 5, "inf"), 9, "not finite"),
    (bend(2, 3, 0.0), 3, "not positive"),
    (bend(2, 3, -1.0), 3, "not positive"),
    (bend(1, 2, 1.0), 2, "high and low"),
    (bend(7, 5, -1.0), 8, "negative"),
    (bend(6, 1, "abc"), 7, "not numbers"),
    (bend(6, 0, "2024-01-01"), 7, "not numbers"),
    (lambda t: [*t[:4], t[4][:3], *t[5:]], 5, "not numbers"),
])
@pytest.mark.covers("rule 33")
def test_a_flawed_row_is_refused_with_file_and_row(flaw: Flaw, row: int, why: str, tmp_path: Path) -> None:
    table = cells(bars(20))
    assert len(read_file(write_csv(tmp_path / "clean.csv", table))) == 20
    path = write_csv(tmp_path / "bad.csv", flaw(table))
    with pytest.raises(DataError, match=rf"bad\.csv: row {row}: .*{why}"):
        read_file(path)


def test_row_numbers_and_order_hold_across_batches(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = 70_000
    ts = START + np.arange(n) * MINUTE
    flat = {name: np.full(n, 5.0) for name in ("open", "high", "low", "close", "volume")}
    ts[65_536] = ts[65_535]  # the first row of the second batch
    pq.write_table(pa.table({"ts": ts, **flat}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="row 65537: ts is not after"):
        read_file(tmp_path / "x.parquet")
    ts[65_536] += MINUTE
    pq.write_table(pa.table({"ts": ts, **flat}), tmp_path / "x.parquet")
    assert [len(piece) for piece in read_batches(tmp_path / "x.parquet")] == [65_536, n - 65_536]
    holes = pa.array([None if i == 66_000 else 5.0 for i in range(n)])
    pq.write_table(pa.table({"ts": ts, **flat, "close": holes}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="row 66001: a value is missing"):
        read_file(tmp_path / "x.parquet")


@pytest.mark.parametrize(("name", "content", "why"), [
    ("x.parquet", b"PAR1 no", "not a readable parquet"),
    ("x.zip", b"PK no", "not a readable zip"),
    ("x.csv", b"\xff\xfe\x00", "not a readable CSV"),
    ("x.csv", b"when,price\n1,2\n", "columns when, price; expected ts"),
    ("x.csv", b"1,2,3\n", "3 columns without a header"),
])
def test_a_file_of_another_kind_is_refused_by_name(name: str, content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: .*{why}"):
        read_file(tmp_path / name)


def test_files_are_found_in_folders_and_missing_ones_named(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    inner = write_csv(tmp_path / "deep" / "b.csv", cells(bars(2)))
    outer = write_csv(tmp_path / "a.csv", cells(bars(2)))
    (tmp_path / "note.txt").write_text("x")
    assert find_files([tmp_path, outer]) == [outer, inner, outer]
    for wrong in (tmp_path / "none", tmp_path / "note.txt"):
        with pytest.raises(ConfigError, match=wrong.name):
            find_files([wrong])
    with pytest.raises(ConfigError):
        read_file(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    assert len(read_file(tmp_path / "empty.csv")) == 0


# Which file stands for which symbol


def folder(path: Path) -> Path:
    (path / "funding").mkdir()
    write_parquet(path / "a_perp-BTCUSDT-1m-2024.parquet", bars(300))
    write_csv(path / "b_spot-BTCUSDT-1m-2024.csv", cells(bars(900)))
    write_parquet(path / "c-BTCUSD-1m-2024.parquet", bars(2000))
    write_parquet(path / "d-BTCUSDT-5m-2024.parquet", bars(3000))
    write_zip(path / "DOGEUSDT-1m-2024-01-01.zip", cells(bars(1440, START, "DOGE/USDT:USDT")))
    write_zip(path / "DOGEUSDT-1m-2024-01-02.zip", cells(bars(60, START + DAY, "DOGE/USDT:USDT")))
    write_rates(path / "funding" / "e-BTCUSDT-funding-2024.parquet", SOURCE.funding(BTC, START, START + 2 * DAY))
    return path


@pytest.mark.covers("rule 35")
def test_the_longest_file_quoted_as_the_symbol_is_chosen_and_described(tmp_path: Path) -> None:
    chosen = choose_sources(folder(tmp_path), [BTC, "DOGE/USDT:USDT", "BTC/USD:USD"])
    btc, doge, usd = chosen.values()
    assert (btc.path.name, btc.kind, btc.rows) == ("b_spot-BTCUSDT-1m-2024.csv", "spot", 900)
    assert (btc.first, btc.last) == (START, START + 899 * MINUTE)
    assert [path.name for path in btc.funding] == ["e-BTCUSDT-funding-2024.parquet"]
    assert [path.name for path in doge.paths] == ["DOGEUSDT-1m-2024-01-01.zip", "DOGEUSDT-1m-2024-01-02.zip"]
    assert (doge.rows, doge.funding, usd.rows) == (1500, (), 2000)
    assert common_end(chosen) == START + 900 * MINUTE
    assert btc.describe() == ("BTC/USDT:USDT: b_spot-BTCUSDT-1m-2024.csv (spot), 900 minutes, 2024-01-01 00:00Z to "
                              "2024-01-01 14:59Z, funding e-BTCUSDT-funding-2024.parquet")
    with pytest.raises(ConfigError, match=r"no 1m candles of ETH/USDT.*BTCUSD, BTCUSDT, DOGEUSDT"):
        choose_sources(tmp_path, ["ETH/USDT:USDT"])
    with pytest.raises(ConfigError, match="no such folder"):
        choose_sources(tmp_path / "none", [BTC])


def test_of_two_equally_long_files_the_swap_is_chosen(tmp_path: Path) -> None:
    write_csv(tmp_path / "a_spot-BTCUSDT-1m.csv", cells(bars(10)))
    write_csv(tmp_path / "z_perp-BTCUSDT-1m.csv", cells(bars(10)))
    assert choose_sources(tmp_path, [BTC])[BTC].kind == "swap"


def test_files_of_one_market_that_overlap_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "BTCUSDT-1m-2024-01.csv", cells(bars(10)))
    write_csv(tmp_path / "BTCUSDT-1m-2024-02.csv", cells(bars(10, START + 9 * MINUTE)))
    source = choose_sources(tmp_path, [BTC])[BTC]
    with pytest.raises(DataError, match=r"2024-02\.csv: overlaps"):
        read_source(source)


@pytest.mark.covers("rule 13")
def test_a_contract_is_inferred_from_prices_and_volumes_whatever_range_is_loaded(tmp_path: Path) -> None:
    for symbol in SOURCE.symbols():
        truth, found = SOURCE.info(symbol), infer_contract(bars(5000, START, symbol))
        assert (found.tick, found.lot, found.min_notional) == (truth.tick, truth.lot, 5.0)
    path = write_parquet(tmp_path / "BTCUSDT-1m.parquet", bars(9000))
    whole, part = RecordedMarket(tmp_path, [BTC]), RecordedMarket(tmp_path, [BTC], START + 5 * DAY)
    assert whole.info(BTC) == part.info(BTC) == contract_of(path) == infer_contract(bars(9000))


def test_a_few_averages_among_the_prices_do_not_shrink_the_tick() -> None:
    data = bars(1000)
    close = data.close.copy()
    close[::20] += 0.00123456
    noisy = Bars(MINUTE, data.ts, data.open, data.high, data.low, close, data.volume, data.minutes)
    assert infer_contract(noisy).tick == infer_contract(data).tick == 0.1
    coarse = Bars(MINUTE, data.ts, data.open, data.high, data.low, data.close, np.rint(data.volume), data.minutes)
    assert infer_contract(coarse).lot == 1.0


def test_a_recorded_market_is_served_and_ends_where_its_file_ends(tmp_path: Path) -> None:
    market = RecordedMarket(folder(tmp_path), [BTC], START + 100 * MINUTE, START + 800 * MINUTE)
    assert (market.first(BTC), market.last(BTC)) == (START + 100 * MINUTE, START + 799 * MINUTE)
    assert market.common_end() == START + 900 * MINUTE and market.label == f"recorded candles of {tmp_path.name}"
    assert same(market.candles(BTC, 0, START + 200 * MINUTE), bars().cut(100, 200))
    assert market.describe() == [market.choices[BTC].describe()]
    final = row_at(bars(900), 300)
    partial = market.partial(BTC, START + 300 * MINUTE + 30_000)
    assert partial is not None and partial[0] == final[0] and partial != final
    assert market.partial(BTC, START + 800 * MINUTE) is None
    assert market.funding(BTC, START + 1, START + DAY) == SOURCE.funding(BTC, START + 1, START + DAY)
    with running(market, START + 1000 * MINUTE) as exchange:
        rows = candles(exchange, "history-candles", endTime=START + 1000 * MINUTE, limit=200)
        rates = ask(exchange, MIX + "history-fund-rate", symbol="BTCUSDT")[1]["data"]
    assert [[float(x) for x in r[:6]] for r in rows] == [[float(x) for x in r] for r in cells(bars(900).cut(600, 800))]
    assert [int(r["fundingTime"]) for r in rates] == [START + 8 * HOUR * n for n in (2, 1, 0)]
    market.narrow(None, None)
    assert len(market.candles(BTC, 0, START + DAY)) == 900
    market.narrow(START + DAY, None)
    with pytest.raises(DataError, match="has no minute"):
        market.first(BTC)
    with pytest.raises(DataError, match="not among"):
        market.candles("ETH/USDT:USDT", 0, 1)


@pytest.mark.covers("rule 35")
def test_of_the_real_files_twenty_months_of_spot_are_chosen_over_one_of_the_perpetual(real_candles: Path) -> None:
    market = RecordedMarket(real_candles.parent, [BTC, "ETH/USDT:USDT", "ADA/USDT:USDT"])
    btc = market.choices[BTC]
    assert btc.path.name == "binance_spot-BTCUSDT-1m-20220101-20230831.parquet" and btc.rows == 875_440
    assert market.choices["ADA/USDT:USDT"].kind == "swap"
    assert market.info(BTC).tick == 0.01 and market.info(BTC).lot == 1e-5
    assert len(market.funding(BTC, 0, 1 << 62)) == 1824
    end = market.common_end([BTC])
    market.narrow(end - 2 * DAY, end)
    assert len(market.candles(BTC, 0, end)) == 2880 and market.last(BTC) == end - MINUTE


@pytest.mark.parametrize("part", ["candles", "funding"])
def test_every_real_file_passes_the_rules(real_candles: Path, part: str) -> None:
    for path in sorted((real_candles.parent / part).glob("*.parquet")):
        if path.stat().st_size < 2_000_000:
            assert len(read_file(path)) > 80, path.name
