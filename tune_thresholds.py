"""Tune the gate's thresholds per pair and timeframe."""

import sys

from core.cli.app import main

if __name__ == "__main__":
    sys.exit(main("tune_thresholds"))
