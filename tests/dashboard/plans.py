"""Plans one can check in the head: an impulse of 100 to 110 on 5m, its levels, and lives of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.candles import Bars, from_rows
from core.dashboard.views.chart import Plan
from core.engine.params import Terms
from core.signals.params import Costs
from core.timeframe import MINUTE
from core.trades.orders import Execution

FIVE = 5 * MINUTE
T0 = 1_704_412_800_000  # 5 January 2024, 00:00 UTC
START, END = T0 + 10 * FIVE, T0 + 14 * FIVE  # bars of A (low 100) and B (high 110)
DECIDED = T0 + 20 * FIVE
EXPIRES = DECIDED + 24 * FIVE

TERMS = Terms(Costs(0.06, 0.02, 0.025, False), Execution(24, 0.5, True, False, 288, 2.0), 1000.0, 14, True)


def row(**more: Any) -> dict[str, Any]:
    """A row of `signals`: long, entry 103.82 (0.618 of 100 to 110), stop 99, targets 112.72 and 116.18."""
    return {"id": "fibo_avwap:BTC/USDT:USDT:5m:1:2", "short_id": "ABCDEFG", "exchange": "bitget",
            "symbol": "BTC/USDT:USDT", "timeframe": "5m", "ts": DECIDED - FIVE, "decided_ts": DECIDED,
            "start_ts": START, "end_ts": END, "setup": "fibo_avwap", "direction": "long", "entry": 103.82, "sl": 99.0,
            "tp1": 112.72, "tp2": 116.18, "avwap": 104.5, "leverage": 3, "risk_pct": 1.0, "qty": 20.5,
            "notional": 2128.31, "tick": 0.01, "lot": 0.1, "min_notional": 5.0, "tp1_net_pct": 8.3, "cost_r": 0.04,
            "trend": "range", "vol": "normal", "ml_p": None, "ev_pct": None, "model": None, "verdict": "pass",
            "reason": "ungated", "origin": "live", "late": 0, "revised": 0, "in_sample": 0, "rationale": "Up impulse.",
            "config_hash": "x", "liq": 69.7, "market": 0, "trail_mult": None, "max_hold": 0, "expires_ts": EXPIRES,
            **more}


def trade(**more: Any) -> dict[str, Any]:
    """A row of `trades`: pending."""
    return {"status": "PENDING", "opened_ts": None, "tp1_ts": None, "closed_ts": None, "exit_price": None,
            "exit_reason": None, "gross_pct": None, "fees_pct": None, "slippage_pct": None, "funding_pct": None,
            "funding_known": None, "pnl_pct": None, "pnl_usd": None, "r_multiple": None, "mae_pct": None,
            "mfe_pct": None, "seen_ts": DECIDED, "fill": None, "stop": 99.0, "tp1_price": None, **more}


def event(name: str, ts: int, price: float | None, fraction: float = 1.0, fee_pct: float = 0.06) -> dict[str, Any]:
    """A row of `trade_events`."""
    return {"event": name, "ts": ts, "price": price, "fraction": fraction, "fee_pct": fee_pct}


def trailed() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Filled at 100 for easy sums; half out at 112, half trailed out at 106: gross 6 + 3 = 9 %."""
    legs = [event("FILL", DECIDED + FIVE, 100.0), event("TP1", DECIDED + 2 * FIVE, 112.0, 0.5, 0.0336),
            event("TP1_TRAIL", DECIDED + 4 * FIVE, 106.0, 0.5, 0.0318)]
    fees, slippage = 0.06 + 0.0336 + 0.0318, 0.025 * (1 + 0.56 + 0.53)
    net = 9.0 - fees - slippage - 0.01
    return trade(status="TP1_TRAIL", exit_reason="trail", opened_ts=DECIDED + FIVE, tp1_ts=DECIDED + 2 * FIVE,
                 closed_ts=DECIDED + 4 * FIVE, fill=100.0, stop=106.0, exit_price=106.0, gross_pct=9.0, fees_pct=fees,
                 slippage_pct=slippage, funding_pct=0.01, funding_known=1, pnl_pct=net, pnl_usd=10 * net,
                 r_multiple=net / 4.64, mfe_pct=12.5, mae_pct=-0.4), legs


def bars(count: int = 60) -> Bars:
    """5m bars from T0: a low of 100 at bar 10 and a high of 110 at bar 14, 103 to 107 elsewhere."""
    rows = [(T0 + i * FIVE, 105.0, 107.0, 103.0, 105.0, 10.0 + i % 3) for i in range(count)]
    rows[10] = (START, 104.0, 105.0, 100.0, 104.5, 30.0)
    rows[14] = (END, 106.0, 110.0, 105.5, 109.0, 40.0)
    return from_rows(FIVE, rows)


def plan(row_: dict[str, Any] | None = None, trade_: dict[str, Any] | None = None,
         events: Sequence[dict[str, Any]] = (), own: Bars | None = None) -> Plan:
    """All of it as one plan."""
    return Plan(row_ or row(), trade_ or trade(), events, own if own is not None else bars())


def mirrored(own: Bars) -> Bars:
    """The same bars upside down around 105."""
    flip = 210.0
    return Bars(own.tf, own.ts, flip - own.open, flip - own.low, flip - own.high, flip - own.close, own.volume,
                np.asarray(own.minutes))
