"""No secret gets into a log, whatever the record looks like."""

import io
import logging
from collections.abc import Callable, Iterator

import pytest

from core.notify import redact
from tests.notify.bot_api import TOKEN

SECRET = "hunter2-very-secret"


@pytest.fixture
def logger() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    stream = io.StringIO()
    logger = logging.Logger("redacted", logging.DEBUG)
    logger.addHandler(logging.StreamHandler(stream))
    redact.install((SECRET, TOKEN), logger)
    yield logger, stream


def _raises(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError as exc:
        raise KeyError("outer") from exc


def _with_traceback(log: logging.Logger) -> None:
    try:
        _raises(f"url was /bot{TOKEN}/getMe")
    except KeyError:
        log.exception("failed with %s", SECRET)


@pytest.mark.covers("D19")
@pytest.mark.parametrize("write", [
    lambda log: log.info(f"POST https://api.telegram.org/bot{TOKEN}/sendMessage"),
    lambda log: log.debug("url %s", f"/bot{TOKEN}/getMe"),
    lambda log: log.debug("split %s:%s", *TOKEN.split(":")),
    lambda log: log.warning("mapping %(a)s", {"a": SECRET}),
    lambda log: log.error("quoted %s", TOKEN.replace(":", "%3A")),
    lambda log: log.error("only the half %s", TOKEN.split(":")[1]),
    lambda log: log.error("object", stack_info=True),
    lambda log: log.error("wrong %d arguments", TOKEN),
    _with_traceback])
def test_no_secret_leaves_in_message_arguments_or_traceback(
        logger: tuple[logging.Logger, io.StringIO], write: Callable[[logging.Logger], None]) -> None:
    log, stream = logger
    write(log)
    written = stream.getvalue()
    assert written and SECRET not in written and TOKEN.split(":")[1] not in written


def test_planted_flaw_without_the_filter_the_token_is_written() -> None:
    stream, log = io.StringIO(), logging.Logger("bare", logging.DEBUG)
    log.addHandler(logging.StreamHandler(stream))
    _with_traceback(log)
    assert TOKEN in stream.getvalue() and SECRET in stream.getvalue()


def test_a_token_that_nobody_named_is_hidden_by_its_shape() -> None:
    assert redact.hide("/bot987654321:AAunnamed_unnamed-unnamed1/x") == "/bot***/x"
    assert redact.hide("12:30:45 BTC/USDT:USDT 1714573800000") == "12:30:45 BTC/USDT:USDT 1714573800000"


def test_short_secrets_do_not_blank_ordinary_words() -> None:
    assert redact.hide("the chat 42 is fine", ("42", "")) == "the chat 42 is fine"


def test_installing_again_adds_secrets_and_covers_handlers_added_since(
        logger: tuple[logging.Logger, io.StringIO]) -> None:
    log, _ = logger
    late = io.StringIO()
    log.addHandler(logging.StreamHandler(late))
    one = redact.install(("another-secret",), log)
    log.info("another-secret and %s", SECRET)
    assert late.getvalue() == "*** and ***\n"
    assert [f for h in log.handlers for f in h.filters] == [one, one]
    assert SECRET not in repr(one)


def test_records_without_secrets_pass_unchanged(logger: tuple[logging.Logger, io.StringIO]) -> None:
    log, stream = logger
    log.info("synced %d candles of %s", 60, "BTC/USDT:USDT")
    assert stream.getvalue() == "synced 60 candles of BTC/USDT:USDT\n"
