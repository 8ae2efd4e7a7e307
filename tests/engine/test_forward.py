"""The forward record: what models said of plans that had not ended yet, against sums one can make by hand."""

import math
from typing import Any

import numpy as np
import pytest

from core.candles import Floats, Ints
from core.engine import forward
from core.engine.figures import Rule
from core.engine.forward import Record
from core.signals.indicators import ema
from core.signals.kernels import PLAIN
from core.store.reads.filter import FIELDS

JAN = 1_704_067_200_000
HOUR, WEEK = 3_600_000, 7 * 86_400_000

PLAIN_ROW: dict[str, Any] = {
    "id": "a", "symbol": "BTC", "timeframe": "1h", "setup": "fibo_avwap", "direction": "long", "trend": "trend",
    "vol": "low", "verdict": "pass", "reason": "ev 0.2 >= min_ev_pct 0 (global)", "model": "m1", "ts": JAN - HOUR,
    "decided_ts": JAN, "closed_ts": JAN + HOUR, "entry": 100.0, "sl": 98.0, "tp1": 103.0, "cost_r": 0.1, "ml_p": 0.5,
    "ev_pct": 0.2, "pnl_pct": 3.0, "r_multiple": 1.5,
}


def record(*changes: dict[str, Any]) -> Record:
    rows = [PLAIN_ROW | {"id": f"{i:03d}", "decided_ts": JAN + i * HOUR, "closed_ts": JAN + (i + 1) * HOUR,
                         "ts": JAN + (i - 1) * HOUR} | change for i, change in enumerate(changes)]
    return forward.record([[row[name] for name in FIELDS] for row in rows])


LOST = {"pnl_pct": -2.0, "r_multiple": -1.0}
REFUSED = {"verdict": "refused", "reason": "ev -0.1 < min_ev_pct 0 (global)"}
ADMISSION = {"verdict": "refused", "reason": "cost_r 0.3 > max_cost_r 0.15"}
OBSERVED = {"verdict": "pass", "reason": "ungated: drift"}


@pytest.mark.covers("I3", "I5")
def test_the_gate_is_what_the_filter_itself_let_pass() -> None:
    found = record({}, LOST, REFUSED | LOST, REFUSED, ADMISSION | LOST, OBSERVED)
    f = forward.figures_of(found, Rule(True, 0.0))
    assert (f["n"], f["gate"]["n"], f["ungated"]["n"], f["all"]["n"]) == (6, 2, 5, 6)
    assert f["gate"]["coverage"] == pytest.approx(2 / 5)
    assert (f["gate"]["win_rate"], f["gate"]["mean_r"]) == (0.5, 0.25)
    assert f["gate"]["break_even"] == pytest.approx(1.0 / 2.5)
    assert f["ungated"]["win_rate"] == pytest.approx(3 / 5)
    assert math.isnan(f["gate"]["mean_r_low"]), "one week is no interval"


def test_plans_of_the_two_families_are_told_apart() -> None:
    found = record({}, {"tp1": None}, {"tp1": None} | LOST)
    assert found.families() == ["targets", "trailed"]
    assert len(found.of_family("trailed")) == 2
    assert record().families() == [] and len(record()) == 0
    assert forward.rules(record()) == {}


def test_figures_agree_with_slow_sums() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(0.2, 0.8, 400)
    won = rng.random(400) < p
    found = record(*({"ml_p": float(p[i]), "ev_pct": float(p[i]) - 0.4, **({} if won[i] else LOST),
                      **(REFUSED if p[i] < 0.5 else {})} for i in range(400)))
    f = forward.figures_of(found, Rule(False, 0.5))
    told, y = f["probability"], won.astype(float)
    assert told["brier"] == pytest.approx(sum((a - b) ** 2 for a, b in zip(p, y, strict=True)) / 400)
    pairs = [(a, b) for a, x in zip(p, y, strict=True) if x for b, z in zip(p, y, strict=True) if not z]
    assert told["auc"] == pytest.approx(sum(a > b for a, b in pairs) / len(pairs))
    assert sum(b["n"] for b in told["reliability"]) == 400
    assert f["gate"]["n"] == int((p >= 0.5).sum())
    top = f["coverage"][0]
    best = sorted(zip(p, y, strict=True), reverse=True)[:20]
    assert (top["n"], top["win_rate"]) == (20, pytest.approx(sum(x for _, x in best) / 20))
    assert sum(d["n"] for d in f["deciles"]) == 400
    assert set(forward.parts_of(found)) == {"timeframe", "regime", "symbol", "direction", "setup"}


def test_results_are_ordered_by_when_they_were_known() -> None:
    found = record({"closed_ts": JAN + 9 * HOUR, "ml_p": 0.9}, {"ml_p": 0.1} | LOST)
    p, win, known = forward.by_ending(found)
    assert p.tolist() == [0.1, 0.9] and win.tolist() == [0.0, 1.0]
    assert known.tolist() == [JAN + 2 * HOUR + 60_000, JAN + 9 * HOUR + 60_000]


def test_single_rules_take_admitted_plans_only() -> None:
    unscored = {"model": None, "ml_p": None, "ev_pct": None, "reason": "ungated"}
    dear = {"trend": "range", "cost_r": 0.5}
    found = record(unscored, OBSERVED | {"direction": "short"}, ADMISSION, OBSERVED | dear | LOST)
    told = forward.rules(found, np.array([1.0, -1.0, 1.0, math.nan]))
    assert {name: t["n"] for name, t in told.items()} == {
        "every admitted plan": 3, "only in a trend (ADX 25 and more)": 2, "only without a trend": 1,
        "only the cheaper half, by cost in R": 2, "only long": 2, "only short": 1, "only on the side of EMA(200)": 1,
        "only against the side of EMA(200)": 1, "every plan, refused ones too": 4}
    assert math.isnan(told["every admitted plan"]["claimed"])


def test_the_side_of_the_long_average_is_that_of_the_indicator() -> None:
    rng = np.random.default_rng(2)
    close: Floats = 100.0 + np.cumsum(rng.normal(size=900))
    ts: Ints = JAN + HOUR * np.arange(900)
    at = [398, 399, 400, 650, 899]
    found = record(*({"ts": int(ts[i]), "direction": "long" if k % 2 else "short"} for k, i in enumerate(at)),
                   {"ts": JAN + 5000 * HOUR}, {"symbol": "ETH"})
    asked = []

    def closes(symbol: str, timeframe: str, first: int, last: int) -> tuple[Ints, Floats]:
        asked.append((symbol, timeframe, first, last))
        return (ts, close) if symbol == "BTC" else (ts[:10], close[:10])

    along = forward.sides(found, closes)
    for k, i in enumerate(at):
        level = ema(close, i, forward.EMA, PLAIN)
        expected = math.nan if math.isnan(level) else float(np.sign(close[i] - level)) * (1 if k % 2 else -1)
        assert along[k] == expected or (math.isnan(along[k]) and math.isnan(expected)), i
    assert math.isnan(along[-2]) and math.isnan(along[-1]), "bars that are not there"
    assert asked[0] == ("BTC", "1h", int(ts[398]), JAN + 5000 * HOUR)
