"""What every stage is handed: configuration as plain parameters, the file, the exchange, the clock."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import timeframe
from core.clock import Clock
from core.config import Config, config_hash, decision_body
from core.engine.artifacts import Models
from core.engine.params import Terms
from core.engine.table import Table
from core.market.exchange import Exchange
from core.signals.kernels import PLAIN, Kernels
from core.signals.setups import REGISTRY, Setup
from core.store import candles, signals
from core.store.db import Database
from core.store.runs import JobRun


@dataclass
class Context:
    """One run of the engine over one file.

    label: set when the market is generated or recorded; every message then says so. send_ungated:
    announce observe-only signals one by one. tell_all: queue every kind of alert, whatever `send_on`
    says (a console). kernels: plain in the daemon, compiled in retro. config_path: the file that tuned
    thresholds are mirrored into, None = nowhere. name: what handed-back folders call the file, empty = its path;
    runs that must give the same models in files of any name set it. table: features known already. counted: those
    of the exchange's requests that are written down.
    """

    cfg: Config
    db: Database
    clock: Clock
    exchange: Exchange | None = None
    label: str = ""
    send_ungated: bool = False
    tell_all: bool = False
    kernels: Kernels = PLAIN
    atr_cache: dict[tuple[int, int, int], float] = field(default_factory=dict)
    terms: dict[str, Terms] = field(default_factory=dict)
    unwritten: list[JobRun] = field(default_factory=list)
    models: Models = field(default_factory=Models)
    config_path: Path | None = None
    name: str = ""
    table: Table | None = None
    counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.body = decision_body(self.cfg)
        self.config_hash = config_hash(self.cfg)
        self.exchange_id = self.cfg.exchange.id
        self.send_ungated = self.send_ungated or self.cfg.notify.telegram.send_ungated

    @property
    def timeframes(self) -> list[str]:
        """1m and every derived timeframe up to the largest configured one: each is built from the one before."""
        wanted = {*self.cfg.timeframes, *self.cfg.data.derived_timeframes}
        largest = max(timeframe.ms(tf) for tf in wanted)
        return [name for name, ms in timeframe.TIMEFRAMES.items() if ms <= largest]

    def setups_on(self, tf: str) -> list[tuple[Setup, Any]]:
        """Setups that are enabled on a timeframe, each with its parameters."""
        return [
            (REGISTRY[name], setup.params)
            for name, setup in sorted(self.cfg.signals.setups.items())
            if tf in setup.timeframes
        ]

    def scanned_timeframes(self) -> list[str]:
        """Configured timeframes on which at least one setup is enabled, shortest first."""
        return [tf for tf in timeframe.DERIVED if tf in self.cfg.timeframes and self.setups_on(tf)]

    def ensure_rows(self) -> None:
        """Make the rows of symbols, series and this configuration in the file."""
        from_now = self.clock.now()
        with self.db.write() as con:
            candles.ensure(con, self.exchange_id, self.cfg.symbols, self.timeframes)
            signals.add_config(con, self.config_hash, self.body, from_now)
