"""What governs the gate's decisions, and every change of it: one transaction, one message, never in the past."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from core.config import mirror_thresholds
from core.config.schema import Threshold
from core.engine import announce, artifacts
from core.engine.context import Context
from core.engine.scoring import OBSERVE, OK, RAISE, WARN, model_root
from core.errors import ConfigError, DataError
from core.meta import thresholds
from core.meta.artifact import Artifact
from core.notify import messages
from core.signals.setups import REGISTRY
from core.store import models, runs
from core.store.candles import Con
from core.store.models import DRIFT, META, THRESHOLDS, Promotion, Registered, Trial
from core.timeframe import DAY, show_time

log = logging.getLogger(__name__)

TOLD_FOR = 7 * DAY
_LADDER = {  # title of the message, and what follows
    OK: ("Drift has calmed", "it judges as it did before"),
    WARN: ("Drift: a warning", "the market has moved, it judges as before"),
    RAISE: ("Drift: thresholds raised", "it claims too much or the market has moved far, so its thresholds are raised"),
    OBSERVE: ("Drift: the filter only observes", "what it says is shown and not acted on,"),
}
_MIRRORED = "thresholds_in_config"  # the block per_pair_tf as this program last saw or wrote it
_HANDLED = "handled_requests"
DRIFT_STATE = "drift"  # what the newest look at the model in force found
_WEEKLY = "weekly_done"  # who -> the newest weekly run done on time


class Done(NamedTuple):
    """What a change came to, in a line. model: what governs, None = nothing. since: ms, None = nothing changed."""

    model: str | None
    since: int | None
    said: str


class Order(NamedTuple):
    """Who asks for a change, why, and when (ms UTC).

    request: its name if it came as a file, to do it once. due: of a weekly run done on time, its time (ms): it
    is done once, and governs from no earlier.
    """

    who: str
    why: str
    now: int
    request: str = ""
    due: int = 0


# Models


def register(
    ctx: Context, folder: Path, order: Order, trials: Sequence[Trial] = (), *, better: bool = False,
    home: Path | None = None,
) -> Done:
    """Take a finished model folder in as a challenger, and where it is better let it govern at once.

    home: where the folder will lie when it is not where it is now. All of it is one transaction, and doing it
    again changes nothing. Raises ArtifactError where the folder cannot be used.
    """
    found, sha256 = artifacts.verified(folder)
    with ctx.db.write() as con:
        fresh = models.add(con, found.id, META, str(home or folder), sha256, int(found.card["created_ts"]),
                           _listed(found))
        done = Done(current(con), None, f"Model {found.id} was registered before.")
        if fresh:
            models.add_trials(con, order.now, trials)
            done = done._replace(said=f"Model {found.id} is a challenger: it judges nothing until it is promoted.")
            _log(con, order, "model registered", f"{found.id}: {order.why}")
        if fresh and not better:
            _tell(ctx, con, f"model:{found.id}:registered", "New model, not in use",
                  f"{done.said}\n{_trained_on(found)}\nWhy: {order.why} ({order.who})", order)
        if better and current(con) != found.id:
            what = f"{_trained_on(found)}\nModel {found.id} judges"
            done = _govern(ctx, con, META, found.id, order, "New model in use", what)
    return done


def promote(ctx: Context, id: str, order: Order) -> Done:
    """Let a registered model govern from the next decision on (rule 32). Raises DataError, ArtifactError."""
    with ctx.db.lock:
        wanted = named(ctx.db.con, id)
    _check_usable(ctx, wanted)
    with ctx.db.write() as con:
        if current(con) == wanted.id:
            return Done(wanted.id, None, f"Model {wanted.id} governs already.")
        return _govern(ctx, con, META, wanted.id, order, "Model in use", f"Model {wanted.id} judges")


def rollback(ctx: Context, order: Order) -> Done:
    """Go back to the model that governed before, or to none: then the gate only observes. Raises DataError."""
    with ctx.db.lock:
        standing = models.standing(models.history(ctx.db.con, META))
    if not standing:
        raise DataError("no model governs, so there is nothing to go back from")
    before = standing[-2].model if len(standing) > 1 else None
    if before is not None:
        with ctx.db.lock:
            wanted = named(ctx.db.con, before)
        _check_usable(ctx, wanted)
    what = f"Model {before} judges again" if before else "No model judges, the gate only observes"
    detail = {"rollback": True, "from": standing[-1].model}
    with ctx.db.write() as con:
        return _govern(ctx, con, META, before, order, "Model rolled back", what, detail)


def current(con: Con) -> str | None:
    """The model that governs the next decision."""
    return in_force(models.history(con, META))


def in_force(history: Sequence[Promotion]) -> str | None:
    """The model that the newest entry of a history names."""
    entries = [entry for entry in history if entry.kind == META]
    return entries[-1].model if entries else None


def named(con: Con, id: str) -> Registered:
    """The registered model that an id, or the beginning of one, means. Raises DataError for none or several."""
    known = models.registered(con, META)
    fits = [m for m in known if m.id == id] or [m for m in known if m.id.startswith(id)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise DataError(f"{id} may mean {', '.join(m.id for m in fits)}: write more of it")
    raise DataError(f"no model {id} is registered (known: {', '.join(m.id for m in known) or 'none'})")


def _check_usable(ctx: Context, wanted: Registered) -> None:
    artifacts.verified(artifacts.place(wanted.path, model_root(ctx), wanted.id), wanted.sha256)


def _trained_on(found: Artifact) -> str:
    data = found.card["data"]
    families = ", ".join(f"{name} {told['n']:,}" for name, told in sorted(found.card["families"].items()))
    said = f"Trained on {families} closed plans, {show_time(data['start'])} to {show_time(data['end'])}."
    return "\n".join([said, *(_unseen(name, told) for name, told in sorted(found.card["metrics"].items()))])


def _unseen(family: str, told: Mapping[str, Any]) -> str:
    # A win rate never stands alone, and here stands only what the model had not seen.
    gate, plain = told.get("gate"), told.get("ungated")
    if not gate or not plain:
        return f"Nothing is known of how it does on {family} that it had not seen."
    if not gate["n"]:
        return f"Of {plain['n']:,} later {family} it had not seen it would have taken none."
    return (f"Of {plain['n']:,} later {family} it had not seen it took {gate['n']:,} ({_share(gate['coverage'])}): won "
            f"{_share(gate['win_rate'])} [{_share(gate['win_low'])} to {_share(gate['win_high'])}], break-even at "
            f"{_share(gate['break_even'])}, {_r(gate['mean_r'])} R each [{_r(gate['mean_r_low'])} to "
            f"{_r(gate['mean_r_high'])}]; all of them {_r(plain['mean_r'])} R each.")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f}%"


def _r(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _listed(found: Artifact) -> dict[str, Any]:
    # What lists, explanations and the audit need; the folder's card has the rest.
    families = {
        name: {key: told[key] for key in ("n", "n_calibrate", "evidence") if key in told}
        for name, told in found.card["families"].items()
    }
    kept = ("kind", "created_ts", "data", "config_hash", "feature_version", "versions", "metrics", "trials")
    return {**{key: found.card[key] for key in kept if key in found.card}, "families": families}


# Thresholds


def promote_thresholds(
    ctx: Context, table: Mapping[str, Mapping[str, Mapping[str, Any]]], order: Order, trials: Sequence[Trial] = ()
) -> Done:
    """Let a table of thresholds (symbol -> timeframe -> values) govern, and mirror it into the configuration."""
    plain = thresholds.to_plain(thresholds.from_plain(table))
    with ctx.db.write() as con:
        models.add_trials(con, order.now, trials)
        done = _thresholds(ctx, con, plain, order)
        mark(con, order)
    if done.since is not None:
        _mirror(ctx, plain, order)
    return done


def adopt(ctx: Context, now: int) -> Done | None:
    """Take thresholds edited by hand in the configuration into the history (rule 32); None where none were."""
    table = thresholds.to_plain(ctx.cfg.models.meta.per_pair_tf)
    with ctx.db.lock:
        if table == runs.get(ctx.db.con, _MIRRORED, {}):
            return None
    with ctx.db.write() as con:
        runs.put(con, _MIRRORED, table)
        done = _thresholds(ctx, con, table, Order("user", "per_pair_tf was edited in the configuration", now))
    return None if done.since is None else done


def _thresholds(ctx: Context, con: Con, table: dict[str, Any], order: Order) -> Done:
    history = models.history(con, THRESHOLDS)
    if (history[-1].table if history else {}) == table:
        return Done(None, None, "These thresholds govern already.")
    text = json.dumps(table, sort_keys=True)
    sha = hashlib.sha256(text.encode()).hexdigest()
    id = f"{datetime.fromtimestamp(order.now / 1000, UTC):%Y%m%d-%H%M}-t{sha[:8]}"
    models.add(con, id, THRESHOLDS, "", sha, order.now, {"kind": THRESHOLDS, "table": table})
    n = sum(len(of) for of in table.values())
    what = f"{n} threshold{'' if n == 1 else 's'} by pair and timeframe" if n else "No threshold of any pair"
    return _govern(ctx, con, THRESHOLDS, id, order, "Thresholds in use", f"{what}: in force")


def _mirror(ctx: Context, table: Mapping[str, Mapping[str, Mapping[str, float]]], order: Order) -> None:
    # The history governs; the file only shows it, so that a file that cannot be written stops nothing.
    if ctx.config_path is None:
        return
    rows = {symbol: {tf: Threshold(**row) for tf, row in of.items()} for symbol, of in table.items()}
    try:
        mirror_thresholds(ctx.config_path, rows, REGISTRY)
    except (ConfigError, OSError) as error:
        with ctx.db.write() as con:
            _tell(ctx, con, f"mirror:{order.now}", "Thresholds not in the configuration", str(error), order)
        return
    with ctx.db.write() as con:
        runs.put(con, _MIRRORED, table)


# Drift


def drift(ctx: Context, level: str, raised_p: float, order: Order, state: Mapping[str, Any] | None = None) -> Done:
    """Write down what the drift of the governing model asks for: ok, warn, raise (p by raised_p) or observe.

    It ends with that model's rule. state: what was found, remembered whether or not anything changes. Raises
    DataError for another level.
    """
    if level not in _LADDER:
        raise DataError(f"drift asks for {', '.join(_LADDER)}, not {level!r}")
    detail = {"level": level, "by": float(raised_p) if level == RAISE else 0.0}
    with ctx.db.write() as con:
        mark(con, order)
        if state is not None:
            runs.put(con, DRIFT_STATE, models.finite(state))
        model = current(con)
        before = [e for e in models.history(con, DRIFT) if e.model == model]
        if model is None or (before[-1].detail if before else {"level": OK, "by": 0.0}) == detail:
            return Done(model, None, f"Drift: {level}, as before.")
        title, what = _LADDER[level]
        raised = f" by {100 * raised_p:.0f} points of p" if level == RAISE else ""
        return _govern(ctx, con, DRIFT, model, order, title, f"Model {model}: {what}{raised}", detail)


# What every change does


def mark(con: Con, order: Order) -> None:
    """Remember a request, or a weekly run, as done, in the transaction that does it."""
    if order.request:
        runs.put(con, _HANDLED, [*runs.get(con, _HANDLED, []), order.request][-100:])
    if order.due:
        runs.put(con, _WEEKLY, {**runs.get(con, _WEEKLY, {}), order.who: order.due})


def done_until(con: Con, who: str) -> int:
    """When the newest weekly run of `train`, `calibrate`, `tune` or `drift` done on time was due, ms; 0 for none."""
    return int(runs.get(con, _WEEKLY, {}).get(who, 0))


def was_done(con: Con, request: str) -> bool:
    """Whether a request was done already, by a process that was killed before the file was gone."""
    return request in runs.get(con, _HANDLED, [])


def say(ctx: Context, title: str, order: Order, trials: Sequence[Trial] = ()) -> Done:
    """Nothing changes: `order.why` is told, and the trials enter the log."""
    with ctx.db.write() as con:
        models.add_trials(con, order.now, trials)
        _log(con, order, title.lower(), order.why)
        _tell(ctx, con, f"said:{order.request or order.now}", title, f"{order.why} ({order.who})", order)
    return Done(None, None, order.why)


def pass_over(ctx: Context, order: Order) -> None:
    """A weekly run had nothing to work on: it is marked and logged, nobody is told."""
    with ctx.db.write() as con:
        _log(con, order, "weekly run passed over", order.why)


def _govern(
    ctx: Context, con: Con, kind: str, model: str | None, order: Order, title: str, what: str,
    detail: Mapping[str, Any] | None = None,
) -> Done:
    since = max(models.next_promoted_ts(con), order.due)
    models.promote(con, kind, model, since, order.now, order.who, order.why, detail)
    said = f"{what} from {show_time(since) if since else 'the first decision'} on."
    _log(con, order, title.lower(), f"{kind} {model or 'none'} from {since}: {order.why}")
    number = len(models.history(con))
    _tell(ctx, con, f"promotion:{number}", title, f"{said}\nWhy: {order.why} ({order.who})", order)
    return Done(model, since, said)


def _log(con: Con, order: Order, what: str, detail: str) -> None:
    mark(con, order)
    runs.log(con, order.now, order.who, what, detail)


def _tell(ctx: Context, con: Con, key: str, title: str, text: str, order: Order) -> None:
    log.info("%s: %s", title, text)
    body = messages.note(title, text, label=ctx.label)
    announce.tell(ctx, con, "health", key, body, order.now, order.now + TOLD_FOR)
