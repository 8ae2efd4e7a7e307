"""`scheduler_run.py`: the daemon on the configured exchange. `--once` is one tick; `--demo` is another module."""

import logging
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.cli import demo, opening, stopping, summary
from core.cli.options import UsageError
from core.cli.progress import Bar
from core.cli.screen import Out
from core.config import Config
from core.engine import drift, health, jobs, weekly
from core.engine.chat import recipients
from core.engine.chat.bot import Bot
from core.engine.chat.recipients import Copier
from core.engine.context import Context
from core.engine.daemon import Scheduler, start_up
from core.engine.jobs import Job
from core.engine.tick import tick
from core.market.exchange import Exchange
from core.notify.api import TelegramApi
from core.notify.console import ConsoleSender
from core.notify.delivery import Deliverer
from core.store import reports
from core.store.db import check_file, version_warning
from core.store.outbox import Outbox
from core.store.runs import JobRun

log = logging.getLogger(__name__)

_DEMO_ONLY = ("candles", "speed", "start", "span", "until", "skip", "history", "edge", "learn")


def run(args: Namespace, out: Out) -> int:
    """Run the daemon until it is asked to stop (0), one tick, or the demo."""
    if args.demo:
        if args.once:
            raise UsageError("--once is one tick of the real exchange: leave out --demo, or use --span with it")
        return demo.run(args, out)
    given = [name for name in _DEMO_ONLY if getattr(args, name) is not None]
    if given:
        raise UsageError(f"--{given[0]} belongs to --demo")
    cfg = opening.config(args)
    with opening.locked(opening.db_path(args, cfg), "scheduler_run.py") as db:
        opening.refuse_replayed(db)
        _check(db)
        ctx = Context(cfg, db, opening.clock_for(db, cfg), tell_all=not cfg.notify.telegram.enabled)
        ctx.config_path = Path(args.config)
        with (
            stopping.on_signals("the running stage is finished first") as stop,
            _exchange(ctx),
            _channel(cfg, out, ctx) as channel,
        ):
            return _once(ctx, channel, stop, out) if args.once else _forever(ctx, channel, stop, out)


def _check(db: Any) -> None:
    check_file(db)
    warning = version_warning()
    if warning:
        log.warning(warning)


@contextmanager
def _exchange(ctx: Context) -> Iterator[None]:
    settings = ctx.cfg.exchange
    ctx.exchange = Exchange(
        settings.id,
        ctx.clock,
        api_url=settings.api_url,
        rate_limit_ms=settings.rate_limit_ms,
        banned_until=health.banned_until(ctx),
    ).open()
    try:
        yield
    finally:
        ctx.exchange.close()


@dataclass(frozen=True, slots=True)
class Channel:
    """Where alerts go: the owner's side, all other chats, and the bot that listens, where there are any."""

    deliverer: Deliverer
    copier: Copier = field(default_factory=lambda: Copier(()))
    bot: Bot | None = None


@contextmanager
def _channel(cfg: Config, out: Out, ctx: Context) -> Iterator[Channel]:
    telegram = cfg.notify.telegram
    if not telegram.enabled:
        recipients.settle(ctx, None)
        # Without Telegram alerts are shown here, so that they do not pile up unseen.
        console = ConsoleSender(out.people.as_text(), colour=out.people.colour)
        yield Channel(Deliverer(Outbox(ctx.db), [console], ctx.clock))
        return
    api, known = TelegramApi(telegram.bot_token, telegram.api_url), recipients.roles(cfg)
    recipients.settle(ctx, known)
    if telegram.commands and not known.owner:
        log.warning("notify.telegram.chat_id is a group: nobody may command the bot until owner_id names you")
    bot = Bot(ctx, api, known) if telegram.commands else None
    try:
        yield Channel(*recipients.deliverers(ctx, api, known), bot)
    finally:
        if bot is not None:
            bot.stop()
        api.close()


def all_jobs(ctx: Context, channel: Channel, stopping: Callable[[], bool]) -> list[Job]:
    """Every job of the live daemon: those of each minute and day, of each chat, and the weekly work on the filter."""
    return [*jobs.table(ctx, channel.deliverer, stopping), *recipients.table(channel.copier),
            *weekly.table(ctx, stopping), *drift.table(ctx, stopping)]


def _forever(ctx: Context, channel: Channel, stop: threading.Event, out: Out) -> int:
    if channel.bot is not None:
        channel.bot.start()
    _begin(ctx, stop, out)
    if not stop.is_set():
        scheduler = Scheduler(ctx, all_jobs(ctx, channel, stop.is_set))
        scheduler.start()
        out.err.line("running: a tick each minute; Ctrl-C stops, `python -m core status` tells more")
        scheduler.run_until(stop)
    totals = reports.summary(ctx.db.con, ctx.exchange_id)
    out.result(totals)
    for line in ["stopped cleanly; the file holds:", *summary.lines(totals)]:
        out.say(line)
    return 0


def _begin(ctx: Context, stop: threading.Event, out: Out) -> None:
    cfg = ctx.cfg
    channel = "Telegram" if cfg.notify.telegram.enabled else "this terminal (notify.telegram.enabled is false)"
    out.err.line(
        f"{cfg.exchange.id}: {', '.join(cfg.symbols)} on {', '.join(ctx.scanned_timeframes())}; file {ctx.db.path}; "
        f"alerts to {channel}; nothing is traded"
    )
    bar = Bar(out.err, ctx.clock, "newest history", "minutes")
    failed = start_up(ctx, progress=bar, keep_going=lambda: not stop.is_set())
    bar.close()
    for symbol, why in failed.items():
        log.warning("%s: %s (tried again each minute)", symbol, why)


def _once(ctx: Context, channel: Channel, stop: threading.Event, out: Out) -> int:
    _begin(ctx, stop, out)
    done = tick(ctx, ctx.clock.now(), stop.is_set)
    sent = channel.deliverer.run_once()
    channel.copier.run_once()
    out.result({"runs": [run._asdict() for run in done], "alerts": dict(sent)})
    for run in done:
        out.say(_told(run))
    out.say(f"{sent['sent']} alerts sent" if sent else "no alerts were due")
    bad = [f"{run.job}: {run.error}" for run in done if run.state != "ok"]
    for line in bad:
        out.note(f"error: {line}")
    return 1 if bad else 0


def _told(run: JobRun) -> str:
    return f"{run.job:<17}{run.state:<8}{run.rows if run.rows is not None else '-':>8}  {run.error or ''}".rstrip()
