"""Whether a model may judge plans of today's configuration: what it was trained under, and on how much."""

from collections.abc import Mapping
from typing import Any

Body = Mapping[str, Any]

LEAST_CALIBRATED = 100  # rows a family's calibrator must have seen

# Of a configuration, these sections say what is found and how it ends ...
SECTIONS = ("signals", "execution")
# ... but for what only admits, refuses or shows: refused plans are learned from as well. Sizing is left out,
# since results are per notional and per R.
NO_MATTER = (
    "signals.min_tp_net_pct",
    "signals.max_cost_r",
    "signals.max_hole_candles",
    "signals.avwap.max_distance_atr",
    "signals.evaluation",
)


def changed(trained: Body, body: Body, setup: str) -> list[str]:
    """Keys that make one setup's plans, or how they end, others than those a model was trained on.

    trained, body: decision bodies of a configuration. Other setups do not concern this one.
    """
    old, new = (_flat(b, setup) for b in (trained, body))
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def too_few(told: Mapping[str, Any], floor: int) -> str | None:
    """Why a family (its entry in the card) was trained on too little to be acted on, or None.

    floor: `models.meta.min_closed_samples`.
    """
    n, calibrated = int(told["n"]), int(told["n_calibrate"])
    if n < floor:
        return f"{n:,} of {floor:,} closed plans (models.meta.min_closed_samples)"
    if calibrated < LEAST_CALIBRATED:
        return f"calibrated on {calibrated:,} of {LEAST_CALIBRATED:,} plans"
    return None


def evidence(card: Mapping[str, Any], family: str) -> str:
    """The evidence label of one family in a model's card."""
    return str(card["families"].get(family, {}).get("evidence", {}).get("label", "insufficient"))


def _flat(body: Body, setup: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(key: str, value: Any) -> None:
        if key in NO_MATTER or key.endswith(".timeframes"):
            return
        if isinstance(value, Mapping):
            for name, item in value.items():
                if key != "signals.setups" or name == setup:
                    walk(f"{key}.{name}", item)
        else:
            found[key] = list(value) if isinstance(value, tuple) else value

    for section in SECTIONS:
        walk(section, body[section])
    return found
