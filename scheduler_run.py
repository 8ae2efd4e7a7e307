"""The daemon, or with --demo the same daemon on a replayed market."""

import sys

from core.cli.app import main

if __name__ == "__main__":
    sys.exit(main("scheduler_run"))
