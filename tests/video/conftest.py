"""A model that reads numbered frames, and a video of them."""

import pytest
from numbered import BrightEngine, encode, numbered

from aaff.runtime import Segmenter
from aaff.video import stream


@pytest.fixture
def seg():
    return Segmenter(BrightEngine(), stream)


@pytest.fixture(scope="session")
def drive(tmp_path_factory):
    """60 numbered frames at 30 a second, index in front.  Read only."""
    images = [numbered(number) for number in range(60)]
    return encode(tmp_path_factory.mktemp("drive") / "drive.mp4", images, options={"movflags": "+faststart"})


@pytest.fixture
def cut(drive, tmp_path):
    """The first six tenths of the bytes of :func:`drive`."""
    data = drive.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: len(data) * 6 // 10])
    return path
