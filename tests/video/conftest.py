"""A model that reads numbered frames, and a video of them."""

import av
import pytest

from aaff.runtime import Segmenter
from aaff.video import stream
from tests.video.numbered import BrightEngine, encode, numbered


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
    """The beginning of ``drive``, cut off in the middle of the 41st frame."""
    with av.open(str(drive)) as container:
        entry = container.streams.video[0].index_entries[40]
    path = tmp_path / "cut.mp4"
    path.write_bytes(drive.read_bytes()[: entry.pos + entry.size // 2])
    return path
