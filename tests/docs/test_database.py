"""docs/DATABASE.md names every table, view and column of the schema, no other, and its queries run."""

import re
import sqlite3
from collections.abc import Iterator

import pytest

from core.store.db import Database
from tests.conftest import ROOT
from tests.docs import pages

pytestmark = pytest.mark.law

TEXT = pages.text_of(ROOT / "docs" / "DATABASE.md")


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("schema") / "empty.db"
    Database(path).close()
    db = Database(path, readonly=True)
    yield db.con
    db.close()


def columns(con: sqlite3.Connection) -> dict[str, set[str]]:
    """Tables and views with their columns."""
    names = [row[0] for row in con.execute(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")]
    return {name: {row[1] for row in con.execute(f'PRAGMA table_info("{name}")')} for name in names}


def described(text: str) -> dict[str, set[str]]:
    """Tables of the page with the columns that its sections name.

    A heading may name several tables; its rows then say `of name` where they belong to one of them.
    """
    found: dict[str, set[str]] = {}
    for title, body in re.findall(r"^### ([^\n]+)\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL):
        tables = re.sub(r" \(view\)", "", title).split(", ")
        for table in tables:
            found.setdefault(table, set())
        for cells, meaning in re.findall(r"^\| (`[^|]+) \| ([^|]+) \|$", body, re.MULTILINE):
            names = set(re.findall(r"`(\w+)`", cells))
            of = re.match(r"of `(\w+)`", meaning)
            for table in [of[1]] if of else tables:
                found[table] |= names
    return found


def test_every_table_and_column_is_named_and_none_that_does_not_exist(con: sqlite3.Connection) -> None:
    real, told = columns(con), described(TEXT)
    assert set(real) == set(told)
    assert {name: real[name] ^ told[name] for name in real if real[name] != told[name]} == {}


def test_views_are_called_views(con: sqlite3.Connection) -> None:
    views = {row[0] for row in con.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")}
    assert set(re.findall(r"^### (\w+) \(view\)", TEXT, re.MULTILINE)) == views


def statements() -> list[str]:
    return [part.strip() for block in pages.blocks(TEXT, "sql") for part in block.split(";") if part.strip()]


@pytest.mark.parametrize("query", statements(), ids=range(len(statements())))
def test_every_query_runs_on_an_empty_database(query: str, con: sqlite3.Connection) -> None:
    assert con.execute(query).fetchall() == []


def test_the_names_that_a_user_builds_on_are_there(con: sqlite3.Connection) -> None:
    real = columns(con)
    assert real["candles"] >= {
        "exchange", "symbol", "timeframe", "ts", "open", "high", "low", "close", "volume", "minutes"}
    assert real["gaps"] == {"exchange", "symbol", "start_ts", "end_ts", "reason"}
    assert real["trade_events"] == {"signal_id", "ts", "event", "price", "fraction", "fee_pct"}
    assert real["trades"] >= {
        "signal_id", "status", "opened_ts", "tp1_ts", "closed_ts", "exit_price", "exit_reason", "gross_pct", "fees_pct",
        "slippage_pct", "funding_pct", "funding_known", "pnl_pct", "pnl_usd", "r_multiple", "mae_pct", "mfe_pct",
        "seen_ts"}
    assert real["signals"] >= {
        "id", "exchange", "symbol", "timeframe", "ts", "decided_ts", "start_ts", "end_ts", "setup", "direction",
        "entry", "sl", "tp1", "tp2", "avwap", "leverage", "risk_pct", "qty", "notional", "tick", "lot", "min_notional",
        "tp1_net_pct", "cost_r", "trend", "vol", "ml_p_raw", "ml_p", "ev_pct", "model", "verdict", "reason",
        "origin", "late", "revised", "in_sample", "rationale", "config_hash"}
    assert real["alerts"] >= {"id", "kind", "key", "created_ts", "state", "sent_ts", "attempts", "error"}


def test_planted_flaws_a_column_too_many_and_one_too_few_are_seen(con: sqlite3.Connection) -> None:
    real = columns(con)
    assert described(TEXT.replace("`funding_known` |", "`funding_knwon` |"))["trades"] != real["trades"]
    assert described(TEXT.replace("| `key`, `value` |", "| `key` |"))["state"] != real["state"]
