"""The dashboard's command line, which stands behind the `--` of `streamlit run`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from core.dashboard.reading import Source

EXAMPLES = """examples:
  streamlit run dashboard.py                              the database of config.yaml
  streamlit run dashboard.py -- --db data/demo.db         another database
  streamlit run dashboard.py --server.port 8600           another port (Streamlit's own options come first)

python dashboard.py --help shows this page; the dashboard itself is started by `streamlit run`."""


class WrongUsage(Exception):
    """The command line makes no sense."""


def source(argv: Sequence[str] | None = None) -> Source:
    """What the command line asks to show. argv: None = the process's own. Raises WrongUsage."""
    args = _parser().parse_args(argv)
    return Source(Path(args.config), Path(args.db) if args.db else None)


def explain(argv: Sequence[str] | None = None) -> int:
    """Outside of Streamlit: say how the dashboard is started; gives the exit code."""
    asked = sys.argv[1:] if argv is None else list(argv)
    if "-h" in asked or "--help" in asked:
        _parser().print_help()
        return 0
    print(f"error: the dashboard is started by Streamlit\n\n{EXAMPLES}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WrongUsage(message)


def _parser() -> _Parser:
    parser = _Parser("streamlit run dashboard.py --", description="The dashboard, read-only on the database.",
                     epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--config", default="config.yaml", help="configuration file (default: config.yaml)")
    parser.add_argument("--db", help="database (default: app.db_path of the configuration)")
    return parser
