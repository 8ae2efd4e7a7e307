"""The weekly report as one HTML page that needs nothing else: figures in, text out. Pure.

Nothing on it is loaded from anywhere; it follows the reader's dark or light setting, fits a phone and prints.
No win rate stands alone: its count, interval and break-even rate are in the same row.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.notify import report_svg
from core.notify.report_words import (
    apart_name,
    between,
    break_even,
    dates,
    money,
    number,
    percent,
    r_sum,
    rows_of_metrics,
    share,
    verdict,
)
from core.notify.text import esc, pct, r, when
from core.timeframe import MINUTE, show_span, show_time

Part = Mapping[str, Any]
Cells = Sequence[object]

_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2330;--dim:#5d6779;--line:#dfe3ea;--card:#f6f7f9;--up:#0d8a7c;
--down:#d23f3c;--mark:#2f6fd6;--warn:#b86e00}
@media (prefers-color-scheme:dark){:root{--bg:#12161f;--fg:#dde2ea;--dim:#939db0;--line:#2a3140;--card:#1a202c;
--up:#2cb5a5;--down:#f0625f;--mark:#6aa5ff;--warn:#f0a63a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:980px;padding:16px;background:var(--bg);color:var(--fg);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums}
h1{font-size:1.55em;margin:.2em 0}h2{font-size:1.15em;margin:1.8em 0 .5em;border-bottom:1px solid var(--line)}
h3{font-size:1em;margin:1.1em 0 .3em}p{margin:.4em 0}.dim,small{color:var(--dim)}
.label{display:inline-block;background:var(--warn);color:#fff;padding:1px 9px;border-radius:4px;font-weight:600}
.lead{font-size:1.08em;border-left:4px solid var(--mark);padding:.35em .8em;background:var(--card)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(max(140px,21%),1fr));gap:8px;margin:12px 0}
.tile{background:var(--card);border-radius:6px;padding:8px 11px}.tile b{display:block;font-size:1.3em}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:14px}
figure{margin:0}figcaption{color:var(--dim);font-size:.9em}svg{width:100%;height:auto;display:block}
svg text{fill:var(--dim);font-size:19px}.grid{stroke:var(--line)}.axis{stroke:var(--dim)}
.line{fill:none;stroke:var(--mark);stroke-width:2.5;stroke-linejoin:round}.area{fill:var(--mark);opacity:.12}
.even{stroke:var(--warn);stroke-width:3}.own{fill:var(--mark);opacity:.16}.up{fill:var(--up)}.down{fill:var(--down)}.dot{fill:var(--mark)}
.error{stroke:var(--mark);stroke-width:2}.ideal{stroke:var(--dim);stroke-dasharray:6 6}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.93em}
th,td{padding:3px 9px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th{color:var(--dim);font-weight:500}
th:first-child,td:first-child{text-align:left;padding-left:0;position:sticky;left:0;background:var(--bg)}
table.free td{white-space:normal}table.tight td.text{white-space:nowrap;min-width:0}
th.text,td.text{text-align:left}td.text{white-space:normal;min-width:7em}tr.head th{padding-top:1em}
@media (max-width:600px){th,td{padding:3px 4px}table{font-size:.86em}}
.good{color:var(--up)}.bad{color:var(--down)}.warn{color:var(--warn)}
@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--dim:#444;--line:#ccc;--card:#f4f4f4;--up:#0d7a6e;
--down:#b92f2c;--mark:#2257ad;--warn:#8a5200}body{max-width:none;font-size:11px;padding:0}
.charts{grid-template-columns:1fr 1fr}.wide{overflow:visible}table{font-size:9.5px}th,td{padding:2px 5px}
h2{break-after:avoid}tr,figure,.tile{break-inside:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""

_TRADES = ("", "Trades", "Win%", "95 % interval", "Break-even", "Expectancy R", "Net R", "Profit factor",
           "Tot Profit USD")


def page(f: Part) -> str:
    """The whole page. f: what `core.engine.week_figures.of` gives."""
    title = f"Weekly report {f['name']}"
    body = [
        f"<h1>{esc(title)}</h1>", _head(f), f'<p class="lead">{esc(verdict(f))}</p>', _tiles(f), _charts(f),
        _section("Results", _results(f)), _section("By week", _weeks(f)), _section("Where it came from", _by(f)),
        _section("From bars to fills", _funnel(f)), _section("Do the probabilities hold?", _calibration(f)),
        _section("The gate's account", _account(f)), _section("Models and evidence", _models(f)),
        _section("The truth scorecard", _audit(f)), _section("Trades", _trades(f)),
        _section("Kept apart", _apart(f)), _section("The daemon", _health(f)), _FOOT]
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">'
            f"<title>{esc(title)}</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body)
            + "\n</body></html>\n")


_FOOT = """<h2>How to read this</h2><p>Results are net of fees, slippage and funding, on the fills that the rules
assume: the stop first where one minute touches both, gaps at the gap. <b>R</b> is the planned risk of a trade.
<b>Break-even Win%</b> is the rate at which the average win and loss cancel; a win rate says something only beside
it. Intervals are 95 %; trades that overlap in time make them wider than shown. USD: each plan at its own
size; nothing is compounded. Nothing here promises a profit.</p>"""


def _head(f: Part) -> str:
    label = f' <span class="label">{esc(f["label"])}</span>' if f["label"] else ""
    symbols = ", ".join(s.partition(":")[0] for s in f["symbols"])
    return (f'<p>{esc(dates(f))}{label}<br><small>{esc(f["exchange"])}: {esc(symbols)} on '
            f'{esc(", ".join(f["timeframes"]))}; made {show_time(f["made_ts"])}. Paper results of passed plans: '
            "this program trades nothing.</small></p>")


def _tiles(f: Part) -> str:
    s, a = f["now"], f["now"]["account"]
    fall = a["drawdown"]
    found = [
        ("Net R", r_sum(s), s["trades"] and s["expectancy_r"]), ("Tot Profit USD", money(s["tot_profit_usd"]),
                                                                 s["tot_profit_usd"]),
        ("Trades", f"{s['trades']:,}", 0), (f"Win% [{between(s)}]", percent(s["win_pct"]), 0),
        ("Break-even Win%", break_even(s), 0), ("Profit factor", number(s["profit_factor"]), 0),
        ("Drawdown", "none" if fall is None else money(-fall["depth_usd"]), -1 if fall else 0),
        ("Market change", "-" if s["market_change_pct"] is None else pct(s["market_change_pct"]), 0)]
    return '<div class="tiles">' + "".join(
        f'<div class="tile"><small>{esc(name)}</small><b{_tone(tone)}>{esc(text)}</b></div>'
        for name, text, tone in found) + "</div>"


def _tone(value: float | None) -> str:
    return "" if not value else ' class="good"' if value > 0 else ' class="bad"'


def _charts(f: Part) -> str:
    drawn = [
        (report_svg.equity(f["equity"]), f"Running sum of net R, the last {f['year_weeks']} weeks; this report shaded"),
        (report_svg.weeks(f["weeks"], lambda w: (w["expectancy_r"] or 0.0) * w["trades"]), "Net R by week of closing"),
        (report_svg.win_rates(f["weeks"]), "Win% by week with its 95 % interval; the bar across is break-even"),
        (report_svg.distribution(f["distribution"]), "Net R of this report's trades")]
    shown = [_figure(svg, text) for svg, text in drawn if svg]
    return f'<div class="charts">{"".join(shown)}</div>' if shown else ""


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{esc(caption)}</figcaption></figure>"


def _results(f: Part) -> str:
    rows = rows_of_metrics(f)
    if not rows:
        return "<p>No trade ended in these weeks.</p>"
    return _table(("", "This report", f"Last {f['year_weeks']} weeks"), rows, kind="free")


def _weeks(f: Part) -> str:
    shown = [w for w in f["weeks"] if w["trades"]]
    if not shown:
        return ""
    return _table(("Week", *_TRADES[1:]), [_line(w["week"], w) for w in reversed(shown)])


_GROUPS = {"pair": "Pair", "timeframe": "Timeframe", "direction": "Direction", "setup": "Setup",
           "exit_reason": "Exit reason"}


def _by(f: Part) -> str:
    parts = [(_GROUPS[group], found) for group, found in f["by"].items() if found]
    if not parts:
        return ""
    rows = "".join(
        '<tr class="head">' + "".join(f"<th>{esc(name)}</th>" for name in (title, *_TRADES[1:])) + "</tr>"
        + "".join(_row(_line(name, s)) for name, s in found.items()) for title, found in parts)
    return f"<div class='wide'><table>{rows}</table></div>"


def _line(name: str, s: Part) -> Cells:
    return (name.partition(":")[0], f"{s['trades']:,}", percent(s["win_pct"]), between(s), break_even(s),
            number(s["expectancy_r"], signed=True), r_sum(s), number(s["profit_factor"]), money(s["tot_profit_usd"]))


def _apart(f: Part) -> str:
    if not f["apart"]:
        return ""
    head = ("", "Ended", "Never filled", *_TRADES[1:-1])
    rows = [(apart_name(a), f"{a['ended']:,}", f"{a['never_filled']:,}", *_line("", a)[1:-1]) for a in f["apart"]]
    hidden = sum(a["in_sample"] for a in f["apart"])
    note = f" {hidden:,} in-sample plans count nowhere." if hidden else ""
    return (_table(head, rows) + "<p class='dim'>Only what passed live is counted above. Refused plans are followed "
            f"on paper; history was computed afterwards.{note}</p>")


def _funnel(f: Part) -> str:
    n = f["funnel"]
    steps = [("Bars decided", n["bars"]), ("Candidates", n["candidates"]), ("Passed", n["passed"]),
             ("Filled", n["filled"])]
    more = [f"{n[key]:,} {text}" for key, text in (("ungated", "passed ungated: no model judged them"),
                                                   ("late", "decided late, after an outage")) if n[key]]
    fell = [(name, f"{count:,}") for name, count in n["fell_out"].items()]
    waiting = ", ".join(f"{count} {status}" for status, count in f["unfinished"].items())
    return (_table([name for name, _ in steps], [[f"{count:,}" for _, count in steps]])
            + (f"<p>{esc('; '.join(more))}.</p>" if more else "")
            + (f"<p>Under way now: {esc(waiting)}.</p>" if waiting else "")
            + (f"<h3>What fell out, by rule</h3>{_table(('Rule', 'Candidates'), fell[:15])}" if fell else ""))


def _calibration(f: Part) -> str:
    found = ""
    for origin, title in (("live", "Live"), ("retro", "History, out of sample")):
        c = f["calibration"][origin]
        if c:
            found += f"<h3>{title}, the last {f['year_weeks']} weeks: n {c['n']:,}</h3>" + _claims(c)
    return found or ("<p>No plan with a p(win) has ended yet: no model has judged one, or none has come to its end."
                     "</p>")


def _claims(c: Part) -> str:
    honest = "-" if c["ece"] is None else (
        "no more than chance would show" if c["ece"] <= c["ece_null95"] else "MORE than chance would show")
    words = (f"Claimed {share(c['claimed'])} on average, won {share(c['observed'])}. Calibration error (ECE) "
             f"{number(c['ece'], 4)}, {honest} (95 % of honest claims stay below {number(c['ece_null95'], 4)}). Brier "
             f"{number(c['brier'], 4)}, skill against the base rate {number(c['skill'], 3, signed=True)}.")
    rows = [(share(b["claimed"]), share(b["observed"]), f"{share(b['low'])} to {share(b['high'])}", f"{b['n']:,}")
            for b in c["curve"]]
    chart = _figure(report_svg.reliability(c["curve"]), "Won against claimed; on the dashed line means honest")
    return (f"<p>{esc(words)}</p><div class='charts'>{chart}<div>"
            f"{_table(('Claimed p(win)', 'Won', '95 % interval', 'n'), rows)}</div></div>")


def _account(f: Part) -> str:
    rows = []
    for key, title in (("now", "This report"), ("year", f"Last {f['year_weeks']} weeks")):
        for origin, what in (("live", ""), ("retro", ", history")):
            line = f["account"][key][origin]["whole"]
            if line["refused"]["plans"] or line["passed"]["plans"]:
                rows.append((title + what, f"{line['refused']['plans']:,}", f"{line['refused']['filled']:,}",
                             f"{line['saved_r']:,.2f}R", f"{line['cost_r']:,.2f}R", r(line["net_saved_r"]),
                             f"{line['passed']['plans']:,}", r(line["passed"]["net_r"])))
    if not rows:
        return ("<p>The filter has judged no plan that ended in this time. What admission refused, and what passed "
                "while it only observed, stands in no line here.</p>")
    head = ("", "Refused by the filter", "of them filled", "Losses saved", "Gains missed", "Net saved", "Passed by it",
            "Net R of those")
    return _table(head, rows) + ("<p class='dim'>Every refused plan is followed on paper to its end. Net saved below "
                                 "zero: the refusals cost more than they saved.</p>")


def _models(f: Part) -> str:
    g, news = f["governing"], f["models"]
    found = ["<p>No model governs: the filter observes, and lets every admitted plan pass as ungated. Evidence: "
             "insufficient.</p>"] if g is None else [
        f"<p>In force: <b>{esc(g['id'])}</b> since {show_time(g['promoted_ts'])}.</p>",
        _table(("Plans", "Evidence", "Why"), [(_family(name), e["label"] or "insufficient", e["why"] or "-")
                                              for name, e in g["families"].items()], text=(2,))]
    events = [(show_time(p["ts"]), _promotion(p), p["who"], p["why"]) for p in news["promoted"]]
    events += [(show_time(m["created_ts"]), f"{m['id']} was made and kept as a challenger", "", "")
               for m in news["made"] if m["kind"] == "meta" and not m["promoted"]]
    found.append(_table(("When", "What happened in these weeks", "Who", "Why"), sorted(events), text=(1, 3)) if events
                 else "<p>Nothing was promoted, made or rolled back in these weeks.</p>")
    found.append(f"<p class='dim'>Sets of parameters tried in these weeks: {news['tried']:,}; ever: "
                 f"{news['tried_ever']:,} (the deflated Sharpe ratio counts them all).</p>")
    return "".join(found)


def _promotion(p: Part) -> str:
    what = {"meta": "model", "thresholds": "thresholds", "drift": "drift watch"}.get(p["kind"], p["kind"])
    return f"{what}: {p['model']} took over" if p["model"] else f"{what}: none governs"


def _family(name: str) -> str:
    return {"targets": "with targets", "trailed": "that only trail"}.get(name, name)


def _audit(f: Part) -> str:
    a = f["audit"]
    if a is None:
        return "<p>Not measured yet: run <code>python -m core audit</code> (about ten minutes; --quick: one).</p>"
    marks = {True: '<span class="good">holds</span>', False: '<span class="bad">FAILS</span>',
             None: '<span class="warn">not measured</span>'}
    rows = "".join(
        f"<tr><td>{esc(row['number'])}</td><td>{marks[row['passed']]}</td><td class='text'>{esc(row['name'])}<br>"
        f"<small>{esc(_measured(row))}</small></td></tr>" for row in a["rows"])
    made = show_time(a["made_ts"]) if isinstance(a["made_ts"], int) else "at an unknown time"
    return (f"<p><b>{esc(a['verdict'])}</b> <small>(measured {made}; data: {esc(a['data'] or '-')})</small></p>"
            f"<div class='wide'><table><tr><th>#</th><th></th><th class='text'>Figure</th></tr>{rows}</table></div>")


def _measured(row: Part) -> str:
    reason = f" ({row['reason']})" if row["reason"] else ""
    return f"{row['value']}{reason}. Bar: {row['bar']}"


def _trades(f: Part) -> str:
    if not f["trades"]:
        return "<p>None ended.</p>"
    rows = [(f"#{t['short_id']}", f"{t['symbol'].partition(':')[0]} {t['timeframe']}", t["direction"], t["status"],
             pct(t["pnl_pct"]), r(t["r_multiple"]), money(t["usd"]),
             "-" if t["ml_p"] is None else f"{100 * t['ml_p']:.0f} %", when(t["opened_ts"]),
             show_span(t["closed_ts"] + MINUTE - t["opened_ts"]), t["setup"]) for t in reversed(f["trades"])]
    head = ("Id", "Pair", "Direction", "Exit", "Profit %", "R", "USD", "p(win)", "Opened", "Held", "Setup")
    more = f["now"]["trades"] - len(rows)
    left = f"<p class='dim'>{more:,} older ones are left out.</p>" if more > 0 else ""
    return _table(head, rows, text=(1, 2, 3), kind="tight") + left


def _health(f: Part) -> str:
    h = f["health"]
    bad = [f"{job}: " + ", ".join(f"{n:,} {state}" for state, n in states.items() if state != "ok")
           for job, states in h["runs"].items() if set(states) - {"ok"}]
    good = sum(states.get("ok", 0) for states in h["runs"].values())
    well = f"{good:,} job {'run' if good == 1 else 'runs'} went well"
    gaps = [f"{symbol.partition(':')[0]} {n:,} minutes" for symbol, n in h["gap_minutes"].items()]
    sent = ", ".join(f"{n:,} {state}" for state, n in h["alerts"].items())
    return "".join(f"<p>{esc(line)}</p>" for line in (
        well + (f"; not: {'; '.join(bad)}." if bad else ", none failed or was missed."),
        f"Minutes the exchange never had: {', '.join(gaps) or 'none'}.", f"Alerts: {sent or 'none'}."))


def _section(title: str, body: str) -> str:
    return f"<section><h2>{esc(title)}</h2>{body}</section>" if body else ""


def _table(head: Sequence[str], rows: Iterable[Cells], text: Sequence[int] = (), kind: str = "") -> str:
    cells = "".join(f'<th class="text">{esc(name)}</th>' if i in text else f"<th>{esc(name)}</th>"
                    for i, name in enumerate(head))
    body = "".join(_row(row, text) for row in rows)
    return f"<div class='wide'><table class='{kind}'><tr>{cells}</tr>{body}</table></div>"


def _row(cells: Cells, text: Sequence[int] = ()) -> str:
    return "<tr>" + "".join(_cell(value, i in text) for i, value in enumerate(cells)) + "</tr>"


def _cell(value: object, text: bool) -> str:
    shown = esc(value)
    tone = "good" if shown.startswith("+") else "bad" if shown.startswith("-") and shown != "-" else ""
    kinds = " ".join(kind for kind in ("text" if text else "", tone) if kind)
    return f'<td class="{kinds}">{shown}</td>' if kinds else f"<td>{shown}</td>"
