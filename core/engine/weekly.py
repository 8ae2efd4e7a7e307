"""The weekly jobs of the daemon: the doors of training, calibration and tuning as processes of their own.

They run beside the tick at low priority, open the database read-only and hand back a folder, which the tick
takes in before its next scan. A child that fails, hangs or is killed changes nothing: what governs stays.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple

from apscheduler.triggers.cron import CronTrigger

from core.config.schema import Weekly
from core.engine import announce, jobs, promotion
from core.engine.context import Context
from core.engine.jobs import Job
from core.errors import Transient
from core.notify import messages
from core.store import runs
from core.timeframe import DAY

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
LANE = "weekly"
MISSED = "weekly_missed"
LIMIT_S = 3 * 3600  # a child that takes longer hangs
_GRACE_S = 10.0
_DOORS = {"weekly_train": "train_meta.py", "weekly_calibrate": "calibrate_meta.py", "weekly_tune": "tune_thresholds.py"}
_TITLES = {"weekly_train": "Weekly training", "weekly_calibrate": "Weekly calibration", "weekly_tune": "Weekly tuning"}


class Ended(NamedTuple):
    """How a child ended: its exit code, what it printed, and its last words on standard error."""

    code: int
    answer: Mapping[str, Any]
    words: str


Stopping = Callable[[], bool]
Spawn = Callable[[Sequence[str], Stopping], Ended]


def table(ctx: Context, stopping: Stopping, *, spawn: Spawn | None = None) -> list[Job]:
    """The weekly jobs that `auto` enables.

    spawn: runs a command line to its end; default a process of its own at low priority.
    """
    run = spawn or in_process_of_its_own
    found = [Job(name, when(plan), _work(ctx, name, stopping, run), LANE) for name, plan in enabled(ctx).items()]
    late = Job(MISSED, CronTrigger(minute=27, timezone=UTC), lambda due: make_up(ctx, found, due), LANE, quiet=True)
    return [*found, late] if found else []


def enabled(ctx: Context) -> dict[str, Weekly]:
    """The weekly jobs that `auto` enables, in the order they are done, and when."""
    auto = ctx.cfg.auto
    plans = zip(_DOORS, (auto.weekly_train, auto.weekly_calibrate, auto.weekly_tune), strict=True)
    return {name: plan for name, plan in plans if plan.enable}


def when(plan: Weekly) -> CronTrigger:
    """The trigger of a weekly job; its times are UTC."""
    return CronTrigger(day_of_week=plan.day_of_week, hour=plan.hour_utc, minute=plan.minute, timezone=UTC)


def make_up(ctx: Context, table: Sequence[Job], now: int) -> int:
    """Do now, in their order, the runs of the last week whose time the machine was off; how many.

    What they make governs from then on, as after any promotion. Nothing was missed before the file was made.
    """
    left = [job for job in table if _missed(ctx, job, now)]
    for job in left:
        log.info("%s was missed and is done now", job.name)
        jobs.run(ctx, job, now)
    return len(left)


def _missed(ctx: Context, job: Job, now: int) -> bool:
    due = jobs.due_between(job, now - 7 * DAY, now - jobs.PATIENCE)
    with ctx.db.lock:
        done, made = runs.last_done(ctx.db.con, job.name), runs.made_ts(ctx.db.con)
    return bool(due) and made is not None and due[-1] > made and (done is None or done < due[-1])


def _work(ctx: Context, name: str, stopping: Stopping, run: Spawn) -> Callable[[int], int | None]:
    return lambda due: child(ctx, name, stopping, run)


def child(ctx: Context, name: str, stopping: Stopping, run: Spawn) -> int:
    """Run one weekly job to its end; how many plans it used. Raises Transient, after a message, where it failed.

    While no model governs there is nothing to calibrate or to tune, and nothing to tell of it each week.
    """
    with ctx.db.lock:
        idle = name != "weekly_train" and promotion.current(ctx.db.con) is None
    if idle:
        log.info("%s: no model governs, so there is nothing to do", name)
        return 0
    ended = run(command(ctx, name), stopping)
    if ended.code == 0:
        log.info("%s: %s", name, ended.answer.get("said", "done"))
        return int(ended.answer.get("samples") or 0)
    why = str(ended.answer.get("error") or ended.words or _signal(ended.code))
    if stopping():
        raise Transient(f"{name} was stopped with the daemon; it runs again when it is next due")
    now = ctx.clock.now()
    with ctx.db.write() as con:
        body = messages.note(_TITLES[name], f"It did not come to its end: {why} What governs stays.", label=ctx.label)
        announce.tell(ctx, con, "health", f"{name}:{now}", body, now, now + DAY)
    raise Transient(f"{name}: {why}")


def command(ctx: Context, name: str) -> list[str]:
    """The command line of a weekly job: the door as a user would run it, as a machine reads it, at low priority."""
    config = [] if ctx.config_path is None else ["--config", str(ctx.config_path)]
    return [sys.executable, str(ROOT / _DOORS[name]), *config, "--db", str(ctx.db.path), "--json", "--low-priority"]


def in_process_of_its_own(line: Sequence[str], stopping: Stopping) -> Ended:
    """Run a command to its end, to LIMIT_S, or until the daemon stops."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # Files, not pipes: a child that prints much never waits for us.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=os.environ | threads) as own:
            code = _wait(own, stopping)
        return Ended(code, _answer(_text(out)), _last_line(_text(err)))


def _wait(process: subprocess.Popen[bytes], stopping: Stopping) -> int:
    for _ in range(LIMIT_S):
        try:
            return process.wait(1.0)
        except subprocess.TimeoutExpired:
            if stopping():
                break
    process.terminate()
    try:
        return process.wait(_GRACE_S) or 1
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait() or 1


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode("utf-8", "replace"))


def _answer(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _signal(code: int) -> str:
    return f"it was killed by signal {-code}" if code < 0 else f"it ended with code {code} and said nothing"
