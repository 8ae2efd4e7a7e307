"""What the candle chart needs of JavaScript: how its numbers are told, what its axis spans, and how it keeps its zoom.

ECharts takes functions where plain options do not reach; `plot.live` hands them on. Pure: text, nothing is run here.
"""

import json
from typing import Any


class Script(str):
    """An expression that is evaluated in the browser, with `echarts` at hand, and stands there as its value."""


# Events of the figure. `chart` is the figure itself; what a handler returns is told to Python, undefined is not.
CLICKED = "(event) => event.data?.id"
HELD = "() => { chart.held = chart.revision; }"
BACK = """({event}) => {
  const twice = event.timeStamp - (chart.clicked ?? -1e9) < 400; // two taps are no double click to a browser
  chart.clicked = twice ? null : event.timeStamp;
  if (!twice) return;
  const {startValue, endValue} = chart.home;
  chart.dispatchAction({type: 'dataZoom', startValue, endValue}, {silent: true});
  chart.held = null;
}"""

# The range that was sent, or the one that the reader has chosen since; by value, so that new bars do not shift it.
_KEPT = """((sent, revision, place) => {
  const chart = echarts.getInstanceByDom(document.querySelector(place));
  const now = chart.held === revision ? chart.getOption()?.dataZoom?.[0] : null;
  Object.assign(chart, {home: sent, revision});
  return {...sent, startValue: now?.startValue ?? sent.startValue, endValue: now?.endValue ?? sent.endValue};
})"""

# The prices that are seen, with some air; a level too, unless the candles would become too small for it.
_SPAN = """(({min, max}) => {
  const seen = levels.filter((v) => Math.max(max, v) - Math.min(min, v) <= most * (max - min));
  const low = Math.min(min, ...seen), high = Math.max(max, ...seen), air = 0.04 * (high - low) || 0.01 * high;
  return isFinite(low) ? SIDE : null;
})"""

_TOLD = """((bars) => {
  const bar = bars.find((one) => one.seriesType === 'candlestick');
  if (!bar) return '';
  const [ts, open, close, low, high, volume, more] = bar.value, line = bars.find((one) => one.seriesName === 'AVWAP');
  const price = (v) => v.toFixed(digits), change = 100 * (close / open - 1);
  const big = new Intl.NumberFormat('en', {notation: 'compact', maximumSignificantDigits: 4});
  const pairs = [['open', price(open)], ['high', price(high)], ['low', price(low)], ['close', price(close)],
                 ['change', `${change < 0 ? '' : '+'}${change.toFixed(2)}%`], ['volume', big.format(volume)]];
  if (line) pairs.push(['AVWAP', price(line.value[1])]);
  const cells = pairs.map(([name, said]) => `<span style="opacity:0.65">${name}</span><span>${said}</span>`).join('');
  return `<b>${echarts.time.format(ts, '{ee} {d} {MMM} {yyyy} {HH}:{mm}', true)}</b> ${zone}`
    + `<div style="display:grid;grid-template-columns:repeat(4,auto);gap:0 8px">${cells}</div>`
    + (more ? `<div style="margin-top:4px;max-width:16rem;white-space:normal">${more}</div>` : '');
})"""

# In the upper corner that is farther from the pointer.
ASIDE = Script("""(at, bars, box, mark, {contentSize, viewSize}) =>
  [at[0] > viewSize[0] / 2 ? 12 : viewSize[0] - contentSize[0] - 72, 12]""")

# Names and prices of levels at the right edge, moved apart where they would lie on each other.
_TAGS = """((one, api) => {
  if (one.dataIndex) return null;
  const {x, y, width, height} = one.coordSys;
  const shown = tags.map((tag) => ({...tag, y: api.coord([api.value(0), tag.price])[1]}))
    .filter((tag) => tag.y >= y - 1 && tag.y <= y + height + 1).sort((a, b) => b.y - a.y);
  shown.forEach((tag, i) => { if (i) tag.y = Math.min(tag.y, shown[i - 1].y - 18); });
  return {type: 'group', children: shown.map((tag) => ({type: 'text', x: x + width + edge, y: tag.y, silent: true,
    style: {text: tag.text, fill: tag.ink, backgroundColor: tag.colour, padding: [2, 5, 2, 5], borderRadius: 3,
            fontSize: 11, fontFamily: 'sans-serif', lineHeight: 14, align: 'right', verticalAlign: 'middle'}}))};
})"""


def _filled(text: str, **given: Any) -> Script:
    names, values = ", ".join(given), ", ".join(json.dumps(value, allow_nan=False) for value in given.values())
    return Script(f"(({names}) => {text})({values})")


def kept(sent: dict[str, Any], revision: str, place: str) -> Script:
    """A dataZoom that keeps what the reader chose while `revision` stays. place: selector of the figure's box."""
    return Script(f"{_KEPT}({json.dumps(sent)}, {json.dumps(revision)}, {json.dumps(place)})")


def span(levels: list[float], most: float) -> tuple[Script, Script]:
    """The least and the highest price of an axis. most: of how much of the candles' own height it may become."""
    low, high = (_SPAN.replace("SIDE", side) for side in ("low - air", "high + air"))
    return _filled(low, levels=levels, most=most), _filled(high, levels=levels, most=most)


def price(digits: int) -> Script:
    """A price at an axis."""
    return Script(f"(value) => value.toFixed({digits})")


def pointed(digits: int) -> Script:
    """The price at which the pointer is."""
    return Script(f"({{value}}) => value.toFixed({digits})")


POINTED_TIME = Script("({value}) => echarts.time.format(value, '{d} {MMM} {HH}:{mm}', true)")


def told(digits: int, zone: str) -> Script:
    """What is told of the bar at which the pointer is. zone: stands behind its time."""
    return _filled(_TOLD, digits=digits, zone=zone)


def tags(found: list[dict[str, Any]], edge: int) -> Script:
    """Draws labels of `price`, `text`, `ink` and `colour` at the right edge. edge: px right of the plot."""
    return _filled(_TAGS, tags=found, edge=edge)


def either(place: int, yes: str, no: str) -> Script:
    """A colour by a number of a point: `yes` where it is not zero."""
    return Script(f"({{value}}) => value[{place}] ? {json.dumps(yes)} : {json.dumps(no)}")
