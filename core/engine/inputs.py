"""What a stored row was made from: the setups of its configuration, and the span of candles it saw."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from core.engine import params
from core.engine.params import Body
from core.errors import DataError
from core.signals.decide import needs
from core.signals.indicators import run_start
from core.signals.regime import VOL_WINDOW
from core.signals.setups import REGISTRY, Setup
from core.store.candles import Span


def setups_of(body: Body, tf: str) -> list[tuple[Setup, Any]]:
    """Setups that a stored configuration runs on a timeframe, each with its parameters.

    Raises DataError for a configuration that this program can no longer follow.
    """
    try:
        return [
            (REGISTRY[name], REGISTRY[name].params(**setup["params"]))
            for name, setup in sorted(body["signals"]["setups"].items())
            if tf in setup["timeframes"]
        ]
    except (KeyError, TypeError) as error:
        raise DataError(f"a stored configuration does not fit this program's setups ({error})") from error


def bars_needed(body: Body, tf: str) -> int:
    """Bars at or before a deciding bar that its configuration reads, regime and ATR aside."""
    return needs(setups_of(body, tf), params.common(body))


def warm_start(opens: Sequence[int], tf: int, ts: int, needed: int) -> int:
    """Where the warm-up of a decision begins (rule 5), in ms.

    opens: those of the bars of length `tf` (ms), ascending; ts: the deciding one; needed: `bars_needed`.
    """
    i = bisect_left(opens, ts)
    if not opens:
        return ts
    oldest = opens[min(max(0, i - VOL_WINDOW + 1), len(opens) - 1)]
    return min(run_start(oldest, tf), opens[min(max(0, i - needed + 1), len(opens) - 1)])


def touched(spans: Sequence[Span], start: int, end: int) -> bool:
    """Whether any of the spans has a part in [start, end)."""
    return any(a < end and b > start for a, b in spans)
