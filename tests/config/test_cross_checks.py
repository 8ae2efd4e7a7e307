"""Contradictions between keys, setups and thresholds."""

from dataclasses import dataclass

import pytest

from core.config import Threshold, loads
from core.errors import ConfigError
from tests.config.toys import SETUPS, Plain, load, mistakes


def only(text):
    lines = mistakes(text)
    assert len(lines) == 1, lines
    return lines[0]


def test_a_scanned_timeframe_must_be_stored():
    assert "timeframes: 1d of timeframes is not in data.derived_timeframes; add it there" in only(
        "timeframes: [5m, 1d]\ndata:\n  derived_timeframes: [5m, 15m, 1h, 4h]\n")
    assert load("timeframes: [4h, 5m]\n").timeframes == ("5m", "4h")


def test_a_stored_timeframe_must_have_the_one_it_is_built_from():
    assert "line 3: data.derived_timeframes: 1h is built from 15m" in only(
        "timeframes: [5m]\ndata:\n  derived_timeframes: [5m, 1h]\n")


def test_the_timeframe_of_a_setup_must_be_scanned_if_written():
    assert "line 4: signals.setups.beta.timeframes: 1d is not in timeframes (5m, 15m, 1h, 4h)" in only(
        "signals:\n  setups:\n    beta:\n      timeframes: [1d, 4h]\n")


def test_an_unwritten_setup_runs_on_those_of_its_timeframes_that_are_scanned():
    setups = load("timeframes: [15m]").signals.setups
    assert {name: setup.timeframes for name, setup in setups.items()} == {"alpha": ("15m",)}


def test_bare_params_types_run_on_every_scanned_timeframe():
    config = loads("timeframes: [1h, 5m]", {"alpha": Plain}, {})
    assert config.signals.setups["alpha"].timeframes == ("5m", "1h")


def test_a_disabled_setup_is_left_out_but_still_checked():
    config = load("signals: {setups: {beta: {enabled: false, channel: 30}}}")
    assert list(config.signals.setups) == ["alpha"]
    assert "channel" in only("signals: {setups: {beta: {enabled: false, channel: x}}}")


def test_the_parameters_of_a_setup_are_typed_and_ranged():
    params = load("signals: {setups: {beta: {channel: 30, sl_atr: 3, ema_side: false, flavour: sour}}}"
                  ).signals.setups["beta"].params
    assert (params.channel, params.sl_atr, params.ema_side, params.flavour) == (30, 3.0, False, "sour")
    assert isinstance(params.sl_atr, float)
    assert "did you mean sour" in only("signals: {setups: {beta: {flavour: suor}}}")
    assert "did you mean beta" in only("signals: {setups: {bta: {}}}")


def test_a_parameter_without_default_must_be_written():
    @dataclass(frozen=True, slots=True)
    class Needy:
        bars: int

    with pytest.raises(ConfigError, match=r"setups\.x\.bars: is missing; it has no default, write a whole number"):
        loads("{}", {"x": Needy}, {})
    assert loads("signals: {setups: {x: {bars: 3}}}", {"x": Needy}, {}).signals.setups["x"].params == Needy(3)


def test_a_check_of_the_setup_itself_is_reported_with_its_line():
    @dataclass(frozen=True, slots=True)
    class Picky:
        fast: int = 5
        slow: int = 10

        def __post_init__(self):
            if self.fast >= self.slow:
                raise ValueError("fast must be below slow")

    with pytest.raises(ConfigError, match=r"line 3: signals\.setups\.x: fast must be below slow"):
        loads("signals:\n  setups:\n    x: {fast: 50}\n", {"x": Picky}, {})


def test_a_failed_key_does_not_cause_a_second_mistake():
    assert "signals.fibo.piv_window" in only("signals: {lookback_candles: 20, fibo: {piv_window: 500}}")
    assert "must be at least 26 with fibo.piv_window 12, not 25" in only(
        "signals: {lookback_candles: 25, fibo: {piv_window: 12}}")


@pytest.mark.parametrize(("symbol", "hint"), [
    ("BTCUSDT", "did you mean BTC/USDT:USDT"), ("btc/usdt:usdt", "did you mean BTC/USDT:USDT"),
    ("BTC/USDT", "did you mean BTC/USDT:USDT"), ("BTC_USDC", "did you mean BTC/USDC:USDC"), ("ON", "BASE/QUOTE:SETTLE"),
    ("BTC/USD:BTC", "an inverse contract"), ("BTC/USDT:USDT-261225", "BASE/QUOTE:SETTLE"),
])
def test_a_symbol_in_another_spelling_is_refused_with_the_right_one(symbol, hint):
    assert hint in only(f"symbols: [{symbol}]")


def test_symbols_keep_their_order_and_are_1_to_100_different_ones():
    assert load("symbols: [B/USDT:USDT, 1000A/USDC:USDC]").symbols == ("B/USDT:USDT", "1000A/USDC:USDC")
    assert "must have 1 to 100 entries, not 0" in only("symbols: []")
    many = [f"A{i}/USDT:USDT" for i in range(101)]
    assert len(load(f"symbols: [{', '.join(many[:100])}]").symbols) == 100
    assert "1 to 100 entries, not 101" in only(f"symbols: [{', '.join(many)}]")
    assert "line 3: symbols: A/USDT:USDT stands in the list twice" in only(
        "symbols:\n  - A/USDT:USDT\n  - A/USDT:USDT\n")


@pytest.mark.parametrize(("written", "ts"), [
    ("2024-01-01", 1_704_067_200_000), ('"2024-01-01"', 1_704_067_200_000), ("2024-01-01T00:01", 1_704_067_260_000),
    ("1704067259999", 1_704_067_200_000),
])
def test_the_start_date_becomes_the_minute_in_ms(written, ts):
    assert load(f"backfill: {{start_date: {written}}}").backfill.start_date == ts


@pytest.mark.parametrize("written", ["2024-13-01", "yesterday", "20240101", "01.02.2024", "1970-01-01", "2150-01-01"])
def test_an_impossible_start_date_is_refused(written):
    assert "allowed: a UTC date such as 2024-01-01" in only(f"backfill: {{start_date: {written}}}")


@pytest.mark.parametrize("url", ["ftp://a", "example.org", "http://", "http://u:pw@host", "http://h/?a=1", "http://h:x"])
def test_an_impossible_address_is_refused_and_not_repeated(url):
    line = only(f"exchange: {{api_url: '{url}'}}")
    assert "http(s)://host" in line and "pw@" not in line
    assert load("exchange: {api_url: http://127.0.0.1:8080/x/}").exchange.api_url == "http://127.0.0.1:8080/x"


def test_a_time_zone_must_exist():
    assert "did you mean Europe/Berlin" in only("app: {timezone: Europe/Berln}")
    assert "no such time zone" in only("app: {timezone: ../etc}")


def test_thresholds_are_read_by_symbol_and_timeframe_and_by_regime():
    meta = load("models:\n  meta:\n    per_pair_tf:\n      OLD/USDT:USDT: {1h: {threshold: 0.6}}\n"
                "    per_regime: {trend: {high: {min_ev_pct: 0.1, threshold: 0.7}}}\n").models.meta
    assert meta.per_pair_tf["OLD/USDT:USDT"]["1h"] == Threshold(0.6, None)
    assert meta.per_regime["trend"]["high"] == Threshold(0.7, 0.1)


@pytest.mark.parametrize(("text", "part"), [
    ("per_pair_tf: {BTCUSDT: {1h: {threshold: 1}}}", "not a symbol"),
    ("per_pair_tf: {A/USDT:USDT: {3m: {threshold: 1}}}", "A/USDT:USDT.3m: unknown key"),
    ("per_pair_tf: {A/USDT:USDT: {1h: {threshold: 2}}}", "1h.threshold: must be a number from 0 to 1, not 2"),
    ("per_pair_tf: {A/USDT:USDT: {1h: {}}}", "says nothing"),
    ("per_pair_tf: {A/USDT:USDT: {1h: 0.6}}", "must have keys under it (threshold, min_ev_pct)"),
    ("per_regime: {tend: {high: {threshold: 1}}}", "did you mean trend"),
    ("per_regime: {trend: {hgih: {threshold: 1}}}", "did you mean high"),
])
def test_wrong_thresholds_are_refused(text, part):
    assert part in only("models:\n  meta:\n    " + text)


def test_the_loaded_configuration_is_frozen_through_and_through():
    config = load("{}")
    for thing, name in ((config, "app"), (config.risk, "mode"), (config.signals.setups["beta"].params, "channel")):
        with pytest.raises(AttributeError):
            setattr(thing, name, None)
    with pytest.raises(TypeError):
        config.signals.setups["beta"] = None
    assert hash(config) == hash(loads("{}", SETUPS, {}))


def test_the_calibrator_lies_with_its_model():
    assert "must be models.meta.model_path (models/meta)" in only("models: {meta: {calibration: {path: elsewhere}}}")
    assert "must be models.meta.model_path (a/b)" in only(
        "models: {meta: {model_path: a/b, calibration: {path: models/meta}}}")
    for text in ("{model_path: a/b}", "{model_path: a/b, calibration: {path: a/b/}}"):
        assert load(f"models: {{meta: {text}}}").models.meta.model_path == "a/b"
