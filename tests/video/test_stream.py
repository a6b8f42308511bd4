"""``for prediction in seg.stream(source)``: order, times, early ends, the newest frame of a camera."""

import gc
import threading

import cv2
import numpy as np
import pytest

from aaff.errors import DataError
from aaff.images import write_image
from aaff.runtime import Segmenter
from aaff.video import Stream, stream
from tests.video.numbered import BrightEngine, number_of, numbered, within, workers


def test_predictions_in_order_with_times(seg, drive):
    predictions = within(60, list, seg.stream(drive))
    assert [number_of(p.class_map) for p in predictions] == [p.frame for p in predictions] == list(range(60))
    assert [p.time for p in predictions] == pytest.approx([number / 30 for number in range(60)])
    assert {p.source for p in predictions} == {str(drive)}
    assert not workers()


def test_a_stream_knows_its_source(seg, drive):
    with seg.stream(str(drive)) as opened:
        assert isinstance(opened, Stream)
        assert (opened.info.frames, opened.info.rate) == (60, 30)
        assert number_of(next(opened).class_map) == 0
        assert opened.dropped == 0


@pytest.mark.parametrize("how", ["close", "with", "forget"])
def test_ending_early_ends_the_threads(seg, drive, how):
    def run():
        opened = seg.stream(drive)
        if how == "with":
            with opened:
                next(opened)
        else:
            next(opened)
        if how == "close":
            opened.close()
            assert list(opened) == []

    within(60, run)
    gc.collect()
    assert not workers()


def test_nothing_runs_before_the_first_prediction(seg, drive):
    opened = seg.stream(drive)
    assert not workers()
    opened.close()


def test_several_streams_at_once(seg, drive):
    streams = [seg.stream(drive) for _ in range(3)]
    for number, together in enumerate(within(60, list, zip(*streams, strict=True))):
        assert [number_of(p.class_map) for p in together] == [number] * 3


def test_a_cut_video_gives_what_it_has_and_then_says_so(seg, cut):
    got = []

    def run():
        for prediction in seg.stream(cut):
            got.append(prediction.frame)

    with pytest.raises(DataError, match="is cut off"):
        within(60, run)
    assert got == list(range(len(got)))
    assert len(got) > 30


def test_an_error_of_the_network_ends_the_stream(drive):
    def fail(call):
        if call == 5:
            raise ZeroDivisionError

    opened = stream(Segmenter(BrightEngine(fail)), drive)
    got = []
    with pytest.raises(ZeroDivisionError):
        within(60, lambda: got.extend(p.frame for p in opened))
    assert not workers()


def test_a_wrong_source_is_said_at_once(seg, tmp_path):
    (tmp_path / "text.mp4").write_text("a text")
    with pytest.raises(DataError, match="is not a video"):
        seg.stream(tmp_path / "text.mp4")
    with pytest.raises(DataError, match="there is no video file"):
        seg.stream("no.mp4")


def test_images_have_a_source_but_no_time(seg, tmp_path):
    for number in (1, 2, 10):
        write_image(tmp_path / f"f{number}.png", numbered(number))
    predictions = within(60, list, seg.stream(tmp_path))
    assert [p.source for p in predictions] == [str(tmp_path / f"f{n}.png") for n in (1, 2, 10)]
    assert [p.time for p in predictions] == [None] * 3
    assert len(within(60, list, seg.stream(f"{tmp_path}/f1*.png"))) == 2
    assert len(within(60, list, seg.stream(tmp_path / "f1.png"))) == 1


def test_a_camera_gives_the_newest_frame_to_a_slow_loop(seg, monkeypatch):
    given = threading.Event()

    class Capture:
        """100 frames as fast as they are taken; then it is gone."""

        count = 0

        def __init__(self, number):
            pass

        def isOpened(self):  # noqa: N802 - OpenCV's name
            return True

        def get(self, what):
            return 30.0

        def read(self):
            if self.count == 100:
                given.set()
                return False, None
            self.count += 1
            return True, np.ascontiguousarray(numbered(self.count - 1))

        def release(self):
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    opened = seg.stream(0)
    numbers = []

    def run():
        for prediction in opened:
            numbers.append(prediction.frame)
            assert number_of(prediction.class_map) == prediction.frame
            given.wait(30)

    with pytest.raises(DataError, match="camera 0 gave no more frames after 100"):
        within(60, run)
    assert numbers[-1] == 99, "the newest one, however slow the loop is"
    assert len(numbers) <= 3
    assert opened.dropped == 100 - len(numbers)
