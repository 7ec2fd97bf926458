"""A reader with Chromium and a folder on a disk: with scripts and without, wide and narrow."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Folder
from tests.pages.conftest import RELEASE_PAGE, build

selenium = pytest.importorskip("selenium", reason="selenium is not installed")
PROGRAMS = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
if absent := [name for name, path in PROGRAMS.items() if not path]:
    pytest.skip(f"{' and '.join(absent)} not installed", allow_module_level=True)

from selenium.webdriver import Chrome, ChromeOptions  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

Opened = Callable[..., Chrome]
CONTRAST = """
const lum = (c) => {
  const [r, g, b] = c.match(/[0-9.]+/g).map((v) => {
    v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor;
    if (!c.endsWith(", 0)") && c !== "transparent") return c;
  }
  return "rgb(255, 255, 255)";
};
const found = [];
for (const e of document.querySelectorAll("main *, .top *, .foot *")) {
  const says = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!says || !e.offsetParent || e.closest("svg")) continue;
  const [a, b] = [lum(getComputedStyle(e).color), lum(behind(e))].sort((x, y) => y - x);
  found.push([(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 80)]);
}
return found.sort((x, y) => x[0] - y[0])[0];
"""
"""The text that stands out least from what is behind it (WCAG 2.2, relative luminance)."""


@pytest.fixture
def opened(released: Folder) -> Iterator[Opened]:
    """Opens a page of the site from the disk; nothing is served and nothing downloaded."""
    build(released)
    drivers: list[Chrome] = []

    def go(page: str, *, scripts: bool = True, width: int = 1400, scheme: str = "light") -> Chrome:
        options = ChromeOptions()
        options.binary_location = str(PROGRAMS["chromium"])
        for option in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
            options.add_argument(f"--{option}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if not scripts:
            off = {"profile.managed_default_content_settings.javascript": 2}
            options.add_experimental_option("prefs", off)
        driver = Chrome(options=options, service=Service(PROGRAMS["chromedriver"]))
        drivers.append(driver)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        visit(driver, released.root / "site" / page)
        return driver

    yield go
    for driver in drivers:
        driver.quit()


def visit(driver: Chrome, page: Path) -> None:
    """`get` may come back while the style sheet is still being read: wait for the whole page."""
    driver.get(page.as_uri())
    WebDriverWait(driver, 30).until(
        lambda d: d.execute_script("return document.readyState") == "complete"
    )


def complaints(driver: Chrome) -> list[str]:
    """What the browser complains about: a script that was stopped, a file that is missing."""
    log = driver.get_log("browser")
    return [entry["message"] for entry in log if entry["source"] != "rendering"]


def test_search_finds_from_a_disk_and_leads_to_pages(opened: Opened) -> None:
    driver = opened("search.html")
    box = driver.find_element(By.ID, "words")
    assert driver.switch_to.active_element == box
    box.send_keys("COUNT 22")
    hits = driver.find_elements(By.CSS_SELECTOR, "#hits a")
    assert [hit.text for hit in hits] == ["count/age-22-34 1.0.0", "count@age-22-34"]
    assert driver.find_element(By.ID, "told").text == "2 found"
    box.send_keys(" <script>")
    assert driver.find_elements(By.CSS_SELECTOR, "#hits a") == []
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys("verified")
    driver.find_element(By.LINK_TEXT, "words").click()
    assert driver.find_element(By.TAG_NAME, "h1").text == "words"
    assert complaints(driver) == []


def test_without_scripts_everything_is_reached_by_links_and_the_drawing_zooms(
    opened: Opened,
) -> None:
    driver = opened("search.html", scripts=False)
    assert "this browser runs none" in driver.find_element(By.TAG_NAME, "noscript").text
    assert not driver.find_element(By.ID, "words").is_displayed()
    driver.find_element(By.CSS_SELECTOR, ".lists a[href='releases.html']").click()
    driver.find_element(By.LINK_TEXT, "count/age-22-34 1.0.0").click()
    assert driver.find_element(By.CSS_SELECTOR, ".verdict h2").text == "Verified"
    drawing = driver.find_element(By.CSS_SELECTOR, "svg.lineage")
    fit = drawing.size["width"]
    driver.find_element(By.CSS_SELECTOR, "label[for='zoom-large']").click()
    assert drawing.rect["width"] > fit * 1.3 or drawing.size["height"] > 60
    driver.find_element(By.CSS_SELECTOR, "label[for='zoom-fit']").click()
    driver.find_element(By.CSS_SELECTOR, "svg a[href$='models/count/age-22-34.html'] rect").click()
    assert driver.find_element(By.TAG_NAME, "h1").text == "count@age-22-34"
    assert complaints(driver) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_and_no_page_is_wider_than_its_window(
    opened: Opened, released: Folder, scheme: str
) -> None:
    driver = opened("index.html", width=400, scheme=scheme)
    site = released.root / "site"
    for width in (400, 1400):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for page in ("index.html", RELEASE_PAGE, "datasets/words.html", "profiles/age-22-34.html",
                     "models/total.html", "search.html"):  # fmt: skip
            visit(driver, site / page)
            wide = driver.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width, page
            ratio, where = driver.execute_script(CONTRAST)
            assert ratio >= 4.5, f"{page}: {where}"
    assert complaints(driver) == []


def test_a_keyboard_reaches_the_content_the_tables_and_the_zoom(opened: Opened) -> None:
    driver = opened(RELEASE_PAGE)
    body = driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    first = driver.switch_to.active_element
    assert first.text == "Skip to the content"
    assert first.is_displayed()
    names = set()
    for _ in range(60):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        active = driver.switch_to.active_element
        names.add(active.get_attribute("id") or active.get_attribute("class"))
        outline = driver.execute_script(
            "const e = arguments[0]; const l = e.matches('.zoom input') ? e.nextElementSibling : e;"
            "return getComputedStyle(l).outlineStyle", active,
        )  # fmt: skip
        if active.tag_name == "body":
            break
        assert outline != "none", active.get_attribute("outerHTML")[:200]
    assert {"zoom-fit", "canvas", "wide"} <= names


def test_the_report_reads_alone(opened: Opened, released: Folder) -> None:
    out = released.root / "site" / "report.html"
    released.chorus("lineage", "report", "count/age-22-34@v1.0.0", "-o", str(out))
    driver = opened("index.html", scripts=False)
    alone = Path(shutil.move(out, released.root.parent / "report.html"))
    visit(driver, alone)
    assert driver.find_element(By.CSS_SELECTOR, ".verdict h2").text == "Verified"
    card = driver.find_element(By.CSS_SELECTOR, ".verdict")
    assert card.value_of_css_property("border-left-width") == "6px"  # its style is inside
    assert complaints(driver) == []
