"""The page Results: what the trades came to. Live, history and in-sample never mix."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st

from core.dashboard import cards, parts, words
from core.dashboard.reading import Source
from core.dashboard.views import results as view
from core.dashboard.views import results_figures as figures
from core.dashboard.views import results_metrics as metrics
from core.dashboard.views.results import Choice
from core.store.reads import results as reads
from core.store.reads.results import Count
from core.timeframe import HOUR, MINUTE
from core.trades import columns, equity, grouped
from core.trades.columns import Columns
from core.trades.equity import Account, Closes
from core.trades.performance import Summary

_RETRO = "`python retro_scan.py --start 2024-01-01 --end 2024-07-01`"
_NOTHING = {
    view.LIVE: "Live trades appear here when the first plan that the daemon decided has filled and ended. Until then "
               f"look at **{view.ORIGINS[view.RETRO]}**, or compute it: {_RETRO}.",
    view.RETRO: f"Compute history first: {_RETRO}. It needs candles of that time (`python download_data.py`). Live "
                f"trades stand under **{view.ORIGINS[view.LIVE]}**.",
}
_NARROW = ("Pairs", "Timeframes", "Setups", "Directions")


class _Key(NamedTuple):
    # What the file holds now: equal only where nothing that counts here has changed.
    path: str
    exchange: str
    stamp: tuple[int, ...]


class _Shown(NamedTuple):
    source: Source
    key: _Key
    choice: Choice
    unit: str
    starting: float
    span: tuple[int, int]
    until: int
    trades: Columns
    summary: Summary
    account: Account
    closes: Closes


def page(source: Source) -> None:
    """Draw the page."""
    st.header("Results")
    with source.read() as ctx:
        live = reads.live_since(ctx.db.con, ctx.exchange_id) is not None
        offered = (ctx.cfg.symbols, ctx.scanned_timeframes(), sorted(ctx.cfg.signals.setups), ("long", "short"))
    choice, unit = _controls(live, offered)
    _body(source, choice, unit)


def _controls(live: bool, offered: Sequence[Sequence[str]]) -> tuple[Choice, str]:
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        origin = st.segmented_control(
            "Origin", list(view.ORIGINS), format_func=view.ORIGINS.__getitem__, required=True, key="results-origin",
            default=view.LIVE if live else view.RETRO, help="Live: decided as the minutes came. Retro: the same rules "
            "over history, no alert was sent. They are never added up.")
        verdict = st.segmented_control(
            "Plans", list(view.VERDICTS), format_func=view.VERDICTS.__getitem__, default=view.PASSED, required=True,
            key="results-verdict", help="Refused plans are followed on paper too: what the rules saved or cost.")
        period = st.selectbox("Closed within", list(view.PERIODS), key="results-period", width=120)
        unit = st.segmented_control("In", ["R", "USD"], default="R", required=True, key="results-unit")
        with st.popover("Narrow down", icon=":material/tune:"):
            chosen = [tuple(st.multiselect(name, of, key=f"results-{name}", placeholder="all"))
                      for name, of in zip(_NARROW, offered, strict=True)]
    return Choice(str(origin), str(verdict), view.PERIODS[str(period)], *chosen), str(unit)


@parts.live("30s")
def _body(source: Source, choice: Choice, unit: str) -> None:
    with source.read() as ctx:
        key = _Key(str(source.path), ctx.exchange_id, reads.stamp(ctx.db.con))
        now, starting, configured = ctx.clock.now(), ctx.cfg.risk.equity_usd, ctx.cfg.symbols
    every = _trades(source, key, choice.origin, choice.verdict)
    until = now if choice.origin == view.LIVE or not len(every) else int(every.closed_ts[-1]) + MINUTE
    trades = view.pick(every, choice, until)
    if not len(trades):
        _nothing(choice, len(every))
        return
    span = view.span(trades, choice, until)
    closes = _closes(source, key.path, key.exchange, choice.symbols or tuple(configured),
                     (span[0] // HOUR * HOUR, span[1] // HOUR * HOUR))
    _draw(_Shown(source, key, choice, unit, starting, span, until, trades, grouped.summarize(trades),
                 equity.account(trades, starting, *span), closes))


def _nothing(choice: Choice, others: int) -> None:
    if others:
        parts.none("No trade of this choice has filled and ended.",
                   f"There are {words.count(others)} others: choose a longer time, or take away what narrows it down.")
    else:
        what = "plan that passed" if choice.verdict == view.PASSED else "refused plan"
        parts.none(f"No {choice.origin} {what} has filled and ended yet.", _NOTHING[choice.origin])


def _draw(shown: _Shown) -> None:
    st.markdown(view.sentence(shown.summary))
    cards.cards(view.headline(shown.summary, shown.account, equity.market_change(shown.closes)))
    if shown.unit == "USD" and view.ruin(shown.account):
        st.warning(view.ruin(shown.account), icon=":material/account_balance_wallet:")
    drawn = figures.balance(shown.trades, shown.unit, shown.starting, equity.hold(shown.closes, shown.starting),
                            shown.span, parts.dark())
    parts.figure(drawn, "results-equity", height=410, alt=f"Equity and drawdown in {shown.unit} over time")
    st.caption(view.about(shown.choice, shown.unit, shown.starting))
    if not parts.whole("results-whole"):
        return
    tabs = st.tabs(list(_TABS), on_change="rerun", key="results-tab")
    for draw, tab in zip(_TABS.values(), tabs, strict=True):
        if tab.open:
            with tab:
                draw(shown)


# The tabs


def _calendar(shown: _Shown) -> None:
    st.markdown(f"**By month of closing**, {shown.unit}")
    cards.heat(view.calendar(shown.trades, shown.unit), "Year", "+,.0f" if shown.unit == "USD" else "+,.1f")
    for group in ("weekday", "hour"):
        st.markdown(f"**By {group} of the fill**, UTC")
        found = grouped.by(shown.trades, group)
        _bars(found, group)
        with st.expander("As a table"):
            cards.table(view.group_rows(found, shown.starting), view.group_columns(group))
    period = st.segmented_control("Breakdown by", ["day", "week", "month"], default="week", required=True,
                                  key="results-breakdown")
    rows = view.breakdown(shown.trades, str(period))
    cards.table(rows, view.PERIOD_COLUMNS, shade=("r", "usd"), high=True)
    parts.offer(rows, view.PERIOD_COLUMNS, "results-periods", f"results-by-{period}.csv")


def _bars(found: Mapping[str, Summary], group: str) -> None:
    parts.figure(figures.bars(found, parts.dark()), f"results-bars-{group}", height=figures.height(found),
                 alt=f"Expectancy in R with its 95 % interval by {view.TITLES[group].lower()}")


def _groups(shown: _Shown) -> None:
    names = {view.TITLES[g]: g for g in ("pair", "timeframe", "direction", "regime", "setup", "exit_reason", "mixed",
                                         "rule")}
    title = st.segmented_control("Results per", list(names), default="Pair", required=True, wrap=True,
                                 key="results-group")
    group = names[str(title)]
    found = grouped.by(shown.trades, group)
    if 1 < len(found) <= 12:
        _bars(found, group)
    parts.table(view.group_rows(found, shown.starting), view.group_columns(group), f"results-group-{group}",
                export=f"results-per-{group}.csv")
    st.caption("Groups are looked at one after another here: among many, one looks good by chance alone. Trust an "
               "interval, and only where you expected it before you looked.")


def _distribution(shown: _Shown) -> None:
    parts.figure(figures.distribution(shown.trades, parts.dark()), "results-distribution",
                 alt="How often each net result in R happened, with mean and median")
    for column, kind in zip(st.columns(2), ("mae", "mfe"), strict=True):
        with column:
            parts.figure(figures.excursions(shown.trades, kind, parts.dark()), f"results-{kind}", height=340,
                         alt=f"{kind.upper()} of each trade against its net result, both in R")
    seen = len(figures.sample(len(shown.trades)))
    some = "Every trade is a point." if seen == len(shown.trades) else (
        f"{words.count(seen)} of {words.count(len(shown.trades))} trades are drawn, evenly spread in time.")
    st.caption(f"MAE, MFE: worst and best price seen while the trade was open, in planned stop distances. {some}")


def _all(shown: _Shown) -> None:
    count = _counts(shown.source, shown.key, shown.choice.origin, shown.choice.verdict)
    found = metrics.sections(shown.trades, shown.summary, shown.account, shown.span, equity.market_change(shown.closes),
                             count, shown.choice)
    for title, items in found.items():
        st.markdown(f"**{title}**")
        cards.table(items, metrics.COLUMNS)
    st.caption(metrics.NOT_HERE)


def _sides(shown: _Shown) -> None:
    every = (_trades(shown.source, shown.key, shown.choice.origin, verdict) for verdict in (view.PASSED, view.REFUSED))
    passed, refused = (view.pick(trades, shown.choice, shown.until) for trades in every)
    st.markdown(view.saved(grouped.summarize(passed), grouped.summarize(refused)))
    rows = view.sides(passed, refused, shown.starting)
    cards.table(rows, view.SIDE_COLUMNS)
    parts.offer(rows, view.SIDE_COLUMNS, "results-sides", "passed-against-refused.csv")
    st.caption("Refusals of all rules. What the filter alone saved or cost stands on the page **Filter**.")


_TABS: dict[str, Callable[[_Shown], None]] = {
    "Calendar": _calendar, "Groups": _groups, "Distribution": _distribution, "All figures": _all,
    "Passed against refused": _sides,
}


# What is kept between refreshes, for as long as the file does not change


@st.cache_resource(max_entries=4, show_spinner=False)
def _trades(_source: Source, key: _Key, origin: str, verdict: str) -> Columns:
    with _source.read() as ctx:
        return columns.of(reads.trades(ctx.db.con, key.exchange, origin, verdict))


@st.cache_data(max_entries=8, show_spinner=False)
def _counts(_source: Source, key: _Key, origin: str, verdict: str) -> Count:
    with _source.read() as ctx:
        return reads.counts(ctx.db.con, key.exchange, origin, verdict)


@st.cache_data(max_entries=8, show_spinner=False)
def _closes(_source: Source, path: str, exchange: str, symbols: tuple[str, ...], span: tuple[int, int]) -> Closes:
    found = {}
    with _source.read() as ctx:
        for symbol in symbols:
            ts, close = reads.closes(ctx.db.con, exchange, symbol, *span)
            found[symbol] = (np.array(ts, dtype=np.int64), np.array(close, dtype=np.float64))
    return found
