"""The configuration: one strict loader, frozen dataclasses whose attribute names are the YAML keys."""

from core.config.loader import CHAT_ENV, TOKEN_ENV, SetupSpec, defaults, load, loads
from core.config.mirror import mirror_thresholds
from core.config.schema import Config, SetupConfig, Threshold
from core.config.views import config_hash, decision_body, describe

__all__ = [
    "CHAT_ENV", "TOKEN_ENV", "Config", "SetupConfig", "SetupSpec", "Threshold",
    "config_hash", "decision_body", "defaults", "describe", "load", "loads", "mirror_thresholds",
]
