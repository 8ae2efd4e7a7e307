"""The page Filter in words and tables: what governs, what it may do, and its figures. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from core.dashboard import words
from core.dashboard.views.results import Card
from core.dashboard.words import NONE, Column
from core.engine.account import Book, Line, Side
from core.meta import trained
from core.store.models import DRIFT, META, Promotion
from core.store.reads.filter import Closed
from core.timeframe import show_time

Part = Mapping[str, Any]
Row = dict[str, Any]

FAMILIES = {"targets": "plans with targets", "trailed": "plans that only trail"}
LADDER = {"ok": "Nothing moved: it is acted on as it is.",
          "warn": "Something moved: it is told, and acted on as it is.",
          "raise": "It claims too much: its thresholds are raised.",
          "observe": "Its claims do not hold any more: they are shown and not acted on."}
RULES = {"base_rate": "the base rate", "geometry": "the plans' geometry", "ridge": "the ridge logistic",
         "ema200": "the EMA200 rule", "ungated": "every admitted plan", "champion": "the champion"}


# What governs


class Standing(NamedTuple):
    """One family of plans: whether the filter acts on it, why not, how strong the evidence is and from what."""

    family: str
    acts: bool
    why: str
    evidence: str
    evidence_why: str
    n: int | None
    calibrated: int | None


def governing(history: Sequence[Promotion]) -> Promotion | None:
    """The promotion in force, None where no model governs."""
    entries = [entry for entry in history if entry.kind == META]
    return entries[-1] if entries and entries[-1].model else None


def drift_level(history: Sequence[Promotion], model: str | None) -> str:
    """What drift asks for of the governing model."""
    entries = [entry for entry in history if entry.kind == DRIFT and entry.model == model]
    return str(entries[-1].detail.get("level", "ok")) if entries else "ok"


def standings(card: Part | None, trouble: str, floor: int, drift: str, samples: Sequence[Closed]) -> list[Standing]:
    """Each family's standing. card: of the governing model. samples: plans that a training could learn from."""
    have = {("targets" if s.targets else "trailed"): s.n for s in samples}
    found = []
    for family in FAMILIES:
        told = (card or {}).get("families", {}).get(family)
        if told is None:
            n = have.get(family, 0)
            missing = "" if n >= floor else f"; {floor - n:,} more are needed"
            why = "no model knows such plans" if card else "no model governs"
            found.append(Standing(family, False, f"{why}: {n:,} of {floor:,} closed plans{missing}", "insufficient", "",
                                  None, None))
            continue
        why = trouble or trained.too_few(told, floor) or ("drift" if drift == "observe" else "")
        evidence = told.get("evidence", {})
        found.append(Standing(family, not why, why, str(evidence.get("label", "insufficient")),
                              str(evidence.get("why", "")), told.get("n"), told.get("n_calibrate")))
    return found


STANDING_COLUMNS = (
    Column("family", "Plans"), Column("does", "The filter"), Column("evidence", "Evidence"), Column("why", "Why"),
    Column("n", "Learned from", "count"), Column("calibrated", "Calibrated on", "count"),
)


def standing_rows(found: Sequence[Standing]) -> list[Row]:
    """A row per family."""
    return [{"family": FAMILIES[s.family], "does": "acts" if s.acts else "observes", "evidence": s.evidence, "n": s.n,
             "calibrated": s.calibrated, "why": s.why or s.evidence_why} for s in found]


def reconfigured(card: Part | None, body: Part, setups: Sequence[str]) -> list[str]:
    """Setups whose plans a model does not judge as configured today: they are observed only."""
    then = (card or {}).get("config")
    if not then:
        return []
    changed = {setup: trained.changed(then, body, setup) for setup in setups}
    return [f"{setup}: {', '.join(keys[:3])}{' and more' if len(keys) > 3 else ''} changed since the model's training, "
            "so its plans are only observed." for setup, keys in changed.items() if keys]


def sentence(enabled: bool, now: Promotion | None, found: Sequence[Standing]) -> str:
    """What the filter does at the moment; Markdown."""
    if not enabled:
        return ("**The filter is off** (`models.meta.enabled: false`): every admitted plan passes, whatever a model "
                "might say of it.")
    if now is None:
        return ("**The filter only observes: no model governs.** The verdict on a plan is what admission gives. Plans "
                "are followed and shown, and told in the daily digest, not one by one.")
    since = f"since {show_time(now.promoted_ts)}" if now.promoted_ts else "from the first decision on"
    acting = [FAMILIES[s.family] for s in found if s.acts]
    what = f"It decides on {' and '.join(acting)}." if acting else (
        "It may not act yet: its p and EV are shown, and the verdict is what admission gives.")
    return f"**Model {now.model} governs** {since} ({now.who}: {now.why}). {what}"


def todo(found: Sequence[Standing], floor: int, window_days: int, challengers: int) -> str:
    """What has to happen before a model can govern, where none does; Markdown."""
    if all("more are needed" in s.why for s in found):
        return (f"A training needs **{floor:,} closed plans** of a family (`models.meta.min_closed_samples`) within "
                f"{window_days} days. Let the daemon run, or compute history: `python retro_scan.py --start 2024-01-01 "
                "--end 2024-07-01`.")
    if challengers:
        return ("There are plans enough, and models were trained: none beat its baselines out of sample, so none was "
                "promoted. That is the filter working: see **Champion and challengers** below.")
    return ("There are plans enough to train on: `python train_meta.py`, or wait for the weekly training of the "
            "daemon. A model is promoted only if it beats its baselines on plans that it never saw.")


# Figures


def headline(part: Part) -> list[Card]:
    """The cards of a set of out-of-sample plans, in the form of a training's report."""
    p, gate, free = part["probability"], part["gate"], part["ungated"]
    found = [("Plans", words.count(part["n"]), f"{day(part['from'])} to {day(part['to'])}",
              f"Out of sample, filled and ended, from {part['weeks']} weeks; {free['n']:,} of them admitted.")]
    if p["n"]:
        skill = between(p["skill_low"], p["skill_high"], 4)
        found += [
            ("AUC", num(p["auc"], 3), "0.5 = chance", "Chance that a winning plan got a higher p than a losing one."),
            ("Brier skill", num(p["skill"], 4, True), skill or "no interval", "How much smaller the squared error of "
             "p is than that of the base rate, with its 95 % interval by week. Zero or below: p knows nothing."),
            ("ECE", num(p["ece"], 3), f"chance gives up to {num(p['ece_bar'], 3)}", "Mean distance of claimed and "
             "observed shares of wins. Even perfect claims show some by chance."),
        ]
    return [*found, *_taken("Gate", gate, "What the filter let pass."), *_taken(
        "Ungated", free, "Every admitted plan, as if there were no filter.")]


FEW = 100  # plans: with fewer, nearly any curve can come of chance


def few(part: Part) -> str:
    """A warning where there are too few plans to see anything."""
    return "" if part["n"] >= FEW else (f"Only {part['n']:,} plans: whatever these figures show can be chance, and the "
                                        "intervals say by how much.")


def _taken(name: str, t: Part, means: str) -> list[Card]:
    coverage = "" if t["coverage"] is None or name == "Ungated" else f" ({words.share(t['coverage'], 1)})"
    if not t["n"]:
        return [(name, "no plan", "", means)]
    return [
        (f"{name}: won of {t['n']:,}{coverage}", words.share(t["win_rate"], 1),
         f"[{words.share(t['win_low'], 1)} to {words.share(t['win_high'], 1)}] · break-even "
         f"{words.share(t['break_even'], 1)}", f"{means} Wilson's 95 % interval; the rate at which these wins and "
         "losses cancel."),
        (f"{name}: R per plan", words.r(t["mean_r"]), between(t["mean_r_low"], t["mean_r_high"], 2) or "no interval "
         "below 5 weeks", f"{means} 95 % interval: weeks of decision as blocks, bootstrapped."),
    ]


TAKEN_COLUMNS = (
    Column("name", "Plans taken by"), Column("n", "n", "count"), Column("coverage", "Coverage %", "number"),
    Column("win", "Win%", "number"), Column("interval", "95% interval"), Column("even", "Break-even", "number"),
    Column("claimed", "Claimed p", "number", "Mean p of these plans, percent."), Column("r", "R per plan", "r"),
    Column("r_interval", "95% interval "), Column("pct", "Net % per plan", "pct"), Column("total", "Total R", "r"),
)
RULE_COLUMNS = tuple(column for column in TAKEN_COLUMNS if column.key != "claimed")


def taken(rows: Mapping[str, Part]) -> list[Row]:
    """Rows of TAKEN_COLUMNS: everything that has to stand beside a win rate."""
    return [{
        "name": name, "n": t["n"], "coverage": _hundred(t["coverage"]), "win": _hundred(t["win_rate"]),
        "interval": None if t["win_low"] is None else f"{num(_hundred(t['win_low']), 1)} to "
        f"{num(_hundred(t['win_high']), 1)}", "even": _hundred(t["break_even"]), "claimed": _hundred(t["claimed"]),
        "r": t["mean_r"], "r_interval": between(t["mean_r_low"], t["mean_r_high"], 2).strip("[]") or None,
        "pct": t["mean_pct"], "total": t["total_r"]} for name, t in rows.items()]


def compared(part: Part) -> dict[str, Part]:
    """The gate beside taking all and beside each simple rule of a training's report."""
    rules = {f"{RULES.get(name, name)} (by itself)": t for name, t in part.get("rules", {}).items()}
    return {"the filter": part["gate"], "every admitted plan": part["ungated"], **rules,
            "every plan, refused ones too": part["all"]}


PART_COLUMNS = (Column("group", "Of"), *TAKEN_COLUMNS)


def parts(by: Mapping[str, Part]) -> list[Row]:
    """The filter and taking all, by timeframe, regime, pair, direction and setup."""
    return [{"group": words.coin(name), **cells} for group in by.values() for name, m in group.items()
            for cells in taken({"the filter": m["gate"], "every admitted plan": m["ungated"]})]


# The filter's own account

_BY_WEEK = "Weeks of closing as blocks, Student's t."
ACCOUNT_COLUMNS = (
    Column("name", "Of"),
    Column("refused", "Refused", "count", "Plans that the filter refused and that filled and ended on paper."),
    Column("saved", "Saved R", "number", "Losses it avoided."), Column("cost", "Cost R", "number", "Gains it missed."),
    Column("net", "Net saved R", "r", "Saved less cost: below zero the refusals cost more than they saved."),
    Column("refused_r", "R per refused", "r"), Column("refused_interval", "95% interval", help=_BY_WEEK),
    Column("passed", "Passed", "count"), Column("passed_r", "R per passed", "r"),
    Column("passed_interval", "95% interval ", help=_BY_WEEK), Column("passed_won", "Won of passed"),
)


def account_rows(book: Book, group: str | None = None) -> list[Row]:
    """The account of one origin, whole or by a group."""
    lines = {"All": book.whole} if group is None else book.by[group]
    return [_line(words.coin(name), line) for name, line in lines.items()]


def _line(name: str, line: Line) -> Row:
    refused, passed = line.refused, line.passed
    return {"name": name, "refused": refused.filled, "saved": line.saved_r, "cost": line.cost_r,
            "net": line.net_saved_r, "refused_r": refused.mean_r, "refused_interval": _interval(refused),
            "passed": passed.filled, "passed_r": passed.mean_r, "passed_interval": _interval(passed),
            "passed_won": f"{passed.won} of {passed.filled}"}


def _interval(side: Side) -> str | None:
    return None if side.low is None or side.high is None else f"{side.low:+.2f} to {side.high:+.2f}"


def account_sentence(book: Book) -> str:
    """What the filter's refusals were worth, in words; Markdown."""
    whole, side = book.whole, book.whole.refused
    if not side.filled:
        waiting = f" {book.refused_open:,} refused plans are still followed." if book.refused_open else ""
        return f"Nothing that the filter refused has filled and ended yet.{waiting}"
    net = whole.net_saved_r
    judged = "its interval holds zero: chance alone explains it" if side.low is None or side.high is None or (
        side.low <= 0.0 <= side.high) else "more than chance explains"
    return (f"Of {side.plans:,} plans that the filter refused and that ended, {side.filled:,} filled: they would have "
            f"lost {whole.saved_r:,.1f} R and won {whole.cost_r:,.1f} R. Refusing them "
            f"**{'saved' if net >= 0 else 'cost'} {abs(net):,.1f} R** ({words.r(side.mean_r)} per plan"
            f"{'' if side.low is None else f' [{side.low:+.2f} to {side.high:+.2f}]'}; {judged}).")


def between(low: float | None, high: float | None, digits: int) -> str:
    """`[-0.13 to +0.08]`; empty where there is no interval."""
    return "" if low is None or high is None or low != low else f"[{low:+.{digits}f} to {high:+.{digits}f}]"


def _hundred(value: float | None) -> float | None:
    return None if value is None or value != value else 100.0 * value


def num(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """A number with its digits; a dash where there is none."""
    return NONE if value is None or value != value else f"{value:{'+' if signed else ''},.{digits}f}"


def day(ts: int | None) -> str:
    """`2024-01-31`."""
    return show_time(ts)[:10]
