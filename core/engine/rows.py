"""Between the pure rooms' records and the columns on disk; one way for live and retro."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from core import timeframe
from core.engine import params
from core.engine.params import Body, Terms
from core.meta.gate import Verdict
from core.signals.decide import Candidate
from core.store.signals import SIGNAL_COLUMNS, Trade
from core.trades.lifecycle import REASON_NAMES, STATUS_NAMES, Order, State
from core.trades.orders import make_order
from core.trades.results import Event, TradeRow, events, result

_STATUS = {name: number for number, name in enumerate(STATUS_NAMES)}
_REASON = {name: number for number, name in enumerate(REASON_NAMES)}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # base 32
_PAIRS = [a + b for a in _LETTERS for b in _LETTERS]
LATE_MS = 15 * timeframe.MINUTE


def signal_id(setup: str, symbol: str, tf: str, start_ts: int, end_ts: int) -> str:
    """The text id of a candidate (rule 9)."""
    return f"{setup}:{symbol}:{tf}:{start_ts}:{end_ts}"


def short_id(long_id: str) -> str:
    """Seven characters that stand for an id in messages, the same for ever."""
    v = int.from_bytes(hashlib.sha256(long_id.encode()).digest()[:5]) >> 5
    return _PAIRS[v >> 25] + _PAIRS[v >> 15 & 1023] + _PAIRS[v >> 5 & 1023] + _LETTERS[v & 31]


def is_late(decided_ts: int, tf: int, tick_ts: int) -> bool:
    """Whether a decision came too late to be told as new (rule 31)."""
    return tick_ts - decided_ts > min(tf, LATE_MS)


def signal_values(
    c: Candidate,
    verdict: Verdict,
    order: Order,
    *,
    exchange: str,
    symbol: str,
    origin: str,
    late: bool,
    config_hash: str,
) -> tuple[Any, ...]:
    """A row of `signals` in the order of SIGNAL_COLUMNS."""
    long_id = signal_id(c.setup, symbol, c.timeframe, c.start_ts, c.end_ts)
    return (
        long_id,
        short_id(long_id),
        exchange,
        symbol,
        c.timeframe,
        c.ts,
        c.decided_ts,
        c.start_ts,
        c.end_ts,
        c.setup,
        "long" if c.direction > 0 else "short",
        c.entry,
        c.sl,
        c.tp1,
        c.tp2,
        c.avwap,
        c.leverage,
        c.risk_pct,
        c.qty,
        c.notional,
        c.tick,
        c.lot,
        c.min_notional,
        c.tp1_net_pct,
        c.cost_r,
        c.trend,
        c.vol,
        verdict.p_raw,
        verdict.p,
        verdict.ev_pct,
        verdict.model,
        "pass" if verdict.passed else "refused",
        verdict.reason,
        origin,
        int(late),
        0,
        int(verdict.in_sample),
        c.rationale,
        config_hash,
        c.liq,
        int(c.market),
        c.trail_mult,
        c.max_hold,
        order.deadline,
    )


def as_dict(values: tuple[Any, ...]) -> dict[str, Any]:
    """A row of `signals` by column name."""
    return dict(zip(SIGNAL_COLUMNS, values, strict=True))


def candidate_order(c: Candidate, body: Body | Terms) -> Order:
    """The order of a fresh candidate."""
    terms = params.terms(body)
    return make_order(
        c.direction,
        c.market,
        c.entry,
        c.sl,
        c.tp1,
        c.tp2,
        c.liq,
        c.decided_ts,
        timeframe.ms(c.timeframe),
        terms.execution,
        terms.costs,
        c.trail_mult,
        c.max_hold,
    )


def trade_order(t: Trade, body: Body | Terms) -> Order:
    """The order of a stored trade, under the configuration it was made with."""
    return row_order(t._asdict(), body)


def row_order(row: Mapping[str, Any], body: Body | Terms) -> Order:
    """The order of a row of `signals`, under the configuration it was made with."""
    terms = params.terms(body)
    return make_order(
        1 if row["direction"] == "long" else -1,
        bool(row["market"]),
        row["entry"],
        row["sl"],
        row["tp1"],
        row["tp2"],
        row["liq"],
        row["decided_ts"],
        timeframe.ms(row["timeframe"]),
        terms.execution,
        terms.costs,
        row["trail_mult"],
        row["max_hold"],
    )


def state_of(columns: tuple[Any, ...]) -> State:
    """The lifecycle's state from STATE_COLUMNS."""
    status, reason, opened, fill, stop, why, best, worst, tp1_ts, tp1_price, closed, exit_price, _mae, _mfe = columns
    return State(
        _STATUS[status],
        _REASON[reason or ""],
        opened or 0,
        fill or 0.0,
        stop,
        _REASON[why],
        best or 0.0,
        worst or 0.0,
        tp1_ts or 0,
        tp1_price or 0.0,
        closed or 0,
        exit_price or 0.0,
    )


def state_columns(state: State, row: TradeRow) -> tuple[Any, ...]:
    """STATE_COLUMNS of a state; what does not exist yet is NULL."""
    filled = state.fill > 0.0
    return (
        row.status,
        row.exit_reason,
        row.opened_ts,
        state.fill if filled else None,
        state.stop,
        REASON_NAMES[state.stop_reason],
        state.best if filled else None,
        state.worst if filled else None,
        row.tp1_ts,
        state.tp1_price or None,
        row.closed_ts,
        row.exit_price,
        row.mae_pct,
        row.mfe_pct,
    )


def money_columns(row: TradeRow, known: bool | None) -> tuple[Any, ...]:
    """MONEY_COLUMNS of a result; known: whether all funding of its life is (None while it lives)."""
    flag = None if row.pnl_pct is None or known is None else int(known)
    return (
        row.gross_pct,
        row.fees_pct,
        row.slippage_pct,
        row.funding_pct,
        flag,
        row.pnl_pct,
        row.pnl_usd,
        row.r_multiple,
    )


def result_row(order: Order, state: State, body: Body | Terms, funding: float = 0.0) -> TradeRow:
    """All result columns of a state under a configuration."""
    terms = params.terms(body)
    return result(order, state, terms.costs, terms.usd_per_trade, funding)


class Outcome(NamedTuple):
    """What a state comes to on disk: STATE_COLUMNS, MONEY_COLUMNS and the money events so far."""

    state: tuple[Any, ...]
    money: tuple[Any, ...]
    events: list[Event]


def outcome(order: Order, state: State, terms: Terms, paid: float = 0.0, known: bool | None = None) -> Outcome:
    """The rows of a trade. paid, known: its funding in percent, and whether all of it is known."""
    row = result_row(order, state, terms, paid)
    return Outcome(state_columns(state, row), money_columns(row, known), events(order, state, terms.costs))
