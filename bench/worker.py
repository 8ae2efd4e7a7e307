"""One job in this process: `python -m bench.worker NAME FOLDER`; prints its rows as JSON on the last line."""

import argparse
import importlib
import json
import sys
from pathlib import Path

from bench.measure import Scale


def main() -> int:
    """Run the job and print its rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
    args = parser.parse_args()
    rows = importlib.import_module(f"bench.jobs.{args.name}").run(Scale(args.quick, args.folder, not args.no_peers))
    print(json.dumps([row.as_dict() for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
