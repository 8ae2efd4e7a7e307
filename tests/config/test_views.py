"""The hash over what decides, and the form for showing."""

import json
import pickle

import pytest

from core.config import config_hash, decision_body, defaults, describe, loads
from tests.config.toys import SETUPS, load

BASE = config_hash(load("{}"))


def test_the_hash_is_12_hex_digits_and_does_not_depend_on_how_the_file_is_written():
    assert len(BASE) == 12 and int(BASE, 16) >= 0
    same = ["risk: {max_leverage: 10, equity_usd: 1e4}", "timeframes: [4h, 1h, 15m, 5m]",
            "signals: {slippage_pct: 0.0250}", "signals: {setups: {beta: {channel: 20}}}",
            "models: {meta: {min_ev_pct: -0.0}}"]
    assert {config_hash(load(text)) for text in same} == {BASE}
    assert config_hash(defaults(dict(reversed(SETUPS.items())))) == BASE


@pytest.mark.parametrize("text", [
    "risk: {mode: aggressive}", "risk: {max_leverage: 9}", "execution: {funding: false}",
    "timeframes: [5m, 15m, 4h]",
    "signals: {setups: {beta: {channel: 21}}}", "signals: {setups: {alpha: {timeframes: [5m]}}}",
    "signals: {setups: {beta: {enabled: false}}}", "signals: {fees: {taker_pct: 0.05}}",
    "models: {meta: {enabled: false}}",
    "models: {meta: {threshold: 0.6}}", "models: {meta: {gating: {use_ev: false}}}",
    "models: {meta: {per_regime: {trend: {low: {threshold: 0.6}}}}}",
])
def test_what_may_change_a_row_changes_the_hash(text):
    assert config_hash(load(text)) != BASE


@pytest.mark.parametrize("text", [
    "app: {timezone: Europe/Berlin, db_path: x.db}", "symbols: [A/USDT:USDT]", "incremental: {settle_seconds: 5}",
    "backfill: {start_date: 2020-01-01}", "auto: {weekly_tune: {enable: false}}",
    "exchange: {api_url: http://127.0.0.1}",
    "notify: {telegram: {send_ungated: true, bot_token: '1:x'}}", "models: {meta: {model_path: elsewhere}}",
    "models: {meta: {per_pair_tf: {A/USDT:USDT: {1h: {threshold: 0.6}}}}}",
])
@pytest.mark.covers("rule 32")
def test_what_changes_no_row_keeps_the_hash(text):
    assert config_hash(load(text)) == BASE


def test_both_forms_are_plain_and_complete():
    config = load("{}")
    shown = json.loads(json.dumps(describe(config), allow_nan=False))
    assert shown["signals"]["setups"]["beta"]["params"]["channel"] == 20
    assert shown["symbols"] == list(config.symbols)
    body = json.loads(json.dumps(decision_body(config), allow_nan=False))
    assert set(body) == {"signals", "risk", "execution", "timeframes", "meta"}


def test_a_configuration_travels_to_another_process_unchanged():
    config = loads("models: {meta: {per_regime: {trend: {low: {threshold: 0.6}}}}}", SETUPS, {})
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301  (what multiprocessing does)
