"""The doors that talk to an exchange: the download, the daemon as a process of its own, and the test alert."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import SystemClock, VirtualClock
from core.market.generated import GeneratedMarket
from core.market.replay import ReplayExchange
from core.store.lock import WriterLock
from core.timeframe import DAY, floor
from tests.cli import doors
from tests.notify.bot_api import CHAT, TOKEN, BotApi

BEGIN = 1_704_067_200_000  # 2024-01-01
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there


def config(folder: Path, url: str, more: str = "") -> Path:
    """A configuration for an exchange on this machine."""
    return doors.write_config(folder, doors.CONFIG + f'exchange: {{api_url: "{url}", rate_limit_ms: 0}}\n' + more)


@pytest.fixture
def january() -> Iterator[str]:
    """An exchange whose time stands at 20 January 2024."""
    market = GeneratedMarket(("BTC/USDT:USDT",), start=BEGIN, days=30)
    server = ReplayExchange(market, VirtualClock(BEGIN + 19 * DAY))
    yield server.start()
    server.stop()


def test_a_download_says_first_what_it_takes_and_the_same_command_finds_nothing_left(
    january: str, tmp_path: Path
) -> None:
    args = ("download_data", "--config", config(tmp_path, january), "--start", "2024-01-03", "--end", "2024-01-05")
    first = doors.call(*args)
    assert first.code == 0, first.err
    assert "2,880 minutes missing" in first.out and "requests" in first.out and "MB on disk" in first.out
    assert "BTC/USDT:USDT: 2024-01-03 00:00Z to 2024-01-05" in first.out and "100 %" in first.err
    again = doors.call(*args, "--json")
    assert again.code == 0 and "0 minutes missing" in again.err
    assert again.json["symbols"]["BTC/USDT:USDT"]["gaps"] == 0 and again.json["stopped"] is False


def test_an_unreachable_exchange_is_one_clear_line(tmp_path: Path) -> None:
    answer = doors.call(
        "download_data", "--config", config(tmp_path, NOBODY), "--start", "2024-01-03", "--end", "2024-01-05"
    )
    assert answer.code == 1
    errors = [line for line in answer.err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1 and "bitget does not answer" in errors[0] and "run the same command again" in errors[0]
    assert "Traceback" not in answer.err


def test_one_tick_without_an_exchange_fails_and_is_recorded(tmp_path: Path) -> None:
    path = config(tmp_path, NOBODY)
    answer = doors.call("scheduler_run", "--once", "--config", path, "--json")
    assert answer.code == 1 and answer.json["runs"][0]["job"] == "incremental_sync"
    assert answer.json["runs"][0]["state"] == "failed"
    status = doors.call("core", "status", "--config", path, "--json").json
    assert status["exchange_down_since"] is not None and status["last_error"]["job"] == "incremental_sync"


@pytest.mark.slow
@pytest.mark.covers("rule 34", "D19")
def test_the_daemon_holds_the_lock_and_sigterm_ends_it_with_0(tmp_path: Path) -> None:
    clock = SystemClock()
    start = floor(clock.now(), DAY) - 5 * DAY
    server = ReplayExchange(GeneratedMarket(("BTC/USDT:USDT",), start=start, days=10), clock)
    path = config(tmp_path, server.start())
    command = [sys.executable, str(doors.ROOT / "scheduler_run.py"), "--config", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr is not None
        seen = next((line for line in daemon.stderr if line.startswith("running:")), None)
        second = doors.call("scheduler_run", "--once", "--config", path)
        daemon.send_signal(signal.SIGTERM)
        out, err = daemon.communicate(timeout=60)
    server.stop()
    assert seen is not None, err
    assert second.code == 1 and f"scheduler_run.py (process {daemon.pid})" in second.err
    assert daemon.returncode == 0 and "stopping: the running stage is finished first" in err
    assert "stopped cleanly" in out and "Traceback" not in err
    with WriterLock(tmp_path / "real.db", "test"):
        pass


@pytest.fixture
def bot() -> Iterator[BotApi]:
    """A Bot API server on this machine."""
    with BotApi() as server:
        yield server


def telegram(chat: str, url: str) -> str:
    """The notify section."""
    return f'notify: {{telegram: {{enabled: true, bot_token: "{TOKEN}", chat_id: "{chat}", api_url: "{url}"}}}}\n'


@pytest.mark.slow
@pytest.mark.covers("D19")
def test_the_daemon_answers_commands_and_ends_at_once_though_its_bot_waits_for_news(
    bot: BotApi, tmp_path: Path
) -> None:
    clock = SystemClock()
    start = floor(clock.now(), DAY) - 5 * DAY
    server = ReplayExchange(GeneratedMarket(("BTC/USDT:USDT",), start=start, days=10), clock)
    path = config(tmp_path, server.start(), telegram(str(CHAT), bot.url))
    command = [sys.executable, str(doors.ROOT / "scheduler_run.py"), "--config", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr is not None
        seen = next((line for line in daemon.stderr if line.startswith("running:")), None)
        for text in ("/health", "/pause"):
            bot.say(text, date=clock.now() // 1000)
        bot.until(lambda: len(bot.messages) == 2, 60)
        asked = clock.monotonic()
        daemon.send_signal(signal.SIGTERM)
        out, err = daemon.communicate(timeout=60)
    server.stop()
    assert seen is not None and daemon.returncode == 0 and clock.monotonic() - asked < 20, err
    assert "Last process" in bot.messages[0].text and bot.messages[1].text.startswith("⏸ Paused")
    assert TOKEN not in out + err and "Traceback" not in err
    status = doors.call("core", "status", "--config", path)
    assert status.code == 0 and doors.call("core", "status", "--config", path, "--json").json["paused"] is not None


def test_test_alert_sends_one_message(bot: BotApi, tmp_path: Path) -> None:
    path = config(tmp_path, NOBODY, telegram(str(CHAT), bot.url))
    answer = doors.call("core", "test-alert", "--config", path, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["sent"] is True and len(bot.messages) == 1 and "Test alert" in bot.messages[0].text


def test_test_alert_finds_the_chat_where_none_is_set(bot: BotApi, tmp_path: Path) -> None:
    path = config(tmp_path, NOBODY, telegram("", bot.url))
    nobody = doors.call("core", "test-alert", "--config", path)
    assert nobody.code == 1 and "nobody has written to the bot" in nobody.out
    bot.updates = [
        {
            "update_id": 1,
            "message": {"message_id": 1, "date": 1, "chat": {"id": 77, "type": "private", "first_name": "Ada"}},
        }
    ]
    found = doors.call("core", "test-alert", "--config", path)
    assert found.code == 1 and "77  Ada" in found.out and 'notify.telegram.chat_id: "77"' in found.out
    assert bot.messages == [] and TOKEN not in found.out + found.err


def test_test_alert_without_a_token_says_where_to_get_one(tmp_path: Path) -> None:
    answer = doors.call("core", "test-alert", "--config", config(tmp_path, NOBODY))
    assert answer.code == 1 and "@BotFather" in answer.err and "TELEGRAM_BOT_TOKEN" in answer.err
