"""Reads and writes of a system replayed as it would have lived."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from core.errors import ArtifactError
from core.store.candles import Con
from core.store.reads.account import judged
from core.store.reads.results import COLUMNS
from core.store.signals import row_dicts

# What a file knows of the market, and nothing that was ever decided on it.
_MARKET = ("symbols", "series", "sync_checkpoint", "ohlcv", "gaps", "absent", "dirty", "revisions", "funding")
_VERDICT = ("ml_p_raw", "ml_p", "ev_pct", "model", "verdict", "reason", "in_sample")


def last_minute(con: Con, series_id: int, before: int) -> int | None:
    """The open of the last stored minute with ts < before, None where there is none."""
    found = con.execute("SELECT max(ts) FROM ohlcv WHERE series = ? AND ts < ?", (series_id, before)).fetchone()[0]
    return None if found is None else int(found)


def learnable(con: Con, exchange: str) -> int:
    """Plans that were filled and have ended: what a training may learn from."""
    return int(con.execute(
        "SELECT count(*) FROM positions p JOIN signals g ON g.n = p.signal WHERE g.exchange = ? "
        "AND p.closed_ts IS NOT NULL AND p.opened_ts IS NOT NULL", (exchange,)).fetchone()[0])


def first_judged(con: Con, exchange: str, words: Sequence[str], verdict: str) -> dict[str, Any] | None:
    """The first live plan that a model let pass, or refused; None where there is none yet. words: as `by_filter`."""
    found = row_dicts(con.execute(
        f"SELECT g.* FROM signals g WHERE g.exchange = ? AND g.origin = 'live' AND {judged(words)} AND g.verdict = ? "
        "ORDER BY g.decided_ts, g.id LIMIT 1", (exchange, *words, verdict)))
    return found[0] if found else None


def by_filter(con: Con, exchange: str, words: Sequence[str]) -> dict[str, int]:
    """Live plans by what the filter said: `passed` and `refused` by a model, `ungated` without one that acts.

    words: how the reasons of a model's own verdicts begin.
    """
    row = con.execute(
        f"SELECT coalesce(sum({judged(words)} AND g.verdict = 'pass'), 0), "
        f"coalesce(sum({judged(words)} AND g.verdict = 'refused'), 0), coalesce(sum(g.reason GLOB 'ungated*'), 0) "
        "FROM signals g WHERE g.exchange = ? AND g.origin = 'live'", (*words, *words, exchange)).fetchone()
    return dict(zip(("passed", "refused", "ungated"), map(int, row), strict=True))


def has_lived(con: Con, exchange: str) -> str | None:
    """What shows that a file was lived in, or models were promoted in it; None for a file of candles and retro rows."""
    if con.execute("SELECT 1 FROM signals WHERE exchange = ? AND origin = 'live' LIMIT 1", (exchange,)).fetchone():
        return "it holds decisions of the daemon"
    if con.execute("SELECT 1 FROM series WHERE exchange = ? AND live_from IS NOT NULL LIMIT 1", (exchange,)).fetchone():
        return "the daemon has decided in it"
    if con.execute("SELECT 1 FROM promotions LIMIT 1").fetchone() or con.execute(
            "SELECT 1 FROM models LIMIT 1").fetchone() or con.execute("SELECT 1 FROM trials LIMIT 1").fetchone():
        return "it holds models, or a promotion history"
    return None


def is_empty(con: Con) -> bool:
    """Whether a file knows of no market yet."""
    return con.execute("SELECT 1 FROM series LIMIT 1").fetchone() is None


def rows_of_others(con: Con, exchange: str, symbols: Sequence[str], config_hash: str) -> int:
    """Signals of other symbols, or made under another configuration."""
    marks = ", ".join("?" * len(symbols))
    return int(con.execute(
        f"SELECT count(*) FROM signals WHERE exchange = ? AND (config_hash <> ? OR symbol NOT IN ({marks}))",
        (exchange, config_hash, *symbols)).fetchone()[0])


def set_verdicts(con: Con, values: Iterable[Iterable[Any]]) -> None:
    """Give signals another verdict: (p_raw, p, ev_pct, model, verdict, reason, in_sample, id)."""
    columns = ", ".join(f"{name} = ?" for name in _VERDICT)
    con.executemany(f"UPDATE signals SET {columns} WHERE id = ?", [tuple(row) for row in values])


def copy_market(source: Path, con: Con) -> int:
    """Copy what a file knows of the market into an empty one, as of one moment; returns the candles copied.

    The source is only read. Raises ArtifactError where it is no file of this program's schema.
    """
    try:
        con.execute("ATTACH ? AS source", (f"{source.resolve().as_uri()}?mode=ro",))
    except sqlite3.DatabaseError as error:
        raise ArtifactError(f"{source} cannot be read: {error}") from error
    try:
        con.execute("BEGIN IMMEDIATE")
        for table in _MARKET:
            names = ", ".join(r[1] for r in con.execute(f"PRAGMA main.table_info({table})"))
            con.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM source.{table}")
        con.execute("UPDATE series SET live_from = NULL")
        con.execute("UPDATE symbols SET scanned_ts = NULL, followed_ts = NULL")
        copied = int(con.execute("SELECT count(*) FROM ohlcv").fetchone()[0])
        con.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        if con.in_transaction:
            con.execute("ROLLBACK")
        raise ArtifactError(f"the candles of {source} cannot be copied: {error}") from error
    finally:
        con.execute("DETACH source")
    return copied


def trades(con: Con, exchange: str, start: int, end: int) -> Iterator[Sequence[Any]]:
    """Filled and ended trades with start < decided_ts <= end, rows of `columns.FIELDS`; in-sample ones never."""
    return con.execute(
        f"SELECT {COLUMNS} FROM signals g JOIN positions p ON p.signal = g.n WHERE g.exchange = ? AND g.decided_ts > ? "
        "AND g.decided_ts <= ? AND g.in_sample = 0 AND p.closed_ts IS NOT NULL AND p.pnl_pct IS NOT NULL",
        (exchange, start, end))


def plans(con: Con, exchange: str, start: int, end: int) -> list[tuple[str, str, int]]:
    """How many plans with start < decided_ts <= end, by verdict and the first word of its reason."""
    rows = con.execute(
        "SELECT verdict, rtrim(CASE instr(reason, ' ') WHEN 0 THEN reason "
        "ELSE substr(reason, 1, instr(reason, ' ') - 1) END, ':'), count(*) FROM signals "
        "WHERE exchange = ? AND decided_ts > ? AND decided_ts <= ? GROUP BY 1, 2", (exchange, start, end))
    return [(r[0], r[1], int(r[2])) for r in rows]


def trainings(con: Con, start: int, end: int) -> int:
    """Weekly trainings that were done with start <= due <= end, whatever came of them."""
    return int(con.execute("SELECT count(*) FROM job_runs WHERE job = 'weekly_train' AND state = 'ok' AND due_ts >= ? "
                           "AND due_ts <= ?", (start, end)).fetchone()[0])
