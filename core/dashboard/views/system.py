"""What the page System shows: jobs and how long they take, lags, gaps, the outbox, versions."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from core.dashboard import theme, words
from core.dashboard.words import Column
from core.timeframe import DAY, MINUTE, floor, show_span, show_time

Row = Mapping[str, Any]
Run = tuple[str, int, int | None, int | None, str]
Metric = tuple[str, str, str]

JOBS = (
    Column("job", "Job"), Column("ago", "Last run"), Column("state", "State"),
    Column("runs", "Runs in 24 h", "count"), Column("bad", "Not ok in 24 h", "count", "failed, missed or overlapped"),
    Column("usual_s", "Usual s", "number", "half of the runs of the last 24 h took less"),
    Column("worst_s", "Worst s", "number"), Column("rows", "Rows of the last", "count"), Column("error", "Error"),
)
FAILURES = (Column("due_ts", "Due", "time"), Column("job", "Job"), Column("state", "State"),
            Column("error", "Error", width="large"))
LAGS = (
    Column("symbol", "Symbol"), Column("behind", "Behind", "text", "age of the last finished minute"),
    Column("fetched", "Fetched to", "time"), Column("decided", "Decided to", "time"),
    Column("followed", "Followed to", "time"), Column("funding", "Funding known to", "time"),
    Column("first", "History from", "time"), Column("note", "Note"),
)
GAPS = (Column("symbol", "Symbol"), Column("start_ts", "From", "time"), Column("minutes", "Minutes", "count"),
        Column("reason", "Reason"))
ASKED = (Column("day", "Day (UTC)"), Column("ok", "Answered", "count"),
         Column("failed", "Failed", "count", "no answer, or none that could be read"),
         Column("limited", "Told to wait", "count", "the exchange asked to send less (429, 418); nothing is sent until "
                                                    "its time is over"))
ACTIONS = (Column("ts", "When", "time"), Column("who", "Who"), Column("what", "What"), Column("detail", "Detail"))

TICK = ("incremental_sync", "resample", "scan_signals", "execute_signals")
_SHADES = (theme.BLUE, theme.PURPLE, theme.ORANGE, theme.UP)


def jobs(last: Iterable[Row], runs: Sequence[Run], now: int) -> list[dict[str, Any]]:
    """One row for each job: its last run, and its runs of the last day. runs: those of the last day."""
    return [{**_one(row, [run for run in runs if run[0] == row["job"]]), "ago": words.ago(now, _last(row))}
            for row in last]


def _last(row: Row) -> int:
    return int(row["ended_ts"] or row["due_ts"])


def _one(row: Row, runs: Sequence[Run]) -> dict[str, Any]:
    took = [(end - begin) / 1000 for _, _, begin, end, _ in runs if begin is not None and end is not None]
    return {"job": row["job"], "state": row["state"], "rows": row["rows"], "error": row["error"] or "",
            "runs": len(runs), "bad": sum(state != "ok" for *_, state in runs),
            "usual_s": median(took) if took else None, "worst_s": max(took, default=None)}


def ticks(runs: Sequence[Run], since: int) -> dict[str, tuple[list[int], list[float]]]:
    """By stage of the tick: when it was due, and the seconds it took, for runs due since `since`."""
    found: dict[str, tuple[list[int], list[float]]] = {stage: ([], []) for stage in TICK}
    for job, due, begin, end, _ in runs:
        if job in found and due >= since and begin is not None and end is not None:
            found[job][0].append(due)
            found[job][1].append((end - begin) / 1000)
    return found


def tick_figure(stages: Mapping[str, tuple[list[int], list[float]]], dark: bool) -> dict[str, Any]:
    """Seconds that each tick took, by stage; 50 s is where it begins to be late."""
    # Bars on an axis of time are stacked by their place in the list: every stage has every tick.
    due = sorted({ts for times, _ in stages.values() for ts in times})
    series = []
    for (stage, (times, took)), shade in zip(stages.items(), _SHADES, strict=True):
        known = dict(zip(times, took, strict=True))
        series.append({"type": "bar", "name": stage, "stack": "tick", "barCategoryGap": "0%",
                       "itemStyle": {"color": shade}, "data": [[ts, known.get(ts, 0.0)] for ts in due]})
    return theme.option(
        dark, series=series, x={"type": "time", "splitLine": {"show": False}}, legend={"show": True},
        tooltip={"valueFormatter": "%.2f s", "axisPointer": {"type": "shadow"}}, grid={"top": 46})


def lags(rows: Iterable[Row], now: int, configured: Sequence[str]) -> list[dict[str, Any]]:
    """One row for each symbol, the one furthest behind on top."""
    found = [_lag(row, now, row["symbol"] in configured) for row in rows]
    return sorted(found, key=lambda r: (r["fetched"] is not None and r["fetched"], r["symbol"]))


def _lag(row: Row, now: int, configured: bool) -> dict[str, Any]:
    notes = [
        "" if configured else "no longer configured",
        f"ended {words.when(row['ended_ts'], now)}" if row["ended_ts"] else "",
        f"{row['stretches']} stretches: older history is still being fetched" if row["stretches"] > 1 else "",
    ]
    frontier = row["frontier"]
    return {"symbol": row["symbol"], "behind": "–" if frontier is None else show_span(max(0, now - frontier)),
            "fetched": frontier, "decided": row["scanned_ts"], "followed": row["followed_ts"],
            "funding": row["funding_ts"], "first": row["first_ts"], "note": "; ".join(filter(None, notes))}


def gaps(summary: Iterable[Row], now: int) -> str:
    """All gaps in one sentence."""
    found = list(summary)
    if not found:
        return "No gaps are recorded: every minute is there."
    parts = [f"{words.coin(g['symbol'])} {g['gaps']:,} ({g['minutes']:,} minutes, the newest until "
             f"{words.when(g['last_ts'] + MINUTE, now)})" for g in found]
    return "Minutes that the exchange does not have, never filled in: " + "; ".join(parts) + "."


def asked(known: Mapping[int, Mapping[str, int]], now: int) -> list[dict[str, Any]]:
    """Requests to the exchange, a row for each of the last seven UTC days, today on top."""
    days = [floor(now, DAY) - n * DAY for n in range(7)]
    return [{"day": show_time(day)[:10], **{c.key: known.get(day, {}).get(c.key, 0) for c in ASKED[1:]}}
            for day in days]


def outbox(alerts: Row, telegram: bool, now: int) -> list[str]:
    """The outbox in sentences: what waits and why, what went out today, what became of the rest."""
    waiting = alerts["waiting"]
    since = f" since {words.when(alerts['waiting_since'], now)}" if alerts["waiting_since"] else ""
    lines = [f"**{waiting:,} waiting{since}.**" if waiting else "Nothing is waiting."]
    if alerts["trouble"]:
        lines.append(f"The last trouble: {alerts['trouble']}")
    sent = ", ".join(f"{n} {kind}" for kind, n in sorted(alerts["sent"].items()))
    lines.append(f"Sent today: {sent or 'nothing'}.")
    states = ", ".join(f"{n:,} {state}" for state, n in sorted(alerts["states"].items()))
    lines.append(f"All: {states or 'none yet'}.")
    if not telegram:
        lines.append("Telegram is off (`notify.telegram.enabled`); alerts appear where the daemon runs.")
    return lines


def sizes(facts: Mapping[str, int], wal: int, free: int) -> list[Metric]:
    """The file as figures."""
    total = facts["page_count"] * facts["page_size"]
    unused = facts["freelist_count"] * facts["page_size"]
    return [
        ("Database", words.size(total), f"of it {words.size(unused)} free pages, given back daily"),
        ("WAL", words.size(wal), "cut to nothing every 30 minutes; it grows while a reader keeps an old state open"),
        ("Free on the disk", words.size(free), "below half a gigabyte the daemon warns"),
        ("Signals", words.count(facts["signals"]), "refused ones too"),
        ("Rewritten candles", words.count(facts["revisions"]), "the exchange changed them later; table `revisions`"),
    ]
