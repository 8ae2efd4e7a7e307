"""Recompute a database's bars, signals and trades by the rules and list what differs.

This folder is the rules once more, written from docs/RULES.md alone: plain, slow, and independent of the
program (nothing here imports it), as an outsider would check its rows. Where the rules leave something
open the reading taken is marked `# CHOICE:`.

    python -m tests.reference.check_db data/ohlcv.db config.yaml bitget BTC/USDT:USDT 5m [START END]

Reads the file read-only through the tables and views that stay: candles, signals, trades, trade_events,
gaps, funding, revisions, series.
"""

import math
import sqlite3
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.reference.indicators import BLOCK
from tests.reference.lifecycle import follow
from tests.reference.resample import MINUTE, TIMEFRAMES, Bar, resample, stretches
from tests.reference.signals import remembered, setup_params, signals

Params = dict[str, Any]
Row = dict[str, Any]
MARKET = ("tick", "lot", "min_notional")
SIGNAL_EXACT = ("ts", "entry", "sl", "tp1", "tp2", "leverage", "trend", "vol")
SIGNAL_CLOSE = ("avwap", "risk_pct", "qty", "notional", "tp1_net_pct", "cost_r")
TRADE_EXACT = ("status", "opened_ts", "tp1_ts", "closed_ts", "exit_reason")
TRADE_CLOSE = ("exit_price", "gross_pct", "fees_pct", "slippage_pct", "funding_pct", "pnl_pct", "pnl_usd", "r_multiple",
               "mae_pct", "mfe_pct")


@dataclass
class Comparison:
    """What `compare` found; `skipped` rows have revised candles in their span (rule 31)."""

    differences: list[str] = field(default_factory=list)
    bars: int = 0
    signals: int = 0
    trades: int = 0
    skipped: int = 0


@dataclass
class Data:
    """All that a file holds of one symbol, and the stretch that is looked at."""

    minutes: list[Bar]
    stored_bars: list[Bar]
    rows: list[Row]
    trades: dict[Any, list[Row]]
    events: dict[Any, list[Row]]
    funding: list[tuple[int, float]]
    revised: list[int]
    live_from: int | None
    ended: bool
    stretch: tuple[int, int]


def same(ours: Any, theirs: Any, close: float | None = None) -> bool:
    """Equality; with `close` numbers may differ by that share (and by as much around 0)."""
    if ours is None or theirs is None or close is None:
        return bool(ours == theirs)
    return math.isclose(ours, theirs, rel_tol=close, abs_tol=close)


# --- reading -------------------------------------------------------------------------------------------

def query(db: sqlite3.Connection, sql: str, *values: Any) -> list[Row]:
    """Rows as dicts."""
    cursor = db.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def candles(db: sqlite3.Connection, *key: str) -> list[Bar]:
    """Stored bars of (exchange, symbol, timeframe)."""
    sql = ("SELECT ts, open, high, low, close, volume, minutes FROM candles"
           " WHERE exchange = ? AND symbol = ? AND timeframe = ? ORDER BY ts")
    return [Bar(*row) for row in db.execute(sql, key)]


def grouped(rows: Iterable[Row]) -> dict[Any, list[Row]]:
    """Rows by their signal_id."""
    result: dict[Any, list[Row]] = {}
    for row in rows:
        result.setdefault(row["signal_id"], []).append(row)
    return result


def choose_stretch(minutes: Sequence[Bar], gaps: Sequence[Row], anchor: int | None) -> tuple[int, int]:
    """The stretch that holds the minute before `anchor`, or else the longest one."""
    runs = stretches([bar.ts for bar in minutes], [(gap["start_ts"], gap["end_ts"]) for gap in gaps])
    for first, end in runs:
        if anchor is not None and first < anchor <= end:
            return first, end
    return max(runs, key=lambda run: run[1] - run[0], default=(0, 0))


def read(db: sqlite3.Connection, exchange: str, symbol: str, timeframe: str, start: int | None) -> Data:
    """Read everything about one symbol and timeframe."""
    pair, key = (exchange, symbol), (exchange, symbol, timeframe)
    mine = "exchange = ? AND symbol = ?"
    ids = f"signal_id IN (SELECT id FROM signals WHERE {mine} AND timeframe = ?)"
    minutes = candles(db, *pair, "1m")
    series = query(db, f"SELECT * FROM series WHERE {mine}", *pair)
    live_from = next((s["live_from"] for s in series if s["timeframe"] == timeframe), None)
    revised = query(db, "SELECT ts FROM revisions WHERE series IN"
                        f" (SELECT id FROM series WHERE {mine} AND timeframe = '1m')", *pair)
    gaps = query(db, f"SELECT start_ts, end_ts FROM gaps WHERE {mine}", *pair)
    return Data(
        minutes=minutes, stored_bars=candles(db, *key),
        rows=query(db, f"SELECT * FROM signals WHERE {mine} AND timeframe = ? ORDER BY decided_ts", *key),
        trades=grouped(query(db, f"SELECT * FROM trades WHERE {ids}", *key)),
        events=grouped(query(db, f"SELECT * FROM trade_events WHERE {ids}", *key)),
        funding=list(db.execute(f"SELECT ts, rate FROM funding WHERE {mine} ORDER BY ts", pair)),
        revised=sorted(r["ts"] for r in revised), live_from=live_from,
        ended=any(s.get("ended_ts") is not None for s in series),
        stretch=choose_stretch(minutes, gaps, start if start is not None else live_from))


# --- comparing -----------------------------------------------------------------------------------------

def compare_bars(data: Data, bars: Sequence[Bar], tf: int, out: Comparison) -> None:
    """Bars of the stretch, bit for bit, and none that has not ended."""
    first, end = data.stretch
    ours = {bar.ts: bar for bar in bars if bar.ts >= first}
    theirs = {bar.ts: bar for bar in data.stored_bars if first <= bar.ts < end}
    out.bars += len(ours)
    for ts in sorted(ours.keys() | theirs.keys()):
        if ours.get(ts) != theirs.get(ts):
            out.differences.append(f"bar {ts}: rules {ours.get(ts)}, stored {theirs.get(ts)}")


def identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes a candidate one (rule 9), with its decision."""
    return row["setup"], row["decided_ts"], row["start_ts"], row["end_ts"], row["direction"]


def market_of(row: Mapping[str, Any]) -> tuple[float, ...]:
    """Tick, lot and least notional stored with a row."""
    return tuple(row[name] for name in MARKET)


def setups_on(params: Params, timeframe: str) -> list[str]:
    """Setups that the config runs on a timeframe."""
    own = {setup: setup_params(params, setup) for setup in params["signals"]["setups"]}
    return [setup for setup, rules in own.items()
            if rules.get("enabled", True) and timeframe in rules.get("timeframes", (timeframe,))]


def expected(data: Data, bars: Mapping[str, Sequence[Bar]], timeframe: str, params: Params, span: tuple[int, int],
             markets: Sequence[tuple[float, ...]]) -> dict[tuple[float, ...], dict[tuple[Any, ...], Row]]:
    """The rules' rows by identity, once for each set of market facts met in the file."""
    result: dict[tuple[float, ...], dict[tuple[Any, ...], Row]] = {}
    for market in markets:
        here = {**params, "market": dict(zip(MARKET, market, strict=True))}
        rows: dict[tuple[Any, ...], Row] = {}
        for setup in setups_on(params, timeframe):
            found = signals(bars, timeframe, setup, here, *span, data.stretch[0])
            rows.update({identity(row): row for row in found})
        result[market] = rows
    return result


def touched(data: Data, row: Mapping[str, Any], tf: int, until: int) -> bool:
    """True if a candle in the row's input span was revised (rule 31)."""
    first = row["decided_ts"] - (300 + 2 * BLOCK) * tf
    return any(first <= ts <= until for ts in data.revised)


def verdict_differs(ours: Row, stored: Row) -> str | None:
    """The refusal; what the model's gate refused is its own affair."""
    if ours["refused"] and stored["verdict"] != "refused":
        return f"verdict: rules refuse ({', '.join(ours['refused'])}), stored {stored['verdict']}"
    if not ours["refused"] and stored["verdict"] == "refused" and stored["model"] is None:
        return f"verdict: rules pass, stored refused ({stored['reason']})"
    return None


def field_differences(ours: Mapping[str, Any], stored: Mapping[str, Any], exact: Sequence[str],
                      close: Sequence[str]) -> list[str]:
    """`field: rules X, stored Y` for each column that differs."""
    wrong = [name for name in exact if not same(ours[name], stored[name])]
    wrong += [name for name in close if not same(ours[name], stored[name], 1e-9)]
    return [f"{name}: rules {ours[name]!r}, stored {stored[name]!r}" for name in wrong]


def event_key(event: Mapping[str, Any]) -> tuple[int, str]:
    """Order in which events are compared."""
    return event["ts"], event["event"]


def event_differences(ours: Sequence[Row], stored: Sequence[Row]) -> list[str]:
    """Events by time and name; price, fraction and fee of the money legs."""
    ours, stored = sorted(ours, key=event_key), sorted(stored, key=event_key)
    if [event_key(e) for e in ours] != [event_key(e) for e in stored]:
        return [f"events: rules {[event_key(e) for e in ours]}, stored {[event_key(e) for e in stored]}"]
    pairs = [(a, b) for a, b in zip(ours, stored, strict=True) if a["event"] != "EXPIRED"]
    return [f"event {a['event']} {line}" for a, b in pairs
            for line in field_differences(a, b, (), ("price", "fraction", "fee_pct"))]


def trade_differences(row: Row, data: Data, bars: Sequence[Bar], params: Params, atr_at: Any) -> list[str]:
    """The life of a stored signal: what was stored against what its minutes give."""
    stored = data.trades.get(row["id"], [])
    if len(stored) != 1:
        return [f"{len(stored)} trades rows, 1 expected"]
    trade = stored[0]
    living = trade["status"] in ("PENDING", "OPEN", "TP1")
    end = data.stretch[1]
    if living:  # an unfinished plan has seen what its watermark says
        end = min(end, (trade["seen_ts"] or 0) + MINUTE)
    ours = follow(row, data.minutes, bars, params, data.funding, end, data.ended and not living, atr_at)
    found = field_differences(ours, trade, TRADE_EXACT, TRADE_CLOSE)
    if ours["funding_known"] and not trade["funding_known"]:
        found.append("funding_known: the rates around the trade are stored, the row says 0")
    return found + event_differences(ours["events"], data.events.get(row["id"], []))


def compare_signals(data: Data, table: dict[tuple[float, ...], dict[tuple[Any, ...], Row]], span: tuple[int, int],
                    tf: int, out: Comparison) -> list[Row]:
    """Signals both ways; returns the stored rows in the span."""
    stored = [row for row in data.rows if span[0] <= row["decided_ts"] < span[1]]
    seen = set()
    for row in stored:
        ours = table[market_of(row)].get(identity(row))
        seen.add(identity(row))
        if row["revised"] or touched(data, row, tf, row["decided_ts"]):
            out.skipped += 1
            continue
        out.signals += 1
        if ours is None:
            out.differences.append(f"signal {row['id']}: the rules give no such row")
            continue
        found = field_differences(ours, row, SIGNAL_EXACT, SIGNAL_CLOSE)
        verdict = verdict_differs(ours, row)
        out.differences += [f"signal {row['id']}: {line}" for line in found + ([verdict] if verdict else [])]
    for key, ours in missing_rows(stored, table, seen):
        if touched(data, ours, tf, ours["decided_ts"]):
            out.skipped += 1
        else:
            out.differences.append(f"signal {key}: not stored, the rules give it (refused: {ours['refused']})")
    return stored


def missing_rows(stored: Sequence[Row], table: dict[tuple[float, ...], dict[tuple[Any, ...], Row]],
                 seen: set[tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], Row]]:
    """Rows that the rules give and the file lacks, by the market facts of the stored row before them."""
    first = next(iter(table), None)
    result = []
    for market, rows in table.items():
        for key, row in rows.items():
            before = [r for r in stored if r["decided_ts"] <= row["decided_ts"]]
            in_force = market_of(before[-1]) if before else first
            if key not in seen and market == in_force:
                result.append((key, row))
    return result


def compare(db_path: str | Path, exchange: str, symbol: str, timeframe: str, params: Params,
            start: int | None = None, end: int | None = None,
            market: tuple[float, float, float] | None = None) -> Comparison:
    """Recompute one symbol and timeframe over start <= decided_ts < end.

    params: the sections of config.yaml as plain dicts, every key of `signals`, `risk` and `execution`
    present. start: default `live_from`, else the first stored row. end: default all that is known.
    market: (tick, lot, min_notional) where no stored row tells it.
    """
    db = sqlite3.connect(f"file:{Path(db_path).resolve()}?mode=ro", uri=True)
    try:
        data = read(db, exchange, symbol, timeframe, start)
    finally:
        db.close()
    tf, out = TIMEFRAMES[timeframe], Comparison()
    first, known = data.stretch
    decided = [row["decided_ts"] for row in data.rows]
    low = next((t for t in (start, data.live_from, min(decided, default=None)) if t is not None), 0)
    span = (low, known + 1 if end is None else min(end, known + 1))
    bars = resample({bar.ts: bar[1:6] for bar in data.minutes if bar.ts >= first}, known)
    compare_bars(data, bars[timeframe], tf, out)
    markets = list(dict.fromkeys([market_of(r) for r in data.rows] + ([market] if market else [])))
    if not markets:
        out.differences.append("no stored row tells tick and lot: hand in `market`")
    rows = compare_signals(data, expected(data, bars, timeframe, params, span, markets), span, tf, out)
    atr_at = remembered(bars[timeframe], params["execution"]["trail"]["atr_period"], tf)
    for row in rows:
        trade = (data.trades.get(row["id"]) or [{}])[0]
        if row["revised"] or touched(data, row, tf, trade.get("closed_ts") or known):
            continue
        out.trades += 1
        lines = trade_differences(row, data, bars[timeframe], params, atr_at)
        out.differences += [f"trade {row['id']}: {line}" for line in lines]
    return out


def check(db_path: str | Path, exchange: str, symbol: str, timeframe: str, params: Params, start: int | None = None,
          end: int | None = None, market: tuple[float, float, float] | None = None) -> list[str]:
    """The differences of `compare`, one line each; empty when the file agrees with the rules."""
    return compare(db_path, exchange, symbol, timeframe, params, start, end, market).differences


def main(args: Sequence[str]) -> int:
    """Command line: 0 when nothing differs, 1 when something does."""
    import yaml

    params = yaml.safe_load(Path(args[1]).read_text(encoding="utf-8"))
    start, end = ([int(time) for time in args[5:7]] + [None, None])[:2]
    found = compare(args[0], args[2], args[3], args[4], params, start, end)
    print("\n".join(found.differences))
    print(f"{found.bars} bars, {found.signals} signals, {found.trades} trades compared,"
          f" {found.skipped} skipped, {len(found.differences)} differences")
    return 1 if found.differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
