"""A table of mutations for every key: take it out, misspell it, double it, give it a wrong type or value."""

import typing

import pytest

from core.config import defaults
from core.config.binder import dotted_keys
from core.config.schema import Config
from tests.config.toys import SETUPS, leaves, load, mistakes, nested

LEAVES = list(leaves())
KEYS = [*dotted_keys(Config), *(key for key, _, _ in LEAVES if ".setups." in key)]
NUMBERS = [(key, hint, limits) for key, hint, limits in LEAVES if hint in (int, float) and "parse" not in limits]
EXAMPLES = {
    "app.timezone": "Europe/Berlin", "exchange.id": "kraken", "exchange.api_url": "http://127.0.0.1:80",
    "backfill.start_date": "2023-05-06", "symbols": "[XRP/USDT:USDT]", "timeframes": "[15m]",
    "data.derived_timeframes": "[5m, 15m, 1h, 4h]", "notify.telegram.api_url": "http://localhost",
    "signals.lookback_candles": "30", "notify.telegram.bot_token": "1:x", "signals.setups.beta.timeframes": "[4h]",
    "models.meta.calibration.path": "models/meta", "notify.telegram.send_on": "[health]",
    "notify.telegram.owner_id": "12345678",
    "notify.telegram.viewers": "[23456789, -100345]", "notify.telegram.channels": "[-1001234567890, '@our_news']",
    "notify.telegram.quiet_hours": "22:00-7:00",
}


def kind(hint):
    """The plain type behind `X | None`."""
    return next((k for k in typing.get_args(hint) if k in (bool, int, float, str)), hint)


def example(key, hint, limits):
    """A value, other than the default where there is a choice, that the key takes."""
    if key in EXAMPLES:
        return EXAMPLES[key]
    if "choices" in limits:
        return limits["choices"][-1]
    if hint is bool:
        return "false"
    return {int: "7", float: "0.7", str: "some/text"}[kind(hint)]


def wrong_types(hint, limits):
    """Texts that cannot be a value of this type."""
    if typing.get_origin(hint) is tuple:
        return ["5m", "{a: 1}", "null", "[[5m]]", "[5m, 3]", "[{a: 1}]"]
    common = ["[1]", "{a: 1}", "[]"] + ([] if hint != kind(hint) else ["null", "~", ""])
    if "parse" in limits or kind(hint) is str:
        return common + ([] if limits.get("verbatim") else ["5", "1.5", "true"])
    numbers = ["x", "true", '"5"', "12:30", "0x10", "1_0", ".inf", ".nan", "inf", "nan", "5%", "5,5", "2024-01-01"]
    special = {bool: ["yes", "no", "on", "1", "True", '"true"', "x"], int: [*numbers, "1.5", "1e1"], float: numbers}
    return common + special[kind(hint)]


@pytest.mark.parametrize(("key", "hint", "limits"), LEAVES, ids=[key for key, _, _ in LEAVES])
class TestEveryValue:
    def test_a_good_value_is_taken(self, key, hint, limits):
        text = nested(key, example(key, hint, limits))
        load(text + "    chat_id: x\n    bot_token: y\n" if key == "notify.telegram.enabled" else text)

    def test_a_wrong_type_is_named_with_key_and_line(self, key, hint, limits):
        depth = key.count(".") + 1
        for value in wrong_types(hint, limits):
            first = mistakes(nested(key, value))[0]
            assert first.startswith(f"toy.yaml, line {depth}: {key}"), (value, first)
            assert "must be" in first or "allowed: " in first, (value, first)

    def test_a_doubled_key_is_named_with_both_lines(self, key, hint, limits):
        depth, name = key.count(".") + 1, key.rpartition(".")[2]
        value = example(key, hint, limits)
        text = nested(key, value) + "  " * (depth - 1) + f"{name}: {value}\n"
        assert f"toy.yaml, line {depth + 1}: {key}: written twice, first in line {depth}; keep one" in mistakes(text)


@pytest.mark.parametrize("key", KEYS)
def test_any_two_swapped_letters_are_refused_and_the_key_is_suggested(key):
    parent, _, name = key.rpartition(".")
    for i in range(len(name) - 1):
        typo = name[:i] + name[i + 1] + name[i] + name[i + 2:]
        if typo == name:
            continue
        where = f"{parent}.{typo}" if parent else typo
        line, *others = mistakes(nested(where, "1"))
        assert line.startswith(f"toy.yaml, line {key.count('.') + 1}: {where}: unknown key; did you mean {name};")
        assert "allowed here: " in line and name in line.partition("allowed here: ")[2]
        assert not others


@pytest.mark.parametrize(("key", "hint", "limits"), NUMBERS, ids=[key for key, _, _ in NUMBERS])
def test_numbers_outside_their_range_are_refused_and_its_ends_are_taken(key, hint, limits):
    least, most = limits.get("min"), limits["max"]
    bad = [str(hint(most) + 1), str(hint(limits.get("above", least)) - (1 if least is not None else 0))]
    for value in bad:
        assert key in mistakes(nested(key, value))[0]
        assert f"{most:.12g}" in mistakes(nested(key, value))[0]
    if key not in ("signals.lookback_candles", "signals.fibo.piv_window"):  # these two are also held against each other
        load(nested(key, str(most)))
        load(nested(key, str(least if least is not None else 1)))


def test_every_number_has_a_range():
    assert [key for key, _, limits in NUMBERS if "max" not in limits] == []


def test_an_empty_mapping_is_the_defaults():
    config = load("{}")
    assert config == defaults(SETUPS)
    assert config.backfill.start_date == 1_704_067_200_000
    assert config.signals.setups["alpha"].timeframes == ("5m", "15m", "1h")
    assert config.signals.setups["beta"].params.channel == 20


def test_a_misplaced_key_is_told_where_it_belongs():
    assert "unknown key; it belongs at execution.tp1_fraction;" in mistakes("tp1_fraction: 0.5")[0]
    two = mistakes("signals:\n  enabled: true\n")[0]
    assert "models.meta.enabled" in two and "notify.telegram.enabled" in two


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines():
    text = "risk:\n  mode: nromal\n  max_leverage: 0\nexecution:\n  funding: maybe\nsymbls: [A/USDT:USDT]\n"
    found = mistakes(text)
    assert [line.split(": ")[1] for line in found] == [
        "risk.mode", "risk.max_leverage", "execution.funding", "symbls"
    ]
    assert [line.split(":")[0] for line in found] == [f"toy.yaml, line {n}" for n in (2, 3, 5, 6)]
    assert "did you mean normal" in found[0]


def test_a_section_without_keys_is_refused():
    assert "must have keys under it (use, method, atr_period, atr_mult), not nothing" in mistakes(
        "execution:\n  trail:\n")[0]
    assert "not a list" in mistakes("risk: [1]")[0]
