"""The readable form of a report: what a training, a calibration or a tuning found, as lines of text.

Every figure is out of sample. A win rate never stands alone: n, coverage, break-even, interval and the rules it
must beat stand beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.timeframe import show_span

Part = Mapping[str, Any]

_NAMES = {"base_rate": "base rate", "geometry": "geometry alone", "ridge": "ridge logistic", "ema200": "EMA200 rule",
          "ungated": "every admitted plan", "champion": "champion"}
_CLAIMS = ("n", "wins", "claimed", "AUC", "Brier", "skill", "95 % interval", "log loss", "ECE", "chance to",
           "with fit to")  # the latter with the calibrator's own uncertainty
_TRADES = ("", "n", "coverage", "win", "95 % interval", "break-even", "claimed", "R per trade", "95 % interval",
           "net %", "total R")


def lines(report: Part, *, full: bool = False) -> list[str]:
    """A whole report. full: every table of it."""
    found = _head(report)
    if report["job"] == "tune":
        return found + _tuned(report)
    show = _trained if report["job"] == "train" else _calibrated
    for name, part in report["families"].items():
        found += ["", *_titled(name, part), *([] if "refusal" in part else show(part, full))]
    return found


def _head(report: Part) -> list[str]:
    data = report["data"]
    left = ", ".join(f"{n:,} {why}" for why, n in data["left_out"].items())
    return [
        f"Data       {data['samples']:,} closed plans ({data['admitted']:,} admitted), {data['from']} to {data['to']}",
        f"           left out: {left or 'none'}",
        f"           {data['features']} features (version {data['features_version']}), hash {data['sha256'][:12]}",
        f"Champion   {report['champion'] or 'none: the gate only observes'}",
    ]


def _titled(name: str, part: Part) -> list[str]:
    what = {"targets": "PLANS WITH TARGETS", "trailed": "PLANS THAT ONLY TRAIL"}.get(name, name)
    if "refusal" not in part:
        return [what]
    base = [] if "base_rate" not in part else [
        f"  base rate {_pct(part['base_rate'])} of {part['n']:,}, mean {_num(part['mean_r'])} R (all of them seen)"]
    return [what, f"  not done: {part['refusal']}", *base]


def _trained(part: Part, full: bool) -> list[str]:
    slices, proof = part["slices"], part["trials"]
    found = [
        f"  evidence: {part['evidence']['label']} ({part['evidence']['why']})",
        "  " + "; ".join(f"{name} {s['n']:,} ({s['from']} to {s['to']})" for name, s in slices.items()
                         if isinstance(s, Mapping)),
        f"  {slices['purged']:,} rows purged, embargo {show_span(slices['embargo_ms'])}; sealed rows: look "
        f"number {proof['looks']:,}; sets of parameters counted: {proof['sets']:,}",
        f"  gated results by week: Sharpe {_num(proof['sharpe'])} over {proof['weeks']} weeks, probabilistic "
        f"{_num(proof['psr'])}, deflated by all sets {_num(proof['dsr'])}",
    ]
    found += _realised(part["realised"])
    if part["unusable_features"]:
        found.append("  features without content: "
                     + ", ".join(f"{name} ({why})" for name, why in part["unusable_features"].items()))
    for title, lines in (
        ("Sealed rows (nothing was fitted or chosen on them)", _figures(part["sealed"], full)),
        ("All out-of-sample rows (walk-forward, then the sealed ones)", _figures(part["out_of_sample"], full)),
        ("Walk-forward, fold by fold (the last is the sealed one)", _folds(part["folds"])),
        ("Against each rule on the sealed rows (gain, 95 % interval by week)", _compared(part["comparison"])),
    ):
        found += ["", f"  {title}", *lines]
    if full:
        top = sorted(part["importance"].items(), key=lambda item: -item[1])[:12]
        found += ["", "  Gain by feature: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in top)]
    return [*found, "", "  better: " + ("yes" if part["better"] else "no"), *(f"    {why}" for why in part["why"])]


def _realised(part: Part) -> list[str]:
    # What EV claimed against what it brought, where the calibrator was fitted.
    return [f"  EV held against {part['n']:,} results of {part['weeks']} weeks, before costs: a mean claim of "
            f"{part['middle']:+.2f} R brought {part['level']:+.2f} R, and of each 1 R that a claim exceeds another "
            f"{part['slope']:.2f} R arrived; EV counts for no more"]


def _figures(part: Part, full: bool) -> list[str]:
    rows = [_probability("model", part["probability"]),
            *(_probability(_named(name), p) for name, p in part["baselines"].items())]
    found = [*_table(("probability", *_CLAIMS), rows), "",
             *_table(("taken by", *_TRADES[1:]), [
                 _trades("the gate", part["gate"]), _trades("ungated", part["ungated"]),
                 *(_trades(_named(name), p) for name, p in part["rules"].items()),
                 _trades("refused ones too", part["all"])]),
             "", *_table(("best by score", *_TRADES[1:]), [_trades(_pct(c["coverage"]), c) for c in part["coverage"]])]
    return found + (_parts(part) if full else [])


def _parts(part: Part) -> list[str]:
    found = ["", *_table(("reliability", "claimed", "won", "95 % interval"), [
        (f"{b['n']:,}", _pct(b["claimed"]), _pct(b["observed"]), _between(b["low"], b["high"], _pct))
        for b in part["probability"]["reliability"]])]
    found += ["", *_table(("EV decile", "predicted %", "realised %", "error"), [
        (f"{k + 1}, n {d['n']:,}", _num(d["predicted"]), _num(d["realised"]), _num(d["error"]))
        for k, d in enumerate(part["deciles"])])]
    for group, members in part["by"].items():
        head = (group, "n", "wins", "claimed", "AUC", *(f"{a} {b}" for a in ("gate", "all") for b in ("n", "win",
                "b-even", "R", "interval")))
        found += ["", *_table(head, [_member(name, m) for name, m in members.items()])]
    return found


def _member(name: str, m: Part) -> Sequence[str]:
    both = [cell for t in (m["gate"], m["ungated"]) for cell in (
        f"{t['n']:,}", _pct(t["win_rate"]), _pct(t["break_even"]), _num(t["mean_r"]),
        _between(t["mean_r_low"], t["mean_r_high"], _num))]
    return (name, f"{m['n']:,}", _pct(m["base_rate"]), _pct(m["claimed"]), _num(m["auc"], 3), *both)


def _probability(name: str, p: Part) -> Sequence[str]:
    return (name, f"{p['n']:,}", _pct(p["base_rate"]), _pct(p["claimed"]), _num(p["auc"], 3), _num(p["brier"], 4),
            _num(p["skill"], 4), _between(p["skill_low"], p["skill_high"], lambda v: _num(v, 4)),
            _num(p["log_loss"], 4), _num(p.get("ece"), 3), _num(p.get("ece_null95"), 3), _num(p.get("ece_fair95"), 3))


def _trades(name: str, t: Part) -> Sequence[str]:
    return (name, f"{t['n']:,}", _pct(t["coverage"]), _pct(t["win_rate"]), _between(t["win_low"], t["win_high"], _pct),
            _pct(t["break_even"]), _pct(t["claimed"]), _num(t["mean_r"]),
            _between(t["mean_r_low"], t["mean_r_high"], _num), _num(t["mean_pct"]), _num(t["total_r"], 1))


def _folds(folds: Iterable[Part]) -> list[str]:
    head = ("from", "to", "fit", "calibrate", "n", "AUC", "ridge", "skill", "gated", "win", "R per trade")
    return _table(head, [
        (f["from"], f["to"], f"{f['fit']:,}", f"{f['calibrate']:,}", f"{f['n']:,}", _num(f["auc"], 3),
         _num(f["auc_ridge"], 3), _num(f["skill"], 4), f"{f['gate']['n']:,}", _pct(f["gate"]["win_rate"]),
         _num(f["gate"]["mean_r"])) for f in folds], left=2)


def _compared(compared: Part) -> list[str]:
    def cells(gain: Part | None) -> Sequence[str]:
        return ("-", "-") if gain is None else (
            _num(gain["mean"], 5), _between(gain["low"], gain["high"], lambda v: _num(v, 4)))

    return _table(("against", "Brier saved", "interval", "R per plan", "interval"),
                  [(_named(name), *cells(by.get("brier")), *cells(by.get("r"))) for name, by in compared.items()])


def _calibrated(part: Part, full: bool) -> list[str]:
    rows = [_probability("newer", part["new"]), _probability("in use", part["old"])]
    found = [f"  {part['kind']} on {part['slices']['calibrate']:,} plans, judged on {part['slices']['judge']:,} later "
             f"ones ({part['from']} to {part['to']})", *_realised(part["realised"]),
             *_table(("calibrator", *_CLAIMS), rows)]
    if full:
        found += _table(("reliability", "claimed", "won"), [
            (f"{b['n']:,}", _pct(b["claimed"]), _pct(b["observed"])) for b in part["new"]["reliability"]])
    return [*found, f"  {part['why']}"]


def _tuned(report: Part) -> list[str]:
    goal = report["goal"]
    show = _num if goal["mode"] == "ev" else _pct
    aim = "mean net % of" if goal["mode"] == "ev" else "win rate of"
    rows = [(f"{c['symbol']} {c['timeframe']}", _num(c["own"], 3), _num(c["value"], 3), "yes" if c["kept"] else "no",
             *_later(c["scored"], goal), c["why"]) for c in report["choices"]]
    return [f"Goal       {aim} at least {show(goal['target'])}; {report['sets']:,} thresholds tried (trial log)",
            "", *_table(("pair", "own", "shrunk", "used", "later n", "coverage", "result", "why"), rows)]


def _later(scored: Part | None, goal: Part) -> Sequence[str]:
    if scored is None:
        return "-", "-", "-"
    result = _num(scored["mean_pct"]) if goal["mode"] == "ev" else _pct(scored["win_rate"])
    return f"{scored['n']:,}", _pct(scored["coverage"]), result


def _named(name: str) -> str:
    return _NAMES.get(name, name)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    cells = [head, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return ["    " + "  ".join(text.ljust(w) if i < left else text.rjust(w)
                               for i, (text, w) in enumerate(zip(row, widths, strict=True))).rstrip() for row in cells]


def _between(low: float | None, high: float | None, show: Any) -> str:
    return "-" if low is None or high is None or low != low else f"{show(low)} to {show(high)}"


def _pct(value: float | None) -> str:
    return "-" if value is None or value != value else f"{100 * value:.1f} %"


def _num(value: float | None, digits: int = 2) -> str:
    return "-" if value is None or value != value else f"{value:,.{digits}f}"
