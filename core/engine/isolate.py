"""One symbol's failure never stops the others: one of the three places that catch everything."""

import logging
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import nullcontext

from core.store.db import Database

log = logging.getLogger(__name__)


def each_symbol(
    db: Database | None, symbols: Iterable[str], work: Callable[[str], None], failed: dict[str, str]
) -> list[str]:
    """Do `work` for each symbol, each in a savepoint of `db`'s transaction; returns those that succeeded.

    db: None where the work only reads.

    A fault of the file itself (full disk, corruption) concerns all and is passed on.
    """
    done = []
    for symbol in symbols:
        try:
            with db.savepoint() if db is not None else nullcontext():
                work(symbol)
        except sqlite3.OperationalError:
            raise
        except Exception as error:
            log.exception("%s failed", symbol)
            failed[symbol] = f"{type(error).__name__}: {error}"
        else:
            done.append(symbol)
    return done
