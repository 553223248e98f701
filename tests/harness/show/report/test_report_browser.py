"""The report in a real browser, with the network cut: what its script does, and nothing to complain of."""

import base64
import html
import re
import shutil
from pathlib import Path

import pytest

from harness.cli import main
from tests.harness.data.factories import make_error_records, make_records, make_run, write_run
from tests.harness.data.pairs import steady, write_gate

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
    schemes = make_error_records(weight_bits=("w1", "w4"), groups=(1, 4), off=0.5)
    error = write_run(folder / "error", make_run(("error",), run_id="error"), schemes)
    assert main(["report", str(quick), str(error), "-o", str(folder / "report.html")]) == 0
    return folder / "report.html"


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """The report of a gate with one slower case among others that are not."""
    folder = tmp_path_factory.mktemp("gate")
    gate = write_gate(folder / "gate", {"same": steady(1.0, 9), "fastbit": steady(1.2, 9)}, sentinel=steady(1.0, 9))
    assert main(["report", str(gate), "-o", str(folder / "report.html")]) == 0
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser without a network."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    browser.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield browser
    browser.quit()


@pytest.fixture
def page(browser, report):
    """The report as it opens, at its usual size."""
    browser.get("about:blank")
    browser.get(report.as_uri())
    yield browser
    assert browser.get_log("browser") == []
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def texts(browser, selector):
    return [element.text for element in browser.find_elements("css selector", selector) if element.is_displayed()]


def choose(browser, label, value):
    """Set the control of the decision table that is called `label`, as a reader does."""
    xpath = f"//section[@id='decision']//label[normalize-space(text())='{label}']/*"
    browser.find_element("xpath", xpath).send_keys(value)


def resize(browser, width, scheme="light"):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def colour(browser, selector, name="color"):
    script = "return getComputedStyle(document.querySelector(arguments[0])).getPropertyValue(arguments[1])"
    return browser.execute_script(script, selector, name)


@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_the_answer_and_its_three_chips_are_in_sight(page, width):
    resize(page, width)
    assert "Use int8" in texts(page, ".layer")[0]
    chips = page.find_elements("css selector", ".facts li")[:3]
    assert [chip.text.partition("\n")[0] for chip in chips] == ["Speed", "Size", "Error"]
    seen = chips if width > 1000 else [page.find_element("css selector", ".answer")]
    assert max(one.location["y"] + one.size["height"] for one in seen) < 900, "without scrolling"


def test_a_term_is_explained_by_keyboard(page):
    term = page.find_element("css selector", "#answers button.term")
    explanation = page.find_element("id", term.get_attribute("popovertarget"))
    assert not explanation.is_displayed()
    term.send_keys("\n")
    assert explanation.is_displayed()
    assert term.text in explanation.text
    term.send_keys("\ue00c")  # escape
    assert not explanation.is_displayed()


@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_a_failed_gate_is_seen_at_first_sight_in_more_than_its_colour(browser, failed, width):
    resize(browser, width)
    browser.get(failed.as_uri())
    title = browser.find_element("css selector", "h1")
    assert title.text == browser.title == "✗ Gate failed: fastbit is 20 % slower (1.00 to 1.20 ms)"
    red, green, _ = map(int, colour(browser, "h1").strip("rgb()").split(","))
    assert red > 2 * green
    finding = browser.find_element("css selector", ".findings li")
    assert finding.text == "✗ regressed fastbit is 20 % slower (1.00 to 1.20 ms)"
    assert finding.location["y"] + finding.size["height"] < 900
    assert not browser.find_element("id", "answers").is_displayed()
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert violations(browser, contrast=width == 360) == []


def test_a_link_into_what_a_gate_folds_opens_it(browser, failed):
    browser.get(failed.as_uri())
    browser.find_element("css selector", "nav a[href='#answers']").click()
    assert browser.find_element("id", "answers").is_displayed()


def test_a_column_sorts_by_mouse_and_by_keyboard(page):
    page.execute_script("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    table = page.find_element("id", "run1-results-quick")
    heading = next(th for th in table.find_elements("css selector", "thead th") if th.text.startswith("latency"))
    column = page.execute_script("return arguments[0].cellIndex", heading) + 1
    cells = f"#run1-results-quick tbody tr > :nth-child({column})"
    before = [float(text) for text in texts(page, cells)]

    button = heading.find_element("css selector", "button")
    page.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", button)
    button.click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in texts(page, cells)] == sorted(before)
    button.send_keys("\ue007")
    assert heading.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in texts(page, cells)] == sorted(before, reverse=True)
    assert len(table.find_elements("css selector", "[aria-sort]")) == 1


def test_the_decision_table_filters_counts_and_can_be_linked_to(page, report):
    rows = "#decision-table tbody tr"
    assert len(texts(page, rows)) == 4
    choose(page, "M", "128")
    choose(page, "Search", "6912")
    (shown,) = texts(page, rows)
    assert "6912 × 2560, M = 128" in shown
    assert "failed" in shown
    assert texts(page, "#decision output") == ["1 of 4 rows"]

    address = page.current_url
    assert "#decision&decision-table.M=128&decision-table.search=6912" in address
    page.get("about:blank")
    page.get(address)
    assert texts(page, rows) == [shown]
    page.get(report.as_uri() + "#decision&decision-table.over=linear-bf16&decision-table.sort=-1")
    assert page.find_element("css selector", "#decision-table th[aria-sort]").get_attribute("aria-sort") == "descending"
    assert len(texts(page, rows)) == 4, "what the link does not say is not filtered"
    factors = [float(text.split("×")[0]) for text in texts(page, f"{rows} td:nth-child(2)")]
    assert factors == sorted(factors, reverse=True)
    assert max(factors) < 2.2, "over linear-bf16"
    assert page.execute_script("return scrollY") > 300


def test_a_link_into_something_folded_opens_it(page, report):
    page.get(report.as_uri() + "#run1-results-quick")
    assert page.find_element("id", "run1-results-quick").is_displayed()


def test_the_theme_goes_round_and_into_the_address(page):
    button = page.find_element("css selector", "button.theme")
    resize(page, 1280)
    light = colour(page, "body", "background-color")
    button.click()
    button.click()
    assert button.text == "Theme: dark"
    assert colour(page, "body", "background-color") != light
    assert colour(page, "svg text", "fill") == colour(page, "body")
    assert page.current_url.endswith("theme=dark")
    page.refresh()
    assert page.find_element("css selector", "button.theme").text == "Theme: dark"


def test_it_prints_whole_light_and_without_controls(page):
    page.find_element("css selector", "button.theme").click()
    page.find_element("css selector", "button.theme").click()
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert colour(page, "body") == "rgb(0, 0, 0)"
    assert not texts(page, "nav, .filter, .theme")
    pdf = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 3


@pytest.mark.parametrize("width", [360, 1280, 2560])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_and_ink_suits_the_paper(page, width, scheme):
    resize(page, width, scheme)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    ink, behind = colour(page, "body"), colour(page, "body", "background-color")
    bright, dark = (sum(map(int, one.strip("rgb()").split(","))) for one in (behind, ink))
    assert (bright > dark) == (scheme == "light")
    assert colour(page, "svg text", "fill") == ink


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_axe_finds_nothing(page, width, scheme):
    resize(page, width, scheme)
    assert violations(page) == []


def violations(browser, contrast=True):
    """What axe-core has to say against the page, with everything unfolded.

    Whether the contrast suffices is most of its work, and depends on the scheme and not on the width.
    """
    axe = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    browser.execute_script(Path(axe.__file__).with_name("axe.min.js").read_text("utf-8"))
    browser.execute_script("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    options = {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": contrast}}}
    found = browser.execute_async_script("axe.run(arguments[0]).then((all) => arguments[1](all.violations))", options)
    return [(one["id"], node["html"][:200]) for one in found for node in one["nodes"]]


def test_it_works_where_a_viewer_allows_no_address_and_no_storage(page, report, tmp_path):
    frame = html.escape(report.read_text("utf-8"))
    (tmp_path / "viewer.html").write_text(f'<iframe sandbox="allow-scripts" width=1200 height=800 srcdoc="{frame}">')
    page.get((tmp_path / "viewer.html").as_uri())
    page.switch_to.frame(0)
    page.find_element("css selector", "button.theme").click()
    choose(page, "M", "128")
    assert len(texts(page, "#decision-table tbody tr")) == 2
    page.switch_to.default_content()


@pytest.fixture
def without_scripts(browser):
    """The browser of a reader who allows none."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    yield browser
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_it_is_whole_without_javascript(without_scripts, report):
    browser = without_scripts
    browser.get(report.as_uri())
    assert "Use int8" in texts(browser, ".layer")[0]
    term = browser.find_element("css selector", "#answers button.term")
    term.click()
    assert browser.find_element("id", term.get_attribute("popovertarget")).is_displayed()
    term.send_keys("\ue00c")  # escape
    assert len(browser.find_elements("css selector", "table.sortable button, .filter, .theme")) == 0
    assert len(texts(browser, "#decision-table tbody tr")) == 4
    assert len(browser.find_elements("css selector", "#run1-results-quick tbody tr")) == 22
    assert browser.get_log("browser") == []
