"""Train a challenger for the precision filter."""

import sys

from core.cli.app import main

if __name__ == "__main__":
    sys.exit(main("train_meta"))
