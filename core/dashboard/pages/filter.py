"""The page Filter: what the model says, whether it is true, and what acting on it saved or cost."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.dashboard import cards, parts, theme, words
from core.dashboard.pages import filter_looks as looks
from core.dashboard.pages.filter_looks import Model, Seen
from core.dashboard.reading import Source
from core.dashboard.views import filter as view
from core.dashboard.views import filter_drift as drift_view
from core.dashboard.views import filter_figures as figures
from core.dashboard.views import filter_models as models_view
from core.engine import account, artifacts, forward
from core.store import models
from core.store.reads import filter as reads

LIVE, RETRO, SEALED, OUTSIDE = "live", "retro", "sealed", "out_of_sample"
_SOURCES = {LIVE: "Live, since it governs", RETRO: "History, since it governs", SEALED: "Training: sealed plans",
            OUTSIDE: "Training: all unseen plans"}
_HIGH = 12  # rows, beyond which a table scrolls
_ORIGINS = {LIVE: "Live", RETRO: "History"}
_MEANS = ("Every figure is out of sample. Since it governs: plans decided after a model was promoted that had not "
          "learned from them. Training: plans of the training's walk-forward, each judged by boosters that had not "
          "seen it; the sealed ones are the last, and nothing was chosen on them.")


def page(source: Source) -> None:
    """Draw the page."""
    st.header("Filter")
    _body(source)


@parts.live("30s")
def _body(source: Source) -> None:
    seen = looks.look(source)
    now = seen.now
    place = artifacts.place(now.path, seen.root, now.model or "") if now else None
    model = looks.folder(str(place), now.sha256) if now else looks.NO_MODEL
    judged = (model.card or {}).get("families", {})  # how many plans there are is told of the others alone
    samples = [] if all(f in judged for f in view.FAMILIES) else looks.samples(source, seen.key, seen.first)
    found = view.standings(model.card, model.trouble, seen.meta.min_closed_samples, seen.level, samples)
    _standing(seen, model, found)
    if seen.since is None and model.report is None:
        _without(seen)
        return
    _figures(seen, model)
    _account(seen)
    _details(seen, model)


def _standing(seen: Seen, model: Model, found: list[view.Standing]) -> None:
    acts = seen.meta.enabled and any(s.acts for s in found)
    with st.container(horizontal=True, gap="small"):
        parts.badge("off" if not seen.meta.enabled else "acts" if acts else "observe-only",
                    theme.GOOD if acts else theme.CALM)
        for s in found:
            if s.n is not None:
                parts.evidence(f"{s.evidence} ({s.family})", s.evidence_why)
    st.markdown(view.sentence(seen.meta.enabled, seen.now, found))
    if model.trouble:
        st.error(f"The model cannot be used: {model.trouble}. The last good one before it judges; where there is none, "
                 "nothing does.")
    for text in view.reconfigured(model.card, seen.body, seen.setups):
        st.warning(text, icon=":material/build:")
    cards.table(view.standing_rows(found), view.STANDING_COLUMNS)
    if seen.now is None and seen.meta.enabled:
        st.info(view.todo(found, seen.meta.min_closed_samples, seen.meta.window_days, len(seen.known)),
                icon=":material/hourglass_top:")


def _without(seen: Seen) -> None:
    st.subheader("Thresholds in force")
    _thresholds(seen, looks.NO_MODEL)
    if seen.known:
        st.subheader("Champion and challengers")
        _models(seen, looks.NO_MODEL)
    st.subheader("Single rules instead")
    shown = st.expander("What one plain rule would have taken", on_change="rerun", key="filter-rules-open")
    if shown.open:  # it looks at every plan of a year
        with shown:
            _rules(seen, looks.NO_MODEL)


# Figures


def _figures(seen: Seen, model: Model) -> None:
    offered = _offered(seen, model)
    if not offered:
        parts.none("Nothing out of sample to show yet.",
                   "Figures appear when the first plans that this model judged have filled and ended.")
        return
    st.subheader("Is it true?")
    with st.container(horizontal=True, gap="medium"):
        which = st.segmented_control("Figures of", list(offered), format_func=_SOURCES.__getitem__, required=True,
                                     default=next(iter(offered)), key="filter-source", help=_MEANS, wrap=True)
        family = st.segmented_control("Family", offered[str(which)], format_func=view.FAMILIES.__getitem__,
                                      required=True, default=offered[str(which)][0], key=f"filter-family-{which}")
    part = _part(seen, model, str(which), str(family))
    cards.cards(view.headline(part))
    if few := view.few(part):
        st.caption(few)
    # A figure that is not looked at is not drawn: each holds the page back.
    tabs = st.tabs(["Win rate and reliability", "EV and histogram of p", "In numbers"], on_change="rerun",
                   key="filter-figures")
    for draw, tab in zip((_rates, _values, _numbers), tabs, strict=True):
        if tab.open:
            with tab:
                draw(seen, part, str(which), str(family))


def _rates(seen: Seen, part: dict[str, Any], which: str, family: str) -> None:
    left, right = st.columns(2)
    with left:
        st.markdown("**Coverage against win rate**")
        parts.figure(figures.coverage(part, parts.dark()), "filter-coverage", figures.TALL, "How many of the best "
                     "plans by score won, beside break-even, and their net R, for each share of them that is taken.")
    with right:
        st.markdown("**Reliability**, with counts")
        parts.figure(figures.reliability(part, parts.dark()), "filter-reliability", figures.TALL, "The share of plans "
                     "that won against the p claimed of them, with intervals, and how many plans there are of each.")


def _values(seen: Seen, part: dict[str, Any], which: str, family: str) -> None:
    left, right = st.columns(2)
    with left:
        st.markdown("**EV predicted against realised**")
        parts.figure(figures.deciles(part, parts.dark()), "filter-deciles", figures.LOW,
                     "The EV that came of each tenth of the plans against the EV predicted, with intervals.")
    with right:
        _histogram(seen, which)


def _numbers(seen: Seen, part: dict[str, Any], which: str, family: str) -> None:
    parts.table(view.taken(view.compared(part)), view.TAKEN_COLUMNS, "filter-taken", export="filter.csv")
    by = looks.groups(seen.source, seen.key, which, seen.since or 0, family) if which in (LIVE, RETRO) else (
        part.get("by", {}))
    parts.table(view.parts(by), view.PART_COLUMNS, "filter-parts", export="filter-parts.csv")


def _offered(seen: Seen, model: Model) -> dict[str, list[str]]:
    # Which sources there are, and of each the families that have any plan.
    found = {origin: looks.record(seen.source, seen.key, origin, seen.since).families()
             for origin in (LIVE, RETRO)} if seen.since is not None else {}
    told = (model.report or {}).get("families", {})
    for name in (SEALED, OUTSIDE):
        found[name] = [family for family in view.FAMILIES if name in told.get(family, {})]
    return {name: families for name, families in found.items() if families}


def _part(seen: Seen, model: Model, which: str, family: str) -> dict[str, Any]:
    if which in (LIVE, RETRO):
        return looks.since(seen.source, seen.key, which, seen.since or 0, family, seen.rule)
    return dict((model.report or {})["families"][family][which])


def _histogram(seen: Seen, which: str) -> None:
    origin = which if which in (LIVE, RETRO) else RETRO
    bins = looks.bins(seen.source, seen.key, origin, seen.since) if seen.since is not None else []
    st.markdown(f"**Histogram of p**, {'live' if origin == LIVE else 'history'} since a model governs")
    if bins:
        threshold = None if seen.meta.gating.use_ev else seen.meta.threshold
        parts.figure(figures.p_histogram(bins, parts.dark(), threshold), "filter-p", figures.LOW,
                     "How many decisions had which p, by what became of them.")
    else:
        parts.none("No decision has been scored yet.", "The first one appears with the next plan that is found.")


# The account


def _account(seen: Seen) -> None:
    st.subheader("The filter's own account")
    told = looks.book(seen.source, seen.key)
    books = {book.origin: book for book in (told.live, told.retro) if not book.empty}
    if not books:
        parts.none("The filter has not decided on a plan yet.",
                   "Every plan that it refuses is followed on paper to its end: what that saved or cost stands here.")
        return
    with st.container(horizontal=True, gap="medium"):
        origin = st.segmented_control("Account of", list(books), format_func=_ORIGINS.__getitem__,
                                      default=next(iter(books)), required=True, key="filter-account-origin")
        group = st.segmented_control("By", ["all", *account.GROUPS], default="all", required=True, wrap=True,
                                     key="filter-account-group")
    book = books[str(origin)]
    st.markdown(view.account_sentence(book))
    if group == "all":
        cards.table(view.account_rows(book), view.ACCOUNT_COLUMNS)
        return
    cut = looks.book(seen.source, seen.key, (str(group),))
    rows = view.account_rows(cut.live if origin == LIVE else cut.retro, str(group))
    parts.table(rows, view.ACCOUNT_COLUMNS, "filter-account", export="filter-account.csv")


# The tabs


def _details(seen: Seen, model: Model) -> None:
    tabs = st.tabs(list(_TABS), on_change="rerun", key="filter-tab")
    for draw, tab in zip(_TABS.values(), tabs, strict=True):
        if tab.open:
            with tab:
                draw(seen, model)


def _thresholds(seen: Seen, model: Model) -> None:
    st.markdown(models_view.threshold_words(seen.meta, seen.level))
    _long(models_view.thresholds(seen.meta, seen.history), models_view.THRESHOLD_COLUMNS)


def _long(rows: list[view.Row], columns: tuple[words.Column, ...]) -> None:
    cards.table(rows, columns, high=len(rows) > _HIGH)


def _card(seen: Seen, model: Model) -> None:
    if model.card is None:
        parts.none("No model governs.", "`python -m core models` lists what there is.")
        return
    cards.table(models_view.card_facts(model.card, model.report), models_view.FACT_COLUMNS)


def _models(seen: Seen, model: Model) -> None:
    now = seen.now
    rows = models_view.models(seen.known, now.model if now else None, seen.said)
    cards.table(rows, models_view.SHORT_COLUMNS)
    parts.offer(rows, models_view.MODEL_COLUMNS, "filter-models", "models.csv")
    verdicts = st.expander("What was said of each when it came", on_change="rerun", key="filter-verdicts")
    if verdicts.open:
        for id, reasons in models_view.verdicts(rows).items():
            verdicts.markdown(f"**{id}**\n\n" + "\n".join(f"- {reason}" for reason in reasons))
    for family, told in (model.report or {}).get("families", {}).items():
        if "comparison" in told:
            st.markdown(f"**The governing model against each rule on the sealed plans**, {view.FAMILIES[family]}")
            cards.table(models_view.gains(told["comparison"]), models_view.GAIN_COLUMNS)
    st.caption("A new model is a challenger. It is promoted only if it beats the champion and the baselines on the "
               "same plans that none of them saw; `python -m core models promote ID` and `rollback` are yours.")


def _importance(seen: Seen, model: Model) -> None:
    told = {family: part["importance"] for family, part in (model.report or {}).get("families", {}).items()
            if part.get("importance")}
    if not told:
        parts.none("The report of its training does not lie beside the model.", "A new training writes one.")
    for family, shares in told.items():
        st.markdown(f"**{view.FAMILIES[family].capitalize()}**")
        parts.figure(figures.importance(shares, parts.dark()), f"filter-importance-{family}",
                     figures.ROW * min(len(shares), figures.MOST), "Which share of the gain each feature brought.")
    st.caption("Gain says what the boosters used, not what is true: features of no use get some of it, too.")


def _drift(seen: Seen, model: Model) -> None:
    st.markdown("\n".join(f"- **{level}: {means}** ← now" if level == seen.level else f"- {level}: {means}"
                          for level, means in view.LADDER.items()))
    _newest_look(seen)
    found = {origin: looks.record(seen.source, seen.key, origin, seen.since) for origin in (LIVE, RETRO)} if (
        seen.since is not None) else {}
    for origin, record in found.items():
        if len(record) >= figures.WINDOW:
            st.markdown(f"**Claimed and observed, the last {figures.WINDOW} plans**, {_SOURCES[origin].lower()} "
                        f"(n {words.count(len(record))})")
            parts.figure(figures.rolling(*forward.by_ending(record), parts.dark()), f"filter-rolling-{origin}", 300,
                         "Claimed and observed shares of wins over time, with the band that chance allows.")
    if not any(len(record) >= figures.WINDOW for record in found.values()):
        parts.none(f"Fewer than {figures.WINDOW} plans that a model judged have ended: too few to see claims drift.")
    rows = models_view.happened(seen.history, (models.DRIFT,))
    if rows:
        _long(rows, models_view.HISTORY_COLUMNS)


def _newest_look(seen: Seen) -> None:
    if seen.now is not None:
        st.markdown(drift_view.sentence(seen.drift))
    for rows, columns in ((drift_view.gaps(seen.drift), drift_view.GAP_COLUMNS),
                          (drift_view.features(seen.drift), drift_view.FEATURE_COLUMNS)):
        if rows:
            cards.table(rows, columns)
    for note in drift_view.notes(seen.drift):
        st.caption(note)


def _rules(seen: Seen, model: Model) -> None:
    found = looks.baselines(seen.source, seen.key, seen.first)
    if not found:
        parts.none("No plan has filled and ended yet.",
                   "Let the daemon run, or compute history (`python retro_scan.py --help`).")
    for family, told in found.items():
        st.markdown(f"**{view.FAMILIES[family].capitalize()}**")
        rows = view.taken(told)
        cards.table(rows, view.RULE_COLUMNS)
        parts.offer(rows, view.RULE_COLUMNS, f"filter-rules-{family}", f"rules-{family}.csv")
    st.caption(f"What one plain rule would have taken of the plans of the last {seen.meta.window_days} days (the "
               f"newest {words.count(reads.MOST_PLANS)} at most), live and history together; nothing is fitted. A "
               "model that is no better than these is not promoted. Of many rules one looks good by chance alone.")


def _history(seen: Seen, model: Model) -> None:
    rows = models_view.happened(seen.history)
    _long(rows, models_view.HISTORY_COLUMNS)
    parts.offer(rows, models_view.HISTORY_COLUMNS, "filter-history", "promotions.csv")


_TABS: dict[str, Callable[[Seen, Model], None]] = {
    "Thresholds": _thresholds, "Model card": _card, "Champion and challengers": _models, "Importance": _importance,
    "Drift": _drift, "Single rules": _rules, "History": _history,
}
