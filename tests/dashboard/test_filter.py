"""The page Filter: what governs, what it said, what came of it; and what it shows while there is nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.config.schema import Meta
from core.dashboard import theme
from core.dashboard.views import filter as view
from core.dashboard.views import filter_drift as drift_view
from core.dashboard.views import filter_figures as figures
from core.dashboard.views import filter_models as models_view
from core.engine import forward
from core.engine.account import Book, Line, Side
from core.engine.figures import Rule, plain
from core.meta import registry
from core.meta.drift import DESIGN
from core.signals.features import VERSION
from core.store.db import Database
from core.store.models import DRIFT, META, THRESHOLDS, Promotion, Registered
from core.store.reads import filter as reads
from core.store.reads.filter import Bin, Closed
from tests.dashboard import rig, trades_file
from tests.dashboard.trades_file import BTC, DAY, ETH, EXCHANGE, HOUR, JAN, plan
from tests.engine.test_forward import ADMISSION, LOST, OBSERVED, REFUSED, record

EVIDENCE = {"label": "weak", "why": "957 gated trades"}
CARD = {"created_ts": JAN, "data": {"start": JAN - 100 * DAY, "end": JAN - DAY, "n": 5000, "hash": "abc"},
        "config_hash": "c0ffee", "versions": {"numpy": "2"}, "feature_version": VERSION, "features": ["a", "b"],
        "job": "train",
        "verdict": {"better": True, "why": ["beats all baselines"]}, "metrics": {},
        "families": {"targets": {"n": 5000, "n_calibrate": 800, "evidence": EVIDENCE}}}


def promotion(n: int = 1, kind: str = META, model: str | None = "m1", **more: Any) -> Promotion:
    values = {"n": n, "kind": kind, "model": model, "promoted_ts": JAN, "ts": JAN, "who": "user", "why": "a test",
              "detail": {}, "path": "", "sha256": "", "table": {}} | more
    return Promotion(**values)


def drawn(figure: figures.Figure) -> dict[str, list[dict[str, Any]]]:
    """The series of a figure by name, as JSON: a curve, and after it the ends of its intervals."""
    found: dict[str, list[dict[str, Any]]] = {}
    for series in json.loads(json.dumps(theme.plain(figure), allow_nan=False))["series"]:
        found.setdefault(series.get("name", ""), []).append(series)
    return found


def told(figure: figures.Figure) -> list[tuple[float, str]]:
    """What its tooltip says, and at which x."""
    first = drawn(figure)[""][0]["data"]
    return [(item["value"][0], item["name"]) for item in first]


def spans(series: dict[str, Any]) -> list[tuple[float, float, float]]:
    """The intervals as they are drawn: x, from, to."""
    data = series["data"]
    assert all(gap == [x, None] for (x, _), gap in zip(data[::3], data[2::3], strict=True)), "no line between them"
    return [(x, low, high) for (x, low), (_, high) in zip(data[::3], data[1::3], strict=True)]


# What governs


def test_without_a_model_it_says_what_is_missing() -> None:
    found = view.standings(None, "", 1000, "ok", [Closed(True, 400, JAN)])
    assert [s.acts for s in found] == [False, False]
    assert "400 of 1,000 closed plans; 600 more are needed" in found[0].why
    assert "0 of 1,000 closed plans; 1,000 more are needed" in found[1].why
    assert "only observes" in view.sentence(True, None, found)
    assert "1,000 closed plans" in view.todo(found, 1000, 365, 0)
    enough = view.standings(None, "", 1000, "ok", [Closed(True, 4000, JAN)])
    assert "train_meta.py" in view.todo(enough, 1000, 365, 0)
    assert "none beat its baselines" in view.todo(enough, 1000, 365, 3)


@pytest.mark.covers("I5", "rule 17")
@pytest.mark.parametrize(("told", "drift", "trouble", "why"), [
    ({"n": 5000, "n_calibrate": 800}, "ok", "", ""), ({"n": 5000, "n_calibrate": 800}, "observe", "", "drift"),
    ({"n": 900, "n_calibrate": 800}, "ok", "", "900 of 1,000"),
    ({"n": 5000, "n_calibrate": 9}, "ok", "", "calibrated on 9"),
    ({"n": 5000, "n_calibrate": 800}, "ok", "its files were changed", "its files were changed")])
def test_a_family_acts_only_where_nothing_speaks_against_it(told: Any, drift: str, trouble: str, why: str) -> None:
    card = {"families": {"targets": told | {"evidence": EVIDENCE}}}
    targets, trailed = view.standings(card, trouble, 1000, drift, [])
    assert targets.acts == (not why) and why in targets.why
    assert not trailed.acts and "no model knows such plans" in trailed.why
    words = view.sentence(True, promotion(), [targets, trailed])
    assert ("It decides on plans with targets" in words) == targets.acts
    assert view.standing_rows([targets])[0]["does"] == ("acts" if targets.acts else "observes")


def test_the_filter_turned_off_says_so() -> None:
    assert "is off" in view.sentence(False, promotion(), [])


def test_the_last_promotion_governs_and_drift_belongs_to_its_model() -> None:
    history = [promotion(1), promotion(2, DRIFT, "m1", detail={"level": "raise"}), promotion(3, META, "m2")]
    now = view.governing(history)
    assert now is not None and now.model == "m2"
    assert (view.drift_level(history, "m1"), view.drift_level(history, "m2")) == ("raise", "ok")
    assert view.governing([*history, promotion(4, META, None)]) is None
    assert view.governing([]) is None and view.drift_level([], None) == "ok"


# Figures


def a_part() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    changes = []
    for i in range(600):
        p = float(rng.uniform(0.3, 0.6))
        changes.append({"ml_p": p, "ev_pct": p - 0.45, "decided_ts": JAN + i * 7 * HOUR,
                        "closed_ts": JAN + i * 7 * HOUR + HOUR, **(LOST if rng.random() > p else {}),
                        **(REFUSED if p < 0.45 else {})})
    return dict(plain(forward.figures_of(record(*changes), Rule(True, 0.0))))


@pytest.mark.covers("I5")
def test_the_cards_never_show_a_rate_alone() -> None:
    told = {label: (value, below) for label, value, below, _ in view.headline(a_part())}
    gate = next(label for label in told if label.startswith("Gate: won of"))
    assert "%)" in gate and "break-even" in told[gate][1] and "[" in told[gate][1]
    assert "0.5 = chance" in told["AUC"][1] and "chance gives up to" in told["ECE"][1]
    assert told["Plans"][0] == "600"


def test_nothing_taken_is_no_rate() -> None:
    part = plain(forward.figures_of(record(REFUSED, REFUSED | LOST), Rule(True, 0.0)))
    assert ("Gate", "no plan") in [(label, value) for label, value, *_ in view.headline(part)]
    empty = plain(forward.figures_of(record(), Rule(True, 0.0)))
    assert view.headline(empty)[0][1] == "0"
    for figure in (figures.coverage(empty, True), figures.reliability(empty, True), figures.deciles(empty, True)):
        assert told(figure) == []


def test_coverage_stands_beside_break_even_with_intervals() -> None:
    part = a_part()
    figure = figures.coverage(part, True)
    found, curve = drawn(figure), part["coverage"]
    assert set(found) == {"", "Won", "Break-even", "The filter", "R per plan"}
    won, whiskers = found["Won"]
    assert won["data"] == [[100 * c["coverage"], 100 * c["win_rate"]] for c in curve]
    assert spans(whiskers) == [(100 * c["coverage"], 100 * c["win_low"], 100 * c["win_high"]) for c in curve]
    assert found["Break-even"][0]["data"][-1][1] == pytest.approx(100 * part["ungated"]["break_even"])
    gate = part["gate"]
    assert found["The filter"][0]["data"] == [[100 * gate["coverage"], 100 * gate["win_rate"]]]
    r = found["R per plan"]
    assert spans(r[1]) == [(100 * c["coverage"], c["mean_r_low"], c["mean_r_high"]) for c in curve
                           if c["mean_r_low"] is not None]
    assert {series["yAxisIndex"] for series in r} == {1}, "below, on their own axis"
    assert f"The filter: {gate['n']} plans\nWon {100 * gate['win_rate']:.1f}% (95 %: " in told(figure)[-1][1]
    assert [text.partition(":")[0] for _, text in told(figure)][:2] == ["Best 5%", "Best 10%"]
    assert all("Break-even" in text and "R per plan" in text for _, text in told(figure))


def test_what_the_tooltip_says_of_a_point_stands_at_that_point() -> None:
    part = a_part()
    for figure, name in ((figures.coverage(part, True), "Won"), (figures.reliability(part, True), "Observed"),
                         (figures.deciles(part, True), "Realised")):
        at = [x for x, _ in told(figure)]
        assert [x for x, _ in drawn(figure)[name][0]["data"]] == at[:len(at) - (name == "Won")]


def test_reliability_shows_counts_that_add_up() -> None:
    part = a_part()
    figure, bins = figures.reliability(part, False), part["probability"]["reliability"]
    counts = drawn(figure)[""][2]
    assert spans(counts) == [(100 * b["claimed"], 0, b["n"]) for b in bins] and sum(b["n"] for b in bins) == 600
    assert spans(drawn(figure)["Observed"][1]) == [
        (100 * b["claimed"], 100 * b["low"], 100 * b["high"]) for b in bins]
    ends = drawn(figure)["Says what it means"][0]["data"]
    assert all(x == y for x, y in ends)
    assert all(ends[0][0] <= v <= ends[1][0] for span in spans(drawn(figure)["Observed"][1]) for v in span)
    assert told(figure)[0][1].endswith(f"{bins[0]['n']} plans")


def test_deciles_draw_claims_against_results() -> None:
    part = a_part()
    points, whiskers = drawn(figures.deciles(part, True))["Realised"]
    assert points["data"] == [[d["predicted"], d["realised"]] for d in part["deciles"]]
    assert len(points["data"]) == 10 and points["data"] == sorted(points["data"])
    assert spans(whiskers) == [pytest.approx((d["predicted"], d["realised"] - 1.96 * d["error"],
                                              d["realised"] + 1.96 * d["error"])) for d in part["deciles"]]


@pytest.mark.parametrize("first", [{}, LOST, REFUSED])
def test_the_first_plan_that_a_model_judged_is_drawn_without_intervals_of_its_mean(first: dict[str, Any]) -> None:
    part = plain(forward.figures_of(record(first), Rule(True, 0.0)))
    assert {label: value for label, value, *_ in view.headline(part)}["Brier skill"] == "–"
    assert spans(drawn(figures.coverage(part, True))["R per plan"][1]) == []
    assert len(told(figures.reliability(part, True))) == 1
    points, whiskers = drawn(figures.deciles(part, True))["Realised"]
    assert len(points["data"]) == 1 and whiskers["data"] == []
    assert "95 %" not in told(figures.deciles(part, True))[0][1]
    assert "Only 1 plans" in view.few(part) and view.few(a_part()) == ""


def test_the_histogram_keeps_what_the_filter_did_apart() -> None:
    bins = [Bin(20, "pass", "ev", 3), Bin(20, "refused", "ev_low", 4), Bin(21, "refused", "cost_r", 5),
            Bin(21, "pass", "ungated:", 6), Bin(20, "refused", "p", 1)]
    figure = figures.p_histogram(bins, True, None)
    bars = {name: series[0]["data"] for name, series in drawn(figure).items() if name}
    assert {name: sum(y or 0 for _, y in data) for name, data in bars.items()} == {
        "passed by the filter": 3, "refused by the filter": 5, "refused by admission": 5, "observed only": 6}
    # A bar of two percent around its middle; ECharts stacks bars by their place in the list: all have all of them.
    assert [cell for cell in bars["refused by the filter"] if cell[1]] == [[41.0, 5]]
    assert len({tuple(x for x, _ in data) for data in bars.values()}) == 1
    assert dict(told(figure))[41.0] == "p from 40% to 42%\n3 passed by the filter\n5 refused by the filter"
    line = drawn(figures.p_histogram(bins, True, 0.55))[""][-1]["markLine"]["data"]
    assert line == [{"xAxis": pytest.approx(55.0)}]
    assert drawn(figures.p_histogram([], True, None)).keys() == {""}


def test_rolling_shares_are_those_of_the_last_plans() -> None:
    p, win = np.full(500, 0.4), np.array([1.0, 0.0] * 250)
    figure = figures.rolling(p, win, JAN + HOUR * np.arange(500), True)
    data = drawn(figure)
    claimed, observed = (data[name][0]["data"] for name in ("Claimed", "Observed"))
    assert {round(y, 6) for _, y in claimed} == {40.0} and {round(y, 6) for _, y in observed} == {50.0}
    assert claimed[0][0] == JAN + 199 * HOUR, "known when the last of them ended"
    # The band is the lower bound, and stacked on it the width: as much above the claim as below.
    low, wide = data[""][1]["data"], data["What chance allows"][0]["data"]
    half = 196.0 * (DESIGN * 0.4 * 0.6 / 200) ** 0.5
    assert [y for _, y in low] == pytest.approx([40.0 - half] * len(low))
    assert [y for _, y in wide] == pytest.approx([2 * half] * len(wide))
    at, text = told(figure)[0]
    assert at == claimed[0][0] and text == "2024-01-09 07:00Z\nWon 50.0%\nClaimed 40.0%\nChance allows 30.9% to 49.1%"
    assert drawn(figures.rolling(p[:10], win[:10], np.arange(10), True)) == {}


def test_importance_shows_the_largest_on_top() -> None:
    figure = figures.importance({"a": 0.1, "b": 0.6, "c": 0.3}, True, 2)
    bars = drawn(figure)[""][0]["data"]
    assert figure["yAxis"]["data"] == ["c", "b"] and [bar["value"] for bar in bars] == [30.0, 60.0]
    assert bars[1]["label"] == {"formatter": "60.0%"}


# The account, thresholds, models


def side(n: int, won: int, gained: float, lost: float, low: float | None = None, high: float | None = None) -> Side:
    net = gained - lost
    return Side(n, n, won, net, gained, lost, net / n if n else None, low, high)


@pytest.mark.covers("I3")
@pytest.mark.parametrize(("gained", "lost", "words"), [(3.0, 10.0, "**saved 7.0 R**"), (10.0, 3.0, "**cost 7.0 R**")])
def test_the_account_says_what_refusing_was_worth(gained: float, lost: float, words: str) -> None:
    book = Book("live", Line(side(10, 4, gained, lost), side(5, 2, 4.0, 3.0)), {}, 0, 0, 0)
    assert words in view.account_sentence(book)
    row = view.account_rows(book)[0]
    assert (row["saved"], row["cost"], row["net"], row["passed_won"]) == (lost, gained, lost - gained, "2 of 5")
    waiting = Book("live", Line(side(0, 0, 0, 0), side(0, 0, 0, 0)), {}, 0, 7, 0)
    assert "7 refused plans are still followed" in view.account_sentence(waiting)


@pytest.mark.covers("rule 32")
def test_thresholds_are_listed_from_the_specific_to_the_global_with_their_source() -> None:
    history = [promotion(1, THRESHOLDS, "t1", who="tune", why="reaches the target",
                         table={BTC: {"1h": {"min_ev_pct": 0.2}, "4h": {"threshold": 0.6}}})]
    rows = models_view.thresholds(Meta(), history)
    assert [(r["level"], r["what"], r["value"]) for r in rows] == [
        ("pair and timeframe", "BTC 1h", 0.2), ("global", "everything else", 0.0)]
    assert "tune" in rows[0]["source"] and rows[-1]["source"] == "models.meta.min_ev_pct"
    assert "raised" in models_view.threshold_words(Meta(), "raise")
    assert "raised" not in models_view.threshold_words(Meta(), "ok")


def registered(id: str, promoted: int | None, created: int = JAN) -> Registered:
    gate = {"n": 145, "coverage": 0.046, "win_rate": 0.47, "break_even": 0.44, "mean_r": 0.05}
    card = CARD | {"metrics": {"targets": {"auc": 0.54, "skill": 0.005, "gate": gate}}}
    return Registered(id, META, "", "", created, promoted, None, card)


def test_the_champion_leads_then_the_newest_and_each_says_what_was_said_of_it() -> None:
    known = [registered("old", JAN, JAN), registered("new", None, JAN + DAY), registered("champ", JAN, JAN - DAY)]
    rows = models_view.models(known, "champ", {"new": "no better than the base rate; off by 0.03"})
    assert [(r["id"], r["state"]) for r in rows] == [("champ", "governs"), ("new", "challenger"), ("old", "retired")]
    assert rows[0]["gate"] == "145 (4.6%): 47% won, break-even 44%, +0.05R"
    assert models_view.verdicts(rows) == {"new, challenger": ["no better than the base rate", "off by 0.03"]}


def test_gains_say_where_they_are_more_than_chance() -> None:
    rows = models_view.gains({"base_rate": {"brier": {"mean": 0.01, "low": 0.001, "high": 0.02}, "r": None},
                              "ungated": {"r": {"mean": 0.1, "low": None, "high": None}}})
    assert {r["name"]: r["clear"] for r in rows} == {"the base rate": "squared error", "every admitted plan": "no"}


def test_the_card_names_data_families_and_looks() -> None:
    report = {"families": {"targets": {"slices": {"sealed": {"n": 9, "from": "a", "to": "b"}, "purged": 3},
                                       "trials": {"looks": 4, "sets": 40, "dsr": 0.2}}}}
    told = {row["name"]: row["value"] for row in models_view.card_facts(CARD, report)}
    assert "5,000 closed plans" in told["Learned from"] and told["Looks at the sealed plans"] == "4"
    assert told["Slice: sealed"] == "9 plans, a to b" and told["Verdict"] == "better"
    assert models_view.card_facts(CARD, None)


def test_the_history_tells_every_change_newest_first() -> None:
    history = [promotion(1), promotion(2, THRESHOLDS, "t"), promotion(3, DRIFT, detail={"level": "warn"}),
               promotion(4, META, None, detail={"rollback": True})]
    assert [r["what"] for r in models_view.happened(history)] == ["rolled back", "drift: warn", "thresholds",
                                                                 "model governs"]


# Drift

LOOK = {"model": "m1", "known_by": JAN, "ts": JAN + HOUR, "level": "warn",
        "asked": {"level": "warn", "reasons": ["targets: 3 of 40 features moved"]},
        "families": {"targets": {
            "unseen": 900, "far": ["atr_pct"], "why_not": "",
            "worst": [{"name": "atr_pct", "psi": 0.5, "warn_limit": 0.2, "act_limit": 0.4, "ks": 0.3, "shifted": True},
                      {"name": "body", "psi": 0.1, "warn_limit": 0.2, "act_limit": 0.4, "ks": 0.1, "shifted": True}],
            "gaps": [{"n": 300, "claimed": 0.4, "observed": 0.35, "gap": -0.05, "z": -1.5, "what": "plans"}]},
            "trailed": {"unseen": 3, "why_not": "3 unseen plans, 100 are needed"}}}


def test_the_newest_look_is_told_with_its_gaps_and_features() -> None:
    text = drift_view.sentence(LOOK)
    assert "**warn** (targets: 3 of 40 features moved)" in text and "900 unseen plans with targets" in text
    assert [(r["name"], r["moved"]) for r in drift_view.features(LOOK)] == [("atr_pct", "far"), ("body", "no")]
    assert drift_view.gaps(LOOK)[0]["gap"] == pytest.approx(-5.0)
    assert drift_view.notes(LOOK) == ["Plans that only trail: 3 unseen plans, 100 are needed"]
    assert "not been looked at yet" in drift_view.sentence({}) and drift_view.gaps({}) == []


def test_a_setup_configured_otherwise_since_is_named() -> None:
    body = {"signals": {"atr_period": 14, "setups": {"donchian": {"channel": 20}}}, "execution": {}}
    then = {"signals": {"atr_period": 14, "setups": {"donchian": {"channel": 30}}}, "execution": {}}
    told = view.reconfigured({"config": then}, body, ("donchian", "fibo_avwap"))
    assert len(told) == 1 and "donchian: signals.setups.donchian.channel changed" in told[0]
    assert view.reconfigured(None, body, ("donchian",)) == []
    assert view.reconfigured({"config": body}, body, ("donchian",)) == []


# What is read


SCORED = {"ml_p": 0.5, "ev_pct": 0.2, "model": "m1", "reason": "ev 0.2 >= min_ev_pct 0 (global)"}


@pytest.fixture
def plans() -> list[dict[str, Any]]:
    """Of the model's time: two passed, one refused and one unfilled, one in-sample, one unscored, one of history."""
    return [plan(1, 2.0, **SCORED), plan(2, -1.0, **SCORED), plan(3, -1.0, **{**SCORED, **REFUSED}, symbol=ETH),
            plan(4, **SCORED), plan(5, 9.0, **SCORED, in_sample=1), plan(6, 1.0), plan(-50, 7.0, **SCORED),
            plan(7, 3.0, **SCORED, origin="retro"), plan(8, -1.0, **{**SCORED, **ADMISSION}),
            plan(9, 1.0, **{**SCORED, **OBSERVED})]


@pytest.mark.covers("I5", "rule 32")
def test_only_scored_plans_out_of_sample_since_the_model_governs_are_read(tmp_path: Path, plans: list[Any]) -> None:
    con = Database(trades_file.write(tmp_path, plans), readonly=True).con
    rows = reads.scored(con, EXCHANGE, "live", JAN)
    assert [row[0] for row in rows] == ["p1", "p2", "p3", "p8", "p9"]
    assert [row[0] for row in reads.scored(con, EXCHANGE, "retro", JAN)] == ["p7"]
    assert {row[0] for row in reads.closed(con, EXCHANGE, JAN)} == {"p1", "p2", "p3", "p6", "p7", "p8", "p9"}
    assert sum(b.n for b in reads.histogram(con, EXCHANGE, "live", JAN)) == 6, "the unfilled one was judged, too"
    assert reads.samples(con, EXCHANGE, JAN) == [Closed(True, 8, JAN + HOUR)]


def test_the_newest_plans_are_kept_where_there_are_too_many(tmp_path: Path, plans: list[Any],
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "MOST_PLANS", 4)  # two symbols: two each
    con = Database(trades_file.write(tmp_path, plans), readonly=True).con
    assert [row[0] for row in reads.scored(con, EXCHANGE, "live", JAN)] == ["p3", "p8", "p9"]


def test_plans_are_found_by_the_index_over_times(tmp_path: Path) -> None:
    con = Database(trades_file.write(tmp_path), readonly=True).con
    told = " ".join(str(row[3]) for row in con.execute(
        "EXPLAIN QUERY PLAN SELECT g.n FROM signals g JOIN positions p ON p.signal = g.n WHERE g.exchange = 'a' AND "
        "g.symbol = 'b' AND g.decided_ts >= 5 AND g.in_sample = 0 ORDER BY g.decided_ts DESC LIMIT 5"))
    assert "signals_time" in told and "TEMP B-TREE" not in told


def test_bars_reach_back_as_far_as_asked(tmp_path: Path) -> None:
    con = Database(trades_file.write(tmp_path), readonly=True).con
    ts, close = reads.closes(con, EXCHANGE, BTC, "1h", JAN + 10 * HOUR, JAN + 12 * HOUR, 4)
    assert ts == [JAN + i * HOUR for i in range(6, 13)] and len(close) == 7
    assert reads.closes(con, EXCHANGE, BTC, "2h", JAN, JAN, 4) == ([], [])


# The page


def governed(folder: Path, plans: list[Any], **report: Any) -> Path:
    db = trades_file.write(folder, plans)
    told = {"job": "train", "families": {"targets": report}}
    files = {"report.json": json.dumps(told).encode(), "realised.json": b"{}"}
    saved = registry.save(folder / "models" / "meta", CARD, files)
    trades_file.govern(db, saved.path, saved.sha256, CARD, JAN, table={BTC: {"1h": {"min_ev_pct": 0.2}}})
    return db


def opened(at: AppTest, key: str) -> AppTest:
    at.session_state[key] = True
    return at.run()


def test_the_page_without_a_model_observes_and_says_what_is_missing(tmp_path: Path) -> None:
    at = rig.open_page("filter", trades_file.write(tmp_path, trades_file.results([1.0, -1.0, 2.0])))
    text = rig.words_of(at)
    assert not at.exception
    assert "only observes: no model governs" in text and "3 of 20 closed plans; 17 more are needed" in text
    assert "every admitted plan" not in text, "nothing is computed that is not looked at"
    assert rig.figures_of(at) == [] and not len(at.dataframe), "their scripts would hold the page back"
    assert "every admitted plan" in rig.words_of(opened(at, "filter-rules-open")), "single rules stand in its place"


def test_the_page_of_an_empty_file_says_what_to_do(tmp_path: Path) -> None:
    at = rig.open_page("filter", trades_file.write(tmp_path))
    assert not at.exception and "retro_scan.py" in rig.words_of(at)


@pytest.mark.parametrize("tab", ["Thresholds", "Model card", "Champion and challengers", "Importance", "Drift",
                                 "Single rules", "History"])
def test_every_tab_of_a_governing_model_draws(tmp_path: Path, plans: list[Any], tab: str) -> None:
    part = a_part()
    db = governed(tmp_path, plans, sealed=part, out_of_sample=part, importance={"a": 0.7, "b": 0.3},
                  comparison={"base_rate": {"brier": {"mean": 0.01, "low": 0.001, "high": 0.02}}})
    at = rig.open_page("filter", db)
    at.session_state["filter-tab"] = tab
    at.run()
    text = rig.words_of(at)
    assert not at.exception and "governs" in text and "Plans 5" in text, "live plans out of sample come first"
    assert "Refusing them **saved 1.0 R**" in text
    needed = {"Thresholds": "BTC 1h", "Model card": "5,000 closed plans", "Champion and challengers": "squared error",
              "Drift": "too few to see claims drift", "Single rules": "only long", "History": "model governs"}
    assert needed.get(tab, "") in text
    assert not len(at.dataframe), "the page stands without the script of these"
    at.segmented_control(key="filter-source").set_value("sealed").run()
    assert not at.exception and "Plans 600" in rig.words_of(at)


def drawn_names(at: AppTest) -> list[set[str]]:
    assert not at.exception and all(chart.proto.alt for chart in at.get("echarts_chart"))
    return [set(drawn(figure)) for figure in rig.figures_of(at)]


def test_the_figures_of_a_governing_model_stand_beside_each_other_and_what_lies_behind_is_asked_for(
        tmp_path: Path, plans: list[Any]) -> None:
    at = rig.open_page("filter", governed(tmp_path, plans, sealed=a_part()))
    assert drawn_names(at) == [{"", "Won", "Break-even", "The filter", "R per plan"},
                               {"", "Says what it means", "Observed"}]
    assert "Only 5 plans" in rig.words_of(at)
    at.session_state["filter-figures"] = "EV and histogram of p"
    assert drawn_names(at.run()) == [{"", "As predicted", "Realised"}, {"", "passed by the filter",
                                     "refused by the filter", "refused by admission", "observed only"}]
    at.session_state["filter-figures"] = "In numbers"
    text = rig.words_of(at.run())
    assert not at.exception and "every admitted plan" in text and "1h" in text and "long" in text
    at.segmented_control(key="filter-account-group").set_value("pair").run()
    assert "ETH" in at.dataframe[-1].value.to_string()
    at.session_state["filter-tab"] = "Champion and challengers"
    assert not at.run().exception and "- by a test" in rig.words_of(opened(at, "filter-verdicts"))


def test_a_model_of_an_older_program_is_shown_as_unusable(tmp_path: Path, plans: list[Any]) -> None:
    db = trades_file.write(tmp_path, plans)
    saved = registry.save(tmp_path / "models" / "meta", CARD, {"calibrator.json": b"{}"})
    trades_file.govern(db, saved.path, saved.sha256, CARD, JAN)
    at = rig.open_page("filter", db)
    assert not at.exception and "never held against results" in rig.words_of(at)
    assert "It decides on" not in rig.words_of(at)


def test_a_model_that_was_tampered_with_is_shown_as_unusable(tmp_path: Path, plans: list[Any]) -> None:
    db = governed(tmp_path, plans)
    next((tmp_path / "models" / "meta").glob("*/card.json")).write_text("{}")
    at = rig.open_page("filter", db)
    assert not at.exception and "The model cannot be used" in rig.words_of(at)
