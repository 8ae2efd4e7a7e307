"""`train_meta.py`: train a challenger and say honestly what came of it."""

from argparse import Namespace
from dataclasses import replace

from core.cli import learning
from core.cli.screen import Out
from core.engine import handback, training
from core.engine.context import Context
from core.engine.handback import Handed, Progress, Window
from core.timeframe import DAY


def run(args: Namespace, out: Out) -> int:
    """Train, judge, hand back."""

    def work(ctx: Context, window: Window, progress: Progress) -> Handed:
        how = replace(training.recipe(ctx.cfg, handback.tried(ctx)), train_ms=args.train_days * DAY,
                      test_ms=args.test_days * DAY, step_ms=args.step_days * DAY)
        return training.run(ctx, window, how=how, progress=progress)

    return learning.run(args, out, "train_meta.py", "train", "folds", work)
