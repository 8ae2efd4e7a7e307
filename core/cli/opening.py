"""What most commands begin with: the configuration, the file, and a clock that fits the file."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from core.cli.options import UsageError, names, nearest
from core.config import Config, load
from core.engine.context import Context
from core.engine.opening import VIRTUAL, clock_for, for_file
from core.errors import ArtifactError, ConfigError
from core.notify import redact
from core.signals.setups import REGISTRY
from core.store import runs
from core.store.db import Database
from core.store.lock import WriterLock


def config(args: Namespace) -> Config:
    """The configuration that --config names; its secrets are hidden from the logs from here on."""
    cfg = load(args.config, REGISTRY)
    redact.install((cfg.notify.telegram.bot_token,))
    return cfg


def db_path(args: Namespace, cfg: Config) -> Path:
    """The database that --db or the configuration names."""
    return Path(args.db or cfg.app.db_path)


def existing(path: Path) -> Path:
    """`path`, if there is a file. Raises ArtifactError."""
    if not path.exists():
        raise ArtifactError(
            f"no database at {path}: start the daemon or `python download_data.py`, or name one with --db"
        )
    return path


@contextmanager
def reader(args: Namespace, cfg: Config) -> Iterator[Context]:
    """A context that can only read; its clock stands at the end of a replayed market."""
    db = Database(existing(db_path(args, cfg)), readonly=True)
    try:
        yield Context(for_file(cfg, db), db, clock_for(db, cfg))
    finally:
        db.close()


@contextmanager
def writer(args: Namespace, cfg: Config, who: str, *, make: bool = False) -> Iterator[Context]:
    """A context that writes, under the writer's lock (rule 34). make: whether the file may be new."""
    path = db_path(args, cfg)
    with locked(path if make else existing(path), who) as db:
        yield Context(for_file(cfg, db), db, clock_for(db, cfg), config_path=Path(args.config))


@contextmanager
def locked(path: Path, who: str) -> Iterator[Database]:
    """The file, open for writing by this process alone."""
    with WriterLock(path, who):
        db = Database(path)
        try:
            yield db
        finally:
            db.close()


def refuse_replayed(db: Database) -> None:
    """Keep real candles out of a file that holds a replayed market. Raises ArtifactError."""
    if runs.get(db.con, VIRTUAL) is not None:
        raise ArtifactError(
            f"{db.path} holds a replayed market (a demo): real candles must not mix with it; "
            f"use another --db, or go on with `python scheduler_run.py --demo --db {db.path}`"
        )


def symbols(cfg: Config, given: list[str] | None) -> tuple[str, ...]:
    """The configured symbols that --symbols means; all where it is absent. `BTC` and `BTCUSDT` will do.

    Raises UsageError that suggests the nearest one.
    """
    return tuple(dict.fromkeys(_symbol(cfg, name) for name in names(given))) or cfg.symbols


def _symbol(cfg: Config, name: str) -> str:
    wanted = name.upper()
    fits = [s for s in cfg.symbols if wanted in _spellings(s)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UsageError(f"{name} may be {' or '.join(fits)}: write it in full")
    spelled = {spelling: symbol for symbol in cfg.symbols for spelling in _spellings(symbol)}
    raise UsageError(f"{name} is not among the configured symbols ({', '.join(cfg.symbols)}){nearest(name, spelled)}")


def _spellings(symbol: str) -> set[str]:
    pair = symbol.upper().partition(":")[0]
    return {symbol.upper(), pair, pair.replace("/", ""), pair.partition("/")[0]}


def timeframes(ctx: Context, given: list[str] | None) -> tuple[str, ...]:
    """The scanned timeframes that --timeframes names; all where it is absent. Raises UsageError."""
    known = ctx.scanned_timeframes()
    for name in names(given):
        if name not in known:
            raise UsageError(f"{name} is not among the scanned timeframes ({', '.join(known)}){nearest(name, known)}")
    return tuple(dict.fromkeys(names(given)))


def narrowed(cfg: Config, chosen: tuple[str, ...]) -> Config:
    """The configuration with only some of its symbols."""
    return replace(cfg, symbols=chosen)


def exchange_named(cfg: Config, exchange_id: str | None) -> Config:
    """The configuration for candles of another exchange. Raises ConfigError for an empty name."""
    if exchange_id is None:
        return cfg
    if not exchange_id.isalnum():
        raise ConfigError(f"--exchange {exchange_id!r} is not the name of an exchange")
    return replace(cfg, exchange=replace(cfg.exchange, id=exchange_id.lower()))
