"""The small chart beside an alert, as PNG bytes: candles, the plan's levels, and what came of it.

Drawn for a phone: a chat shows it about 390 points wide, half its size. The background is dark in light chats
too. The same input gives the same bytes.
"""

import io
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from core.candles import Bars
from core.notify.text import price, when
from core.timeframe import NAMES

WIDTH, HEIGHT = 800, 520
_TOP, _VOLUME, _FOOT, _LEFT, _TAG = 84, 56, 34, 8, 30  # heights of header, volume and time axis; left edge; a tag

Colour = tuple[int, int, int]
Point = tuple[float, float]
_BACK, _GRID, _TEXT, _DIM = (19, 23, 34), (38, 43, 56), (222, 226, 234), (145, 152, 168)
_UP, _DOWN, _BLUE, _AMBER, _VIOLET = (38, 166, 154), (239, 83, 80), (76, 154, 255), (245, 166, 35), (150, 120, 230)
_WHITE = (255, 255, 255)


class Mark(NamedTuple):
    """Something that happened: at a time (ms UTC) and a price. kind: entry, good or bad."""

    ts: int
    price: float
    kind: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is drawn over the candles; prices in quote currency, times ms UTC, None or () = there is none.

    symbol: as `BTC/USDT:USDT`. direction: +1 or -1. from_ts: the decision. to_ts: where the levels end, None =
    at the right edge. stop: where a moved stop stands now. zone: prices of the retracement. pivots: the impulse
    as two (ts, price). avwap: the line as (ts, price). state: a word on how it stands, such as OPEN.
    """

    symbol: str
    timeframe: str
    direction: int
    short_id: str
    setup: str
    tick: float
    entry: float
    sl: float
    from_ts: int
    tp1: float | None = None
    tp2: float | None = None
    to_ts: int | None = None
    stop: float | None = None
    zone: tuple[float, float] | None = None
    pivots: Sequence[tuple[int, float]] = ()
    avwap: Sequence[tuple[int, float]] = ()
    state: str = ""


def chart_png(bars: Bars, plan: Plan, events: Sequence[Mark] = (), label: str = "") -> bytes:
    """Draw a plan over its candles as a PNG of WIDTH x HEIGHT.

    bars: the candles shown, at least one, those after the decision included; about 80 look best. events: fills
    and exits. label: such as `GENERATED MARKET`, said in the picture. Raises ValueError without bars.
    """
    if not len(bars):
        raise ValueError("a chart needs at least one bar")
    sheet = _Sheet(bars, plan, events)
    sheet.grid()
    sheet.boxes()
    sheet.candles()
    sheet.lines()
    sheet.marks(events)
    sheet.tags()
    sheet.header(label)
    return sheet.png()


class _Sheet:
    # One picture in the making: the scales, then a method per layer from the back to the front.

    def __init__(self, bars: Bars, plan: Plan, events: Sequence[Mark]) -> None:
        from PIL import Image, ImageDraw

        self.bars, self.plan = bars, plan
        self.image = Image.new("RGB", (WIDTH, HEIGHT), _BACK)
        self.draw = ImageDraw.Draw(self.image)
        self.times = bars.ts.tolist()
        self.levels = _levels(plan, float(bars.close[-1]))
        self.right = WIDTH - 18 - max(self._wide(text, 22) for text, *_ in self.levels)
        ahead = max(4, len(bars) // 8) if plan.to_ts is None else 3
        self.step = min(24.0, (self.right - _LEFT) / (len(bars) + ahead))
        self.bottom = HEIGHT - _FOOT - _VOLUME
        self.low, self.high = _range(bars, plan, events)

    def x(self, ts: int) -> float:
        """Middle of the bar that holds `ts`; beyond the last bar as far on as time goes, up to the right edge."""
        i = bisect_right(self.times, ts) - 1
        if i == len(self.times) - 1:
            i += (ts - self.times[-1]) // self.bars.tf
        return min(self.right, _LEFT + (max(0, i) + 0.5) * self.step)

    def y(self, value: float) -> float:
        """Height of a price."""
        return _TOP + (self.high - value) / (self.high - self.low) * (self.bottom - _TOP)

    def grid(self) -> None:
        """Faint lines, times below them."""
        for part in range(1, 5):
            y = _TOP + part * (self.bottom - _TOP) // 5
            self.draw.line((_LEFT, y, self.right, y), fill=_GRID)
        every = max(1, len(self.times) // 4)
        for i in range(every // 2, len(self.times), every):
            x, text = self.x(self.times[i]), _moment(self.times[i], self.bars.tf)
            self.draw.line((x, _TOP, x, HEIGHT - _FOOT), fill=_GRID)
            self._text(max(_LEFT, x - self._wide(text, 19) / 2), HEIGHT - _FOOT + 5, text, 19, _DIM)
        self.draw.line((_LEFT, HEIGHT - _FOOT, self.right, HEIGHT - _FOOT), fill=_GRID)

    def boxes(self) -> None:
        """What is risked and what may be won, from the decision on; the retracement zone; the deciding bar."""
        p = self.plan
        left, right = self._span()
        far = p.tp2 if p.tp2 is not None else p.tp1
        self._box(left, right, p.entry, p.sl, _mix(_DOWN, 0.20))
        if far is not None:
            self._box(left, right, p.entry, far, _mix(_UP, 0.16))
            if p.tp1 is not None:
                self._box(left, right, p.entry, p.tp1, _mix(_UP, 0.24))
        if p.zone:
            start = self.x(p.pivots[-1][0]) if p.pivots else _LEFT
            self._box(start, left, *p.zone, _mix(_VIOLET, 0.22))
        self._dashed((left, _TOP), (left, self.bottom), _DIM, 3)

    def candles(self) -> None:
        """Wicks, bodies, and the volume below them."""
        b, half = self.bars, max(0, round(self.step * 0.35))
        most = float(b.volume.max()) or 1.0
        rows = zip(self.times, b.open.tolist(), b.high.tolist(), b.low.tolist(), b.close.tolist(), b.volume.tolist(),
                   strict=True)
        for ts, o, h, l, c, v in rows:
            x, colour = round(self.x(ts)), _UP if c >= o else _DOWN
            self.draw.line((x, self.y(h), x, self.y(l)), fill=colour, width=1 if self.step < 9 else 2)
            self.draw.rectangle((x - half, self.y(max(o, c)), x + half, self.y(min(o, c))), fill=colour)
            high = v / most * (_VOLUME - 8)
            if v > 0:
                self.draw.rectangle((x - half, HEIGHT - _FOOT - max(1.0, high), x + half, HEIGHT - _FOOT - 1),
                                    fill=_mix(colour, 0.55))

    def lines(self) -> None:
        """AVWAP, the impulse, and each level to its price."""
        shown = [(self.x(ts), self.y(value)) for ts, value in self.plan.avwap if ts >= self.times[0]]
        if len(shown) > 1:
            self.draw.line(shown, fill=_AMBER, width=3, joint="curve")
        ends = [(self.x(ts), self.y(value)) for ts, value in self.plan.pivots if ts >= self.times[0]]
        if len(ends) == 2:
            self._dashed(ends[0], ends[1], _VIOLET, 6)
        for x, y in ends:
            self.draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=_VIOLET, outline=_WHITE)
        left, right = self._span()
        for text, value, colour in self.levels[:-1]:
            y = self.y(value)
            if text.startswith(("Entry", "SL")):
                self.draw.line((left, y, right, y), fill=colour, width=2)
            else:
                self._dashed((left, y), (right, y), colour, 8, width=2)
            self._dashed((right, y), (self.right, y), _mix(colour, 0.6), 3)
        self._dashed((_LEFT, self.y(self.levels[-1][1])), (self.right, self.y(self.levels[-1][1])), _DIM, 2)

    def marks(self, events: Sequence[Mark]) -> None:
        """Fills as a triangle in the direction of the trade, exits as a disc."""
        for m in sorted(events):
            x, y = self.x(m.ts), self.y(m.price)
            if m.kind == "entry":
                point = -10 * self.plan.direction
                shape = [(x, y + point), (x - 9, y - point), (x + 9, y - point)]
                self.draw.polygon(shape, fill=_BLUE, outline=_WHITE, width=2)
            else:
                self.draw.ellipse((x - 8, y - 8, x + 8, y + 8), fill=_UP if m.kind == "good" else _DOWN,
                                  outline=_WHITE, width=2)

    def tags(self) -> None:
        """The levels with their prices at the right edge, moved apart where they would overlap."""
        ordered = sorted(self.levels, key=lambda level: (-level[1], level[0]))
        places = _apart([self.y(value) for _, value, _ in ordered], _TAG, _TOP + _TAG / 2, HEIGHT - _FOOT - _TAG / 2)
        for (text, value, colour), middle in zip(ordered, places, strict=True):
            self.draw.line((self.right, self.y(value), self.right + 6, middle), fill=colour, width=2)
            self.draw.rectangle((self.right + 6, middle - _TAG / 2 + 1, WIDTH, middle + _TAG / 2 - 1), fill=colour)
            self._text(self.right + 12, middle - 13, text, 22, _ink(colour))

    def header(self, label: str) -> None:
        """What it is, and whether its prices are real."""
        p = self.plan
        pair, side = p.symbol.partition(":")[0], "long" if p.direction > 0 else "short"
        x = self._text(12, 8, f"{pair} {p.timeframe} ", 30, _WHITE)
        x = self._text(x, 8, f"{side} ", 30, _UP if p.direction > 0 else _DOWN)
        self._text(x, 8, f"#{p.short_id.lstrip('#')}", 30, _TEXT)
        shown = NAMES.get(self.bars.tf, "")
        note = ", ".join(part for part in (p.setup, p.state, "UTC" if shown == p.timeframe else f"{shown} bars, UTC")
                         if part)
        x = self._text(12, 48, f"{note}   ", 21, _DIM)
        if p.avwap:
            self._text(x, 48, "AVWAP", 21, _AMBER)
        if label:  # last, so that nothing lies over it
            end = WIDTH - 12 - self._wide(label, 21)
            self.draw.rectangle((end - 8, 46, WIDTH - 6, 75), fill=_AMBER)
            self._text(end, 48, label, 21, _BACK)

    def png(self) -> bytes:
        """The finished picture; few colours make it small."""
        from PIL import Image

        out = io.BytesIO()
        few = self.image.quantize(64, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(out, "PNG", optimize=True)
        return out.getvalue()

    def _span(self) -> tuple[float, float]:
        return self.x(self.plan.from_ts) - self.step / 2, (
            self.right if self.plan.to_ts is None else self.x(self.plan.to_ts) + self.step / 2)

    def _box(self, left: float, right: float, a: float, b: float, colour: Colour) -> None:
        if right > left:
            self.draw.rectangle((left, self.y(max(a, b)), right, self.y(min(a, b))), fill=colour)

    def _dashed(self, a: Point, b: Point, colour: Colour, dash: int, width: int = 1) -> None:
        long = max(1.0, ((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5)
        at = 0.0
        while at < long:
            s, e = at / long, min(1.0, (at + dash) / long)
            self.draw.line((a[0] + s * (b[0] - a[0]), a[1] + s * (b[1] - a[1]),
                            a[0] + e * (b[0] - a[0]), a[1] + e * (b[1] - a[1])), fill=colour, width=width)
            at += 2 * dash

    def _text(self, x: float, y: float, text: str, size: int, colour: Colour) -> float:
        self.draw.text((x, y), text, font=_font(size), fill=colour)
        return x + self._wide(text, size)

    def _wide(self, text: str, size: int) -> float:
        return float(_font(size).getlength(text))


def _font(size: int) -> Any:
    from PIL import ImageFont

    if size not in _FONTS:
        _FONTS[size] = ImageFont.load_default(size)
    return _FONTS[size]


_FONTS: dict[int, Any] = {}


def _levels(plan: Plan, last: float) -> list[tuple[str, float, Colour]]:
    # Text, price and colour of each line; the newest close comes last.
    moved = plan.stop is not None and plan.stop != plan.sl
    named = [("TP2", plan.tp2, _UP), ("TP1", plan.tp1, _UP), ("Entry", plan.entry, _BLUE), ("SL", plan.sl, _DOWN),
             ("Stop", plan.stop if moved else None, _AMBER), ("", last, _GRID)]
    return [(f"{name} {price(value, plan.tick)}".strip(), value, colour)
            for name, value, colour in named if value is not None]


def _range(bars: Bars, plan: Plan, events: Sequence[Mark]) -> tuple[float, float]:
    seen = [float(bars.low.min()), float(bars.high.max()), plan.entry, plan.sl]
    seen += [v for v in (plan.tp1, plan.tp2, plan.stop) if v is not None]
    seen += [m.price for m in events]
    room = 0.04 * (max(seen) - min(seen)) or plan.tick or 1.0
    return min(seen) - room, max(seen) + room


def _apart(wanted: Sequence[float], size: float, top: float, bottom: float) -> list[float]:
    # Ascending places at least `size` apart, as near to the wanted ones as a push down and a push up leave them.
    places = list(wanted)
    for i, y in enumerate(places):
        places[i] = max(y, top if i == 0 else places[i - 1] + size)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], bottom if i == len(places) - 1 else places[i + 1] - size)
    return places


def _moment(ts: int, tf: int) -> str:
    day, _, clock = when(ts).rpartition(" ")
    return day if tf >= 86_400_000 else f"{day} {clock.removesuffix('Z')}"


def _mix(colour: Colour, share: float) -> Colour:
    # As if painted with this opacity over the background.
    r, g, b = (round(share * c + (1 - share) * back) for c, back in zip(colour, _BACK, strict=True))
    return r, g, b


def _ink(colour: Colour) -> Colour:
    bright = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
    return _BACK if bright > 140 else _WHITE
