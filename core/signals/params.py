"""Plain numbers handed to the pure rooms; the configuration object stops above them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Costs:
    """What one leg costs, in percent of its own notional (0.05 = five hundredths of a percent).

    assume_maker: entry and target legs are maker without slippage (rule 14).
    """

    taker_pct: float
    maker_pct: float
    slippage_pct: float
    assume_maker: bool


@dataclass(frozen=True, slots=True)
class Risk:
    """How large a plan may be (rule 16).

    equity_usd: quote units. risk_pct, margin_pct_per_trade: percent of the equity.
    liquidation_buffer: 0.5 = liquidation at least half a stop distance beyond the stop.
    maintenance_margin_pct: percent of the notional.
    """

    equity_usd: float
    risk_pct: float
    margin_pct_per_trade: float
    max_leverage: int
    liquidation_buffer: float
    maintenance_margin_pct: float


@dataclass(frozen=True, slots=True)
class Common:
    """What all setups share (section `signals` of the configuration).

    avwap_max_distance_atr: 0 = no such admission rule. validity_candles: own timeframe's bars.
    """

    lookback_candles: int
    atr_period: int
    atr_mult_sl: float
    piv_window: int
    anchors_to_consider: int
    entry_level: float
    sl_share: float
    avwap_use: bool
    avwap_max_distance_atr: float
    max_hole_candles: int
    min_tp_net_pct: float
    max_cost_r: float
    validity_candles: int
