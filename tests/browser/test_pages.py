"""Every page in a real browser: nothing fails, the content is there, nobody else is asked, and zoom stays."""

import sqlite3
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


_RANGE = "() => document.querySelector('.js-plotly-plot')._fullLayout.xaxis.range.map(String)"
_LAST = ("() => { const t = document.querySelector('.js-plotly-plot').data.find(d => d.type === 'candlestick');"
         " return Number(t.close[t.close.length - 1]); }")


def test_zoom_and_scroll_survive_a_refresh_with_new_data(url: str, browser: Any, data: site.Data) -> None:
    with site.visiting(browser, {"width": 1280, "height": 620}) as visit:
        visit.open(url, "chart", "?id=candles")
        page, whole = visit.page, visit.page.evaluate(_RANGE)
        box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
        page.mouse.wheel(0, -400)
        page.wait_for_function(f"(before) => String(({_RANGE})()) !== before", arg=",".join(whole))
        page.wait_for_timeout(500)
        zoomed, before = page.evaluate(_RANGE), page.evaluate(_LAST)
        page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollTo(0, 150)")
        page.wait_for_timeout(200)
        scrolled = page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollTop")
        raise_last_close(data, before)
        page.wait_for_function(f"(before) => ({_LAST})() !== before", arg=before, timeout=60_000)
        page.wait_for_timeout(500)
        assert page.evaluate(_RANGE) == zoomed != whole
        assert page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollTop") == scrolled > 0
        assert visit.broken() == []


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
