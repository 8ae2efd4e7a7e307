"""Answers about results: what the closed trades made, by day, week, pair and exit reason.

Net of all costs, each plan at its own size, days and weeks in UTC: the same figures as on the page Results.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from core.candles import Ints
from core.engine.chat import trades
from core.engine.chat.desk import Ask, Reply
from core.notify import phone
from core.notify.text import esc, moment, pct, r
from core.store.reads import report
from core.timeframe import DAY, HOUR, floor, show_span
from core.trades import columns, equity, grouped
from core.trades.columns import Columns
from core.trades.performance import Summary

WEEK = 7 * DAY
_NET = "net of costs, each plan at its own size"
_NONE = "No trade was closed yet. Paper results begin with the first live plan that is filled and ends."


def _closed(ask: Ask, start: int) -> Columns:
    return columns.of(report.trades(ask.con, ask.exchange, "live", "pass", start, ask.now + HOUR))


def profit(ask: Ask) -> Reply:
    """What the closed trades made, all or of the last days, in the words that other bots use."""
    days = ask.number(0, 10_000)
    start = floor(ask.now, DAY) - (days - 1) * DAY if days else 0
    found = _closed(ask, start)
    if not len(found):
        return Reply(f"No trade was closed in the last {days} days." if days else _NONE)
    since = start or floor(int(found.opened_ts.min()), DAY)
    return Reply("\n".join(_profit(ask, found, since, f"last {days} days" if days else "all")))


def _profit(ask: Ask, found: Columns, since: int, span: str) -> list[str]:
    s = grouped.summarize(found)
    account = equity.account(found, ask.ctx.cfg.risk.equity_usd, since, ask.now)
    open_n, open_r, open_usd = trades.worth_of_open(ask)
    pairs = grouped.by(found, "pair")
    best = max(pairs, key=lambda name: (pairs[name].expectancy_r or 0.0) * pairs[name].trades)
    deepest = account.drawdown
    lines = [
        f"<b>Profit ({span})</b>, on paper, {_NET}",
        f"<b>ROI: Closed trades</b>\n {_usd(s.tot_profit_usd)} ({pct(account.profit_pct)}) {r(_sum_r(found))}",
        f"<b>ROI: All trades</b>\n {_usd(s.tot_profit_usd + open_usd)} {r(_sum_r(found) + open_r)}, {open_n} open",
        phone.pairs([
            ("Trade Count", str(s.trades)), ("First opened", _moment(ask, found.opened_ts.min())),
            ("Latest opened", _moment(ask, found.opened_ts.max())), ("Avg. Duration", _span(s.avg_duration_ms)),
            ("Best Performing", phone.coin(best)), ("Trading volume", f"{found.volume.sum():,.0f}"),
            ("Profit factor", _number(s.profit_factor)), ("Win / Loss", f"{s.wins} / {s.losses}"),
            ("Winrate", f"{_whole(s.win_pct)}% ({_whole(s.win_low_pct)}-{_whole(s.win_high_pct)})"),
            ("Break-even", f"{_whole(s.break_even_pct)}%"),
            ("Expectancy", f"{_signed(s.expectancy_r)}R ({_number(s.expectancy_ratio)})"),
            ("Max Drawdown", f"{_number(deepest.account_pct)}%" if deepest else "none"),
            ("Current DD", f"{account.current_drawdown_pct:.2f}%")]),
        _caveat(s)]
    ungated = sum(_share(found, "ungated"))
    said = "" if not ungated else f"No model judged {'any' if ungated == s.trades else ungated} of them (ungated)."
    return [line for line in [*lines, said] if line]


def _caveat(s: Summary) -> str:
    low, high = s.expectancy_r_low, s.expectancy_r_high
    if low is None or high is None:
        return "Too few weeks to tell skill from luck."
    return f"Per trade {r(low)} to {r(high)} (95%, by week)" + (": may be luck" if low <= 0.0 <= high else "")


def _share(found: Columns, rule: str) -> list[int]:
    names = found.rule.names
    return (found.rule.codes == names.index(rule)).astype(int).tolist() if rule in names else []


def _sum_r(found: Columns) -> float:
    return float(found.r.sum())


def daily(ask: Ask) -> Reply:
    """The result of each of the last days, UTC."""
    today = floor(ask.now, DAY)
    return _calendar(ask, "day", [today - i * DAY for i in range(ask.number(7, 60))],
                     lambda ts: floor_each(ts, DAY), lambda ts: f"{_at(ts):%m-%d %a}")


def weekly(ask: Ask) -> Reply:
    """The result of each of the last weeks, from Monday, UTC."""
    monday = ask.now - (ask.now - 4 * DAY) % WEEK  # the epoch began on a Thursday
    return _calendar(ask, "week", [monday - i * WEEK for i in range(ask.number(8, 60))],
                     lambda ts: ts - (ts - 4 * DAY) % WEEK, lambda ts: f"{_at(ts):%m-%d}")


def floor_each(ts: Ints, size: int) -> Ints:
    """Beginnings of the spans of `size` ms that hold each time."""
    return ts - ts % size


def _calendar(ask: Ask, name: str, starts: list[int], place: Callable[[Ints], Ints], show: Callable[[int], str]
              ) -> Reply:
    found = _closed(ask, starts[-1])
    at = place(found.closed_ts)
    rows = []
    for start in starts:
        here = at == start
        n = int(here.sum())
        rows.append((show(start), str(n), f"{float(found.r[here].sum()):+.2f}" if n else "-",
                     f"{float(found.usd[here].sum()):+,.2f}" if n else "-"))
    head = f"<b>By {name} (UTC)</b>, {_NET}"
    total = f"Together {r(_sum_r(found))} · {_usd(float(found.usd.sum()))}"
    return Reply(f"{head}\n{phone.table((name.capitalize(), 'Trades', 'R', 'USD'), rows)}\n{total}")


def performance(ask: Ask) -> Reply:
    """The result of each pair, the best first."""
    found = _closed(ask, 0)
    if not len(found):
        return Reply(_NONE)
    sums = [(name, s.trades, (s.expectancy_r or 0.0) * s.trades, s.tot_profit_usd, s.win_pct)
            for name, s in grouped.by(found, "pair").items()]
    rows = [(f"{i}. {phone.coin(name)}", str(n), f"{_whole(win)}%", f"{total:+.2f}", f"{usd:+,.0f}")
            for i, (name, n, total, usd, win) in enumerate(sorted(sums, key=lambda x: -x[2])[:20], start=1)]
    table = phone.table(("Pair", "Trades", "Win", "R", "USD"), rows)
    return Reply(f"<b>Performance</b>, {_NET}\n{table}\n{_even(grouped.summarize(found))}")


def _even(s: Summary) -> str:
    return (f"All: win {_whole(s.win_pct)}% ({_whole(s.win_low_pct)}-{_whole(s.win_high_pct)}) of {s.trades}, "
            f"break-even {_whole(s.break_even_pct)}%")


def stats(ask: Ask) -> Reply:
    """How trades ended, and how long winners and losers were held."""
    found = _closed(ask, 0)
    if not len(found):
        return Reply(_NONE)
    whole, parts = grouped.summarize(found), grouped.by(found, "exit_reason")
    rows = [(esc(name, 12), str(s.trades), str(s.wins), str(s.losses), f"{(s.expectancy_r or 0.0) * s.trades:+.2f}")
            for name, s in sorted(parts.items(), key=lambda item: -item[1].trades)]
    held = phone.pairs([("Winners held", _span(whole.avg_duration_winners_ms)),
                        ("Losers held", _span(whole.avg_duration_losers_ms)),
                        ("Wins in a row", str(whole.max_consecutive_wins)),
                        ("Losses in a row", str(whole.max_consecutive_losses)),
                        ("Best trade", pct(whole.best_trade_pct or 0.0)),
                        ("Worst trade", pct(whole.worst_trade_pct or 0.0))])
    table = phone.table(("Exit Reason", "Exits", "Win", "Loss", "R"), rows)
    return Reply(f"<b>Stats</b>\n{table}\n{held}\n{_even(whole)}")


def _at(ts: int) -> datetime:
    return datetime.fromtimestamp(ts / 1000, UTC)


def _moment(ask: Ask, ts: float) -> str:
    return moment(int(ts), ask.zone, ask.now)


def _usd(value: float) -> str:
    return f"{value:+,.2f} USD" if round(value, 2) else "0.00 USD"


def _span(value: int | None) -> str:
    return "-" if value is None else show_span(int(np.round(value)))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
