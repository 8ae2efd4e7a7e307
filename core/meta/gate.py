"""The verdict on a candidate that admission let through.

Until a model exists the gate is observe-only: the verdict is what admission gives, and says so.
"""

from dataclasses import dataclass

UNGATED = "ungated"
FILTER_OFF = "filter off"


@dataclass(frozen=True, slots=True)
class Verdict:
    """passed, why, and what the model said where there is one (p in 0..1, EV in percent of notional)."""

    passed: bool
    reason: str
    p_raw: float | None = None
    p: float | None = None
    ev_pct: float | None = None
    model: str | None = None


def judge(refusal: str | None, filter_enabled: bool) -> Verdict:
    """Judge one candidate without a model (rule 17).

    refusal: admission's reason, or None where it admits. filter_enabled: `models.meta.enabled`.
    """
    if refusal is not None:
        return Verdict(False, refusal)
    return Verdict(True, UNGATED if filter_enabled else FILTER_OFF)
