"""A real Chromium in front of a real server."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from aaff.server import Settings
from aaff.server.run import listen, make_server

PATIENCE = 60
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-background-networking --no-first-run --disable-sync "
    "--disable-component-update --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)


class Browser(webdriver.Chrome):
    """Chromium, with what the tests ask of a page."""

    def js(self, expression: str, *args: Any) -> Any:
        """The value of an expression, which may be a promise."""
        return self.execute_script(f"return {expression}", *args)

    def until(self, expression: str) -> Any:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := self.js(expression):
                return found
            time.sleep(0.05)
        pytest.fail(f"never true: {expression}; message: {self.js('document.getElementById(`message`).textContent')}")

    def begin(
        self, address: str, *, width: int = 1280, height: int = 860, scale: float = 1, dark: bool = False
    ) -> None:
        """Open a page anew, in a window of a size; ``scale``: pixels of the screen for one of the page."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.get("about:blank")
        self.get(address)
        self.until("document.documentElement.dataset.ready")

    def drop(self, data: bytes, name: str, kind: str) -> None:
        """Drop a file on the page."""
        self.execute_script(
            """
            const file = new File([Uint8Array.from(arguments[0])], arguments[1], {type: arguments[2]});
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(file);
            document.getElementById("stage").dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true}));
            """,
            list(data),
            name,
            kind,
        )

    def errors(self) -> list[str]:
        """What the console complains about, such as a blocked script."""
        return [entry["message"] for entry in self.get_log("browser") if entry["level"] == "SEVERE"]  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """Chromium with a profile of its own; the test is skipped where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program, driver = next(filter(None, map(shutil.which, names)), None), shutil.which("chromedriver")
    if program is None or driver is None:
        if os.environ.get("AAFF_BROWSER") == "required":
            pytest.fail("there is no Chromium with its driver here")
        pytest.skip("no Chromium with its driver; on Debian: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = program
    for flag in [*FLAGS.split(), f"--user-data-dir={folder}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Browser(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


@contextlib.contextmanager
def running(app: FastAPI, settings: Settings) -> Iterator[str]:
    """A server in a thread; gives the address of its page."""
    listening = listen(settings)
    server = make_server(app, settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
