"""The whole audit: all rows in their order, from one seed."""

from collections.abc import Callable
from dataclasses import replace

from core.config import Config
from core.engine import dataset, handback, training
from core.engine.audit import canaries, gates, held_out, leaks, live, markets, nulls, pipeline, planted
from core.engine.audit.held_out import HeldOut
from core.engine.audit.record import Row, Scorecard, Size, unmeasured
from core.engine.context import Context
from core.engine.dataset import Dataset
from core.engine.training import Recipe
from core.errors import DataError
from core.timeframe import show_time

Progress = Callable[[int, int], None]

MOST_QUICK = 8000  # of a family's rows, the newest, in the quick form


def run(cfg: Config, ctx: Context | None, size: Size, seed: int, progress: Progress | None = None) -> Scorecard:
    """Measure every row. ctx: the file whose data rows 8 to 14 are about, None where there is none (reads only)."""
    step = _Steps(size, progress)
    used = markets.rules(cfg)
    stage = leaks.Stage(seed, used)
    rows = [*leaks.rows(stage, size), canaries.row(canaries.planted(stage, 40, seed))]
    step()
    rows += nulls.rows(seed, size, used, step)
    seventh, outcome = planted.rows(seed, size, used, step)
    made, own = live.code(), live.rehearsed(outcome.trials)
    rows += seventh
    rows += on_data(ctx, size, seed, made, own, step) if ctx else without_data("no database", made, seed, own)
    step.done()
    told = f"{ctx.db.path.name}{f' ({ctx.label})' if ctx.label else ''}" if ctx else "no database was given"
    return Scorecard(tuple(sorted(rows, key=lambda r: r.number)),
                     {"size": size.name, "seed": seed, "code": str(made), "commit": made.commit,
                      "sources": made.sha256, "data": told, "exchange": cfg.exchange.id,
                      "versions": handback.versions()})


class _Steps:
    def __init__(self, size: Size, progress: Progress | None) -> None:
        self._done, self._progress = 0, progress
        self._of = 4 + size.costly + size.free + sum(len(sizes) for sizes in size.planted.values())

    def __call__(self) -> None:
        self._done += 1
        if self._progress:
            self._progress(min(self._done, self._of - 1), self._of)

    def done(self) -> None:
        if self._progress:
            self._progress(self._of, self._of)


def without_data(why: str, made: live.Code, seed: int, own: live.Looks) -> list[Row]:
    """Rows 8 to 14 where nothing can be said."""
    rows = [unmeasured(n, gates.NAMES[n], gates.BAR[n], why) for n in range(8, 13)]
    return [*rows, live.made_row(live.looks((), ()), (), None, made, seed, own),
            unmeasured(14, live.LIVE, live.LIVE_BAR, why)]


def on_data(ctx: Context, size: Size, seed: int, made: live.Code, own: live.Looks,
            step: Callable[[], None]) -> list[Row]:
    """Rows 8 to 14 of a file. own: the looks of the audit's own training."""
    data = dataset.load(ctx)
    step()
    looks, known, labels = live.of_file(ctx)
    how = replace(training.recipe(ctx.cfg, handback.tried(ctx)), seed=seed)
    tested, few = _tested(data, how, size)
    rows = _judged(ctx, tested, few, how, labels) if tested else \
        [unmeasured(n, gates.NAMES[n], gates.BAR[n], "; ".join(few) or "no closed plan") for n in range(8, 13)]
    step()
    return [*rows, live.made_row(looks, known, data.describe() if len(data.samples) else None, made, seed, own),
            live.live_row(ctx)]


def _tested(data: Dataset, how: Recipe, size: Size) -> tuple[list[HeldOut], list[str]]:
    found, few = [], []
    for name, mask in pipeline.families(data.samples) if len(data.samples) else ():
        rows, admitted = data.samples.take(mask), data.admitted[mask]
        if size.name == "quick":
            rows, admitted = held_out.newest(rows, admitted, MOST_QUICK)
        try:
            found.append(held_out.judge(name, rows, admitted, how))
        except DataError as error:
            few.append(str(error))
    return found, few


def _judged(ctx: Context, tested: list[HeldOut], few: list[str], how: Recipe, labels: dict[str, str]) -> list[Row]:
    threshold = ctx.cfg.models.meta.threshold
    rows = [gates.brier_row(tested), gates.calibration_row(tested), gates.gate_row(tested, how.rule, threshold),
            gates.ungated_row(tested, how.rule), gates.trials_row(tested, how.rule, how.tried, how.floor, labels)]
    span = [show_time(int(v)) for v in (tested[0].scored.samples.t0[0], tested[0].scored.samples.t0[-1])]
    note = "; ".join([f"out of sample {span[0]} to {span[1]}", *few])
    return [replace(rows[0], reason=note), *rows[1:]]
