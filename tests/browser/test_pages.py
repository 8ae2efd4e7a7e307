"""Every page in a real browser: nothing fails, the content is there, nobody else is asked, and zoom stays."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser import site
from tests.browser.conftest import paints

EACH = list(site.PAGES)


@pytest.mark.parametrize("path", EACH)
def test_a_page_opens_whole_and_asks_no_other_host(path: str, url: str, browser: Any, data: site.Data) -> None:
    expected, charts = site.PAGES[path]
    with site.visiting(browser) as visit:
        first = visit.open(url, path)
        assert visit.broken() == []
        words = visit.words()
        assert [word for word in (*expected, data.label) if word not in words] == []
        assert visit.count(site.FIGURE) >= charts
    with site.visiting(browser) as visit:  # the server has loaded its packages by now
        paints[path] = min(first, visit.open(url, path))


@pytest.mark.parametrize("path", EACH)
def test_a_page_fits_a_phone_in_the_light_scheme(path: str, url: str, browser: Any) -> None:
    with site.visiting(browser, site.PHONE, "light") as visit:
        visit.open(url, path)
        assert visit.broken() == []
        assert visit.overflow() <= 0
        back = visit.page.evaluate("() => getComputedStyle(document.querySelector('[data-testid=\"stApp\"]'))"
                                   ".backgroundColor")
        assert back == "rgb(255, 255, 255)"


def test_the_pages_are_reached_by_their_links(url: str, browser: Any) -> None:
    with site.visiting(browser) as visit:
        visit.open(url, "now")
        for place, path in enumerate(site.PAGES):
            visit.page.locator('[data-testid="stSidebarNavLink"]').nth(place).click()
            visit.page.wait_for_url(url + "/" if path == "now" else f"{url}/{path}")
            visit.settle(path)
            visit.page.wait_for_function("word => document.querySelector('[data-testid=\"stMain\"]').innerText"
                                         ".includes(word)", arg=site.PAGES[path][0][0])
        assert visit.broken() == []


# The figure itself is asked, not what stands around it: the component's own script hands ECharts to whoever imports it.
_FIGURE = """async () => {
  const loaded = performance.getEntriesByType('resource').map((one) => one.name);
  const {getOptionsGenerator} = await import(loaded.find((name) => name.includes('echarts')));
  const code = '--x_x--0_0--';
  const {echarts} = getOptionsGenerator()({echarts: `${code}echarts${code}`}).data;
  const chart = echarts.getInstanceByDom(document.querySelector('.st-key-chart-figure .echarts-container'));
  const {dataZoom, series} = chart.getOption(), bars = series.find((one) => one.type === 'candlestick').data;
  const axis = (name) => chart.getModel().getComponent(name, 0).axis.scale.getExtent();
  const shown = bars.filter(([ts]) => ts >= dataZoom[0].startValue && ts <= dataZoom[0].endValue);
  return {range: [dataZoom[0].startValue, dataZoom[0].endValue], seen: axis('xAxis'), prices: axis('yAxis'),
          low: Math.min(...shown.map((bar) => bar[3])), high: Math.max(...shown.map((bar) => bar[4])),
          close: bars.at(-1)[2]};
}"""


def test_zoom_and_scroll_survive_a_refresh_with_new_data(url: str, browser: Any, data: site.Data) -> None:
    with site.visiting(browser, {"width": 1280, "height": 620}) as visit:
        visit.open(url, "chart", "?id=candles")
        page, whole = visit.page, visit.page.evaluate(_FIGURE)
        zoom_in(page, 8)
        zoomed = wait_for(page, lambda found: span(found) < 0.5 * span(whole))
        assert zoomed["seen"] == zoomed["range"] and fits(whole) and fits(zoomed)
        page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollTo(0, 150)")
        page.wait_for_timeout(200)
        scrolled = page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollTop")
        raise_last_close(data, zoomed["close"])
        after = wait_for(page, lambda found: found["close"] != zoomed["close"])
        page.wait_for_timeout(500)
        assert page.evaluate(_FIGURE)["range"] == after["range"] == after["seen"] == zoomed["range"] != whole["range"]
        assert page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollTop") == scrolled > 0
        page.mouse.dblclick(*on_the_figure(page))
        wait_for(page, lambda found: found["range"] == whole["range"])
        assert visit.broken() == []


def test_another_timeframe_starts_with_its_whole_range(url: str, browser: Any) -> None:
    with site.visiting(browser) as visit:
        visit.open(url, "chart", "?id=candles")
        page, first = visit.page, visit.page.evaluate(_FIGURE)
        zoom_in(page)
        wait_for(page, lambda found: found["range"] != first["range"])
        page.get_by_role("radio", name="1h", exact=True).click()
        other = wait_for(page, lambda found: span(found) > 300 * 3_600_000)
        assert other["seen"] == other["range"] and visit.broken() == []


def on_the_figure(page: Any) -> tuple[float, float]:
    """A place in the newer part of it, in px."""
    box = page.locator(".echarts-container canvas").first.bounding_box()
    return box["x"] + 0.85 * box["width"], box["y"] + box["height"] / 3


def zoom_in(page: Any, times: int = 1) -> None:
    page.mouse.move(*on_the_figure(page))
    for _ in range(times):
        page.mouse.wheel(0, -400)
        page.wait_for_timeout(150)


def span(found: dict[str, Any]) -> float:
    """How much time is seen, in ms."""
    return float(found["range"][1] - found["range"][0])


def wait_for(page: Any, wanted: Callable[[dict[str, Any]], bool], seconds: float = 60.0) -> dict[str, Any]:
    """What the figure shows as soon as it is as wanted."""
    for _ in range(int(seconds / 0.25)):
        found: dict[str, Any] = page.evaluate(_FIGURE)
        if wanted(found):
            return found
        page.wait_for_timeout(250)
    raise AssertionError(f"the figure has not changed as it should: {found}")


def fits(found: dict[str, Any]) -> bool:
    """Whether the prices on the axis are those of the candles that are seen, with little around them."""
    (low, high), part = found["prices"], found["high"] - found["low"]
    return bool(0 <= found["low"] - low < 0.1 * part and 0 <= high - found["high"] < 0.1 * part)


def raise_last_close(data: site.Data, before: float) -> None:
    """Change the newest bar that the chart shows, as a new candle would."""
    con = sqlite3.connect(data.db)
    with con:
        changed = con.execute(
            "UPDATE ohlcv SET close = close + (high - close) / 2, high = high + 1 WHERE abs(close - ?) < 1e-9 AND ts > "
            "(SELECT max(ts) FROM ohlcv) - 3 * 86400000", (before,)).rowcount
    con.close()
    assert changed


def test_a_missing_database_says_what_to_do(browser: Any, data: site.Data) -> None:
    with site.serving(data.config, data.db.with_name("nothing.db")) as url, site.visiting(browser) as visit:
        visit.page.goto(url)
        visit.page.wait_for_selector(site.IDLE, timeout=30_000)
        assert "scheduler_run.py" in visit.words()
        assert visit.broken() == []
