"""Signals and trades as tables: columns under the names freqtrade's users know, and what a filter means. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.dashboard import words
from core.dashboard.words import Column
from core.meta.artifact import family_of
from core.store.reads.trades import CLOSED, OPEN, SIGNALS, Group, Wanted
from core.timeframe import DAY, HOUR

Row = Mapping[str, Any]

KINDS = {SIGNALS: "Signals", OPEN: "Open trades", CLOSED: "Closed trades"}
PERIODS = {"24 h": DAY, "7 d": 7 * DAY, "30 d": 30 * DAY, "90 d": 90 * DAY, "1 y": 365 * DAY, "all": None}
STATUSES = ("PENDING", "OPEN", "TP1", "TP", "TP1_TRAIL", "TRAIL", "SL", "TIME", "EXPIRED", "LIQUIDATED")
EXITS = ("sl", "sl_gap", "be", "trail", "tp1", "tp2", "time", "never_filled", "gapped", "tp1_before_entry",
         "liquidation", "delisted")
# How a list may be ordered: a name to (key of reads.trades.ORDERS, largest first).
ORDERS = {
    "newest": ("time", True), "oldest": ("time", False), "best profit (R)": ("profit_r", True),
    "worst profit (R)": ("profit_r", False), "best profit %": ("profit_pct", True),
    "worst profit %": ("profit_pct", False), "highest EV": ("ev", True), "highest p(win)": ("p", True),
    "longest": ("held", True), "highest costs": ("cost", True), "best seen (MFE)": ("mfe", True),
    "worst seen (MAE)": ("mae", False),
}

def _price(key: str, label: str) -> Column:
    return Column(key, label, "price", width=90)


_ID = Column("short_id", "Trade ID", help="as in the alerts; choose a row to see its life below")
_TIME = Column("decided_ts", "Time", "time", "when it was decided, UTC")
_STATUS = Column("status", "Status", width=100)
_PAIR = (Column("coin", "Pair"), Column("side", "Direction"))
_SETUP = (Column("timeframe", "TF", help="timeframe"), Column("setup", "Setup", help="freqtrade: enter tag"))
_PLAN = (_price("entry", "Entry"), _price("sl", "Stoploss"), _price("tp1", "TP1"), _price("tp2", "TP2"),
         Column("leverage", "Leverage", "count"),
         Column("cost_r", "Costs R", "number", "costs of a stop-out in stop distances"))
_MODEL = (Column("p", "p(win) %", "number", "calibrated probability; empty where no model judged it"),
          Column("ev_pct", "EV %", "pct", "expected value, percent of the notional", 75))
_PROFIT = (Column("pnl_pct", "Profit %", "pct", "net of all costs, percent of the entry notional"),
           Column("r_multiple", "Profit R", "r", "net, in planned stop distances"),
           Column("pnl_usd", "Profit USD", "usd", "net, each trade at usd_per_trade (Results: at its own size)"))
_SEEN = (Column("mfe_pct", "MFE %", "pct", "best seen, percent of the fill"),
         Column("mae_pct", "MAE %", "pct", "worst seen, percent of the fill"))
_VERDICT = Column("taken", "Verdict")
_EVIDENCE = Column("evidence", "Evidence", help="how strong the evidence is that plans like this one earn money")
_MARKS = Column("marks", "Marks", help="retro, in-sample, late, revised")

COLUMNS: dict[str, tuple[Column, ...]] = {
    SIGNALS: (_ID, _TIME, *_PAIR, *_SETUP, _VERDICT, _EVIDENCE, _STATUS, _PROFIT[1], *_MODEL, *_PLAN,
              Column("reason", "Reason", help="what the gate said", width=260), _MARKS),
    OPEN: (_ID, *_PAIR, Column("now_pct", "Profit %", "pct", "price result of what is open, before costs", 90),
           Column("now_r", "Profit R", "r", "the same in planned stop distances", 90), _STATUS, *_SETUP, _EVIDENCE,
           _price("fill", "Open rate"), _price("now", "Current rate"), _price("stop_now", "Stop now"),
           Column("qty", "Amount", "price", step="lot"), *_PLAN, *_SEEN, *_MODEL, _TIME,
           Column("opened_ts", "Open date", "time", width=140),
           Column("expires_ts", "Valid until", "time"), _VERDICT, _MARKS),
    CLOSED: (_ID, *_PAIR, *_PROFIT, Column("exit_reason", "Exit reason", width=120), _STATUS, *_SETUP,
             Column("opened_ts", "Open date", "time"), Column("closed_ts", "Close date", "time"),
             Column("held", "Duration", "span"), _price("fill", "Open rate"), _price("exit_price", "Close rate"),
             Column("leverage", "Leverage", "count"), Column("gross_pct", "Gross %", "pct"),
             Column("fees_pct", "Fees %", "number"), Column("slippage_pct", "Slippage %", "number"),
             Column("funding_pct", "Funding %", "number"), *_SEEN, *_MODEL, _VERDICT, _MARKS),
}

# Of an export: everything a row of reads.trades.page holds that is not internal, under the file's own names.
EXPORT = tuple(Column(key, key, kind) for key, kind in (
    ("id", "text"), ("short_id", "text"), ("symbol", "text"), ("timeframe", "text"), ("setup", "text"),
    ("direction", "text"), ("decided_ts", "time"), ("expires_ts", "time"), ("entry", "price"), ("sl", "price"),
    ("tp1", "price"), ("tp2", "price"), ("qty", "price"), ("notional", "number"), ("leverage", "count"),
    ("risk_pct", "number"), ("cost_r", "number"), ("tp1_net_pct", "number"), ("trend", "text"), ("vol", "text"),
    ("ml_p", "number"), ("ev_pct", "number"), ("model", "text"), ("verdict", "text"), ("reason", "text"),
    ("origin", "text"), ("late", "count"), ("revised", "count"), ("in_sample", "count"), ("status", "text"),
    ("exit_reason", "text"), ("opened_ts", "time"), ("tp1_ts", "time"), ("closed_ts", "time"), ("fill", "price"),
    ("exit_price", "price"), ("gross_pct", "number"), ("fees_pct", "number"), ("slippage_pct", "number"),
    ("funding_pct", "number"), ("funding_known", "count"), ("pnl_pct", "number"), ("pnl_usd", "number"),
    ("r_multiple", "number"), ("mae_pct", "number"), ("mfe_pct", "number")))


def shown(rows: Sequence[Row], prices: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Rows of reads.trades.page with what a table shows beside them: coin, side, verdict, p in percent, marks.

    prices: newest price by symbol, for what is open.
    """
    return [{**row, "coin": words.coin(row["symbol"]), "side": words.SIDES[row["direction"]],
             "taken": "taken" if row["verdict"] == "pass" else "refused",
             "p": None if row["ml_p"] is None else 100.0 * row["ml_p"], "marks": marks(row),
             **_now(row, (prices or {}).get(row["symbol"]))} for row in rows]


def _now(row: Row, price: float | None) -> dict[str, Any]:
    if row["fill"] is None or row["closed_ts"] is not None:
        return {"now": price}
    stands = {"now": price, "stop_now": row["stop"]}
    if price is None:
        return stands
    gain = (price - row["fill"]) * (1 if row["direction"] == "long" else -1)
    return {**stands, "now_pct": 100.0 * gain / row["fill"], "now_r": gain / abs(row["entry"] - row["sl"])}


def marks(row: Row) -> str:
    """`retro, in-sample`; empty for a live row without a remark."""
    named = [("retro", row["origin"] == "retro"), ("in-sample", row["in_sample"]), ("late", row["late"]),
             ("revised", row["revised"])]
    return ", ".join(name for name, there in named if there)


def since(period: str, now: int) -> int:
    """Where a period of PERIODS begins, on a whole hour, so that a kept answer fits for a while."""
    span = PERIODS[period]
    return 0 if span is None else now // HOUR * HOUR - span


def judges(cards: Mapping[str, Mapping[str, Any]], chosen: Sequence[str]) -> tuple[tuple[str | None, bool], ...] | None:
    """Which (model, with targets) carry one of the chosen evidence labels; None where nothing is chosen.

    cards: of all models by id. Plans that no model judged are `insufficient`.
    """
    if not chosen:
        return None
    found: list[tuple[str | None, bool]] = []
    for targets in (True, False):
        if "insufficient" in chosen:
            found.append((None, targets))
        for model, card in cards.items():
            told = card.get("families", {}).get(family_of(targets), {}).get("evidence", {})
            if told.get("label", "insufficient") in chosen:
                found.append((model, targets))
    return tuple(found)


def counted(groups: Sequence[Group], wanted: Wanted) -> list[Group]:
    """The groups that the filter's verdicts let through."""
    return [group for group in groups if not wanted.verdicts or group.verdict in wanted.verdicts]


def showing(groups: Sequence[Group], rows: int, skip: int) -> str:
    """`Showing 501 to 1,000 of 12,430`."""
    total = sum(group.plans for group in groups)
    if rows == total:
        return f"All {total:,} shown" if total else "None"
    return f"Showing {skip + 1:,} to {skip + rows:,} of {total:,}"


def totals(groups: Sequence[Group]) -> list[str]:
    """What came of the plans, a line for each origin: live, retro and in-sample ones are never added up."""
    lines = []
    for name, origin, in_sample in (("live", "live", 0), ("retro", "retro", 0), ("in-sample", None, 1)):
        part = [g for g in groups if g.in_sample == in_sample and origin in (None, g.origin)]
        for verdict, what in (("pass", "taken"), ("refused", "refused")):
            of = [g for g in part if g.verdict == verdict]
            if of:
                lines.append(f"**{name}, {what}**: {_sum(of, counts=not in_sample)}")
    return lines


def _sum(groups: Sequence[Group], *, counts: bool) -> str:
    plans, filled, ended = (sum(getattr(g, name) for g in groups) for name in ("plans", "filled", "ended"))
    said = f"{plans:,} {'plan' if plans == 1 else 'plans'}, {filled:,} filled, {ended:,} ended"
    if not counts:
        return f"{said}; a model judged bars it was trained on: they count in no figure"
    if not ended:
        return f"{plans:,} {'plan' if plans == 1 else 'plans'}, {filled:,} filled"
    net = words.r(sum(g.net_r for g in groups))
    return f"{said}, net {net} = {words.usd(sum(g.net_usd for g in groups))}, each trade at usd_per_trade"
