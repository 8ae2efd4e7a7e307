"""`calibrate_meta.py`: a newer calibrator for the model in use."""

from argparse import Namespace

from core.cli import learning
from core.cli.screen import Out
from core.engine import calibrate
from core.engine.context import Context
from core.engine.handback import Handed, Progress, Window


def run(args: Namespace, out: Out) -> int:
    """Calibrate, judge, hand back."""

    def work(ctx: Context, window: Window, progress: Progress) -> Handed:
        return calibrate.run(ctx, window, progress=progress)

    return learning.run(args, out, "calibrate_meta.py", "calibrate", "plans", work)
