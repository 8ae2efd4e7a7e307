"""Features on real candles and funding: cut at decisions, and from the windows of a live run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.candles import Bars
from core.market.importers import Rates, read_file
from core.signals.features import Frames, table
from core.signals.kernels import PLAIN
from tests.signals import feature_rig as rig
from tests.signals.compiled_kernels import compiled
from tests.signals.feature_rig import leaks, same, seen_at, some
from tests.signals.markets import TF


def real_frames(folder: Path, name: str) -> Frames:
    """A month of 5m bars with BTC's, the hours and the funding."""
    def five(symbol: str) -> Bars:
        found = read_file(folder / f"binance_perp-{symbol}-1m-20230718-20230817.parquet")
        assert isinstance(found, Bars)
        return rig.joined(found, TF)

    bars = five(name)
    rates = read_file(folder.parent / "funding" / f"binance_perp-{name}-funding-20230718-20230817.parquet")
    assert isinstance(rates, Rates)
    return replace(rig.frames_of(bars, five("BTCUSDT")), funding=(rates.ts, rates.rate))


@pytest.mark.covers("I1", "I2", "D2", "rule 5")
@pytest.mark.parametrize("name", ["SOLUSDT", "DOGEUSDT"])
def test_on_real_candles_nothing_is_known_too_early_and_windows_agree(real_candles: Path, real_funding: Path,
                                                                      name: str) -> None:
    frames = real_frames(real_candles, name)
    rows = some([r for r in rig.candidates(frames.bars) if r.ts >= frames.bars.ts[1600]], 100)
    assert leaks(frames, rows[:40], rows[40:]) == []
    whole = table(rows, frames, compiled())
    assert np.isfinite(whole).mean() > 0.8
    for row, expected in zip(rows, whole, strict=True):
        assert same(table([row], seen_at(frames, row.decided_ts, windows=True), PLAIN)[0], expected)
