"""Other forms of a loaded configuration: for showing, and for telling whether two would decide alike."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from typing import Any

from core.config.schema import Config

HIDDEN = "(set, hidden)"


def describe(config: Config) -> dict[str, Any]:
    """The configuration as plain dicts and lists for printing; secrets only say whether they are set."""
    plain: dict[str, Any] = _plain(config)
    return plain


def decision_body(config: Config) -> dict[str, Any]:
    """All that may change a row of `signals` or `trades`, as plain dicts and lists.

    Paths, schedules, sync and alerts are left out, and so is `per_pair_tf`: it mirrors the
    promotion history, which has dates of its own (rule 32).
    """
    meta = config.models.meta
    return {
        "signals": _plain(config.signals),
        "risk": _plain(config.risk),
        "execution": _plain(config.execution),
        "timeframes": list(config.timeframes),
        "meta": {
            "enabled": meta.enabled,
            "calibration": meta.calibration.enabled,
            "use_ev": meta.gating.use_ev,
            "min_ev_pct": meta.min_ev_pct,
            "threshold": meta.threshold,
            "costs_mode": meta.costs_mode,
            "min_closed_samples": meta.min_closed_samples,
            "per_regime": _plain(meta.per_regime),
        },
    }


def config_hash(config: Config) -> str:
    """First 12 hex digits of the SHA-256 of `decision_body` as canonical JSON."""
    text = json.dumps(decision_body(config), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _shown(f, getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _shown(f: Field[Any], value: Any) -> Any:
    if f.metadata.get("secret"):
        return HIDDEN if value else ""
    return _plain(value)
