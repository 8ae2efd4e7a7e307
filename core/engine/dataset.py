"""The samples of the training, from the file alone: features from the candles, labels from the ended plans.

Every candidate that was filled and has ended is one, passed and refused, live and retro: what the gate
refused teaches as much as what it let through (defect D9).
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from core import timeframe
from core.candles import Bars, Floats
from core.engine import compiled, frames
from core.engine.context import Context
from core.engine.params import Body
from core.meta import trained
from core.meta.gate import is_judged
from core.meta.samples import Flags, Samples, build, had_time
from core.signals.features import NAMES, VERSION, PlanFacts, needs, table
from core.store import candles, dataset, signals
from core.store.dataset import Ended

Progress = Callable[[int, int], None]

_DIRECTIONS = {"long": 1, "short": -1}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples and where they come from.

    admitted: whether admission let each pass, whatever the gate said after it; bool (n,). left_out: how many
    plans are not among them, by reason. start, end: the window of their decisions, ms. known_by: labels known
    by then, ms. version: of the features. sha256: of ids, features and results.
    """

    samples: Samples
    admitted: Flags
    left_out: Mapping[str, int]
    start: int
    end: int
    known_by: int
    version: int
    sha256: str

    def describe(self) -> dict[str, Any]:
        """What a card and a report say of it."""
        return {
            "samples": len(self.samples), "admitted": int(self.admitted.sum()), "left_out": dict(self.left_out),
            "features": len(self.samples.names), "features_version": self.version,
            "from": timeframe.show_time(self.start), "to": timeframe.show_time(self.end),
            "known_by": timeframe.show_time(self.known_by), "sha256": self.sha256,
        }


def load(ctx: Context, *, start: int | None = None, end: int | None = None, known_by: int | None = None,
         progress: Progress | None = None) -> Dataset:
    """Read the samples with start <= decided_ts < end whose results were known by `known_by` (ms; reads only).

    start, end: default all there is. known_by: default, and at most, how far every symbol was followed; no
    label and no candle behind it is used. Plans that could not have run their whole life by then are left
    out: of the youngest only the quick losers have ended.
    """
    frontier = followed(ctx)
    known = frontier if known_by is None else min(known_by, frontier)
    window = (0 if start is None else start, known if end is None else min(end, known))
    with ctx.db.lock:
        found = dataset.ended(ctx.db.con, ctx.exchange_id, *window, known)
        left_out = Counter(dataset.counted(ctx.db.con, ctx.exchange_id, *window, known))
        bodies = signals.configs(ctx.db.con)
    left_out = Counter({"never filled": left_out["unfilled"], "not ended": left_out["unfinished"],
                        "revised": left_out["revised"]})
    found = _alike(ctx, found, bodies, left_out)
    found = _had_time(found, ctx.body, known, left_out)
    rows, x = _features(ctx, found, left_out, progress)
    samples = _samples(rows, x)
    first = int(samples.t0[0]) if len(samples) else window[0]
    let_in = {row.id for row in rows if row.verdict == "pass" or is_judged(row.reason)}
    admitted = np.array([name in let_in for name in samples.ids], np.bool_)
    return Dataset(samples, admitted, +left_out, max(window[0], first), window[1], known, VERSION, fingerprint(samples))


def horizon(body: Body, tf: str, max_hold: int) -> int | None:
    """The longest a plan can live, ms: validity and longest hold; None where holding has no end."""
    hold = max_hold or body["execution"]["max_hold_candles"]
    return (body["signals"]["validity_candles"] + hold + 1) * timeframe.ms(tf) if hold else None


def followed(ctx: Context) -> int:
    """How far the trades of every configured symbol are followed (ms); 0 where nothing is.

    Labels that one symbol has and others do not have yet would tell them their common future. A delisted symbol
    has all its labels and holds nobody up, unless all are delisted.
    """
    with ctx.db.lock:
        known = candles.symbols(ctx.db.con, ctx.exchange_id)
        series = candles.series(ctx.db.con, ctx.exchange_id)
    marks = {symbol: info.followed_ts for symbol, info in known.items()
             if symbol in ctx.cfg.symbols and info.followed_ts}
    listed = [mark for symbol, mark in marks.items() if series[symbol, "1m"].ended_ts is None]
    return min(listed, default=max(marks.values(), default=0))


def _alike(ctx: Context, found: Sequence[Ended], bodies: Mapping[str, Body], left_out: Counter[str]) -> list[Ended]:
    # A plan made under other rules (fees, stops, exits) has a label of another kind.
    fits = {(mark, setup): mark == ctx.config_hash or not trained.changed(bodies[mark], ctx.body, setup)
            for mark, setup in {(row.config_hash, row.setup) for row in found}}
    kept = [row for row in found if fits[row.config_hash, row.setup]]
    left_out["made under another configuration"] += len(found) - len(kept)
    return kept


def _had_time(found: Sequence[Ended], body: Body, known: int, left_out: Counter[str]) -> list[Ended]:
    kept: list[Ended] = []
    for (tf, max_hold), group in groupby(sorted(found, key=_kind), key=_kind):
        rows = list(group)
        longest = horizon(body, tf, max_hold) or max(row.closed_ts + timeframe.MINUTE - row.decided_ts for row in rows)
        old_enough = had_time(np.array([row.decided_ts for row in rows]), known, longest)
        kept += [row for row, fits in zip(rows, old_enough.tolist(), strict=True) if fits]
    left_out["too young for all outcomes"] += len(found) - len(kept)
    return kept


def _kind(row: Ended) -> tuple[str, int]:
    return row.timeframe, row.max_hold


def _series(row: Ended) -> tuple[str, str]:
    return row.symbol, row.timeframe


def _features(ctx: Context, found: Sequence[Ended], left_out: Counter[str],
              progress: Progress | None) -> tuple[list[Ended], Floats]:
    rows: list[Ended] = []
    parts = [np.empty((0, len(NAMES)))]
    in_order = sorted(found, key=lambda row: (*_series(row), row.decided_ts, row.id))
    for (symbol, tf), group in groupby(in_order, _series):
        plans = list(group)
        kept, x = _of_series(ctx, symbol, tf, plans)
        left_out["without their candles"] += len(plans) - len(kept)
        rows += kept
        parts.append(x)
        if progress:
            progress(len(rows), len(found))
    return rows, np.concatenate(parts)


def _of_series(ctx: Context, symbol: str, tf: str, plans: Sequence[Ended]) -> tuple[list[Ended], Floats]:
    size, none = timeframe.ms(tf), np.empty((0, len(NAMES)))
    made = None if ctx.table is None else ctx.table.rows([plan.id for plan in plans])
    if made is not None:
        return list(plans), made
    first, last = plans[0].decided_ts, plans[-1].decided_ts
    with ctx.db.lock:
        row = candles.series(ctx.db.con, ctx.exchange_id).get((symbol, tf))
        if row is None:
            return [], none
        oldest = min(plan.start_ts for plan in plans)
        bars = candles.load(ctx.db.con, row.id, size, min(oldest, first - (needs(size).bars + 1) * size), last)
        seen = frames.load(ctx.db.con, ctx.exchange_id, symbol, bars, first, last, _atr_period(ctx))
    kept = _with_bars(plans, bars, seen.start)
    if not kept:
        return [], none
    return kept, table([_facts(plan) for plan in kept], seen, compiled.kernels(Path(ctx.cfg.app.data_dir)))


def _with_bars(plans: Sequence[Ended], bars: Bars, start: int) -> list[Ended]:
    # Plans of an older stretch, and those whose candles were taken away, have no features.
    ts = np.array([plan.ts for plan in plans], np.int64)
    at = np.minimum(np.searchsorted(bars.ts, ts), max(0, len(bars) - 1))
    there = (bars.ts[at] == ts) & (ts >= start) if len(bars) else np.zeros(len(ts), bool)
    return [plan for plan, fits in zip(plans, there.tolist(), strict=True) if fits]


def _atr_period(ctx: Context) -> int:
    return int(ctx.body["signals"]["atr_period"])


def _facts(row: Ended) -> PlanFacts:
    return PlanFacts(row.setup, row.timeframe, _DIRECTIONS[row.direction], *row[5:16])


def _samples(rows: Sequence[Ended], x: Floats) -> Samples:
    entry, sl, tp1 = (_numbers(getattr(row, name) for row in rows) for name in ("entry", "sl", "tp1"))
    risk = np.abs(entry - sl)
    texts = {name: [getattr(row, name) for row in rows]
             for name in ("symbol", "timeframe", "setup", "direction", "trend", "vol")}
    return build(
        NAMES, [row.id for row in rows], x,
        t0=[row.decided_ts for row in rows], t1=[row.closed_ts + timeframe.MINUTE for row in rows],
        r=_numbers(row.r_multiple for row in rows), pnl_pct=_numbers(row.pnl_pct for row in rows),
        risk_pct=100.0 * risk / entry, cost_r=_numbers(row.cost_r for row in rows), rr1=np.abs(tp1 - entry) / risk,
        in_sample=[bool(row.in_sample) for row in rows], **texts,
    )


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if v is None else v for v in values], np.float64)


def fingerprint(samples: Samples) -> str:
    """SHA-256 of ids, features, times and results: which rows these are."""
    mark = hashlib.sha256("\n".join(samples.ids).encode())
    for part in (samples.x, samples.t0, samples.t1, samples.r, samples.pnl_pct):
        mark.update(np.ascontiguousarray(part).tobytes())
    return mark.hexdigest()
