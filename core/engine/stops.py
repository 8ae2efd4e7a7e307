"""What stops trail on, and the way that the stop of a stored plan went."""

from collections.abc import Mapping
from typing import Any

from core import timeframe
from core.engine import rows
from core.engine.params import Body
from core.signals.indicators import Indicators, run_start
from core.signals.kernels import PLAIN, Kernels
from core.store import candles
from core.store.candles import Con
from core.timeframe import MINUTE
from core.trades.trail import trail_path

Trailing = tuple[list[int], list[float]]


def closes_and_atr(con: Con, series: int, size: int, first: int, end: int, period: int, kernels: Kernels) -> Trailing:
    """Closes (ms UTC) of all bars that a trade decided from `first` on may trail on before `end`, and their ATR."""
    since = run_start(timeframe.floor(first, size) - size, size)
    bars = candles.load(con, series, size, since, end)
    return [ts + size for ts in bars.ts.tolist()], Indicators(bars, period, kernels).atr_array(0, len(bars)).tolist()


def path(con: Con, row: Mapping[str, Any], trade: Mapping[str, Any], body: Body) -> Trailing:
    """Times and stops as `trail_path` has them, of a plan whose stop has moved; empty where it never did.

    row: of `signals`; trade: of the view `trades`; body: of the configuration that made it. Reads only.
    """
    if trade["opened_ts"] is None or trade["stop"] in (None, row["sl"]):
        return [], []
    one, own = (candles.one_series(con, row["exchange"], row["symbol"], tf).id for tf in ("1m", row["timeframe"]))
    first, end = row["decided_ts"], int(trade["closed_ts"] or trade["seen_ts"]) + MINUTE
    minutes = candles.minutes(con, one, first, end)
    if not minutes:
        return [], []
    period = body["execution"]["trail"]["atr_period"]
    trailing = closes_and_atr(con, own, timeframe.ms(row["timeframe"]), first, end, period, PLAIN)
    ts, o, h, low, c = (list(column) for column in zip(*minutes, strict=True))
    return trail_path(rows.row_order(row, body), (ts, o, h, low, c), trailing)
