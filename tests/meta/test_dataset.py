"""The samples: every filled and ended candidate, features as at the decision, labels known by then and not later."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from core import timeframe
from core.engine import dataset, frames, params
from core.engine.context import Context
from core.meta.samples import TARGETS, TRAILED, Samples
from core.signals import features
from core.signals.decide import needs, window
from core.signals.features import PlanFacts
from core.signals.kernels import PLAIN
from core.store import candles
from core.timeframe import MINUTE
from tests.meta import market_file


def write(ctx: Context, query: str, *params: object) -> None:
    with ctx.db.write() as con:
        con.execute(query, params)


def ids(ctx: Context, where: str) -> set[str]:
    found = ctx.db.con.execute(f"SELECT g.id FROM signals g JOIN positions p ON p.signal = g.n WHERE {where}")
    return {row[0] for row in found}


def old_enough(ctx: Context) -> str:
    # In the tests' configuration every plan lives 8 + 60 + 1 bars at most.
    return f"g.decided_ts <= {dataset.followed(ctx) - 69 * 15 * MINUTE}"


@pytest.mark.covers("I3", "D9", "rule 17")
def test_every_filled_and_ended_plan_is_a_sample_passed_or_refused(plans: Context) -> None:
    write(plans, "UPDATE signals SET verdict = 'refused', reason = 'cost_r 0.7 > max_cost_r 0.6' WHERE n % 3 = 0")
    found = dataset.load(plans)
    kept, filled = set(found.samples.ids), "p.opened_ts IS NOT NULL AND p.closed_ts IS NOT NULL"
    assert kept == ids(plans, f"{filled} AND {old_enough(plans)}")
    not_let_in = {i for i, fits in zip(found.samples.ids, found.admitted, strict=True) if not fits}
    assert not_let_in == ids(plans, "g.verdict = 'refused'") & kept
    assert found.left_out["never filled"] == len(ids(plans, "p.closed_ts IS NOT NULL AND p.opened_ts IS NULL"))
    assert {TARGETS, TRAILED} == set(found.samples.family)


def test_labels_and_plans_stand_in_the_samples_as_they_are_stored(plans: Context) -> None:
    s = dataset.load(plans).samples
    stored = {r[0]: r[1:] for r in plans.db.con.execute(
        "SELECT g.id, g.decided_ts, p.closed_ts, p.pnl_pct, p.r_multiple, g.entry, g.sl, g.tp1, g.cost_r, g.direction "
        "FROM signals g JOIN positions p ON p.signal = g.n")}
    for k, name in enumerate(s.ids):
        decided, closed, pnl, r, entry, sl, tp1, cost, side = stored[name]
        assert (s.t0[k], s.t1[k], s.pnl_pct[k], s.r[k], s.cost_r[k]) == (decided, closed + MINUTE, pnl, r, cost)
        assert s.risk_pct[k] == pytest.approx(100 * abs(entry - sl) / entry)
        assert np.isnan(s.rr1[k]) if tp1 is None else s.rr1[k] == pytest.approx(abs(tp1 - entry) / abs(entry - sl))
        assert s.direction[k] == side and s.win[k] == (pnl > 0)


def live(ctx: Context, name: str) -> np.ndarray:
    """The features of one plan as a live decision makes them: from a short window, uncompiled."""
    row = ctx.db.con.execute("SELECT symbol, timeframe, setup, direction, ts, decided_ts, start_ts, end_ts, entry, sl, "
                             "tp1, tp2, avwap, cost_r, tp1_net_pct FROM signals WHERE id = ?", (name,)).fetchone()
    symbol, tf, setup, direction, *rest = row
    size, setups = timeframe.ms(tf), ctx.setups_on(tf)
    common = params.common(ctx.body)
    series = candles.series(ctx.db.con, ctx.exchange_id)[symbol, tf]
    reach = max(window(setups, common), needs(setups, common), features.needs(size).bars)
    bars = candles.tail(ctx.db.con, series.id, size, rest[1], reach)
    seen = frames.load(ctx.db.con, ctx.exchange_id, symbol, bars, rest[1], rest[1], common.atr_period)
    facts = PlanFacts(setup, tf, 1 if direction == "long" else -1, *rest)
    return features.table([facts], seen, PLAIN)[0]


@pytest.mark.covers("I1", "I2")
def test_the_features_are_those_of_a_live_decision_to_the_bit(plans: Context) -> None:
    s = dataset.load(plans).samples
    for k in np.random.default_rng(1).choice(len(s), 40, replace=False).tolist():
        assert np.array_equal(s.x[k], live(plans, s.ids[k]), equal_nan=True), s.ids[k]


def common_rows(a: Samples, b: Samples) -> tuple[np.ndarray, np.ndarray]:
    both = sorted(set(a.ids) & set(b.ids))
    at = [{name: k for k, name in enumerate(s.ids)} for s in (a, b)]
    return tuple(np.array([places[name] for name in both]) for places in at)  # type: ignore[return-value]


@pytest.mark.covers("I2")
def test_as_of_a_day_nothing_of_a_later_one_is_known(plans: Context) -> None:
    whole, cut = dataset.load(plans).samples, market_file.end_of(30)
    known = dataset.load(plans, known_by=cut)
    assert 50 < len(known.samples) < len(whole) and known.samples.t1.max() <= cut
    a, b = common_rows(known.samples, whole)
    assert len(a) == len(known.samples)
    for name in ("x", "r", "t1"):
        assert np.array_equal(getattr(known.samples, name)[a], getattr(whole, name)[b], equal_nan=True)
    # The same after everything later was made noise.
    write(plans, "UPDATE ohlcv SET high = high * 3, close = high * 2, volume = 1 WHERE ts >= ?", cut)
    write(plans, "UPDATE positions SET r_multiple = 9, pnl_pct = 9 WHERE closed_ts >= ?", cut)
    again = dataset.load(plans, known_by=cut)
    assert again.sha256 == known.sha256


def test_planted_flaw_a_row_that_saw_a_later_candle_is_noticed(plans: Context) -> None:
    day, cut = market_file.end_of(20), market_file.end_of(30)
    known = dataset.load(plans, known_by=cut)
    write(plans, "UPDATE ohlcv SET volume = volume * 2 WHERE ts >= ? AND ts < ?", day, market_file.end_of(21))
    assert dataset.load(plans, known_by=cut).sha256 != known.sha256


def test_of_the_youngest_plans_only_quick_losers_have_ended_and_all_are_left_out(plans: Context) -> None:
    cut = market_file.end_of(30)
    found = dataset.load(plans, known_by=cut)
    assert found.samples.t0.max() <= cut - 69 * 15 * MINUTE
    assert found.left_out["too young for all outcomes"] > 0


def test_a_window_of_decisions_is_kept_to(plans: Context) -> None:
    start, end = market_file.end_of(20), market_file.end_of(35)
    s = dataset.load(plans, start=start, end=end).samples
    assert len(s) > 50 and s.t0.min() >= start and s.t0.max() < end


def test_revised_rows_are_left_out_and_counted(plans: Context) -> None:
    before = len(dataset.load(plans).samples)
    write(plans, "UPDATE signals SET revised = 1 WHERE id IN (SELECT id FROM signals WHERE n % 5 = 0)")
    found = dataset.load(plans)
    assert not set(found.samples.ids) & ids(plans, "g.revised = 1")
    assert len(found.samples) < before and found.left_out["revised"] > 0


def remade(ctx: Context, change: Callable[[dict], None]) -> None:
    """Say that every third plan was made under another configuration."""
    body = json.loads(json.dumps(ctx.body))
    change(body)
    write(ctx, "INSERT OR IGNORE INTO configs VALUES ('other', ?, 0)", json.dumps(body))
    write(ctx, "UPDATE signals SET config_hash = 'other' WHERE n % 3 = 0")


def fee(body: dict) -> None:
    body["signals"]["fees"]["taker_pct"] = 0.2


def admission(body: dict) -> None:
    body["signals"]["max_cost_r"] = 0.1
    body["risk"]["equity_usd"] = 5.0
    body["meta"]["threshold"] = 0.7


def donchian(body: dict) -> None:
    body["signals"]["setups"]["donchian"]["params"]["channel"] = 33


def test_plans_made_under_other_fees_have_other_labels_and_are_left_out(plans: Context) -> None:
    remade(plans, fee)
    found = dataset.load(plans)
    assert not set(found.samples.ids) & ids(plans, "g.config_hash = 'other'")
    assert found.left_out["made under another configuration"] > 0


def test_clean_twin_other_admission_and_sizing_change_no_label(plans: Context) -> None:
    before = dataset.load(plans).sha256
    remade(plans, admission)
    assert dataset.load(plans).sha256 == before


def test_a_setup_that_changed_takes_only_its_own_plans_out(plans: Context) -> None:
    remade(plans, donchian)
    kept = set(dataset.load(plans).samples.ids)
    assert not kept & ids(plans, "g.config_hash = 'other' AND g.setup = 'donchian'")
    assert kept & ids(plans, "g.config_hash = 'other' AND g.setup = 'fibo_avwap'")


@pytest.mark.parametrize("reason", ["ev -0.10 < min_ev_pct 0.00 (global)", "p_low 0.40 <= threshold 0.55 (global)",
                                    "ev_low -0.1 <= min_ev_pct 0 (pair)", "p 0.5 < threshold 0.6 (global)"])
def test_what_only_the_gate_refused_counts_as_admitted(plans: Context, reason: str) -> None:
    write(plans, "UPDATE signals SET verdict = 'refused', reason = ? WHERE n % 2 = 0", reason)
    assert dataset.load(plans).admitted.all()
    write(plans, "UPDATE signals SET reason = 'tp1_net 0.31 < min_tp_net_pct 0.5' WHERE n % 2 = 0")
    assert not dataset.load(plans).admitted.all()


def test_a_symbol_that_lags_holds_all_labels_back(plans: Context) -> None:
    late = market_file.end_of(25)
    write(plans, "UPDATE symbols SET followed_ts = ? WHERE symbol LIKE 'ETH%'", late)
    assert dataset.load(plans).samples.t1.max() <= late


def test_a_delisted_symbol_holds_nobody_up_unless_all_are(plans: Context) -> None:
    whole = dataset.followed(plans)
    early = whole - 3 * timeframe.DAY
    write(plans, "UPDATE symbols SET followed_ts = ? WHERE symbol LIKE 'ETH%'", early)
    assert dataset.followed(plans) == early
    write(plans, "UPDATE series SET ended_ts = ? WHERE symbol LIKE 'ETH%'", early)
    assert dataset.followed(plans) == whole
    write(plans, "UPDATE series SET ended_ts = ?", early)
    assert dataset.followed(plans) == whole


def test_a_plan_without_its_candles_is_left_out_and_counted(plans: Context) -> None:
    name = dataset.load(plans).samples.ids[-1]
    symbol, ts = plans.db.con.execute("SELECT symbol, ts FROM signals WHERE id = ?", (name,)).fetchone()
    series = candles.series(plans.db.con, plans.exchange_id)[symbol, "15m"].id
    write(plans, "DELETE FROM ohlcv WHERE series = ? AND ts = ?", series, ts)
    assert dataset.load(plans).left_out["without their candles"] > 0


def test_a_file_without_plans_gives_no_sample(plans: Context) -> None:
    write(plans, "UPDATE positions SET closed_ts = NULL, pnl_pct = NULL, r_multiple = NULL")
    found = dataset.load(plans)
    assert len(found.samples) == 0 and found.admitted.shape == (0,) and found.samples.x.shape[1] == len(features.NAMES)


def test_reading_writes_nothing(plans: Context) -> None:
    readonly = market_file.opened(plans, readonly=True)
    assert dataset.load(readonly).sha256 == dataset.load(plans).sha256
    with pytest.raises(sqlite3.OperationalError):
        readonly.db.con.execute("DELETE FROM signals")
    readonly.db.close()


def test_an_endless_hold_is_judged_by_the_longest_life_seen(plans: Context) -> None:
    body = {**plans.body, "execution": {**plans.body["execution"], "max_hold_candles": 0}}
    assert dataset.horizon(body, "15m", 0) is None
    assert dataset.horizon(body, "15m", 60) == 69 * 15 * MINUTE
    endless = replace(plans.cfg, execution=replace(plans.cfg.execution, max_hold_candles=0))
    ctx = Context(endless, plans.db, plans.clock)
    write(plans, "INSERT INTO configs VALUES (?, ?, 0)", ctx.config_hash, json.dumps(ctx.body))
    write(plans, "UPDATE signals SET config_hash = ?", ctx.config_hash)
    found = dataset.load(ctx)
    assert found.samples.t0.max() <= dataset.followed(ctx) and len(found.samples) > 0
