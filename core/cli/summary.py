"""Totals of a file as a few lines: what a run leaves behind."""

from collections.abc import Mapping
from typing import Any

from core.cli.screen import counted


def lines(found: Mapping[str, Any]) -> list[str]:
    """The dict of core.store.reports.summary (and of a demo's run) for people."""
    shown = [
        ("Candles", f"{found['candles']:,} minutes, {found['bars']:,} derived bars"),
        ("Candidates", f"{found['candidates']:,}{_named(found['dropped'], 'dropped: ')}"),
        (
            "Signals",
            f"{found['signals']:,}: {found['passed']:,} passed, {found['refused']:,} refused (followed on paper "
            "all the same)",
        ),
        (
            "Trades",
            f"{counted(found['trades_opened'], 'entry', 'entries')} filled{_named(found['trades_closed'], 'closed: ')}"
            f"{_named(found['trades_unfinished'], 'unfinished: ')}",
        ),
        ("Alerts", _plain(found["alerts"]) or "none"),
        ("Job runs", _plain(found["job_runs"]) or "none"),
    ]
    if "filter" in found:
        shown.append(("Filter", _filter(found)))
    if "seconds" in found:
        shown.append(("Time", f"{found['seconds']:.1f} s, up to {found['until']}"))
    return [f"{name:<11}{text}" for name, text in shown]


def _filter(found: Mapping[str, Any]) -> str:
    by = found["filter"]
    said = f"{by['passed']:,} plans passed, {by['refused']:,} refused by a model, {by['ungated']:,} not judged by one"
    model = found["model"]
    return f"{said}; {counted(found['promotions'], 'promotion')}, governs: {model or 'no model, it only observes'}"


def _named(values: Mapping[str, int], title: str) -> str:
    return f"; {title}{_plain(values)}" if values else ""


def _plain(values: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in sorted(values.items(), key=lambda item: -item[1]))
