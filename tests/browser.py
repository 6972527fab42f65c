"""A real browser without a window, driven through chromedriver by the W3C's WebDriver protocol: JSON over HTTP."""

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
NEEDED = "needs Debian's chromium and chromium-driver: a browser and the chromedriver for it"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Browser:
    """One tab."""

    def __init__(self, session: str) -> None:
        self.session = session

    def ask(self, command: str, **given: Any) -> Any:
        return call(f"{self.session}/{command}", given)

    def open(self, url: str) -> None:
        """Load a page anew, even if only what follows its # is another."""
        self.ask("url", url="about:blank")
        self.ask("url", url=url)

    def run(self, script: str, *given: Any) -> Any:
        """Run JavaScript in the page; what it returns."""
        return self.ask("execute/sync", script=script, args=list(given))

    def text(self) -> str:
        """All text that can be seen."""
        return str(self.run("return document.body.innerText"))

    def wait(self, script: str, *given: Any, seconds: float = 180.0) -> Any:
        """What a script returns as soon as that counts as true."""
        end = time.monotonic() + seconds
        while not (found := self.run(script, *given)):
            assert time.monotonic() < end, f"{script} {given} never came; there is:\n{self.text()}"
            time.sleep(0.2)
        return found

    def wait_for(self, *texts: str) -> None:
        """Wait until all these texts can be seen."""
        for text in texts:
            self.wait("return document.body.innerText.includes(arguments[0])", text)

    def click(self, selector: str, text: str = "") -> None:
        """Click on the first thing of a selector that holds a text, once it is there."""
        find = (
            "const found = [...document.querySelectorAll(arguments[0])].find(e => e.textContent.includes(arguments[1]));"
            "if (found) found.click(); return Boolean(found)"
        )
        self.wait(find, selector, text)

    def press(self, selector: str, keys: str) -> None:
        """Press keys, by WebDriver's codes, on the first thing of a selector."""
        (element,) = self.ask("element", using="css selector", value=selector).values()
        self.ask(f"element/{element}/value", text=keys)

    def picture(self, path: Path) -> None:
        """What the tab shows, as a PNG."""
        path.write_bytes(base64.b64decode(call(f"{self.session}/screenshot", None)))


def call(url: str, given: dict[str, Any] | None, method: str | None = None) -> Any:
    body = None if given is None else json.dumps(given).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(json.load(error)["value"]["message"]) from error


@contextlib.contextmanager
def browser(folder: Path, width: int = 1500, height: int = 950) -> Iterator[Browser]:
    """A browser with its profile in `folder`."""
    assert CHROMIUM
    assert DRIVER
    port = free_port()
    arguments = ["--headless=new", f"--window-size={width},{height}", f"--user-data-dir={folder / 'profile'}"]
    arguments += ["--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")  # it does not start as root otherwise
    log = (folder / "chromedriver.log").open("wb")
    with log, subprocess.Popen([DRIVER, f"--port={port}"], stdout=log, stderr=log) as driver:
        try:
            answering(f"http://127.0.0.1:{port}/status")
            options = {"binary": CHROMIUM, "args": arguments}
            wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
            opened = call(f"http://127.0.0.1:{port}/session", {"capabilities": wanted})
            session = f"http://127.0.0.1:{port}/session/{opened['sessionId']}"
            try:
                yield Browser(session)
            finally:
                call(session, None, "DELETE")
        finally:
            driver.terminate()


def answering(url: str, seconds: float = 300.0) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30):
                return
        except OSError:
            assert time.monotonic() < end, f"{url} does not answer"
            time.sleep(0.2)
