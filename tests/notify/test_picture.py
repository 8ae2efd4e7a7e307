"""The chart beside an alert: what must be seen in it, whatever the market does, and in how few bytes."""

import io
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from PIL import Image

from core.candles import Bars, from_rows
from core.notify import picture
from core.notify.picture import Mark, Plan, chart_png

T, TF = 1_714_572_000_000, 900_000


def walk(n: int = 80, base: float = 100.0, step: float = 0.004, volume: bool = True) -> Bars:
    chance, rows, last = random.Random(7), list[tuple[float, ...]](), base
    for i in range(n):
        close = last * (1 + step * chance.gauss(0, 1))
        high, low = max(last, close) * (1 + step / 3), min(last, close) * (1 - step / 3)
        rows.append((T + i * TF, last, high, low, close, chance.uniform(1, 9) if volume else 0.0))
        last = close
    return from_rows(TF, rows)


def plan(bars: Bars, **changes: Any) -> Plan:
    last = float(bars.close[-1])
    known = {"symbol": "BTC/USDT:USDT", "timeframe": "15m", "direction": 1, "short_id": "ABC1234",
             "setup": "fibo_avwap", "tick": 0.01, "entry": last * 0.99, "sl": last * 0.97, "tp1": last * 1.01,
             "tp2": last * 1.03, "from_ts": int(bars.ts[-1]) + TF}
    return Plan(**known | changes)


def pixels(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def near(image: Image.Image, colour: Sequence[int], box: tuple[int, int, int, int]) -> int:
    """How many pixels of a box have about this colour (the palette is small)."""
    return sum(max(abs(a - b) for a, b in zip(p, colour, strict=True)) <= 14
               for p in image.crop(box).get_flattened_data())


RIGHT = (picture.WIDTH - 60, 90, picture.WIDTH, picture.HEIGHT - 40)  # the tags of the levels
HEADER = (0, 0, picture.WIDTH, 80)


def test_it_is_a_small_png_of_the_promised_size() -> None:
    png = chart_png(walk(180), plan(walk(180)))
    assert png.startswith(b"\x89PNG") and len(png) < 60_000
    assert pixels(png).size == (picture.WIDTH, picture.HEIGHT)


def test_the_same_input_gives_the_same_bytes() -> None:
    bars = walk()
    assert chart_png(bars, plan(bars), [Mark(T, 100.0, "entry")], "X") == \
        chart_png(bars, plan(bars), [Mark(T, 100.0, "entry")], "X")


def test_every_level_has_its_tag_at_the_right_edge() -> None:
    bars = walk()
    image = pixels(chart_png(bars, plan(bars)))
    for colour, least in ((picture._BLUE, 300), (picture._DOWN, 300), (picture._UP, 600)):
        assert near(image, colour, RIGHT) > least


def test_a_plan_without_targets_shows_no_target_and_a_moved_stop_shows_its_own() -> None:
    bars = walk()
    trailed = plan(bars, tp1=None, tp2=None)
    image = pixels(chart_png(bars, trailed))
    assert near(image, picture._UP, RIGHT) == 0 and near(image, picture._AMBER, RIGHT) == 0
    moved = pixels(chart_png(bars, plan(bars, tp1=None, tp2=None, stop=trailed.entry)))
    assert near(moved, picture._AMBER, RIGHT) > 300


def test_the_label_of_a_market_that_is_not_real_stands_in_the_header() -> None:
    bars = walk()
    assert near(pixels(chart_png(bars, plan(bars), label="GENERATED MARKET")), picture._AMBER, HEADER) > 3_000
    assert near(pixels(chart_png(bars, plan(bars))), picture._AMBER, HEADER) == 0


def test_long_and_short_are_told_by_word_and_colour() -> None:
    bars = walk()
    long, short = (pixels(chart_png(bars, plan(bars, direction=side))) for side in (1, -1))
    assert near(long, picture._UP, HEADER) > 50 > near(long, picture._DOWN, HEADER)
    assert near(short, picture._DOWN, HEADER) > 50 > near(short, picture._UP, HEADER)


def test_a_fill_and_an_exit_are_marked_where_they_were() -> None:
    bars = walk()
    held = plan(bars, from_ts=int(bars.ts[40]), to_ts=int(bars.ts[60]))
    marks = [Mark(int(bars.ts[42]), held.entry, "entry"), Mark(int(bars.ts[60]), held.sl, "bad")]
    without, shown = pixels(chart_png(bars, held)), pixels(chart_png(bars, held, marks))
    sheet = picture._Sheet(bars, held, marks)
    for mark, colour in zip(marks, (picture._BLUE, picture._DOWN), strict=True):
        x, y = round(sheet.x(mark.ts)), round(sheet.y(mark.price))
        around = (x - 6, y - 5, x + 6, y + 5)
        assert near(shown, colour, around) > near(without, colour, around) + 20


@pytest.mark.parametrize("bars", [
    walk(base=0.00001234), walk(base=104_523.1), walk(1), walk(2), walk(180), walk(volume=False),
    from_rows(TF, [(T + i * TF, 5.0, 5.0, 5.0, 5.0, 0.0) for i in range(80)])],
    ids=["tiny", "huge", "one", "two", "many", "no volume", "flat"])
@pytest.mark.parametrize("side", [1, -1])
def test_no_market_breaks_it(bars: Bars, side: int) -> None:
    last = float(bars.close[-1])
    tick = 1e-8 if last < 1 else 0.1
    whole = plan(bars, direction=side, tick=tick, entry=last, sl=last * (1 - 0.03 * side), tp1=last * (1 + 0.02 * side),
                 tp2=last * (1 + 0.05 * side), zone=(last * 1.01, last * 0.99), stop=last * 1.001,
                 pivots=[(int(bars.ts[0]), last * 0.99), (int(bars.ts[-1]), last * 1.01)],
                 avwap=[(int(t), last) for t in bars.ts], state="TP1_TRAIL net +12.34%")
    for p in (whole, plan(bars, tick=tick, entry=last, sl=last, tp1=None, tp2=None)):
        assert len(chart_png(bars, p, [Mark(T, last, "good")], "REPLAY of recorded candles")) < 60_000


def test_tags_never_overlap_nor_leave_the_picture() -> None:
    chance = random.Random(3)
    for _ in range(300):
        n = chance.randint(1, 6)
        wanted = sorted(chance.uniform(0, 500) for _ in range(n))
        places = picture._apart(wanted, 30, 100, 470)
        assert all(b - a >= 30 - 1e-9 for a, b in pairwise(places))
        assert places[-1] <= 470 and places[0] >= 100 - 1e-9


def test_no_bars_is_refused() -> None:
    bars = walk()
    with pytest.raises(ValueError, match="at least one bar"):
        chart_png(bars.cut(0, 0), plan(bars))
