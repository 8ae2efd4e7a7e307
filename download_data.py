"""Fetch history, resumable."""

import sys

from core.cli.app import main

if __name__ == "__main__":
    sys.exit(main("download_data"))
