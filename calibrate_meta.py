"""Calibrate the model in use anew."""

import sys

from core.cli.app import main

if __name__ == "__main__":
    sys.exit(main("calibrate_meta"))
