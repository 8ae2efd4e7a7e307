"""`models`: what is registered, what governs and why; promote and roll back, also while the daemon runs."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from core.cli import opening
from core.cli.options import UsageError
from core.cli.screen import Out, table
from core.config import Config
from core.engine import artifacts, drift, handin, promotion
from core.engine.context import Context
from core.engine.promotion import Order
from core.engine.scoring import model_root
from core.errors import ArtifactError, LockHeld
from core.meta import registry
from core.store import models
from core.store.models import DRIFT, META, Promotion, Registered
from core.timeframe import show_time


def run(args: Namespace, out: Out) -> int:
    """Do what is asked; without an action, list."""
    if args.action in ("show", "add", "promote") and args.id is None:
        raise UsageError(f"models {args.action} needs {'a folder' if args.action == 'add' else 'the id of a model'}")
    cfg = opening.config(args)
    if args.action in ("list", "show"):
        with opening.reader(args, cfg) as ctx:
            return _list(ctx, out) if args.action == "list" else _show(ctx, args.id, out)
    return _change(args, cfg, out)


def _list(ctx: Context, out: Out) -> int:
    with ctx.db.lock:
        known, history = models.registered(ctx.db.con, META), models.history(ctx.db.con)
        moved = drift.state(ctx.db.con)
    now = promotion.in_force(history)
    loose = [x for x in registry.listed(model_root(ctx)) if x.id not in {m.id for m in known}]
    out.result({
        "models": [{**m._asdict(), "state": _state(m, now)} for m in known],
        "not_registered": [{"id": x.id, "error": x.error} for x in loose],
        "history": [entry._asdict() for entry in history], "drift": moved,
    })
    rows = [(m.id, _state(m, now), show_time(m.created_ts), show_time(m.promoted_ts), _evidence(m)) for m in known]
    for line in table(("model", "state", "made", "governs from", "evidence"), rows, left=2) if rows else []:
        out.say(line)
    for x in loose:
        out.say(f"{x.id}: {x.error or f'not registered; `python -m core models add {model_root(ctx) / x.id}`'}")
    if not known and not loose:
        out.say(f"no model yet in {model_root(ctx)}: the gate only observes; `python train_meta.py` makes one")
    if now is not None:
        out.say(f"drift: {drift.describe(moved)}")
    for entry in history[-10:]:
        out.say(f"{show_time(entry.ts)}  {_told(entry)}")
    return 0


def _state(m: Registered, governing: str | None) -> str:
    return "governs" if m.id == governing else "challenger" if m.promoted_ts is None else "retired"


def _evidence(m: Registered) -> str:
    families = m.card.get("families", {})
    return ", ".join(f"{name} {told.get('evidence', {}).get('label', '-')}" for name, told in sorted(families.items()))


def _told(entry: Promotion) -> str:
    since = show_time(entry.promoted_ts) if entry.promoted_ts else "the first decision"
    what = f"drift {entry.detail.get('level')}" if entry.kind == DRIFT else f"{entry.kind} {entry.model or 'none'}"
    return f"{what} from {since} on, by {entry.who}: {entry.why}"


def _show(ctx: Context, id: str, out: Out) -> int:
    with ctx.db.lock:
        m = promotion.named(ctx.db.con, id)
        history = [e for e in models.history(ctx.db.con) if e.model == m.id]
        now = promotion.in_force(models.history(ctx.db.con))
    card, trouble = _card(ctx, m)
    out.result({"model": {**m._asdict(), "card": card}, "state": _state(m, now), "error": trouble,
                "history": [e._asdict() for e in history]})
    out.say(f"{m.id}: {_state(m, now)}")
    out.say(f"made {show_time(m.created_ts)}, governs from {show_time(m.promoted_ts)}, in {m.path}")
    out.say(trouble or "its files are as they were registered, and it gives its own answers")
    for line in _facts(card):
        out.say(line)
    for entry in history:
        out.say(f"{show_time(entry.ts)}  {_told(entry)}")
    return 1 if trouble else 0


def _card(ctx: Context, m: Registered) -> tuple[dict[str, Any], str | None]:
    try:
        found, _ = artifacts.verified(artifacts.place(m.path, model_root(ctx), m.id), m.sha256)
    except ArtifactError as error:
        return m.card, str(error)
    return dict(found.card), None


def _facts(card: dict[str, Any]) -> list[str]:
    data = card.get("data", {})
    lines = [f"data {show_time(data.get('start'))} to {show_time(data.get('end'))}, config {card.get('config_hash')}, "
             f"features version {card.get('feature_version')}"]
    for name, told in sorted(card.get("families", {}).items()):
        evidence = told.get("evidence", {})
        lines.append(f"{name}: {told.get('n', 0):,} plans, calibrated on {told.get('n_calibrate', 0):,}; evidence: "
                     f"{evidence.get('label', '-')} ({evidence.get('why', 'not told')})")
    return lines


def _change(args: Namespace, cfg: Config, out: Out) -> int:
    # Beside a running daemon it is asked to; it does so before its next scan.
    try:
        with opening.writer(args, cfg, f"models {args.action}") as ctx:
            done = handin.change(ctx, args.action, _what(args), _order(ctx))
            out.result({"model": done.model, "since": done.since, "said": done.said})
            out.say(done.said)
    except LockHeld:
        with opening.reader(args, cfg) as ctx:
            path = _ask(ctx, args)
        out.result({"handed_in": str(path)})
        out.say("the daemon was asked to; it does so before its next scan and sends a message (`models` shows it)")
    return 0


def _ask(ctx: Context, args: Namespace) -> Path:
    # What cannot work is said here, not minutes later in a message.
    if args.action == "promote":
        with ctx.db.lock:
            promotion.named(ctx.db.con, args.id)
    if args.action == "add":
        registry.read(Path(args.id))
    return handin.ask(model_root(ctx), ctx.db.path, args.action, _order(ctx), **_what(args))


def _order(ctx: Context) -> Order:
    return Order("user", "by hand", ctx.clock.now())


def _what(args: Namespace) -> dict[str, str]:
    if args.action == "promote":
        return {"model": args.id}
    return {"folder": str(Path(args.id).resolve())} if args.action == "add" else {}
