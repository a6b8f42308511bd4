"""The page in a real Chromium: what it draws is what the API says, by mouse, by keyboard, from files and the camera."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import axe_core_python
import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from aaff.labels import UInt8Array
from aaff.preprocess import Size
from aaff.runtime import Segmenter
from aaff.server import Limits, Settings, create_app
from aaff.video import VideoWriter
from tests.runtime.conftest import ThresholdEngine
from tests.server.browser import Browser, open_browser, running
from tests.server.conftest import as_file, as_picture

SIZE = Size(64, 48)


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    settings = Settings(port=0, limits=Limits(seconds=60))
    engine = ThresholdEngine(SIZE)
    with running(create_app({"light": lambda: Segmenter(engine)}, settings), settings) as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def picture() -> UInt8Array:
    """64×48, dark, a bright disc in the middle."""
    y, x = np.mgrid[:48, :64]
    disc = (y - 24) ** 2 + (x - 32) ** 2 < 15**2
    return np.repeat(np.where(disc, 240, 20).astype(np.uint8)[..., None], 3, axis=2)


def drawn(browser: Browser) -> UInt8Array:
    """The pixels of the class map on the page, RGBA uint8 [H, W, 4]."""
    width, height, values = browser.js(
        "((c) => [c.width, c.height, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)])"
        "(document.getElementById('map'))"
    )
    return np.array(values, np.uint8).reshape(height, width, 4)


def api(page: str, file: bytes, form: str) -> bytes:
    with urlopen(Request(f"{page}v1/segment?form={form}", data=file)) as response:
        data: bytes = response.read()
        return data


def check_accessibility(browser: Browser) -> None:
    """axe-core finds nothing serious."""
    source = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": source})  # not as a script: the page allows none
    found = browser.execute_async_script(  # colours count once their transitions have ended
        "const moving = document.getAnimations().filter((a) => a instanceof CSSTransition);"
        "Promise.allSettled(moving.map((a) => a.finished))"
        ".then(() => axe.run()).then((r) => arguments[0](r.violations))"
    )
    serious = [
        f"{violation['id']}: {[node['html'] for node in violation['nodes']]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]
    assert serious == []


def check_layout(browser: Browser, width: int) -> None:
    assert browser.js("document.documentElement.scrollWidth") <= width
    foreign = browser.js("performance.getEntriesByType('resource').map((e) => e.name)")
    assert all(name.startswith(browser.js("location.origin")) or name.startswith("blob:") for name in foreign)
    assert browser.errors() == []


def test_a_dropped_image_is_drawn_as_the_api_says(browser: Browser, page: str) -> None:
    file = as_file(picture())
    browser.begin(page)
    check_accessibility(browser)
    browser.drop(file, "disc.png", "image/png")
    browser.until("document.querySelectorAll('#legend button').length === 2")
    expected = np.asarray(as_picture(api(page, file, "map")))
    assert np.array_equal(drawn(browser)[..., :3], expected)
    summary = json.loads(api(page, file, "json"))
    shown = browser.js("[...document.querySelectorAll('#legend button')].map((b) => b.textContent)")
    for row, text in zip(summary["classes"], shown, strict=True):
        assert text == f"{row['name']}{100 * row['share']:.1f} %{100 * row['confidence']:.0f} %"

    browser.find_element(By.CSS_SELECTOR, "[data-class=bright]").click()
    alone = drawn(browser)
    bright = (expected == (250, 220, 40)).all(axis=-1)
    assert np.array_equal(alone[..., 3] > 0, bright)
    browser.find_element(By.ID, "all").click()
    assert (drawn(browser)[..., 3] == 255).all()

    browser.find_element(By.ID, "compare").click()
    assert browser.js("document.getElementById('map').style.clipPath").startswith("inset(")
    check_accessibility(browser)
    check_layout(browser, 1280)

    browser.drop(b"not an image", "x.png", "image/png")
    assert "image" in browser.until(
        "!document.getElementById('message').hidden && document.getElementById('message').textContent"
    )
    assert browser.js("document.querySelectorAll('#legend button').length") == 2  # what was shown stays


def test_everything_can_be_done_with_the_keyboard_on_a_dark_phone(browser: Browser, page: str) -> None:
    browser.begin(page, width=390, height=844, dark=True)
    check_accessibility(browser)
    browser.drop(as_file(picture()), "disc.png", "image/png")
    browser.until("document.querySelectorAll('#legend button').length === 2")
    reached = []
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    for _ in range(30):
        reached.append(browser.js("document.activeElement.id || document.activeElement.textContent.trim()"))
        browser.switch_to.active_element.send_keys(Keys.TAB)
    assert {"model", "size", "theme", "map", "opacity", "compare", "Open", "camera", "Class map", "JSON"} <= set(
        reached
    )

    canvas = browser.find_element(By.ID, "map")
    canvas.send_keys(Keys.ARROW_RIGHT)
    assert "bright" in browser.js("document.getElementById('tip').textContent")
    assert "bright" in browser.js("document.getElementById('say').textContent")
    canvas.send_keys(Keys.ENTER)
    assert browser.js("document.querySelector('[data-class=bright]').ariaPressed") == "true"
    canvas.send_keys(Keys.ESCAPE)
    assert browser.js("document.querySelector('[data-class=bright]').ariaPressed") == "false"
    background = browser.js("getComputedStyle(document.body).backgroundColor")
    browser.find_element(By.ID, "theme").click()
    assert browser.js("getComputedStyle(document.body).backgroundColor") != background
    check_accessibility(browser)
    check_layout(browser, 390)
    browser.js("localStorage.clear()")


def test_a_video_plays_under_its_classes_and_becomes_a_file(browser: Browser, page: str, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "disc.mp4") as writer:
        for _ in range(8):
            writer.write(picture())
    browser.begin(page)
    browser.drop((tmp_path / "disc.mp4").read_bytes(), "disc.mp4", "video/mp4")
    browser.until("document.getElementById('fps').textContent.includes('fps')")
    colors = drawn(browser)[..., :3]
    assert tuple(colors[24, 32]) == (250, 220, 40)
    assert tuple(colors[2, 2]) == (20, 20, 120)
    browser.find_element(By.ID, "whole-start").click()
    browser.until("!document.getElementById('whole-video').hidden && !document.getElementById('whole-lines').hidden")
    assert "8" in browser.js("document.getElementById('whole-text').textContent")
    check_accessibility(browser)
    check_layout(browser, 1280)


def test_the_camera_is_shown_live_and_let_go(browser: Browser, page: str) -> None:
    browser.begin(f"{page}#camera")
    browser.until("document.getElementById('fps').textContent.includes('fps')")
    assert browser.js("document.getElementById('camera').textContent") == "Stop camera"
    assert browser.js("document.getElementById('map').width") > 300
    browser.find_element(By.ID, "camera").click()
    assert browser.js("document.getElementById('video').srcObject?.active ?? false") is False
    check_layout(browser, 1280)
