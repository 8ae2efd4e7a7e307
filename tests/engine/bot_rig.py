"""A file with a few plans of every kind, and the real bot over a real socket against a Bot API server on loopback."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from core.clock import VirtualClock
from core.config.schema import Config, Telegram
from core.engine.chat import recipients
from core.engine.chat.bot import Bot
from core.engine.context import Context
from core.notify.api import TelegramApi
from core.store import candles, signals
from core.store.db import Database
from core.timeframe import DAY, HOUR, MINUTE
from tests.engine import harness
from tests.notify.bot_api import CHAT, TOKEN, BotApi, Message
from tests.notify.samples import T, donchian_row, signal_row

BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"
OWNER, VIEWER, GROUP, CHANNEL, STRANGER = CHAT, 77, -500, -1001, 666
NOW = T + 3 * HOUR

PLANS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"short_id": "OPENAAA", "id": "open"}, {"status": "OPEN", "opened_ts": T + HOUR, "fill": 64210.5, "best": 65000.0,
                                             "worst": 64000.0, "stop": 63400.0}),
    ({"short_id": "WAITAAA", "id": "wait", "symbol": ETH, "direction": "short", "entry": 3000.0, "sl": 3030.0,
      "tp1": 2900.0, "tp2": 2850.0, "expires_ts": NOW + 2 * HOUR}, {"status": "PENDING", "stop": 3030.0}),
    ({"short_id": "WONAAAA", "id": "won", "symbol": SOL, "decided_ts": T - DAY, "reason": "ungated", "model": None,
      "ml_p": None, "ev_pct": None}, {
        "status": "TP1_TRAIL", "exit_reason": "trail", "opened_ts": T - DAY + HOUR, "fill": 64210.5, "best": 66000.0,
        "worst": 64000.0, "tp1_ts": T - 20 * HOUR, "tp1_price": 65900.0, "stop": 65300.0, "closed_ts": T - 18 * HOUR,
        "exit_price": 65320.4, "mae_pct": -0.41, "mfe_pct": 2.9, "pnl_pct": 2.051, "pnl_usd": 2.05,
        "r_multiple": 1.625, "gross_pct": 2.17, "fees_pct": 0.084, "slippage_pct": 0.025, "funding_pct": 0.01,
        "funding_known": 1}),
    ({"short_id": "LOSTAAA", "id": "lost", "decided_ts": T - DAY - HOUR}, {
        "status": "SL", "exit_reason": "sl", "opened_ts": T - DAY, "fill": 64210.5, "best": 64300.0, "worst": 63400.0,
        "stop": 63400.0, "closed_ts": T - 22 * HOUR, "exit_price": 63400.0, "mae_pct": -1.3, "mfe_pct": 0.1,
        "pnl_pct": -1.4, "pnl_usd": -14.0, "r_multiple": -1.1, "gross_pct": -1.26, "fees_pct": 0.12,
        "slippage_pct": 0.02, "funding_pct": 0.0, "funding_known": 1}),
    ({"short_id": "REFUSED", "id": "refused", "verdict": "refused", "reason": "cost_r 0.31 > max_cost_r 0.15"},
     {"status": "PENDING", "stop": 63400.0}),
)


def config(**telegram: Any) -> Config:
    """The tests' configuration with Telegram on, an owner, a viewer and a channel."""
    cfg = harness.config(harness.CONFIG.replace("SOL/USDT:USDT]", "ETH/USDT:USDT, SOL/USDT:USDT]"))
    own = Telegram(**{"enabled": True, "bot_token": TOKEN, "chat_id": str(OWNER), "viewers": (str(VIEWER),),
                      "channels": (str(CHANNEL),), **telegram})
    return replace(cfg, notify=replace(cfg.notify, telegram=own))


def add(ctx: Context, con: Any, plan: Mapping[str, Any], state: Mapping[str, Any]) -> int:
    """Store one plan with its position; the row number."""
    base = donchian_row() if plan.get("setup") == "donchian" else signal_row()
    row = {**base, "liq": 50000.0, "market": 0, "trail_mult": None, "max_hold": 0, "revised": 0, "in_sample": 0,
           "config_hash": ctx.config_hash, **plan}
    n = signals.add_signal(con, [row[name] for name in signals.SIGNAL_COLUMNS])
    assert n is not None
    known = candles.symbols(con, ctx.exchange_id)[row["symbol"]]
    full = {"stop_reason": "sl", **state}
    signals.save_position(con, n, known.id, [full.get(c) for c in signals.STATE_COLUMNS],
                          [full.get(c) for c in signals.MONEY_COLUMNS])
    return n


def fill(ctx: Context) -> None:
    """Candles of three symbols, and PLANS."""
    ctx.ensure_rows()
    with ctx.db.write() as con:
        known = candles.series(con, ctx.exchange_id)
        for symbol, price in ((BTC, 64800.0), (ETH, 3010.0), (SOL, 65000.0)):
            for tf, size in (("1m", MINUTE), ("5m", 5 * MINUTE), ("15m", 15 * MINUTE)):
                first = NOW - 300 * size
                rows = [(ts - ts % size, price, price + 9, price - 9, price, 2.0) for ts in range(first, NOW, size)]
                candles.put_rows(con, known[symbol, tf].id, rows, NOW)
            candles.set_stretch(con, ctx.exchange_id, symbol, NOW - DAY, NOW)
        symbols = candles.symbols(con, ctx.exchange_id)
        candles.set_watermarks(con, "followed_ts", [(NOW, info.id) for info in symbols.values()])
        candles.set_watermarks(con, "scanned_ts", [(NOW, info.id) for info in symbols.values()])
        for plan, state in PLANS:
            add(ctx, con, plan, state)


class Desk:
    """A bot at work. `ask` is a message and its answer; `with` ends it."""

    bot_type = Bot

    def __init__(self, folder: Path, cfg: Config | None = None, *, start: bool = True, timeout: float = 20) -> None:
        self.server = BotApi().__enter__()
        self.cfg = cfg or config()
        self.clock = VirtualClock(NOW)
        path = folder / "bot.db"
        fresh = not path.exists()
        self.db = Database(path)
        self.ctx = Context(self.cfg, self.db, self.clock)
        if fresh:
            fill(self.ctx)
        self.timeout = timeout
        self.api, self.bot = self.again()
        if start:
            self.bot.start()

    def again(self) -> tuple[TelegramApi, Bot]:
        """A bot as a new start of the program makes it."""
        api = TelegramApi(TOKEN, self.server.url, self.timeout)
        known = recipients.roles(self.cfg)
        recipients.settle(self.ctx, known)
        return api, self.bot_type(self.ctx, api, known)

    def restart(self) -> None:
        """The program ends and starts again."""
        self.bot.stop()
        self.api.close()
        self.api, self.bot = self.again()
        self.bot.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bot.stop()
        self.api.close()
        self.server.__exit__()
        self.db.close()

    def ask(self, text: str, user: int = OWNER, chat: int | None = None, *, old: int = 0, **more: Any) -> Message:
        """Say something, `old` ms ago, and wait for the answer."""
        self.done(self.tell(text, user, chat, old=old, **more))
        return self.server.messages[-1]

    def tell(self, text: str, user: int = OWNER, chat: int | None = None, *, old: int = 0, **more: Any) -> int:
        """Say something and do not wait; the number of the update."""
        return self.server.say(text, user, chat, (self.clock.now() - old) // 1000, **more)

    def done(self, update: int) -> None:
        """Wait until the bot is done with an update: it asks for later ones."""
        self.server.until(lambda: self.server.confirmed > update)

    def rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows of any query."""
        with self.db.lock:
            return self.db.con.execute(query, params).fetchall()
