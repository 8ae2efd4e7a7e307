"""When the decision fell (UTC)."""

from core.candles import Floats
from core.signals.features.facts import Rows
from core.timeframe import DAY, HOUR

FEATURES: dict[str, str] = {
    "hour": "hour of the day of the decision, UTC, with its fraction",
    "weekday": "day of the week of the decision, UTC, Monday 0",
}

_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


def columns(rows: Rows) -> dict[str, Floats]:
    """Each feature of FEATURES, shape (n,)."""
    return {"hour": rows.decided_ts % DAY / HOUR,
            "weekday": ((rows.decided_ts // DAY + _EPOCH_WEEKDAY) % 7).astype("float64")}
