"""`audit`: the truth scorecard, the verdict first. It reads the database only, and fails where a bar is not met."""

import textwrap
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.cli import opening
from core.cli.progress import Bar
from core.cli.screen import Out
from core.clock import SystemClock
from core.config import Config
from core.engine.audit import record, scorecard
from core.engine.audit.record import Row, Scorecard
from core.engine.context import Context
from core.engine.figures import plain
from core.store import runs

_MARKS = {True: ("holds", "green"), False: ("FAILS", "red"), None: ("not measured", "yellow")}
_WIDTH = 110


def run(args: Namespace, out: Out) -> int:
    """Measure, print the rows, leave them for the dashboard, write the page if asked; 1 where a row fails."""
    cfg, clock = opening.config(args), SystemClock()
    size = record.QUICK if args.quick else record.FULL
    began, bar = clock.monotonic(), Bar(out.err, clock, "audit", "steps")
    with _data(args, cfg) as ctx:
        card = scorecard.run(cfg, ctx, size, args.seed, bar)
    bar.close()
    seconds = round(clock.monotonic() - began, 1)
    found = plain({**card.plain(), "seconds": seconds, "made_ts": clock.now()})
    out.result(found)
    for line in _lines(card, out, seconds):
        out.say(line)
    out.note(f"kept for the dashboard as {record.keep(Path(cfg.app.data_dir), found)}")
    if args.page:
        Path(args.page).expanduser().write_text(record.page(card), encoding="utf-8")
        out.note(f"written to {args.page}")
    return 0 if card.passed else 1


@contextmanager
def _data(args: Namespace, cfg: Config) -> Iterator[Context | None]:
    # A database that is named must be there; the configured one may not exist yet.
    if args.db is None and not opening.db_path(args, cfg).exists():
        yield None
        return
    with opening.reader(args, cfg) as ctx:
        if runs.get(ctx.db.con, opening.VIRTUAL) is not None:
            ctx.label = "a replayed or generated market, not live candles"
        yield ctx


def _lines(card: Scorecard, out: Out, seconds: float) -> Iterator[str]:
    colour = "green" if card.passed else "red"
    yield out.out.paint(card.verdict, "bold", colour)
    yield (f"{card.made_with['size']} form, seed {card.made_with['seed']}, code {card.made_with['code']}, data: "
           f"{card.made_with['data']}, {seconds:.0f} s")
    yield ""
    for row in card.rows:
        yield from _row(row, out)


def _row(row: Row, out: Out) -> Iterator[str]:
    told, colour = _MARKS[row.passed]
    yield f"{row.number:2d}  {out.out.paint(told, 'bold', colour)}  {row.name}"
    for piece in [*row.value.split("; "), *([row.reason] if row.reason else ()), f"bar: {row.bar}"]:
        yield from textwrap.wrap(piece, _WIDTH, initial_indent="      ", subsequent_indent="        ")
