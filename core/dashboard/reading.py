"""The pages' way to the file: short read-only looks, and what to say where there is nothing to see."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.config import Config, load
from core.engine import opening
from core.engine.context import Context
from core.errors import ConfigError
from core.notify import redact
from core.signals.setups import REGISTRY
from core.store import candles, reads, runs
from core.store.lock import holder
from core.store.reads import NotReadable
from core.timeframe import MINUTE, show_span, show_time

LATE = 5 * MINUTE  # a finished minute older than this is told in red
FINE, BEHIND, STOPPED, CONFIG = "fine", "behind", "stopped", "config"

Stamp = tuple[object, ...]


@dataclass(frozen=True)
class State:
    """What can be seen of the file now.

    kind: FINE, BEHIND, STOPPED, CONFIG or one of core.store.reads. sentence: in words. what_to_do: as
    Markdown, may be empty. now: by the file's clock; frontier: minutes before it are known, of the symbol
    that is furthest behind. daemon: who holds the writer's lock. label: of a market that is not live.
    """

    kind: str
    sentence: str
    what_to_do: str = ""
    now: int = 0
    frontier: int | None = None
    daemon: str | None = None
    label: str = ""

    @property
    def blocks(self) -> bool:
        """Whether there is nothing to show but this."""
        return self.kind not in (FINE, BEHIND, STOPPED)

    @property
    def age(self) -> int | None:
        """How long ago the last finished minute ended, in ms."""
        return None if self.frontier is None else max(0, self.now - self.frontier)


class NotReady(Exception):
    """There is nothing to show, and `state` says why."""

    def __init__(self, state: State) -> None:
        super().__init__(state.sentence)
        self.state = state


@dataclass(frozen=True)
class Source:
    """Where the pages read: a configuration, and the database that it or `db` names."""

    config: Path
    db: Path | None = None

    def settings(self) -> Config:
        """The configuration, read again only where its file has changed. Raises ConfigError."""
        found = self.config.stat() if self.config.exists() else None
        return _settings(self.config, (found.st_mtime_ns, found.st_size) if found else None)

    @property
    def path(self) -> Path:
        """The database. Raises ConfigError."""
        return self.db or Path(self.settings().app.db_path)

    @contextmanager
    def read(self) -> Iterator[Context]:
        """A context to read from, closed with the block: keep it short, and compute outside of it.

        Its clock is the machine's, or stands where a replayed market stands; its label says so. Raises NotReady.
        """
        try:
            cfg = self.settings()
            with reads.looking(self.path) as db:
                yield Context(cfg, db, opening.clock_for(db, cfg), label=opening.market_label(db))
        except NotReadable as error:
            raise NotReady(_unreadable(error, self)) from error
        except ConfigError as error:
            raise NotReady(State(CONFIG, "The configuration cannot be used.", _mend(error, self.config))) from error

    def stamp(self) -> Stamp:
        """Something cheap that changes with the file: a key for what is kept between refreshes."""
        return reads.file_stamp(self.path)


@lru_cache(maxsize=4)
def _settings(path: Path, _stamp: tuple[int, int] | None) -> Config:
    cfg = load(path, REGISTRY)
    redact.install((cfg.notify.telegram.bot_token,))
    return cfg


def look(source: Source) -> State:
    """What can be seen of the file now; never raises for a file that cannot be shown."""
    try:
        with source.read() as ctx:
            return _seen(ctx)
    except NotReady as error:
        return error.state


def _seen(ctx: Context) -> State:
    con, now, daemon = ctx.db.con, ctx.clock.now(), holder(ctx.db.path)
    known = candles.stretches(con, ctx.exchange_id)
    frontiers = [known[symbol][-1].frontier for symbol in ctx.cfg.symbols if symbol in known]
    if not frontiers:
        return _no_candles(ctx, now, daemon)
    frontier = min(frontiers)
    age = show_span(max(0, now - frontier))
    last = f"last finished minute {show_time(frontier - MINUTE)}"
    if ctx.label:
        return _of_replay(ctx, now, frontier, daemon, last)
    if daemon is None or "scheduler_run" not in daemon:
        who = f"; {daemon} is working on the file" if daemon else ""
        return State(STOPPED, f"The daemon is not running{who}: {last}, {age} ago.", _START, now, frontier, daemon)
    if now - frontier > LATE:
        down = runs.get(con, "exchange_down_since")
        why, what = (f"the exchange has not answered since {show_time(down)}", _AWAY) if down else (
            "the daemon is catching up, or one symbol waits", _CATCHING_UP)
        return State(BEHIND, f"The data are {age} behind: {why}; {last}.", what, now, frontier, daemon)
    return State(FINE, f"Running: {last}, {age} ago.", "", now, frontier, daemon)


def _of_replay(ctx: Context, now: int, frontier: int, daemon: str | None, last: str) -> State:
    if daemon is None:
        return State(STOPPED, f"The replay is not running: it stands at {show_time(frontier)}.",
                     f"`python scheduler_run.py --demo --db {ctx.db.path}` goes on with it.", now, frontier, None,
                     ctx.label)
    return State(FINE, f"The replay is running: {last}.", "", now, frontier, daemon, ctx.label)


def _no_candles(ctx: Context, now: int, daemon: str | None) -> State:
    if daemon:
        return State(reads.EMPTY, "The first candles are on their way.",
                     f"{daemon} is at work on `{ctx.db.path}`. This page comes to life by itself.", now, None, daemon,
                     ctx.label)
    return State(reads.EMPTY, f"`{ctx.db.path}` holds no candles of {ctx.exchange_id} yet.", _FIRST, now, None, None,
                 ctx.label)


def _unreadable(error: NotReadable, source: Source) -> State:
    path = source.path
    sentence, what = _SAY[error.kind]
    told = f"\n\nExactly: {error}" if error.kind not in (reads.MISSING, reads.EMPTY) else ""
    return State(error.kind, sentence.format(path=path), what.format(path=path) + told)


def _mend(error: ConfigError, path: Path) -> str:
    return (f"`python -m core check-config --config {path}` lists every mistake with its line. This page reads the "
            f"file again by itself.\n\n```\n{redact.hide(str(error))}\n```")


_START = "Start it: `python scheduler_run.py`. What it missed meanwhile is caught up by itself."
_AWAY = "Nothing has to be done: it is asked every minute, and missed minutes are caught up in order."
_CATCHING_UP = ("It catches up by itself. If it stays behind, look at the page **System**: job runs and lags by "
                "symbol.")
_FIRST = """Any of these fills it:

- `python scheduler_run.py`: the daemon on the configured exchange (public data, no keys); the newest three days first
- `python download_data.py`: all of the history at once, with a progress bar
- `python -m core import-candles PATH`: candles that you already have
- `make demo`: a replayed market, in a file of its own"""
_SAY = {
    reads.MISSING: ("There is no database at `{path}` yet.", _FIRST + "\n\nOr open another file: `streamlit run "
                    "dashboard.py -- --db FILE`. This page comes to life by itself."),
    reads.EMPTY: ("`{path}` is empty.", _FIRST),
    reads.FOREIGN: ("`{path}` was made by another program.", "It was left as it is. Move it aside, or open another "
                    "file: `streamlit run dashboard.py -- --db FILE`."),
    reads.OLD: ("`{path}` was made by an older version of this program.", "**Start the daemon once with this "
                "version** (`python scheduler_run.py --db {path}`), or run `python -m core init-db --db {path}`: that "
                "brings the file up to date, in one step that cannot be left half done. The dashboard only reads, and "
                "never does it itself. A backup before it: `python -m core backup FILE --db {path}`."),
    reads.NEWER: ("`{path}` was made by a newer version of this program.", "Update the program and start the dashboard "
                  "again, or open the backup made before the update: `streamlit run dashboard.py -- --db FILE`."),
    reads.DAMAGED: ("`{path}` is damaged.", "Nothing was changed in it. Stop the daemon, move the file aside with its "
                    "`-wal` and `-shm`, and put the newest backup in its place; docs/OPERATIONS.md, \"A damaged "
                    "file\", has all steps."),
    reads.UNREADABLE: ("`{path}` cannot be read now.", "See to its folder, its rights and the disk, and whether "
                       "another tool holds it locked. This page tries again by itself."),
}
