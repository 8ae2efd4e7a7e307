"""The verdict on one candidate: admission first, then the filter where a model may act (rule 17).

*Observe-only* means that the verdict is what admission gives: because no model governs the decision, or
because one does and must not act on it yet, which the reason then says behind a colon.
"""

from dataclasses import dataclass

UNGATED = "ungated"
FILTER_OFF = "filter off"
_EV, _P = ("ev", "ev_low", "min_ev_pct"), ("p", "p_low", "threshold")  # a value, its lower bound, the key of the limit
WORDS = (*_EV[:2], *_P[:2])  # how the reason of every verdict of the filter itself begins

_DIGITS = (2, 3, 4, 6)


@dataclass(frozen=True, slots=True)
class Score:
    """What a model says of one candidate.

    p_raw: before calibration. p: calibrated chance to win, 0 to 1. p_low: its lower bound. ev_pct,
    ev_low_pct: expected value and its lower bound, percent of the notional. model: its id. evidence: the
    computed label of the setup's family. ev_per_p: how much ev_pct grows from p = 0 to 1. margin_pct: what EV
    must exceed its limit by (`ev.MARGIN_R` of the plan's risk); its lower bound need not, for that margin covers
    the simulation's optimism, not chance.
    """

    p_raw: float
    p: float
    p_low: float
    ev_pct: float
    ev_low_pct: float
    model: str
    evidence: str = "insufficient"
    ev_per_p: float = 0.0
    margin_pct: float = 0.0


@dataclass(frozen=True, slots=True)
class Policy:
    """What the gate asks of one candidate.

    use_ev: compare the expected value (percent) with `limit`, else p. source: where the limit comes from.
    observe: why a score is shown and not acted on; None = it decides. in_sample: the model may have learned
    from what came after the decision. raised_p: by how much p must exceed its limit further, while the model
    drifts; in expected value it is what that much of p is worth.
    """

    use_ev: bool
    limit: float
    source: str
    observe: str | None = None
    in_sample: bool = False
    raised_p: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """passed, why, and what the model said where there is one (p in 0..1, EV in percent of notional)."""

    passed: bool
    reason: str
    p_raw: float | None = None
    p: float | None = None
    ev_pct: float | None = None
    model: str | None = None
    in_sample: bool = False


def judge(
    refusal: str | None, filter_enabled: bool, score: Score | None = None, policy: Policy | None = None
) -> Verdict:
    """Judge one candidate (rule 17).

    refusal: admission's reason, or None where it admits. filter_enabled: `models.meta.enabled`. score: None
    where no model scored it. policy: None where no model governs the decision.
    """
    passed, reason = _decide(refusal, filter_enabled, score, policy)
    in_sample = policy is not None and policy.in_sample
    if score is None:
        return Verdict(passed, reason, in_sample=in_sample)
    return Verdict(passed, reason, score.p_raw, score.p, score.ev_pct, score.model, in_sample)


def is_ungated(reason: object) -> bool:
    """Whether a row's reason says that no model acted on it, though the filter is on."""
    return str(reason).partition(":")[0] == UNGATED


def is_judged(reason: object) -> bool:
    """Whether a row's reason says that the filter itself decided."""
    return str(reason).partition(" ")[0] in WORDS


def _decide(refusal: str | None, enabled: bool, score: Score | None, policy: Policy | None) -> tuple[bool, str]:
    if refusal is not None:
        return False, refusal
    if not enabled:
        return True, FILTER_OFF
    if policy is None:
        return True, UNGATED
    if policy.observe is not None or score is None:
        return True, f"{UNGATED}: {policy.observe or 'the model gave no score'}"
    return _compare(score, policy)


def _compare(score: Score, policy: Policy) -> tuple[bool, str]:
    name, name_low, key = _EV if policy.use_ev else _P
    value, low = (score.ev_pct, score.ev_low_pct) if policy.use_ev else (score.p, score.p_low)
    limit = policy.limit + policy.raised_p * (score.ev_per_p if policy.use_ev else 1.0)
    margin = score.margin_pct if policy.use_ev else 0.0
    source = f"({policy.source}{', raised for drift' if policy.raised_p else ''})"
    asked = f"{key} {_shown(limit, value)}{f' + margin {margin:.3f}' if margin else ''} {source}"
    if not value >= limit + margin:  # a NaN is refused, too
        return False, f"{name} {_shown(value, limit + margin)} < {asked}"
    if not low > limit:
        return False, f"{name_low} {_shown(low, limit)} <= {key} {_shown(limit, low)} {source}"
    return True, f"{name} {_shown(value, limit + margin)} >= {asked}"


def _shown(value: float, beside: float) -> str:
    # As many digits as it takes to tell the two apart.
    for digits in _DIGITS:
        text = f"{value:.{digits}f}"
        if value == beside or text != f"{beside:.{digits}f}":
            return text
    return repr(value)
