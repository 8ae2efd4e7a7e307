"""Rows as the tables hold them."""

from typing import Any

T = 1_714_573_800_000  # 1 May 2024 14:30 UTC


def signal_row(**changes: Any) -> dict[str, Any]:
    """A long `fibo_avwap` plan that passed the gate."""
    row = {
        "id": "bitget|BTC/USDT:USDT|15m|fibo_avwap|1|2", "short_id": "K7Q2MXA", "exchange": "bitget",
        "symbol": "BTC/USDT:USDT", "timeframe": "15m", "ts": T - 900_000, "decided_ts": T, "start_ts": T - 9_000_000,
        "end_ts": T - 5_400_000, "setup": "fibo_avwap", "direction": "long", "entry": 64210.5, "sl": 63400.0,
        "tp1": 65900.0, "tp2": 67050.0, "avwap": 64155.2, "leverage": 3, "risk_pct": 0.5, "qty": 0.052,
        "notional": 3338.95, "tick": 0.1, "lot": 0.001, "min_notional": 5.0, "tp1_net_pct": 2.45, "cost_r": 0.11,
        "trend": "range", "vol": "normal", "ml_p_raw": 0.4, "ml_p": 0.41, "ev_pct": 0.352, "model": "m1",
        "verdict": "pass", "reason": "", "origin": "live", "late": 0, "rationale": "Pullback to 0.618 of the rise.",
        "expires_ts": T + 6 * 900_000}
    return row | changes


def donchian_row(**changes: Any) -> dict[str, Any]:
    """A short breakout without targets, of a tiny price and a long name, with no model yet."""
    return signal_row(**{
        "id": "bitget|1000PEPE/USDT:USDT|4h|donchian|3|3", "short_id": "D0NC4AA", "symbol": "1000PEPE/USDT:USDT",
        "timeframe": "4h", "setup": "donchian", "direction": "short", "entry": 0.0074521, "sl": 0.0079, "tp1": None,
        "tp2": None, "avwap": None, "tick": 1e-7, "lot": 1.0, "qty": 81234.0, "notional": 605.37, "ml_p_raw": None,
        "tp1_net_pct": None, "ml_p": None, "ev_pct": None, "model": None, "reason": "ungated", **changes})


def trade_row(**changes: Any) -> dict[str, Any]:
    """A trade that took TP1 and was trailed out."""
    row = {
        "signal_id": "x", "status": "TP1_TRAIL", "opened_ts": T + 600_000, "tp1_ts": T + 7_200_000,
        "closed_ts": T + 11_700_000, "exit_price": 65320.4, "exit_reason": "trail", "gross_pct": 2.17,
        "fees_pct": 0.084, "slippage_pct": 0.025, "funding_pct": 0.01, "funding_known": 1, "pnl_pct": 2.051,
        "pnl_usd": 2.05, "r_multiple": 1.625, "mae_pct": -0.41, "mfe_pct": 2.9}
    return row | changes


def expired_row(**changes: Any) -> dict[str, Any]:
    """A trade whose entry never filled: its result columns are NULL."""
    none = dict.fromkeys(trade_row())
    return none | {"status": "EXPIRED", "exit_reason": "never_filled", "closed_ts": T + 5_340_000} | changes
