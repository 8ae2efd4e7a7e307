"""The computed label of how much is known for a setup: never free text."""

from dataclasses import dataclass

LABELS = ("insufficient", "none", "weak", "moderate", "strong")

GATED_FLOOR = 100  # gated trades out of sample, below which no interval is believed
STRONG_GATED = 1100  # what telling a win rate of 60 % from 55 % takes, clustering counted
PROVEN = 0.95  # deflated Sharpe ratio: the chance that the edge is not the best of many trials


@dataclass(frozen=True, slots=True)
class Evidence:
    """A label of LABELS, and in one line the figures it follows from."""

    label: str
    why: str


def label(
    n: int,
    gated: int,
    interval: tuple[float, float] | None,
    break_even: float,
    deflated_sharpe: float | None,
    *,
    floor: int = 1000,
) -> Evidence:
    """Say how strong the evidence is that gated trades earn money.

    n: closed, labelled plans. gated: those among the out-of-sample ones that passed the gate. interval: (low,
    high) of their mean, block-bootstrapped by week; None where there are too few weeks. break_even: the value
    in the interval's unit that earns nothing (0 for net R or percent; the break-even rate for a win rate).
    deflated_sharpe: 0 to 1 over all trials, None = not known. floor: `models.meta.min_closed_samples`.

    The rule, first that holds:
    insufficient  n < floor, or gated < 100, or no interval
    none          the interval's low end is at or below break-even
    weak          the deflated Sharpe ratio is below 0.95 or not known
    moderate      gated < 1100
    strong        else
    """
    few = _too_few(n, gated, interval, floor)
    if few is not None or interval is None:
        return Evidence("insufficient", few or "")
    low, high = interval
    shown = f"{gated:,} gated trades, interval {low:.3g} to {high:.3g} against break-even {break_even:.3g}"
    if not low > break_even:
        return Evidence("none", shown)
    if deflated_sharpe is None or not deflated_sharpe >= PROVEN:
        told = "not known" if deflated_sharpe is None else f"{deflated_sharpe:.2f} < {PROVEN}"
        return Evidence("weak", f"{shown}; deflated Sharpe {told}")
    named = "moderate" if gated < STRONG_GATED else "strong"
    return Evidence(named, f"{shown}; deflated Sharpe {deflated_sharpe:.2f}")


def _too_few(n: int, gated: int, interval: tuple[float, float] | None, floor: int) -> str | None:
    if n < floor:
        return f"{n:,} closed plans, at least {floor:,} are needed"
    if gated < GATED_FLOOR:
        return f"{gated:,} gated trades out of sample, at least {GATED_FLOOR} are needed"
    if interval is None or interval[0] != interval[0]:
        return f"{gated:,} gated trades in too few weeks for an interval"
    return None
