"""`inspect`: what the database holds."""

from argparse import Namespace
from typing import Any

from core.cli import opening
from core.cli.screen import Out, counted, size, table
from core.engine.context import Context
from core.store import reports, runs
from core.timeframe import show_time

_GAPS = 15


def run(args: Namespace, out: Out) -> int:
    """Print tables, series, stretches and gaps; reads only."""
    cfg = opening.config(args)
    with opening.reader(args, cfg) as ctx:
        found = gather(ctx)
    out.result(found)
    for line in _lines(found):
        out.say(line)
    return 0


def gather(ctx: Context) -> dict[str, Any]:
    """All that inspect shows; the candles are counted once, which takes a while on a large file."""
    con = ctx.db.con
    series = reports.series(con)
    return {
        "db": str(ctx.db.path),
        "bytes": ctx.db.path.stat().st_size,
        "replayed": runs.get(con, opening.VIRTUAL) is not None,
        "tables": reports.tables(con, {"ohlcv": sum(row["rows"] for row in series)}),
        "series": series,
        "stretches": reports.stretches(con),
        "gaps": reports.gaps(con),
    }


def _lines(found: dict[str, Any]) -> list[str]:
    many = len({row["exchange"] for row in found["series"]}) > 1
    replayed = ", a replayed market" if found["replayed"] else ""
    return [
        f"{found['db']}: {size(found['bytes'])}{replayed}",
        "",
        *table(("table", "rows"), found["tables"].items()),
        "",
        *table(
            ("symbol", "timeframe", "rows", "first", "last", "live from"),
            (
                (
                    _name(row, many),
                    row["timeframe"],
                    row["rows"],
                    show_time(row["first_ts"]),
                    show_time(row["last_ts"]),
                    show_time(row["live_from"]),
                )
                for row in found["series"]
            ),
            left=2,
        ),
        "",
        *table(
            ("stretch of", "from", "complete up to"),
            ((_name(row, many), show_time(row["start_ts"]), show_time(row["frontier"])) for row in found["stretches"]),
        ),
        "",
        *_gaps(found["gaps"], many),
    ]


def _gaps(gaps: list[dict[str, Any]], many: bool) -> list[str]:
    if not gaps:
        return ["no gaps are recorded"]
    minutes = sum((g["end_ts"] - g["start_ts"]) // 60_000 + 1 for g in gaps)
    newest = sorted(gaps, key=lambda g: -g["start_ts"])[:_GAPS]
    return [
        f"{counted(len(gaps), 'gap')}, {counted(minutes, 'minute')}"
        + (f"; the newest {_GAPS}:" if len(gaps) > _GAPS else ":"),
        *table(
            ("gap of", "first absent", "last absent", "minutes", "reason"),
            (
                (
                    _name(g, many),
                    show_time(g["start_ts"]),
                    show_time(g["end_ts"]),
                    (g["end_ts"] - g["start_ts"]) // 60_000 + 1,
                    g["reason"],
                )
                for g in newest
            ),
        ),
    ]


def _name(row: dict[str, Any], many: bool) -> str:
    return f"{row['exchange']} {row['symbol']}" if many else str(row["symbol"])
