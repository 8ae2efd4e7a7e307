"""What is done about drift: a ladder of a warning, raised thresholds and observing only, and the way back down."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from core.meta.drift import FeatureDrift, Gap

MIN_GAP_ROWS = 50
WARN_Z, RAISE_Z, OBSERVE_Z = 3.5, 4.0, 5.0  # standard errors; many windows are looked at, week after week
RAISE_GAP, OBSERVE_GAP = 0.03, 0.05
WARN_SHARE, RAISE_SHARE, OBSERVE_SHARE = 0.1, 0.2, 0.5  # of the features that moved far
BROKEN = 3.0  # times its bound: one feature alone is worth a warning, its source may have changed
MOST, LEAST = 0.10, 0.02  # bounds of what a threshold on p is raised by
CALM = 3  # checks in a row that ask for less, before it goes down


class Action(IntEnum):
    """Rungs of the ladder, the later the graver."""

    OK = 0
    WARN = 1
    RAISE_THRESHOLD = 2
    OBSERVE_ONLY = 3


class Finding(NamedTuple):
    """What one check asks for, why in words, by how much to raise a threshold on p, and whether to train anew."""

    action: Action
    reasons: tuple[str, ...]
    raise_by: float
    retrain: bool


class Rung(NamedTuple):
    """Where the ladder stands. by: how much a threshold on p is raised. calm: checks in a row that asked for
    less, asked: the gravest of what they asked for."""

    action: Action = Action.OK
    by: float = 0.0
    calm: int = 0
    asked: Action = Action.OK


NOTHING = Finding(Action.OK, (), 0.0, False)


def judge(drifts: Sequence[FeatureDrift], gaps: Sequence[Gap]) -> Finding:
    """The rung that features and calibration ask for together.

    WARN: a tenth of the features moved far (or one beyond all measure), or a gap is 3.5 errors from zero.
    RAISE_THRESHOLD, by the overclaim (at most 0.10): claims are four errors and 3 points too high, or a fifth of
    the features moved far. OBSERVE_ONLY: five errors and 5 points too high, or half of the features moved far.
    Features that ring, and anything above WARN, ask for training anew.
    """
    return graver([_judge_features(drifts), *_judge_gaps(gaps)])


def graver(found: Sequence[Finding]) -> Finding:
    """Several findings as one: the gravest action, all reasons."""
    action = max((f.action for f in found), default=Action.OK)
    by = max((f.raise_by for f in found), default=0.0) if action >= Action.RAISE_THRESHOLD else 0.0
    return Finding(action, tuple(text for f in found for text in f.reasons), by, any(f.retrain for f in found))


def climb(at: Rung, found: Finding) -> Rung:
    """Where the ladder stands after a check: up at once, down when CALM checks in a row have asked for less."""
    if found.action > at.action:
        return Rung(found.action, _by(found.action, found.raise_by))
    if found.action == at.action:
        return Rung(at.action, _kept(at, found))
    calm, asked = at.calm + 1, max(at.asked, found.action)
    if calm < CALM:
        return at._replace(calm=calm, asked=asked)
    return Rung(asked, _by(asked, found.raise_by))


def _by(action: Action, raise_by: float) -> float:
    return round(max(LEAST, raise_by), 2) if action == Action.RAISE_THRESHOLD else 0.0


def _kept(at: Rung, found: Finding) -> float:
    # Small steps are not worth a message.
    by = _by(at.action, found.raise_by)
    return by if abs(by - at.by) >= LEAST else at.by


def _judge_gaps(gaps: Sequence[Gap]) -> list[Finding]:
    # One for claims too high, one for claims too low: the other windows mostly say the same again.
    found = [(_judge_gap(gap), gap) for gap in gaps if gap.n >= MIN_GAP_ROWS]
    sides = ([(f.action, abs(gap.z), f) for f, gap in found if (gap.z < 0.0) is low] for low in (True, False))
    return [max(side, key=lambda entry: entry[:2])[2] for side in sides if side]


def _judge_features(drifts: Sequence[FeatureDrift]) -> Finding:
    # A market wanders: a few slow features lie where they never lay before in many a quiet month.
    far = sorted((d for d in drifts if d.acts), key=lambda d: d.act_limit - d.psi)
    share = len(far) / len(drifts) if drifts else 0.0
    if share < WARN_SHARE and not any(d.psi > BROKEN * d.act_limit for d in far):
        return NOTHING
    action = (Action.OBSERVE_ONLY if share >= OBSERVE_SHARE else
              Action.RAISE_THRESHOLD if share >= RAISE_SHARE else Action.WARN)
    text = ", ".join(f"{d.name} PSI {d.psi:.2f} over {d.act_limit:.2f}" for d in far[:3])
    return Finding(action, (f"{len(far)} of {len(drifts)} features moved far: {text}",), LEAST, True)


def _judge_gap(gap: Gap) -> Finding:
    if abs(gap.z) < WARN_Z:
        return NOTHING
    text = (f"of the last {gap.n:,} {gap.what} {gap.observed:.1%} won, claimed were {gap.claimed:.1%} "
            f"({gap.z:+.1f} standard errors)")
    by = min(MOST, -gap.gap)
    if gap.z <= -OBSERVE_Z and gap.gap <= -OBSERVE_GAP:
        return Finding(Action.OBSERVE_ONLY, (text,), by, True)
    if gap.z <= -RAISE_Z and gap.gap <= -RAISE_GAP:
        return Finding(Action.RAISE_THRESHOLD, (text,), by, True)
    return Finding(Action.WARN, (text,), 0.0, False)
