"""The schema, as an ordered list of steps; each is applied and recorded in one transaction."""

import sqlite3

from core.errors import ArtifactError

_MONEY = "gross_pct, fees_pct, slippage_pct, funding_pct, funding_known, pnl_pct, pnl_usd, r_multiple"

_FIRST = f"""
CREATE TABLE series (
    id INTEGER PRIMARY KEY, exchange TEXT NOT NULL, symbol TEXT NOT NULL, timeframe TEXT NOT NULL,
    built_ts INTEGER, live_from INTEGER, ended_ts INTEGER,
    UNIQUE (exchange, symbol, timeframe)) STRICT;
CREATE TABLE symbols (
    id INTEGER PRIMARY KEY, exchange TEXT NOT NULL, symbol TEXT NOT NULL,
    tick REAL, lot REAL, min_notional REAL, info_ts INTEGER,
    scanned_ts INTEGER, followed_ts INTEGER, funding_ts INTEGER,
    UNIQUE (exchange, symbol)) STRICT;
CREATE TABLE ohlcv (
    series INTEGER NOT NULL REFERENCES series (id), ts INTEGER NOT NULL,
    open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL, volume REAL NOT NULL,
    minutes INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (series, ts),
    CHECK (low > 0 AND high >= open AND high >= close AND low <= open AND low <= close
           AND high < 1e300 AND volume >= 0 AND volume < 1e300 AND ts % 60000 = 0 AND minutes > 0)
    ) STRICT, WITHOUT ROWID;
CREATE TABLE sync_checkpoint (
    exchange TEXT NOT NULL, symbol TEXT NOT NULL, start_ts INTEGER NOT NULL, frontier INTEGER NOT NULL,
    PRIMARY KEY (exchange, symbol, start_ts), CHECK (frontier >= start_ts)) STRICT, WITHOUT ROWID;
CREATE TABLE gaps (
    exchange TEXT NOT NULL, symbol TEXT NOT NULL, start_ts INTEGER NOT NULL, end_ts INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (exchange, symbol, start_ts), CHECK (end_ts >= start_ts)) STRICT, WITHOUT ROWID;
CREATE TABLE absent (
    exchange TEXT NOT NULL, symbol TEXT NOT NULL, start_ts INTEGER NOT NULL, end_ts INTEGER NOT NULL,
    first_seen INTEGER NOT NULL, PRIMARY KEY (exchange, symbol, start_ts)) STRICT, WITHOUT ROWID;
CREATE TABLE dirty (
    exchange TEXT NOT NULL, symbol TEXT NOT NULL, start_ts INTEGER NOT NULL, end_ts INTEGER NOT NULL,
    PRIMARY KEY (exchange, symbol, start_ts, end_ts)) STRICT, WITHOUT ROWID;
CREATE TABLE revisions (
    id INTEGER PRIMARY KEY, series INTEGER NOT NULL REFERENCES series (id), ts INTEGER NOT NULL,
    open REAL, high REAL, low REAL, close REAL, volume REAL, minutes INTEGER, frontier INTEGER NOT NULL) STRICT;
CREATE INDEX revisions_span ON revisions (series, ts);
CREATE TABLE funding (
    exchange TEXT NOT NULL, symbol TEXT NOT NULL, ts INTEGER NOT NULL, rate REAL NOT NULL,
    PRIMARY KEY (exchange, symbol, ts)) STRICT, WITHOUT ROWID;
CREATE TABLE configs (
    config_hash TEXT PRIMARY KEY, body TEXT NOT NULL, first_ts INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE signals (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, short_id TEXT NOT NULL,
    exchange TEXT NOT NULL, symbol TEXT NOT NULL, timeframe TEXT NOT NULL,
    ts INTEGER NOT NULL, decided_ts INTEGER NOT NULL, start_ts INTEGER NOT NULL, end_ts INTEGER NOT NULL,
    setup TEXT NOT NULL, direction TEXT NOT NULL CHECK (direction IN ('long', 'short')),
    entry REAL NOT NULL, sl REAL NOT NULL, tp1 REAL, tp2 REAL, avwap REAL,
    leverage INTEGER NOT NULL, risk_pct REAL NOT NULL, qty REAL NOT NULL CHECK (qty > 0), notional REAL NOT NULL,
    tick REAL NOT NULL, lot REAL NOT NULL, min_notional REAL NOT NULL,
    tp1_net_pct REAL, cost_r REAL NOT NULL, trend TEXT NOT NULL, vol TEXT NOT NULL,
    ml_p_raw REAL, ml_p REAL, ev_pct REAL, model TEXT,
    verdict TEXT NOT NULL CHECK (verdict IN ('pass', 'refused')), reason TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('live', 'retro')), late INTEGER NOT NULL DEFAULT 0,
    revised INTEGER NOT NULL DEFAULT 0, in_sample INTEGER NOT NULL DEFAULT 0, rationale TEXT NOT NULL,
    config_hash TEXT NOT NULL REFERENCES configs (config_hash),
    liq REAL NOT NULL, market INTEGER NOT NULL, trail_mult REAL, max_hold INTEGER NOT NULL, expires_ts INTEGER NOT NULL
    ) STRICT;
CREATE INDEX signals_time ON signals (exchange, symbol, decided_ts);
CREATE INDEX signals_short ON signals (short_id);
CREATE TABLE positions (
    signal INTEGER PRIMARY KEY REFERENCES signals (n), symbol_id INTEGER NOT NULL REFERENCES symbols (id),
    status TEXT NOT NULL, exit_reason TEXT, opened_ts INTEGER, fill REAL, stop REAL, stop_reason TEXT,
    best REAL, worst REAL, tp1_ts INTEGER, tp1_price REAL, closed_ts INTEGER, exit_price REAL,
    mae_pct REAL, mfe_pct REAL, gross_pct REAL, fees_pct REAL, slippage_pct REAL,
    funding_pct REAL, funding_known INTEGER,
    pnl_pct REAL, pnl_usd REAL, r_multiple REAL) STRICT;
CREATE INDEX positions_open ON positions (symbol_id) WHERE closed_ts IS NULL;
CREATE INDEX positions_closed ON positions (symbol_id, closed_ts) WHERE closed_ts IS NOT NULL;
CREATE TABLE events (
    signal INTEGER NOT NULL REFERENCES signals (n), leg INTEGER NOT NULL, ts INTEGER NOT NULL, event TEXT NOT NULL,
    price REAL, fraction REAL, fee_pct REAL, PRIMARY KEY (signal, leg)) STRICT, WITHOUT ROWID;
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL UNIQUE, created_ts INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'unknown', 'expired', 'failed')),
    sent_ts INTEGER, attempts INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0, error TEXT,
    body TEXT NOT NULL, not_before INTEGER NOT NULL DEFAULT 0, expires_ts INTEGER, message_id TEXT) STRICT;
CREATE INDEX alerts_due ON alerts (state, id);
CREATE TABLE models (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL, created_ts INTEGER NOT NULL,
    promoted_ts INTEGER, retired_ts INTEGER, card TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE trials (
    id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, kind TEXT NOT NULL, params TEXT NOT NULL,
    score REAL, detail TEXT) STRICT;
CREATE TABLE job_runs (
    id INTEGER PRIMARY KEY, job TEXT NOT NULL, due_ts INTEGER NOT NULL, started_ts INTEGER, ended_ts INTEGER,
    state TEXT NOT NULL CHECK (state IN ('ok', 'failed', 'missed', 'overlapped')), rows INTEGER, error TEXT) STRICT;
CREATE INDEX job_runs_time ON job_runs (due_ts);
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, detail TEXT) STRICT;
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE counts (
    exchange TEXT NOT NULL, symbol TEXT NOT NULL, timeframe TEXT NOT NULL, day INTEGER NOT NULL, name TEXT NOT NULL,
    n INTEGER NOT NULL, PRIMARY KEY (exchange, symbol, timeframe, day, name)) STRICT, WITHOUT ROWID;
CREATE VIEW candles AS
    SELECT s.exchange, s.symbol, s.timeframe, o.ts, o.open, o.high, o.low, o.close, o.volume, o.minutes
    FROM ohlcv o JOIN series s ON s.id = o.series;
CREATE VIEW trades AS
    SELECT g.id AS signal_id, p.status, p.opened_ts, p.tp1_ts, p.closed_ts, p.exit_price, p.exit_reason,
           {", ".join("p." + name.strip() for name in _MONEY.split(","))}, p.mae_pct, p.mfe_pct,
           coalesce(p.closed_ts, s.followed_ts - 60000) AS seen_ts, p.fill, p.stop, p.tp1_price
    FROM positions p JOIN signals g ON g.n = p.signal JOIN symbols s ON s.id = p.symbol_id;
CREATE VIEW trade_events AS
    SELECT g.id AS signal_id, e.ts, e.event, e.price, e.fraction, e.fee_pct
    FROM events e JOIN signals g ON g.n = e.signal;
"""

# What governed decisions from promoted_ts on (rule 32); model NULL = none. A model may come back, so that the
# history is a table of its own; promoted_ts and retired_ts of `models` mirror its newest entry.
_PROMOTIONS = """
CREATE TABLE promotions (
    n INTEGER PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('meta', 'thresholds', 'drift')),
    model TEXT REFERENCES models (id), promoted_ts INTEGER NOT NULL, ts INTEGER NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL, detail TEXT NOT NULL DEFAULT '{}') STRICT;
CREATE TRIGGER trials_stay BEFORE DELETE ON trials BEGIN SELECT RAISE(ABORT, 'the trial log only grows'); END;
CREATE TRIGGER trials_keep BEFORE UPDATE ON trials BEGIN SELECT RAISE(ABORT, 'the trial log only grows'); END;
"""

# Alerts for more than one chat. `alerts` keeps what became of a message in the owner's chat, `copies` what became of
# it in every other one; `told` says which message announced a plan, so that what happens later answers it.
_CHATS = """
ALTER TABLE alerts ADD COLUMN signal INTEGER REFERENCES signals (n);
ALTER TABLE alerts ADD COLUMN reply_to INTEGER REFERENCES alerts (id);
CREATE TABLE told (
    signal INTEGER PRIMARY KEY REFERENCES signals (n), alert INTEGER REFERENCES alerts (id)) STRICT;
CREATE TABLE chats (
    chat TEXT PRIMARY KEY, role TEXT NOT NULL CHECK (role IN ('owner', 'viewer', 'channel')),
    active INTEGER NOT NULL, muted_until INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
CREATE TABLE copies (
    chat TEXT NOT NULL REFERENCES chats (chat), alert INTEGER NOT NULL REFERENCES alerts (id),
    state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'unknown', 'expired', 'failed')),
    sent_ts INTEGER, attempts INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0, error TEXT,
    not_before INTEGER NOT NULL DEFAULT 0, message_id TEXT, PRIMARY KEY (chat, alert)) STRICT, WITHOUT ROWID;
CREATE INDEX copies_due ON copies (chat, state, alert);
CREATE TABLE taken (
    signal INTEGER PRIMARY KEY REFERENCES signals (n), who TEXT NOT NULL, ts INTEGER NOT NULL,
    price REAL NOT NULL CHECK (price > 0), exit_ts INTEGER, exit_price REAL CHECK (exit_price > 0)) STRICT;
INSERT INTO told SELECT g.n, a.id FROM positions p JOIN signals g ON g.n = p.signal
    JOIN alerts a ON a.key = 'signal:' || g.symbol || ':' || g.direction || ':' || g.decided_ts
    WHERE p.closed_ts IS NULL AND g.origin = 'live' AND g.verdict = 'pass' AND g.late = 0;
"""

MIGRATIONS: tuple[tuple[str, str], ...] = (
    ("first schema", _FIRST),
    ("promotion history", _PROMOTIONS),
    ("chats", _CHATS),
)


def migrate(con: sqlite3.Connection) -> int:
    """Bring the file to this program's schema; returns the number of steps applied.

    Raises ArtifactError for a file of a newer program. A kill at any moment leaves the old schema or
    the new one, never something between, because SQLite's DDL is transactional.
    """
    check_version(con)
    done = _version(con)
    for number, (_name, script) in enumerate(MIGRATIONS[done:], start=done + 1):
        con.execute("BEGIN IMMEDIATE")
        try:
            if _version(con) >= number:  # another process was quicker
                con.execute("COMMIT")
                continue
            for statement in _statements(script):
                con.execute(statement)
            con.execute(f"PRAGMA user_version={number}")
            con.execute("COMMIT")
        except BaseException:
            if con.in_transaction:
                con.execute("ROLLBACK")
            raise
    return len(MIGRATIONS) - done


def check_file(con: sqlite3.Connection) -> None:
    """Refuse a file of a newer program, and one that another program made. Raises ArtifactError. Reads only."""
    check_version(con)
    if _version(con) == 0 and con.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise ArtifactError(
            "the file holds tables of another program (the earlier Trader_AI's, perhaps): it was left as it is; "
            "move it aside, or choose another app.db_path or --db"
        )


def check_version(con: sqlite3.Connection) -> None:
    """Refuse a file written by a newer program. Raises ArtifactError."""
    found = _version(con)
    if found > len(MIGRATIONS):
        raise ArtifactError(
            f"the database has schema {found}, this program knows {len(MIGRATIONS)}: "
            f"update the program, or use the backup made before the update"
        )


def version(con: sqlite3.Connection) -> int:
    """The schema's number in a file: 0 where it holds nothing of this program."""
    return _version(con)


def _version(con: sqlite3.Connection) -> int:
    return int(con.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    return [part.strip() for part in script.split(";\n") if part.strip()]
