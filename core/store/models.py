"""Models, what governed when (rule 32), and the trial log on disk."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from core.store.candles import Con
from core.timeframe import MINUTE

META, THRESHOLDS, DRIFT = "meta", "thresholds", "drift"


class Registered(NamedTuple):
    """A registered model folder (kind `meta`) or a table of thresholds (kind `thresholds`, which has no folder)."""

    id: str
    kind: str
    path: str
    sha256: str
    created_ts: int
    promoted_ts: int | None
    retired_ts: int | None
    card: dict[str, Any]


class Promotion(NamedTuple):
    """What governs decisions with decided_ts >= promoted_ts, until the next of its kind.

    model: None = nothing does. path, sha256: of its folder. table: thresholds by symbol and timeframe (kind
    `thresholds`). detail: `rollback`, or what drift asks for.
    """

    n: int
    kind: str
    model: str | None
    promoted_ts: int
    ts: int
    who: str
    why: str
    detail: dict[str, Any]
    path: str
    sha256: str
    table: dict[str, Any]


class Trial(NamedTuple):
    """One set of parameters that was evaluated, whatever came of it."""

    kind: str
    params: Mapping[str, Any]
    score: float | None
    detail: Mapping[str, Any] | None = None


def add(con: Con, id: str, kind: str, path: str, sha256: str, created_ts: int, card: Mapping[str, Any]) -> bool:
    """Register a model; False where the id is there already."""
    cursor = con.execute(
        "INSERT OR IGNORE INTO models VALUES (?, ?, ?, ?, ?, NULL, NULL, ?)",
        (id, kind, path, sha256, created_ts, json.dumps(card, allow_nan=False)),
    )
    return bool(cursor.rowcount)


def registered(con: Con, kind: str | None = None) -> list[Registered]:
    """All registered models, oldest first."""
    rows = con.execute(
        "SELECT id, kind, path, sha256, created_ts, promoted_ts, retired_ts, card FROM models "
        "WHERE kind = coalesce(?, kind) ORDER BY created_ts, id",
        (kind,),
    )
    return [Registered._make((*row[:7], json.loads(row[7]))) for row in rows]


def one(con: Con, id: str) -> Registered | None:
    """A registered model by its id, or None."""
    row = con.execute(
        "SELECT id, kind, path, sha256, created_ts, promoted_ts, retired_ts, card FROM models WHERE id = ?", (id,)
    ).fetchone()
    return None if row is None else Registered._make((*row[:7], json.loads(row[7])))


def history(con: Con, kind: str | None = None) -> list[Promotion]:
    """The promotion history, oldest first; empty in a file that an older program made."""
    if not _there(con):
        return []
    rows = con.execute(
        "SELECT p.n, p.kind, p.model, p.promoted_ts, p.ts, p.who, p.why, p.detail, coalesce(m.path, ''), "
        "coalesce(m.sha256, ''), CASE WHEN p.kind = 'thresholds' THEN coalesce(m.card, '{}') ELSE '{}' END "
        "FROM promotions p LEFT JOIN models m ON m.id = p.model WHERE p.kind = coalesce(?, p.kind) "
        "ORDER BY p.promoted_ts, p.n",
        (kind,),
    )
    return [
        Promotion._make((*r[:7], json.loads(r[7]), r[8], r[9], json.loads(r[10]).get("table", {}))) for r in rows
    ]


def standing(history: Sequence[Promotion]) -> list[Promotion]:
    """The entries a rollback may lead to, the one in force last: what was rolled back, or ended, is not among them."""
    stack: list[Promotion] = []
    for entry in history:
        if entry.detail.get("rollback"):
            stack = stack[:-2]
        if entry.model is None:
            stack = []
        else:
            stack.append(entry)
    return stack


def has_history(con: Con) -> bool:
    """Whether a model was ever promoted; the cheap question of every scan."""
    return _there(con) and con.execute("SELECT 1 FROM promotions WHERE kind = 'meta' LIMIT 1").fetchone() is not None


def promote(
    con: Con,
    kind: str,
    model: str | None,
    promoted_ts: int,
    now: int,
    who: str,
    why: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append to the history: from promoted_ts on `model` governs, None = nothing does. now: ms UTC."""
    con.execute(
        "INSERT INTO promotions (kind, model, promoted_ts, ts, who, why, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (kind, model, promoted_ts, now, who, why, json.dumps(detail or {}, allow_nan=False)),
    )
    con.execute(
        "UPDATE models SET retired_ts = ? WHERE kind = ? AND promoted_ts IS NOT NULL AND retired_ts IS NULL",
        (promoted_ts, kind),
    )
    con.execute(
        "UPDATE models SET promoted_ts = ?, retired_ts = NULL WHERE id = ? AND kind = ?", (promoted_ts, model, kind)
    )


def next_promoted_ts(con: Con) -> int:
    """A minute after every decided_ts that any symbol has scanned (rule 32); 0 where none has."""
    newest = con.execute("SELECT max(scanned_ts) FROM symbols").fetchone()[0]
    return 0 if newest is None else int(newest) + MINUTE


def add_trials(con: Con, ts: int, trials: Iterable[Trial]) -> None:
    """Append to the trial log; nothing is ever taken out of it."""
    con.executemany(
        "INSERT INTO trials (ts, kind, params, score, detail) VALUES (?, ?, ?, ?, ?)",
        [
            (ts, t.kind, _json(t.params), finite(t.score), None if t.detail is None else _json(t.detail))
            for t in trials
        ],
    )


def trials(con: Con, kind: str | None = None) -> list[Trial]:
    """The trial log, oldest first."""
    rows = con.execute(
        "SELECT kind, params, score, detail FROM trials WHERE kind = coalesce(?, kind) ORDER BY id", (kind,)
    )
    return [Trial(r[0], json.loads(r[1]), r[2], None if r[3] is None else json.loads(r[3])) for r in rows]


def count_trials(con: Con, kind: str | None = None) -> int:
    """How many sets of parameters were ever evaluated: the N of the deflated Sharpe ratio."""
    return int(con.execute("SELECT count(*) FROM trials WHERE kind = coalesce(?, kind)", (kind,)).fetchone()[0])


def _there(con: Con) -> bool:
    return con.execute("SELECT 1 FROM sqlite_schema WHERE name = 'promotions'").fetchone() is not None


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(finite(value), sort_keys=True, allow_nan=False)


def finite(value: Any) -> Any:
    """A JSON value in which a figure that does not exist (the win rate of no trades) is None."""
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
