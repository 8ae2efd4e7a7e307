"""Live and history make the same features around the first live decisions, while older history still comes in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.candles import Floats
from core.clock import VirtualClock
from core.config.schema import Config
from core.engine import backfill, frames, retro
from core.engine.context import Context
from core.engine.daemon import start_up
from core.engine.resample import resample
from core.signals import features
from core.signals.features import NAMES
from core.store import runs
from core.store.db import Database
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine import harness
from tests.engine.rig import BTC, HISTORY, SETTLE, SOL, Rig, market
from tests.meta import filter_rig as filters
from tests.meta.test_scoring import only_candles

SOURCE_DAYS, FIRST_DAY = 20, 14
HIGHER = ["higher_adx", "higher_ema50", "higher_return_12"]
Seen = dict[tuple[Any, ...], Floats]


@contextmanager
def watched(patch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """Every feature row that is made meanwhile, by its plan."""
    seen: Seen = {}
    real = features.table

    def table(rows: Any, around: Any, kernels: Any) -> Floats:
        made = real(rows, around, kernels)
        seen.update(((r.setup, r.decided_ts, r.start_ts, r.entry), x) for r, x in zip(rows, made, strict=True))
        return made

    with patch.context() as during:
        during.setattr(features, "table", table)
        yield seen


def same(a: Seen, b: Seen) -> list[str]:
    """Names of the features that differ between two runs over the same plans."""
    assert a.keys() == b.keys() and len(a) > 10
    odd = {name for key in a for name, x, y in zip(NAMES, a[key], b[key], strict=True)
           if not np.array_equal(x, y, equal_nan=True)}
    return sorted(odd)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config, Seen]:
    """A first start with a model in force: 5m goes live on fifty hours, and what lies behind comes two hours later."""
    root = tmp_path_factory.mktemp("frames")
    cfg = filters.config(root, min_ev_pct=-5.0)
    source = market([BTC, SOL], days=SOURCE_DAYS)
    begin = source.start + FIRST_DAY * DAY
    with (pytest.MonkeyPatch.context() as patch,
          Rig(root / "a.db", cfg=cfg, source=source, now=begin + MINUTE + SETTLE) as r):
        filters.promote(r, filters.model(root, cfg))
        start_up(r.ctx, history_from=begin - 30 * HOUR)  # not enough to be live
        backfill.backfill(r.ctx, [SOL], begin - HISTORY, begin)
        resample(r.ctx)
        with watched(patch) as seen:
            r.go(90)
            backfill.backfill(r.ctx, [BTC, SOL], source.start, begin)
            resample(r.ctx)
            r.go(90)
        assert {name.split()[0] for name in runs.get(r.db.con, frames.WHOLE)} == {BTC, SOL}
        return root / "a.db", cfg, dict(seen)


def history(lived: tuple[Path, Config, Seen], target: Path, patch: pytest.MonkeyPatch) -> Seen:
    """The same plans as retro makes them from the whole file."""
    path, cfg, live = lived
    db = Database(only_candles(path, target))
    with watched(patch) as seen:
        retro.run(Context(cfg, db, VirtualClock(0)), retro.RetroOptions())
    db.close()
    return {key: seen[key] for key in live}


def known(seen: Seen, name: str) -> set[bool]:
    return {bool(np.isfinite(row[NAMES.index(name)])) for row in seen.values()}


@pytest.mark.covers("I1", "rule 30", "rule 31")
def test_features_of_live_are_those_of_history_while_older_candles_still_come_in(
    lived: tuple[Path, Config, Seen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _cfg, live = lived
    assert all(known(live, name) == {True, False} for name in (*HIGHER, "btc_atr_rank")), "both sides of it are here"
    assert same(live, history(lived, tmp_path / "b.db", monkeypatch)) == []
    scored = [r for r in harness.rows(path, "signals") if r["ml_p_raw"] is not None]
    again = {r["id"]: r["ml_p_raw"] for r in harness.rows(tmp_path / "b.db", "signals")}
    assert {r["id"]: r["ml_p_raw"] for r in scored}.items() <= again.items() and len(scored) > 10


@pytest.mark.covers("I1", "rule 31")
def test_planted_flaw_history_that_sees_what_live_could_not_is_caught(
    lived: tuple[Path, Config, Seen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "_unseen", lambda *_: (0, 0))
    odd = same(lived[2], history(lived, tmp_path / "b.db", monkeypatch))
    assert set(HIGHER) <= set(odd) and "btc_atr_rank" in odd and "atr_rank" not in odd


@pytest.mark.covers("I1")
def test_before_live_history_sees_all_there_is(lived: tuple[Path, Config, Seen], tmp_path: Path) -> None:
    path, cfg, _ = lived
    db = Database(path, readonly=True)
    ctx = Context(cfg, db, VirtualClock(0))
    found = dict(db.con.execute("SELECT symbol, live_from FROM series WHERE timeframe = '5m'"))
    whole = runs.get(db.con, frames.WHOLE)
    bars = frames.candles.tail(db.con, frames.candles.series(db.con, ctx.exchange_id)[SOL, "5m"].id, 5 * MINUTE,
                               2**62, 700)
    around = frames.load(db.con, ctx.exchange_id, SOL, bars, int(bars.ts[0]), int(bars.ts[-1]), 14)
    assert around.higher_unseen == (found[SOL], whole[f"{SOL} 1h"])
    assert around.btc_unseen == (found[SOL], whole[f"{BTC} 5m"])
    assert found[SOL] < around.btc_unseen[1] <= around.higher_unseen[1]
    db.close()


def test_a_file_that_live_decided_on_before_this_was_noted_counts_as_whole(tmp_path: Path) -> None:
    cfg = filters.config(tmp_path)
    with Rig(tmp_path / "a.db", cfg=cfg, source=market([BTC, SOL])) as r:
        r.warm()
        r.go(2)
        assert set(runs.get(r.db.con, frames.WHOLE)) == {f"{BTC} 5m", f"{SOL} 5m"}
        with r.db.write() as con:
            con.execute("DELETE FROM state WHERE key = ?", (frames.WHOLE,))
        r.go(1)
        assert set(runs.get(r.db.con, frames.WHOLE).values()) == {0}


@pytest.mark.covers("I1", "rule 30")
def test_a_frame_is_whole_from_the_same_decision_on_with_an_outage_at_that_time(tmp_path: Path) -> None:
    found = []
    for name, away in (("a.db", 0), ("b.db", 90)):
        cfg = filters.config(tmp_path)
        source = market([BTC, SOL], days=SOURCE_DAYS)
        begin = source.start + 10 * DAY + 14 * HOUR  # the 256th hour ends two hours after the first live minute
        with Rig(tmp_path / name, cfg=cfg, source=source, now=begin + MINUTE + SETTLE) as r:
            start_up(r.ctx, history_from=source.start)
            r.go(5)
            assert f"{SOL} 1h" not in runs.get(r.db.con, frames.WHOLE)
            r.rest(away)
            r.go(125 - away)
            found.append(runs.get(r.db.con, frames.WHOLE))
    assert found[0] == found[1] and found[0][f"{SOL} 1h"] == source.start + 256 * HOUR
