"""The page in a real browser: it sorts, draws, says figures, fetches nothing, and complains of nothing.

Screenshots go to the folder that the environment variable SCREENSHOTS names, to be looked at.
"""

import base64
import io
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from command_line import invoke

webdriver = pytest.importorskip("selenium.webdriver", reason="the browser is driven by selenium")
pytest.importorskip("jinja2", reason="a page needs the extra report")

from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason="there is no chromium, chromium-browser or google-chrome on the PATH"),
    pytest.mark.skipif(not DRIVER, reason="there is no chromedriver on the PATH"),
]
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic",
)  # fmt: skip
WIDE, NARROW = 1280, 390
HOSTILE = "<script>document.title = 'taken'</script><img src='http://127.0.0.1:9/x' onerror='document.title = 1'>"


class Browser:
    """A page in a browser, and what the browser has to say of it."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, path, width=WIDE, scheme="light"):
        self.driver.get_log("performance")
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.driver.get(path.as_uri())

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def ask(self, script, *arguments):
        return self.driver.execute_script(f"return {script}", *arguments)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def asked_for(self):
        """The addresses of all that was asked for since the page was opened, but for the browser's own first page."""
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in asked if not each["documentURL"].startswith("chrome:")]

    def screenshot(self, name):
        self.ask("document.activeElement.blur()")
        height = min(self.ask("document.documentElement.scrollHeight"), 8000)
        area = {"x": 0, "y": 0, "width": self.ask("innerWidth"), "height": height, "scale": 1}
        shot = base64.b64decode(self.command("Page.captureScreenshot", captureBeyondViewport=True, clip=area)["data"])
        if folder := os.environ.get("SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            Path(folder, f"{name}.png").write_bytes(shot)
        return Image.open(io.BytesIO(shot)).convert("RGB")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('user')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER))
    yield Browser(driver)
    driver.quit()


@pytest.fixture(scope="module")
def page(saved_results, tmp_path_factory):
    """A page of every kind of result, and of a comparison."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copy(saved_results["bench"], folder / "again.json")
    names = ("bench", "gradcheck", "verify", "curve", "selftest", "compare")
    files = [str(saved_results[name]) for name in names] + [str(folder / "again.json")]
    done = invoke("report", *files, "--output", str(folder / "page.html"))
    assert done.exit_code == 0, done.output
    return folder / "page.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_is_drawn_fetches_nothing_and_logs_nothing(browser, page, width, scheme):
    browser.open(page, width, scheme)
    picture = browser.screenshot(f"{width}-{scheme}")
    assert browser.asked_for() == [page.as_uri()]
    assert browser.driver.get_log("browser") == []
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    assert (sum(picture.getpixel((2, 2))) < 200) == (scheme == "dark")
    assert len(picture.getcolors(1 << 24)) > 100


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_chart_is_drawn_where_it_can_be_read(browser, page, width):
    browser.open(page, width)
    charts = browser.all("svg.chart")
    assert len(charts) >= 10
    for chart in charts:
        box, dots = browser.ask(
            "[arguments[0].getBoundingClientRect().toJSON(),"
            " [...arguments[0].querySelectorAll('.dot')].map(dot => dot.getBoundingClientRect().toJSON())]",
            chart,
        )
        assert box["width"] > 250
        assert dots
        assert all(dot["width"] > 1 and dot["height"] > 1 for dot in dots)
        assert all(box["left"] - 9 < dot["left"] and dot["right"] < box["right"] + 9 for dot in dots)
        assert all(box["top"] - 9 < dot["top"] and dot["bottom"] < box["bottom"] + 9 for dot in dots)
    least = browser.ask(
        "Math.min(...[...document.querySelectorAll('svg.chart text')].map(text => text.getBoundingClientRect().height))"
    )
    assert least > 11


def test_the_colours_of_series_are_those_of_the_scheme(browser, page):
    found = {}
    for scheme in ("light", "dark"):
        browser.open(page, scheme=scheme)
        found[scheme] = browser.ask("getComputedStyle(document.querySelector('.point.s0 .dot')).fill")
    assert found == {"light": "rgb(0, 114, 178)", "dark": "rgb(86, 180, 233)"}


def column(browser, table, number):
    return browser.ask(
        "[...arguments[0].tBodies[0].rows].map(row => row.cells[arguments[1]].textContent)", table, number
    )


def test_a_table_sorts_by_a_column_both_ways_and_back(browser, page):
    browser.open(page)
    table = next(t for t in browser.all("table.sortable") if "bench.json" in t.accessible_name)
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    names = [head.text.strip() for head in heads]
    median = next(n for n, name in enumerate(names) if name.startswith("median"))
    button = heads[median].find_element(By.TAG_NAME, "button")
    values = "[...arguments[0].querySelectorAll('tbody tr')].map(row => Number(row.cells[arguments[1]].dataset.value))"
    first = browser.ask(values, table, median)
    assert len(set(first)) > 5
    button.click()
    assert heads[median].get_attribute("aria-sort") == "ascending"
    assert browser.ask(values, table, median) == sorted(first) != first
    button.send_keys(Keys.ENTER)
    assert heads[median].get_attribute("aria-sort") == "descending"
    assert browser.ask(values, table, median) == sorted(first, reverse=True)
    heads[1].find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert [head.get_attribute("aria-sort") for head in heads[:2]] == ["none", "ascending"]
    assert heads[median].get_attribute("aria-sort") == "none"
    assert column(browser, table, 1) == sorted(column(browser, table, 1))
    heads[1].find_element(By.TAG_NAME, "button").click()
    heads[1].find_element(By.TAG_NAME, "button").click()
    assert browser.ask(values, table, median) == first


def test_what_has_no_value_comes_last_whichever_way(browser, page):
    browser.open(page)
    table = next(t for t in browser.all("table.sortable") if "bench.json" in t.accessible_name)
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    speedup = next(n for n, head in enumerate(heads) if head.text.startswith("vs numpy"))
    for _ in range(2):
        heads[speedup].find_element(By.TAG_NAME, "button").click()
        cells = column(browser, table, speedup)
        assert "–" in cells
        assert cells.index("–") == len(cells) - cells.count("–")


def test_a_point_says_its_figures_under_the_pointer_and_on_focus(browser, page):
    browser.open(page)
    tip = browser.one(".tip")
    assert not tip.is_displayed()
    first, second = browser.all("svg.chart .point")[:2]
    webdriver.ActionChains(browser.driver).move_to_element(first).perform()
    assert tip.is_displayed()
    assert tip.text == first.accessible_name
    assert any(unit in tip.text for unit in (" µs", "×", " ms", " ns"))
    webdriver.ActionChains(browser.driver).move_to_element(browser.one("h1")).perform()
    assert not tip.is_displayed()
    assert [point.get_attribute("tabindex") for point in (first, second)] == ["0", "-1"]
    browser.ask("arguments[0].focus()", first)
    assert tip.text == first.accessible_name
    browser.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert browser.ask("document.activeElement === arguments[0]", second)
    assert tip.text == second.accessible_name
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed()


def test_a_tip_stays_on_the_screen_of_a_phone(browser, page):
    browser.open(page, NARROW)
    for point in browser.all("svg.chart .point")[:60:6]:
        browser.ask("arguments[0].scrollIntoView({block: 'center'})", point)
        browser.ask("arguments[0].focus({preventScroll: true})", point)
        box = browser.ask("document.querySelector('.tip').getBoundingClientRect().toJSON()")
        assert box["left"] >= 0
        assert box["right"] <= NARROW
        assert box["top"] >= 0


def test_the_page_prints_with_its_tables_whole(browser, page):
    browser.open(page, scheme="dark")
    browser.command("Emulation.setEmulatedMedia", media="print")
    ground = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    assert browser.ask(
        "[...document.querySelectorAll('.scroll')].every(e => getComputedStyle(e).overflowX === 'visible')"
    )
    printed = base64.b64decode(browser.command("Page.printToPDF")["data"])
    assert printed.startswith(b"%PDF")


def test_what_a_result_is_named_is_never_run(browser, saved_results, tmp_path):
    document = json.loads(saved_results["gradcheck"].read_text(encoding="utf-8"))
    for row in document["rows"]:
        row |= {"kernel": HOSTILE, "array": HOSTILE, "note": HOSTILE, "reproduce": HOSTILE}
    document |= {"failures": [HOSTILE], "warnings": [HOSTILE], "environment": {HOSTILE: HOSTILE}}
    document["columns"][0]["title"] = HOSTILE
    (tmp_path / "hostile.json").write_text(json.dumps(document), encoding="utf-8")
    done = invoke("report", str(tmp_path / "hostile.json"), "--output", str(tmp_path / "out.html"))
    assert done.exit_code == 0, done.output
    browser.open(tmp_path / "out.html")
    assert browser.driver.title == "bncli report: hostile.json"
    assert browser.all("img") == []
    assert HOSTILE in browser.one("main").text
    assert browser.asked_for() == [(tmp_path / "out.html").as_uri()]
    assert browser.driver.get_log("browser") == []
