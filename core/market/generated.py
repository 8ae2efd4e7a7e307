"""A generated market: not real prices. Seeded, deterministic, without an edge but for one that is asked for.

The value of any minute depends on (seed, symbol, minute) alone, never on what was asked before. Each
UTC day has its own random stream; the prices at the borders of days come from a table of daily
returns, so that any day is built without the days before it.

Given the day's variance path, a day is a Gaussian martingale: sub-steps are drawn freely and then
bridged to the day's return, whose variance is exactly theirs, which leaves the law of Brownian motion
untouched. Logarithms carry -variance/2, so the price itself is the martingale, at every horizon.
Variance clusters from day to day and from minute to minute and follows the hours of the day; jumps
are drawn with zero mean in price, stand outside the bridge and open a minute with a gap. One common
factor correlates symbols.
"""

from functools import lru_cache
from zlib import crc32

import numpy as np

from core.candles import Bars, Floats, Row, empty
from core.errors import DataError
from core.market.source import Contract, decimals, in_progress, row_at
from core.timeframe import DAY, HOUR, MINUTE, floor

START = 1_704_067_200_000  # 2024-01-01
MINUTES = DAY // MINUTE
STEPS = 6  # sub-steps of a minute
FUNDING = 8 * HOUR
BETA = 0.75  # weight of the common factor: symbols correlate by about its square
CROWD_KEEPS = 0.3  # what of a day's crowding is still there the day after, where an edge is planted
_CROWD = 1.5e-4  # what one standard deviation of crowding adds to a funding rate

# First price, volatility against the first symbol, USDT traded a day in millions.
_COINS: dict[str, tuple[float, float, float]] = {
    "BTC": (42000.0, 1.0, 9000), "ETH": (2300.0, 1.1, 5000), "SOL": (100.0, 1.4, 2000),
    "BNB": (310.0, 1.0, 600), "XRP": (0.62, 1.2, 900), "DOGE": (0.09, 1.4, 700),
    "ADA": (0.6, 1.3, 400), "AVAX": (39.0, 1.4, 350), "LINK": (15.0, 1.3, 350),
    "LTC": (73.0, 1.1, 300), "DOT": (8.2, 1.3, 200), "TRX": (0.107, 0.8, 150),
    "NEAR": (3.6, 1.5, 200), "UNI": (7.3, 1.3, 150), "ATOM": (10.5, 1.3, 150),
    "ETC": (22.0, 1.2, 150), "FIL": (6.9, 1.3, 150), "APT": (9.5, 1.4, 150),
    "ARB": (1.6, 1.5, 200), "OP": (3.7, 1.5, 180),
}
SYMBOLS: tuple[str, ...] = tuple(f"{coin}/USDT:USDT" for coin in _COINS)


def _hours() -> Floats:
    # Share of a day's variance by minute: quiet at 04 UTC, a step up in Europe, most in America.
    hour = np.arange(MINUTES) / 60.0
    shape = 0.55 + 0.5 * np.exp(-(((hour - 8.5) / 2.5) ** 2)) + np.exp(-(((hour - 14.5) / 2.8) ** 2))
    return np.asarray(shape / shape.mean())


_SESSION = _hours()


def _stream(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(list(key)))


def _memory(shocks: Floats, keep: float, size: float) -> Floats:
    # A first-order autoregression of standard deviation `size`, started in its own distribution.
    out = np.empty_like(shocks)
    level, gain = 0.0, (1.0 - keep * keep) ** 0.5
    for i, shock in enumerate(shocks.tolist()):
        level = keep * level + gain * shock if i else shock
        out[i] = size * level
    return out


class GeneratedMarket:
    """A seeded market of 1m candles (a MarketSource), named as generated in `label`.

    symbols: unified names; 20 coins by default. start: first minute, ms UTC, cut down to a UTC day.
    days: length; beyond it the market has ended. vol: standard deviation of a day's return of the
    first coins, as a fraction. jumps: mean number of jumps in a symbol's day. drift: mean log return
    a day. edge: a planted edge, 0 = none: the crowded side pays. While a symbol's funding stands one standard
    deviation above its usual, each day's mean return is `edge` standard deviations of a day below zero, and the
    other way round; of the crowding CROWD_KEEPS is left a day later, and it shows in the rates of its day from the
    first on.
    """

    def __init__(self, symbols: tuple[str, ...] = SYMBOLS, seed: int = 7, start: int = START, *, days: int = 800,
                 vol: float = 0.022, jumps: float = 0.5, drift: float = 0.0, edge: float = 0.0) -> None:
        self.seed, self.start, self.days = seed, floor(start, DAY), days
        self.vol, self.jumps, self.drift, self.edge = vol, jumps, drift, edge
        planted = f", planted edge {edge}" if edge else ""
        self.label = f"generated market (seed {seed}{planted})"
        self._symbols = tuple(symbols)
        self._coins = {symbol: _coin(symbol) for symbol in self._symbols}
        self._contracts = {symbol: _contract(*self._coins[symbol]) for symbol in self._symbols}
        # Bounded memory: a day is 70 kB, a common factor the same.
        self._day = lru_cache(maxsize=2 * len(self._symbols) + 16)(self._build_day)
        self._factor = lru_cache(maxsize=16)(self._build_factor)
        self._table = lru_cache(maxsize=None)(self._build_table)
        self._rates = lru_cache(maxsize=None)(self._build_rates)
        self._common_days = _stream(seed, 1).standard_normal(days)

    def symbols(self) -> tuple[str, ...]:
        """The symbols on offer, in the order given."""
        return self._symbols

    def info(self, symbol: str) -> Contract:
        """Terms of a market: tick and lot are powers of ten that suit its first price."""
        return self._contracts[self._known(symbol)]

    def first(self, symbol: str) -> int:
        """First minute, ms UTC."""
        self._known(symbol)
        return self.start

    def last(self, symbol: str) -> int:
        """Last minute, ms UTC."""
        self._known(symbol)
        return self.start + self.days * DAY - MINUTE

    def candles(self, symbol: str, start: int, end: int) -> Bars:
        """Final 1m bars of [start, end); every minute traded."""
        lo, hi = max(start, self.first(symbol)), min(end, self.last(symbol) + MINUTE)
        if lo >= hi:
            return empty(MINUTE)
        days = range((lo - self.start) // DAY, (hi - 1 - self.start) // DAY + 1)
        return _join([self._cut(symbol, day, lo, hi) for day in days])

    def partial(self, symbol: str, now: int) -> Row | None:
        """The candle in progress as seen at `now`; None outside the market's life."""
        ts = floor(now, MINUTE)
        bars = self.candles(symbol, ts, ts + MINUTE)
        return in_progress(row_at(bars, 0), now, self._contracts[symbol]) if len(bars) else None

    def funding(self, symbol: str, start: int, end: int) -> list[tuple[int, float]]:
        """Settlements (ts, rate as a fraction) of [start, end), every 8 hours from the market's start on."""
        rates = self._rates(self._known(symbol))
        lo = max(0, -(-(start - self.start) // FUNDING))
        hi = min(len(rates), -(-(end - self.start) // FUNDING))
        return [(self.start + n * FUNDING, float(rates[n])) for n in range(lo, hi)]

    def _known(self, symbol: str) -> str:
        if symbol not in self._coins:
            raise DataError(f"{symbol} is not in the {self.label}")
        return symbol

    def _cut(self, symbol: str, day: int, lo: int, hi: int) -> Bars:
        opened = self.start + day * DAY
        first, stop = -(-(lo - opened) // MINUTE), -(-(hi - opened) // MINUTE)
        return self._day(symbol, day).cut(max(0, first), min(MINUTES, stop))

    def _key(self, symbol: str) -> int:
        return crc32(symbol.encode())

    def _build_table(self, symbol: str) -> tuple[Floats, Floats, Floats, list[list[tuple[int, float]]]]:
        # By day: log price at its start (one more at the end), Gaussian log return, variance, jumps.
        draw = _stream(self.seed, 2, self._key(symbol)).standard_normal((self.days, 2))
        scale = self.vol * self._coins[symbol][1]
        variance = np.exp(_memory(draw[:, 0], 0.96, 0.6) - 0.36) * scale * scale
        z = BETA * self._common_days + (1.0 - BETA * BETA) ** 0.5 * draw[:, 1]
        gauss = np.sqrt(variance) * (z - self.edge * self._crowd(symbol)) - variance / 2.0 + self.drift
        leaps = self._leaps(symbol, scale)
        total = gauss + np.array([sum(size for _, size in day) for day in leaps])
        log = np.log(self._coins[symbol][0]) + np.concatenate([[0.0], np.cumsum(total)])
        return log, gauss, variance, leaps

    def _crowd(self, symbol: str) -> Floats:
        # By day, in standard deviations: by how much too many are long. Nobody, where no edge is planted.
        if not self.edge:
            return np.zeros(self.days)
        return _memory(_stream(self.seed, 8, self._key(symbol)).standard_normal(self.days), CROWD_KEEPS, 1.0)

    def _leaps(self, symbol: str, scale: float) -> list[list[tuple[int, float]]]:
        # By day: (minute, log size) of its jumps, 0.4 of a day's deviation either way, E[exp(size)] = 1.
        key, size = self._key(symbol), 0.4 * scale
        counts = _stream(self.seed, 3, key, 0).poisson(self.jumps, self.days).tolist()
        minutes = _stream(self.seed, 3, key, 1).integers(MINUTES, size=sum(counts)).tolist()
        sizes = (size * _stream(self.seed, 3, key, 2).standard_normal(sum(counts)) - size * size / 2.0).tolist()
        both = iter(zip(minutes, sizes, strict=True))
        return [[next(both) for _ in range(count)] for count in counts]

    def _build_factor(self, day: int) -> tuple[Floats, Floats]:
        # What all symbols share on a day: shocks of the price by sub-step, of the variance by minute.
        rng = _stream(self.seed, 4, day)
        return rng.standard_normal(MINUTES * STEPS), _memory(rng.standard_normal(MINUTES), 0.97, 0.5)

    def _build_day(self, symbol: str, day: int) -> Bars:
        log, gauss, variance, leaps = self._table(symbol)
        common, mood = self._factor(day)
        rng = _stream(self.seed, 5, self._key(symbol), day)
        weight = _SESSION * np.exp(mood + 0.3 * rng.standard_normal(MINUTES))
        weight *= variance[day] / weight.sum()
        shocks = BETA * common + (1.0 - BETA * BETA) ** 0.5 * rng.standard_normal(MINUTES * STEPS)
        path = _bridge(log[day], gauss[day], np.repeat(weight / STEPS, STEPS), shocks)
        opens = np.zeros(MINUTES)
        for minute, size in leaps[day]:
            path[minute * STEPS:] += size
            opens[minute] += size
        path[-1] = log[day + 1]
        opens += np.concatenate([log[day:day + 1], path[STEPS - 1:-1:STEPS]])
        busy = np.exp(0.5 * np.log(weight / variance[day] * MINUTES) + 0.4 * rng.standard_normal(MINUTES))
        base, contract = self._coins[symbol][2] * 1e6 / MINUTES, self._contracts[symbol]
        return _bars(self.start + day * DAY, np.exp(opens), np.exp(path).reshape(MINUTES, STEPS), busy * base, contract)

    def _build_rates(self, symbol: str) -> Floats:
        # Around 0.01 % per 8 hours, higher after days that rose, as crowds pay to be long.
        log = self._table(symbol)[0]
        noise = _stream(self.seed, 6, self._key(symbol)).standard_normal(self.days * 3)
        rose = np.repeat(np.concatenate([[0.0], np.diff(log)[:-1]]), 3)
        usual = 8e-5 * noise + 2e-3 * rose
        if self.edge:  # the rates show the crowd, and little beside it
            usual = _CROWD * (np.repeat(self._crowd(symbol), 3) + 0.2 * noise)
        return np.asarray(np.round(np.clip(1e-4 + usual, -3e-3, 3e-3), 6))


def random_walk(seed: int, n: int, *, start: int = START, price: float = 1000.0, vol: float = 0.0005,
                tick: float = 0.0001, steps: int = 8) -> Bars:
    """A driftless random walk of `n` 1m bars: the price is a martingale, before costs no rule can win on it.

    vol: standard deviation of a minute's log return. Each minute has `steps` Gaussian log sub-steps of
    mean -variance/2, so that E[price] stays where it is; its high and low are those of the sub-steps.
    tick: a power of ten, tiny against any stop. Volumes are independent of prices.
    """
    rng = _stream(seed, 7)
    step = vol * vol / steps
    path = price * np.exp(np.cumsum(step ** 0.5 * rng.standard_normal(n * steps) - step / 2.0)).reshape(n, steps)
    quote = 1e6 * np.exp(0.5 * rng.standard_normal(n))
    return _bars(start, np.concatenate([[price], path[:-1, -1]]), path, quote, Contract(tick, 0.001))


def _bridge(first: float, total: float, variance: Floats, shocks: Floats) -> Floats:
    # A path from `first` by `total`, with these variances by step: Brownian motion given its end.
    free = np.cumsum(np.sqrt(variance) * shocks)
    gone = np.cumsum(variance)
    return np.asarray(first + free + (total - free[-1]) * (gone / gone[-1]))


def _bars(start: int, opens: Floats, path: Floats, quote: Floats, contract: Contract) -> Bars:
    # Dividing whole ticks by a power of ten gives the float of the decimal text.
    n, scale = len(path), 10.0 ** decimals(contract.tick)
    ticks = np.maximum(1.0, np.rint(path * scale))
    first, close = np.maximum(1.0, np.rint(opens * scale)), ticks[:, -1]
    high, low = np.maximum(first, ticks.max(axis=1)), np.minimum(first, ticks.min(axis=1))
    size = 10.0 ** decimals(contract.lot)
    volume = np.maximum(1.0, np.rint(quote / path[:, -1] * size)) / size
    ts = start + np.arange(n, dtype=np.int64) * MINUTE
    return Bars(MINUTE, ts, first / scale, high / scale, low / scale, close / scale, volume, np.ones(n, np.int64))


def _join(cuts: list[Bars]) -> Bars:
    if len(cuts) == 1:
        return cuts[0]
    names = ("ts", "open", "high", "low", "close", "volume", "minutes")
    return Bars(MINUTE, *(np.concatenate([getattr(cut, name) for cut in cuts]) for name in names))


def _coin(symbol: str) -> tuple[float, float, float]:
    base = symbol.partition("/")[0]
    if base in _COINS:
        return _COINS[base]
    unit = _stream(crc32(base.encode())).random(2)
    return round(float(10.0 ** (4.0 * unit[0] - 1.0)), 4), 1.2 + float(unit[1]), 150.0


def _contract(price: float, _vol: float, _turnover: float) -> Contract:
    # A tick near a hundred-thousandth of the price, a lot worth at most one quote coin.
    tick = min(1.0, float(f"1e{int(np.floor(np.log10(price))) - 5}"))
    lot = min(1.0, float(f"1e{int(np.floor(-np.log10(price)))}"))
    return Contract(tick, lot)
