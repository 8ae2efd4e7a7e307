"""`retro_scan.py --walk-forward`: the whole system as it would have lived, and what came of it."""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.cli import opening
from core.cli.options import UsageError, check_span
from core.cli.progress import Bar
from core.cli.screen import Out, counted, table
from core.clock import SystemClock
from core.config import Config
from core.engine import lived, lived_figures
from core.engine.context import Context
from core.errors import ArtifactError
from core.store.db import Database
from core.store.lived import copy_market
from core.store.lock import WriterLock
from core.timeframe import show_time

_DOOR = "retro_scan.py --walk-forward"
_SYSTEM = (("system", "all it let pass"), ("filter", "  judged by a model"), ("ungated", "  no model acted"),
           ("refused", "refused by the filter"), ("admission", "refused before it"))
_HEAD = ("", "plans", "trades", "coverage", "won", "95 % interval", "break-even", "R per trade", "95 % interval",
         "total R", "drawdown R", "USD", "drawdown USD")


def run(args: Namespace, out: Out) -> int:
    """Live through the time, and print the equity curve of the system."""
    if args.stride != 1 or args.limit_per_pair is not None:
        raise UsageError("--stride and --limit-per-pair thin the plans out: a system that lives takes them all")
    clock = SystemClock()
    check_span(args.start, args.end, clock.now())
    cfg = opening.config(args)
    cfg = replace(cfg, symbols=opening.symbols(cfg, args.symbols))
    began, bar = clock.monotonic(), Bar(out.err, clock, "walk-forward", "weeks")
    with _file(args, cfg, out) as ctx:
        names = opening.timeframes(ctx, args.timeframes)
        if names:
            ctx = replace(ctx, cfg=replace(cfg, timeframes=names))
        span, counts = lived.run(ctx, args.start, args.end, bar)
        bar.close()
        found = {**lived_figures.figures(ctx, span), "counts": dict(sorted(counts.items())), "file": str(ctx.db.path),
                 "seconds": round(clock.monotonic() - began, 1)}
    out.result(found)
    for line in lines(found):
        out.say(line)
    return 0


@contextmanager
def _file(args: Namespace, cfg: Config, out: Out) -> Iterator[Context]:
    # The file itself, or a new one with the candles of it: the same command goes on in either.
    if args.into is None:
        with opening.writer(args, cfg, _DOOR) as ctx:
            yield ctx
        return
    source, path = opening.existing(opening.db_path(args, cfg)), Path(args.into).expanduser()
    if path.exists() and path.samefile(source):
        raise ArtifactError(f"--into {path} is the file itself: leave it out, or name another")
    with WriterLock(path, _DOOR):
        fresh = not path.exists()
        db = Database(path)
        try:
            if fresh or lived.untouched(db):
                n = copy_market(source, db.con)
                out.note(f"{path}: {counted(n, 'candle')} of {source} copied")
            yield Context(cfg, db, opening.clock_for(db, cfg))
        finally:
            db.close()


def lines(found: Mapping[str, Any]) -> list[str]:
    """The report for people."""
    groups, hold, learned = found["groups"], found["hold"], found["learned"]
    return [
        f"Lived      {show_time(found['from'])} to {show_time(found['to'])}, {counted(found['weeks'], 'week')}; "
        f"file {found['file']}",
        *_written(found["counts"]),
        "",
        *table(_HEAD, [_row(title, groups[name]) for name, title in _SYSTEM]),
        f"buy and hold of the same coins: {_usd(hold['profit_usd'])} USD ({_pct(hold['profit_pct'], 1, sign=True)}), "
        f"drawdown {_pct(hold['drawdown_pct'])}",
        *_broke(found),
        *_learning(learned),
        "",
        *_curve(found),
        "",
        "Out of sample by construction: each plan was judged by the model of its time, trained on what was known then.",
        f"Sizes are those of the plans for {found['equity_usd']:,.0f} USD, nothing is compounded; coverage is of all "
        "plans that admission",
        "let pass; intervals by week. Refused plans are followed on paper. Net of fees, slippage and known funding.",
        f"Time       {found['seconds']:.0f} s",
    ]


def _written(counts: Mapping[str, int]) -> list[str]:
    said = f"Rows       {counts.get('written', 0):,} written"
    if counts.get("existing"):
        said += f"; {counts['existing']:,} were there: they stay, and since the start have the verdict of their time"
    failed = counts.get("weekly_failed", 0)
    return [said, *([f"           {counted(failed, 'weekly run')} failed: see job_runs"] if failed else [])]


def _row(title: str, g: Mapping[str, Any]) -> tuple[object, ...]:
    return (title, g["plans"], g["trades"], _pct(g["coverage_pct"]), _pct(g["win_pct"]),
            _between(_pct(g["win_low_pct"]), _pct(g["win_high_pct"])), _pct(g["break_even_pct"]),
            _num(g["expectancy_r"]), _between(_num(g["expectancy_r_low"]), _num(g["expectancy_r_high"])),
            _num(g["total_r"], 1), _num(g["drawdown_r"], 1, sign=False), _usd(g["profit_usd"]),
            f"{g['drawdown_usd']:,.0f}")


def _broke(found: Mapping[str, Any]) -> list[str]:
    system = found["groups"]["system"]
    said = f"up to {counted(system['most_open'], 'plan')} open at once: there are no account limits yet"
    if system["ruined_ts"] is None:
        return [said]
    return [f"{said}, and {found['equity_usd']:,.0f} USD would have been used up on {show_time(system['ruined_ts'])}: "
            "what comes after is arithmetic"]


def _learning(learned: Mapping[str, Any]) -> list[str]:
    done = f"{counted(learned['trainings'], 'weekly training')}, {counted(learned['models'], 'model')} made"
    said = [f"Learning   {done}, "
            f"{learned['promoted']:,} promoted; governs at the end: {learned['governs'] or 'none, it only observes'}"]
    for c in learned["changes"]:
        what = c["model"] or "no model"
        said.append(f"           {show_time(c['governs_from'])}  {c['kind']}: {c.get('level') or what} ({c['who']}): "
                    f"{c['why'][:150]}")
    return said


def _curve(found: Mapping[str, Any], most: int = 110) -> list[str]:
    head = ("week from", "trades", "R", "USD", "equity USD", "equity R", "of it judged", "R", "refused", "R", "holding")
    rows = [(show_time(w["week"])[:10], w["system_n"], _num(w["system_r"], 1), _usd(w["system_usd"]),
             f"{w['equity_usd']:,.0f}", _num(w["equity_r"], 1), w["filter_n"], _num(w["filter_r"], 1), w["refused_n"],
             _num(w["refused_r"], 1), f"{w['hold_usd']:,.0f}") for w in found["by_week"][-most:]]
    return table(head, rows)


def _pct(value: float | None, digits: int = 0, *, sign: bool = False) -> str:
    return "-" if value is None else f"{value:{'+' if sign else ''}.{digits}f} %"


def _num(value: float | None, digits: int = 2, *, sign: bool = True) -> str:
    return "-" if value is None else f"{value:{'+' if sign else ''},.{digits}f}"


def _usd(value: float | None) -> str:
    return "-" if value is None else f"{value:+,.0f}"


def _between(low: str, high: str) -> str:
    return "-" if low == "-" else f"{low} to {high}"
