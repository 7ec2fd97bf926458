"""The real UI of a project, started as its users start it, and a browser to look at it with."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIALOG = "//div[contains(@class, 'dagster-dialog')]"
_STARTING = 120
"""Seconds until the UI must answer."""


def why_not() -> str:
    """What is missing for a test in a browser; empty where everything is there."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed"
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not found" if missing else ""


@dataclass(frozen=True)
class Served:
    """A UI that answers."""

    url: str
    process: subprocess.Popen[bytes]

    def ask(self, query: str, **variables: Any) -> Any:
        """The answer to a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.load(answer)
        assert "errors" not in said, said
        return said["data"]


@contextlib.contextmanager
def serve(root: Path, env: Mapping[str, str], log: Path) -> Iterator[Served]:
    """Starts the UI in a session of its own, and ends everything that it started."""
    port = _free_port()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "assets.ui.start", "-p", str(port)],
            cwd=root,
            env=dict(env),
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    served = Served(f"http://localhost:{port}", process)
    try:
        _wait(served, log)
        yield served
    finally:
        _end(process)


def until(
    ask: Callable[[], Any], enough: Callable[[Any], bool], failure: str, seconds: float = 120
) -> Any:
    """Asks again and again until an answer is enough."""
    deadline = time.monotonic() + seconds
    while not enough(answer := ask()):
        assert time.monotonic() < deadline, f"{failure}; the last answer was {answer}"
        time.sleep(0.5)
    return answer


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


def _wait(served: Served, log: Path) -> None:
    """Waits until the UI answers and knows the project's assets."""
    deadline = time.monotonic() + _STARTING
    while time.monotonic() < deadline:
        assert served.process.poll() is None, f"the UI ended:\n{log.read_text()[-4000:]}"
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            if served.ask("{ assetNodes { id } }")["assetNodes"]:
                return
        time.sleep(0.5)
    raise AssertionError(f"the UI did not answer:\n{log.read_text()[-4000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole session: `dagster dev` has children, and these have theirs."""
    for number, patience in ((signal.SIGINT, 15), (signal.SIGKILL, 15)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Browser:
    """A person at a browser: goes somewhere, reads, clicks, takes pictures."""

    def __init__(self, url: str, pictures: Path, size: tuple[int, int] = (1500, 1100)) -> None:
        from selenium.webdriver import Chrome, ChromeOptions
        from selenium.webdriver.chrome.service import Service

        options = ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for switch in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
            options.add_argument(f"--{switch}")
        options.add_argument(f"--window-size={size[0]},{size[1]}")
        self.url, self.pictures = url, pictures
        self.driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))

    def go(self, path: str) -> None:
        """Opens a page of the UI."""
        self.driver.get(self.url + path)

    def see(self, text: str, *, within: str = "", seconds: float = 60) -> Any:
        """Waits until a text is to be seen, and returns what shows it."""
        return self._wait(lambda: self._shown(text, within), f"{text!r} is not shown", seconds)

    def click(self, text: str, *, within: str = "", which: int = 0, seconds: float = 60) -> None:
        """Clicks what carries a text, as soon as it can be clicked."""

        def clicked() -> bool:
            found = self._shown(text, within, which)
            if found and found.is_enabled():
                found.click()
                return True
            return False

        self._wait(clicked, f"{text!r} cannot be clicked", seconds)

    def open(self, text: str, dialog: str, seconds: float = 60) -> None:
        """Clicks what carries a text until a dialog is there: a new page may not listen yet."""

        def opened() -> bool:
            if self.driver.find_elements("xpath", dialog):
                return True
            found = self._shown(text, "")
            if found and found.is_enabled():
                found.click()
            return False

        self._wait(opened, f"{text!r} opens nothing", seconds)

    def picture(self, name: str) -> Path:
        """Keeps what is to be seen now."""
        path = self.pictures / f"{name}.png"
        self.driver.save_screenshot(str(path))
        return path

    def image_width(self) -> int:
        """The width of the last image of the page, once it is drawn."""
        script = "return [...document.images].map(i => i.naturalWidth).pop() || 0"
        return int(self._wait(lambda: self.driver.execute_script(script), "no image", 30))

    def text(self) -> str:
        """All text of the page."""
        return str(self.driver.find_element("tag name", "body").text)

    def close(self) -> None:
        """Ends the browser."""
        self.driver.quit()

    def settle(self, script: str) -> Any:
        """Waits until what a script returns stays the same for a second, and returns it."""
        seen: list[Any] = []

        def still() -> bool:
            seen.append(self.driver.execute_script(script))
            return len(seen) > 4 and all(value == seen[-1] for value in seen[-5:])

        self._wait(still, "the page does not come to rest", 60)
        return seen[-1]

    def _shown(self, text: str, within: str, which: int = 0) -> Any:
        says = f"contains(normalize-space(.), {json.dumps(text)})"
        path = f"{within}//*[{says} and not(*[{says}])]"
        shown = [e for e in self.driver.find_elements("xpath", path) if e.is_displayed()]
        return shown[which] if shown else None

    def _wait(self, found: Any, failure: str, seconds: float) -> Any:
        from selenium.common.exceptions import (
            ElementClickInterceptedException,
            ElementNotInteractableException,
            StaleElementReferenceException,
            TimeoutException,
        )
        from selenium.webdriver.support.ui import WebDriverWait

        moving = (
            StaleElementReferenceException,
            ElementClickInterceptedException,
            ElementNotInteractableException,
        )
        try:
            return WebDriverWait(self.driver, seconds, 0.25, moving).until(lambda _: found())
        except TimeoutException:
            self.picture("failure")
            raise AssertionError(
                f"{failure} on {self.driver.current_url}:\n{self.text()}"
            ) from None
