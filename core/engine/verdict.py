"""Is a challenger better, and how strong is the evidence? Both follow from out-of-sample rows alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.engine import figures
from core.engine.figures import FEWEST_WEEKS, TAKE_ALL, Rule, Scored
from core.errors import DataError
from core.meta import trials
from core.meta.evidence import Evidence, label

# To be beaten by more than chance in squared error, those who know something; in money, those who know nothing
# (and the champion in both). The simple rules' money must only be exceeded: the difference between two ways of
# picking is mostly noise. `ungated` has no probability.
BEATEN = {"brier": ("base_rate", "geometry", "ema200"), "r": ("base_rate", TAKE_ALL)}
EXCEEDED = ("geometry", "ema200")
# It sees the same features and is the better tool where the truth is a straight line: the model must not be
# clearly worse and lose more than a quarter of what the logistic gains on the base rate.
MATCHED = "ridge"
SHARE = 0.75
CHAMPION = "champion"


@dataclass(frozen=True, slots=True)
class Tried:
    """The trial log before a training: sets of parameters, looks at sealed rows, Sharpe ratios of trainings."""

    sets: int = 0
    looks: int = 0
    sharpes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """better: whether the challenger may take over; why: in words. sharpe, skill: for the trial log."""

    better: bool
    why: tuple[str, ...]
    evidence: Evidence
    sharpe: float | None
    skill: float | None
    report: Mapping[str, Any]


def judge(sealed: Scored, whole: Scored, rule: Rule, tried: Tried, n: int, floor: int, *,
          champion: tuple[Scored, Scored] | None = None, suspects: Sequence[tuple[str, float]] = ()) -> Verdict:
    """Judge a challenger by the sealed rows, and the evidence by all out-of-sample rows.

    champion: the challenger and the champion on the rows that neither saw. suspects: features that look like
    a leak. n: closed plans; floor: the least of them.
    """
    compared = figures.compare(sealed, rule)
    if champion is not None:
        compared[CHAMPION] = figures.against(*champion, rule)
    own = figures.figures(sealed, rule)
    why = objections(compared, own["probability"], figures.weeks(sealed.samples.t0), suspects)
    proof = _proof(whole, rule, tried)
    evidence = label(n, proof["gated"], proof["interval"], 0.0, proof["dsr"], floor=floor)
    report = {"sealed": own, "out_of_sample": figures.figures(whole, rule), "comparison": compared,
              "suspects": suspects, "better": not why, "why": why, "evidence": asdict(evidence), "trials": proof}
    told = why or [_praise(compared)]
    return Verdict(not why, tuple(told), evidence, _known(proof["sharpe"]), _known(own["probability"]["skill"]), report)


def objections(compared: Mapping[str, Mapping[str, Any]], probability: Mapping[str, Any], weeks: int,
               suspects: Sequence[tuple[str, float]]) -> list[str]:
    """Why a challenger is not better, in words; empty where it is.

    compared: as `figures.compare`, with CHAMPION where there is one. probability: of the sealed rows.
    """
    if weeks < FEWEST_WEEKS:
        return [f"the sealed rows span {weeks} weeks, {FEWEST_WEEKS} are the least for an interval"]
    found = [f"{name} alone tells wins from losses (AUC {area:.2f}): it looks like a leak" for name, area in suspects]
    for measure, unit in (("brier", "squared error"), ("r", "R per plan")):
        for name in (*BEATEN[measure], CHAMPION):
            gain = compared.get(name, {}).get(measure)
            if gain is not None and not gain["low"] > 0.0:
                found.append(f"no better than {_NAMES[name]} in {unit} ({_shown(gain)})")
    for name in EXCEEDED:
        if name in compared and not compared[name]["r"]["mean"] > 0.0:
            found.append(f"no better than {_NAMES[name]} in R per plan ({_shown(compared[name]['r'])})")
    if MATCHED in compared and not _matches(compared):
        found.append(f"worse than {_NAMES[MATCHED]} in squared error ({_shown(compared[MATCHED]['brier'])})")
    if not probability["ece"] <= probability["ece_bar"]:
        found.append(f"its probabilities are off by {probability['ece']:.3f} on average, chance alone gives up to "
                     f"{probability['ece_bar']:.3f}")
    return found


def _matches(compared: Mapping[str, Mapping[str, Any]]) -> bool:
    less, gained = compared[MATCHED]["brier"], compared["base_rate"]["brier"]["mean"]
    return bool(less["high"] >= 0.0 or gained >= SHARE * (gained - less["mean"]))


_NAMES = {"base_rate": "the base rate", "geometry": "the plans' geometry", "ema200": "the EMA200 rule",
          TAKE_ALL: "taking every admitted plan", MATCHED: "the ridge logistic", CHAMPION: "the champion"}


def _shown(gain: Mapping[str, float]) -> str:
    if math.isnan(gain["low"]):
        return f"{gain['mean']:+.4f}, no interval"
    return f"{gain['mean']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]"


def _praise(compared: Mapping[str, Mapping[str, Any]]) -> str:
    least = min((by["r"]["low"], name) for name, by in compared.items() if name != MATCHED)
    champion = "champion and baselines" if CHAMPION in compared else "all baselines"
    return (f"beats {champion} on the sealed rows; the closest, {_NAMES[least[1]]}, by "
            f"{_shown(compared[least[1]]['r'])} R per plan")


def _proof(whole: Scored, rule: Rule, tried: Tried) -> dict[str, Any]:
    # The deflated Sharpe ratio of the gated results by week, against the best of all sets ever tried.
    mask = whole.gated(rule)
    mean = figures.interval(whole.samples.r[mask], whole.samples.t0[mask])
    sums, sets = figures.weekly_results(whole, mask), tried.sets + 1
    found: dict[str, Any] = {"gated": int(mask.sum()), "weeks": len(sums), "sets": sets, "looks": tried.looks + 1,
                             "interval": None if math.isnan(mean.low) else (mean.low, mean.high),
                             "sharpe": None, "psr": None, "dsr": None}
    try:
        m = trials.moments(sums)
        spread = float(np.var(tried.sharpes, ddof=1)) if len(tried.sharpes) > 1 else 0.0
        chance = max(spread, 1.0 / m.n)  # what the Sharpe ratios of worthless rules scatter by at least
        return found | {"sharpe": m.sharpe, "psr": trials.psr(*m), "dsr": trials.dsr(*m, sets, chance)}
    except DataError:
        return found


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
