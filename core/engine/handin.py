"""What other processes hand to the one that writes (rule 34): finished folders, and small requests.

Folders lie in `incoming` beside the models' folder, requests (promote, roll back) as JSON files in `inbox`.
The daemon works both off before its next scan. Each is done once, also after a kill between commit and removal.
"""

import hashlib
import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.engine import announce, promotion
from core.engine.context import Context
from core.engine.promotion import Done, Order
from core.engine.scoring import model_root
from core.errors import ArtifactError, DataError, TraderError
from core.meta import registry
from core.notify import messages
from core.store import runs
from core.store.models import META, THRESHOLDS, Trial
from core.timeframe import DAY

log = logging.getLogger(__name__)

INCOMING, INBOX, TAKEN, REFUSED = "incoming", "inbox", "taken", "refused"
LARGEST = 2**20  # bytes of a request

_BAD = (TraderError, OSError, KeyError, TypeError, ValueError, sqlite3.IntegrityError)


def ask(root: Path, db_path: Path, do: str, order: Order, **what: str) -> Path:
    """Leave a request for the process that writes to `db_path`; it is there whole or not at all.

    root: folder of the models. do: `promote` (model), `rollback`, `add` (folder). Raises ArtifactError.
    """
    request = {"do": do, "db": str(db_path.resolve()), "who": order.who, "why": order.why, "what": what}
    text = json.dumps(request, sort_keys=True)
    inbox = root.parent / INBOX
    name = f"{order.now:014d}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    part = inbox / f".{name}.{os.getpid()}"
    try:
        inbox.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.rename(inbox / name)
    except OSError as error:
        raise ArtifactError(f"{inbox} cannot be written: {error.strerror or error}") from error
    return inbox / name


def work_off(ctx: Context, now: int) -> list[str]:
    """Do what waits for this database, in the order it was made; a line for each. Nothing bad stops the rest."""
    said = []
    for path in _waiting(ctx, INCOMING):
        said += _attempt(ctx, path, now, lambda p: take_in(ctx, p, now))
    for path in _waiting(ctx, INBOX):
        said += _attempt(ctx, path, now, lambda p: _request(ctx, p, now))
    return said


def take_in(ctx: Context, folder: Path, now: int) -> Done | None:
    """Take a folder in that a training, calibration or tuning left: register, promote where better, log, tell.

    It then lies with the models, or in `taken`. None: it is another database's. Raises ArtifactError, DataError.
    """
    found = registry.read(folder)
    card = found.card
    if card["database"] != str(ctx.db.path.resolve()):
        return None
    home = _home(ctx, card, found.id)
    with ctx.db.lock:
        again = promotion.was_done(ctx.db.con, found.id)
    order = Order(str(card["job"]), "; ".join(map(str, card["verdict"]["why"])), now, found.id)
    done = Done(None, None, f"{found.id} was taken in before") if again else _take(ctx, folder, home, card, order)
    home.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(home)
    return done


def take_at_once(ctx: Context, folder: Path, due: int) -> Done:
    """Take in what the weekly run that was due at `due` (ms) has just made in this process, as of that time.

    It lies in its place first, so that a kill leaves at most a folder nobody knows: the run is then done again
    and makes the same. Raises ArtifactError, DataError.
    """
    found = registry.read(folder)
    home = _home(ctx, found.card, found.id)
    home.parent.mkdir(parents=True, exist_ok=True)
    if home.exists():
        shutil.rmtree(folder)
    else:
        folder.rename(home)
    order = Order(str(found.card["job"]), "; ".join(map(str, found.card["verdict"]["why"])), due, due=due)
    return _take(ctx, home, home, found.card, order)


def _home(ctx: Context, card: dict[str, Any], id: str) -> Path:
    return model_root(ctx) / id if card["kind"] == META else model_root(ctx).parent / TAKEN / id


def _take(ctx: Context, folder: Path, home: Path, card: dict[str, Any], order: Order) -> Done:
    trials, better = [Trial(**row) for row in card["trials"]], bool(card["verdict"]["better"])
    with ctx.db.lock:
        champion = promotion.current(ctx.db.con)
    if better and card.get("champion") != champion:
        # It was held against another model than the one that governs, or against none: that says nothing of this one.
        better = False
        order = order._replace(why=f"it was compared with {card.get('champion') or 'none'}, and {champion or 'none'} "
                                   "governs now")
    if card["kind"] == META:
        return promotion.register(ctx, folder, order, trials, better=better, home=home)
    if card["kind"] == THRESHOLDS and better:
        return promotion.promote_thresholds(ctx, card["table"], order, trials)
    return promotion.say(ctx, f"{order.who}: nothing changed", order, trials)


def _waiting(ctx: Context, name: str) -> Iterator[Path]:
    folder = model_root(ctx).parent / name
    return iter(sorted(p for p in folder.glob("*") if not p.name.startswith(".")))


def _attempt(ctx: Context, path: Path, now: int, work: Any) -> list[str]:
    try:
        done = work(path)
    except _BAD as error:
        return [_refuse(ctx, path, error, now)]
    return [] if done is None else [done.said]


def _request(ctx: Context, path: Path, now: int) -> Done | None:
    if path.is_symlink() or path.stat().st_size > LARGEST:
        raise DataError("it is not a request of this program")
    asked = json.loads(path.read_text(encoding="utf-8"))
    if asked["db"] != str(ctx.db.path.resolve()):
        return None
    with ctx.db.lock:
        again = promotion.was_done(ctx.db.con, path.name)
    order, what = Order(str(asked["who"]), str(asked["why"]), now, path.name), asked["what"]
    done = Done(None, None, f"{path.name} was done before") if again else change(ctx, asked["do"], what, order)
    path.unlink()
    return done


def change(ctx: Context, do: str, what: dict[str, str], order: Order) -> Done:
    """Do one request; `do` and `what` as in `ask`. Raises DataError, ArtifactError."""
    if do == "promote":
        return promotion.promote(ctx, what["model"], order)
    if do == "rollback":
        return promotion.rollback(ctx, order)
    if do == "add":
        return promotion.register(ctx, Path(what["folder"]), order)
    raise DataError(f"no such request: {do!r}")


def _refuse(ctx: Context, path: Path, error: Exception, now: int) -> str:
    # Put aside, so that it is told once and looked at by people.
    why = f"{path.name}: {error if isinstance(error, TraderError) else f'{type(error).__name__}: {error}'}"
    log.warning("what was handed in could not be taken: %s", why)
    aside = model_root(ctx).parent / REFUSED
    try:
        aside.mkdir(parents=True, exist_ok=True)
        path.rename(aside / path.name)
    except OSError as trouble:
        log.warning("%s could not be put aside: %s", path, trouble)
    with ctx.db.write() as con:
        body = messages.note("What was handed in could not be taken", why, label=ctx.label)
        announce.tell(ctx, con, "health", f"refused:{path.name}", body, now, now + DAY)
        runs.log(con, now, "daemon", "hand-in refused", why)
    return why
