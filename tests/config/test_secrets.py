"""Secrets come from the environment or the file and are shown nowhere."""

import json
import traceback

import pytest

from core.config import describe, loads
from core.errors import ConfigError
from tests.config.toys import load, refusal

TOKEN = "123456789:AAcanaryCANARYcanaryCANARYcanary00"
CHAT = "-100777canary777"
WRITTEN = f"notify:\n  telegram:\n    enabled: true\n    bot_token: {TOKEN}\n    chat_id: {CHAT}\n"


def test_the_environment_comes_before_the_file():
    telegram = load(WRITTEN, {"TELEGRAM_BOT_TOKEN": "1:env", "TELEGRAM_CHAT_ID": " 42 "}).notify.telegram
    assert (telegram.bot_token, telegram.chat_id) == ("1:env", "42")


def test_an_empty_variable_counts_as_none():
    telegram = load(WRITTEN, {"TELEGRAM_BOT_TOKEN": "", "TELEGRAM_CHAT_ID": " "}).notify.telegram
    assert (telegram.bot_token, telegram.chat_id) == (TOKEN, CHAT)


def test_the_process_environment_is_read_unless_another_is_given(monkeypatch):
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "1:process")
    assert loads("{}", {}).notify.telegram.bot_token == "1:process"
    assert loads("{}", {}, {}).notify.telegram.bot_token == ""


def test_enabled_without_secrets_is_refused_and_names_the_variables():
    message = refusal("notify: {telegram: {enabled: true}}")
    assert "TELEGRAM_BOT_TOKEN" in message and "TELEGRAM_CHAT_ID" in message
    assert load("notify: {telegram: {enabled: true}}", {"TELEGRAM_BOT_TOKEN": "1:a", "TELEGRAM_CHAT_ID": "2"})


@pytest.mark.covers("D19")
def test_no_form_of_the_configuration_shows_a_secret():
    for config in (load(WRITTEN), load("{}", {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": CHAT})):
        shown = [repr(config), str(config.notify), repr(config.notify.telegram), json.dumps(describe(config))]
        assert not [text for text in shown if "canary" in text.lower()]
        assert describe(config)["notify"]["telegram"]["bot_token"] == "(set, hidden)"
    assert describe(load("{}"))["notify"]["telegram"]["bot_token"] == ""


@pytest.mark.parametrize("text", [
    f"notify: {{telegram: {{bot_token: [{TOKEN}]}}}}", f"notify: {{telegram: {{bot_token: {{{TOKEN}: x}}}}}}",
    f"notify: {{telegram: {{bot_token: '{TOKEN} '}}}}", f"notify: {{telegram: {{bot_token: “{TOKEN}”}}}}",
    f"notify: {{telegram: {{bot_tokne: {TOKEN}}}}}", f"notify: {{telegram: {{chat_id: {TOKEN}}}, bot_token: {TOKEN}}}",
    f"notify:\n  telegram:\n    bot_token: {TOKEN}\n    bot_token: {TOKEN}\n", f"notify:\n  {TOKEN}\n",
    f"notify:\n  telegram:\n    bot_token:{TOKEN}\n    enabled: true\n", f"notify:\n  telegram:\n    {TOKEN}: x\n",
    f"notify: {{telegram: {{bot_token: *{TOKEN}}}}}", f"notify: {{telegram: {{api_url: 'https://x/{TOKEN}?a'}}}}",
    f"app: {{timezone: {TOKEN}}}", f"notify: {{telegram: {{send_on: [{TOKEN}]}}}}", f"notify: {TOKEN}",
])
def test_no_message_shows_a_token(text):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert "canary" not in str(caught.value).lower()
    assert "canary" not in repr(caught.value).lower()


def test_a_broken_token_in_the_environment_is_named_without_being_shown():
    with pytest.raises(ConfigError) as caught:
        load("{}", {"TELEGRAM_BOT_TOKEN": f"bot {TOKEN}"})
    assert str(caught.value).startswith("environment variable TELEGRAM_BOT_TOKEN: not a bot token")
    assert "canary" not in "".join(traceback.format_exception(caught.value, limit=0)).lower()
