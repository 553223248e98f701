"""The report in a real browser, with the network cut: it shows, sorts, filters and complains of nothing."""

import shutil
from pathlib import Path

import pytest

from harness.cli import main
from tests.harness.factories import make_error_records, make_records, make_run, write_run

pytestmark = pytest.mark.browser

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    quick = write_run(folder / "quick", records=make_records(samples=3))
    error = write_run(folder / "error", make_run(("error",), run_id="error"), make_error_records(off=0.5))
    assert main(["report", str(quick), str(error), "-o", str(folder / "report.html")]) == 0
    return folder / "report.html"


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Start a browser without a network; `script=False` switches JavaScript off."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    browsers = []

    def start(script=True):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1280,900"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if not script:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        browsers.append(browser)
        browser.execute_cdp_cmd("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        return browser

    yield start
    for browser in browsers:
        browser.quit()


@pytest.fixture(scope="module")
def browser(start, report):
    browser = start()
    browser.get(report.as_uri())
    return browser


def texts(browser, selector):
    return [element.text for element in browser.find_elements("css selector", selector) if element.is_displayed()]


def test_the_three_answers_are_in_sight_and_the_console_is_silent(browser, tmp_path):
    headline = texts(browser, ".headlines")[0]
    for words in ("Fastest\nint8", "Smallest\nint8", "Most accurate\nw1.58a8"):
        assert words in headline
    tops = [tile.location["y"] for tile in browser.find_elements("css selector", ".headline")[:3]]
    assert max(tops) < 900, "without scrolling"
    assert browser.get_log("browser") == []
    assert browser.save_screenshot(str(tmp_path / "report.png"))
    assert Path(tmp_path / "report.png").stat().st_size > 10_000


def test_a_column_sorts_by_mouse_and_by_keyboard(browser):
    table = browser.find_element("id", "run1-results-quick")
    heading = next(th for th in table.find_elements("css selector", "thead th") if th.text.startswith("latency"))
    column = browser.execute_script("return arguments[0].cellIndex", heading) + 1
    cells = f"#run1-results-quick tbody tr > :nth-child({column})"
    before = [float(text) for text in texts(browser, cells)]

    button = heading.find_element("css selector", "button")
    button.click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in texts(browser, cells)] == sorted(before)
    button.send_keys("\ue007")
    assert heading.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in texts(browser, cells)] == sorted(before, reverse=True)
    assert len(table.find_elements("css selector", "[aria-sort]")) == 1


def test_words_filter_the_rows(browser):
    table = browser.find_element("id", "run1-results-quick")
    box = table.find_element("xpath", "../preceding-sibling::div[@class='filter'][1]")
    field = box.find_element("css selector", "input")
    everything = len(texts(browser, "#run1-results-quick tbody tr"))

    field.send_keys("INT8 128")
    shown = texts(browser, "#run1-results-quick tbody tr")
    assert len(shown) == 2
    assert all("int8" in row for row in shown)
    assert box.find_element("css selector", "output").text == f"2 of {everything} rows"
    field.clear()
    field.send_keys(" ")
    assert len(texts(browser, "#run1-results-quick tbody tr")) == everything


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_and_text_stands_out(browser, width, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width

    style = "const s = getComputedStyle(document.querySelector(arguments[0])); return "
    ink, page = (browser.execute_script(style + want, "body") for want in ("s.color", "s.backgroundColor"))
    svg_ink = browser.execute_script(style + "s.fill", "svg text")
    light, dark = (sum(map(int, colour.strip("rgb()").split(","))) for colour in (page, ink))
    assert (light > dark) == (scheme == "light")
    assert abs(light - dark) > 450
    assert svg_ink == ink
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_is_whole_without_javascript(start, report):
    browser = start(script=False)
    browser.get(report.as_uri())
    assert "Fastest\nint8" in texts(browser, ".headlines")[0]
    assert len(browser.find_elements("css selector", "table.sortable button, .filter")) == 0
    assert len(browser.find_elements("css selector", "#run1-results-quick tbody tr")) == 22
    assert browser.get_log("browser") == []
