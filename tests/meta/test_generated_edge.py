"""A market with a planted trend teaches a model that may be promoted; the same market without it does not."""

from pathlib import Path

import pytest

from core.engine import handin, promotion, training
from core.engine.handback import Handed, Window
from core.meta.samples import TARGETS
from tests.meta import market_file

DAYS, SEED, EDGE = 420, 9, 2.5
HOURLY = market_file.CONFIG.replace("15m", "1h")


def learned(folder: Path, edge: float) -> tuple[Handed, str | None]:
    """What a training finds in the market, and which model governs after it."""
    ctx = market_file.made(folder, edge=edge, seed=SEED, days=DAYS, cfg=market_file.config(folder, HOURLY))
    done = training.run(ctx, Window(days=1000))
    handin.work_off(ctx, ctx.clock.now())
    governs = promotion.current(ctx.db.con)
    ctx.db.close()
    return done, governs


@pytest.mark.slow
@pytest.mark.covers("I5")
def test_a_planted_edge_is_promoted_and_a_plain_walk_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    found, governs = learned(tmp_path / "a", EDGE)
    targets = found.report["families"][TARGETS]
    assert found.better and governs == found.folder.id
    assert targets["better"] and targets["sealed"]["probability"]["skill_low"] > 0
    assert targets["sealed"]["gate"]["mean_r"] > targets["sealed"]["ungated"]["mean_r"] + 0.2
    walk, nobody = learned(tmp_path / "b", 0.0)
    assert not walk.better and nobody is None
    assert all(part["evidence"]["label"] in ("insufficient", "none") for part in walk.report["families"].values())
