"""Made-up candidates with a known truth: the chance to win of every row is given back with them."""

import numpy as np

from core.candles import Floats, Ints
from core.meta.baselines import expit
from core.meta.samples import Samples, build

HOUR, DAY = 3_600_000, 86_400_000
JAN = 1_640_995_200_000  # 2022-01-01
COST = 0.12
BASE = 0.47


def times(n: int, rng: np.random.Generator, days: float = 730.0, mean_hours: float = 10.0) -> tuple[Ints, Ints]:
    """Decisions spread over the days on whole quarters of an hour, lives of random length."""
    t0 = JAN + np.sort(rng.integers(0, int(days * 96), n)) * (DAY // 96)
    return t0, t0 + 60_000 * (1 + rng.exponential(mean_hours * 60, n)).astype(np.int64)


def truth(x: Floats, form: str, strength: float) -> Floats:
    """Chance to win of each row, BASE on average: "none", "linear" or "interaction" (a sign times a size)."""
    z = {"none": 0.0 * x[:, 0], "linear": x[:, 0], "interaction": np.sign(x[:, 1]) * x[:, 0]}[form]
    return expit(np.log(BASE / (1 - BASE)) + strength * z)


def candidates(n: int, seed: int, form: str = "none", strength: float = 0.40, k: int = 35,
               **clock: float) -> tuple[Samples, Floats]:
    """n candidates with fixed targets at 1 R, k features, and their true chances; the last column holds NaN."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k))
    p = truth(x, form, strength)
    x[rng.random(n) < 0.2, -1] = np.nan
    t0, t1 = times(n, rng, **clock)
    r = np.where(rng.random(n) < p, 1.0, -1.0) - COST
    risk = rng.uniform(0.5, 2.0, n)
    return build(
        [f"f{j}" for j in range(k)], [f"c{i:06d}" for i in range(n)], x, t0=t0, t1=t1, r=r, pnl_pct=r * risk,
        risk_pct=risk, cost_r=np.full(n, COST), rr1=np.ones(n), symbol=rng.choice(["BTC", "ETH", "SOL"], n),
        timeframe=rng.choice(["15m", "1h"], n), setup=["fibo_avwap"] * n, direction=rng.choice(["long", "short"], n),
        trend=["range"] * n, vol=["normal"] * n, in_sample=np.zeros(n, bool)), p
