"""Which alerts are queued: a thread per plan, many at once in one message, none while paused; rows never care."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.clock import VirtualClock
from core.config.schema import Sounds
from core.engine import announce
from core.engine.context import Context
from core.store import runs
from core.store.db import Database
from core.timeframe import HOUR, MINUTE
from core.trades.lifecycle import OPEN, PENDING, R_SL, R_TRAIL, SL, TP1, TP1_TRAIL, State
from tests.engine import harness
from tests.engine.bot_rig import BTC, ETH, NOW, SOL, add, config, fill
from tests.engine.rig import SETTLE, START, TWO, Rig, copy, differences, outcome, warmed
from tests.notify.bot_api import html_fault
from tests.notify.samples import T, signal_row

WAITS = State(PENDING, 0, 0, 0.0, 63400.0, R_SL, 0.0, 0.0, 0, 0.0, 0, 0.0)
HELD = WAITS._replace(status=OPEN, opened_ts=T + HOUR, fill=64210.5, best=64300.0, worst=64000.0)
AT_TP1 = HELD._replace(status=TP1, tp1_ts=T + 2 * HOUR, tp1_price=65900.0, stop=64210.5)
TRAILED = AT_TP1._replace(status=TP1_TRAIL, reason=R_TRAIL, closed_ts=T + 3 * HOUR, exit_price=65000.0)
STOPPED = HELD._replace(status=SL, reason=R_SL, closed_ts=T + 3 * HOUR, exit_price=63400.0)

POSITION = {
    "status": "TP1_TRAIL", "exit_reason": "trail", "opened_ts": T + HOUR, "fill": 64210.5, "best": 66000.0,
    "worst": 64000.0, "tp1_ts": T + 2 * HOUR, "tp1_price": 65900.0, "stop": 64210.5, "closed_ts": T + 3 * HOUR,
    "exit_price": 65000.0, "mae_pct": -0.41, "mfe_pct": 2.9, "pnl_pct": 2.051, "pnl_usd": 2.05, "r_multiple": 1.625,
    "gross_pct": 2.17, "fees_pct": 0.084, "slippage_pct": 0.025, "funding_pct": 0.01, "funding_known": 1}


class Book:
    """A file with plans, and what was queued in it."""

    def __init__(self, folder: Path, **telegram: Any) -> None:
        self.db = Database(folder / "a.db")
        self.ctx = Context(config(**telegram), self.db, VirtualClock(NOW))
        fill(self.ctx)

    def plan(self, name: str, **changes: Any) -> dict[str, Any]:
        """A stored plan that passed."""
        row = signal_row(id=name, short_id=name.upper(), **changes)
        with self.db.write() as con:
            number = add(self.ctx, con, row, POSITION)
        return {**row, "n": number}

    def announce(self, *rows: dict[str, Any], now: int = T + 3000) -> None:
        with self.db.write() as con:
            announce.signals(self.ctx, con, rows, now)

    def move(self, row: dict[str, Any], old: State, new: State) -> None:
        with self.db.write() as con:
            announce.moved(self.ctx, con, row["n"], old, new, NOW)

    def alerts(self, what: str = "kind, key, reply_to") -> list[Any]:
        return self.db.con.execute(f"SELECT {what} FROM alerts ORDER BY id").fetchall()

    def bodies(self) -> list[str]:
        return [str(body) for (body,) in self.alerts("body")]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path)
    yield made
    made.db.close()


def test_what_happens_to_an_announced_plan_answers_its_message(book: Book) -> None:
    row = book.plan("alpha")
    book.announce(row)
    for old, new in ((WAITS, HELD), (HELD, AT_TP1), (AT_TP1, TRAILED)):
        book.move(row, old, new)
    assert book.alerts() == [
        ("signal", f"signal:{BTC}:long:{T}", None), ("filled", "filled:alpha", 1), ("tp1", "tp1:alpha", 1),
        ("closed", "closed:alpha", 1)]
    assert all("#ALPHA" in body and html_fault(body) is None for body in book.bodies())
    assert book.alerts("signal") == [(row["n"],), (None,), (None,), (None,)]
    filled, tp1, closed = book.bodies()[1:]
    assert "FILLED BTC/USDT:USDT" in filled and "64210.5" in filled
    assert "TP1 BTC/USDT:USDT" in tp1 and "(break-even)" in tp1 and "+2.63%" in tp1
    assert "Net <b>+2.05%</b>" in closed


def test_of_several_steps_at_once_only_the_last_is_told(book: Book) -> None:
    row = book.plan("alpha")
    book.announce(row)
    book.move(row, WAITS, STOPPED)
    book.move(row, HELD, HELD._replace(best=64400.0))
    assert [kind for kind, _, _ in book.alerts()] == ["signal", "closed"]


@pytest.mark.covers("I6")
def test_the_same_step_is_never_told_twice(book: Book) -> None:
    row = book.plan("alpha")
    book.announce(row)
    for _ in range(3):
        book.announce(row)
        book.move(row, WAITS, HELD)
    assert len(book.alerts()) == 2


@pytest.mark.parametrize("changes", [
    {"verdict": "refused", "reason": "ev 0.1 < 0.2"}, {"late": 1}, {"reason": "ungated: no model"}])
def test_what_was_not_announced_singly_is_not_followed_in_messages_either(book: Book, changes: dict[str, Any]) -> None:
    row = book.plan("alpha", **changes)
    book.announce(row)
    before = len(book.alerts())
    book.move(row, WAITS, HELD)
    book.move(row, HELD, STOPPED)
    assert len(book.alerts()) == before == (1 if "late" in changes else 0)


def test_the_others_of_a_message_answer_it_too_by_their_own_names(book: Book) -> None:
    best, other = book.plan("alpha"), book.plan("beta", setup="donchian", ev_pct=0.1)
    book.announce(best, other)
    book.move(other, WAITS, HELD)
    assert book.alerts()[1:] == [("filled", "filled:beta", 1)] and "#BETA" in book.bodies()[1]


def test_many_new_plans_of_one_minute_are_one_message_that_can_be_acted_on(book: Book) -> None:
    rows = [book.plan(f"p{i}", symbol=symbol, direction=side, ev_pct=0.1 * i, setup=setup)
            for i, (symbol, side, setup) in enumerate(
                (s, d, x) for s in (BTC, ETH, SOL) for d in ("long", "short") for x in ("a", "b"))]
    book.announce(*rows)
    assert book.alerts() == [("signal", f"signals:{T + 3000}", None)]
    (body,) = book.bodies()
    assert html_fault(body) is None and "6 new plans in one minute" in body
    assert body.index("#P11") < body.index("#P1<"), "the best expectation first"
    assert body.count("Entry") == 6 and body.count("more plan of this minute") == 6
    book.move(rows[0], WAITS, HELD)
    assert book.alerts()[1] == ("filled", "filled:p0", 1)
    assert book.alerts("signal")[0] == (None,), "no picture of one among many"


def test_up_to_the_limit_each_comes_singly_and_a_console_shows_each(tmp_path: Path) -> None:
    book = Book(tmp_path, digest_above=2)
    rows = [book.plan(s.lower()[:3], symbol=s) for s in (BTC, ETH, SOL)]
    book.announce(*rows[:2])
    assert len(book.alerts()) == 2
    book.ctx.tell_all = True
    book.announce(*rows)
    assert len(book.alerts()) == 3
    book.db.close()


@pytest.mark.parametrize(("kind", "telegram"), [
    ("signal", {"send_on": ("filled", "closed")}), ("signal", {"notification_settings": Sounds(signal="off")}),
    ("filled", {"notification_settings": Sounds(filled="off")}), ("closed", {"send_on": ("signal", "filled")})])
def test_a_kind_that_is_off_is_not_queued_and_the_others_are(
        tmp_path: Path, kind: str, telegram: dict[str, Any]) -> None:
    book = Book(tmp_path, **telegram)
    row = book.plan("alpha")
    book.announce(row)
    book.move(row, WAITS, HELD)
    book.move(row, HELD, STOPPED)
    assert [k for k, _, _ in book.alerts()] == [k for k in ("signal", "filled", "closed") if k != kind]
    book.db.close()


def test_while_paused_no_new_plan_is_announced_and_the_old_ones_are_told_to_their_end(book: Book) -> None:
    old, new = book.plan("alpha"), book.plan("beta", symbol=ETH)
    book.announce(old)
    with book.db.write() as con:
        runs.put(con, announce.PAUSED, {"ts": NOW, "who": "telegram:1"})
    book.announce(new, book.plan("gamma", symbol=SOL, late=1))
    book.move(old, WAITS, HELD)
    book.move(new, WAITS, HELD)
    assert [key for _, key, _ in book.alerts()] == [f"signal:{BTC}:long:{T}", "filled:alpha"]
    with book.db.write() as con:
        runs.put(con, announce.PAUSED, None)
    book.announce(book.plan("delta", symbol=SOL))
    assert len(book.alerts()) == 3


@pytest.mark.covers("I1")
def test_the_rows_are_the_same_whether_the_announcing_was_paused_or_not(tmp_path: Path) -> None:
    warm = warmed(tmp_path / "warm.db", [BTC, SOL])
    ends = {}
    for name in ("told", "paused"):
        path = copy(warm, tmp_path / f"{name}.db")
        with Rig(path, cfg=harness.config(TWO), now=START + MINUTE + SETTLE) as rig:
            rig.ctx.send_ungated = True
            for minute in range(90):
                if name == "paused" and minute % 30 == 0:
                    with rig.db.write() as con:
                        runs.put(con, announce.PAUSED, None if minute == 30 else {"ts": 0, "who": "x"})
                rig.go(1)
            ends[name] = rig.one("SELECT count(*) FROM alerts WHERE kind = 'signal'")
    assert differences(outcome(tmp_path / "told.db"), outcome(tmp_path / "paused.db")) == {}
    assert 0 <= ends["paused"] < ends["told"]
