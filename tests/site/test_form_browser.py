"""A partner with a spreadsheet, in headless Chromium: from an empty form to a submitted profile."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from registry.profile_desk import whole
from registry.site.app import build_app
from registry.site.pages import templates
from tests.site.filled import FIELDS, ID, SECRET, proposals

selenium = pytest.importorskip("selenium", reason="selenium is not installed")
PROGRAMS = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
if absent := [name for name, path in PROGRAMS.items() if not path]:
    pytest.skip(f"{' and '.join(absent)} not installed", allow_module_level=True)

from selenium.webdriver import Chrome, ChromeOptions  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

SHEET = (
    "id,statement,rationale,strength,agreement,n,dissent\n"
    'shared-water,"Water from the common spring belongs to everybody, guests too.",'
    "Our grandparents dug the channels together.,5,0.92,84,Some would charge visitors.\n"
    "mended-bridges,Whoever crosses a bridge helps to mend it.,,4,0.81,-84,\n"
    "quiet-hours,At noon the valley rests.,,3,0.7,60,\n"
)


@pytest.fixture
def address(root) -> Iterator[str]:
    """The form, served from a thread on a free port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(build_app(root, SECRET), log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)
    listener.close()
    assert not thread.is_alive()


@pytest.fixture
def browser(tmp_path) -> Iterator[Chrome]:
    """Chromium as it is installed here; nothing is downloaded."""
    options = ChromeOptions()
    options.binary_location = str(PROGRAMS["chromium"])
    for option in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu",
                   "window-size=1400,1000", f"user-data-dir={tmp_path / 'chromium'}"):  # fmt: skip
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(PROGRAMS["chromedriver"]))
    browser.set_page_load_timeout(30)
    yield browser
    browser.quit()


def picture(browser: Chrome, name: str) -> None:
    """Keeps pictures of a page, wide and narrow, where somebody wants to look at them."""
    if not (folder := os.environ.get("CHORUS_SCREENSHOTS")):
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    for width in (1400, 400):
        metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        import base64

        (Path(folder) / f"{name}-{width}.png").write_bytes(base64.b64decode(shot["data"]))
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def press(browser: Chrome, act: str) -> None:
    """Presses a button by what it does, and waits for the next page."""
    page = browser.find_element(By.TAG_NAME, "html")
    buttons = browser.find_elements(By.CSS_SELECTOR, f'button[value="{act}"]:not(.default)')
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", buttons[0])
    buttons[0].click()
    WebDriverWait(browser, 20).until(lambda _: _gone(page))


def _gone(page) -> bool:
    from selenium.common.exceptions import WebDriverException

    try:
        page.is_enabled()
    except WebDriverException:
        return True
    return False


def fill(browser: Chrome, name: str, text: str | list[str]) -> None:
    """Types into a field, chooses, or ticks, as its kind asks."""
    found = browser.find_elements(By.NAME, name)
    kind = (found[0].tag_name, found[0].get_attribute("type"))
    if kind[1] in ("radio", "checkbox"):
        for one in found:
            if one.get_attribute("value") in ([text] if isinstance(text, str) else text):
                browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", one)
                one.click()
    elif kind[0] == "select":
        Select(found[0]).select_by_value(str(text))
    else:
        found[0].clear()
        found[0].send_keys(str(text))


def text_of(browser: Chrome, name: str) -> str:
    return browser.find_element(By.NAME, name).get_attribute("value") or ""


def test_a_partner_with_a_spreadsheet_hands_in_a_profile(root, address, browser, tmp_path):
    sheet, minutes = tmp_path / "values.csv", tmp_path / "minutes.txt"
    sheet.write_text(SHEET, encoding="utf-8-sig")
    minutes.write_text("The assembly agreed.\n")

    browser.get(address)
    picture(browser, "1-start")
    browser.find_element(By.LINK_TEXT, "Start the form").click()
    picture(browser, "2-empty")
    for name, text in FIELDS.items():
        if not name.startswith("values.") and name != "authority.evidence_sha256":
            fill(browser, name, text)
    fill(browser, "steward.contact", "secretary@valley.example")
    evidence = browser.find_element(By.ID, "f-authority.evidence_sha256-file")
    evidence.send_keys(str(minutes))
    browser.find_element(By.ID, "u-values").send_keys(str(sheet))
    press(browser, "preview")

    assert browser.find_element(By.ID, "summary-title").text == "2 things to fix"
    picture(browser, "3-mistakes")
    contact = browser.find_element(By.ID, "f-steward.contact")
    assert contact.get_attribute("aria-invalid") == "true"
    said = browser.find_element(By.ID, contact.get_attribute("aria-describedby").split()[-1])
    assert "never an address" in said.text
    assert "must be 1 or more" in browser.find_element(By.ID, "e-values.1.n").text
    for name, text in FIELDS.items():
        if isinstance(text, str) and name.startswith(("name", "scope", "examples.")):
            assert text_of(browser, name) == text
    assert len(text_of(browser, "authority.evidence_sha256")) == 64

    # The link in the summary leads to the field, by keyboard alone.
    link = browser.find_element(By.CSS_SELECTOR, '#summary a[href="#f-steward.contact"]')
    link.send_keys(Keys.ENTER)
    assert browser.current_url.endswith("#f-steward.contact")
    picture(browser, "4-field")

    press(browser, "language.de")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "de"
    assert browser.find_element(By.ID, "summary-title").text == "2 Dinge sind zu ändern"
    assert "nie eine Adresse" in browser.find_element(By.ID, "e-steward.contact").text
    assert "muss mindestens 1 sein" in browser.find_element(By.ID, "e-values.1.n").text
    picture(browser, "5-german")
    press(browser, "language.en")

    fill(browser, "steward.contact", "register:42")
    fill(browser, "values.1.n", "84")
    press(browser, "preview")
    assert browser.current_url.endswith("/preview")
    picture(browser, "6-preview")
    assert proposals(root) == []
    browser.find_element(By.ID, "sure").click()
    browser.find_element(By.CSS_SELECTOR, "#hand-in button").click()
    WebDriverWait(browser, 20).until(lambda b: b.current_url.endswith("/receipt"))
    picture(browser, "7-receipt")

    profile = whole(root / "proposals" / ID, root)
    assert profile.stage == "validated"
    assert [v.n for v in profile.tables()["values.csv"].rows] == [84, 84, 60]
    digest = browser.find_element(By.ID, "receipt-digest").text
    assert digest == profile.life.events[0].sha256
    assert not (root / "value_profiles" / ID).exists()
    refused = [entry["message"] for entry in browser.get_log("browser")
               if "favicon" not in entry["message"]]  # fmt: skip
    assert not refused


def test_a_sending_far_over_the_limit_is_answered_with_a_page(root, address, browser, tmp_path):
    large = tmp_path / "norms.csv"
    with large.open("wb") as stream:
        stream.truncate(120 * 2**20)
    browser.get(f"{address}/en/form")
    browser.find_element(By.ID, "u-norms").send_keys(str(large))
    press(browser, "read.norms")
    assert browser.find_element(By.TAG_NAME, "h1").text == "That was too much at once"
    assert not (root / ".chorus").exists()


def test_a_template_that_is_filled_in_is_what_the_form_reads(address, browser, tmp_path):
    sheet = tmp_path / "examples.csv"
    sheet.write_bytes(templates()["examples.csv"])
    browser.get(f"{address}/de/form")
    browser.find_element(By.ID, "u-examples").send_keys(str(sheet))
    press(browser, "read.examples")
    assert text_of(browser, "examples.0.author") == "the baker"
    assert browser.current_url.endswith("#t-examples")


def test_a_file_over_its_limit_is_refused_and_what_was_typed_is_kept(address, browser, tmp_path):
    large = tmp_path / "norms.csv"
    with large.open("wb") as stream:
        stream.truncate(60 * 2**20)
    browser.get(f"{address}/en/form")
    fill(browser, "name", "People of the River Valley")
    browser.find_element(By.ID, "u-norms").send_keys(str(large))
    press(browser, "read.norms")
    assert "larger than 32,768 KiB" in browser.find_element(By.ID, "e-norms").text
    assert text_of(browser, "name") == "People of the River Valley"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_narrow_screen(address, browser, scheme):
    scheme_is = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme_is})
    metrics = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for path in ("/en/", "/de/", "/en/change", "/de/change", "/en/form", "/de/form"):
        browser.get(address + path)
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 400, path
    unlabelled = browser.execute_script(
        "return [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
        ".filter(e => !e.labels || !e.labels.length || !e.labels[0].textContent.trim())"
        ".map(e => e.name)"
    )
    assert unlabelled == []
    picture(browser, f"8-{scheme}")
