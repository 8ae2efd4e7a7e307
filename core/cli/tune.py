"""`tune_thresholds.py`: thresholds per pair and timeframe for the model in use."""

from argparse import Namespace

from core.cli import learning
from core.cli.screen import Out
from core.engine import tuning
from core.engine.context import Context
from core.engine.handback import Handed, Progress, Window


def run(args: Namespace, out: Out) -> int:
    """Tune, score on later plans, hand back."""

    def work(ctx: Context, window: Window, progress: Progress) -> Handed:
        return tuning.run(ctx, window, mode=args.mode, progress=progress)

    return learning.run(args, out, "tune_thresholds.py", "tune", "plans", work)
