"""The H.264 writer: what browsers play, exact times, and no half file ever."""

import resource
from fractions import Fraction

import av
import numpy as np
import pytest

from aaff.errors import AaffError, DataError, OptionError
from aaff.labels import CAMVID11
from aaff.video import VideoWriter, writer
from tests.video.numbered import decode, number_of, numbered


def write(path, pictures, **options):
    with VideoWriter(path, **options) as video:
        for picture in pictures:
            video.write(picture)
    return path


def test_what_browsers_play(tmp_path):
    path = write(tmp_path / "a.mp4", [numbered(n) for n in range(30)], rate=Fraction(30_000, 1001))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, context.profile) == ("h264", "yuv420p", "High")
        assert (context.colorspace, context.color_primaries, context.color_trc) == (6, 6, 6), "tagged as BT.601"
        assert (stream.frames, stream.average_rate) == (30, Fraction(30_000, 1001))
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat"), "the index is in front: playing starts before all is loaded"
    assert [number_of(image) for _, image in decode(path)] == list(range(30))


def test_colours_survive(tmp_path):
    picture = np.repeat(np.repeat(np.array(CAMVID11.colors, np.uint8)[None], 64, axis=0), 16, axis=1)
    _, shown = decode(write(tmp_path / "a.mp4", [picture] * 3, quality=10))[-1]
    middles = shown[32, 8::16].astype(int)
    assert np.abs(middles - np.array(CAMVID11.colors)).max() <= 6


def test_times_and_durations_are_exact(tmp_path):
    times = [Fraction(stamp, 90_000) for stamp in (450, 3003, 3004, 90_000)]
    with VideoWriter(tmp_path / "a.mp4", tick=Fraction(1, 90_000)) as video:
        for number, time in enumerate(times):
            video.write(numbered(number), time, Fraction(1, 50))
    assert [time for time, _ in decode(tmp_path / "a.mp4")] == times
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == times[-1] + Fraction(1, 50) - times[0]


def test_frames_at_one_time_follow_each_other(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", tick=Fraction(1, 1000)) as video:
        for number in range(4):
            video.write(numbered(number), Fraction(1, 10_000) * number)
    assert [time for time, _ in decode(tmp_path / "a.mp4")] == [Fraction(n, 1000) for n in range(4)]


@pytest.mark.parametrize("size", [(97, 64), (96, 65), (97, 65), (1, 1)])
def test_odd_sizes_repeat_their_last_pixels(tmp_path, size):
    picture = numbered(5, size)
    _, shown = decode(write(tmp_path / "a.mp4", [picture] * 2, quality=5))[-1]
    width, height = size
    assert shown.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(shown[:height, :width].astype(int) - picture).mean() < 6
    assert np.abs(shown[:, -1].astype(int) - shown[:, width - 1]).max() < 25


def test_one_size_only(tmp_path):
    with pytest.raises(DataError, match="48x32"):
        write(tmp_path / "a.mp4", [numbered(1), numbered(1, (48, 32))])
    assert not list(tmp_path.iterdir())


def test_without_a_picture_there_is_no_file(tmp_path):
    video = VideoWriter(tmp_path / "a.mp4")
    assert video.close() is None
    video.discard()
    assert not list(tmp_path.iterdir())


def test_what_was_there_stays_when_the_block_fails(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"before")
    video = VideoWriter(path)
    video.write(numbered(1))
    with pytest.raises(ZeroDivisionError), video:
        raise ZeroDivisionError
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(AaffError, match="is closed"):
        video.write(numbered(2))


def test_a_disk_that_is_full(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"before")
    noise = np.random.default_rng(0).integers(0, 255, (64, 128, 192, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))  # the system refuses what goes beyond
    try:
        with pytest.raises(AaffError, match=r"a\.mp4: File too large"):
            write(path, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_lost_frames_says_so(tmp_path):
    video = VideoWriter(tmp_path / "a.mp4")
    video.write(numbered(1))
    video.frames += 1
    with pytest.raises(AaffError, match="has 1 of 2 pictures after writing"):
        video.close()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AaffError, match="cannot write"):
        write(tmp_path / "file" / "a.mp4", [numbered(1)])


def test_a_missing_encoder_names_those_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_ENCODER", "libx264-that-nobody-built")
    with pytest.raises(AaffError, match=r"H\.264.*mpeg4"):
        VideoWriter(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.avi", {}, r"written as \.mp4, not as a\.avi"),
        ("a.mp4", {"rate": Fraction(0)}, "rate 0 must be above 0"),
        ("a.mp4", {"quality": 52}, "quality 52 from 0 to 51"),
    ],
)
def test_options_that_make_no_sense(tmp_path, name, options, words):
    with pytest.raises(OptionError, match=words):
        VideoWriter(tmp_path / name, **options)
