"""Regenerate all committed images of predictions, after the bundled model has changed::

    python -m scripts.make_pictures DRIVES

``DRIVES`` is a folder with the frames of the Drive.ai Sample Dataset (CC BY 4.0, credited below every image), or one
frame.  It writes ``street.jpg``, ``street-weak.jpg``, ``page.jpg`` and ``page-phone.jpg`` to ``docs/images``.  It needs
Chromium with its driver, and the packages of the extras ``server`` and ``dev``.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import aaff
from aaff.files import replacing
from aaff.server import Settings, create_app
from scripts.tables import ROOT
from tests.server.browser import Browser, open_browser, running

IMAGES = ROOT / "docs" / "images"
FRAME = "0025.jpg"
"""The frame in use: road, cars, trees, buildings, poles and signs at once."""
WEAK = ("0119.jpg", "0001.jpg")
"""Frames that the model gets wrong in parts: among the least confident ones, and trunks that become poles."""
_READY = "document.querySelectorAll('#legend button').length > 3 && document.getElementById('busy').hidden"


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("drives", type=Path, help="folder with the frames, or one frame")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the pictures; default: docs/images")
    args = parser.parse_args()
    frame = args.drives / FRAME if args.drives.is_dir() else args.drives
    weak = [args.drives / name for name in WEAK] if args.drives.is_dir() else [frame]
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.out / "street.jpg", pairs(frame))
    write(args.out / "street-weak.jpg", pairs(*weak))
    settings = Settings(port=0)
    with (
        tempfile.TemporaryDirectory() as profile,
        running(create_app({"street": aaff.load}, settings), settings) as page,
        open_browser(Path(profile)) as browser,
    ):
        browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        browser.begin(page, width=1000, height=610, scale=1.4)
        drop(browser, frame)  # the first frame takes longer, and the page says so
        drop(browser, frame)
        browser.js("document.getElementById('compare').click()")
        browser.js("document.activeElement.blur()")
        write(args.out / "page.jpg", photograph(browser))
        browser.begin(page, width=390, height=640, scale=1, dark=True)
        drop(browser, frame)
        write(args.out / "page-phone.jpg", photograph(browser))


def pairs(*frames: Path) -> bytes:
    """Each frame and, at its right, the frame under its predicted classes, 640 pixels wide, below each other."""
    segment = aaff.load()
    rows = []
    for frame in frames:
        prediction = segment(frame)
        both = np.hstack([prediction.image, prediction.overlay(alpha=0.6, legend=False)])
        height, width = both.shape[:2]
        rows.append(Image.fromarray(both).resize((640, round(height * 640 / width)), Image.Resampling.LANCZOS))
    return as_jpeg(Image.fromarray(np.vstack([np.asarray(row) for row in rows])), 92)


def drop(browser: Browser, frame: Path) -> None:
    """Drop the frame on the page and wait for its classes."""
    browser.js("document.getElementById('legend').replaceChildren()")
    browser.drop(frame.read_bytes(), frame.name, "image/jpeg")
    browser.until(_READY)
    time.sleep(0.5)  # bars are drawn gently


def photograph(browser: Browser) -> bytes:
    """What the window shows, as a small JPEG."""
    return as_jpeg(Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB"), 82)


def as_jpeg(picture: Image.Image, quality: int) -> bytes:
    """The picture without metadata."""
    data = io.BytesIO()
    picture.save(data, "jpeg", quality=quality, optimize=True)
    return data.getvalue()


def write(path: Path, data: bytes) -> None:
    """Replace a picture."""
    with replacing(path) as file:
        file.write_bytes(data)
    print(f"written: {path} ({len(data):,} bytes)")


if __name__ == "__main__":
    main()
