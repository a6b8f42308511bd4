"""Frames of every kind in, one prediction per frame out, and a clear sentence for what is no frame."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import aaff
from aaff.errors import DataError
from aaff.images import write_image
from aaff.runtime import Prediction
from aaff.runtime.frames import find_images, output_names


def test_one_frame_gives_one_prediction(seg, frame):
    prediction = seg(frame)
    assert isinstance(prediction, Prediction)
    np.testing.assert_array_equal(prediction.class_map, (frame[..., 0] > 127).astype(np.uint8))
    assert prediction.image is frame
    assert set(prediction.speed) == {"preprocess", "inference", "postprocess"}
    assert prediction.latency == pytest.approx(sum(prediction.speed.values()))
    assert (prediction.model, prediction.engine, prediction.precision) == ("threshold", "torch", "fp32")


def test_paths_pillow_pictures_and_arrays_mean_the_same(seg, frame, tmp_path):
    write_image(tmp_path / "a.png", frame)
    expected = seg(frame).class_map
    with Image.open(tmp_path / "a.png") as lazy:
        others = [seg(tmp_path / "a.png"), seg(str(tmp_path / "a.png")), seg(lazy), seg(Image.fromarray(frame))]
    for prediction in others:
        np.testing.assert_array_equal(prediction.class_map, expected)
    assert others[0].source == str(tmp_path / "a.png")


def test_frames_of_opencv_say_so(seg, frame, tmp_path):
    blue = np.zeros((12, 16, 3), np.uint8)
    blue[..., 0] = 250  # red in the order of OpenCV is blue here
    assert (seg(blue).class_map == 1).all()
    assert (seg(blue, bgr=True).class_map == 0).all()
    assert (seg(aaff.bgr(blue)).class_map == 0).all()
    assert (seg.batch([blue, blue], bgr=True)[1].class_map == 0).all()
    assert (next(seg.stream(iter([blue]), bgr=True)).class_map == 0).all()
    write_image(tmp_path / "a.png", blue)
    assert (seg(tmp_path / "a.png", bgr=True).class_map == 1).all(), "a file is in the right order anyway"
    with pytest.raises(DataError, match="BGR"):
        aaff.bgr(blue[..., 0])


@pytest.mark.parametrize(("given", "call"), [(["a.png"], r"seg\.batch"), (3, r"seg\.stream\(3\)")])
def test_what_belongs_to_another_call_names_it(seg, given, call):
    with pytest.raises(DataError, match=call):
        seg(given)


def test_an_address_that_gives_nothing_is_an_error_that_names_it(seg):
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/a\.png"):
        seg("http://127.0.0.1:9/a.png")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "LA", "I;16"])
def test_other_picture_modes_are_converted(seg, frame, mode):
    picture = Image.fromarray(frame)
    picture = Image.fromarray(frame[..., 0].astype(np.uint16) * 257) if mode == "I;16" else picture.convert(mode)
    np.testing.assert_array_equal(seg(picture).class_map, seg(frame).class_map)


@pytest.mark.parametrize("grey", [np.full((12, 16), 200, np.uint8), np.full((12, 16, 1), 200, np.uint8)])
def test_grey_arrays_are_repeated_over_the_channels(seg, grey):
    prediction = seg(grey)
    assert prediction.image.shape == (12, 16, 3)
    assert (prediction.class_map == 1).all()


def test_views_of_other_arrays_work(seg, frame):
    flipped = frame[:, ::-1, ::-1]
    np.testing.assert_array_equal(seg(flipped).class_map, seg(frame).class_map[:, ::-1])


def test_a_frame_of_another_size_gets_a_map_of_its_own_size(seg, frame):
    large = frame.repeat(5, axis=0).repeat(3, axis=1)
    prediction = seg(large)
    assert prediction.class_map.shape == prediction.confidence.shape == (60, 48)
    assert prediction.class_map.dtype == prediction.confidence.dtype == np.uint8
    assert abs(prediction.shares()["bright"] - 0.25) < 0.05


def test_a_batch_of_different_sizes_equals_its_frames(seg, engine, frame):
    frames = [frame, frame.repeat(2, axis=0), np.ascontiguousarray(frame[:7, :9])] * 7
    results = seg.batch(frames)
    assert isinstance(results, list)
    assert max(engine.batches) <= 8, "a long list is no single huge batch"
    for one, together in zip(frames, results, strict=True):
        np.testing.assert_array_equal(together.class_map, seg(one).class_map)
        assert together.image is one
    assert seg.batch([]) == []
    assert isinstance(seg.batch([frame]), list)


def test_threads_share_one_segmenter(seg, frame):
    expected = seg(frame).class_map
    wrong = []

    def work():
        for _ in range(20):
            if not np.array_equal(seg(frame).class_map, expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_stream_is_lazy_and_may_be_endless(seg, frame):
    taken = []

    def camera():
        while True:
            taken.append(1)
            yield frame

    stream = seg.stream(camera())
    assert not taken
    assert isinstance(next(stream), Prediction)
    next(stream)
    assert len(taken) == 2


def test_a_stream_of_a_folder_is_in_natural_order(seg, frame, tmp_path):
    for name in ("f10.png", "f2.png", "f1.png", ".hidden.png"):
        write_image(tmp_path / name, frame)
    (tmp_path / "notes.txt").write_text("no image")
    sources = [prediction.source for prediction in seg.stream(tmp_path)]
    assert sources == [str(tmp_path / name) for name in ("f1.png", "f2.png", "f10.png")]


def test_a_missing_source_is_an_error_before_the_first_frame(seg, tmp_path):
    with pytest.raises(DataError, match="there is no file or folder"):
        seg.stream(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 3)), r"uint8 \(0–255\), not float64; multiply values of 0–1 by 255"),
        (np.zeros((4, 4, 3), np.uint16), "divide 16-bit values by 257"),
        (np.zeros((4, 4, 3), np.int64), "not int64"),
        (np.zeros((4, 4, 4), np.uint8), "leave out the alpha channel"),
        (np.zeros((3, 8, 9), np.uint8), "put the channels last"),
        (np.zeros((2, 8, 9, 3), np.uint8), r"seg\.batch"),
        (np.zeros((0, 4, 3), np.uint8), "not \\[0, 4, 3\\]"),
        (np.zeros(7, np.uint8), "has shape"),
        (torch.zeros(3, 4, 4), "permute"),
        (None, "not NoneType"),
        ("no-such-file.png", "there is no image file"),
        (Image.fromarray(np.zeros((4, 4), np.float32)), "floating-point"),
    ],
)
def test_what_is_no_frame_gets_a_sentence(seg, image, words):
    with pytest.raises(DataError, match=words):
        seg(image)


@pytest.mark.parametrize("single", [np.zeros((4, 4, 3), np.uint8), Image.new("RGB", (4, 4)), "a.png"])
def test_a_single_frame_is_no_batch(seg, single):
    with pytest.raises(DataError, match=r"seg\.batch takes a list of frames"):
        seg.batch(single)


def test_an_array_of_frames_is_a_batch(seg, frame):
    assert len(seg.batch(np.stack([frame, frame]))) == 2


def test_a_truncated_file_opened_by_pillow(seg, tmp_path):
    path = tmp_path / "cut.png"
    write_image(path, np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:2000])
    with Image.open(path) as lazy, pytest.raises(DataError, match="cannot"):
        seg(lazy)


def test_sources_of_images(tmp_path, frame):
    for name in ("b.JPG", "a.png", "sub/c.png", ".cache/d.png"):
        write_image(tmp_path / name, frame)
    (tmp_path / "empty").mkdir()
    assert [p.name for p in find_images(tmp_path)] == ["a.png", "b.JPG", "c.png"]
    assert [p.name for p in find_images(str(tmp_path / "*.png"))] == ["a.png"]
    assert [p.name for p in find_images(str(tmp_path / "**" / "*.png"))] == ["a.png", "c.png"]
    assert find_images(tmp_path / "a.png") == [tmp_path / "a.png"]
    with pytest.raises(DataError, match="no image"):
        find_images(tmp_path / "empty")
    with pytest.raises(DataError, match=r"pattern .* no image"):
        find_images(str(tmp_path / "*.bmp"))


def test_names_of_results_never_meet(tmp_path):
    images = [tmp_path / name for name in ("a.png", "a.jpg", "A.bmp", "a_png.png", "s/a.png", "t/a.png", "v1.2.png")]
    names = output_names(images, tmp_path)
    assert len({str(name).casefold() for name in names}) == len(images)
    assert [str(name) for name in names[4:]] == ["s/a", "t/a", "v1.2"]
    assert output_names([tmp_path / "x" / "one.png"])[0].name == "one"


def test_names_of_results_never_leave_their_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    names = output_names([Path("../day/1.png"), Path("night/1.png")])
    assert [str(name) for name in names] == ["day/1", "here/night/1"]
