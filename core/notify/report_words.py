"""The words and numbers of the weekly report, for its page, its message and the terminal. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.notify.text import esc, pct, r
from core.timeframe import show_span, show_time

Part = Mapping[str, Any]

FEW = 30  # trades below which a rate says next to nothing


def dates(f: Part) -> str:
    """`2023-08-21 to 2023-08-27 (UTC)`, the last day included."""
    return f"{_day(f['start'])} to {_day(f['end'] - 1)} (UTC)"


def verdict(f: Part) -> str:
    """What the results of the report prove, in one or two sentences; never more than their number allows."""
    s = f["now"]
    if not s["trades"]:
        return "No plan that passed ended with a result. A quiet week is what the filter is for; below is why."
    head = (f"{s['trades']} {'trade' if s['trades'] == 1 else 'trades'}, net {r_sum(s)} = "
            f"{money(s['tot_profit_usd'])} USD; won {s['wins']} of {s['trades']} ({percent(s['win_pct'])}, interval "
            f"{between(s)}), break-even at {break_even(s)}.")
    return " ".join((head, _proof(s), *_proof_of_year(f)))


def _proof(s: Part) -> str:
    if s["trades"] < FEW:
        return f"Fewer than {FEW} trades: by themselves they say next to nothing."
    if s["expectancy_r_low"] is None:
        return "Trades of one week hang together, so that the interval is too narrow: few weeks prove nothing."
    return _told(s)


def _told(s: Part) -> str:
    low, high = s["expectancy_r_low"], s["expectancy_r_high"]
    answer = "more than nothing" if low > 0 else "less than nothing" if high < 0 else "not to be told from nothing"
    return f"Net R per trade {s['expectancy_r']:+.3f}, by week {_interval(low, high)}: {answer}."


def _proof_of_year(f: Part) -> list[str]:
    s = f["year"]
    if s["trades"] < FEW or s["trades"] <= f["now"]["trades"] or s["expectancy_r_low"] is None:
        return []
    return [f"Last {f['year_weeks']} weeks, {s['trades']:,} trades: {_told(s)[0].lower()}{_told(s)[1:]}"]


def rows_of_metrics(f: Part) -> list[tuple[str, str, str]]:
    """Every metric under the name that users know, for the report and for the year; empty without any trade."""
    if not f["year"]["trades"] and not f["now"]["trades"]:
        return []
    both = [_metrics(f[part]) for part in ("now", "year")]
    return [(name, value, both[1][name]) for name, value in both[0].items() if value != "-" or both[1][name] != "-"]


def _metrics(s: Part) -> dict[str, str]:
    a, days = s["account"], s["days"]
    return {
        "Trades": f"{s['trades']:,}", "Win Draw Loss": f"{s['wins']} {s['draws']} {s['losses']}",
        "Win%": percent(s["win_pct"]), "Win% 95 % interval": between(s), "Break-even Win%": break_even(s),
        "Expectancy R": number(s["expectancy_r"], 3, signed=True),
        "Expectancy R 95 % interval (by week)": _interval(s["expectancy_r_low"], s["expectancy_r_high"]),
        "Expectancy (Ratio)": _expectancy(s), "Profit factor": number(s["profit_factor"]), "SQN": number(s["sqn"]),
        "Starting balance": f"{a['starting']:,.2f} USD", "Final balance": f"{a['final']:,.2f} USD",
        "Absolute profit": f"{money(a['profit_usd'])} USD", "Total profit %": pct(a["profit_pct"]),
        "Avg Profit %": "-" if s["avg_profit_pct"] is None else pct(s["avg_profit_pct"]),
        "Best trade": _pct(s["best_trade_pct"]), "Worst trade": _pct(s["worst_trade_pct"]),
        "Best day": "-" if days is None else f"{money(days['best_usd'])} USD",
        "Worst day": "-" if days is None else f"{money(days['worst_usd'])} USD",
        "Days win/draw/lose": "-" if days is None else f"{days['win']} / {days['draw']} / {days['lose']}",
        "Avg Duration": _span(s["avg_duration_ms"]), "Avg. Duration Winners": _span(s["avg_duration_winners_ms"]),
        "Avg. Duration Losers": _span(s["avg_duration_losers_ms"]),
        "Max Consecutive Wins / Loss": f"{s['max_consecutive_wins']} / {s['max_consecutive_losses']}",
        "Profit from the best 1 %": percent(s["tail_share_pct"]),
        "Sharpe (by day)": _long(a, "by_day_sharpe"), "Sortino (by day)": _long(a, "by_day_sortino"),
        "Calmar": _long(a, "calmar_year"), "Absolute Drawdown": _drawdown(a),
        "Max % of account underwater": f"{a['underwater_pct']:.2f}%",
        "Total trade volume": f"{s['volume_usd']:,.0f} USD", "Market change": _pct(s["market_change_pct"]),
        "Mean profit p-value": number(a["p_value"], 3),
    }


def _long(account: Part, name: str) -> str:
    # Yearly ratios of a few days mean nothing.
    return number(account[name]) if account["days"] >= 60 else "-"


def _expectancy(s: Part) -> str:
    if s["expectancy_ratio"] is None or s["expectancy_usd"] is None:
        return "-"
    return f"{s['expectancy_usd']:,.2f} ({s['expectancy_ratio']:.2f})"


def _drawdown(account: Part) -> str:
    fall = account["drawdown"]
    return "-" if fall is None else f"{fall['depth_usd']:,.2f} USD ({fall['account_pct']:.2f}%)"


def apart_name(part: Part) -> str:
    """What a line of the results kept apart is."""
    origin = {"live": "Live", "retro": "History (retro)"}[part["origin"]]
    return f"{origin}, passed" if part["verdict"] == "pass" else f"{origin}, refused (on paper)"


def message(f: Part, path: str) -> str:
    """The summary for the chat, at most 36 characters a line of figures. path: where the page lies, empty = nowhere."""
    lines = [f"📈 <b>Week {esc(f['name'])}</b>", *([f"<b>{esc(f['label'], 60)}</b>"] if f["label"] else []),
             esc(dates(f)), "", *_results(f), *_year(f), "", *_gate(f), *_claims(f), *_models(f), *_audit(f)]
    return "\n".join([*lines, *(["", f"Report: <code>{esc(path, 200)}</code>"] if path else [])])


def _results(f: Part) -> list[str]:
    s, unfilled = f["now"], sum(a["never_filled"] for a in f["apart"][:1] if a["origin"] == "live")
    if not s["trades"]:
        return [f"Closed: none with a result · {unfilled} never filled" if unfilled else "Closed: none", _why_none(f)]
    few = [f"Fewer than {FEW}: says next to nothing"] if s["trades"] < FEW else []
    return [f"Closed: n={s['trades']}" + (f" · {unfilled} never filled" if unfilled else ""),
            f"Won {s['wins']} of {s['trades']}: {percent(s['win_pct'])} [{between(s)}]",
            f"Break-even {break_even(s)}", f"Net <b>{r_sum(s)}</b> · {money(s['tot_profit_usd'])} USD", *few]


def _why_none(f: Part) -> str:
    n = f["funnel"]
    return f"{n['bars']:,} bars, {n['candidates']:,} candidates, {n['passed']:,} passed, {n['filled']:,} filled"


def _year(f: Part) -> list[str]:
    s = f["year"]
    if s["trades"] <= f["now"]["trades"]:
        return []
    return ["", f"Last {f['year_weeks']} weeks: n={s['trades']:,}",
            f"{percent(s['win_pct'])} [{between(s)}], even {break_even(s)}",
            f"Net {r_sum(s)} · {money(s['tot_profit_usd'])} USD"]


def _gate(f: Part) -> list[str]:
    line = f["account"]["now"]["live"]["whole"]
    if not line["refused"]["plans"]:
        return []
    return [f"Gate refused {line['refused']['plans']:,}: net saved {r(line['net_saved_r'])}"]


def _claims(f: Part) -> list[str]:
    c = f["calibration"]["live"]
    return [] if c is None else [f"Claimed {share(c['claimed'])}, won {share(c['observed'])} (n={c['n']:,})"]


def _models(f: Part) -> list[str]:
    g, news = f["governing"], f["models"]
    labels = [] if g is None else [e["label"] or "insufficient" for e in g["families"].values()]
    took = [p for p in news["promoted"] if p["kind"] == "meta"]
    what = f"Model: {'none governs' if g is None else esc(g['id'], 28)}"
    made = sum(m["kind"] == "meta" for m in news["made"])
    return [what, *([f"{len(took)} taken over, {made} trained this week"] if took or made else []),
            f"Evidence: {esc(', '.join(dict.fromkeys(labels)) or 'insufficient')}"]


def _audit(f: Part) -> list[str]:
    a = f["audit"]
    if a is None:
        return ["Truth scorecard: not measured yet"]
    held, failed = (sum(row["passed"] is answer for row in a["rows"]) for answer in (True, False))
    return [f"Truth scorecard: {held} hold, {failed} fail"]


# Values


def r_sum(s: Part) -> str:
    """Net R of a set of trades; `-` of none."""
    return "-" if s["expectancy_r"] is None else r(s["expectancy_r"] * s["trades"])


def money(usd: float) -> str:
    """A signed amount; zero carries no sign."""
    return f"{usd:+,.2f}" if round(usd, 2) else "0.00"


def percent(value: float | None) -> str:
    """`46 %`, or `-`."""
    return "-" if value is None else f"{value:.0f} %"


def share(value: float | None) -> str:
    """A fraction as `46 %`."""
    return percent(None if value is None else 100.0 * value)


def between(s: Part) -> str:
    """The interval of a win rate."""
    return "-" if s["win_low_pct"] is None else f"{s['win_low_pct']:.0f} to {s['win_high_pct']:.0f} %"


def break_even(s: Part) -> str:
    """The break-even rate; `-` where wins or losses are missing."""
    return percent(s["break_even_pct"])


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """A number with thousands marked, or `-`."""
    if value is None:
        return "-"
    text = f"{value:{'+' if signed else ''},.{digits}f}"
    return text if any(c in "123456789" for c in text) else text.lstrip("+-")


def _pct(value: float | None) -> str:
    return "-" if value is None else pct(value)


def _span(value: int | None) -> str:
    return "-" if value is None else show_span(value)


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"


def _day(ts: int) -> str:
    return show_time(ts)[:10]


def lines(f: Part) -> Sequence[str]:
    """The report for a terminal, line by line."""
    metrics = rows_of_metrics(f)
    wide = max((len(name) for name, *_ in metrics), default=0)
    here = max((len(value) for _, value, _ in metrics), default=0)
    table = [f"{'':<{wide}}  {'this report':>{max(here, 11)}}  last {f['year_weeks']} weeks",
             *(f"{name:<{wide}}  {now:>{max(here, 11)}}  {year}" for name, now, year in metrics)] if metrics else []
    return [f"Weekly report {f['name']}, {dates(f)}" + (f"  ({f['label']})" if f["label"] else ""), verdict(f),
            *(["", *table] if table else []), "",
            *(_plain(line) for line in (*_gate(f), *_claims(f), *_models(f), *_audit(f))), _why_none(f),
            *(["", "Kept apart (only what passed live counts above):"] if f["apart"] else []),
            *(_apart(part) for part in f["apart"])]


def _apart(a: Part) -> str:
    what = f"{apart_name(a)}: {a['ended']:,} ended, {a['never_filled']:,} never filled"
    if not a["trades"]:
        return what
    return (f"{what}; won {a['wins']:,} of {a['trades']:,} ({percent(a['win_pct'])}, {between(a)}), break-even "
            f"{break_even(a)}, net {r_sum(a)}")


def _plain(line: str) -> str:
    return line.replace("<b>", "").replace("</b>", "")
