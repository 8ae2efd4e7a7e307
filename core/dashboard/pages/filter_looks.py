"""What the page Filter looks at, and keeps for as long as the file does not change."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import streamlit as st

from core.candles import Floats, Ints
from core.config.schema import Meta
from core.dashboard.reading import Source
from core.dashboard.views import filter as view
from core.engine import account, forward, scoring
from core.engine.account import Account
from core.engine.figures import Rule, plain
from core.engine.forward import Record
from core.engine.promotion import DRIFT_STATE
from core.errors import ArtifactError
from core.meta import registry
from core.signals import features
from core.store import candles, models, runs
from core.store.models import META, Promotion, Registered
from core.store.reads import filter as reads
from core.store.reads.filter import Bin, Closed
from core.timeframe import DAY


class Key(NamedTuple):
    """What the file holds now: equal only where nothing that counts here has changed."""
    path: str
    exchange: str
    stamp: tuple[int, ...]


class Seen(NamedTuple):
    """What one look at the file gave.

    since: when the first model was promoted (ms), None = none was. first: plans decided since then are learned from.
    drift: the newest look at the model in force. body: today's decision body; setups: those it enables.
    """
    source: Source
    key: Key
    meta: Meta
    root: Path
    known: list[Registered]
    history: list[Promotion]
    said: dict[str, str]
    since: int | None
    first: int
    drift: dict[str, Any]
    body: dict[str, Any]
    setups: tuple[str, ...]

    @property
    def now(self) -> Promotion | None:
        """The promotion in force."""
        return view.governing(self.history)

    @property
    def level(self) -> str:
        """What drift asks for of the governing model."""
        return view.drift_level(self.history, self.now.model if self.now else None)

    @property
    def rule(self) -> Rule:
        """The global rule of the configuration: by what the best plans are ranked."""
        use_ev = self.meta.gating.use_ev
        return Rule(use_ev, self.meta.min_ev_pct if use_ev else self.meta.threshold)


class Model(NamedTuple):
    """The governing model's folder: its card, the report of its training, or why it cannot be read."""

    card: dict[str, Any] | None
    report: dict[str, Any] | None
    trouble: str


NO_MODEL = Model(None, None, "")


def look(source: Source) -> Seen:
    """What the page begins with: settings, models, and the history of what governed."""
    with source.read() as ctx:
        con, meta = ctx.db.con, ctx.cfg.models.meta
        history = models.history(con)
        promoted = [entry.promoted_ts for entry in history if entry.kind == META and entry.model]
        key = Key(str(source.path), ctx.exchange_id, reads.stamp(con))
        known = [stretches[-1].frontier for stretches in candles.stretches(con, ctx.exchange_id).values()]
        last = min(ctx.clock.now(), max(known, default=ctx.clock.now()))
        now = view.governing(history)
        kept = runs.get(con, DRIFT_STATE, {})
        return Seen(source, key, meta, scoring.model_root(ctx), models.registered(con, META), history,
                    reads.registrations(con), min(promoted, default=None), last // DAY * DAY - meta.window_days * DAY,
                    kept if now and kept.get("model") == now.model else {}, ctx.body,
                    tuple(sorted(ctx.cfg.signals.setups)))


# What is kept between refreshes, for as long as the file does not change


@st.cache_data(max_entries=8, show_spinner=False)
def folder(path: str, sha256: str) -> Model:
    """A model's folder, verified, with the report of the training that made its boosters."""
    try:
        found = registry.read(Path(path), sha256)
        return Model(found.card, _report(found), _unfit(found))
    except ArtifactError as error:
        return Model(None, None, str(error))


def _unfit(found: registry.Folder) -> str:
    # What can be told without loading the boosters; the gate looks closer.
    if "realised.json" not in found.files:
        return "its EV was never held against results, so it would trade on noise: train a new one"
    made, known = found.card.get("feature_version"), features.VERSION
    return "" if made == known else f"it was trained on features of version {made}, this program makes version {known}"


def _report(found: registry.Folder) -> dict[str, Any] | None:
    # One that was only calibrated anew stands beside the model whose boosters it has.
    report = json.loads(found.files.get("report.json", b"null"))
    for told in found.card.get("families", {}).values():
        before = found.path.parent / str(told.get("calibrated_after", ""))
        if report and report.get("job") != "train" and told.get("calibrated_after") and before.is_dir():
            return _report(registry.read(before))
    return report if report and report.get("job") == "train" else None


@st.cache_data(max_entries=4, show_spinner=False)
def samples(_source: Source, key: Key, first: int) -> list[Closed]:
    """Plans that a training could learn from."""
    with _source.read() as ctx:
        return reads.samples(ctx.db.con, key.exchange, first)


@st.cache_resource(max_entries=4, show_spinner=False)
def record(_source: Source, key: Key, origin: str, since: int | None) -> Record:
    """What models said since the first of them governed, of one origin."""
    with _source.read() as ctx:
        rows = reads.scored(ctx.db.con, key.exchange, origin, since or 0)
    return forward.record(rows)


@st.cache_data(max_entries=8, show_spinner=False)
def since(_source: Source, key: Key, origin: str, first: int, family: str, rule: Rule) -> dict[str, Any]:
    """The figures of a record, one family; `groups` has those of its groups."""
    found = forward.figures_of(record(_source, key, origin, first).of_family(family), rule)
    return dict(plain(found))


@st.cache_data(max_entries=8, show_spinner=False)
def groups(_source: Source, key: Key, origin: str, first: int, family: str) -> dict[str, Any]:
    """A record by timeframe, regime, symbol, direction and setup, one family."""
    return dict(plain(forward.parts_of(record(_source, key, origin, first).of_family(family))))


@st.cache_data(max_entries=4, show_spinner=False)
def bins(_source: Source, key: Key, origin: str, since: int | None) -> list[Bin]:
    """The histogram of p."""
    with _source.read() as ctx:
        return reads.histogram(ctx.db.con, key.exchange, origin, since or 0)


@st.cache_resource(max_entries=8, show_spinner=False)
def book(_source: Source, key: Key, groups: tuple[str, ...] = ()) -> Account:
    """The filter's own account, cut by these groups."""
    with _source.read() as ctx:
        return account.of(ctx, ctx.db.con, groups=groups)


@st.cache_data(max_entries=2, show_spinner="Looking at every plan of the last year …")
def baselines(_source: Source, key: Key, first: int) -> dict[str, dict[str, Any]]:
    """What single rules would have taken of the newest plans, by family."""
    with _source.read() as ctx:
        found = forward.record(reads.closed(ctx.db.con, key.exchange, first))

        def closes(symbol: str, timeframe: str, start: int, end: int) -> tuple[Ints, Floats]:
            ts, close = reads.closes(ctx.db.con, key.exchange, symbol, timeframe, start, end, forward.EMA_BARS)
            return np.array(ts, dtype=np.int64), np.array(close, dtype=np.float64)

        along = forward.sides(found, closes)
    return {family: plain(forward.rules(found.of_family(family), along[found.scored.samples.family == family]))
            for family in found.families()}
