"""The classic mistakes of simulators, planted one by one: the table catches each and passes the clean twin."""

from pathlib import Path

import pytest

from core.signals.params import Costs
from core.trades import lifecycle, results
from tests.trades.flaws import flawed
from tests.trades.scenarios import ALL, PLAN, run, wrong
from tests.trades.test_results import closed_at_tp2

TARGETS_FIRST = ('''        if low <= s.stop and not o > target:
            return _stopped(s, ts, s.stop, False)
        s = _targets(s, k, ts, o, h, low)
        if s.status >= TP:
            return s
''', '''        s = _targets(s, k, ts, o, h, low)
        if s.status >= TP:
            return s
        if low <= s.stop and s.status == OPEN and not o > target:
            return _stopped(s, ts, s.stop, False)
''')

FLAWS = {
    "target before stop in one bar": ("stop and TP1 on one bar: the stop", TARGETS_FIRST),
    "stop filled at its level through a gap": (
        "open beyond the stop fills at the open",
        ("            return _stopped(s, ts, o, True)", "            return _stopped(s, ts, s.stop, True)")),
    "targets on the entry bar": (
        "targets on a fill bar not filled at the open do not count",
        ("        return _limit_inside(k, ts, low, c)",
         "        return _inside(_filled(k, ts, k.entry), k, ts, o, h, low, c)")),
    "trail raised by the same bar's high": (
        "a bar's own high does not raise its stop",
        ("        stop = _trailed(s.stop, s.best, k.trail_mult, atr)",
         "        stop = _trailed(s.stop, max(s.best, h), k.trail_mult, atr)"),
        ("            stop = _trailed(stop, best, k", "            stop = _trailed(stop, max(best, high), k")),
    "expired while its time still runs (D3)": (
        "not reached in the minutes there are: it waits",
        ("and frontier >= order.deadline:", "and frontier >= order.decided_ts:")),
    "limit filled on touch": ("limit only touched does not fill",
                              ("    return low >= entry and not h >= tp1", "    return low > entry and not h >= tp1"),
                              ("    if low < k.entry:", "    if low <= k.entry:")),
    "stop needs a trade through it": ("stop triggers on touch",
                                      ("    return low > stop and not low < liq",
                                       "    return low >= stop and not low < liq"),
                                      ("        if low <= s.stop and not", "        if low < s.stop and not")),
    "target filled on touch": ("TP1 only touched",
                               ("not low < liq and not h > target", "not low < liq and not h >= target"),
                               ("    if s.status == OPEN and h > k.tp1:", "    if s.status == OPEN and h >= k.tp1:")),
    "break-even on the bar of TP1": (
        "break-even acts from the next minute",
        ("        if s.status >= TP:\n            return s\n    return _bar_end",
         "        if s.status >= TP:\n            return s\n        if low <= s.stop:\n"
         "            return _stopped(s, ts, s.stop, False)\n    return _bar_end")),
    "liquidation inside the bar before the stop": (
        "a bar through stop and liquidation meets the stop first", ("    if o < k.liq:", "    if low < k.liq:")),
    "trail loosens": ("a larger ATR does not loosen it",
                      ("    return level if level > stop else stop", "    return level if level == level else stop"),
                      ("        if stop > s.stop:\n            s = _with",
                       "        if stop != s.stop:\n            s = _with")),
    "ATR of a bar that closes later": (
        "the ATR of a bar that closes later does not",
        ("        if bar_close_ts[mid] <= ts:", "        if bar_close_ts[mid] <= ts + 5 * MINUTE:"),
        ("and bar_close_ts[j + 1] <= ts:", "and bar_close_ts[j + 1] <= ts + 5 * MINUTE:")),
    "the stop's bar counts whole in mae": (
        "break-even touched", ("    return _closed(s, status, reason, ts, price, s.best, s.worst)",
                               "    return _closed(s, status, reason, ts, price, s.best, s.worst - 1.0)")),
    "time a minute late": ("time at the close of the minute whose end reaches the hold",
                           ("s.opened_ts + k.max_hold_ms - MINUTE", "s.opened_ts + k.max_hold_ms")),
    "gapped market order filled": ("open at the stop: gapped",
                                   ("k.market and o <= k.sl", "k.market and o < k.sl - 99.0")),
}


def failing(kernel: object) -> set[str]:
    """Names of the scenarios that a kernel gets wrong."""
    return {s.name for s in ALL if wrong(s, run(s, kernel))}


@pytest.mark.covers("D3", "D5", "I4", "rule 19c", "rule 21", "rule 22", "rule 23", "rule 24", "rule 25", "rule 28")
@pytest.mark.parametrize("flaw", FLAWS)
def test_a_planted_flaw_is_caught_by_its_scenario_and_its_mirror(flaw: str, tmp_path: Path) -> None:
    scenario, *changes = FLAWS[flaw]
    caught = failing(flawed(lifecycle, tmp_path, "flawed_lifecycle", *changes))
    assert {scenario, f"{scenario}, short"} <= caught


def test_the_clean_twin_passes_every_scenario(tmp_path: Path) -> None:
    assert failing(flawed(lifecycle, tmp_path, "clean_lifecycle")) == set()


COSTS = Costs(taker_pct=0.05, maker_pct=0.02, slippage_pct=0.01, assume_maker=True)


@pytest.mark.covers("D4", "rule 26")
def test_a_result_without_costs_is_caught_and_the_clean_twin_passes(tmp_path: Path) -> None:
    gross = flawed(results, tmp_path, "gross_results",
                    ("    pnl = gross - fees - slippage - funding", "    pnl = gross"))
    for module, honest in ((results, True), (gross, False), (flawed(results, tmp_path, "clean_results"), True)):
        row = module.result(PLAN, closed_at_tp2(), COSTS, 1000.0, 0.1)
        assert (row.pnl_pct == pytest.approx(row.gross_pct - row.fees_pct - row.slippage_pct - 0.1)) is honest
