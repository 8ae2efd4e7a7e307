"""Every door's command line. Only argparse here: what a command needs is imported when it is chosen."""

import argparse
from collections.abc import Callable

from core.cli.options import Parser, common, edge, moment, positive, span, speed

# command -> (module:function, one line for the list)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("core.cli.beside:run", "the demo with the dashboard beside it, both ended by Ctrl-C"),
    "status": ("core.cli.status:run", "ten lines: what the daemon does, what is open, why nothing was sent today"),
    "init-db": ("core.cli.init_db:run", "make the database, or bring it to this program's schema"),
    "check-config": ("core.cli.check_config:run", "print the configuration, or every mistake in it"),
    "import-candles": ("core.cli.import_candles:run", "take candles and funding rates from files you already have"),
    "scan": ("core.cli.scan:run", "resample, scan and follow once over what is stored, without the exchange"),
    "why": ("core.cli.why:run", "explain one decision: each gate, the plan, and what happened since"),
    "inspect": ("core.cli.inspect_db:run", "what the database holds: tables, series, stretches, gaps"),
    "analyze": ("core.cli.analyze:run", "results of closed trades by setup, timeframe, direction, exit and month"),
    "report": ("core.cli.report:run", "the weekly report: results, calibration, the gate's account; also as HTML"),
    "reconcile": ("core.cli.reconcile:run", "recompute the stored live signals and name the first difference"),
    "diff": ("core.cli.diff:run", "compare the signals and trades of two databases"),
    "test-alert": ("core.cli.send_test:run", "send one message to Telegram, or find the chat to send to"),
    "models": ("core.cli.models:run", "the models: list, show, promote, roll back; also while the daemon runs"),
    "drift": ("core.cli.drift:run", "does the model in force still fit the market? what the weekly look would find"),
    "audit": ("core.cli.audit:run", "the truth scorecard: can the figures of this program be believed?"),
    "backup": ("core.cli.backup:run", "copy the database while the daemon runs"),
}


def build(door: str) -> Parser:
    """The parser of a door, a name of DOORS."""
    parser = DOORS[door]()
    common(parser)
    return parser


def _examples(*pairs: tuple[str, str]) -> str:
    wide = max(len(command) for command, _ in pairs) + 2
    return "examples:\n" + "\n".join(f"  {command:<{wide}}{what}".rstrip() for command, what in pairs)


def _scheduler_run() -> Parser:
    parser = Parser(
        prog="python scheduler_run.py",
        usage="python scheduler_run.py [--once | --demo ...] [options]",
        description="The daemon: fetches candles each minute, finds setups, sends alerts and follows every plan.\n"
        "It uses public market data only and trades nothing. Ctrl-C stops it after the running stage.",
        epilog=_examples(
            ("python scheduler_run.py", "the exchange of config.yaml"),
            ("python scheduler_run.py --demo", "a generated market, no keys, no network"),
            ("python scheduler_run.py --demo --candles DIR --speed max --span 3d", "replay three recorded days"),
            ("python scheduler_run.py --once --json", "one tick, then exit"),
        ),
    )
    parser.set_defaults(run="core.cli.daemon:run", log_default="info")
    parser.add_argument("--once", action="store_true", help="one tick, then exit")
    parser.add_argument("--demo", action="store_true", help="run on the replay exchange under a virtual clock")
    _replay(parser.add_argument_group("with --demo (times are UTC)"))
    return parser


def _replay(group: argparse._ActionsContainer) -> None:
    add = group.add_argument
    add("--candles", metavar="DIR", help="replay the recorded 1m candles of this folder instead of a generated market")
    add(
        "--speed",
        metavar="N|max",
        type=speed,
        help="virtual seconds per second (default: 900 without an end, max with one)",
    )
    add("--start", metavar="TIME", type=moment, help="where the run begins (default: --span before the candles end)")
    add("--span", metavar="SPAN", type=span, help="how long it runs in virtual time, such as 36h or 2d")
    add("--until", metavar="TIME", type=moment, help="where it ends, instead of --span")
    add(
        "--skip", metavar=("FROM", "TO"), type=moment, nargs=2, help="an outage: the daemon is away between these times"
    )
    add(
        "--history",
        metavar="SPAN",
        type=span,
        help="candles before the start (default: 120d, which warms 4h up; 200d of a generated market to learn from)",
    )
    add("--seed", metavar="N", type=int, default=7, help="which generated market (default: 7)")
    add(
        "--edge",
        metavar="X",
        type=edge,
        help="edge planted in the generated market: on a day whose funding is one standard deviation high, prices fall "
        "by X standard deviations of a day on average (default: 1.5 with --learn, else 0: none)",
    )
    add(
        "--learn",
        action=argparse.BooleanOptionalAction,
        help="find the candidates of the history first, so that the weekly training has something to learn from "
        "(default: yes with the generated market and at least 60d of history)",
    )


def _download_data() -> Parser:
    parser = Parser(
        prog="python download_data.py",
        usage="python download_data.py [--symbols S ...] [--start TIME] [--end TIME] [options]",
        description="Fetch 1m candles of the past: the newest first, each batch with its checkpoint.\n"
        "It says first what it will take; after any interruption the same command goes on where it was.",
        epilog=_examples(
            ("python download_data.py", "all symbols from backfill.start_date to now"),
            ("python download_data.py --symbols BTC ETH --start 2024-06-01", "two of them, from June on"),
            ("python download_data.py --start 2024-01-01 --end 2024-03-01", "one stretch"),
        ),
    )
    parser.set_defaults(run="core.cli.download:run", log_default="warning")
    _window(parser, "first minute, UTC (default: backfill.start_date)", "end, UTC, exclusive (default: now)")
    _symbols(parser)
    return parser


def _retro_scan() -> Parser:
    parser = Parser(
        prog="python retro_scan.py",
        usage="python retro_scan.py [--walk-forward [--into FILE]] [--start TIME] [--end TIME] [options]",
        description="Signals and trades over stored history, by the daemon's own functions. Nothing is announced.\n"
        "Running it again adds only what is missing; rows of the daemon stay as they are.\n"
        "With --walk-forward the whole system lives through that time: the filter is trained, calibrated and tuned\n"
        "each week as `auto` says, on what was known by then, and judges from then on. What comes out is the equity\n"
        "curve of the system, every figure out of sample.",
        epilog=_examples(
            ("python retro_scan.py", "all stored history"),
            ("python retro_scan.py --start 2024-01-01 --end 2024-07-01", "decisions of half a year"),
            ("python retro_scan.py --symbols BTC --timeframes 1h 4h", "one coin, two timeframes"),
            ("python retro_scan.py --stride 4 --limit-per-pair 500", "a quick, thinner look"),
            ("python retro_scan.py --walk-forward --into lived.db", "the system as it would have lived, in a new file"),
            ("python retro_scan.py --walk-forward --start 2024-01-01", "what lies before is history to learn from"),
        ),
    )
    parser.set_defaults(run="core.cli.retro:run", log_default="warning")
    _window(parser, "first decision, UTC (default: as early as warm)", "end of the decisions, UTC, exclusive")
    parser.add_argument("--stride", metavar="N", type=positive, default=1, help="keep only every Nth bar's candidates")
    parser.add_argument(
        "--limit-per-pair", metavar="N", type=positive, help="at most N candidates per symbol and timeframe"
    )
    _symbols(parser)
    parser.add_argument("--timeframes", metavar="TF", nargs="+", help="only these of the scanned timeframes")
    lived = parser.add_argument_group("walk-forward")
    lived.add_argument("--walk-forward", action="store_true", help="let the whole system live through that time")
    lived.add_argument(
        "--into",
        metavar="FILE",
        help="do so in a new file made from the candles of this one, which is only read (default: in the file itself, "
        "if it holds candles and retro rows only: those get the verdict of their time)",
    )
    return parser


def _train_meta() -> Parser:
    parser = Parser(
        prog="python train_meta.py",
        usage="python train_meta.py [--days N | --start TIME] [--end TIME] [options]",
        description="Train a challenger for the precision filter on all closed plans and judge it on plans it never\n"
        "saw. It takes over only if it beats the model in use and all baselines there; the report says why or why not.",
        epilog=_examples(
            ("python train_meta.py", "the last models.meta.window_days"),
            ("python train_meta.py --days 600", "more history than the weekly job takes"),
            ("python train_meta.py --full", "every table of the report"),
        ),
    )
    parser.set_defaults(run="core.cli.train:run")
    _learning(parser)
    parser.add_argument("--train-days", metavar="N", type=positive, default=180, help="walk-forward: days before the "
                        "first test (default: 180)")
    parser.add_argument("--test-days", metavar="N", type=positive, default=30, help="walk-forward: days of each test "
                        "(default: 30)")
    parser.add_argument("--step-days", metavar="N", type=positive, default=30, help="walk-forward: days between tests "
                        "(default: 30)")
    return parser


def _calibrate_meta() -> Parser:
    parser = Parser(
        prog="python calibrate_meta.py",
        usage="python calibrate_meta.py [--days N | --start TIME] [--end TIME] [options]",
        description="Calibrate the model in use anew on plans its boosters never saw, and judge that on later ones.",
        epilog=_examples(("python calibrate_meta.py", "what the weekly job does, now")),
    )
    parser.set_defaults(run="core.cli.calibrate:run")
    _learning(parser)
    return parser


def _tune_thresholds() -> Parser:
    parser = Parser(
        prog="python tune_thresholds.py",
        usage="python tune_thresholds.py [--mode ev|p] [--days N | --start TIME] [--end TIME] [options]",
        description="Find for each pair and timeframe the threshold that reaches the target with the most coverage,\n"
        "on plans the model in use never saw; what does not hold on later ones is dropped.",
        epilog=_examples(
            ("python tune_thresholds.py", "the mode of models.meta.gating"),
            ("python tune_thresholds.py --mode p", "for a win rate of models.meta.target_winrate_pct"),
        ),
    )
    parser.set_defaults(run="core.cli.tune:run")
    parser.add_argument("--mode", choices=("ev", "p"), help="expected value or p(win) (default: as gating.use_ev says)")
    _learning(parser)
    return parser


def _learning(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(log_default="warning")
    parser.add_argument("--days", metavar="N", type=positive, help="days of decisions (default: window_days)")
    _window(parser, "first decision, UTC, instead of --days", "end of what is known, UTC (default: all that is)")
    parser.add_argument("--full", action="store_true", help="print every table of the report")
    parser.add_argument("--low-priority", action="store_true", help=argparse.SUPPRESS)


def _core() -> Parser:
    listed = "\n".join(f"  {name:<16}{text}" for name, (_, text) in COMMANDS.items())
    parser = Parser(
        prog="python -m core",
        usage="python -m core COMMAND [options]",
        description=f"The small commands. `python -m core COMMAND --help` tells more of each.\n\ncommands:\n{listed}",
        epilog=_examples(
            ("python -m core status", "what is going on"),
            ("python -m core why KQ3F7AB", "explain the signal with this short id"),
            ("python -m core analyze --csv trades.csv", "results, and every trade for a spreadsheet"),
        ),
    )
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=Parser, help=argparse.SUPPRESS
    )
    for name, (run, text) in COMMANDS.items():
        command = commands.add_parser(name, prog=f"python -m core {name}", description=text[0].upper() + text[1:] + ".")
        command.set_defaults(run=run, log_default="warning")
        fill, examples = _FILL.get(name, (None, ()))
        if fill:
            fill(command)
        command.epilog = _examples(*((f"python -m core {name} {given}".rstrip(), what) for given, what in examples))
        common(command)
    return parser


def _window(parser: argparse.ArgumentParser, start: str, end: str) -> None:
    parser.add_argument("--start", metavar="TIME", type=moment, help=start)
    parser.add_argument("--end", metavar="TIME", type=moment, help=end)


def _symbols(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--symbols", metavar="S", nargs="+", help="only these of the configured symbols; BTC is enough")


def _decided(parser: argparse.ArgumentParser) -> None:
    _window(parser, "decisions from here on, UTC", "decisions before this, UTC")


def _import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="files or folders: parquet, CSV, Binance's archive zips"
    )
    parser.add_argument("--exchange", metavar="ID", help="the exchange they belong to (default: exchange.id)")
    parser.add_argument("--symbol", metavar="S", help="their symbol, where the file names do not tell it")
    parser.add_argument("--timeframe", metavar="TF", help="their timeframe, where the file names do not tell it")


def _why(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a full id, a short id, or the beginning of either")


def _analyze(parser: argparse.ArgumentParser) -> None:
    _window(parser, "trades closed from here on, UTC", "trades closed before this, UTC")
    parser.add_argument("--csv", metavar="FILE", help="write every finished trade to this file (- for standard output)")


def _report(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--weeks", metavar="N", type=positive, default=1, help="so many whole weeks in one report (default: 1)")
    add("--until", metavar="TIME", type=moment, help="where it ends, UTC (default: the last Monday)")
    add("--html", metavar="FILE", help="write it as one HTML page, which needs nothing else")


def _diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="a database")
    parser.add_argument("b", metavar="B", help="another one")
    _decided(parser)


def _models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", metavar="ACTION", nargs="?", default="list",
                        choices=("list", "show", "add", "promote", "rollback"),
                        help="list (default), show ID, add FOLDER, promote ID, rollback")
    parser.add_argument("id", metavar="ID", nargs="?", help="the model's id or its beginning; for add its folder")


def _drift(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(log_default="warning")
    parser.add_argument("--end", metavar="TIME", type=moment, help="look as of this time, UTC (default: all that is)")
    parser.add_argument("--low-priority", action="store_true", help=argparse.SUPPRESS)


def _audit(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--quick", action="store_true", help="less of everything, in well under a minute; its wider bars are shown")
    add("--seed", metavar="N", type=positive, default=7, help="what all generated markets follow from (default: 7)")
    add("--page", metavar="FILE", help="write the scorecard as a page of Markdown, too; it is always left as "
        "audit.json in app.data_dir, where the dashboard finds it")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", metavar="N", type=positive, help="the dashboard's port on this machine (default: "
                        "8501, or the next one that is free)")
    _replay(parser)


def _backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="the file to write; it must not exist yet")


# What each small command takes beyond the common options, and its examples.
_FILL: dict[str, tuple[Callable[[argparse.ArgumentParser], None] | None, tuple[tuple[str, str], ...]]] = {
    "demo": (
        _demo,
        (
            ("", "a generated market; the dashboard opens at the address that is printed"),
            ("--candles DIR --speed 3600", "recorded candles, an hour each second"),
            ("--port 8600", "another port"),
        ),
    ),
    "status": (
        None,
        (("", "of the configured database"), ("--db data/demo.db", "of the demo's"), ("--json", "for a monitor")),
    ),
    "init-db": (None, (("", "as app.db_path says"), ("--db other.db", "somewhere else"))),
    "check-config": (None, (("", "config.yaml"), ("--config mine.yaml --json", "another one, for a script"))),
    "import-candles": (
        _import,
        (
            ("~/archive", "a folder, searched to the bottom"),
            ("BTCUSDT-1m-2024-05.zip", "one month of Binance's archive"),
            ("mine.csv --symbol BTC/USDT:USDT --timeframe 1m", "a file whose name tells nothing"),
        ),
    ),
    "scan": (None, (("", "what is stored and not yet decided"), ("--db copy.db", "in a copy, while the daemon runs"))),
    "why": (
        _why,
        (("KQ3F7AB", "a short id, as alerts show it"), ("fibo_avwap:BTC --json", "the beginning of a full id")),
    ),
    "inspect": (None, (("", "the configured database"), ("--db data/demo.db --json", "another one, for a script"))),
    "analyze": (
        _analyze,
        (
            ("", "all that closed"),
            ("--start 2024-05-01 --end 2024-06-01", "one month"),
            ("--csv trades.csv", "and every trade for a spreadsheet"),
        ),
    ),
    "report": (
        _report,
        (
            ("", "the week that ended last"),
            ("--weeks 4 --html month.html", "four weeks, and as a page"),
            ("--until 2024-05-06 --json", "an older one, for a script"),
        ),
    ),
    "reconcile": (_decided, (("", "live signals of the last 24 hours"), ("--start 2024-05-01", "those decided since"))),
    "diff": (_diff, (("a.db b.db", "their common range"), ("a.db b.db --start 2024-05-01", "only later decisions"))),
    "test-alert": (
        None,
        (
            ("", "to notify.telegram.chat_id, or list the chats that wrote to the bot"),
            ("--json", "the same for a script"),
        ),
    ),
    "models": (
        _models,
        (
            ("", "what is there, what governs, and since when"),
            ("show 20240505-0300", "one model's card, and whether its files are sound"),
            ("promote 20240505-0300", "let it judge from the next decision on"),
            ("rollback", "back to the one before it, or to none"),
        ),
    ),
    "drift": (_drift, (("", "by all results that are known"), ("--end 2024-06-01", "as it would have looked then"))),
    "audit": (
        _audit,
        (
            ("", "all rows: generated markets, and the configured database where there is one"),
            ("--quick", "as the tests run it"),
            ("--seed 8 --json", "other markets, for a script"),
            ("--page docs/AUDIT.md", "and as a page"),
        ),
    ),
    "backup": (
        _backup,
        (("copy.db", "beside the running daemon"), ("/mnt/usb/ohlcv-2024-05-01.db", "on another disk")),
    ),
}

DOORS: dict[str, Callable[[], Parser]] = {
    "scheduler_run": _scheduler_run,
    "download_data": _download_data,
    "retro_scan": _retro_scan,
    "train_meta": _train_meta,
    "calibrate_meta": _calibrate_meta,
    "tune_thresholds": _tune_thresholds,
    "core": _core,
}
