"""Make the picture at the top of README: a street frame and, at its right, the frame under its predicted classes.

Run it again when the bundled model changes:

    python -m scripts.make_readme_picture FRAME.jpg --model street

The frame must be one that may be published.  The one in use is of the Drive.ai Sample Dataset, CC BY 4.0; README and
``docs/index.md`` credit it below the picture.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

import aaff
from aaff.files import replacing

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "street.jpg"
WIDTH = 640
MAX_BYTES = 150_000


def make(frame: Path, model: str | None = None) -> bytes:
    """The picture as a JPEG of at most ``WIDTH`` pixels by width and ``MAX_BYTES``, without metadata.

    Args:
        frame: an image file.
        model: what ``aaff.load`` takes; default: the bundled model.

    Raises:
        aaff.AaffError: the frame or the model cannot be read.
    """
    prediction = aaff.load(model)(frame)
    pair = np.hstack([prediction.image, prediction.overlay(alpha=0.6, legend=False)])
    height, width = pair.shape[:2]
    picture = Image.fromarray(pair).resize((WIDTH, round(height * WIDTH / width)), Image.Resampling.LANCZOS)
    for quality in (92, 85, 75, 60):
        data = io.BytesIO()
        picture.save(data, "jpeg", quality=quality, optimize=True)
        if data.tell() <= MAX_BYTES:
            break
    return data.getvalue()


def main() -> None:
    """Write ``docs/images/street.jpg``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("frame", type=Path, help="an image that may be published")
    parser.add_argument("--model", help="what aaff.load takes; default: the bundled model")
    args = parser.parse_args()
    data = make(args.frame, args.model)
    with replacing(PICTURE) as file:
        file.write_bytes(data)
    print(f"written: {PICTURE.relative_to(ROOT)} ({len(data):,} bytes)")


if __name__ == "__main__":
    main()
