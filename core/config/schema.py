"""The shape of config.yaml: every section, key, default and limit.

The attribute names are the YAML keys. Field metadata holds what the loader checks: `min`, `max`
(inclusive), `above` (exclusive), `choices`, `parse` (text to value, ConfigError if it cannot),
`empty` (empty text is allowed), `verbatim` (text that may look like a number), `secret` (never shown),
`quiet` (not repeated in a message, for it may hold a password).
Percent keys end in `_pct`: 0.5 is half a percent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.config import values
from core.config.frozenmap import FrozenMap
from core.timeframe import DERIVED


def _key(default: Any, **limits: Any) -> Any:
    return field(default=default, metadata=limits)


def _number(default: float | None, low: float, high: float) -> Any:
    return _key(default, min=low, max=high)


def _positive(default: float, high: float) -> Any:
    return _key(default, above=0, max=high)


def _section(cls: type) -> Any:
    return field(default_factory=cls)


@dataclass(frozen=True, slots=True)
class App:
    """Where the data lie, and the time zone of what is shown (decisions are in UTC)."""

    data_dir: str = "data"
    db_path: str = "data/ohlcv.db"
    timezone: str = _key("UTC", parse=values.timezone)


@dataclass(frozen=True, slots=True)
class Exchange:
    """Which exchange, and how gently it is asked."""

    id: str = _key("bitget", parse=values.exchange_id)
    rate_limit_ms: int = _number(50, 0, 60_000)
    api_url: str | None = _key(None, parse=values.url, quiet=True)


@dataclass(frozen=True, slots=True)
class Resample:
    """How far back derived bars are checked again at a start."""

    lookback_minutes: int = _number(1440, 0, 10_000_000)


@dataclass(frozen=True, slots=True)
class Data:
    """The stored timeframes."""

    base_timeframe: str = _key("1m", choices=("1m",))
    derived_timeframes: tuple[str, ...] = _key(DERIVED, choices=DERIVED, min=1)
    resample: Resample = _section(Resample)


@dataclass(frozen=True, slots=True)
class Backfill:
    """How history is fetched: from `start_date` (ms UTC), in batches."""

    start_date: int = _key(1_704_067_200_000, parse=values.start_date, verbatim=True)  # 2024-01-01
    batch_limit: int = _number(1000, 1, 5000)


@dataclass(frozen=True, slots=True)
class Incremental:
    """How each minute is fetched."""

    overlap_candles: int = _number(5, 0, 1000)
    run_seconds: int = _number(50, 1, 3600)
    settle_seconds: int = _number(3, 0, 59)


@dataclass(frozen=True, slots=True)
class Fibo:
    """Pivots and levels of the impulse setups (rules 7 to 11)."""

    piv_window: int = _number(5, 1, 50)
    anchors_to_consider: int = _number(3, 1, 20)
    entry_level: float = _number(0.618, 0.5, 0.786)
    sl_share: float = _number(0.5, 0, 10)


@dataclass(frozen=True, slots=True)
class Avwap:
    """The anchored VWAP (rule 12)."""

    use: bool = True
    max_distance_atr: float = _number(0.0, 0, 100)


@dataclass(frozen=True, slots=True)
class Fees:
    """Fees per leg in percent (rule 14)."""

    taker_pct: float = _number(0.06, -1, 5)
    maker_pct: float = _number(0.02, -1, 5)
    assume_maker: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a result in percent is worth in money."""

    usd_per_trade: float = _positive(1000.0, 1e9)


@dataclass(frozen=True, slots=True)
class SetupConfig:
    """One enabled setup: the timeframes it runs on and its parameters (the setup's own dataclass)."""

    timeframes: tuple[str, ...]
    params: Any


@dataclass(frozen=True, slots=True)
class Signals:
    """How candidates are found, planned and admitted."""

    setups: Mapping[str, SetupConfig] = field(default_factory=FrozenMap)
    lookback_candles: int = _number(240, 20, 5000)
    atr_period: int = _number(14, 2, 100)
    atr_mult_sl: float = _number(1.5, 0, 50)
    fibo: Fibo = _section(Fibo)
    avwap: Avwap = _section(Avwap)
    max_hole_candles: int = _number(3, 0, 1000)
    min_tp_net_pct: float = _number(0.5, 0, 100)
    max_cost_r: float = _positive(0.15, 10)
    fees: Fees = _section(Fees)
    slippage_pct: float = _number(0.025, 0, 5)
    validity_candles: int = _number(24, 1, 10_000)
    evaluation: Evaluation = _section(Evaluation)


@dataclass(frozen=True, slots=True)
class RiskPct:
    """Loss at the stop in percent of equity, by mode."""

    conservative: float = _positive(0.5, 100)
    normal: float = _positive(1.0, 100)
    aggressive: float = _positive(2.0, 100)


@dataclass(frozen=True, slots=True)
class Risk:
    """Size and leverage (rule 16)."""

    mode: str = _key("normal", choices=("conservative", "normal", "aggressive"))
    risk_pct_by_mode: RiskPct = _section(RiskPct)
    max_leverage: int = _number(10, 1, 200)
    liquidation_buffer: float = _number(0.5, 0, 10)
    equity_usd: float = _positive(10_000.0, 1e12)
    margin_pct_per_trade: float = _positive(20.0, 100)
    maintenance_margin_pct: float = _number(0.5, 0, 50)


@dataclass(frozen=True, slots=True)
class Trail:
    """The trailing stop (rule 24)."""

    use: bool = True
    method: str = _key("atr", choices=("atr",))
    atr_period: int = _number(14, 2, 100)
    atr_mult: float = _positive(2.0, 50)


@dataclass(frozen=True, slots=True)
class Execution:
    """How a plan is followed (rules 20 to 29)."""

    tp1_fraction: float = _number(0.5, 0, 1)
    move_sl_to_be_on_tp1: bool = True
    be_net_of_costs: bool = False
    max_hold_candles: int = _number(288, 0, 100_000)
    funding: bool = True
    trail: Trail = _section(Trail)


@dataclass(frozen=True, slots=True)
class Threshold:
    """What the gate asks of one pair and timeframe, or of one regime; None leaves it to the next level."""

    threshold: float | None = _number(None, 0, 1)
    min_ev_pct: float | None = _number(None, -100, 100)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibrator of the active model; it lies in that model's folder, so path may only repeat model_path."""

    enabled: bool = True
    path: str = "models/meta"


@dataclass(frozen=True, slots=True)
class Gating:
    """What the gate compares: expected value or p(win)."""

    use_ev: bool = True


Thresholds = Mapping[str, Mapping[str, Threshold]]


@dataclass(frozen=True, slots=True)
class Meta:
    """The meta-model and its gate."""

    enabled: bool = True
    model_path: str = "models/meta"
    calibration: Calibration = _section(Calibration)
    gating: Gating = _section(Gating)
    min_ev_pct: float = _number(0.0, -100, 100)
    threshold: float = _number(0.55, 0, 1)
    costs_mode: str = _key("auto", choices=("auto", "maker", "taker"))
    target_winrate_pct: float = _number(55.0, 0, 100)
    window_days: int = _number(365, 1, 10_000)
    min_closed_samples: int = _number(1000, 1, 10_000_000)
    per_pair_tf: Thresholds = field(default_factory=FrozenMap)  # symbol -> timeframe -> Threshold
    per_regime: Thresholds = field(default_factory=FrozenMap)  # trend -> volatility -> Threshold


@dataclass(frozen=True, slots=True)
class Models:
    """The models."""

    meta: Meta = _section(Meta)


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Weekly:
    """When a weekly job runs, in UTC."""

    enable: bool = True
    day_of_week: str = _key("sun", choices=DAYS)
    hour_utc: int = _number(3, 0, 23)
    minute: int = _number(0, 0, 59)


@dataclass(frozen=True, slots=True)
class WeeklyCalibrate(Weekly):
    """When the calibrator is fitted."""

    hour_utc: int = _number(4, 0, 23)


@dataclass(frozen=True, slots=True)
class WeeklyTune(Weekly):
    """When the thresholds are tuned."""

    hour_utc: int = _number(5, 0, 23)


@dataclass(frozen=True, slots=True)
class Auto:
    """The weekly jobs of the daemon."""

    weekly_train: Weekly = _section(Weekly)
    weekly_calibrate: WeeklyCalibrate = _section(WeeklyCalibrate)
    weekly_tune: WeeklyTune = _section(WeeklyTune)


ALERTS = ("signal", "filled", "tp1", "closed", "late", "digest", "weekly", "health")
SOUNDS = ("on", "silent", "off")


def _sound(default: str = "on") -> Any:
    return _key(default, choices=SOUNDS)


@dataclass(frozen=True, slots=True)
class Sounds:
    """How each kind of alert arrives: on (with a sound), silent, or off (not at all)."""

    signal: str = _sound()
    filled: str = _sound()
    tp1: str = _sound()
    closed: str = _sound()
    late: str = _sound()
    digest: str = _sound("silent")
    weekly: str = _sound("silent")
    health: str = _sound()


def _chat(**more: Any) -> Any:
    return field(default="", repr=False, metadata={"empty": True, "secret": True, "verbatim": True, **more})


def _chats(parse: Any) -> Any:
    return field(default=(), repr=False, metadata={"secret": True, "verbatim": True, "parse": parse, "max": 50})


@dataclass(frozen=True, slots=True)
class Telegram:
    """Alerts and commands by Telegram; the environment's secrets come before those written here."""

    enabled: bool = False
    bot_token: str = field(default="", repr=False, metadata={"empty": True, "secret": True, "parse": values.token})
    chat_id: str = _chat()
    owner_id: str = _chat(parse=values.person)
    viewers: tuple[str, ...] = _chats(values.chat)
    channels: tuple[str, ...] = _chats(values.channel)
    api_url: str | None = _key(None, parse=values.url, quiet=True)
    commands: bool = True
    send_on: tuple[str, ...] = _key(ALERTS, choices=ALERTS)
    notification_settings: Sounds = _section(Sounds)
    quiet_hours: str = _key("", parse=values.hours, empty=True)
    digest_above: int = _number(5, 1, 1000)
    pictures: bool = True
    send_ungated: bool = False


@dataclass(frozen=True, slots=True)
class Notify:
    """The channels of alerts."""

    telegram: Telegram = _section(Telegram)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. `Config()` holds the documented defaults, without setups."""

    app: App = _section(App)
    exchange: Exchange = _section(Exchange)
    symbols: tuple[str, ...] = _key(
        ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"), parse=values.symbol, min=1, max=100
    )
    timeframes: tuple[str, ...] = _key(("5m", "15m", "1h", "4h"), choices=DERIVED, min=1)
    data: Data = _section(Data)
    backfill: Backfill = _section(Backfill)
    incremental: Incremental = _section(Incremental)
    signals: Signals = _section(Signals)
    risk: Risk = _section(Risk)
    execution: Execution = _section(Execution)
    models: Models = _section(Models)
    auto: Auto = _section(Auto)
    notify: Notify = _section(Notify)
